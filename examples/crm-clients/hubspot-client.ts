// HubSpot as the CRM behind wp-fusion-webhook; its lists ("segments") stand for tags. Written after HubSpot's documentation of its
// CRM API v3: contacts, properties, lists, usage guidelines. README.md tells how its webhooks are set up.
import { WpFusionError } from 'wp-fusion-webhook';
import type { Contact, ContactFilter, CrmClient, FieldValue, ReadOptions, Tag } from 'wp-fusion-webhook';

type Options = Pick<ReadOptions, 'signal'>;
type Lists = Record<'lists', Record<'listId' | 'name', string>[]>;
type Property = Record<'name' | 'type' | 'fieldType', string>;
type Row = Record<'id', string> & Record<'properties', Record<string, string | null>>;
type Read = Record<'results', Row[]> & Partial<Record<'errors', Record<'category', string>[]>>;
interface Membership {
  recordId: string;
  recordListMemberships: { listId: string | number }[];
}

export class HubSpotClient implements CrmClient {
  readonly maxBatchSize = 100;
  readonly contactIdPattern = /^[1-9]\d{0,18}$/;
  /** Where the body of a workflow's webhook has the contact: whole contacts, and the property "Record ID". */
  readonly contactIdParameters = ['vid', 'hs_object_id'];
  #types = new Map<string, string>();
  #listNames = new Map<string, string>();
  #knownUntil = 0;

  /** `token` of a private app with the scopes crm.objects.contacts.read and .write, crm.schemas.contacts.read, crm.lists.read. */
  constructor(private readonly account: { token: string; baseUrl?: string; timeoutMs?: number }) {}

  async getContacts(ids: readonly string[], options: ReadOptions = {}): Promise<Map<string, Contact>> {
    if (ids.length === 0) return new Map();
    await this.#learn(options);
    const inputs = [...new Set(ids)].map((id) => ({ id }));
    const properties = ['email', 'lastmodifieddate', ...(options.fields ?? [])];
    const path = '/crm/v3/objects/contacts/batch/read';
    const { results, errors = [] } = await this.#call<Read>('POST', path, options, { inputs, properties });
    // Beside the contacts stand those it did not find, which is no error here; anything else is.
    if (errors.some(({ category }) => category !== 'OBJECT_NOT_FOUND'))
      throw new WpFusionError('CRM_BAD_RESPONSE', 'HubSpot could not read all of the contacts.');
    const found = results.map(({ id }) => id);
    const tags = await this.#tagsOf(found, options);
    return new Map(results.map((row) => [row.id, this.#decode(row, tags.get(row.id) ?? [])]));
  }

  async updateContact(id: string, properties: Readonly<Record<string, string>>, options: Options = {}) {
    await this.#call('PATCH', `/crm/v3/objects/contacts/${id}`, options, { properties });
  }

  /** By ascending id, since a search gives 10,000 at most. It lags a little: what it finds is read as it is now. */
  async *listContacts(filter: ContactFilter, options: ReadOptions = {}): AsyncGenerator<Contact> {
    const { tag, modifiedSince, afterId = '0' } = filter;
    const since = {
      propertyName: 'lastmodifieddate',
      operator: 'GTE',
      value: String(modifiedSince?.getTime()),
    };
    for (let lastId: string | undefined = afterId; lastId !== undefined;) {
      const behind = { propertyName: 'hs_object_id', operator: 'GT', value: lastId };
      const filterGroups = [{ filters: modifiedSince === undefined ? [behind] : [behind, since] }];
      const sorts = [{ propertyName: 'hs_object_id', direction: 'ASCENDING' }];
      const body = { filterGroups, sorts, limit: this.maxBatchSize };
      const page: Read = await this.#call('POST', '/crm/v3/objects/contacts/search', options, body);
      const ids: string[] = page.results.map(({ id }) => id);
      const contacts = await this.getContacts(ids, options);
      for (const contact of ids.flatMap((id) => contacts.get(id) ?? []))
        if (tag === undefined || contact.tags.some((each) => each.name === tag || each.id === tag))
          yield contact;
      lastId = ids.at(-1);
    }
  }

  async #tagsOf(ids: readonly string[], options: Options): Promise<Map<string, Tag[]>> {
    if (ids.length === 0) return new Map();
    const path = '/crm/v3/lists/records/memberships/batch/read';
    const inputs = ids.map((recordId) => ({ objectTypeId: '0-1', recordId }));
    const { results } = await this.#call<{ results: Membership[] }>('POST', path, options, { inputs });
    const lists = new Map(
      results.map((row) => [row.recordId, row.recordListMemberships.map(({ listId }) => String(listId))]),
    );
    // No answer is not "in no list": that would take the user everything that hangs on tags.
    if (ids.some((id) => !lists.has(id)))
      throw new WpFusionError('CRM_BAD_RESPONSE', 'HubSpot did not give the lists of every contact.');
    const names = await this.#namesOf(new Set([...lists.values()].flat()), options);
    const named = (id: string): Tag => ({ id, name: names.get(id) ?? '' });
    return new Map([...lists].map(([id, listIds]) => [id, listIds.map(named)]));
  }

  async #namesOf(ids: ReadonlySet<string>, options: Options): Promise<ReadonlyMap<string, string>> {
    const names = this.#listNames;
    const unnamed = [...ids].filter((id) => !names.has(id));
    for (let at = 0; at < unnamed.length; at += 100) {
      const query = new URLSearchParams(unnamed.slice(at, at + 100).map((id) => ['listIds', id])).toString();
      const { lists } = await this.#call<Lists>('GET', `/crm/v3/lists/?${query}`, options);
      for (const { listId, name } of lists) names.set(listId, name);
    }
    return names;
  }

  /** Types of properties and names of lists are asked for every ten minutes. */
  async #learn(options: Options): Promise<void> {
    if (Date.now() < this.#knownUntil) return;
    const path = '/crm/v3/properties/contacts';
    const { results } = await this.#call<{ results: Property[] }>('GET', path, options);
    const typeOf = ({ type, fieldType }: Property): string => (fieldType === 'checkbox' ? 'several' : type);
    this.#types = new Map(results.map((property) => [property.name, typeOf(property)]));
    this.#listNames = new Map();
    this.#knownUntil = Date.now() + 600_000;
  }

  #decode({ id, properties: raw }: Row, tags: Tag[]): Contact {
    const value = (name: string, text: string | null): FieldValue => {
      if (text === null || text === '') return null;
      const type = this.#types.get(name);
      if (type === 'several') return text.split(';');
      if (type === 'bool') return text === 'true';
      return type === 'number' && Number.isFinite(Number(text)) ? Number(text) : text;
    };
    const fields = Object.fromEntries(Object.entries(raw).map(([name, text]) => [name, value(name, text)]));
    const modifiedAt = raw.lastmodifieddate ? new Date(raw.lastmodifieddate) : null;
    return { id, email: raw.email?.trim() ? raw.email : null, tags, modifiedAt, fields, raw };
  }

