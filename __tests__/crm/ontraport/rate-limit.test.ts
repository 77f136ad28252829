// RateLimit: never more calls in a window than the share, and the answers' headers believed. The clock is the test's.

import fc from 'fast-check';
import { RateLimit } from '../../../lib/crm/ontraport/rate-limit';
import type {
  CallKind,
  Permit,
  RateLimitOptions,
  RateObservation,
} from '../../../lib/crm/ontraport/rate-limit';
import { Account } from './account';

/** A signal that is never aborted; a new one each time, since each may have ten listeners only. */
const never = (): AbortSignal => new AbortController().signal;

const fakeTime = (): void =>
  void jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
beforeEach(fakeTime);
afterEach(() => void jest.useRealTimers());

/** A limit, and the calls that it let start. */
function setUp(options: Partial<RateLimitOptions> = {}) {
  const rateLimit = new RateLimit({ maxConcurrentCalls: 1000, ...options });
  const started: { kind: CallKind; permit: Permit }[] = [];
  const ask = (kind: CallKind, count = 1): void => {
    for (let index = 0; index < count; index += 1) {
      void rateLimit.acquire(kind, never()).then((permit) => started.push({ kind, permit }));
    }
  };
  const count = (kind: CallKind): number => started.filter((each) => each.kind === kind).length;
  const release = (observation?: RateObservation): void => {
    for (const { permit } of started.splice(0)) permit.release(observation);
  };
  return { rateLimit, started, ask, count, release };
}

const settle = (): Promise<void> => jest.advanceTimersByTimeAsync(0);
const pass = (milliseconds: number): Promise<void> => jest.advanceTimersByTimeAsync(milliseconds);

/** The most starts in any window of a length, whatever its position. */
function densest(starts: readonly number[], windowMs: number): number {
  const sorted = [...starts].sort((one, other) => one - other);
  return Math.max(
    0,
    ...sorted.map((from) => sorted.filter((at) => at >= from && at < from + windowMs).length),
  );
}

describe('shares', () => {
  test('writes leave room for reads, a walk for both; two of each share are kept back for questions', async () => {
    const { ask, count } = setUp();
    ask('walk', 300);
    await settle();
    expect(count('walk')).toBe(88);
    ask('write', 300);
    await settle();
    // A walk that waits has the last turn, and does not hold the writes up.
    expect(count('write')).toBe(142 - 88);
    ask('read', 300);
    await settle();
    expect(count('read')).toBe(169 - 142);
  });

  test('reads go before writes, writes before a walk', async () => {
    const { started, ask } = setUp({ maxConcurrentCalls: 1 });
    ask('walk', 2);
    ask('write', 2);
    ask('read', 2);
    const order: CallKind[] = [];
    for (let index = 0; index < 6; index += 1) {
      await settle();
      const [{ kind, permit }] = started.splice(0) as [(typeof started)[0]];
      order.push(kind);
      permit.release();
    }
    expect(order).toEqual(['walk', 'read', 'read', 'write', 'write', 'walk']);
  });

  test('a limit of one call still lets calls through', async () => {
    const { started, ask, release } = setUp({ limit: 1 });
    ask('write', 2);
    await settle();
    expect(started).toHaveLength(1);
    release();
    await pass(59_999);
    expect(started).toHaveLength(0);
    await pass(1);
    expect(started).toHaveLength(1);
  });

  test('no more are under way at once than allowed', async () => {
    const { started, ask } = setUp({ maxConcurrentCalls: 4 });
    ask('read', 10);
    await settle();
    expect(started).toHaveLength(4);
    started[0]!.permit.release();
    await settle();
    expect(started).toHaveLength(5);
  });

  test('a token comes back one window after its call ended: the server may have counted it that late', async () => {
    const { started, ask, release } = setUp();
    ask('read', 169);
    await settle();
    await pass(10_000);
    release();
    ask('read');
    await pass(59_999);
    // Somebody who asks has everything looked at again.
    ask('read');
    await settle();
    expect(started).toHaveLength(0);
    await pass(1);
    expect(started).toHaveLength(2);
  });
});

