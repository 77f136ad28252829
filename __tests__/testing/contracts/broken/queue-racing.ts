// Queues that do right when one asks, and wrong when several do.
import type { Job, Lease, Verdict } from '../../../../lib/queue/queue';
import { MemoryWebhookQueue, type BrokenQueues } from '../memory-queue';

type Verdicts = ReadonlyMap<string, Verdict>;

export const racing: BrokenQueues = {
  'take that looks and then writes': {
    Queue: class extends MemoryWebhookQueue {
      override async take(queue: string, limit: number) {
        const due = this.dueContacts(queue).slice(0, limit);
        await this.moment();
        return due
          .filter((contactId) => this.inbox(queue, contactId).length > 0)
          .map((contactId) => this.hold(queue, contactId));
      }
    },
    caughtBy: [
      'races › takes at once: no contact is given twice, and none is left',
      'races › takes of one contact at once: one gets it',
    ],
    elsewhere: true,
  },
  'a lock that only this process knows': {
    Queue: class extends MemoryWebhookQueue {
      readonly #taking = new Set<string>();
      override async take(queue: string, limit: number) {
        const due = this.dueContacts(queue)
          .filter((contactId) => !this.#taking.has(contactId))
          .slice(0, limit);
        for (const contactId of due) this.#taking.add(contactId);
        await this.moment();
        for (const contactId of due) this.#taking.delete(contactId);
        return due
          .filter((contactId) => this.inbox(queue, contactId).length > 0)
          .map((contactId) => this.hold(queue, contactId));
      }
    },
    caughtBy: [
      'races › takes at once: no contact is given twice, and none is left',
      'races › takes of one contact at once: one gets it',
    ],
    elsewhere: true,
  },
  'ids by looking for the highest': {
    Queue: class extends MemoryWebhookQueue {
      override async put(queue: string, contactId: string, job: Job) {
        const id = String(Math.max(0, ...[...this.store.rows.keys()].map(Number)) + 1);
        await this.moment();
        const given = await super.put(queue, contactId, job);
        const row = this.store.rows.get(given)!;
        this.store.rows.delete(given);
        this.store.rows.set(id, { ...row, id });
        return id;
      }
    },
    caughtBy: [
      'races › puts at once: every job is stored, with an id of its own',
      'races › a burst of 300 contacts comes out whole',
    ],
    elsewhere: true,
  },
  'puts that load the inbox and save it': {
    Queue: class extends MemoryWebhookQueue {
      override async put(queue: string, contactId: string, job: Job) {
        const inbox = this.inbox(queue, contactId);
        await this.moment();
        const since = this.inbox(queue, contactId).filter((row) => !inbox.includes(row));
        for (const { id } of since) this.store.rows.delete(id);
        return super.put(queue, contactId, job);
      }
    },
    caughtBy: ['races › puts at once: every job is stored, with an id of its own'],
    elsewhere: true,
  },
  'a contact that looks empty is deleted': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        if (!this.isHeld(queue, lease)) return false;
        const isEmpty = this.inbox(queue, lease.contactId).every(
          ({ id }) => verdicts.get(id)?.kind === 'done',
        );
        await this.moment();
        if (isEmpty)
          for (const { id } of this.inbox(queue, lease.contactId)) this.store.rows.get(id)!.state = 'done';
        return super.finish(queue, lease, verdicts);
      }
    },
    caughtBy: ['races › put against finish: the new job comes next (done)'],
    elsewhere: true,
  },
  'when the contact is due is worked out before it is freed': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        if (!this.isHeld(queue, lease)) return false;
        const known = this.inbox(queue, lease.contactId);
        const isPutOff = known.every((row) => verdicts.get(row.id)?.kind === 'later');
        await this.moment();
        const since = this.inbox(queue, lease.contactId).filter((row) => !known.includes(row));
        if (isPutOff) for (const row of since) row.dueAt = Infinity;
        return super.finish(queue, lease, verdicts);
      }
    },
    caughtBy: ['races › put against finish: the new job comes next (later)'],
    elsewhere: true,
  },
  'a replay that finish does not see': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        if (!this.isHeld(queue, lease)) return false;
        const dead = this.dead(queue).filter((row) => row.contactId === lease.contactId);
        await this.moment();
        for (const row of dead) if (row.state === 'waiting') row.state = 'done';
        return super.finish(queue, lease, verdicts);
      }
    },
    caughtBy: ['races › replay against finish: the replayed job comes next'],
  },
  'put while it is taken, not seen': {
    Queue: class extends MemoryWebhookQueue {
      override async take(queue: string, limit: number) {
        const taken = await super.take(queue, limit);
        await this.moment();
        for (const { contactId, jobs } of taken) {
          const since = this.inbox(queue, contactId).filter((row) => !jobs.some(({ id }) => id === row.id));
          for (const row of since) row.state = 'done';
        }
        return taken;
      }
    },
    caughtBy: ['races › put against take: the new job comes with it or next'],
    elsewhere: true,
  },
  'finish that looks and then writes': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        if (!this.isHeld(queue, lease)) return false;
        await this.moment();
        const token = this.holdOf(queue, lease.contactId)?.token ?? lease.token;
        await super.finish(queue, { ...lease, token }, verdicts);
        return true;
      }
    },
    caughtBy: [
      'races › finishes of one lease at once: one ends it',
      'races › finish against the next worker, when the lease has run out: one of the two',
    ],
    elsewhere: true,
  },
  'renew that looks and then writes': {
    Queue: class extends MemoryWebhookQueue {
      override async renew(queue: string, leases: readonly Lease[]) {
        const held = leases.filter((lease) => this.isHeld(queue, lease));
        await this.moment();
        for (const { contactId, token } of held) {
          this.store.holds.set(this.holdKey(queue, contactId), { token, until: this.now() + this.leaseMs });
        }
        return held;
      }
    },
    caughtBy: [
      'races › renew against finish: the contact is free afterwards',
      'races › renew against the next worker, when the lease has run out: one of the two',
    ],
    elsewhere: true,
  },
  'dead letters counted and then moved': {
    Queue: class extends MemoryWebhookQueue {
      override async replay(queue: string, ids?: readonly string[]) {
        const number = this.dead(queue, ids).length;
        await this.moment();
        await super.replay(queue, ids);
        return number;
      }
    },
    caughtBy: ['races › replays and purges at once: each dead letter goes once'],
  },
  'dead letters copied and then deleted': {
    Queue: class extends MemoryWebhookQueue {
      override async replay(queue: string, ids?: readonly string[]) {
        const letters = this.dead(queue, ids);
        await this.moment();
        for (const { contactId, job } of letters) await super.put(queue, contactId, this.read(job));
        return super.purge(
          queue,
          letters.map(({ id }) => id),
        );
      }
    },
    caughtBy: ['races › replays and purges at once: each dead letter goes once'],
  },
  'positions read, changed and saved as a whole': {
    Queue: class extends MemoryWebhookQueue {
      override async writePosition(queue: string, key: string, position: string | null) {
        const all = new Map(this.store.positions);
        await this.moment();
        this.store.positions.clear();
        for (const [each, value] of all) this.store.positions.set(each, value);
        await super.writePosition(queue, key, position);
      }
    },
    caughtBy: ['races › positions written at once: each key has one of those written'],
  },
  'a result written where the last one was': {
    Queue: class extends MemoryWebhookQueue {
      #verdicts: Verdicts = new Map();
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        this.#verdicts = verdicts;
        await this.moment();
        const [last] = this.#verdicts.values();
        const changed = [...verdicts].map(([id, verdict]) =>
          verdict.kind === 'done' && last?.kind === 'done' ? ([id, last] as const) : ([id, verdict] as const),
        );
        return super.finish(queue, lease, new Map(changed));
      }
    },
    caughtBy: ['races › results of many at once: each has its own'],
  },
  'a deadlock that comes out as it is': {
    Queue: class extends MemoryWebhookQueue {
      #underWay = 0;
      override async put(queue: string, contactId: string, job: Job) {
        this.#underWay += 1;
        try {
          await this.moment();
          if (this.#underWay > 4) throw new Error('deadlock detected');
          return await super.put(queue, contactId, job);
        } finally {
          this.#underWay -= 1;
        }
      }
    },
    caughtBy: [
      'races › puts at once: every job is stored, with an id of its own',
      'races › a burst of 300 contacts comes out whole',
    ],
    elsewhere: true,
  },
};
