// The contract of finish: every verdict in one step, and nothing but the verdicts.
import { expectSame, fail } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import { AWKWARD_TEXTS } from './putting';
import {
  atOnce,
  dead,
  done,
  dueOf,
  expectJobs,
  expectLetters,
  HOUR,
  later,
  UNKNOWN_IDS,
  type PutJob,
  type Stage,
} from './stage';

const ONLY_VERDICTS =
  'finish() does what the verdicts say of jobs that the contact has waiting, and nothing else.';

export function finishing(suite: Suite<Stage>, { results }: Settings): void {
  suite.group('finish', () => {
    suite.test('done: the job is gone', async (stage) => {
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      await stage.expectFinished(taken, [[put.id, done()]], 'The contact was taken.');
      await stage.expectNothingDue('The only job is done.');
      await stage.expectCounts({ waiting: 0, dead: 0 }, 'The only job is done.');
      const next = await stage.put('7');
      expectJobs(
        await stage.takeOnly('7', 'The next job was put.'),
        [next],
        'What is done never comes again.',
      );
    });

    suite.test('done with a result is as gone as without', async (stage) => {
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      await stage.expectFinished(taken, [[put.id, done({ outcome: 'created' })]], 'The contact was taken.');
      await stage.expectNothingDue('The only job is done.');
      await stage.expectCounts({ waiting: 0, dead: 0 }, 'A result that is kept is not waiting.');
      expectSame(
        await stage.replay(),
        0,
        'A result that is kept is no dead letter, so there is nothing to replay.',
      );
    });

    suite.test('later: the job keeps its id and has its new story', async (stage) => {
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      const job = storyOf(put);
      await stage.expectFinished(taken, [[put.id, later(0, job)]], 'The contact was taken.', {
        by: stage.other,
      });
      const again = await stage.takeOnly('7', 'A delay of 0 ms is over at once.');
      expectJobs(again, [{ id: put.id, job }], 'The job of the verdict replaces the stored one.');
      expectSame(dueOf(again), [[put.id, true]], 'A delay of 0 ms is over at once, so isDue has to be true.');
    });

    suite.test('later: the job is due after the delay and not before', async (stage) => {
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      const glass = await stage.hourglass();
      await stage.expectFinished(taken, [[put.id, later(stage.queue.leaseMs, put.job)]], 'It was taken.');
      await stage.until(async () => {
        const given = await stage.take(1);
        if (given.length === 0) return false;
        if (!(await glass.hasRunOut())) {
          fail(
            'A job was due before its delayMs of leaseMs were over: a lease that began before it had not run out yet.',
          );
        }
        return true;
      }, 'A job that was put off by leaseMs has to become due.');
    });

    suite.test('later: a delay may be a fraction, and may be months', async (stage) => {
      const jobs = await stage.putAll('7', 2);
      const [first, second] = jobs as [PutJob, PutJob];
      const taken = await stage.takeOnly('7', 'Jobs were put.');
      const verdicts = [
        [first.id, later(0.4375, first.job)],
        [second.id, later(2 ** 32 + 0.123456789, second.job)],
      ] as const;
      await stage.expectFinished(taken, verdicts, 'The contact was taken.');
      await stage.until(async () => {
        const [again] = await stage.take();
        if (again === undefined) return false;
        expectJobs(again, jobs, 'One of the jobs is due.');
        expectSame(
          dueOf(again),
          [
            [first.id, true],
            [second.id, false],
          ],
          'One job was put off by less than a millisecond, the other by 50 days, which are more milliseconds than 32 bits hold.',
        );
        return true;
      }, 'A job that was put off by a fraction of a millisecond has to become due.');
    });

    suite.test(
      'dead: the job is a dead letter with its id and its new story, and never taken',
      async (stage) => {
        const put = await stage.put('7');
        const taken = await stage.takeOnly('7', 'A job was put.');
        const job = storyOf(put);
        await stage.expectFinished(taken, [[put.id, dead(job)]], 'The contact was taken.');
        const letters = [{ id: put.id, contactId: '7', job }];
        expectLetters(await stage.deadLetters(), letters, 'A job was given up.');
        await stage.expectNothingDue('A dead letter is not due.');
        const next = await stage.put('7');
        expectJobs(await stage.takeOnly('7', 'A job was put.'), [next], 'Dead letters are not taken along.');
        expectLetters(await stage.deadLetters(), letters, 'The dead letter stays where it is.');
      },
    );

    suite.test('keeps awkward stories to the letter', async (stage) => {
      const letters = [];
      for (const [index, [, text]] of AWKWARD_TEXTS.entries()) {
        const contactId = `c${index}`;
        const put = await stage.put(contactId);
        const taken = await stage.takeOnly(contactId, 'A job was put.');
        const job = { ...put.job, failure: { code: 'REPOSITORY_FAILED', detail: text, at: 1 } };
        await stage.expectFinished(taken, [[put.id, later(0, job)]], 'The contact was taken.');
        const again = await stage.takeOnly(contactId, 'A delay of 0 ms is over at once.');
        expectJobs(again, [{ id: put.id, job }], 'A job was put off.');
        await stage.expectFinished(again, [[put.id, dead(job)]], 'The contact was taken.');
        letters.push({ id: put.id, contactId, job });
      }
      expectLetters(await stage.deadLetters(), letters, 'Jobs were given up.');
    });

    suite.test('every verdict at once; what has none stays', async (stage) => {
      const jobs = await stage.putAll('7', 6);
      const [one, two, three, four, five, six] = jobs as [PutJob, PutJob, PutJob, PutJob, PutJob, PutJob];
      const taken = await stage.takeOnly('7', 'Jobs were put.');
      const laterJob = storyOf(four);
      const verdicts = [
        [five.id, done({ outcome: 'updated' })],
        [one.id, done()],
        [two.id, dead(storyOf(two))],
        [four.id, later(HOUR, laterJob)],
      ] as const;
      await stage.expectFinished(taken, verdicts, 'The contact was taken.');
      const letters = [{ id: two.id, contactId: '7', job: storyOf(two) }];
      expectLetters(await stage.deadLetters(), letters, 'One job was given up.');
      await stage.expectCounts({ waiting: 3, dead: 1 }, 'Of six jobs two are done and one is dead.');
      const again = await stage.takeOnly('7', 'Two jobs had no verdict, and are as due as they were.');
      expectJobs(again, [three, { id: four.id, job: laterJob }, six], ONLY_VERDICTS);
      expectSame(
        dueOf(again),
        [
          [three.id, true],
          [four.id, false],
          [six.id, true],
        ],
        'Jobs without a verdict are as due as they were, the one that was put off is not.',
      );
    });

    suite.test('no verdict at all frees the contact and changes nothing', async (stage) => {
      const jobs = await stage.putAll('7', 2);
      const taken = await stage.takeOnly('7', 'Jobs were put.');
      await stage.expectFinished(taken, [], 'The contact was taken.');
      const again = await stage.takeOnly('7', 'Without a verdict the jobs are as due as they were.', {
        by: stage.other,
      });
      expectJobs(again, jobs, ONLY_VERDICTS);
    });

    suite.test('a second time it is refused, and changes nothing', async (stage) => {
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      const why = 'The lease has ended with the first finish().';
      await stage.expectFinished(taken, [[put.id, later(0, put.job)]], 'The contact was taken.');
      await stage.expectRefused(taken, [[put.id, done()]], why);
      await stage.expectRefused(taken, [[put.id, dead(put.job)]], why, { by: stage.other });
      expectSame(await stage.renew([taken]), [], why);
      const second = await stage.put('7');
      expectJobs(await stage.takeOnly('7', why), [put, second], why);
      await stage.expectRefused(taken, [[put.id, done()]], why);
      expectLetters(await stage.deadLetters(), [], why);
    });

    suite.test('is refused when the contact is gone', async (stage) => {
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      await stage.expectFinished(taken, [[put.id, done()]], 'The contact was taken.');
      await stage.expectRefused(taken, [[put.id, done()]], 'Everything of the contact is done.');
      await stage.expectRefused(taken, [], 'Everything of the contact is done.');
    });

    suite.test('is refused with the token of another contact, and with none of its own', async (stage) => {
      const one = await stage.put('one');
      const first = await stage.takeOnly('one', 'A job was put.');
      const two = await stage.put('two');
      const second = await stage.takeOnly('two', 'A job was put.');
      const why = 'A token is the right to work on one contact.';
      const free = await stage.put('free');
      for (const [contactId, token] of [
        ['free', first.token],
        ['free', 'no token'],
        ['nobody', first.token],
        ['nobody', ''],
      ] as const) {
        await stage.expectRefused({ contactId, token }, [[free.id, done()]], why);
      }
      if (first.token !== second.token) {
        await stage.expectRefused({ contactId: 'two', token: first.token }, [[two.id, done()]], why);
      }
      await stage.expectFinished(first, [[one.id, done()]], 'The contact was taken.');
      await stage.expectFinished(second, [[two.id, done()]], 'The contact was taken.');
      expectJobs(await stage.takeOnly('free', why), [free], why);
    });

    suite.test('frees the contact and no other', async (stage) => {
      for (const contactId of ['one', 'two']) await stage.put(contactId);
      const taken = await stage.take();
      const [one] = taken.filter(({ contactId }) => contactId === 'one');
      if (one === undefined) fail('Jobs were put for two contacts, so take() has to give both.');
      await stage.expectFinished(one, [], 'The contact was taken.');
      await stage.takeOnly('one', 'One contact was finished, the other is being worked on.');
    });

    suite.test('verdicts on jobs that nobody knows do nothing', async (stage) => {
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      const job = stage.job();
      const kinds = [done(), later(0, job), dead(job)];
      const verdicts = UNKNOWN_IDS.map((id, index) => [id, kinds[index % 3] ?? done()] as const);
      const all = [...verdicts, [put.id, later(HOUR, put.job)] as const];
      await stage.expectFinished(taken, all, 'Verdicts on unknown jobs are no error.');
      await stage.expectNothingDue(`The only job is due in an hour. ${ONLY_VERDICTS}`);
      await stage.expectCounts({ waiting: 1, dead: 0 }, ONLY_VERDICTS);
    });

    for (const [name, verdictOn] of [
      ['done', () => done({ outcome: 'not mine' })],
      ['later', ({ job }: PutJob) => later(HOUR, { ...job, tries: 9 })],
      ['dead', ({ job }: PutJob) => dead({ ...job, tries: 9 })],
    ] as const) {
      suite.test(`verdicts on a job of another contact do nothing: ${name}`, async (stage) => {
        const mine = await stage.put('mine');
        const taken = await stage.takeOnly('mine', 'A job was put.');
        const free = await stage.put('free');
        await stage.expectFinished(
          taken,
          [
            [free.id, verdictOn(free)],
            [mine.id, done()],
          ],
          ONLY_VERDICTS,
        );
        expectJobs(await stage.takeOnly('free', ONLY_VERDICTS), [free], ONLY_VERDICTS);
        await stage.expectCounts({ waiting: 1, dead: 0 }, ONLY_VERDICTS);
        if (results) expectSame((await stage.settled([free.id])).size, 0, ONLY_VERDICTS);
      });

      suite.test(`verdicts on a job that is over do nothing: ${name}`, async (stage) => {
        const [first, second] = (await stage.putAll('7', 2)) as [PutJob, PutJob];
        const taken = await stage.takeOnly('7', 'Jobs were put.');
        await stage.expectFinished(
          taken,
          [
            [first.id, done()],
            [second.id, dead(second.job)],
          ],
          'It was taken.',
        );
        const third = await stage.put('7');
        const again = await stage.takeOnly('7', 'A job was put.');
        const verdicts = [first, second].map((put) => [put.id, verdictOn(put)] as const);
        await stage.expectFinished(again, [...verdicts, [third.id, done()]], ONLY_VERDICTS);
        expectLetters(await stage.deadLetters(), [{ ...second, contactId: '7' }], ONLY_VERDICTS);
        await stage.expectCounts({ waiting: 0, dead: 1 }, ONLY_VERDICTS);
      });
    }

    suite.test('200 verdicts at once', async (stage) => {
      const puts = await atOnce(Array.from({ length: 200 }, () => stage.put('7')));
      const taken = await stage.takeOnly('7', 'Jobs were put.');
      const verdictOn = ({ job }: PutJob, index: number) =>
        [done({ index }), later(HOUR, job), dead(job), later(0, job)][index % 4] ?? done();
      const verdicts = puts.map((put, index) => [put.id, verdictOn(put, index)] as const);
      await stage.expectFinished(taken, verdicts, 'The contact was taken.');
      await stage.expectCounts({ waiting: 100, dead: 50 }, 'Of 200 jobs 50 are done and 50 dead.');
      const again = await stage.takeOnly('7', 'Some jobs were put off by 0 ms.');
      const isDue = new Map(dueOf(again));
      const wrong = puts.filter(
        ({ id }, index) => isDue.get(id) !== [undefined, false, undefined, true][index % 4],
      );
      expectSame(wrong, [], 'Every job gets its own verdict, however many there are.');
    });
  });
}

/** A job as the worker tells its story after it has failed. */
const storyOf = ({ job }: PutJob): PutJob['job'] => ({
  ...job,
  tries: 2,
  failure: { code: 'REPOSITORY_FAILED', detail: 'The table is locked.', at: 1_753_900_000_456 },
});
