// The contract suite for webhook queues, tested itself: sound queues pass, and each broken one is caught by the tests that are
// named for what is broken.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { webhookQueueContract } from '../../lib/testing';
import type { QueueScene, WebhookQueueContractOptions } from '../../lib/testing';
import { isWhole } from '../delivery/size';
import { finishing } from './contracts/broken/queue-finishing';
import { racing } from './contracts/broken/queue-racing';
import { sharing } from './contracts/broken/queue-sharing';
import { storing } from './contracts/broken/queue-storing';
import { taking } from './contracts/broken/queue-taking';
import { telling } from './contracts/broken/queue-telling';
import { collect, crashesOf, type Results } from './contracts/collect';
import { MemoryWebhookQueue, QueueStore, type MemoryWebhookQueueOptions } from './contracts/memory-queue';
import { sound } from './contracts/sound-queues';

type Options = Partial<WebhookQueueContractOptions>;
type Queue = new (options: MemoryWebhookQueueOptions) => MemoryWebhookQueue;

/** A short one, since the suite waits for many leases to run out; long enough for a busy machine. */
const LEASE_MS = 60;

/** Two queues over one store, and a third where one is asked for. */
const sceneOf = (Queue: Queue) => async (): Promise<QueueScene> => {
  const options = { leaseMs: LEASE_MS, store: new QueueStore() };
  return { queue: new Queue(options), other: new Queue(options), reopened: async () => new Queue(options) };
};

const run = (open: () => Promise<QueueScene>, options: Options = {}): Promise<Results> =>
  collect((runner) => webhookQueueContract({ runner, open, rounds: 1, ...options }));

const messagesOf = ({ failed }: Results): string[] =>
  [...failed].map(([name, error]) => `${name}: ${(error as Error).message}`);

describe('sound queues pass', () => {
  test.each(Object.entries(sound))('%s', async (_name, Queue) => {
    const results = await run(sceneOf(Queue), { rounds: 3 });
    expect(messagesOf(results)).toEqual([]);
    expect(results.skipped).toEqual([]);
    expect(results.passed.length).toBeGreaterThan(130);
  });

  test('the optional methods left out, where it is said', async () => {
    const open = async (): Promise<QueueScene> => {
      const queue = new MemoryWebhookQueue({ leaseMs: LEASE_MS });
      const optional = ['settled', 'readPosition', 'writePosition', 'readShared', 'writeShared', 'check'];
      return { queue: Object.assign(queue, Object.fromEntries(optional.map((name) => [name, undefined]))) };
    };
    const results = await run(open, { capabilities: { results: false, positions: false, shared: false } });
    expect(messagesOf(results)).toEqual([]);
    expect(results.skipped).toHaveLength(25);
    for (const name of results.skipped) expect(name).toMatch(/\(not tested: (results|positions|shared)\)$/);
    const unsaid = await run(open);
    expect(unsaid.passed).toEqual([]);
    expect(messagesOf(unsaid)[0]).toMatch(/has no method settled\(\).+capabilities: \{ results: false \}/);
  });
});

const groups = { storing, taking, finishing, telling, sharing, racing };
const all = Object.entries(groups).flatMap(([group, queues]) =>
  Object.entries(queues).map(([name, queue]) => [`${group}: ${name}`, queue] as const),
);

/** With every change some of each group, which takes half a minute; all of them in `npm run prove`. */
const broken = isWhole ? all : all.filter((_one, index) => index % 12 === 0);

describe('broken queues are caught by name', () => {
  // At once, since most of the time they wait for leases to run out.
  test.concurrent.each(broken)('%s', async (_name, { Queue, caughtBy, elsewhere }) => {
    const results = await run(sceneOf(Queue));
    const failed = [...results.failed.keys()];
    if (elsewhere === true) expect(failed).toEqual(expect.arrayContaining([...caughtBy]));
    else expect(failed.sort()).toEqual([...caughtBy].sort());
    expect(crashesOf(results)).toEqual([]);
    // Words, and not only two values that differ.
    for (const error of results.failed.values()) {
      expect((error as Error).message.split('\n')[0]!.length).toBeGreaterThan(40);
    }
  });
});

