// What an author of a CRM client hands to its contract suite.
import type { CrmClient } from '../../../crm/client';
import type { TestRunner } from '../runner';

/**
 * A kind of trouble that a CRM can make: it refuses the credentials; it allows no more calls for now; it is down; it answers
 * with something else than documented, such as HTML. {@link CrmScene} makes them.
 */
export type CrmFailure = 'unauthorized' | 'rateLimited' | 'unavailable' | 'badResponse';

/** A contact to be made for a test. {@link CrmScene} makes it. */
export interface CrmContact {
  /** `null`: a contact without one. */
  readonly email: string | null;
  /** The names of its tags; those that do not exist yet are made. */
  readonly tags: readonly string[];
  /** Values of fields, by the CRM's keys. */
  readonly fields?: Readonly<Record<string, string>> | undefined;
}

/**
 * A client and the CRM behind it: a test account, or something on your machine that answers as the CRM does. Every test opens a
 * scene of its own, and closes it. The CRM may hold other contacts.
 *
 * @example
 * const open = async (): Promise<CrmScene> => {
 *   const acme = await FakeAcme.start();
 *   return {
 *     client: new AcmeClient({ token: acme.token, baseUrl: acme.url }),
 *     addContact: async ({ email, tags, fields }) => acme.add({ email, tags, ...fields }),
 *     removeContact: async (id) => acme.remove(id),
 *     missingId: '999999',
 *     writableField: 'company',
 *     stored: async (id, field) => acme.contact(id)?.[field] ?? null,
 *     fail: async (kind) => acme.answerWith({ unauthorized: 401, rateLimited: 429, unavailable: 503, badResponse: 'html' }[kind]),
 *     secrets: [acme.token],
 *     readCalls: () => acme.calls.filter(({ method }) => method === 'GET').length,
 *     close: () => acme.close(),
 *   };
 * };
 */
export interface CrmScene {
  /** The client under test. */
  readonly client: CrmClient;
  /** Makes a contact in the CRM, past the client, and gives its id. It can be read at once. */
  addContact(contact: CrmContact): Promise<string>;
  /** Takes a contact away, past the client. */
  removeContact(id: string): Promise<void>;
  /** A well-formed id that no contact has. */
  readonly missingId: string;
  /** The key of a text field that can be written. */
  readonly writableField: string;
  /** The key of another one, which has to stay as it is when the first is written. Optional. */
  readonly otherField?: string | undefined;
  /** What the CRM itself stores in a field of a contact, read past the client. */
  stored(id: string, field: string): Promise<string | null>;
  /**
   * Makes the CRM misbehave until the scene is closed: every call, reads and writes. Where it tells clients how long to wait, let
   * it be short: a client may wait and try again. Kinds that it cannot make are left out of the capability `failures`.
   */
  fail?(kind: CrmFailure): Promise<void>;
  /** The credentials, which no error may hold. */
  readonly secrets: readonly string[];
  /** How many calls that read contacts the CRM has received, if that is known. */
  readCalls?(): number;
  /** Ends the scene. */
  close?(): Promise<void>;
}

/**
 * What a CRM or its client can do, where that is not everything. What is left out is not tested, and so not known.
 *
 * @example
 * const capabilities: CrmCapabilities = { listContacts: false, failures: ['unauthorized', 'unavailable'] };
 */
export interface CrmCapabilities {
  /** The kinds of trouble that `fail` can make; default: all four. */
  readonly failures?: readonly CrmFailure[] | undefined;
  /** Whether the client has the optional `listContacts`; default `true`. */
  readonly listContacts?: boolean | undefined;
  /** Whether the client has the optional `describeFields`; default `false`. */
  readonly describeFields?: boolean | undefined;
  /** Whether a contact can be without an email; default `true`. */
  readonly withoutEmail?: boolean | undefined;
  /** Names of tags that the CRM can hold, two at least. Default: some with commas, quotes and other letters. */
  readonly tags?: readonly string[] | undefined;
}

/**
 * What `crmClientContract` takes.
 *
 * @example
 * const options: CrmClientContractOptions = { runner: { describe, it }, name: 'Acme', open };
 */
export interface CrmClientContractOptions {
  /** The test runner's own functions. */
  readonly runner: TestRunner;
  /** What the group of tests is called; default `CrmClient contract`. */
  readonly name?: string | undefined;
  /** Opens a scene. Every test does so once. */
  open(): Promise<CrmScene>;
  /** What can be done; default: everything. */
  readonly capabilities?: CrmCapabilities | undefined;
}

/** The options with every default in its place. */
export interface Settings {
  readonly failures: readonly CrmFailure[];
  readonly listContacts: boolean;
  readonly describeFields: boolean;
  readonly withoutEmail: boolean;
  readonly tags: readonly [string, string, ...string[]];
}

export const ALL_FAILURES: readonly CrmFailure[] = [
  'unauthorized',
  'rateLimited',
  'unavailable',
  'badResponse',
];

const AWKWARD_TAGS: readonly string[] = [
  'Member',
  'Gold, since 2020',
  `The "best" of O'Brien`,
  'Größe 日本 🎉',
  'a/b & c; <d>',
];

/** @throws TypeError where the options make no suite. */
export function settingsOf({ capabilities = {} }: CrmClientContractOptions): Settings {
  const [first, second, ...others] = capabilities.tags ?? AWKWARD_TAGS;
  if (first === undefined || second === undefined) {
    throw new TypeError('crmClientContract: capabilities.tags needs two names at least.');
  }
  return {
    failures: capabilities.failures ?? ALL_FAILURES,
    listContacts: capabilities.listContacts ?? true,
    describeFields: capabilities.describeFields ?? false,
    withoutEmail: capabilities.withoutEmail ?? true,
    tags: [first, second, ...others],
  };
}
