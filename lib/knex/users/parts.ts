// The three parts of a user that sites store in different ways: tags, role and meta. Each knows which columns of the users
// table it reads, what it writes there, and what it writes elsewhere.
import type { MetaValue } from '../../crm/client';
import { storable } from '../../users/normalize';
import type { DialectName } from '../dialect';
import type { Database, Row } from '../knex-like';
import { isoOf, isYes, parseJsonColumn, textOf, toJson, withoutBit } from './values';
import type {
  Mapping,
  MetaColumn,
  RoleColumn,
  RoleMemberships,
  RoleReference,
  TagColumn,
  TagMemberships,
} from './mapping';
import { TableError } from '../table-error';
import { Memberships, type TableNeed } from './memberships';

/** Columns to read: as the driver gives them, or as the database's own text of them. */
type Columns = ReadonlyMap<string, 'value' | 'text'>;

/** Where a part of a user stands. */
export interface Part<Value> {
  /** The columns of the users table that it is read from. */
  readonly columns: Columns;
  /** Further tables that it needs. */
  readonly needs: readonly TableNeed[];
  /** `latest`: also what this transaction cannot see otherwise, for what has just been written. */
  read(database: Database, userId: string, row: Row, latest?: 'latest'): Promise<Value>;
  /** What goes into the users table. */
  toRow(database: Database, value: Value): Promise<Row>;
  /** What goes elsewhere, when the row stands and is locked. */
  write?(database: Database, userId: string, value: Value): Promise<void>;
}

const NO_COLUMNS: Columns = new Map();

/** The tags of a user. */
export function tagsPart(dialect: DialectName, tags: Mapping['tags']): Part<readonly string[]> {
  return 'through' in tags ? joinedTags(dialect, tags) : tagsColumn(tags);
}

function tagsColumn({ column, type }: TagColumn): Part<readonly string[]> {
  return {
    // As text: a driver that parses JSON leaves open whether a text is one in JSON.
    columns: new Map([[column, type === 'array' ? 'value' : 'text']]),
    needs: [],
    // Nothing is awaited: a column is at hand.
    // eslint-disable-next-line @typescript-eslint/require-await
    read: async (_database, _userId, row) => {
      const tags = type === 'array' ? (row[column] ?? []) : (parseJsonColumn(row[column], column) ?? []);
      if (Array.isArray(tags)) return tags.map(String);
      throw new TableError(`The column ${column} of a user holds no list of tags.`);
    },
    // eslint-disable-next-line @typescript-eslint/require-await
    toRow: async (_database, tags) => ({ [column]: type === 'array' ? tags.map(storable) : toJson(tags) }),
  };
}

function joinedTags(dialect: DialectName, tags: TagMemberships): Part<readonly string[]> {
  const memberships = new Memberships(dialect, tags);
  const newTag = tags.newTag ?? ((): Row => ({}));
  return {
    columns: NO_COLUMNS,
    needs: memberships.needs(tags.newTag !== undefined),
    read: (database, userId, _row, latest) => memberships.namesOf(database, userId, latest),
    toRow: () => Promise.resolve({}),
    write: async (database, userId, wanted) => {
      const names = [...new Set(wanted.map(storable))];
      const present = await memberships.namesOf(database, userId, 'latest');
      await memberships.remove(
        database,
        userId,
        present.filter((name) => !names.includes(name)),
      );
      await memberships.add(
        database,
        userId,
        names.filter((name) => !present.includes(name)),
        newTag,
      );
    },
  };
}

/** The role of a user. */
export function rolePart(dialect: DialectName, role: Mapping['role']): Part<string> {
  if ('through' in role) return joinedRole(dialect, role);
  return 'table' in role ? referencedRole(role) : roleColumn(role);
}

