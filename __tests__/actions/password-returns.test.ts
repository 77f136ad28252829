// Returning a password behind the answer, step by step, without the web around it: what is written, what stays owed, how long is
// waited. In processes that die: fail-points.test.ts.
import timers from 'node:timers/promises';
import {
  shownIn,
  withClaim,
  type PasswordReturn,
  type PasswordReturns,
} from '../../lib/actions/password-returns';
import { fingerprint, formatSyncState } from '../../lib/users/sync-state';
import { cheapHasher, gate } from '../http/site';
import { ACCESS_KEY, failure, pieces, type Pieces } from './pieces';

const PASSWORD = 'the-one-we-made';
const THEIRS = 'the-one-another-process-made';

/** How long each pause was to be; none takes any time. */
let pauses: { ms: number; options: object | undefined }[];
beforeEach(() => {
  pauses = [];
  jest.spyOn(timers, 'setTimeout').mockImplementation(async (ms, _value, options) => {
    pauses.push({ ms: ms ?? 0, options });
    return undefined;
  });
});
afterEach(() => jest.restoreAllMocks());

interface Bench extends Pieces {
  readonly job: PasswordReturn;
  /** Starts the return, resolves when nothing is under way any more: whether it was settled at once. */
  readonly run: () => Promise<boolean>;
}

/** A user whose password is owed, with a claim of ours beside the others that a test names. */
async function bench(given: { others?: string[]; usernameField?: string } = {}): Promise<Bench> {
  const { others = [], usernameField } = given;
  const all = pieces({ returnPassword: { field: 'f1', usernameField } });
  const { returns } = all;
  const hash = await cheapHasher.hash(PASSWORD);
  const claim = returns.newClaim();
  await all.addUser({
    passwordHash: hash,
    state: {
      hash: fingerprint(hash),
      password: { claims: [...others, claim], claimedAt: 1_000_000 },
      afterCreate: true,
      mail: true,
    },
  });
  const job = { contactId: '1', username: 'mary', password: PASSWORD, hash, claim };
  return {
    ...all,
    job,
    run: async () => {
      const isSettled = await returns.start(job, { mayClearAtOnce: true }).settled;
      await untilNothingIs(returns);
      return isSettled;
    },
  };
}

/** Unlike `ended()` it cuts nothing short. */
async function untilNothingIs(returns: PasswordReturns): Promise<void> {
  while (returns.size > 0) await new Promise(setImmediate);
}

/** Another process gives the user its password, with a claim of its own. */
async function takenOver({ users, stored }: Bench, claims: string[]): Promise<void> {
  const { user, state } = stored();
  const passwordHash = await cheapHasher.hash(THEIRS);
  const password = { claims, claimedAt: 1_000_000 };
  const syncState = formatSyncState({ ...state, hash: fingerprint(passwordHash), password });
  await users.update(user.id, { passwordHash, syncState });
}

