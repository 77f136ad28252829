// PM2 in cluster mode on a real PostgreSQL: run as its README says, with a process that is killed and all that are replaced.
import { existsSync } from 'node:fs';
import path from 'node:path';
import createKnex, { type Knex } from 'knex';
import { availableDatabases } from '../knex/databases';
import { Example } from './child';

const START = 'examples/pm2-cluster/start.js';
const DATABASE_URL = process.env.TEST_POSTGRES_URL ?? 'postgres://root@127.0.0.1:5432/test';
const SCHEMA = /in the schema (wpf_example_\w+), which goes/;
const BROKEN = path.join(__dirname, 'fixtures', 'broken-repository.js');

const started: Example[] = [];
let knex: Knex;

beforeAll(() => {
  knex = createKnex({ client: 'pg', connection: DATABASE_URL });
});
afterEach(async () => {
  // Not killed: it has processes and tables to take along.
  for (const example of started.splice(0)) await example.end('SIGTERM');
});
afterAll(async () => {
  await knex.destroy();
});

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Example {
  const example = new Example([START, ...args], { DATABASE_URL, ...env });
  started.push(example);
  return example;
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
  const [, schema = 'it named none'] = SCHEMA.exec(stdout) ?? [];
  const pids = [...stdout.matchAll(/process (\d+)/gi)].map(([, pid]) => Number(pid));
  return {
    schemas: await knex('information_schema.schemata').where({ schema_name: schema }).pluck('schema_name'),
    processes: [...new Set(pids)].filter(isAlive),
  };
}

const NOTHING = { schemas: [], processes: [] };

const describeOnPostgres = availableDatabases('PostgreSQL').length > 0 ? describe : describe.skip;

describeOnPostgres('the site under PM2', () => {
  test('plays its walk-through, ends with 0 and leaves nothing behind', async () => {
    const finished = await start(['--once']).finished;
    const { code, stdout, stderr } = finished;

    expect(stderr).toBe('');
    expect(code).toBe(0);
    const told = [
      'A site in 4 processes, on PostgreSQL',
      '60 contacts are to become users: their webhooks are stored and answered with 202',
      'has some of them in work when it is killed',
      'PM2 has started process',
      'All 60 contacts are users, each of them once',
      'and was killed',
      '"pm2 reload" has replaced all processes while',
      'each was answered with 202',
      'All users have what changed',
      'All processes have ended. The walk-through held.',
    ];
    const places = told.map((sentence) => ({ sentence, at: stdout.indexOf(sentence) }));
    expect(places.filter(({ at }) => at === -1)).toEqual([]);
    expect(places).toEqual([...places].sort((one, other) => one.at - other.at));
    expect(stdout.match(/^ {2}process \d+ received \d+ and worked off \d+/gm)).toHaveLength(5);
    expect(stdout).not.toMatch(/access_key|[0-9a-f]{32}/);
    expect(await leftOf(finished)).toEqual(NOTHING);
  });

  test('ends with 1, says why and cleans up when the walk-through does not hold', async () => {
    const finished = await start(['--once'], { INSTANCES: '2', NODE_OPTIONS: `--require ${BROKEN}` })
      .finished;

    expect(finished.stderr).toBe(
      'The walk-through did not hold: it should be that the user of contact 1 follows.\n',
    );
    expect(finished.code).toBe(1);
    expect(await leftOf(finished)).toEqual(NOTHING);
  });

  test('is tried by hand; Ctrl-C ends PM2, all processes and the tables', async () => {
    const site = start([], { INSTANCES: '2' });
    const [, url = '', home = ''] = await site.says(
      /Now you: {2}(http:\S+)[\s\S]*PM2_HOME=(\S+) npx pm2 reload/,
    );
    expect(existsSync(home)).toBe(true);
    await site.says(/process \d+: worked off add of contact 1: created/);
    expect(await (await fetch(url)).json()).toMatchObject({
      process: expect.any(Number),
      users: expect.arrayContaining(['mary1@example.com']),
      dead: 0,
    });

    const finished = await site.end('SIGINT');
    const { code, signal, stderr } = finished;
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    expect(finished.stdout.match(/\[site:\d\] exited with code \[0\]/g)).toHaveLength(2);
    expect(existsSync(home)).toBe(false);
    expect(await leftOf(finished)).toEqual(NOTHING);
  });

  test('leaves nothing behind also when it is ended before it is ready', async () => {
    const site = start(['--once']);
    await site.says(SCHEMA);
    const finished = await site.end('SIGTERM');

    expect({ code: finished.code, stderr: finished.stderr }).toEqual({ code: 0, stderr: '' });
    expect(await leftOf(finished)).toEqual(NOTHING);
  });
});

test('the site under PM2 says that there is no PostgreSQL, and ends', async () => {
  const url = 'postgres://somebody:the-password@127.0.0.1:1/nowhere';
  const { code, stdout, stderr } = await start(['--once'], { DATABASE_URL: url }).finished;

  expect(stderr).toMatch(
    /^PostgreSQL at 127\.0\.0\.1:1 does not take us: .*ECONNREFUSED.* DATABASE_URL says where/,
  );
  expect(stdout + stderr).not.toMatch(/the-password| {4}at /);
  expect(code).toBe(1);
});
