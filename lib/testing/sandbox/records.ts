// What a sandbox's account holds: fields, tags, contacts and webhook subscriptions, and what happens when they change.
import { randomBytes } from 'node:crypto';
import { ConfigurationError } from '../../errors';
import { completeField, STANDARD_FIELDS } from './fields';
import type { SandboxField, SandboxFieldOptions } from './fields';

/** A record as Ontraport stores it: every value a string, or `null`. `contact(id)` of {@link OntraportSandbox} gives one. */
export type StoredRecord = Record<string, string | null>;

/**
 * A value that a contact of the sandbox can be given; stored as text. `addContact` of {@link OntraportSandbox} takes them.
 */
export type SandboxValue = string | number | boolean | null;

/**
 * A contact to add. Values stand in the form the account stores: the id of an option, `*\/*1*\/*2*\/*`, epoch seconds.
 * {@link OntraportSandbox} and {@link SandboxFieldOptions} show one.
 */
export interface SandboxContactOptions {
  /** The id. Absent: the next free one. */
  readonly id?: string | number;
  /** Names of tags; one that does not exist is created. */
  readonly tags?: readonly string[];
  /** Milliseconds until the API shows the contact; `Infinity`: not before `reveal(id)`. */
  readonly readableAfter?: number;
  readonly [field: string]: SandboxValue | readonly string[] | undefined;
}

/** A change of the account that rules and subscriptions react to. */
export type RecordEvent = { readonly contactId: string } & (
  | { readonly type: 'create' }
  | { readonly type: 'change'; readonly fields: readonly string[] }
  | { readonly type: 'tag' | 'untag'; readonly tagId: string }
  | { readonly type: 'form'; readonly formId: string }
);

interface Contact {
  readonly values: StoredRecord;
  readableAt: number;
}

/** What the parts of the store depend on. */
interface RecordsOptions {
  readonly now: () => number;
  readonly taggingMovesDateModified: boolean;
  readonly onEvent: (event: RecordEvent) => void;
}

/** Fields of a record that only the account itself writes. */
const SYSTEM_KEYS: ReadonlySet<string> = new Set(['id', 'unique_id', 'date', 'dla', 'dlm']);

/** Without a prototype, no key that a request brings can reach one. */
const emptyRecord = (): StoredRecord => Object.create(null) as StoredRecord;

/** `*\/*12*\/*15*\/*` as ids; `""`, `*\/*` and `*\/**\/*` are no ids. */
export const splitList = (value: string | null | undefined): string[] =>
  (value ?? '').split('*/*').filter((part) => part !== '');

/** Ids as `*\/*12*\/*15*\/*`. */
const joinList = (ids: readonly string[]): string => (ids.length === 0 ? '' : `*/*${ids.join('*/*')}*/*`);

/** A value as the account stores it. */
export const storedValue = (value: SandboxValue): string | null => {
  if (value === null) return null;
  return typeof value === 'boolean' ? (value ? '1' : '0') : String(value);
};

const sameText = (one: string | null | undefined, other: string): boolean =>
  (one ?? '').trim().toLowerCase() === other.trim().toLowerCase();

/** The account behind a sandbox. */
export class Records {
  readonly fields = new Map<string, SandboxField>();
  /** `tag_id`, `tag_name`, `object_type_id`, by id. */
  readonly tags = new Map<string, StoredRecord>();
  readonly webhooks = new Map<string, StoredRecord>();
  readonly #contacts = new Map<string, Contact>();
  #lastContact = 0;
  #lastTag = 0;
  #lastWebhook = 0;
  #lastField = 1556;

  constructor(private readonly options: RecordsOptions) {
    for (const field of STANDARD_FIELDS) this.addField(field);
  }

  addField(field: SandboxFieldOptions): string {
    let key = field.key;
    while (key === undefined || (field.key === undefined && this.fields.has(key)))
      key = `f${++this.#lastField}`;
    this.fields.set(key, completeField({ ...field, key }));
    return key;
  }

