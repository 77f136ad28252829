// The contract of what a queue tells: how much there is, what became of a job, where a walk had come to, and whether all is well.
import type { JobResult } from '../../../queue/queue';
import { expectSame, expectSuccess, expectTrue, fail, shown } from '../expectations';
import type { Suite } from '../runner';
import { AWKWARD_TEXTS } from './putting';
import type { Settings } from './settings';
import { dead, done, HOUR, later, UNKNOWN_IDS, type Stage } from './stage';

/** More than any two clocks differ that are set, and less than any two time zones do. */
const TEN_MINUTES = 600_000;

export function telling(suite: Suite<Stage>, { results, positions }: Settings): void {
  counting(suite);
  settling(suite, !results && 'results');
  positioning(suite, !positions && 'positions');

  suite.test('check finds no error in a store that works', async (stage) => {
    for (const queue of [stage.queue, stage.other]) {
      if (queue.check === undefined) continue;
      const findings: unknown = await expectSuccess(async () => queue.check?.(), 'check()');
      if (!Array.isArray(findings))
        fail(`check() has to give a list of findings, and gave ${shown(findings)}.`);
      for (const finding of findings as Partial<Record<string, unknown>>[]) {
        if (finding.severity === 'warning' && typeof finding.message === 'string') continue;
        fail(
          `The store of the scene works, so check() may warn, with a message in words, but find no error. It gave ${shown(finding)}.`,
          { actual: finding },
        );
      }
    }
  });
}

function counting(suite: Suite<Stage>): void {
  suite.group('counts', () => {
    suite.test('nothing is 0, 0 and null', async (stage) => {
      const { waiting, dead: given, oldestWaiting } = await stage.counts();
      expectSame(
        { waiting, dead: given, oldestWaiting },
        { waiting: 0, dead: 0, oldestWaiting: null },
        'Nothing was put. Numbers are numbers, whatever the driver gives: Number(…).',
      );
    });

    suite.test('what is due, taken, put off and given up', async (stage) => {
      await stage.bury('dead');
      const put = await stage.put('later');
      const taken = await stage.takeOnly('later', 'A job was put.');
      await stage.expectFinished(taken, [[put.id, later(HOUR, put.job)]], 'The contact was taken.');
      await stage.putAll('taken', 2);
      await stage.takeOnly('taken', 'Jobs were put.');
      await stage.put('due');
      const why = 'Waiting is everything that is neither done nor dead: due, being worked on, or put off.';
      await stage.expectCounts({ waiting: 4, dead: 1 }, why);
      await stage.expectCounts({ waiting: 4, dead: 1 }, why, { by: stage.other });
    });

    suite.test('oldestWaiting is when the oldest was put', async (stage) => {
      const put = await stage.put('7');
      const first = timeOf((await stage.counts()).oldestWaiting);
      const difference = Math.abs(first - Date.now());
      expectTrue(
        difference < TEN_MINUTES,
        'A job was put just now, and oldestWaiting is another time by the clock of this machine. Does it come out in another ' +
          `time zone, or as seconds? It is ${new Date(first).toISOString()}.`,
      );
      const glass = await stage.hourglass();
      await glass.runOut();
      await stage.put('8');
      const why = 'It is the time the oldest waiting job was put, whatever came since.';
      expectSame(timeOf((await stage.counts()).oldestWaiting), first, why);
      const [taken] = (await stage.take()).filter(({ contactId }) => contactId === '7');
      if (taken === undefined) return fail('Jobs were put, so take() has to give their contacts.');
      expectSame(timeOf((await stage.counts()).oldestWaiting), first, `${why} It is being worked on now.`);
      await stage.expectFinished(taken, [[put.id, later(HOUR, put.job)]], 'The contact was taken.');
      expectSame(
        timeOf((await stage.counts()).oldestWaiting),
        first,
        `${why} It was put off by an hour since.`,
      );
    });

    suite.test('oldestWaiting is of what waits: not of what is done or dead', async (stage) => {
      await stage.bury('7');
      const put = await stage.put('8');
      const taken = await stage.takeOnly('8', 'A job was put.');
      await stage.expectFinished(taken, [[put.id, done({ outcome: 'created' })]], 'The contact was taken.');
      const { oldestWaiting } = await stage.counts();
      expectSame(oldestWaiting, null, 'One job is dead and one is done, so nothing waits.');
    });
  });
}

