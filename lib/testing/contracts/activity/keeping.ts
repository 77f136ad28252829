// The contract of keeping: names apart, bounds, and forgetting.
import { expectSame, expectTrue } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import { attempt, LATER_MS, type Stage } from './stage';

const NAMED =
  'What is kept under one name is never seen under another: the name belongs into every key and every WHERE.';
const BOUNDED =
  'Rejected records have a bound of their own: anybody can make as many of them as they like, and they may push nothing else out.';
const FORGOTTEN =
  'forget() deletes every record of the contact, and no other, and tells how many those were.';
/** As many entries as the middleware writes at once. */
const BATCH = 200;

export function keeping(suite: Suite<Stage>, { limits: { records, rejected } }: Settings): void {
  suite.group('names', () => {
    suite.test('an id under two names is two records', async (stage) => {
      const elsewhere = { name: stage.otherName };
      const webhook = stage.webhook();
      await stage.write([{ ...webhook, contactId: '7', state: 'done' }]);
      expectSame(await stage.get(webhook.id, elsewhere), null, NAMED);
      await stage.write([{ ...webhook, contactId: '7', attempt: attempt(1) }], elsewhere);
      await stage.expectKnown(webhook.id, { state: 'done', attempts: [] }, NAMED);
      expectSame((await stage.known(webhook.id, elsewhere)).state, 'waiting', NAMED);
      expectSame(
        (await stage.list({ contactId: '7' })).map(({ state }) => state),
        ['done'],
        NAMED,
      );
      const range = { from: stage.start, to: stage.start + LATER_MS, stepMs: LATER_MS };
      expectSame(
        (await stage.counts(range)).map(({ state }) => state),
        ['done'],
        NAMED,
      );
      expectSame(await stage.forget('7', elsewhere), 1, NAMED);
      expectSame((await stage.list()).length, 1, NAMED);
    });

    suite.test('names are compared to the letter', async (stage) => {
      const webhook = stage.webhook();
      await stage.write([{ ...webhook, contactId: '7' }]);
      const others = [
        stage.name.toUpperCase(),
        `${stage.name} `,
        stage.name.slice(0, -1),
        `${stage.name.slice(0, -1)}_`,
        '%',
        '',
        '__proto__',
      ];
      for (const name of others) {
        expectSame(
          await stage.get(webhook.id, { name }),
          null,
          `The name is ${JSON.stringify(name)}. ${NAMED}`,
        );
        expectSame(await stage.forget('7', { name }), 0, `The name is ${JSON.stringify(name)}. ${NAMED}`);
      }
      const names = [
        `${stage.name} \u{1f600}`,
        `${stage.name} \0`,
        `__proto__ ${stage.name}`,
        `${stage.name}${'x'.repeat(1000)}`,
      ];
      for (const name of names) await stage.write([{ ...webhook, key: name }], { name });
      for (const name of names) {
        expectSame(
          (await stage.list({}, { name })).map(({ key }) => key),
          [name],
          NAMED,
        );
        expectSame((await stage.get(webhook.id, { name }))?.key, name, NAMED);
      }
    });
  });

  suite.group('bounds', () => {
    suite.test(
      'a flood of rejected calls pushes nothing else out, and the last ones are kept',
      async (stage) => {
        const most = rejected ?? 0;
        const accepted = stage.webhooks(20).map((one) => ({ ...one, state: 'done' as const }));
        await stage.write(accepted);
        const flood = stage
          .webhooks(most * 3 + BATCH * 2)
          .map((one) => ({ ...one, state: 'rejected' as const }));
        for (let start = 0; start < flood.length; start += BATCH) {
          await stage.write(flood.slice(start, start + BATCH), { by: stage.side(start / BATCH) });
        }
        const kept = await stage.idsOf({ state: 'rejected', limit: most * 10 });
        const newest = flood.map(({ id }) => id).reverse();
        expectTrue(
          kept.length > 0 && kept.length <= most + Math.ceil(most / 100),
          `${BOUNDED} There are ${kept.length}, the limit is ${most}.`,
        );
        expectSame(kept, newest.slice(0, kept.length), `The newest are kept. ${BOUNDED}`);
        const done = await stage.idsOf({ state: 'done', limit: 1000 });
        expectSame(done, accepted.map(({ id }) => id).reverse(), BOUNDED);
      },
      rejected === undefined && 'limits.rejected',
    );

    suite.test(
      'of too many records the newest are kept, under each name',
      async (stage) => {
        const most = records ?? 0;
        const elsewhere = { name: stage.otherName };
        await stage.write(stage.webhooks(5), elsewhere);
        const webhooks = stage.webhooks(most + BATCH);
        await stage.write([{ ...stage.webhook(), state: 'rejected' }]);
        for (let start = 0; start < webhooks.length; start += BATCH) {
          await stage.write(webhooks.slice(start, start + BATCH));
        }
        const kept = await stage.idsOf({ state: 'waiting', limit: most * 10 });
        const why = `The log is set to keep ${most} records under each name, and keeps ${kept.length}.`;
        expectTrue(kept.length >= most * 0.9 && kept.length <= most + Math.ceil(most / 100), why);
        expectSame(
          kept,
          webhooks
            .map(({ id }) => id)
            .reverse()
            .slice(0, kept.length),
          'Of too many records the newest have to be kept.',
        );
        expectSame(
          (await stage.list({ state: 'rejected' })).length,
          1,
          `Those that were let in push no rejected one out. ${BOUNDED}`,
        );
        expectSame((await stage.list({}, elsewhere)).length, 5, NAMED);
      },
      records === undefined && 'limits.records',
    );
  });

  suite.group('forgetting', () => {
    suite.test('every record of a contact, and no other', async (stage) => {
      const contacts = ['7', '8', '7', '77', ' 7', '7', null];
      await stage.write(contacts.map((contactId) => ({ ...stage.webhook(), contactId, state: 'done' })));
      await stage.write([{ ...stage.webhook(), contactId: '7', state: 'rejected' }]);
      expectSame(await stage.forget('7'), 4, FORGOTTEN);
      expectSame(
        (await stage.list()).map(({ contactId }) => contactId),
        [null, ' 7', '77', '8'],
        FORGOTTEN,
      );
      expectSame(await stage.forget('7'), 0, FORGOTTEN);
      expectSame(await stage.forget('nobody'), 0, FORGOTTEN);
    });

    suite.test('whatever its id is', async (stage) => {
      for (const contactId of ["it's", 'a%', '\u{1f600}', 'x'.repeat(10_000), '__proto__']) {
        await stage.write([{ ...stage.webhook(), contactId }]);
        expectSame(await stage.forget(contactId), 1, FORGOTTEN);
      }
      expectSame(await stage.list(), [], FORGOTTEN);
    });

    suite.test('what is written later is kept again', async (stage) => {
      const webhook = stage.webhook();
      await stage.write([{ ...webhook, contactId: '7', detail: 'personal', state: 'waiting' }]);
      await stage.forget('7');
      await stage.write([{ ...webhook, contactId: '7', state: 'done', attempt: attempt(1) }]);
      await stage.expectKnown(
        webhook.id,
        { contactId: '7', state: 'done', detail: null },
        'Of a webhook that was forgotten only what was told since is known.',
      );
    });
  });
}
