// One webhook under way, by itself: its time, its warnings, its secrets, how it reads a contact, and how failures of others are named.
import timers from 'node:timers/promises';
import type { Conditions } from '../../lib/actions/conditions';
import { processWebhook } from '../../lib/actions/process';
import { callHook, callHost, crmError, Run } from '../../lib/actions/run';
import type { Contact } from '../../lib/crm/client';
import type { WpFusionError } from '../../lib/errors';
import { codeOf } from '../../lib/errors';
import { FAIL_POINT } from '../../lib/options';
import { SETTLE, type Webhook } from '../../lib/queue/webhook';
import { formatSyncState, type SyncState } from '../../lib/users/sync-state';
import type { User } from '../../lib';
import { newUser } from '../http/site';
import { ACCESS_KEY, conditions, failure, pieces, type Pieces } from './pieces';

const WEBHOOK: Webhook = {
  action: 'update',
  contactId: '1',
  sendNotification: false,
  emails: [],
  dryRun: false,
  parameters: {},
};

const running: Run[] = [];
afterEach(() => {
  for (const run of running.splice(0)) run.dispose();
  jest.restoreAllMocks();
});

function open(
  given: { conditions?: Partial<Conditions>; webhook?: Partial<Webhook> } = {},
  options: Parameters<typeof pieces>[0] = {},
): Pieces & { run: Run } {
  const all = pieces(options);
  const run = new Run({ ...WEBHOOK, ...given.webhook }, all.site, conditions(given.conditions));
  running.push(run);
  return { ...all, run };
}

const aborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => signal.addEventListener('abort', resolve));

describe('its time', () => {
  test('ends when reading has to', async () => {
    const { run } = open({ conditions: { readUntil: Date.now() } });
    await aborted(run.signal);
    expect(codeOf(run.signal.reason)).toBeUndefined();
  });

  test('ends when the site closes, also where that has begun', () => {
    const { run, site, closed } = open();
    expect(run.signal.aborted).toBe(false);
    closed.abort();
    const late = new Run(WEBHOOK, site, conditions());
    running.push(late);
    for (const { signal } of [run, late]) {
      expect(signal.reason).toMatchObject({ code: 'SHUTTING_DOWN', retryAfter: 10 });
    }
  });

  test('is nobody’s business any more when it has ended', async () => {
    const { run, closed } = open({ conditions: { readUntil: Date.now() } });
    run.dispose();
    closed.abort();
    await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise(setImmediate);
    expect(run.signal.aborted).toBe(false);
  });

  test('lets others go on before an effect, or not, and makes room for tests', async () => {
    const steps: string[] = [];
    const mayGoOn = (): void => {
      throw new Error('taken away');
    };
    const failPoint = async (step: string): Promise<void> => void steps.push(step);
    const { run } = open({ conditions: { mayGoOn } }, { [FAIL_POINT]: failPoint } as object);
    expect(() => run.mayGoOn()).toThrow('taken away');
    await run.step('mail: sent');
    expect(steps).toEqual(['mail: sent']);
  });
});

