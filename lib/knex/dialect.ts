// Where SQLite, PostgreSQL and MySQL/MariaDB differ: how text is compared by our rule, how a row is locked, what an error means.
import { codeOf, ConfigurationError } from '../errors';
import type { Database, KnexLike, Query, Raw } from './knex-like';

export type DialectName = 'sqlite' | 'postgres' | 'mysql';

/** How errors of one driver are told apart. */
type ErrorOfDriver = Partial<
  Record<'code' | 'errno' | 'message' | 'sqlMessage' | 'constraint' | 'detail', unknown>
>;

const NAMES: Readonly<Record<string, DialectName>> = {
  sqlite3: 'sqlite',
  postgresql: 'postgres',
  mysql: 'mysql',
};

/** The database behind a Knex instance. Throws {@link ConfigurationError} for one that is not supported, or is no Knex. */
export function dialectOf(knex: KnexLike): DialectName {
  const client = typeof knex === 'function' ? (knex.client as { dialect?: unknown } | undefined) : undefined;
  if (client === undefined) {
    throw new ConfigurationError(
      'knex',
      'must be a Knex instance, or a transaction of one: knex({ client, connection }).',
    );
  }
  const name = NAMES[String(client.dialect)];
  if (name === undefined) {
    throw new ConfigurationError(
      'knex',
      `speaks ${JSON.stringify(client.dialect)}; supported are PostgreSQL, MySQL, MariaDB and SQLite.`,
    );
  }
  return name;
}

/**
 * SQL for the key by which emails and usernames are compared: without spaces around, in ASCII lower case, nothing else folded.
 * NULL for an empty one: old tables have many rows without a username or an email, and those are no duplicates.
 * The same text stands in the unique index, so that the index serves the look-up.
 */
export function comparisonKeySql(dialect: DialectName): string {
  switch (dialect) {
    case 'sqlite':
      return "nullif(lower(trim(??)), '')";
    case 'postgres':
      // The C collation knows the letters of ASCII alone.
      return `nullif(lower(btrim(??::text) collate "C"), '')`;
    case 'mysql': {
      // lower() folds far more than ASCII here, whatever the collation; replace() over a binary collation is exact.
      const letters = Array.from({ length: 26 }, (_, index) => String.fromCharCode(65 + index));
      const key = letters.reduce(
        (sql, letter) => `replace(${sql}, _utf8mb4'${letter}', _utf8mb4'${letter.toLowerCase()}')`,
        'convert(trim(??) using utf8mb4) collate utf8mb4_bin',
      );
      return `nullif(${key}, _utf8mb4'')`;
    }
  }
}

/** A column as text: numbers beyond 2^53 and native uuids arrive whole. */
export function asText(database: Database, dialect: DialectName, column: string, alias: string): Raw {
  const type = { sqlite: 'text', postgres: 'text', mysql: 'char' }[dialect];
  return database.raw(`cast(?? as ${type}) as ??`, [column, alias]);
}

/** How long a transaction that has done nothing yet looks whether a SQLite file is free: so long others wait for its connection. */
const TURN_MS = 20;

/**
 * Takes the right to write at the start of a transaction: SQLite gives up, rather than waits, where a reader becomes a writer.
 * Mostly another process has the file for a millisecond, and asking again costs a tenth of beginning again.
 */
export async function beginWriting(database: Database, dialect: DialectName, table: string): Promise<void> {
  if (dialect !== 'sqlite') return;
  const start = performance.now();
  for (;;) {
    try {
      await database.raw('delete from ?? where 1 = 0', [table]);
      return;
    } catch (error) {
      if (!isTransient(error) || performance.now() - start > TURN_MS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 3));
    }
  }
}

/** Reads what others have committed, also in a transaction that sees an older state of the table. */
export function seeingLatest(query: Query, dialect: DialectName): Query {
  return dialect === 'mysql' ? query.forShare() : query;
}

/** Whether a unique index refused the row. */
export function isUniqueViolation(error: unknown): boolean {
  const { code, errno, message } = fieldsOf(error);
  return (
    code === '23505' ||
    errno === 1062 ||
    (typeof code === 'string' &&
      code.startsWith('SQLITE_CONSTRAINT') &&
      /unique constraint failed|is not unique/i.test(String(message)))
  );
}

/** Whether the same transaction may succeed when it is run again: a deadlock, a serialisation failure, a lock not had in time. */
export function isTransient(error: unknown): boolean {
  const { code, errno } = fieldsOf(error);
  return (
    ['40001', '40P01', '55P03'].includes(String(code)) ||
    [1213, 1205, 1020].includes(Number(errno)) ||
    /^SQLITE_(BUSY|LOCKED)/.test(String(code))
  );
}

/** Whether a table is not there. */
function isMissingTable(error: unknown): boolean {
  const { code, errno, message } = fieldsOf(error);
  return code === '42P01' || errno === 1146 || String(message).includes('no such table: ');
}

/** What makes a query go along an index: SQLite and MySQL guess, and may guess wrong. PostgreSQL knows the values, and has no word for it. */
export function along(dialect: DialectName, index: string): string {
  return { sqlite: `indexed by ${index}`, postgres: '', mysql: `force index (${index})` }[dialect];
}

/** Whether PostgreSQL could not read the text as the column's type: no row has such an id. */
export function isUnreadableValue(error: unknown): boolean {
  return ['22P02', '22003'].includes(String(fieldsOf(error).code));
}

/**
 * A driver's error without the SQL that Knex puts before it: that holds the values, and with them the password hash.
 * The code stays, for whoever reads the log.
 */
export function withoutSql(error: unknown): Error {
  const { code, errno, message, sqlMessage } = fieldsOf(error);
  const own = typeof sqlMessage === 'string' ? sqlMessage : String(message);
  const cleaned = new Error(
    typeof sqlMessage === 'string' || !own.includes(' - ') ? own : own.slice(own.lastIndexOf(' - ') + 3),
  );
  cleaned.name = 'DatabaseError';
  return Object.assign(cleaned, code === undefined ? {} : { code }, errno === undefined ? {} : { errno });
}

/**
 * What a method throws in the end: which one it was, and where a table is missing what to do. Errors of ours stay as they are.
 * `tables` are those that migrate() makes.
 */
export function inWords(error: unknown, method: string, tables: string): unknown {
  if (codeOf(error) !== undefined) return error;
  const cleaned = withoutSql(error);
  const words = cleaned.message === '' ? String(fieldsOf(error).code) : cleaned.message;
  const remedy = isMissingTable(error) ? `. Call migrate(knex), which makes ${tables}.` : '';
  cleaned.message = `${method}: ${words}${remedy}`;
  return cleaned;
}

/** What a unique violation says of the index: its name and, where the database tells, its columns. Not the values. */
export function violatedIndex(error: unknown): string {
  const { constraint, detail, message } = fieldsOf(error);
  const [, columns = ''] = /^Key \((.*)\)=\(/.exec(String(detail)) ?? [];
  const [, key = ''] = /for key '([^']*)'/.exec(String(message)) ?? [];
  const [, failed = ''] = /unique constraint failed: (.*)$/i.exec(String(message)) ?? [];
  return [typeof constraint === 'string' ? constraint : '', columns, key, failed].join(' ');
}

function fieldsOf(error: unknown): ErrorOfDriver {
  return typeof error === 'object' && error !== null ? error : {};
}
