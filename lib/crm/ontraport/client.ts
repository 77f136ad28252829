// The CRM client for Ontraport: what the core asks for, as calls of the Ontraport API.

import { WpFusionError } from '../../errors';
import type {
  BudgetStore,
  Contact,
  ContactFilter,
  CrmBudget,
  CrmClient,
  CrmField,
  FieldValue,
  ReadOptions,
  Tag,
} from '../client';
import { ContactReader } from '../contact-reader';
import { dateOf, decodeValue, kindOf, optionIds, rawValue, splitIds } from './decode';
import { badShape, Catalogue, loadFields, loadTags, own, rowsOf } from './metadata';
import type { Fields, Row, Tags } from './metadata';
import { resolveOptions } from './client-options';
import type { OntraportClientOptions } from './client-options';
import { Transport } from './transport';
import type { CallKind } from './rate-limit';

export type { OntraportClientOptions } from './client-options';

/** The most rows that a list of the API gives, and so the most contacts that one call reads. */
const PAGE = 50;

/** What every contact is made from, whatever else is asked for. */
const ALWAYS_LISTED = ['id', 'email', 'contact_cat', 'dlm'];

/** Keys that are known without the account's metadata, or that it does not hold. */
const KNOWN_KEYS: ReadonlySet<string> = new Set([...ALWAYS_LISTED, 'unique_id']);

/**
 * An id as Ontraport writes it. Others are never sent: `0` means all contacts there, a comma several, and `012` is another
 * writing of 12 that would make two identities of one contact.
 */
const CANONICAL_ID = /^[1-9]\d{0,19}$/;

/**
 * Ontraport as a {@link CrmClient}, over its REST API (version 1).
 *
 * Reads that are asked for at the same time share calls of up to 50 contacts. All calls of one client are paced together to
 * stay under the account's rate limit; so make one client for an account, not one for each request. With a queue that all
 * processes of a site share (`shareBudget`), the calls of all of them are. Reads and writes are
 * tried up to four times after network errors, timeouts, 5xx, 429 and answers that are no JSON; a write may so reach
 * Ontraport twice, with the same values.
 *
 * Types and options of fields and names of tags are kept for an hour, and loaded anew, at most once a minute, when a contact shows
 * one that is not known.
 *
 * @example
 * const crm = new OntraportClient({ appId: process.env.ONTRAPORT_APP_ID, apiKey: process.env.ONTRAPORT_API_KEY });
 */
export class OntraportClient implements CrmClient {
  /** 50: what one page of the API holds. */
  readonly maxBatchSize = PAGE;
  /** 1 to 20 digits. */
  readonly contactIdPattern = /^\d{1,20}$/;

  readonly #transport: Transport;
  readonly #timeZone: string;
  readonly #reader: ContactReader;
  readonly #fields: Catalogue<Fields>;
  readonly #tags: Catalogue<Tags>;

