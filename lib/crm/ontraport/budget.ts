// What is left of the calls to an account: plain data and its arithmetic. It has no clock and no timer, and waits for nothing; so
// several processes can hand it to one another as text.

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

/** What a {@link Budget} begins with. */
export interface BudgetOptions {
  /** Calls in a window, until an answer says otherwise. */
  readonly limit: number;
  /** Milliseconds after which a call no longer counts. */
  readonly windowMs: number;
  /** Whether several processes spend it, whose calls run beside one another all the time. */
  readonly isShared: boolean;
}

/** A call under way. */
interface RunningCall {
  readonly startedAt: number;
  /** When it is given up: the process that makes it must have died. */
  readonly countsUntil: number;
}

/** A call that is over. */
export interface EndedCall {
  readonly id: string;
  readonly startedAt: number;
  readonly endedAt: number;
  /** What its answer said; `undefined` where none came. */
  readonly observation: RateObservation | undefined;
}

/** The budget as text: JSON of this. Times of calls are milliseconds before and after `at`, which keeps them short. */
interface Written {
  readonly version: typeof VERSION;
  readonly at: number;
  readonly limit: number;
  readonly ended: readonly number[];
  readonly running: readonly (readonly [id: string, startedBefore: number, countsFor: number])[];
  readonly foreign: number;
  readonly foreignUntil: number;
  /** `null` where there was none yet, here and below: JSON has no infinity. */
  readonly observedFrom: number | null;
  readonly probeAt: number | null;
  readonly pausedUntil: number | null;
}

/** Another version's text is left alone: it may count otherwise. */
const VERSION = 1;

/**
 * How much of the limit each kind of call may use up. So a burst of writes never keeps a read waiting, an import of thousands
 * neither of both, and a little is always left for other programs.
 */
const SHARES: Readonly<Record<CallKind, number>> = { read: 0.95, write: 0.8, walk: 0.5 };

/** Calls of each share kept back for asking whether the budget has come back earlier than it should have. */
const PROBES = 2;

/** The least time between two such questions, in milliseconds: a `Reset` is in whole seconds, and may be 0. */
const PROBE_INTERVAL_MS = 250;

/** A `Reset` may have been rounded up by so much. */
const RESET_ROUNDING_MS = 1000;

/** How long nobody else asks while a question is under way. */
const ANSWER_MS = 1000;

/**
 * A token bucket whose tokens come back one window after they were spent, so no window of any position ever holds more calls
 * than a kind's share. A call counts from its start until one window after its end: the server counts it somewhere between.
 *
 * What the answers say is believed over what was counted here: calls of other programs lower the budget until the window rolls
 * over; a window that is over earlier than counted gives the tokens back at once. Where the budget is used up and the announced
 * time has passed, one call out of two kept back asks for the news.
 *
 * All times are milliseconds of one clock, whichever.
 */
export class Budget {
  readonly #windowMs: number;
  readonly #isShared: boolean;
  #limit: number;
  /** When the calls that are over and still count have ended, in that order. */
  #ended: number[] = [];
  readonly #running = new Map<string, RunningCall>();
  /** Calls of other programs, as the last answer showed them, and until when they count. */
  #foreign = 0;
  #foreignUntil = 0;
  /** When the call started whose answer was believed last. */
  #observedFrom = -Infinity;
  /** From when on a kept-back call may ask whether the window has rolled over. */
  #probeAt = Infinity;
  #pausedUntil = -Infinity;

  constructor({ limit, windowMs, isShared }: BudgetOptions) {
    this.#limit = limit;
    this.#windowMs = windowMs;
    this.#isShared = isShared;
  }

  /** The budget that was written. @throws Error where the text is none of this version. */
  static read(text: string, options: BudgetOptions): Budget {
    const written = JSON.parse(text) as Partial<Written> | null;
    if (written?.version !== VERSION) throw new Error('The shared budget was written by another version.');
    const { at, limit, ended, running, foreign, foreignUntil, observedFrom, probeAt, pausedUntil } =
      written as Written;
    const budget = new Budget({ ...options, limit });
    budget.#ended = ended.map((before) => at - before);
    for (const [id, startedBefore, countsFor] of running) {
      budget.#running.set(id, { startedAt: at - startedBefore, countsUntil: at + countsFor });
    }
    budget.#foreign = foreign;
    budget.#foreignUntil = foreignUntil;
    budget.#observedFrom = observedFrom ?? -Infinity;
    budget.#probeAt = probeAt ?? Infinity;
    budget.#pausedUntil = pausedUntil ?? -Infinity;
    return budget;
  }

