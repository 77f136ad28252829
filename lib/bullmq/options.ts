// The options of BullMqWebhookQueue: what can be wrong with them is found before anything is connected to.
import { ConfigurationError } from '../errors';
import { leaseOf } from '../queue/lease';
import { refuseUnknownOptions } from '../unknown-options';
import type { BullStep } from './steps';

/**
 * The usual ones of ioredis' options; all others that it has are handed on to it too. {@link BullMqWebhookQueue} takes them.
 */
export interface RedisOptions {
  /** The server. */
  readonly host?: string | undefined;
  /** Default 6379. */
  readonly port?: number | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** The number of the database; default 0. */
  readonly db?: number | undefined;
  /** `{}`, or options of Node's `tls.connect`. */
  readonly tls?: object | undefined;
  /** `redis://…` or `rediss://…`; what it says wins. */
  readonly url?: string | undefined;
  // `any`, since types of ioredis' own, which are interfaces, do not fit an index of `unknown`.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly [option: string]: any;
}

/** A client of ioredis (also a cluster's) or of node-redis. {@link BullMqWebhookQueue} takes one in the place of options. */
export interface RedisClient {
  /** Connects, where it is not connected yet. */
  connect(): Promise<unknown>;
  /** Another connection to the same server. */
  duplicate(...parameters: never[]): unknown;
}

/**
 * BullMQ's telemetry, such as `new BullMQOtel('my-site')` of `bullmq-otel`.
 * [docs/scaling.md](../../docs/scaling.md#telemetry) tells what it shows.
 */
export interface BullMqTelemetry {
  readonly tracer: object;
  readonly contextManager: object;
  readonly meter?: object | undefined;
}

/** Options of {@link BullMqWebhookQueue}. */
export interface BullMqWebhookQueueOptions {
  /** Where Redis is: options of ioredis, or a client that you have. A client stays yours: nothing closes it. */
  readonly connection: RedisOptions | RedisClient;
  /** BullMQ's prefix of all keys: default `bull`. In a Redis Cluster it needs braces: `{bull}`. */
  readonly prefix?: string | undefined;
  /**
   * Milliseconds for which a taken contact stays with its worker without being renewed: default 30,000, from 100 to an hour.
   * So long the webhooks of a process that died wait at most. The same in every process.
   */
  readonly leaseMs?: number | undefined;
  /** Spans and metrics of BullMQ's for what is put and worked on. Default: none. */
  readonly telemetry?: BullMqTelemetry | undefined;
}

/** The options, checked. */
export interface QueueConfiguration {
  readonly connection: RedisOptions | RedisClient;
  readonly prefix: string;
  readonly leaseMs: number;
  readonly telemetry: BullMqTelemetry | undefined;
  /** Tests stop the work between two changes of Redis through this. */
  readonly failPoint: ((step: BullStep) => Promise<void>) | undefined;
}

const FAIL_POINT = Symbol.for('wp-fusion-webhook.fail-point');

/** Checks the options. Throws ConfigurationError for what is wrong, without quoting what may hold a password. */
export function configurationOf(options: BullMqWebhookQueueOptions): QueueConfiguration {
  refuseUnknownOptions(options, ['connection', 'prefix', 'leaseMs', 'telemetry']);
  const { connection, prefix = 'bull', leaseMs, telemetry } = options;
  if (!isObject(connection)) {
    throw new ConfigurationError(
      'connection',
      "must say where Redis is: options such as { host: '127.0.0.1', port: 6379 } or { url: process.env.REDIS_URL }, or a client of ioredis or node-redis.",
    );
  }
  if ('url' in connection && (typeof connection.url !== 'string' || connection.url === '')) {
    throw new ConfigurationError(
      'connection.url',
      'must be a URL such as redis://127.0.0.1:6379. Is the environment variable set that it comes from?',
    );
  }
  if (typeof prefix !== 'string' || prefix === '') {
    throw new ConfigurationError('prefix', 'must be a text that is not empty.');
  }
  if (telemetry !== undefined && !(isObject(telemetry) && isObject(telemetry.tracer))) {
    throw new ConfigurationError(
      'telemetry',
      "must be telemetry of BullMQ's, such as new BullMQOtel('my-site') of the package bullmq-otel.",
    );
  }
  const failPoint = (options as unknown as Record<symbol, QueueConfiguration['failPoint']>)[FAIL_POINT];
  return { connection, prefix, leaseMs: leaseOf(leaseMs), telemetry, failPoint };
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