describe('a return without trouble', () => {
  test('writes the password once, takes the debt away and leaves everything else', async () => {
    const { crm, run, stored, job, logged, closed } = await bench();
    expect(await run()).toBe(true);
    expect(crm.reads).toBe(0);
    expect(crm.written).toEqual([{ id: '1', fields: { f1: PASSWORD }, options: { signal: closed.signal } }]);
    expect(stored().state).toEqual({
      hash: fingerprint(job.hash),
      password: undefined,
      afterCreate: true,
      mail: true,
    });
    expect(stored().user.passwordHash).toBe(job.hash);
    expect(['debug', 'warn', 'error'].flatMap(logged)).toEqual([]);
    expect(pauses).toEqual([]);
  });

  test('writes the username with it, where a field is named for that', async () => {
    const { crm, run } = await bench({ usernameField: 'f2' });
    await run();
    expect(crm.written).toMatchObject([{ fields: { f1: PASSWORD, f2: 'mary' } }]);
  });

  test('is at work, for the other processes, until it is over', async () => {
    const { presence, run } = await bench();
    const enter = jest.spyOn(presence, 'enter');
    const running = run();
    const [isAtWork] = enter.mock.calls[0]!;
    expect(isAtWork()).toBe(true);
    await running;
    expect(isAtWork()).toBe(false);
  });

  test('leaves a debt that is over alone', async () => {
    const { run, stored, users } = await bench();
    const { user, state } = stored();
    await users.update(user.id, { syncState: formatSyncState({ ...state, password: undefined }) });
    expect(await run()).toBe(true);
    expect(stored().state).toEqual({ ...state, password: undefined });
  });

  test('leaves the claims of others', async () => {
    const { run, stored } = await bench({ others: ['another', 'a-third'] });
    expect(await run()).toBe(true);
    expect(stored().state.password).toEqual({
      claims: ['another', 'a-third'],
      claimedAt: 1_000_000,
    });
  });

  test('keeps the debt until the user is complete', async () => {
    const { crm, returns, job, stored } = await bench();
    const returning = returns.start(job, { mayClearAtOnce: false });
    while (crm.written.length === 0) await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(stored().state.password?.claims).toEqual([job.claim]);
    returning.mayClear();
    expect(await returning.settled).toBe(true);
    expect(stored().state.password).toBeUndefined();
  });

  test('is under way while it is, for its contact', async () => {
    const { crm, returns, job } = await bench();
    const held = gate();
    crm.before = () => held.pass();
    const first = returns.start(job, { mayClearAtOnce: true });
    expect(returns.underWay('1')).toBe(first);
    expect(returns.underWay('2')).toBeUndefined();
    expect(returns.size).toBe(1);
    expect(await returns.isUnderWay('1', [])).toBe(true);
    expect(await returns.isUnderWay('2', [])).toBe(false);
    expect(returns.standing([job.claim, 'another'])).toEqual(['another']);
    await held.reached;

    // One that follows takes its place, and the end of the first does not take that away.
    const later = gate();
    crm.before = () => later.pass();
    const second = returns.start({ ...job, claim: returns.newClaim() }, { mayClearAtOnce: true });
    held.open();
    await first.settled;
    await new Promise(setImmediate);
    expect(returns.underWay('1')).toBe(second);
    later.open();
    await second.settled;
    await untilNothingIs(returns);
    expect(returns.underWay('1')).toBeUndefined();
  });
});

describe('what a CRM in trouble makes of it', () => {
  test('tells the first trouble, goes on, and tells the log as a warning once', async () => {
    const one = await bench();
    one.crm.failures.push(failure('CRM_UNAVAILABLE'), new Error('a socket'));
    expect(await one.run()).toBe(false);
    expect(one.crm.written).toHaveLength(3);
    expect(one.stored().state.password).toBeUndefined();
    expect(one.logged('warn')).toHaveLength(1);
    expect(one.logged('warn')[0]).toMatch(/"CRM_UNAVAILABLE","contactId":"1","failures":1.*trying again/);
    expect(one.logged('debug')).toHaveLength(1);
    expect(one.logged('debug')[0]).toMatch(/"failures":2.*a socket.*still not returned/);
    expect(one.logged('error')).toEqual([]);
  });

  test('waits twice as long each time, a minute at most, and gives up after an hour’s worth', async () => {
    const one = await bench({ others: ['another'] });
    one.crm.failures.push(...Array.from({ length: 100 }, () => failure('CRM_BAD_RESPONSE')));
    expect(await one.run()).toBe(false);
    expect(one.crm.written).toHaveLength(70);
    const bounds = [1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000);
    for (const [index, most] of bounds.entries()) {
      expect(pauses[index]!.ms).toBeGreaterThanOrEqual(most / 2);
      expect(pauses[index]!.ms).toBeLessThanOrEqual(most);
    }
    expect(pauses).toHaveLength(69);
    // Differing waits, so that processes that failed together do not come back together.
    expect(new Set(pauses.slice(10).map(({ ms }) => ms)).size).toBeGreaterThan(10);
    expect(pauses[0]!.options).toEqual({ signal: expect.any(AbortSignal), ref: false });
    expect(one.logged('error')).toHaveLength(1);
    expect(one.logged('error')[0]).toMatch(/"failures":70.*it stays owed/);
    // Nobody has to wait for it any more: the next webhook gives another one.
    expect(one.stored().state.password).toEqual({ claims: ['another'], claimedAt: 1_000_000 });
  });

  test('waits as long as the CRM asks for, if that is longer', async () => {
    const { crm, run } = await bench();
    crm.failures.push(failure('CRM_RATE_LIMITED', 90), failure('CRM_RATE_LIMITED', 0));
    await run();
    expect(pauses[0]!.ms).toBe(90_000);
    expect(pauses[1]!.ms).toBeGreaterThanOrEqual(1000);
    expect(pauses[1]!.ms).toBeLessThanOrEqual(2000);
  });

  test.each(['CRM_UNAUTHORIZED', 'CONTACT_NOT_FOUND'] as const)('%s is not tried again', async (code) => {
    const one = await bench();
    one.crm.failures.push(failure(code));
    expect(await one.run()).toBe(false);
    expect(one.crm.written).toHaveLength(1);
    expect(one.logged('error')).toHaveLength(1);
    expect(one.logged('error')[0]).toContain(`"code":"${code}"`);
    expect(one.stored().state).toMatchObject({ password: { claims: [] }, afterCreate: true, mail: true });
    expect(one.stored().user.passwordHash).toBe(one.job.hash);
  });

  test('tells the log neither the password nor its hash', async () => {
    const { crm, run, logged, job } = await bench();
    crm.failures.push(new Error(`refused ${PASSWORD} for ${job.hash}, key ${ACCESS_KEY}`));
    await run();
    expect(logged('warn')).toHaveLength(1);
    for (const secret of [PASSWORD, job.hash, ACCESS_KEY]) {
      expect(logged('warn').join()).not.toContain(secret);
    }
  });
});

