// Two processes on one store share the work: no contact is in the hands of both at any time, also when one of them dies.
import { randomOf } from '../../lib/testing/sandbox/random';
import { untilAsked } from './common';
import { isWhole, SEED, SIZE, TIMEOUT_MS } from './size';
import { availableStores } from './stores';
import { Trial } from './trial';

/** So long that a busy machine does not take a contact from a process that is only slow. */
const LEASE_MS = 5000;

let trial: Trial | undefined;
afterEach(async () => {
  await trial?.close();
  trial = undefined;
});

// Two servers are enough for every change; the contract of the queue races two processes on each store.
test.each(availableStores(...(isWhole ? [] : (['PostgreSQL', 'Redis'] as const))))(
  '%s: a contact is with one process at a time, one of which dies twice',
  async (database) => {
    trial = await Trial.open({ database, seed: SEED, portions: 1, ...SIZE.trouble });
    const { world, senders } = trial;
    const start = () => world.startSite({ queue: { leaseMs: LEASE_MS }, watch: world.folder('in-work') });
    const first = await start();
    let second = await start();
    trial.sites = [first, second];
    const random = randomOf(SEED);
    const hasCreated = (pid: number): boolean =>
      world.ledger().some((line) => line.what === 'afterCreate' && line.pid === pid);
    for (let death = 0; death < 2; death += 1) {
      const before = senders.accepted.length;
      const portion = Math.floor(SIZE.trouble.webhooks / 3);
      // Both have their part, also where one of them would be fast enough for everything: nothing is in the first one's hands yet.
      if (death === 0) first.suspend();
      trial.release(portion);
      if (death === 0) {
        await untilAsked(async () => hasCreated(second.pid));
        first.resume();
      }
      await trial.accepted(before + Math.ceil(random() * portion * 0.8));
      await second.kill();
      second = await start();
      trial.sites = [first, second];
    }
    const facts = await trial.end();
    expect(trial.wrong(facts)).toBe('');
    // Both had their part.
    const workers = new Set(facts.ledger.filter(({ what }) => what === 'afterCreate').map(({ pid }) => pid));
    expect(workers.size).toBeGreaterThan(1);
    const ends = await Promise.all([first.close(), second.close()]);
    expect(ends.map(({ code }) => code)).toEqual([0, 0]);
  },
  TIMEOUT_MS,
);