  /** The budget as text: 6 characters for each call that is over, so thousands of them fit into what a store has to take. */
  text(now: number): string {
    const at = Math.ceil(now);
    const written: Written = {
      version: VERSION,
      at,
      limit: this.#limit,
      ended: this.#ended.map((endedAt) => Math.floor(at - endedAt)),
      running: [...this.#running].map(([id, { startedAt, countsUntil }]) => [
        id,
        Math.floor(at - startedAt),
        Math.ceil(countsUntil - at),
      ]),
      foreign: this.#foreign,
      foreignUntil: Math.ceil(this.#foreignUntil),
      observedFrom: wholeOrNull(this.#observedFrom),
      probeAt: wholeOrNull(this.#probeAt),
      pausedUntil: wholeOrNull(this.#pausedUntil),
    };
    return JSON.stringify(written);
  }

  /** Whether a call under way is counted here. */
  has(id: string): boolean {
    return this.#running.has(id);
  }

  /** Calls in a window. */
  get limit(): number {
    return this.#limit;
  }

  /** How many of them are used up. */
  used(): number {
    return this.#count() + this.#foreign;
  }

  /** Leaves out what does not count any more. */
  forget(now: number): void {
    this.#ended = this.#ended.filter((endedAt) => endedAt + this.#windowMs > now);
    for (const [id, { countsUntil }] of this.#running) if (countsUntil <= now) this.#running.delete(id);
    if (now >= this.#foreignUntil) this.#foreign = 0;
  }

  /** Whether a call may start. Where one may not, none of a kind after it may: its share is smaller. */
  mayStart(kind: CallKind, now: number): boolean {
    if (now < this.#pausedUntil) return false;
    return this.#free(kind) > this.#probes(kind) || now >= this.#nextProbe();
  }

  /** Counts a call that starts. */
  start(id: string, kind: CallKind, now: number, countsUntil = Infinity): void {
    // A call that is made anyway brings the news; until then nobody needs to ask for it.
    if (this.#free(kind) <= this.#probes(kind)) this.#probeAt = now + ANSWER_MS;
    this.#running.set(id, { startedAt: now, countsUntil });
  }

  /** Counts a call that was started without this budget, whatever is left. */
  add(id: string, startedAt: number, countsUntil: number): void {
    this.#running.set(id, { startedAt, countsUntil });
  }

  /** Takes back a start: the call was not made. */
  cancel(id: string): void {
    this.#running.delete(id);
  }

  /** Counts a call that is over for one window more, and believes what its answer said. */
  end({ id, startedAt, endedAt, observation = {} }: EndedCall): void {
    this.#running.delete(id);
    // The server does not count what it refuses.
    const isCounted = observation.refusedForMs === undefined;
    this.#observe(startedAt, endedAt, observation, isCounted ? 1 : 0);
    if (isCounted) this.#ended = [...this.#ended, endedAt].sort((one, other) => one - other);
  }

  /** When the answer to "may it start?" can next be another one without a call ending; `undefined` where never. */
  wakeAt(now: number): number | undefined {
    if (now < this.#pausedUntil) return this.#pausedUntil;
    const [firstEnd = Infinity] = this.#ended;
    const next = Math.min(
      firstEnd + this.#windowMs,
      ...[...this.#running.values()].map(({ countsUntil }) => countsUntil),
      this.#foreign > 0 ? this.#foreignUntil : Infinity,
      this.#nextProbe(),
    );
    return Number.isFinite(next) ? next : undefined;
  }

  /** Believes what an answer said. `own`: how many calls it counts for itself. */
  #observe(startedAt: number, now: number, observation: RateObservation, own: number): void {
    const { limit, remaining, resetMs, refusedForMs } = observation;
    if (limit !== undefined) this.#limit = limit;
    if (refusedForMs !== undefined) this.#pausedUntil = Math.max(this.#pausedUntil, now + refusedForMs);
    if (remaining === undefined) return;

    this.forget(now);
    // Calls that ran beside this one may have been counted after its answer was written, or before.
    const certain = this.#ended.filter((endedAt) => endedAt <= startedAt).length;
    const counted = certain + own;
    const used = this.#limit - Math.min(remaining, this.#limit);
    const untilReset = Math.min(refusedForMs ?? resetMs ?? this.#windowMs, this.#windowMs);
    const foreign = this.#foreignIn(used - counted, this.#count() - certain);
    if (startedAt < this.#observedFrom) {
      // Old news: what a later call was told stays, unless this is worse.
      if (now < this.#foreignUntil && foreign <= this.#foreign) return;
      if (foreign === 0) return;
    } else {
      this.#observedFrom = startedAt;
      // The first to end were the first to be forgotten by the server.
      if (used < counted) this.#ended.splice(0, Math.min(certain, counted - used));
    }
    this.#foreign = foreign;
    this.#foreignUntil = now + untilReset;
    const rounding = this.#isShared ? RESET_ROUNDING_MS : 0;
    this.#probeAt = now + Math.max(untilReset - rounding, PROBE_INTERVAL_MS);
  }

  /**
   * The calls of other programs, of which there are `most` unless the server had counted some of the `uncertain` of our own. Of one
   * process few are uncertain. Of several there are many all the time: then what is known stays as long as it explains the answer.
   */
  #foreignIn(most: number, uncertain: number): number {
    const isExplained = most - uncertain <= this.#foreign && this.#foreign <= most;
    return this.#isShared && isExplained ? this.#foreign : Math.max(0, most);
  }

  #count(): number {
    return this.#ended.length + this.#running.size;
  }

  #share(kind: CallKind): number {
    return Math.max(1, Math.floor(this.#limit * SHARES[kind]));
  }

  #probes(kind: CallKind): number {
    return Math.min(PROBES, this.#share(kind) - 1);
  }

  /** What is left of a kind's share. */
  #free(kind: CallKind): number {
    return this.#share(kind) - this.#count() - this.#foreign;
  }

  /** From when on one call more may ask for news, also of a kind whose share others have used up. */
  #nextProbe(): number {
    const free = this.#free('read');
    if (free <= 0) return Infinity;
    // Nobody asks in vain with the last ones.
    return free > PROBES ? this.#probeAt : Math.max(this.#probeAt, this.#foreignUntil);
  }
}

const wholeOrNull = (moment: number): number | null => (Number.isFinite(moment) ? Math.ceil(moment) : null);
