// A webhook that comes while its contact is being worked on, and a process that wakes up when its contact is somebody else's:
// neither takes anything away from the other.
import { untilAsked } from './common';
import type { PlannedWebhook } from './plan';
import { TIMEOUT_MS } from './size';
import { storesOfEveryChange } from './stores';
import { Trial } from './trial';

const READS = { method: 'GET', path: '/Contacts' };

let trial: Trial;
afterEach(() => trial.close());

/** A webhook for the only contact there is. */
const webhook = (number: number, more: Partial<PlannedWebhook> = {}): PlannedWebhook => ({
  number,
  contact: 0,
  action: 'update',
  sendNotification: false,
  change: { plan: `plan ${number}`, tags: number % 2 === 0 ? ['VIP'] : ['Trial'] },
  ...more,
});

/** Sends webhooks and waits until they are accepted. */
async function send(...webhooks: PlannedWebhook[]): Promise<void> {
  trial.senders.release(webhooks);
  await untilAsked(async () => trial.senders.isIdle);
}

describe.each(storesOfEveryChange())('%s', (database) => {
  test(
    'what comes while its contact is being worked on is done afterwards',
    async () => {
      trial = await Trial.open({ database, seed: 1, contacts: 1, plan: [] });
      const { world } = trial;
      const site = await world.startSite();
      trial.sites = [site];
      let number = 0;
      for (const first of ['add', 'add', 'update', 'update_tags'] as const) {
        for (const second of ['add', 'update'] as const) {
          // The first one has read the contact as it was; what it does with that is still to come.
          const held = world.sandbox.hold({ ...READS, when: 'after', times: 1 });
          const change = first === 'update_tags' ? { tags: ['Member'] } : webhook(number).change;
          await send(webhook((number += 1), { action: first, change }));
          await held.caught();
          await send(
            webhook((number += 1), { action: second, role: number % 4 === 0 ? 'vip' : 'customer' }),
            webhook((number += 1), { action: 'update_tags', change: { tags: ['Trial', 'Customer'] } }),
          );
          held.release();
          expect(trial.wrong(await trial.end())).toBe('');
        }
      }
      expect(await site.close()).toEqual({ code: 0, signal: null });
    },
    TIMEOUT_MS,
  );

  test(
    'a process that was suspended for longer than its lease takes nothing from the one that has its contact',
    async () => {
      trial = await Trial.open({ database, seed: 1, contacts: 1, plan: [] });
      const { world } = trial;
      const start = () => world.startSite({ queue: { leaseMs: 2000 }, watch: world.folder('in-work') });
      const first = await start();
      trial.sites = [first];
      const readByTheFirst = world.sandbox.hold({ ...READS, when: 'after', times: 1 });
      await send(webhook(1, { action: 'add', role: 'vip' }));
      await readByTheFirst.caught();
      first.suspend();
      // What it did before is no collision: it cannot know yet. From here on it is.
      const second = await start();
      trial.sites = [second];
      await untilAsked(async () => (await world.users()).length === 1);
      await trial.end();

      const readByTheSecond = world.sandbox.hold({ ...READS, when: 'after', times: 1 });
      await send(webhook(2, { role: 'customer' }));
      await readByTheSecond.caught();
      readByTheFirst.release();
      first.resume();
      const hasEnded = (): boolean =>
        world
          .ledger()
          .some(
            (line) =>
              line.pid === first.pid &&
              (line.what === 'log' || (line.what === 'step' && line.step === 'work: finished')),
          );
      await untilAsked(async () => hasEnded());
      await send(webhook(3, { action: 'update_tags', change: { tags: ['Trial', 'Member'] } }));
      readByTheSecond.release();
      const facts = await trial.end();
      const expected = `taken while in the hands of ${first.pid}`;
      // That it was taken from the one that slept is what should happen, once.
      const isExpected = (line: (typeof facts.ledger)[number]): boolean =>
        line.what === 'collision' && line.detail === expected && line.pid === second.pid;
      expect(facts.ledger.filter(isExpected)).toHaveLength(1);
      expect(trial.wrong({ ...facts, ledger: facts.ledger.filter((line) => !isExpected(line)) })).toBe('');
      expect(facts.ledger.filter(({ what }) => what === 'afterCreate')).toHaveLength(1);
      const ends = await Promise.all([first.close(), second.close()]);
      expect(ends.map(({ code }) => code)).toEqual([0, 0]);
    },
    TIMEOUT_MS,
  );
});
