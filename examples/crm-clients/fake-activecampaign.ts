// What of ActiveCampaign's API its client uses, on your machine, for tests: the answers of its documentation, and trouble on request.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

type Answer = [status: number, body: object | string, headers?: Record<string, string>];
interface Stored {
  own: Record<string, string>;
  values: Map<string, string>;
  tagIds: string[];
  udate: string;
}

const TROUBLE = {
  unauthorized: [403, { message: 'You are not authorized' }],
  rateLimited: [429, '', { 'retry-after': '1', 'ratelimit-limit': '5', 'ratelimit-remaining': '0' }],
  unavailable: [503, 'Service Unavailable'],
  badResponse: [200, '<html>Down for maintenance</html>'],
} satisfies Record<string, Answer>;

export class FakeActiveCampaign {
  readonly key = 'd8f2e5c1a7b94036e0c2f1a8b7d6e5c4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8';
  /** What was called: `GET /contacts`. */
  readonly calls: string[] = [];
  /** Answers in the place of its own, by the call. */
  readonly answers = new Map<string, Answer>();
  readonly #server: Server;
  readonly #fields: { id: string; perstag: string; type: string }[] = [];
  readonly #tags: { id: string; tag: string }[] = [];
  readonly #contacts = new Map<string, Stored>();
  #trouble: Answer | undefined;
  #clock = Date.parse('2026-01-01T00:00:00Z');

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#answer(request).then(([status, body, headers = {}]) => {
        const isJson = typeof body === 'object';
        response.writeHead(status, { 'content-type': isJson ? 'application/json' : 'text/html', ...headers });
        response.end(isJson ? JSON.stringify(body) : body);
      });
    });
  }

  static async start(): Promise<FakeActiveCampaign> {
    const fake = new FakeActiveCampaign();
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  addField(perstag: string, type = 'text'): void {
    this.#fields.push({ id: String(this.#fields.length + 1), perstag, type });
  }

  /** `fields` by their personalization tags, and the contact's own: `firstName`, `lastName`, `phone`. */
  addContact({
    email,
    tags = [],
    fields = {},
  }: {
    email: string;
    tags?: readonly string[];
    fields?: object;
  }): string {
    const id = String(98 + this.#contacts.size);
    const own: Record<string, string> = { email };
    const values = new Map<string, string>();
    for (const [key, value] of Object.entries(fields)) {
      const field = this.#fields.find(({ perstag }) => perstag === key);
      if (field === undefined) own[key] = String(value);
      else values.set(field.id, String(value));
    }
    this.#contacts.set(id, {
      own,
      values,
      tagIds: tags.map((name) => this.#tagId(name)),
      udate: this.#now(),
    });
    return id;
  }

  removeContact(id: string): void {
    this.#contacts.delete(id);
  }

  /** What is stored in a field of a contact. */
  stored(id: string, key: string): string | null {
    const contact = this.#contacts.get(id);
    const field = this.#fields.find(({ perstag }) => perstag === key);
    return (field === undefined ? contact?.own[key] : contact?.values.get(field.id)) ?? null;
  }

  /** From now on every call meets this trouble. */
  fail(kind: keyof typeof TROUBLE): void {
    this.#trouble = TROUBLE[kind];
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const { method = '', headers } = request;
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://fake');
    const path = pathname.replace(/^\/api\/3/, '');
    const call = `${method} ${path}`;
    this.calls.push(call);
    const sent = await text(request).catch(() => '');
    const answer = this.#trouble ?? this.answers.get(call);
    if (answer !== undefined) return answer;
    if (headers['api-token'] !== this.key) return TROUBLE.unauthorized;
    const [, id] = /^\/contacts\/(\d+)$/.exec(path) ?? [];
    if (method === 'PUT' && id !== undefined) return this.#update(id, sent);
    if (method !== 'GET') return [404, { message: 'No route' }];
    if (path === '/fields') {
      const offset = Number(searchParams.get('offset'));
      const page = this.#fields.slice(offset, offset + Number(searchParams.get('limit') ?? 20));
      return [200, { fields: page, meta: { total: String(this.#fields.length) } }];
    }
    if (path === '/tags') {
      const part = (searchParams.get('search') ?? '').toLowerCase();
      return [200, { tags: this.#tags.filter(({ tag }) => tag.toLowerCase().includes(part)) }];
    }
    return path === '/contacts' ? this.#list(searchParams) : [404, { message: 'No route' }];
  }

  /** Contacts by ids, tag, time and id, with what is asked for beside them. */
  #list(query: URLSearchParams): Answer {
    const ids = query.getAll('ids[]');
    const since = Date.parse(query.get('filters[updated_after]') ?? '1970-01-01');
    const tagId = query.get('tagid');
    const found = [...this.#contacts].filter(
      ([id, { tagIds, udate }]) =>
        (ids.length === 0 || ids.includes(id)) &&
        (tagId === null || tagIds.includes(tagId)) &&
        Number(id) > Number(query.get('id_greater')) &&
        Date.parse(udate) > since,
    );
    // The newest first, unless it is told otherwise.
    if (query.get('orders[id]') !== 'ASC') found.reverse();
    const page = found.slice(0, Math.min(Number(query.get('limit') ?? 20), 100));
    const include = (query.get('include') ?? '').split(',');
    const onPage = new Set(page.flatMap(([, { tagIds }]) => tagIds));
    const fieldValues = page.flatMap(([contact, { values }]) =>
      [...values].map(([field, value]) => ({ contact, field, value })),
    );
    const contactTags = page.flatMap(([contact, { tagIds }]) => tagIds.map((tag) => ({ contact, tag })));
    const answer = {
      contacts: page.map(([id, { own, udate }]) => ({
        phone: '',
        firstName: '',
        lastName: '',
        ...own,
        id,
        udate,
      })),
      ...(include.includes('fieldValues') ? { fieldValues } : {}),
      ...(include.includes('contactTags.tag')
        ? { contactTags, tags: this.#tags.filter(({ id }) => onPage.has(id)) }
        : {}),
      meta: { total: String(found.length) },
    };
    return [200, answer];
  }

  #update(id: string, sent: string): Answer {
    const contact = this.#contacts.get(id);
    if (contact === undefined) return [404, { message: `No Result found for Subscriber with id ${id}` }];
    const { fieldValues = [], ...own } = (
      JSON.parse(sent) as { contact: { fieldValues?: { field: string; value: string }[] } }
    ).contact;
    Object.assign(contact.own, own);
    for (const { field, value } of fieldValues) contact.values.set(field, value);
    contact.udate = this.#now();
    return [200, { contact: { ...contact.own, id } }];
  }

  #tagId(name: string): string {
    let known = this.#tags.find(({ tag }) => tag === name);
    if (known === undefined) this.#tags.push((known = { id: String(this.#tags.length + 11), tag: name }));
    return known.id;
  }

  /** With the account's own time zone, as it is. */
  #now(): string {
    this.#clock += 1000;
    return `${new Date(this.#clock - 5 * 3_600_000).toISOString().slice(0, 19)}-05:00`;
  }
}
