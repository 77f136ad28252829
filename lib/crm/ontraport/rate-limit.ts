// Paces the calls to an Ontraport account: 180 a minute (or what its answers say), shared with every other program that
// uses the account (Ontraport API, "Rate limits").

import { WpFusionError } from '../../errors';

/** What a call is for. Reads go before writes, both before the pages of a walk through many contacts. */
export type CallKind = 'read' | 'write' | 'walk';

/** What an answer says about the account's budget. */
export interface RateObservation {
  /** `X-Rate-Limit-Limit`: calls in a window. */
  readonly limit?: number | undefined;
  /** `X-Rate-Limit-Remaining`: calls left in it, this one taken off. */
  readonly remaining?: number | undefined;
  /** `X-Rate-Limit-Reset`, in milliseconds: until the window rolls over. */
  readonly resetMs?: number | undefined;
  /** For a 429: how long nobody may call. */
  readonly refusedForMs?: number | undefined;
}

/** The right to make one call. */
export interface Permit {
  /** To be called once, when the call is over, with what its answer said; without an argument where none came. */
  release(observation?: RateObservation): void;
}

/** What a {@link RateLimit} needs. */
export interface RateLimitOptions {
  /** How many calls may be under way at once. */
  readonly maxConcurrentCalls: number;
  /** Calls in a window, until an answer says otherwise; default 180. */
  readonly limit?: number | undefined;
  /** Milliseconds after which a call no longer counts; default 60,000. */
  readonly windowMs?: number | undefined;
  /** A clock in milliseconds that never goes back; default `performance.now`. */
  readonly now?: (() => number) | undefined;
}

/**
 * How much of the limit each kind of call may use up. So a burst of writes never keeps a read waiting, an import of thousands
 * neither of both, and a little is always left for other programs.
 */
const SHARES: Readonly<Record<CallKind, number>> = { read: 0.95, write: 0.8, walk: 0.5 };
const KINDS = ['read', 'write', 'walk'] as const satisfies readonly CallKind[];

/** Calls of each share kept back for asking whether the budget has come back earlier than it should have. */
const PROBES = 2;

/** The least time between two such questions, in milliseconds: a `Reset` is in whole seconds, and may be 0. */
const PROBE_INTERVAL_MS = 250;

/** The longest that a read waits for company. */
const MAX_LINGER_MS = 1000;

/** A call that counts against the limit. It counts from its start until one window after its end: the server counts it somewhere between. */
interface Call {
  readonly startedAt: number;
  endedAt: number | undefined;
}

interface Waiter {
  grant(permit: Permit): void;
}

/**
 * A token bucket whose tokens come back one window after they were spent, so no window of any position ever holds more calls
 * than a kind's share.
 *
 * What the answers say is believed over what was counted here: calls of other programs lower the budget until the window rolls
 * over; a window that is over earlier than counted gives the tokens back at once. Where the budget is used up and the announced
 * time has passed, one call out of two kept back asks for the news.
 *
 * Timers never keep the process alive.
 */
