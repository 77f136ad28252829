// What a users table lacks for its work: in words, and as the SQL that adds it. The one source for check() and prepareTable().
import type { RepositoryFinding } from '../../users/repository';
import { comparisonKeySql, type DialectName } from '../dialect';
import type { Database } from '../knex-like';
import { columnsOf, engineOf, uniqueIndexesOf, type Column, type UniqueIndex } from '../schema';
import { indexName, keyColumn, type Unique } from './keys';
import type { Mapping } from './mapping';
import type { TableNeed } from './memberships';

/** Something that is missing. */
export interface Missing {
  readonly severity: RepositoryFinding['severity'];
  readonly message: string;
  /** What adds it; empty where only a person can. */
  readonly sql: readonly string[];
  /** Where it is a unique index: over which column's key, for telling which rows stand in its way. */
  readonly uniqueOver?: string;
}

/** A bcrypt hash. */
const HASH_LENGTH = 60;
const STATE_LENGTH = 255;

/** Looks at the users table and at the further tables that the mapping needs. Empty: nothing is missing. */
export async function findMissing(
  database: Database,
  dialect: DialectName,
  mapping: Mapping,
  needs: readonly TableNeed[],
): Promise<Missing[]> {
  const { table } = mapping;
  const columns = await columnsOf(database, dialect, table);
  if (columns.size === 0) {
    const what = mapping.isOwn
      ? 'Call migrate(knex), which makes it, or give the name of the table that you have as options.table.'
      : 'options.table has to name the table with the users.';
    return [needsPerson(`There is no table ${table}. ${what}`)];
  }
  const indexes = await uniqueIndexesOf(database, dialect, table);
  const of = new Describer(database, dialect, mapping);
  return [
    ...hostColumns(mapping, columns),
    ...of.addableColumns(columns),
    ...tooShort(mapping, columns),
    ...of.uniqueIndexes(columns, indexes),
    ...unfilled(mapping, columns),
    ...(await furtherTables(database, dialect, needs)),
    ...(await withoutTransactions(database, dialect, mapping)),
  ];
}

const needsPerson = (message: string): Missing => ({ severity: 'error', message, sql: [] });

/** Columns that only the host can have: what they hold is known to nobody else. */
function hostColumns(mapping: Mapping, columns: ReadonlyMap<string, Column>): Missing[] {
  const { id, email, username, passwordHash, emailVerified } = mapping.columns;
  const wanted: [option: string, column: string | null | undefined][] = [
    ['columns.id', id],
    ['columns.email', email],
    ['columns.username', username],
    ['columns.passwordHash', passwordHash],
    ['columns.emailVerified', emailVerified],
    ['softDelete', mapping.softDelete?.column],
    ['role.column', 'column' in mapping.role && 'table' in mapping.role ? mapping.role.column : undefined],
    ...[...mapping.meta.columns].map(([key, { column }]): [string, string] => [
      `meta.columns.${key}`,
      column,
    ]),
    ...Object.keys(mapping.scope).map((column): [string, string] => ['scope', column]),
  ];
  return wanted
    .filter(([, column]) => typeof column === 'string' && !columns.has(column))
    .map(([option, column]) => {
      const usernames = option === 'columns.username' ? ' A site without usernames says null there.' : '';
      return needsPerson(
        `The table ${mapping.table} has no column ${String(column)}: let ${option} name the one it has.${usernames}`,
      );
    });
}

/** Columns that cannot hold what they must. */
function tooShort({ table, columns: names }: Mapping, columns: ReadonlyMap<string, Column>): Missing[] {
  const wanted: [string, number, string][] = [
    [names.syncState, STATE_LENGTH, 'sync state'],
    [names.passwordHash, HASH_LENGTH, 'bcrypt hash'],
  ];
  return wanted.flatMap(([column, length, what]) => {
    const { maxLength } = columns.get(column) ?? {};
    if (maxLength === undefined || maxLength >= length) return [];
    return [
      needsPerson(
        `The column ${table}.${column} takes ${maxLength} characters; a ${what} has up to ${length}. Make it longer.`,
      ),
    ];
  });
}

