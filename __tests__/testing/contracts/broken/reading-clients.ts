// CRM clients that read something else than what is there now.
import { setImmediate as turn } from 'node:timers/promises';
import { WpFusionError, type Contact, type ReadOptions } from '../../../../lib';
import { type BrokenClients, Client, type Row } from '../crm';

export const reading: BrokenClients = {
  // Ids and maps
  'a pattern with the flag g': {
    Client: class extends Client {
      override contactIdPattern = /^[1-9]\d{0,9}$/g;
    },
    caughtBy: ['ids › match contactIdPattern, each time it is asked'],
  },
  'a pattern that is not anchored': {
    Client: class extends Client {
      override contactIdPattern = /\d+/;
    },
    caughtBy: ['ids › that a URL could misread do not match contactIdPattern'],
  },
  'a pattern that is anchored at one end': {
    Client: class extends Client {
      override contactIdPattern = /^\d+/;
    },
    caughtBy: ['ids › that a URL could misread do not match contactIdPattern'],
  },
  'a pattern that is too narrow': {
    Client: class extends Client {
      override contactIdPattern = /^[A-Z]{3}$/;
    },
    caughtBy: ['ids › match contactIdPattern, each time it is asked'],
  },
  'a maxBatchSize of 0': {
    Client: class extends Client {
      override maxBatchSize = 0;
    },
    caughtBy: ['ids › maxBatchSize is a whole number from 1 on, or absent'],
  },
  'a map by numbers': {
    Client: class extends Client {
      override async getContacts(ids: readonly string[], options?: ReadOptions) {
        const contacts = await super.getContacts(ids, options);
        return new Map([...contacts].map(([id, contact]) => [Number(id) as unknown as string, contact]));
      }
    },
    caughtBy: ['getContacts › gives a contact by its id, with its email'],
    elsewhere: true,
  },
  'ids that are numbers': {
    Client: class extends Client {
      override contact(row: Row, asked?: readonly string[]) {
        return { ...super.contact(row, asked), id: Number(row.id) as unknown as string };
      }
    },
    caughtBy: [
      'getContacts › gives a contact by its id, with its email',
      'getContacts › gives maxBatchSize contacts at once, each with what is its own',
      'listContacts › walks every contact once, over several pages',
      'listContacts › gives whole contacts, with the fields that are asked for',
      'listContacts › by tag: only those that have it',
      'listContacts › modifiedSince: from that moment on, the moment included',
      'listContacts › tag and modifiedSince: both',
      'listContacts › visits each contact once also while they change',
    ],
  },
  'a list instead of a map': {
    Client: class extends Client {
      override async getContacts(ids: readonly string[], options?: ReadOptions) {
        const contacts = await super.getContacts(ids, options);
        return [...contacts.values()] as unknown as ReadonlyMap<string, Contact>;
      }
    },
    caughtBy: ['getContacts › gives a contact by its id, with its email'],
    elsewhere: true,
  },
  'null for unknown ids': {
    Client: class extends Client {
      override async getContacts(ids: readonly string[], options?: ReadOptions) {
        const contacts = await super.getContacts(ids, options);
        return new Map(ids.map((id) => [id, contacts.get(id) ?? (null as unknown as Contact)]));
      }
    },
    caughtBy: [
      'getContacts › leaves out ids that the CRM does not know, and that is no error',
      'getContacts › leaves out a contact that was removed',
      'getContacts, as it is now › reads at the same time give each caller what it asked for',
      'updateContact › throws CONTACT_NOT_FOUND for an id that the CRM does not know',
    ],
  },
  'an error for unknown ids': {
    Client: class extends Client {
      override rowsOf(ids: readonly string[]) {
        const rows = super.rowsOf(ids);
        if (ids.some((id) => !rows.some((row) => row.id === id)))
          throw new WpFusionError('CONTACT_NOT_FOUND', 'no');
        return rows;
      }
    },
    caughtBy: [
      'getContacts › leaves out ids that the CRM does not know, and that is no error',
      'getContacts › leaves out a contact that was removed',
      'getContacts, as it is now › reads at the same time give each caller what it asked for',
      'updateContact › throws CONTACT_NOT_FOUND for an id that the CRM does not know',
    ],
  },
  'one unknown id makes all unknown': {
    Client: class extends Client {
      override rowsOf(ids: readonly string[]) {
        const rows = super.rowsOf(ids);
        return ids.every((id) => rows.some((row) => row.id === id)) ? rows : [];
      }
    },
    caughtBy: ['getContacts › leaves out ids that the CRM does not know, and that is no error'],
  },
  'all contacts where no ids are asked for': {
    Client: class extends Client {
      override rowsOf(ids: readonly string[]) {
        return ids.length === 0 ? [...this.crm.rows.values()] : super.rowsOf(ids);
      }
    },
    caughtBy: ['getContacts › gives an empty map where no ids are asked for'],
  },
  'contacts that nobody asked for': {
    Client: class extends Client {
      override rowsOf(ids: readonly string[]) {
        return ids.length === 0 ? [] : [...this.crm.rows.values()];
      }
    },
    caughtBy: [
      'getContacts › gives a contact by its id, with its email',
      'getContacts, as it is now › reads at the same time give each caller what it asked for',
      'updateContact › throws CONTACT_NOT_FOUND for an id that the CRM does not know',
    ],
  },
  'contacts by their place in the answer': {
    Client: class extends Client {
      override async getContacts(ids: readonly string[], options?: ReadOptions) {
        const contacts = [...(await super.getContacts(ids, options)).values()];
        return new Map(contacts.map((contact, index) => [ids[index]!, contact]));
      }
    },
    caughtBy: [
      'getContacts › leaves out ids that the CRM does not know, and that is no error',
      'getContacts › gives maxBatchSize contacts at once, each with what is its own',
    ],
  },
  'a page smaller than maxBatchSize': {
    Client: class extends Client {
      override rowsOf(ids: readonly string[]) {
        return super.rowsOf(ids).slice(0, 3);
      }
    },
    caughtBy: ['getContacts › gives maxBatchSize contacts at once, each with what is its own'],
  },
  'a call for every contact': {
    Client: class extends Client {
      override async getContacts(ids: readonly string[], options?: ReadOptions) {
        const all = await Promise.all(ids.map((id) => super.getContacts([id], options)));
        return new Map(all.flatMap((contacts) => [...contacts]));
      }
    },
    caughtBy: ['getContacts › gives maxBatchSize contacts at once, each with what is its own'],
  },
  'an error for an id that is given twice': {
    Client: class extends Client {
      override rowsOf(ids: readonly string[]) {
        if (new Set(ids).size < ids.length) throw new WpFusionError('CRM_BAD_RESPONSE', 'duplicate ids');
        return super.rowsOf(ids);
      }
    },
    caughtBy: ['getContacts › gives a contact once that is asked for twice'],
  },
  // What is in a contact
  'empty text for no email': {
    Client: class extends Client {
      override contact(row: Row, asked?: readonly string[]) {
        return { ...super.contact(row, asked), email: row.email ?? '' };
      }
    },
    caughtBy: ['getContacts › gives null as the email of a contact without one'],
  },
  'no email unless it is asked for': {
    Client: class extends Client {
      override contact(row: Row, asked?: readonly string[]) {
        const email = asked === undefined || asked.includes('email') ? row.email : null;
        return { ...super.contact(row, asked), email };
      }
    },
    caughtBy: [
      'getContacts › gives tags whatever fields are asked for',
      'listContacts › gives whole contacts, with the fields that are asked for',
    ],
  },
  'names instead of tags': {
    Client: class extends Client {
      override tags(row: Row) {
        return super.tags(row).map(({ name }) => name) as never;
      }
    },
    caughtBy: [
      'getContacts › gives the tags, each with its id and its name',
      'getContacts › gives tags with commas, quotes and other letters',
      'getContacts › gives tags whatever fields are asked for',
    ],
  },
  'ids of tags that are numbers': {
    Client: class extends Client {
      override tags(row: Row) {
        return super.tags(row).map(({ id, name }) => ({ id: Number(id), name })) as never;
      }
    },
    caughtBy: [
      'getContacts › gives the tags, each with its id and its name',
      'getContacts › gives tags with commas, quotes and other letters',
      'getContacts › gives tags whatever fields are asked for',
    ],
  },
  'tags split at commas': {
    Client: class extends Client {
      override tags(row: Row) {
        const names = super
          .tags(row)
          .map(({ name }) => name)
          .join(',')
          .split(',');
        return names.filter((name) => name !== '').map((name) => ({ id: this.crm.tagId(name), name }));
      }
    },
    caughtBy: [
      'getContacts › gives the tags, each with its id and its name',
      'getContacts › gives tags with commas, quotes and other letters',
    ],
  },
  'names of tags in ASCII': {
    Client: class extends Client {
      override tags(row: Row) {
        return super.tags(row).map(({ id, name }) => ({ id, name: name.replace(/[^\x20-\x7e]/g, '') }));
      }
    },
    caughtBy: ['getContacts › gives tags with commas, quotes and other letters'],
  },
  'tags counted for each contact': {
    Client: class extends Client {
      override tags(row: Row) {
        return super.tags(row).map(({ name }, index) => ({ id: `${row.id}-${index}`, name }));
      }
    },
    caughtBy: ['getContacts › gives the tags, each with its id and its name'],
  },
  'the first tag only': {
    Client: class extends Client {
      override tags(row: Row) {
        return super.tags(row).slice(0, 1);
      }
    },
    caughtBy: [
      'getContacts › gives the tags, each with its id and its name',
      'getContacts › gives tags with commas, quotes and other letters',
    ],
  },
  'null for no tags': {
    Client: class extends Client {
      override tags(row: Row) {
        const tags = super.tags(row);
        return tags.length === 0 ? (null as never) : tags;
      }
    },
    caughtBy: ['getContacts › gives no tags as an empty list'],
  },
  'one empty tag for no tags': {
    Client: class extends Client {
      override tags(row: Row) {
        const tags = super.tags(row);
        return tags.length === 0 ? [{ id: '', name: '' }] : tags;
      }
    },
    caughtBy: ['getContacts › gives no tags as an empty list'],
  },
  'no tags where fields are asked for': {
    Client: class extends Client {
      override contact(row: Row, asked?: readonly string[]) {
        const contact = super.contact(row, asked);
        return asked === undefined ? contact : { ...contact, tags: [] };
      }
    },
    caughtBy: [
      'getContacts › gives the tags, each with its id and its name',
      'getContacts › gives tags with commas, quotes and other letters',
      'getContacts › gives tags whatever fields are asked for',
      'getContacts › gives copies, and changes nothing it is given',
      'updateContact › does no harm when it writes the same twice',
      'listContacts › gives whole contacts, with the fields that are asked for',
    ],
  },
  'empty text for a field that is not set': {
    Client: class extends Client {
      override value(row: Row, field: string) {
        return row.values[field] ?? '';
      }
    },
    caughtBy: ['getContacts › gives null for a field that is not set'],
  },
  'fields that are not set left out': {
    Client: class extends Client {
      override contact(row: Row, asked?: readonly string[]) {
        const contact = super.contact(row, asked);
        const set = Object.entries(contact.fields).filter(([, value]) => value !== null);
        return { ...contact, fields: Object.fromEntries(set) };
      }
    },
    caughtBy: [
      'getContacts › gives null for a field that is not set',
      'updateContact › empties a field with empty text',
    ],
  },
  'fields that are asked for ignored': {
    Client: class extends Client {
      override contact(row: Row) {
        return super.contact(row, ['city']);
      }
    },
    caughtBy: ['getContacts › gives the fields that are asked for'],
    elsewhere: true,
  },
  'fields by the names of people': {
    Client: class extends Client {
      override contact(row: Row, asked?: readonly string[]) {
        const contact = super.contact(row, asked);
        const named = Object.entries(contact.fields).map(([key, value]) => [key.toUpperCase(), value]);
        return { ...contact, fields: Object.fromEntries(named) };
      }
    },
    caughtBy: ['getContacts › gives the fields that are asked for'],
    elsewhere: true,
  },
  'an error for an unknown field': {
    Client: class extends Client {
      override contact(row: Row, asked: readonly string[] = []) {
        if (asked.includes('no_such_field')) throw new WpFusionError('CRM_BAD_RESPONSE', 'no such field');
        return super.contact(row, asked);
      }
    },
    caughtBy: ['getContacts › leaves out a field that the CRM does not know, and that is no error'],
  },
  'what objects have of their own for a field': {
    Client: class extends Client {
      override contact(row: Row, asked: readonly string[] = ['company']) {
        const values: Record<string, string | undefined> = row.values;
        const fields = Object.fromEntries(asked.map((field) => [field, values[field] ?? null]));
        return { ...super.contact(row, asked), fields };
      }
    },
    caughtBy: ['getContacts › gives nothing that objects have of their own for a field'],
  },
  'fields as a map': {
    Client: class extends Client {
      override contact(row: Row, asked?: readonly string[]) {
        const contact = super.contact(row, asked);
        return { ...contact, fields: Object.assign(new Map(), contact.fields) as never };
      }
    },
    caughtBy: ['getContacts › gives nothing that objects have of their own for a field'],
  },
  'no fields': {
    Client: class extends Client {
      override contact(row: Row, asked?: readonly string[]) {
        return { ...super.contact(row, asked), fields: undefined as never };
      }
    },
    caughtBy: ['getContacts › gives the fields that are asked for'],
    elsewhere: true,
  },
  'modifiedAt as text': {
    Client: class extends Client {
      override contact(row: Row, asked?: readonly string[]) {
        return { ...super.contact(row, asked), modifiedAt: String(row.modified) as never };
      }
    },
    caughtBy: [
      'getContacts › gives a valid date or null as modifiedAt',
      'listContacts › modifiedSince: from that moment on, the moment included',
      'listContacts › tag and modifiedSince: both',
    ],
  },
  'modifiedAt that is no date': {
    Client: class extends Client {
      override contact(row: Row, asked?: readonly string[]) {
        return { ...super.contact(row, asked), modifiedAt: new Date(`${row.modified} seconds`) };
      }
    },
    caughtBy: [
      'getContacts › gives a valid date or null as modifiedAt',
      'listContacts › modifiedSince: from that moment on, the moment included',
      'listContacts › tag and modifiedSince: both',
    ],
  },
  'decoded values in raw': {
    Client: class extends Client {
      override contact(row: Row, asked?: readonly string[]) {
        return { ...super.contact(row, asked), raw: { company: Number(row.values.company) as never } };
      }
    },
    caughtBy: ['getContacts › gives in raw, where it gives that, what the CRM stores'],
  },
  'objects that callers share': {
    Client: class extends Client {
      readonly #contacts = new Map<string, Contact>();
      override contact(row: Row, asked?: readonly string[]) {
        const key = JSON.stringify([row, asked]);
        const contact = this.#contacts.get(key) ?? super.contact(row, asked);
        this.#contacts.set(key, contact);
        return contact;
      }
    },
    caughtBy: ['getContacts › gives copies, and changes nothing it is given'],
  },
  'the list of fields changed': {
    Client: class extends Client {
      override getContacts(ids: readonly string[], options: ReadOptions = {}) {
        (options.fields as string[] | undefined)?.unshift('email');
        return super.getContacts(ids, options);
      }
    },
    caughtBy: ['getContacts › gives copies, and changes nothing it is given'],
  },
  // As it is now
  'a cache': {
    Client: class extends Client {
      readonly #cache = new Map<string, ReadonlyMap<string, Contact>>();
      override async getContacts(ids: readonly string[], options: ReadOptions = {}) {
        options.signal?.throwIfAborted();
        const key = JSON.stringify([ids, options.fields]);
        const contacts = this.#cache.get(key) ?? (await super.getContacts(ids, options));
        this.#cache.set(key, contacts);
        return structuredClone(contacts);
      }
    },
    caughtBy: [
      'getContacts › leaves out a contact that was removed',
      'getContacts, as it is now › a read after a write sees what was written',
      'getContacts, as it is now › a read that begins after a write sees it, also while an older read is under way',
      'updateContact › writes letters and digits, readable at once',
      'updateContact › writes characters with a meaning in HTML, URLs and JSON, readable at once',
      'updateContact › writes letters of other scripts, readable at once',
      'updateContact › writes text that looks like something else, readable at once',
    ],
  },
  'a cache that writes clear': {
    Client: class extends Client {
      readonly #cache = new Map<string, ReadonlyMap<string, Contact>>();
      override async getContacts(ids: readonly string[], options: ReadOptions = {}) {
        options.signal?.throwIfAborted();
        const key = JSON.stringify([ids, options.fields]);
        const contacts = this.#cache.get(key) ?? (await super.getContacts(ids, options));
        this.#cache.set(key, contacts);
        return structuredClone(contacts);
      }
      override write(id: string, fields: Readonly<Record<string, string>>) {
        this.#cache.clear();
        return super.write(id, fields);
      }
    },
    caughtBy: ['getContacts › leaves out a contact that was removed'],
  },
  'reads that join one under way': {
    Client: class extends Client {
      readonly #underWay = new Map<string, Promise<ReadonlyMap<string, Contact>>>();
      override async getContacts(ids: readonly string[], options: ReadOptions = {}) {
        options.signal?.throwIfAborted();
        const key = JSON.stringify([ids, options.fields]);
        const read = this.#underWay.get(key) ?? this.#slowly(ids, options);
        this.#underWay.set(key, read);
        const contacts = await read.finally(() => this.#underWay.delete(key));
        options.signal?.throwIfAborted();
        return structuredClone(contacts);
      }
      async #slowly(ids: readonly string[], { fields }: ReadOptions) {
        const contacts = await super.getContacts(ids, { fields });
        for (let count = 0; count < 10; count += 1) await turn();
        return contacts;
      }
    },
    caughtBy: [
      'getContacts, as it is now › a read that begins after a write sees it, also while an older read is under way',
    ],
  },
  'reads that mix up their callers': {
    Client: class extends Client {
      #last: readonly string[] = [];
      override async getContacts(ids: readonly string[], options?: ReadOptions) {
        this.#last = ids;
        await turn();
        return super.getContacts(this.#last, options);
      }
    },
    caughtBy: ['getContacts, as it is now › reads at the same time give each caller what it asked for'],
  },
  'a search by email that finds everybody': {
    Client: class extends Client {
      findContactIds = async () => [...this.crm.rows.keys()];
    },
    caughtBy: [
      'findContactIds, where there is one › finds the contacts with an email, whatever its case, and nobody else',
    ],
  },
  'a signal that reads ignore': {
    Client: class extends Client {
      override getContacts(ids: readonly string[], options: ReadOptions = {}) {
        return super.getContacts(ids, { ...options, signal: undefined });
      }
    },
    caughtBy: [
      'getContacts, given up › rejects where the signal is aborted already',
      'getContacts, given up › rejects when the signal is aborted',
      'failures › no error holds the credentials: an unknown contact, a call given up',
    ],
  },
  'a signal that is looked at once': {
    Client: class extends Client {
      override getContacts(ids: readonly string[], options: ReadOptions = {}) {
        if (options.signal?.aborted === true) return Promise.reject(new Error('aborted'));
        return super.getContacts(ids, { ...options, signal: undefined });
      }
    },
    caughtBy: [
      'getContacts, given up › rejects when the signal is aborted',
      'failures › no error holds the credentials: an unknown contact, a call given up',
    ],
  },
  'one caller’s signal for all': {
    Client: class extends Client {
      #signal: AbortSignal | undefined;
      override async getContacts(ids: readonly string[], options: ReadOptions = {}) {
        this.#signal = options.signal ?? (this.#signal?.aborted === true ? undefined : this.#signal);
        return super.getContacts(ids, { ...options, signal: this.#signal });
      }
    },
    caughtBy: ['getContacts, given up › takes nobody else’s read with it'],
  },
};
