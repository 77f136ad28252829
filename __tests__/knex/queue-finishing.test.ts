// What finish() promises where many contacts are done with at once: few commits, and each as if it were alone.
import type { Knex } from 'knex';
import type { Job, Verdict } from '../../lib/queue/queue';
import { KnexWebhookQueue, migrate } from '../../lib/knex';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';

interface Sent {
  sql: string;
}

const job: Job = { action: 'add', receivedAt: 1 };
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const done = (...ids: string[]): Map<string, Verdict> => new Map(ids.map((id) => [id, { kind: 'done' }]));

describe.each(availableDatabases())('%s', (name) => {
  let database: TestDatabase;
  let knex: Knex;
  let queue: KnexWebhookQueue;

  beforeEach(async () => {
    database = await openDatabase(name);
    knex = database.knex;
    await migrate(knex, { users: false });
    queue = new KnexWebhookQueue(knex);
  });
  afterEach(() => database.close());

  test('200 at once take few commits, and each becomes what its verdict says', async () => {
    await Promise.all(range(200).map((index) => queue.put('site', `${index}`, job)));
    const taken = await queue.take('site', 200);
    let commits = 0;
    knex.on('query', ({ sql }: Sent) => {
      if (/^commit/i.test(sql)) commits += 1;
    });
    const verdicts: Verdict[] = [
      { kind: 'done' },
      { kind: 'done', result: { outcome: 'created' } },
      { kind: 'later', delayMs: 0, job: { ...job, tries: 1 } },
      { kind: 'dead', job: { ...job, tries: 2 } },
    ];
    const held = await Promise.all(
      taken.map((contact, index) =>
        queue.finish('site', contact, new Map([[contact.jobs[0]!.id, verdicts[index % 4]!]])),
      ),
    );
    expect(held).toEqual(range(200).map(() => true));
    expect(commits).toBeLessThanOrEqual(3);
    expect(await queue.counts('site')).toMatchObject({ waiting: 50, dead: 50 });
    const ids = taken.map(({ jobs }) => jobs[0]!.id);
    expect((await queue.settled('site', ids)).size).toBe(100);
    const again = await queue.take('site', 200);
    const later = taken.filter((_, index) => index % 4 === 2).map(({ contactId }) => contactId);
    expect(again.map(({ contactId }) => contactId).sort()).toEqual(later.sort());
    expect(again.map(({ jobs }) => jobs[0]!.job.tries)).toEqual(range(50).map(() => 1));
    expect(await knex('wpf_lanes')).toHaveLength(50);
  });

  test('those that are not held any more change nothing, beside others that are; of two the same one is', async () => {
    const [first, second] = [await queue.put('site', '1', job), await queue.put('site', '2', job)];
    const [one, two] = await queue.take('site', 2);
    const lost = { contactId: '2', token: 'somebody else’s' };
    const held = await Promise.all([
      queue.finish('site', one!, done(first)),
      queue.finish('site', one!, done(first)),
      queue.finish('site', lost, done(second)),
    ]);
    expect(held).toEqual([true, false, false]);
    expect((await queue.counts('site')).waiting).toBe(1);
    expect(await queue.finish('site', two!, done(second))).toBe(true);
  });

  test('no contact ends what waits for another, in the same transaction or not', async () => {
    const [first, second] = [await queue.put('site', '1', job), await queue.put('site', '2', job)];
    const [one, two] = await queue.take('site', 2);
    await Promise.all([queue.finish('site', one!, done(first, second)), queue.finish('site', two!, done())]);
    expect((await queue.take('site', 2)).map(({ contactId }) => contactId)).toEqual(['2']);
  });

  test('queues of different names are released beside one another', async () => {
    const ids = await Promise.all(['a', 'b'].map((site) => queue.put(site, '1', job)));
    const [[ofA], [ofB]] = [await queue.take('a', 1), await queue.take('b', 1)];
    // Each with the other's webhook too, which is none of its own.
    const held = await Promise.all([
      queue.finish('a', ofA!, done(...ids)),
      queue.finish('b', ofB!, done(ids[1]!)),
    ]);
    expect(held).toEqual([true, true]);
    expect([(await queue.counts('a')).waiting, (await queue.counts('b')).waiting]).toEqual([0, 0]);
  });

  test('a failure changes nothing of those that are told of it, whatever their queues', async () => {
    if (name === 'SQLite') {
      await knex.raw(
        "create trigger refusing before update on wpf_webhooks when new.body like '%NO_WAY%' begin select raise(abort, 'refused'); end",
      );
    } else {
      await knex.raw("alter table wpf_webhooks add constraint refusing check (body not like '%NO_WAY%')");
    }
    const ids = await Promise.all(['a', 'b'].map((site) => queue.put(site, '1', job)));
    const [[ofA], [ofB]] = [await queue.take('a', 1), await queue.take('b', 1)];
    const refused: Verdict = {
      kind: 'dead',
      job: { ...job, failure: { code: 'NO_WAY', detail: '', at: 1 } },
    };
    const ends = await Promise.allSettled([
      queue.finish('a', ofA!, done(ids[0]!)),
      queue.finish('b', ofB!, new Map([[ids[1]!, refused]])),
    ]);
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    // So each can be told again.
    expect(await queue.finish('a', ofA!, done(ids[0]!))).toBe(true);
    expect(await queue.finish('b', ofB!, done(ids[1]!))).toBe(true);
  });
});
