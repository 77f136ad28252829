// The schedule of retries: what is tried again and when, what is given up, and who of several merged webhooks pays for it.
import type { Job, StoredJob, Verdict } from '../../lib';
import type { Owed, Result } from '../../lib/result';
import { told, verdictOfFailure, verdictsOfSuccess } from '../../lib/worker/verdict';

const SECOND = 1000;
const NOW = 1_700_000_000_000;

beforeEach(() => {
  jest.spyOn(Math, 'random').mockReturnValue(0);
  jest.spyOn(Date, 'now').mockReturnValue(NOW);
});
afterEach(() => jest.restoreAllMocks());

const stored = (job: Partial<Job> = {}, more: Partial<StoredJob> = {}): StoredJob => ({
  id: '1',
  isDue: true,
  job: { action: 'add', receivedAt: 5, ...job },
  ...more,
});
const failed = (one: StoredJob, code: string, retryAfter?: number): Verdict | undefined =>
  verdictOfFailure(one, { code, detail: 'what was wrong', retryAfter }, 'add');

/** The delays, in seconds, until a job that goes on failing is dead; `null`: never, as far as was looked. */
function delaysOf(code: string, looks = 40): { delays: number[]; dead: Job | null } {
  const delays: number[] = [];
  let job = stored().job;
  while (delays.length < looks) {
    const verdict = failed(stored(job), code);
    if (verdict?.kind === 'dead') return { delays, dead: verdict.job };
    if (verdict?.kind !== 'later') throw new Error('neither dead nor later');
    delays.push(verdict.delayMs / SECOND);
    job = verdict.job;
  }
  return { delays, dead: null };
}

describe('a failure', () => {
  test.each(['CONTACT_NOT_FOUND', 'CONTACT_WITHOUT_EMAIL'])(
    '%s is tried again for a minute, then dead, to be replayed from the start',
    (code) => {
      const { delays, dead } = delaysOf(code);
      expect(delays).toEqual([1, 2, 4, 8, 16, 30]);
      const failure = { code, detail: 'what was wrong', at: NOW };
      expect(dead).toEqual({ action: 'add', receivedAt: 5, tries: 0, pauses: 0, failure });
    },
  );

  test.each(['CRM_BAD_RESPONSE', 'REPOSITORY_FAILED', 'HOOK_FAILED', 'INTERNAL_ERROR'])(
    '%s is tried again for about a day, once an hour at last',
    (code) => {
      const { delays, dead } = delaysOf(code);
      expect(delays.slice(0, 10)).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]);
      expect(new Set(delays.slice(10))).toEqual(new Set([3600]));
      expect(delays).toHaveLength(31);
      expect(dead).toMatchObject({ tries: 0 });
    },
  );

  test.each(['CRM_UNAUTHORIZED', 'CRM_RATE_LIMITED', 'CRM_UNAVAILABLE'])(
    '%s is waited out, however long it lasts',
    (code) => {
      const { delays, dead } = delaysOf(code, 12);
      expect(delays).toEqual([5, 10, 20, 40, 60, 120, 300, 600, 900, 900, 900, 900]);
      expect(dead).toBeNull();
    },
  );

  test('with a time the CRM named waits for that, if it is longer', () => {
    expect(failed(stored(), 'CRM_RATE_LIMITED', 77)).toMatchObject({ delayMs: 77 * SECOND });
    expect(failed(stored(), 'CRM_RATE_LIMITED', 3)).toMatchObject({ delayMs: 5 * SECOND });
  });

  test.each(['CONTACT_CONFLICT', 'USER_CONFLICT', 'PASSWORD_TOO_LONG'])(
    '%s is dead at once, due or not, but only with the action that failed',
    (code) => {
      const failure = { code, detail: 'what was wrong', at: NOW };
      const dead = { kind: 'dead', job: { action: 'add', receivedAt: 5, tries: 0, pauses: 0, failure } };
      expect(failed(stored({ tries: 3, pauses: 2 }), code)).toEqual(dead);
      expect(failed(stored({}, { isDue: false }), code)).toEqual(dead);
      expect(failed(stored({ action: 'update' }), code)).toBeUndefined();
    },
  );

  test.each(['CONTACT_NOT_FOUND', 'REPOSITORY_FAILED', 'CRM_UNAVAILABLE'])(
    '%s costs a webhook that was only taken along nothing',
    (code) => expect(failed(stored({}, { isDue: false }), code)).toBeUndefined(),
  );

  test('of another kind begins its own schedule; a CRM that was down in between does not', () => {
    const at = NOW;
    const tried = (code: string, job: Partial<Job> = {}): Partial<Job> => ({
      tries: 3,
      ...job,
      failure: { code, detail: '', at },
    });
    const brief = 'CONTACT_NOT_FOUND';
    const long = 'REPOSITORY_FAILED';
    expect(failed(stored(tried(brief)), brief)).toMatchObject({ delayMs: 8 * SECOND, job: { tries: 4 } });
    expect(failed(stored(tried(long)), brief)).toMatchObject({ delayMs: SECOND, job: { tries: 1 } });
    expect(failed(stored(tried(brief)), long)).toMatchObject({ delayMs: 10 * SECOND, job: { tries: 1 } });
    const down = failed(stored(tried(long)), 'CRM_UNAVAILABLE');
    expect(down).toMatchObject({ job: { tries: 3, pauses: 1 } });
    if (down?.kind !== 'later') throw new Error('not tried again');
    expect(failed(stored(down.job), long)).toMatchObject({
      delayMs: 80 * SECOND,
      job: { tries: 4, pauses: 0 },
    });
  });

  test('is tried again up to a fifth later, so that not everything comes back at once', () => {
    jest.spyOn(Math, 'random').mockReturnValue(0.5);
    expect(failed(stored(), 'CONTACT_NOT_FOUND')).toMatchObject({ delayMs: 1100 });
    expect(failed(stored(), 'CRM_UNAVAILABLE')).toMatchObject({ delayMs: 5500 });
  });
});

