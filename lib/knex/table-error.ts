// What is wrong with the host's tables or their mapping, in words of ours. A driver's errors are cleaned before anybody sees
// them; these need no cleaning.

/** The tables do not hold, or cannot take, what the mapping says. Its message names tables, columns and roles, no other values. */
export class TableError extends Error {
  override readonly name = 'TableError';
}
