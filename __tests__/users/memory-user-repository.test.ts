// The reference repository: every sentence of the interface, one by one.
import { MemoryUserRepository, type NewUser, type User, type UserChanges } from '../../lib';

const aUser = (given: Partial<NewUser> = {}): NewUser => ({
  contactId: '7',
  email: 'mary@example.com',
  username: 'mary',
  passwordHash: 'hash',
  role: 'subscriber',
  tags: ['Member'],
  meta: { plan: 'gold', teams: ['a', 'b'] },
  syncState: 'state-1',
  ...given,
});

let users: MemoryUserRepository;
beforeEach(() => {
  users = new MemoryUserRepository();
});

/** The stored user, as nobody has touched it. */
const stored = (): User => users.all()[0]!;

describe('create', () => {
  test('stores the user and gives it back with its id, as text', async () => {
    const created = await users.create(aUser());
    expect(created).toEqual({ ...aUser(), id: '1' });
    expect(users.all()).toEqual([created]);
    const second = aUser({ contactId: null, email: 'b@example.com', username: 'b' });
    expect(await users.create(second)).toEqual({ ...second, id: '2' });
  });

  test('an id that a caller brings is not taken over', async () => {
    expect((await users.create({ ...aUser(), id: '99' } as NewUser)).id).toBe('1');
  });

  test('two users without a contact are no duplicates', async () => {
    await users.create(aUser({ contactId: null }));
    await users.create(aUser({ contactId: null, email: 'b@example.com', username: 'b' }));
    expect(users.all()).toHaveLength(2);
  });

  test.each([
    ['contactId', { email: 'b@example.com', username: 'b' }],
    ['email', { contactId: '8', username: 'b' }],
    ['email', { contactId: '8', username: 'b', email: ' MARY@Example.COM\t' }],
    ['email', { contactId: null, username: 'b' }],
    ['username', { contactId: '8', email: 'b@example.com' }],
    ['username', { contactId: '8', email: 'b@example.com', username: '\u00A0MaRy ' }],
    // Of several the contact's id comes first, then the email.
    ['contactId', {}],
    ['email', { contactId: '8' }],
  ])('a taken %s: %j, and nothing is stored', async (field, given) => {
    await users.create(aUser());
    await expect(users.create(aUser(given))).rejects.toMatchObject({ code: 'DUPLICATE_USER', field });
    expect(users.all()).toHaveLength(1);
    // A failed try uses up no id.
    expect((await users.create(aUser({ contactId: '9', email: 'c@example.com', username: 'c' }))).id).toBe(
      '2',
    );
  });

  test.each([
    ['the Kelvin sign is no k', 'kim@example.com', '\u212Aim@example.com'],
    ['a long s is no s', 'sam@example.com', '\u017Fam@example.com'],
    ['accents count', 'jose@example.com', 'jos\u00E9@example.com'],
    ['the case of other letters counts', '\u00E9va@example.com', '\u00C9va@example.com'],
    ['a dotted I is no i', 'ivan@example.com', '\u0130van@example.com'],
    ['composed is not decomposed', 'jos\u00E9@example.com', 'jose\u0301@example.com'],
    ['white space within counts', 'mary@example.com', 'ma ry@example.com'],
  ])('%s', async (_name, one, other) => {
    await users.create(aUser({ email: one, username: one }));
    await users.create(aUser({ contactId: '8', email: other, username: other }));
    expect((await users.findByEmail(one))?.id).toBe('1');
    expect((await users.findByEmail(other))?.id).toBe('2');
  });

  test('contact ids are compared to the letter', async () => {
    await users.create(aUser({ contactId: 'abc' }));
    await users.create(aUser({ contactId: 'ABC', email: 'b@example.com', username: 'b' }));
    expect((await users.findByContactId('ABC'))?.id).toBe('2');
    expect(await users.findByContactId(' abc')).toBeNull();
  });

  test('email and username are stored as they were given', async () => {
    await users.create(aUser({ email: 'Mary@Example.com', username: 'MaryS' }));
    expect(stored()).toMatchObject({ email: 'Mary@Example.com', username: 'MaryS' });
  });
});

describe('finding', () => {
  test('by contact id, or null', async () => {
    const created = await users.create(aUser());
    expect(await users.findByContactId('7')).toEqual(created);
    expect(await users.findByContactId('8')).toBeNull();
  });

  test('by email, trimmed and in ASCII lower case, or null', async () => {
    const created = await users.create(aUser({ email: 'Mary@example.com' }));
    for (const email of ['mary@example.com', ' MARY@EXAMPLE.COM ', 'Mary@example.com']) {
      expect(await users.findByEmail(email)).toEqual(created);
    }
    expect(await users.findByEmail('mary@example.co')).toBeNull();
    expect(await users.findByEmail('')).toBeNull();
  });

  test('nobody has the contact id null', async () => {
    await users.create(aUser({ contactId: null }));
    expect(await users.findByContactId('null')).toBeNull();
  });
});

describe('copies', () => {
  const spoil = (user: NewUser | User): void => {
    user.tags.push('spoilt');
    (user.meta.teams as string[]).push('spoilt');
    user.meta.plan = 'spoilt';
    user.email = 'spoilt@example.com';
  };

  test('nobody changes a stored user by changing what was given or read', async () => {
    const given = aUser();
    const created = await users.create(given);
    const before = structuredClone(created);
    for (const read of [
      given,
      created,
      await users.findByContactId('7'),
      await users.findByEmail('mary@example.com'),
      stored(),
      await users.update('1', {}),
    ]) {
      spoil(read!);
      expect(stored()).toEqual(before);
    }
    const changes = { tags: ['New'], meta: { teams: ['c'] } };
    await users.update('1', changes);
    changes.tags.push('spoilt');
    changes.meta.teams.push('spoilt');
    expect(stored()).toMatchObject({ tags: ['New'], meta: { plan: 'gold', teams: ['c'] } });
  });
});

