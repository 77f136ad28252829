// CRM clients whose walks miss contacts, or visit them twice.
import { type ContactFilter, type ReadOptions } from '../../../../lib';
import { type BrokenClients, Client, type Crm } from '../crm';

/** Lists that are read a page at a time, from a list that changes meanwhile. */
class PagesByOffset extends Client {
  override async *listContacts(filter: ContactFilter, options: ReadOptions = {}) {
    for (let offset = 0; ; offset += 2) {
      const page = await this.call(options.signal, () =>
        this.matching(filter)
          .sort((one, other) => one.modified - other.modified)
          .slice(offset, offset + 2),
      );
      if (page.length === 0) return;
      for (const row of page) yield this.contact(row, options.fields);
    }
  }
}

export const walking: BrokenClients = {
  'no listContacts': {
    Client: class {
      readonly #client: Client;
      readonly maxBatchSize = 5;
      readonly contactIdPattern = /^[1-9]\d{0,9}$/;
      constructor(crm: Crm) {
        this.#client = new Client(crm);
      }
      getContacts(...args: Parameters<Client['getContacts']>) {
        return this.#client.getContacts(...args);
      }
      updateContact(...args: Parameters<Client['updateContact']>) {
        return this.#client.updateContact(...args);
      }
    },
    caughtBy: [
      'failures › listContacts throws CRM_UNAUTHORIZED (unauthorized)',
      'failures › listContacts throws CRM_RATE_LIMITED (rateLimited)',
      'failures › listContacts throws CRM_BAD_RESPONSE (badResponse)',
      'listContacts › walks every contact once, over several pages',
      'listContacts › gives whole contacts, with the fields that are asked for',
      'listContacts › by tag: only those that have it',
      'listContacts › modifiedSince: from that moment on, the moment included',
      'listContacts › tag and modifiedSince: both',
      'listContacts › visits each contact once also while they change',
      'listContacts › goes on behind the contact where it was left',
      'listContacts › can be left before its end',
      'listContacts › rejects where the signal is aborted already',
    ],
  },
  'the first page only': {
    Client: class extends Client {
      override page(filter: ContactFilter, after: number) {
        return after === 0 ? super.page(filter, 0) : [];
      }
    },
    caughtBy: [
      'listContacts › walks every contact once, over several pages',
      'listContacts › visits each contact once also while they change',
      'listContacts › goes on behind the contact where it was left',
    ],
  },
  'pages that overlap': {
    Client: class extends Client {
      override page(filter: ContactFilter, after: number) {
        const page = super.page(filter, after);
        const last = this.matching(filter).find((row) => Number(row.id) === after);
        return last === undefined || page.length === 0 ? page : [last, ...page];
      }
    },
    caughtBy: [
      'listContacts › walks every contact once, over several pages',
      'listContacts › visits each contact once also while they change',
    ],
  },
  'pages by offset into a list by time': {
    Client: PagesByOffset,
    caughtBy: ['listContacts › visits each contact once also while they change'],
  },
  'the contacts of a page in another order than that of afterId': {
    Client: class extends Client {
      override async *listContacts(filter: ContactFilter, options: ReadOptions = {}) {
        const after = Number(filter.afterId ?? 0);
        const rows = await this.call(options.signal, () =>
          this.matching(filter).filter((row) => Number(row.id) > after),
        );
        for (const row of rows.reverse()) yield this.contact(row, options.fields);
      }
    },
    caughtBy: ['listContacts › goes on behind the contact where it was left'],
  },
  'the filter by tag ignored': {
    Client: class extends Client {
      override matching({ modifiedSince }: ContactFilter) {
        return super.matching({ modifiedSince });
      }
    },
    caughtBy: [
      'listContacts › by tag: only those that have it',
      'listContacts › tag and modifiedSince: both',
    ],
  },
  'the filter by time ignored': {
    Client: class extends Client {
      override matching({ tag }: ContactFilter) {
        return super.matching({ tag });
      }
    },
    caughtBy: [
      'listContacts › modifiedSince: from that moment on, the moment included',
      'listContacts › tag and modifiedSince: both',
    ],
  },
  'the filter by time ignored where there is a tag': {
    Client: class extends Client {
      override matching({ tag, modifiedSince }: ContactFilter) {
        return super.matching(tag === undefined ? { modifiedSince } : { tag });
      }
    },
    caughtBy: ['listContacts › tag and modifiedSince: both'],
  },
  'the moment itself left out': {
    Client: class extends Client {
      override matching(filter: ContactFilter) {
        const { modifiedSince } = filter;
        return super
          .matching(filter)
          .filter((row) => modifiedSince === undefined || row.modified > modifiedSince.getTime());
      }
    },
    caughtBy: [
      'listContacts › modifiedSince: from that moment on, the moment included',
      'listContacts › tag and modifiedSince: both',
    ],
  },
  'contacts of a walk without fields': {
    Client: class extends Client {
      override async *listContacts(filter: ContactFilter, options: ReadOptions = {}) {
        for await (const contact of super.listContacts(filter, options)) yield { ...contact, fields: {} };
      }
    },
    caughtBy: ['listContacts › gives whole contacts, with the fields that are asked for'],
  },
  'contacts of a walk without tags': {
    Client: class extends Client {
      override async *listContacts(filter: ContactFilter, options: ReadOptions = {}) {
        for await (const contact of super.listContacts(filter, options)) yield { ...contact, tags: [] };
      }
    },
    caughtBy: ['listContacts › gives whole contacts, with the fields that are asked for'],
  },
  'a signal that walks ignore': {
    Client: class extends Client {
      override listContacts(filter: ContactFilter) {
        return super.listContacts(filter);
      }
    },
    caughtBy: ['listContacts › rejects where the signal is aborted already'],
  },
};
