// What an author of a user repository hands to its contract suite.
import type { MetaValue } from '../../../crm/client';
import type { UserRepository } from '../../../users/repository';
import { isSame } from '../expectations';
import type { TestRunner } from '../runner';

/**
 * A user as the storage itself holds it, read past the adapter and put into the shape of the interface: with the names of
 * `User`, tags as a list (in any order), `meta` as an object in which a key that the storage has no value for is absent. Where
 * a column is the key, NULL is "no value", and 0 and 1 of a boolean column are `false` and `true`. `null` for all tags or all
 * of `meta` is none.
 *
 * @example
 * const stored = async (id: string): Promise<StoredUser | null> => {
 *   const row = await knex('members').where({ id }).first();
 *   if (row === undefined) return null;
 *   const { contact_id, email, username, password, role, sync_state } = row;
 *   return {
 *     ...{ contactId: contact_id, email, username, passwordHash: password, role, syncState: sync_state },
 *     ...{ tags: JSON.parse(row.tags), meta: JSON.parse(row.meta) },
 *   };
 * };
 */
export interface StoredUser {
  readonly contactId: unknown;
  readonly email: unknown;
  readonly username: unknown;
  readonly passwordHash: unknown;
  readonly role: unknown;
  readonly tags: unknown;
  readonly meta: unknown;
  readonly syncState: unknown;
}

/**
 * The repository under test, over a storage that holds no users. Every test opens a scene of its own, and closes it.
 *
 * @example
 * const open = async (): Promise<RepositoryScene> => {
 *   await knex('members').delete();
 *   return {
 *     users: new MemberRepository(knex),
 *     other: new MemberRepository(otherKnex), // connections of its own
 *     stored,
 *     count: async () => Number((await knex('members').count({ count: '*' }))[0]?.count),
 *   };
 * };
 */
export interface RepositoryScene {
  /** The repository under test. */
  readonly users: UserRepository;
  /**
   * A second repository over the same storage: of another process, or at least with connections of its own. Races go through
   * both. Default: `users` again, and then nothing is known about several processes.
   */
  readonly other?: UserRepository | undefined;
  /** What the storage itself holds for a user, read past the adapter; `null` where it has none. It is believed, not the adapter. */
  stored(id: string): Promise<StoredUser | null>;
  /** How many users the storage holds, counted past the adapter. */
  count(): Promise<number>;
  /** Ends the scene: connections, temporary tables. */
  close?(): Promise<void>;
}

/**
 * What a storage can hold, where it cannot hold everything. Say no more than is true: what is not tested is not known.
 *
 * @example
 * const capabilities: RepositoryCapabilities = {
 *   roles: ['subscriber', 'customer'],
 *   meta: { firstName: ['Mary', 'Ann'], visits: [0, 12], optIn: [false, true] }, // a column each, and no others
 * };
 */
export interface RepositoryCapabilities {
  /** Roles it can store, two at least. Default: `['subscriber', 'customer']`. */
  readonly roles?: readonly string[] | undefined;
  /**
   * Keys of `meta` it can store, three at least, with two different values each. Default: text, numbers, booleans and lists,
   * and keys with dots, dollars, spaces and other letters.
   */
  readonly meta?: Readonly<Record<string, readonly [MetaValue, MetaValue]>> | undefined;
  /** Whether the site has usernames; default `true`. `false`: the email stands in, and `user.username` reads as the email. */
  readonly usernames?: boolean | undefined;
  /**
   * Whether values that differ in accents or in the case of other letters than A to Z can stand beside each other; default
   * `true`. `false`: a unique index of the site's own is stricter and may refuse the second with a DuplicateUserError. Finding
   * must tell them apart all the same.
   */
  readonly distinguishesUnicode?: boolean | undefined;
  /** Whether a user can be without a password (`passwordHash: null`); default `true`. */
  readonly withoutPassword?: boolean | undefined;
  /**
   * How contact ids are stored; default `'text'`. `'numeric'`: as 64-bit numbers, without leading zeros or letters; let
   * `stored` give those above 2^53 as text or as a bigint, as a number they are rounded.
   */
  readonly contactIds?: 'text' | 'numeric' | undefined;
  /** Whether the repository has the optional `rehearse`; default `false`. */
  readonly rehearse?: boolean | undefined;
}

/**
 * What `userRepositoryContract` takes.
 *
 * @example
 * const options: UserRepositoryContractOptions = { runner: { describe, it }, name: 'members', open };
 */
