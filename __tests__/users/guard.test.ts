// What stands between the core and a host's repository: only named errors come through, and only what was asked for.
import { MemoryUserRepository, type NewUser, type User, type UserChanges } from '../../lib';
import { guardRepository } from '../../lib/users/guard';

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
  expect(heard).toEqual([
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
});
