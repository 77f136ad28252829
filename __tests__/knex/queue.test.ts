// KnexWebhookQueue beyond the contract: options, errors without SQL, hosts whose Knex is unlike others, one clock, small pools,
// indexes for every query, old results.
import createKnex, { type Knex } from 'knex';
import { ConfigurationError, type ErrorCode } from '../../lib';
import { KnexWebhookQueue, migrate, type KnexWebhookQueueOptions } from '../../lib/knex';
import type { Job, Verdict, WebhookQueue } from '../../lib/queue/queue';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';

const HOUR = 3_600_000;
const job: Job = { action: 'add', receivedAt: 1, email: 'mary@example.com' };

const verdicts = (...all: [string, Verdict][]): Map<string, Verdict> => new Map(all);

/** One of everything: put, taken, renewed, done, put off, given up, replayed, deleted, asked for. */
async function wholeLife(queue: WebhookQueue): Promise<void> {
  const [first, second, third] = await Promise.all(
    ['1', '1', '2'].map((contactId) => queue.put('site', contactId, job)),
  );
  const [one, two] = await queue.take('site', 2);
  expect([one!.jobs, two!.jobs]).toEqual([
    [
      { id: first, job, isDue: true },
      { id: second, job, isDue: true },
    ],
    [{ id: third, job, isDue: true }],
  ]);
  expect(await queue.renew('site', [one!, two!])).toHaveLength(2);
  const story = { ...job, tries: 1 };
  const ending = verdicts(
    [first!, { kind: 'done', result: { outcome: 'created' } }],
    [second!, { kind: 'later', delayMs: HOUR, job: story }],
  );
  expect(await queue.finish('site', one!, ending)).toBe(true);
  expect(await queue.finish('site', two!, verdicts([third!, { kind: 'dead', job: story }]))).toBe(true);
  expect([...(await queue.settled!('site', [first!, second!, third!]))]).toEqual(
    expect.arrayContaining([
      [first, { kind: 'done', result: { outcome: 'created' } }],
      [third, { kind: 'dead', job: story }],
    ]),
  );
  expect(await queue.deadLetters('site', { limit: 10 })).toEqual([{ id: third, contactId: '2', job: story }]);
  expect(await queue.replay('site')).toBe(1);
  expect(await queue.counts('site')).toMatchObject({ waiting: 2, dead: 0 });
  const [again] = await queue.take('site', 2);
  expect(again).toMatchObject({ contactId: '2', jobs: [{ id: third, isDue: true }] });
  expect(await queue.finish('site', again!, verdicts([third!, { kind: 'dead', job }]))).toBe(true);
  expect(await queue.purge('site')).toBe(1);
  await queue.writePosition!('site', 'import', 'here');
  expect(await queue.readPosition!('site', 'import')).toBe('here');
  expect(await queue.check!()).toEqual([]);
}

