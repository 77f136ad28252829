// A million records, a quarter of that in CI: every statement that the activity log sends goes along an index, reads about what it gives, and there are a
// few of them. Filled by SQL; the plans are those that the database makes for the very statements and values.
import type { Knex } from 'knex';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import {
  MemoryUserRepository,
  OntraportClient,
  wpFusionWebhook,
  type ActivityEntry,
  type ActivityFilter,
  type WpFusionWebhook,
} from '../../lib';
import { wpFusionAdmin } from '../../lib/admin';
import { newCorrelationId } from '../../lib/activity/recorder';
import { KnexActivityLog, migrate } from '../../lib/knex';
import { until } from '../actions/site';
import { isWhole } from '../delivery/size';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';

const RECORDS = process.env.CI !== undefined && !isWhole ? 250_000 : 1_000_000;
/** A prime: each has as many records as another. */
const CONTACTS = 50_021;
const DAY_MS = 86_400_000;
/** A little more than is kept, so that there is something to prune. */
const DAYS = 31;
const LOG = 'default';

/** The id of a record by its number `n`, in SQL. */
const ID = {
  SQLite: "substr('00000000' || n, -9) || '-000000000000'",
  PostgreSQL: "lpad(n::text, 9, '0') || '-000000000000'",
} as const;
type Name = keyof typeof ID;
const idOf = (number: number): string => `${String(number).padStart(9, '0')}-000000000000`;

const NUMBERS: Readonly<Record<Name, string>> = {
  SQLite: `with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${RECORDS})`,
  PostgreSQL: `with numbers as (select n from generate_series(1::bigint, ${RECORDS}) as n)`,
};

/** What else a record says, as long as most are. */
const REST = JSON.stringify({
  ...{
    receivedAt: 1_790_000_000_000,
    key: 'automations',
    action: 'update',
    contactId: '4711',
    userId: '4711',
  },
  ...{
    state: 'done',
    outcome: 'updated',
    changes: [{ field: 'company' }],
    tagsAdded: ['Customer'],
    jobId: '4711',
  },
  attempts: [{ at: 1_790_000_000_000, durationMs: 250, contactReads: 1, code: null, detail: null }],
}).slice(1, -1);

/** The columns of a record by its number. None is dead, none has the code UNHEARD_OF, and none that was created was an update. */
const columnsOf = (name: Name, newest: number): Readonly<Record<string, string>> => ({
  log: `'${LOG}'`,
  id: ID[name],
  received: `${newest} - (${RECORDS} - n) * ${Math.floor((DAYS * DAY_MS) / RECORDS)}`,
  state:
    "case when n % 100 = 7 then 'rejected' when n % 40 = 1 then 'failed' when n % 200 = 2 then 'waiting' else 'done' end",
  action: "case n % 5 when 0 then 'add' when 1 then 'update_tags' else 'update' end",
  contact: `'' || (n * 7919) % ${CONTACTS}`,
  userid: `case when n % 100 = 7 then null else 'u' || (n * 7919) % ${CONTACTS} end`,
  outcome:
    "case when n % 100 = 7 or n % 40 = 1 or n % 200 = 2 then null when n % 5 = 0 then 'created' when n % 3 = 0 then 'updated' else 'unchanged' end",
  code: "case when n % 100 = 7 then 'INVALID_ACCESS_KEY' when n % 40 = 1 then case n % 3 when 0 then 'CRM_UNAVAILABLE' else 'CONTACT_NOT_FOUND' end end",
  dry: 'case when n % 1000 = 0 then 1 else 0 end',
  rejected: 'case when n % 100 = 7 then 1 else 0 end',
  number: 'n',
  body: `'{"id":"' || ${ID[name]} || '",${REST}}'`,
});

/** Quick, since nothing of it has to survive: settings of this connection alone. */
const QUICKLY: Readonly<Record<Name, readonly string[]>> = {
  SQLite: ['pragma journal_mode = off', 'pragma synchronous = off', 'pragma cache_size = -200000'],
  PostgreSQL: ["set local maintenance_work_mem = '256MB'", 'alter table wpf_activity set unlogged'],
};
const INDEXES: Readonly<Record<Name, string>> = {
  SQLite:
    "select name, sql from sqlite_master where type = 'index' and tbl_name = 'wpf_activity' and sql is not null",
  PostgreSQL: `select indexname as name, indexdef as sql from pg_indexes
    where tablename = 'wpf_activity' and schemaname = current_schema() and indexname <> 'wpf_activity_pkey'`,
};

/**
 * What a database does by itself after a while. PostgreSQL reads an index alone only where it knows that all who are connected
 * see its rows: those who were busy meanwhile, with other tests, have to end first.
 */
