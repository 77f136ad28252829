// What the core asks of a CRM: the interface that a client implements, and the contact it gives.
import type { WpFusionError } from '../errors';
import type { SharedPlace } from '../exchange';

/**
 * A plain value, as a user's `meta` and a contact's `fields` hold it. {@link CrmClient} and
 * [docs/user-repository.md](../../docs/user-repository.md) show where they stand.
 */
export type MetaValue = string | number | boolean | string[];

/** A contact's value of one field; `null` is an unset one. {@link CrmClient} shows how to read one. */
export type FieldValue = MetaValue | null;

/**
 * A tag of a contact. Where a CRM gives no name for an id, `name` is `''` or `#<id>`. {@link CrmClient} gives them with each
 * contact.
 */
export interface Tag {
  /** The CRM’s id of the tag. */
  id: string;
  /** What people call it. */
  name: string;
}

/** A contact as a {@link CrmClient} has read it. */
export interface Contact {
  /** The CRM's id for the contact. */
  id: string;
  /** The contact's own email, or `null` where it has none. */
  email: string | null;
  /** All tags of the contact, in any order. */
  tags: Tag[];
  /** When the CRM last changed the contact, where it says so. */
  modifiedAt: Date | null;
  /** Values by the CRM's field keys, decoded by field type. Holds at least the fields asked for that the CRM knows. */
  fields: Record<string, FieldValue>;
  /** The same values as the CRM stores them. */
  raw?: Record<string, string | null>;
}

/** What a read takes beside the ids. What {@link CrmClient}`.getContacts` takes. */
export interface ReadOptions {
  /** The CRM's keys of the fields wanted. Absent: whatever the client gives by default. */
  readonly fields?: readonly string[] | undefined;
  /** Aborted when nobody waits for the result any more. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Which contacts {@link CrmClient.listContacts} walks; what is given together has to hold together.
 *
 * @example
 * for await (const contact of crm.listContacts?.({ tag: 'Customer' }) ?? []) console.log(contact.email);
 */
export interface ContactFilter {
  /** The tag's name (or its id, where no tag has that name). */
  readonly tag?: string | undefined;
  /** Only contacts modified at this moment or later. */
  readonly modifiedSince?: Date | undefined;
  /**
   * Goes on behind the contact with this id, in the client's own order. One that cannot may begin at the beginning: contacts that
   * were walked before are found to be up to date.
   */
  readonly afterId?: string | undefined;
}

/**
 * Where all processes of a site find one text: what is left of the calls to one account. Plain data, without any secret. The
 * middleware gives it to {@link CrmClient}`.shareBudget`:
 * [docs/rate-limits.md](../../docs/rate-limits.md#one-budget-for-all-processes).
 */
export type BudgetStore = SharedPlace;

/**
 * A field that the contacts of an account have.
 *
 * @example
 * const fields: readonly CrmField[] = (await crm.describeFields?.()) ?? [];
 * console.log(fields.map(({ key, label, type }) => `${key}: ${label} (${type})`).join('\n'));
 */
export interface CrmField {
  /** By which fields are read and written: what the options `fields` and `returnPassword` name. */
  readonly key: string;
  /** What people call it in the CRM. */
  readonly label: string;
  /**
   * What it can hold. `text`: any text to the letter, as a returned password needs it. `choice`: one of several options, `list`: any
   * number of them. `other`: anything that is none of these, also text of one kind alone, such as emails.
   */
  readonly type: 'text' | 'number' | 'boolean' | 'date' | 'choice' | 'list' | 'other';
}

/** A rate limit, as far as a client knows it. {@link CrmClient}`.budget` gives it. */
export interface CrmBudget {
  /** Calls in a window. */
  readonly limit: number;
  /** How many of them are used up, those of other programs included where the client knows of them. */
  readonly used: number;
  /** How long a window is, in milliseconds. */
  readonly windowMs: number;
}

/**
 * A CRM. `OntraportClient` is built in; write your own for another one ([docs/crm-client.md](../../docs/crm-client.md)).
 *
 * Failures are thrown as {@link WpFusionError} with `CRM_UNAUTHORIZED`, `CRM_RATE_LIMITED`, `CRM_UNAVAILABLE` or
 * `CRM_BAD_RESPONSE`; whatever else is thrown counts as `CRM_UNAVAILABLE`. No error may carry credentials.
 *
 * @example
 * const contacts = await crm.getContacts(['42', '43'], { fields: ['company'] });
 * const company = contacts.get('42')?.fields.company ?? null;
 * await crm.updateContact('42', { company: 'Acme' });
 */
export interface CrmClient {
  /** How many ids one `getContacts` call may have; default 1. The core gathers reads up to this number. */
  readonly maxBatchSize?: number;
  /** What a contact id looks like; default `/^[A-Za-z0-9_-]{1,64}$/`. Other ids are refused before anything is asked. */
  readonly contactIdPattern?: RegExp;
  /**
   * Where this CRM's webhooks carry the contact id, if the CRM rather than its user chooses the name: parameters of the query or
   * the body, nested ones written as a form has them (`contact[id]`, one level). They are looked at after `contact_id`, and before
   * `contactId`, `id` and `data[id]`, which always count; the first that is given counts.
   */
  readonly contactIdParameters?: readonly string[];

  /**
   * Reads contacts as they are *now*: a read never answers from before it was called.
   * Unknown ids are absent from the map; that is not an error.
   */
  getContacts(ids: readonly string[], options?: ReadOptions): Promise<ReadonlyMap<string, Contact>>;

  /**
   * Writes fields of one contact, by the CRM's keys, as the CRM stores them. Writing the same values twice must do no harm.
   * Throws `CONTACT_NOT_FOUND` for an unknown id.
   */
  updateContact(
    id: string,
    fields: Readonly<Record<string, string>>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<void>;

  /**
   * What holds calls up at this moment, if anything does: a used-up rate limit as `CRM_RATE_LIMITED` with `retryAfter`.
   * Optional. It becomes the answer to a webhook whose time runs out while its read waits.
   */
  trouble?(): WpFusionError | undefined;

  /**
   * Paces the calls of all processes together from now on, by what they share in this store. Optional. The middleware calls it
   * once, at its construction, where its queue has a place for it. Calls may never fail because of the store: while it is not to be
   * had the process paces by itself.
   */
  shareBudget?(store: BudgetStore): void;

  /**
   * Makes the next read ask anew for what the client keeps: names of tags, types of fields. Optional, for clients that keep such
   * things; a walk through all contacts begins with it.
   */
  refresh?(): void;

  /** The ids of the contacts with an email, in any order, 50 at most. Optional: people look for a webhook by the email they know. */
  findContactIds?(
    email: string,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<readonly string[]>;

  /** The address of the page on which the CRM shows a contact to its users. Optional. */
  contactUrl?(id: string): string;

  /**
   * The fields of contacts, in any order, also those that every contact has. Optional: whoever looks whether the options name fields
   * that there are. A client may keep them for a while, until {@link CrmClient.refresh}.
   */
  describeFields?(options?: { readonly signal?: AbortSignal | undefined }): Promise<readonly CrmField[]>;

  /** What is known of the rate limit at this moment; `undefined` where nothing is. Optional. */
  budget?(): CrmBudget | undefined;

  /** Walks contacts, each once, also while they change. Optional: imports and reconciling need it. */
  listContacts?(filter: ContactFilter, options?: ReadOptions): AsyncIterable<Contact>;
}
