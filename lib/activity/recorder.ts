// Tells the activity log what becomes of webhooks: behind their backs, a few at a time, and never more than it can hold.
import { randomBytes } from 'node:crypto';
import type { Logger } from '../logger';
import { describeError } from '../redact';
import type { Result } from '../result';
import { apart } from '../telemetry/spans';
import type { ActivityAttempt, ActivityEntry, ActivityLog } from './activity-log';

/** How long an entry waits for company. */
const GATHER_MS = 50;
/** How many entries are written at once. */
const BATCH = 200;
/** How many wait for a log that is slow or down; the oldest are lost then. */
const MAX_WAITING = 5000;
const MAX_REJECTED = 200;
/** A log that failed is tried again after so long, doubled each time up to half a minute. */
const PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/** What a {@link Recorder} needs. */
export interface RecorderOptions {
  readonly log: ActivityLog;
  /** The name of the middleware. */
  readonly name: string;
  readonly logger: Logger;
  /** What no line of the log may hold. */
  readonly secrets: Iterable<string>;
}

/** A new correlation id. Those made later are greater as text. */
export function newCorrelationId(now = Date.now()): string {
  return `${now.toString(36).padStart(9, '0')}-${randomBytes(6).toString('hex')}`;
}

/** A try that ends now. */
export function attemptSince(
  at: number,
  contactReads: number | undefined,
  failure?: Pick<ActivityAttempt, 'code' | 'detail'>,
): ActivityAttempt {
  const { code = null, detail = null } = failure ?? {};
  return { at, durationMs: Date.now() - at, contactReads: contactReads ?? 0, code, detail };
}

/** What a result says in a record. */
export function entryOfResult(result: Result): Omit<ActivityEntry, 'id' | 'receivedAt'> {
  const { outcome, reason = null, userId = null, warnings, changes, contactId } = result;
  const tags = changes.find(({ field }) => field === 'tags');
  const before = textsIn(tags?.from);
  const after = textsIn(tags?.to);
  return {
    ...{ outcome, reason, warnings, changes, contactId, userId, code: null, detail: null },
    tagsAdded: after.filter((tag) => !before.includes(tag)),
    tagsRemoved: before.filter((tag) => !after.includes(tag)),
  };
}

const textsIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];

/** The way into an activity log. Nothing of it ever rejects. */
export class Recorder {
  readonly #options: RecorderOptions;
  #waiting: ActivityEntry[] = [];
  #rejected: ActivityEntry[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #failures = 0;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** Takes an entry along with the next write. */
  tell(entry: ActivityEntry): void {
    const { keepsValues = false } = this.#options.log;
    const changes = keepsValues ? entry.changes : entry.changes?.map(({ field }) => ({ field }));
    const [list, most] =
      entry.state === 'rejected' ? [this.#rejected, MAX_REJECTED] : [this.#waiting, MAX_WAITING];
    list.push({ ...entry, ...(changes === undefined ? {} : { changes }) });
    if (list.length > most) list.shift();
    this.#schedule(GATHER_MS);
  }

  /** Resolves when everything that was told is written, or could not be. */
  async ended(): Promise<void> {
    while (this.#isWaiting() && this.#failures === 0) await this.#write();
  }

  #isWaiting(): boolean {
    return this.#waiting.length + this.#rejected.length > 0 || this.#writing !== undefined;
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#writing !== undefined) return;
    this.#timer = setTimeout(() => void this.#write(), delayMs);
    this.#timer.unref();
  }

  #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing ??= this.#writeBatch().finally(() => {
      this.#writing = undefined;
      const pause = Math.min(PAUSE_MS * 2 ** (this.#failures - 1), LONGEST_PAUSE_MS);
      if (this.#isWaiting()) this.#schedule(this.#failures > 0 ? pause : 0);
    });
    return this.#writing;
  }

  async #writeBatch(): Promise<void> {
    const { log, name, logger, secrets } = this.#options;
    const entries = [...this.#rejected.splice(0), ...this.#waiting.splice(0, BATCH)];
    try {
      // For many webhooks: part of nobody's trace.
      await apart(() => log.write(name, entries));
      if (this.#failures > 0) logger.info({ name }, 'The activity log is back.');
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      const cause = describeError(error, secrets);
      if (this.#failures === 1)
        logger.warn({ name, cause }, 'The activity log could not be written; it is tried again.');
      const rejected = entries.filter(({ state }) => state === 'rejected');
      const others = entries.filter(({ state }) => state !== 'rejected');
      this.#rejected = [...rejected, ...this.#rejected].slice(-MAX_REJECTED);
      this.#waiting = [...others, ...this.#waiting].slice(-MAX_WAITING);
    }
  }
}