const AFTERWARDS: Readonly<Record<Name, (knex: Knex) => Promise<unknown>>> = {
  SQLite: (knex) => knex.raw('pragma journal_mode = wal'),
  PostgreSQL: (knex) =>
    until(async () => {
      await knex.raw('vacuum analyze wpf_activity');
      const sql = "select relpages, relallvisible from pg_class where oid = 'wpf_activity'::regclass";
      const [row] = rowsIn(await knex.raw(sql));
      return row?.relallvisible === row?.relpages;
    }),
};

/** Makes the tables, fills them without their indexes, and makes those again as migrate() did. */
async function fill(name: Name, knex: Knex, newest: number): Promise<void> {
  await migrate(knex, { users: false, queue: false });
  const columns = Object.entries(columnsOf(name, newest));
  const insert = `insert into wpf_activity (${columns.map(([column]) => column).join(', ')})`;
  const select = `select ${columns.map(([, sql]) => sql).join(', ')} from numbers`;
  const within = async (connection: Knex): Promise<void> => {
    for (const sql of QUICKLY[name]) await connection.raw(sql);
    const indexes = rowsIn(await connection.raw(INDEXES[name]));
    expect(indexes).toHaveLength(8);
    for (const index of indexes) await connection.raw('drop index ??', [String(index.name)]);
    await connection.raw(`${insert} ${NUMBERS[name]} ${select}`);
    for (const index of indexes) await connection.raw(String(index.sql));
  };
  if (name === 'PostgreSQL') await knex.transaction(within);
  else await within(knex);
  await AFTERWARDS[name](knex);
}

const rowsIn = (result: { rows?: unknown }): Record<string, unknown>[] => (result.rows ?? result) as never;

interface Statement {
  readonly sql: string;
  readonly bindings: readonly unknown[];
}

/** What a database says about how it does a statement. */
interface Plan {
  readonly statement: Statement;
  /** The words for each step. */
  readonly steps: readonly string[];
  /** Pages of 8 kB that were read, where the database tells. */
  readonly pages: number;
}

/** A node of a plan of PostgreSQL. */
type Node = Readonly<Record<string, unknown>> & { readonly Plans?: readonly Node[] };
const nodesOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

const PLANS: Readonly<Record<Name, (knex: Knex, statement: Statement) => Promise<Plan>>> = {
  SQLite: async (knex, statement) => {
    const connection = await knex.client.acquireConnection();
    const rows = connection.prepare(`explain query plan ${statement.sql}`).all(...statement.bindings);
    await knex.client.releaseConnection(connection);
    return { statement, steps: rows.map(({ detail }: { detail: string }) => detail), pages: 0 };
  },
  PostgreSQL: async (knex, statement) => {
    // What is analyzed is done: that is for statements that only read.
    const how = statement.sql.startsWith('select') ? 'analyze, buffers, format json' : 'format json';
    const connection = await knex.client.acquireConnection();
    const { rows } = await connection.query(`explain (${how}) ${statement.sql}`, statement.bindings);
    await knex.client.releaseConnection(connection);
    const top = rows[0]['QUERY PLAN'][0].Plan as Node;
    const pages = Number(top['Shared Hit Blocks'] ?? 0) + Number(top['Shared Read Blocks'] ?? 0);
    const word = (node: Node): string =>
      [node['Node Type'], node['Relation Name'], node['Index Name']].filter(Boolean).join(' ');
    return { statement, steps: nodesOf(top).map(word), pages };
  },
};

/** Reads the whole table, or the whole of an index of it. */
const READS_ALL = /^(SCAN wpf_activity\b(?!_)|(Parallel )?Seq Scan wpf_activity$)/;
const SORTS = /TEMP B-TREE FOR ORDER BY|^Sort/;

/** How SQLite says that an index leads to what is wanted, and is not only walked along. It tells no pages. */
const LED_BY: Readonly<Record<string, string>> = {
  received: '',
  contact: ' AND contact=?',
  user: ' AND userid=?',
  code: ' AND code=?',
  outcome: ' AND outcome=?',
  state: ' AND state=?',
  action: ' AND action=?',
};

