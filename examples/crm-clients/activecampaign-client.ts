// ActiveCampaign as the CRM behind wp-fusion-webhook. Written after ActiveCampaign's documentation of its API v3: contacts, custom
// fields, tags, sideloading, rate limits. README.md tells how its webhooks are set up.
import { WpFusionError } from 'wp-fusion-webhook';
import type { Contact, ContactFilter, CrmClient, FieldValue, ReadOptions, Tag } from 'wp-fusion-webhook';

type Options = Pick<ReadOptions, 'signal'>;
type Row = Record<'id' | 'email' | 'udate', string> & Record<string, string | null>;
type Field = Record<'id' | 'type' | 'perstag', string>;
type Named = Record<'id' | 'tag', string>;
interface Page {
  contacts: Row[];
  fieldValues?: Record<'contact' | 'field' | 'value', string>[];
  contactTags?: Record<'contact' | 'tag', string>[];
  tags?: Named[];
}
const OWN_FIELDS = ['email', 'firstName', 'lastName', 'phone'];

export class ActiveCampaignClient implements CrmClient {
  readonly maxBatchSize = 100;
  readonly contactIdPattern = /^[1-9]\d{0,14}$/;
  /** Its webhooks are forms with a contact in them; nobody can name the id otherwise. */
  readonly contactIdParameters = ['contact[id]'];
  #fields = new Map<string, Field>();
  #knownUntil = 0;

  /** `url` and `key` stand under Settings, Developer. Fields have their personalization tags as keys: `COMPANY`. */
  constructor(private readonly account: { url: string; key: string; timeoutMs?: number }) {}

