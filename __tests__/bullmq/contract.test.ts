// The contract suite for webhook queues, on Redis. The second queue in its races is another process.
import { Redis } from 'ioredis';
import { BullMqWebhookQueue } from '../../lib/bullmq';
import { webhookQueueContract } from '../../lib/testing/webhook-queue-contract';
import { startQueue, type RemoteQueue } from './processes';
import { isRedisThere, TEST_REDIS_URL } from './redis-server';

const OPTIONS = {
  connection: { url: TEST_REDIS_URL },
  prefix: `wpf_contract_${process.pid}_${Math.random().toString(36).slice(2, 8)}`,
  // Twice as long as would do on a machine that has nothing else to do.
  leaseMs: 1500,
};

(isRedisThere() ? describe : describe.skip)('Redis', () => {
  let queue: BullMqWebhookQueue;
  let other: RemoteQueue | undefined;
  const opened: BullMqWebhookQueue[] = [];

  beforeAll(() => {
    queue = new BullMqWebhookQueue(OPTIONS);
    other = startQueue(OPTIONS);
  });
  afterAll(async () => {
    await other?.end();
    await queue.close();
    await removeKeys();
  });

  webhookQueueContract({
    runner: { describe, it },
    open: async () => ({
      queue,
      other,
      reopened: async () => {
        const again = new BullMqWebhookQueue(OPTIONS);
        opened.push(again);
        return again;
      },
      close: async () => {
        await Promise.all(opened.splice(0).map((one) => one.close()));
      },
    }),
  });
});

/** Everything that begins with our prefix. */
async function removeKeys(): Promise<void> {
  const redis = new Redis(TEST_REDIS_URL);
  for await (const keys of redis.scanStream({ match: `*${OPTIONS.prefix}*`, count: 1000 })) {
    if ((keys as string[]).length > 0) await redis.del(...(keys as string[]));
  }
  await redis.quit();
}