function roleColumn({ column, values, ifNone = '' }: RoleColumn): Part<string> {
  // Databases give a code back as 1, '1', true or a byte.
  const codeOf = (given: unknown): string => {
    const value = withoutBit(given);
    return typeof value === 'boolean' ? `${Number(value)}` : textOf(value);
  };
  const roles =
    values === undefined
      ? undefined
      : new Map(Object.entries(values).map(([role, value]) => [codeOf(value), role]));
  return {
    columns: new Map([[column, 'value']]),
    needs: [],
    // eslint-disable-next-line @typescript-eslint/require-await
    read: async (_database, _userId, row) => {
      const value = row[column];
      if (value === null || value === undefined) return ifNone;
      // A code without a role is told as it is: no webhook may assign it, so its user is protected.
      return roles?.get(codeOf(value)) ?? codeOf(value);
    },
    // eslint-disable-next-line @typescript-eslint/require-await
    toRow: async (_database, role) => {
      if (values === undefined) return { [column]: storable(role) };
      if (Object.hasOwn(values, role)) return { [column]: values[role] };
      throw new TableError(`role.values has no value for the role ${JSON.stringify(role)}. Add it there.`);
    },
  };
}

function referencedRole({
  column,
  table,
  id = 'id',
  name = 'name',
  scope = {},
  ifNone = '',
}: RoleReference): Part<string> {
  return {
    columns: new Map([[column, 'value']]),
    needs: [{ table, columns: [id, name] }],
    read: async (database, _userId, row) => {
      const key = row[column];
      if (key === null || key === undefined) return ifNone;
      const found = await database(table).where(id, key).select(`${name} as name`).first();
      // A key that leads nowhere is no role that a webhook may change.
      return found === undefined ? '' : textOf(found.name);
    },
    toRow: async (database, role) => {
      const rows = await database(table)
        .where(scope)
        .where(name, role)
        .select(`${id} as id`, `${name} as name`);
      const found = rows.find((row) => row.name === role);
      if (found !== undefined) return { [column]: found.id };
      throw new TableError(
        `The table ${table} has no row whose ${name} is ${JSON.stringify(role)}. Add it there.`,
      );
    },
  };
}

function joinedRole(
  dialect: DialectName,
  { mostPrivilegedFirst, ifNone = '', ...memberships }: RoleMemberships,
): Part<string> {
  const roles = new Memberships(dialect, memberships);
  // Roles that are not listed come to -1: before all others.
  const rank = (role: string): number => mostPrivilegedFirst.indexOf(role);
  const counting = (names: readonly string[]): string | undefined =>
    [...names].sort((one, other) => rank(one) - rank(other))[0];
  return {
    columns: NO_COLUMNS,
    needs: roles.needs(true),
    read: async (database, userId, _row, latest) =>
      counting(await roles.namesOf(database, userId, latest)) ?? ifNone,
    toRow: () => Promise.resolve({}),
    write: async (database, userId, role) => {
      const present = await roles.namesOf(database, userId, 'latest');
      const counted = counting(present);
      if (counted === role) return;
      // The role that counted is replaced, and whatever would count before the new one goes; the rest is none of our business.
      await roles.remove(
        database,
        userId,
        present.filter((name) => name === counted || rank(name) < rank(role)),
      );
      if (!present.includes(role)) await roles.add(database, userId, [role]);
    },
  };
}

/** The meta of a user: its columns and the JSON column, as one. */
export interface MetaPart {
  readonly columns: Columns;
  read(row: Row): Record<string, MetaValue>;
  /** What goes into the users table for a new user. */
  toNewRow(meta: Readonly<Record<string, MetaValue>>): Row;
  /** What goes there when these keys of `meta` have changed. */
  toRow(meta: Readonly<Record<string, MetaValue>>, changedKeys: readonly string[]): Row;
}

/** Types whose values are read as the database's text: a driver makes a moment in some time zone of a day. */
const READ_AS_TEXT: readonly unknown[] = ['date', 'json'];