describe('update', () => {
  beforeEach(async () => {
    await users.create(aUser());
  });

  const changed = async (changes: UserChanges): Promise<User> => {
    const updated = await users.update('1', changes);
    expect(stored()).toEqual(updated);
    return updated;
  };

  test('gives the user back as it is now, and changes nothing else', async () => {
    expect(await changed({ role: 'customer', syncState: 'state-2' })).toEqual({
      ...aUser(),
      id: '1',
      role: 'customer',
      syncState: 'state-2',
    });
  });

  test('absent and undefined mean untouched', async () => {
    const nothing = {
      contactId: undefined,
      email: undefined,
      passwordHash: undefined,
      role: undefined,
      tags: undefined,
      meta: undefined,
      syncState: undefined,
    };
    expect(await changed(nothing)).toEqual({ ...aUser(), id: '1' });
    expect(await changed({})).toEqual({ ...aUser(), id: '1' });
    expect(await changed({ meta: {} })).toEqual({ ...aUser(), id: '1' });
  });

  test('null is a value', async () => {
    expect(await changed({ contactId: null, passwordHash: null, syncState: null })).toMatchObject({
      contactId: null,
      passwordHash: null,
      syncState: null,
    });
    expect(await users.findByContactId('7')).toBeNull();
  });

  test('meta is merged key by key; null removes a key, undefined leaves it', async () => {
    const meta = {
      plan: null,
      teams: undefined,
      size: 0,
      happy: false,
      none: null,
    } as unknown as UserChanges['meta'];
    expect((await changed({ meta })).meta).toEqual({ teams: ['a', 'b'], size: 0, happy: false });
    expect(Object.hasOwn(stored().meta, 'plan')).toBe(false);
  });

  test('meta takes names of JavaScript’s own, and they are keys like others', async () => {
    const meta = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}') as Record<string, string>;
    const updated = await changed({ meta });
    expect(Object.keys(updated.meta)).toEqual(['plan', 'teams', '__proto__', 'constructor', 'toString']);
    expect(Object.hasOwn(stored().meta, '__proto__')).toBe(true);
  });

  test('tags are replaced', async () => {
    expect((await changed({ tags: ['VIP', 'Customer'] })).tags).toEqual(['VIP', 'Customer']);
    expect((await changed({ tags: [] })).tags).toEqual([]);
  });

  test('neither id nor username ever moves', async () => {
    expect(await changed({ id: '9', username: 'other' } as UserChanges)).toEqual({ ...aUser(), id: '1' });
  });

  test('its own values are no duplicates', async () => {
    await changed({ contactId: '7', email: ' MARY@example.com' });
    expect(stored().email).toBe(' MARY@example.com');
  });

  test.each([
    ['state-1', 'state-1', true],
    [null, null, true],
    ['state-1', null, false],
    ['state-1', 'State-1', false],
    ['state-1', '', false],
    [null, 'null', false],
    [null, '', false],
  ])('stored %j, condition %j: written %s', async (syncState, ifSyncState, written) => {
    await users.update('1', { syncState });
    const write = users.update('1', { role: 'customer', syncState: 'next' }, { ifSyncState });
    if (written) expect(await write).toMatchObject({ role: 'customer', syncState: 'next' });
    else {
      await expect(write).rejects.toMatchObject({ code: 'STALE_USER', id: '1' });
      expect(stored()).toEqual({ ...aUser({ syncState }), id: '1' });
    }
  });

  test('of several writers with one condition one wins', async () => {
    const writes = await Promise.allSettled(
      ['a', 'b', 'c'].map((role) => users.update('1', { role, syncState: role }, { ifSyncState: 'state-1' })),
    );
    expect(writes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(stored().role).toBe('a');
  });

  test.each([
    ['contactId', { contactId: '8' }],
    ['email', { email: 'B@example.com ' }],
    ['contactId', { contactId: '8', email: 'b@example.com' }],
  ])('a taken %s: all or nothing', async (field, changes) => {
    await users.create(aUser({ contactId: '8', email: 'b@example.com', username: 'b' }));
    const write = users.update('1', { ...changes, role: 'customer', meta: { plan: null }, tags: [] });
    await expect(write).rejects.toMatchObject({ code: 'DUPLICATE_USER', field });
    expect(stored()).toEqual({ ...aUser(), id: '1' });
  });

  test('the order of the errors: unknown, stale, duplicate', async () => {
    await users.create(aUser({ contactId: '8', email: 'b@example.com', username: 'b' }));
    const taken = { email: 'b@example.com' };
    const stale = { ifSyncState: 'other' };
    await expect(users.update('99', taken, stale)).rejects.toMatchObject({
      code: 'USER_NOT_FOUND',
      id: '99',
    });
    await expect(users.update('1', taken, stale)).rejects.toMatchObject({ code: 'STALE_USER' });
    await expect(users.update('1', taken, { ifSyncState: 'state-1' })).rejects.toMatchObject({
      code: 'DUPLICATE_USER',
    });
  });
});
