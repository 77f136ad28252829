// KnexActivityLog: what became of webhooks, in the host's own database.
import type {
  ActivityCount,
  ActivityEntry,
  ActivityFilter,
  ActivityLog,
  ActivityRange,
  ActivityRecord,
} from '../../activity/activity-log';
import { ConfigurationError } from '../../errors';
import { refuseUnknownOptions } from '../../unknown-options';
import { dialectOf, inWords, type DialectName } from '../dialect';
import type { Database, KnexLike, Row } from '../knex-like';
import { Transactions } from '../transactions';
import { recordIn } from './body';
import { countIn, counting, listing, one, placeOf, withCode, type Place, type Select } from './finding';
import { fittingKey, isWhole } from './keys';
import { Pruning } from './pruning';
import { ACTIVITY, LOGS } from './tables';
import { addEntries, lockLog } from './writing';

/**
 * Options of {@link KnexActivityLog}.
 *
 * @example
 * const options: KnexActivityLogOptions = { keepDays: 90, records: 5_000_000 };
 */
export interface KnexActivityLogOptions {
  /** For how many days records are kept, from when the webhook was received; default 30. */
  readonly keepDays?: number | undefined;
  /** How many records are kept of each middleware, the newest; default 1,000,000. */
  readonly records?: number | undefined;
  /** How many of rejected calls beside them; default 10,000. */
  readonly rejected?: number | undefined;
  /** As `keepsValues` of {@link ActivityLog}: whether values of fields are kept; default `false`. */
  readonly keepsValues?: boolean | undefined;
}

const DAY_MS = 86_400_000;

/**
 * Keeps what became of webhooks in the host's database, through the host's own Knex: SQLite, PostgreSQL, MySQL 8 or MariaDB 10.6
 * and later. Call {@link migrate} first, which makes its tables: `wpf_activity` and `wpf_activity_logs`.
 *
 * - Any number of processes write to one log: each sees what the others told, and nothing is lost between two of them.
 * - Every filter, and every page, is found by an index, also among a million records.
 * - What is too old or too many is deleted with later writes, a little at a time: by the minute what is too old, by the hundred
 *   what is too many. A log that nothing is written to any more keeps what it has. So a little more than asked for may be there
 *   for a while: a hundredth, at most a few hundred.
 * - Lists are in the order in which webhooks were received.
 * - A record of more than a million characters is kept without values of fields, and with its first hundred tags.
 * - A SQLite file is switched to a write-ahead log (`journal_mode = WAL`) by the first write, and stays so.
 * - It has no timer, keeps no process alive, and never closes the host's Knex. One connection of the pool is enough for it.
 *
 * @throws ConfigurationError at construction for a wrong option, and for a Knex transaction. Its methods throw what the database
 * says, without the SQL and its values, as an `Error` named `DatabaseError`.
 *
 * @example
 * await migrate(knex);
 * const webhook = wpFusionWebhook({ ...options, activityLog: new KnexActivityLog(knex, { keepDays: 90 }) });
 */
export class KnexActivityLog implements ActivityLog {
  readonly keepsValues: boolean;
  readonly #dialect: DialectName;
  readonly #transactions: Transactions;
  readonly #pruning: Pruning;

  /**
   * @param knex the host's Knex. It stays the host's: nothing closes it.
   * @param options how much is kept.
   */
  constructor(knex: KnexLike, options: KnexActivityLogOptions = {}) {
    this.#dialect = dialectOf(knex);
    const database = knex as unknown as Database;
    if (database.isTransaction === true) {
      throw new ConfigurationError(
        'knex',
        'must not be a transaction: it is over before the last webhook. Give the Knex instance itself.',
      );
    }
    refuseUnknownOptions(options, ['keepDays', 'records', 'rejected', 'keepsValues']);
    const { keepDays = 30, records = 1_000_000, rejected = 10_000, keepsValues = false } = options;
    requireWhole('keepDays', keepDays, 1);
    requireWhole('records', records, 0);
    requireWhole('rejected', rejected, 0);
    if (typeof keepsValues !== 'boolean')
      throw new ConfigurationError('keepsValues', 'must be true or false.');
    this.keepsValues = keepsValues;
    this.#transactions = new Transactions(database, this.#dialect, LOGS);
    this.#pruning = new Pruning({ records: { others: records, rejected }, ageMs: keepDays * DAY_MS });
  }