  /** @throws ConfigurationError that names the option, and what to write instead. */
  constructor(options: OntraportClientOptions) {
    const { timeZone, ...resolved } = resolveOptions(options);
    const transport = new Transport(resolved);
    this.#transport = transport;
    this.#timeZone = timeZone;
    this.#fields = new Catalogue({ load: (loadOptions) => loadFields(transport, loadOptions) });
    this.#tags = new Catalogue({ load: (loadOptions) => loadTags(transport, loadOptions) });
    this.#reader = new ContactReader({
      fetch: (ids, readOptions) => this.#fetch(ids, readOptions),
      maxBatchSize: PAGE,
      maxInFlight: resolved.maxConcurrentCalls,
      trouble: () => transport.trouble(),
      lingerMs: () => transport.lingerMs(),
    });
  }

  /**
   * Spends one budget with the clients of all processes that are given the same store. The middleware calls it where its queue has
   * `readShared` and `writeShared`.
   *
   * One account, one budget: the first store counts, others are ignored. So of two middlewares with one client all calls are paced by
   * the store of the one that was made first, under its name; make them in the same order in every process.
   */
  shareBudget(store: BudgetStore): void {
    this.#transport.shareBudget(store);
  }

  /**
   * What holds calls up at this moment: CRM_RATE_LIMITED with `retryAfter` while some wait for the rate limit, the last error while
   * one is being tried again, else `undefined`. For whoever gives up waiting and wants to say why.
   */
  trouble(): WpFusionError | undefined {
    return this.#transport.trouble();
  }

  /** The calls of this client, those of other processes and programs that it knows of included, out of what the account allows. */
  budget(): CrmBudget {
    return this.#transport.budget();
  }

  /**
   * The fields of contacts as the account's metadata has them, and those that it does not name and every contact has. Kept for an
   * hour, as for reads.
   *
   * @throws WpFusionError as {@link OntraportClient.getContacts}.
   */
  async describeFields({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<
    readonly CrmField[]
  > {
    const fields = await this.#fields.get(signal, () => []);
    const named = [...fields].map(([key, { label, type }]): CrmField => ({
      key,
      label: label === '' ? key : label,
      type: kindOf(type),
    }));
    const unnamed = [...KNOWN_KEYS].filter((key) => !fields.has(key));
    return [...named, ...unnamed.map((key): CrmField => ({ key, label: key, type: 'other' }))];
  }

  /** The page of a contact in Ontraport's app. */
  contactUrl(id: string): string {
    return `https://app.ontraport.com/#!/contact/edit&id=${encodeURIComponent(id)}`;
  }

  /**
   * The ids of the contacts with this email, whatever its case, the smallest first, 50 at most.
   *
   * @throws WpFusionError as {@link OntraportClient.getContacts}.
   */
  async findContactIds(
    email: string,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<readonly string[]> {
    const path = '/Contacts';
    const condition = JSON.stringify([compare('email', '=', email.trim())]);
    const query = { condition, sort: 'id', sortDir: 'asc', range: String(PAGE) };
    const rows = await this.#list(path, query, 'read', { fields: [], signal });
    return rows.filter((row) => sameEmail(rawValue(own(row, 'email')), email)).map((row) => idOf(row, path));
  }

  /**
   * Reads contacts as they are now; any number of ids. Ids that Ontraport does not know, or that are none, are absent from
   * the map. `fields` and `raw` hold the fields asked for, without `fields` all that the account has.
   *
   * @throws WpFusionError: CRM_UNAUTHORIZED, CRM_RATE_LIMITED, CRM_UNAVAILABLE or CRM_BAD_RESPONSE. After an abort: the signal's
   *   reason if that has a code of this package, else what {@link OntraportClient.trouble} says, else CRM_UNAVAILABLE.
   */
  async getContacts(
    ids: readonly string[],
    options: ReadOptions = {},
  ): Promise<ReadonlyMap<string, Contact>> {
    const { fields, signal } = options;
    const wanted = [...new Set(ids)].filter((id) => CANONICAL_ID.test(id));
    const found = await Promise.all(wanted.map((id) => this.#reader.read(id, { fields, signal })));
    const contacts = found.filter((contact) => contact !== undefined);
    return new Map(contacts.map((contact) => [contact.id, onlyFields(contact, fields)]));
  }

  /**
   * Writes fields of one contact; values as Ontraport stores them (the id of an option, epoch seconds, `*\/*1*\/*2*\/*`).
   * Not promised: that Ontraport knows the fields; unknown keys are ignored there without a word.
   *
   * @throws WpFusionError: CONTACT_NOT_FOUND, or as {@link OntraportClient.getContacts}. No message quotes the answer, which may
   *   repeat what was written.
   */
  async updateContact(
    id: string,
    fields: Readonly<Record<string, string>>,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const answer = CANONICAL_ID.test(id)
      ? await this.#transport.call({
          method: 'PUT',
          path: '/Contacts',
          body: { ...fields, id },
          kind: 'write',
          signal: options.signal,
        })
      : undefined;
    if (answer === undefined) {
      throw new WpFusionError('CONTACT_NOT_FOUND', 'Ontraport has no contact with this id.');
    }
  }

  /** Makes the next read load names of tags, types and options of fields anew, which are kept for an hour otherwise. */
  refresh(): void {
    this.#fields.expire();
    this.#tags.expire();
  }

  /**
   * Walks contacts by ascending id, each once, page by page as they are consumed. A contact that begins to match while the walk
   * is past its id is not visited; one that stops matching before may not be. `afterId` begins behind an id.
   *
   * @throws WpFusionError: INVALID_REQUEST for a tag that the account does not have or has twice by that name; or as
   *   {@link OntraportClient.getContacts}.
   */
  async *listContacts(
    filter: ContactFilter,
    options: ReadOptions = {},
  ): AsyncGenerator<Contact, void, undefined> {
    const { tag, modifiedSince, afterId = '' } = filter;
    const { fields, signal } = options;
    const since = modifiedSince === undefined ? undefined : secondsOf(modifiedSince);
    const tagId = tag === undefined ? undefined : await this.#tagId(tag, signal);
    const path = tagId === undefined ? '/Contacts' : '/objects/tag';
    for (let last = CANONICAL_ID.test(afterId) ? BigInt(afterId) : 0n; ;) {
      const condition = conditionOf({ since, after: last === 0n ? undefined : String(last) });
      const query = {
        ...(tagId === undefined ? {} : { objectID: '0', tag_id: tagId }),
        ...(condition === undefined ? {} : { condition }),
        sort: 'id',
        sortDir: 'asc',
        range: String(PAGE),
      };
      const rows = await this.#list(path, query, 'walk', { fields, signal });
      // A short page is no end: what the key's user may not see could be missing in it. An empty one is.
      if (rows.length === 0) return;
      for (const row of rows) {
        const id = BigInt(idOf(row, path));
        // A server that ignores the condition or the order would be walked for ever, or in part.
        if (id <= last) {
          throw new WpFusionError(
            'CRM_BAD_RESPONSE',
            `Ontraport's answer to GET ${path} is not in the order asked for.`,
          );
        }
        last = id;
      }
      for (const contact of await this.#decode(rows, path, { fields, signal })) yield contact;
    }
  }

  async #fetch(ids: readonly string[], options: ReadOptions): Promise<ReadonlyMap<string, Contact>> {
    const path = '/Contacts';
    const query = { ids: ids.join(','), range: String(PAGE) };
    const asked = new Set(ids);
    const rows = await this.#list(path, query, 'read', options);
    const own = rows.filter((row) => asked.has(idOf(row, path)));
    const contacts = await this.#decode(own, path, options);
    return new Map(contacts.map((contact) => [contact.id, contact]));
  }

  async #list(
    path: string,
    query: Readonly<Record<string, string>>,
    kind: CallKind,
    { fields, signal }: ReadOptions,
  ): Promise<readonly Row[]> {
    const listFields =
      fields === undefined ? {} : { listFields: [...new Set([...ALWAYS_LISTED, ...fields])].join(',') };
    const answer = await this.#transport.call({
      method: 'GET',
      path,
      query: { ...query, ...listFields },
      kind,
      signal,
    });
    return answer === undefined ? [] : rowsOf(answer.data, path);
  }

  async #decode(
    rows: readonly Row[],
    path: string,
    { fields: asked, signal }: ReadOptions,
  ): Promise<readonly Contact[]> {
    if (rows.length === 0) return [];
    const tagIds = new Set(rows.flatMap((row) => tagIdsOf(row, path)));
    const [fields, tags] = await Promise.all([
      this.#fields.get(signal, (known) => unknownIn(known, rows, asked)),
      tagIds.size === 0
        ? new Map<string, string>()
        : this.#tags.get(signal, (known) => [...tagIds].filter((id) => !known.has(id))),
    ]);
    return rows.map((row) => {
      const values = valuesOf(row, asked);
      const email = rawValue(own(row, 'email'))?.trim() ?? '';
      return {
        id: idOf(row, path),
        email: email === '' ? null : email,
        tags: tagIdsOf(row, path)
          .map((id): Tag => ({ id, name: tags.get(id) ?? '' }))
          .map(named),
        modifiedAt: modifiedAt(row),
        fields: Object.fromEntries(
          values.map(([key, raw]): [string, FieldValue] => [
            key,
            decodeValue(raw, fields.get(key), this.#timeZone),
          ]),
        ),
        raw: Object.fromEntries(values),
      };
    });
  }

  async #tagId(tag: string, signal: AbortSignal | undefined): Promise<string> {
    const name = tag.trim();
    const idsOf = (tags: Tags): string[] =>
      [...tags].filter(([, each]) => each.trim() === name).map(([id]) => id);
    const isKnown = (tags: Tags): boolean => idsOf(tags).length > 0 || tags.has(name);
    const tags = await this.#tags.get(signal, (known) => (isKnown(known) ? [] : [`name ${name}`]));
    const ids = idsOf(tags);
    const [id = tags.has(name) ? name : undefined] = ids;
    if (id !== undefined && ids.length <= 1) return id;
    const message =
      id === undefined
        ? 'Ontraport has no contact tag with this name or id.'
        : `Ontraport has several tags with this name; give the id instead: ${ids.join(', ')}.`;
    throw new WpFusionError('INVALID_REQUEST', message, { errors: [{ parameter: 'tag', message }] });
  }
}

