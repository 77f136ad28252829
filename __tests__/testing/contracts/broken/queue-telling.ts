// Queues that lose dead letters, tell the wrong numbers, or forget results and positions.
import type { DeadJob, QueueFinding, Verdict } from '../../../../lib/queue/queue';
import { MemoryWebhookQueue, type BrokenQueues, type Row } from '../memory-queue';

interface Page {
  readonly after?: string | undefined;
  readonly limit: number;
}

export const telling: BrokenQueues = {
  'the newest dead letter first': {
    Queue: class extends MemoryWebhookQueue {
      override dead(queue: string, ids?: readonly string[]) {
        return super.dead(queue, ids).reverse();
      }
    },
    caughtBy: ['dead letters › come in pages, the oldest first, each once'],
    elsewhere: true,
  },
  'dead letters without a limit': {
    Queue: class extends MemoryWebhookQueue {
      override deadLetters(queue: string, page: Page) {
        return super.deadLetters(queue, { ...page, limit: 1000 });
      }
    },
    caughtBy: ['dead letters › come in pages, the oldest first, each once'],
  },
  'every page the first': {
    Queue: class extends MemoryWebhookQueue {
      override deadLetters(queue: string, { limit }: Page) {
        return super.deadLetters(queue, { limit });
      }
    },
    caughtBy: [
      'dead letters › come in pages, the oldest first, each once',
      'dead letters › of one finish are all kept',
    ],
  },
  'a page that begins with the letter itself': {
    Queue: class extends MemoryWebhookQueue {
      override async deadLetters(queue: string, page: Page): Promise<DeadJob[]> {
        const from = this.dead(queue).findIndex(({ id }) => id === page.after);
        const all = await super.deadLetters(queue, { limit: 1000 });
        return all.slice(Math.max(from, 0)).slice(0, page.limit);
      }
    },
    caughtBy: [
      'dead letters › come in pages, the oldest first, each once',
      'dead letters › of one finish are all kept',
    ],
  },
  'pages by the time, without the id': {
    Queue: class extends MemoryWebhookQueue {
      readonly #diedAt = new Map<string, string>();
      override judge(row: Row, verdict: Verdict) {
        super.judge(row, verdict);
        this.#diedAt.set(row.id, this.holdOf(row.queue, row.contactId)!.token);
      }
      override async deadLetters(queue: string, { after, limit }: Page): Promise<DeadJob[]> {
        const all = await super.deadLetters(queue, { limit: 1000 });
        const from = all.findIndex(({ id }) => id === after);
        const time = after === undefined ? undefined : this.#diedAt.get(after);
        return all
          .slice(from + 1)
          .filter(({ id }) => time === undefined || this.#diedAt.get(id) !== time)
          .slice(0, limit);
      }
    },
    caughtBy: ['dead letters › of one finish are all kept'],
  },
  'dead letters make their contact due': {
    Queue: class extends MemoryWebhookQueue {
      override dueContacts(queue: string) {
        const dead = this.dead(queue).filter((row) => this.inbox(queue, row.contactId).length > 0);
        return [...new Set([...super.dueContacts(queue), ...dead.map(({ contactId }) => contactId)])];
      }
    },
    caughtBy: ['dead letters › make no contact due'],
    elsewhere: true,
  },
  'an empty list of ids means all': {
    Queue: class extends MemoryWebhookQueue {
      override dead(queue: string, ids?: readonly string[]) {
        return super.dead(queue, ids?.length === 0 ? undefined : ids);
      }
    },
    caughtBy: ['dead letters › an empty list of ids is none, not all'],
  },
  'replay and purge of all whatever the ids': {
    Queue: class extends MemoryWebhookQueue {
      override dead(queue: string) {
        return super.dead(queue);
      }
    },
    caughtBy: [
      'dead letters › only those with the ids are replayed',
      'dead letters › only those with the ids are deleted',
    ],
    elsewhere: true,
  },
  'the number of ids instead of the number of letters': {
    Queue: class extends MemoryWebhookQueue {
      override async replay(queue: string, ids?: readonly string[]) {
        const number = await super.replay(queue, ids);
        return ids?.length ?? number;
      }
    },
    caughtBy: ['dead letters › ids that are unknown, or given twice, do not count'],
    elsewhere: true,
  },
  'replay and purge give nothing': {
    Queue: class extends MemoryWebhookQueue {
      override async replay(queue: string, ids?: readonly string[]) {
        await super.replay(queue, ids);
        return undefined as unknown as number;
      }
      override async purge(queue: string, ids?: readonly string[]) {
        await super.purge(queue, ids);
        return undefined as unknown as number;
      }
    },
    caughtBy: [
      'dead letters › none is an empty list, a number of 0',
      'dead letters › are due now when all are replayed',
      'dead letters › only those with the ids are deleted',
    ],
    elsewhere: true,
  },
  'ids of another shape are an error': {
    Queue: class extends MemoryWebhookQueue {
      override dead(queue: string, ids?: readonly string[]) {
        if (ids?.some((id) => !/^\d{1,18}$/.test(id)))
          throw new Error('invalid input syntax for type bigint');
        return super.dead(queue, ids);
      }
    },
    caughtBy: ['dead letters › ids that are unknown, or given twice, do not count'],
  },
  'a hundred ids at most': {
    Queue: class extends MemoryWebhookQueue {
      override dead(queue: string, ids?: readonly string[]) {
        return super.dead(queue, ids?.slice(0, 100));
      }
    },
    caughtBy: ['dead letters › 200 ids at once'],
  },
  'replayed but not due': {
    Queue: class extends MemoryWebhookQueue {
      override revive(row: Row) {
        super.revive(row);
        row.dueAt = Infinity;
      }
    },
    caughtBy: ['dead letters › are due now when all are replayed'],
    elsewhere: true,
  },
  'replay takes the contact from its worker': {
    Queue: class extends MemoryWebhookQueue {
      override revive(row: Row) {
        super.revive(row);
        this.release(row.queue, row.contactId);
      }
    },
    caughtBy: ['dead letters › a replayed one waits while the contact is worked on'],
    elsewhere: true,
  },
  'replay makes everything of the contact due': {
    Queue: class extends MemoryWebhookQueue {
      override revive(row: Row) {
        super.revive(row);
        for (const each of this.inbox(row.queue, row.contactId)) each.dueAt = row.dueAt;
      }
    },
    caughtBy: ['dead letters › a replayed one comes with the rest of its contact'],
  },
  'replay makes whatever has the id due': {
    Queue: class extends MemoryWebhookQueue {
      override async replay(queue: string, ids?: readonly string[]) {
        const rows = this.rows(queue).filter(({ id }) => ids?.includes(id));
        for (const row of rows) if (row.state === 'waiting') this.revive(row);
        return super.replay(queue, ids);
      }
    },
    caughtBy: ['dead letters › replay and purge do nothing to jobs that are not dead'],
  },
  'purge deletes whatever has the id': {
    Queue: class extends MemoryWebhookQueue {
      override async purge(queue: string, ids?: readonly string[]) {
        const number = await super.purge(queue, ids);
        for (const id of ids ?? []) this.store.rows.delete(id);
        return number;
      }
    },
    caughtBy: ['dead letters › replay and purge do nothing to jobs that are not dead'],
    elsewhere: true,
  },
  'purge deletes the contact': {
    Queue: class extends MemoryWebhookQueue {
      override async purge(queue: string, ids?: readonly string[]) {
        const contacts = new Set(this.dead(queue, ids).map(({ contactId }) => contactId));
        const number = await super.purge(queue, ids);
        for (const row of this.rows(queue)) if (contacts.has(row.contactId)) this.store.rows.delete(row.id);
        return number;
      }
    },
    caughtBy: ['dead letters › purge touches nothing else of a contact'],
    elsewhere: true,
  },
  'purge deletes results': {
    Queue: class extends MemoryWebhookQueue {
      override async purge(queue: string, ids?: readonly string[]) {
        const number = await super.purge(queue, ids);
        for (const row of this.rows(queue)) if (row.state === 'done') this.store.rows.delete(row.id);
        return number;
      }
    },
    caughtBy: [
      'dead letters › purge touches nothing else of a contact',
      'settled › keeps a result while others come and go',
    ],
  },
  'counts as text': {
    Queue: class extends MemoryWebhookQueue {
      override async counts(queue: string) {
        const counts = await super.counts(queue);
        return { ...counts, waiting: String(counts.waiting) as unknown as number };
      }
    },
    caughtBy: ['counts › nothing is 0, 0 and null'],
    elsewhere: true,
  },
  'counts of what is due': {
    Queue: class extends MemoryWebhookQueue {
      override async counts(queue: string) {
        const due = this.rows(queue).filter((row) => row.state === 'waiting' && this.isDue(row));
        return { ...(await super.counts(queue)), waiting: due.length };
      }
    },
    caughtBy: ['counts › what is due, taken, put off and given up'],
    elsewhere: true,
  },
  'counts of contacts': {
    Queue: class extends MemoryWebhookQueue {
      override async counts(queue: string) {
        const waiting = this.rows(queue).filter(({ state }) => state === 'waiting');
        return {
          ...(await super.counts(queue)),
          waiting: new Set(waiting.map(({ contactId }) => contactId)).size,
        };
      }
    },
    caughtBy: ['counts › what is due, taken, put off and given up'],
    elsewhere: true,
  },
  'oldestWaiting is when it is due': {
    Queue: class extends MemoryWebhookQueue {
      override async counts(queue: string) {
        const counts = await super.counts(queue);
        const dueAt = this.rows(queue).map((row) => row.dueAt);
        return { ...counts, oldestWaiting: counts.oldestWaiting && new Date(Math.min(...dueAt)) };
      }
    },
    caughtBy: ['counts › oldestWaiting is when the oldest was put'],
  },
  'oldestWaiting is the newest': {
    Queue: class extends MemoryWebhookQueue {
      override async counts(queue: string) {
        const counts = await super.counts(queue);
        const putAt = this.rows(queue).map((row) => row.putAt);
        return { ...counts, oldestWaiting: counts.oldestWaiting && new Date(Math.max(...putAt)) };
      }
    },
    caughtBy: ['counts › oldestWaiting is when the oldest was put'],
  },
  'oldestWaiting in another time zone': {
    Queue: class extends MemoryWebhookQueue {
      override async counts(queue: string) {
        const { oldestWaiting, ...counts } = await super.counts(queue);
        return { ...counts, oldestWaiting: oldestWaiting && new Date(oldestWaiting.getTime() + 3_600_000) };
      }
    },
    caughtBy: ['counts › oldestWaiting is when the oldest was put'],
  },
  'oldestWaiting as text': {
    Queue: class extends MemoryWebhookQueue {
      override async counts(queue: string) {
        const { oldestWaiting, ...counts } = await super.counts(queue);
        return { ...counts, oldestWaiting: (oldestWaiting?.toISOString() ?? null) as unknown as Date };
      }
    },
    caughtBy: ['counts › oldestWaiting is when the oldest was put'],
  },
  'oldestWaiting of what is done and dead too': {
    Queue: class extends MemoryWebhookQueue {
      override async counts(queue: string) {
        const [first] = this.rows(queue);
        return { ...(await super.counts(queue)), oldestWaiting: first ? new Date(first.putAt) : null };
      }
    },
    caughtBy: ['counts › oldestWaiting is of what waits: not of what is done or dead'],
  },
  'results in the memory of the process': {
    Queue: class extends MemoryWebhookQueue {
      readonly #mine = new Set<string>();
      override judge(row: Row, verdict: Verdict) {
        super.judge(row, verdict);
        this.#mine.add(row.id);
      }
      override outcome(row: Row) {
        return row.state === 'dead' || this.#mine.has(row.id) ? super.outcome(row) : undefined;
      }
    },
    caughtBy: [
      'settled › gives the result of what is done, to every process',
      'several processes › after a restart everything is as it was',
    ],
    elsewhere: true,
  },
  'results forgotten once they were read': {
    Queue: class extends MemoryWebhookQueue {
      override outcome(row: Row) {
        const outcome = super.outcome(row);
        if (outcome?.kind === 'done') row.result = undefined;
        return outcome;
      }
    },
    caughtBy: ['settled › gives the result of what is done, to every process'],
  },
  'results forgotten with the next job': {
    Queue: class extends MemoryWebhookQueue {
      override release(queue: string, contactId: string) {
        super.release(queue, contactId);
        const done = this.rows(queue).filter((row) => row.contactId === contactId && row.state === 'done');
        for (const row of done.slice(0, -1)) row.result = undefined;
      }
    },
    caughtBy: ['settled › keeps a result while others come and go'],
  },
  'results mixed up': {
    Queue: class extends MemoryWebhookQueue {
      override async settled(queue: string, ids: readonly string[]) {
        const settled = await super.settled(queue, ids);
        return new Map([...settled.keys()].map((id, index, keys) => [id, settled.get(keys.at(index - 1)!)!]));
      }
    },
    caughtBy: [
      'settled › gives the result of what is done, to every process',
      'settled › gives what is dead, with its story, until it is replayed or deleted',
      'races › results of many at once: each has its own',
    ],
  },
  'done without a result is told': {
    Queue: class extends MemoryWebhookQueue {
      override outcome(row: Row) {
        if (row.state === 'done' && row.result === undefined) return { kind: 'done', result: {} } as const;
        return super.outcome(row);
      }
    },
    caughtBy: ['settled › what is waiting, worked on or put off is absent'],
  },
  'an empty result is none': {
    Queue: class extends MemoryWebhookQueue {
      override outcome(row: Row) {
        return row.result === '{}' ? undefined : super.outcome(row);
      }
    },
    caughtBy: ['settled › keeps every result to the letter'],
  },
  'what is dead is not told': {
    Queue: class extends MemoryWebhookQueue {
      override outcome(row: Row) {
        return row.state === 'dead' ? undefined : super.outcome(row);
      }
    },
    caughtBy: ['settled › gives what is dead, with its story, until it is replayed or deleted'],
  },
  'all results whatever was asked for': {
    Queue: class extends MemoryWebhookQueue {
      override async settled(queue: string) {
        return super.settled(queue, [...this.store.rows.keys()]);
      }
    },
    caughtBy: ['settled › gives those that were asked for, and ids that are unknown are absent'],
    elsewhere: true,
  },
  'positions that are undefined': {
    Queue: class extends MemoryWebhookQueue {
      override async readPosition(queue: string, key: string) {
        return (await super.readPosition(queue, key)) ?? (undefined as unknown as null);
      }
    },
    caughtBy: ['positions › null where nothing was written'],
    elsewhere: true,
  },
  'the first position is kept': {
    Queue: class extends MemoryWebhookQueue {
      override async writePosition(queue: string, key: string, position: string | null) {
        if (position === null || (await super.readPosition(queue, key)) === null) {
          await super.writePosition(queue, key, position);
        }
      }
    },
    caughtBy: ['positions › the last one written counts, in every process'],
    elsewhere: true,
  },
  'null written as a text': {
    Queue: class extends MemoryWebhookQueue {
      override writePosition(queue: string, key: string, position: string | null) {
        return super.writePosition(queue, key, String(position));
      }
    },
    caughtBy: ['positions › null forgets it', 'positions › null where nothing was written'],
    elsewhere: true,
  },
  'positions cut at 255 characters': {
    Queue: class extends MemoryWebhookQueue {
      override writePosition(queue: string, key: string, position: string | null) {
        return super.writePosition(queue, key, position?.slice(0, 255) ?? null);
      }
    },
    caughtBy: ['positions › up to 1,000 characters of every kind, to the letter'],
  },
  'an empty position is none': {
    Queue: class extends MemoryWebhookQueue {
      override writePosition(queue: string, key: string, position: string | null) {
        return super.writePosition(queue, key, position === '' ? null : position);
      }
    },
    caughtBy: ['positions › up to 1,000 characters of every kind, to the letter'],
  },
  'the case of keys ignored': {
    Queue: class extends MemoryWebhookQueue {
      override positionKey(queue: string, key: string) {
        return super.positionKey(queue, key.toLowerCase());
      }
    },
    caughtBy: ['positions › each key has its own'],
  },
  'positions in the memory of the process': {
    Queue: class extends MemoryWebhookQueue {
      readonly #positions = new Map<string, string | null>();
      override async readPosition(queue: string, key: string) {
        return this.#positions.get(this.positionKey(queue, key)) ?? null;
      }
      override async writePosition(queue: string, key: string, position: string | null) {
        this.#positions.set(this.positionKey(queue, key), position);
      }
    },
    caughtBy: [
      'positions › the last one written counts, in every process',
      'several processes › after a restart everything is as it was',
    ],
    elsewhere: true,
  },
  'a check that finds an error': {
    Queue: class extends MemoryWebhookQueue {
      override async check(): Promise<QueueFinding[]> {
        return [{ severity: 'error', message: 'The table is missing.' }];
      }
    },
    caughtBy: ['check finds no error in a store that works'],
  },
  'a check that gives texts': {
    Queue: class extends MemoryWebhookQueue {
      override async check() {
        return ['The table is missing.'] as unknown as QueueFinding[];
      }
    },
    caughtBy: ['check finds no error in a store that works'],
  },
};
