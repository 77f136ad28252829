// Small things that the tests of delivery share.
export { ACCESS_KEY } from '../actions/site';

/** A little time before somebody looks or tries again. */
export const pause = (milliseconds = 20): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Resolves when a condition holds. For conditions that a database or a file is asked about. */
export async function untilAsked(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(50);
}