const compare = (field: string, op: string, value: number | string): unknown => ({
  field: { field },
  op,
  value: { value },
});

/** Whether an email of a row is the one looked for: a server that ignores the condition gives everybody's. */
const sameEmail = (one: string | null, other: string): boolean =>
  one?.trim().toLowerCase() === other.trim().toLowerCase();

/** A condition of a list (Ontraport API, "condition"): JSON, numbers as numbers; `undefined` where there is none. */
export function conditionOf(filter: {
  readonly since: number | undefined;
  readonly after: string | undefined;
}): string | undefined {
  const conditions: unknown[] = [];
  if (filter.since !== undefined) conditions.push(compare('dlm', '>=', filter.since));
  if (filter.after !== undefined) {
    const number = Number(filter.after);
    conditions.push(compare('id', '>', Number.isSafeInteger(number) ? number : filter.after));
  }
  if (conditions.length === 0) return undefined;
  return JSON.stringify(
    conditions.flatMap((condition, index) => (index === 0 ? [condition] : ['AND', condition])),
  );
}

function secondsOf(date: Date): number {
  const seconds = Math.floor(date.getTime() / 1000);
  if (Number.isNaN(seconds)) {
    const message = 'modifiedSince is no date.';
    throw new WpFusionError('INVALID_REQUEST', message, {
      errors: [{ parameter: 'modifiedSince', message }],
    });
  }
  return seconds;
}

