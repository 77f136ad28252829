// Several RateLimits over one store are one: never more calls in a window than the share, nothing waits while there is budget, and
// no store, whatever becomes of it, makes a call fail. The clocks are the test's.

import fc from 'fast-check';
import { Budget } from '../../../lib/crm/ontraport/budget';
import { RateLimit } from '../../../lib/crm/ontraport/rate-limit';
import type {
  CallKind,
  Permit,
  RateLimitOptions,
  RateObservation,
} from '../../../lib/crm/ontraport/rate-limit';
import { Account } from './account';
import { BudgetText } from './budget-text';

const never = (): AbortSignal => new AbortController().signal;
const pass = (milliseconds: number): Promise<void> => jest.advanceTimersByTimeAsync(milliseconds);
const settle = (): Promise<void> => pass(0);

beforeEach(() => void jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
afterEach(() => void jest.useRealTimers());

/** A process: its rate limit, and the calls that it let start. */
class SiteProcess {
  readonly started: { kind: CallKind; permit: Permit }[] = [];
  readonly rateLimit: RateLimit;

  constructor(store: BudgetText, options: Partial<RateLimitOptions> = {}) {
    // Every process has a clock of its own, which says something else.
    const ahead = Math.random() * 1e6;
    this.rateLimit = new RateLimit({
      maxConcurrentCalls: 1000,
      now: () => performance.now() + ahead,
      ...options,
    });
    this.rateLimit.share(store);
  }

  ask(kind: CallKind, count = 1, signal?: AbortSignal): void {
    for (let index = 0; index < count; index += 1) {
      this.rateLimit.acquire(kind, signal ?? never()).then(
        (permit) => this.started.push({ kind, permit }),
        () => undefined,
      );
    }
  }

  get count(): number {
    return this.started.length;
  }

  release(observation?: RateObservation): void {
    for (const { permit } of this.started.splice(0)) permit.release(observation);
  }
}

/** Some processes over one store. */
function setUp(options: Partial<RateLimitOptions> = {}) {
  const store = new BudgetText();
  const start = (): SiteProcess => new SiteProcess(store, options);
  return { store, start, one: start(), other: start() };
}

describe('one budget', () => {
  test('the shares are those of all processes together', async () => {
    const { one, other } = setUp();
    one.ask('walk', 60);
    other.ask('walk', 60);
    await pass(100);
    expect(one.count + other.count).toBe(88);
    one.ask('write', 60);
    other.ask('write', 60);
    await pass(500);
    expect(one.count + other.count).toBe(142);
    one.ask('read', 60);
    other.ask('read', 60);
    await pass(500);
    // Writes never starve reads.
    expect(one.count + other.count).toBe(169);
  });

  test('what one has ended comes back to the other, one window later', async () => {
    const { one, other } = setUp();
    one.ask('read', 169);
    await settle();
    other.ask('read');
    await pass(10_000);
    one.release();
    await pass(59_999);
    expect(other.count).toBe(0);
    await pass(501);
    expect(other.count).toBe(1);
  });

  test('a 429 to one pauses both', async () => {
    const { one, other } = setUp();
    one.ask('read');
    await settle();
    one.release({ refusedForMs: 7000 });
    await settle();
    one.ask('read');
    other.ask('write');
    await pass(6999);
    expect([one.count, other.count]).toEqual([0, 0]);
    await pass(1);
    expect([one.count, other.count]).toEqual([1, 1]);
  });

  test('calls of other programs, as one was told of them, lower the budget of both', async () => {
    const { one, other } = setUp();
    one.ask('read');
    await settle();
    one.release({ limit: 180, remaining: 60, resetMs: 60_000 });
    await settle();
    other.ask('read', 100);
    await settle();
    expect(other.count).toBe(60 - 9 - 2);
  });

  test('calls of both that ran beside one another are not taken for those of other programs', async () => {
    const { one, other } = setUp();
    one.ask('read', 20);
    other.ask('read', 20);
    await pass(100);
    const all = [...one.started.splice(0), ...other.started.splice(0)];
    // The server has counted them in this order.
    for (const [index, { permit }] of all.entries()) {
      permit.release({ limit: 180, remaining: 179 - index, resetMs: 60_000 });
    }
    await settle();
    one.ask('read', 200);
    await pass(100);
    expect(one.count).toBe(169 - 40);
  });

  test('whether the window has rolled over is asked a little before the announced time, with the last two calls not', async () => {
    const { one, other } = setUp({ limit: 100 });
    one.ask('read', 90);
    await settle();
    one.release({ limit: 100, remaining: 10, resetMs: 3000 });
    await settle();
    one.ask('read', 50);
    other.ask('read', 50);
    const started = (): number => one.count + other.count;
    // 95 of 100 may be used, of which two are kept back.
    await pass(100);
    expect(started()).toBe(3);
    await pass(1899);
    expect(started()).toBe(3);
    // Two more are there, but they are the last.
    await pass(500);
    expect(started()).toBe(3);
    await pass(1000);
    expect(started()).toBe(4);
  });

  test('where there is more, it is asked a second before: the announced time may have been rounded up', async () => {
    const { one, other } = setUp({ limit: 100 });
    one.ask('write', 78);
    await settle();
    one.release({ limit: 100, remaining: 22, resetMs: 3000 });
    await settle();
    one.ask('write', 50);
    other.ask('write', 50);
    const started = (): number => one.count + other.count;
    await pass(1999);
    expect(started()).toBe(0);
    await pass(501);
    expect(started()).toBe(1);
    // In vain: it is asked again soon.
    [one, other].find(({ count }) => count > 0)!.release({ limit: 100, remaining: 21, resetMs: 1000 });
    await pass(250 + 500);
    expect(started()).toBe(1);
  });

  test('another limit that one was told of is that of both', async () => {
    const { one, other } = setUp();
    one.ask('read');
    await settle();
    one.release({ limit: 20, remaining: 19, resetMs: 60_000 });
    await settle();
    other.ask('read', 100);
    await settle();
    expect(other.count).toBe(19 - 2 - 1);
  });

  test('of several stores the first counts', async () => {
    const { store, one } = setUp();
    const second = new BudgetText();
    one.rateLimit.share(second);
    one.ask('read');
    await settle();
    expect(store.writes).toBe(1);
    expect(second.reads).toBe(0);
  });

  test('a process that was killed in the middle of its calls holds them until they must have ended, and a window more', async () => {
    const { one, other } = setUp({ longestCallMs: 30_000 });
    one.ask('read', 169);
    await settle();
    // Nobody hears of it again.
    other.ask('read', 169);
    await pass(89_999);
    expect(other.count).toBe(0);
    await pass(501);
    expect(other.count).toBe(169);
  });

  test('a call that takes longer than it may counts for as long as it takes', async () => {
    const { one, other } = setUp({ longestCallMs: 1000 });
    one.ask('read', 169);
    await settle();
    for (let minute = 0; minute < 3; minute += 1) {
      // Somebody asks, and so looks at it.
      one.ask('write');
      await pass(40_000);
    }
    other.ask('read');
    await pass(1000);
    expect(other.count).toBe(0);
  });
});

describe('the store', () => {
  test('is written to once for everybody who waits, and once for what they have ended', async () => {
    const { store, one } = setUp();
    one.ask('read', 50);
    await settle();
    expect([one.count, store.writes]).toEqual([50, 1]);
    one.release();
    await settle();
    expect(store.writes).toBe(2);
    expect(store.state()?.running).toEqual([]);
    expect(store.state()?.ended).toHaveLength(50);
  });

  test('is told at once of what has ended, also when nothing is asked for any more', async () => {
    const { store, one } = setUp();
    one.ask('read');
    await settle();
    one.release();
    await settle();
    expect(store.state()).toMatchObject({ running: [], ended: [0] });
    const { reads } = store;
    await pass(200_000);
    expect(store.reads).toBe(reads);
  });

  test('is only read while nothing may start, twice a second', async () => {
    const { store, one, other } = setUp();
    one.ask('read', 169);
    await settle();
    other.ask('read');
    await settle();
    const { writes, reads } = store;
    await pass(20_000);
    expect(store.writes).toBe(writes);
    expect(store.reads - reads).toBeGreaterThanOrEqual(40);
    expect(store.reads - reads).toBeLessThanOrEqual(50);
  });

  test('holds the calls of a limit of several hundred in far less than 60,000 characters', async () => {
    const { store, one } = setUp({ limit: 900 });
    for (let count = 0; count < 30; count += 1) {
      one.ask('read', 30);
      await pass(10);
      one.release();
      await pass(990);
    }
    one.ask('read', 900);
    await settle();
    expect(store.state()!.ended.length + store.state()!.running.length).toBeGreaterThan(800);
    expect(store.text!.length).toBeLessThan(20_000);
  });

  test('holds nothing but numbers and random ids', async () => {
    const { store, one } = setUp();
    one.ask('read', 2);
    await settle();
    expect(store.text).toMatch(/^[\w",:[\]{}-]+$/);
  });

  test('that has lost everything is told what was known', async () => {
    const { store, one, other } = setUp();
    one.ask('read', 100);
    await settle();
    one.release();
    await settle();
    store.text = null;
    one.ask('read');
    await settle();
    other.ask('read', 100);
    await settle();
    expect(100 + one.count + other.count).toBe(169);
  });

  test('with the text of another version is left alone', async () => {
    const { store, one } = setUp();
    one.ask('read');
    await settle();
    const newer = store.text!.replace('"version":1', '"version":2');
    store.text = newer;
    one.ask('read');
    await settle();
    expect(one.count).toBe(2);
    one.release();
    await pass(100_000);
    expect(store.text).toBe(newer);
  });
});

describe('who gives up', () => {
  test('while the store is asked takes nothing; another one here takes it', async () => {
    const { store, one } = setUp();
    const controller = new AbortController();
    const wait = store.hold('write');
    one.ask('read', 1, controller.signal);
    await settle();
    one.ask('read');
    controller.abort();
    wait.release();
    await settle();
    expect(one.count).toBe(1);
    expect(store.state()?.running).toHaveLength(1);
  });

  test('while the store is asked takes nothing; it is given back', async () => {
    const { store, one } = setUp();
    const controller = new AbortController();
    const wait = store.hold('write');
    one.ask('read', 3, controller.signal);
    await settle();
    // A smaller share: it is not for a write.
    one.ask('walk');
    controller.abort();
    wait.release();
    await settle();
    expect(one.started.map(({ kind }) => kind)).toEqual(['walk']);
    expect(store.state()).toMatchObject({ ended: [], running: [expect.anything()] });
  });

  test('leaves nothing to a kind whose share is used up', async () => {
    const { store, one, other } = setUp();
    other.ask('walk', 88);
    await settle();
    const controller = new AbortController();
    const wait = store.hold('write');
    one.ask('read', 1, controller.signal);
    await settle();
    one.ask('walk');
    controller.abort();
    wait.release();
    await settle();
    expect(one.count).toBe(0);
  });

  test('while the budget is used up is told so', async () => {
    const { one, other } = setUp();
    one.ask('read', 169);
    await settle();
    one.release();
    await pass(20_000);
    const controller = new AbortController();
    const waiting = other.rateLimit.acquire('read', controller.signal);
    await pass(500);
    expect(other.rateLimit.trouble()).toMatchObject({ code: 'CRM_RATE_LIMITED', retryAfter: 40 });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'CRM_RATE_LIMITED' });
    expect(other.rateLimit.trouble()).toBeUndefined();
  });
});

describe('a store that is not to be had', () => {
  const troubles: [string, (store: BudgetText) => void][] = [
    ['that fails to be read', (store) => (store.trouble = { read: 'fails' })],
    ['that is silent when it is read', (store) => (store.trouble = { read: 'is silent' })],
    ['that fails to be written', (store) => (store.trouble = { write: 'fails' })],
    ['that writes, and is silent', (store) => (store.trouble = { write: 'is silent once it is done' })],
    ['that others are always faster with', (store) => (store.trouble = { write: 'is too late' })],
  ];

  test.each(troubles)(
    '%s: calls go on by what was known last, and the others are told later',
    async (_name, begin) => {
      const { store, one, other } = setUp();
      one.ask('read', 100);
      await settle();
      one.release();
      await settle();
      other.ask('read', 10);
      await settle();

      begin(store);
      one.ask('read', 100);
      await pass(4500);
      // It did not hear of those of the other since it looked last.
      expect(one.count).toBe(69);
      one.release();
      store.trouble = {};
      await pass(10_000);
      expect(store.state()).toMatchObject({ running: { length: 10 }, ended: { length: 169 } });
      // And together again.
      other.ask('read');
      one.ask('read');
      await pass(1000);
      expect([one.count, other.count]).toEqual([0, 10]);
    },
  );

  test('calls that go on when it is back are told of as well', async () => {
    const { store, one } = setUp();
    store.trouble = { read: 'fails' };
    one.ask('read', 5);
    await settle();
    expect(one.count).toBe(5);
    store.trouble = {};
    await pass(1000);
    one.ask('read');
    await settle();
    expect(store.state()?.running).toHaveLength(6);
  });

  test('that was told of ends without anybody hearing of it counts them once', async () => {
    const { store, one } = setUp();
    one.ask('read', 3);
    await settle();
    store.trouble = { write: 'is silent once it is done' };
    one.release();
    await pass(2000);
    store.trouble = {};
    one.ask('read');
    await pass(3000);
    expect(store.state()).toMatchObject({ running: { length: 1 }, ended: { length: 3 } });
  });

  test('is not asked more often than every second, and not at all when there is nothing to tell', async () => {
    const { store, one } = setUp();
    store.trouble = { read: 'fails' };
    one.ask('read');
    await pass(10_000);
    expect(store.reads).toBeLessThanOrEqual(5);
    one.release();
    await pass(100_000);
    const { reads } = store;
    await pass(1_000_000);
    expect(store.reads).toBe(reads);
  });

  test('a start that was written without anybody hearing of it is taken back', async () => {
    const { store, one, other } = setUp();
    store.trouble = { write: 'is silent once it is done' };
    one.ask('read', 3);
    await pass(2000);
    expect(one.count).toBe(3);
    store.trouble = {};
    await pass(3000);
    one.release();
    other.ask('read');
    await pass(1000);
    expect(store.state()).toMatchObject({ running: { length: 1 }, ended: { length: 3 } });
  });

  test('is asked again when it is back, also where the timer for that is a little early', async () => {
    // By this clock every timer is.
    const { store, one, other } = setUp({ now: () => performance.now() * 0.9999 });
    other.ask('read', 169);
    await settle();
    one.ask('read');
    await settle();
    store.trouble = { read: 'fails' };
    await pass(600);
    store.trouble = {};
    other.release({ limit: 180, remaining: 180, resetMs: 0 });
    await pass(3000);
    expect(one.count).toBe(1);
  });

  test('a start that nobody wants any more, and that is written when it has already been taken back, does not count', async () => {
    const { store, one } = setUp();
    // Read at once; what is written then arrives after 5 s.
    store.delays = [0, 0, 10_000][Symbol.iterator]();
    const controller = new AbortController();
    one.ask('read', 4, controller.signal);
    await pass(100);
    controller.abort();
    await pass(20_000);
    expect(one.count).toBe(0);
    expect(store.state()?.running).toEqual([]);
  });
});

test('no timer keeps the process alive', async () => {
  const spy = jest.spyOn(globalThis, 'setTimeout');
  const { store, one, other } = setUp({ limit: 4 });
  one.ask('read', 2);
  other.ask('read', 5);
  await pass(1000);
  store.trouble = { write: 'is too late' };
  one.release();
  await pass(3000);
  store.trouble = { read: 'is silent' };
  one.ask('read');
  await pass(3000);
  expect(spy.mock.results.length).toBeGreaterThan(10);
  for (const { value } of spy.mock.results) expect((value as NodeJS.Timeout).hasRef()).toBe(false);
  spy.mockRestore();
});

describe('the budget as text', () => {
  const OPTIONS = { limit: 40, windowMs: 1000, isShared: true };

  test('is the same budget', () => {
    const step = fc.record({
      pause: fc.integer({ min: 1, max: 300 }),
      kind: fc.constantFrom<CallKind>('read', 'write', 'walk'),
      ends: fc.boolean(),
      remaining: fc.option(fc.nat({ max: 40 }), { nil: undefined }),
      refusedForMs: fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined, freq: 8 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let now = 1_700_000_000_000;
        const kept = new Budget(OPTIONS);
        let passedOn = new Budget(OPTIONS);
        const running: { id: string; startedAt: number }[] = [];
        const both = (work: (budget: Budget) => void): void => [kept, passedOn].forEach(work);
        for (const [index, { pause, kind, ends, remaining, refusedForMs }] of steps.entries()) {
          now += pause;
          both((budget) => budget.forget(now));
          const call = ends ? running.shift() : undefined;
          if (call !== undefined) {
            const observation = { limit: 40, remaining, resetMs: 1000, refusedForMs };
            both((budget) => budget.end({ ...call, endedAt: now, observation }));
          } else if (kept.mayStart(kind, now)) {
            running.push({ id: `${index}`, startedAt: now });
            both((budget) => budget.start(`${index}`, kind, now, now + 700));
          }
          passedOn = Budget.read(passedOn.text(now), OPTIONS);
          expect(passedOn.text(now)).toBe(kept.text(now));
          for (const each of ['read', 'write', 'walk'] as const) {
            expect(passedOn.mayStart(each, now)).toBe(kept.mayStart(each, now));
          }
          expect(passedOn.wakeAt(now)).toBe(kept.wakeAt(now));
        }
      }),
    );
  });
});

