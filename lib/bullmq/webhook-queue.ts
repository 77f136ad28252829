// BullMqWebhookQueue: webhooks in Redis, on BullMQ. Each is put into its contact's inbox together with a wake-up, in one step;
// whoever gets the wake-up takes all that is in the inbox, under a fencing token.
import { randomUUID } from 'node:crypto';
import type { IRedisClient, IRedisTransaction, Job as BullJob, RedisQueueBackend } from 'bullmq';
import { WpFusionError } from '../errors';
import { isWebhookId, MAX_KEY, MAX_QUEUE_NAME, refuseLongText, RESULT_KEPT_MS } from '../queue/limits';
import type {
  DeadJob,
  Job,
  JobResult,
  Lease,
  QueueCounts,
  QueueFinding,
  Settled,
  SharedText,
  StoredJob,
  TakenContact,
  Verdict,
  WebhookQueue,
} from '../queue/queue';
import { asciiJson, keyOf, textOfKey } from '../queue/text';
import { loadBullMq, type BullMq } from './bullmq';
import { commandOf, Connection } from './connection';
import { findingsOf } from './findings';
import { configurationOf, type BullMqWebhookQueueOptions, type QueueConfiguration } from './options';
import type { ScriptName } from './scripts';
import type { BullStep } from './steps';
import { deadLetterOf, WakeUps, type DeadLetter, type WakeUp, type WakeUpData } from './wake-ups';

/** How long Redis may say nothing to a webhook that is to be stored, and half of what storing it may take. Its sender waits. */
const PUT_MS = 750;
/** How long Redis may say nothing at all to anything else. */
const SILENCE_MS = 5000;
/** How often contacts are looked for whose wake-ups are gone, and how long their time must have come. */
const FORGOTTEN_MS = 60_000;
/** How many ids one script is about. */
const CHUNK = 500;
/** A span of work that nobody has ended: its worker has lost the contact. */
const SPAN_MS = 15 * 60_000;

/** One queue, by the `name` of a middleware. */
interface Place {
  /** The connection's, which is another one when it had to begin anew. */
  readonly backend: RedisQueueBackend;
  readonly wakeUps: WakeUps;
  /** How the names of our keys begin. */
  readonly keys: string;
  /** When the wake-ups of dead workers, and forgotten contacts, were last looked for. */
  recoveredAt: number;
  rememberedAt: number;
}

/**
 * Webhooks in Redis, on BullMQ 6: for sites that run on it already, or on more machines than one database should serve.
 *
 * Each webhook is appended to its contact's inbox together with a job of BullMQ's, the wake-up, in one transaction. BullMQ brings
 * the wake-ups to the workers, later or again where it has to be; the worker takes everything that is in the inbox. So dashboards
 * (bull-board), BullMQ's pausing and its telemetry work on the queue `wp-fusion-webhook.<name>`, and nothing that is
 * done there loses a webhook. [docs/scaling.md](../../docs/scaling.md) tells how it is laid out, and what each setting of Redis means for what is stored.
 *
 * - `put` resolves once Redis has said so. It throws within a second where Redis is not to be had, within two where it is slow or
 *   this process is busy; the connection comes back by itself.
 * - All processes go by the clock of Redis, except for when BullMQ brings a wake-up that has to wait: for that the clocks of the
 *   machines should agree within a second or so.
 * - `take` gives up to 500 contacts, whatever the limit.
 * - The result of an awaited webhook is kept for ten minutes. Nothing else is left of what is done; dead letters stay until they
 *   are replayed or purged. A dashboard shows them as failed jobs, where “retry” replays them.
 * - Redis 6.2 or later, or what speaks its protocol with scripts. BullMQ and its client (`ioredis`) are yours to install.
 * - It has no timer. A connection that it made keeps the process alive until {@link BullMqWebhookQueue.close}.
 *
 * Not promised: that the order among different contacts is that of their webhooks; that what was acknowledged survives a Redis that
 * does not write it to a disk (`check` says so), or a failover to a replica that did not have it yet.
 *
 * @throws ConfigurationError at construction for a wrong option, and where BullMQ 6 is not installed. `put` throws a WpFusionError
 * with the code `INVALID_REQUEST` for what cannot be stored: a contact id of more than 255 characters, a queue's name of more than
 * 64. Else its methods throw what the client says, as an `Error` named `RedisError`.
 *
 * @example
 * const { BullMqWebhookQueue } = require('wp-fusion-webhook/bullmq');
 *
 * const queue = new BullMqWebhookQueue({ connection: { host: 'redis.internal', port: 6379 } });
 * const webhook = wpFusionWebhook({ ...options, queue });
 * // when the site ends: await webhook.close(); await queue.close();
 */
