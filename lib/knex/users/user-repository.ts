// KnexUserRepository: the users of a site in SQLite, PostgreSQL, MySQL or MariaDB, in a table that was there before or in ours.
import { codeOf, DuplicateUserError, StaleUserError, UserNotFoundError } from '../../errors';
import { comparisonKey, storable } from '../../users/normalize';
import type { MetaValue } from '../../crm/client';
import type { NewUser, RepositoryFinding, User, UserChanges, UserRepository } from '../../users/repository';
import {
  asText,
  beginWriting,
  dialectOf,
  isTransient,
  isUniqueViolation,
  isUnreadableValue,
  seeingLatest,
  violatedIndex,
  withoutSql,
  type DialectName,
} from '../dialect';
import type { Database, KnexLike, Query, Row } from '../knex-like';
import { hasColumn, rowsOf } from '../schema';
import { TableError } from '../table-error';
import { keyColumn, keyCondition, type Unique } from './keys';
import { resolveMapping, type KnexUserRepositoryOptions, type Mapping } from './mapping';
import { isYes, textOf, textOrNull } from './values';
import { metaPart, rolePart, tagsPart, type MetaPart, type Part } from './parts';
import type { TableNeed } from './memberships';
import { findMissing } from './missing';
import { addMissing } from './prepare';

/** How often a transaction is run when it meets a deadlock, or a row that comes and goes. */
const MAX_ATTEMPTS = 10;

/** The unique values of a user that is about to be stored. */
type UniqueValues = Partial<Pick<User, UniqueField>>;
type UniqueField = 'contactId' | 'email' | 'username';

/** Which rows a look-up takes into account. */
interface Sight {
  readonly rows: 'alive' | 'all';
  /** Also what was committed since the transaction began to see. */
  readonly latest: boolean;
}

/**
 * Users in a table of a SQL database, through the host's own Knex: SQLite, PostgreSQL, MySQL or MariaDB. Without options they
 * stand in `wpf_users`, which {@link migrate} makes; with options in the table that the site has had all along
 * ([docs/existing-tables.md](../../../docs/existing-tables.md)).
 *
 * - Every `create` and `update` is one transaction, on a Knex transaction one savepoint in it.
 * - `update` locks the row, so that the condition and the merge of `meta` are atomic among all processes.
 * - Emails and usernames are compared trimmed and in ASCII lower case, whatever the column's collation. That two users never
 *   have the same one also when two processes write at once is the work of unique indexes: {@link KnexUserRepository.check}
 *   says which are missing, {@link KnexUserRepository.prepareTable} adds them.
 * - Nothing is ever deleted, and no column is written that is not mapped.
 * - Text is stored without U+0000, which PostgreSQL cannot hold.
 *
 * Not promised: that the pool has a connection left. A webhook uses one at a time.
 *
 * @throws ConfigurationError at construction for a wrong option. Its methods throw the errors of {@link UserRepository}, and
 * what the database says, without the SQL and its values, as an `Error` named `DatabaseError`.
 *
 * @example
 * const users = new KnexUserRepository(knex, {
 *   table: 'members',
 *   columns: { email: 'email_address', username: null, passwordHash: 'password' },
 *   role: { column: 'role_id', table: 'roles' },
 *   tags: { through: { table: 'member_tags', user: 'member_id', other: 'tag_id' }, table: 'tags' },
 *   meta: { columns: { firstName: 'first_name', company: 'company' } },
 *   extraValues: { onCreate: () => ({ created_at: new Date() }) },
 * });
 */
export class KnexUserRepository implements UserRepository {
  readonly #database: Database;
  readonly #dialect: DialectName;
  readonly #options: KnexUserRepositoryOptions;
  readonly #mapping: Mapping;
  readonly #tags: Part<readonly string[]>;
  readonly #role: Part<string>;
  readonly #meta: MetaPart;
  /** All that a user is read from, and under which alias. */
  readonly #columns: readonly { column: string; as: 'value' | 'text'; alias: string }[];
  readonly #keyColumns = new Map<Unique, Promise<boolean>>();

