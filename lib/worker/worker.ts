// Works a queue off: takes contacts that are due, runs what waits for them as one webhook each, and tells the queue what became
// of it. docs/delivery.md tells what is promised.
import type { Conditions } from '../actions/conditions';
import type { ActivityEntry } from '../activity/activity-log';
import { attemptSince, entryOfResult, type Recorder } from '../activity/recorder';
import { processWebhook, RunFailure } from '../actions/process';
import type { Site } from '../actions/site';
import type { Turns } from '../actions/turns';
import { codeOf } from '../errors';
import type { WorkerTiming } from '../options';
import type { Job, Lease, StoredJob, TakenContact, Verdict, WebhookQueue } from '../queue/queue';
import { SETTLE, type Webhook } from '../queue/webhook';
import { describeError } from '../redact';
import type { Reporter } from '../reporter';
import { apart } from '../telemetry/spans';
import { processing, type Tell } from '../telemetry/webhooks';
import { merge } from './merge';
import type { News } from './inbox';
import type { QueueStep } from './steps';
import { told, treatmentOf, verdictOfFailure, verdictsOfSuccess, type Failure } from './verdict';

/** How many contacts are taken at once, where the CRM reads so many in one call or fewer: the calls are shared. */
const BATCH = 50;
/** How many are in work at once: as many as four calls read, and two batches more that are worked off meanwhile. */
const MAX_ACTIVE = 6 * BATCH;
/** How long the next taking waits for company after one that found something: in a burst more are coming. */
const GATHER_MS = 1000;
/** A burst is over when nothing has come for so long. */
const QUIET_MS = 150;
/** How often an idle worker looks for what other processes have stored, and for what has become due. */
const POLL_MS = 1000;
/** A CRM that was not to be had is left alone for so long, doubled each time it still is not, up to a minute. */
const PAUSE_MS = 1000;
const LONGEST_PAUSE = 60;
/** A run may read from the CRM for so long: its API can take a minute. */
const READ_MS = 120_000;
/** How long a run waits for a password to be returned: the user is there, the job comes back to it. */
const WAIT_MS = 2000;
/** A store that gives no answer for this long is not to be had: a connection can be dead without anybody being told. */
const STORE_MS = 60_000;
/** A run that has not ended after this long does not keep its contact any more. */
const MAX_RUN_MS = 10 * 60_000;

/** What a {@link Worker} needs. */
export interface WorkerOptions {
  readonly queue: WebhookQueue;
  readonly site: Site;
  readonly turns: Turns;
  readonly reporter: Reporter;
  readonly recorder: Recorder | undefined;
  /** Hears of what became of a job, by its id, where somebody may wait for it. */
  readonly onNews: (id: string, news: News) => void;
}

/** A contact in work. */
interface Active extends Lease {
  readonly startedAt: number;
  /** Until when nobody else can have been given the contact, on the clock that never goes back. */
  heldUntil: number;
}

/** The contacts of one taking: its first failure counts for all of them. */
interface Batch {
  hasFailed: boolean;
}

