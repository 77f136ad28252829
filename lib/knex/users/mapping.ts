// The options of KnexUserRepository: where in the host's tables everything of a user stands. All that can be wrong with them
// without asking the database is found here.
import { ConfigurationError } from '../../errors';
import { refuseUnknownOptions } from '../../unknown-options';
import type { NewUser } from '../../users/repository';
import type { Row } from '../knex-like';
import { TableError } from '../table-error';

/** Names of columns of the users table. {@link KnexUserRepository} shows them. */
export interface UserColumns {
  /** Default `id`. Numbers and uuids become text on their way out. */
  readonly id?: string | undefined;
  /** Default `contact_id`. */
  readonly contactId?: string | undefined;
  /** Default `email`. */
  readonly email?: string | undefined;
  /** Default `username`. `null`: the site has no usernames; the email stands in for it, and is given as `user.username`. */
  readonly username?: string | null | undefined;
  /** Default `password_hash`. */
  readonly passwordHash?: string | undefined;
  /** Default `sync_state`: a text column of 255 characters, for nobody but this package. */
  readonly syncState?: string | undefined;
  /**
   * A column that says whether the person has shown that the email is theirs: a time, or true. Where it is given, only such
   * users are found by their email; else whoever signs up with somebody's email gets the account that this person pays for.
   */
  readonly emailVerified?: string | undefined;
}

/**
 * A role as text or as a code in a column of the users table.
 *
 * @example
 * const role: RoleColumn = { column: 'level', values: { subscriber: 0, customer: 1, admin: 9 } };
 */
export interface RoleColumn {
  /** The column of the users table. */
  readonly column: string;
  /** What stands in the column for each role, where it is not the role itself: `{ subscriber: 0, admin: 1 }`. */
  readonly values?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** The role of users whose column is NULL. Default: `''`, which no webhook may change. */
  readonly ifNone?: string | undefined;
}

/** A role as a foreign key into a table of roles. {@link KnexUserRepository} shows one. */
export interface RoleReference {
  /** The column of the users table that holds the key. */
  readonly column: string;
  /** The table of roles. */
  readonly table: string;
  /** Its key. Default `id`. */
  readonly id?: string | undefined;
  /** Its column with the role's name. Default `name`. */
  readonly name?: string | undefined;
  /** Limits it to the rows with these values: those of a tenant, of a guard. */
  readonly scope?: Scope | undefined;
  /** As in {@link RoleColumn}. */
  readonly ifNone?: string | undefined;
}

/** Values that all rows have. [docs/existing-tables.md](../../../docs/existing-tables.md) shows where they are needed. */
export type Scope = Readonly<Record<string, string | number | boolean>>;

/** A join table between users and something that has a name. {@link KnexUserRepository} shows one, for tags. */
export interface Through {
  /** The join table. */
  readonly table: string;
  /** Its column with the user's id. */
  readonly user: string;
  /** Its column with the other side: a key into `table`, or the name itself where there is no such table. */
  readonly other: string;
  /**
   * Limits it to the rows with these values, and gives them to new ones. Needed where other things than users stand in it too:
   * `{ taggable_type: 'User' }`.
   */
  readonly scope?: Scope | undefined;
  /** Further values for a new row of the join table: `created_at`, an id. */
  readonly newRow?: Row | (() => Row) | undefined;
}

/**
 * Several roles a user, in a join table.
 *
 * @example
 * const role: RoleMemberships = {
 *   through: { table: 'member_roles', user: 'member_id', other: 'role_id' },
 *   table: 'roles',
 *   mostPrivilegedFirst: ['admin', 'editor', 'customer', 'subscriber'],
 * };
 */
export interface RoleMemberships {
  /** The join table. */
  readonly through: Through;
  /** The table of roles. Absent: the names stand in the join table. */
  readonly table?: string | undefined;
  /** Its key. Default `id`. */
  readonly id?: string | undefined;
  /** Its column with the role's name. Default `name`. */
  readonly name?: string | undefined;
  /** Limits it to the rows with these values: those of a tenant, of a guard. */
  readonly scope?: Scope | undefined;
  /**
   * Which of several roles counts: the first of these that the user has. A role that is not listed counts before all others,
   * so that nobody is taken for less than they are.
   */
  readonly mostPrivilegedFirst: readonly string[];
  /** The role of users who have none. Default: `''`, which no webhook may change. */
  readonly ifNone?: string | undefined;
}

