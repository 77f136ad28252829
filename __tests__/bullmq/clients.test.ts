// The host's own Redis client is used as it is, and stays the host's; a prefix keeps several sites apart on one Redis.
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import type { RedisClient } from '../../lib/bullmq';
import { ADD, beDone, closeScenes, NAME, openScene, takeSome } from './scene';
import { isRedisThere, TEST_REDIS_URL } from './redis-server';

afterEach(closeScenes);

interface HostClient {
  readonly client: RedisClient;
  isOpen(): Promise<boolean>;
  end(): Promise<unknown>;
}

const CLIENTS: Readonly<Record<string, () => Promise<HostClient>>> = {
  ioredis: async () => {
    const client = new Redis(TEST_REDIS_URL);
    return { client, isOpen: async () => (await client.ping()).length > 0, end: () => client.quit() };
  },
  'ioredis, not connected yet': async () => {
    const client = new Redis(TEST_REDIS_URL, { lazyConnect: true });
    return { client, isOpen: async () => (await client.ping()).length > 0, end: () => client.quit() };
  },
  'node-redis': async () => {
    const client = createClient({ url: TEST_REDIS_URL });
    await client.connect();
    return { client, isOpen: async () => (await client.ping()).length > 0, end: () => client.close() };
  },
};

(isRedisThere() ? describe : describe.skip)('a client of the host’s', () => {
  test.each(Object.keys(CLIENTS))('%s: it works, and is not closed', async (kind) => {
    const host = await CLIENTS[kind]!();
    try {
      const { open } = await openScene();
      const queue = open({ connection: host.client });
      const first = await queue.put(NAME, '7', ADD);
      const second = await queue.put(NAME, '7', ADD);
      const [taken] = await takeSome(queue);
      expect(taken!.jobs.map(({ id }) => id)).toEqual([first, second]);
      expect(await queue.renew(NAME, [taken!])).toHaveLength(1);
      const verdicts = new Map([
        [first, { kind: 'done' }],
        [second, { kind: 'dead', job: ADD }],
      ] as const);
      expect(await queue.finish(NAME, taken!, verdicts)).toBe(true);
      expect(await queue.replay(NAME)).toBe(1);
      await beDone(queue, (await takeSome(queue))[0]!);
      expect(await queue.counts(NAME)).toEqual({ waiting: 0, dead: 0, oldestWaiting: null });
      await queue.close();
      expect(await host.isOpen()).toBe(true);
    } finally {
      await host.end();
    }
  });

  test('that the host has closed is told at once', async () => {
    const client = new Redis(TEST_REDIS_URL);
    const queue = (await openScene()).open({ connection: client });
    await queue.put(NAME, '7', ADD);
    await client.quit();
    await expect(queue.put(NAME, '7', ADD)).rejects.toThrow(/put\(\) of the webhook queue: .*closed/);
  });
});