export class BullMqWebhookQueue implements WebhookQueue {
  readonly leaseMs: number;
  readonly #configuration: QueueConfiguration;
  readonly #bullMq: BullMq;
  readonly #connection: Connection;
  readonly #places = new Map<string, Place>();
  /** What ends the span of a contact in work, where there is telemetry. */
  readonly #spans = new Map<string, { readonly end: () => void; readonly begunAt: number }>();

  /** @param options where Redis is, and what goes otherwise than usual. */
  constructor(options: BullMqWebhookQueueOptions) {
    this.#configuration = configurationOf(options);
    this.#bullMq = loadBullMq();
    const { connection, prefix, leaseMs } = this.#configuration;
    this.leaseMs = leaseMs;
    this.#connection = new Connection(this.#bullMq, {
      connection,
      prefix,
      // A wake-up comes back before the lease of its contact is over, and waits for the rest of it: so it is there in time.
      lockDuration: Math.ceil(leaseMs * 0.75),
      stalledInterval: Math.ceil(leaseMs / 10),
    });
  }

  async put(queue: string, contactId: string, job: Job): Promise<string> {
    refuseLongText('The name of the queue', queue, MAX_QUEUE_NAME);
    refuseLongText('The contact id', contactId, MAX_KEY);
    const { wakeUps, keys } = this.#place(queue);
    const id = randomUUID();
    return this.#saying('put', async () => {
      const stored = wakeUps.traced<string>(job.action, id, async (trace) => {
        const wakeUp = wakeUps.make(job.action, contactId, { id, trace });
        return this.#withWakeUps([wakeUp], 'put', [
          keys,
          keyOf(contactId),
          asciiJson(job),
          id,
          `${this.#configuration.prefix}:wp-fusion-webhook.ids`,
        ]);
      });
      return this.#connection.answered(stored, PUT_MS, 'at all');
    });
  }

  async take(queue: string, limit: number): Promise<TakenContact[]> {
    if (limit < 1) return [];
    const place = this.#place(queue);
    return this.#saying('take', async () => {
      await this.#recover(place);
      return this.#take(place, Math.min(limit, CHUNK));
    });
  }

  async renew(queue: string, leases: readonly Lease[]): Promise<Lease[]> {
    if (leases.length === 0) return [];
    const { wakeUps, keys } = this.#place(queue);
    return this.#saying('renew', async () => {
      const pairs = leases.flatMap(({ contactId, token }) => [keyOf(contactId), token]);
      const holders = await this.#run<string[]>('renew', [keys, this.leaseMs, ...pairs]);
      const held = leases.filter((_lease, index) => holders[index] !== '');
      const tokens = held.map(({ token }) => token);
      await wakeUps.extend(
        holders.filter((id) => id !== ''),
        tokens,
        Math.ceil(this.leaseMs * 0.75),
      );
      return held;
    });
  }

  async finish(queue: string, lease: Lease, verdicts: ReadonlyMap<string, Verdict>): Promise<boolean> {
    const place = this.#place(queue);
    const { contactId, token } = lease;
    const other = place.wakeUps.make('again', contactId);
    const told = [...verdicts].flatMap(([id, verdict]) => wordsOf(id, verdict));
    return this.#saying('finish', async () => {
      const [holder, died = 0, leftMs = -1] = await this.#run<[string?, number?, number?]>('finish', [
        place.keys,
        keyOf(contactId),
        token,
        RESULT_KEPT_MS,
        other.id ?? '',
        ...told,
      ]);
      this.#endSpan(token, contactId);
      if (holder === undefined) return false;
      await this.#step('bull: contact finished');
      await this.#goOn(place, { holder, token, contactId, hasDied: died > 0, leftMs, other });
      return true;
    });
  }

  async deadLetters(
    queue: string,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<DeadJob[]> {
    const after = page.after ?? '0';
    if (!isWebhookId(after) && after !== '0') return [];
    if (page.limit < 1) return [];
    const { keys } = this.#place(queue);
    return this.#saying('deadLetters', async () =>
      triplesOf(await this.#run<string[]>('letters', [keys, page.limit, after])).map(
        ([id, contact, job]) => ({ id, contactId: textOfKey(contact), job: JSON.parse(job) as Job }),
      ),
    );
  }

  async replay(queue: string, ids?: readonly string[]): Promise<number> {
    const place = this.#place(queue);
    return this.#saying('replay', () =>
      this.#eachDead(place, ids, async (some) => {
        const contacts = await this.#run<string[]>('contacts', [place.keys, ...some]);
        const wakeUps = [...new Set(contacts.filter((one) => one !== ''))].map((contact) =>
          place.wakeUps.make('replay', textOfKey(contact)),
        );
        return this.#withWakeUps<[number, ...string[]]>(wakeUps, 'replay', [place.keys, ...some]);
      }),
    );
  }

  async purge(queue: string, ids?: readonly string[]): Promise<number> {
    const place = this.#place(queue);
    return this.#saying('purge', () =>
      this.#eachDead(place, ids, (some) => this.#run('purge', [place.keys, ...some])),
    );
  }

  async counts(queue: string): Promise<QueueCounts> {
    const { keys } = this.#place(queue);
    return this.#saying('counts', async () => {
      const [waiting, dead, oldest] = await this.#run<[number, number, string]>('counts', [keys]);
      return { waiting, dead, oldestWaiting: oldest === '' ? null : new Date(Number(oldest)) };
    });
  }

  async settled(queue: string, ids: readonly string[]): Promise<ReadonlyMap<string, Settled>> {
    const { keys } = this.#place(queue);
    return this.#saying('settled', async () => {
      const settled = new Map<string, Settled>();
      for (const some of chunksOf([...new Set(ids)].filter(isWebhookId))) {
        const found = await this.#run<string[]>('settled', [keys, ...some]);
        some.forEach((id, index) => {
          const [kind, text = ''] = found.slice(2 * index);
          if (kind === 'done') settled.set(id, { kind, result: JSON.parse(text) as JobResult });
          if (kind === 'dead') settled.set(id, { kind, job: JSON.parse(text) as Job });
        });
      }
      return settled;
    });
  }

  async readPosition(queue: string, key: string): Promise<string | null> {
    const { keys } = this.#place(queue);
    return this.#saying('readPosition', async () => {
      const [text] = await this.#run<[string | null, number]>('read', [keys, 'position', keyOf(key)]);
      return text === null ? null : textOfKey(text);
    });
  }

  async writePosition(queue: string, key: string, position: string | null): Promise<void> {
    refuseLongText('The name of the queue', queue, MAX_QUEUE_NAME);
    refuseLongText('The key of a position', key, MAX_KEY);
    const { keys } = this.#place(queue);
    const change = position === null ? ['delete'] : ['set', keyOf(position)];
    await this.#saying('writePosition', () => this.#run('write', [keys, 'position', keyOf(key), ...change]));
  }

  async readShared(queue: string, key: string): Promise<SharedText> {
    const { keys } = this.#place(queue);
    return this.#saying('readShared', async () => {
      const [text, now] = await this.#run<[string | null, number]>('read', [keys, 'shared', keyOf(key)]);
      return { text: text === null ? null : textOfKey(text), now };
    });
  }

  async writeShared(queue: string, key: string, expected: string | null, text: string): Promise<boolean> {
    refuseLongText('The name of the queue', queue, MAX_QUEUE_NAME);
    refuseLongText('The key of a shared text', key, MAX_KEY);
    const { keys } = this.#place(queue);
    const change =
      expected === null ? ['expect none', keyOf(text)] : ['expect', keyOf(text), keyOf(expected)];
    return this.#saying(
      'writeShared',
      async () => (await this.#run<number>('write', [keys, 'shared', keyOf(key), ...change])) === 1,
    );
  }

  async check(): Promise<QueueFinding[]> {
    return this.#saying('check', async () => findingsOf(await this.#connection.client()));
  }

  /** Ends the connection to Redis, where it is one that this queue made. Call it after the middleware's own `close()`. */
  async close(): Promise<void> {
    await this.#connection.close();
    for (const { end } of this.#spans.values()) end();
    this.#spans.clear();
  }

  #place(queue: string): Place {
    const { backend } = this.#connection;
    let place = this.#places.get(queue);
    if (place?.backend !== backend) {
      const { prefix, telemetry } = this.#configuration;
      // BullMQ's names know no colon.
      const name = `wp-fusion-webhook.${keyOf(queue).replaceAll(':', '%003a')}`;
      place = {
        backend,
        wakeUps: new WakeUps(this.#bullMq, name, backend, { prefix, telemetry }),
        keys: `${prefix}:${name}.inboxes:`,
        recoveredAt: -Infinity,
        rememberedAt: performance.now(),
      };
      this.#places.set(queue, place);
    }
    return place;
  }

  /** Adds wake-ups and runs a script: both, or none of it. Gives what the script gives. */
  async #withWakeUps<Reply>(
    wakeUps: readonly BullJob<WakeUpData>[],
    script: ScriptName,
    values: readonly (string | number)[],
  ): Promise<Reply> {
    const client = await this.#connection.client();
    const transaction = client.multi();
    for (const wakeUp of wakeUps) await wakeUp.addJob(asClient(transaction));
    transaction.runCommand(commandOf(script), [...values]);
    try {
      const replies = repliesOf(await transaction.exec());
      this.#connection.heard();
      return replies.at(-1) as Reply;
    } catch (error) {
      if (!String(error).includes('NOSCRIPT')) throw error;
      // Somebody has made Redis forget its scripts, and within a transaction the client does not notice. One after the other it sends
      // them anew: first what is to be kept, then what wakes somebody up.
      const reply = await this.#run<Reply>(script, values);
      for (const wakeUp of wakeUps) await wakeUp.addJob(client);
      return reply;
    }
  }

  /** Takes contacts for the wake-ups that have come, as long as there are any. */
  async #take(place: Place, limit: number): Promise<TakenContact[]> {
    const token = randomUUID();
    const taken: TakenContact[] = [];
    const failures: unknown[] = [];
    // Mostly there is none: one is asked for first.
    for (let wanted = 1; taken.length < limit; wanted = limit - taken.length) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: wanted }, () => this.#takeNext(place, token)),
      );
      let came = 0;
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') failures.push(outcome.reason);
        else if (outcome.value !== undefined) came += 1;
        if (outcome.status === 'fulfilled' && outcome.value?.contact !== undefined) {
          taken.push(outcome.value.contact);
        }
      }
      if (came < wanted || failures.length > 0) break;
    }
    // What was taken is worked on; what has failed comes back.
    if (taken.length === 0 && failures.length > 0) throw failures[0];
    return taken;
  }

  async #takeNext(place: Place, token: string): Promise<{ contact?: TakenContact | undefined } | undefined> {
    await this.#connection.client();
    const wakeUp = await place.wakeUps.next(token);
    this.#connection.heard();
    if (wakeUp === undefined) return undefined;
    await this.#step('bull: wake-up taken');
    return { contact: await this.#claim(place, wakeUp, token) };
  }

  /** Takes the contact of a wake-up, if that is what it has come for. */
  async #claim(place: Place, wakeUp: WakeUp, token: string): Promise<TakenContact | undefined> {
    const { wakeUps, keys } = place;
    const { id, contactId, isAgain } = wakeUp;
    if (contactId === undefined) {
      const detail = 'This job is none of wp-fusion-webhook: it names no contact.';
      await wakeUps.fail(id, token, '', [{ id, action: wakeUp.name, code: 'INTERNAL_ERROR', detail }]);
      return undefined;
    }
    const [kind, ...rest] = await this.#run<[string, ...(string | number)[]]>('claim', [
      keys,
      keyOf(contactId),
      id,
      token,
      this.leaseMs,
      wakeUps.jobs,
      isAgain ? 1 : 0,
    ]);
    if (kind === 'taken') {
      const span = wakeUps.begin(wakeUp);
      if (span === undefined) return { contactId, token, jobs: jobsOf(rest) };
      this.#spans.set(`${token} ${contactId}`, { end: span.end, begunAt: performance.now() });
      return { contactId, token, jobs: jobsOf(rest), trace: span.trace };
    }
    if (kind === 'drop') {
      await this.#step('bull: wake-up too much');
      await wakeUps.complete(id, token).catch(refusalOnly);
    } else if (kind === 'wait') {
      await this.#step('bull: wake-up too early');
      await wakeUps.delay(id, token, Number(rest[0])).catch(refusalOnly);
    } else {
      // Its worker died before it could show them. Whatever else the contact has gets a wake-up of its own.
      await this.#wake(place, wakeUps.make('again', contactId));
      const letters = await this.#shownBy(place, id);
      await wakeUps.fail(id, token, contactId, letters).catch(refusalOnly);
    }
    return undefined;
  }

  /** What becomes of a wake-up whose contact is done with. If this fails, or the process dies, it comes back and finds out. */
  async #goOn(
    place: Place,
    story: {
      readonly holder: string;
      readonly token: string;
      readonly contactId: string;
      /** Milliseconds until the contact is due again; less than 0: not at all. */
      readonly leftMs: number;
      /** Whether there are dead letters to show. */
      readonly hasDied: boolean;
      /** The wake-up that takes its place where it shows dead letters. */
      readonly other: BullJob<WakeUpData>;
    },
  ): Promise<void> {
    const { wakeUps } = place;
    const { holder, token, contactId, hasDied, leftMs, other } = story;
    try {
      if (hasDied) {
        if (leftMs >= 0) {
          await this.#wake(place, other, leftMs);
          await this.#step('bull: contact woken again');
        }
        await wakeUps.fail(holder, token, contactId, await this.#shownBy(place, holder));
      } else if (leftMs < 0) await wakeUps.complete(holder, token);
      else await wakeUps.delay(holder, token, leftMs);
    } catch (error) {
      // It is not ours any more, or gone: another one comes instead.
      if (isRefusal(error) && leftMs >= 0) await this.#wake(place, other, leftMs).catch(() => undefined);
    }
  }

  /** Adds a wake-up for a contact that has something waiting. */
  async #wake(place: Place, wakeUp: BullJob<WakeUpData>, delayMs = 0): Promise<void> {
    if (delayMs > 0) wakeUp.opts.delay = delayMs;
    const { contactId } = wakeUp.data;
    await this.#withWakeUps([wakeUp], 'wake', [place.keys, keyOf(contactId), wakeUp.id ?? '']);
  }

  async #wakeEach(place: Place, contacts: readonly string[]): Promise<void> {
    for (const contact of contacts) await this.#wake(place, place.wakeUps.make('again', textOfKey(contact)));
  }

  /** Brings back contacts and wake-ups of workers that died, and now and then those that somebody has deleted. */
  async #recover(place: Place): Promise<void> {
    await this.#connection.client();
    const now = performance.now();
    for (const [key, { end, begunAt }] of this.#spans) {
      if (now - begunAt < SPAN_MS) continue;
      end();
      this.#spans.delete(key);
    }
    await this.#wakeEach(place, await this.#run<string[]>('expired', [place.keys]));
    if (now - place.recoveredAt >= this.leaseMs / 8) {
      place.recoveredAt = now;
      await place.wakeUps.recover();
    }
    if (now - place.rememberedAt >= FORGOTTEN_MS) {
      place.rememberedAt = now;
      const after = Math.max(FORGOTTEN_MS, this.leaseMs);
      const contacts = await this.#run<string[]>('forgotten', [place.keys, after, place.wakeUps.jobs]);
      for (const contact of contacts)
        await this.#wake(place, place.wakeUps.make('again', textOfKey(contact)));
    }
  }

  /** The dead letters that a wake-up has to show. */
  async #shownBy(place: Place, id: string): Promise<DeadLetter[]> {
    const found = triplesOf(await this.#run<string[]>('shown', [place.keys, id]));
    return found.map(([letter, , job]) => deadLetterOf(letter, JSON.parse(job) as Job));
  }

  /**
   * Runs `work` on dead letters, some at a time, and adds up what it gives. Always onwards: one that dies again meanwhile is not
   * met twice. Failed jobs that have nothing to show any more are removed from BullMQ.
   */
  async #eachDead(
    place: Place,
    ids: readonly string[] | undefined,
    work: (some: readonly string[]) => Promise<[number, ...string[]]>,
  ): Promise<number> {
    let count = 0;
    const doSome = async (some: readonly string[]): Promise<void> => {
      const [number, ...shown] = await work(some);
      count += number;
      for (const id of shown) await place.wakeUps.remove(id).catch(() => undefined);
    };
    if (ids !== undefined) {
      for (const some of chunksOf([...new Set(ids)].filter(isWebhookId))) await doSome(some);
      return count;
    }
    for (let last = '0'; ;) {
      const some = triplesOf(await this.#run<string[]>('letters', [place.keys, CHUNK, last])).map(
        ([id]) => id,
      );
      const next = some.at(-1);
      if (next === undefined) return count;
      await doSome(some);
      last = next;
    }
  }

  async #run<Reply>(script: ScriptName, [keys, ...values]: readonly (string | number)[]): Promise<Reply> {
    const client = await this.#connection.client();
    const reply = (await client.runCommand(commandOf(script), [keys, ...values])) as Reply;
    this.#connection.heard();
    return reply;
  }

  #endSpan(token: string, contactId: string): void {
    const key = `${token} ${contactId}`;
    this.#spans.get(key)?.end();
    this.#spans.delete(key);
  }

  async #step(name: BullStep): Promise<void> {
    await this.#configuration.failPoint?.(name);
  }

  /** Runs the work of a method; what the client throws says which. */
  async #saying<Value>(method: string, work: () => Promise<Value>): Promise<Value> {
    try {
      return await this.#connection.answered(work(), SILENCE_MS, 'in silence');
    } catch (error) {
      if (error instanceof WpFusionError) throw error;
      const said = error instanceof Error ? error.message : String(error);
      const cleaned = new Error(`${method}() of the webhook queue: ${said}`);
      cleaned.name = 'RedisError';
      throw cleaned;
    }
  }
}

