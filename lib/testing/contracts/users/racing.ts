// The contract of several writers at once: one of them wins wholly, and the others are told so by name.
import { codeOf } from '../../../errors';
import type { NewUser, User, UserChanges, UserRepository } from '../../../users/repository';
import { expectField, expectSame, fail, shownError } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import { metaOf, type Stage } from './stage';

type Field = 'contactId' | 'email' | 'username';

/** One of several that write at once. */
interface Writer {
  write(users: UserRepository): Promise<User>;
  /** What the storage holds for it where it wins. */
  readonly won: NewUser;
  /** The user that it changes, and what the storage holds for that one where it loses. */
  readonly before?: { readonly id: string; readonly user: NewUser };
}

/** What a loser is told. */
interface Losing {
  readonly code: 'DUPLICATE_USER' | 'STALE_USER';
  readonly fields?: readonly Field[];
  /** How to make sure that one wins. */
  readonly advice: string;
}

const UNIQUE =
  'Only a unique index makes this sure, looking before writing does not: of writers at the same time all look, and then all write.';
const ATOMIC =
  'The condition belongs into the WHERE of the one UPDATE (or the row is locked first): of writers that look and then write ' +
  'all see the old state.';
const IN_THE_STORE =
  'Change in the store what is asked for and nothing else, in one statement or with the row locked: whoever loads a user, ' +
  'changes it and saves it takes back what was written in between.';

/** Values that nobody has, one for each round. */
const aContact = (round: number): { contactId: string } => ({ contactId: String(7_000_000 + round) });
const anEmail = (round: number): { email: string } => ({ email: `wanted${round}@example.com` });

const isTaken = (...fields: Field[]): Losing => ({ code: 'DUPLICATE_USER', fields, advice: UNIQUE });