function idOf(row: Row, path: string): string {
  const id = rawValue(own(row, 'id')) ?? '';
  if (!CANONICAL_ID.test(id)) throw badShape(path);
  return id;
}

/** The tags of a contact. A row that says nothing of them is an error: taken for "none", it would cost people their access. */
function tagIdsOf(row: Row, path: string): string[] {
  const list = own(row, 'contact_cat');
  // Neither does one that says it in another shape.
  if (list === undefined || typeof list === 'boolean' || (typeof list === 'object' && list !== null)) {
    throw badShape(path);
  }
  return [...new Set(splitIds(rawValue(list)))];
}

const named = ({ id, name }: Tag): Tag => ({ id, name: name === '' ? `#${id}` : name });

function modifiedAt(row: Row): Date | null {
  const raw = rawValue(own(row, 'dlm'));
  return raw === '0' ? null : (dateOf(raw) ?? null);
}

/** The values asked for that the row has. `__proto__` is no field of any CRM, and a trap as a key of an object. */
function valuesOf(row: Row, asked: readonly string[] | undefined): [string, string | null][] {
  const keys = asked === undefined ? Object.keys(row) : [...new Set(asked)];
  return keys
    .filter((key) => Object.hasOwn(row, key) && key !== '__proto__')
    .map((key) => [key, rawValue(row[key])]);
}

/** What the rows show that the metadata does not know: fields, and options of fields. */
function unknownIn(known: Fields, rows: readonly Row[], asked: readonly string[] | undefined): Set<string> {
  const unknown = new Set<string>();
  for (const row of rows) {
    for (const [key, raw] of valuesOf(row, asked)) {
      const metadata = known.get(key);
      if (metadata === undefined) {
        if (!KNOWN_KEYS.has(key)) unknown.add(key);
      } else {
        for (const id of optionIds(raw, metadata)) if (!metadata.options.has(id)) unknown.add(`${key} ${id}`);
      }
    }
  }
  return unknown;
}

function onlyFields(contact: Contact, asked: readonly string[] | undefined): Contact {
  if (asked === undefined) return contact;
  const wanted = new Set(asked);
  const only = <Value>(values: Readonly<Record<string, Value>>): Record<string, Value> =>
    Object.fromEntries(Object.entries(values).filter(([key]) => wanted.has(key)));
  return { ...contact, fields: only(contact.fields), raw: only(contact.raw ?? {}) };
}
