// The contract of texts that all processes share: one clock, and nobody undoes what another one wrote.
import type { SharedText, WebhookQueue } from '../../../queue/queue';
import { expectSame, expectSuccess, expectTrue, fail, shown } from '../expectations';
import type { Suite } from '../runner';
import { AWKWARD_TEXTS } from './putting';
import type { Settings } from './settings';
import { atOnce, type At, type Stage } from './stage';

/** More than any two clocks differ that are set, and less than any two time zones do. */
const TEN_MINUTES = 600_000;

const IN_ONE_STEP =
  'writeShared() has to look whether the text is still the expected one in the step that writes: one statement with the text in ' +
  'its WHERE, or a script. Of processes that look and then write all see that it is.';
const APART = 'The name of the queue and the key belong into every key and every WHERE, to the letter.';

const KEY = 'budget';

export function sharing(suite: Suite<Stage>, { shared, positions, writers, rounds }: Settings): void {
  suite.group('shared texts', () => {
    const test = (name: string, body: (stage: Stage) => Promise<void>): void =>
      suite.test(name, body, !shared && 'shared');

    test('null where nothing was written', async (stage) => {
      expectSame((await read(stage)).text, null, 'Nothing was written under the key: null, not undefined.');
    });

    test('what was written is there for every process', async (stage) => {
      let expected: string | null = null;
      for (const [number, text] of ['first', 'second', 'third'].entries()) {
        const at = { by: stage.side(number) };
        await expectWritten(stage, expected, text, 'The expected text is there.', at);
        for (const by of [stage.queue, stage.other, await stage.reopened()]) {
          expectSame(
            (await read(stage, KEY, { by })).text,
            text,
            'The text that was written last is there, whoever wrote it and whoever asks.',
          );
        }
        expected = text;
      }
    });

    test('nothing changes where something else is there by then', async (stage) => {
      await expectRefused(stage, 'first', 'second', 'Nothing is there, and a text was expected.');
      await expectThere(stage, null);
      await expectWritten(stage, null, 'first', 'Nothing is there.');
      await expectRefused(stage, null, 'second', 'A text is there, and nothing was expected.');
      await expectRefused(
        stage,
        'First',
        'second',
        'Another text is there: texts are compared to the letter.',
      );
      await expectRefused(stage, 'first ', 'second', 'Another text is there: a space at the end counts.');
      await expectThere(stage, 'first');
      await expectWritten(stage, 'first', 'second', 'The expected text is there.', { by: stage.other });
      await expectRefused(stage, 'first', 'third', 'The text was there before, and is not any more.');
      await expectThere(stage, 'second');
    });

    test('the same text once more is written too', async (stage) => {
      await expectWritten(stage, null, 'first', 'Nothing is there.');
      await expectWritten(stage, 'first', 'first', 'The expected text is there, and becomes itself.');
      await expectRefused(stage, 'other', 'other', 'Another text is there.');
      await expectThere(stage, 'first');
    });

    test('up to 60,000 characters of every kind, to the letter', async (stage) => {
      const texts = AWKWARD_TEXTS.map(([, text]) => text).filter(
        (text) => !text.includes('\u0000') && !text.includes('\ud800'),
      );
      let expected: string | null = null;
      for (const text of [...texts, 'x'.repeat(60_000), '日'.repeat(60_000), '{"a":[1,null]}', '00120']) {
        await expectWritten(stage, expected, text, 'The expected text is there, whatever it is.');
        const { text: there } = await read(stage);
        expectSame(there, text, 'A shared text comes out as it was written, whole and to the letter.');
        expected = text;
      }
    });

    test('each key and each name has its own', async (stage) => {
      const places = [
        ...[KEY, 'Budget', 'budg_t', 'budget ', `${stage.name}/budget`].map((key) => ({
          key,
          queue: stage.name,
        })),
        { key: KEY, queue: stage.otherName },
        { key: KEY, queue: stage.name.toUpperCase() },
      ];
      for (const { key, queue } of places) {
        await expectWritten(stage, null, `${queue} ${key}`, `Nothing is there. ${APART}`, { queue }, key);
      }
      for (const { key, queue } of places) {
        expectSame((await read(stage, key, { queue })).text, `${queue} ${key}`, APART);
      }
    });

    suite.test(
      'positions under the same key are others',
      async (stage) => {
        await stage.writePosition(KEY, 'here');
        await expectThere(stage, null);
        await expectWritten(stage, null, 'shared', 'Nothing is there: a position is something else.');
        expectSame(await stage.readPosition(KEY), 'here', 'A shared text is no position.');
        await stage.writePosition(KEY, null);
        await expectThere(stage, 'shared');
      },
      (!shared && 'shared') || (!positions && 'positions'),
    );

    test('one clock for all, in milliseconds, that goes on', async (stage) => {
      const { now: first } = await read(stage);
      const isRight = Math.abs(first - Date.now()) < TEN_MINUTES;
      expectTrue(
        isRight,
        `now has to be the time of the store in milliseconds since 1970, and is ${shown(first)}. (The clocks of the store and of ` +
          'this machine may differ by ten minutes.)',
      );
      let last = first;
      let looks = 0;
      await stage.until(async () => {
        const { now } = await read(stage, KEY, { by: stage.side((looks += 1)) });
        if (now < last) {
          fail(
            `It was ${last}, and afterwards it is ${now}: now has to be the clock of the store, not that of a process.`,
          );
        }
        last = now;
        return now > first && looks > 20;
      }, 'The time of the store has to go on: now stays the same.');
    });

    test('written for the first time by many at once: one of them is', async (stage) => {
      for (let round = 0; round < rounds; round += 1) {
        const key = `first ${round}`;
        const outcomes = await atOnce(
          numbersTo(writers).map((number) =>
            write(stage, null, `${number}`, { by: stage.side(number) }, key),
          ),
        );
        const winners = numbersTo(writers).filter((number) => outcomes[number] === true);
        expectSame(winners.length, 1, `Nothing was there, and many wrote at once. ${IN_ONE_STEP}`);
        expectSame(
          (await read(stage, key)).text,
          `${winners[0]}`,
          `What was written is there. ${IN_ONE_STEP}`,
        );
      }
    });

    test('changed by many at once: no change is lost', async (stage) => {
      const changes = rounds * 2;
      await expectWritten(stage, null, '0', 'Nothing is there.');
      const change = async (by: WebhookQueue): Promise<void> => {
        // One of all who try is written each time, so nobody tries more often than there are changes.
        for (let tries = 0; tries <= writers * changes; tries += 1) {
          const { text } = await read(stage, KEY, { by });
          if (await write(stage, text, String(Number(text) + 1), { by })) return;
        }
        fail('Of several who write at once one has to be written each time.');
      };
      await atOnce(
        numbersTo(writers).map(async (number) => {
          for (let count = 0; count < changes; count += 1) await change(stage.side(number));
        }),
      );
      const { text } = await read(stage);
      expectSame(
        text,
        String(writers * changes),
        `Each added one to a number, from both queues. ${IN_ONE_STEP}`,
      );
    });
  });
}

