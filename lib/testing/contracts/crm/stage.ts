// What one test of the client contract stands on: a scene, and ways to read from its client and to look at what came.
import type { Contact, ContactFilter, CrmClient, ReadOptions } from '../../../crm/client';
import { expectSame, expectSuccess, fail, shown } from '../expectations';
import { between, type OnStage } from '../runner';
import type { CrmClientContractOptions, CrmScene, Settings } from './settings';

/** Opens the scene of every test. */
export const stageFor =
  (options: CrmClientContractOptions, settings: Settings): OnStage<Stage> =>
  async (body) => {
    const scene = await options.open();
    await between(
      () => body(new Stage(scene, settings)),
      async () => await scene.close?.(),
    );
  };

export class Stage {
  readonly client: CrmClient;
  /** The field that can be written. */
  readonly field: string;
  readonly #tags: readonly [string, string, ...string[]];

  constructor(
    readonly scene: CrmScene,
    settings: Settings,
  ) {
    this.client = scene.client;
    this.field = scene.writableField;
    this.#tags = settings.tags;
  }

  /** A contact in the CRM; gives its id. */
  add(name: string, given: { tags?: readonly string[]; value?: string } = {}): Promise<string> {
    const { tags = this.#tags.slice(0, 1), value } = given;
    const fields = value === undefined ? {} : { fields: { [this.field]: value } };
    return this.scene.addContact({ email: `${name}@example.com`, tags, ...fields });
  }

  async read(ids: readonly string[], options?: ReadOptions): Promise<ReadonlyMap<string, Contact>> {
    const what = `getContacts(${shown(ids)}${options === undefined ? '' : `, ${shown(options)}`})`;
    const contacts: unknown = await expectSuccess(() => this.client.getContacts(ids, options), what);
    if (isMap(contacts)) return contacts;
    return fail(`${what} has to give a Map of contacts by their ids, and gave ${shown(contacts)}.`, {
      actual: contacts,
    });
  }

  /** One contact, which has to be there. */
  async readOne(id: string, options: ReadOptions = { fields: [this.field] }): Promise<Contact> {
    const contacts = await this.read([id], options);
    return this.oneOf(contacts, id);
  }

  oneOf(contacts: ReadonlyMap<string, Contact>, id: string): Contact {
    const contact: unknown = contacts.get(id);
    if (typeof contact !== 'object' || contact === null) {
      return fail(
        `The map that getContacts gives has to hold the contact under the id that was asked for, as text: ${shown(id)}. Its ` +
          `keys are ${shown([...contacts.keys()])}.`,
        { actual: contact },
      );
    }
    return contact as Contact;
  }

  /** The value of the field that can be written, as the client reads it. */
  async value(id: string): Promise<unknown> {
    return own(await this.readOne(id), this.field);
  }

  write(id: string, value: string): Promise<void> {
    return this.writeFields(id, { [this.field]: value });
  }

  writeFields(id: string, fields: Readonly<Record<string, string>>): Promise<void> {
    const what = `updateContact(id, ${shown(fields)})`;
    return expectSuccess(() => this.client.updateContact(id, fields), what);
  }

  /** The contacts that listContacts gives. */
  walk(filter: ContactFilter, options?: ReadOptions): AsyncIterable<Contact> {
    const { client } = this;
    if (client.listContacts === undefined) {
      return fail(
        'The client has no listContacts, which is optional: say capabilities: { listContacts: false }.',
      );
    }
    return client.listContacts(filter, options);
  }

  /** What the CRM itself holds in the field. */
  async expectStored(id: string, expected: string | null, why: string): Promise<void> {
    const stored = await this.scene.stored(id, this.field);
    expectSame(stored, expected, `${why} What the CRM itself holds is another value than it has to be.`);
  }
}

/** By what it can do: a map of another realm is no instance of this one's `Map`. */
const isMap = (value: unknown): value is ReadonlyMap<string, Contact> =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as { get?: unknown }).get === 'function' &&
  typeof (value as { size?: unknown }).size === 'number' &&
  typeof (value as { keys?: unknown }).keys === 'function';

/** A field's value, where the contact itself has it and no prototype. */
export function own(contact: Contact, field: string): unknown {
  const fields: unknown = contact.fields;
  if (typeof fields !== 'object' || fields === null) {
    return fail(`The fields of a contact have to be an object, and are ${shown(fields)}.`, {
      actual: fields,
    });
  }
  return Object.hasOwn(fields, field) ? contact.fields[field] : undefined;
}

/** When a contact was changed, where the client says so. */
export function modifiedAt(contact: Contact): Date | null {
  const given: unknown = contact.modifiedAt;
  // A date of another realm is no instance of this one's `Date`.
  const isDate = Object.prototype.toString.call(given) === '[object Date]';
  if (given === null || (isDate && !Number.isNaN((given as Date).getTime()))) return contact.modifiedAt;
  return fail(`modifiedAt is a valid Date, or null where the CRM says nothing, and was ${shown(given)}.`, {
    actual: given,
  });
}