/**
 * Tags in a column of the users table.
 *
 * @example
 * const tags: TagColumn = { column: 'labels', type: 'array' };
 */
export interface TagColumn {
  /** The column of the users table. */
  readonly column: string;
  /** `json`: a JSON, JSONB or text column with a JSON array. `array`: a `text[]` of PostgreSQL. */
  readonly type: 'json' | 'array';
}

/** Tags in a join table. {@link KnexUserRepository} shows one. */
export interface TagMemberships {
  /** The join table. */
  readonly through: Through;
  /** The table of tags. Absent: the names stand in the join table. A tag that it lacks is added. */
  readonly table?: string | undefined;
  /** Its key. Default `id`. */
  readonly id?: string | undefined;
  /** Its column with the tag's name. Default `name`. */
  readonly name?: string | undefined;
  /** Limits it to the rows with these values, and gives them to new ones: those of a tenant. */
  readonly scope?: Scope | undefined;
  /** Further values for a tag that is added: a slug, a tenant. */
  readonly newTag?: ((name: string) => Row) | undefined;
}

/**
 * A key of `user.meta` in a column of its own.
 *
 * @example
 * const score: MetaColumn = { column: 'score', type: 'number', empty: 0 };
 */
export interface MetaColumn {
  /** The column of the users table. */
  readonly column: string;
  /**
   * What the column holds. Default `text`, which also leaves a number of a numeric column a number.
   *
   * - `number`: also where the driver gives decimals as text
   * - `boolean`: also where the database has 0 and 1
   * - `json`: any value, as JSON · `array`: a list, in a `text[]` of PostgreSQL
   * - `date`: `YYYY-MM-DD` · `timestamp`: ISO 8601
   */
  readonly type?: MetaType | undefined;
  /** What stands for "no value" in a column that is NOT NULL: `''`, `0`. Default: NULL. */
  readonly empty?: string | number | boolean | undefined;
}

/** What a column of `user.meta` holds: {@link MetaColumn} tells each. */
export type MetaType = 'text' | 'number' | 'boolean' | 'json' | 'array' | 'date' | 'timestamp';

/**
 * Where `user.meta` stands.
 *
 * @example
 * const meta: MetaMapping = { columns: { firstName: 'first_name', score: { column: 'score', type: 'number' } }, json: 'extra' };
 */
export interface MetaMapping {
  /** Keys that have columns of their own. */
  readonly columns?: Readonly<Record<string, string | MetaColumn>> | undefined;
  /** A JSON, JSONB or text column for all other keys. Without one, another key is a failure. */
  readonly json?: string | undefined;
}

/** Values beside those of the user. A value can be SQL: `knex.fn.now()`. {@link KnexUserRepository} shows them. */
export interface ExtraValues {
  /** For a new row: `created_at`, a tenant. */
  readonly onCreate?: Row | ((user: NewUser) => Row) | undefined;
  /** For every change: `updated_at`. */
  readonly onUpdate?: Row | (() => Row) | undefined;
}

/**
 * The options of {@link KnexUserRepository}. Without any, its users stand in the table `wpf_users` that `migrate` makes.
 * [docs/existing-tables.md](../../../docs/existing-tables.md) tells each at length.
 */
export interface KnexUserRepositoryOptions {
  /** The users table, with its schema where it needs one: `members`, `app.members`. Default `wpf_users`. */
  readonly table?: string | undefined;
  /** Where the properties of a user stand that are columns of the table. */
  readonly columns?: UserColumns | undefined;
  /**
   * Where a new user's id comes from. `database` (default): a sequence, AUTO_INCREMENT or a default of the column. `uuid`: a
   * random UUID. Or a function that makes one.
   */
  readonly ids?: 'database' | 'uuid' | (() => string) | undefined;
  /** Default: the column `role`. */
  readonly role?: string | RoleColumn | RoleReference | RoleMemberships | undefined;
  /** Default: the column `tags`, with a JSON array. */
  readonly tags?: string | TagColumn | TagMemberships | undefined;
  /** Default: the column `meta`, with a JSON object. */
  readonly meta?: string | MetaMapping | undefined;
  /** Limits everything to the rows with these values, and gives them to new ones: `{ tenant_id: 7 }`. */
  readonly scope?: Scope | undefined;
  /**
   * The column that marks rows as deleted: those are no users. A name: NULL means alive. Else `{ column, alive }` with the
   * value of rows that are not deleted.
   */
  readonly softDelete?:
    string | { readonly column: string; readonly alive: string | number | boolean | null } | undefined;
  /** What a row is given beside what is mapped. Default: nothing; in `wpf_users` the time of a change as `updated_at`. */
  readonly extraValues?: ExtraValues | undefined;
}

