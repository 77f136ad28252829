// KnexActivityLog beside its contract: its options, what is pruned when, a flood, and what nobody should have written.
import createKnex, { type Knex } from 'knex';
import { ConfigurationError, type ActivityEntry, type Logger } from '../../lib';
import { newCorrelationId, Recorder } from '../../lib/activity/recorder';
import { KnexActivityLog, migrate } from '../../lib/knex';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';

const LOG = 'default';
const DAY_MS = 86_400_000;
const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** A webhook that was received so long ago. */
const webhook = (agoMs = 0, more: Partial<ActivityEntry> = {}): ActivityEntry => {
  const receivedAt = Date.now() - agoMs;
  return { id: newCorrelationId(receivedAt), receivedAt, ...more };
};
const webhooks = (count: number, more: Partial<ActivityEntry> = {}): ActivityEntry[] =>
  Array.from({ length: count }, (_, index) => webhook(count - index, more));

describe.each(availableDatabases())('%s', (name) => {
  let database: TestDatabase;
  let knex: Knex;

  beforeAll(async () => {
    database = await openDatabase(name);
    knex = database.knex;
    await migrate(knex, { users: false, queue: false });
  });
  beforeEach(() => knex('wpf_activity').delete());
  afterAll(() => database.close());

  const idsOf = async (log: KnexActivityLog, state?: 'rejected' | 'done'): Promise<string[]> =>
    (await log.list(LOG, { state, limit: 100_000 })).map(({ id }) => id);

  describe('options', () => {
    test.each<[object, string]>([
      [{ keepDays: 0 }, 'keepDays: must be a whole number from 1 on, got 0.'],
      [{ keepDays: 1.5 }, 'keepDays: must be a whole number from 1 on, got 1.5.'],
      [{ records: -1 }, 'records: must be a whole number from 0 on, got -1.'],
      [{ rejected: '5' }, 'rejected: must be a whole number from 0 on, got 5.'],
      [{ keepsValues: 'yes' }, 'keepsValues: must be true or false.'],
      [{ keepDay: 5 }, 'keepDay: is no option; did you mean "keepDays"?'],
    ])('%j is refused', (options, message) => {
      const make = () => new KnexActivityLog(knex, options);
      expect(make).toThrow(ConfigurationError);
      expect(make).toThrow(message);
    });

    test('a transaction is refused, and what is no Knex', async () => {
      await knex.transaction(async (transaction) => {
        expect(() => new KnexActivityLog(transaction)).toThrow('knex: must not be a transaction');
      });
      expect(() => new KnexActivityLog({} as never)).toThrow('knex: must be a Knex instance');
    });

    test('values of fields are not kept by default', () => {
      expect(new KnexActivityLog(knex).keepsValues).toBe(false);
      expect(new KnexActivityLog(knex, { keepsValues: true }).keepsValues).toBe(true);
    });
  });

  describe('pruning', () => {
    test('what is older than keepDays goes with the next write, whatever its kind, and nothing else', async () => {
      const old = [webhook(8 * DAY_MS, { state: 'done' }), webhook(8 * DAY_MS, { state: 'rejected' })];
      const young = [webhook(6 * DAY_MS, { state: 'done' }), webhook(6 * DAY_MS, { state: 'rejected' })];
      await new KnexActivityLog(knex).write(LOG, [...old, ...young]);
      await new KnexActivityLog(knex).write('other', old);
      const log = new KnexActivityLog(knex, { keepDays: 7 });
      const last = webhook();
      await log.write(LOG, [last]);
      expect((await idsOf(log)).sort()).toEqual([...young, last].map(({ id }) => id).sort());
      expect(await log.list('other', {})).toHaveLength(2);
    });

    test('many that are old go a few at a time, with each write', async () => {
      await new KnexActivityLog(knex, { keepDays: 100 }).write(LOG, [
        ...Array.from({ length: 1200 }, () => webhook(40 * DAY_MS)),
      ]);
      const log = new KnexActivityLog(knex);
      const counts: number[] = [];
      for (let write = 0; write < 4; write += 1) {
        await log.write(LOG, [webhook()]);
        counts.push((await idsOf(log)).length);
      }
      expect(counts).toEqual([701, 202, 3, 4]);
    });

    test('somebody deletes by hand: no more is pruned than is too much', async () => {
      const log = new KnexActivityLog(knex, { records: 50, rejected: 10 });
      await log.write(LOG, webhooks(80, { state: 'done' }));
      expect(await idsOf(log)).toHaveLength(50);
      await knex('wpf_activity').delete();
      await knex('wpf_activity_logs').delete();
      await log.write(LOG, webhooks(20, { state: 'done' }));
      expect(await idsOf(log)).toHaveLength(20);
    });

    test('nothing is kept where nothing is to be', async () => {
      const log = new KnexActivityLog(knex, { records: 0, rejected: 0 });
      await log.write(LOG, [...webhooks(5), ...webhooks(5, { state: 'rejected' })]);
      expect(await idsOf(log)).toEqual([]);
    });
  });

  describe('what nobody should have written', () => {
    test('values that are none of JSON harm no other record of the batch', async () => {
      const log = new KnexActivityLog(knex, { keepsValues: true });
      const circle: { within?: unknown } = {};
      circle.within = circle;
      const changes = [
        { field: 'big', to: 10n },
        { field: 'circle', to: circle },
        { field: 'plain', to: 1 },
      ];
      const [odd, plain] = [
        webhook(1, { changes, detail: 'odd' }),
        webhook(0, { changes: changes.slice(2) }),
      ];
      await log.write(LOG, [odd, plain]);
      expect(await log.get(LOG, odd.id)).toMatchObject({
        ...{ detail: 'odd', changes: [{ field: 'big' }, { field: 'circle' }, { field: 'plain' }] },
      });
      expect(await log.get(LOG, plain.id)).toMatchObject({ changes: [{ field: 'plain', to: 1 }] });
    });

    test('records of many megabytes, several in one batch, are kept in short', async () => {
      const log = new KnexActivityLog(knex, { keepsValues: true });
      const huge = '\u{1f600}'.repeat(300_000);
      const entries = webhooks(5, {
        ...{ contactId: '7', code: 'A_CODE', detail: huge, changes: [{ field: 'notes', to: huge }] },
      });
      // And some that are just long.
      const long = webhooks(15, { detail: 'x'.repeat(200_000) });
      await log.write(LOG, [...entries, ...long]);
      const record = await log.get(LOG, entries[3]!.id);
      expect(record).toMatchObject({ contactId: '7', code: 'A_CODE', changes: [{ field: 'notes' }] });
      expect(record?.detail?.length).toBeLessThanOrEqual(1000);
      expect((await log.get(LOG, long[3]!.id))?.detail).toHaveLength(200_000);
      expect(await idsOf(log)).toHaveLength(20);
    });

    test('a record that an older version wrote is whole', async () => {
      const log = new KnexActivityLog(knex);
      const entry = webhook(0, { state: 'done' });
      await log.write(LOG, [entry]);
      await knex('wpf_activity').update({
        body: JSON.stringify({ id: entry.id, receivedAt: entry.receivedAt }),
      });
      expect(await log.get(LOG, entry.id)).toMatchObject({
        attempts: [],
        replays: [],
        key: null,
        dryRun: false,
      });
    });

    test('the page behind an id that is none is empty', async () => {
      const log = new KnexActivityLog(knex);
      await log.write(LOG, webhooks(3));
      for (const before of ['', 'zzz', '%', "' or 1 = 1"])
        expect(await log.list(LOG, { before })).toEqual([]);
      expect(await log.list(LOG, { before: newCorrelationId(Date.now() + 1000) })).toHaveLength(3);
    });

    test('times that are none', async () => {
      const log = new KnexActivityLog(knex);
      await log.write(LOG, webhooks(3));
      expect(await log.list(LOG, { from: -Infinity, to: Infinity })).toHaveLength(3);
      expect(await log.list(LOG, { from: Infinity })).toEqual([]);
      expect(await log.list(LOG, { from: 0.5, to: 1e300 })).toHaveLength(3);
    });
  });

  test('a Knex that renames columns on their way', async () => {
    const by = createKnex({
      ...(database.config as Knex.Config),
      wrapIdentifier: (value, wrap) =>
        wrap(value.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)),
      postProcessResponse: (result: unknown) => {
        const camel = (row: unknown): unknown =>
          Array.isArray(row)
            ? row.map(camel)
            : typeof row === 'object' && row !== null && Object.getPrototypeOf(row) !== Date.prototype
              ? Object.fromEntries(
                  Object.entries(row).map(([key, value]) => [
                    key.replaceAll(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase()),
                    key === 'rows' ? camel(value) : value,
                  ]),
                )
              : row;
        return camel(result);
      },
    });
    const log = new KnexActivityLog(by, { rejected: 2 });
    const entry = webhook(0, { contactId: '7', state: 'done' });
    await log.write(LOG, [entry, ...webhooks(5, { state: 'rejected' })]);
    expect(await log.get(LOG, entry.id)).toMatchObject({ contactId: '7' });
    expect(await log.list(LOG, {})).toHaveLength(3);
    const range = { from: Date.now() - DAY_MS, to: Date.now() + DAY_MS, stepMs: 2 * DAY_MS };
    expect((await log.counts(LOG, range)).map(({ count }) => count).sort()).toEqual([1, 2]);
    expect(await log.forget(LOG, '7')).toBe(1);
    await by.destroy();
  });

  test('without its tables it says what to do, and shows no SQL', async () => {
    const empty = await openDatabase(name);
    const log = new KnexActivityLog(empty.knex);
    for (const [method, work] of Object.entries({
      write: () => log.write(LOG, [webhook(0, { detail: 'personal' })]),
      list: () => log.list(LOG, { contactId: 'personal' }),
      counts: () => log.counts(LOG, { from: 0, to: 1, stepMs: 1 }),
      get: () => log.get(LOG, 'personal'),
      forget: () => log.forget(LOG, 'personal'),
    })) {
      const error: unknown = await work().then(
        () => undefined,
        (caught: unknown) => caught,
      );
      expect(String(error)).toMatch(
        new RegExp(
          `^DatabaseError: ${method}\\(\\) of the activity log: .+\\. Call migrate\\(knex\\), which makes`,
        ),
      );
      expect(String(error)).not.toMatch(/personal|select|insert into/);
    }
    await empty.close();
  });
});

test('a flood of 100,000 rejected calls pushes nothing out that was let in, and is bounded itself', async () => {
  const database = await openDatabase('SQLite');
  await migrate(database.knex, { users: false, queue: false });
  const log = new KnexActivityLog(database.knex, { rejected: 2000 });
  const recorder = new Recorder({ log, name: LOG, logger: SILENT, secrets: [] });
  const accepted: string[] = [];
  for (let call = 0; call < 100_000; call += 200) {
    const entry = webhook(0, { state: 'done', contactId: '7' });
    accepted.push(entry.id);
    recorder.tell(entry);
    // As many as the recorder holds of them.
    for (const one of webhooks(200, { state: 'rejected', code: 'INVALID_ACCESS_KEY' })) recorder.tell(one);
    await recorder.ended();
  }
  const [counted] = await database.knex('wpf_activity').where({ rejected: 1 }).count({ count: '*' });
  expect(counted?.count).toBe(2000);
  const kept = await log.list(LOG, { state: 'done', limit: 1000 });
  expect(kept.map(({ id }) => id).sort()).toEqual(accepted.sort());
  await database.close();
});
