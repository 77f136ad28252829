// Paces the calls to an Ontraport account: 180 a minute (or what its answers say), shared with every other program that
// uses the account (Ontraport API, "Rate limits"), and with the other processes of the site where they have a store in common.

import { randomBytes } from 'node:crypto';
import { WpFusionError } from '../../errors';
import { Exchange } from '../../exchange';
import { apart } from '../../telemetry/spans';
import type { BudgetStore, CrmBudget } from '../client';
import { Budget, type BudgetOptions, type CallKind, type EndedCall, type RateObservation } from './budget';

export type { CallKind, RateObservation } from './budget';

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
  /** Milliseconds that a call takes at most; default 60,000. One that takes longer is that of a process that died. */
  readonly longestCallMs?: number | undefined;
  /** A clock in milliseconds that never goes back; default `performance.now`. */
  readonly now?: (() => number) | undefined;
}

const KINDS = ['read', 'write', 'walk'] as const satisfies readonly CallKind[];

/** The longest that a read waits for company. */
const MAX_LINGER_MS = 1000;

/** How often a shared budget that is used up is looked at: a call of another process may have ended early. */
const LOOK_MS = 500;

/** How long a process goes on by itself before it asks a store again that was not to be had; doubled each time, up to the longest. */
const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 10_000;

interface Waiter {
  grant(permit: Permit): void;
}

/** A call of this process. */
interface OwnCall {
  readonly id: string;
  readonly startedAt: number;
  /** Whether the shared budget is known to have counted its start. */
  isShared: boolean;
}

/** A call of this process that is over and not yet told to the others. */
interface OverCall {
  readonly call: OwnCall;
  /** By the clock of this process. */
  readonly endedAt: number;
  readonly observation: RateObservation | undefined;
}

/** A call that may start as soon as the others have been told. */
interface Grant {
  readonly kind: CallKind;
  readonly call: OwnCall;
}

/**
 * Lets calls start as a {@link Budget} allows, no more than so many at once: its waiting lists and timers.
 *
 * By itself it decides at once. With a store (`share`) all processes spend one budget: whoever wants to start calls, or has ended
 * some, reads the budget, changes it, and puts it back, one change at a time for everybody who waits here. A store that is not to
 * be had keeps nobody waiting: the process goes on by what it knew last, and tells the others later.
 *
 * Timers never keep the process alive.
 */