describe('what happens to the user meanwhile', () => {
  test.each([
    ['is gone', async ({ users }: Bench) => void (users.isGone = true)],
    [
      'has no password any more',
      async ({ users, stored }: Bench) => users.update(stored().user.id, { passwordHash: null }),
    ],
  ])('a user that %s is owed nothing', async (_name, change) => {
    const one = await bench();
    one.crm.before = async () => {
      await change(one);
    };
    expect(await one.run()).toBe(true);
    expect(one.logged('error')).toEqual([]);
  });

  test('a password that the person chose stays, and the debt is over, whoever has a claim on it', async () => {
    const one = await bench({ others: ['another'] });
    const chosen = await cheapHasher.hash('chosen by Mary');
    one.crm.before = async () => {
      await one.users.update(one.stored().user.id, { passwordHash: chosen });
    };
    expect(await one.run()).toBe(true);
    expect(one.stored()).toMatchObject({ user: { passwordHash: chosen }, state: { password: undefined } });
    expect(one.crm.reads).toBe(0);
  });

  test('another process’s password, which the CRM shows: only our claim goes', async () => {
    const one = await bench();
    one.crm.before = () => takenOver(one, ['another', one.job.claim]);
    // Its write arrives after ours.
    const read = one.crm.getContacts.bind(one.crm);
    one.crm.getContacts = async (ids) => {
      one.crm.contacts.get('1')!.fields = { f1: THEIRS };
      return read(ids);
    };
    expect(await one.run()).toBe(true);
    expect(one.crm.written).toHaveLength(1);
    expect(one.stored().state.password?.claims).toEqual(['another']);
    expect(await cheapHasher.verify(THEIRS, one.stored().user.passwordHash!)).toBe(true);
    expect(pauses).toEqual([]);
  });

  test('another process’s password, but the CRM shows ours: ours is made true, and not written again', async () => {
    const one = await bench();
    one.crm.before = () => takenOver(one, ['another', one.job.claim]);
    expect(await one.run()).toBe(true);
    expect(one.crm.written).toHaveLength(1);
    expect(one.stored().user.passwordHash).toBe(one.job.hash);
    expect(one.stored().state).toMatchObject({
      hash: fingerprint(one.job.hash),
      password: { claims: ['another'] },
      afterCreate: true,
      mail: true,
    });
    expect(pauses).toEqual([]);
  });

  test('another process’s password, and the CRM shows neither: looked for, then ours is written once more', async () => {
    const one = await bench();
    jest.spyOn(Math, 'random').mockReturnValue(0.5);
    const read = jest.spyOn(one.site.contacts, 'read');
    let writes = 0;
    one.crm.before = async () => {
      writes += 1;
      if (writes === 1) await takenOver(one, ['another', one.job.claim]);
    };
    const write = one.crm.updateContact.bind(one.crm);
    one.crm.updateContact = async (id, fields, options) => {
      await write(id, fields, options);
      if (writes === 1) one.crm.contacts.get('1')!.fields = { f1: 'what a third one wrote' };
    };
    expect(await one.run()).toBe(true);
    expect(one.crm.written).toHaveLength(2);
    expect(one.stored().user.passwordHash).toBe(one.job.hash);
    expect(one.crm.contacts.get('1')!.fields).toEqual({ f1: PASSWORD });
    expect(one.stored().state.password?.claims).toEqual(['another']);
    // Three looks for the other's, that may be about to arrive.
    const options = { signal: one.closed.signal, ref: false };
    expect(pauses).toEqual(Array.from({ length: 3 }, () => ({ ms: 200, options })));
    expect(read.mock.calls[0]).toEqual(['1', { fields: ['f1'], signal: one.closed.signal }]);
    expect(one.logged('warn')).toEqual([]);
  });

  test('another process’s password, and a contact that cannot be read: tried again', async () => {
    const one = await bench();
    one.crm.before = () => takenOver(one, ['another', one.job.claim]);
    const read = one.crm.getContacts.bind(one.crm);
    let reads = 0;
    one.crm.getContacts = async (ids) => {
      reads += 1;
      if (reads === 1) throw new Error('a socket');
      return read(ids);
    };
    expect(await one.run()).toBe(false);
    expect(one.logged('warn')[0]).toContain('"code":"CRM_UNAVAILABLE"');
    // What is written is not written again.
    expect(one.crm.written).toHaveLength(1);
    expect(one.stored().user.passwordHash).toBe(one.job.hash);
  });

  test('another process’s password, and no contact any more: ours is written, and refused', async () => {
    const one = await bench();
    one.crm.before = async () => {
      await takenOver(one, ['another', one.job.claim]);
      one.crm.contacts.delete('1');
    };
    one.crm.failures.push(undefined, failure('CONTACT_NOT_FOUND'));
    await one.run();
    expect(one.crm.written).toHaveLength(2);
    expect(one.logged('error')).toHaveLength(1);
  });

  test('a user that others write to is written again as it is then', async () => {
    const one = await bench();
    const update = one.users.update.bind(one.users);
    let tries = 0;
    one.users.update = async (...given) => {
      tries += 1;
      if (tries < 20) throw failure('STALE_USER');
      return update(...given);
    };
    expect(await one.run()).toBe(true);
    expect(tries).toBe(20);
  });

  test('a storage that never takes it is told of, and tried again', async () => {
    const one = await bench();
    const update = one.users.update.bind(one.users);
    let tries = 0;
    one.users.update = async (...given) => {
      tries += 1;
      if (tries <= 20) throw failure('STALE_USER');
      return update(...given);
    };
    expect(await one.run()).toBe(false);
    expect(one.logged('warn')[0]).toMatch(/"REPOSITORY_FAILED".*20 times in a row/);
    expect(one.crm.written).toHaveLength(1);
    expect(one.stored().state.password).toBeUndefined();
  });

  test('a storage that is not to be had is tried again later, not at once', async () => {
    const one = await bench();
    const update = one.users.update.bind(one.users);
    let tries = 0;
    one.users.update = async (...given) => {
      tries += 1;
      if (tries === 1) throw failure('REPOSITORY_FAILED');
      return update(...given);
    };
    expect(await one.run()).toBe(false);
    expect(pauses).toHaveLength(1);
    expect(one.stored().state.password).toBeUndefined();
  });

  test('a user that is deleted in the middle of that is owed nothing', async () => {
    const one = await bench();
    one.users.update = async () => {
      one.users.isGone = true;
      throw failure('USER_NOT_FOUND');
    };
    expect(await one.run()).toBe(true);
  });

  test('a storage that fails with something of its own is not asked again', async () => {
    const one = await bench();
    one.users.findByContactId = async () => {
      throw new Error('of a driver');
    };
    expect(await one.run()).toBe(false);
    expect(one.crm.written).toHaveLength(1);
    expect(one.logged('error')[0]).toMatch(/"INTERNAL_ERROR".*of a driver/);
    expect(pauses).toEqual([]);
  });

  test('giving up takes the claim back from a user that others write to, a few times', async () => {
    const one = await bench();
    one.crm.failures.push(failure('CRM_UNAUTHORIZED'));
    const update = one.users.update.bind(one.users);
    let tries = 0;
    one.users.update = async (...given) => {
      tries += 1;
      if (tries < 4) throw failure('STALE_USER');
      return update(...given);
    };
    await one.run();
    expect(tries).toBe(4);
    expect(one.stored().state.password?.claims).toEqual([]);
  });

  test('giving up leaves a claim that cannot be taken back, and a user that owes nothing', async () => {
    const stubborn = await bench();
    stubborn.crm.failures.push(failure('CRM_UNAUTHORIZED'));
    let tries = 0;
    stubborn.users.update = async () => {
      tries += 1;
      throw failure('STALE_USER');
    };
    await stubborn.run();
    expect(tries).toBe(4);
    expect(stubborn.stored().state.password?.claims).toEqual([stubborn.job.claim]);

    const free = await bench();
    free.crm.failures.push(failure('CRM_UNAUTHORIZED'));
    const { user, state } = free.stored();
    const syncState = formatSyncState({ ...state, password: undefined });
    await free.users.update(user.id, { syncState });
    await free.run();
    expect(free.stored().user.syncState).toBe(syncState);

    const gone = await bench();
    gone.crm.failures.push(failure('CRM_UNAUTHORIZED'));
    gone.users.isGone = true;
    gone.users.update = jest.fn();
    await gone.run();
    expect(gone.users.update).not.toHaveBeenCalled();
    expect(gone.logged('error')).toHaveLength(1);
  });
});