export interface UserRepositoryContractOptions {
  /** The test runner's own functions. */
  readonly runner: TestRunner;
  /** What the group of tests is called; default `UserRepository contract`. */
  readonly name?: string | undefined;
  /** Opens a scene. Every test does so once. */
  open(): Promise<RepositoryScene>;
  /** What the storage can hold; default: everything. */
  readonly capabilities?: RepositoryCapabilities | undefined;
  /** How many write at once in the tests of races; default 10, at least 2. */
  readonly writers?: number | undefined;
  /** How often each race is run; default 3. */
  readonly rounds?: number | undefined;
}

/** The options with every default in its place. */
export interface Settings {
  readonly roles: readonly [string, string, ...string[]];
  readonly meta: readonly [MetaSample, MetaSample, MetaSample, ...MetaSample[]];
  readonly usernames: boolean;
  readonly distinguishesUnicode: boolean;
  readonly withoutPassword: boolean;
  readonly contactIds: 'text' | 'numeric';
  readonly rehearse: boolean;
  readonly writers: number;
  readonly rounds: number;
}

/** A key of `meta` with two values it can have. */
export interface MetaSample {
  readonly key: string;
  readonly first: MetaValue;
  readonly second: MetaValue;
}

/** Three plain ones, that most tests use, and then where databases, drivers and JSON go wrong. */
const EVERY_KIND_OF_META: readonly MetaSample[] = [
  { key: 'firstName', first: 'Mary', second: 'Ann' },
  { key: 'company', first: 'Initech', second: 'Acme' },
  { key: 'city', first: 'Berlin', second: 'Paris' },
  { key: 'letters', first: 'Zoë', second: '日本 🎉' },
  { key: 'quotes', first: `O'Brien "Bob" \\ ; -- %_ ? $1 :name`, second: '<b>&amp;</b> {"a":1}' },
  { key: 'lines', first: 'one\ntwo\ttabbed', second: ' with spaces around ' },
  { key: 'long', first: `${'long '.repeat(1000)}!`, second: `${'longer '.repeat(1000)}!` },
  { key: 'empty', first: '', second: 'filled' },
  { key: 'likeNumber', first: '007', second: '1e3' },
  { key: 'likeOther', first: 'true', second: 'null' },
  { key: 'zero', first: 0, second: -12.5 },
  { key: 'large', first: 9007199254740991, second: 1 },
  { key: 'yesOrNo', first: false, second: true },
  { key: 'list', first: ['a', 'b'], second: [] },
  { key: 'listOfOne', first: ['a,b'], second: ['', '"', '日本'] },
  { key: 'anything', first: 'x', second: ['y', 'z'] },
  { key: 'with.dot', first: 'dot', second: 'dots' },
  { key: 'with$dollar', first: 'dollar', second: 1 },
  { key: `with space and "quote's`, first: 'space', second: false },
  { key: 'ключ', first: 'key', second: 'keys' },
  { key: 'id', first: 'none of a user', second: 'none either' },
  { key: 'constructor', first: 'none of an object', second: 'none either' },
];

/** @throws TypeError where the options make no suite. */
export function settingsOf(options: UserRepositoryContractOptions): Settings {
  const { capabilities = {}, writers = 10, rounds = 3 } = options;
  const [first, second, ...more] = capabilities.roles ?? ['subscriber', 'customer'];
  if (first === undefined || second === undefined) {
    throw new TypeError('userRepositoryContract: capabilities.roles needs two roles at least.');
  }
  const samplesOf = (meta: NonNullable<RepositoryCapabilities['meta']>): MetaSample[] =>
    Object.entries(meta).map(([key, values]) => ({ key, first: values[0], second: values[1] }));
  const meta = capabilities.meta === undefined ? EVERY_KIND_OF_META : samplesOf(capabilities.meta);
  const [one, two, three, ...others] = meta;
  if (one === undefined || two === undefined || three === undefined) {
    throw new TypeError('userRepositoryContract: capabilities.meta needs three keys at least.');
  }
  for (const { key, ...values } of meta) {
    if (!isSame(values.first, values.second)) continue;
    throw new TypeError(`userRepositoryContract: capabilities.meta.${key} needs two values that differ.`);
  }
  if (!Number.isInteger(writers) || writers < 2 || !Number.isInteger(rounds) || rounds < 1) {
    throw new TypeError('userRepositoryContract: writers has to be 2 or more, rounds 1 or more.');
  }
  return {
    roles: [first, second, ...more],
    meta: [one, two, three, ...others],
    usernames: capabilities.usernames ?? true,
    distinguishesUnicode: capabilities.distinguishesUnicode ?? true,
    withoutPassword: capabilities.withoutPassword ?? true,
    contactIds: capabilities.contactIds ?? 'text',
    rehearse: capabilities.rehearse ?? false,
    writers,
    rounds,
  };
}
