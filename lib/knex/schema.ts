// What a database says about its tables: columns and unique indexes, in one shape for all of them.
import type { DialectName } from './dialect';
import type { Database, Row } from './knex-like';

/** A column of a table. */
export interface Column {
  readonly name: string;
  readonly isNullable: boolean;
  /** Whether a row can leave it out although it is not nullable: a default, a sequence, a computed column. */
  readonly hasDefault: boolean;
  /** How many characters fit, where that is limited. */
  readonly maxLength: number | undefined;
}

/** A unique index. */
export interface UniqueIndex {
  readonly name: string;
  /** `undefined` stands for an expression. */
  readonly columns: readonly (string | undefined)[];
  /** Whether it covers only some of the rows. */
  readonly isPartial: boolean;
}

/** The columns of a table by name; empty where there is no such table. */
export async function columnsOf(
  database: Database,
  dialect: DialectName,
  table: string,
): Promise<ReadonlyMap<string, Column>> {
  const rows = await COLUMNS[dialect](database, table);
  const columns = rows.map((column) => [column.name, column] as const);
  return dialect === 'postgres' ? new Map(columns) : new AnyCase(columns);
}

/** SQLite, MySQL and MariaDB know a column whatever the case of its name. */
class AnyCase<Value> extends Map<string, Value> {
  readonly #names = new Map<string, string>();

  constructor(entries: readonly (readonly [string, Value])[]) {
    super(entries);
    for (const [name] of entries) this.#names.set(name.toLowerCase(), name);
  }

  override has(name: string): boolean {
    return this.#names.has(name.toLowerCase());
  }

  override get(name: string): Value | undefined {
    const known = this.#names.get(name.toLowerCase());
    return known === undefined ? undefined : super.get(known);
  }
}

/** What keeps a table, where a database has several such things. */
export async function engineOf(
  database: Database,
  dialect: DialectName,
  table: string,
): Promise<string | undefined> {
  if (dialect !== 'mysql') return undefined;
  const { schema, name } = split(table);
  const [row] = await rowsOf(
    database,
    'select engine as engine from information_schema.tables where table_schema = coalesce(?, database()) and table_name = ?',
    [schema, name],
  );
  return typeof row?.engine === 'string' ? row.engine : undefined;
}

/** Whether a table has a column, also one that `select *` does not show. */
export async function hasColumn(
  database: Database,
  dialect: DialectName,
  table: string,
  column: string,
): Promise<boolean> {
  return (await columnsOf(database, dialect, table)).has(column);
}

type Reader<Value> = (database: Database, table: string) => Promise<Value[]>;

const COLUMNS: Readonly<Record<DialectName, Reader<Column>>> = {
  sqlite: async (database, table) => {
    const rows = await rowsOf(
      database,
      'select name, "notnull" as required, dflt_value as given, hidden, pk from pragma_table_xinfo(?)',
      [table],
    );
    return rows.map((row) => ({
      name: String(row.name),
      isNullable: Number(row.required) === 0,
      // A primary key that is an integer numbers itself.
      hasDefault: row.given !== null || Number(row.hidden) !== 0 || Number(row.pk) !== 0,
      maxLength: undefined,
    }));
  },
  postgres: async (database, table) => {
    const rows = await rowsOf(
      database,
      `select attname as name, attnotnull, atthasdef, attidentity, attgenerated, atttypmod,
         atttypid in ('varchar'::regtype, 'bpchar'::regtype) as limited
       from pg_attribute where attrelid = to_regclass(?) and attnum > 0 and not attisdropped`,
      [quoted(table)],
    );
    return rows.map((row) => ({
      name: String(row.name),
      isNullable: row.attnotnull === false,
      hasDefault: row.atthasdef === true || row.attidentity !== '' || row.attgenerated !== '',
      maxLength: row.limited === true && Number(row.atttypmod) > 4 ? Number(row.atttypmod) - 4 : undefined,
    }));
  },
  mysql: async (database, table) => {
    const { schema, name } = split(table);
    const rows = await rowsOf(
      database,
      `select column_name as name, is_nullable as nullable, column_default as given, extra, character_maximum_length as length
       from information_schema.columns where table_schema = coalesce(?, database()) and table_name = ?`,
      [schema, name],
    );
    return rows.map((row) => ({
      name: String(row.name),
      isNullable: row.nullable === 'YES',
      hasDefault: row.given !== null || /auto_increment|generated/i.test(String(row.extra)),
      maxLength: row.length === null ? undefined : Number(row.length),
    }));
  },
};

