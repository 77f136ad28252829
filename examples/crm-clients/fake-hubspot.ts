// What of HubSpot's API its client uses, on your machine, for tests: the answers of its documentation, and trouble on request.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

type Properties = Record<string, string | null>;
/** What is sent, whichever call it is. */
interface Body {
  inputs: { id: string; recordId: string }[];
  properties: string[] & Record<string, string>;
  filterGroups: [{ filters: Record<'propertyName' | 'operator' | 'value', string>[] }];
  limit: number;
}
type Answer = [status: number, body: object | string, headers?: Record<string, string>];

const TROUBLE = {
  unauthorized: [401, { status: 'error', category: 'INVALID_AUTHENTICATION' }],
  rateLimited: [429, { status: 'error', errorType: 'RATE_LIMIT', policyName: 'TEN_SECONDLY_ROLLING' }],
  unavailable: [503, 'upstream connect error'],
  badResponse: [200, '<html>Down for maintenance</html>'],
} satisfies Record<string, Answer>;
const NOT_FOUND: Answer = [404, { status: 'error', message: 'resource not found' }];

export class FakeHubSpot {
  readonly token = 'pat-eu1-4f1c9a2e-77b0-4d0e-9c55-1d2f0a6b8c3e';
  /** What was called: `POST /crm/v3/objects/contacts/batch/read`. */
  readonly calls: string[] = [];
  /** Answers in the place of its own, by the call. */
  readonly answers = new Map<string, Answer>();
  readonly #server: Server;
  readonly #properties = new Map([
    ['email', { type: 'string', fieldType: 'text' }],
    ['hs_object_id', { type: 'number', fieldType: 'number' }],
    ['lastmodifieddate', { type: 'datetime', fieldType: 'date' }],
  ]);
  readonly #contacts = new Map<string, { properties: Properties; listIds: string[] }>();
  readonly #lists = new Map<string, string>();
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

  static async start(): Promise<FakeHubSpot> {
    const fake = new FakeHubSpot();
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  addProperty(name: string, type = 'string', fieldType = 'text'): void {
    this.#properties.set(name, { type, fieldType });
  }

  addContact({ lists = [], ...properties }: { lists?: readonly string[]; [name: string]: unknown }): string {
    // Ids of different lengths: in the order of text they would be another one.
    const id = String(9_990 + this.#contacts.size * 7);
    const listIds = lists.map((name) => this.#listId(name));
    const set = { ...(properties as Properties), hs_object_id: id, lastmodifieddate: this.#now() };
    this.#contacts.set(id, { properties: set, listIds });
    return id;
  }

  removeContact(id: string): void {
    this.#contacts.delete(id);
  }

  /** What is stored of a contact. */
  contact(id: string): Properties | undefined {
    return this.#contacts.get(id)?.properties;
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
    const call = `${method} ${pathname}`;
    this.calls.push(call);
    const sent = await text(request).catch(() => '');
    const answer = this.#trouble ?? this.answers.get(call);
    if (answer !== undefined) return answer;
    if (headers.authorization !== `Bearer ${this.token}`) return TROUBLE.unauthorized;
    const body = (sent === '' ? {} : JSON.parse(sent)) as Body;
    const [, id] = /^\/crm\/v3\/objects\/contacts\/(\d+)$/.exec(pathname) ?? [];
    if (method === 'PATCH' && id !== undefined) return this.#update(id, body);
    switch (call) {
      case 'GET /crm/v3/properties/contacts':
        return [200, { results: [...this.#properties].map(([name, kind]) => ({ name, ...kind })) }];
      case 'POST /crm/v3/objects/contacts/batch/read':
        return this.#read(body);
      case 'POST /crm/v3/objects/contacts/search':
        return this.#search(body);
      case 'POST /crm/v3/lists/records/memberships/batch/read':
        return this.#memberships(body);
      case 'GET /crm/v3/lists/': {
        const wanted = searchParams.getAll('listIds').filter((listId) => this.#lists.has(listId));
        return [200, { lists: wanted.map((listId) => ({ listId, name: this.#lists.get(listId) })) }];
      }
      default:
        return NOT_FOUND;
    }
  }

  /** In an order of its own; what is not there is told beside it. */
  #read({ inputs, properties }: Body): Answer {
    if (inputs.length === 0 || inputs.length > 100)
      return [400, { status: 'error', category: 'VALIDATION_ERROR' }];
    const ids = inputs.map(({ id }) => id).sort();
    if (new Set(ids).size < ids.length) return [400, { status: 'error', category: 'VALIDATION_ERROR' }];
    const found = ids.filter((id) => this.#contacts.has(id));
    const missing = ids.filter((id) => !this.#contacts.has(id));
    const results = found.map((id) => ({ id, properties: this.#chosen(id, properties), archived: false }));
    if (missing.length === 0) return [200, { status: 'COMPLETE', results }];
    const error = { status: 'error', category: 'OBJECT_NOT_FOUND', context: { ids: missing } };
    return [207, { status: 'COMPLETE', results, numErrors: 1, errors: [error] }];
  }

  /** Properties that do not exist are left out, those that are not set are `null`. */
  #chosen(id: string, names: readonly string[]): Properties {
    const stored = this.#contacts.get(id)?.properties ?? {};
    const known = ['hs_object_id', ...names].filter((name) => this.#properties.has(name));
    return Object.fromEntries(known.map((name) => [name, stored[name] ?? null]));
  }

  #search({ filterGroups, limit }: Body): Answer {
    const fits = (properties: Properties): boolean =>
      filterGroups[0].filters.every(({ propertyName, operator, value }) => {
        const stored = properties[propertyName] ?? '';
        const number = propertyName === 'hs_object_id' ? Number(stored) : Date.parse(stored);
        return operator === 'GT' ? number > Number(value) : number >= Number(value);
      });
    const found = [...this.#contacts].filter(([, { properties }]) => fits(properties)).slice(0, limit);
    return [200, { total: found.length, results: found.map(([id]) => ({ id, properties: {} })) }];
  }

  #memberships({ inputs }: Body): Answer {
    const results = inputs.map(({ recordId }) => ({
      objectTypeId: '0-1',
      recordId,
      recordListMemberships: (this.#contacts.get(recordId)?.listIds ?? []).map((listId) => ({ listId })),
    }));
    return [200, { status: 'COMPLETE', results }];
  }

  #update(id: string, { properties }: Body): Answer {
    const contact = this.#contacts.get(id);
    if (contact === undefined) return NOT_FOUND;
    if (Object.keys(properties).some((name) => !this.#properties.has(name)))
      return [400, { status: 'error', category: 'VALIDATION_ERROR', message: JSON.stringify(properties) }];
    for (const [name, value] of Object.entries(properties))
      contact.properties[name] = value === '' ? null : value;
    contact.properties.lastmodifieddate = this.#now();
    return [200, { id, properties: contact.properties }];
  }

  #listId(name: string): string {
    const known = [...this.#lists].find(([, each]) => each === name)?.[0];
    const id = known ?? String(this.#lists.size + 1);
    this.#lists.set(id, name);
    return id;
  }

  #now(): string {
    return new Date((this.#clock += 1000)).toISOString();
  }
}