const numbersTo = (count: number): number[] => Array.from({ length: count }, (_, number) => number);

const byOf = (stage: Stage, { by }: At): WebhookQueue => by ?? stage.queue;
const nameOf = (stage: Stage, { queue }: At): string => queue ?? stage.name;

async function read(stage: Stage, key = KEY, at: At = {}): Promise<SharedText> {
  const shared: unknown = await expectSuccess(
    async () => byOf(stage, at).readShared?.(nameOf(stage, at), key),
    `readShared(queue, ${shown(key)})`,
  );
  const { text, now } = (shared ?? {}) as Partial<Record<keyof SharedText, unknown>>;
  if ((typeof text === 'string' || text === null) && Number.isFinite(now)) return shared as SharedText;
  return fail(`readShared() has to give { text, now }, with null for no text, and gave ${shown(shared)}.`);
}

function write(
  stage: Stage,
  expected: string | null,
  text: string,
  at: At = {},
  key = KEY,
): Promise<boolean | undefined> {
  return expectSuccess(
    async () => byOf(stage, at).writeShared?.(nameOf(stage, at), key, expected, text),
    `writeShared(queue, ${shown(key)}, …) of ${text.length} characters`,
  );
}

async function expectWritten(
  stage: Stage,
  expected: string | null,
  text: string,
  why: string,
  at: At = {},
  key = KEY,
): Promise<void> {
  expectSame(await write(stage, expected, text, at, key), true, `${why} So writeShared() has to give true.`);
}

async function expectRefused(
  stage: Stage,
  expected: string | null,
  text: string,
  why: string,
): Promise<void> {
  expectSame(await write(stage, expected, text), false, `${why} So writeShared() has to give false.`);
}

async function expectThere(stage: Stage, text: string | null): Promise<void> {
  expectSame((await read(stage)).text, text, 'writeShared() that gave false may not have changed anything.');
}
