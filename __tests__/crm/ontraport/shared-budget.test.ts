// Four processes of one site spend one budget: no call is refused, and none of the budget lies idle while work waits.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ACCESS_KEY, untilAsked } from '../../delivery/common';
import { isWhole, say, SIZE, TIMEOUT_MS } from '../../delivery/size';
import type { SiteProcess } from '../../delivery/site-process';
import { KnexWebhookQueue } from '../../../lib/knex';
import { availableStores, type StoreName } from '../../delivery/stores';
import { World } from '../../delivery/world';
import { idleness } from './idleness';

const PROCESSES = 4;
/** What writes may use of a limit, less the two calls that are kept back for asking for news. */
const shareOfWrites = (limit: number): number => Math.floor(limit * 0.8) - 2;
/** What reads may use of it. Nobody may use more. */
const shareOfReads = (limit: number): number => Math.floor(limit * 0.95);
/** As many calls as one process has under way. */
const CONCURRENT = 4;
const { webhooks, windowMs } = SIZE.budget;
/**
 * So long budget may lie there unused, at most, while work waits. Beside other tests the database stalls, too: what is looked for
 * in the small run is budget that lies there until its window is over.
 */
const IDLE_MS = isWhole ? 1000 : windowMs / 2;
const LIMIT = 180;
/** So few that four calls more or less are seen. */
const SMALL_LIMIT = 50;

interface RateLimit {
  readonly limit: number;
  readonly windowMs: number;
}

let world: World;
let sites: SiteProcess[] = [];
afterEach(() => world.close());

async function open(database: StoreName, contacts: number, rateLimit: RateLimit): Promise<void> {
  world = await World.open({ database, contacts, sandbox: { rateLimit } });
  world.sandbox.latency(50);
  sites = await Promise.all(
    Array.from({ length: PROCESSES }, () => world.startSite({ timing: {}, waitsWithWork: true })),
  );
}

/** Stores a webhook for every contact, each process those of its own part. */
async function sendAll(): Promise<void> {
  const { sandbox, contactIds } = world;
  const bursts = sites.map((site, index) =>
    sandbox.burst({
      url: `${site.url}?wpf_action=add&access_key=${ACCESS_KEY}&contact_id=[Contact ID]`,
      contactIds: contactIds.filter((_id, number) => number % sites.length === index),
      concurrency: 50,
    }),
  );
  const statuses = (await Promise.all(bursts)).flatMap(({ deliveries }) =>
    deliveries.map(({ status }) => status),
  );
  expect(new Set(statuses)).toEqual(new Set([202]));
}

const haveAllPasswords = (): boolean =>
  world.contactIds.every((id) => (world.sandbox.contact(id)?.f1 ?? '') !== '');

/** What the sites have told one another: how many calls they count that are over, and that are under way. */
async function shared(): Promise<{ ended: number; running: number }> {
  const { text } = await new KnexWebhookQueue(world.database.knex).readShared('default', 'rate budget');
  const { ended = [], running = [] } = JSON.parse(text ?? '{}') as Partial<Record<string, unknown[]>>;
  return { ended: ended.length, running: running.length };
}

/** Lets the sites work until every password has arrived; how long each part of the budget lay idle until the last one did. */
async function workOff(
  share: number,
  { windowMs }: RateLimit,
  {
    idleMs = IDLE_MS,
    onTheWay = async () => undefined,
  }: { idleMs?: number; onTheWay?: () => Promise<void> } = {},
) {
  const { sandbox } = world;
  sandbox.clearCalls();
  await Promise.all(sites.map((site) => site.measure()));
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const startedAt = Date.now();
  await Promise.all(sites.map((site) => site.beginWork()));
  await onTheWay();
  await untilAsked(async () => haveAllPasswords());
  delay.disable();
  // A machine that does nothing is no budget that lies idle.
  const measured = await Promise.all(sites.filter(({ isAlive }) => isAlive).map((site) => site.measure()));
  const stalledMs = Math.max(delay.max / 1e6, ...measured.map(({ longestDelayMs }) => longestDelayMs));
  const lastWrite = sandbox.calls.filter(({ method }) => method === 'PUT').at(-1)?.at ?? startedAt;
  const arrivals = sandbox.calls.map(({ at }) => at).filter((at) => at <= lastWrite);
  const idle = idleness({ arrivals: [startedAt, ...arrivals], windowMs, share });
  const longest = Math.max(...idle);
  const tooLong = idle.filter((milliseconds) => milliseconds > idleMs + stalledMs);
  say(
    `${world.contactIds.length} adds in ${sites.length} processes: ${((lastWrite - startedAt) / 1000).toFixed(1)} s, ` +
      `${arrivals.length} calls, ${((arrivals.length * windowMs) / (lastWrite - startedAt)).toFixed(0)} in each window of ` +
      `${windowMs / 1000} s on average, ${sandbox.peakCallsInWindow} at most, ${sandbox.rejectedCalls} refused; budget was idle for ` +
      `${longest} ms at most, the machine stalled for ${stalledMs.toFixed(0)} ms at most`,
  );
  return tooLong;
}

test.each(availableStores('PostgreSQL', ...(isWhole ? (['Redis'] as const) : [])))(
  `%s: ${webhooks} users get their passwords, no call is refused, and no budget lies idle`,
  async (store) => {
    const rateLimit = { limit: LIMIT, windowMs };
    await open(store, webhooks, rateLimit);
    await sendAll();
    const tooLong = await workOff(shareOfWrites(LIMIT), rateLimit);
    expect(world.sandbox.rejectedCalls).toBe(0);
    expect(world.sandbox.peakCallsInWindow).toBeLessThanOrEqual(shareOfReads(LIMIT));
    expect(tooLong).toEqual([]);
    // They paced themselves by what they shared; the last call is told of when it is over.
    if (store === 'PostgreSQL') {
      expect((await shared()).ended).toBeGreaterThan(0);
      await untilAsked(async () => (await shared()).running === 0);
    }
    // All had their part.
    const workers = new Set(
      world
        .ledger()
        .filter(({ what }) => what === 'afterCreate')
        .map(({ pid }) => pid),
    );
    expect(workers.size).toBe(PROCESSES);
    const ends = await Promise.all(sites.map((site) => site.close()));
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  },
  TIMEOUT_MS,
);

test.each(availableStores('PostgreSQL'))(
  '%s: a process that is killed in the middle of its calls costs the others no more budget than those calls',
  async (store) => {
    const rateLimit = { limit: SMALL_LIMIT, windowMs: 2000 };
    await open(store, 80, rateLimit);
    await sendAll();
    const { sandbox } = world;
    const onTheWay = async (): Promise<void> => {
      await sandbox.waitForCalls({ method: 'PUT' }, 30);
      await sites[0]!.kill();
      // What the dead one owed is due now, not in a quarter of an hour.
      await untilAsked(async () => {
        // One that meets a site in the same rows is made again.
        await world.makeDue('all').catch(() => undefined);
        return haveAllPasswords();
      });
    };
    // What the dead one had under way counts for a window: so long may others wait for it.
    const options = { idleMs: rateLimit.windowMs, onTheWay };
    const tooLong = await workOff(shareOfWrites(SMALL_LIMIT) - CONCURRENT, rateLimit, options);
    expect(sandbox.rejectedCalls).toBe(0);
    expect(tooLong).toEqual([]);
    // All that is left of the dead one.
    await untilAsked(async () => (await shared()).running <= CONCURRENT);
    expect((await shared()).ended).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
