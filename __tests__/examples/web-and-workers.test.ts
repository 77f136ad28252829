// Web processes and workers on a real Redis: run as their README says, with a worker that is killed and one that is ended.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Redis from 'ioredis';
import { OntraportSandbox } from '../../lib/testing';
import { isRedisThere, TEST_REDIS_URL } from '../bullmq/redis-server';
import { Example } from './child';

const START = 'examples/web-and-workers/start.js';
const PREFIX = /its keys begin with (wpf_example_\w+)/;
const NOW_YOU = /Now you: {2}(http:\S+) and (http:\S+) show the users/;

const started: Example[] = [];
const cleanUps: (() => unknown)[] = [];
let redis: Redis;

afterEach(async () => {
  // Not killed: it has processes and keys to take along.
  for (const example of started.splice(0)) await example.end('SIGTERM');
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Example {
  const example = new Example([START, ...args], { REDIS_URL: TEST_REDIS_URL, ...env });
  started.push(example);
  return example;
}

async function keysOf(prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const some of redis.scanStream({ match: `${prefix}:*`, count: 1000 }))
    keys.push(...(some as string[]));
  return keys;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** What is left of an example that has ended. */
async function leftOf({ stdout }: { stdout: string }): Promise<unknown> {
  const [, prefix = 'it named none'] = PREFIX.exec(stdout) ?? [];
  const pids = [...stdout.matchAll(/(?:web|worker) +(\d+)/gi)].map(([, pid]) => Number(pid));
  return { keys: await keysOf(prefix), processes: [...new Set(pids)].filter(isAlive) };
}

const NOTHING = { keys: [], processes: [] };

const describeOnRedis = isRedisThere() ? describe : describe.skip;

describeOnRedis('web processes and workers', () => {
  beforeAll(() => {
    redis = new Redis(TEST_REDIS_URL);
  });
  afterAll(async () => {
    await redis.quit();
  });

  test('play their walk-through, end with 0 and leave nothing behind', async () => {
    const finished = await start(['--once']).finished;
    const { code, stdout, stderr } = finished;

    expect(stderr).toBe('');
    expect(code).toBe(0);
    const told = [
      '60 contacts are to become users: their webhooks are in Redis and answered with 202',
      'is killed while it waits for Ontraport',
      'All 60 contacts are users, each of them once',
      'received 30',
      'received 30',
      'worked off 0, and was killed',
      'All users have what changed',
      'All processes have ended. The walk-through held.',
    ];
    let from = 0;
    const missing = told.filter((sentence) => {
      const at = stdout.indexOf(sentence, from);
      if (at !== -1) from = at + sentence.length;
      return at === -1;
    });
    expect(missing).toEqual([]);
    expect(stdout.match(/^ {2}worker \d+ worked off \d+/gm)!.length).toBeGreaterThanOrEqual(2);
    expect(stdout).not.toMatch(/access_key|[0-9a-f]{32}/);
    expect(await leftOf(finished)).toEqual(NOTHING);
  });

  test('end with 1, say why and clean up when the walk-through does not hold', async () => {
    const broken = path.join(__dirname, 'fixtures', 'broken-repository.js');
    const finished = await start(['--once'], { NODE_OPTIONS: `--require ${broken}` }).finished;

    expect(finished.stderr).toBe(
      'The walk-through did not hold: it should be that all users follow their contacts; 0 did.\n',
    );
    expect(finished.code).toBe(1);
    expect(await leftOf(finished)).toEqual(NOTHING);
  });

  test('are tried by hand: one that is killed is started again, the queue is seen with a password, Ctrl-C ends all', async () => {
    const site = start([], { QUEUES_PASSWORD: 'a-password-of-this-test' });
    const [, url = ''] = await site.says(NOW_YOU);
    const [, worker = ''] = await site.says(/worker (\d+): worked off add of contact 1: created/);
    const [, web = ''] = await site.says(/web (\d+): ready/);
    for (const pid of [worker, web]) process.kill(Number(pid), 'SIGKILL');
    // Three of each kind have been ready then.
    await site.says(/(?:worker \d+: ready[\s\S]*){3}/);
    await site.says(/(?:web \d+: ready[\s\S]*){3}/);
    expect(await (await fetch(url)).json()).toMatchObject({
      users: expect.arrayContaining(['mary1@example.com']),
      dead: 0,
    });

    const board = (authorization: string): Promise<Response> =>
      fetch(`${url}queues/api/queues`, { headers: { authorization } });
    const basic = (password: string): string => `Basic ${Buffer.from(`me:${password}`).toString('base64')}`;
    for (const wrong of ['', 'Basic', basic(''), basic('a-password'), basic('A-password-of-this-test')])
      expect([wrong, (await board(wrong)).status]).toEqual([wrong, 401]);
    const seen = await board(basic('a-password-of-this-test'));
    expect(seen.status).toBe(200);
    expect(await seen.json()).toMatchObject({ queues: [{ name: 'wp-fusion-webhook.default' }] });

    const finished = await site.end('SIGINT');
    const { code, signal, stderr } = finished;
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    expect(await leftOf(finished)).toEqual(NOTHING);
  });

  test('leave nothing behind also when they are ended before they are ready', async () => {
    const site = start(['--once']);
    await site.says(PREFIX);
    const finished = await site.end('SIGTERM');

    expect({ code: finished.code, stderr: finished.stderr }).toEqual({ code: 0, stderr: '' });
    expect(await leftOf(finished)).toEqual(NOTHING);
  });

  test('with the keys of an account everything stays, and nobody sees the queue without a password', async () => {
    const sandbox = await OntraportSandbox.start();
    cleanUps.push(() => sandbox.close());
    const folder = mkdtempSync(path.join(tmpdir(), 'wpf-web-and-workers-test-'));
    cleanUps.push(() => rmSync(folder, { recursive: true }));
    const prefix = `wpf_example_test_${process.pid}`;
    cleanUps.push(async () => redis.unlink(...(await keysOf(prefix))));
    const file = path.join(folder, 'site.sqlite');
    const site = start([], {
      REDIS_PREFIX: prefix,
      DATABASE_FILE: file,
      ONTRAPORT_APP_ID: sandbox.appId,
      ONTRAPORT_API_KEY: sandbox.apiKey,
      ONTRAPORT_BASE_URL: sandbox.baseUrl,
      WPF_ACCESS_KEY: 'the-key-of-these-processes',
    });
    const [, url = ''] = await site.says(/let a reverse proxy lead to (http:\S+) and http:/);
    expect((await fetch(`${url}queues`)).status).toBe(404);

    const { status } = await sandbox.send({
      url: `${url}?wpf_action=add&access_key=the-key-of-these-processes`,
      contactId: sandbox.addContact({ email: 'mary@example.com' }),
    });
    expect(status).toBe(202);
    await site.says(/worker \d+: worked off add of contact 1: created/);
    expect((await site.end('SIGTERM')).code).toBe(0);
    expect(existsSync(file)).toBe(true);
    expect(await keysOf(prefix)).not.toEqual([]);
  });

  test.each([
    ['half of the keys of an account', { ONTRAPORT_APP_ID: '2_1_app' }, /apiKey: is missing/],
    ['a port that is none', { PORT: '70000' }, /^PORT is no port: 70000/],
  ])('say what is wrong with %s, and end', async (_what, env: Record<string, string>, message) => {
    const { code, stderr } = await start([], env).finished;

    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });
});

test('web processes and workers say that there is no Redis, and end', async () => {
  const url = 'redis://somebody:the-password@127.0.0.1:1';
  const { code, stdout, stderr } = await start(['--once'], { REDIS_URL: url }).finished;

  expect(stderr).toMatch(/^Redis at 127\.0\.0\.1:1 does not take us: .* REDIS_URL says where/);
  expect(stdout + stderr).not.toMatch(/the-password| {4}at /);
  expect(code).toBe(1);
});
