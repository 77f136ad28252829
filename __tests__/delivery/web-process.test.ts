// A process that only stores webhooks, with Redis gone: it says so at once, to be sent again, and stores them again as soon as
// Redis is back.
import { ACCESS_KEY } from './common';
import { FaultProxy } from '../faults/fault-proxy';
import { say, TIMEOUT_MS } from './size';
import type { SiteProcess } from './site-process';
import { availableStores } from './stores';
import { LEASE_MS, World } from './world';

/** The patience of the site: nothing of what is tested may be as slow. */
const PATIENCE_MS = 20_000;
/** A clock that stands while the machine has no time for us: what it shows is not the machine's slowness. */
const TICK_MS = 50;
/** Several times what is promised. */
const LIMIT_TICKS = 5000 / TICK_MS;

let world: World;
let proxy: FaultProxy;
afterEach(async () => {
  await proxy.close();
  await world.close();
});

/** What came in time, and after how many milliseconds by the clock on the wall, which are for the report alone. */
async function inTime<Value>(
  work: (signal: AbortSignal) => Promise<Value>,
  what: string,
): Promise<{ value: Value; milliseconds: number }> {
  const tooLate = new AbortController();
  let ticks = 0;
  const clock = setInterval(() => {
    ticks += 1;
    if (ticks === LIMIT_TICKS) tooLate.abort(new Error(`${what}: not within ${LIMIT_TICKS} ticks.`));
  }, TICK_MS);
  const start = performance.now();
  try {
    return { value: await work(tooLate.signal), milliseconds: performance.now() - start };
  } finally {
    clearInterval(clock);
  }
}

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly retryAfter: string | null;
}

async function send(site: SiteProcess, contactId: string, signal: AbortSignal): Promise<Answer> {
  const query = new URLSearchParams({ wpf_action: 'add', access_key: ACCESS_KEY, contact_id: contactId });
  const response = await fetch(`${site.url}?${query}`, { method: 'POST', signal });
  const { code } = (await response.json()) as { code?: string };
  return { status: response.status, code, retryAfter: response.headers.get('retry-after') };
}

/** The ways in which Redis goes and comes back. */
const WAYS = {
  'refuses connections': {
    take: async () => {
      await world.redis!.stop();
    },
    giveBack: () => world.redis!.start(),
  },
  'cuts connections, and new ones': {
    take: async () => proxy.cut(),
    giveBack: async () => proxy.restore(),
  },
  'accepts and never answers, then forgets what was said': {
    take: async () => proxy.silence(),
    giveBack: async () => proxy.restore(),
  },
  'accepts and never answers, then hears all of it': {
    take: async () => proxy.silence(),
    giveBack: async () => proxy.resume(),
  },
};

describe.each(availableStores('Redis'))('%s', (database) => {
  test.each(Object.keys(WAYS) as (keyof typeof WAYS)[])(
    'that %s: a web process says 503 at once, and stores again when it is back',
    async (way) => {
      world = await World.open({ database, contacts: 12 });
      const { host, port } = world.redis!.address;
      proxy = await FaultProxy.start(host, port);
      const web = await world.startSite({
        queue: { leaseMs: LEASE_MS, redis: { host, port: proxy.port } },
        webhook: { ...world.webhook, worker: false, timeoutMs: PATIENCE_MS },
      });
      const [first, ...others] = world.contactIds as [string, ...string[]];
      const stored = await inTime((signal) => send(web, first, signal), 'With Redis');
      expect(stored.value).toMatchObject({ status: 202 });

      await WAYS[way].take();
      const refusals: number[] = [];
      // One after the other, and some at once.
      for (const contactIds of [...others.slice(0, 3).map((one) => [one]), others.slice(3)]) {
        const answers = await Promise.all(
          contactIds.map((one) => inTime((signal) => send(web, one, signal), 'Without Redis')),
        );
        for (const { value, milliseconds } of answers) {
          expect(value).toEqual({ status: 503, code: 'QUEUE_UNAVAILABLE', retryAfter: expect.any(String) });
          expect(Number(value.retryAfter)).toBeGreaterThan(0);
          refusals.push(milliseconds);
        }
      }

      await WAYS[way].giveBack();
      const recovery = await inTime(async (signal) => {
        while ((await send(web, first, signal)).status !== 202);
      }, 'With Redis again');
      for (const contactId of others) {
        expect(await inTime((signal) => send(web, contactId, signal), 'With Redis again')).toMatchObject({
          value: { status: 202 },
        });
      }
      say(
        `Redis ${way}: 503 after ${refusals.map((one) => one.toFixed(0)).join(', ')} ms, ` +
          `stored again ${recovery.milliseconds.toFixed(0)} ms after it was back`,
      );

      // Everything that was stored takes effect, also what was refused and stored all the same.
      const worker = await world.startSite();
      while (!(await world.isEmpty())) await new Promise((resolve) => setTimeout(resolve, 20));
      expect((await world.users()).map(({ contactId }) => contactId).sort()).toEqual(
        [...world.contactIds].sort(),
      );
      const ends = await Promise.all([web.close(), worker.close()]);
      expect(ends.map(({ code }) => code)).toEqual([0, 0]);
    },
    TIMEOUT_MS,
  );

  test(
    'that is not there yet when a web process starts: 503 until it is, without a restart',
    async () => {
      world = await World.open({ database, contacts: 1 });
      const { host, port } = world.redis!.address;
      proxy = await FaultProxy.start(host, port);
      proxy.cut();
      const web = await world.startSite({
        queue: { leaseMs: LEASE_MS, redis: { host, port: proxy.port } },
        webhook: { ...world.webhook, worker: false, timeoutMs: PATIENCE_MS },
      });
      const [contactId = ''] = world.contactIds;
      const refused = await inTime((signal) => send(web, contactId, signal), 'Without Redis');
      expect(refused.value).toMatchObject({ status: 503, code: 'QUEUE_UNAVAILABLE' });
      await proxy.restore();
      const recovery = await inTime(async (signal) => {
        while ((await send(web, contactId, signal)).status !== 202);
      }, 'With Redis');
      say(
        `Redis not there at the start: 503 after ${refused.milliseconds.toFixed(0)} ms, ` +
          `stored ${recovery.milliseconds.toFixed(0)} ms after it was there`,
      );
      expect(await web.close()).toEqual({ code: 0, signal: null });
    },
    TIMEOUT_MS,
  );
});
