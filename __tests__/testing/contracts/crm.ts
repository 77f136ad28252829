// A make-believe CRM in memory and a client for it, made to be broken: every rule of the client is a method of its own, which a
// broken one overrides.
import { setImmediate as turn } from 'node:timers/promises';
import { WpFusionError } from '../../../lib';
import type {
  Contact,
  ContactFilter,
  CrmClient,
  ErrorCode,
  FieldValue,
  ReadOptions,
  Tag,
} from '../../../lib';
import type { CrmContact, CrmFailure, CrmScene } from '../../../lib/testing';

export interface Row {
  readonly id: string;
  email: string | null;
  tagIds: string[];
  modified: number;
  readonly values: Record<string, string>;
}

export const TOKEN = 'token/with+odd=characters&more';
const FIELDS = ['company', 'city'];

export class Crm {
  readonly rows = new Map<string, Row>();
  readonly tags = new Map<string, string>();
  reads = 0;
  failing: CrmFailure | undefined;
  #clock = 1_700_000_000_000;

  add({ email, tags, fields = {} }: CrmContact): string {
    const id = String(this.rows.size + 11);
    this.rows.set(id, {
      id,
      email,
      tagIds: tags.map((name) => this.tagId(name)),
      modified: this.tick(),
      values: { ...fields },
    });
    return id;
  }

  tagId(name: string): string {
    for (const [id, each] of this.tags) if (each === name) return id;
    const id = String(this.tags.size + 1);
    this.tags.set(id, name);
    return id;
  }

  tick(): number {
    this.#clock += 1000;
    return this.#clock;
  }

  write(id: string, fields: Readonly<Record<string, string>>): boolean {
    const row = this.rows.get(id);
    if (row === undefined) return false;
    Object.assign(row.values, fields);
    row.modified = this.tick();
    return true;
  }
}

const CODES: Record<CrmFailure, ErrorCode> = {
  unauthorized: 'CRM_UNAUTHORIZED',
  rateLimited: 'CRM_RATE_LIMITED',
  unavailable: 'CRM_UNAVAILABLE',
  badResponse: 'CRM_BAD_RESPONSE',
};

export class Client implements CrmClient {
  readonly maxBatchSize: number = 5;
  readonly contactIdPattern: RegExp = /^[1-9]\d{0,9}$/;

  constructor(protected readonly crm: Crm) {}

  // The methods

  async getContacts(
    ids: readonly string[],
    options: ReadOptions = {},
  ): Promise<ReadonlyMap<string, Contact>> {
    const rows = await this.call(options.signal, () => {
      this.crm.reads += 1;
      return this.rowsOf(ids);
    });
    return new Map(rows.map((row) => [row.id, this.contact(row, options.fields)]));
  }

  async updateContact(
    id: string,
    fields: Readonly<Record<string, string>>,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const isThere = await this.call(options.signal, () => this.write(id, fields));
    if (!isThere) throw new WpFusionError('CONTACT_NOT_FOUND', 'The CRM has no such contact.');
  }

  async *listContacts(
    filter: ContactFilter,
    options: ReadOptions = {},
  ): AsyncGenerator<Contact, void, undefined> {
    for (let last = 0; ;) {
      const page = await this.call(options.signal, () => this.page(filter, last));
      if (page.length === 0) return;
      for (const row of page) yield this.contact(row, options.fields);
      last = Number(page.at(-1)!.id);
    }
  }

  // Their parts

  /** One call of the CRM. */
  async call<Value>(signal: AbortSignal | undefined, work: () => Value): Promise<Value> {
    signal?.throwIfAborted();
    await turn();
    signal?.throwIfAborted();
    if (this.crm.failing !== undefined) throw this.error(this.crm.failing);
    return work();
  }

  error(kind: CrmFailure): unknown {
    return new WpFusionError(
      CODES[kind],
      `The CRM: ${kind}`,
      kind === 'rateLimited' ? { retryAfter: 1 } : {},
    );
  }

  rowsOf(ids: readonly string[]): Row[] {
    return [...this.crm.rows.values()].filter((row) => ids.includes(row.id));
  }

  write(id: string, fields: Readonly<Record<string, string>>): boolean {
    return this.crm.write(id, fields);
  }

  page(filter: ContactFilter, after: number): Row[] {
    return this.matching(filter)
      .filter((row) => Number(row.id) > after)
      .slice(0, 2);
  }

  matching({ tag, modifiedSince }: ContactFilter): Row[] {
    return [...this.crm.rows.values()].filter(
      (row) =>
        (tag === undefined || row.tagIds.some((id) => this.crm.tags.get(id) === tag)) &&
        (modifiedSince === undefined || row.modified >= modifiedSince.getTime()),
    );
  }

  contact(row: Row, asked: readonly string[] = FIELDS): Contact {
    const known = asked.filter((field) => FIELDS.includes(field));
    return {
      id: row.id,
      email: row.email,
      tags: this.tags(row),
      modifiedAt: new Date(row.modified),
      fields: Object.fromEntries(known.map((field) => [field, this.value(row, field)])),
      raw: Object.fromEntries(known.map((field) => [field, row.values[field] ?? null])),
    };
  }

  tags(row: Row): Tag[] {
    return row.tagIds.map((id) => ({ id, name: this.crm.tags.get(id) ?? '' }));
  }

  value(row: Row, field: string): FieldValue {
    const value = row.values[field] ?? '';
    return value === '' ? null : value;
  }
}

export const crmSceneOf = (ClientUnderTest: new (crm: Crm) => CrmClient, crm = new Crm()): CrmScene => ({
  client: new ClientUnderTest(crm),
  addContact: async (contact) => crm.add(contact),
  removeContact: async (id) => void crm.rows.delete(id),
  missingId: '999999',
  writableField: 'company',
  otherField: 'city',
  stored: async (id, field) => crm.rows.get(id)?.values[field] ?? null,
  fail: async (kind) => void (crm.failing = kind),
  secrets: [TOKEN],
  readCalls: () => crm.reads,
});

/** Clients that are broken in one way each, and what has to catch them. */
export type BrokenClients = Readonly<
  Record<
    string,
    {
      readonly Client: new (crm: Crm) => CrmClient;
      /** The tests that have to fail, and no others … */
      readonly caughtBy: readonly string[];
      /** … unless it breaks what nearly every test needs. */
      readonly elsewhere?: true;
    }
  >
>;