export function metaPart({ columns, json }: Mapping['meta']): MetaPart {
  const valueFor = (key: string, column: MetaColumn, meta: Readonly<Record<string, MetaValue>>): unknown => {
    const value = Object.hasOwn(meta, key) ? meta[key] : undefined;
    return value === undefined ? (column.empty ?? null) : toColumn(value, column, key);
  };
  const restOf = (meta: Readonly<Record<string, MetaValue>>): [string, MetaValue][] =>
    Object.entries(meta).filter(([key]) => !columns.has(key));
  const refuseUnmapped = (key: string): never => {
    throw new TableError(
      `user.meta has ${JSON.stringify(key)}, which has no column: map it in meta.columns, or give meta.json.`,
    );
  };
  return {
    columns: new Map([
      ...[...columns.values()].map(
        ({ column, type }) => [column, READ_AS_TEXT.includes(type) ? 'text' : 'value'] as const,
      ),
      ...(json === undefined ? [] : [[json, 'text'] as const]),
    ]),
    read: (row) => {
      const meta = new Map(json === undefined ? [] : Object.entries(jsonObject(row[json], json)));
      for (const [key, column] of columns) {
        meta.delete(key);
        const value = fromColumn(row[column.column], column);
        if (value !== undefined) meta.set(key, value);
      }
      return Object.fromEntries(meta);
    },
    toNewRow: (meta) => {
      const row: Row = {};
      for (const [key, column] of columns) {
        const value = valueFor(key, column, meta);
        // Where there is nothing to say, the column's default has the word.
        if (value !== null) row[column.column] = value;
      }
      const rest = restOf(meta);
      if (json !== undefined) row[json] = toJson(Object.fromEntries(rest));
      else if (rest[0] !== undefined) refuseUnmapped(rest[0][0]);
      return row;
    },
    toRow: (meta, changedKeys) => {
      const row: Row = {};
      for (const key of changedKeys) {
        const column = columns.get(key);
        if (column !== undefined) row[column.column] = valueFor(key, column, meta);
        else if (json !== undefined) row[json] = toJson(Object.fromEntries(restOf(meta)));
        else refuseUnmapped(key);
      }
      return row;
    },
  };
}

function jsonObject(value: unknown, column: string): Record<string, MetaValue> {
  const parsed = parseJsonColumn(value, column) ?? {};
  if (typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new TableError(`The column ${column} of a user holds no JSON object.`);
  }
  // A null that the host has put there is no value.
  const entries = Object.entries(parsed as Record<string, MetaValue | null>);
  return Object.fromEntries(entries.filter((entry): entry is [string, MetaValue] => entry[1] !== null));
}

function fromColumn(value: unknown, column: MetaColumn): MetaValue | undefined {
  if (value === null || value === undefined) return undefined;
  const converted = convert(value, column);
  const isEmpty = column.empty !== undefined && (value === column.empty || converted === column.empty);
  return isEmpty ? undefined : converted;
}

function convert(value: unknown, { column, type = 'text' }: MetaColumn): MetaValue | undefined {
  switch (type) {
    case 'number':
      return Number(value);
    case 'boolean':
      return isYes(value);
    case 'json':
      return parseJsonColumn(value, column) as MetaValue | undefined;
    case 'array':
      return (value as unknown[]).map(String);
    case 'date':
      return textOf(value).slice(0, 10);
    case 'timestamp':
      return isoOf(value);
    case 'text':
      if (value instanceof Date) return isoOf(value);
      return typeof value === 'number' || typeof value === 'boolean' ? value : textOf(value);
  }
}

function toColumn(value: MetaValue, { column, type = 'text' }: MetaColumn, key: string): unknown {
  const refuse = (what: string): never => {
    throw new TableError(`user.meta.${key} goes into the column ${column}, which ${what}.`);
  };
  if (type === 'json') return toJson(value);
  if (type === 'array') return Array.isArray(value) ? value.map(storable) : [storable(String(value))];
  if (Array.isArray(value))
    return refuse("takes no list: give it the type 'json' or 'array' in meta.columns");
  switch (type) {
    case 'number': {
      const number = typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value);
      return Number.isNaN(number) ? refuse('takes numbers, and what came is none') : number;
    }
    case 'boolean':
      return isYes(value);
    case 'date':
      // The day of a moment; databases do not agree on whether to cut it themselves.
      return storable(String(value)).slice(0, 10);
    case 'timestamp': {
      const iso = isoOf(value);
      return iso === undefined ? refuse('takes moments, and what came is none') : new Date(iso);
    }
    case 'text':
      return typeof value === 'string' ? storable(value) : value;
  }
}