describe('the suite itself', () => {
  test('opens a scene for every test and closes it, also after a failure', async () => {
    let open = 0;
    let most = 0;
    let opened = 0;
    const { Queue } = finishing['finish that does not free the contact']!;
    const results = await run(async () => {
      const scene = await sceneOf(Queue)();
      opened += 1;
      most = Math.max(most, ++open);
      return { ...scene, close: async () => void (open -= 1) };
    });
    expect(results.failed.size).toBeGreaterThan(40);
    expect([open, most]).toEqual([0, 1]);
    expect(opened).toBeGreaterThanOrEqual(results.passed.length + results.failed.size);
  });

  test('what a test says counts more than what closing says; closing counts too', async () => {
    const close = async (): Promise<void> => {
      throw new Error('cannot close');
    };
    const sound = await run(async () => ({ ...(await sceneOf(MemoryWebhookQueue)()), close }));
    expect(sound.passed).toEqual([]);
    expect([...sound.failed.values()].every((error) => (error as Error).message === 'cannot close')).toBe(
      true,
    );
    const { Queue } = storing['equal jobs merged']!;
    const broken = await run(async () => ({ ...(await sceneOf(Queue)()), close }));
    expect(broken.failed.get('put › merges nothing: two equal jobs are two')).toMatchObject({
      code: 'ERR_ASSERTION',
    });
  });

  test('a store that holds other webhooks does no harm', async () => {
    const scene = await sceneOf(MemoryWebhookQueue)();
    await scene.queue.put('site', '7', { action: 'add', receivedAt: 0 });
    expect(messagesOf(await run(async () => scene))).toEqual([]);
    expect(await scene.queue.counts('site')).toMatchObject({ waiting: 1, dead: 0 });
  });

  test.each<[string, RegExp, (scene: QueueScene) => unknown]>([
    ['no scene', /whose queue has the method put\(\)/, () => undefined],
    ['no queue', /whose queue has the method put\(\)/, ({ other }) => ({ other })],
    [
      'half a second queue',
      /whose other has the method take\(\)/,
      ({ queue }) => ({ queue, other: { put: () => '' } }),
    ],
    ['a lease of a minute', /500 is a good one. It is 60000/, () => ({ queue: new MemoryWebhookQueue() })],
    ['a lease as text', /It is '500'/, ({ queue }) => ({ queue: Object.assign(queue, { leaseMs: '500' }) })],
  ])('%s is said to be the scene’s fault', async (_name, message, change) => {
    const results = await run(async () => change(await sceneOf(MemoryWebhookQueue)()) as QueueScene);
    expect(results.passed).toEqual([]);
    for (const text of messagesOf(results)) expect(text).toMatch(message);
  });

  test('a store that is slower than its leases is told so', async () => {
    const slow = class extends MemoryWebhookQueue {
      override async take(queue: string, limit: number) {
        await new Promise((resolve) => setTimeout(resolve, 2 * this.leaseMs));
        return super.take(queue, limit);
      }
    };
    const name = 'lease › does not run out while it is renewed by another process';
    const results = await run(async () => {
      const options = { leaseMs: 2, store: new QueueStore() };
      return { queue: new slow(options), other: new slow(options) };
    });
    expect((results.failed.get(name) as Error).message).toMatch(/leaseMs: 2\), 4 times in a row.+longer one/);
    expect(crashesOf(results)).toEqual([]);
  });

  test('a test that took longer than a lease is run once more', async () => {
    let isFirst = true;
    const results = await run(async () => {
      const scene = await sceneOf(MemoryWebhookQueue)();
      const hold = { put: scene.queue.put.bind(scene.queue) };
      if (isFirst) {
        isFirst = false;
        // A lease that runs out in the middle of the test, and an id that is wrong.
        Object.assign(scene.queue, {
          put: async (...given: Parameters<QueueScene['queue']['put']>) => {
            await new Promise((resolve) => setTimeout(resolve, 2 * LEASE_MS));
            await hold.put(...given);
            return 'always the same';
          },
        });
      }
      return scene;
    });
    expect(isFirst).toBe(false);
    expect(messagesOf(results)).toEqual([]);
  });

  test.each([2, 3, 7])('%i workers', async (writers) => {
    expect(messagesOf(await run(sceneOf(MemoryWebhookQueue), { writers, rounds: 4 }))).toEqual([]);
    const { Queue, caughtBy } = racing['take that looks and then writes']!;
    const results = await run(sceneOf(Queue), { writers });
    expect([...results.failed.keys()]).toEqual(expect.arrayContaining([...caughtBy]));
  });

  test('races go through both queues; without a second one through the first', async () => {
    const { Queue, caughtBy } = racing['a lock that only this process knows']!;
    const alone = await run(async () => ({ queue: new Queue({ leaseMs: LEASE_MS }) }));
    expect(alone.passed).toEqual(expect.arrayContaining([...caughtBy]));
    const both = await run(sceneOf(Queue));
    expect([...both.failed.keys()]).toEqual(expect.arrayContaining([...caughtBy]));
  });

  test.each<[string, Options]>([
    ['one worker', { writers: 1 }],
    ['half a worker more', { writers: 2.5 }],
    ['no round', { rounds: 0 }],
  ])('%s is not enough, and said at once', (_name, options) => {
    const runner = { describe: () => undefined, it: () => undefined };
    expect(() => webhookQueueContract({ runner, open: sceneOf(MemoryWebhookQueue), ...options })).toThrow(
      /webhookQueueContract: writers has to be 2 or more, rounds 1 or more/,
    );
  });
});

describe('with node:test, in a process of its own and the built package', () => {
  const FIXTURE = path.join(__dirname, 'contracts', 'fixtures', 'node-test-queue.js');

  const nodeTest = (
    env: Record<string, string>,
  ): Promise<{ code: unknown; count(of: string): number; text: string }> =>
    new Promise((resolve) => {
      // Run by node:test, and by nothing of this process's own settings.
      const options = { env: { PATH: process.env.PATH ?? '', ...env }, maxBuffer: 1e8 };
      execFile(process.execPath, ['--test', '--test-reporter=tap', FIXTURE], options, (error, text) => {
        const count = (of: string): number => Number(new RegExp(`^# ${of} (\\d+)$`, 'm').exec(text)?.[1]);
        resolve({ code: error === null ? 0 : error.code, count, text });
      });
    });

  test('the tests of a queue that forgets pass or fail by name', async () => {
    const results = await nodeTest({});
    expect(results.code).toBe(1);
    expect(results.count('pass')).toBeGreaterThan(5);
    expect(results.count('skipped')).toBe(25);
    expect(results.text).toMatch(/ok \d+ - gives ids that differ, also between contacts and names/);
    expect(results.text).toMatch(/not ok \d+ - merges nothing: two equal jobs are two/);
    expect(results.text).toContain('What is to be merged is the business of the worker.');
  });
});