/** Columns of the users table that a new user has no value for. */
function unfilled(mapping: Mapping, columns: ReadonlyMap<string, Column>): Missing[] {
  const { table, extraColumns, columns: names, role, tags, meta, newId } = mapping;
  if (extraColumns === undefined) return [];
  const filled = new Set<string | null | undefined>([
    ...extraColumns,
    ...Object.values(names).filter((name) => name !== names.emailVerified && name !== names.id),
    ...('column' in role ? [role.column] : []),
    ...('column' in tags ? [tags.column] : []),
    ...(newId === undefined ? [] : [names.id]),
    ...(meta.json === undefined ? [] : [meta.json]),
    ...[...meta.columns.values()].filter(({ empty }) => empty !== undefined).map(({ column }) => column),
  ]);
  return unfilledColumns(columns, filled).map(({ name }) => {
    const isNeeded = `The column ${table}.${name} is NOT NULL and has no default: a new user needs a value for it;`;
    const [key] = [...meta.columns].find(([, { column }]) => column === name) ?? [];
    if (key !== undefined) {
      const message = `${isNeeded} give meta.columns.${key}.empty, or contacts without one cannot become users.`;
      return { severity: 'warning', message, sql: [] };
    }
    const where = name === names.id ? "options.ids ('uuid', or a function)" : `extraValues.onCreate.${name}`;
    return needsPerson(`${isNeeded} give ${where}.`);
  });
}

async function furtherTables(
  database: Database,
  dialect: DialectName,
  needs: readonly TableNeed[],
): Promise<Missing[]> {
  const missing: Missing[] = [];
  for (const { table, columns: wanted, filled, fillBy } of needs) {
    const columns = await columnsOf(database, dialect, table);
    if (columns.size === 0) {
      missing.push(needsPerson(`There is no table ${table}, which the options name.`));
      continue;
    }
    for (const column of wanted.filter((name) => !columns.has(name))) {
      missing.push(needsPerson(`The table ${table} has no column ${column}, which the options name.`));
    }
    for (const { name } of filled === undefined ? [] : unfilledColumns(columns, new Set(filled))) {
      missing.push(
        needsPerson(
          `The column ${table}.${name} is NOT NULL and has no default: a new row needs a value for it; give ${fillBy}.`,
        ),
      );
    }
  }
  return missing;
}

/** A table whose writes cannot be undone: MyISAM. */
async function withoutTransactions(
  database: Database,
  dialect: DialectName,
  { table }: Mapping,
): Promise<Missing[]> {
  const engine = await engineOf(database, dialect, table);
  if (engine === undefined || engine.toLowerCase() === 'innodb') return [];
  return [
    needsPerson(
      `The table ${table} is kept by ${engine}, which knows no transactions: a write that fails half-way stays half done. ` +
        `alter table … engine = InnoDB makes it one that does.`,
    ),
  ];
}

/** Columns that every row must have a value in, and that nobody gives one to. */
function unfilledColumns(
  columns: ReadonlyMap<string, Column>,
  filled: ReadonlySet<string | null | undefined>,
): Column[] {
  return [...columns.values()].filter(
    ({ name, isNullable, hasDefault }) => !isNullable && !hasDefault && !filled.has(name),
  );
}

/** Words and SQL for what can be added. */
class Describer {
  constructor(
    private readonly database: Database,
    private readonly dialect: DialectName,
    private readonly mapping: Mapping,
  ) {}

