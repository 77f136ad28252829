// What one test of the repository contract stands on: a scene, people to store, and ways to compare what came back.
import type { MetaValue } from '../../../crm/client';
import type { NewUser, User, UserChanges, UserRepository } from '../../../users/repository';
import { expectField, expectError, expectSame, expectSuccess, fail, isSame, shown } from '../expectations';
import { between, type OnStage } from '../runner';
import type { MetaSample, RepositoryScene, Settings, UserRepositoryContractOptions } from './settings';

const PROPERTIES = [
  'contactId',
  'email',
  'username',
  'passwordHash',
  'role',
  'tags',
  'meta',
  'syncState',
] as const;
type Property = (typeof PROPERTIES)[number];

/** A bcrypt hash, as long as they are, of no password that anybody has. */
const A_HASH = '$2b$12$abcdefghijklmnopqrstuuJ5ZQfX0iZ8Qb8Wb3hYlGm2oTn1r4S9K';
export const ANOTHER_HASH = '$2b$12$zyxwvutsrqponmlkjihgfeO/3kQ0x.Vb8Wb3hYlGm2oTn1r4S9KaB';

/** As long as a syncState may be. */
export const LONGEST_STATE = 'a state of 255 characters: '.padEnd(255, '0123456789');

/** A condition of an update. */
type Condition = { ifSyncState: string | null } | undefined;

/** Opens the scene of every test. */
export const stageFor =
  (options: UserRepositoryContractOptions, settings: Settings): OnStage<Stage> =>
  async (body) => {
    const scene = await options.open();
    expectWhole(scene);
    await between(
      async () => {
        const count: unknown = await scene.count();
        if (typeof count !== 'number') {
          fail(`count() of the scene has to give a number, and gave ${shown(count)}: Number(…) makes one.`);
        }
        expectSame(count, 0, 'open() has to give a storage without users: empty it first.');
        await body(new Stage(scene, settings));
      },
      async () => await scene.close?.(),
    );
  };

/** A scene with a part missing fails by the name of the part, not as an error of the repository. */
function expectWhole(scene: RepositoryScene): void {
  const { users, other, stored, count } = (scene as Partial<RepositoryScene> | undefined) ?? {};
  for (const [name, repository] of Object.entries({ users, other: other ?? users })) {
    for (const method of ['findByContactId', 'findByEmail', 'create', 'update'] as const) {
      if (typeof repository?.[method] === 'function') continue;
      fail(`open() has to give a scene whose ${name} has the method ${method}().`);
    }
  }
  if (typeof stored !== 'function') fail('open() has to give a scene with stored(id).');
  if (typeof count !== 'function') fail('open() has to give a scene with count().');
}

export class Stage {
  readonly users: UserRepository;
  /** The second repository over the same storage, or the first one again. */
  readonly other: UserRepository;
  readonly settings: Settings;
  readonly #scene: RepositoryScene;
  #lastContact = 100;

  constructor(scene: RepositoryScene, settings: Settings) {
    this.#scene = scene;
    this.users = scene.users;
    this.other = scene.other ?? scene.users;
    this.settings = settings;
  }

  /** A user to create, with a contact id of its own, that differs from others in everything unique. */
  person(name: string, given: Partial<NewUser> = {}): NewUser {
    this.#lastContact += 1;
    const email = given.email ?? `${name}@example.com`;
    return {
      contactId: String(this.#lastContact),
      email,
      username: name,
      passwordHash: A_HASH,
      role: this.settings.roles[0],
      tags: ['Member', 'Gold'],
      meta: this.firstMeta(),
      syncState: `state of ${name}`,
      ...given,
    };
  }

  /** The first three keys of `meta` that the storage can hold, with their first values. */
  firstMeta(): Record<string, MetaValue> {
    return metaOf(this.settings.meta.slice(0, 3), 'first');
  }

  /** The users in turn, so that what is raced comes from both processes. */
  side(number: number): UserRepository {
    return number % 2 === 0 ? this.users : this.other;
  }

  /** Creates a user that nothing stands against. */
  async create(user: NewUser, by: UserRepository = this.users): Promise<User> {
    const created = await expectSuccess(() => by.create(structuredClone(user)), 'create() of a new user');
    this.expectAUser(created, 'create()');
    return created;
  }

  /** Changes a user where nothing stands against it. */
  async update(
    id: string,
    changes: UserChanges,
    condition?: Condition,
    by: UserRepository = this.users,
  ): Promise<User> {
    const what = `update(id, ${shown(changes)}${condition === undefined ? '' : `, ${shown(condition)}`})`;
    const updated = await expectSuccess(() => by.update(id, structuredClone(changes), condition), what);
    this.expectAUser(updated, 'update()');
    return updated;
  }

  /** Whoever has the email; whether nobody is said by `null` is the business of the tests that are named for it. */
  async findByEmail(email: string, by: UserRepository = this.users): Promise<User | null> {
    return (await expectSuccess(() => by.findByEmail(email), `findByEmail(${shown(email)})`)) ?? null;
  }

  async findByContactId(contactId: string | null, by: UserRepository = this.users): Promise<User | null> {
    const what = `findByContactId(${shown(contactId)})`;
    return (await expectSuccess(() => by.findByContactId(contactId ?? ''), what)) ?? null;
  }

  stored(id: string): Promise<Readonly<Record<Property, unknown>> | null> {
    return this.#scene.stored(id);
  }

  /** Something that looks at all like a user. */
  expectAUser(value: unknown, what: string): asserts value is User {
    if (typeof value !== 'object' || value === null) {
      fail(`${what} has to give the user back as it is now stored, and gave ${shown(value)}.`, {
        actual: value,
      });
    }
    const { id } = value as { id?: unknown };
    if (typeof id !== 'string' || id === '') {
      fail(
        `${what} gave a user whose id is no text but ${shown(id)}: give String(id), whatever the storage has.`,
        {
          actual: id,
        },
      );
    }
  }

  /** A user as the adapter gives it. */
  expectUser(actual: unknown, expected: NewUser & { id?: string }, what: string): User {
    this.expectAUser(actual, what);
    if (expected.id !== undefined)
      expectSame(
        actual.id,
        expected.id,
        `${what} gave the user with another id, or another user: an id never changes.`,
      );
    this.#expectEqual(actual, `${what} gave another user than it has to`, (property) =>
      property === 'username' && !this.settings.usernames ? expected.email : expected[property],
    );
    return actual;
  }