  async #call<Answer>(method: string, path: string, { signal }: Options, body?: object): Promise<Answer> {
    const { token, baseUrl = 'https://api.hubapi.com', timeoutMs = 20_000 } = this.account;
    const timeout = AbortSignal.timeout(timeoutMs);
    const response = await fetch(baseUrl + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      redirect: 'error',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    }).catch(() => Promise.reject(new WpFusionError('CRM_UNAVAILABLE', 'HubSpot does not answer.')));
    // Nothing of what it says goes into an error: it may quote the values that were written.
    const answer = (await response.json().catch(() => undefined)) as
      { status?: string; policyName?: string } | undefined;
    const { ok, status, headers } = response;
    if (ok && typeof answer === 'object') return answer as Answer;
    if (status === 401 || status === 403)
      throw new WpFusionError('CRM_UNAUTHORIZED', 'HubSpot refuses the token, or the token lacks a scope.');
    // A proxy and a wrong address answer 404 too, but not like this.
    if (status === 404 && answer?.status === 'error')
      throw new WpFusionError('CONTACT_NOT_FOUND', 'HubSpot has no such contact.');
    const retryAfter = Number(headers.get('retry-after')) || (answer?.policyName === 'DAILY' ? 3600 : 10);
    if (status === 429)
      throw new WpFusionError('CRM_RATE_LIMITED', 'HubSpot allows no more calls for now.', { retryAfter });
    if (status >= 500 || status === 423 || status === 477)
      throw new WpFusionError('CRM_UNAVAILABLE', `HubSpot answered ${String(status)}.`, { retryAfter });
    throw new WpFusionError('CRM_BAD_RESPONSE', `HubSpot answered with ${String(status)} and no use.`);
  }
}
