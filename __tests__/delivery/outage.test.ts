// The store of the queue or the CRM is gone for a while: webhooks are refused or late, none is lost.
import createKnex, { type Knex } from 'knex';
import { randomOf } from '../../lib/testing/sandbox/random';
import { LONG_DELAYS_MS } from '../../lib/worker/verdict';
import { pause } from './common';
import { FaultProxy, throughProxy } from '../faults/fault-proxy';
import { isWhole, SEED, SIZE, TIMEOUT_MS } from './size';
import type { SiteProcess, SiteSetting } from './site-process';
import { availableStores, type StoreName } from './stores';
import { Trial } from './trial';
import { LEASE_MS } from './world';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function open(database: StoreName): Promise<Trial> {
  const trial = await Trial.open({ database, seed: SEED, portions: 1, ...SIZE.trouble });
  cleanUps.push(() => trial.close());
  return trial;
}

/** Something that can be taken away from a site and given back. */
interface Breakable {
  /** How the site gets to it. */
  readonly setting: Partial<SiteSetting>;
  /** @param outage which one it is, from 1: they may differ. */
  take(outage: number): Promise<void>;
  giveBack(outage: number): Promise<void>;
}

/** A server behind a proxy: the connections are cut, and no new ones come about. */
async function server(trial: Trial): Promise<Breakable> {
  const { proxy, config } = await throughProxy(trial.world.database.config);
  cleanUps.push(() => proxy.close());
  return {
    setting: { connection: config },
    take: async () => proxy.cut(),
    giveBack: async () => proxy.restore(),
  };
}

/** The same with Redis, which also falls silent: once for good, and once as a slow line does, so that all arrives late. */
async function redisServer(trial: Trial): Promise<Breakable> {
  const { host, port } = trial.world.redis!.address;
  const proxy = await FaultProxy.start(host, port);
  cleanUps.push(() => proxy.close());
  const ways = [
    { take: () => proxy.cut(), giveBack: () => proxy.restore() },
    { take: () => proxy.silence(), giveBack: () => proxy.restore() },
    { take: () => proxy.silence(), giveBack: () => proxy.resume() },
  ];
  return {
    setting: { queue: { leaseMs: LEASE_MS, redis: { host, port: proxy.port } } },
    take: async (outage) => ways[outage % ways.length]!.take(),
    giveBack: async (outage) => ways[outage % ways.length]!.giveBack(),
  };
}

/** A file that somebody else keeps for himself. */
async function file(trial: Trial): Promise<Breakable> {
  const connection = trial.world.database.config;
  const other = createKnex({ ...connection } as Knex.Config);
  cleanUps.push(() => other.destroy());
  return {
    setting: { connection },
    take: async () => {
      await other.raw('begin exclusive');
    },
    giveBack: async () => {
      await other.raw('commit');
    },
  };
}

const BREAKABLE: Readonly<Record<StoreName, (trial: Trial) => Promise<Breakable>>> = {
  SQLite: file,
  PostgreSQL: server,
  MariaDB: server,
  Redis: redisServer,
};

/** With every change one of each kind: docs/faults.md is about all of them, one webhook at a time. */
const stores = isWhole ? availableStores() : availableStores('PostgreSQL', 'Redis');

describe.each(stores)('%s', (name) => {
  test(
    'a database that goes away and comes back, several times',
    async () => {
      const trial = await open(name);
      const { senders } = trial;
      const { setting, take, giveBack } = await BREAKABLE[name](trial);
      const random = randomOf(SEED);
      // A site that does not wait for long until it refuses a webhook.
      const site = await trial.world.startSite({
        ...setting,
        webhook: { ...trial.world.webhook, timeoutMs: 1000 },
      });
      trial.sites = [site];
      const outages = 3;
      for (let outage = 1; outage <= outages; outage += 1) {
        const portion = Math.floor(trial.unsent.length / (outages + 1 - outage));
        const before = senders.accepted.length;
        trial.release(portion);
        await trial.accepted(before + Math.floor(random() * portion * 0.7));
        await take(outage);
        const refused = senders.refused;
        while (senders.refused < refused + 3 && !senders.isIdle) await pause();
        // A file is only taken when nobody writes to it: until then all may have been accepted.
        if (name !== 'SQLite') expect(senders.refused).toBeGreaterThan(refused);
        await giveBack(outage);
        await trial.accepted(before + portion);
      }
      const facts = await trial.end(true);
      // What is said to a silent Redis may arrive when it speaks again.
      expect(trial.wrong({ ...facts, mayBeLate: name === 'Redis' })).toBe('');
      // It was really gone, and that is what was said.
      expect(senders.refused).toBeGreaterThan(0);
      expect([...senders.refusals.keys()]).toEqual([503]);
      expect(senders.accepted).toHaveLength(SIZE.trouble.webhooks);
      expect(await site.close()).toEqual({ code: 0, signal: null });
    },
    TIMEOUT_MS,
  );
});

/** More than there are tries for a failure that is not the CRM's. */
const MORE_THAN_ALL_TRIES = LONG_DELAYS_MS.length + 2;

test.each([
  ['unauthorized', MORE_THAN_ALL_TRIES],
  // Here the client itself tries for seconds before it gives up.
  ['error500', isWhole ? MORE_THAN_ALL_TRIES : 3],
  ['reset', isWhole ? MORE_THAN_ALL_TRIES : 3],
] as const)(
  'a CRM that is down, with %s, when each contact has met that %i times: nothing is given up, all is worked off when it is back',
  async (fault, times) => {
    const trial = await Trial.open({
      database: 'SQLite',
      seed: SEED,
      portions: 1,
      contacts: 3,
      webhooks: 9,
      site: { timing: { pollMs: 10, pauseMs: 0 } },
    });
    cleanUps.push(() => trial.close());
    const { world } = trial;
    const broken = world.sandbox.fail({ with: fault, times: Infinity });
    const site = await world.startSite();
    trial.sites = [site];
    trial.release();
    // Nothing of it shows to the senders.
    await trial.accepted(9);
    expect(trial.senders.refused).toBe(0);
    await untilPaused(trial, site, times);
    const { waiting, dead, users } = await world.facts();
    expect({ dead, users }).toEqual({ dead: [], users: [] });
    // No try was burnt.
    for (const { body } of waiting) expect(body).not.toContain('"tries"');
    broken.remove();
    const facts = await trial.end(true);
    expect(trial.wrong(facts)).toBe('');
    await site.close();
  },
  TIMEOUT_MS,
);

/** Lets time pass until every contact has met the CRM so often. */
async function untilPaused({ world }: Trial, site: SiteProcess, times: number): Promise<void> {
  for (;;) {
    const waiting = await world.waiting();
    const contacts = new Set(waiting.map(({ contactId }) => contactId));
    const pausesOf = (contactId: string): number =>
      Math.max(...waiting.filter((job) => job.contactId === contactId).map(({ pauses }) => pauses));
    if ([...contacts].every((contactId) => pausesOf(contactId) >= times)) return;
    if (!site.isAlive) throw new Error('The site has died.');
    await world.makeDue('all');
    await pause();
  }
}
