// Thousands of requests at once: each is answered, the CRM is asked by no more than its few connections, the other pages of the
// site answer meanwhile, and afterwards nothing is held any more.
import { spawnSync } from 'node:child_process';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { ACCESS_KEY, untilAsked } from '../delivery/common';
import { isWhole, say } from '../delivery/size';
import { openSandbox, until } from '../actions/site';
import { dial } from '../http/client';
import { availableDatabases, openDatabase, type TestDatabase } from '../knex/databases';
import { throughProxy } from '../faults/fault-proxy';
import type { OntraportSandbox } from '../../lib/testing';
import {
  BusyProcess,
  expectBounded,
  killBusySites,
  untilFreed,
  Visitor,
  type Condition,
} from './busy-process';
import { HostileServer } from './hostile-crm';

const MANY = isWhole ? 9000 : 2100;
const GUESSES = isWhole ? 100_000 : 2000;
/** For what is done with each database, two or three times. */
const SOME = MANY / 3;
/** What one waiting request may take, with its connection: most of it is Node's and Express'. */
const BYTES_PER_REQUEST = 40_000;
/** … and of processor time: those that come at the same moment are begun one after the other, before anything else. */
const MS_PER_REQUEST = 1;
const CONNECTIONS_TO_CRM = 4;

let sandbox: OntraportSandbox;
let silentCrm: HostileServer;
let database: TestDatabase;
let contactIds: string[];
let site: BusyProcess;

beforeAll(async () => {
  sandbox = await openSandbox({ rateLimit: { limit: 1_000_000, windowMs: 60_000 } });
  sandbox.latency(20);
  contactIds = Array.from({ length: MANY }, (_, index) =>
    sandbox.addContact({ email: `mary.${index}@example.com`, tags: ['Customer'] }),
  );
  silentCrm = await HostileServer.start();
  database = await openDatabase('SQLite');
  const { appId, apiKey, baseUrl } = sandbox;
  const webhook = { accessKey: ACCESS_KEY, timeoutMs: 60_000 };
  const crm = { appId, apiKey, baseUrl };
  site = await BusyProcess.start(
    {
      mounts: [
        { path: '/stored', crm, webhook, database: database.config, queue: true },
        { path: '/inside', crm, webhook },
        // A fifth of it is left when the CRM is given up: enough to answer all of them.
        {
          path: '/stuck',
          crm: { ...crm, baseUrl: silentCrm.url },
          webhook: { ...webhook, timeoutMs: 16_000 },
        },
      ],
      trustProxy: 1,
    },
    256,
  );
});
afterAll(async () => {
  await killBusySites();
  await Promise.all([sandbox.close(), silentCrm.close(), database.close()]);
});

/** Sends a webhook for each contact, all at the same moment and each on a connection of its own; the answers by status and code. */
async function sendAll(
  path: string,
  action: string,
  { to = site, count = MANY } = {},
): Promise<Record<string, number>> {
  const agent = new Agent({ maxSockets: Infinity });
  const counts: Record<string, number> = {};
  const send = (contactId: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const query = `wpf_action=${action}&access_key=${ACCESS_KEY}&contact_id=${contactId}`;
      request(`${to.url}${path}?${query}`, { method: 'POST', agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          const { code, outcome } = JSON.parse(text) as { code?: string; outcome?: string };
          const said = `${response.statusCode} ${code ?? outcome}`;
          counts[said] = (counts[said] ?? 0) + 1;
          resolve();
        });
      })
        .on('error', reject)
        .end();
    });
  await Promise.all(contactIds.slice(0, count).map(send));
  agent.destroy();
  return counts;
}

/** Does something beside a visitor, and waits until the site holds no more than before. */
async function beside<Value>(
  work: () => Promise<Value>,
  { on = site, kept = CONNECTIONS_TO_CRM, mostBytes = 40_000_000 + MANY * BYTES_PER_REQUEST } = {},
): Promise<[Value, Condition]> {
  const before = await on.measure();
  const visitor = new Visitor(on.url);
  const value = await work();
  const visits = await visitor.ended();
  const condition = await untilFreed(on, before, kept);
  expect(visits).toBeGreaterThan(0);
  const grownBytes = condition.peakBytes - before.rssBytes;
  say(
    `${expect.getState().currentTestName}: ${(grownBytes / 1e6).toFixed(0)} MB at most, ${visits} visits, ` +
      `longest turn ${condition.longestTurnMs.toFixed(0)} ms`,
  );
  expectBounded(before, condition, { mostBytes, longestMs: 1000 + MANY * MS_PER_REQUEST });
  return [value, condition];
}

test('webhooks that are stored', async () => {
  const [answers] = await beside(async () => {
    const counts = await sendAll('/stored', 'add');
    await untilAsked(async () => (await database.knex('wpf_lanes')).length === 0);
    return counts;
  });
  expect(answers).toEqual({ '202 queued': MANY });
  expect(await database.knex('wpf_users')).toHaveLength(MANY);
  expect(sandbox.peakInFlight).toBeLessThanOrEqual(CONNECTIONS_TO_CRM);
});

test('webhooks that are processed inside their requests', async () => {
  const [answers] = await beside(() => sendAll('/inside', 'add'));
  expect(answers).toEqual({ '200 created': MANY });
  expect(sandbox.peakInFlight).toBeLessThanOrEqual(2 * CONNECTIONS_TO_CRM);
});

