// Two processes that put, take, renew, finish and replay webhooks of a few contacts, all at once: no deadlock or busy file reaches
// the caller, and every webhook is done once.
import { KnexWebhookQueue, migrate } from '../../lib/knex';
import type { TakenContact, Verdict, WebhookQueue } from '../../lib/queue/queue';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';
import { startQueue, type RemoteQueue } from './processes';

const OPTIONS = { leaseMs: 20_000 };
const PUTTERS = 8;
const PUTS = 40;
const WORKERS = 3;
const CONTACTS = 5;

describe.each(availableDatabases())('%s', (name) => {
  let database: TestDatabase;
  let other: RemoteQueue;

  beforeAll(async () => {
    database = await openDatabase(name);
    await migrate(database.knex, { users: false });
    other = startQueue(database.config, OPTIONS);
  });
  afterAll(async () => {
    await other.end();
    await database.close();
  });

  test('a few contacts under load', async () => {
    const queues: WebhookQueue[] = [new KnexWebhookQueue(database.knex, OPTIONS), other];
    const stored: string[] = [];
    const done: string[] = [];
    let isStoring = true;

    async function put(queue: WebhookQueue, putter: number): Promise<void> {
      for (let index = 0; index < PUTS; index += 1) {
        const contactId = `${(index * 3 + putter) % CONTACTS}`;
        stored.push(await queue.put('site', contactId, { action: 'add', receivedAt: index }));
      }
    }

    /** Every third webhook dies, every fifth is put off, the first time; the others are done. */
    async function finish(queue: WebhookQueue, taken: TakenContact): Promise<void> {
      const finished: string[] = [];
      const verdicts = new Map<string, Verdict>();
      for (const { id, job } of taken.jobs) {
        const story = { ...job, tries: 1 };
        const number = job.tries === 1 ? 1 : Number(id);
        if (number % 3 === 0) verdicts.set(id, { kind: 'dead', job: story });
        else if (number % 5 === 0) verdicts.set(id, { kind: 'later', delayMs: 5, job: story });
        else {
          verdicts.set(id, { kind: 'done', ...(number % 2 === 0 ? { result: { number } } : {}) });
          finished.push(id);
        }
      }
      expect(await queue.finish('site', taken, verdicts)).toBe(true);
      done.push(...finished);
    }

    async function work(queue: WebhookQueue): Promise<void> {
      for (;;) {
        const wasStoring = isStoring;
        const taken = await queue.take('site', 2);
        if (taken.length > 0) {
          await queue.renew('site', taken);
          await Promise.all(taken.map((one) => finish(queue, one)));
        }
        const replayed = await queue.replay('site');
        if (wasStoring || replayed > 0 || taken.length > 0) continue;
        if ((await queue.counts('site')).waiting === 0) return;
      }
    }

    const storing = Promise.all(
      queues.flatMap((queue) => Array.from({ length: PUTTERS }, (_, putter) => put(queue, putter))),
    ).finally(() => (isStoring = false));
    const working = queues.flatMap((queue) => Array.from({ length: WORKERS }, () => work(queue)));
    await Promise.all([storing, ...working]);

    expect(stored).toHaveLength(2 * PUTTERS * PUTS);
    expect(done.sort()).toEqual(stored.sort());
    expect(await queues[0]!.counts('site')).toEqual({ waiting: 0, dead: 0, oldestWaiting: null });
    expect(await database.knex('wpf_lanes')).toEqual([]);
  });
});
