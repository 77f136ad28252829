// One process at a time changes the schema, whichever of several starts first.
import { isTransient, type DialectName } from './dialect';
import type { Database } from './knex-like';

/** The key of PostgreSQL's advisory lock: "wpf" and a number, for whoever looks into pg_locks. */
const POSTGRES_LOCK = 0x77706601;
const MYSQL_LOCK = "concat('wpf_schema_', sha1(database()))";
const MYSQL_PATIENCE_SECONDS = 600;

/**
 * Runs `work` on one connection while no other process is in here. PostgreSQL and SQLite change the schema within one
 * transaction, all or nothing; MySQL and MariaDB commit every statement by itself.
 */
export async function withSchemaLock(
  database: Database,
  dialect: DialectName,
  work: (database: Database) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await LOCKS[dialect](database, work);
      return;
    } catch (error) {
      if (!isTransient(error) || database.isTransaction === true || attempt === 10) throw error;
    }
  }
}

type Lock = (database: Database, work: (database: Database) => Promise<void>) => Promise<void>;

const LOCKS: Readonly<Record<DialectName, Lock>> = {
  postgres: (database, work) =>
    database.transaction(
      async (transaction) => {
        await transaction.raw('select pg_advisory_xact_lock(?)', [POSTGRES_LOCK]);
        await work(transaction);
      },
      // Whoever had to wait has to see what was made meanwhile, whatever the session's own level is.
      database.isTransaction === true ? {} : { isolationLevel: 'read committed' },
    ),
  sqlite: (database, work) =>
    database.transaction(async (transaction) => {
      // Any change of the schema takes the file's write lock; it has to be the first thing, or waiting is not possible.
      await transaction.raw('create table wpf_schema_lock (id integer)');
      await transaction.raw('drop table wpf_schema_lock');
      await work(transaction);
    }),
  mysql: async (database, work) => {
    const locked = async (connection: Database): Promise<void> => {
      const [rows] = (await connection.raw(`select get_lock(${MYSQL_LOCK}, ?) as mine`, [
        MYSQL_PATIENCE_SECONDS,
      ])) as [{ mine: unknown }[]];
      if (Number(rows[0]?.mine) !== 1)
        throw new Error('Another process has been changing the schema for ten minutes.');
      try {
        await work(connection);
      } finally {
        await connection.raw(`do release_lock(${MYSQL_LOCK})`);
      }
    };
    // A transaction only to stay on one connection, whose lock it is. Within the host's one there must be no savepoint: every
    // change of the schema ends the transaction, and the savepoint would be gone.
    if (database.isTransaction === true) await locked(database);
    else await database.transaction(locked);
  },
};