export function racing(suite: Suite<Stage>, settings: Settings): void {
  const { writers, rounds } = settings;
  const [role, otherRole] = settings.roles;
  const numbers = Array.from({ length: writers }, (_, writer) => writer);

  /** Each round with people of its own, on one storage. */
  const inRounds = async (body: (round: number) => Promise<void>): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) await body(round);
  };

  /** Creates that all want one value; everything else of them differs. */
  const createsOf = async (
    stage: Stage,
    userOf: (writer: number, round: number) => NewUser,
    losing: Losing,
  ): Promise<void> => {
    await inRounds(async (round) => {
      const people = numbers.map((writer) => userOf(writer, round));
      await oneWins(
        stage,
        people.map((person) => ({ write: (users) => users.create(person), won: person })),
        losing,
      );
      await stage.expectCount(round + 1, `After a race of ${writers} creates. ${UNIQUE}`);
    });
  };

  /** Creates and updates that all want one value. */
  const createsAgainstUpdates = async (
    stage: Stage,
    wanted: (round: number) => { contactId: string } | { email: string },
    field: 'contactId' | 'email',
  ): Promise<void> => {
    let count = 0;
    await inRounds(async (round) => {
      const value = wanted(round);
      const entrants: Writer[] = [];
      for (const writer of numbers) {
        const user = stage.person(`p${writer}-r${round}`);
        // Some exist and change, the others are new: by pairs, so that each process does both; who comes first changes by round.
        const pair = writers < 4 ? writer : Math.floor(writer / 2);
        if ((pair + round) % 2 === 0) {
          const won = { ...user, ...value };
          entrants.push({ write: (users) => users.create(won), won });
        } else {
          const { id } = await stage.create(user);
          const changes = { ...value, role: otherRole, tags: ['Changed'] };
          const write = (users: UserRepository): Promise<User> => users.update(id, changes);
          entrants.push({ write, won: { ...user, ...changes }, before: { id, user } });
          count += 1;
        }
      }
      const winner = await oneWins(stage, entrants, isTaken(field));
      if (winner.before === undefined) count += 1;
      await stage.expectCount(count, `After a race of creates against updates. ${UNIQUE}`);
    });
  };

  /** Updates of different users that all want one value. */
  const updatesToOne = async (
    stage: Stage,
    wanted: (round: number) => { contactId: string } | { email: string },
    field: 'contactId' | 'email',
  ): Promise<void> => {
    await inRounds(async (round) => {
      const entrants: Writer[] = [];
      for (const writer of numbers) {
        const user = stage.person(`p${writer}-r${round}`, { contactId: null, syncState: 'as it was' });
        const { id } = await stage.create(user);
        const changes = { ...wanted(round), role: otherRole, syncState: `changed ${writer}` };
        const write = (users: UserRepository): Promise<User> =>
          users.update(id, changes, { ifSyncState: 'as it was' });
        entrants.push({ write, won: { ...user, ...changes }, before: { id, user } });
      }
      await oneWins(stage, entrants, isTaken(field));
    });
  };

  suite.group('races', () => {
    suite.test('creates of one contact: one user comes out', (stage) =>
      createsOf(
        stage,
        (writer, round) => stage.person(`p${writer}-r${round}`, aContact(round)),
        isTaken('contactId'),
      ),
    );

    suite.test('creates of one email, in two cases: one user comes out', (stage) =>
      createsOf(
        stage,
        (writer, round) => {
          // By pairs, so that each process writes both.
          const email = writer % 4 < 2 ? `one${round}@example.com` : `ONE${round}@Example.com`;
          return stage.person(`p${writer}-r${round}`, { email });
        },
        isTaken('email'),
      ),
    );

    suite.test(
      'creates of one username, in two cases: one user comes out',
      (stage) =>
        createsOf(
          stage,
          (writer, round) => {
            const username = writer % 4 < 2 ? `one-${round}` : `ONE-${round}`;
            return stage.person(`p${writer}-r${round}`, { username });
          },
          isTaken('username'),
        ),
      !settings.usernames && 'the site has no usernames',
    );

    suite.test('creates of one and the same person: one user comes out', (stage) =>
      createsOf(
        stage,
        (_writer, round) => stage.person(`same${round}`, aContact(round)),
        settings.usernames ? isTaken('contactId', 'email', 'username') : isTaken('contactId', 'email'),
      ),
    );

    suite.test('creates of different people: all come out', async (stage) => {
      await inRounds(async (round) => {
        const people = numbers.map((writer) => stage.person(`p${writer}-r${round}`));
        const created = await allSucceed(
          stage,
          people.map((person) => (users) => users.create(person)),
        );
        for (const [writer, person] of people.entries()) {
          const { id } = stage.expectUser(created[writer], person, 'create()');
          await stage.expectStored(id, person, 'Creates at once do not mix.');
        }
        const why = 'Creates of different people do not stand in each other’s way.';
        await stage.expectCount((round + 1) * writers, why);
      });
    });

    suite.test('creates against updates for one email: one wins', (stage) =>
      createsAgainstUpdates(stage, anEmail, 'email'),
    );

    suite.test('creates against updates for one contact: one wins', (stage) =>
      createsAgainstUpdates(stage, aContact, 'contactId'),
    );

    suite.test('links of several users to one contact: one wins', (stage) =>
      updatesToOne(stage, aContact, 'contactId'),
    );

    suite.test('changes of several users to one email: one wins', (stage) =>
      updatesToOne(stage, anEmail, 'email'),
    );

    suite.test(
      'users that take one another’s emails: each gets it or is told that it is taken',
      async (stage) => {
        await inRounds(async (round) => {
          const people = numbers.map((writer) => stage.person(`p${writer}-r${round}`));
          const ids: string[] = [];
          for (const person of people) ids.push((await stage.create(person)).id);
          const wanted = people.map((_person, index) => people[(index + 1) % writers]?.email ?? '');
          const outcomes = await atOnce(
            stage,
            ids.map((id, index) => (users) => users.update(id, { email: wanted[index], role: otherRole })),
          );
          for (const [index, person] of people.entries()) {
            const outcome = outcomes[index];
            if (outcome?.status === 'rejected') expectLost(outcome.reason, isTaken('email'));
            const got = outcome?.status === 'fulfilled' && { email: wanted[index] ?? '', role: otherRole };
            const why =
              'Whoever got the email of another has it, whoever was told that it is taken is as before.';
            await stage.expectStored(ids[index] ?? '', { ...person, ...got }, why);
          }
        });
      },
    );

    suite.test('updates with the same condition: one wins, wholly', async (stage) => {
      let user = stage.person('mary', { syncState: null });
      const { id } = await stage.create(user);
      await inRounds(async (round) => {
        const condition = { ifSyncState: user.syncState };
        const entrants = numbers.map((writer): Writer => {
          // No two differ in one property only, so that a mixture of two shows.
          const changes = {
            ...aContact(round * writers + writer),
            email: `p${writer}-r${round}@example.com`,
            passwordHash: hashOf(`${round}-${writer}`),
            role: writer % 2 === 0 ? role : otherRole,
            tags: [`Tag ${round}-${writer}`, 'Shared'],
            meta: metaOf(settings.meta.slice(0, 3), writer % 4 < 2 ? 'first' : 'second'),
            syncState: `state ${round}-${writer}`,
          };
          return {
            write: (users) => users.update(id, changes, condition),
            won: { ...user, ...changes },
          };
        });
        ({ won: user } = await oneWins(stage, entrants, { code: 'STALE_USER', advice: ATOMIC }));
      });
    });

    suite.test('updates of different keys of meta: all are kept', async (stage) => {
      const samples = settings.meta;
      const mary = stage.person('mary', { meta: metaOf(samples, 'first') });
      const { id } = await stage.create(mary);
      await inRounds(async (round) => {
        const which = round % 2 === 0 ? 'second' : 'first';
        // One key is removed in each round, and set again in the next.
        const removed = round % samples.length;
        const changes = samples.map((sample, index): UserChanges => ({
          meta: { [sample.key]: index === removed ? null : sample[which] },
        }));
        await allSucceed(
          stage,
          changes.map((change) => (users) => users.update(id, change)),
        );
        const left = samples.filter((_sample, index) => index !== removed);
        const expected = { ...mary, meta: metaOf(left, which) };
        await stage.expectStored(id, expected, `Every writer changed a key of its own. ${IN_THE_STORE}`);
      });
    });

    suite.test('updates of different properties: all are kept', async (stage) => {
      const mary = stage.person('mary');
      const { id } = await stage.create(mary);
      const samples = settings.meta.slice(0, 1);
      await inRounds(async (round) => {
        const isEven = round % 2 === 0;
        const meta = metaOf(samples, isEven ? 'second' : 'first');
        const properties = {
          tags: [`Tag ${round}`, 'Shared'],
          role: isEven ? otherRole : role,
          email: `mary${round}@example.com`,
          ...aContact(round),
          passwordHash: hashOf(String(round)),
          syncState: `state ${round}`,
        };
        const changes: UserChanges[] = Object.entries(properties).map(([key, value]) => ({ [key]: value }));
        await allSucceed(
          stage,
          [...changes, { meta }].map((change) => (users) => users.update(id, change)),
        );
        const expected = { ...mary, ...properties, meta: { ...mary.meta, ...meta } };
        await stage.expectStored(id, expected, `Every writer changed a property of its own. ${IN_THE_STORE}`);
      });
    });

    suite.test('updates of the same tags: those of one writer come out', async (stage) => {
      const { id } = await stage.create(stage.person('mary'));
      await inRounds(async (round) => {
        const lists = numbers.map((writer) => [`One ${round}-${writer}`, 'Shared', `Two ${round}-${writer}`]);
        await allSucceed(
          stage,
          lists.map((tags) => (users) => users.update(id, { tags })),
        );
        const stored = (await stage.stored(id))?.tags;
        const sorted: unknown = Array.isArray(stored) ? [...(stored as unknown[])].sort() : stored;
        const whose = lists.find((tags) => JSON.stringify(tags) === JSON.stringify(sorted));
        expectSame(
          sorted,
          whose ?? lists[0],
          'Tags that several writers replace at once have to end as those of one of them, none lost and none mixed in: replace ' +
            'them in one transaction, with the user’s row locked.',
        );
      });
    });
  });
}