describe.each(availableDatabases('SQLite', 'PostgreSQL') as Name[])('%s', (name) => {
  let database: TestDatabase;
  let log: KnexActivityLog;
  const newest = Date.now();
  const statements: Statement[] = [];

  beforeAll(async () => {
    database = await openDatabase(name);
    await fill(name, database.knex, newest);
    database.knex.on('query', ({ sql, bindings }: Statement) => statements.push({ sql, bindings }));
    log = new KnexActivityLog(database.knex);
  }, 300_000);
  afterAll(() => database.close());

  /** The statements about the tables that some work needs, and how they are done. */
  async function plansOf(work: () => Promise<unknown>): Promise<Plan[]> {
    statements.length = 0;
    await work();
    const sent = statements.filter(
      ({ sql }) =>
        sql.includes('wpf_activity') && !sql.startsWith('delete from `wpf_activity_logs` where 1 = 0'),
    );
    const plans: Plan[] = [];
    for (const statement of sent) plans.push(await PLANS[name](database.knex, statement));
    expect(plans.flatMap(({ steps }) => steps).filter((step) => READS_ALL.test(step))).toEqual([]);
    return plans;
  }

  /** A few pages, where the database tells. The table has more than 30,000, an index about 8,000. */
  const FEW = 250;
  const day = (number: number): number => newest - number * DAY_MS;

  describe('a page of a list', () => {
    test.each<[ActivityFilter, string, number?]>([
      [{}, 'received'],
      [{ contactId: '4711' }, 'contact'],
      [{ contactId: 'nobody' }, 'contact'],
      [{ userId: 'u4711' }, 'user'],
      [{ userId: 'nobody' }, 'user'],
      [{ action: 'add' }, 'action'],
      [{ action: 'refund' }, 'action'],
      [{ state: 'failed' }, 'state'],
      [{ state: 'rejected' }, 'state'],
      [{ state: 'dead' }, 'state'],
      [{ outcome: 'created' }, 'outcome'],
      [{ outcome: 'refunded' }, 'outcome'],
      [{ code: 'CRM_UNAVAILABLE' }, 'code'],
      [{ code: 'UNHEARD_OF' }, 'code'],
      [{ from: day(20), to: day(19) }, 'received'],
      [{ from: day(400), to: day(300) }, 'received'],
      [{ contactId: '4711', state: 'done' }, 'contact'],
      [{ contactId: '4711', from: day(20), to: day(10) }, 'contact'],
      [{ userId: 'u4711', action: 'update' }, 'user'],
      [{ state: 'failed', from: day(20), to: day(19) }, 'state'],
      [{ state: 'rejected', from: day(1) }, 'state'],
      [{ state: 'failed', code: 'CRM_UNAVAILABLE' }, 'code'],
      [{ state: 'failed', code: 'CRM_UNAVAILABLE', from: day(20), to: day(19) }, 'code'],
      [{ action: 'update', state: 'waiting' }, 'state'],
      [{ action: 'add', outcome: 'created', from: day(3) }, 'outcome'],
      // Many have either, none has both: they are looked for within an index.
      [{ action: 'update', outcome: 'created' }, 'outcome', 3000],
      [{ action: 'update', outcome: 'created', state: 'done' }, 'outcome', 3000],
    ])('%j', async (filter, index, pages = FEW) => {
      const plans = await plansOf(() => log.list(LOG, filter));
      expect(plans).toHaveLength(1);
      expect(plans[0]!.steps.join('; ')).toContain(`wpf_activity_${index}`);
      if (name === 'SQLite') expect(plans[0]!.steps[0]).toContain(`(log=?${LED_BY[index]}`);
      expect(plans[0]!.steps.filter((step) => SORTS.test(step))).toEqual([]);
      expect(plans[0]!.pages).toBeLessThan(pages);
    });

    test.each<[ActivityFilter]>([
      [{ state: 'dead', contactId: '4711' }],
      [{ state: 'dead', code: 'CRM_UNAVAILABLE' }],
      [{ state: 'dead', action: 'update' }],
      [{ state: 'done', code: 'UNHEARD_OF' }],
      [{ action: 'add', code: 'UNHEARD_OF' }],
    ])('%j, along either index', async (filter) => {
      const [plan, ...others] = await plansOf(() => log.list(LOG, filter));
      expect(others).toEqual([]);
      expect(plan!.pages).toBeLessThan(FEW);
    });

    test.each<[ActivityFilter]>([[{}], [{ state: 'failed' }], [{ contactId: '4711' }], [{ from: day(20) }]])(
      'the next one of %j',
      async (filter) => {
        const before = idOf(RECORDS / 2);
        const plans = await plansOf(() => log.list(LOG, { ...filter, before }));
        expect(plans).toHaveLength(2);
        for (const { pages, steps } of plans) {
          expect(pages).toBeLessThan(FEW);
          expect(steps.filter((step) => SORTS.test(step))).toEqual([]);
        }
      },
    );
  });

  test.each([1, 7, 30])('the counts of %d days come out of one index alone', async (days) => {
    const range = { from: day(days), to: newest, stepMs: (days * DAY_MS) / 24 };
    const plans = await plansOf(() => log.counts(LOG, range));
    expect(plans).toHaveLength(1);
    expect(plans[0]!.steps.join('; ')).toMatch(/(COVERING INDEX|Index Only Scan.*) wpf_activity_received/);
    // Of the thirty days all of it, of one day a thirtieth.
    expect(plans[0]!.pages).toBeLessThan(400 * days);
  });

  test('one record', async () => {
    const plans = await plansOf(() => log.get(LOG, idOf(RECORDS / 2)));
    expect(plans).toHaveLength(1);
    expect(plans[0]!.pages).toBeLessThan(10);
  });

  test('forgetting a contact', async () => {
    let count = 0;
    expect(await plansOf(async () => (count = await log.forget(LOG, '4711')))).toHaveLength(2);
    expect(count).toBe(Math.round(RECORDS / CONTACTS));
    expect(await log.list(LOG, { contactId: '4711' })).toEqual([]);
  });

  test('writing, and pruning what is too old and too many, a little at a time', async () => {
    const expired = async (): Promise<number> => {
      const sql = 'select count(*) as count from wpf_activity where received < ?';
      return Number(rowsIn(await database.knex.raw(sql, [Date.now() - 30 * DAY_MS]))[0]?.count);
    };
    const before = await expired();
    expect(before).toBeGreaterThan(RECORDS / 100);
    const entries: ActivityEntry[] = Array.from({ length: 400 }, (_, index) => ({
      ...{ id: newCorrelationId(newest + index), receivedAt: newest + index, state: 'waiting' },
    }));
    // Locked, read, numbered, written; looked for what is too much, and deleted.
    const plans = await plansOf(() => log.write(LOG, entries));
    expect(plans.map(({ statement }) => statement.sql.split(' ')[0])).toEqual([
      'insert',
      'select',
      'select',
      'insert',
      'select',
      'delete',
    ]);
    for (const { pages } of plans) expect(pages).toBeLessThan(400 * 8);
    const left = await expired();
    expect(before - left).toBeGreaterThanOrEqual(400);
    expect(before - left).toBeLessThanOrEqual(1000);
  });

  describe('a page of the admin', () => {
    let webhook: WpFusionWebhook;
    let server: Server;

    beforeAll(async () => {
      webhook = wpFusionWebhook({
        accessKey: 'the-access-key-of-the-tests',
        // Nobody asks it.
        crm: new OntraportClient({ appId: 'app', apiKey: 'key', baseUrl: 'http://127.0.0.1:9/1' }),
        users: new MemoryUserRepository(),
        activityLog: log,
        logger: false,
      });
      const app = express().use(wpFusionAdmin(webhook, { authorize: () => true }));
      server = await new Promise<Server>((resolve) => {
        const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
      });
    });
    afterAll(async () => {
      server.closeAllConnections();
      server.close();
      await webhook.close();
    });

    test.each<[string, number, RegExp]>([
      ['', 1, /Last 24 hours/],
      ['?range=month', 1, /Last 30 days/],
      // One list for each state that is not rejected.
      ['activity', 4, /Older ones/],
      ['activity?action=add&outcome=created', 4, /Older ones/],
      // The record where the page before ended, and the list behind it.
      [`activity?before=${idOf(RECORDS / 2)}`, 8, /Older ones/],
      // A contact or a user.
      ['activity?q=4711', 2, /contact/],
      ['activity?q=nobody', 2, /was found/],
      ['activity?state=failed', 1, /Older ones/],
      ['activity?state=dead', 1, /No webhook was found/],
      ['activity?code=CRM_UNAVAILABLE', 1, /Older ones/],
      ['activity?code=UNHEARD_OF', 1, /No webhook was found/],
      [`activity/${idOf(RECORDS / 2)}`, 1, /Correlation id/],
      ['dead-letters', 0, /no queue/],
      ['urls', 0, /YOUR-ACCESS-KEY/],
    ])('/%s', async (page, count, shown) => {
      const { port } = server.address() as AddressInfo;
      const plans = await plansOf(async () => {
        const response = await fetch(`http://127.0.0.1:${port}/${page}`);
        expect(response.status).toBe(200);
        expect(await response.text()).toMatch(shown);
      });
      expect(plans).toHaveLength(count);
    });
  });

  test('writing of webhooks that are known', async () => {
    await log.write(LOG, [{ id: idOf(RECORDS * 0.9), receivedAt: newest, state: 'done' }]);
    const known = new KnexActivityLog(database.knex, { keepDays: 10_000 });
    await known.write(LOG, []);
    const write = () => known.write(LOG, [{ id: idOf(RECORDS * 0.9), receivedAt: newest, state: 'done' }]);
    await write();
    // Locked, read, written.
    expect(await plansOf(write)).toHaveLength(3);
  });
});