  addableColumns(columns: ReadonlyMap<string, Column>): Missing[] {
    const { columns: names, role, tags, meta } = this.mapping;
    const json = { sqlite: 'text', postgres: 'jsonb', mysql: 'json' }[this.dialect];
    const text = (length: number): string =>
      this.dialect === 'mysql'
        ? `varchar(${length}) character set utf8mb4 collate utf8mb4_bin`
        : `varchar(${length})`;
    const wanted: [column: string, type: string, what: string][] = [
      [names.contactId, text(64), 'the CRM contact of a user'],
      [names.syncState, text(STATE_LENGTH), 'which write was the last, and what is owed'],
    ];
    if ('column' in role && !('table' in role) && role.values === undefined) {
      wanted.push([role.column, text(100), 'the role']);
    }
    if ('column' in tags) {
      const type = tags.type === 'array' ? 'text[]' : json;
      wanted.push([tags.column, type, 'the tags']);
    }
    if (meta.json !== undefined) wanted.push([meta.json, json, 'mapped fields']);
    return wanted
      .filter(([column]) => !columns.has(column))
      .map(([column, type, what]) => ({
        severity: 'error',
        message: `The table ${this.mapping.table} has no column ${column} (${what}).`,
        sql: [this.#sql(`alter table ?? add column ?? ${type}`, this.mapping.table, column)],
      }));
  }

  uniqueIndexes(columns: ReadonlyMap<string, Column>, indexes: readonly UniqueIndex[]): Missing[] {
    const { columns: names, softDelete, table } = this.mapping;
    const missing: Missing[] = [];

    const contact = indexName(this.mapping, 'contact');
    // Our own one, by its name; or one that was there before, over the column alone.
    if (!this.#has(indexes, contact, softDelete === undefined ? names.contactId : undefined)) {
      missing.push({
        severity: 'error',
        message: `The column ${table}.${names.contactId} has no unique index: two webhooks at once could make two users of one contact.`,
        sql: this.#uniqueSql(columns, contact, 'contact', names.contactId, '??'),
        uniqueOver: names.contactId,
      });
    }
    const keys = [
      ['email', names.email],
      ['username', names.username],
    ] as const;
    for (const [what, column] of keys) {
      const name = indexName(this.mapping, what);
      if (column === null || !columns.has(column) || this.#has(indexes, name, undefined)) continue;
      missing.push({
        severity: 'warning',
        message:
          `The column ${table}.${column} has no unique index over its trimmed form in ASCII lower case: two webhooks at once ` +
          `could make two users whose ${what}s differ in case only, and every look-up reads the whole table.`,
        sql: this.#uniqueSql(columns, name, what, column, comparisonKeySql(this.dialect)),
        uniqueOver: column,
      });
    }
    return missing;
  }

  #has(indexes: readonly UniqueIndex[], name: string, column: string | undefined): boolean {
    const covered = [column, ...Object.keys(this.mapping.scope)];
    return indexes.some(
      (index) =>
        index.name === name ||
        (column !== undefined &&
          !index.isPartial &&
          index.columns.length === covered.length &&
          covered.every((one) => index.columns.includes(one))),
    );
  }

  /** A unique index over a key of a column, among the rows that are users. */
  #uniqueSql(
    columns: ReadonlyMap<string, Column>,
    name: string,
    what: Unique,
    column: string,
    keySql: string,
  ): string[] {
    const { table, scope, softDelete } = this.mapping;
    const scoped = Object.keys(scope);
    const alive = softDelete === undefined ? undefined : this.#condition(softDelete.column, softDelete.alive);
    if (this.dialect !== 'mysql') {
      const places = [...scoped.map(() => '??'), keySql === '??' ? '??' : `(${keySql})`].join(', ');
      const where = alive === undefined ? '' : ` where ${alive}`;
      return [
        `${this.#sql(`create unique index ?? on ?? (${places})`, name, table, ...scoped, column)}${where}`,
      ];
    }
    if (keySql === '??' && alive === undefined) {
      const places = ['??', ...scoped.map(() => '??')].join(', ');
      return [this.#sql(`create unique index ?? on ?? (${places})`, name, table, column, ...scoped)];
    }
    const computed = keyColumn(this.mapping, what);
    const key = keySql === '??' ? 'convert(?? using utf8mb4) collate utf8mb4_bin' : keySql;
    const value = alive === undefined ? key : `if(${alive}, ${key}, null)`;
    const places = ['??', ...scoped.map(() => '??')].join(', ');
    return [
      ...(columns.has(computed)
        ? []
        : [
            this.#sql(
              `alter table ?? add column ?? varchar(255) character set utf8mb4 collate utf8mb4_bin generated always as (${value}) virtual invisible`,
              table,
              computed,
              column,
            ),
          ]),
      this.#sql(`create unique index ?? on ?? (${places})`, name, table, computed, ...scoped),
      // Look-ups are by the contact id itself.
      ...(what === 'contact' ? [this.#sql('create index ?? on ?? (??)', `${name}_find`, table, column)] : []),
    ];
  }

  #condition(column: string, value: string | number | boolean | null): string {
    if (value === null) return this.#sql('?? is null', column);
    return this.database.raw('?? = ?', [column, value]).toString();
  }

  #sql(sql: string, ...names: string[]): string {
    return this.database.raw(sql, names).toString();
  }
}
