// Which records are too old or too many: some of them are deleted with a write, now and then. So nothing has to be counted, no
// process needs a timer, and no write takes long.
import type { Database } from '../knex-like';
import { rowsOf } from '../schema';
import { ACTIVITY } from './tables';
import { KINDS, placesFor, type Kind, type Numbers } from './writing';

/** What is kept: so many records of each kind, for so long. */
export interface Keeping {
  readonly records: Numbers;
  readonly ageMs: number;
}

/** How many are deleted at once of each kind: more than come between two times. */
const AT_ONCE = 500;
/** A hundredth too many is let be, but never more than this. */
const MOST_LET_BE = 200;
/** How long a process lets old records be. */
const EVERY_MS = 60_000;

/** Ids of some records that are too much. */
interface Part {
  readonly sql: string;
  readonly bindings: readonly (string | number)[];
}

/** Prunes logs, for one process. */
export class Pruning {
  readonly #keeping: Keeping;
  /** When old records of each log were last looked for, by the clock of the database. */
  readonly #lookedAt = new Map<string, number>();

  constructor(keeping: Keeping) {
    this.#keeping = keeping;
  }

  /** Deletes what is too much in a log that is locked, where it is time. `before` and `after`: the numbers around a write. */
  async prune(database: Database, now: number, log: string, before: Numbers, after: Numbers): Promise<void> {
    const { records, ageMs } = this.#keeping;
    const parts = KINDS.filter((kind) => isTime(before[kind], after[kind], records[kind])).map((kind) =>
      numberedUpTo(log, kind, after[kind] - records[kind]),
    );
    const isToLook = now - (this.#lookedAt.get(log) ?? -Infinity) >= EVERY_MS;
    if (isToLook) parts.push(receivedBefore(log, now - ageMs));
    if (parts.length === 0) return;
    const rows = await rowsOf(
      database,
      parts.map(({ sql }, index) => `select id from (${sql}) as part${index}`).join(' union '),
      parts.flatMap(({ bindings }) => bindings),
    );
    const ids = rows.map(({ id }) => String(id));
    if (ids.length > 0) {
      await database.raw(`delete from ?? where log = ? and id in (${placesFor(ids)})`, [
        ACTIVITY,
        log,
        ...ids,
      ]);
    }
    // Where there are more of them, the next write goes on.
    if (isToLook && ids.length < AT_ONCE) this.#lookedAt.set(log, now);
  }
}

/** Whether enough records have come: all processes see it by the numbers, and the one that passes a mark prunes. */
function isTime(before: number, after: number, most: number): boolean {
  const letBe = Math.max(1, Math.min(MOST_LET_BE, Math.floor(most / 100)));
  return Math.floor(before / letBe) !== Math.floor(after / letBe);
}

const numberedUpTo = (log: string, kind: Kind, number: number): Part => ({
  sql: 'select id from ?? where log = ? and rejected = ? and number <= ? order by number limit ?',
  bindings: [ACTIVITY, log, kind === 'rejected' ? 1 : 0, number, AT_ONCE],
});

const receivedBefore = (log: string, time: number): Part => ({
  sql: 'select id from ?? where log = ? and received < ? order by received limit ?',
  bindings: [ACTIVITY, log, time, AT_ONCE],
});
