// What the core asks of the site's own user storage: the interface that a host implements, and the user it holds.
import type { MetaValue } from '../crm/client';

/** A user of the site, as the core sees it. {@link MemoryUserRepository} holds them. */
export interface User {
  /** The storage's own id, as text. */
  id: string;
  /** The CRM contact this user is linked to. Unique where it is not null. */
  contactId: string | null;
  /** Unique, compared trimmed and in ASCII lower case. */
  email: string;
  /** Unique, compared trimmed and in ASCII lower case. Never changed after creation. */
  username: string;
  /** What the password hasher gave. `null`: the user has no password, and cannot log in with one. */
  passwordHash: string | null;
  /** One role; what a webhook may do about it is told by the option `roles`. */
  role: string;
  /** Names of tags, or their ids with `tagsAs: 'id'`. */
  tags: string[];
  /** The mapped fields that are no property of their own. */
  meta: Record<string, MetaValue>;
  /** Opaque, up to 255 characters: which write was the last, and what is owed. Store it, show it to nobody. */
  syncState: string | null;
}

/** What events, the notifier and after-hooks get: a user without its secrets. {@link Hooks} and {@link Notifier} show it. */
export type PublicUser = Omit<User, 'passwordHash' | 'syncState'>;

/**
 * A user that is about to be created.
 *
 * @example
 * const user: NewUser = {
 *   ...{ contactId: '42', email: 'mary@example.com', username: 'mary', passwordHash: null },
 *   ...{ role: 'subscriber', tags: ['Customer'], meta: { firstName: 'Mary' }, syncState: null },
 * };
 * const { id } = await users.create(user);
 */
export type NewUser = Omit<User, 'id'>;

/**
 * What to change of a user. Absent and `undefined` mean untouched; `tags` are replaced; `meta` is merged key by key in the
 * store, and `null` removes a key.
 *
 * @example
 * await users.update(id, { tags: ['Customer'], meta: { company: 'Acme', phone: null } });
 */
export type UserChanges = {
  [K in keyof Omit<User, 'id' | 'username' | 'meta'>]?: User[K] | undefined;
} & { meta?: Record<string, MetaValue | null> | undefined };

/**
 * Something that keeps a storage from its work, in words. {@link UserRepository.check} gives it;
 * [docs/user-repository.md](../../docs/user-repository.md#check) shows one.
 */
export interface RepositoryFinding {
  /** `error`: webhooks fail until it is mended. `warning`: they work, but not as they should. */
  readonly severity: 'error' | 'warning';
  /** What is wrong with what, and what to do about it. */
  readonly message: string;
}

/**
 * The site's user storage. `MemoryUserRepository` is the reference; [docs/user-repository.md](../../docs/user-repository.md) shows how to write one.
 *
 * Whatever a method throws that is not one of the three named errors is a failure of the storage (`REPOSITORY_FAILED`),
 * never "not found": return `null` for that.
 */
export interface UserRepository {
  /** The user linked to this contact, or `null`. */
  findByContactId(contactId: string): Promise<User | null>;

  /**
   * The user with this email, compared trimmed and in ASCII lower case, or `null`. Return only emails that the host holds to
   * be the person's: whoever can put an email into a CRM contact is linked to the account that has it.
   */
  findByEmail(email: string): Promise<User | null>;

  /** Stores a user and gives it back with its id. Throws `DuplicateUserError` and stores nothing when a unique value is taken. */
  create(user: NewUser): Promise<User>;

  /**
   * Changes a user and gives it back as it is now: all of the changes or none. With a condition, writes only while the
   * stored `syncState` equals `ifSyncState`, checked in the same atomic step, else throws `StaleUserError`.
   * Throws `UserNotFoundError` for an unknown id and `DuplicateUserError` for a unique value that is taken.
   */
  update(id: string, changes: UserChanges, condition?: { ifSyncState: string | null }): Promise<User>;

  /**
   * Looks whether the storage has what it needs: tables, columns, indexes. Optional; the middleware asks once at its start and
   * logs what it is told. Changes nothing. Rejects where the storage cannot be asked.
   */
  check?(): Promise<readonly RepositoryFinding[]>;

  /**
   * Runs `work` with a repository whose changes are all undone when it ends, whether it resolves or rejects; then ends as it did. Nobody
   * else sees them meanwhile. A refusal (`DuplicateUserError`, `StaleUserError`) ends nothing: `work` may go on after it. Optional:
   * the command line's `doctor` tries the storage so, without leaving anything behind.
   *
   * Not promised: that numbers are given again which the database took for ids meanwhile.
   *
   * @example
   * await users.rehearse?.(async (rehearsed) => {
   *   const { id } = await rehearsed.create(user);
   *   await rehearsed.update(id, { role: 'customer' });
   * }); // and nothing has happened
   */
  rehearse?(work: (users: UserRepository) => Promise<void>): Promise<void>;
}