export class RateLimit {
  readonly #maxConcurrentCalls: number;
  readonly #longestCallMs: number;
  readonly #options: Omit<BudgetOptions, 'isShared'>;
  readonly #now: () => number;
  readonly #waiting: Readonly<Record<CallKind, Set<Waiter>>> = {
    read: new Set(),
    write: new Set(),
    walk: new Set(),
  };
  /** The calls of this process that are under way. */
  readonly #running = new Map<string, OwnCall>();
  /** Differs in every process. */
  readonly #prefix = randomBytes(5).toString('base64url');
  #lastCall = 0;
  /** All that is known; of a shared one, what was known last. */
  #budget: Budget;
  #timer: NodeJS.Timeout | undefined;

  #exchange: Exchange | undefined;
  /** What is to be added to this process's clock for that of the budget. */
  #offset = 0;
  #over: OverCall[] = [];
  /** Starts to be taken back: nobody wanted them any more, or nobody knows whether they were written. With the time of that. */
  readonly #cancelled = new Map<string, number>();
  #isChanging = false;
  /** Whether something has happened since the change under way was made up. */
  #isNews = false;
  /** Whether the store is not to be had. */
  #isAlone = false;
  #failures = 0;
  #retryAt = -Infinity;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(options: RateLimitOptions) {
    const { limit = 180, windowMs = 60_000 } = options;
    this.#maxConcurrentCalls = options.maxConcurrentCalls;
    this.#longestCallMs = options.longestCallMs ?? 60_000;
    this.#options = { limit, windowMs };
    this.#now = options.now ?? (() => performance.now());
    this.#budget = new Budget({ ...this.#options, isShared: false });
  }

  /** Spends one budget with all who share this store, from now on. Of several stores the first counts. */
  share(store: BudgetStore): void {
    this.#exchange ??= new Exchange(store, this.#now);
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
    const { used, limit } = this.state();
    return Math.min(MAX_LINGER_MS, 5000 * (used / limit) ** 2);
  }

  /** What is known of the budget now. */
  state(): CrmBudget {
    this.#budget.forget(this.#time());
    return { limit: this.#budget.limit, used: this.#budget.used(), windowMs: this.#options.windowMs };
  }

  /** CRM_RATE_LIMITED where somebody waits for budget now, else `undefined`. */
  trouble(): WpFusionError | undefined {
    const kind = this.#firstWaiting();
    return kind === undefined ? undefined : this.#exhaustion(kind);
  }

  #exhaustion(kind: CallKind): WpFusionError | undefined {
    const now = this.#time();
    this.#budget.forget(now);
    if (this.#budget.mayStart(kind, now)) return undefined;
    const wakeAt = this.#budget.wakeAt(now) ?? now + this.#options.windowMs;
    return new WpFusionError(
      'CRM_RATE_LIMITED',
      "The budget of calls to the Ontraport account is used up. If that happens often, ask Ontraport's support to raise its limit.",
      { retryAfter: Math.max(1, Math.ceil((wakeAt - now) / 1000)) },
    );
  }

  /** What time it is by the clock of the budget. */
  #time(): number {
    return this.#now() + this.#offset;
  }

  #firstWaiting(): CallKind | undefined {
    return KINDS.find((kind) => this.#waiting[kind].size > 0);
  }

  #hasRoom(): boolean {
    return this.#running.size < this.#maxConcurrentCalls;
  }

  /** Something has happened: lets start who may. */
  #pump(): void {
    if (this.#exchange === undefined) {
      this.#startAlone();
      return;
    }
    this.#isNews = true;
    if (this.#isAlone) this.#startAlone();
    const isTime = !this.#isAlone || this.#now() >= this.#retryAt;
    const exchange = this.#exchange;
    // For all who wait: part of nobody's trace.
    if (isTime && !this.#isChanging && this.#isAnythingToTell()) void apart(() => this.#change(exchange));
  }

  // By itself

  #startAlone(): void {
    clearTimeout(this.#timer);
    while (this.#hasRoom()) {
      const now = this.#time();
      this.#budget.forget(now);
      const kind = this.#firstWaiting();
      if (kind === undefined) return;
      if (!this.#budget.mayStart(kind, now)) {
        const wakeAt = this.#budget.wakeAt(now);
        if (wakeAt !== undefined) this.#setTimer(wakeAt - now);
        return;
      }
      const call = this.#newCall(now);
      this.#budget.start(call.id, kind, now);
      this.#begin({ kind, call });
    }
  }

  #setTimer(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#pump(), Math.max(1, Math.ceil(delayMs)));
    this.#timer.unref();
  }

  #newCall(now: number): OwnCall {
    this.#lastCall += 1;
    return { id: `${this.#prefix}${this.#lastCall.toString(36)}`, startedAt: now, isShared: false };
  }

  /** Gives a call to whoever waits for one of its kind, or of one that goes before it. Whether anybody does. */
  #begin({ kind, call }: Grant): boolean {
    const taker = KINDS.slice(0, KINDS.indexOf(kind) + 1).find((each) => this.#waiting[each].size > 0);
    if (taker === undefined) return false;
    const [waiter] = this.#waiting[taker];
    if (waiter === undefined) return false;
    this.#waiting[taker].delete(waiter);
    this.#running.set(call.id, call);
    waiter.grant({ release: (observation) => this.#release(call, observation) });
    return true;
  }

  #release(call: OwnCall, observation: RateObservation | undefined): void {
    const over: OverCall = { call, endedAt: this.#now(), observation };
    this.#running.delete(call.id);
    if (this.#exchange !== undefined) this.#over.push(over);
    if (this.#exchange === undefined || this.#isAlone) this.#budget.end(this.#ended(over, this.#time()));
    this.#pump();
  }

  /** A call that is over, by the clock of the budget. */
  #ended({ call, endedAt, observation }: OverCall, now: number): EndedCall {
    const { id, startedAt } = call;
    return { id, startedAt, endedAt: Math.min(now, endedAt + this.#offset), observation };
  }

  // Together with other processes

  #isAnythingToTell(): boolean {
    const wants = this.#firstWaiting() !== undefined && this.#hasRoom();
    const isNewToOthers = [...this.#running.values()].some(({ isShared }) => !isShared);
    return wants || isNewToOthers || this.#over.length > 0 || this.#cancelled.size > 0;
  }

  /** Leaves out what nobody needs to be told of any more. */
  #dropOld(): void {
    const { windowMs } = this.#options;
    const now = this.#now();
    this.#over = this.#over.filter(({ endedAt }) => endedAt + windowMs > now);
    for (const [id, at] of this.#cancelled) {
      if (at + this.#longestCallMs + windowMs <= now) this.#cancelled.delete(id);
    }
  }

  #cancel({ call }: Grant): void {
    this.#cancelled.set(call.id, this.#now());
  }

  /** Changes the shared budget once, with everything that there is to tell and everybody who may start. */
  async #change(exchange: Exchange): Promise<void> {
    clearTimeout(this.#timer);
    this.#isChanging = true;
    let change: Change | undefined;
    try {
      await exchange.change(({ text, now, offset }) => {
        this.#offset = offset;
        change = this.#makeUp(text, now);
        return change.text;
      });
      if (change !== undefined) this.#made(change);
    } catch {
      // It may have been written all the same.
      for (const grant of change?.grants ?? []) this.#cancel(grant);
      this.#goOnAlone();
    }
    this.#isChanging = false;
    if (this.#isNews && this.#isAnythingToTell()) this.#pump();
    else if (!this.#isAlone && this.#isAnythingToTell()) {
      const now = this.#time();
      // Not all at once: the moments are the same for every process.
      const look = LOOK_MS * (0.8 + Math.random() / 5);
      this.#setTimer(Math.min(look, (this.#budget.wakeAt(now) ?? Infinity) - now));
    }
  }

  #makeUp(text: string | null, now: number): Change {
    this.#isNews = false;
    // A store that has lost it is told what this process knew last.
    const budget = Budget.read(text ?? this.#budget.text(now), { ...this.#options, isShared: true });
    budget.forget(now);
    const told = {
      over: [...this.#over],
      cancelled: [...this.#cancelled.keys()],
      running: [...this.#running.values()],
    };
    const isTold = this.#tell(budget, now, told);
    const grants = this.#isAlone ? [] : this.#chooseFrom(budget, now);
    return { budget, ...told, grants, text: isTold || grants.length > 0 ? budget.text(now) : undefined };
  }

  /** Puts into a budget what has happened here. Whether that changes it. */
  #tell(budget: Budget, now: number, { over, cancelled, running }: Told): boolean {
    const countsUntil = now + this.#longestCallMs + this.#options.windowMs;
    // Written also where nothing of them is there: a late write of theirs then meets another text than the one it is to replace.
    let isChanged = cancelled.length > 0;
    for (const id of cancelled) budget.cancel(id);
    for (const each of over) {
      // Written already, by a try that nobody knew the end of.
      if (each.call.isShared && !budget.has(each.call.id)) continue;
      budget.end(this.#ended(each, now));
      isChanged = true;
    }
    for (const { id, startedAt } of running) {
      if (budget.has(id)) continue;
      budget.add(id, startedAt, countsUntil);
      isChanged = true;
    }
    return isChanged;
  }

  #chooseFrom(budget: Budget, now: number): Grant[] {
    const countsUntil = now + this.#longestCallMs + this.#options.windowMs;
    const grants: Grant[] = [];
    for (const kind of KINDS) {
      for (let count = this.#waiting[kind].size; count > 0; count -= 1) {
        const isFull = this.#running.size + grants.length >= this.#maxConcurrentCalls;
        if (isFull || !budget.mayStart(kind, now)) return grants;
        const call = this.#newCall(now);
        budget.start(call.id, kind, now, countsUntil);
        grants.push({ kind, call });
      }
    }
    return grants;
  }

  /** The others know it now. */
  #made({ budget, over, cancelled, running, grants }: Change): void {
    const told = new Set(over);
    this.#over = this.#over.filter((each) => !told.has(each));
    for (const id of cancelled) this.#cancelled.delete(id);
    for (const call of [...running, ...grants.map((grant) => grant.call)]) call.isShared = true;
    this.#budget = budget;
    this.#isAlone = false;
    this.#failures = 0;
    for (const grant of grants) {
      if (this.#begin(grant)) continue;
      this.#cancel(grant);
      this.#isNews = true;
    }
  }

  /** Goes on by what was known last, and comes back to the store a little later. */
  #goOnAlone(): void {
    if (!this.#isAlone) {
      const running = [...this.#running.values()];
      this.#tell(this.#budget, this.#time(), { over: this.#over, cancelled: [], running });
    }
    this.#isAlone = true;
    this.#dropOld();
    const delayMs = Math.min(RETRY_MS * 2 ** this.#failures, LONGEST_RETRY_MS);
    this.#failures += 1;
    this.#retryAt = this.#now() + delayMs;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => {
      // Timers may be early by a part of a millisecond, and there is no other one.
      this.#retryAt = -Infinity;
      this.#pump();
    }, Math.ceil(delayMs));
    this.#retryTimer.unref();
    this.#startAlone();
  }
}

/** What a process tells of itself. */
interface Told {
  readonly over: readonly OverCall[];
  readonly cancelled: readonly string[];
  readonly running: readonly OwnCall[];
}

/** A change of the shared budget: what was told, who may start then, and the text; `undefined` where it stays as it is. */
interface Change extends Told {
  readonly budget: Budget;
  readonly grants: readonly Grant[];
  readonly text: string | undefined;
}

const busy = (): WpFusionError =>
  new WpFusionError(
    'CRM_UNAVAILABLE',
    'All connections to Ontraport were busy with calls that it had not answered yet. It may be slow or down.',
  );
