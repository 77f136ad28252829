// Queues that store something else than they were given, or give it to somebody else.
import type { Job } from '../../../../lib/queue/queue';
import { MemoryWebhookQueue, type BrokenQueues } from '../memory-queue';

/** The columns of a table that was made for jobs as they are today. */
const COLUMNS = [
  ...['action', 'role', 'sendNotification', 'email', 'receivedAt', 'awaited', 'tries', 'pauses', 'failure'],
] as const satisfies readonly (keyof Job)[];

const mapped = (value: unknown, map: (text: string) => string): unknown => {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) return value.map((item) => mapped(item, map));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [map(key), mapped(item, map)]));
};

/** A queue whose store changes every text. */
const changingTexts = (map: (text: string) => string) =>
  class extends MemoryWebhookQueue {
    override write(job: Job) {
      return JSON.stringify(mapped(job, map));
    }
  };

export const storing: BrokenQueues = {
  'a column for each property that is known today': {
    Queue: class extends MemoryWebhookQueue {
      override write(job: Job) {
        return JSON.stringify(Object.fromEntries(COLUMNS.map((column) => [column, job[column]])));
      }
    },
    caughtBy: ['put › keeps properties that it does not know, with their types'],
    elsewhere: true,
  },
  'NULL for what is not there': {
    Queue: class extends MemoryWebhookQueue {
      override write(job: Job) {
        return JSON.stringify({ role: null, failure: null, ...job });
      }
    },
    caughtBy: ['put › a job with the least comes out whole'],
    elsewhere: true,
  },
  'texts cut at 255 characters': {
    Queue: changingTexts((text) => text.slice(0, 255)),
    caughtBy: [
      'put › keeps to the letter: 50,000 characters',
      'finish › keeps awkward stories to the letter',
    ],
  },
  'texts trimmed': {
    Queue: changingTexts((text) => text.trim()),
    caughtBy: [
      'put › keeps to the letter: white space around',
      'put › keeps to the letter: NUL and other control characters',
      'put › keeps to the letter: nothing',
      'finish › keeps awkward stories to the letter',
    ],
    elsewhere: true,
  },
  'texts cut at NUL': {
    Queue: changingTexts((text) => text.split('\u0000')[0]!),
    caughtBy: [
      'put › keeps to the letter: NUL and other control characters',
      'finish › keeps awkward stories to the letter',
    ],
  },
  'half surrogate pairs replaced, as in UTF-8': {
    Queue: changingTexts((text) => Buffer.from(text).toString()),
    caughtBy: [
      'put › keeps to the letter: half a surrogate pair',
      'finish › keeps awkward stories to the letter',
    ],
  },
  'letters of three bytes at most': {
    Queue: changingTexts((text) => text.replace(/[\u{10000}-\u{10ffff}]/gu, '?')),
    caughtBy: [
      'put › keeps to the letter: letters of every kind',
      'finish › keeps awkward stories to the letter',
    ],
  },
  'letters normalised': {
    Queue: changingTexts((text) => text.normalize('NFC')),
    caughtBy: [
      'put › keeps to the letter: letters of every kind',
      'finish › keeps awkward stories to the letter',
    ],
  },
  'quotes escaped twice': {
    Queue: changingTexts((text) => text.replaceAll("'", "''")),
    caughtBy: [
      'put › keeps to the letter: quotes, backslashes and what looks like SQL',
      'finish › keeps awkward stories to the letter',
    ],
  },
  'numbers with a precision of seven digits': {
    Queue: class extends MemoryWebhookQueue {
      override write(job: Job) {
        return JSON.stringify(job, (_key, value: unknown) =>
          typeof value === 'number' ? Math.fround(value) : value,
        );
      }
    },
    caughtBy: ['put › a job with everything comes out whole'],
    elsewhere: true,
  },
  'jobs kept as the objects that were given': {
    Queue: class extends MemoryWebhookQueue {
      readonly #jobs = new Map<string, Job>();
      override write(job: Job) {
        const key = super.write(job);
        this.#jobs.set(key, job);
        return key;
      }
      override read(key: string) {
        return this.#jobs.get(key) ?? super.read(key);
      }
    },
    caughtBy: ['put › keeps a copy, and gives copies'],
  },
  'equal jobs merged': {
    Queue: class extends MemoryWebhookQueue {
      override async put(queue: string, contactId: string, job: Job) {
        const same = this.inbox(queue, contactId).find((row) => row.job === this.write(job));
        return same?.id ?? super.put(queue, contactId, job);
      }
    },
    caughtBy: ['put › merges nothing: two equal jobs are two'],
  },
  'ids counted for each contact': {
    Queue: class extends MemoryWebhookQueue {
      override async put(queue: string, contactId: string, job: Job) {
        await super.put(queue, contactId, job);
        return String(this.inbox(queue, contactId).length);
      }
    },
    caughtBy: ['put › gives ids that differ, also between contacts and names'],
    elsewhere: true,
  },
  'ids that are numbers': {
    Queue: class extends MemoryWebhookQueue {
      override async put(queue: string, contactId: string, job: Job) {
        return Number(await super.put(queue, contactId, job)) as unknown as string;
      }
    },
    caughtBy: ['put › gives ids that differ, also between contacts and names'],
    elsewhere: true,
  },
  'jobs ordered by their ids as text': {
    Queue: class extends MemoryWebhookQueue {
      override inbox(queue: string, contactId: string) {
        return super.inbox(queue, contactId).sort((one, two) => (one.id < two.id ? -1 : 1));
      }
    },
    caughtBy: [
      'put › the jobs of a contact come in the order they were put',
      'put › the order holds across processes',
    ],
  },
  'the newest job first': {
    Queue: class extends MemoryWebhookQueue {
      override inbox(queue: string, contactId: string) {
        return super.inbox(queue, contactId).reverse();
      }
    },
    caughtBy: ['put › the jobs of a contact come in the order they were put'],
    elsewhere: true,
  },
  'jobs ordered by when they are due': {
    Queue: class extends MemoryWebhookQueue {
      override inbox(queue: string, contactId: string) {
        return super.inbox(queue, contactId).sort((one, two) => one.dueAt - two.dueAt);
      }
    },
    caughtBy: [
      'put, while › the contact waits for a later time: it is due now',
      'put, while › the worker puts its own jobs off: the contact is due all the same',
      'take › takes along what is not due, in the order of putting, and says so',
    ],
    elsewhere: true,
  },
  'a hundred jobs of a contact at most': {
    Queue: class extends MemoryWebhookQueue {
      override inbox(queue: string, contactId: string) {
        return super.inbox(queue, contactId).slice(0, 100);
      }
    },
    caughtBy: ['put › 250 jobs of a contact come out together'],
  },
  'contact ids as numbers': {
    Queue: class extends MemoryWebhookQueue {
      override contactKey(contactId: string) {
        return Number.isNaN(Number(contactId)) ? contactId : String(Number(contactId));
      }
    },
    caughtBy: [
      'contact ids › zeros that an id begins with count',
      'contact ids › every digit of a long id counts',
      'contact ids › an id is no number',
    ],
  },
  'the case of contact ids ignored': {
    Queue: class extends MemoryWebhookQueue {
      override contactKey(contactId: string) {
        return contactId.toLowerCase();
      }
    },
    caughtBy: ['contact ids › the case of an id counts'],
  },
  'contact ids without their hyphens': {
    Queue: class extends MemoryWebhookQueue {
      override contactKey(contactId: string) {
        return contactId.replaceAll('-', '');
      }
    },
    caughtBy: ['contact ids › a hyphen counts'],
  },
  'contact ids cut at 63 characters': {
    Queue: class extends MemoryWebhookQueue {
      override contactKey(contactId: string) {
        return contactId.slice(0, 63);
      }
    },
    caughtBy: ['contact ids › all 64 characters count'],
  },
  'verdicts found with LIKE': {
    Queue: class extends MemoryWebhookQueue {
      override rowFor(queue: string, contactId: string, id: string) {
        const pattern = new RegExp(`^${contactId.replaceAll('_', '.')}$`);
        return this.rows(queue).find(
          (row) => row.state === 'waiting' && row.id === id && pattern.test(row.contactId),
        );
      }
    },
    caughtBy: ['contact ids › an underscore is no wildcard', 'contact ids › an underscore is no hyphen'],
  },
  'names ignored': {
    Queue: class extends MemoryWebhookQueue {
      override nameKey() {
        return '';
      }
    },
    caughtBy: [
      'names › a contact under two names is two contacts',
      'names › dead letters are listed, replayed and deleted under their own name only',
      'names › what waits under one name makes nothing due under another',
    ],
    elsewhere: true,
  },
  'the case of names ignored': {
    Queue: class extends MemoryWebhookQueue {
      override nameKey(queue: string) {
        return queue.toLowerCase();
      }
    },
    caughtBy: ['names › names are compared to the letter'],
  },
  'white space after names ignored': {
    Queue: class extends MemoryWebhookQueue {
      override nameKey(queue: string) {
        return queue.trimEnd();
      }
    },
    caughtBy: ['names › names are compared to the letter'],
  },
  'leases without the name': {
    Queue: class extends MemoryWebhookQueue {
      override holdKey(_queue: string, contactId: string) {
        return contactId;
      }
    },
    caughtBy: [
      'names › a contact under two names is two contacts',
      'names › a lease counts under its own name only',
    ],
    elsewhere: true,
  },
  'replay of every name': {
    Queue: class extends MemoryWebhookQueue {
      override async replay(queue: string, ids?: readonly string[]) {
        const dead = [...this.store.rows.values()].filter(
          ({ state, id }) => state === 'dead' && (ids?.includes(id) ?? true),
        );
        for (const row of dead) this.revive(row);
        return dead.filter((row) => row.queue === queue).length;
      }
    },
    caughtBy: ['names › dead letters are listed, replayed and deleted under their own name only'],
  },
  'positions of all names in one place': {
    Queue: class extends MemoryWebhookQueue {
      override positionKey(_queue: string, key: string) {
        return key;
      }
    },
    caughtBy: ['names › positions are kept under their own name only'],
  },
  'results of every name': {
    Queue: class extends MemoryWebhookQueue {
      override async settled(_queue: string, ids: readonly string[]) {
        const queues = new Set([...this.store.rows.values()].map(({ queue }) => queue));
        const all = await Promise.all([...queues].map((queue) => super.settled(queue, ids)));
        return new Map(all.flatMap((settled) => [...settled]));
      }
    },
    caughtBy: ['names › results are told under their own name only'],
  },
};
