// CRM clients that write something else than what they were given.
import { setImmediate as turn } from 'node:timers/promises';
import { WpFusionError } from '../../../../lib';
import { type BrokenClients, Client, type Row } from '../crm';

export const writing: BrokenClients = {
  'values trimmed of what they have in HTML': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        const escaped = Object.entries(fields).map(([key, value]) => [key, value.replaceAll('&', '&amp;')]);
        return super.write(id, Object.fromEntries(escaped) as Record<string, string>);
      }
    },
    caughtBy: ['updateContact › writes characters with a meaning in HTML, URLs and JSON, readable at once'],
  },
  'values as a form that nobody encoded': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        const text = Object.entries(fields).map(([key, value]) => `${key}=${value}`);
        return super.write(id, Object.fromEntries(new URLSearchParams(text.join('&'))));
      }
    },
    caughtBy: ['updateContact › writes characters with a meaning in HTML, URLs and JSON, readable at once'],
  },
  'values in Latin letters only': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        const latin = Object.entries(fields).map(([key, value]) => [
          key,
          Buffer.from(value, 'latin1').toString('latin1'),
        ]);
        return super.write(id, Object.fromEntries(latin) as Record<string, string>);
      }
    },
    caughtBy: ['updateContact › writes letters of other scripts, readable at once'],
  },
  'numbers out of text that looks like them': {
    Client: class extends Client {
      override value(row: Row, field: string) {
        const value = super.value(row, field);
        return typeof value === 'string' && /^\d/.test(value) && !Number.isNaN(Number(value))
          ? Number(value)
          : value;
      }
    },
    caughtBy: ['updateContact › writes text that looks like something else, readable at once'],
  },
  'empty text left out': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        return super.write(
          id,
          Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '')),
        );
      }
    },
    caughtBy: ['updateContact › empties a field with empty text'],
  },
  'values that appear later': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        void turn().then(() => turn().then(() => super.write(id, fields)));
        return this.crm.rows.has(id);
      }
    },
    caughtBy: [
      'getContacts, as it is now › a read after a write sees what was written',
      'updateContact › writes letters and digits, readable at once',
    ],
    elsewhere: true,
  },
  'fields that are not given emptied': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        const row = this.crm.rows.get(id);
        if (row !== undefined) for (const field of Object.keys(row.values)) row.values[field] = '';
        return super.write(id, fields);
      }
    },
    caughtBy: ['updateContact › leaves tags, email, other fields and other contacts alone'],
  },
  'tags taken away by a write': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        const row = this.crm.rows.get(id);
        if (row !== undefined) row.tagIds = [];
        return super.write(id, fields);
      }
    },
    caughtBy: [
      'updateContact › leaves tags, email, other fields and other contacts alone',
      'updateContact › does no harm when it writes the same twice',
    ],
  },
  'a write to all contacts': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        for (const other of this.crm.rows.keys()) super.write(other, fields);
        return this.crm.rows.has(id);
      }
    },
    caughtBy: [
      'updateContact › leaves tags, email, other fields and other contacts alone',
      'updateContact › writes to several contacts at the same time, to each its own',
      'updateContact › throws CONTACT_NOT_FOUND for an id that the CRM does not know',
    ],
  },
  'the first field only': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        return super.write(id, Object.fromEntries(Object.entries(fields).slice(0, 1)));
      }
    },
    caughtBy: ['updateContact › writes several fields in one call'],
  },
  'an error where nothing changes': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        const row = this.crm.rows.get(id);
        if (row !== undefined && Object.entries(fields).every(([key, value]) => row.values[key] === value))
          return false;
        return super.write(id, fields);
      }
    },
    caughtBy: ['updateContact › does no harm when it writes the same twice'],
  },
  'one write at a time for all': {
    Client: class extends Client {
      #id = '';
      override async updateContact(id: string, fields: Readonly<Record<string, string>>, options = {}) {
        this.#id = id;
        await turn();
        return super.updateContact(this.#id, fields, options);
      }
    },
    caughtBy: ['updateContact › writes to several contacts at the same time, to each its own'],
  },
  'the object it was given changed': {
    Client: class extends Client {
      override updateContact(id: string, fields: Readonly<Record<string, string>>, options = {}) {
        return super.updateContact(id, Object.assign(fields, { city: 'x' }), options);
      }
    },
    caughtBy: [
      'updateContact › leaves tags, email, other fields and other contacts alone',
      'updateContact › writes several fields in one call',
      'updateContact › changes nothing it is given',
    ],
  },
  'silence about an unknown contact': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        super.write(id, fields);
        return true;
      }
    },
    caughtBy: [
      'updateContact › throws CONTACT_NOT_FOUND for an id that the CRM does not know',
      'updateContact › throws CONTACT_NOT_FOUND for a contact that was removed',
      'failures › no error holds the credentials: an unknown contact, a call given up',
    ],
  },
  'an unknown contact made by a write': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        const row = { id, email: null, tagIds: [], modified: 0, values: {} };
        if (!this.crm.rows.has(id)) this.crm.rows.set(id, row);
        return super.write(id, fields);
      }
    },
    caughtBy: [
      'updateContact › throws CONTACT_NOT_FOUND for an id that the CRM does not know',
      'updateContact › throws CONTACT_NOT_FOUND for a contact that was removed',
      'failures › no error holds the credentials: an unknown contact, a call given up',
    ],
  },
  'CRM_BAD_RESPONSE for an unknown contact': {
    Client: class extends Client {
      override write(id: string, fields: Readonly<Record<string, string>>) {
        if (!super.write(id, fields)) throw new WpFusionError('CRM_BAD_RESPONSE', '404');
        return true;
      }
    },
    caughtBy: [
      'updateContact › throws CONTACT_NOT_FOUND for an id that the CRM does not know',
      'updateContact › throws CONTACT_NOT_FOUND for a contact that was removed',
    ],
  },
  'a signal that writes ignore': {
    Client: class extends Client {
      override updateContact(id: string, fields: Readonly<Record<string, string>>) {
        return super.updateContact(id, fields);
      }
    },
    caughtBy: [
      'updateContact › rejects where the signal is aborted already, and writes nothing',
      'updateContact › rejects when the signal is aborted',
    ],
  },
  'a signal that is looked at after writing': {
    Client: class extends Client {
      override async updateContact(
        id: string,
        fields: Readonly<Record<string, string>>,
        options: { signal?: AbortSignal } = {},
      ) {
        await super.updateContact(id, fields);
        options.signal?.throwIfAborted();
      }
    },
    caughtBy: ['updateContact › rejects where the signal is aborted already, and writes nothing'],
  },
};
