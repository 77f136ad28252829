// A wake-up is a job of BullMQ's that says no more than that a contact has something waiting. Everything that is waited for, paused,
// shown on a dashboard and traced is BullMQ's; what is to be done is in the contact's inbox.
import { randomUUID } from 'node:crypto';
import type { Job, JobJson, Queue, RedisQueueBackend, Telemetry } from 'bullmq';
import type { Job as WebhookJob } from '../queue/queue';
import type { BullMq } from './bullmq';
import { traceHere, type Trace } from '../telemetry/spans';
import type { BullMqTelemetry } from './options';

/** What a dashboard shows of a wake-up. */
export interface WakeUpData {
  readonly contactId: string;
  /** Of a failed one: the webhooks that were given up, without anything secret. */
  readonly deadLetters?: readonly DeadLetter[];
}

/** A dead letter, as a dashboard shows it. */
export interface DeadLetter {
  readonly id: string;
  readonly action: string;
  readonly code?: string | undefined;
  readonly detail?: string | undefined;
}

/** A wake-up that has come, and is ours until its lock runs out. */
export interface WakeUp {
  readonly id: string;
  readonly name: string;
  readonly contactId: string | undefined;
  /** Whether it was failed, and somebody has asked for it again. */
  readonly isAgain: boolean;
  /** The trace that it was put in. */
  readonly trace: string | undefined;
}

/** BullMQ's wake-ups of one queue. */
export class WakeUps {
  readonly #bullMq: BullMq;
  readonly #queue: Queue<WakeUpData>;
  readonly #backend: RedisQueueBackend;
  readonly #isTraced: boolean;

  /** @param backend shared with the other queues: it makes no connection. */
  constructor(
    bullMq: BullMq,
    name: string,
    backend: RedisQueueBackend,
    { prefix, telemetry }: { readonly prefix: string; readonly telemetry: BullMqTelemetry | undefined },
  ) {
    this.#bullMq = bullMq;
    this.#isTraced = telemetry !== undefined;
    const sibling = backend.forQueue(name, prefix);
    if (!(sibling instanceof bullMq.RedisQueueBackend)) throw new TypeError('BullMQ is not on Redis.');
    this.#backend = sibling;
    const options = { connection: {}, prefix, ...(telemetry && { telemetry: telemetry as Telemetry }) };
    this.#queue = new bullMq.Queue<WakeUpData>(name, options, () => sibling);
    this.#queue.on('error', () => undefined);
  }

  /** How the names of all jobs of this queue begin in Redis. */
  get jobs(): string {
    return this.#backend.toKey('');
  }

  /** A wake-up that can be added. */
  make(
    name: string,
    contactId: string,
    { id = randomUUID(), trace }: { id?: string; trace?: string | undefined } = {},
  ): Job<WakeUpData> {
    const options = {
      jobId: id,
      // Whether a wake-up will come is asked by whether it exists.
      removeOnComplete: true,
      ...(trace === undefined ? {} : { telemetry: { metadata: trace } }),
    };
    return new this.#bullMq.Job(this.#queue, name, { contactId }, options, id);
  }

  /** The next wake-up whose time has come, locked with `token`. */
  async next(token: string): Promise<WakeUp | undefined> {
    const [json, id] = (await this.#backend.moveToActive(token)) as [JobJson | null | undefined, string];
    if (json === null || json === undefined) return undefined;
    const job = this.#bullMq.Job.fromJSON(this.#queue, json, id);
    const { name, opts, attemptsMade } = job;
    const contactId = (job.data as { contactId?: unknown } | null)?.contactId;
    return {
      id,
      name,
      contactId: typeof contactId === 'string' ? contactId : undefined,
      isAgain: attemptsMade > 0,
      trace: opts.telemetry?.metadata,
    };
  }

  /** Brings back the wake-ups of workers that died. */
  async recover(): Promise<void> {
    await this.#backend.moveStalledJobsToWait();
  }

  /** Keeps wake-ups from coming back for another while. */
  async extend(ids: string[], token: string[], milliseconds: number): Promise<void> {
    if (ids.length > 0) await this.#backend.extendLocks(ids, token, milliseconds);
  }

  /** It has done its work. */
  async complete(id: string, token: string): Promise<void> {
    await this.#job(id).moveToCompleted(undefined, token, false);
  }

  /** It comes again, later. */
  async delay(id: string, token: string, milliseconds: number): Promise<void> {
    if (milliseconds <= 0) await this.#job(id).moveToWait(token);
    // It is no failed attempt.
    else
      await this.#backend.moveToDelayed(id, Date.now(), milliseconds, token, {
        skipAttempt: true,
      });
  }

  /** It shows dead letters, for a person to look at and to ask for again. */
  async fail(id: string, token: string, contactId: string, letters: readonly DeadLetter[]): Promise<void> {
    const job = this.#job(id);
    await job.updateData({ contactId, deadLetters: letters });
    const reasons = letters.map(({ code = 'UNKNOWN', detail = '' }) => `${code}: ${detail}`);
    const error = new Error([...new Set(reasons)].join('\n'));
    delete error.stack;
    await job.moveToFailed(error, token, false);
  }

  /** Nothing of it is left. One that is just being worked on stays. */
  async remove(id: string): Promise<void> {
    await this.#backend.remove(id, true);
  }

  /** Runs `work` in a span of BullMQ's for what is put, where there is telemetry. */
  async traced<Value>(name: string, id: string, work: (trace?: string) => Promise<Value>): Promise<Value> {
    if (!this.#isTraced) return work();
    const { SpanKind, TelemetryAttributes } = this.#bullMq;
    const destination = `${this.#queue.name}.${name}`;
    return await this.#queue.trace<Value>(SpanKind.PRODUCER, 'add', destination, async (span, trace) => {
      const value = await work(trace);
      span?.setAttributes({ [TelemetryAttributes.JobName]: name, [TelemetryAttributes.JobId]: id });
      return value;
    });
  }

  /** Begins a span of BullMQ's for work on a contact, where there is telemetry; gives what ends it, and the trace of what it does. */
  begin(wakeUp: WakeUp): { readonly end: () => void; readonly trace: Trace | undefined } | undefined {
    if (!this.#isTraced) return undefined;
    const { SpanKind, TelemetryAttributes } = this.#bullMq;
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const { id, name, trace: origin } = wakeUp;
    let trace: Trace | undefined;
    const attributes = { [TelemetryAttributes.JobId]: id, [TelemetryAttributes.JobName]: name };
    void this.#queue.trace(
      SpanKind.CONSUMER,
      'process',
      this.#queue.name,
      (span) => {
        span?.setAttributes(attributes);
        trace = traceHere();
        return ended;
      },
      origin,
    );
    return { end, trace };
  }

  #job(id: string): Job<WakeUpData> {
    return new this.#bullMq.Job<WakeUpData>(
      this.#queue,
      '',
      { contactId: '' },
      { removeOnComplete: true },
      id,
    );
  }
}

/** What a dashboard shows of a webhook that was given up. */
export const deadLetterOf = (id: string, job: WebhookJob): DeadLetter => ({
  id,
  action: job.action,
  code: job.failure?.code,
  detail: job.failure?.detail,
});