describe('what the answers say', () => {
  test('another limit is taken on', async () => {
    const { started, ask, release } = setUp();
    ask('read');
    await settle();
    release({ limit: 360, remaining: 359, resetMs: 60_000 });
    ask('read', 400);
    await settle();
    expect(started).toHaveLength(Math.floor(360 * 0.95) - 2 - 1);
  });

  test('calls of other programs lower the budget until the window rolls over', async () => {
    const { started, ask, release } = setUp();
    ask('read');
    await settle();
    release({ limit: 180, remaining: 60, resetMs: 20_000 });
    ask('read', 100);
    await settle();
    // 60 left, of which 5 % of the limit and the two for questions stay untouched.
    expect(started).toHaveLength(60 - 9 - 2);
    await pass(19_999);
    expect(started).toHaveLength(49);
    await pass(1);
    expect(started).toHaveLength(100);
  });

  test('calls that were under way beside the answer count as if it did not know them yet', async () => {
    const { started, ask } = setUp();
    ask('read', 10);
    await settle();
    started[0]!.permit.release({ limit: 180, remaining: 60, resetMs: 20_000 });
    ask('read', 100);
    await settle();
    expect(started).toHaveLength(10 + 60 - 9 - 2 - 9);
  });

  test('an old answer that arrives late does not give back what a newer one took', async () => {
    const { started, ask } = setUp();
    ask('read');
    await settle();
    await pass(5);
    ask('read');
    await settle();
    started[1]!.permit.release({ limit: 180, remaining: 20, resetMs: 60_000 });
    started[0]!.permit.release({ limit: 180, remaining: 179, resetMs: 60_000 });
    ask('read', 100);
    await settle();
    expect(started).toHaveLength(2 + 20 - 9 - 2 - 1);
  });

  test('a window that is over earlier than counted gives the budget back', async () => {
    const { started, ask, release } = setUp();
    ask('read', 169);
    await settle();
    release({ limit: 180, remaining: 11, resetMs: 2000 });
    ask('read', 100);
    await pass(1999);
    expect(started).toHaveLength(0);
    await pass(1);
    // One of the two that were kept back asks …
    expect(started).toHaveLength(1);
    release({ limit: 180, remaining: 179, resetMs: 2000 });
    await settle();
    // … and brings the news.
    expect(started).toHaveLength(99);
  });

  test('questions are two at most, and a second apart where none is answered', async () => {
    const { started, ask, release } = setUp();
    ask('read', 169);
    await settle();
    release({ limit: 180, remaining: 11, resetMs: 2000 });
    ask('read', 100);
    await pass(2000);
    expect(started).toHaveLength(1);
    await pass(999);
    expect(started).toHaveLength(1);
    await pass(50_000);
    expect(started).toHaveLength(2);
  });

  test('a 429 pauses everything for as long as it says', async () => {
    const { started, ask, release } = setUp();
    ask('read');
    await settle();
    release({ refusedForMs: 7000 });
    ask('read');
    ask('write');
    await pass(6999);
    expect(started).toHaveLength(0);
    await pass(1);
    expect(started).toHaveLength(2);
  });
});

