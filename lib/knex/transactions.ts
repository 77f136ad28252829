// How the queue and the activity log work on the database: in short transactions that see what others have committed, are run again where the
// database asks for it, go by the database's clock, and are as durable as it can be where that is asked for.
import { setImmediate as turnOfOthers } from 'node:timers/promises';
import { beginWriting, isTransient, type DialectName } from './dialect';
import type { Database, Row } from './knex-like';
import { rowsOf } from './schema';

/** After so long a transaction that meets others again and again is given up. */
const PATIENCE_MS = 30_000;
/** At most so long it pauses before it tries again. A file that another process writes to is free only for moments. */
const MAX_PAUSE_MS = { sqlite: 10, postgres: 100, mysql: 100 };

/** `synchronous` of SQLite: from this value on a commit survives a power cut, also with a write-ahead log. */
const FULL = 2;

/** Milliseconds since 1970 by the clock of the database, which all processes share. SQLite has none of its own. */
const CLOCK = {
  postgres: 'floor(extract(epoch from clock_timestamp()) * 1000)::bigint',
  // Not unix_timestamp(now()): in the hour that comes twice a year it is ambiguous.
  mysql: "timestampdiff(microsecond, '1970-01-01', utc_timestamp(3)) div 1000",
};

/** Asks for it where the session does without. Nothing else is changed: the host may have chosen to wait for replicas. */
const WAIT_FOR_DISK =
  "case when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', true) end";

/** What is done in a transaction. It may be run more than once. `now` is read when it begins. */
export type Work<Value> = (database: Database, now: number) => PromiseLike<Value>;

/** Runs transactions and single statements of one who writes to `table`. */
export class Transactions {
  readonly #database: Database;
  readonly #dialect: DialectName;
  readonly #table: string;
  #journal: Promise<void> | undefined;

  constructor(database: Database, dialect: DialectName, table: string) {
    this.#database = database;
    this.#dialect = dialect;
    this.#table = table;
  }

  /** Runs a transaction. */
  run<Value>(work: Work<Value>): Promise<Value> {
    return this.#again(() => this.#transaction(work, false));
  }

  /** Runs a transaction that survives a power cut once it is resolved, where the database can do that. */
  runDurably<Value>(work: Work<Value>): Promise<Value> {
    return this.#again(() => this.#transaction(work, true));
  }

  /**
   * The same for PostgreSQL, for one statement by itself: a query with one row, whose `now` is the time. It has to be read, or
   * nobody waits for the disk.
   */
  durableMoment(): string {
    return `select ${CLOCK.postgres} as now, ${WAIT_FOR_DISK} as setting`;
  }

  /** Runs one statement by itself. */
  rows(sql: string, bindings: readonly unknown[]): Promise<Row[]> {
    return this.#again(() => rowsOf(this.#database, sql, bindings));
  }