/** The options with everything filled in. */
export interface Mapping {
  readonly table: string;
  /** Whether the table is the one that `migrate` makes. */
  readonly isOwn: boolean;
  readonly columns: {
    readonly id: string;
    readonly contactId: string;
    readonly email: string;
    readonly username: string | null;
    readonly passwordHash: string;
    readonly syncState: string;
    readonly emailVerified: string | undefined;
  };
  readonly newId: (() => string) | undefined;
  readonly role: RoleColumn | RoleReference | RoleMemberships;
  readonly tags: TagColumn | TagMemberships;
  readonly meta: { readonly columns: ReadonlyMap<string, MetaColumn>; readonly json: string | undefined };
  readonly scope: Readonly<Row>;
  readonly softDelete:
    { readonly column: string; readonly alive: string | number | boolean | null } | undefined;
  readonly onCreate: (user: NewUser) => Row;
  readonly onUpdate: () => Row;
  /** The columns that a new row is known to get from `extraValues`; `undefined` where a function makes them. */
  readonly extraColumns: readonly string[] | undefined;
}

/** The table that `migrate` makes. */
export const OWN_USERS_TABLE = 'wpf_users';

/** Local names of `fields` that are properties of the user. */
const NO_META: readonly string[] = ['email', 'username', 'password', 'role'];
const META_TYPES: readonly MetaType[] = ['text', 'number', 'boolean', 'json', 'array', 'date', 'timestamp'];

/** Checks the options and fills them in. `now` is SQL for the present time. Throws {@link ConfigurationError}. */
export function resolveMapping(options: KnexUserRepositoryOptions, now: unknown): Mapping {
  object('options', options);
  refuseUnknownOptions(options, [
    'table',
    'columns',
    'ids',
    'role',
    'tags',
    'meta',
    'scope',
    'softDelete',
    'extraValues',
  ]);
  const isOwn = options.table === undefined;
  const columns = object('columns', options.columns ?? {});
  refuseUnknownOptions(
    columns,
    ['id', 'contactId', 'email', 'username', 'passwordHash', 'syncState', 'emailVerified'],
    'columns.',
  );
  const scope = object('scope', options.scope ?? {});
  checkScope('scope', scope);
  const extra = object('extraValues', options.extraValues ?? {});
  refuseUnknownOptions(extra, ['onCreate', 'onUpdate'], 'extraValues.');
  const onCreate = rowMaker('extraValues.onCreate', extra.onCreate ?? {});
  const onUpdate = rowMaker('extraValues.onUpdate', extra.onUpdate ?? (isOwn ? { updated_at: now } : {}));
  const mapping: Mapping = {
    table: options.table === undefined ? OWN_USERS_TABLE : text('table', options.table),
    isOwn,
    columns: {
      id: textOr('id', 'columns.id', columns.id),
      contactId: textOr('contact_id', 'columns.contactId', columns.contactId),
      email: textOr('email', 'columns.email', columns.email),
      username: columns.username === null ? null : textOr('username', 'columns.username', columns.username),
      passwordHash: textOr('password_hash', 'columns.passwordHash', columns.passwordHash),
      syncState: textOr('sync_state', 'columns.syncState', columns.syncState),
      emailVerified: optionalText('columns.emailVerified', columns.emailVerified),
    },
    newId: idMaker(options.ids ?? 'database'),
    role: resolveRole(options.role ?? 'role'),
    tags: resolveTags(options.tags ?? 'tags'),
    meta: resolveMeta(options.meta ?? 'meta'),
    scope,
    softDelete: resolveSoftDelete(options.softDelete),
    onCreate: (user) => ({ ...onCreate(user), ...scope }),
    onUpdate: () => onUpdate(undefined as never),
    extraColumns:
      typeof extra.onCreate === 'function'
        ? undefined
        : [...Object.keys(extra.onCreate ?? {}), ...Object.keys(scope)],
  };
  refuseSharedColumns(mapping);
  return mapping;
}

