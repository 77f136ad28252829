// What is still owed to a user, settled by a later run: the password to the CRM, afterCreate, the welcome mail; as a webhook does
// it, and as the job that a queue keeps for it. How a return itself goes: password-returns.test.ts.
import type { Conditions } from '../../lib/actions/conditions';
import { processWebhook, RunFailure } from '../../lib/actions/process';
import { SETTLE } from '../../lib/queue/webhook';
import type { Result } from '../../lib/result';
import { fingerprint, formatSyncState, type SyncState } from '../../lib/users/sync-state';
import type { WpFusionWebhookOptions } from '../../lib';
import { cheapHasher, gate } from '../http/site';
import { conditions, failure, pieces, type Pieces } from './pieces';

const PASSWORD = 'the-one-we-made';
const MINUTES_15 = 15 * 60;
/** Seconds since 1970. */
const NOW = 1_800_000_000;

interface Bench extends Pieces {
  readonly hash: string;
  readonly run: (action: string, conditions?: Partial<Conditions>) => Promise<Result>;
}

/** A user to whom something is owed, and a CRM that shows a password. */
async function bench(
  owed: Partial<SyncState>,
  options: Partial<WpFusionWebhookOptions> = {},
  shown: string | null = null,
): Promise<Bench> {
  const all = pieces({ returnPassword: { field: 'f1' }, ...options });
  const hash = await cheapHasher.hash(PASSWORD);
  await all.addUser({ passwordHash: hash, state: { hash: fingerprint(hash), ...owed } });
  all.crm.contacts.get('1')!.fields = { email: 'mary@example.com', f1: shown };
  const run = (action: string, given?: Partial<Conditions>): Promise<Result> =>
    processWebhook(
      { action, contactId: '1', sendNotification: false, emails: [], dryRun: false, parameters: {} },
      all.site,
      conditions(given),
    );
  return { ...all, hash, run };
}

/** A password that is owed, with claims of processes that nobody has heard of since. */
const debt = (claims: string[] = ['another'], age = 60): Partial<SyncState> => ({
  password: { claims, claimedAt: NOW - age },
});

type Update = Pieces['users']['update'];

/** Lets somebody else do something behind the run's own write, just before what is owed is crossed off or replaced. */
function meanwhile({ users }: Bench, what: (update: Update) => Promise<void>): jest.SpiedFunction<Update> {
  const update = users.update.bind(users);
  const spied = jest.spyOn(users, 'update');
  return spied.mockImplementation(async (...given) => {
    if (spied.mock.calls.length !== 2) return update(...given);
    await what(update);
    throw failure('STALE_USER');
  });
}

const codes = ({ warnings }: Result): string[] => warnings.map(({ code }) => code);

beforeEach(() => {
  jest.spyOn(Date, 'now').mockReturnValue(NOW * 1000);
});
afterEach(() => jest.restoreAllMocks());

