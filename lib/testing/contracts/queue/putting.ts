// The contract of put: what is stored comes out whole, in order, and for nobody else.
import type { Job } from '../../../queue/queue';
import { expectSame } from '../expectations';
import type { Suite } from '../runner';
import { atOnce, dead, done, expectJobs, expectLetters, type Stage } from './stage';

/** Where databases, drivers and JSON go wrong. A CRM's URL may hold any of it. */
export const AWKWARD_TEXTS: readonly (readonly [string, string])[] = [
  ['quotes, backslashes and what looks like SQL', `O'Brien "Bob" \\ \\n ; -- %_ ? $1 :name ??`],
  ['new lines and tabs', 'one\ntwo\r\nthree\ttabbed'],
  ['letters of every kind', 'Zoë, 日本, עברית, \u00e9 and e\u0301, 🎉👩\u200d👧'],
  ['NUL and other control characters', 'a\u0000b\u0001c\u001f\u007f\u2028'],
  ['half a surrogate pair', 'a\ud800b\udfff'],
  ['white space around', '  with spaces around  '],
  ['nothing', ''],
  ['what looks like a number', '007'],
  ['what looks like JSON', '{"a":[null,"\\u0000"]}'],
  ['50,000 characters', `${'ünd '.repeat(12_500)}!`],
];

/** Contact ids that are easily taken for one. */
const LOOKALIKES: readonly (readonly [string, string, string])[] = [
  ['zeros that an id begins with count', '7', '007'],
  ['the case of an id counts', 'aBc', 'abc'],
  ['an underscore is no wildcard', 'a_1', 'ab1'],
  ['an underscore is no hyphen', 'a_1', 'a-1'],
  ['a hyphen counts', 'a-1', 'a1'],
  ['every digit of a long id counts', '9007199254740993', '9007199254740992'],
  ['an id is no number', '1e3', '1000'],
  ['all 64 characters count', `${'x'.repeat(63)}1`, `${'x'.repeat(63)}2`],
  ['an id that the other begins with is another one', '12', '123'],
];

const TO_THE_LETTER =
  'Contact ids are text of up to 64 characters, compared to the letter: a binary collation, no number, no LIKE.';