/** Two things in one column would write over each other. */
function refuseSharedColumns({ columns, role, tags, meta, scope }: Mapping): void {
  const owners = new Map<string, string>();
  const claim = (option: string, column: string | null | undefined): void => {
    if (column === null || column === undefined) return;
    const owner = owners.get(column);
    if (owner !== undefined)
      throw new ConfigurationError(option, `names the column ${column}, as ${owner} does.`);
    owners.set(column, option);
  };
  for (const [name, column] of Object.entries(columns)) {
    if (name === 'username' && column === columns.email) {
      throw new ConfigurationError('columns.username', 'is the email: a site without usernames says null.');
    }
    claim(`columns.${name}`, column);
  }
  if ('column' in role) claim('role.column', role.column);
  if ('column' in tags) claim('tags.column', tags.column);
  for (const [key, { column }] of meta.columns) claim(`meta.columns.${key}`, column);
  claim('meta.json', meta.json);
  for (const column of Object.keys(scope)) claim('scope', column);
}

function idMaker(ids: 'database' | 'uuid' | (() => string)): (() => string) | undefined {
  if (ids === 'database') return undefined;
  if (ids === 'uuid') return () => crypto.randomUUID();
  if (typeof ids === 'function') return named('ids', ids);
  throw new ConfigurationError('ids', "must be 'database', 'uuid' or a function that makes an id.");
}

function resolveRole(role: string | RoleColumn | RoleReference | RoleMemberships): Mapping['role'] {
  if (typeof role === 'string') return { column: text('role', role) };
  object('role', role);
  if ('through' in role) {
    refuseUnknownOptions(
      role,
      ['through', 'table', 'id', 'name', 'scope', 'mostPrivilegedFirst', 'ifNone'],
      'role.',
    );
    checkThrough('role', role);
    const order: unknown = role.mostPrivilegedFirst;
    if (!Array.isArray(order) || order.length === 0 || !order.every((name) => typeof name === 'string')) {
      throw new ConfigurationError(
        'role.mostPrivilegedFirst',
        "must list the roles, the most powerful first: ['admin', 'editor', 'customer', 'subscriber'].",
      );
    }
  } else if ('table' in role) {
    refuseUnknownOptions(role, ['column', 'table', 'id', 'name', 'scope', 'ifNone'], 'role.');
    text('role.column', role.column);
    text('role.table', role.table);
    checkScope('role.scope', role.scope);
    optionalText('role.id', role.id);
    optionalText('role.name', role.name);
  } else {
    refuseUnknownOptions(role, ['column', 'values', 'ifNone'], 'role.');
    text('role.column', role.column);
    const codes = Object.values(object('role.values', role.values ?? {})).map((code) =>
      String(typeof code === 'boolean' ? Number(code) : code),
    );
    if (new Set(codes).size < codes.length) {
      throw new ConfigurationError('role.values', 'has the same value for two roles.');
    }
  }
  if (role.ifNone !== undefined && typeof role.ifNone !== 'string') {
    throw new ConfigurationError('role.ifNone', 'must be the name of a role.');
  }
  return role;
}

function resolveTags(tags: string | TagColumn | TagMemberships): Mapping['tags'] {
  if (typeof tags === 'string') return { column: text('tags', tags), type: 'json' };
  object('tags', tags);
  if ('through' in tags) {
    refuseUnknownOptions(tags, ['through', 'table', 'id', 'name', 'scope', 'newTag'], 'tags.');
    checkThrough('tags', tags);
    if (tags.newTag === undefined) return tags;
    if (typeof tags.newTag !== 'function') {
      throw new ConfigurationError('tags.newTag', 'must be a function of the name: (name) => ({ slug: … }).');
    }
    return { ...tags, newTag: named('tags.newTag', tags.newTag) };
  }
  refuseUnknownOptions(tags, ['column', 'type'], 'tags.');
  text('tags.column', tags.column);
  oneOf('tags.type', tags.type, ['json', 'array']);
  return tags;
}