describe.each(availableDatabases())('%s', (name) => {
  let database: TestDatabase;
  let knex: Knex;

  beforeEach(async () => {
    database = await openDatabase(name);
    knex = database.knex;
    await migrate(knex, { users: false });
  });
  afterEach(() => database.close());

  /** The same database through another Knex. */
  async function through<Value>(
    config: Partial<Knex.Config>,
    work: (other: Knex) => Promise<Value>,
  ): Promise<Value> {
    const quiet = (): void => undefined;
    const log = { warn: quiet, error: quiet, deprecate: quiet, debug: quiet };
    const other = createKnex({ ...(database.config as Knex.Config), log, ...config });
    try {
      return await work(other);
    } finally {
      await other.destroy();
    }
  }

  const connectionWith = (more: object): object =>
    name === 'PostgreSQL'
      ? { connectionString: database.config.connection, ...more }
      : { ...(database.config.connection as object), ...more };

  describe('a host’s Knex', () => {
    test('that renames columns on their way, as Objection has it', async () => {
      const camel = (text: string): string =>
        text.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
      const snake = (text: string): string => text.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      const renamed = (row: unknown): unknown =>
        typeof row === 'object' && row !== null && !Array.isArray(row) && !('rows' in row)
          ? Object.fromEntries(Object.entries(row).map(([key, value]) => [camel(key), value]))
          : row;
      const config: Partial<Knex.Config> = {
        wrapIdentifier: (text, wrap) => wrap(snake(text)),
        postProcessResponse: (result: unknown) =>
          Array.isArray(result) ? result.map(renamed) : renamed(result),
      };
      await knex.schema.dropTable('wpf_webhooks');
      await through(config, async (renaming) => {
        await migrate(renaming, { users: false });
        await wholeLife(new KnexWebhookQueue(renaming));
      });
    });

    test('whose driver gives large numbers in another way', async () => {
      const more = {
        SQLite: { options: { safeIntegers: true } },
        PostgreSQL: {},
        MariaDB: { supportBigNumbers: true, bigNumberStrings: true },
      }[name];
      await through({ connection: connectionWith(more) }, (other) => wholeLife(new KnexWebhookQueue(other)));
    });

    test('with one connection: nothing waits for a second one', async () => {
      await through({ pool: { min: 0, max: 1 }, acquireConnectionTimeout: 10_000 }, async (other) => {
        const queue = new KnexWebhookQueue(other);
        await wholeLife(queue);
        const work = async (index: number): Promise<void> => {
          const id = await queue.put('busy', `${index % 5}`, job);
          for (const one of await queue.take('busy', 2)) {
            await queue.renew('busy', [one]);
            await queue.finish('busy', one, verdicts([one.jobs[0]!.id, { kind: 'dead', job }]));
          }
          await Promise.all([queue.counts('busy'), queue.settled('busy', [id]), queue.replay('busy', [id])]);
        };
        await Promise.all(Array.from({ length: 30 }, (_, index) => work(index)));
      });
    });

    if (name === 'MariaDB') {
      test('whose server numbers rows in steps, as in a cluster', async () => {
        const afterCreate = (connection: { query(sql: string, done: unknown): void }, done: unknown): void =>
          connection.query('set auto_increment_increment = 3, auto_increment_offset = 2', done);
        await through({ pool: { min: 0, max: 1, afterCreate } }, (other) =>
          wholeLife(new KnexWebhookQueue(other)),
        );
      });
    }

    if (name !== 'SQLite') {
      test('whose session has another time zone, and whose process has a clock that is fast or slow', async () => {
        const config: Partial<Knex.Config> = {
          pool: {
            min: 0,
            max: 1,
            afterCreate: (connection: { query(sql: string, done: unknown): void }, done: unknown) =>
              connection.query(
                name === 'PostgreSQL' ? "set time zone 'Asia/Kathmandu'" : "set time_zone = '+05:45'",
                done,
              ),
          },
        };
        await through(config, async (other) => {
          const before = Date.now();
          const early = new KnexWebhookQueue(other);
          const late = new KnexWebhookQueue(knex);
          const id = await early.put('site', '7', job);
          const { oldestWaiting } = await late.counts('site');
          // The clock of the database, which is that of this machine: to the hour.
          expect(Math.round((oldestWaiting!.getTime() - before) / HOUR)).toBe(0);
          const [taken] = await late.take('site', 1);
          const clock = jest.spyOn(Date, 'now').mockReturnValue(before + 10 * HOUR);
          try {
            expect(await early.take('site', 1)).toEqual([]);
            await late.finish('site', taken!, verdicts([id, { kind: 'later', delayMs: HOUR, job }]));
            expect(await early.take('site', 1)).toEqual([]);
            await early.put('site', '8', job);
            clock.mockReturnValue(before - 10 * HOUR);
            expect(await early.take('site', 1)).toMatchObject([{ contactId: '8' }]);
          } finally {
            clock.mockRestore();
          }
        });
      });
    }
  });

  describe('errors', () => {
    test('a table that is missing: what to do, without SQL and without values', async () => {
      await knex.schema.dropTable('wpf_lanes');
      await knex.schema.dropTable('wpf_webhooks');
      await knex.schema.dropTable('wpf_positions');
      const queue = new KnexWebhookQueue(knex);
      const lease = { contactId: 'mary-7', token: 'the-token' };
      const calls: Record<string, () => Promise<unknown>> = {
        put: () => queue.put('site', 'mary-7', job),
        take: () => queue.take('site', 1),
        renew: () => queue.renew('site', [lease]),
        finish: () => queue.finish('site', lease, new Map()),
        deadLetters: () => queue.deadLetters('site', { limit: 1 }),
        replay: () => queue.replay('site'),
        purge: () => queue.purge('site', ['1']),
        counts: () => queue.counts('site'),
        settled: () => queue.settled('site', ['1']),
        readPosition: () => queue.readPosition('site', 'mary-7'),
        writePosition: () => queue.writePosition('site', 'mary-7', 'the-token'),
      };
      for (const [method, call] of Object.entries(calls)) {
        const error = (await call().catch((thrown: unknown) => thrown)) as Error;
        expect(error).toMatchObject({ name: 'DatabaseError' });
        expect(error.message).toMatch(
          new RegExp(`^${method}\\(\\) of the webhook queue: .*wpf_.*\\. Call migrate\\(knex\\)`),
        );
        const all = JSON.stringify([error.message, error.cause, Object.entries(error)]);
        expect(all).not.toMatch(/select|insert|update |delete|mary|the-token/i);
      }
    });

    test('a database that is not there', async () => {
      const connection = {
        SQLite: { filename: '/nowhere/at/all.sqlite' },
        PostgreSQL: 'postgres://mary:the-secret@127.0.0.1:1/test',
        MariaDB: { host: '127.0.0.1', port: 1, user: 'mary', password: 'the-secret' },
      }[name];
      await through({ connection }, async (other) => {
        const queue = new KnexWebhookQueue(other);
        const calls = [
          () => queue.put('site', '7', job),
          () => queue.take('site', 1),
          () => queue.check(),
          () => queue.finish('site', { contactId: '7', token: 't' }, new Map()),
        ];
        for (const call of calls) {
          const error = (await call().catch((thrown: unknown) => thrown)) as Error;
          expect(error.message).toMatch(/\(\) of the webhook queue: .+/);
          expect(error.message).not.toMatch(/undefined|already complete/);
          expect(JSON.stringify([error.message, error.cause, Object.entries(error)])).not.toMatch(
            /insert|select|mary|the-secret|example/i,
          );
        }
      });
    });
  });

  describe('old results', () => {
    const keep = async (queue: WebhookQueue): Promise<string> => {
      const id = await queue.put('site', '7', job);
      const [taken] = await queue.take('site', 1);
      await queue.finish('site', taken!, verdicts([id, { kind: 'done', result: { outcome: 'created' } }]));
      return id;
    };

    test('go when they are old enough, and nothing else does', async () => {
      const queue = new KnexWebhookQueue(knex);
      const old = await keep(queue);
      const fresh = await keep(queue);
      await knex('wpf_webhooks').where({ id: old }).update({ due: 1 });
      const waiting = await queue.put('site', '8', job);
      const elsewhere = new KnexWebhookQueue(knex);
      await elsewhere.take('other', 1);
      expect((await queue.settled('site', [old, fresh])).size).toBe(2);
      await elsewhere.take('site', 0);
      expect([...(await queue.settled('site', [old, fresh])).keys()]).toEqual([fresh]);
      expect(await queue.take('site', 1)).toMatchObject([{ jobs: [{ id: waiting }] }]);
    });

    test('are kept for five minutes at least', async () => {
      const id = await keep(new KnexWebhookQueue(knex));
      const [row] = await knex('wpf_webhooks').where({ id }).select('due', 'put', 'body');
      expect(Number(row.due) - Number(row.put)).toBeGreaterThanOrEqual(5 * 60_000);
      expect(row.body).toBe('');
    });

    test('go all at once, however many there are', async () => {
      const row = { queue: 'site', contact: '7', state: 'done', due: 1, body: '', result: '{}', put: 1 };
      await knex.batchInsert('wpf_webhooks', Array<object>(1200).fill(row), 100);
      await new KnexWebhookQueue(knex).take('site', 1);
      expect(await knex('wpf_webhooks')).toEqual([]);
    });
  });

  test('rows that somebody deleted by hand: nobody is given a contact without webhooks', async () => {
    const queue = new KnexWebhookQueue(knex);
    await queue.put('site', '7', job);
    await knex('wpf_webhooks').delete();
    expect(await queue.take('site', 10)).toEqual([]);
    expect(await knex('wpf_lanes')).toEqual([]);
  });

  if (name !== 'SQLite') {
    test('take passes over a contact that somebody has just locked', async () => {
      const queue = new KnexWebhookQueue(knex);
      await Promise.all(['7', '8'].map((contactId) => queue.put('site', contactId, job)));
      await knex.transaction(async (transaction) => {
        await transaction('wpf_lanes').where({ queue: 'site', contact: '7' }).select('contact').forUpdate();
        expect(await queue.take('site', 10)).toMatchObject([{ contactId: '8' }]);
      });
      expect(await queue.take('site', 10)).toMatchObject([{ contactId: '7' }]);
    });
  }

  test('the id of a webhook that is gone is never given again', async () => {
    const queue = new KnexWebhookQueue(knex);
    const ids: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      ids.push(await queue.put('site', '7', job));
      const [taken] = await queue.take('site', 1);
      await queue.finish('site', taken!, verdicts([ids.at(-1)!, { kind: 'done' }]));
    }
    expect(new Set(ids).size).toBe(3);
  });

  test('dead letters beyond one statement are replayed and deleted, each once', async () => {
    const queue = new KnexWebhookQueue(knex);
    const rows = Array.from({ length: 1100 }, (_, index) => ({
      queue: 'site',
      contact: `${index % 3}`,
      state: 'dead',
      due: 0,
      body: JSON.stringify({ action: 'add', receivedAt: index }),
      put: 1,
    }));
    await knex.batchInsert('wpf_webhooks', rows, 100);
    expect(await queue.replay('site')).toBe(1100);
    const taken = await queue.take('site', 10);
    expect(taken.map(({ jobs }) => jobs.length)).toEqual([367, 367, 366]);
    for (const one of taken) {
      await queue.finish(
        'site',
        one,
        new Map(one.jobs.map(({ id }) => [id, { kind: 'dead', job } as const])),
      );
    }
    const ids = taken.flatMap(({ jobs }) => jobs.map(({ id }) => id));
    expect(await queue.purge('site', ids.slice(0, 700))).toBe(700);
    expect(await queue.purge('site')).toBe(400);
    expect(await knex('wpf_webhooks')).toEqual([]);
  });

  test('every query has an index that serves it', async () => {
    // 20,000 numbers, made by the database itself.
    const digits = Array.from({ length: 10 }, (_, digit) => `select ${digit} as d`).join(' union all ');
    const tens = ['a', 'b', 'c', 'd'].map((one) => `(${digits}) as ${one}`).join(' cross join ');
    const numbers = `(select a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d as n
      from ${tens} cross join (select 0 as d union all select 1) as e) as numbers`;
    const contact = name === 'MariaDB' ? "concat('c', n)" : "'c' || n";
    await knex.raw(
      `insert into wpf_lanes (queue, contact, due) select 'site', ${contact}, n from ${numbers} order by n`,
    );
    for (const [state, due, which] of [
      ['waiting', 'n', 'n >= 0'],
      ['dead', '0', 'n % 4 = 0'],
      ['done', '9000000000000', 'n % 4 = 1'],
    ]) {
      await knex.raw(
        `insert into wpf_webhooks (queue, contact, state, due, body, put)
         select 'site', ${contact}, '${state}', ${due}, '{}', 1 from ${numbers} where ${which} order by n`,
      );
    }
    await knex.raw(
      { SQLite: 'analyze', PostgreSQL: 'analyze', MariaDB: 'analyze table wpf_lanes, wpf_webhooks' }[name],
    );
    const queries = new Map<string, unknown[]>();
    const listen = ({ sql, bindings = [] }: { sql: string; bindings?: unknown[] }): void => {
      if (sql.includes('wpf_') && !/^insert|1 = 0/.test(sql)) queries.set(sql, bindings);
    };
    knex.on('query', listen);
    const queue = new KnexWebhookQueue(knex);
    const [one, ...others] = await queue.take('site', 50);
    await queue.renew('site', others);
    const [first] = one!.jobs;
    await queue.finish('site', one!, verdicts([first!.id, { kind: 'later', delayMs: 0, job }]));
    await queue.finish('site', others[0]!, verdicts([others[0]!.jobs[0]!.id, { kind: 'done' }]));
    const letters = await queue.deadLetters('site', { limit: 50 });
    const page = await queue.deadLetters('site', { after: letters.at(-1)!.id, limit: 50 });
    const ids = page.map(({ id }) => id);
    await queue.settled('site', ids);
    await queue.replay('site', ids.slice(0, 10));
    await queue.purge('site', ids.slice(10));
    await queue.take('site', 100);
    knex.removeListener('query', listen);
    expect(await queue.take('site', 1000)).toHaveLength(500);

    expect(queries.size).toBeGreaterThan(12);
    for (const [sql, bindings] of queries) {
      const explain = name === 'SQLite' ? 'explain query plan' : 'explain';
      const result = await knex.raw(`${explain} ${sql.replace(/\$\d+/g, '?')}`, bindings as string[]);
      const plan = (name === 'PostgreSQL' ? result.rows : name === 'MariaDB' ? result[0] : result) as Record<
        string,
        unknown
      >[];
      // Not along all dead letters, or all results, to find a few of them.
      if (/'dead' and due = 0 and id >|'done' and due <=/.test(sql)) {
        expect({ sql, plan: JSON.stringify(plan) }).toEqual({
          sql,
          plan: expect.stringContaining('wpf_webhooks_due'),
        });
      }
      const scans = plan.filter((step) =>
        name === 'MariaDB'
          ? ['ALL', 'index'].includes(String(step.type))
          : /Seq Scan|\bSCAN (TABLE )?wpf_/.test(JSON.stringify(step)),
      );
      expect({ sql: sql.slice(0, 500), scans }).toEqual({ sql: sql.slice(0, 500), scans: [] });
    }
  });
});

