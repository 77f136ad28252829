// Queues that give contacts to the wrong worker, too early, too late or not whole.
import type { Job, Lease } from '../../../../lib/queue/queue';
import { MemoryWebhookQueue, type BrokenQueues, type Row } from '../memory-queue';

export const taking: BrokenQueues = {
  'leases that nobody looks at': {
    Queue: class extends MemoryWebhookQueue {
      override isFree() {
        return true;
      }
    },
    caughtBy: [
      'take › a taken contact is not given again, to this process',
      'take › a taken contact is not given again, to another process',
    ],
    elsewhere: true,
  },
  'leases in the memory of the process': {
    Queue: class extends MemoryWebhookQueue {
      readonly #tokens = new Set<string>();
      override hold(queue: string, contactId: string) {
        const taken = super.hold(queue, contactId);
        this.#tokens.add(taken.token);
        return taken;
      }
      override isFree(queue: string, contactId: string) {
        return super.isFree(queue, contactId) || !this.#tokens.has(this.holdOf(queue, contactId)!.token);
      }
    },
    caughtBy: [
      'take › a taken contact is not given again, to another process',
      'several processes › after a restart everything is as it was',
      'races › takes of one contact at once: one gets it',
    ],
    elsewhere: true,
  },
  'leases that never run out': {
    Queue: class extends MemoryWebhookQueue {
      override isFree(queue: string, contactId: string) {
        return this.holdOf(queue, contactId) === undefined;
      }
    },
    caughtBy: [
      'lease › runs out after leaseMs and not before, for another worker of the process',
      'lease › runs out after leaseMs and not before, for another process',
      'lease › lasts about leaseMs, compared with what is put off',
    ],
    elsewhere: true,
  },
  'leases that run out at once': {
    Queue: class extends MemoryWebhookQueue {
      override isFree(queue: string, contactId: string) {
        const hold = this.holdOf(queue, contactId);
        return hold === undefined || hold.until - this.leaseMs * 0.9 <= this.now();
      }
    },
    caughtBy: ['lease › lasts about leaseMs, compared with what is put off'],
    elsewhere: true,
  },
  'leases of seconds instead of milliseconds': {
    Queue: class extends MemoryWebhookQueue {
      override isFree(queue: string, contactId: string) {
        const hold = this.holdOf(queue, contactId);
        return hold === undefined || hold.until + this.leaseMs * 999 <= this.now();
      }
    },
    caughtBy: ['lease › lasts about leaseMs, compared with what is put off'],
    elsewhere: true,
  },
  'leases eight times as long': {
    Queue: class extends MemoryWebhookQueue {
      override isFree(queue: string, contactId: string) {
        const hold = this.holdOf(queue, contactId);
        return hold === undefined || hold.until + this.leaseMs * 7 <= this.now();
      }
    },
    caughtBy: ['lease › lasts about leaseMs, compared with what is put off'],
    elsewhere: true,
  },
  'a lease that ran out is lost, also when nobody was given it': {
    Queue: class extends MemoryWebhookQueue {
      override isHeld(queue: string, lease: Lease) {
        return super.isHeld(queue, lease) && !this.isFree(queue, lease.contactId);
      }
    },
    caughtBy: [
      'lease › renew holds where the lease ran out and nobody was given it',
      'lease › finish holds where the lease ran out and nobody was given it',
    ],
    elsewhere: true,
  },
  'renew that does not renew': {
    Queue: class extends MemoryWebhookQueue {
      override async renew(queue: string, leases: readonly Lease[]) {
        return leases.filter((lease) => this.isHeld(queue, lease));
      }
    },
    caughtBy: [
      'lease › does not run out while it is renewed by its own process',
      'lease › does not run out while it is renewed by another process',
      'lease › renew holds where the lease ran out and nobody was given it',
    ],
    elsewhere: true,
  },
  'renew in the memory of the process': {
    Queue: class extends MemoryWebhookQueue {
      readonly #renewed = new Map<string, number>();
      override async renew(queue: string, leases: readonly Lease[]) {
        const held = leases.filter((lease) => this.isHeld(queue, lease));
        for (const { token } of held) this.#renewed.set(token, this.now() + this.leaseMs);
        return held;
      }
      override isFree(queue: string, contactId: string) {
        const hold = this.holdOf(queue, contactId);
        if (hold === undefined) return true;
        return (this.#renewed.get(hold.token) ?? hold.until) <= this.now();
      }
    },
    caughtBy: [
      'lease › does not run out while it is renewed by its own process',
      'lease › does not run out while it is renewed by another process',
    ],
    elsewhere: true,
  },
  'renew of every lease of the contact': {
    Queue: class extends MemoryWebhookQueue {
      override async renew(queue: string, leases: readonly Lease[]) {
        for (const { contactId } of leases) {
          const hold = this.holdOf(queue, contactId);
          if (hold !== undefined) hold.until = this.now() + this.leaseMs;
        }
        return leases.filter((lease) => this.isHeld(queue, lease));
      }
    },
    caughtBy: ['lease › the slow worker renews nothing'],
  },
  'renew of every lease there is': {
    Queue: class extends MemoryWebhookQueue {
      override async renew(queue: string, leases: readonly Lease[]) {
        const held = leases.filter((lease) => this.isHeld(queue, lease));
        if (held.length === 0) return held;
        for (const hold of this.store.holds.values()) hold.until = this.now() + this.leaseMs;
        return held;
      }
    },
    caughtBy: ['lease › renew of one contact does not renew another'],
    elsewhere: true,
  },
  'renew gives everything back': {
    Queue: class extends MemoryWebhookQueue {
      override async renew(queue: string, leases: readonly Lease[]) {
        await super.renew(queue, leases);
        return [...leases];
      }
    },
    caughtBy: ['lease › renew gives the leases that are held, and no others'],
    elsewhere: true,
  },
  'renew gives how many there were': {
    Queue: class extends MemoryWebhookQueue {
      override async renew(queue: string, leases: readonly Lease[]) {
        return (await super.renew(queue, leases)).length as unknown as Lease[];
      }
    },
    caughtBy: ['lease › renew gives the leases that are held, and no others'],
    elsewhere: true,
  },
  'a put lengthens or takes the lease': {
    Queue: class extends MemoryWebhookQueue {
      override async put(queue: string, contactId: string, job: Job) {
        this.release(queue, contactId);
        return super.put(queue, contactId, job);
      }
    },
    caughtBy: [
      'put, while › the contact is worked on: nobody gets it before finish',
      'put, while › the contact is worked on: the worker still holds its lease',
    ],
    elsewhere: true,
  },
  'the token is the contact id': {
    Queue: class extends MemoryWebhookQueue {
      override hold(queue: string, contactId: string) {
        const taken = super.hold(queue, contactId);
        const hold = { token: contactId, until: this.now() + this.leaseMs };
        this.store.holds.set(this.holdKey(queue, contactId), hold);
        return { ...taken, token: contactId };
      }
    },
    caughtBy: [
      'take › the token differs with every taking',
      'lease › the slow worker is refused, and changes nothing: done',
      'lease › the slow worker is refused, and changes nothing: later',
      'lease › the slow worker is refused, and changes nothing: dead',
    ],
    elsewhere: true,
  },
  'only jobs that are due': {
    Queue: class extends MemoryWebhookQueue {
      override hold(queue: string, contactId: string) {
        const taken = super.hold(queue, contactId);
        return { ...taken, jobs: taken.jobs.filter(({ isDue }) => isDue) };
      }
    },
    caughtBy: [
      'take › takes along what is not due, in the order of putting, and says so',
      'dead letters › a replayed one comes with the rest of its contact',
    ],
    elsewhere: true,
  },
  'one job at a time': {
    Queue: class extends MemoryWebhookQueue {
      override hold(queue: string, contactId: string) {
        const taken = super.hold(queue, contactId);
        return { ...taken, jobs: taken.jobs.slice(0, 1) };
      }
    },
    caughtBy: ['take › gives all jobs of a contact, whatever the limit'],
    elsewhere: true,
  },
  'the limit counts jobs': {
    Queue: class extends MemoryWebhookQueue {
      override async take(queue: string, limit: number) {
        const contacts: string[] = [];
        let left = limit;
        for (const contactId of this.dueContacts(queue)) {
          if (left <= 0) break;
          left -= this.inbox(queue, contactId).length;
          contacts.push(contactId);
        }
        return contacts.map((contactId) => this.hold(queue, contactId));
      }
    },
    caughtBy: ['take › gives no more contacts than asked for, and all in the end'],
  },
  'the limit is no limit': {
    Queue: class extends MemoryWebhookQueue {
      override take(queue: string) {
        return super.take(queue, 1000);
      }
    },
    caughtBy: ['take › gives no more contacts than asked for, and all in the end'],
    elsewhere: true,
  },
  'the limit counts contacts that are held or not due': {
    Queue: class extends MemoryWebhookQueue {
      override async take(queue: string, limit: number) {
        const waiting = this.rows(queue).filter(({ state }) => state === 'waiting');
        const first = [...new Set(waiting.map(({ contactId }) => contactId))].slice(0, limit);
        const due = this.dueContacts(queue).filter((contactId) => first.includes(contactId));
        return due.map((contactId) => this.hold(queue, contactId));
      }
    },
    caughtBy: [
      'take › contacts that are held or not due do not use up the limit',
      'take › gives no more contacts than asked for, and all in the end',
    ],
    elsewhere: true,
  },
  'a contact once for each of its jobs': {
    Queue: class extends MemoryWebhookQueue {
      override dueContacts(queue: string) {
        const due = super.dueContacts(queue);
        return due.flatMap((contactId) => this.inbox(queue, contactId).map(() => contactId));
      }
    },
    caughtBy: ['take › gives no more contacts than asked for, and all in the end'],
    elsewhere: true,
  },
  'jobs deleted when they are taken': {
    Queue: class extends MemoryWebhookQueue {
      override hold(queue: string, contactId: string) {
        const taken = super.hold(queue, contactId);
        for (const { id } of taken.jobs) this.store.rows.delete(id);
        return taken;
      }
    },
    caughtBy: [
      'take › taken jobs stay in the store until their verdict',
      'lease › runs out after leaseMs and not before, for another process',
    ],
    elsewhere: true,
  },
  'null where nothing is due': {
    Queue: class extends MemoryWebhookQueue {
      override async take(queue: string, limit: number) {
        const taken = await super.take(queue, limit);
        return taken.length === 0 ? (null as unknown as typeof taken) : taken;
      }
    },
    caughtBy: ['take › gives an empty list where nothing is due'],
    elsewhere: true,
  },
  'everything is due': {
    Queue: class extends MemoryWebhookQueue {
      override isDue() {
        return true;
      }
    },
    caughtBy: [
      'take › does not give a contact before it is due',
      'finish › later: the job is due after the delay and not before',
      'dead letters › make no contact due',
    ],
    elsewhere: true,
  },
  'isDue as 0 and 1': {
    Queue: class extends MemoryWebhookQueue {
      override given(row: Row) {
        const given = super.given(row);
        return { ...given, isDue: Number(given.isDue) as unknown as boolean };
      }
    },
    caughtBy: ['take › says that jobs are due'],
    elsewhere: true,
  },
  'what is taken along is said to be due': {
    Queue: class extends MemoryWebhookQueue {
      override given(row: Row) {
        return { ...super.given(row), isDue: true };
      }
    },
    caughtBy: [
      'take › takes along what is not due, in the order of putting, and says so',
      'put, while › the contact waits for a later time: it is due now',
      'put, while › the worker puts its own jobs off: the contact is due all the same',
    ],
    elsewhere: true,
  },
  'a contact is due when the last of its jobs is': {
    Queue: class extends MemoryWebhookQueue {
      override dueContacts(queue: string) {
        return super
          .dueContacts(queue)
          .filter((contactId) => this.inbox(queue, contactId).every((row) => this.isDue(row)));
      }
    },
    caughtBy: [
      'put, while › the contact waits for a later time: it is due now',
      'put, while › the worker puts its own jobs off: the contact is due all the same',
      'dead letters › a replayed one comes with the rest of its contact',
    ],
    elsewhere: true,
  },
  'what is put for a waiting contact waits with it': {
    Queue: class extends MemoryWebhookQueue {
      override async put(queue: string, contactId: string, job: Job) {
        const waiting = this.inbox(queue, contactId);
        const id = await super.put(queue, contactId, job);
        const dueAt = Math.max(...waiting.map((row) => row.dueAt), 0);
        if (waiting.length > 0 && this.isFree(queue, contactId)) this.store.rows.get(id)!.dueAt = dueAt;
        return id;
      }
    },
    caughtBy: ['put, while › the contact waits for a later time: it is due now'],
    elsewhere: true,
  },
  'what is put makes everything due': {
    Queue: class extends MemoryWebhookQueue {
      override async put(queue: string, contactId: string, job: Job) {
        for (const row of this.inbox(queue, contactId)) row.dueAt = Math.min(row.dueAt, this.now());
        return super.put(queue, contactId, job);
      }
    },
    caughtBy: ['put, while › the contact waits for a later time: it is due now'],
    elsewhere: true,
  },
};