const result = (owed?: Owed): Result => ({
  action: 'add',
  contactId: '7',
  outcome: 'created',
  userId: '42',
  warnings: [],
  changes: [{ field: 'plan', from: 'silver', to: 'gold' }],
  owed,
});
const owes = (state: Owed['state']): Owed => ({ code: 'NOTIFICATION_FAILED', detail: 'no mail', state });

describe('a success', () => {
  test('is told to who waits, in the webhook’s own words and without values', () => {
    const verdicts = verdictsOfSuccess(
      [stored({ action: 'update', awaited: true }), stored({}, { id: '2' })],
      result(),
    );
    expect(verdicts.get('1')).toEqual({
      kind: 'done',
      result: {
        action: 'update',
        contactId: '7',
        outcome: 'created',
        userId: '42',
        warnings: [],
        changes: [{ field: 'plan' }],
      },
    });
    expect(verdicts.get('2')).toEqual({ kind: 'done', result: undefined });
  });

  test('that skipped says why', () => {
    const skipped: Result = { ...result(), outcome: 'skipped', reason: 'CANCELLED', userId: undefined };
    const answer = told(skipped, stored().job);
    expect(answer).toMatchObject({ outcome: 'skipped', reason: 'CANCELLED' });
    expect(answer).not.toHaveProperty('userId');
    expect(told(result(), stored().job)).not.toHaveProperty('reason');
  });
});

describe('a success that leaves something owed', () => {
  const settle = (job: Partial<Job> = {}, more: Partial<StoredJob> = {}): StoredJob =>
    stored({ action: 'settle', ...job }, more);
  const owing = (jobs: StoredJob[], state: Owed['state'] = 'failed') =>
    verdictsOfSuccess(jobs, result(owes(state)));

  test('keeps one webhook for it, with its ids and nothing else of what it asked for', () => {
    const trace = { traceparent: 'x' };
    const asked = { role: 'customer', email: 'a@b.c', correlationId: 'one', trace, tries: 4, pauses: 2 };
    expect(owing([stored(asked)]).get('1')).toEqual({
      kind: 'later',
      delayMs: 10 * SECOND,
      job: {
        action: 'settle',
        receivedAt: 5,
        correlationId: 'one',
        trace,
        tries: 1,
        failure: { code: 'NOTIFICATION_FAILED', detail: 'no mail', at: NOW },
      },
    });
    const bare = owing([stored()]).get('1') as Extract<Verdict, { kind: 'later' }>;
    expect(Object.keys(bare.job).sort()).toEqual(['action', 'failure', 'receivedAt', 'tries']);
  });

  test('keeps best the one that is there for it, then one whose result nobody waits for', () => {
    const kinds = (jobs: StoredJob[]): (string | undefined)[] =>
      jobs.map(({ id }) => owing(jobs).get(id)?.kind);
    const awaited = { awaited: true };
    expect(kinds([stored(awaited), stored({}, { id: '2' }), settle({}, { id: '3' })])).toEqual([
      'done',
      'done',
      'later',
    ]);
    expect(kinds([stored(awaited), stored({}, { id: '2' }), stored({}, { id: '3' })])).toEqual([
      'done',
      'later',
      'done',
    ]);
    expect(kinds([stored(awaited), stored(awaited, { id: '2' })])).toEqual(['later', 'done']);
  });

  test('goes on with the tries of the one that is there for it, up to a day; then it is dead', () => {
    expect(owing([settle({ tries: 2 })]).get('1')).toMatchObject({ delayMs: 40 * SECOND, job: { tries: 3 } });
    expect(owing([settle()]).get('1')).toMatchObject({ delayMs: 10 * SECOND, job: { tries: 1 } });
    expect(owing([settle({ tries: 31 })]).get('1')).toMatchObject({
      kind: 'dead',
      job: { action: 'settle', tries: 0 },
    });
  });

  test('leaves one that was only taken along its own time', () => {
    const verdicts = owing([stored(), settle({ tries: 2 }, { id: '2', isDue: false })]);
    expect(verdicts.get('1')).toMatchObject({ kind: 'done' });
    expect(verdicts.has('2')).toBe(false);
    // An ordinary webhook has no time of its own for it.
    expect(owing([stored({}, { isDue: false })]).get('1')).toMatchObject({ kind: 'later' });
  });

  test('that is under way is looked at after a minute, and costs no try', () => {
    expect(owing([settle({ tries: 2 })], 'under way').get('1')).toMatchObject({
      kind: 'later',
      delayMs: 60 * SECOND,
      job: { tries: 2 },
    });
  });

  test('that ends at a known time is looked at then', () => {
    expect(owing([settle({ tries: 2 })], 1234).get('1')).toMatchObject({
      kind: 'later',
      delayMs: 1234,
      job: { tries: 2 },
    });
  });
});