// What a webhook and the queue's own job do alike.
describe.each(['update_tags', SETTLE])('%s: a password that is owed', (action) => {
  test('and that the CRM does not show is replaced by a new one', async () => {
    const one = await bench({ ...debt(), afterCreate: true, mail: true });
    const result = await one.run(action);
    expect(codes(result)).toEqual([]);
    expect(one.crm.written).toHaveLength(1);
    const { user, state } = one.stored();
    const shown = String(one.crm.contacts.get('1')!.fields.f1);
    expect(shown).not.toBe(PASSWORD);
    expect(await cheapHasher.verify(shown, user.passwordHash!)).toBe(true);
    // Not forgotten: what else is owed, and that the process of the other claim may have a write under way.
    expect(state).toMatchObject({
      hash: fingerprint(user.passwordHash!),
      password: { claims: ['another'], claimedAt: NOW },
      afterCreate: true,
      mail: true,
    });
    expect(result.owed).toMatchObject({ code: 'PASSWORD_NOT_RETURNED', state: MINUTES_15 * 1000 + 1000 });
    expect(one.crm.reads).toBe(1);
  });

  test('and that nobody else has a claim on is over when it is returned', async () => {
    const one = await bench(debt([]));
    const result = await one.run(action);
    expect(one.crm.written).toHaveLength(1);
    expect(result.owed).toBeUndefined();
    expect(one.stored().state.password).toBeUndefined();
  });

  test.each([
    ['nobody has a claim on', [], 60, undefined],
    ['somebody may still have a write of under way', ['another'], 100, 801_000],
    ['was claimed just as long ago as a write can take', ['another'], MINUTES_15, 1000],
    ['was claimed longer ago than a write can take', ['another'], MINUTES_15 + 1, undefined],
  ])('and that the CRM shows, which %s', async (_name, claims, age, openFor) => {
    const one = await bench(debt(claims, age), {}, PASSWORD);
    const result = await one.run(action);
    expect(codes(result)).toEqual([]);
    expect(one.crm.written).toEqual([]);
    expect(one.crm.reads).toBe(1);
    expect(one.stored().user.passwordHash).toBe(one.hash);
    expect(one.stored().state.hash).toBe(fingerprint(one.hash));
    if (openFor === undefined) {
      expect(result.owed).toBeUndefined();
      expect(one.stored().state.password).toBeUndefined();
    } else {
      expect(result.owed).toEqual({
        code: 'PASSWORD_NOT_RETURNED',
        detail: expect.stringContaining('looked at later'),
        state: openFor,
      });
      expect(one.stored().state.password?.claims).toEqual(claims);
    }
  });

  test.each([
    ['chose another one', 'cheap:of-the-person'],
    ['has no password any more', null],
  ])('to a person who %s is owed no more', async (_name, passwordHash) => {
    const one = await bench(debt());
    await one.users.update(one.stored().user.id, { passwordHash });
    const result = await one.run(action);
    expect(codes(result)).toEqual([]);
    expect(result.owed).toBeUndefined();
    expect(one.crm.written).toEqual([]);
    expect(one.stored()).toMatchObject({ user: { passwordHash }, state: { password: undefined } });
    expect(one.stored().state.hash).toBe(fingerprint(one.hash));
  });

  test.each([
    ['a person who chose another one', 'cheap:of-the-person', null],
    ['a CRM that shows it', undefined, PASSWORD],
    ['a CRM that does not', undefined, null],
  ])('with %s, and somebody who writes in between: looked at again', async (_name, passwordHash, shown) => {
    const one = await bench(debt([]), {}, shown);
    if (passwordHash !== undefined) await one.users.update(one.stored().user.id, { passwordHash });
    const update = meanwhile(one, async () => undefined);
    const result = await one.run(action);
    expect(update.mock.calls.length).toBeGreaterThan(2);
    expect(codes(result)).toEqual([]);
    expect(result.owed).toBeUndefined();
    expect(one.stored().state.password).toBeUndefined();
    expect(one.crm.written).toHaveLength(shown === null && passwordHash === undefined ? 1 : 0);
    // What the CRM shows is read anew, since the other one may have written it; what the person chose needs no look.
    expect(one.crm.reads).toBe(passwordHash === undefined ? 2 : 1);
  });

  test('to a user that is deleted in the middle of it is owed no more', async () => {
    const one = await bench(debt([]));
    meanwhile(one, async () => {
      one.users.isGone = true;
    });
    expect(codes(await one.run(action))).toEqual([]);
    expect(one.crm.written).toEqual([]);
  });

  test('which another process settles in the middle of it is owed no more', async () => {
    const one = await bench(debt([]));
    meanwhile(one, async (update) => {
      const { user, state } = one.stored();
      await update(user.id, { syncState: formatSyncState({ ...state, password: undefined }) });
    });
    const result = await one.run(action);
    expect(codes(result)).toEqual([]);
    expect(result.owed).toBeUndefined();
    expect(one.crm.written).toEqual([]);
    expect(one.stored().user.passwordHash).toBe(one.hash);
  });

  test('of a contact that is gone when it is looked at again is replaced all the same', async () => {
    const one = await bench(debt([]));
    const read = jest.spyOn(one.site.contacts, 'read');
    meanwhile(one, async () => {
      one.crm.contacts.clear();
    });
    const result = await one.run(action);
    expect(codes(result)).toEqual([]);
    expect(read.mock.calls[1]).toEqual(['1', { fields: ['f1'], signal: expect.any(AbortSignal) }]);
    expect(one.crm.written).toHaveLength(1);
  });

  test('that a CRM in trouble does not take goes on being returned', async () => {
    const one = await bench(debt([]));
    one.crm.failures.push(failure('CRM_UNAVAILABLE'));
    const result = await one.run(action);
    expect(codes(result)).toEqual(['PASSWORD_NOT_RETURNED']);
    expect(result.owed).toEqual({
      code: 'PASSWORD_NOT_RETURNED',
      detail: expect.stringContaining('it goes on being returned'),
      state: 'under way',
    });
    await one.returns.ended();
  });

  test('that the CRM refuses stays owed', async () => {
    const one = await bench(debt([]));
    one.crm.failures.push(failure('CRM_UNAUTHORIZED'));
    const result = await one.run(action);
    await one.returns.ended();
    expect(codes(result)).toEqual(['PASSWORD_NOT_RETURNED']);
    expect(one.stored().state.password?.claims).toEqual([]);
  });

  test('that another living process is at is left to that', async () => {
    const one = await bench(debt());
    const isUnderWay = jest.spyOn(one.returns, 'isUnderWay').mockResolvedValue(true);
    const result = await one.run(action);
    for (const asked of isUnderWay.mock.calls) expect(asked).toEqual(['1', ['another']]);
    expect(result.owed).toMatchObject({ code: 'PASSWORD_NOT_RETURNED', state: 'under way' });
    expect(codes(result)).toEqual(action === SETTLE ? [] : ['PASSWORD_NOT_RETURNED']);
    expect(one.crm.written).toEqual([]);
    expect(one.stored().state.password?.claims).toEqual(['another']);
  });

  test('is made for a hasher that is told that it was generated', async () => {
    const hash = jest.fn(cheapHasher.hash);
    const one = await bench(debt([]), { passwordHasher: { hash, verify: cheapHasher.verify } });
    await one.run(action);
    expect(hash.mock.calls).toEqual([[expect.stringMatching(/^[\da-zA-Z]{16}$/), { generated: true }]]);
  });

  test('is no business of a site that returns none', async () => {
    const one = await bench(debt(), { returnPassword: undefined });
    const result = await one.run(action);
    expect(codes(result)).toEqual([]);
    expect(result.owed).toBeUndefined();
    expect(one.stored().state.password?.claims).toEqual(['another']);
    expect(one.stored().user.passwordHash).toBe(one.hash);
  });
});

