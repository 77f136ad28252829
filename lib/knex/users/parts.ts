// The three parts of a user that sites store in different ways: tags, role and meta. Each knows which columns of the users
// table it reads, what it writes there, and what it writes elsewhere.
import type { MetaValue } from '../../crm/client';
import { storable, type DialectName } from '../dialect';
import type { Database, Row } from '../knex-like';
import { parseJsonColumn, textOf, toJson } from './values';
import type {
  Mapping,
  MetaColumn,
  RoleColumn,
  RoleMemberships,
  RoleReference,
  TagColumn,
  TagMemberships,
} from './mapping';
import { Memberships, type TableNeed } from './memberships';

/** Columns to read: as the driver gives them, or as the database's own text of them. */
type Columns = ReadonlyMap<string, 'value' | 'text'>;

/** Where a part of a user stands. */
export interface Part<Value> {
  /** The columns of the users table that it is read from. */
  readonly columns: Columns;
  /** Further tables that it needs. */
  readonly needs: readonly TableNeed[];
  read(database: Database, userId: string, row: Row): Promise<Value>;
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
      throw new Error(`The column ${column} of a user holds no list of tags.`);
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
    read: (database, userId) => memberships.namesOf(database, userId),
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
  // Databases give a code back as 1, '1' or true.
  const codeOf = (value: unknown): string =>
    typeof value === 'boolean' ? `${Number(value)}` : textOf(value);
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
      return roles?.get(codeOf(value)) ?? textOf(value);
    },
    // eslint-disable-next-line @typescript-eslint/require-await
    toRow: async (_database, role) => {
      if (values === undefined) return { [column]: storable(role) };
      if (Object.hasOwn(values, role)) return { [column]: values[role] };
      throw new Error(`role.values has no value for the role ${JSON.stringify(role)}. Add it there.`);
    },
  };
}

function referencedRole({
  column,
  table,
  id = 'id',
  name = 'name',
  ifNone = '',
}: RoleReference): Part<string> {
  return {
    columns: new Map([[column, 'value']]),
    needs: [{ table, columns: [id, name] }],
    read: async (database, _userId, row) => {
      const key = row[column];
      if (key === null || key === undefined) return ifNone;
      const found = await database(table).where(id, key).select(`${name} as name`).first();
      return found === undefined ? ifNone : textOf(found.name);
    },
    toRow: async (database, role) => {
      const rows = await database(table).where(name, role).select(`${id} as id`, `${name} as name`);
      const found = rows.find((row) => row.name === role);
      if (found !== undefined) return { [column]: found.id };
      throw new Error(
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
    read: async (database, userId) => counting(await roles.namesOf(database, userId)) ?? ifNone,
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
    throw new Error(
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
    throw new Error(`The column ${column} of a user holds no JSON object.`);
  }
  // A null that the host has put there is no value.
  const entries = Object.entries(parsed as Record<string, MetaValue | null>);
  return Object.fromEntries(entries.filter((entry): entry is [string, MetaValue] => entry[1] !== null));
}

function fromColumn(value: unknown, { column, type = 'text', empty }: MetaColumn): MetaValue | undefined {
  if (value === null || value === undefined || (empty !== undefined && value === empty)) return undefined;
  switch (type) {
    case 'number':
      return Number(value);
    case 'boolean':
      return value === true || value === 1 || value === '1';
    case 'json':
      return parseJsonColumn(value, column) as MetaValue | undefined;
    case 'array':
      return (value as unknown[]).map(String);
    case 'date':
      return textOf(value).slice(0, 10);
    case 'timestamp':
      return new Date(value as string | number | Date).toISOString();
    case 'text':
      if (value instanceof Date) return value.toISOString();
      return typeof value === 'number' || typeof value === 'boolean' ? value : textOf(value);
  }
}

function toColumn(value: MetaValue, { column, type = 'text' }: MetaColumn, key: string): unknown {
  switch (type) {
    case 'json':
      return toJson(value);
    case 'timestamp':
      return timestamp(value, column);
    case 'array':
      return Array.isArray(value) ? value.map(storable) : [storable(String(value))];
    case 'number':
    case 'boolean':
    case 'date':
    case 'text':
      if (!Array.isArray(value)) return typeof value === 'string' ? storable(value) : value;
      throw new Error(
        `user.meta.${key} is a list: give its column ${column} the type 'json' or 'array' in meta.columns.`,
      );
  }
}

function timestamp(value: unknown, column: string): Date {
  const moment = new Date(value as string);
  if (!Number.isNaN(moment.getTime())) return moment;
  throw new Error(`The column ${column} takes moments, and what came is none.`);
}
