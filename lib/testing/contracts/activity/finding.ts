// The contract of finding: filters, pages, counts, and one record by its id.
import type { ActivityEntry, ActivityFilter } from '../../../activity/activity-log';
import { expectSame } from '../expectations';
import type { Suite } from '../runner';
import { attempt, LATER_MS, type Stage } from './stage';
import { HOSTILE, lookalikesOf } from './texts';

const NEWEST_FIRST = 'Records are listed in the order in which webhooks were received, the newest first.';
const TOGETHER = 'What a filter says has to hold together, and is compared to the letter.';
const PAGES =
  'A page has the records behind the one whose id is `before`: page by page each record comes once.';
const COUNTED =
  'counts() tells how many webhooks were received in each step, by where they stand now and by their code.';
const TEXTS = ['contactId', 'userId', 'action', 'outcome', 'code'] as const;

/** Six webhooks, each of which differs from the others in some way. */
const told: readonly Partial<ActivityEntry>[] = [
  { contactId: '7', userId: '1', action: 'add', state: 'done', outcome: 'created' },
  { contactId: '8', userId: '2', action: 'add', state: 'dead', code: 'CONFLICT' },
  { contactId: '7', userId: '1', action: 'update', state: 'done', outcome: 'updated' },
  { contactId: '8', action: 'update', state: 'failed', code: 'CONFLICT' },
  { state: 'rejected', code: 'WRONG_KEY' },
  { contactId: '7', action: 'update', state: 'waiting', code: 'DOWN' },
];

/** Which of them a filter finds, from 0 on. */
const found: readonly (readonly [ActivityFilter, readonly number[]])[] = [
  [{}, [5, 4, 3, 2, 1, 0]],
  [{ contactId: '7' }, [5, 2, 0]],
  [{ userId: '1' }, [2, 0]],
  [{ action: 'add' }, [1, 0]],
  [{ state: 'dead' }, [1]],
  [{ state: 'rejected' }, [4]],
  [{ outcome: 'updated' }, [2]],
  [{ code: 'CONFLICT' }, [3, 1]],
  [{ limit: 2 }, [5, 4]],
  [{ limit: 0 }, []],
  [{ contactId: '7', state: 'done' }, [2, 0]],
  [{ contactId: '7', state: 'dead' }, []],
  [{ contactId: '8', code: 'CONFLICT', state: 'failed' }, [3]],
  [{ action: 'update', outcome: 'updated' }, [2]],
  [{ action: 'add', outcome: 'updated' }, []],
  [{ state: 'done', code: 'CONFLICT' }, []],
  [{ userId: '1', contactId: '7', action: 'add', state: 'done', outcome: 'created' }, [0]],
  [{ contactId: 'nobody' }, []],
  [{ code: 'never' }, []],
];

async function writeAll(stage: Stage): Promise<string[]> {
  const entries = told.map((one) => ({ ...stage.webhook(), ...one }));
  // Not in their order: what becomes of webhooks is told as it becomes known.
  await stage.write([3, 0, 5].map((index) => entries[index]).filter((one) => one !== undefined));
  await stage.write([4, 2, 1].map((index) => entries[index]).filter((one) => one !== undefined));
  return entries.map(({ id }) => id);
}

