// A user repository over a table in memory, made to be broken: every rule is a method of its own, which a broken adapter
// overrides. Two repositories can share a table, as two processes share a database.
import { setImmediate as turn } from 'node:timers/promises';
import { comparisonKey, DuplicateUserError, StaleUserError, UserNotFoundError } from '../../../lib';
import type { MetaValue, NewUser, User, UserChanges, UserRepository } from '../../../lib';

export type Field = 'contactId' | 'email' | 'username';
export type Condition = { ifSyncState: string | null } | undefined;

/** The storage: rows by id. */
export class Table {
  readonly rows = new Map<string, User>();
  #lastId = 0;

  nextId(): string {
    this.#lastId += 1;
    return String(this.#lastId);
  }
}

export class TableRepository implements UserRepository {
  constructor(protected readonly table: Table) {}

  // The rules

  emailKey(email: string): string {
    return comparisonKey(email);
  }

  usernameKey(username: string): string {
    return comparisonKey(username);
  }

  contactKey(contactId: string): string {
    return contactId;
  }

  /** Whether the condition of an update holds. */
  holds(stored: string | null, asked: string | null): boolean {
    return stored === asked;
  }

  /** What is stored of what is given. */
  write(user: User): User {
    return structuredClone(user);
  }

  /** What is given of what is stored. */
  read(user: User): User {
    return structuredClone(user);
  }

  merge(
    meta: Record<string, MetaValue>,
    changes: Record<string, MetaValue | null>,
  ): Record<string, MetaValue> {
    const merged = new Map(Object.entries(meta));
    for (const [key, value] of Object.entries(changes)) {
      if (value === null) merged.delete(key);
      else if ((value as unknown) !== undefined) merged.set(key, value);
    }
    return Object.fromEntries(merged);
  }

  duplicateOf(candidate: User): Field | undefined {
    for (const user of this.table.rows.values()) {
      if (user.id === candidate.id) continue;
      const isSameContact =
        user.contactId !== null &&
        candidate.contactId !== null &&
        this.contactKey(user.contactId) === this.contactKey(candidate.contactId);
      if (isSameContact) return 'contactId';
      if (this.emailKey(user.email) === this.emailKey(candidate.email)) return 'email';
      if (this.usernameKey(user.username) === this.usernameKey(candidate.username)) return 'username';
    }
    return undefined;
  }

  /** A moment in which others get their turn: between a SELECT and an UPDATE there is one. */
  async moment(): Promise<void> {
    await turn();
  }

  // The methods: each is one atomic step

  async findByContactId(contactId: string): Promise<User | null> {
    return this.first(
      (user) => user.contactId !== null && this.contactKey(user.contactId) === this.contactKey(contactId),
    );
  }

  async findByEmail(email: string): Promise<User | null> {
    return this.first((user) => this.emailKey(user.email) === this.emailKey(email));
  }

  async create(user: NewUser): Promise<User> {
    return this.read(this.insert(user));
  }

  async update(id: string, changes: UserChanges, condition?: Condition): Promise<User> {
    const user = this.rowOf(id);
    if (condition !== undefined && !this.holds(user.syncState, condition.ifSyncState)) {
      throw new StaleUserError({ id });
    }
    return this.read(this.save(this.changed(user, changes)));
  }

  // Their parts

  first(matches: (user: User) => boolean): User | null {
    for (const user of this.table.rows.values()) if (matches(user)) return this.read(user);
    return null;
  }

  rowOf(id: string): User {
    const user = this.table.rows.get(id);
    if (user === undefined) throw new UserNotFoundError({ id });
    return user;
  }

  insert(user: NewUser): User {
    const row = this.write({ ...user, id: 'new' });
    this.refuseDuplicates(row);
    row.id = this.table.nextId();
    this.table.rows.set(row.id, row);
    return row;
  }

  changed(user: User, changes: UserChanges): User {
    const { meta = {}, ...properties } = structuredClone(changes);
    const given = Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));
    return { ...user, ...given, id: user.id, username: user.username, meta: this.merge(user.meta, meta) };
  }

  save(user: User): User {
    const row = this.write(user);
    this.refuseDuplicates(row);
    this.table.rows.set(row.id, row);
    return row;
  }

  refuseDuplicates(user: User): void {
    const field = this.duplicateOf(user);
    if (field !== undefined) throw new DuplicateUserError({ field });
  }
}

/** Takes the accents of letters away, and the case of all: what general collations compare. */
export const folded = (value: string): string =>
  value.trim().normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();

/** Repositories that are broken in one way each, as adapters are in practice, and what has to catch them. */
export type BrokenRepositories = Readonly<
  Record<
    string,
    {
      readonly Repository: new (table: Table) => TableRepository;
      /** The tests that have to fail, and no others … */
      readonly caughtBy: readonly string[];
      /** … unless it breaks what nearly every test needs. */
      readonly elsewhere?: true;
    }
  >
>;
