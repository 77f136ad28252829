// The named steps between two changes of Redis that are not one. A process can die at any of them; the tests do.

/** Every step. What makes each of them harmless stands where it is passed. */
export const BULL_STEPS = [
  'bull: wake-up taken',
  'bull: wake-up too much',
  'bull: wake-up too early',
  'bull: contact finished',
  'bull: contact woken again',
] as const;

/** The name of a step. */
export type BullStep = (typeof BULL_STEPS)[number];
