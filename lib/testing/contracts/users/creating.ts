// The contract of create: everything is stored with its type, unique values are refused, and nothing is stored then.
import type { MetaValue } from '../../../crm/client';
import type { NewUser } from '../../../users/repository';
import { expectSame, expectSuccess, expectTrue, fail, isSame, shown } from '../expectations';
import type { Suite } from '../runner';
import type { MetaSample, Settings } from './settings';
import { LONGEST_STATE, metaOf, type Stage } from './stage';

/** Tags as people name them. */
export const AWKWARD_TAGS: readonly string[] = [
  'Member, gold',
  `The "best" of O'Brien`,
  'back\\slash; a|b',
  'Größe 日本 🎉',
  '[x] {"a":1}',
  '007',
  'null',
  '#12',
];

/** Kinds of `meta`, each with the samples that are of that kind. */
export const META_KINDS: readonly { name: string; belongs(value: MetaValue, key: string): boolean }[] = [
  { name: 'text as text', belongs: (value) => isText(value) && value.length > 0 && value.length < 1000 },
  { name: 'long text whole', belongs: (value) => isText(value) && value.length >= 1000 },
  { name: 'empty text as empty text', belongs: (value) => value === '' },
  { name: 'numbers as numbers', belongs: (value) => typeof value === 'number' },
  { name: 'true and false as booleans', belongs: (value) => typeof value === 'boolean' },
  { name: 'lists as lists', belongs: (value) => Array.isArray(value) && value.length > 0 },
  { name: 'an empty list as an empty list', belongs: (value) => Array.isArray(value) && value.length === 0 },
  { name: 'keys with dots, dollars and other letters', belongs: (_value, key) => !/^\w+$/.test(key) },
  {
    name: 'keys that mean something elsewhere (id, constructor)',
    belongs: (_value, key) => ['id', 'constructor'].includes(key),
  },
];

const isText = (value: MetaValue): value is string => typeof value === 'string';

/** The values of one kind by key: once or twice, since a key has two of them. */
export function metaOfKind(
  samples: readonly MetaSample[],
  kind: (typeof META_KINDS)[number],
): Record<string, MetaValue>[] {
  const whichIs = (take: (values: MetaValue[]) => MetaValue | undefined): Record<string, MetaValue> => {
    const chosen = samples.flatMap(({ key, first, second }): [string, MetaValue][] => {
      const value = take([first, second].filter((each) => kind.belongs(each, key)));
      return value === undefined ? [] : [[key, value]];
    });
    return Object.fromEntries(chosen);
  };
  const [one, two] = [whichIs((values) => values.at(0)), whichIs((values) => values.at(-1))];
  if (Object.keys(one).length === 0) return [];
  return isSame(one, two) ? [one] : [one, two];
}

const RAW = 'The storage itself was asked.';

