// The contract of several workers at once: no webhook is lost, none is run by two, and nobody undoes what another did.
import type { TakenContact, Verdict, WebhookQueue } from '../../../queue/queue';
import { randomOf } from '../../sandbox/random';
import { expectSame, expectTrue, fail } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import { atOnce, dead, done, expectLetters, HOUR, later, type PutJob, type Stage } from './stage';

const ONE_WORKER =
  'A contact was given to two workers at once. Take it in one statement that says that it is free, or lock its row first: of ' +
  'workers that look and then write all see that it is free.';
const NOT_SWALLOWED =
  'What is put at the same moment may not be lost, nor lie there without its contact being due: let finish() delete the jobs ' +
  'of its verdicts only, and decide in the same step, with the contact’s row locked, whether anything is left.';
const COUNTED =
  'Of callers at the same time each dead letter is replayed or deleted by one, and counted by that one only.';

export function racing(suite: Suite<Stage>, { writers, rounds, results, positions }: Settings): void {
  const numbers = Array.from({ length: writers }, (_, writer) => writer);

  /** Each round with contacts of its own, on one store. */
  const inRounds = async (body: (round: number) => Promise<void>): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) await body(round);
  };

  /** Contacts with a job each, taken, by number. */
  const takenContacts = async (
    stage: Stage,
    round: number,
  ): Promise<{ put: PutJob; taken: TakenContact }[]> => {
    const puts = new Map<string, PutJob>();
    for (const writer of numbers) puts.set(`r${round}-${writer}`, await stage.put(`r${round}-${writer}`));
    const contacts = await stage.take();
    expectSame(
      contacts.length,
      writers,
      `Jobs were put for ${writers} contacts, so take() has to give them.`,
    );
    return contacts.map((taken) => {
      const put = puts.get(taken.contactId);
      return put === undefined
        ? fail(`take() gave a contact that nothing was put for: ${taken.contactId}.`)
        : { put, taken };
    });
  };

  suite.group('races', () => {
    suite.test('takes at once: no contact is given twice, and none is left', async (stage) => {
      await inRounds(async (round) => {
        const contacts = Array.from({ length: writers * 3 }, (_, index) => `r${round}-${index}`);
        for (const contactId of contacts) await stage.put(contactId);
        const glass = await stage.hourglass();
        const given: TakenContact[] = [];
        await atOnce(
          numbers.map(async (number) => {
            const at = { by: stage.side(number) };
            await whileDue(
              contacts.length,
              () => stage.take(2, at),
              (taken) => void given.push(...taken),
            );
          }),
        );
        // Whoever asks while others do may be told that there is nothing. Whoever asks alone may not.
        given.push(...(await stage.take()));
        await expectOnce(stage, glass, given, contacts);
        await finishAll(stage, given);
      });
    });

    suite.test('takes of one contact at once: one gets it', async (stage) => {
      await inRounds(async (round) => {
        await stage.put(`r${round}`);
        const glass = await stage.hourglass();
        const given = await atOnce(numbers.map((number) => stage.take(1, { by: stage.side(number) })));
        const taken = [...given.flat(), ...(await stage.take())];
        await expectOnce(stage, glass, taken, [`r${round}`]);
        await finishAll(stage, taken);
      });
    });

    suite.test('puts at once: every job is stored, with an id of its own', async (stage) => {
      await inRounds(async (round) => {
        const contacts = [`r${round}-a`, `r${round}-b`];
        const puts = await atOnce(
          numbers.flatMap((number) =>
            [0, 1, 2].map((index) =>
              stage.put(contacts[index % 2] ?? '', stage.job(), { by: stage.side(number) }),
            ),
          ),
        );
        const taken = await stage.take();
        expectSame(
          taken.map(({ contactId }) => contactId).sort(),
          contacts,
          'Jobs were put for two contacts, and take() has to give those.',
        );
        const ids = taken.flatMap(({ jobs }) => jobs.map(({ id }) => id));
        expectSame(
          ids.sort(),
          puts.map(({ id }) => id).sort(),
          'Every job that was put has to be taken, and once only.',
        );
        await finishAll(stage, taken);
      });
    });

    suite.test('a burst of 300 contacts comes out whole', async (stage) => {
      const contacts = Array.from({ length: 300 }, (_, index) => `c${String(index).padStart(3, '0')}`);
      const puts = await atOnce(
        contacts.map((contactId, index) => stage.put(contactId, stage.job(), { by: stage.side(index) })),
      );
      expectSame(
        new Set(puts.map(({ id }) => id)).size,
        300,
        'put() has to give an id that no other job has, also to many callers at once.',
      );
      const finished: string[] = [];
      const work = (by: WebhookQueue): Promise<void> =>
        whileDue(
          contacts.length,
          () => stage.take(20, { by }),
          async (taken) => {
            for (const each of taken) {
              const verdicts = each.jobs.map(({ id }) => [id, done()] as const);
              if (await stage.finish(each, verdicts, { by })) finished.push(each.contactId);
            }
          },
        );
      await atOnce([work(stage.queue), work(stage.other)]);
      // Whoever asks while others do may be told that there is nothing.
      await work(stage.queue);
      expectSame(finished.sort(), contacts, 'Every contact has to be worked on, and finished once.');
      await stage.expectCounts({ waiting: 0, dead: 0 }, 'Everything is done.');
    });

    for (const [name, verdictOn] of [
      ['done', () => done()],
      ['later', ({ job }: PutJob) => later(HOUR, job)],
      ['dead', ({ job }: PutJob) => dead(job)],
    ] as const) {
      suite.test(`put against finish: the new job comes next (${name})`, async (stage) => {
        await inRounds(async (round) => {
          const contacts = await takenContacts(stage, round);
          const news: string[] = [];
          await atOnce(
            contacts.map(({ put, taken }, index) => {
              const finish = (): Promise<void> =>
                stage.expectFinished(taken, [[put.id, verdictOn(put)]], 'The contact was taken.', {
                  by: stage.side(index),
                });
              const putNew = async (): Promise<void> => {
                const at = { by: stage.side(index + 1) };
                news.push((await stage.put(taken.contactId, stage.job(), at)).id);
              };
              return begunInTurn(index, finish, putNew);
            }),
          );
          await expectDueNext(stage, news, contacts.length);
        });
      });
    }

    suite.test('put against take: the new job comes with it or next', async (stage) => {
      await inRounds(async (round) => {
        const puts: PutJob[] = [];
        for (const number of numbers) puts.push(await stage.put(`r${round}-${number}`));
        const given: TakenContact[] = [];
        await atOnce(
          numbers.flatMap((number) => [
            stage.take(2, { by: stage.side(number) }).then((taken) => given.push(...taken)),
            stage
              .put(`r${round}-${number}`, stage.job(), { by: stage.side(number + 1) })
              .then((put) => puts.push(put)),
          ]),
        );
        const finished: string[] = [];
        const end = async (contacts: readonly TakenContact[]): Promise<void> => {
          for (const each of contacts) {
            const ids = each.jobs.map(({ id }) => id);
            const verdicts = ids.map((id) => [id, done()] as const);
            if (await stage.finish(each, verdicts)) finished.push(...ids);
          }
        };
        await end(given);
        await whileDue(puts.length, () => stage.take(), end);
        expectSame(finished.sort(), puts.map(({ id }) => id).sort(), NOT_SWALLOWED);
      });
    });

    suite.test('replay against finish: the replayed job comes next', async (stage) => {
      await inRounds(async (round) => {
        for (const number of numbers) await stage.bury(`r${round}-${number}`);
        const contacts = await takenContacts(stage, round);
        const finishes = contacts.map(
          ({ put, taken }) =>
            (): Promise<void> =>
              stage.expectFinished(taken, [[put.id, done()]], 'It was taken.'),
        );
        const half = Math.floor(writers / 2);
        await atOnce([
          ...finishes.slice(0, half).map((finish) => finish()),
          stage.replay(undefined, { by: stage.other }),
          ...finishes.slice(half).map((finish) => finish()),
        ]);
        const taken = await stage.take();
        const ids = taken.map(({ contactId }) => contactId).sort();
        expectSame(ids, contacts.map((contact) => contact.taken.contactId).sort(), NOT_SWALLOWED);
        await finishAll(stage, taken);
      });
    });

    suite.test('workers and webhooks at once: every job is done once, by one worker', (stage) =>
      expectEverythingOnce(stage, { writers, rounds }),
    );

    suite.test('finishes of one lease at once: one ends it', async (stage) => {
      await inRounds(async (round) => {
        const contacts = await takenContacts(stage, round);
        for (const { put, taken } of contacts) {
          const outcomes = await atOnce(
            [0, 1, 2].map((side) => stage.finish(taken, [[put.id, done()]], { by: stage.side(side) })),
          );
          const expected = [false, false, true];
          expectSame(
            [...outcomes].sort(),
            expected,
            'A lease ends once: compare the token in the step that writes, and give false where it was gone.',
          );
        }
      });
    });

    suite.test('renew against finish: the contact is free afterwards', async (stage) => {
      await inRounds(async (round) => {
        const contacts = await takenContacts(stage, round);
        await atOnce(
          contacts.flatMap(({ taken }, index) => [
            stage.renew([taken], { by: stage.side(index) }),
            stage.expectFinished(taken, [], 'The contact was taken.', { by: stage.side(index + 1) }),
          ]),
        );
        const taken = await stage.take();
        expectSame(
          taken.length,
          contacts.length,
          'Finished contacts are free, also those whose lease was renewed at the same moment: renew() may only write where the ' +
            'token is still the one of the lease.',
        );
        await finishAll(stage, taken);
      });
    });

    suite.test(
      'finish against the next worker, when the lease has run out: one of the two',
      async (stage) => {
        await inRounds(async (round) => {
          const contacts = await takenContacts(stage, round);
          await (await stage.hourglass()).runOut();
          const glass = await stage.hourglass();
          const finished: string[] = [];
          const next: TakenContact[] = [];
          await atOnce(
            contacts.map(({ put, taken }, index) => {
              const finish = async (): Promise<void> => {
                const isFinished = await stage.finish(taken, [[put.id, done()]], { by: stage.side(index) });
                if (isFinished) finished.push(taken.contactId);
              };
              const takeNext = async (): Promise<void> => {
                next.push(...(await stage.take(1, { by: stage.side(index + 1) })));
              };
              return begunInTurn(index, finish, takeNext);
            }),
          );
          const both = next.filter(({ contactId }) => finished.includes(contactId));
          expectSame(
            both.map(({ contactId }) => contactId),
            [],
            'The slow worker was told that its work counts, and another worker was given the same job. Both may not be: compare ' +
              'the token in the step that writes.',
          );
          next.push(...(await stage.take()));
          const ids = [...finished, ...next.map(({ contactId }) => contactId)].sort();
          const expected = contacts.map(({ taken }) => taken.contactId).sort();
          if (ids.join() !== expected.join()) await stage.expectInTime(glass);
          expectSame(
            ids,
            expected,
            'The slow worker was refused, so another one has the contact, or gets it.',
          );
          await finishAll(stage, next);
        });
      },
    );

    suite.test('renew against the next worker, when the lease has run out: one of the two', async (stage) => {
      await inRounds(async (round) => {
        const contacts = await takenContacts(stage, round);
        await (await stage.hourglass()).runOut();
        const glass = await stage.hourglass();
        const renewed: string[] = [];
        const next: TakenContact[] = [];
        await atOnce(
          contacts.flatMap(({ taken }, index) => [
            stage
              .renew([taken], { by: stage.side(index) })
              .then((held) => renewed.push(...held.map(({ contactId }) => contactId))),
            stage.take(1, { by: stage.side(index + 1) }).then((given) => next.push(...given)),
          ]),
        );
        // Those that neither got by now have to be free.
        next.push(...(await stage.take()));
        const ids = [...renewed, ...next.map(({ contactId }) => contactId)].sort();
        const expected = contacts.map(({ taken }) => taken.contactId).sort();
        if (ids.join() !== expected.join()) await stage.expectInTime(glass);
        expectSame(
          ids,
          expected,
          `Either the lease is renewed or the next worker is given the contact. ${ONE_WORKER}`,
        );
        const leases = [
          ...contacts.map(({ taken }) => taken).filter(({ contactId }) => renewed.includes(contactId)),
          ...next,
        ];
        for (const each of leases) {
          await stage.expectFinished(
            each,
            each.jobs.map(({ id }) => [id, done()]),
            'It is held.',
          );
        }
      });
    });

    suite.test('replays and purges at once: each dead letter goes once', async (stage) => {
      await inRounds(async (round) => {
        const letters: PutJob[] = [];
        for (const number of numbers) letters.push(await stage.bury(`r${round}-${number}`));
        const ids = letters.map(({ id }) => id);
        const [replayed, purged, replayedToo, purgedToo] = await atOnce([
          stage.replay(ids.slice(0, -1)),
          stage.purge(undefined, { by: stage.other }),
          stage.replay(undefined, { by: stage.other }),
          stage.purge([...ids].reverse()),
        ]);
        expectLetters(await stage.deadLetters(), [], 'All were replayed or deleted.');
        expectSame(replayed + purged + replayedToo + purgedToo, writers, COUNTED);
        const taken = await stage.take();
        expectSame(taken.flatMap(({ jobs }) => jobs).length, replayed + replayedToo, COUNTED);
        await finishAll(stage, taken);
      });
    });

    suite.test(
      'results of many at once: each has its own',
      async (stage) => {
        const contacts = await takenContacts(stage, 0);
        await atOnce(
          contacts.map(({ put, taken }, index) =>
            stage.finish(taken, [[put.id, done({ of: taken.contactId })]], { by: stage.side(index) }),
          ),
        );
        const settled = await stage.settled(contacts.map(({ put }) => put.id));
        for (const { put, taken } of contacts) {
          const expected = { kind: 'done', result: { of: taken.contactId } };
          expectSame(
            settled.get(put.id),
            expected,
            'Results of jobs that are finished at once are kept for each job.',
          );
        }
      },
      !results && 'results',
    );

    suite.test(
      'positions written at once: each key has one of those written',
      async (stage) => {
        await inRounds(async (round) => {
          await atOnce(
            numbers.flatMap((number) => [
              stage.writePosition('shared', `${round}-${number}`, { by: stage.side(number) }),
              stage.writePosition(`key ${number}`, `${round}`, { by: stage.side(number + 1) }),
            ]),
          );
          const shared = await stage.readPosition('shared');
          expectTrue(
            numbers.some((number) => shared === `${round}-${number}`),
            `Several wrote one position at once, and afterwards it is none of theirs but ${String(shared)}.`,
          );
          for (const number of numbers) {
            expectSame(
              await stage.readPosition(`key ${number}`),
              `${round}`,
              'Every key has its own position, also where many are written at once.',
            );
          }
        });
      },
      !positions && 'positions',
    );
  });
}