export function putting(suite: Suite<Stage>): void {
  suite.group('put', () => {
    suite.test('gives ids that differ, also between contacts and names', async (stage) => {
      const ids = [];
      for (const contactId of ['1', '1', '2']) {
        ids.push(
          (await stage.put(contactId)).id,
          (await stage.put(contactId, stage.job(), { by: stage.other })).id,
        );
        ids.push((await stage.put(contactId, stage.job(), { queue: stage.otherName })).id);
      }
      expectSame(
        new Set(ids).size,
        ids.length,
        'put() has to give an id that no other job has, of whichever contact and name.',
      );
    });

    suite.test('a job with everything comes out whole', async (stage) => {
      const job: Job = {
        ...{ action: 'update', role: 'customer', sendNotification: true, email: 'mary@example.com' },
        ...{ receivedAt: 1_753_900_000_123, awaited: true, tries: 3, pauses: 12 },
        failure: { code: 'CRM_UNAVAILABLE', detail: 'It did not answer.', at: 1_753_900_000_456 },
      };
      await expectWhole(stage, job);
    });

    suite.test('a job with the least comes out whole', (stage) =>
      expectWhole(stage, { action: 'settle', receivedAt: 0 }),
    );

    for (const [name, text] of AWKWARD_TEXTS) {
      suite.test(`keeps to the letter: ${name}`, (stage) =>
        expectWhole(
          stage,
          stage.job({
            role: text,
            email: text,
            failure: { code: text, detail: text, at: 1 },
            [`k ${text}`]: text,
          }),
        ),
      );
    }

    suite.test('keeps properties that it does not know, with their types', (stage) =>
      expectWhole(
        stage,
        stage.job({
          ...{ later: { nested: [{ deep: [1, '1', null, true, []] }, {}] }, '': 'no name', 'with.dot': 1 },
          ...{ zero: 0, fraction: -12.5, large: 9007199254740991, tiny: 5e-324, no: false, nothing: null },
          ...{ id: 'none of the queue', state: 'dead', queue: 'x', constructor: 'none of an object' },
          ...{ date: '2025-01-01T00:00:00.000Z', list: ['', 'a,b', '日本'] },
        }),
      ),
    );

    suite.test('a property that is undefined is one that is not there', async (stage) => {
      const put = await stage.put('7', stage.job({ role: undefined, failure: undefined }));
      const taken = await stage.takeOnly('7', 'A job was put.');
      const { role: _role, failure: _failure, ...job } = put.job;
      const given = Object.entries(taken.jobs[0]?.job ?? {}).filter(
        ([, value]) => (value as unknown) !== undefined,
      );
      expectSame(
        Object.fromEntries(given),
        job,
        'What is undefined does not survive JSON, and nothing else may change.',
      );
    });

    suite.test('keeps a copy, and gives copies', async (stage) => {
      const given = { ...stage.job(), failure: { code: 'A', detail: 'first', at: 1 } };
      const job = structuredClone(given);
      const { id } = await stage.put('7', given);
      given.failure.detail = 'changed after it was put';
      const taken = await stage.takeOnly('7', 'A job was put.');
      expectJobs(taken, [{ id, job }], 'The caller changed its object after put().');
      (taken.jobs[0]?.job as { failure: { detail: string } }).failure.detail = 'changed after it was taken';
      await stage.expectFinished(taken, [], 'The contact was taken.');
      const again = await stage.takeOnly('7', 'A job was left as it was.');
      expectJobs(again, [{ id, job }], 'A worker changed the object it was given.');
    });

    suite.test('merges nothing: two equal jobs are two', async (stage) => {
      const job = stage.job();
      const jobs = [await stage.put('7', job), await stage.put('7', job)];
      const taken = await stage.takeOnly('7', 'Two jobs were put.');
      expectJobs(taken, jobs, 'What is to be merged is the business of the worker.');
    });

    suite.test('the jobs of a contact come in the order they were put', async (stage) => {
      const jobs = [];
      for (let index = 0; index < 12; index += 1) {
        jobs.push(await stage.put('7'));
        await stage.put(`8-${index}`);
      }
      const [seven] = (await stage.take()).filter(({ contactId }) => contactId === '7');
      if (seven !== undefined) expectJobs(seven, jobs, 'Twelve jobs were put, one after the other.');
      expectSame(seven?.contactId, '7', 'Jobs were put for the contact 7, so take() has to give it.');
    });

    suite.test('the order holds across processes', async (stage) => {
      const jobs = [];
      for (let index = 0; index < 12; index += 1) {
        jobs.push(await stage.put('7', stage.job(), { by: stage.side(index) }));
      }
      const taken = await stage.takeOnly('7', 'Jobs were put.', { by: stage.other });
      expectJobs(taken, jobs, 'Two processes put jobs in turn; the store knows which was first.');
    });

    suite.test('250 jobs of a contact come out together', async (stage) => {
      const puts = Array.from({ length: 250 }, (_, index) =>
        stage.put('7', stage.job(), { by: stage.side(index) }),
      );
      const jobs = await atOnce(puts);
      const taken = await stage.takeOnly('7', '250 jobs were put.');
      expectSame(
        taken.jobs.map(({ id }) => id).sort(),
        jobs.map(({ id }) => id).sort(),
        'A contact is taken with all its jobs, however many there are.',
      );
    });
  });

  suite.group('contact ids', () => {
    for (const [name, one, two] of LOOKALIKES) {
      suite.test(name, async (stage) => {
        const first = await stage.put(one);
        const second = await stage.put(two);
        const taken = await stage.take();
        expectSame(
          taken.map(({ contactId }) => contactId).sort(),
          [one, two].sort(),
          `Jobs were put for two contacts, so take() has to give both. ${TO_THE_LETTER}`,
        );
        for (const contact of taken) {
          const mine = contact.contactId === one ? first : second;
          expectJobs(contact, [mine], `A contact has its own jobs and no others. ${TO_THE_LETTER}`);
        }
        const [contact] = taken.filter(({ contactId }) => contactId === one);
        if (contact === undefined) return;
        await stage.expectFinished(
          contact,
          [
            [first.id, dead(first.job)],
            [second.id, done()],
          ],
          TO_THE_LETTER,
        );
        expectLetters(await stage.deadLetters(), [{ ...first, contactId: one }], TO_THE_LETTER);
        await stage.expectNothingDue(
          `The worker of one contact has finished; the other contact still has its own. ${TO_THE_LETTER}`,
        );
        await stage.expectCounts({ waiting: 1, dead: 1 }, TO_THE_LETTER);
      });
    }
  });
}

/** Whether a job comes out of every place as it went in: taken, tried again, given up and replayed. */
async function expectWhole(stage: Stage, job: Job): Promise<void> {
  const put = await stage.put('7', structuredClone(job));
  const taken = await stage.takeOnly('7', 'A job was put.');
  expectJobs(taken, [put], 'A job was put and taken.');
  await stage.expectFinished(
    taken,
    [[put.id, { kind: 'later', delayMs: 0, job: structuredClone(job) }]],
    'It was taken.',
  );
  const again = await stage.takeOnly('7', 'A job was put off by 0 ms.', { by: stage.other });
  expectJobs(again, [put], 'A job was put off.');
  await stage.expectFinished(again, [[put.id, dead(structuredClone(job))]], 'It was taken.');
  expectLetters(await stage.deadLetters(), [{ ...put, contactId: '7' }], 'A job was given up.');
  await stage.replay();
  const replayed = await stage.takeOnly('7', 'A dead letter was replayed.');
  expectSame(replayed.jobs[0]?.job, job, 'A replayed job has to be the one that was given up, whole.');
}