/** The milliseconds of a date, which may be one of another realm. */
function timeOf(date: unknown): number {
  const time = Object.prototype.toString.call(date) === '[object Date]' ? (date as Date).getTime() : NaN;
  if (Number.isNaN(time))
    fail(`Something waits, so oldestWaiting has to be a valid Date. It is ${shown(date)}.`);
  return time;
}

function settling(suite: Suite<Stage>, missing: string | false): void {
  /** Runs a job and gives its id. */
  const run = async (stage: Stage, contactId: string, result?: JobResult): Promise<string> => {
    const put = await stage.put(contactId, stage.job({ awaited: true }));
    const taken = await stage.takeOnly(contactId, 'A job was put.');
    await stage.expectFinished(taken, [[put.id, done(result)]], 'The contact was taken.');
    return put.id;
  };

  suite.group('settled', () => {
    const test = (name: string, body: (stage: Stage) => Promise<void>): void =>
      suite.test(name, body, missing);

    test('gives the result of what is done, to every process', async (stage) => {
      const id = await run(stage, '7', { outcome: 'created', userId: '12', warnings: [] });
      const other = await run(stage, '8', { outcome: 'skipped' });
      const why = 'The jobs are done, and their results are told to whoever waits, in whichever process.';
      for (const by of [stage.queue, stage.other]) {
        const settled = await stage.settled([id, other], { by });
        expectSame(
          settled.get(id),
          { kind: 'done', result: { outcome: 'created', userId: '12', warnings: [] } },
          why,
        );
        expectSame(settled.get(other), { kind: 'done', result: { outcome: 'skipped' } }, why);
      }
      const again = await stage.settled([id]);
      expectSame(
        [...again.keys()],
        [id],
        'A result is kept for five minutes at least, also once it was read.',
      );
    });

    test('keeps every result to the letter', async (stage) => {
      const texts = Object.fromEntries(AWKWARD_TEXTS);
      const result = {
        ...{ texts, nested: { list: [1, null, true, {}, []], deep: { zero: 0, fraction: -12.5 } } },
        ...{ kind: 'dead', job: 'none', constructor: 'none of an object', '': 'no name' },
      };
      const id = await run(stage, '7', result);
      expectSame(
        (await stage.settled([id])).get(id),
        { kind: 'done', result },
        'A result comes out whole and to the letter, whatever is in it: store it as JSON text.',
      );
      const empty = await run(stage, '8', {});
      const given = (await stage.settled([empty])).get(empty);
      expectSame(
        given,
        { kind: 'done', result: {} },
        'An empty result is a result, so settled() has to give it.',
      );
    });

    test('keeps a result while others come and go', async (stage) => {
      const id = await run(stage, '7', { outcome: 'created' });
      const glass = await stage.hourglass();
      await stage.putAll('7', 2);
      const taken = await stage.takeOnly('7', 'Jobs were put.');
      await stage.expectFinished(
        taken,
        taken.jobs.map((job) => [job.id, done()]),
        'The contact was taken.',
      );
      await stage.bury('7');
      await stage.replay();
      await stage.purge();
      await glass.runOut();
      await stage.take();
      const why = 'A result is kept for five minutes at least, whatever else happens to the contact.';
      expectSame((await stage.settled([id])).get(id), { kind: 'done', result: { outcome: 'created' } }, why);
    });

    test('what is waiting, worked on or put off is absent', async (stage) => {
      const first = await stage.put('7');
      const absent = async (why: string, id = first.id): Promise<void> =>
        expectSame(
          [...(await stage.settled([id])).keys()],
          [],
          `${why} It is not decided, so it has to be absent.`,
        );
      await absent('The job is waiting.');
      const taken = await stage.takeOnly('7', 'A job was put.');
      await absent('The job is being worked on.');
      await stage.expectFinished(taken, [[first.id, later(HOUR, first.job)]], 'The contact was taken.');
      await absent('The job was put off.');
      await absent('The job is done without a result.', await run(stage, '8'));
    });

    test('gives what is dead, with its story, until it is replayed or deleted', async (stage) => {
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      const job = { ...put.job, tries: 5, failure: { code: 'USER_CONFLICT', detail: 'Taken.', at: 2 } };
      await stage.expectFinished(taken, [[put.id, dead(job)]], 'The contact was taken.');
      const other = await stage.bury('8');
      const settled = await stage.settled([put.id, other.id], { by: stage.other });
      expectSame(
        settled.get(put.id),
        { kind: 'dead', job },
        'The job was given up, so settled() has to tell it as dead, with the story of the verdict.',
      );
      await stage.replay([put.id]);
      await stage.purge([other.id]);
      const after = await stage.settled([put.id, other.id]);
      expectSame([...after.keys()], [], 'One job was replayed, and waits again; the other was deleted.');
    });

    test('gives those that were asked for, and ids that are unknown are absent', async (stage) => {
      const ids = [await run(stage, '7', { n: 1 }), await run(stage, '8', { n: 2 })];
      await stage.bury('9');
      expectSame(
        [...(await stage.settled([])).keys()],
        [],
        'No id was asked for, so settled() has to give an empty Map.',
      );
      const settled = await stage.settled([...UNKNOWN_IDS, ...ids.slice(0, 1), ...ids.slice(0, 1)]);
      expectSame(
        [...settled.keys()],
        ids.slice(0, 1),
        'Only one of the ids is known, and others were not asked for.',
      );
      const unknown = await stage.settled(UNKNOWN_IDS);
      expectSame([...unknown.keys()], [], 'None of the ids is known, so settled() has to give an empty Map.');
    });
  });
}