test('webhooks that wait for a CRM that never answers', async () => {
  const [answers] = await beside(() => sendAll('/stuck', 'add'));
  expect(answers).toEqual({ '503 CRM_UNAVAILABLE': MANY });
  // One that was given up may still be seen when the next has come.
  expect(silentCrm.mostOpen).toBeLessThanOrEqual(2 * CONNECTIONS_TO_CRM);
  await until(() => silentCrm.open === 0);
});

test('wrong keys from thousands of addresses, with long headers', async () => {
  // A proxy adds the address of the sender to whatever that has written there.
  const forged = Array.from({ length: 900 }, (_, index) => `10.20.30.${100 + (index % 150)}`).join(', ');
  const addressOf = (number: number): string =>
    [203, ...[22_500, 150, 1].map((size) => 100 + (Math.floor(number / size) % 150))].join('.');
  const guess = (number: number): string =>
    `POST /inside?wpf_action=test&access_key=guess-${number} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n` +
    `X-Forwarded-For: ${forged}, ${addressOf(number)}\r\n\r\n`;
  const CONNECTIONS = 20;
  const AT_ONCE = 10;
  const [statuses] = await beside(
    async () => {
      const found: Record<string, number> = {};
      await Promise.all(
        Array.from({ length: CONNECTIONS }, async (_, connection) => {
          const socket = await dial(site.url);
          let text = '';
          socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
          for (let number = connection; number < GUESSES; number += CONNECTIONS * AT_ONCE) {
            const some = Array.from({ length: AT_ONCE }, (_one, index) => number + index * CONNECTIONS);
            socket.write(some.map(guess).join(''));
            const answers = (): string[] => text.match(/HTTP\/1\.1 \d{3}/g) ?? [];
            await until(() => answers().length === AT_ONCE);
            for (const answer of answers()) found[answer] = (found[answer] ?? 0) + 1;
            text = '';
          }
          socket.destroy();
        }),
      );
      return found;
    },
    { mostBytes: 80_000_000 },
  );
  expect(statuses).toEqual({ 'HTTP/1.1 403': GUESSES });
});

test('more addresses than there is memory for', () => {
  const script = `
    const { Throttle } = require(${JSON.stringify(join(__dirname, '../../dist/webhook/throttle.js'))});
    const throttle = new Throttle();
    for (let number = 0; number < 100_000; number += 1) {
      const address = [10, number >> 16, (number >> 8) & 255, number & 255].join('.');
      throttle.wrongKey(address);
      throttle.validKey(address);
    }`;
  const { status } = spawnSync(process.execPath, ['--max-old-space-size=16', '-e', script]);
  expect(status).toBe(0);
});

test('a URL that is long and strange', async () => {
  const url = `/inside?${'?'.repeat(15_000)}=%`;
  const [, { longestTurnMs }] = await beside(async () => {
    for (let count = 0; count < 20; count += 1) expect((await fetch(site.url + url)).status).toBe(404);
  });
  expect(longestTurnMs).toBeLessThan(100);
});

test('the site that went through all this ends by itself', () => site.close());

// With every change it is the matrix of faults that shows what one webhook does then.
if (isWhole) {
  describe.each(availableDatabases('PostgreSQL'))('%s', (name) => {
    let real: TestDatabase;
    let way: Awaited<ReturnType<typeof throughProxy>>;
    let behind: BusyProcess;
    beforeAll(async () => {
      real = await openDatabase(name);
      way = await throughProxy(real.config);
      const { appId, apiKey, baseUrl } = sandbox;
      const at = { crm: { appId, apiKey, baseUrl }, webhook: { accessKey: ACCESS_KEY, timeoutMs: 4000 } };
      // As docs/security.md tells hosts to: neither connecting nor waiting for a connection goes on for ever.
      const pool = {
        min: 0,
        max: 10,
        idleTimeoutMillis: 500,
        reapIntervalMillis: 100,
        createTimeoutMillis: 2000,
      };
      const connection = { connectionString: way.config.connection, connectionTimeoutMillis: 1000 };
      const behindProxy = { ...way.config, connection, acquireConnectionTimeout: 2000, pool };
      behind = await BusyProcess.start(
        {
          mounts: [
            { path: '/stored', ...at, database: behindProxy, queue: true },
            { path: '/inside', ...at, database: behindProxy },
          ],
        },
        256,
      );
    });
    afterAll(async () => {
      await killBusySites();
      await way.proxy.close();
      await real.close();
    });

    test('falls silent: every webhook is answered, and all goes on when it is back', async () => {
      const on = { on: behind };
      const some = { to: behind, count: SOME };
      const [[stored, inside]] = await beside(async () => {
        way.proxy.silence();
        const counts = await Promise.all([
          sendAll('/stored', 'update', some),
          sendAll('/inside', 'update', some),
        ]);
        way.proxy.resume();
        await untilAsked(async () => (await real.knex('wpf_lanes')).length === 0);
        return counts;
      }, on);
      expect(Object.keys(stored)).toEqual(['503 QUEUE_UNAVAILABLE']);
      for (const said of Object.keys(inside))
        expect(['503 TIMED_OUT', '500 REPOSITORY_FAILED']).toContain(said);
      const [again] = await beside(() => sendAll('/stored', 'update', some), on);
      expect(again).toEqual({ '202 queued': SOME });
    });
  });
}
