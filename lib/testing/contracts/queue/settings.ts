// What an author of a webhook queue hands to its contract suite.
import type { WebhookQueue } from '../../../queue/queue';
import type { TestRunner } from '../runner';

/**
 * The queue under test. Every test opens a scene of its own, and closes it. Give the queue a lease of half a second
 * (`leaseMs: 500`): the suite waits for leases to run out, and a test that needs longer than a lease is run once more.
 *
 * @example
 * const open = async (): Promise<QueueScene> => {
 *   await redis.flushDb();
 *   return {
 *     queue: new RedisQueue(redis, { leaseMs: 500 }),
 *     other: new RedisQueue(otherRedis, { leaseMs: 500 }), // connections of its own
 *     reopened: async () => new RedisQueue(redis, { leaseMs: 500 }),
 *   };
 * };
 */
export interface QueueScene {
  /** The queue under test. Its store may hold webhooks already: every test works under names that nobody else uses. */
  readonly queue: WebhookQueue;
  /**
   * A second queue over the same store: of another process, or at least with connections of its own. Races go through both.
   * Default: `queue` again, and then nothing is known about several processes.
   */
  readonly other?: WebhookQueue | undefined;
  /**
   * A queue made anew over the same store, as after a restart: nothing may live in the memory of the one before. It is closed
   * by `close`. Default: `other`.
   */
  reopened?(): Promise<WebhookQueue>;
  /** Ends the scene: connections, temporary tables. */
  close?(): Promise<void>;
}

/**
 * Which of its optional methods a queue has. Say no more than is true: what is not tested is not known.
 *
 * @example
 * const capabilities: QueueCapabilities = { positions: false };
 */
export interface QueueCapabilities {
  /** Whether it has `settled`; default `true`. */
  readonly results?: boolean | undefined;
  /** Whether it has `readPosition` and `writePosition`; default `true`. */
  readonly positions?: boolean | undefined;
  /** Whether it has `readShared` and `writeShared`; default `true`. */
  readonly shared?: boolean | undefined;
}

/**
 * What `webhookQueueContract` takes.
 *
 * @example
 * const options: WebhookQueueContractOptions = { runner: { describe, it }, name: 'webhooks in Redis', open };
 */
export interface WebhookQueueContractOptions {
  /** The test runner's own functions. */
  readonly runner: TestRunner;
  /** What the group of tests is called; default `WebhookQueue contract`. */
  readonly name?: string | undefined;
  /** Opens a scene. Every test does so once, or again where it has to be repeated. */
  open(): Promise<QueueScene>;
  /** Which optional methods there are; default: all. */
  readonly capabilities?: QueueCapabilities | undefined;
  /** How many work at once in the tests of races; default 10, at least 2. */
  readonly writers?: number | undefined;
  /** How often each race is run; default 3. */
  readonly rounds?: number | undefined;
}

/** The options with every default in its place. */
export interface Settings {
  readonly results: boolean;
  readonly positions: boolean;
  readonly shared: boolean;
  readonly writers: number;
  readonly rounds: number;
}

/** @throws TypeError where the options make no suite. */
export function settingsOf(options: WebhookQueueContractOptions): Settings {
  const { capabilities = {}, writers = 10, rounds = 3 } = options;
  if (!Number.isInteger(writers) || writers < 2 || !Number.isInteger(rounds) || rounds < 1) {
    throw new TypeError('webhookQueueContract: writers has to be 2 or more, rounds 1 or more.');
  }
  return {
    results: capabilities.results ?? true,
    positions: capabilities.positions ?? true,
    shared: capabilities.shared ?? true,
    writers,
    rounds,
  };
}