describe('giving up', () => {
  test('while the budget is used up: CRM_RATE_LIMITED, with the seconds until the next token', async () => {
    const { rateLimit, ask, release } = setUp();
    ask('read', 169);
    await settle();
    release();
    await pass(20_500);
    expect(rateLimit.trouble()).toBeUndefined();
    const controller = new AbortController();
    const waiting = rateLimit.acquire('read', controller.signal);
    expect(rateLimit.trouble()).toMatchObject({ code: 'CRM_RATE_LIMITED', retryAfter: 40 });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'CRM_RATE_LIMITED', retryAfter: 40 });
    expect(rateLimit.trouble()).toBeUndefined();
  });

  test('while all connections are busy: CRM_UNAVAILABLE', async () => {
    const { rateLimit, ask } = setUp({ maxConcurrentCalls: 1 });
    ask('read');
    await settle();
    const controller = new AbortController();
    const waiting = rateLimit.acquire('read', controller.signal);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'CRM_UNAVAILABLE' });
    await expect(rateLimit.acquire('read', AbortSignal.abort())).rejects.toMatchObject({
      code: 'CRM_UNAVAILABLE',
    });
  });

  test('who gave up takes no token', async () => {
    const { rateLimit, started, ask, release } = setUp({ maxConcurrentCalls: 1 });
    ask('read');
    await settle();
    const controller = new AbortController();
    const waiting = rateLimit.acquire('read', controller.signal);
    ask('write');
    controller.abort();
    await expect(waiting).rejects.toThrow();
    release();
    await settle();
    expect(started.map(({ kind }) => kind)).toEqual(['write']);
  });
});

describe('properties', () => {
  const LIMIT = 20;
  const WINDOW = 1000;
  const kind = fc.constantFrom<CallKind>('read', 'write', 'walk');

  test('no window of any position holds more calls than the share', async () => {
    const plan = fc.record({ kind, gap: fc.nat({ max: 60 }), duration: fc.nat({ max: 300 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(plan, { minLength: 20, maxLength: 90, size: 'max' }), async (plans) => {
        const rateLimit = new RateLimit({ maxConcurrentCalls: 5, limit: LIMIT, windowMs: WINDOW });
        const starts: { at: number; kind: CallKind }[] = [];
        for (const { kind, gap, duration } of plans) {
          void rateLimit.acquire(kind, never()).then((permit) => {
            starts.push({ at: performance.now(), kind });
            setTimeout(() => permit.release(), duration);
          });
          if (gap > 30) await pass(gap - 30);
        }
        await pass(20 * WINDOW);
        expect(starts).toHaveLength(plans.length);
        const at = (...kinds: CallKind[]): number[] =>
          starts.filter((each) => kinds.includes(each.kind)).map((each) => each.at);
        expect(densest(at('read', 'write', 'walk'), WINDOW)).toBeLessThanOrEqual(19);
        expect(densest(at('write', 'walk'), WINDOW)).toBeLessThanOrEqual(16);
        expect(densest(at('walk'), WINDOW)).toBeLessThanOrEqual(10);
      }),
      { numRuns: 60 },
    );
  });

  test('an account never refuses a call, however long its windows are and however late calls arrive', async () => {
    const trip = fc.record({ kind, out: fc.nat({ max: 400 }), back: fc.nat({ max: 400 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(trip, { minLength: 30, maxLength: 90, size: 'max' }),
        fc.constantFrom(500, 2000, 10_000, 60_000),
        fc.boolean(),
        async (trips, windowMs, isRolling) => {
          const rateLimit = new RateLimit({ maxConcurrentCalls: 4, limit: 5 * LIMIT });
          const account = new Account(LIMIT, windowMs, isRolling);
          let done = 0;
          // The limit of the account is learnt from the first answer.
          const first = await rateLimit.acquire('read', never());
          first.release(account.arrive());
          for (const { kind, out, back } of trips) {
            void rateLimit.acquire(kind, never()).then((permit) => {
              setTimeout(() => {
                const observation = account.arrive();
                setTimeout(() => {
                  done += 1;
                  permit.release(observation);
                }, back);
              }, out);
            });
          }
          for (let waited = 0; done < trips.length && waited < 1000; waited += 1) await pass(1000);
          expect(account.refused).toBe(0);
          expect(done).toBe(trips.length);
        },
      ),
      { numRuns: 60 },
    );
  });
});

test('no timer keeps the process alive', async () => {
  const spy = jest.spyOn(globalThis, 'setTimeout');
  const { ask, release } = setUp({ limit: 1 });
  ask('read', 2);
  await settle();
  release();
  expect(spy.mock.results.length).toBeGreaterThan(0);
  for (const { value } of spy.mock.results) expect((value as NodeJS.Timeout).hasRef()).toBe(false);
  spy.mockRestore();
});
