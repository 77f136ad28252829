// What the doctor finds.
import type { Site } from '../site';

/** `to do`: something does not work until somebody does something. `warning`: it works, but not as it should. */
export type CheckStatus = 'ok' | 'warning' | 'to do' | 'not checked';

/** One line of the doctor's. */
export interface Check {
  readonly name: string;
  readonly status: CheckStatus;
  /** What was found, and what to do. */
  readonly detail: string;
}

export const ok = (name: string, detail: string): Check => ({ name, status: 'ok', detail });
export const warning = (name: string, detail: string): Check => ({ name, status: 'warning', detail });
export const toDo = (name: string, detail: string): Check => ({ name, status: 'to do', detail });
export const notChecked = (name: string, detail: string): Check => ({ name, status: 'not checked', detail });

/** How long one check may take: a CRM that is asked four times, each time in vain, takes longer than anybody looks on. */
const PATIENCE_MS = 60_000;

/** What a check gives, or what kept it from giving anything. */
export async function attempt(
  { describe }: Site,
  name: string,
  work: (signal: AbortSignal) => Promise<readonly Check[]>,
): Promise<readonly Check[]> {
  const aborting = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`There was no answer within ${PATIENCE_MS / 1000} s.`));
      aborting.abort();
    }, PATIENCE_MS);
  });
  try {
    return await Promise.race([work(aborting.signal), tooLong]);
  } catch (error) {
    return [toDo(name, describe(error))];
  } finally {
    clearTimeout(timer);
  }
}

export const inWords = (count: number, one: string, several = `${one}s`): string =>
  count === 1 ? `1 ${one}` : `${count} ${several}`;
