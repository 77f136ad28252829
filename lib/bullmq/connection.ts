// The way to Redis: one connection for all queues of a site, which tells within moments that Redis is not to be had, and comes
// back by itself.
import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setImmediate as turnOfOthers } from 'node:timers/promises';
import type { ConnectionOptions, IRedisClient, QueueBaseOptions, RedisQueueBackend } from 'bullmq';
import type { BullMq } from './bullmq';
import type { RedisClient, RedisOptions } from './options';
import { SCRIPTS, type ScriptName } from './scripts';

/** How long a connection may take to come about before its lack is told. */
const READY_MS = 400;
/** A connection that does not become ready for so long is given up: somebody accepts it and never answers. */
const STUCK_MS = 1000;
/** How long ending a connection may take. */
const CLOSE_MS = 5000;
/** The part of the time that a process works in which what it has not heard says nothing about Redis. */
const BUSY = 0.9;
const STILL_NOTHING = Symbol('still nothing');
/** The longest that is waited between two attempts to connect. */
const RECONNECT_MS = 500;

/** What BullMQ is told. `lockDuration`, `maxStalledCount` and `stalledInterval` are options of its workers, which share them with us. */
export interface ConnectionSettings {
  readonly connection: RedisOptions | RedisClient;
  readonly prefix: string;
  readonly lockDuration: number;
  readonly stalledInterval: number;
}

/** A script's name as a command: another version of this package on the same client has others. */
const COMMANDS = new Map(
  [...SCRIPTS].map(([name, lua]) => [
    name,
    `wpFusionWebhook:${name}:${createHash('sha1').update(lua).digest('hex').slice(0, 8)}`,
  ]),
);

/** The name under which a client knows a script. */
export const commandOf = (script: ScriptName): string => COMMANDS.get(script) ?? script;

/**
 * One connection. It is made with the first call. One of our own that says nothing any more, without being closed, is given up: what
 * was under way on it fails, and the next call connects anew.
 */
export class Connection {
  readonly #bullMq: BullMq;
  readonly #settings: ConnectionSettings;
  #backend: RedisQueueBackend | undefined;
  #begun: Promise<IRedisClient> | undefined;
  #client: IRedisClient | undefined;
  #back: Promise<void> | undefined;
  /** What fails when the connection is given up: the client may keep what is under way on it for ever. */
  readonly #underWay = new Set<(error: Error) => void>();
  #heardAt = -Infinity;
  /** Since when there has been no connection that could be used, as far as anybody has noticed. */
  #unreadySince: number | undefined;
  #isClosed = false;

  constructor(bullMq: BullMq, settings: ConnectionSettings) {
    this.#bullMq = bullMq;
    this.#settings = settings;
  }

  /** BullMQ's part of it. Queues are its siblings: they share the connection. */
  get backend(): RedisQueueBackend {
    this.#refuseIfClosed();
    this.#backend ??= this.#open();
    return this.#backend;
  }