export function creating(suite: Suite<Stage>, settings: Settings): void {
  /** Creates a user, and looks at it from all sides. */
  const roundTrip = async (stage: Stage, user: NewUser, count = 1): Promise<void> => {
    const created = await stage.create(user);
    stage.expectUser(created, user, 'create()');
    await stage.expectStored(created.id, user, RAW);
    stage.expectUser(await stage.findByEmail(user.email), { ...user, id: created.id }, 'findByEmail()');
    await stage.expectCount(count, 'Every create adds one user.');
  };

  suite.group('create', () => {
    suite.test('gives the user back with an id that is text', async (stage) => {
      const mary = stage.person('mary');
      stage.expectUser(await stage.create(mary), mary, 'create()');
    });

    suite.test('gives every user another id', async (stage) => {
      const ids = [];
      for (const name of ['mary', 'john', 'ann']) ids.push((await stage.create(stage.person(name))).id);
      expectSame(new Set(ids).size, 3, `Every user has an id of its own, and these are ${shown(ids)}.`);
    });

    suite.test('takes no id that the caller brings', async (stage) => {
      const mary = stage.person('mary');
      const { id } = await stage.create({ ...mary, id: '424242' } as NewUser);
      expectTrue(id !== '424242', 'The id of a new user comes from the storage, not from what it is given.');
      await stage.expectStored(id, mary, RAW);
    });

    suite.test('stores every property, and the storage itself holds it', async (stage) => {
      await roundTrip(stage, stage.person('mary', { role: settings.roles[1] }));
    });

    suite.test('what one process created is seen by the other at once', async (stage) => {
      await stage.findByEmail('mary@example.com', stage.other);
      const mary = stage.person('mary');
      await stage.findByContactId(mary.contactId, stage.other);
      const { id } = await stage.create(mary);
      for (const found of [
        await stage.findByEmail('mary@example.com', stage.other),
        await stage.findByContactId(mary.contactId, stage.other),
      ]) {
        if (found === null)
          fail(
            'A user that one process created has to be found by the other: read the primary, cache nothing.',
          );
        stage.expectUser(found, { ...mary, id }, 'Finding, by the other process,');
      }
    });

    suite.test('stores email and username as they were given, not in lower case', async (stage) => {
      await roundTrip(stage, stage.person('mary', { email: 'Mary.Smith@Example.com', username: 'MaryS' }));
    });

    suite.test('takes an email with white space around it', async (stage) => {
      const mary = stage.person('mary', { email: ' Mary@example.com ', username: ' Mary ' });
      const { id } = await stage.create(mary);
      await stage.expectStored(id, mary, 'White space around an email may be stored or not.');
      const found = await stage.findByEmail('mary@example.com');
      expectSame(
        found?.id,
        id,
        'The user is found whatever white space was around the email that was given.',
      );
    });

    suite.test('keeps the password hash to the letter', async (stage) => {
      const mary = stage.person('mary');
      const { id } = await stage.create(mary);
      expectSame(
        (await stage.stored(id))?.passwordHash,
        mary.passwordHash,
        'The password hash gets lost or cut: nobody could log in.',
      );
      const found = await stage.findByEmail(mary.email);
      expectSame(
        found?.passwordHash,
        mary.passwordHash,
        'Finding has to give the password hash with the user.',
      );
    });

    suite.test('null is stored as null: no contact, no syncState', async (stage) => {
      await roundTrip(stage, stage.person('mary', { contactId: null, syncState: null }));
    });

    suite.test(
      'a user can be without a password',
      (stage) => roundTrip(stage, stage.person('mary', { passwordHash: null })),
      !settings.withoutPassword && 'every user has a password here',
    );

    for (const role of settings.roles) {
      suite.test(`stores the role ${role}`, (stage) => roundTrip(stage, stage.person('mary', { role })));
    }

    suite.test('keeps tags with commas, quotes and other letters', (stage) =>
      roundTrip(stage, stage.person('mary', { tags: [...AWKWARD_TAGS] })),
    );

    suite.test('keeps no tags as an empty list', (stage) =>
      roundTrip(stage, stage.person('mary', { tags: [] })),
    );

    suite.test('keeps no meta as an empty object', (stage) =>
      roundTrip(stage, stage.person('mary', { meta: {} })),
    );

    for (const kind of META_KINDS) {
      const metas = metaOfKind(settings.meta, kind);
      suite.test(
        `keeps in meta ${kind.name}`,
        async (stage) => {
          for (const [index, meta] of metas.entries()) {
            await roundTrip(stage, stage.person(`mary${index}`, { meta }), index + 1);
          }
        },
        metas.length === 0 && 'no such value can be stored here',
      );
    }

    suite.test('keeps all keys of meta at once', async (stage) => {
      await roundTrip(stage, stage.person('mary', { meta: metaOf(settings.meta, 'first') }));
    });

    suite.test('keeps a syncState of 255 characters', (stage) =>
      roundTrip(stage, stage.person('mary', { syncState: LONGEST_STATE })),
    );

    suite.test('leaves what it is given as it was, and does not hold on to it', async (stage) => {
      const given = stage.person('mary', { tags: ['b', 'a'] });
      const before = structuredClone(given);
      const created: unknown = await expectSuccess(() => stage.users.create(given), 'create() of a new user');
      const { id } = stage.expectUser(created, given, 'create()');
      expectTrue(isSame(given, before), 'create() changed the object it was given: copy it first.');
      given.tags.push('spoilt');
      for (const key of Object.keys(given.meta)) given.meta[key] = 'spoilt';
      given.role = 'spoilt';
      await stage.expectStored(
        id,
        before,
        'The caller changed its own object after create(): copy what is stored.',
      );
      stage.expectUser(await stage.findByEmail('mary@example.com'), { ...before, id }, 'findByEmail()');
    });

    suite.test('any number of users can be without a contact', async (stage) => {
      for (const name of ['mary', 'john', 'ann']) await stage.create(stage.person(name, { contactId: null }));
      await stage.expectCount(
        3,
        'The unique index on the contact id leaves null out: no contact is no value.',
      );
    });
  });

  suite.group('create, unique values', () => {
    /** A second user is refused, the first is as it was, nothing was added, and the storage still works. */
    const refused = async (
      stage: Stage,
      given: Partial<NewUser>,
      fields: readonly ('contactId' | 'email' | 'username')[],
      what: string,
    ): Promise<void> => {
      const mary = stage.person('mary', { email: 'Mary@example.com', username: 'Mary' });
      const { id } = await stage.create(mary);
      const second = { ...stage.person('john', { tags: ['Other'], role: settings.roles[1] }), ...given };
      if (given.contactId !== undefined) second.contactId = mary.contactId;
      await stage.expectDuplicate(() => stage.users.create(second), fields, what);
      await stage.expectCount(1, 'A refused create stores nothing.');
      await stage.expectStored(id, mary, 'A refused create leaves the user that has the value as it was.');
      const third = stage.person('ann');
      const { id: thirdId } = await stage.create(third);
      await stage.expectStored(thirdId, third, 'After a refused create the storage works as before.');
      await stage.expectCount(2, 'After a refused create the storage works as before.');
    };

    suite.test('the other values of a refused create stay free, and find nobody', async (stage) => {
      const mary = stage.person('mary');
      await stage.create(mary);
      const taken: Partial<Pick<NewUser, 'contactId' | 'email' | 'username'>>[] = [
        { contactId: mary.contactId },
        { email: mary.email },
        ...(settings.usernames ? [{ username: mary.username }] : []),
      ];
      const advice =
        'Look at all values before any is written, or undo all: no entry of an index may be left.';
      for (const [index, value] of taken.entries()) {
        const [field] = Object.keys(value) as ['contactId' | 'email' | 'username'];
        const john = stage.person(`john${index}`);
        const what = `create() with the ${field} of another user.`;
        await stage.expectDuplicate(() => stage.users.create({ ...john, ...value }), [field], what);
        if (field !== 'contactId') {
          expectSame(
            await stage.findByContactId(john.contactId),
            null,
            `A refused create links nobody. ${advice}`,
          );
        }
        if (field !== 'email') {
          expectSame(
            await stage.findByEmail(john.email),
            null,
            `A refused create gives no email away. ${advice}`,
          );
        }
        const { id } = await stage.create(john);
        await stage.expectStored(id, john, `The other values of a refused create are free. ${advice}`);
      }
    });

    suite.test('a taken contact id is refused', (stage) =>
      refused(stage, { contactId: 'taken' }, ['contactId'], 'create() with the contact id of another user.'),
    );
    suite.test('a taken email is refused', (stage) =>
      refused(stage, { email: 'Mary@example.com' }, ['email'], 'create() with the email of another user.'),
    );
    suite.test('a taken email in another case is refused', (stage) =>
      refused(
        stage,
        { email: 'mARY@Example.COM' },
        ['email'],
        'create() with the email of another user in another case.',
      ),
    );
    suite.test('a taken email with white space around it is refused', (stage) =>
      refused(
        stage,
        { email: '\tMary@example.com ' },
        ['email'],
        'create() with the email of another user and a space.',
      ),
    );
    const noUsernames = !settings.usernames && 'the site has no usernames';
    suite.test(
      'a taken username is refused',
      (stage) =>
        refused(stage, { username: 'Mary' }, ['username'], 'create() with the username of another user.'),
      noUsernames,
    );
    suite.test(
      'a taken username in another case is refused',
      (stage) =>
        refused(
          stage,
          { username: 'mARY' },
          ['username'],
          'create() with the username of another user in another case.',
        ),
      noUsernames,
    );
    suite.test(
      'a taken username with white space around it is refused',
      (stage) =>
        refused(
          stage,
          { username: ' Mary\n' },
          ['username'],
          'create() with the username of another user and a space.',
        ),
      noUsernames,
    );
    suite.test('of several taken values any may be named', (stage) =>
      refused(
        stage,
        { contactId: 'taken', email: 'mary@example.com', username: 'mary' },
        ['contactId', 'email', ...(settings.usernames ? (['username'] as const) : [])],
        'create() with contact id, email and username of another user.',
      ),
    );

    suite.test(
      'usernames that only look alike are different ones',
      async (stage) => {
        const names = ['kim', '\u212Aim', 'jose', 'josé', 'josÉ', 'weiß', 'weiss', 'sam', '\u017Fam'];
        for (const [index, username] of names.entries()) {
          await stage.create(stage.person(`person${index}`, { username }));
        }
        await stage.expectCount(
          names.length,
          'Usernames are compared trimmed and in ASCII lower case, nothing else folded.',
        );
      },
      noUsernames || (!settings.distinguishesUnicode && 'a unique index of the site’s own is stricter'),
    );
  });
}