/** The unique indexes of a table, its primary key included. */
export async function uniqueIndexesOf(
  database: Database,
  dialect: DialectName,
  table: string,
): Promise<readonly UniqueIndex[]> {
  return UNIQUE_INDEXES[dialect](database, table);
}

const UNIQUE_INDEXES: Readonly<Record<DialectName, Reader<UniqueIndex>>> = {
  sqlite: async (database, table) =>
    gathered(
      await rowsOf(
        database,
        `select list.name as name, list.partial as partial, info.name as part
         from pragma_index_list(?) as list, pragma_index_info(list.name) as info
         where list."unique" = 1 order by list.name, info.seqno`,
        [table],
      ),
    ),
  postgres: async (database, table) =>
    gathered(
      await rowsOf(
        database,
        `select relname as name, indpred is not null as partial, attname as part
         from pg_index join pg_class on pg_class.oid = indexrelid
           cross join lateral unnest(indkey::int2[]) with ordinality as key (number, place)
           left join pg_attribute on attrelid = indrelid and attnum = key.number and attnum > 0
         where indrelid = to_regclass(?) and indisunique and indisvalid and place <= indnkeyatts
         order by relname, place`,
        [quoted(table)],
      ),
    ),
  mysql: async (database, table) => {
    const { schema, name } = split(table);
    return gathered(
      await rowsOf(
        database,
        `select index_name as name, 0 as partial, column_name as part
         from information_schema.statistics
         where table_schema = coalesce(?, database()) and table_name = ? and non_unique = 0
         order by index_name, seq_in_index`,
        [schema, name],
      ),
    );
  },
};

/** One index out of its rows, one a column. */
function gathered(rows: readonly Row[]): UniqueIndex[] {
  const indexes = new Map<string, { columns: (string | undefined)[]; isPartial: boolean }>();
  for (const row of rows) {
    const name = String(row.name);
    const index = indexes.get(name) ?? { columns: [], isPartial: row.partial === true || row.partial === 1 };
    index.columns.push(typeof row.part === 'string' ? row.part : undefined);
    indexes.set(name, index);
  }
  return [...indexes].map(([name, index]) => ({ name, ...index }));
}

/**
 * What `raw` gives, as rows: each driver wraps them in its own way. The names in the queries are single words in small letters,
 * so that a host's Knex that renames columns on their way (`wrapIdentifier`, `postProcessResponse`) leaves them as they are.
 */
export async function rowsOf(
  database: Database,
  sql: string,
  bindings: readonly unknown[],
  connection?: object,
): Promise<Row[]> {
  const query = database.raw(sql, bindings);
  const result = await (connection === undefined ? query : query.connection(connection));
  if (Array.isArray(result)) return (Array.isArray(result[0]) ? result[0] : result) as Row[];
  return (result as { rows?: Row[] }).rows ?? [];
}

function split(table: string): { schema: string | null; name: string } {
  const dot = table.lastIndexOf('.');
  return dot === -1
    ? { schema: null, name: table }
    : { schema: table.slice(0, dot), name: table.slice(dot + 1) };
}

/** A table's name as PostgreSQL reads it in `to_regclass`. */
function quoted(table: string): string {
  return table
    .split('.')
    .map((name) => `"${name.replaceAll('"', '""')}"`)
    .join('.');
}