function checkScope(path: string, scope: Scope | undefined): void {
  for (const [column, value] of Object.entries(object(path, scope ?? {}))) {
    if (!['string', 'number', 'boolean'].includes(typeof value)) {
      throw new ConfigurationError(`${path}.${column}`, 'must be a text, a number or a boolean.');
    }
  }
}

function checkThrough(
  path: string,
  { through, table, id, name, scope }: RoleMemberships | TagMemberships,
): void {
  checkScope(`${path}.scope`, scope);
  object(`${path}.through`, through);
  refuseUnknownOptions(through, ['table', 'user', 'other', 'scope', 'newRow'], `${path}.through.`);
  if (through.newRow !== undefined) rowMaker(`${path}.through.newRow`, through.newRow);
  checkScope(`${path}.through.scope`, through.scope);
  text(`${path}.through.table`, through.table);
  text(`${path}.through.user`, through.user);
  text(`${path}.through.other`, through.other);
  optionalText(`${path}.table`, table);
  optionalText(`${path}.id`, id);
  optionalText(`${path}.name`, name);
}

function resolveMeta(meta: string | MetaMapping): Mapping['meta'] {
  if (typeof meta === 'string') return { columns: new Map(), json: text('meta', meta) };
  object('meta', meta);
  refuseUnknownOptions(meta, ['columns', 'json'], 'meta.');
  const columns = new Map<string, MetaColumn>();
  for (const [key, given] of Object.entries(object('meta.columns', meta.columns ?? {}))) {
    const path = `meta.columns.${key}`;
    if (NO_META.includes(key)) {
      throw new ConfigurationError(
        path,
        `is never in user.meta: ${key} is a property of the user, see columns and role.`,
      );
    }
    if (typeof given === 'string') {
      columns.set(key, { column: text(path, given) });
      continue;
    }
    object(path, given);
    refuseUnknownOptions(given, ['column', 'type', 'empty'], `${path}.`);
    text(`${path}.column`, given.column);
    if (given.type !== undefined) oneOf(`${path}.type`, given.type, META_TYPES);
    columns.set(key, given);
  }
  return { columns, json: optionalText('meta.json', meta.json) };
}

function resolveSoftDelete(softDelete: KnexUserRepositoryOptions['softDelete']): Mapping['softDelete'] {
  if (softDelete === undefined) return undefined;
  if (typeof softDelete === 'string') return { column: text('softDelete', softDelete), alive: null };
  object('softDelete', softDelete);
  refuseUnknownOptions(softDelete, ['column', 'alive'], 'softDelete.');
  text('softDelete.column', softDelete.column);
  if ((softDelete.alive as unknown) === undefined) {
    throw new ConfigurationError(
      'softDelete.alive',
      'must be what the column holds in rows that are not deleted.',
    );
  }
  return softDelete;
}

function rowMaker(path: string, given: Row | ((user: NewUser) => Row)): (user: NewUser) => Row {
  if (typeof given === 'function') return named(path, given);
  const row = object(path, given);
  return () => row;
}

/** A function of the host's whose errors say whose they are: a driver's are cleaned, and these must stay whole. */
function named<Parameters extends unknown[], Value>(
  path: string,
  call: (...parameters: Parameters) => Value,
): (...parameters: Parameters) => Value {
  return (...parameters) => {
    try {
      return call(...parameters);
    } catch (cause) {
      throw new TableError(`${path}() threw.`, { cause });
    }
  };
}

function object<Value>(path: string, value: Value): Value & object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new ConfigurationError(path, 'must be an object.');
}

function text(path: string, value: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new ConfigurationError(path, 'must be a name, as text.');
}

function textOr(fallback: string, path: string, value: string | undefined): string {
  return value === undefined ? fallback : text(path, value);
}

function optionalText(path: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : text(path, value);
}

function oneOf(path: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return;
  throw new ConfigurationError(path, `must be one of ${allowed.join(', ')}.`);
}