describe('ending', () => {
  test('waits for one that is at work, and gives up one that waits to try again', async () => {
    const one = await bench();
    const held = gate();
    one.crm.before = () => held.pass();
    one.crm.failures.push(...Array.from({ length: 5 }, () => failure('CRM_UNAVAILABLE')));
    one.returns.start(one.job, { mayClearAtOnce: true });
    await held.reached;
    let isEnded = false;
    const ended = one.returns.ended().then(() => {
      isEnded = true;
    });
    await new Promise(setImmediate);
    expect(isEnded).toBe(false);
    held.open();
    await ended;
    expect(one.crm.written).toHaveLength(1);
    expect(one.stored().state.password?.claims).toEqual([one.job.claim]);
  });

  test('one that is begun while it ends still has its one try', async () => {
    const one = await bench();
    await one.returns.ended();
    expect(await one.run()).toBe(true);
    expect(one.crm.written).toHaveLength(1);
  });

  test('nothing is begun after the end', async () => {
    const one = await bench();
    one.closed.abort();
    expect(await one.run()).toBe(false);
    expect(one.crm.written).toEqual([]);
    expect(one.stored().state.password?.claims).toEqual([one.job.claim]);
  });
});

test.each([
  [undefined, false],
  ['', false],
  ['another', false],
  [PASSWORD, true],
])('whether %j logs in', async (password, expected) => {
  const { returns, stored, site } = await bench();
  expect(await returns.logsIn(stored().user, password)).toBe(expected);
  const verify = jest.spyOn(site.configuration.passwordHasher, 'verify');
  expect(await returns.logsIn({ ...stored().user, passwordHash: null }, password)).toBe(false);
  expect(await returns.logsIn(stored().user, '')).toBe(false);
  expect(verify).not.toHaveBeenCalled();
});