  async write(log: string, entries: readonly ActivityEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const name = fittingKey(log);
    await this.#saying('write', () =>
      this.#transactions.run(async (database, now) => {
        await lockLog(database, this.#dialect, name);
        const { before, after } = await addEntries(database, this.#dialect, name, entries);
        await this.#pruning.prune(database, now, name, before, after);
      }),
    );
  }

  async list(log: string, filter: ActivityFilter): Promise<readonly ActivityRecord[]> {
    const name = fittingKey(log);
    const { before, limit } = filter;
    if (limit !== undefined && limit < 1) return [];
    return this.#saying('list', async () => {
      const behind = before === undefined ? undefined : await this.#placeOf(name, before);
      // The page behind a record that nobody knows.
      if (before !== undefined && behind === undefined) return [];
      const rows = await this.#rows(listing(this.#dialect, name, filter, behind));
      return rows.map(({ body }) => recordIn(body));
    });
  }

  async counts(log: string, range: ActivityRange): Promise<readonly ActivityCount[]> {
    const name = fittingKey(log);
    return this.#saying('counts', async () => {
      const rows = await this.#rows(counting(this.#dialect, name, range));
      const codes = await this.#longCodes(name, rows);
      return rows.map((row) => countIn(row, range, codes));
    });
  }

  async get(log: string, id: string): Promise<ActivityRecord | null> {
    return this.#saying('get', async () => {
      const [row] = await this.#rows(one(fittingKey(log), id));
      return row === undefined ? null : recordIn(row.body);
    });
  }

  async forget(log: string, contactId: string): Promise<number> {
    const name = fittingKey(log);
    return this.#saying('forget', () =>
      this.#transactions.run(async (database) => {
        // Else a write that has read the records already would bring them back.
        await lockLog(database, this.#dialect, name);
        return database(ACTIVITY)
          .where({ log: name, contact: fittingKey(contactId) })
          .delete();
      }),
    );
  }

  async #placeOf(log: string, id: string): Promise<Place | undefined> {
    const [row] = await this.#rows(one(log, id));
    return row === undefined ? placeOf(id) : { received: Number(row.received), id: fittingKey(id) };
  }

  /** Codes whose keys do not tell them whole. Ours are all short. */
  async #longCodes(log: string, counted: readonly Row[]): Promise<ReadonlyMap<string, string | null>> {
    const keys = new Set(counted.map(({ code }) => String(code)).filter((code) => !isWhole(code)));
    const codes = new Map<string, string | null>();
    for (const key of keys) {
      const [row] = await this.#rows(withCode(this.#dialect, log, key));
      if (row !== undefined) codes.set(key, recordIn(row.body).code);
    }
    return codes;
  }

  #rows({ sql, bindings }: Select): Promise<Row[]> {
    return this.#transactions.rows(sql, bindings);
  }

  /** Runs the work of a method; what a driver throws says which, and holds no SQL. */
  async #saying<Value>(method: string, work: () => PromiseLike<Value>): Promise<Value> {
    try {
      return await work();
    } catch (error) {
      throw inWords(error, `${method}() of the activity log`, 'the tables of the activity log');
    }
  }
}

function requireWhole(name: string, value: unknown, least: number): void {
  if (Number.isSafeInteger(value) && Number(value) >= least) return;
  throw new ConfigurationError(name, `must be a whole number from ${least} on, got ${String(value)}.`);
}