  /** The client, connected. Throws when it is not, and does not become so in a moment. */
  async client(): Promise<IRedisClient> {
    const { backend } = this;
    this.#begun ??= this.#begin();
    try {
      const client = await within(this.#begun, READY_MS, () => 'Redis could not be connected to.');
      if (!isReady(client)) {
        this.#unreadySince ??= performance.now();
        // One listener for all who wait.
        this.#back ??= becomesReady(client).finally(() => (this.#back = undefined));
        await within(this.#back, READY_MS, () => `Redis is not connected (${client.status}).`);
      }
      this.#unreadySince = undefined;
      return client;
    } catch (error) {
      const isTrying = this.#client !== undefined && this.#client.status !== 'connect';
      if (!isTrying && performance.now() - (this.#unreadySince ?? Infinity) >= STUCK_MS)
        this.#giveUp(backend);
      throw error;
    }
  }

  /** Something was heard from Redis. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  /**
   * What some work comes to. Throws when nothing is heard from Redis for so long, once more as long where this process was busy;
   * `at all`: also when it takes twice as long.
   */
  async answered<Value>(
    work: Promise<Value>,
    milliseconds: number,
    kind: 'at all' | 'in silence',
  ): Promise<Value> {
    let fail: (error: Error) => void = () => undefined;
    // One for each call: a promise that lives as long as the connection would keep everything that ever waited for it.
    const gone = new Promise<never>((_resolve, reject) => (fail = reject));
    this.#underWay.add(fail);
    try {
      return await this.#heardInTime(Promise.race([work, gone]), milliseconds, kind);
    } finally {
      this.#underWay.delete(fail);
    }
  }

  async #heardInTime<Value>(
    work: Promise<Value>,
    milliseconds: number,
    kind: 'at all' | 'in silence',
  ): Promise<Value> {
    const backend = this.#backend;
    const state = { isOver: false };
    const over = work.finally(() => (state.isOver = true));
    for (let round = 1; ; round += 1) {
      const since = performance.now();
      const loop = performance.eventLoopUtilization();
      const waited = kind === 'at all' ? milliseconds * round : milliseconds;
      try {
        return await within(over, milliseconds, () => `Redis gave no answer within ${waited} ms.`);
      } catch (error) {
        if (state.isOver) throw error;
        // Was it us who were too busy to listen, or even to ask?
        const late = await Promise.race([over, turnOfOthers(STILL_NOTHING)]);
        if (late !== STILL_NOTHING) return late;
        const wasHeard = this.#heardAt > since;
        const { utilization } = performance.eventLoopUtilization(loop);
        if (!wasHeard && round === 1 && utilization > BUSY) continue;
        if (!wasHeard) this.#giveUp(backend);
        if (!wasHeard || (kind === 'at all' && round > 1)) throw error;
      }
    }
  }

  /** Ends the connection where it is our own. What is under way is finished, if Redis answers. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const backend = this.#backend;
    if (backend === undefined) return;
    const isConnected = this.#client !== undefined && isReady(this.#client);
    const closing = backend.close(!isConnected).catch(() => undefined);
    await within(closing, CLOSE_MS, () => '').catch(() => backend.disconnect());
  }

  #refuseIfClosed(): void {
    if (this.#isClosed) throw new Error('The queue was closed with close().');
  }

  #open(): RedisQueueBackend {
    const { createRedisBackend } = this.#bullMq;
    const { connection, ...settings } = this.#settings;
    this.#unreadySince = performance.now();
    const options: QueueBaseOptions & Record<string, unknown> = {
      ...settings,
      connection: (this.#isHosts() ? connection : { ...OWN_CONNECTION, ...connection }) as ConnectionOptions,
      // A wake-up that was lost with its worker comes back as often as it takes: it is no fault of the webhook.
      maxStalledCount: 1_000_000_000,
    };
    const backend = createRedisBackend('wp-fusion-webhook', options);
    // Whoever calls is told; an event that nobody listens to would end the process.
    backend.on('error', () => undefined);
    return backend;
  }

  /** Whether the client is the host's, to be left as it is. */
  #isHosts(): boolean {
    return this.#bullMq.isRedisInstance(this.#settings.connection);
  }

  /** Ends a connection of our own, and what is under way on it; the next call begins anew. */
  #giveUp(backend: RedisQueueBackend | undefined): void {
    if (backend !== undefined && !this.#isHosts()) this.#beginAnew(backend);
  }

  /** A client of the host's is not closed by this. */
  #beginAnew(backend: RedisQueueBackend): void {
    if (backend !== this.#backend) return;
    this.#backend = undefined;
    this.#begun = undefined;
    this.#client = undefined;
    this.#back = undefined;
    for (const fail of this.#underWay) {
      fail(new Error('The connection to Redis was given up: it had fallen silent.'));
    }
    backend.close(true).catch(() => undefined);
  }

  async #begin(): Promise<IRedisClient> {
    const { backend } = this;
    try {
      const client = await backend.client;
      for (const [name, lua] of SCRIPTS) {
        client.defineCommand(COMMANDS.get(name) ?? name, { numberOfKeys: 1, lua });
      }
      if (backend === this.#backend) this.#client = client;
      return client;
    } catch (error) {
      // A wrong password, say: the next call finds it mended.
      this.#beginAnew(backend);
      throw error;
    }
  }
}

/** A promise that is rejected once, or never. */
/** Options of a connection that we make, where the host has none of its own. */
const OWN_CONNECTION = {
  maxRetriesPerRequest: null,
  connectTimeout: 2000,
  retryStrategy: (times: number) => Math.min(50 * times, RECONNECT_MS),
};

/** A cluster says `connect` where a single server says `ready`. */
const isReady = ({ status, isCluster }: IRedisClient): boolean =>
  status === 'ready' || (isCluster && status === 'connect');

function becomesReady(client: IRedisClient): Promise<void> {
  return new Promise((resolve, reject) => {
    const onReady = (): void => {
      client.removeListener('end', onEnd);
      resolve();
    };
    const onEnd = (): void => {
      client.removeListener('ready', onReady);
      reject(new Error('The connection to Redis was closed for good.'));
    };
    if (client.status === 'end') onEnd();
    else client.once('ready', onReady).once('end', onEnd);
  });
}

/** What comes in time; else an error with the words of `late`. */
async function within<Value>(
  promise: Promise<Value>,
  milliseconds: number,
  late: () => string,
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(late())), milliseconds);
    timer.unref();
  });
  try {
    return await Promise.race([promise, tooLong]);
  } finally {
    clearTimeout(timer);
  }
}
