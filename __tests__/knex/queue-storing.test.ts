// What put() promises: a webhook survives a power cut once it is stored, many at once cost few commits, a failure stores nothing
// of its group, and whoever is in the way is waited for.
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import createKnex, { type Knex } from 'knex';
import type { Job } from '../../lib/queue/queue';
import { KnexWebhookQueue, migrate } from '../../lib/knex';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';

interface Sent {
  sql: string;
}

const jobOf = (receivedAt: number): Job => ({ action: 'add', receivedAt });
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe.each(availableDatabases())('%s', (name) => {
  let database: TestDatabase;
  let knex: Knex;
  let queue: KnexWebhookQueue;
  let commits = 0;

  beforeEach(async () => {
    database = await openDatabase(name);
    knex = database.knex;
    await migrate(knex, { users: false });
    queue = new KnexWebhookQueue(knex);
    await queue.take('site', 1);
    commits = 0;
    knex.on('query', ({ sql }: Sent) => {
      // On PostgreSQL one statement does it all, and commits by itself.
      if (/^commit|^with moment/i.test(sql)) commits += 1;
    });
  });
  afterEach(() => database.close());

  const stored = async (): Promise<[number, number]> => [
    (await knex('wpf_webhooks')).length,
    (await knex('wpf_lanes')).length,
  ];

  /** Lets the database refuse webhooks with this in their text. */
  async function refuse(text: string): Promise<void> {
    if (name === 'SQLite') {
      await knex.raw(
        `create trigger refusing before insert on wpf_webhooks when new.body like '%${text}%' begin select raise(abort, 'refused'); end`,
      );
    } else {
      await knex.raw(`alter table wpf_webhooks add constraint refusing check (body not like '%${text}%')`);
    }
  }

  test('500 at once take few commits, and keep the order of the calls', async () => {
    const ids = await Promise.all(range(500).map((index) => queue.put('site', `${index % 7}`, jobOf(index))));
    expect(commits).toBeLessThanOrEqual(2);
    expect(new Set(ids).size).toBe(500);
    const byId = new Map(ids.map((id, index) => [id, index]));
    const taken = await queue.take('site', 10);
    expect(taken).toHaveLength(7);
    for (const { contactId, jobs } of taken) {
      const expected = range(500).filter((index) => `${index % 7}` === contactId);
      expect(jobs.map(({ job }) => job.receivedAt)).toEqual(expected);
      expect(jobs.map(({ id }) => byId.get(id))).toEqual(expected);
    }
  });

  test('what comes while others are stored is stored next, in order', async () => {
    const calls: Promise<string>[] = [];
    for (const index of range(60)) {
      calls.push(queue.put('site', '7', jobOf(index)));
      await Promise.resolve();
      if (index % 20 === 0) await calls[0];
    }
    await Promise.all(calls);
    const [taken] = await queue.take('site', 1);
    expect(taken!.jobs.map(({ job }) => job.receivedAt)).toEqual(range(60));
  });

  test('more than fits into one statement is split', async () => {
    await Promise.all(range(1200).map((index) => queue.put('site', `${index}`, jobOf(index))));
    expect(commits).toBeGreaterThanOrEqual(3);
    commits = 0;
    const email = 'x'.repeat(200_000);
    await Promise.all(
      range(6).map((index) => queue.put('large', `${index}`, { ...jobOf(index), email: `${email}${index}` })),
    );
    expect(commits).toBeGreaterThanOrEqual(3);
    const alone = 'y'.repeat(900_000);
    await queue.put('large', '7', { ...jobOf(7), email: alone });
    const taken = await queue.take('large', 10);
    expect(taken.map(({ jobs }) => jobs[0]!.job.email).sort()).toEqual(
      [...range(6).map((index) => `${email}${index}`), alone].sort(),
    );
    expect(await queue.counts('site')).toMatchObject({ waiting: 1200 });
  });

  test('a failure rejects all of the group, with nothing of it stored, and no other group', async () => {
    await queue.put('site', '1', jobOf(1));
    await refuse('poison');
    const group = [
      queue.put('site', '1', jobOf(2)),
      queue.put('site', '2', { ...jobOf(3), email: 'poison@example.com' }),
      queue.put('site', '3', jobOf(4)),
    ];
    for (const result of await Promise.allSettled(group)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'DatabaseError' } });
      const { message } = (result as PromiseRejectedResult).reason as Error;
      expect(message).toMatch(/^put\(\) of the webhook queue: /);
      expect(message).not.toMatch(/insert|example\.com|receivedAt/i);
    }
    expect(await stored()).toEqual([1, 1]);
    await queue.put('site', '3', jobOf(5));
    expect(await stored()).toEqual([2, 2]);
  });

  test('one that cannot be stored is refused before the group', async () => {
    const long = 'c'.repeat(256);
    const [first, second, third, fourth] = await Promise.allSettled([
      queue.put('site', '1', jobOf(1)),
      queue.put('site', long, jobOf(2)),
      queue.put('n'.repeat(65), '1', jobOf(3)),
      queue.put('n'.repeat(64), 'ü'.repeat(255), jobOf(4)),
    ]);
    expect(first).toMatchObject({ status: 'fulfilled' });
    expect(second).toMatchObject({
      reason: {
        code: 'INVALID_REQUEST',
        message: 'The contact id has 256 characters ("cccccccccccccccccccc"…); it may have 255.',
      },
    });
    expect(third).toMatchObject({
      reason: { message: expect.stringMatching(/^The name of the queue has 65/) },
    });
    expect(fourth).toMatchObject({ status: 'fulfilled' });
    expect(await queue.take('n'.repeat(64), 1)).toMatchObject([{ contactId: 'ü'.repeat(255) }]);
  });

  if (name === 'SQLite') {
    /** `synchronous` of the only connection. */
    async function synchronous(): Promise<() => number> {
      const client = knex.client as {
        acquireConnection(): Promise<{ pragma(text: string, options: object): number }>;
        releaseConnection(connection: object): Promise<void>;
      };
      const connection = await client.acquireConnection();
      await client.releaseConnection(connection);
      return () => connection.pragma('synchronous', { simple: true });
    }

    test.each([
      ['normal', 1, 2],
      ['off', 0, 2],
      ['extra', 3, 3],
    ])(
      'commits survive a power cut where the site has synchronous = %s, which stays so',
      async (_, own, within) => {
        const look = await synchronous();
        await knex.raw(`pragma synchronous = ${own}`);
        const seen: Record<string, number> = {};
        knex.on('query', ({ sql }: Sent) => {
          if (/^insert into .wpf_webhooks/.test(sql)) seen.insert = look();
          if (/^commit/i.test(sql)) seen.commit = look();
        });
        await queue.put('site', '7', jobOf(1));
        expect(seen).toEqual({ insert: within, commit: within });
        expect(look()).toBe(own);

        await refuse('poison');
        await expect(queue.put('site', '7', { ...jobOf(2), email: 'poison' })).rejects.toThrow();
        expect(look()).toBe(own);
        // What may be done once more after a power cut need not wait for the disk.
        await queue.take('site', 1);
        expect(seen.commit).toBe(own);
      },
    );

    test('a new file is given a write-ahead log', async () => {
      const filename = `${(database.config.connection as { filename: string }).filename}-new`;
      const fresh = createKnex({ ...database.config, connection: { filename } });
      await migrate(fresh, { users: false });
      expect(await fresh.raw('pragma journal_mode')).toEqual([{ journal_mode: 'delete' }]);
      await new KnexWebhookQueue(fresh).put('site', '7', jobOf(1));
      expect(await fresh.raw('pragma journal_mode')).toEqual([{ journal_mode: 'wal' }]);
      await fresh.destroy();
    });

    /** Somebody else with the file open, on a thread of its own: begins a transaction, and ends it when told to. */
    async function somebodyElse(begin: string): Promise<{ end: () => Promise<unknown> }> {
      const script = `
        const { parentPort, workerData } = require('node:worker_threads');
        const file = new (require('better-sqlite3'))(workerData.filename);
        file.exec(workerData.begin);
        parentPort.once('message', () => { file.exec('commit'); file.close(); });
        parentPort.postMessage('begun');`;
      const { filename } = database.config.connection as { filename: string };
      const worker = new Worker(script, { eval: true, workerData: { filename, begin } });
      await once(worker, 'message');
      return {
        end: () => {
          const exit = once(worker, 'exit');
          worker.postMessage('end');
          return exit;
        },
      };
    }

    /** Ends the other one's transaction once a statement of ours has failed. */
    async function putBeside(begin: string, failing: RegExp): Promise<void> {
      const other = await somebodyElse(begin);
      let ended: Promise<unknown> | undefined;
      knex.on('query-error', (_error: Error, { sql }: Sent) => {
        if (failing.test(sql)) ended ??= other.end();
      });
      await queue.put('site', '7', jobOf(1));
      expect(ended).toBeDefined();
      await ended;
      expect(await stored()).toEqual([1, 1]);
    }

    test('waits for another process that writes', async () => {
      await knex.raw('pragma busy_timeout = 10');
      await putBeside('begin immediate', /./);
    });

    test('waits for another process that reads, where there is no write-ahead log', async () => {
      await knex.raw('pragma busy_timeout = 10');
      await knex.raw('pragma journal_mode = delete');
      queue = new KnexWebhookQueue(knex);
      await putBeside('begin; select * from wpf_lanes', /^commit/i);
    });
  }

  if (name === 'PostgreSQL') {
    test('commits wait for the disk where the session does without, and the session stays as it is', async () => {
      const config = { ...database.config, pool: { min: 0, max: 1 } };
      const careless = createKnex(config as Knex.Config);
      await careless.raw('set synchronous_commit = off');
      await careless.raw('create table seen (setting text)');
      await careless.raw(
        `create function note() returns trigger language plpgsql as
         $$ begin insert into seen values (current_setting('synchronous_commit')); return null; end $$`,
      );
      await careless.raw(
        'create trigger noting after insert on wpf_webhooks for each row execute function note()',
      );
      await new KnexWebhookQueue(careless).put('site', '7', jobOf(1));
      expect(await careless('seen')).toEqual([{ setting: 'on' }]);
      const { rows } = await careless.raw('show synchronous_commit');
      expect(rows).toEqual([{ synchronous_commit: 'off' }]);
      // Another choice of the host's is kept: it may wait for replicas, or not.
      await careless.raw('set synchronous_commit = local');
      await new KnexWebhookQueue(careless).put('site', '7', jobOf(1));
      expect(await careless('seen')).toEqual([{ setting: 'on' }, { setting: 'local' }]);
      await careless.destroy();
    });

    test('a webhook is numbered when nobody else can come before it any more', async () => {
      await queue.put('site', '7', jobOf(1));
      const one = async (sql: string): Promise<unknown> => Object.values((await knex.raw(sql)).rows[0])[0];
      const sequence = await one("select pg_get_serial_sequence('wpf_webhooks', 'id')");
      const last = await one(`select last_value from ${String(sequence)}`);
      const holder = await knex.transaction();
      await holder('wpf_lanes').where({ contact: '7' }).forUpdate();
      const put = queue.put('site', '7', jobOf(2));
      // Other tests have waiting statements, too.
      const { rows } = await holder.raw('select pg_backend_pid() as pid');
      const waiting = `select count(*)::int from pg_stat_activity where ${rows[0].pid} = any(pg_blocking_pids(pid))`;
      while ((await one(waiting)) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      const meanwhile = await one(`select last_value from ${String(sequence)}`);
      await holder.rollback();
      expect(meanwhile).toBe(last);
      expect(Number(await put)).toBe(Number(last) + 1);
    });
  }

  if (name !== 'SQLite') {
    test('is run again where the database asks for it', async () => {
      // Both keep the number of tries outside of the transaction that is rolled back.
      if (name === 'PostgreSQL') {
        await knex.raw('create sequence tries');
        await knex.raw(
          `create function refuse() returns trigger language plpgsql as $$ begin
             if nextval('tries') < 3 then raise exception 'deadlock' using errcode = '40P01'; end if; return new; end $$`,
        );
        await knex.raw(
          'create trigger refusing before insert on wpf_webhooks for each row execute function refuse()',
        );
      } else {
        await knex.raw('create table tries (id bigint) engine = MyISAM');
        await knex.raw(
          `create trigger refusing before insert on wpf_webhooks for each row begin
             insert into tries values (1);
             if (select count(*) from tries) < 3 then signal sqlstate '40001' set mysql_errno = 1213, message_text = 'deadlock'; end if;
           end`,
        );
      }
      const errors: string[] = [];
      knex.on('query-error', ({ message }: Error) => errors.push(message));
      await queue.put('site', '7', jobOf(1));
      expect(errors).toHaveLength(2);
      expect(await stored()).toEqual([1, 1]);
    });
  }
});