  async getContacts(ids: readonly string[], options: ReadOptions = {}): Promise<Map<string, Contact>> {
    if (ids.length === 0) return new Map();
    const query = [...new Set(ids)].map((id) => ['ids[]', id]);
    return new Map((await this.#read(query, options)).map((contact) => [contact.id, contact]));
  }

  /** Own fields stand in the contact, the others by their ids in a list of their own. */
  async updateContact(id: string, fields: Readonly<Record<string, string>>, options: Options = {}) {
    await this.#learn(options);
    const own: Record<string, string> = {};
    const fieldValues: { field: string; value: string }[] = [];
    for (const [key, value] of Object.entries(fields)) {
      const field = this.#fields.get(key)?.id;
      if (field !== undefined) fieldValues.push({ field, value });
      else if (OWN_FIELDS.includes(key)) own[key] = value;
      else throw new WpFusionError('CRM_BAD_RESPONSE', `ActiveCampaign has no field with the tag %${key}%.`);
    }
    await this.#call('PUT', `/contacts/${id}`, options, { contact: { ...own, fieldValues } });
  }

  /** By ascending id: whatever changes meanwhile keeps its place. */
  async *listContacts(filter: ContactFilter, options: ReadOptions = {}): AsyncGenerator<Contact> {
    const { tag, modifiedSince, afterId = '0' } = filter;
    const tagId = tag === undefined ? undefined : await this.#tagId(tag, options);
    if (tag !== undefined && tagId === undefined) return;
    const query = [['orders[id]', 'ASC'], ...(tagId === undefined ? [] : [['tagid', tagId]])];
    // Whether the moment itself is "after" is not documented: a second more is asked for, and looked at here.
    const since = modifiedSince?.getTime() ?? -Infinity;
    if (modifiedSince) query.push(['filters[updated_after]', new Date(since - 1000).toISOString()]);
    for (let lastId: string | undefined = afterId; lastId !== undefined;) {
      const contacts: Contact[] = await this.#read([...query, ['id_greater', lastId]], options);
      for (const contact of contacts) if ((contact.modifiedAt?.getTime() ?? 0) >= since) yield contact;
      lastId = contacts.at(-1)?.id;
    }
  }

  /** Contacts with their fields and tags, in one call. */
  async #read(query: string[][], options: ReadOptions): Promise<Contact[]> {
    await this.#learn(options);
    // Of any status: somebody who does not want newsletters, or whose mails bounced, has an account all the same.
    const all = [...query, ['status', '-1'], ['include', 'fieldValues,contactTags.tag'], ['limit', '100']];
    const page = await this.#call<Page>('GET', `/contacts?${new URLSearchParams(all).toString()}`, options);
    return page.contacts.map((row) => this.#decode(row, page, options.fields ?? []));
  }

  #decode(row: Row, page: Page, wanted: readonly string[]): Contact {
    const names = new Map(page.tags?.map(({ id, tag }) => [id, tag]));
    const tags = page.contactTags
      ?.filter(({ contact }) => contact === row.id)
      .map(({ tag }): Tag => ({ id: tag, name: names.get(tag) ?? '' }));
    // No answer is not "no tags": that would take the user everything that hangs on them.
    if (tags === undefined)
      throw new WpFusionError('CRM_BAD_RESPONSE', 'ActiveCampaign gave no tags with its contacts.');
    const others = new Map(
      page.fieldValues?.filter(({ contact }) => contact === row.id).map(({ field, value }) => [field, value]),
    );
    const value = (key: string): FieldValue => {
      const field = this.#fields.get(key);
      const text = field === undefined ? row[key] : others.get(field.id);
      if (!text) return null;
      if (field?.type === 'checkbox' || field?.type === 'listbox') return text.split('||').filter(Boolean);
      return field?.type === 'number' && Number.isFinite(Number(text)) ? Number(text) : text;
    };
    const known = wanted.filter((key) => this.#fields.has(key) || OWN_FIELDS.includes(key));
    const fields = Object.fromEntries(known.map((key) => [key, value(key)]));
    const modifiedAt = row.udate ? new Date(row.udate) : null;
    return { id: row.id, email: row.email || null, tags, modifiedAt, fields };
  }

  async #tagId(name: string, options: Options): Promise<string | undefined> {
    const path = `/tags?limit=100&search=${encodeURIComponent(name)}`;
    const { tags } = await this.#call<{ tags: Named[] }>('GET', path, options);
    return tags.find(({ tag }) => tag === name)?.id ?? (/^\d+$/.test(name) ? name : undefined);
  }

  /** The custom fields, asked for every ten minutes. */
  async #learn(options: Options): Promise<void> {
    if (Date.now() < this.#knownUntil) return;
    const all: Field[] = [];
    for (let page: Field[] | undefined; page === undefined || page.length === 100; all.push(...page)) {
      const path = `/fields?limit=100&offset=${String(all.length)}`;
      page = (await this.#call<{ fields: Field[] }>('GET', path, options)).fields;
    }
    this.#fields = new Map(all.map((field) => [field.perstag, field]));
    this.#knownUntil = Date.now() + 600_000;
  }

  async #call<Answer>(method: string, path: string, { signal }: Options, body?: object): Promise<Answer> {
    const { url, key, timeoutMs = 20_000 } = this.account;
    const timeout = AbortSignal.timeout(timeoutMs);
    const response = await fetch(`${url}/api/3${path}`, {
      method,
      headers: { 'api-token': key, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      redirect: 'error',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    }).catch(() => Promise.reject(new WpFusionError('CRM_UNAVAILABLE', 'ActiveCampaign does not answer.')));
    // Nothing of what it says goes into an error: it may quote the values that were written.
    const answer = (await response.json().catch(() => undefined)) as { message?: string } | undefined;
    const { ok, status, headers } = response;
    if (ok && typeof answer === 'object') return answer as Answer;
    if (status >= 401 && status <= 403)
      throw new WpFusionError('CRM_UNAUTHORIZED', 'ActiveCampaign refuses the key or the account.');
    // A proxy and a wrong address answer 404 too, but not like this.
    if (status === 404 && method === 'PUT' && answer?.message)
      throw new WpFusionError('CONTACT_NOT_FOUND', 'ActiveCampaign has no such contact.');
    const retryAfter = Number(headers.get('retry-after')) || 10;
    if (status === 429)
      throw new WpFusionError('CRM_RATE_LIMITED', 'ActiveCampaign allows no more for now.', {
        retryAfter,
      });
    if (status >= 500)
      throw new WpFusionError('CRM_UNAVAILABLE', `ActiveCampaign answered ${String(status)}.`);
    throw new WpFusionError('CRM_BAD_RESPONSE', `ActiveCampaign answered with ${String(status)} and no use.`);
  }
}
