// What the queue says about a Redis that would lose webhooks, at the start of a site.
import express from 'express';
import { OntraportClient, MemoryUserRepository, wpFusionWebhook } from '../../lib';
import { BullMqWebhookQueue } from '../../lib/bullmq';
import { ACCESS_KEY } from '../actions/site';
import { EVERY_SECOND, EVERY_WRITE, isRedisServerThere, RedisServer } from './redis-server';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A queue on a server with these settings. */
async function queueOn(settings: Readonly<Record<string, string>>): Promise<BullMqWebhookQueue> {
  // BullMQ has its own say about eviction, on the console.
  const spoken = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
  const server = await RedisServer.start(settings);
  const queue = new BullMqWebhookQueue({ connection: server.address });
  cleanUps.push(async () => {
    await queue.close();
    await server.close();
    spoken.mockRestore();
  });
  return queue;
}

(isRedisServerThere() ? describe : describe.skip)('a Redis', () => {
  test.each([
    ['that writes every second', EVERY_SECOND],
    ['that writes at once', EVERY_WRITE],
  ])('%s: nothing to say', async (_name, settings) => {
    const queue = await queueOn(settings);
    expect(await queue.check()).toEqual([]);
  });

  test.each([
    ['keeps nothing', { appendonly: 'no', save: '' }, /writes nothing to a disk.+Set appendonly to yes/],
    ['takes snapshots', { appendonly: 'no', save: '60 1' }, /only now and then.+Set appendonly to yes/],
    ['leaves the disk to the system', { ...EVERY_SECOND, appendfsync: 'no' }, /appendfsync is no/],
    [
      'evicts',
      { ...EVERY_SECOND, maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' },
      /maxmemory-policy is allkeys-lru.+noeviction/,
    ],
    [
      'evicts what has a time to live',
      { ...EVERY_SECOND, 'maxmemory-policy': 'volatile-ttl' },
      /maxmemory-policy is volatile-ttl/,
    ],
  ])('that %s: a warning that says what to do', async (_name, settings, message) => {
    const queue = await queueOn(settings);
    expect(await queue.check()).toEqual([{ severity: 'warning', message: expect.stringMatching(message) }]);
  });

  test('that is a replica: an error', async () => {
    const master = await RedisServer.start();
    cleanUps.push(() => master.close());
    const queue = await queueOn({ ...EVERY_SECOND, replicaof: `127.0.0.1 ${master.port}` });
    expect(await queue.check()).toEqual([{ severity: 'error', message: expect.stringMatching(/replica/) }]);
  });

  test('the site says so when it starts', async () => {
    const queue = await queueOn({ appendonly: 'no', save: '' });
    const warnings: string[] = [];
    const nothing = (): void => undefined;
    let told = nothing;
    const isTold = new Promise<void>((resolve) => (told = resolve));
    const webhook = wpFusionWebhook({
      accessKey: ACCESS_KEY,
      crm: new OntraportClient({ appId: 'id', apiKey: 'key' }),
      users: new MemoryUserRepository(),
      queue,
      logger: {
        debug: nothing,
        info: nothing,
        warn: (_details: unknown, message: string) => {
          warnings.push(message);
          told();
        },
        error: nothing,
      },
    });
    express().use(webhook);
    await isTold;
    expect(warnings.join('\n')).toMatch(/Redis writes nothing to a disk/);
    await webhook.close();
  });
});