/** Two calls at once. Which of them begins, and in which process, changes from contact to contact. */
async function begunInTurn(index: number, one: () => Promise<void>, two: () => Promise<void>): Promise<void> {
  await atOnce(index % 4 < 2 ? [one(), two()] : [two(), one()]);
}

/** Takes and works until nothing is due, or more often than there is anything to take: a broken queue may never end. */
async function whileDue(
  most: number,
  take: () => Promise<TakenContact[]>,
  work: (taken: readonly TakenContact[]) => Promise<void> | void,
): Promise<void> {
  for (let count = 0; count <= most; count += 1) {
    const taken = await take();
    if (taken.length === 0) return;
    await work(taken);
  }
}

/** Ends the work on contacts, with everything done. */
async function finishAll(stage: Stage, contacts: readonly TakenContact[]): Promise<void> {
  for (const contact of contacts) {
    await stage.finish(
      contact,
      contact.jobs.map(({ id }) => [id, done()]),
    );
  }
}

/** Whether every contact was given once. Where leases may have run out in between, nothing can be said. */
async function expectOnce(
  stage: Stage,
  glass: Awaited<ReturnType<Stage['hourglass']>>,
  given: readonly TakenContact[],
  contacts: readonly string[],
): Promise<void> {
  const ids = given.map(({ contactId }) => contactId).sort();
  if (ids.length > new Set(ids).size) {
    await stage.expectInTime(glass);
    fail(ONE_WORKER, { actual: ids });
  }
  expectSame(ids, [...contacts].sort(), 'Every contact that is due has to be given to somebody.');
}

