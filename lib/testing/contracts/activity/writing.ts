// The contract of writing: entries become records, in whatever order they come.
import type { ActivityRecord } from '../../../activity/activity-log';
import { expectSame, expectTrue } from '../expectations';
import type { Suite } from '../runner';
import { attempt, recordWith, type Stage } from './stage';
import { HOSTILE } from './texts';

const ADDED = 'An entry adds to what is known of its webhook: what it leaves out keeps its value.';
const LATE =
  'That a webhook was stored is told by another process than what became of it, and may be told later. An entry with the state ' +
  '"waiting" and without an attempt or a replay only adds what is not known yet.';
const COPIES = 'Nothing is shared with who wrote or read a record: give copies.';

export function writing(suite: Suite<Stage>): void {
  suite.group('writing', () => {
    suite.test('an entry makes a record, whole', async (stage) => {
      const webhook = stage.webhook();
      await stage.write([webhook]);
      expectSame(
        await stage.get(webhook.id),
        recordWith(webhook),
        'A record has every property, also those that nobody told anything of.',
      );
    });

    suite.test('everything that is told comes back', async (stage) => {
      const webhook = stage.webhook();
      const told: Partial<ActivityRecord> = {
        ...{ key: 'key 1', action: 'add', contactId: '42', role: 'customer', sendNotification: true },
        ...{ dryRun: true, userId: '7', state: 'done', outcome: 'updated', reason: 'because' },
        ...{ code: 'A_CODE', detail: 'In words.', jobId: '9', replayOf: 'another' },
        ...{
          warnings: [{ code: 'EMAIL_TAKEN', message: 'It is taken.' }],
          tagsAdded: ['a', 'b'],
          tagsRemoved: ['c'],
        },
        changes: [{ field: 'email' }, { field: 'meta', from: ['a', 1, null, true], to: { a: { b: '' } } }],
      };
      await stage.write([{ ...webhook, ...told, attempt: attempt(5, 'A_CODE'), replay: 6 }]);
      const record = recordWith({ ...webhook, ...told, attempts: [attempt(5, 'A_CODE')], replays: [6] });
      expectSame(
        await stage.get(webhook.id),
        record,
        'get() has to give everything that was told of the webhook, as it was told.',
      );
      expectSame(
        await stage.list(),
        [record],
        'list() has to give everything that was told of the webhook, as it was told.',
      );
    });

    suite.test('an entry adds to what is known, and its try to the tries', async (stage) => {
      const webhook = stage.webhook();
      await stage.write([{ ...webhook, state: 'waiting', key: 'key 1', jobId: '9', contactId: '42' }]);
      await stage.write([{ ...webhook, state: 'waiting', code: 'DOWN', attempt: attempt(1, 'DOWN') }]);
      await stage.write([{ ...webhook, state: 'done', outcome: 'created', code: null, attempt: attempt(2) }]);
      const record = recordWith({
        ...webhook,
        ...{ state: 'done', key: 'key 1', jobId: '9', contactId: '42', outcome: 'created' },
        attempts: [attempt(1, 'DOWN'), attempt(2)],
      });
      expectSame(await stage.get(webhook.id), record, ADDED);
    });

    suite.test('several entries of one webhook in one batch', async (stage) => {
      const [one, two] = [stage.webhook(), stage.webhook()];
      await stage.write([{ ...one, contactId: '42', attempt: attempt(1) }]);
      await stage.write([
        { ...two, state: 'waiting', jobId: '9' },
        { ...one, state: 'waiting', attempt: attempt(2, 'DOWN') },
        { ...two, state: 'done', outcome: 'created', attempt: attempt(3) },
        { ...one, state: 'done', outcome: 'updated', attempt: attempt(4) },
      ]);
      const why = `They count in their order. ${ADDED}`;
      const attempts = [attempt(1), attempt(2, 'DOWN'), attempt(4)];
      await stage.expectKnown(one.id, { contactId: '42', state: 'done', outcome: 'updated', attempts }, why);
      await stage.expectKnown(two.id, { jobId: '9', state: 'done', attempts: [attempt(3)] }, why);
      expectSame((await stage.list()).length, 2, `A webhook has one record. ${why}`);
    });

    suite.test('that it was stored may be told after what became of it', async (stage) => {
      const webhook = stage.webhook();
      await stage.write([
        { ...webhook, state: 'done', outcome: 'created', action: 'add', attempt: attempt(2) },
      ]);
      await stage.write([{ ...webhook, state: 'waiting', action: 'x', key: 'key 1', jobId: '9' }]);
      const told = { state: 'done', outcome: 'created', action: 'add', key: 'key 1', jobId: '9' } as const;
      await stage.expectKnown(webhook.id, { ...told, attempts: [attempt(2)] }, LATE);
    });

    suite.test('… in the same batch too', async (stage) => {
      const webhook = stage.webhook();
      await stage.write([
        { ...webhook, state: 'dead', code: 'DOWN', attempt: attempt(2, 'DOWN') },
        { ...webhook, state: 'waiting', key: 'key 1' },
      ]);
      await stage.expectKnown(webhook.id, { state: 'dead', code: 'DOWN', key: 'key 1' }, LATE);
    });

    suite.test('a try that failed makes it wait again', async (stage) => {
      const webhook = stage.webhook();
      await stage.write([{ ...webhook, state: 'done' }]);
      await stage.write([{ ...webhook, state: 'waiting', code: 'DOWN', attempt: attempt(2, 'DOWN') }]);
      await stage.expectKnown(
        webhook.id,
        { state: 'waiting', code: 'DOWN' },
        'An entry with an attempt is not late: it tells where the webhook stands.',
      );
    });

    suite.test('somebody has it tried again', async (stage) => {
      const webhook = stage.webhook();
      await stage.write([{ ...webhook, state: 'dead', code: 'DOWN' }]);
      await stage.write([{ ...webhook, state: 'waiting', replay: 5 }]);
      await stage.expectKnown(
        webhook.id,
        { state: 'waiting', replays: [5] },
        'An entry with a replay is not late: it tells where the webhook stands.',
      );
      await stage.write([{ ...webhook, state: 'waiting', replay: 6 }]);
      await stage.expectKnown(
        webhook.id,
        { replays: [5, 6] },
        'Each replay is added behind those that are known.',
      );
    });

    suite.test('of very many tries the first one and the last ones are kept', async (stage) => {
      const webhook = stage.webhook();
      const entries = Array.from({ length: 200 }, (_, at) => ({ ...webhook, attempt: attempt(at) }));
      await stage.write(entries.slice(0, 100));
      await stage.write(entries.slice(100));
      const attempts = (await stage.known(webhook.id)).attempts.map(({ at }) => at);
      const why = 'A CRM that is down for days makes hundreds of tries, and a record may not grow for ever.';
      expectTrue(attempts.length < 100, `${why} It lists ${attempts.length}.`);
      expectSame([attempts[0], attempts.at(-2), attempts.at(-1)], [0, 198, 199], why);
    });

    suite.test('large batches, and empty ones', async (stage) => {
      await stage.write([]);
      expectSame(await stage.list(), [], 'Nothing was told, so there is nothing that could be listed.');
      const webhooks = stage.webhooks(100);
      const entries = [1, 2, 3, 4].flatMap((at) => webhooks.map((one) => ({ ...one, attempt: attempt(at) })));
      await stage.write(entries);
      const records = await stage.list({ limit: 1000 });
      expectSame(
        records.map(({ attempts }) => attempts.length),
        webhooks.map(() => 4),
        `400 entries come in one call. ${ADDED}`,
      );
    });

    suite.test('nothing is shared with who wrote or read it', async (stage) => {
      const webhook = stage.webhook();
      const tagsAdded = ['a'];
      const tried = { ...attempt(1) };
      await stage.write([{ ...webhook, tagsAdded, attempt: tried }]);
      tagsAdded.push('b');
      tried.at = 2;
      const given = [await stage.known(webhook.id), ...(await stage.list())];
      for (const record of given) (record.tagsAdded as string[]).push('c');
      await stage.expectKnown(webhook.id, { tagsAdded: ['a'], attempts: [attempt(1)] }, COPIES);
      expectSame((await stage.list())[0]?.tagsAdded, ['a'], COPIES);
    });

    suite.test('whatever the texts are, they come back', async (stage) => {
      const told = HOSTILE.map((text) => ({
        ...stage.webhook(),
        ...{ state: 'failed' as const, key: text, action: text, contactId: text, role: text, userId: text },
        ...{ outcome: text, reason: text, code: text, detail: text, jobId: text, replayOf: text },
        ...{ tagsAdded: [text], tagsRemoved: [text], changes: [{ field: text, from: text, to: [text] }] },
      }));
      for (const entry of told) await stage.write([entry]);
      for (const entry of told) {
        const why = `A text has to come back as it was: ${JSON.stringify(entry.key.slice(0, 40))}. Who sends a webhook chooses it.`;
        expectSame(await stage.get(entry.id), recordWith(entry), why);
      }
    });
  });
}