export class RateLimit {
  readonly #maxConcurrentCalls: number;
  readonly #windowMs: number;
  readonly #now: () => number;
  readonly #waiting: Readonly<Record<CallKind, Set<Waiter>>> = {
    read: new Set(),
    write: new Set(),
    walk: new Set(),
  };
  #limit: number;
  /** Calls that count, by their start. */
  #calls: Call[] = [];
  #running = 0;
  /** Calls of other programs, as the last answer showed them, and until when they count. */
  #foreign = 0;
  #foreignUntil = 0;
  /** When the call started whose answer was believed last. */
  #observedFrom = -Infinity;
  /** From when on a kept-back call may ask whether the window has rolled over. */
  #probeAt = Infinity;
  #pausedUntil = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RateLimitOptions) {
    this.#maxConcurrentCalls = options.maxConcurrentCalls;
    this.#limit = options.limit ?? 180;
    this.#windowMs = options.windowMs ?? 60_000;
    this.#now = options.now ?? (() => performance.now());
  }

  /**
   * Waits until a call may be made.
   *
   * @throws CRM_RATE_LIMITED with `retryAfter` when `signal` is aborted while the budget is used up, CRM_UNAVAILABLE when it is
   *   aborted while all connections are busy.
   */
  acquire(kind: CallKind, signal: AbortSignal): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting[kind].delete(waiter);
        reject(this.#exhaustion(kind) ?? busy());
      };
      const waiter: Waiter = {
        grant: (permit) => {
          signal.removeEventListener('abort', onAbort);
          resolve(permit);
        },
      };
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting[kind].add(waiter);
      this.#pump();
    });
  }

  /**
   * Milliseconds that a call may wait for company: none while the budget is fresh, more the more of it is used up. So a burst
   * of single reads at a CRM that answers at once does not spend what few full ones would have done with.
   */
  lingerMs(): number {
    const now = this.#now();
    this.#forget(now);
    const used = (this.#calls.length + this.#foreign) / this.#limit;
    return Math.min(MAX_LINGER_MS, 5000 * used ** 2);
  }

  /** CRM_RATE_LIMITED where somebody waits for budget now, else `undefined`. */
  trouble(): WpFusionError | undefined {
    const kind = KINDS.find((each) => this.#waiting[each].size > 0);
    return kind === undefined ? undefined : this.#exhaustion(kind);
  }

  #exhaustion(kind: CallKind): WpFusionError | undefined {
    const now = this.#now();
    this.#forget(now);
    if (now >= this.#pausedUntil && this.#mayStart(kind, now)) return undefined;
    const wakeAt = this.#wakeAt(kind, now) ?? now + this.#windowMs;
    return new WpFusionError(
      'CRM_RATE_LIMITED',
      "The budget of calls to the Ontraport account is used up. If that happens often, ask Ontraport's support to raise its limit.",
      { retryAfter: Math.max(1, Math.ceil((wakeAt - now) / 1000)) },
    );
  }

  /** Lets start who may. */
  #pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#running < this.#maxConcurrentCalls) {
      const now = this.#now();
      this.#forget(now);
      const kind = KINDS.find((each) => this.#waiting[each].size > 0);
      if (kind === undefined) return;
      if (now < this.#pausedUntil || !this.#mayStart(kind, now)) {
        // A lower kind never may where a higher one may not: its share is smaller.
        this.#setTimer(kind, now);
        return;
      }
      const [waiter] = this.#waiting[kind];
      if (waiter === undefined) return;
      this.#waiting[kind].delete(waiter);
      waiter.grant(this.#start(kind, now));
    }
  }

  #start(kind: CallKind, now: number): Permit {
    // A call that is made anyway brings the news; until then nobody needs to ask for it.
    if (this.#free(kind, now) <= this.#probes(kind)) this.#probeAt = now + 1000;
    const call: Call = { startedAt: now, endedAt: undefined };
    this.#calls.push(call);
    this.#running += 1;
    return {
      release: (observation) => {
        this.#running -= 1;
        call.endedAt = this.#now();
        if (observation !== undefined) this.#observe(call, observation);
        this.#pump();
      },
    };
  }

  #observe(call: Call, observation: RateObservation): void {
    const now = this.#now();
    const { limit, remaining, resetMs, refusedForMs } = observation;
    if (limit !== undefined) this.#limit = limit;
    if (refusedForMs !== undefined) {
      this.#pausedUntil = Math.max(this.#pausedUntil, now + refusedForMs);
      // The server did not count it.
      this.#calls = this.#calls.filter((each) => each !== call);
    }
    if (remaining === undefined) return;

    this.#forget(now);
    // Calls that ran beside this one may have been counted after its answer was written, or before.
    const uncertain = new Set(
      this.#calls.filter(
        (each) => each !== call && (each.endedAt === undefined || each.endedAt > call.startedAt),
      ),
    );
    const counted = this.#calls.length - uncertain.size;
    const used = this.#limit - Math.min(remaining, this.#limit);
    const untilReset = Math.min(refusedForMs ?? resetMs ?? this.#windowMs, this.#windowMs);
    const foreign = Math.max(0, used - counted);
    if (call.startedAt < this.#observedFrom) {
      // Old news: what a later call was told stays, unless this is worse.
      if (now < this.#foreignUntil && foreign <= this.#foreign) return;
      if (foreign === 0) return;
    } else {
      this.#observedFrom = call.startedAt;
      if (used < counted) {
        const returned = this.#calls
          .filter((each) => each !== call && !uncertain.has(each))
          .sort((one, other) => (one.endedAt ?? 0) - (other.endedAt ?? 0))
          .slice(0, counted - used);
        const gone = new Set(returned);
        this.#calls = this.#calls.filter((each) => !gone.has(each));
      }
    }
    this.#foreign = foreign;
    this.#foreignUntil = now + untilReset;
    this.#probeAt = now + Math.max(untilReset, PROBE_INTERVAL_MS);
  }

  #forget(now: number): void {
    this.#calls = this.#calls.filter(
      ({ endedAt }) => endedAt === undefined || endedAt + this.#windowMs > now,
    );
    if (now >= this.#foreignUntil) this.#foreign = 0;
  }

  #share(kind: CallKind): number {
    return Math.max(1, Math.floor(this.#limit * SHARES[kind]));
  }

  #probes(kind: CallKind): number {
    return Math.min(PROBES, this.#share(kind) - 1);
  }

  /** What is left of a kind's share. */
  #free(kind: CallKind, now: number): number {
    const foreign = now < this.#foreignUntil ? this.#foreign : 0;
    return this.#share(kind) - this.#calls.length - foreign;
  }

  /** Whether one call more may ask for news, also of a kind whose share others have used up. */
  #mayProbe(now: number): boolean {
    return this.#free('read', now) > 0;
  }

  #mayStart(kind: CallKind, now: number): boolean {
    const free = this.#free(kind, now);
    return free > this.#probes(kind) || (this.#mayProbe(now) && now >= this.#probeAt);
  }

  /** When the answer to "may it start?" can next be another one without a call ending; `undefined` where never. */
  #wakeAt(kind: CallKind, now: number): number | undefined {
    if (now < this.#pausedUntil) return this.#pausedUntil;
    const times = this.#calls
      .map(({ endedAt }) => (endedAt === undefined ? Infinity : endedAt + this.#windowMs))
      .concat(this.#foreign > 0 ? this.#foreignUntil : Infinity)
      .concat(this.#mayProbe(now) ? this.#probeAt : Infinity);
    const next = Math.min(...times);
    return Number.isFinite(next) ? next : undefined;
  }

  #setTimer(kind: CallKind, now: number): void {
    const wakeAt = this.#wakeAt(kind, now);
    if (wakeAt === undefined) return;
    this.#timer = setTimeout(() => this.#pump(), Math.max(1, Math.ceil(wakeAt - now)));
    this.#timer.unref();
  }
}

const busy = (): WpFusionError =>
  new WpFusionError(
    'CRM_UNAVAILABLE',
    'All connections to Ontraport were busy with calls that it had not answered yet. It may be slow or down.',
  );
