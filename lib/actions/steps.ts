// The named steps between two effects of creating a user. A process can die at any of them; the tests do, at each in turn.

/** Every step, in the order of the way through. docs/passwords.md tells what is true at each. */
export const STEPS = [
  'create: about to store',
  'create: stored',
  'create: checked against the CRM again',
  'return: about to write to the CRM',
  'return: written to the CRM',
  'return: debt cleared',
  'takeover: new password stored',
  'afterCreate: about to run',
  'afterCreate: ran',
  'mail: about to send',
  'mail: sent',
] as const;

/** The name of a step. */
export type Step = (typeof STEPS)[number];