export function finding(suite: Suite<Stage>): void {
  suite.group('finding', () => {
    suite.test('the newest first, 50 where nothing else is said', async (stage) => {
      const webhooks = stage.webhooks(60);
      await stage.write([...webhooks].reverse());
      const newest = webhooks.map(({ id }) => id).reverse();
      expectSame(await stage.idsOf(), newest.slice(0, 50), NEWEST_FIRST);
      expectSame(await stage.idsOf({ limit: 1000 }), newest, NEWEST_FIRST);
    });

    suite.test('every filter, alone and together', async (stage) => {
      const ids = await writeAll(stage);
      for (const [filter, expected] of found) {
        const why = `The filter is ${JSON.stringify(filter)}. ${TOGETHER} ${NEWEST_FIRST}`;
        expectSame(
          await stage.idsOf(filter),
          expected.map((index) => ids[index]),
          why,
        );
      }
    });

    suite.test('stretches of time', async (stage) => {
      const ids = await writeAll(stage);
      const at = (index: number): number => stage.start + index * LATER_MS;
      const filters: [ActivityFilter, number[]][] = [
        [{ from: at(4) }, [5, 4]],
        [{ from: at(4) + 1 }, [5]],
        [{ from: at(3) + 0.5 }, [5, 4]],
        [{ to: at(1) }, [0]],
        [{ to: at(1) + 1 }, [1, 0]],
        [{ from: at(1), to: at(3) }, [2, 1]],
        [{ from: at(3), to: at(1) }, []],
        [{ from: 0, to: at(100) }, [5, 4, 3, 2, 1, 0]],
        [{ from: at(1), to: at(4), state: 'done' }, [2]],
        [{ from: at(1), contactId: '7', action: 'update' }, [5, 2]],
      ];
      for (const [filter, expected] of filters) {
        const relative = JSON.stringify({ ...filter, from: filter.from ?? null, to: filter.to ?? null });
        const why = `The filter is ${relative}; webhooks came every ${LATER_MS} ms from ${stage.start} on. \`from\` is the first that counts, \`to\` the first that does not.`;
        expectSame(
          await stage.idsOf(filter),
          expected.map((index) => ids[index]),
          why,
        );
      }
    });

    suite.test('page by page', async (stage) => {
      const webhooks = stage.webhooks(25);
      await stage.write(
        webhooks.map((one, index) => ({ ...one, action: index % 5 === 0 ? 'add' : 'update' })),
      );
      for (const filter of [{}, { action: 'update' }, { from: stage.start + 3 * LATER_MS }]) {
        const all = await stage.idsOf({ ...filter, limit: 1000 });
        const paged: string[] = [];
        for (let page = await stage.idsOf({ ...filter, limit: 4 }); page.length > 0;) {
          paged.push(...page);
          if (paged.length > 100) break;
          page = await stage.idsOf({ ...filter, limit: 4, before: page.at(-1) });
        }
        expectSame(paged, all, `The filter is ${JSON.stringify(filter)}. ${PAGES}`);
      }
    });

    suite.test('webhooks of the same moment, page by page', async (stage) => {
      const { receivedAt } = stage.webhook();
      const time = receivedAt.toString(36).padStart(9, '0');
      const ids = Array.from({ length: 9 }, (_, number) => `${time}-${String(number).padStart(12, '0')}`);
      await stage.write(ids.map((id) => ({ id, receivedAt })));
      const pages = [await stage.idsOf({ limit: 4 })];
      pages.push(await stage.idsOf({ limit: 4, before: pages[0]?.at(-1) }));
      pages.push(await stage.idsOf({ limit: 4, before: pages[1]?.at(-1) }));
      expectSame(pages.flat(), ids.reverse(), PAGES);
    });

    suite.test('the page behind a record that is gone meanwhile', async (stage) => {
      const webhooks = stage.webhooks(6);
      await stage.write(webhooks.map((one, index) => ({ ...one, contactId: index === 3 ? 'gone' : '7' })));
      await stage.forget('gone');
      const expected = webhooks
        .slice(0, 3)
        .map(({ id }) => id)
        .reverse();
      expectSame(
        await stage.idsOf({ before: webhooks[3]?.id }),
        expected,
        `The record was forgotten. ${PAGES}`,
      );
    });

    suite.test('whatever the texts are, they are found, and no others', async (stage) => {
      const entries = HOSTILE.map((text) => ({
        ...stage.webhook(),
        ...{ contactId: text, userId: text, action: text, outcome: text, code: text },
      }));
      for (const entry of entries) await stage.write([entry]);
      for (const [index, text] of HOSTILE.entries()) {
        for (const name of TEXTS) {
          const why = `The filter is ${name}: ${JSON.stringify(text.slice(0, 40))}. ${TOGETHER}`;
          expectSame(await stage.idsOf({ [name]: text }), [entries[index]?.id], why);
        }
      }
      for (const text of lookalikesOf('x'.repeat(300)).filter((one) => !HOSTILE.includes(one))) {
        for (const name of TEXTS) expectSame(await stage.idsOf({ [name]: text }), [], TOGETHER);
      }
    });

    suite.test('texts that look alike are different ones', async (stage) => {
      await stage.write([
        { ...stage.webhook(), contactId: 'abc', userId: 'abc', action: 'abc', outcome: 'abc', code: 'abc' },
      ]);
      for (const text of lookalikesOf('abc')) {
        for (const name of TEXTS) {
          const why = `The filter is ${name}: ${JSON.stringify(text)}, and "abc" was written. ${TOGETHER}`;
          expectSame(await stage.idsOf({ [name]: text }), [], why);
        }
      }
    });

    suite.test('one record by its id, and null for ids that nobody wrote', async (stage) => {
      const webhook = stage.webhook();
      await stage.write([webhook]);
      expectSame(
        (await stage.get(webhook.id))?.id,
        webhook.id,
        'get() has to give the record with this correlation id.',
      );
      for (const id of [
        '',
        webhook.id.toUpperCase(),
        `${webhook.id} `,
        '%',
        stage.webhook().id,
        '__proto__',
        'x'.repeat(10_000),
      ]) {
        expectSame(
          await stage.get(id),
          null,
          `There is no record with the id ${JSON.stringify(id.slice(0, 40))}.`,
        );
      }
    });
  });

  suite.group('counting', () => {
    suite.test('step by step, by state and code', async (stage) => {
      await writeAll(stage);
      const from = stage.start;
      expectSame(
        await stage.counts({ from, to: from + 6 * LATER_MS, stepMs: 2 * LATER_MS }),
        [
          { at: from, state: 'dead', code: 'CONFLICT', count: 1 },
          { at: from, state: 'done', code: null, count: 1 },
          { at: from + 2 * LATER_MS, state: 'done', code: null, count: 1 },
          { at: from + 2 * LATER_MS, state: 'failed', code: 'CONFLICT', count: 1 },
          { at: from + 4 * LATER_MS, state: 'rejected', code: 'WRONG_KEY', count: 1 },
          { at: from + 4 * LATER_MS, state: 'waiting', code: 'DOWN', count: 1 },
        ],
        COUNTED,
      );
      expectSame(
        (await stage.counts({ from: from + 1, to: from + 5 * LATER_MS, stepMs: 60_000 })).map(
          ({ at, count }) => [at, count],
        ),
        [1, 1, 1, 1].map((count) => [from + 1, count]),
        `The first step begins at \`from\`; what was received at \`to\` does not count. ${COUNTED}`,
      );
    });

    suite.test('where they stand now', async (stage) => {
      const webhooks = stage.webhooks(30);
      const range = { from: stage.start, to: stage.start + 30 * LATER_MS, stepMs: 30 * LATER_MS };
      await stage.write(webhooks.map((one) => ({ ...one, state: 'waiting', code: 'DOWN' })));
      expectSame(
        await stage.counts(range),
        [{ at: stage.start, state: 'waiting', code: 'DOWN', count: 30 }],
        COUNTED,
      );
      await stage.write(
        webhooks.slice(0, 20).map((one) => ({ ...one, state: 'done', code: null, attempt: attempt(1) })),
      );
      expectSame(
        await stage.counts(range),
        [
          { at: stage.start, state: 'done', code: null, count: 20 },
          { at: stage.start, state: 'waiting', code: 'DOWN', count: 10 },
        ],
        COUNTED,
      );
    });

    suite.test('no dry runs, and no steps in which there was nothing', async (stage) => {
      const [first, second] = stage.webhooks(2);
      if (first === undefined || second === undefined) return;
      await stage.write([
        { ...first, state: 'done', dryRun: true },
        { ...second, state: 'done' },
      ]);
      expectSame(
        await stage.counts({ from: stage.start, to: stage.start + 10 * LATER_MS, stepMs: LATER_MS }),
        [{ at: second.receivedAt, state: 'done', code: null, count: 1 }],
        `Dry runs do not count, and a count is never 0. ${COUNTED}`,
      );
    });

    suite.test('codes of every kind', async (stage) => {
      const codes = HOSTILE.filter((text) => text !== '');
      for (const code of codes) await stage.write([{ ...stage.webhook(), state: 'failed', code }]);
      const range = { from: stage.start, to: stage.start + codes.length * LATER_MS, stepMs: LATER_MS };
      const counted = [...(await stage.counts(range))].sort((one, two) => one.at - two.at);
      expectSame(
        counted.map(({ code }) => code),
        codes,
        `Codes have to come back as they were. ${COUNTED}`,
      );
    });
  });
}
