// A group action: thousands of webhooks within seconds. They are stored as fast as they come, and worked off with few calls to
// the CRM, never more than it allows.
import { ACCESS_KEY, pause, untilAsked } from './common';
import { isWhole, say, SIZE, TIMEOUT_MS } from './size';
import type { SiteProcess } from './site-process';
import { availableStores } from './stores';
import { World } from './world';

const READS = { method: 'GET', path: '/Contacts' };
const WRITES = { method: 'PUT', path: '/Contacts' };
/** As many contacts as one call to the CRM reads. */
const PER_CALL = 50;
/** What a burst may leave in memory: code that was compiled, caches that were filled. Not webhooks. */
const HEAP_BOUND_BYTES = 12_000_000;

let world: World;
let site: SiteProcess;
afterEach(() => world.close());

/** What a burst has cost. The times are for the report alone: how fast a machine is proves nothing. */
interface Cost {
  readonly refused: number;
  readonly reads: number;
  readonly heapGrowthBytes: number;
  readonly story: string;
}

/** Sends a webhook for every contact, 200 at once, and waits until `isDone`. */
async function burst(
  action: string,
  isDone: () => Promise<boolean>,
  afterAcceptance = async (): Promise<void> => undefined,
): Promise<Cost> {
  const { sandbox, contactIds } = world;
  const before = await site.measure();
  sandbox.clearCalls();
  const start = performance.now();
  const seconds = (): string => ((performance.now() - start) / 1000).toFixed(1);
  const { deliveries } = await sandbox.burst({
    url: `${site.url}?wpf_action=${action}&access_key=${ACCESS_KEY}&contact_id=[Contact ID]`,
    contactIds,
    concurrency: 200,
  });
  const acceptedAfter = seconds();
  await afterAcceptance();
  await untilAsked(isDone);
  const doneAfter = seconds();
  const after = await site.measure();
  const reads = sandbox.callCount(READS);
  const heapGrowthBytes = after.heapBytes - before.heapBytes;
  const story =
    `${action}: ${reads} reads and ${sandbox.callCount(WRITES)} writes of contacts, accepted after ${acceptedAfter} s, ` +
    `done after ${doneAfter} s, ${(heapGrowthBytes / 1e6).toFixed(1)} MB more in memory than before, ` +
    `event loop held up for ${after.longestDelayMs.toFixed(0)} ms at most`;
  return { refused: deliveries.filter(({ status }) => status !== 202).length, reads, heapGrowthBytes, story };
}

/** Every password has arrived, and what was to look for that is gone. */
async function allReturned(): Promise<boolean> {
  if (world.contactIds.some((id) => (world.sandbox.contact(id)?.f1 ?? '') === '')) return false;
  await world.makeDue('all');
  await pause(200);
  return world.isEmpty();
}

const areTagged = async (tag: string): Promise<boolean> => {
  const users = await world.users();
  return users.length === world.contactIds.length && users.every(({ tags }) => tags.includes(tag));
};

// The calls to the CRM are the same whatever the database: one of them is enough for every change.
test.each(availableStores(...(isWhole ? [] : (['SQLite'] as const))))(
  `%s: ${SIZE.burst} webhooks for as many contacts`,
  async (database) => {
    world = await World.open({
      database,
      contacts: SIZE.burst,
      // As many calls as Ontraport allows, in a shorter minute.
      sandbox: { rateLimit: { limit: 180, windowMs: 2000 } },
    });
    const { sandbox, contactIds } = world;
    sandbox.latency(50);
    const timing = {};

    // Everybody becomes a user and gets a password, which is a call for each.
    site = await world.startSite({ timing });
    for (const id of contactIds) sandbox.tag(id, 'Trial');
    const added = await burst('add', allReturned);
    await site.close();
    expect(await areTagged('Trial')).toBe(true);

    // The worker begins when all have come, so that the number of calls does not depend on who is faster.
    site = await world.startSite({ timing, waitsWithWork: true });
    for (const id of contactIds) sandbox.tag(id, 'VIP');
    const tagged = await burst(
      'update_tags',
      () => world.isEmpty(),
      () => site.beginWork(),
    );
    await site.close();
    expect(await areTagged('VIP')).toBe(true);

    say(`${database}, a burst of ${SIZE.burst}\n${added.story}\n${tagged.story}`);
    expect([added.refused, tagged.refused]).toEqual([0, 0]);
    expect(sandbox.rejectedCalls).toBe(0);
    expect(tagged.reads).toBeLessThanOrEqual(1.2 * (SIZE.burst / PER_CALL));
    for (const { heapGrowthBytes } of [added, tagged]) expect(heapGrowthBytes).toBeLessThan(HEAP_BOUND_BYTES);
    const { dead, lanes } = await world.facts();
    expect({ dead, lanes }).toEqual({ dead: [], lanes: [] });
  },
  TIMEOUT_MS,
);