describe('a password that this process is returning', () => {
  test('is waited for by a webhook, as long as it has the patience', async () => {
    const one = await bench({});
    const held = gate();
    one.crm.before = () => held.pass();
    const claim = one.returns.newClaim();
    const { user, state } = one.stored();
    const job = { contactId: '1', username: 'mary', password: PASSWORD, hash: one.hash, claim };
    await one.returns.change(user, {}, { ...state, password: { claims: [claim], claimedAt: NOW } });
    one.returns.start(job, { mayClearAtOnce: true });
    await held.reached;

    const impatient = await one.run('update_tags', { waitUntil: 0 });
    expect(codes(impatient)).toEqual(['PASSWORD_NOT_RETURNED']);
    expect(impatient.owed).toMatchObject({ state: 'under way' });
    const patient = one.run('update_tags');
    while (one.crm.reads < 2) await new Promise(setImmediate);
    // All that can happen does, up to where it waits.
    for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate);
    held.open();
    expect(codes(await patient)).toEqual([]);
    expect((await patient).owed).toBeUndefined();
    expect(one.crm.written).toHaveLength(1);
  });

  test.each([{}, { mail: true }, { afterCreate: true }])('is not read for by settle (%j)', async (more) => {
    const one = await bench({ ...debt(), ...more });
    const held = gate();
    one.crm.before = () => held.pass();
    const claim = one.returns.newClaim();
    const job = { contactId: '1', username: 'mary', password: PASSWORD, hash: one.hash, claim };
    one.returns.start(job, { mayClearAtOnce: true });
    await held.reached;
    const result = await one.run(SETTLE);
    expect(result).toMatchObject({
      outcome: 'unchanged',
      userId: one.stored().user.id,
      owed: {
        code: 'PASSWORD_NOT_RETURNED',
        detail: 'The CRM does not have the password yet; it goes on being returned.',
        state: 'under way',
      },
    });
    expect(one.crm.reads).toBe(0);
    held.open();
    await one.returns.ended();
  });
});

