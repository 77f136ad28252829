// The contract of several processes that tell of the same webhooks at once: what each of them tells is in the record.
import { randomOf, shuffle } from '../../sandbox/random';
import { expectSame } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import { attempt, type Stage } from './stage';

const BOTH =
  'Two processes may tell of one webhook at the same moment, and both are right. Lock the record before it is read, or write it ' +
  'only where it is still what was read, and begin again where it is not.';

export function racing(suite: Suite<Stage>, { writers, rounds }: Settings): void {
  const numbers = Array.from({ length: writers }, (_, writer) => writer);

  suite.group('races', () => {
    suite.test('two tell of a webhook that nobody knows: stored, and done', async (stage) => {
      for (let round = 0; round < rounds * 5; round += 1) {
        const webhook = stage.webhook();
        const stored = { ...webhook, state: 'waiting' as const, jobId: '9', key: 'key 1' };
        const done = { ...webhook, state: 'done' as const, outcome: 'created', attempt: attempt(1) };
        const entries = round % 3 === 0 ? [done, stored] : [stored, done];
        await Promise.all(
          entries.map((entry, number) => stage.write([entry], { by: stage.side(round + number) })),
        );
        const told = { state: 'done', jobId: '9', key: 'key 1', outcome: 'created' } as const;
        await stage.expectKnown(webhook.id, { ...told, attempts: [attempt(1)] }, BOTH);
      }
    });

    suite.test('many tell of one webhook at once', async (stage) => {
      for (let round = 0; round < rounds; round += 1) {
        const webhook = stage.webhook();
        await Promise.all(
          numbers.map((number) =>
            stage.write([{ ...webhook, attempt: attempt(number) }], { by: stage.side(number) }),
          ),
        );
        const { attempts } = await stage.known(webhook.id);
        const told = attempts.map(({ at }) => at).sort((one, two) => one - two);
        expectSame(told, numbers, `Each told of one try. ${BOTH}`);
      }
    });

    suite.test('many tell of the same webhooks, each in another order', async (stage) => {
      for (let round = 0; round < rounds; round += 1) {
        const webhooks = stage.webhooks(20);
        await Promise.all(
          numbers.map(async (number) => {
            const entries = shuffled(webhooks, number).map((one) => ({ ...one, attempt: attempt(number) }));
            await stage.write(entries, { by: stage.side(number) });
          }),
        );
        for (const { id } of webhooks) {
          const { attempts } = await stage.known(id);
          const told = attempts.map(({ at }) => at).sort((one, two) => one - two);
          expectSame(told, numbers, `Nobody may get a deadlock, and each told of one try. ${BOTH}`);
        }
      }
    });

    suite.test('some write, others list, count and forget', async (stage) => {
      const webhooks = stage.webhooks(40);
      const range = { from: stage.start, to: Date.now(), stepMs: 60_000 };
      await Promise.all(
        numbers.map(async (number) => {
          const at = { by: stage.side(number) };
          const contactId = number % 4 === 0 ? 'forgotten' : '7';
          await stage.write(
            shuffled(webhooks, number).map((one) => ({ ...one, key: 'key 1' })),
            at,
          );
          await stage.write([{ ...stage.webhook(), contactId }], at);
          await Promise.all([stage.list({}, at), stage.counts(range, at), stage.forget('forgotten', at)]);
        }),
      );
      await stage.forget('forgotten');
      expectSame(
        await stage.idsOf({ contactId: 'forgotten' }),
        [],
        'Nobody wrote of the contact after it was forgotten.',
      );
      const count = webhooks.length + numbers.filter((number) => number % 4 !== 0).length;
      expectSame(
        (await stage.list({ limit: 1000 })).length,
        count,
        `What is forgotten takes nothing else with it. ${BOTH}`,
      );
    });
  });
}

/** In another order, the same for the same number. */
function shuffled<Item>(items: readonly Item[], seed: number): Item[] {
  const copy = [...items];
  shuffle(copy, randomOf(seed));
  return copy;
}
