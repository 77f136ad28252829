// A Redis that refuses, is not there, or goes away: each call is told within moments, and the queue comes back by itself.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Redis } from 'ioredis';
import { BullMqWebhookQueue } from '../../lib/bullmq';
import { loadBullMq } from '../../lib/bullmq/bullmq';
import { Connection } from '../../lib/bullmq/connection';
import { FaultProxy } from '../faults/fault-proxy';
import { ADD, afterwards, closeScenes, NAME } from './scene';
import { EVERY_SECOND, isRedisServerThere, RedisServer } from './redis-server';

afterEach(closeScenes);

async function startServer(settings = EVERY_SECOND): Promise<RedisServer> {
  const server = await RedisServer.start(settings);
  afterwards(() => server.close());
  return server;
}

function queueOn(connection: object): BullMqWebhookQueue {
  const queue = new BullMqWebhookQueue({ connection });
  afterwards(() => queue.close());
  return queue;
}

const put = (queue: BullMqWebhookQueue): Promise<string> => queue.put(NAME, '7', ADD);

/** Puts until it works. */
async function untilStored(queue: BullMqWebhookQueue): Promise<void> {
  for (;;) {
    const isStored = await put(queue).then(
      () => true,
      () => false,
    );
    if (isStored) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

(isRedisServerThere() ? describe : describe.skip)('a Redis', () => {
  test('that is not there yet', async () => {
    const server = await startServer();
    await server.stop();
    const queue = queueOn(server.address);
    await expect(put(queue)).rejects.toThrow('put() of the webhook queue: Redis could not be connected to.');
    await server.start();
    await untilStored(queue);
  });

  test('that goes away: nothing piles up in the process, and nothing that was refused is stored later', async () => {
    const server = await startServer();
    const queue = queueOn(server.address);
    await put(queue);
    await server.stop();
    // The first may still be on its way to a server that is just ending.
    await put(queue).catch(() => undefined);
    const refused = await Promise.allSettled(Array.from({ length: 100 }, () => put(queue)));
    expect(refused.filter(({ status }) => status === 'rejected')).toHaveLength(100);
    await server.start();
    await untilStored(queue);
    expect((await queue.counts(NAME)).waiting).toBeLessThanOrEqual(3);
  });

  test('whose password is mended while the site runs', async () => {
    const server = await startServer({ ...EVERY_SECOND, requirepass: 'right' });
    const queue = queueOn({ ...server.address, password: 'wrong' });
    const refusal = await put(queue).catch((error: unknown) => String(error));
    expect(refusal).toMatch(/put\(\) of the webhook queue: /);
    expect(refusal).not.toContain('wrong');
    const admin = new Redis({ ...server.address, password: 'right' });
    await admin.config('SET', 'requirepass', 'wrong');
    await untilStored(queue);
    await admin.quit();
  });

  test('that has forgotten its scripts', async () => {
    const server = await startServer();
    const queue = queueOn(server.address);
    await put(queue);
    const admin = new Redis(server.address);
    await admin.script('FLUSH');
    await put(queue);
    const [taken] = await queue.take(NAME, 10);
    expect(taken!.jobs).toHaveLength(2);
    await admin.script('FLUSH');
    expect(
      await queue.finish(NAME, taken!, new Map(taken!.jobs.map(({ id }) => [id, { kind: 'done' }]))),
    ).toBe(true);
    await admin.quit();
  });

  test('that is full: the webhook is refused whole', async () => {
    const server = await startServer({ ...EVERY_SECOND, 'maxmemory-policy': 'noeviction' });
    const queue = queueOn(server.address);
    await put(queue);
    const admin = new Redis(server.address);
    await admin.config('SET', 'maxmemory', '1');
    await expect(put(queue)).rejects.toThrow(/put\(\) of the webhook queue: .*(OOM|EXECABORT|memory)/);
    await admin.config('SET', 'maxmemory', '0');
    expect((await queue.counts(NAME)).waiting).toBe(1);
    await put(queue);
    const [taken] = await queue.take(NAME, 10);
    expect(taken!.jobs).toHaveLength(2);
    await admin.quit();
  });

  test('that falls silent: what is under way fails as soon as that is noticed, and the next call connects anew', async () => {
    const server = await startServer();
    const proxy = await FaultProxy.start(server.address.host, server.address.port);
    afterwards(() => proxy.close());
    const queue = queueOn({ host: '127.0.0.1', port: proxy.port });
    await put(queue);
    proxy.silence();
    // Asked while nobody answers: for minutes, if nobody noticed.
    const taking = queue.take(NAME, 10).then(
      () => 'taken',
      (error: unknown) => String(error),
    );
    await expect(put(queue)).rejects.toThrow(/gave no answer|was given up/);
    expect(await taking).toContain('was given up');
    await proxy.restore();
    await untilStored(queue);
  });

  test('that answers while the process is too busy to listen, or to ask, is not silent', async () => {
    const server = await startServer();
    const queue = queueOn(server.address);
    await put(queue);
    const stored = Promise.all(Array.from({ length: 100 }, () => put(queue)));
    // Longer than a webhook may take to be stored.
    const busyUntil = performance.now() + 1000;
    while (performance.now() < busyUntil);
    expect(new Set(await stored).size).toBe(100);
  });

  test('that does not answer any more does not keep the queue from closing', async () => {
    const server = await startServer();
    const queue = queueOn(server.address);
    await put(queue);
    await server.stop();
    await queue.close();
  });
});

describe('a call', () => {
  const never = new Promise<never>(() => undefined);
  const connection = (): Connection =>
    new Connection(loadBullMq(), {
      ...{ connection: { host: '127.0.0.1' }, prefix: 'wpf' },
      ...{ lockDuration: 1000, stalledInterval: 100 },
    });

  test('has twice its time where Redis is heard', async () => {
    const heard = connection();
    const hearing = setInterval(() => heard.heard(), 5);
    await expect(heard.answered(never, 100, 'at all')).rejects.toThrow('no answer within 200 ms');
    clearInterval(hearing);
  });

  test('has its time where nothing is heard', async () => {
    await expect(connection().answered(never, 100, 'in silence')).rejects.toThrow('no answer within 100 ms');
  });

  test('leaves nothing of an answer behind on a connection that lives on', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const living = connection();
    const answer = async (): Promise<WeakRef<object>> => {
      const value = { of: 'Redis' };
      await living.answered(Promise.resolve(value), 60_000, 'in silence');
      return new WeakRef(value);
    };
    const value = await answer();
    // A weak reference lives until the turn of the event loop in which it was made is over.
    await new Promise(setImmediate);
    collect();
    expect(value.deref()).toBeUndefined();
  });
});
