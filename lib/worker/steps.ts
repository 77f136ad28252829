// The named steps between storing a webhook and being done with it. A process can die at any of them; the tests do.

/** Every step, in the order of the way through. docs/delivery.md tells what is true at each. */
export const QUEUE_STEPS = [
  'accept: about to store',
  'accept: stored',
  'work: taken',
  'work: run ended',
  'work: finished',
] as const;

/** The name of a step. */
export type QueueStep = (typeof QUEUE_STEPS)[number];