  /**
   * @param knex the host's Knex, or a transaction of it. It stays the host's: nothing closes it.
   * @param options where in the host's tables a user stands.
   */
  constructor(knex: KnexLike, options: KnexUserRepositoryOptions = {}) {
    this.#dialect = dialectOf(knex);
    this.#database = knex as unknown as Database;
    this.#options = options;
    this.#mapping = resolveMapping(options, this.#database.raw('current_timestamp'));
    this.#tags = tagsPart(this.#dialect, this.#mapping.tags);
    this.#role = rolePart(this.#dialect, this.#mapping.role);
    this.#meta = metaPart(this.#mapping.meta);
    this.#columns = this.#columnsToRead();
  }

  /** The same users within a transaction of the host: what is done here is done, or undone, with it. */
  transacting(transaction: KnexLike): KnexUserRepository {
    return new KnexUserRepository(transaction, this.#options);
  }

  /**
   * Runs `work` in a transaction, on a Knex transaction in a savepoint, and rolls it back. On SQLite other writers wait meanwhile, so
   * let `work` be short. Not undone: ids that the database has counted on, what `extraValues`, `newTag` and the like do beside, and
   * writes to tables that know no transactions ({@link KnexUserRepository.check} says so of the users table).
   */
  async rehearse(work: (users: KnexUserRepository) => Promise<void>): Promise<void> {
    const rollBack = new Error('The rehearsal is over.');
    const failures: unknown[] = [];
    try {
      await this.#database.transaction(async (transaction) => {
        await beginWriting(transaction, this.#dialect, this.#mapping.table);
        try {
          await work(this.transacting(transaction));
        } catch (error) {
          failures.push(error);
        }
        throw rollBack;
      });
    } catch (error) {
      if (failures.length > 0) throw failures[0];
      if (error !== rollBack) await this.#saying('rehearse', () => Promise.reject(error as Error));
    }
  }

