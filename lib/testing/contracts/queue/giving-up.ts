// The contract of dead letters: they are kept until somebody replays or deletes them, and are in nobody's way.
import { expectSame, fail } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
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

const NONE_IS_NOT_ALL = 'A list of ids that is empty names none; only where no list is given all are meant.';

export function givingUp(suite: Suite<Stage>, { results, positions }: Settings): void {
  suite.group('dead letters', () => {
    suite.test('none is an empty list, a number of 0', async (stage) => {
      await stage.put('7');
      expectLetters(await stage.deadLetters(), [], 'Nothing was given up.');
      expectNumber(await stage.replay(), 0, 'There was no dead letter to replay.');
      expectNumber(await stage.purge(), 0, 'There was no dead letter to delete.');
      await stage.expectCounts({ waiting: 1, dead: 0 }, 'One job waits.');
    });

    suite.test('come in pages, the oldest first, each once', async (stage) => {
      const letters = await buryMany(stage, 7);
      expectLetters(await stage.deadLetters({}, { by: stage.other }), letters, 'Seven jobs were given up.');
      expectLetters(await stage.deadLetters({ limit: 3 }), letters.slice(0, 3), 'The first page of three.');
      const given = [];
      for (let after: string | undefined, page = 0; page < 4; page += 1) {
        const next = await stage.deadLetters({ limit: 3, ...(after === undefined ? {} : { after }) });
        expectSame(
          next.length,
          [3, 3, 1, 0][page],
          `Of seven dead letters in pages of three, page ${page + 1} has to begin behind the last one of the page before.`,
        );
        given.push(...next);
        after = given.at(-1)?.id;
      }
      expectLetters(given, letters, 'A page begins behind the letter with the id `after`.');
    });

    suite.test('of one finish are all kept', async (stage) => {
      const jobs = await stage.putAll('7', 5);
      const taken = await stage.takeOnly('7', 'Jobs were put.');
      await stage.expectFinished(
        taken,
        jobs.map(({ id, job }) => [id, dead(job)]),
        'The contact was taken.',
      );
      const pages = [await stage.deadLetters({ limit: 2 })];
      for (let page = 1; page < 3; page += 1) {
        const after = pages.at(-1)?.at(-1)?.id;
        if (after !== undefined) pages.push(await stage.deadLetters({ limit: 2, after }));
      }
      expectSame(
        pages
          .flat()
          .map(({ id }) => id)
          .sort(),
        jobs.map(({ id }) => id).sort(),
        'Jobs that were given up in the same moment come in pages as well, each once: order by more than the time.',
      );
    });

    suite.test('make no contact due', async (stage) => {
      await stage.bury('7');
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      await stage.expectFinished(taken, [[put.id, later(HOUR, put.job)]], 'The contact was taken.');
      await stage.expectNothingDue('The contact has a dead letter, and a job that is due in an hour.');
    });

    suite.test('are due now when all are replayed', async (stage) => {
      const letters = await buryMany(stage, 3);
      expectNumber(
        await stage.replay(undefined, { by: stage.other }),
        3,
        'replay() gives how many there were.',
      );
      const taken = await stage.take();
      expectSame(
        taken
          .map(({ contactId, jobs }) => ({ contactId, jobs: jobs.map(({ job, isDue }) => ({ job, isDue })) }))
          .sort(byContact),
        letters.map(({ contactId, job }) => ({ contactId, jobs: [{ job, isDue: true }] })),
        'A replayed dead letter is a job that is due now, for its contact, as it was given up.',
      );
      expectLetters(await stage.deadLetters(), [], 'All were replayed.');
      await stage.expectCounts({ waiting: 3, dead: 0 }, 'All were replayed.');
    });

    suite.test('only those with the ids are replayed', async (stage) => {
      const letters = await buryMany(stage, 4);
      const [one, two, three, four] = letters as [Letter, Letter, Letter, Letter];
      expectNumber(await stage.replay([three.id, one.id]), 2, 'Two ids were given.');
      expectLetters(await stage.deadLetters(), [two, four], 'The others stay.');
      const contacts = (await stage.take()).map(({ contactId }) => contactId);
      expectSame(
        contacts.sort(),
        [one.contactId, three.contactId],
        'Two dead letters were replayed, so their contacts are due.',
      );
    });

    suite.test('only those with the ids are deleted', async (stage) => {
      const letters = await buryMany(stage, 4);
      const [one, two, three, four] = letters as [Letter, Letter, Letter, Letter];
      expectNumber(await stage.purge([three.id, one.id]), 2, 'Two ids were given.');
      expectLetters(await stage.deadLetters(), [two, four], 'The others stay.');
      await stage.expectNothingDue('What is deleted is not replayed.');
      expectNumber(await stage.purge(), 2, 'Two are left.');
      expectLetters(await stage.deadLetters(), [], 'All were deleted.');
      expectNumber(await stage.replay(), 0, 'All were deleted.');
    });

    suite.test('an empty list of ids is none, not all', async (stage) => {
      const letters = await buryMany(stage, 2);
      expectNumber(await stage.replay([]), 0, NONE_IS_NOT_ALL);
      expectNumber(await stage.purge([]), 0, NONE_IS_NOT_ALL);
      expectLetters(await stage.deadLetters(), letters, NONE_IS_NOT_ALL);
    });

    suite.test('ids that are unknown, or given twice, do not count', async (stage) => {
      const [one, two] = (await buryMany(stage, 2)) as [Letter, Letter];
      expectNumber(await stage.replay(UNKNOWN_IDS), 0, 'There is no such dead letter.');
      expectNumber(await stage.purge(UNKNOWN_IDS), 0, 'There is no such dead letter.');
      expectLetters(await stage.deadLetters(), [one, two], 'No dead letter has any of the ids.');
      const replayed = await stage.replay([one.id, ...UNKNOWN_IDS, one.id]);
      expectNumber(replayed, 1, 'One dead letter has one of the ids, which was given twice.');
      const purged = await stage.purge([two.id, two.id, ...UNKNOWN_IDS]);
      expectNumber(purged, 1, 'One dead letter has one of the ids, which was given twice.');
    });

    suite.test('200 ids at once', async (stage) => {
      const jobs = await atOnce(Array.from({ length: 200 }, () => stage.put('7')));
      const taken = await stage.takeOnly('7', 'Jobs were put.');
      await stage.expectFinished(
        taken,
        jobs.map(({ id, job }) => [id, dead(job)]),
        'The contact was taken.',
      );
      const ids = jobs.map(({ id }) => id);
      expectNumber(await stage.purge(ids.slice(0, 100)), 100, 'A hundred ids were given.');
      expectNumber(await stage.replay(ids), 100, 'A hundred of the ids are left.');
      const again = await stage.takeOnly('7', 'Jobs were replayed.');
      expectSame(again.jobs.length, 100, 'A hundred dead letters were replayed, so take() has to give them.');
    });

    suite.test('replay and purge do nothing to jobs that are not dead', async (stage) => {
      const waiting = await stage.put('waiting');
      const first = await stage.takeOnly('waiting', 'A job was put.');
      await stage.expectFinished(first, [[waiting.id, later(HOUR, waiting.job)]], 'It was taken.');
      const held = await stage.put('held');
      const taken = await stage.takeOnly('held', 'A job was put.');
      const free = await stage.put('free');
      const ids = [waiting.id, held.id, free.id];
      const why = 'The jobs wait, so replay() and purge() have nothing to do with them.';
      const numbers = [
        await stage.replay(ids),
        await stage.purge(ids),
        await stage.replay(),
        await stage.purge(),
      ];
      expectSame(numbers, [0, 0, 0, 0], why);
      await stage.expectCounts({ waiting: 3, dead: 0 }, why);
      expectJobs(await stage.takeOnly('free', why), [free], why);
      await stage.expectFinished(taken, [[held.id, done()]], why);
    });

    suite.test('purge touches nothing else of a contact', async (stage) => {
      const [gone, stays] = [await stage.bury('7'), await stage.put('7')];
      const taken = await stage.takeOnly('7', 'A job was put.');
      const over = await stage.put('8');
      const other = await stage.takeOnly('8', 'A job was put.');
      await stage.expectFinished(other, [[over.id, done({ outcome: 'created' })]], 'It was taken.');
      if (positions) await stage.writePosition('import', 'here');
      expectNumber(await stage.purge(), 1, 'There was one dead letter.');
      const why = 'purge() deletes dead letters and never touches anything else.';
      await stage.expectCounts({ waiting: 1, dead: 0 }, why);
      if (results) expectSame([...(await stage.settled([over.id, gone.id])).keys()], [over.id], why);
      if (positions) expectSame(await stage.readPosition('import'), 'here', why);
      await stage.expectNothingDue(`The contact is being worked on. ${why}`);
      await stage.expectFinished(taken, [], why);
      expectJobs(await stage.takeOnly('7', why), [stays], why);
    });

    suite.test('a replayed one comes with the rest of its contact', async (stage) => {
      await stage.bury('7');
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      await stage.expectFinished(taken, [[put.id, later(HOUR, put.job)]], 'The contact was taken.');
      await stage.replay();
      const why = 'A dead letter was replayed, so the contact is due with everything it has.';
      const again = await stage.takeOnly('7', why);
      expectSame(again.jobs.length, 2, why);
      const isDue = again.jobs.map(({ isDue: is }) => is).sort();
      expectSame(isDue, [false, true], `${why} The one that waits for an hour says that it is not due.`);
    });

    suite.test('a replayed one waits while the contact is worked on', async (stage) => {
      const letter = await stage.bury('7');
      const put = await stage.put('7');
      const taken = await stage.takeOnly('7', 'A job was put.');
      expectNumber(await stage.replay([letter.id], { by: stage.other }), 1, 'There was one dead letter.');
      await stage.expectNothingDue('The contact is being worked on: whoever has it keeps it.');
      expectSame((await stage.renew([taken])).length, 1, 'replay() takes the lease from nobody.');
      await stage.expectFinished(taken, [[put.id, done()]], 'replay() takes the lease from nobody.');
      const why =
        'A dead letter was replayed while the contact was worked on, so it is due as soon as that is free.';
      const again = await stage.takeOnly('7', why);
      expectSame(
        again.jobs.map(({ job }) => job),
        [letter.job],
        why,
      );
    });

    suite.test('a replayed one is a job like any other', async (stage) => {
      await stage.bury('7');
      for (const story of ['second', 'third']) {
        await stage.replay();
        const taken = await stage.takeOnly('7', 'A dead letter was replayed.');
        const [job] = taken.jobs;
        if (job === undefined) return fail('A dead letter was replayed.');
        expectSame(dueOf(taken), [[job.id, true]], 'A replayed job is due now, so isDue has to be true.');
        const again = { ...job.job, story };
        await stage.expectFinished(taken, [[job.id, dead(again)]], 'The contact was taken.');
        const letters = await stage.deadLetters();
        expectLetters(letters, [{ id: job.id, contactId: '7', job: again }], 'The job was given up again.');
      }
      await stage.replay();
      const last = await stage.takeOnly('7', 'A dead letter was replayed.');
      await stage.expectFinished(
        last,
        last.jobs.map(({ id }) => [id, done()]),
        'The contact was taken.',
      );
      await stage.expectCounts({ waiting: 0, dead: 0 }, 'The job is done.');
    });
  });
}

const expectNumber = (given: number, expected: number, why: string): void =>
  expectSame(given, expected, `${why} replay() and purge() have to give how many dead letters there were.`);

type Letter = PutJob & { readonly contactId: string };

/** Dead letters of as many contacts, one after the other. */
async function buryMany(stage: Stage, count: number): Promise<Letter[]> {
  const letters: Letter[] = [];
  for (let index = 0; index < count; index += 1) {
    const contactId = `c${index}`;
    letters.push({ ...(await stage.bury(contactId)), contactId });
  }
  return letters;
}

const byContact = (one: { contactId: string }, two: { contactId: string }): number =>
  one.contactId < two.contactId ? -1 : 1;