function positioning(suite: Suite<Stage>, missing: string | false): void {
  suite.group('positions', () => {
    const test = (name: string, body: (stage: Stage) => Promise<void>): void =>
      suite.test(name, body, missing);

    test('null where nothing was written', async (stage) => {
      expectSame(
        await stage.readPosition('import'),
        null,
        'Nothing was written under the key: null, not undefined.',
      );
      await stage.writePosition('import', null);
      expectSame(await stage.readPosition('import'), null, 'Forgetting what nobody wrote is no error.');
    });

    test('the last one written counts, in every process', async (stage) => {
      for (const [number, position] of ['first', 'second', 'third'].entries()) {
        await stage.writePosition('import', position, { by: stage.side(number) });
        for (const by of [stage.queue, stage.other]) {
          expectSame(
            await stage.readPosition('import', { by }),
            position,
            'The position that was written last counts, whoever wrote it.',
          );
        }
      }
    });

    test('null forgets it', async (stage) => {
      await stage.writePosition('import', 'here');
      await stage.writePosition('import', null, { by: stage.other });
      expectSame(
        await stage.readPosition('import'),
        null,
        'The position was forgotten, so readPosition() has to give null.',
      );
      await stage.writePosition('import', 'there');
      expectSame(
        await stage.readPosition('import'),
        'there',
        'A position that was forgotten can be written again.',
      );
    });

    test('up to 1,000 characters of every kind, to the letter', async (stage) => {
      const texts = AWKWARD_TEXTS.map(([, text]) => text).filter(
        (text) => text.length <= 1000 && !text.includes('\u0000') && !text.includes('\ud800'),
      );
      for (const position of [...texts, 'x'.repeat(1000), '日'.repeat(1000), '00120', 'null', ' ']) {
        await stage.writePosition('import', position);
        expectSame(
          await stage.readPosition('import'),
          position,
          'A position is text, and comes out to the letter.',
        );
      }
    });

    test('each key has its own', async (stage) => {
      const keys = ['import', 'Import', 'imp_rt', 'import ', 'reconcile', `${stage.name}/import`];
      for (const key of keys) await stage.writePosition(key, `of ${key}`);
      await stage.writePosition('reconcile', null);
      for (const key of keys) {
        const expected = key === 'reconcile' ? null : `of ${key}`;
        expectSame(
          await stage.readPosition(key),
          expected,
          `The key is ${shown(key)}. Keys are compared to the letter.`,
        );
      }
    });
  });
}
