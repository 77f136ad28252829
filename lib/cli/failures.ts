// How a command ends that does not do what it was asked for.

/** What a process ends with. */
export const EXIT = { done: 0, attention: 1, wrongUsage: 2 } as const;

/** The command was called wrongly, or its configuration is wrong. The message says what to write instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The command failed. Its message holds no secret. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