describe('properties', () => {
  const LIMIT = 20;
  const WINDOW = 2000;
  const MOST = 3;
  const kind = fc.constantFrom<CallKind>('read', 'write', 'walk');
  interface Plan {
    readonly process: number;
    readonly kind: CallKind;
    /** Until the next one is asked for. */
    readonly gap: number;
    readonly duration: number;
    readonly abortAfter: number | undefined;
  }
  const plan: fc.Arbitrary<Plan> = fc.record({
    process: fc.nat({ max: 2 }),
    kind,
    gap: fc.nat({ max: 80 }),
    duration: fc.nat({ max: 300 }),
    abortAfter: fc.option(fc.nat({ max: 400 }), { nil: undefined, freq: 3 }),
  });
  const plans = fc.array(plan, { minLength: 30, maxLength: 100, size: 'max' });
  const options = { maxConcurrentCalls: MOST, limit: LIMIT, windowMs: WINDOW, longestCallMs: 1000 };

  /** The most arrivals in any window of the length, whatever its position. */
  const densest = (arrivals: readonly number[]): number => {
    const sorted = [...arrivals].sort((one, other) => one - other);
    return Math.max(
      0,
      ...sorted.map((from) => sorted.filter((at) => at >= from && at < from + WINDOW).length),
    );
  };

  /** Runs plans on three processes; what arrived at the server, what was given up, and how long anybody waited beside free budget. */
  async function run(store: BudgetText, all: readonly Plan[]) {
    const sites = [0, 1, 2].map(() => new SiteProcess(store, options));
    const running = [0, 0, 0];
    const waiting: CallKind[][] = [[], [], []];
    const arrivals: { at: number; kind: CallKind }[] = [];
    const counted: { end: number | undefined }[] = [];
    const seen = { done: 0, givenUp: 0, mostRunning: 0, longestIdleMs: 0 };
    const share = { read: 19, write: 16, walk: 10 };
    let idleSince: number | undefined;

    const look = (): void => {
      const now = performance.now();
      const used = counted.filter(({ end }) => end === undefined || end + WINDOW > now).length;
      const isIdle = waiting.some((kinds, site) => {
        const first = (['read', 'write', 'walk'] as const).find((each) => kinds.includes(each));
        return first !== undefined && running[site]! < MOST && used < share[first] - 2;
      });
      idleSince = isIdle ? (idleSince ?? now) : undefined;
      if (idleSince !== undefined) seen.longestIdleMs = Math.max(seen.longestIdleMs, now - idleSince);
    };
    const passLooking = async (milliseconds: number): Promise<void> => {
      for (let left = milliseconds; left > 0; left -= 10) {
        await pass(Math.min(10, left));
        look();
      }
    };

    for (const { process, kind, gap, duration, abortAfter } of all) {
      const controller = new AbortController();
      if (abortAfter !== undefined) setTimeout(() => controller.abort(), abortAfter);
      waiting[process]!.push(kind);
      const leave = (): void => void waiting[process]!.splice(waiting[process]!.indexOf(kind), 1);
      sites[process]!.rateLimit.acquire(kind, controller.signal).then(
        (permit) => {
          leave();
          running[process]! += 1;
          seen.mostRunning = Math.max(seen.mostRunning, running[process]!);
          const count: { end: number | undefined } = { end: undefined };
          counted.push(count);
          // The server counts it somewhere on the way.
          setTimeout(() => arrivals.push({ at: performance.now(), kind }), duration / 2);
          setTimeout(() => {
            running[process]! -= 1;
            count.end = performance.now();
            seen.done += 1;
            permit.release();
          }, duration);
        },
        () => {
          leave();
          seen.givenUp += 1;
        },
      );
      if (gap > 40) await passLooking(gap - 40);
    }
    for (let waited = 0; seen.done + seen.givenUp < all.length && waited < 60; waited += 1) {
      await passLooking(1000);
    }
    return { ...seen, arrivals };
  }

  test('whatever the delays and conflicts, and whoever gives up: never more than the share, and no budget lies idle', async () => {
    await fc.assert(
      fc.asyncProperty(plans, fc.infiniteStream(fc.nat({ max: 30 })), async (all, delays) => {
        const store = new BudgetText();
        store.delays = delays;
        const { arrivals, done, givenUp, mostRunning, longestIdleMs } = await run(store, all);
        expect(done + givenUp).toBe(all.length);
        expect(mostRunning).toBeLessThanOrEqual(MOST);
        const at = (...kinds: CallKind[]): number[] =>
          arrivals.filter((each) => kinds.includes(each.kind)).map((each) => each.at);
        expect(densest(at('read', 'write', 'walk'))).toBeLessThanOrEqual(19);
        expect(densest(at('write', 'walk'))).toBeLessThanOrEqual(16);
        expect(densest(at('walk'))).toBeLessThanOrEqual(10);
        expect(longestIdleMs).toBeLessThanOrEqual(700);
      }),
      { numRuns: 40 },
    );
  });

  test('an account refuses none of the calls of three processes, however long its windows are and however late calls arrive', async () => {
    const trip = fc.record({
      process: fc.nat({ max: 2 }),
      kind,
      out: fc.nat({ max: 400 }),
      back: fc.nat({ max: 400 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(trip, { minLength: 30, maxLength: 90, size: 'max' }),
        fc.constantFrom(500, 2000, 10_000, 60_000),
        fc.boolean(),
        async (trips, windowMs, isRolling) => {
          const store = new BudgetText();
          const limits = { maxConcurrentCalls: 4, limit: 5 * LIMIT };
          const sites = [0, 1, 2].map(() => new SiteProcess(store, limits));
          const account = new Account(LIMIT, windowMs, isRolling);
          let done = 0;
          // The limit of the account is learnt from the first answer.
          const first = await sites[0]!.rateLimit.acquire('read', never());
          first.release(account.arrive());
          await settle();
          for (const { process, kind, out, back } of trips) {
            void sites[process]!.rateLimit.acquire(kind, never()).then((permit) => {
              setTimeout(() => {
                const observation = account.arrive();
                setTimeout(() => {
                  done += 1;
                  permit.release(observation);
                }, back);
              }, out);
            });
          }
          // Nobody waits for longer than a few windows of the account, whatever was counted here.
          const most = 5 * Math.ceil(trips.length / (LIMIT / 2)) * (windowMs + 2000);
          for (let waited = 0; done < trips.length && waited < most; waited += 500) await pass(500);
          expect(account.refused).toBe(0);
          expect(done).toBe(trips.length);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('whatever becomes of the store: every call starts once or is given up, and in the end the store knows of none that runs', async () => {
    const trouble = fc.constantFrom(
      'none',
      'none',
      'none',
      'fails',
      'is silent once it is done',
      'is too late',
    );
    await fc.assert(
      fc.asyncProperty(plans, fc.infiniteStream(trouble), async (all, troubles) => {
        const store = new BudgetText();
        store.troubles = troubles;
        const { arrivals, done, givenUp, mostRunning } = await run(store, all);
        expect(done + givenUp).toBe(all.length);
        expect(arrivals).toHaveLength(done);
        expect(mostRunning).toBeLessThanOrEqual(MOST);
        store.troubles = undefined;
        const last = new SiteProcess(store, options);
        await pass(20_000);
        last.ask('read');
        await pass(100);
        expect(last.count).toBe(1);
        expect(store.state()?.running).toHaveLength(1);
      }),
      { numRuns: 40 },
    );
  });
});