  /**
   * What the tables lack, in words, each with what to do and, where that is possible, the SQL that does it. The middleware
   * asks at its start and logs the answers.
   */
  async check(): Promise<readonly RepositoryFinding[]> {
    return this.#saying('check', async () => {
      const missing = await findMissing(this.#database, this.#dialect, this.#mapping, this.#needs());
      return missing.map(({ message, severity, sql }) => ({
        severity,
        message: sql.length === 0 ? message : `${message} prepareTable() adds it, or:\n${sql.join('\n')}`,
      }));
    });
  }

  /**
   * Adds what the users table lacks and can be added without touching what is there: the contact id with its unique index,
   * `sync_state`, the unique keys of email and username, columns for role, tags and meta. Takes a lock, so that several
   * processes can call it at once, and does nothing the second time.
   *
   * On a large PostgreSQL table better run the SQL that {@link KnexUserRepository.check} gives by hand, with
   * `CREATE UNIQUE INDEX CONCURRENTLY`.
   *
   * @throws Error that names the rows by id where several users have the same email or username by our rule: those have to be
   * merged first, by somebody who knows them.
   *
   * @example
   * await new KnexUserRepository(knex, mapping).prepareTable(); // in a migration of yours, or at every start
   */
  async prepareTable(): Promise<void> {
    await this.#saying('prepareTable', () =>
      addMissing(this.#database, this.#dialect, this.#mapping, this.#needs()),
    );
    this.#keyColumns.clear();
  }

  async findByContactId(contactId: string): Promise<User | null> {
    return this.#saying('findByContactId', async () => {
      const rows = await this.#rows(this.#database, [contactId], (query) =>
        query.where(this.#mapping.columns.contactId, contactId),
      );
      const row = rows.find((found) => found[this.#mapping.columns.contactId] === contactId);
      return row === undefined ? null : this.#toUser(this.#database, row);
    });
  }

  async findByEmail(email: string): Promise<User | null> {
    return this.#saying('findByEmail', async () => {
      const { email: column, emailVerified } = this.#mapping.columns;
      const key = storable(comparisonKey(email));
      const { sql, bindings } = await this.#keyCondition(this.#database, 'email', column, email);
      const rows = await this.#rows(this.#database, [], (query) =>
        query.whereRaw(sql, bindings).orderBy(this.#mapping.columns.id),
      );
      const named = rows.filter(
        (row) =>
          comparisonKey(textOf(row[column])) === key &&
          (emailVerified === undefined || isYes(row[emailVerified])),
      );
      // Rows from before there was a unique index: the one that is spelt so, else the first that there was.
      const row = named.find((one) => one[column] === email) ?? named[0];
      return row === undefined ? null : this.#toUser(this.#database, row);
    });
  }

  async create(user: NewUser): Promise<User> {
    const { columns, onCreate, newId } = this.#mapping;
    const email = storable(user.email.trim());
    const username = storable(user.username.trim());
    const unique: UniqueValues = { contactId: user.contactId, email, username };
    return this.#saying('create', () =>
      this.#write(unique, undefined, async (database) => {
        const row: Row = {
          ...onCreate(user),
          ...(newId === undefined ? {} : { [columns.id]: newId() }),
          ...(await this.#role.toRow(database, user.role)),
          ...(await this.#tags.toRow(database, user.tags)),
          ...this.#meta.toNewRow(user.meta),
          ...(columns.username === null ? {} : { [columns.username]: username }),
          [columns.email]: email,
          [columns.contactId]: user.contactId,
          [columns.passwordHash]: user.passwordHash,
          [columns.syncState]: user.syncState,
        };
        const id = await this.#insert(database, row);
        await this.#role.write?.(database, id, user.role);
        await this.#tags.write?.(database, id, user.tags);
        return this.#stored(database, id);
      }),
    );
  }

  async update(id: string, changes: UserChanges, condition?: { ifSyncState: string | null }): Promise<User> {
    const { columns, onUpdate } = this.#mapping;
    const email = changes.email === undefined ? undefined : storable(changes.email.trim());
    const unique: UniqueValues = {
      ...(changes.contactId === undefined ? {} : { contactId: changes.contactId }),
      ...(email === undefined ? {} : { email }),
    };
    return this.#saying('update', () =>
      this.#write(unique, id, async (database) => {
        const [row] = await this.#rowsById(database, id, (query) => query.forUpdate());
        if (row === undefined) throw new UserNotFoundError({ id });
        if (condition !== undefined && textOrNull(row[columns.syncState]) !== condition.ifSyncState) {
          throw new StaleUserError({ id });
        }
        await this.#refuseTaken(database, unique, id);

        const { role, tags } = changes;
        const set: Row = {
          ...onUpdate(),
          ...(role === undefined ? {} : await this.#role.toRow(database, role)),
          ...(tags === undefined ? {} : await this.#tags.toRow(database, tags)),
          ...this.#mergedMeta(row, changes.meta),
          ...(email === undefined ? {} : { [columns.email]: email }),
          ...given(columns.contactId, changes.contactId),
          ...given(columns.passwordHash, changes.passwordHash),
          ...given(columns.syncState, changes.syncState),
        };
        if (Object.keys(set).length > 0) await this.#alive(database).where(columns.id, id).update(set);
        if (role !== undefined) await this.#role.write?.(database, id, role);
        if (tags !== undefined) await this.#tags.write?.(database, id, tags);
        return this.#stored(database, id);
      }),
    );
  }

  /** The further tables that role and tags need. */
  #needs(): TableNeed[] {
    return [...this.#role.needs, ...this.#tags.needs];
  }

  #columnsToRead(): { column: string; as: 'value' | 'text'; alias: string }[] {
    const { id, contactId, email, username, passwordHash, syncState, emailVerified } = this.#mapping.columns;
    const values = [email, username, passwordHash, syncState, emailVerified].filter(
      (name) => typeof name === 'string',
    );
    const columns = new Map<string, 'value' | 'text'>([
      // As text: numbers beyond 2^53 and native uuids arrive whole.
      ...[id, contactId].map((name) => [name, 'text'] as const),
      ...values.map((name) => [name, 'value'] as const),
      ...this.#role.columns,
      ...this.#tags.columns,
      ...this.#meta.columns,
    ]);
    return [...columns].map(([column, as], index) => ({ column, as, alias: aliasOf(index) }));
  }

  /** What has to be written for changes of meta, merged with what the locked row holds. */
  #mergedMeta(row: Row, changes: Record<string, MetaValue | null> | undefined): Row {
    const entries = Object.entries(changes ?? {}).filter(([, value]) => (value as unknown) !== undefined);
    if (entries.length === 0) return {};
    const meta = new Map(Object.entries(this.#meta.read(row)));
    for (const [key, value] of entries) {
      if (value === null) meta.delete(key);
      else meta.set(key, value);
    }
    return this.#meta.toRow(
      Object.fromEntries(meta),
      entries.map(([key]) => key),
    );
  }

  /** Runs a transaction, again where the database asks for it, and says which value was taken where a unique index refused. */
  async #write(
    unique: UniqueValues,
    exceptId: string | undefined,
    work: (database: Database) => Promise<User>,
  ): Promise<User> {
    const start = performance.now();
    let patienceMs = 0;
    for (let attempt = 1; ; attempt += 1) {
      const failures: unknown[] = [];
      try {
        return await this.#database.transaction(async (database) => {
          try {
            await this.#beginWriting(database, (ms) => (patienceMs = ms));
            if (exceptId === undefined) await this.#refuseTaken(database, unique, undefined);
            return await work(database);
          } catch (error) {
            failures.push(error);
            throw error;
          }
        });
      } catch (failure) {
        // Where the connection is gone, what comes out is that the transaction could not be rolled back.
        const [error = failure] = failures;
        const isUnique = isUniqueViolation(error);
        if (isUnique) {
          const field = (await this.#refusedField(unique, exceptId)) ?? this.#namedField(error, unique);
          if (field !== undefined) throw new DuplicateUserError({ field, cause: withoutSql(error) });
        }
        // A transaction of the host's is its own to run again. A refusal that nobody can explain any more may be over.
        const again = (isUnique || isTransient(error)) && this.#database.isTransaction !== true;
        const isOver = isUnique || performance.now() - start >= patienceMs;
        const isEnough = attempt >= MAX_ATTEMPTS && isOver;
        if (!again || isEnough) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 10 * Math.min(attempt, 10)));
      }
    }
  }

  /**
   * Takes the right to write; tells for how long to try for it. SQLite would wait for a file that is in use with the whole
   * process, for as long as its busy timeout says: so we wait, not SQLite.
   */
  async #beginWriting(database: Database, tell: (patienceMs: number) => void): Promise<void> {
    const { table } = this.#mapping;
    if (this.#dialect !== 'sqlite' || this.#database.isTransaction === true) {
      await beginWriting(database, this.#dialect, table);
      return;
    }
    const [row] = await rowsOf(database, 'select timeout as patience from pragma_busy_timeout', []);
    const patienceMs = Number(row?.patience);
    tell(patienceMs);
    await rowsOf(database, 'pragma busy_timeout = 0', []);
    try {
      await beginWriting(database, this.#dialect, table);
    } finally {
      await rowsOf(database, `pragma busy_timeout = ${patienceMs}`, []);
    }
  }

  async #refuseTaken(database: Database, unique: UniqueValues, exceptId: string | undefined): Promise<void> {
    const field = await this.#takenField(database, unique, exceptId);
    if (field !== undefined) throw new DuplicateUserError({ field });
  }

  /** Which of the values another user has, by our rule. */
  async #takenField(
    database: Database,
    { contactId, email, username }: UniqueValues,
    exceptId: string | undefined,
    sight: Sight = { rows: 'alive', latest: false },
  ): Promise<UniqueField | undefined> {
    const { columns } = this.#mapping;
    const isTaken = (narrow: (query: Query) => Query): Promise<boolean> =>
      this.#hasOther(database, exceptId, sight, narrow);
    if (contactId !== undefined && contactId !== null) {
      if (await isTaken((query) => query.where(columns.contactId, contactId))) return 'contactId';
    }
    if (email !== undefined) {
      const { sql, bindings } = await this.#keyCondition(database, 'email', columns.email, email);
      if (await isTaken((query) => query.whereRaw(sql, bindings))) return 'email';
    }
    if (username !== undefined && columns.username !== null) {
      const { sql, bindings } = await this.#keyCondition(database, 'username', columns.username, username);
      if (await isTaken((query) => query.whereRaw(sql, bindings))) return 'username';
    }
    return undefined;
  }

  /** Which of the values a unique index has just refused: one of a user, else one that only the index finds equal. */
  async #refusedField(unique: UniqueValues, exceptId: string | undefined): Promise<UniqueField | undefined> {
    const database = this.#database;
    const byRule = await this.#takenField(database, unique, exceptId, { rows: 'alive', latest: true });
    if (byRule !== undefined) return byRule;
    // A column's own idea of equality may be coarser than ours, and its index may hold rows that are deleted.
    const { columns } = this.#mapping;
    const { email, username, contactId } = unique;
    const places: [UniqueField, string | null, string | null | undefined][] = [
      ['email', columns.email, email],
      ['username', columns.username, username],
      ['contactId', columns.contactId, contactId],
    ];
    for (const [field, column, value] of places) {
      if (column === null || value === undefined || value === null) continue;
      const narrow = (query: Query): Query => query.where(column, value);
      if (await this.#hasOther(database, exceptId, { rows: 'all', latest: true }, narrow)) return field;
    }
    return this.#takenField(database, unique, exceptId, { rows: 'all', latest: true });
  }

  /** The field whose column a refusal names: a unique index of the host's own over an expression that only it knows. */
  #namedField(error: unknown, unique: UniqueValues): UniqueField | undefined {
    const { contactId, email, username } = this.#mapping.columns;
    const named = violatedIndex(error).toLowerCase();
    const fields: [UniqueField, string | null][] = [
      ['contactId', contactId],
      ['username', username],
      ['email', email],
    ];
    return fields.find(
      ([field, column]) =>
        typeof unique[field] === 'string' && column !== null && named.includes(column.toLowerCase()),
    )?.[0];
  }

  /** Whether there is another row of this kind. */
  async #hasOther(
    database: Database,
    exceptId: string | undefined,
    { rows, latest }: Sight,
    narrow: (query: Query) => Query,
  ): Promise<boolean> {
    const { columns, table, scope } = this.#mapping;
    const query = narrow(rows === 'all' ? database(table).where(scope) : this.#alive(database))
      .select(asText(database, this.#dialect, columns.id, 'wpfid'))
      .limit(2);
    const found = await (latest ? seeingLatest(query, this.#dialect) : query);
    return found.some((row) => row.wpfid !== exceptId);
  }

  /** SQL for "this column is equal to this text by our rule": over the key column, where the table has one, so that its index serves. */
  async #keyCondition(
    database: Database,
    what: 'email' | 'username',
    column: string,
    text: string,
  ): Promise<{ sql: string; bindings: unknown[] }> {
    const value = storable(comparisonKey(text));
    if (this.#dialect !== 'mysql') return keyCondition(this.#dialect, column, value);
    const key = keyColumn(this.#mapping, what);
    let isThere = this.#keyColumns.get(what);
    if (isThere === undefined) {
      isThere = hasColumn(database, this.#dialect, this.#mapping.table, key);
      this.#keyColumns.set(what, isThere);
      isThere.then(
        (found) => found || this.#keyColumns.delete(what),
        () => this.#keyColumns.delete(what),
      );
    }
    return (await isThere) ? { sql: '?? = ?', bindings: [key, value] } : keyCondition('mysql', column, value);
  }

  /** Stores a row and gives its id. */
  async #insert(database: Database, row: Row): Promise<string> {
    const { table, columns } = this.#mapping;
    const own = row[columns.id];
    if (this.#dialect !== 'mysql') {
      const [inserted] = await database(table).insert(row, [columns.id]);
      return textOf(Object.values(inserted as Row)[0]);
    }
    const [lastId] = await database(table).insert(row);
    if (own !== undefined) return textOf(own);
    if (lastId !== undefined && Number(lastId) !== 0) return textOf(lastId);
    // An id that is a default of the column is not told.
    const found = await database(table)
      .where(columns.email, row[columns.email])
      .where(columns.syncState, row[columns.syncState])
      .select(asText(database, this.#dialect, columns.id, 'wpfid'))
      .first();
    return textOf(found?.wpfid);
  }

  async #stored(database: Database, id: string): Promise<User> {
    // Within an older transaction of the host's, what others have written to the same user since would be left out.
    const [row] = await this.#rowsById(database, id, (query) => seeingLatest(query, this.#dialect));
    if (row === undefined) throw new UserNotFoundError({ id });
    return this.#toUser(database, row, 'latest');
  }

  /** The rows with an id: one, or none. A text that cannot be an id has none, also where the database would make a number of it. */
  async #rowsById(database: Database, id: string, more = (query: Query): Query => query): Promise<Row[]> {
    const rows = await this.#rows(database, [id], (query) => more(query.where(this.#mapping.columns.id, id)));
    return rows.filter((row) => row[this.#mapping.columns.id] === id);
  }

  /** Rows of users that are alive, with all that makes a user. `values` that the columns cannot even be compared with: none. */
  async #rows(
    database: Database,
    values: readonly string[],
    narrow: (query: Query) => Query,
  ): Promise<Row[]> {
    if (values.some((value) => value.includes('\0'))) return [];
    const query = narrow(this.#alive(database)).select(
      ...this.#columns.map(({ column, as, alias }) =>
        as === 'text'
          ? asText(database, this.#dialect, column, alias)
          : database.raw('?? as ??', [column, alias]),
      ),
    );
    try {
      const rows = await query;
      return rows.map((row) =>
        Object.fromEntries(this.#columns.map(({ column, alias }) => [column, row[alias]])),
      );
    } catch (error) {
      if (values.length > 0 && isUnreadableValue(error)) return [];
      throw error;
    }
  }

  /** The rows that are users: of this scope, and not deleted. */
  #alive(database: Database): Query {
    const { table, scope, softDelete } = this.#mapping;
    const query = database(table).where(scope);
    return softDelete === undefined ? query : query.where({ [softDelete.column]: softDelete.alive });
  }

  async #toUser(database: Database, row: Row, latest?: 'latest'): Promise<User> {
    const { columns } = this.#mapping;
    const id = textOf(row[columns.id]);
    return {
      id,
      contactId: textOrNull(row[columns.contactId]),
      email: textOrNull(row[columns.email]) ?? '',
      username: textOrNull(row[columns.username ?? columns.email]) ?? '',
      passwordHash: textOrNull(row[columns.passwordHash]),
      role: await this.#role.read(database, id, row, latest),
      tags: [...(await this.#tags.read(database, id, row, latest))],
      meta: this.#meta.read(row),
      syncState: textOrNull(row[columns.syncState]),
    };
  }

  /** Runs the work of a method; what a driver throws says which, and holds no SQL. */
  async #saying<Value>(method: string, work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) !== undefined || error instanceof TableError) throw error;
      const cleaned = withoutSql(error);
      cleaned.message = `${method}() on the table ${this.#mapping.table}: ${cleaned.message}`;
      throw cleaned;
    }
  }
}

/**
 * Every column gets an alias of small letters alone, so that a host's Knex that renames columns on their way
 * (`postProcessResponse`, as Objection's snake case mappers do) leaves it as it is.
 */
function aliasOf(index: number): string {
  return `wpf${String.fromCharCode(97 + Math.floor(index / 26), 97 + (index % 26))}`;
}

function given(column: string, value: string | null | undefined): Row {
  return value === undefined ? {} : { [column]: value };
}
