// A queue on Redis for one test, under a prefix of its own, with what a dashboard would see of it.
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { BullMqWebhookQueue, type BullMqWebhookQueueOptions } from '../../lib/bullmq';
import type { Job, TakenContact } from '../../lib/queue/queue';
import { until } from '../actions/site';
import { TEST_REDIS_URL } from './redis-server';

export const NAME = 'default';

export const ADD: Job = { action: 'add', receivedAt: 1 };

export interface Scene {
  readonly prefix: string;
  readonly queue: BullMqWebhookQueue;
  /** BullMQ's own view of it. */
  readonly board: Queue;
  readonly redis: Redis;
  /** Another queue over the same keys. */
  open(options?: Partial<BullMqWebhookQueueOptions>): BullMqWebhookQueue;
}

const cleanUps: (() => Promise<unknown>)[] = [];

/** Ends everything that was opened, the last first. */
export async function closeScenes(): Promise<void> {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
}

/** Registers what is to be done when the test has ended. */
export const afterwards = (cleanUp: () => Promise<unknown>): void => void cleanUps.push(cleanUp);

export async function openScene(options: Partial<BullMqWebhookQueueOptions> = {}): Promise<Scene> {
  const prefix = `wpf_test_${process.pid}_${Math.random().toString(36).slice(2, 8)}`;
  const connection = { url: TEST_REDIS_URL };
  const redis = new Redis(TEST_REDIS_URL);
  afterwards(async () => {
    const keys = await redis.keys(`${prefix}:*`);
    if (keys.length > 0) await redis.del(...keys);
    await redis.quit();
  });
  const open: Scene['open'] = (more) => {
    const queue = new BullMqWebhookQueue({ connection, prefix, ...options, ...more });
    afterwards(() => queue.close());
    return queue;
  };
  const board = new Queue(`wp-fusion-webhook.${NAME}`, { connection, prefix });
  afterwards(() => board.close());
  const queue = open();
  // The first webhook is not what waits for a busy machine to connect: put() gives up soon.
  await until(() =>
    queue.counts(NAME).then(
      () => true,
      () => false,
    ),
  );
  return { prefix, queue, board, redis, open };
}

/** Takes until something is given. */
export async function takeSome(queue: BullMqWebhookQueue): Promise<TakenContact[]> {
  for (;;) {
    const taken = await queue.take(NAME, 50);
    if (taken.length > 0) return taken;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Gives up everything that a contact has. */
export async function giveUp(queue: BullMqWebhookQueue, taken: TakenContact, code: string): Promise<void> {
  const verdicts = taken.jobs.map(({ id, job }) => {
    const failure = { code, detail: `What ${code} means.`, at: 1 };
    return [id, { kind: 'dead', job: { ...job, failure } }] as const;
  });
  expect(await queue.finish(NAME, taken, new Map(verdicts))).toBe(true);
}

/** Is done with everything that a contact has. */
export async function beDone(queue: BullMqWebhookQueue, taken: TakenContact): Promise<void> {
  const verdicts = taken.jobs.map(({ id }) => [id, { kind: 'done' }] as const);
  expect(await queue.finish(NAME, taken, new Map(verdicts))).toBe(true);
}
