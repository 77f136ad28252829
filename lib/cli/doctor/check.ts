// What the doctor finds.
import { codeOf } from '../../errors';
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

/** How long one check may take. */
const PATIENCE_MS = 30_000;
/** How long what was told to stop may take to say what held it up. */
const REASON_MS = 1000;

/** What a check gives, or what kept it from giving anything. */
export async function attempt(
  { describe }: Pick<Site, 'describe'>,
  name: string,
  work: (signal: AbortSignal) => Promise<readonly Check[]>,
): Promise<readonly Check[]> {
  const aborting = new AbortController();
  const timers: NodeJS.Timeout[] = [];
  const tooLong = new Promise<never>((_resolve, reject) => {
    const noAnswer = (): void => reject(new Error(`There was no answer within ${PATIENCE_MS / 1000} s.`));
    timers.push(
      setTimeout(() => aborting.abort(), PATIENCE_MS),
      setTimeout(noAnswer, PATIENCE_MS + REASON_MS),
    );
  });
  try {
    return await Promise.race([work(aborting.signal), tooLong]);
  } catch (error) {
    // Nothing is wrong then, but that others call as well.
    if (codeOf(error) === 'CRM_RATE_LIMITED') return [warning(name, describe(error))];
    return [toDo(name, describe(error))];
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

export const inWords = (count: number, one: string, several = `${one}s`): string =>
  count === 1 ? `1 ${one}` : `${count} ${several}`;