/** Works one queue off. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #name: string;
  readonly #timing: WorkerTiming;
  readonly #active = new Set<Active>();
  readonly #work = new Set<Promise<void>>();
  #isTaking = false;
  #isRenewing = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;
  #renewal: NodeJS.Timeout | undefined;
  /** How many webhooks this process has stored since it took last. */
  #stored = 0;
  #storedAt = -Infinity;
  #tookAt = -Infinity;
  #foundLast = false;
  /** How many contacts are taken at once: fewer after a failure, until the one that makes the calls fail is alone. */
  #limit = BATCH;
  #pausedUntil = -Infinity;
  #pauses = 0;
  #storeFailures = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#name = options.site.configuration.name;
    this.#timing = options.site.configuration.workerTiming;
  }

  /** Begins to work. */
  start(): void {
    const { queue } = this.#options;
    this.#renewal = setInterval(() => void this.#renew(), queue.leaseMs / 3);
    this.#renewal.unref();
    this.wake();
  }

  /** Says that something was stored, or may have become due. */
  wake(stored = 0): void {
    this.#stored += stored;
    if (stored > 0) this.#storedAt = performance.now();
    this.#schedule(0);
  }

  /** Takes nothing more, and resolves when what is in work has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    while (this.#work.size > 0) await Promise.all(this.#work);
    clearInterval(this.#renewal);
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    // Not part of what has just been stored, or just been worked off.
    this.#timer = setTimeout(() => apart(() => this.#turn()), Math.max(delayMs, this.#waitMs()));
    this.#timer.unref();
  }

  /** How long the next taking has to wait. */
  #waitMs(): number {
    const now = performance.now();
    const { gatherMs = GATHER_MS } = this.#timing;
    const isGathering = this.#foundLast && this.#stored < this.#limit;
    const gathering = isGathering ? Math.min(this.#tookAt + gatherMs, this.#storedAt + QUIET_MS) - now : 0;
    return Math.max(0, this.#pausedUntil - now, gathering);
  }

  #hasRoom(): boolean {
    // With fewer than a batch every contact has its call to itself: nothing else may be under way that it could share one with.
    return this.#limit < BATCH ? this.#active.size === 0 : this.#active.size + BATCH <= MAX_ACTIVE;
  }

  #turn(): void {
    if (this.#isTaking || this.#isStopped || !this.#hasRoom()) return;
    if (this.#waitMs() > 0) {
      this.#schedule(0);
      return;
    }
    this.#isTaking = true;
    const work = this.#take().finally(() => this.#work.delete(work));
    this.#work.add(work);
  }

  async #take(): Promise<void> {
    const { queue } = this.#options;
    const { pollMs = POLL_MS } = this.#timing;
    const limit = this.#limit;
    this.#stored = 0;
    this.#tookAt = performance.now();
    let next = pollMs * (0.9 + Math.random() / 5);
    try {
      const taken = await answered(queue.take(this.#name, limit));
      this.#storeIsBack();
      this.#foundLast = taken.length > 0;
      const heldUntil = this.#tookAt + queue.leaseMs;
      const batch = { hasFailed: false };
      if (taken.length > 0) await this.#step('work: taken');
      for (const contact of taken) this.#begin(contact, heldUntil, batch);
      // More was waiting, or has been stored since.
      if (taken.length >= limit || this.#stored > 0) next = 0;
    } catch (error) {
      next = this.#storeIsGone(error);
    }
    this.#isTaking = false;
    this.#schedule(next);
  }

  #begin(contact: TakenContact, heldUntil: number, batch: Batch): void {
    const { contactId, token } = contact;
    const active = { contactId, token, startedAt: performance.now(), heldUntil };
    this.#active.add(active);
    const work = processing(this.#name, contact, (tell) => this.#run(contact, active, batch, tell))
      .catch((error: unknown) => this.#lost(error, contactId))
      .finally(() => {
        this.#active.delete(active);
        this.#work.delete(work);
        if (this.#hasRoom()) this.#schedule(0);
      });
    this.#work.add(work);
  }

  /** Something that nobody foresaw, such as a job that no version has written. The contact comes back when its lease is over. */
  #lost(error: unknown, contactId: string): void {
    const { configuration, secrets } = this.#options.site;
    const details = {
      name: this.#name,
      code: 'INTERNAL_ERROR',
      contactId,
      cause: describeError(error, secrets),
    };
    configuration.logger.error(details, 'A contact could not be worked on.');
  }

  /** Runs what waits for one contact. */
  async #run(contact: TakenContact, active: Active, batch: Batch, tellTrace: Tell): Promise<void> {
    const { site, turns, reporter, onNews } = this.#options;
    const { contactId, jobs } = contact;
    const webhook = merge(contactId, jobs, site.configuration.roles);
    const ticket = site.contacts.expect();
    const startedAt = Date.now();
    let verdicts = new Map<string, Verdict>();
    let tell = (): void => undefined;
    try {
      // A worker that stops leaves what has not begun.
      if (this.#isStopped) throw new LeaseLost();
      this.#tellOfWaiting(jobs);
      const conditions = { ...this.#conditions(active, jobs), ticket };
      const result = await turns.take(contactId, () => processWebhook(webhook, site, conditions));
      await this.#step('work: run ended');
      verdicts = verdictsOfSuccess(jobs, result);
      tellTrace({ outcome: result.outcome });
      tell = () => {
        for (const { id, job } of jobs) {
          const verdict = verdicts.get(id);
          this.#tellOfGivenUp(contactId, verdict);
          const { correlationId } = job;
          // Coming back to what is owed is no webhook of its own.
          if (job.action !== SETTLE)
            reporter.done({ ...result, action: job.action }, { dryRun: false, correlationId });
          this.#record(id, job, {
            // What it came to was told by the webhook itself: only what was still owed has changed.
            ...(job.action === SETTLE
              ? { warnings: result.warnings, code: null, detail: null }
              : entryOfResult(result)),
            state: verdict?.kind === 'later' ? 'waiting' : (verdict?.kind ?? 'done'),
            attempt: attemptSince(startedAt, result.contactReads),
          });
          if (job.awaited === true) onNews(id, { kind: 'done', result: told(result, job) });
        }
      };
      this.#crmIsBack(batch);
    } catch (thrown) {
      const cause = thrown instanceof RunFailure ? thrown.cause : thrown;
      if (!(cause instanceof LeaseLost) && codeOf(cause) !== 'SHUTTING_DOWN') {
        const failure = this.#failureOf(thrown, webhook);
        const contactReads = thrown instanceof RunFailure ? thrown.contactReads : 0;
        this.#heed(failure, batch);
        tellTrace({ code: failure.code });
        for (const stored of jobs) {
          const verdict = verdictOfFailure(stored, failure, webhook.action);
          if (verdict !== undefined) verdicts.set(stored.id, verdict);
        }
        tell = () => {
          for (const { id, job } of jobs) {
            const verdict = verdicts.get(id);
            if (verdict === undefined) continue;
            reporter.emitFailure({ action: job.action, contactId }, failure, verdict.kind === 'later');
            const { code, detail } = failure;
            this.#record(id, job, {
              ...{ code, detail, contactId, state: verdict.kind === 'dead' ? 'dead' : 'waiting' },
              attempt: attemptSince(startedAt, contactReads, failure),
            });
            if (verdict.kind !== 'done' && !isPaused(verdict)) onNews(id, verdict);
          }
        };
      }
    } finally {
      ticket.release();
    }
    if (!(await this.#finish(active, verdicts))) return;
    tell();
    await this.#step('work: finished');
  }

  /** Tells the activity log of a webhook; those of walks and of older versions have no record. */
  #record(jobId: string, job: Job, entry: Omit<ActivityEntry, 'id' | 'receivedAt'>): void {
    const { correlationId: id, receivedAt, action } = job;
    if (id === undefined) return;
    const asked = action === SETTLE ? {} : { action };
    this.#options.recorder?.tell({ id, receivedAt, jobId, ...asked, ...entry });
  }

  /** What a run failed with. While the CRM is down the worker says so once; that is no line for every contact. */
  #failureOf(thrown: unknown, webhook: Webhook): Failure {
    const { reporter } = this.#options;
    const described = reporter.describe(thrown);
    const { code, retryAfter } = described.error;
    reporter.failed(described, webhook, treatmentOf(code) === 'pause' ? 'debug' : 'error');
    return { code, detail: described.detail, retryAfter };
  }

  /** How long webhooks have waited that nobody has worked on yet. */
  #tellOfWaiting(jobs: readonly StoredJob[]): void {
    for (const { job } of jobs) {
      if (job.action !== SETTLE && job.failure === undefined)
        this.#options.site.instruments.waited(job.receivedAt, job.action);
    }
  }

  /** A debt that nobody could settle for a day: somebody has to know. */
  #tellOfGivenUp(contactId: string, verdict: Verdict | undefined): void {
    if (verdict?.kind !== 'dead') return;
    const { code, detail = '' } = verdict.job.failure ?? {};
    const details = { name: this.#name, code, contactId };
    this.#options.site.configuration.logger.error(
      details,
      `Given up after a day, now a dead letter: ${detail}`,
    );
  }

  #conditions(active: Active, jobs: readonly StoredJob[]): Conditions {
    const now = Date.now();
    const isAwaited = jobs.some(({ job }) => job.awaited === true);
    const { timeoutMs } = this.#options.site.configuration;
    return {
      // A contact that is not there yet is come back to; meanwhile others are worked on.
      lookUntil: 0,
      readUntil: now + READ_MS,
      waitUntil: now + (isAwaited ? Math.max(WAIT_MS, timeoutMs / 2) : WAIT_MS),
      isExclusive: true,
      mayGoOn: () => {
        if (performance.now() >= active.heldUntil) throw new LeaseLost();
      },
    };
  }

  /** Tells the queue, for as long as nobody else can have the contact. Whether it took it. */
  async #finish(active: Active, verdicts: ReadonlyMap<string, Verdict>): Promise<boolean> {
    const { queue, site } = this.#options;
    const { contactId, token } = active;
    for (let delayMs = 100; ; delayMs = Math.min(2 * delayMs, 2000)) {
      try {
        const held = await answered(queue.finish(this.#name, { contactId, token }, verdicts));
        this.#storeIsBack();
        if (!held) {
          site.configuration.logger.warn(
            { name: this.#name, contactId },
            'A contact was in work for too long and was given to another worker; what came of it here does not count.',
          );
        }
        return held;
      } catch (error) {
        this.#storeIsGone(error);
        // The effects are there; the job will be run again, and finds nothing to do.
        if (performance.now() >= active.heldUntil || site.closed.aborted) return false;
        await new Promise((resolve) => setTimeout(resolve, delayMs).unref());
      }
    }
  }

  /** Keeps what is in work from being given to others. */
  async #renew(): Promise<void> {
    const { queue, site } = this.#options;
    const now = performance.now();
    const leases = [...this.#active.values()].filter(({ startedAt }) => now - startedAt < MAX_RUN_MS);
    if (leases.length === 0 || this.#isRenewing) return;
    this.#isRenewing = true;
    try {
      const kept = leases.map(({ contactId, token }) => ({ contactId, token }));
      const held = await answered(queue.renew(this.#name, kept));
      const tokens = new Set(held.map(({ contactId, token }) => `${token} ${contactId}`));
      for (const lease of leases) {
        // One that is lost is another worker's: what is under way here must not go on.
        lease.heldUntil = tokens.has(`${lease.token} ${lease.contactId}`) ? now + queue.leaseMs : -Infinity;
      }
    } catch (error) {
      site.configuration.logger.debug(
        { name: this.#name, cause: describeError(error, site.secrets) },
        'The queue could not be told that work goes on.',
      );
    } finally {
      this.#isRenewing = false;
    }
  }

  /** A failure that may be the CRM's, not the contact's: leaves it alone for a while, and comes back with less. */
  #heed({ code, retryAfter = 0 }: Failure, batch: Batch): void {
    const isPause = treatmentOf(code) === 'pause';
    if (batch.hasFailed || !(isPause || code === 'CRM_BAD_RESPONSE')) return;
    batch.hasFailed = true;
    this.#limit = Math.max(1, Math.floor(this.#limit / 2));
    if (!isPause) return;
    const { pauseMs = PAUSE_MS } = this.#timing;
    const delayMs = Math.max(pauseMs * Math.min(2 ** this.#pauses, LONGEST_PAUSE), retryAfter * 1000);
    this.#pausedUntil = performance.now() + delayMs;
    this.#pauses += 1;
    const details = { name: this.#name, code, seconds: Math.ceil(delayMs / 1000) };
    if (this.#pauses === 1)
      this.#options.site.configuration.logger.warn(
        details,
        'The CRM is not to be had; webhooks wait in the queue.',
      );
  }

  /** What was asked for came: no pause, and more at a time. */
  #crmIsBack(batch: Batch): void {
    if (batch.hasFailed) return;
    if (this.#pauses > 0)
      this.#options.site.configuration.logger.info(
        { name: this.#name },
        'The CRM is back; the queue is worked off.',
      );
    this.#pauses = 0;
    this.#limit = Math.min(BATCH, this.#limit * 2);
  }

  /** Milliseconds until the store is asked again. */
  #storeIsGone(error: unknown): number {
    const { site } = this.#options;
    this.#storeFailures += 1;
    if (this.#storeFailures === 1) {
      const details = {
        name: this.#name,
        code: 'QUEUE_UNAVAILABLE',
        cause: describeError(error, site.secrets),
      };
      site.configuration.logger.error(details, 'The queue is not to be had; it is tried again.');
    }
    return Math.min((this.#timing.pollMs ?? POLL_MS) * 2 ** Math.min(this.#storeFailures, 10), 30_000);
  }

  #storeIsBack(): void {
    if (this.#storeFailures > 0)
      this.#options.site.configuration.logger.info({ name: this.#name }, 'The queue is back.');
    this.#storeFailures = 0;
  }

  async #step(name: QueueStep): Promise<void> {
    await this.#options.site.configuration.failPoint?.(name);
  }
}

/** The contact is not ours any more, or nothing was begun: no verdict. */
class LeaseLost extends Error {}

/** Whether a job waits for the CRM to come back, and for nothing else. */
const isPaused = ({ job }: { readonly job: Job }): boolean =>
  treatmentOf(job.failure?.code ?? '') === 'pause';

/** What the store answers, if it answers in time. */
async function answered<Value>(answer: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${STORE_MS / 1000} s.`)), STORE_MS);
    timer.unref();
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}
