// The contract of several processes: nothing of a queue lives in the memory of one of them.
import { expectSame } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import { dead, done, dueOf, expectJobs, expectLetters, HOUR, later, type Stage } from './stage';

const IN_THE_STORE = 'Everything is in the store, and nothing in the memory of a process.';

export function processes(suite: Suite<Stage>, { results, positions }: Settings): void {
  suite.group('several processes', () => {
    suite.test('a lease of one is as good in the other', async (stage) => {
      const { other } = stage;
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', IN_THE_STORE, { by: other });
      expectSame((await stage.renew([taken])).length, 1, `The other process took it. ${IN_THE_STORE}`);
      await stage.expectFinished(
        taken,
        [[put.id, later(0, put.job)]],
        `The other process took it. ${IN_THE_STORE}`,
      );
      const again = await stage.takeOnly('7', IN_THE_STORE);
      await stage.expectFinished(again, [[put.id, dead(put.job)]], IN_THE_STORE, { by: other });
      expectLetters(await stage.deadLetters(), [{ ...put, contactId: '7' }], IN_THE_STORE);
    });

    suite.test('after a restart everything is as it was', async (stage) => {
      const late = await stage.put('later');
      const first = await stage.takeOnly('later', 'A job was put.');
      await stage.expectFinished(first, [[late.id, later(HOUR, late.job)]], 'The contact was taken.');
      const letter = await stage.bury('dead');
      const over = await stage.put('over');
      const last = await stage.takeOnly('over', 'A job was put.');
      await stage.expectFinished(last, [[over.id, done({ outcome: 'created' })]], 'The contact was taken.');
      if (positions) await stage.writePosition('import', 'here');
      const held = await stage.put('held');
      const taken = await stage.takeOnly('held', 'A job was put.');
      const since = await stage.put('held');
      const due = await stage.put('due');

      const at = { by: await stage.reopened() };
      await stage.expectCounts({ waiting: 4, dead: 1 }, IN_THE_STORE, at);
      const free = await stage.takeOnly(
        'due',
        `One contact waits for an hour and one is held. ${IN_THE_STORE}`,
        at,
      );
      expectJobs(free, [due], IN_THE_STORE);
      const next = await stage.put('later', stage.job(), at);
      expectSame(
        new Set([late.id, letter.id, over.id, held.id, since.id, due.id, next.id]).size,
        7,
        'After a restart no id may be given once more.',
      );
      const both = await stage.takeOnly('later', IN_THE_STORE, at);
      expectJobs(both, [late, next], IN_THE_STORE);
      expectSame(
        dueOf(both),
        [
          [late.id, false],
          [next.id, true],
        ],
        'A job that was put off waits as long as it was to, also after a restart.',
      );
      await stage.expectFinished(
        taken,
        [[held.id, done()]],
        `It was taken before the restart. ${IN_THE_STORE}`,
        at,
      );
      expectJobs(await stage.takeOnly('held', IN_THE_STORE, at), [since], IN_THE_STORE);
      expectLetters(await stage.deadLetters({}, at), [{ ...letter, contactId: 'dead' }], IN_THE_STORE);
      if (results) {
        const settled = await stage.settled([over.id], at);
        expectSame(settled.get(over.id), { kind: 'done', result: { outcome: 'created' } }, IN_THE_STORE);
      }
      if (positions) expectSame(await stage.readPosition('import', at), 'here', IN_THE_STORE);
    });
  });
}
