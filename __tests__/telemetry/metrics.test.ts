// The metrics: what is counted, measured and asked for, when, and until when.
import { KnexWebhookQueue } from '../../lib/knex';
import { startProcess, startSandbox, until } from '../actions/site';
import { open } from '../worker/scene';
import { collect, forget, openQueue, QUICK, setUp, tearDown, type Point } from './scene';

beforeEach(setUp);
afterEach(() => {
  tearDown();
  forget();
});

const PREFIX = 'wp_fusion_webhook.';

/** The points of a metric, without what all of them say. */
async function pointsOf(name: string): Promise<Record<string, unknown>[]> {
  const points = (await collect())[`${PREFIX}${name}`]?.points ?? [];
  return points.map(({ attributes, value }: Point) => {
    const { [`${PREFIX}name`]: _name, ...others } = attributes;
    const short = Object.entries(others).map(([key, one]) => [key.replace(PREFIX, ''), one]);
    return { ...Object.fromEntries(short), value };
  });
}

test('what was let in, what became of it, and how long that took', async () => {
  const sandbox = await startSandbox();
  const site = await startProcess(sandbox);
  const id = sandbox.addContact({ email: 'mary@example.com' });
  await site.ping('add', id);
  await site.ping('add', id);
  await site.ping('update', '99', { dry_run: 'true' });
  await site.ping('add', id, { access_key: 'not-the-key' });
  expect(await pointsOf('received')).toEqual([
    { action: 'add', key: 'key 1', dry_run: false, value: 2 },
    { action: 'update', key: 'key 1', dry_run: true, value: 1 },
  ]);
  const ends = [
    { action: 'add', outcome: 'created', value: 1 },
    { action: 'add', outcome: 'unchanged', value: 1 },
    { action: 'update', outcome: 'skipped', value: 1 },
  ];
  const refused = { 'error.type': 'INVALID_ACCESS_KEY', value: 1 };
  expect(await pointsOf('ended')).toEqual([...ends, { ...refused, will_retry: false }]);
  expect(await pointsOf('request.duration')).toEqual([...ends, refused]);
  expect(await pointsOf('run.duration')).toEqual(ends);
  const { [`${PREFIX}request.duration`]: durations } = await collect();
  expect(durations!.unit).toBe('s');
  for (const { sum } of durations!.points) expect(sum).toBeGreaterThan(0);
});

test('several middlewares are told apart by their names', async () => {
  const sandbox = await startSandbox();
  for (const name of ['shop', 'school'])
    await (await startProcess(sandbox, undefined, { name })).ping('test', '1');
  const { [`${PREFIX}received`]: received } = await collect();
  expect(received!.points.map(({ attributes }) => attributes[`${PREFIX}name`])).toEqual(['shop', 'school']);
});

test('calls to the CRM, by kind and status, those that it refused, and what is left of them', async () => {
  const sandbox = await startSandbox();
  const site = await startProcess(sandbox, undefined, { returnPassword: { field: 'f1' } });
  const id = sandbox.addContact({ email: 'mary@example.com' });
  sandbox.fail({ path: '/Contacts', with: { status: 429, headers: { 'retry-after': '0' } } });
  sandbox.fail({ path: '/Contacts', with: 'error500' });
  sandbox.fail({ path: '/Contacts', with: 'reset' });
  await site.ping('add', id);
  const calls = await pointsOf('crm.calls');
  const of = (kind: string, status: string): unknown =>
    calls.find((call) => call['crm.kind'] === kind && call['crm.status_class'] === status)?.value;
  expect([of('read', '4xx'), of('read', '5xx'), of('read', 'none')]).toEqual([1, 1, 1]);
  expect(of('write', '2xx')).toBe(1);
  expect(of('read', '2xx')).toBe(sandbox.callCount({ method: 'GET' }) - 3);
  expect(await pointsOf('crm.rate_limited')).toEqual([{ 'crm.kind': 'read', value: 1 }]);
  expect(await pointsOf('crm.budget.limit')).toEqual([{ value: 100_000 }]);
  const [used] = await pointsOf('crm.budget.used');
  expect(used!.value).toBeGreaterThanOrEqual(1);
});

