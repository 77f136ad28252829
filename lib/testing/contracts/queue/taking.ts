// The contract of take: everything a contact has, once it is due, to one worker at a time.
import type { WebhookQueue } from '../../../queue/queue';
import { expectSame, expectTrue } from '../expectations';
import type { Suite } from '../runner';
import { done, dueOf, expectJobs, HOUR, later, type Stage } from './stage';

const HELD =
  'A contact that was taken is given to nobody else until finish() is called or its lease has run out.';
const DUE =
  'A contact is due when the first of its jobs is. Ask whether any of its jobs is due, and then give all of them.';

export function taking(suite: Suite<Stage>): void {
  suite.group('take', () => {
    suite.test('gives an empty list where nothing is due', async (stage) => {
      await stage.expectNothingDue('Nothing was put.');
      await stage.expectNothingDue('Nothing was put.', { by: stage.other });
    });

    suite.test('gives what another process put, at once', async (stage) => {
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'put() has resolved.', { by: stage.other });
      expectJobs(taken, [put], 'put() has resolved.');
    });

    suite.test('gives no more contacts than asked for, and all in the end', async (stage) => {
      for (let contact = 0; contact < 7; contact += 1) await stage.putAll(`c${contact}`, 2);
      const numbers: number[] = [];
      const ids: string[] = [];
      for (const limit of [1, 3, 2, 2]) {
        const taken = await stage.take(limit);
        numbers.push(taken.length);
        ids.push(...taken.map(({ contactId }) => contactId));
      }
      expectSame(
        numbers,
        [1, 3, 2, 1],
        'Seven contacts are due; take() with the limits 1, 3, 2 and 2 has to give as many, while there are any. The limit ' +
          'counts contacts, not jobs, and those that are taken already do not count.',
      );
      expectSame(
        ids.sort(),
        ['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6'],
        'Every contact has to be given once.',
      );
    });

    suite.test('gives all jobs of a contact, whatever the limit', async (stage) => {
      const jobs = await stage.putAll('7', 5);
      expectJobs((await stage.take(1))[0] ?? (await stage.takeOnly('7', 'Jobs were put.')), jobs, DUE);
    });

    for (const [name, sideOf] of [
      ['this process', (stage: Stage) => stage.queue],
      ['another process', (stage: Stage) => stage.other],
    ] satisfies [string, (stage: Stage) => WebhookQueue][]) {
      suite.test(`a taken contact is not given again, to ${name}`, async (stage) => {
        await stage.putAll('7', 2);
        await stage.takeOnly('7', 'Jobs were put.');
        await stage.expectNothingDue(HELD, { by: sideOf(stage) });
      });
    }

    suite.test('taken jobs stay in the store until their verdict', async (stage) => {
      await stage.putAll('7', 2);
      await stage.takeOnly('7', 'Jobs were put.');
      await stage.expectCounts(
        { waiting: 2, dead: 0 },
        'A worker may die: what it has taken may not be lost.',
      );
    });

    suite.test('contacts that are held or not due do not use up the limit', async (stage) => {
      for (const contactId of ['held', 'later', 'free']) await stage.put(contactId);
      const [held, other] = await stage.take(2);
      if (held === undefined || other === undefined) {
        expectSame(
          [held, other].filter(Boolean).length,
          2,
          'Three contacts are due; take(2) has to give two.',
        );
        return;
      }
      const job = other.jobs[0];
      if (job !== undefined)
        await stage.expectFinished(other, [[job.id, later(HOUR, job.job)]], 'It was taken.');
      const rest = await stage.take(1);
      expectSame(
        rest.length,
        1,
        'Three contacts: one is being worked on, one waits for an hour, one is due. take(1) has to give the one that is due.',
      );
    });

    suite.test('the token differs with every taking', async (stage) => {
      const tokens: string[] = [];
      await stage.put('7');
      for (let taking = 0; taking < 4; taking += 1) {
        const at = { by: stage.side(taking) };
        const taken = await stage.takeOnly('7', 'The contact is due.', at);
        tokens.push(taken.token);
        await stage.expectFinished(taken, [], 'The contact was taken.', at);
      }
      expectSame(
        new Set(tokens).size,
        tokens.length,
        `The token has to differ with every taking of a contact; it was ${tokens.join(', ')}.`,
      );
    });

    suite.test('does not give a contact before it is due', async (stage) => {
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      await stage.expectFinished(taken, [[put.id, later(HOUR, put.job)]], 'The contact was taken.');
      await stage.expectNothingDue('The only job of the contact is due in an hour.');
      await stage.expectNothingDue('The only job of the contact is due in an hour.', { by: stage.other });
      await stage.expectCounts({ waiting: 1, dead: 0 }, 'A job that waits for its time is waiting.');
    });

    suite.test('says that jobs are due', async (stage) => {
      const jobs = await stage.putAll('7', 2);
      const taken = await stage.takeOnly('7', 'Jobs were put.');
      expectSame(
        dueOf(taken),
        jobs.map(({ id }) => [id, true]),
        'What was put is due at once: isDue is true.',
      );
    });

    suite.test('takes along what is not due, in the order of putting, and says so', async (stage) => {
      const [first, second, third] = await putThree(stage);
      const taken = await stage.takeOnly('7', 'Jobs were put.');
      const verdicts = [
        [first.id, later(HOUR, first.job)],
        [third.id, later(HOUR, third.job)],
      ] as const;
      await stage.expectFinished(taken, verdicts, 'The contact was taken.');
      const fourth = await stage.put('7');
      const again = await stage.takeOnly('7', DUE);
      expectJobs(again, [first, second, third, fourth], `Two of four jobs are due in an hour. ${DUE}`);
      expectSame(
        dueOf(again),
        [
          [first.id, false],
          [second.id, true],
          [third.id, false],
          [fourth.id, true],
        ],
        'isDue says of every job whether its own time has come.',
      );
    });
  });

  suite.group('put, while', () => {
    suite.test('the contact is worked on: nobody gets it before finish', async (stage) => {
      await stage.put('7');
      await stage.takeOnly('7', 'A job was put.');
      await stage.put('7');
      await stage.put('7', stage.job(), { by: stage.other });
      await stage.expectNothingDue(`Something was put for a contact that is being worked on. ${HELD}`);
      await stage.expectNothingDue(`Something was put for a contact that is being worked on. ${HELD}`, {
        by: stage.other,
      });
      await stage.expectCounts({ waiting: 3, dead: 0 }, 'What is put is waiting.');
    });

    suite.test(
      'the contact is worked on: it is due after finish, and finish does not delete it',
      async (stage) => {
        const first = await stage.put('7');
        const taken = await stage.takeOnly('7', 'A job was put.');
        const second = await stage.put('7', stage.job(), { by: stage.other });
        await stage.expectFinished(taken, [[first.id, done()]], 'A job was put since.');
        const why =
          'A job was put while the contact was worked on, so the contact is due with it as soon as it is free: finish() deletes ' +
          'the jobs of its verdicts and nothing else.';
        expectJobs(await stage.takeOnly('7', why), [second], why);
      },
    );

    suite.test('the contact is worked on: the worker still holds its lease', async (stage) => {
      const first = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      await stage.put('7');
      expectSame((await stage.renew([taken])).length, 1, 'A new webhook takes the lease from nobody.');
      await stage.expectFinished(taken, [[first.id, done()]], 'A new webhook takes the lease from nobody.');
    });

    suite.test('the worker puts its own jobs off: the contact is due all the same', async (stage) => {
      const first = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      const second = await stage.put('7');
      await stage.expectFinished(taken, [[first.id, later(HOUR, first.job)]], 'A job was put since.');
      const again = await stage.takeOnly(
        '7',
        `A new job came while the old one was put off by an hour. ${DUE}`,
      );
      expectJobs(again, [first, second], DUE);
      expectSame(
        dueOf(again),
        [
          [first.id, false],
          [second.id, true],
        ],
        'isDue says of every job whether its own time has come.',
      );
    });

    suite.test('the contact waits for a later time: it is due now', async (stage) => {
      const first = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      await stage.expectFinished(taken, [[first.id, later(HOUR, first.job)]], 'The contact was taken.');
      const second = await stage.put('7', stage.job(), { by: stage.other });
      const why = 'A free contact is due at once with what is put, whatever else waits for a later time.';
      const again = await stage.takeOnly('7', why);
      expectJobs(again, [first, second], why);
      expectTrue(
        again.jobs[0]?.isDue === false,
        'The job that waits is due no sooner because another one is: isDue is false.',
      );
    });

    suite.test('the lease has run out: the new job comes with the others', async (stage) => {
      const { put } = await stage.ranOut('7');
      const second = await stage.put('7');
      const again = await stage.takeOnly('7', 'The lease has run out, and a job was put.');
      expectJobs(again, [put, second], 'The lease has run out, and a job was put.');
    });
  });
}

async function putThree(stage: Stage): Promise<[Put, Put, Put]> {
  return [await stage.put('7'), await stage.put('7'), await stage.put('7')];
}

type Put = Awaited<ReturnType<Stage['put']>>;