/** Whether these jobs are due now, each for a contact of its own, and takes them away. */
async function expectDueNext(stage: Stage, ids: readonly string[], contacts: number): Promise<void> {
  const taken = await stage.take();
  const given = taken.flatMap(({ jobs }) => jobs.map(({ id }) => id));
  const missing = ids.filter((id) => !given.includes(id));
  expectSame(
    missing,
    [],
    `Some jobs that were put while their contact was finished are not due. ${NOT_SWALLOWED}`,
  );
  expectSame(taken.length, contacts, NOT_SWALLOWED);
  await finishAll(stage, taken);
}

/** Puts and works on few contacts at once, by chance, until everything is done. */
async function expectEverythingOnce(
  stage: Stage,
  { writers, rounds }: { readonly writers: number; readonly rounds: number },
): Promise<void> {
  const contacts = ['a', 'b', 'c'];
  const puts: string[] = [];
  const finished: string[] = [];
  /** How often a contact was given so far. */
  const takings = new Map<string, number>();
  let areWebhooksOver = false;

  const sendWebhooks = async (number: number): Promise<void> => {
    const random = randomOf(number);
    for (let count = 0; count < rounds * 4; count += 1) {
      const contactId = contacts[Math.floor(random() * contacts.length)] ?? 'a';
      puts.push((await stage.put(contactId, stage.job(), { by: stage.side(number) })).id);
    }
  };

  /** Takes contacts, each with the number of its taking. */
  const take = async (limit: number, by: WebhookQueue): Promise<[TakenContact, number][]> =>
    (await stage.take(limit, { by })).map((contact) => {
      const taking = (takings.get(contact.contactId) ?? 0) + 1;
      takings.set(contact.contactId, taking);
      return [contact, taking];
    });

  const workOn = async (
    [contact, taking]: [TakenContact, number],
    random: () => number,
    by: WebhookQueue,
  ): Promise<void> => {
    const verdicts = contact.jobs.flatMap(({ id, job }): (readonly [string, Verdict])[] => {
      const chance = random();
      if (chance < 0.6) return [[id, done()]];
      return chance < 0.8 ? [[id, later(0, job)]] : [];
    });
    await stage.renew([contact], { by });
    const isAlone = takings.get(contact.contactId) === taking;
    if (!(await stage.finish(contact, verdicts, { by }))) return;
    if (!isAlone)
      fail(
        `A worker was told that its work counts, and another had been given the contact since. ${ONE_WORKER}`,
      );
    finished.push(...verdicts.filter(([, { kind }]) => kind === 'done').map(([id]) => id));
  };

  const work = async (number: number): Promise<void> => {
    const random = randomOf(1000 + number);
    const by = stage.side(number);
    while (!areWebhooksOver) {
      const taken = await take(1 + Math.floor(random() * 2), by);
      for (const contact of taken) await workOn(contact, random, by);
      // Others have a turn also where nothing in a queue waits.
      if (taken.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };

  const numbers = Array.from({ length: writers }, (_, number) => number);
  const webhooks = atOnce(numbers.map(sendWebhooks)).finally(() => (areWebhooksOver = true));
  await atOnce([webhooks, ...numbers.map(work)]);

  await stage.until(async () => {
    for (const contact of await take(contacts.length, stage.queue))
      await workOn(contact, () => 0, stage.queue);
    return (await stage.counts()).waiting === 0;
  }, 'Every job has to be given to a worker until it is done, and counts() to say when nothing waits.');
  expectSame(
    finished.sort(),
    puts.sort(),
    `Every job that was put has to be done once, by one worker, and none may be lost. ${ONE_WORKER} ${NOT_SWALLOWED}`,
  );
}