  /** What is done once, before anything else: SQLite is asked for a write-ahead log. */
  async prepare(): Promise<void> {
    if (this.#dialect !== 'sqlite') return;
    this.#journal ??= this.#logAhead();
    await this.#journal;
  }

  /** SQL for the time now, and its values, for a statement by itself. A subquery: PostgreSQL reads the clock only once then. */
  clock(): { readonly sql: string; readonly bindings: readonly number[] } {
    if (this.#dialect === 'sqlite') return { sql: '?', bindings: [Date.now()] };
    return { sql: `(select ${CLOCK[this.#dialect]})`, bindings: [] };
  }

  async #again<Value>(attempt: () => Promise<Value>): Promise<Value> {
    const start = performance.now();
    // A driver that works without waiting would never let anything else of the process have its turn.
    if (this.#dialect === 'sqlite') await turnOfOthers();
    for (let pause = 5; ; pause = Math.min(pause * 2, MAX_PAUSE_MS[this.#dialect])) {
      try {
        return await attempt();
      } catch (error) {
        if (!isTransient(error) || performance.now() - start > PATIENCE_MS) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * pause));
      }
    }
  }

  async #transaction<Value>(work: Work<Value>, isDurable: boolean): Promise<Value> {
    if (this.#dialect === 'sqlite') return this.#onSqlite(work, isDurable);
    const sql =
      isDurable && this.#dialect === 'postgres'
        ? this.durableMoment()
        : `select ${CLOCK[this.#dialect]} as now`;
    const failures: unknown[] = [];
    try {
      return await this.#database.transaction(
        noting(failures, async (database) => {
          const [row] = await rowsOf(database, sql, []);
          return await work(database, Number(row?.now));
        }),
        { isolationLevel: 'read committed' },
      );
    } catch (failure) {
      throw firstOf(failures, failure);
    }
  }

  /** On a connection that is held from before the transaction until after it: settings of SQLite are its own. */
  async #onSqlite<Value>(work: Work<Value>, isDurable: boolean): Promise<Value> {
    await this.prepare();
    const { client } = this.#database;
    const connection = await client.acquireConnection();
    const failures: unknown[] = [];
    let putBack: string[] = [];
    try {
      putBack = await this.#changeSettings(connection, isDurable);
      return await this.#database.transaction(
        noting(failures, async (database) => {
          await beginWriting(database, this.#dialect, this.#table);
          return await work(database, Date.now());
        }),
        { connection },
      );
    } catch (failure) {
      // A commit that met a reader leaves its transaction open.
      if (failures.length === 0) await this.#on(connection, 'rollback').catch(() => undefined);
      throw firstOf(failures, failure);
    } finally {
      for (const sql of putBack) await this.#on(connection, sql).catch(() => undefined);
      await client.releaseConnection(connection);
    }
  }

  /**
   * Changes what such a transaction needs otherwise; gives the statements that put it back. SQLite waits for a file that
   * is in use with the whole process, and looks again so seldom that a busy one is never free: so we wait, not SQLite.
   */
  async #changeSettings(connection: object, isDurable: boolean): Promise<string[]> {
    const [row] = await this.#on(
      connection,
      'select synchronous as sync, timeout as patience from pragma_synchronous, pragma_busy_timeout',
    );
    const putBack = [`pragma busy_timeout = ${Number(row?.patience)}`];
    await this.#on(connection, 'pragma busy_timeout = 0');
    if (isDurable && Number(row?.sync) < FULL) {
      putBack.push(`pragma synchronous = ${Number(row?.sync)}`);
      await this.#on(connection, `pragma synchronous = ${FULL}`);
    }
    return putBack;
  }

  async #on(connection: object, sql: string): Promise<Row[]> {
    return rowsOf(this.#database, sql, [], connection);
  }

  /**
   * With a write-ahead log readers do not keep writers waiting. Where there can be none (in memory, on a network drive), or
   * another process is just using the file, it works without, and `check` says so.
   */
  async #logAhead(): Promise<void> {
    try {
      const [row] = await rowsOf(this.#database, 'pragma journal_mode', []);
      const mode = Object.values(row ?? {})[0];
      if (['delete', 'truncate', 'persist'].includes(String(mode))) {
        await rowsOf(this.#database, 'pragma journal_mode = wal', []);
      }
    } catch {
      // What keeps the database from being had is told by the transaction that follows.
    }
  }
}

/** The work of a transaction, with what it threw written down: Knex tells something else where it cannot roll back. */
function noting<Value>(
  failures: unknown[],
  work: (database: Database) => Promise<Value>,
): (database: Database) => Promise<Value> {
  return async (database) => {
    try {
      return await work(database);
    } catch (error) {
      failures.push(error);
      throw error;
    }
  };
}

/** Why a transaction failed. One that could not begin fails its first statement too, with words about that alone. */
function firstOf(failures: readonly unknown[], failure: unknown): unknown {
  const [first = failure] = failures;
  return first instanceof Error && first.message.includes('already complete') ? failure : first;
}
