// The reference implementation of UserRepository: users in a Map, for tests, demos and reading.
import { DuplicateUserError, StaleUserError, UserNotFoundError } from '../errors';
import { comparisonKey } from './normalize';
import type { NewUser, User, UserChanges, UserRepository } from './repository';

/**
 * Keeps users in memory. It is the reference for the semantics that every other repository has to have, and gives copies, so
 * that nobody changes a stored user by changing what was read. Everything is gone when the process ends.
 *
 * @example
 * const users = new MemoryUserRepository();
 * app.use(wpFusionWebhook({ accessKey, crm, users }));
 * users.all(); // → User[]
 */
export class MemoryUserRepository implements UserRepository {
  #users = new Map<string, User>();
  #lastId = 0;

  /** Every user, in the order of creation, as copies. */
  all(): User[] {
    return [...this.#users.values()].map((user) => structuredClone(user));
  }

  // The methods are async to give promises; nothing is awaited in them, so each is one atomic step.
  // eslint-disable-next-line @typescript-eslint/require-await
  async findByContactId(contactId: string): Promise<User | null> {
    return this.#find((user) => user.contactId === contactId);
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async findByEmail(email: string): Promise<User | null> {
    const key = comparisonKey(email);
    return this.#find((user) => comparisonKey(user.email) === key);
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async create(user: NewUser): Promise<User> {
    const created = structuredClone({ ...user, id: String(this.#lastId + 1) });
    this.#refuseDuplicates(created);
    this.#lastId += 1;
    this.#users.set(created.id, created);
    return structuredClone(created);
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async update(id: string, changes: UserChanges, condition?: { ifSyncState: string | null }): Promise<User> {
    const user = this.#users.get(id);
    if (user === undefined) throw new UserNotFoundError({ id });
    if (condition !== undefined && user.syncState !== condition.ifSyncState) throw new StaleUserError({ id });

    const { meta: metaChanges = {}, ...properties } = structuredClone(changes);
    const given = Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));
    // What a caller without types passes beside the changes is not a change: neither id nor username ever move.
    const meta = new Map(Object.entries(user.meta));
    for (const [key, value] of Object.entries(metaChanges)) {
      if (value === null) meta.delete(key);
      else if ((value as unknown) !== undefined) meta.set(key, value);
    }
    const changed: User = {
      ...user,
      ...given,
      id: user.id,
      username: user.username,
      meta: Object.fromEntries(meta),
    };
    this.#refuseDuplicates(changed);
    this.#users.set(id, changed);
    return structuredClone(changed);
  }

  /** Runs `work` with a copy, of which nothing stays. Unlike in a database, nobody waits for it to end. */
  async rehearse(work: (users: MemoryUserRepository) => Promise<void>): Promise<void> {
    const copy = new MemoryUserRepository();
    // A stored user is replaced, never changed: the two share those that neither has touched.
    copy.#users = new Map(this.#users);
    copy.#lastId = this.#lastId;
    await work(copy);
  }

  #find(matches: (user: User) => boolean): User | null {
    for (const user of this.#users.values()) if (matches(user)) return structuredClone(user);
    return null;
  }

  #refuseDuplicates(candidate: User): void {
    const email = comparisonKey(candidate.email);
    const username = comparisonKey(candidate.username);
    for (const user of this.#users.values()) {
      if (user.id === candidate.id) continue;
      if (candidate.contactId !== null && user.contactId === candidate.contactId) {
        throw new DuplicateUserError({ field: 'contactId' });
      }
      if (comparisonKey(user.email) === email) throw new DuplicateUserError({ field: 'email' });
      if (comparisonKey(user.username) === username) throw new DuplicateUserError({ field: 'username' });
    }
  }
}