  /** A user as the storage holds it, whatever the adapter says. */
  async expectStored(id: string, expected: NewUser, why: string): Promise<void> {
    const stored = await this.stored(id);
    if (stored === null) fail(`${why} The storage holds no user ${id} at all.`, { expected });
    const { usernames, contactIds } = this.settings;
    const { contactId } = stored;
    const isNumber =
      contactIds === 'numeric' && (typeof contactId === 'number' || typeof contactId === 'bigint');
    const comparable = {
      ...stored,
      contactId: isNumber ? String(contactId) : contactId,
      // No tags and no meta at all may stand as NULL.
      tags: stored.tags ?? [],
      meta: stored.meta ?? {},
    };
    this.#expectEqual(comparable, `${why} What the storage holds`, (property) =>
      property === 'username' && !usernames ? stored.username : expected[property],
    );
  }

  async expectCount(expected: number, why: string): Promise<void> {
    expectSame(await this.#scene.count(), expected, `${why} The number of users in the storage is wrong.`);
  }

  /** A call that has to be refused because a unique value is taken. */
  async expectDuplicate(
    work: () => Promise<unknown>,
    fields: readonly ('contactId' | 'email' | 'username')[],
    what: string,
  ): Promise<void> {
    const error = await expectError(
      work,
      'DUPLICATE_USER',
      `${what} A unique index has to refuse this, and the adapter has to say so by throwing ` +
        `new DuplicateUserError({ field }).`,
    );
    expectField(error, fields);
  }

  #expectEqual(
    actual: Readonly<Record<Property, unknown>>,
    what: string,
    valueOf: (property: Property) => unknown,
  ): void {
    for (const property of PROPERTIES) {
      const expected = valueOf(property);
      if (isEqual(property, actual[property], expected)) continue;
      fail(
        `${what}: ${property} is not as it has to be. ${ADVICE[property]}\n` +
          `expected: ${shown(expected)}\nreceived: ${shown(actual[property])}`,
        { actual: actual[property], expected },
      );
    }
  }
}

/** What is usually wrong where one of them differs. */
const ADVICE: Readonly<Record<Property, string>> = {
  contactId: 'It is text or null, to the letter; an id of digits too, which a number may round.',
  email:
    'It is stored as it was given, surrounding white space aside; only the key it is compared by is in lower case.',
  username:
    'It is stored as it was given, and never changes after creation. (Where the site has none, `usernames: false`: it reads as the email.)',
  passwordHash: 'It is stored to the letter, or null; see whether the column is long enough.',
  role: 'It is one role, as text, to the letter.',
  tags: 'They are a list of texts, which may hold commas and quotes; an update replaces the whole list. No tags are [].',
  meta:
    'Values keep their types: text, number, boolean, list of texts. An update merges key by key, and a key given as null is ' +
    'gone afterwards, not null. One given as undefined, or not at all, stays.',
  syncState: 'It is stored to the letter, up to 255 characters, or null.',
};

function isEqual(property: Property, actual: unknown, expected: unknown): boolean {
  switch (property) {
    case 'email':
    case 'username':
      return actual === expected || (typeof expected === 'string' && actual === expected.trim());
    case 'tags':
      // A join table keeps no order.
      return (
        Array.isArray(actual) && isSame([...(actual as unknown[])].sort(), [...(expected as string[])].sort())
      );
    case 'contactId':
    case 'passwordHash':
    case 'role':
    case 'meta':
    case 'syncState':
      return isSame(actual, expected);
  }
}

/** An object of samples. */
export const metaOf = (
  samples: readonly MetaSample[],
  which: 'first' | 'second',
): Record<string, MetaValue> => Object.fromEntries(samples.map((sample) => [sample.key, sample[which]]));

/** An id that nobody has, of the shape that a user's has. */
export function unknownIdLike(id: string): string {
  if (/^\d+$/.test(id)) return String(BigInt(id) + 1_000_000n);
  // One character changes within its kind: of a uuid, an ObjectId or whatever it is, a well-formed one comes out.
  return id.replace(/[0-9A-Za-z](?=[^0-9A-Za-z]*$)/, (last) => {
    if (/\d/.test(last)) return String((Number(last) + 5) % 10);
    return { f: 'a', F: 'A', z: 'y', Z: 'Y' }[last] ?? String.fromCharCode(last.charCodeAt(0) + 1);
  });
}