describe('a queue', () => {
  test('is asked when metrics are collected and never else, and not any more after close()', async () => {
    let asked = 0;
    class CountedQueue extends KnexWebhookQueue {
      override async counts(name: string) {
        asked += 1;
        return super.counts(name);
      }
    }
    const { knex } = await openQueue();
    const queue = new CountedQueue(knex);
    const sandbox = await startSandbox();
    const site = await startProcess(sandbox, undefined, { queue, worker: false, ...QUICK });
    const another = await startProcess(sandbox, undefined, { queue, name: 'another', worker: false });
    expect(await pointsOf('queue.oldest.age')).toEqual([{ value: 0 }, { value: 0 }]);
    asked = 0;
    await site.ping('add', '1');
    await site.ping('update', '2');
    expect(asked).toBe(0);
    const metrics = await collect();
    expect(asked).toBe(2);
    const valuesOf = (name: string) => metrics[`${PREFIX}${name}`]!.points.map(({ value }) => value);
    expect(valuesOf('queue.waiting')).toEqual([2, 0]);
    expect(valuesOf('queue.dead')).toEqual([0, 0]);
    expect(valuesOf('queue.oldest.age')).toEqual([expect.any(Number), 0]);
    await site.close();
    expect(await pointsOf('queue.waiting')).toEqual([{ value: 0 }]);
    expect(asked).toBe(3);
    await another.close();
    expect(await pointsOf('queue.waiting')).toEqual([]);
    expect(await pointsOf('crm.budget.used')).toEqual([]);
    expect(asked).toBe(3);
    await knex.destroy();
  });

  test('that is down has no values, and harms no other ones', async () => {
    const { knex, queue } = await openQueue();
    const site = await startProcess(await startSandbox(), undefined, { queue, worker: false });
    await site.ping('test', '1');
    queue.counts = () => Promise.reject(new Error('The database is down.'));
    expect(await pointsOf('queue.waiting')).toEqual([]);
    expect(await pointsOf('received')).toHaveLength(1);
    await knex.destroy();
  });

  test('that gives no answer is not asked once more', async () => {
    const { knex, queue } = await openQueue();
    const site = await startProcess(await startSandbox(), undefined, { queue, worker: false });
    let answer = (): void => undefined;
    let asked = 0;
    queue.counts = () => {
      asked += 1;
      return new Promise((resolve) => {
        answer = () => resolve({ waiting: 1, dead: 2, oldestWaiting: null });
      });
    };
    const first = collect();
    await until(() => asked === 1);
    expect(await pointsOf('queue.dead')).toEqual([]);
    expect(asked).toBe(1);
    answer();
    expect((await first)[`${PREFIX}queue.dead`]!.points[0]!.value).toBe(2);
    await site.close();
    await knex.destroy();
  });

  test('how long webhooks waited for the first work on them, and every try that failed', async () => {
    const { sandbox, site, clock, queue, failed, processed } = await open();
    sandbox.fail({ path: '/Contacts', with: { status: 400 }, times: 1 });
    await site.ping('add', sandbox.addContact({ email: 'mary@example.com' }));
    await until(() => failed.length === 1);
    clock.advance(60_000);
    await until(() => processed.length === 1);
    await until(async () => (await queue.counts('default')).waiting === 0);
    expect(await pointsOf('queue.wait.duration')).toEqual([{ action: 'add', value: 1 }]);
    expect(await pointsOf('ended')).toEqual([
      { action: 'add', 'error.type': 'CRM_BAD_RESPONSE', will_retry: true, value: 1 },
      { action: 'add', outcome: 'created', value: 1 },
    ]);
    expect(await pointsOf('run.duration')).toEqual([
      { action: 'add', 'error.type': 'CRM_BAD_RESPONSE', value: 1 },
      { action: 'add', outcome: 'created', value: 1 },
    ]);
  });
});
