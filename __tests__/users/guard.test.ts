// What stands between the core and a host's repository: only named errors come through, and only what was asked for.
import {
  MemoryUserRepository,
  type NewUser,
  type User,
  type UserChanges,
  type UserRepository,
} from '../../lib';
import { guardRepository, toPublicUser } from '../../lib/users/guard';

const mary: NewUser = {
  contactId: '7',
  email: 'mary@example.com',
  username: 'mary',
  passwordHash: null,
  role: 'subscriber',
  tags: [],
  meta: { plan: 'gold' },
  syncState: null,
};

test('the user of another contact is a failure of the storage, not a user', async () => {
  const users = new MemoryUserRepository();
  const created = await users.create(mary);
  users.findByContactId = () => Promise.resolve(created);
  const guarded = guardRepository(users, () => undefined);
  expect(await guarded.findByContactId('7')).toEqual(created);
  await expect(guarded.findByContactId('8')).rejects.toMatchObject({ code: 'REPOSITORY_FAILED' });
});

test('an email that only the storage finds equal finds nobody', async () => {
  const users = new MemoryUserRepository();
  const created = await users.create({ ...mary, email: 'rené@example.com' });
  users.findByEmail = () => Promise.resolve(created);
  const guarded = guardRepository(users, () => undefined);
  expect(await guarded.findByEmail(' RENé@example.com')).toEqual(created);
  expect(await guarded.findByEmail('rene@example.com')).toBeNull();
});

test('a storage hears of changes only: nothing undefined, no id, no username', async () => {
  const users = new MemoryUserRepository();
  const { id } = await users.create(mary);
  const heard: UserChanges[] = [];
  const update = users.update.bind(users);
  users.update = (...given) => {
    heard.push(given[1]);
    return update(...given);
  };
  const guarded = guardRepository(users, () => undefined);
  const changes = {
    email: undefined,
    role: 'customer',
    meta: { plan: undefined, colour: null },
    id: '9',
    username: 'x',
  };
  await guarded.update(id, changes as unknown as UserChanges);
  await guarded.update(id, { contactId: null, passwordHash: null });
  expect(heard).toStrictEqual([
    { role: 'customer', meta: { colour: null } },
    { contactId: null, passwordHash: null },
  ]);
  expect(Object.keys(heard[0]!)).toEqual(['role', 'meta']);
});

test('hashes are heard of, so that they can be kept out of logs', async () => {
  const hashes: string[] = [];
  const guarded = guardRepository(new MemoryUserRepository(), (hash) => hashes.push(hash));
  const user: User = await guarded.create({ ...mary, passwordHash: 'a hash' });
  expect(hashes).toEqual(['a hash']);
  expect(user.passwordHash).toBe('a hash');
  await guarded.create({ ...mary, contactId: '8', email: 'eve@example.com', username: 'eve' });
  expect(hashes).toEqual(['a hash']);
});

const METHODS = ['findByContactId', 'findByEmail', 'create', 'update'] as const;
type Method = (typeof METHODS)[number];

/** Calls one method, behind the guard, of a repository that does nothing but `answer` in it. */
function call(method: Method, answer: () => Promise<unknown>): Promise<unknown> {
  const users = new MemoryUserRepository();
  (users as unknown as Record<Method, () => Promise<unknown>>)[method] = answer;
  const guarded: UserRepository = guardRepository(users, () => undefined);
  if (method === 'findByContactId') return guarded.findByContactId('7');
  if (method === 'findByEmail') return guarded.findByEmail('mary@example.com');
  return method === 'create' ? guarded.create(mary) : guarded.update('1', {});
}