test('what a contact shows: the field as the CRM tells it, else as it is read', () => {
  const contact = { id: '1', email: null, tags: [], modifiedAt: null, fields: { f1: 'read', f2: 7 } };
  expect(shownIn(contact, 'f1')).toBe('read');
  expect(shownIn(contact, 'f2')).toBeUndefined();
  expect(shownIn(contact, 'f3')).toBeUndefined();
  expect(shownIn({ ...contact, raw: { f1: ' as told ' } }, 'f1')).toBe(' as told ');
  expect(shownIn({ ...contact, raw: { f2: 'x' } }, 'f1')).toBe('read');
});

test('a claim is added to those that are there, as the last, with its time', () => {
  const state = { hash: 'h', mail: true, password: { claims: ['a', 'b', 'c'], claimedAt: 5 } };
  const before = Math.floor(Date.now() / 1000);
  const { password, ...rest } = withClaim(state, 'b');
  expect(rest).toEqual({ hash: 'h', mail: true });
  expect(password!.claims).toEqual(['a', 'c', 'b']);
  expect(password!.claimedAt).toBeGreaterThanOrEqual(before);
  expect(password!.claimedAt).toBeLessThanOrEqual(Math.floor(Date.now() / 1000));
  expect(withClaim({}, 'a').password!.claims).toEqual(['a']);
});