  addTag(
    name: string,
    { id, objectTypeId = 0 }: { id?: string | number; objectTypeId?: number } = {},
  ): string {
    const existing = id === undefined ? this.tagId(name, objectTypeId) : undefined;
    if (existing !== undefined) return existing;
    const tagId = String(id ?? this.#lastTag + 1);
    this.#lastTag = Math.max(this.#lastTag, Number(tagId));
    const row = Object.assign(emptyRecord(), {
      tag_id: tagId,
      tag_name: name,
      object_type_id: String(objectTypeId),
    });
    this.tags.set(tagId, row);
    return tagId;
  }

  /** The id of the tag with this name, for contacts unless said otherwise. */
  tagId(name: string, objectTypeId = 0): string | undefined {
    for (const [id, tag] of this.tags) {
      if (tag.tag_name === name && tag.object_type_id === String(objectTypeId)) return id;
    }
    return undefined;
  }

  addContact({ id, tags = [], readableAfter = 0, ...fields }: SandboxContactOptions): string {
    const contactId = String(id ?? this.#lastContact + 1);
    if (this.#contacts.has(contactId)) {
      throw new ConfigurationError('id', `the sandbox has a contact ${contactId} already.`);
    }
    const seconds = this.#seconds();
    const values = Object.assign(emptyRecord(), {
      id: contactId,
      owner: '1',
      date: seconds,
      dla: seconds,
      dlm: seconds,
      unique_id: randomBytes(6).toString('hex').toUpperCase(),
    });
    this.#assign(values, fields as Record<string, SandboxValue | undefined>);
    // Readable at once means always: the clock of a test may be turned back.
    const readableAt = readableAfter > 0 ? this.options.now() + readableAfter : -Infinity;
    this.#contacts.set(contactId, { values, readableAt });
    this.#lastContact = Math.max(this.#lastContact, Number(contactId) || 0);
    const tagIds = tags.map((name) => this.addTag(name));
    if (tagIds.length > 0) values.contact_cat = joinList([...new Set(tagIds)]);
    this.options.onEvent({ type: 'create', contactId });
    for (const tagId of tagIds) this.options.onEvent({ type: 'tag', contactId, tagId });
    return contactId;
  }

  /** Writes fields, system ones too, and moves `dlm`. Says whether there is such a contact. */
  update(contactId: string, fields: Readonly<Record<string, SandboxValue | undefined>>): boolean {
    const contact = this.#contacts.get(contactId);
    if (contact === undefined) return false;
    const before = this.#complete(contact.values);
    this.#assign(contact.values, fields);
    if (fields.dlm === undefined) this.#touch(contact.values);
    const after = this.#complete(contact.values);
    const changed = Object.keys(fields).filter((key) => before[key] !== after[key]);
    if (changed.length > 0) this.options.onEvent({ type: 'change', contactId, fields: changed });
    return true;
  }

  delete(contactId: string): boolean {
    return this.#contacts.delete(contactId);
  }

  /** Adds or removes tags by id; those that change nothing fire nothing. */
  tag(contactId: string, type: 'tag' | 'untag', tagIds: readonly string[]): void {
    const contact = this.#contacts.get(contactId);
    if (contact === undefined) return;
    const present = new Set(splitList(contact.values.contact_cat));
    const changed = [...new Set(tagIds)].filter((id) => present.has(id) !== (type === 'tag'));
    if (changed.length === 0) return;
    for (const id of changed)
      if (type === 'tag') present.add(id);
      else present.delete(id);
    contact.values.contact_cat = joinList([...present]);
    if (this.options.taggingMovesDateModified) this.#touch(contact.values);
    for (const tagId of changed) this.options.onEvent({ type, contactId, tagId });
  }

  reveal(contactId: string): void {
    const contact = this.#contacts.get(contactId);
    if (contact !== undefined) contact.readableAt = -Infinity;
  }

  /** A copy of a contact with all its fields, readable through the API or not. */
  contact(contactId: string): StoredRecord | undefined {
    const contact = this.#contacts.get(contactId);
    return contact === undefined ? undefined : this.#complete(contact.values);
  }

  contacts(): StoredRecord[] {
    return [...this.#contacts.values()].map((contact) => this.#complete(contact.values));
  }

  /** The contacts that the API shows by now, by ascending id. */
  readable(): StoredRecord[] {
    const now = this.options.now();
    return [...this.#contacts.values()]
      .filter((contact) => contact.readableAt <= now)
      .map((contact) => this.#complete(contact.values))
      .sort((one, other) => Number(one.id) - Number(other.id));
  }

  isReadable(contactId: string): boolean {
    const contact = this.#contacts.get(contactId);
    return contact !== undefined && contact.readableAt <= this.options.now();
  }

  /** The readable contacts with this email, lowest id first. */
  byEmail(email: string): StoredRecord[] {
    return this.readable().filter((contact) => sameText(contact.email, email));
  }

  /** Whether the API lets a client write this field; unknown and system ones it ignores without a word. */
  isWritable(key: string): boolean {
    const field = this.fields.get(key);
    return field !== undefined && !SYSTEM_KEYS.has(key) && field.type !== 'subscription';
  }

  addWebhook(url: string, event: string, data: string): StoredRecord {
    const id = String(++this.#lastWebhook);
    const row = Object.assign(emptyRecord(), {
      id,
      event,
      data,
      url,
      last_hook: null,
      last_code: null,
      last_payload: null,
    });
    this.webhooks.set(id, row);
    return row;
  }

  /** The text that a merge field or a reader of the account sees: the label of an option instead of its id. */
  label(field: SandboxField, value: string | null | undefined): string {
    if (value === null || value === undefined) return '';
    if (field.type === 'drop') return value === '0' ? '' : (field.options?.[value] ?? value);
    if (field.type !== 'list') return value;
    return splitList(value)
      .map((id) => field.options?.[id] ?? id)
      .join(', ');
  }

  #assign(values: StoredRecord, fields: Readonly<Record<string, SandboxValue | undefined>>): void {
    for (const [key, value] of Object.entries(fields)) {
      if (value === undefined) continue;
      if (!this.fields.has(key) && key !== 'unique_id') {
        throw new ConfigurationError(key, 'the sandbox has no such field; add it first, with addField().');
      }
      values[key] = storedValue(value);
    }
  }

  /** Time has whole seconds and never runs backwards, so two changes within a second share their `dlm`. */
  #touch(values: StoredRecord): void {
    values.dlm = String(Math.max(Number(this.#seconds()), Number(values.dlm)));
  }

  #complete(values: StoredRecord): StoredRecord {
    const complete = emptyRecord();
    Object.assign(complete, { id: values.id, unique_id: values.unique_id });
    for (const [key, field] of this.fields)
      complete[key] = values[key] === undefined ? field.unset : values[key];
    return complete;
  }

  #seconds(): string {
    return String(Math.floor(this.options.now() / 1000));
  }
}