describe('its attempts', () => {
  test('are twenty; then the storage is called broken', () => {
    const { run } = open();
    const seen: number[] = [];
    expect(() => {
      for (const attempt of run.attempts()) seen.push(attempt);
    }).toThrow(expect.objectContaining({ code: 'REPOSITORY_FAILED' }) as Error);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  test('each forget what the last one warned of, unless effects are behind it', () => {
    const { run } = open();
    run.warn('EMAIL_TAKEN', 'One.');
    run.warn('EMAIL_TAKEN', 'Two.');
    const keeping = run.attempts('keep warnings');
    keeping.next();
    expect(run.result('unchanged').warnings).toEqual([{ code: 'EMAIL_TAKEN', message: 'Two.' }]);
    run.attempts().next();
    expect(run.result('unchanged')).toEqual({
      action: 'update',
      contactId: '1',
      outcome: 'unchanged',
      reason: undefined,
      userId: undefined,
      warnings: [],
      changes: [],
      owed: undefined,
      contactReads: 0,
    });
  });
});

describe('reading a contact', () => {
  /** What is waited between looks; none takes any time. */
  const pauses = (): { ms: number; options: unknown }[] => {
    const seen: { ms: number; options: unknown }[] = [];
    jest.spyOn(timers, 'setTimeout').mockImplementation(async (ms, _value, options) => {
      seen.push({ ms: ms ?? 0, options });
      return undefined;
    });
    return seen;
  };

  test('a contact that is not there yet is looked for again, later and later, the last time as late as it can be', async () => {
    jest.spyOn(Date, 'now').mockReturnValue(1_000_000);
    const { run, crm } = open({ conditions: { lookUntil: 1_005_000, readUntil: 1_060_000 } });
    const seen = pauses();
    const contact = crm.contacts.get('1')!;
    crm.contacts.clear();
    const read = crm.getContacts.bind(crm);
    crm.getContacts = async (ids) => {
      if (seen.length === 4) crm.contacts.set('1', contact);
      return read(ids);
    };
    expect((await run.readContact()).id).toBe('1');
    expect(seen.map(({ ms }) => ms)).toEqual([1000, 2000, 4000, 5000]);
    expect(seen[0]!.options).toEqual({ signal: run.signal });
    expect(run.contactReads).toBe(5);
  });

  test.each([
    ['without time', {}, { lookUntil: 1_000_000 }, false],
    ['in a dry run', { dryRun: true }, { lookUntil: 1_005_000 }, false],
    ['when the site closes', {}, { lookUntil: 1_005_000 }, true],
  ])('%s it is looked for once', async (_name, webhook, conditions, closes) => {
    jest.spyOn(Date, 'now').mockReturnValue(1_000_000);
    const { run, crm, closed } = open({ webhook, conditions: { readUntil: 1_060_000, ...conditions } });
    const seen = pauses();
    crm.contacts.clear();
    const reading = run.readContact();
    // While it is read: before, there would be no reading.
    if (closes) closed.abort();
    await expect(reading).rejects.toMatchObject({ code: closes ? 'SHUTTING_DOWN' : 'CONTACT_NOT_FOUND' });
    expect(seen).toEqual([]);
  });

  test('the read that was announced is the first of its own contact', async () => {
    const { crm, site } = open();
    const asked: [string, unknown][] = [];
    const contact = crm.contacts.get('1')!;
    const ticket = {
      read: async (id: string, options: unknown): Promise<Contact> => {
        asked.push([id, options]);
        return contact;
      },
      release: () => undefined,
    };
    const run = new Run(WEBHOOK, site, conditions({ ticket }));
    running.push(run);
    expect(await run.tryReadContact('2')).toBeUndefined();
    expect(asked).toEqual([]);
    expect(await run.tryReadContact('1', ['email'])).toBe(contact);
    expect(asked).toEqual([['1', { fields: ['email'], signal: run.signal }]]);
    expect((await run.tryReadContact('1'))!.id).toBe('1');
    expect(asked).toHaveLength(1);
    expect(run.contactReads).toBe(3);
  });

  test('the password’s field is asked for where it is still owed', async () => {
    const { run } = open({}, { returnPassword: { field: 'f1' } });
    const user = (state: SyncState): User => ({
      id: '1',
      ...newUser({ contactId: '1', syncState: formatSyncState(state) }),
    });
    const owing = user({ password: { claims: [], claimedAt: 1 } });
    const mapped = ['email', 'firstname', 'lastname'];
    expect(run.fieldsFor(null)).toEqual(mapped);
    expect(run.fieldsFor(user({ mail: true }))).toEqual(mapped);
    expect(run.fieldsFor(owing)).toEqual([...mapped, 'f1']);
    expect(open().run.fieldsFor(owing)).toEqual(mapped);
  });

  test('passwords that it brings are secrets from then on, as it tells them and as they are read', async () => {
    const { run, crm } = open(
      {},
      { returnPassword: { field: 'f1' }, fields: { email: 'email', password: 'f2' } },
    );
    Object.assign(crm.contacts.get('1')!, {
      fields: { email: 'mary@example.com', f1: 'returned', f2: 'chosen' },
      raw: { f1: ' returned ', f2: 7, email: 'mary@example.com' },
    });
    await run.tryReadContact('1');
    expect([...run.secrets].sort()).toEqual([' returned ', 'chosen', 'returned']);
    expect(run.allSecrets()).toEqual(expect.arrayContaining([ACCESS_KEY, 'returned']));

    const { run: other, crm: otherCrm } = open();
    Object.assign(otherCrm.contacts.get('1')!, { raw: { undefined: 'of no field' } });
    await other.tryReadContact('1');
    expect([...other.secrets]).toEqual([]);
    expect(await other.tryReadContact('2')).toBeUndefined();
  });
});

describe('patience', () => {
  test('gives what comes in time, and holds no timer then', async () => {
    const { run } = open();
    const sleep = jest.spyOn(timers, 'setTimeout');
    expect(await run.withinPatience(Promise.resolve('done'))).toBe('done');
    const [ms, , options] = sleep.mock.calls[0]!;
    expect(ms).toBeGreaterThan(50_000);
    expect(options).toEqual({ signal: expect.any(AbortSignal), ref: false });
    expect(options!.signal!.aborted).toBe(true);
  });

  test('gives nothing when it is over', async () => {
    const { run } = open({ conditions: { waitUntil: Date.now() - 1000 } });
    expect(await run.withinPatience(new Promise(() => undefined))).toBeUndefined();
  });
});

describe('what others throw', () => {
  test.each([
    ['CRM_UNAUTHORIZED', true],
    ['CONTACT_NOT_FOUND', true],
    ['SHUTTING_DOWN', true],
    ['REPOSITORY_FAILED', false],
    ['USER_CONFLICT', false],
  ] as const)('a CRM’s %s is passed on as it is: %s', (code, isPassedOn) => {
    const error = failure(code);
    const named = crmError(error) as WpFusionError;
    expect(named === error).toBe(isPassedOn);
    if (!isPassedOn) expect(named).toMatchObject({ code: 'CRM_UNAVAILABLE', retryAfter: 30, cause: error });
  });

  test('a CRM’s own error is one of a CRM that is not to be had', () => {
    const cause = new Error('a socket');
    expect(crmError(cause)).toMatchObject({ code: 'CRM_UNAVAILABLE', retryAfter: 30, cause });
  });

  test('the host’s code passes ours on, and a hook does not', async () => {
    const ours = failure('CRM_RATE_LIMITED');
    const cause = new Error('of the host');
    const throwing = (error: Error) => async () => Promise.reject(error);
    await expect(callHost('username()', throwing(ours))).rejects.toBe(ours);
    await expect(callHost('username()', throwing(cause))).rejects.toMatchObject({
      code: 'INTERNAL_ERROR',
      message: 'username() failed.',
      cause,
    });
    for (const error of [ours, cause]) {
      await expect(callHook('afterCreate', throwing(error))).rejects.toMatchObject({
        code: 'HOOK_FAILED',
        message: 'hooks.afterCreate threw.',
        cause: error,
      });
    }
    expect(await callHost('username()', async () => 'mary')).toBe('mary');
    expect(await callHook('afterCreate', () => 'done')).toBe('done');
  });
});

describe('its action', () => {
  test('is timed, with what became of it', async () => {
    const { site, users } = open();
    const ran = jest.spyOn(site.instruments, 'ran');
    await processWebhook({ ...WEBHOOK, action: 'test' }, site, conditions({ isExclusive: false }));
    expect(ran).toHaveBeenLastCalledWith(expect.any(Number), { action: 'test', outcome: 'ok' });
    users.findByContactId = async () => Promise.reject(failure('REPOSITORY_FAILED'));
    await processWebhook(WEBHOOK, site, conditions()).catch(() => undefined);
    expect(ran).toHaveBeenLastCalledWith(expect.any(Number), { action: 'update', code: 'REPOSITORY_FAILED' });
  });

  test('is one that this version knows; a stored one that it does not is kept', async () => {
    const { site } = open();
    const process = (action: string, isExclusive: boolean): Promise<unknown> =>
      processWebhook({ ...WEBHOOK, action }, site, conditions({ isExclusive }));
    await expect(process('of a later version', true)).rejects.toMatchObject({
      cause: {
        code: 'INTERNAL_ERROR',
        message: 'This version does not know the stored action of a later version.',
      },
    });
    expect(await process(SETTLE, true)).toMatchObject({ outcome: 'skipped', reason: 'USER_NOT_FOUND' });
    expect(await process('test', false)).toMatchObject({ outcome: 'ok' });
  });
});