/** BullMQ's own scripts can be part of a transaction; its types know only a client there. */
const asClient = (transaction: IRedisTransaction): IRedisClient => transaction as unknown as IRedisClient;

/** The replies of a transaction; throws the first failure. */
function repliesOf(results: [Error | null, unknown][] | null): unknown[] {
  if (results === null) throw new Error('Redis did not run the transaction.');
  return results.map(([error, reply]) => {
    if (error !== null) throw error;
    return reply;
  });
}

/** Whether BullMQ says that a job is not ours to move (any more): its codes are negative numbers. */
const isRefusal = (error: unknown): boolean => typeof (error as { code?: unknown } | null)?.code === 'number';

/** A wake-up that another worker has by now is that one's to move. */
function refusalOnly(error: unknown): void {
  if (!isRefusal(error)) throw error;
}

/** A verdict, as the script is told it. */
function wordsOf(id: string, verdict: Verdict): (string | number)[] {
  switch (verdict.kind) {
    case 'later':
      return [id, 'later', Math.max(0, Math.ceil(verdict.delayMs)), asciiJson(verdict.job), ''];
    case 'dead':
      return [id, 'dead', 0, asciiJson(verdict.job), ''];
    case 'done':
      return [id, 'done', 0, '', verdict.result === undefined ? '' : asciiJson(verdict.result)];
  }
}

function jobsOf(words: readonly (string | number)[]): StoredJob[] {
  return triplesOf(words.map(String)).map(([id, job, isDue]) => ({
    id,
    job: JSON.parse(job) as Job,
    isDue: isDue === '1',
  }));
}

function triplesOf(words: readonly string[]): [string, string, string][] {
  return Array.from({ length: words.length / 3 }, (_, index) => {
    const [first = '', second = '', third = ''] = words.slice(3 * index);
    return [first, second, third];
  });
}

function chunksOf<Value>(values: readonly Value[]): Value[][] {
  return Array.from({ length: Math.ceil(values.length / CHUNK) }, (_, index) =>
    values.slice(index * CHUNK, (index + 1) * CHUNK),
  );
}
