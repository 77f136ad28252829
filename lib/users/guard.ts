// The host's repository, with every failure named: what is not one of the three known errors is REPOSITORY_FAILED.
import { codeOf, WpFusionError } from '../errors';
import { inSpan } from '../telemetry/spans';
import { comparisonKey } from './normalize';
import type { PublicUser, User, UserChanges, UserRepository } from './repository';

type Method = Exclude<keyof UserRepository, 'check' | 'rehearse'>;

/** What each method may say by its error; anything else it throws is a failure of the storage. */
const MAY_THROW: Readonly<Record<Method, readonly string[]>> = {
  findByContactId: [],
  findByEmail: [],
  create: ['DUPLICATE_USER'],
  update: ['DUPLICATE_USER', 'USER_NOT_FOUND', 'STALE_USER'],
};
const UNIQUE_FIELDS: readonly unknown[] = ['contactId', 'email', 'username'];

/** Wraps a repository so that the core can rely on what it throws and gives. `onHash` hears of every password hash. */
export function guardRepository(users: UserRepository, onHash: (hash: string) => void): UserRepository {
  const call = <Value>(method: Method, work: () => Promise<Value>): Promise<Value> =>
    inSpan(`wp_fusion_webhook.repository ${method}`, {}, () => named(method, work));
  const named = async <Value>(method: Method, work: () => Promise<Value>): Promise<Value> => {
    try {
      return await work();
    } catch (error) {
      const code = codeOf(error);
      const isDuplicate = code === 'DUPLICATE_USER';
      const isWhole = !isDuplicate || UNIQUE_FIELDS.includes((error as { field?: unknown }).field);
      if (code !== undefined && isWhole && MAY_THROW[method].includes(code)) throw error;
      throw new WpFusionError('REPOSITORY_FAILED', `The user storage failed in ${method}().`, {
        cause: error,
      });
    }
  };
  const found = (method: string, user: User | null | undefined): User | null => {
    if (user === null || user === undefined) return null;
    return stored(method, user);
  };
  const stored = (method: string, user: User | null | undefined): User => {
    if (typeof user?.id === 'string' && Array.isArray(user.tags)) {
      if (typeof user.passwordHash === 'string') onHash(user.passwordHash);
      return user;
    }
    throw new WpFusionError(
      'REPOSITORY_FAILED',
      `The user storage's ${method}() gave something that is no user.`,
    );
  };
  return {
    findByContactId: async (contactId) => {
      const user = found(
        'findByContactId',
        await call('findByContactId', () => users.findByContactId(contactId)),
      );
      // A service that does not know the parameter may give whomever it has.
      if (user === null || String(user.contactId) === contactId) return user;
      throw new WpFusionError(
        'REPOSITORY_FAILED',
        "The user storage's findByContactId() gave the user of another contact.",
      );
    },
    findByEmail: async (email) => {
      const user = found('findByEmail', await call('findByEmail', () => users.findByEmail(email)));
      // Compared again: a collation that folds accents would hand a stranger's account to whoever asks for it.
      return user !== null && comparisonKey(user.email) === comparisonKey(email) ? user : null;
    },
    create: async (user) => stored('create', await call('create', () => users.create(user))),
    update: async (id, changes, condition) =>
      stored('update', await call('update', () => users.update(id, given(changes), condition))),
  };
}

/** Changes without what is no change: hooks may leave `undefined`, and some storages write NULL for it. */
function given({ meta, ...properties }: UserChanges): UserChanges {
  const isGiven = ([name, value]: [string, unknown]): boolean =>
    value !== undefined && name !== 'id' && name !== 'username';
  const changes: UserChanges = Object.fromEntries(Object.entries(properties).filter(isGiven));
  if (meta === undefined) return changes;
  return {
    ...changes,
    meta: Object.fromEntries(Object.entries(meta).filter(([, value]) => (value as unknown) !== undefined)),
  };
}

/** A user without its secrets, as a copy. */
export function toPublicUser(user: User): PublicUser {
  return {
    id: user.id,
    contactId: user.contactId,
    email: user.email,
    username: user.username,
    role: user.role,
    tags: [...user.tags],
    meta: structuredClone(user.meta),
  };
}