/** Lets all write at once, through the two repositories in turn. */
function atOnce(
  stage: Stage,
  writes: readonly ((users: UserRepository) => Promise<User>)[],
): Promise<PromiseSettledResult<User>[]> {
  return Promise.allSettled(writes.map(async (write, index) => write(stage.side(index))));
}

/** Of all that write at once one wins wholly, and the others are told and leave everything as it was; gives the one. */
async function oneWins(stage: Stage, entrants: readonly Writer[], losing: Losing): Promise<Writer> {
  const outcomes = await atOnce(
    stage,
    entrants.map((entrant) => (users) => entrant.write(users)),
  );
  const winners: { entrant: Writer; given: unknown }[] = [];
  for (const [index, entrant] of entrants.entries()) {
    const outcome = outcomes[index];
    if (outcome?.status === 'fulfilled') winners.push({ entrant, given: outcome.value });
    else expectLost(outcome?.reason, losing);
  }
  const [winner] = winners;
  if (winner === undefined || winners.length > 1) {
    return fail(
      `Of ${entrants.length} writers at once one has to succeed, and ${winners.length} did. ${losing.advice}`,
      { actual: winners.length, expected: 1 },
    );
  }
  const { id } = stage.expectUser(winner.given, winner.entrant.won, 'The writer that won');
  await stage.expectStored(id, winner.entrant.won, 'Everything is of the writer that won, and of no other.');
  for (const { before } of entrants.filter((entrant) => entrant !== winner.entrant)) {
    if (before === undefined) continue;
    await stage.expectStored(before.id, before.user, 'Whoever lost has changed nothing.');
  }
  return winner.entrant;
}

function expectLost(reason: unknown, { code, fields }: Losing): void {
  if (codeOf(reason) !== code) {
    fail(
      `Whoever loses a race has to be told by the error ${code}; a deadlock, a timeout or a violated index that comes out as ` +
        `it is becomes a failed webhook. This came out: ${shownError(reason)}`,
      { actual: codeOf(reason), expected: code, cause: reason },
    );
  }
  if (fields !== undefined) expectField(reason, fields);
}

/** Writes that do not stand in each other's way; gives what they gave. */
async function allSucceed(
  stage: Stage,
  writes: readonly ((users: UserRepository) => Promise<User>)[],
): Promise<User[]> {
  const outcomes = await atOnce(stage, writes);
  return outcomes.map((outcome) => {
    if (outcome.status === 'fulfilled') return outcome.value;
    return fail(
      `Writes that do not want the same all have to succeed, and one threw ${shownError(outcome.reason)}`,
      { cause: outcome.reason },
    );
  });
}

/** A text as long as a bcrypt hash, and as strange. */
const hashOf = (text: string): string => `$2b$12$${text.padEnd(53, '.')}`;
