// Webhook queues that do some things otherwise than the one in memory, as they may.
import type { Job, Lease, Verdict } from '../../../lib/queue/queue';
import {
  MemoryWebhookQueue,
  type MemoryWebhookQueueOptions,
  type QueueStore,
  type Row,
} from './memory-queue';

export const sound: Readonly<Record<string, new (options: MemoryWebhookQueueOptions) => MemoryWebhookQueue>> =
  {
    'the one that the broken ones are made of': MemoryWebhookQueue,
    'the contact that was put last is taken first': class extends MemoryWebhookQueue {
      override dueContacts(queue: string) {
        return super.dueContacts(queue).reverse();
      }
    },
    'objects with more properties, without a prototype': class extends MemoryWebhookQueue {
      override read(job: string) {
        return Object.assign<object, Job>(Object.create(null), super.read(job));
      }
      override given(row: Row) {
        return { ...super.given(row), putAt: new Date(row.putAt) };
      }
      override hold(queue: string, contactId: string) {
        return { ...super.hold(queue, contactId), until: 1 };
      }
      override async counts(queue: string) {
        return { ...(await super.counts(queue)), taken: 0 };
      }
    },
    'a replayed dead letter is a new job at the end': class extends MemoryWebhookQueue {
      override revive(row: Row) {
        this.store.rows.delete(row.id);
        const id = this.store.next();
        this.store.rows.set(id, { ...row, id, state: 'waiting', dueAt: this.now(), putAt: this.now() });
      }
    },
    'what is done is deleted at once, where it has no result': class extends MemoryWebhookQueue {
      override judge(row: Row, verdict: Verdict) {
        super.judge(row, verdict);
        if (row.state === 'done' && row.result === undefined) this.store.rows.delete(row.id);
      }
    },
    'renewed leases in another order': class extends MemoryWebhookQueue {
      override async renew(queue: string, leases: readonly Lease[]) {
        return (await super.renew(queue, leases)).reverse();
      }
    },
    'one lease too many is taken for none, where several ask at once': class extends MemoryWebhookQueue {
      readonly #busy = busyOf(this.store);
      override async take(queue: string, limit: number) {
        // As with SKIP LOCKED: what another one is looking at is passed over.
        if (this.#busy.has(queue)) return [];
        this.#busy.add(queue);
        await this.moment();
        this.#busy.delete(queue);
        return super.take(queue, limit);
      }
    },
    'calls that take their time, one after the other': class extends MemoryWebhookQueue {
      override async put(queue: string, contactId: string, job: Job) {
        await this.moment();
        return super.put(queue, contactId, job);
      }
      override async take(queue: string, limit: number) {
        await this.moment();
        return super.take(queue, limit);
      }
      override async finish(queue: string, lease: Lease, verdicts: ReadonlyMap<string, Verdict>) {
        await this.moment();
        const isFinished = await super.finish(queue, lease, verdicts);
        await this.moment();
        return isFinished;
      }
    },
    'warnings of its check': class extends MemoryWebhookQueue {
      override async check() {
        return [
          {
            severity: 'warning',
            message: 'What was put in the last second is lost in a power cut.',
          } as const,
        ];
      }
    },
  };

const busy = new WeakMap<QueueStore, Set<string>>();

/** The names that somebody takes from right now, for every queue over the store. */
function busyOf(store: QueueStore): Set<string> {
  const names = busy.get(store) ?? new Set<string>();
  busy.set(store, names);
  return names;
}
