// A site dies while a webhook is given up, and another one of its contact waits: neither is lost, and nothing is done twice.
import { Queue } from 'bullmq';
import { BullMqWebhookQueue } from '../../lib/bullmq';
import { untilAsked } from './common';
import { OF_DEAD_LETTERS } from './kill-test';
import type { PlannedWebhook } from './plan';
import { TIMEOUT_MS } from './size';
import { availableStores } from './stores';
import { Trial } from './trial';

const READS = { method: 'GET', path: '/Contacts' };
/** What the middleware is called where the host does not say. */
const NAME = 'default';

let trial: Trial;
afterEach(() => trial.close());

const webhook = (number: number, contact: number, action: PlannedWebhook['action']): PlannedWebhook => ({
  number,
  contact,
  action,
  sendNotification: false,
  change: { plan: `plan ${number}` },
});

async function send(planned: PlannedWebhook): Promise<void> {
  trial.senders.release([planned]);
  await untilAsked(async () => trial.senders.isIdle);
}

describe.each(availableStores('Redis'))('%s', (database) => {
  test.each([OF_DEAD_LETTERS, 'bull: contact finished'])(
    'a site that dies at “%s” while it gives up a webhook',
    async (step) => {
      trial = await Trial.open({ database, seed: 1, contacts: 2, plan: [] });
      const { world } = trial;
      const [firstId = '', secondId = ''] = world.contactIds;
      const first = await world.startSite();
      trial.sites = [first];
      await send(webhook(0, 0, 'add'));
      await trial.end();
      await first.close();

      // Two contacts with one email: only a person can say whose user it is.
      world.sandbox.updateContact(secondId, { email: world.sandbox.contact(firstId)?.email ?? '' });
      const dying = await world.startSite({ death: { step, hit: 1 } });
      trial.sites = [dying];
      const read = world.sandbox.hold({ ...READS, when: 'after', times: 1 });
      await send(webhook(1, 1, 'add'));
      await read.caught();
      await send(webhook(2, 1, 'update'));
      read.release();
      await dying.ended;
      expect(world.ledger().some((line) => line.what === 'dies at' && line.step === step)).toBe(true);

      const last = await world.startSite();
      trial.sites = [last];
      await untilAsked(() => world.isEmpty());
      const { dead, users } = await world.facts();
      expect(dead).toMatchObject([{ contactId: secondId, action: 'add' }]);
      expect(users).toHaveLength(1);

      // A person sees it on a dashboard, and mends what was wrong.
      world.sandbox.updateContact(secondId, { email: 'second@example.com' });
      const connection = world.redis!.address;
      const queue = new BullMqWebhookQueue({ connection });
      const board = new Queue(`wp-fusion-webhook.${NAME}`, { connection });
      try {
        await untilAsked(async () => (await board.getFailedCount()) === 1);
        const [shown] = await board.getFailed();
        const [letter] = await queue.deadLetters(NAME, { limit: 10 });
        expect(shown?.data).toMatchObject({
          contactId: secondId,
          deadLetters: [{ id: letter?.id, action: 'add' }],
        });
        expect(await queue.replay(NAME)).toBe(1);
      } finally {
        await board.close();
        await queue.close();
      }
      expect(trial.wrong(await trial.end())).toBe('');
      await untilAsked(async () => (await world.leftovers()).length === 0);
      expect(await last.close()).toEqual({ code: 0, signal: null });
    },
    TIMEOUT_MS,
  );
});