describe.each(METHODS)('what %s() throws', (method) => {
  const named: Partial<Record<Method, string[]>> = {
    create: ['DUPLICATE_USER'],
    update: ['DUPLICATE_USER', 'USER_NOT_FOUND', 'STALE_USER'],
  };

  test.each(['DUPLICATE_USER', 'USER_NOT_FOUND', 'STALE_USER'])(
    '%s comes through where it can be meant; else it is a failure of the storage',
    async (code) => {
      const error = Object.assign(new Error('of the storage'), { code, field: 'email' });
      const thrown: unknown = await call(method, () => Promise.reject(error)).catch(
        (reason: unknown) => reason,
      );
      if (named[method]?.includes(code) === true) expect(thrown).toBe(error);
      else expect(thrown).toMatchObject({ code: 'REPOSITORY_FAILED', cause: error });
    },
  );

  test.each<[string, Error]>([
    ['an error without a code', new Error('connection lost')],
    ['a code of the storage’s own', Object.assign(new Error('busy'), { code: 'SQLITE_BUSY' })],
    ['a duplicate that does not say of what', Object.assign(new Error(), { code: 'DUPLICATE_USER' })],
    ['a duplicate of the role', Object.assign(new Error(), { code: 'DUPLICATE_USER', field: 'role' })],
    ['a text', 'broken' as never],
    ['nothing', null as never],
  ])('%s is a failure of the storage', async (_name, cause) => {
    const promise = call(method, () => Promise.reject(cause));
    await expect(promise).rejects.toMatchObject({ code: 'REPOSITORY_FAILED', cause });
    await expect(promise).rejects.toThrow(`${method}()`);
  });
});

test.each(['contactId', 'email', 'username'])('a duplicate may be of the %s', async (field) => {
  const error = Object.assign(new Error(), { code: 'DUPLICATE_USER', field });
  await expect(call('create', () => Promise.reject(error))).rejects.toBe(error);
  await expect(call('update', () => Promise.reject(error))).rejects.toBe(error);
});

test.each(['findByContactId', 'findByEmail'] as const)(
  '%s() may give undefined where it finds nobody',
  async (method) => {
    expect(await call(method, () => Promise.resolve(undefined))).toBeNull();
    expect(await call(method, () => Promise.resolve(null))).toBeNull();
  },
);

test.each(['create', 'update'] as const)('%s() has to give the user', async (method) => {
  for (const nothing of [null, undefined]) {
    await expect(call(method, () => Promise.resolve(nothing))).rejects.toMatchObject({
      code: 'REPOSITORY_FAILED',
    });
  }
});

describe.each(METHODS)('what %s() gives', (method) => {
  const whole = { ...mary, id: '1' };
  test.each([
    ['a list of users', [whole]],
    ['a text', 'mary'],
    ['true', true],
    ['an empty object', {}],
    ['a user whose id is a number', { ...whole, id: 1 }],
    ['a user whose tags are a text', { ...whole, tags: 'a,b' }],
    ['a user without tags', { ...whole, tags: undefined }],
  ])('%s: is no user, and a failure of the storage', async (_name, answer) => {
    const promise = call(method, () => Promise.resolve(answer));
    await expect(promise).rejects.toMatchObject({ code: 'REPOSITORY_FAILED' });
    await expect(promise).rejects.toThrow(`${method}() gave something that is no user`);
  });

  test('a user comes through, its contact’s id as text or number', async () => {
    expect(await call(method, () => Promise.resolve(whole))).toBe(whole);
    const numbered = { ...whole, contactId: 7 };
    expect(await call(method, () => Promise.resolve(numbered))).toBe(numbered);
  });
});

test('a user is shown to the host without its secrets, as a copy down to its meta', () => {
  const user: User = {
    ...mary,
    id: '1',
    passwordHash: 'a hash',
    syncState: 'a state',
    tags: ['a'],
    meta: { list: ['x'] },
  };
  const shown = toPublicUser(user);
  expect(shown).toStrictEqual({
    id: '1',
    contactId: '7',
    email: 'mary@example.com',
    username: 'mary',
    role: 'subscriber',
    tags: ['a'],
    meta: { list: ['x'] },
  });
  shown.tags.push('b');
  (shown.meta.list as string[]).push('y');
  expect(user).toMatchObject({ tags: ['a'], meta: { list: ['x'] } });
});