describe('settle', () => {
  test('without a user there is nothing to do', async () => {
    const one = await bench(debt());
    one.users.isGone = true;
    expect(await one.run(SETTLE)).toMatchObject({ outcome: 'skipped', reason: 'USER_NOT_FOUND' });
    expect(one.crm.reads).toBe(0);
  });

  test('where nothing is owed any more the CRM is not asked', async () => {
    const one = await bench({});
    const result = await one.run(SETTLE);
    expect(result).toMatchObject({ outcome: 'unchanged', userId: one.stored().user.id });
    expect(result.owed).toBeUndefined();
    expect(one.crm.reads).toBe(0);
  });

  test('asks the CRM nothing either where another process is at all that is owed', async () => {
    const one = await bench(debt());
    const isUnderWay = jest.spyOn(one.returns, 'isUnderWay').mockResolvedValue(true);
    await one.run(SETTLE);
    expect(isUnderWay.mock.calls).toEqual([['1', ['another']]]);
    expect(one.crm.reads).toBe(0);
  });

  test.each([
    ['afterCreate', { afterCreate: true }],
    ['mail', { mail: true }],
  ])('%s is owed by itself, and beside a password that is under way', async (what, owed) => {
    for (const password of [{}, debt()]) {
      const log: string[] = [];
      const one = await bench(
        { ...owed, ...password },
        {
          hooks: { afterCreate: () => void log.push('afterCreate') },
          notifier: { sendWelcome: async () => void log.push('mail') },
        },
      );
      jest.spyOn(one.returns, 'isUnderWay').mockResolvedValue(true);
      await one.run(SETTLE);
      expect(log).toEqual([what]);
      expect(one.stored().state).toMatchObject({ hash: fingerprint(one.hash) });
      expect(one.stored().state[what as 'mail']).not.toBe(true);
    }
  });

  test('changes nothing else', async () => {
    const one = await bench(debt([]));
    one.crm.contacts.get('1')!.tags = [{ id: '7', name: 'New' }];
    await one.run(SETTLE);
    expect(one.stored().user.tags).toEqual([]);
  });
});

describe('what is owed beside the password', () => {
  test('where nothing is owed the user is not looked at once more', async () => {
    const one = await bench({});
    const find = jest.spyOn(one.users, 'findByContactId');
    await one.run('update_tags');
    expect(find).toHaveBeenCalledTimes(1);
  });

  test('stays owed where the site has no hook and no notifier', async () => {
    const one = await bench({ afterCreate: true, mail: true });
    const result = await one.run('update_tags');
    expect(codes(result)).toEqual([]);
    expect(result.owed).toBeUndefined();
    expect(one.stored().state).toMatchObject({ afterCreate: true, mail: true });
  });

  test('a mail that cannot be sent stays owed, and the log is told why', async () => {
    const one = await bench(
      { mail: true },
      {
        notifier: {
          sendWelcome: async () => {
            throw new Error('mailbox full');
          },
        },
      },
    );
    const result = await one.run('update_tags');
    expect(result.owed).toEqual({
      code: 'NOTIFICATION_FAILED',
      detail: 'The welcome mail could not be sent; a later webhook for the contact tries again.',
      state: 'failed',
    });
    expect(codes(result)).toEqual(['NOTIFICATION_FAILED']);
    expect(one.logged('error')).toHaveLength(1);
    expect(one.logged('error')[0]).toMatch(/"NOTIFICATION_FAILED","contactId":"1".*mailbox full/);
    expect(one.stored().state.mail).toBe(true);
  });

  test('a mail that was sent is crossed off whatever was written meanwhile, and the rest stays', async () => {
    const sent: string[] = [];
    const one = await bench(
      { mail: true, ...debt() },
      {
        returnPassword: undefined,
        notifier: { sendWelcome: async ({ user }) => void sent.push(user.email) },
      },
    );
    const update = meanwhile(one, async () => undefined);
    await one.run('update_tags');
    expect(sent).toEqual(['mary@example.com']);
    expect(update).toHaveBeenCalledTimes(3);
    expect(one.stored().state).toEqual({
      hash: fingerprint(one.hash),
      password: { claims: ['another'], claimedAt: NOW - 60 },
      afterCreate: false,
      mail: false,
    });
  });

  test('a user that is deleted while the mail is sent has nothing to be crossed off', async () => {
    const one = await bench({ mail: true }, { notifier: { sendWelcome: async () => undefined } });
    const update = meanwhile(one, async () => {
      one.users.isGone = true;
    });
    expect(codes(await one.run('update_tags'))).toEqual([]);
    expect(update).toHaveBeenCalledTimes(2);
  });

  test('a password that the CRM shows, and that a hasher quotes, is known as a secret', async () => {
    const one = await bench(
      debt(),
      {
        passwordHasher: {
          hash: cheapHasher.hash,
          verify: async (password) => {
            throw new Error(`cannot compare ${password}`);
          },
        },
      },
      'shown in the CRM',
    );
    const failed: unknown = await one.run('update_tags').catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(RunFailure);
    expect((failed as RunFailure).secrets).toContain('shown in the CRM');
  });
});