describe('the constructor', () => {
  const knex = createKnex({ client: 'better-sqlite3', connection: ':memory:', useNullAsDefault: true });
  afterAll(() => knex.destroy());

  test('has a lease of half a minute', () => {
    expect(new KnexWebhookQueue(knex).leaseMs).toBe(30_000);
    expect(new KnexWebhookQueue(knex, { leaseMs: 500 }).leaseMs).toBe(500);
  });

  test.each([
    [{ leaseMs: 0 }, 'leaseMs: must be a whole number of milliseconds from 100 to 3600000, not 0.'],
    [{ leaseMs: 1000.5 }, /^leaseMs: must be .*, not 1000.5/],
    [{ leaseMs: '30s' }, /^leaseMs: must be .*, not 30s/],
    [{ leaseMs: 3_600_001 }, /^leaseMs: must be/],
    [{ table: 'jobs' }, 'table: is no option. There are: leaseMs.'],
    [{ leaseMS: 1000 }, 'leaseMS: is no option; did you mean "leaseMs"?'],
  ])('refuses %j', (options, message) => {
    expect(() => new KnexWebhookQueue(knex, options as KnexWebhookQueueOptions)).toThrow(message);
  });

  test('refuses a transaction, and what is no Knex', async () => {
    await knex.transaction(async (transaction) => {
      const code: ErrorCode = 'INVALID_OPTION';
      expect(() => new KnexWebhookQueue(transaction)).toThrow(ConfigurationError);
      expect(() => new KnexWebhookQueue(transaction)).toThrow(
        expect.objectContaining({ code, message: expect.stringMatching(/^knex: must not be a transaction/) }),
      );
    });
    expect(() => new KnexWebhookQueue({} as never)).toThrow(/^knex: must be a Knex instance/);
  });
});
