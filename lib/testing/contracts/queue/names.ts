// The contract of names: what is stored under one name is never seen under another.
import { expectSame } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import { dead, done, expectJobs, expectLetters, later, type Stage } from './stage';

const NAMED =
  'A queue object serves several names, and what is stored under one is never seen under another: the name belongs into every key and every WHERE.';

export function names(suite: Suite<Stage>, { results, positions }: Settings): void {
  suite.group('names', () => {
    suite.test('a contact under two names is two contacts', async (stage) => {
      const elsewhere = { queue: stage.otherName };
      const here = await stage.put('7');
      const there = await stage.put('7', stage.job(), elsewhere);
      const taken = await stage.takeOnly('7', NAMED);
      expectJobs(taken, [here], NAMED);
      const other = await stage.takeOnly(
        '7',
        `The contact is being worked on, under another name. ${NAMED}`,
        elsewhere,
      );
      expectJobs(other, [there], NAMED);
      await stage.expectFinished(
        taken,
        [
          [here.id, done()],
          [there.id, done()],
        ],
        NAMED,
      );
      await stage.expectNothingDue(NAMED);
      await stage.expectCounts({ waiting: 0, dead: 0 }, NAMED);
      await stage.expectCounts({ waiting: 1, dead: 0 }, NAMED, elsewhere);
      await stage.expectFinished(other, [[there.id, done()]], NAMED, elsewhere);
    });

    suite.test('a lease counts under its own name only', async (stage) => {
      const elsewhere = { queue: stage.otherName };
      const put = await stage.put('7');
      await stage.put('7', stage.job(), elsewhere);
      const taken = await stage.takeOnly('7', NAMED);
      await stage.expectRefused(
        taken,
        [[put.id, done()]],
        `The lease is of another name. ${NAMED}`,
        elsewhere,
      );
      const other = await stage.takeOnly('7', NAMED, elsewhere);
      expectSame(await stage.renew([taken], elsewhere), [], `The lease is of another name. ${NAMED}`);
      await stage.expectRefused(
        taken,
        [[put.id, done()]],
        `The lease is of another name. ${NAMED}`,
        elsewhere,
      );
      await stage.expectRefused(other, [[put.id, done()]], `The lease is of another name. ${NAMED}`);
      await stage.expectFinished(taken, [], NAMED);
      await stage.expectFinished(other, [], NAMED, elsewhere);
    });

    suite.test('dead letters are listed, replayed and deleted under their own name only', async (stage) => {
      const elsewhere = { queue: stage.otherName };
      const here = await stage.bury('7');
      const there = await stage.bury('7', stage.job(), elsewhere);
      expectLetters(await stage.deadLetters(), [{ ...here, contactId: '7' }], NAMED);
      const numbers = [
        await stage.purge([there.id]),
        await stage.replay([there.id]),
        await stage.purge(undefined, { queue: `${stage.name}-3` }),
        await stage.replay(undefined, { queue: `${stage.name}-3` }),
      ];
      expectSame(numbers, [0, 0, 0, 0], `There were no such dead letters under the name. ${NAMED}`);
      expectSame(await stage.purge(), 1, `purge() of all deletes all of one name. ${NAMED}`);
      expectLetters(await stage.deadLetters({}, elsewhere), [{ ...there, contactId: '7' }], NAMED);
      await stage.bury('7');
      expectSame(
        await stage.replay(undefined, elsewhere),
        1,
        `replay() of all takes all of one name. ${NAMED}`,
      );
      await stage.expectNothingDue(NAMED);
      await stage.expectCounts({ waiting: 0, dead: 1 }, NAMED);
      await stage.expectCounts({ waiting: 1, dead: 0 }, NAMED, elsewhere);
    });

    suite.test('names are compared to the letter', async (stage) => {
      const lookalikes = [
        stage.name.toUpperCase(),
        stage.name.replace('-', '_'),
        `${stage.name}x`,
        `${stage.name} `,
      ];
      await stage.put('7');
      for (const queue of [...lookalikes, stage.name.slice(0, -1), '%']) {
        const why = `The name is ${JSON.stringify(queue)}, the job was put under ${JSON.stringify(stage.name)}. ${NAMED}`;
        await stage.expectNothingDue(why, { queue });
        await stage.expectCounts({ waiting: 0, dead: 0 }, why, { queue });
      }
      await stage.takeOnly('7', NAMED);
    });

    suite.test(
      'results are told under their own name only',
      async (stage) => {
        const put = await stage.put('7');
        const taken = await stage.takeOnly('7', NAMED);
        await stage.expectFinished(taken, [[put.id, done({ outcome: 'created' })]], NAMED);
        const buried = await stage.bury('8');
        const settled = await stage.settled([put.id, buried.id], { queue: stage.otherName });
        expectSame([...settled.keys()], [], NAMED);
      },
      !results && 'results',
    );

    suite.test(
      'positions are kept under their own name only',
      async (stage) => {
        await stage.writePosition('import', 'here');
        await stage.writePosition('import', 'there', { queue: stage.otherName });
        expectSame(await stage.readPosition('import'), 'here', NAMED);
        await stage.writePosition('import', null, { queue: stage.otherName });
        expectSame(await stage.readPosition('import'), 'here', NAMED);
        expectSame(await stage.readPosition('import', { queue: stage.otherName }), null, NAMED);
      },
      !positions && 'positions',
    );

    suite.test('what waits under one name makes nothing due under another', async (stage) => {
      const elsewhere = { queue: stage.otherName };
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', NAMED);
      await stage.expectFinished(taken, [[put.id, later(3_600_000, put.job)]], NAMED);
      const there = await stage.put('7', stage.job(), elsewhere);
      await stage.expectNothingDue(`The job that is due is one of another name. ${NAMED}`);
      const other = await stage.takeOnly('7', NAMED, elsewhere);
      await stage.expectFinished(other, [[there.id, dead(there.job)]], NAMED, elsewhere);
      await stage.replay(undefined, elsewhere);
      await stage.expectNothingDue(`The job that was replayed is one of another name. ${NAMED}`);
    });
  });
}
