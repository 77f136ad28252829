// The contract of leases: a worker that died is replaced, and one that only was slow does no harm. No test here needs to be
// quick: what runs out sooner than the test expects is told by an hourglass.
import { expectSame, expectTrue, fail } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import { dead, done, expectJobs, expectLetters, HOUR, later, type Stage } from './stage';

const FENCED =
  'The lease ran out and the contact was given to another worker. Compare the token with the one that the store has now, in the ' +
  'same step that writes: a slow worker may not undo what a newer one does.';
const STILL_HELD =
  'A lease that ran out and was given to nobody since is still held: compare the token, not the time.';

export function leases(suite: Suite<Stage>, { results }: Settings): void {
  suite.group('lease', () => {
    for (const [name, other] of [
      ['another worker of the process', false],
      ['another process', true],
    ] as const) {
      suite.test(`runs out after leaseMs and not before, for ${name}`, async (stage) => {
        const jobs = await stage.putAll('7', 2);
        const glass = await stage.hourglass();
        const first = await stage.takeOnly('7', 'Jobs were put.');
        const at = { by: other ? stage.other : stage.queue };
        await stage.until(async () => {
          const [taken] = await stage.take(1, at);
          if (taken === undefined) return false;
          expectTrue(
            await glass.hasRunOut(),
            'A contact was given to a second worker while the lease of the first had not run out.',
          );
          expectJobs(taken, jobs, 'The lease has run out, so the next worker gets everything.');
          expectTrue(taken.token !== first.token, 'The next worker has to get a token of its own.');
          return true;
        }, 'The lease of a worker that died has to run out, and the contact to be given to another worker.');
      });
    }

    suite.test('lasts about leaseMs, compared with what is put off', async (stage) => {
      const { leaseMs } = stage.queue;
      /** A contact whose job is due after a number of leases, by a delay and not by a lease. */
      const delayed = async (number: number): Promise<{ isDue: () => Promise<boolean> }> => {
        const at = { queue: `${stage.name}-delay-${number}` };
        const { id, job } = await stage.put('7', stage.job(), at);
        const taken = await stage.takeOnly('7', 'A job was put.', at);
        await stage.expectFinished(taken, [[id, later(leaseMs * number, job)]], 'It was taken.', at);
        return { isDue: async () => (await stage.take(1, at)).length > 0 };
      };
      const half = await delayed(0.5);
      await stage.put('7');
      await stage.takeOnly('7', 'A job was put.');
      const fourTimes = await delayed(4);
      let isHalf = false;
      await stage.until(async () => {
        const isGiven = (await stage.take(1)).length > 0;
        isHalf = isHalf || (await half.isDue());
        if (isGiven && !isHalf)
          fail('A lease ran out in less time than a delay of half leaseMs. Are both milliseconds?');
        if (!isGiven && (await fourTimes.isDue())) {
          // It may have run out since it was looked at.
          if ((await stage.take(1)).length > 0) return true;
          fail('A lease lasts longer than a delay of four times leaseMs. Are both milliseconds?');
        }
        return isGiven;
      }, 'A lease has to run out.');
    });

    for (const [name, isOther] of [
      ['its own process', false],
      ['another process', true],
    ] as const) {
      suite.test(`does not run out while it is renewed by ${name}`, async (stage) => {
        const put = await stage.put('7');
        const taken = await stage.takeOnly('7', 'A job was put.');
        const glass = await stage.hourglass();
        const [renewing, taking] = isOther ? [stage.other, stage.queue] : [stage.queue, stage.other];
        await stage.until(async () => {
          // Begun before it is renewed: while this one has not run out, the lease has not either.
          const sinceRenewed = await stage.hourglass();
          const renewed = await stage.renew([taken], { by: renewing });
          expectSame(renewed.length, 1, 'A lease that nobody else was given since can be renewed.');
          const given = await stage.take(undefined, { by: taking });
          if (given.length > 0) {
            await stage.expectInTime(sinceRenewed);
            fail(
              'A renewed lease lasts another leaseMs from now on, and its contact was given to another worker all the same.',
            );
          }
          return glass.hasRunOut();
        }, 'The lease of another contact, which is not renewed, has to run out.');
        await stage.expectFinished(taken, [[put.id, done()]], 'The lease was renewed.');
      });
    }

    suite.test('renew gives the leases that are held, and no others', async (stage) => {
      const { taken: late } = await stage.ranOut('stolen');
      // Begun before everything that has to be held in the end.
      const glass = await stage.hourglass();
      const current = await stage.takeOnly('stolen', 'The lease has run out.', { by: stage.other });
      const elsewhere = { queue: stage.otherName };
      for (const contactId of ['held', 'finished']) await stage.put(contactId);
      const finished = (await stage.take()).filter(({ contactId }) => contactId === 'finished');
      await stage.put('named', stage.job(), elsewhere);
      const named = await stage.takeOnly('named', 'A job was put.', elsewhere);
      await stage.put('held-2');
      const [held2] = (await stage.take()).filter(({ contactId }) => contactId === 'held-2');
      const [ended] = finished;
      if (held2 === undefined || ended === undefined)
        fail('Jobs were put, so take() has to give their contacts.');
      await stage.expectFinished(ended, [], 'The contact was taken.');

      const all = [
        ...[late, current, ended, named, held2],
        { contactId: 'held-2', token: late.token },
        { contactId: 'unknown', token: current.token },
        { contactId: 'held-2', token: 'no token of this queue' },
      ];
      const renewed = await stage.renew(all);
      const keysOf = (list: readonly { contactId: string; token: string }[]): string[] =>
        list.map(({ contactId, token }) => `${contactId} ${token}`).sort();
      await stage.expectInTime(glass);
      expectSame(
        keysOf(renewed),
        keysOf([current, held2]),
        'renew() has to give the leases that are still held, each with its contactId and token, and none that was finished, was ' +
          'given to another worker, is of another name or never was.',
      );
    });

    suite.test('renew of no leases gives none', async (stage) => {
      await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      expectSame(
        await stage.renew([]),
        [],
        'There was nothing to renew, so renew() has to give an empty list.',
      );
      await stage.expectFinished(taken, [], 'The contact was taken.');
    });

    suite.test('renew of one contact does not renew another', async (stage) => {
      await stage.put('one');
      const one = await stage.takeOnly('one', 'A job was put.');
      await stage.put('two');
      await stage.takeOnly('two', 'A job was put.');
      const glass = await stage.hourglass();
      await stage.until(async () => {
        await stage.renew([one]);
        return glass.hasRunOut();
      }, 'The lease of another contact, which is not renewed, has to run out.');
      const given = (await stage.take()).map(({ contactId }) => contactId);
      expectTrue(
        given.includes('two'),
        'The lease of a contact that was not renewed has to run out all the same.',
      );
    });

    suite.test('renew holds where the lease ran out and nobody was given it', async (stage) => {
      const { taken } = await stage.ranOut('7');
      const glass = await stage.hourglass();
      expectSame((await stage.renew([taken])).length, 1, STILL_HELD);
      const given = await stage.take(undefined, { by: stage.other });
      if (given.length > 0) {
        await stage.expectInTime(glass);
        fail(
          'A lease that had run out was renewed, and its contact was given to another worker all the same.',
        );
      }
      await stage.expectFinished(taken, [], STILL_HELD);
    });

    suite.test('finish holds where the lease ran out and nobody was given it', async (stage) => {
      const { put, taken } = await stage.ranOut('7');
      const second = await stage.put('7');
      await stage.expectFinished(taken, [[put.id, done()]], STILL_HELD);
      expectJobs(await stage.takeOnly('7', 'One job is left.'), [second], 'The other job was done.');
    });

    for (const [name, verdictOn] of [
      ['done', () => done({ outcome: 'of the slow worker' })],
      ['later', (stage: Stage) => later(HOUR, stage.job())],
      ['dead', (stage: Stage) => dead(stage.job())],
    ] as const) {
      suite.test(`the slow worker is refused, and changes nothing: ${name}`, async (stage) => {
        const { put, late, current } = await stage.stolen('7');
        const second = await stage.put('7');
        const verdict = verdictOn(stage);
        await stage.expectRefused(
          late,
          [
            [put.id, verdict],
            [second.id, verdict],
          ],
          FENCED,
        );
        await stage.expectRefused(late, [[put.id, verdict]], FENCED, { by: stage.other });
        await stage.expectCounts({ waiting: 2, dead: 0 }, FENCED);
        if (results) expectSame((await stage.settled([put.id, second.id])).size, 0, FENCED);
        await stage.expectFinished(current, [], `${FENCED} Nor may it take the lease from the newer one.`);
        const again = await stage.takeOnly('7', `Nothing has happened to the jobs. ${FENCED}`);
        expectJobs(again, [put, second], FENCED);
      });
    }

    suite.test('the slow worker does not free the contact of the newer one', async (stage) => {
      const { put } = await stage.ranOut('7');
      const glass = await stage.hourglass();
      const current = await stage.takeOnly('7', 'The lease has run out.');
      await stage.expectRefused({ contactId: '7', token: 'of a slow worker' }, [], FENCED);
      const given = await stage.take();
      if (given.length > 0) {
        await stage.expectInTime(glass);
        fail(`A contact was freed by a worker that did not hold it. ${FENCED}`);
      }
      await stage.expectFinished(current, [[put.id, done()]], FENCED);
    });

    suite.test('the slow worker renews nothing', async (stage) => {
      const { late, current } = await stage.stolen('7');
      const glass = await stage.hourglass();
      await stage.until(async () => {
        expectSame(await stage.renew([late]), [], FENCED);
        return glass.hasRunOut();
      }, 'A lease has to run out.');
      // The newer lease is older than the glass, and nobody renewed it.
      await stage.takeOnly(
        '7',
        'The slow worker went on renewing, and the lease of the newer one has run out all the same.',
      );
      expectSame(await stage.renew([current]), [], FENCED);
    });

    suite.test('the slow worker is refused also when the newer one has finished', async (stage) => {
      const { put, late, current } = await stage.stolen('7');
      await stage.expectFinished(current, [[put.id, later(0, put.job)]], 'The lease is the newer one.');
      const why = `The newer worker has finished, so the contact is free. ${FENCED}`;
      await stage.expectRefused(late, [[put.id, done()]], why);
      expectSame(await stage.renew([late]), [], why);
      const second = await stage.put('7');
      await stage.expectRefused(late, [[put.id, dead(put.job)]], why);
      expectJobs(await stage.takeOnly('7', why), [put, second], why);
      expectLetters(await stage.deadLetters(), [], why);
    });
  });
}
