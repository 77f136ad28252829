// Queues that make something else of a verdict, or take one from whoever has no right to give it.
import type { Job, Lease, Verdict } from '../../../../lib/queue/queue';
import { MemoryWebhookQueue, type BrokenQueues, type Row } from '../memory-queue';

type Verdicts = ReadonlyMap<string, Verdict>;

export const finishing: BrokenQueues = {
  'finish without looking at the token': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        const token = this.holdOf(queue, lease.contactId)?.token ?? '';
        return super.finish(queue, { ...lease, token }, verdicts);
      }
    },
    caughtBy: [
      'lease › the slow worker is refused, and changes nothing: done',
      'lease › the slow worker is refused, and changes nothing: later',
      'lease › the slow worker is refused, and changes nothing: dead',
      'lease › the slow worker does not free the contact of the newer one',
      'finish › is refused with the token of another contact, and with none of its own',
    ],
    elsewhere: true,
  },
  ...Object.fromEntries(
    (['done', 'later', 'dead'] as const).map((kind) => [
      `${kind} without looking at the token`,
      {
        Queue: class extends MemoryWebhookQueue {
          override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
            for (const [id, verdict] of verdicts) {
              const row = this.rowFor(queue, lease.contactId, id);
              if (row !== undefined && verdict.kind === kind) this.judge(row, verdict);
            }
            return super.finish(queue, lease, verdicts);
          }
        },
        caughtBy: [`lease › the slow worker is refused, and changes nothing: ${kind}`],
        elsewhere: true,
      } as const,
    ]),
  ),
  'a refused finish frees the contact': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        const isFinished = await super.finish(queue, lease, verdicts);
        if (!isFinished) this.release(queue, lease.contactId);
        return isFinished;
      }
    },
    caughtBy: ['lease › the slow worker does not free the contact of the newer one'],
    elsewhere: true,
  },
  'finish is true whatever happened': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        await super.finish(queue, lease, verdicts);
        return true;
      }
    },
    caughtBy: [
      'finish › a second time it is refused, and changes nothing',
      'finish › is refused when the contact is gone',
    ],
    elsewhere: true,
  },
  'finish of what is gone is true': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        return (
          (await super.finish(queue, lease, verdicts)) || this.inbox(queue, lease.contactId).length === 0
        );
      }
    },
    caughtBy: [
      'finish › is refused when the contact is gone',
      'finish › is refused with the token of another contact, and with none of its own',
      'races › finishes of one lease at once: one ends it',
    ],
    elsewhere: true,
  },
  'finish gives the number of rows': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        return Number(await super.finish(queue, lease, verdicts)) as unknown as boolean;
      }
    },
    caughtBy: ['finish › done: the job is gone'],
    elsewhere: true,
  },
  'the token stays with a free contact': {
    Queue: class extends MemoryWebhookQueue {
      override release(queue: string, contactId: string) {
        const hold = this.holdOf(queue, contactId);
        if (hold !== undefined) hold.until = 0;
      }
    },
    caughtBy: [
      'finish › a second time it is refused, and changes nothing',
      'finish › is refused when the contact is gone',
      'lease › renew gives the leases that are held, and no others',
    ],
    elsewhere: true,
  },
  'finish that does not free the contact': {
    Queue: class extends MemoryWebhookQueue {
      override release() {}
    },
    caughtBy: ['finish › no verdict at all frees the contact and changes nothing'],
    elsewhere: true,
  },
  'finish frees every contact': {
    Queue: class extends MemoryWebhookQueue {
      override release(queue: string, contactId: string) {
        super.release(queue, contactId);
        for (const row of this.rows(queue)) super.release(queue, row.contactId);
      }
    },
    caughtBy: ['finish › frees the contact and no other'],
    elsewhere: true,
  },
  'finish deletes the whole inbox': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        const inbox = this.inbox(queue, lease.contactId);
        const isFinished = await super.finish(queue, lease, verdicts);
        if (isFinished && [...verdicts.values()].every(({ kind }) => kind === 'done')) {
          for (const row of inbox) row.state = 'done';
        }
        return isFinished;
      }
    },
    caughtBy: [
      'put, while › the contact is worked on: it is due after finish, and finish does not delete it',
      'finish › no verdict at all frees the contact and changes nothing',
      'races › put against finish: the new job comes next (done)',
    ],
    elsewhere: true,
  },
  'no verdict means done': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        const taken = this.inbox(queue, lease.contactId).filter(({ id }) => !verdicts.has(id));
        const isFinished = await super.finish(queue, lease, verdicts);
        if (isFinished && verdicts.size > 0) for (const row of taken) row.state = 'done';
        return isFinished;
      }
    },
    caughtBy: ['finish › every verdict at once; what has none stays'],
    elsewhere: true,
  },
  'jobs without a verdict are put off with the others': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        const isFinished = await super.finish(queue, lease, verdicts);
        const inbox = this.inbox(queue, lease.contactId);
        const dueAt = Math.max(...inbox.map((row) => row.dueAt));
        if (isFinished && verdicts.size > 0) for (const row of inbox) row.dueAt = dueAt;
        return isFinished;
      }
    },
    caughtBy: [
      'finish › every verdict at once; what has none stays',
      'put, while › the worker puts its own jobs off: the contact is due all the same',
    ],
    elsewhere: true,
  },
  'later keeps the old story': {
    Queue: class extends MemoryWebhookQueue {
      override judge(row: Row, verdict: Verdict) {
        super.judge(row, verdict.kind === 'later' ? { ...verdict, job: this.read(row.job) } : verdict);
      }
    },
    caughtBy: [
      'finish › later: the job keeps its id and has its new story',
      'finish › every verdict at once; what has none stays',
      'finish › keeps awkward stories to the letter',
    ],
  },
  'dead letters keep the old story': {
    Queue: class extends MemoryWebhookQueue {
      override judge(row: Row, verdict: Verdict) {
        super.judge(row, verdict.kind === 'dead' ? { ...verdict, job: this.read(row.job) } : verdict);
      }
    },
    caughtBy: [
      'finish › dead: the job is a dead letter with its id and its new story, and never taken',
      'finish › every verdict at once; what has none stays',
      'dead letters › a replayed one is a job like any other',
      'settled › gives what is dead, with its story, until it is replayed or deleted',
    ],
  },
  'later is a new job': {
    Queue: class extends MemoryWebhookQueue {
      override judge(row: Row, verdict: Verdict) {
        super.judge(row, verdict);
        if (verdict.kind !== 'later') return;
        this.store.rows.delete(row.id);
        const id = this.store.next();
        this.store.rows.set(id, { ...row, id });
      }
    },
    caughtBy: ['finish › later: the job keeps its id and has its new story'],
    elsewhere: true,
  },
  'later is at once': {
    Queue: class extends MemoryWebhookQueue {
      override judge(row: Row, verdict: Verdict) {
        super.judge(row, verdict.kind === 'later' ? { ...verdict, delayMs: 0 } : verdict);
      }
    },
    caughtBy: [
      'take › does not give a contact before it is due',
      'finish › later: the job is due after the delay and not before',
      'finish › later: a delay may be a fraction, and may be months',
    ],
    elsewhere: true,
  },
  'delays as seconds': {
    Queue: class extends MemoryWebhookQueue {
      override judge(row: Row, verdict: Verdict) {
        super.judge(
          row,
          verdict.kind === 'later' ? { ...verdict, delayMs: verdict.delayMs * 1000 } : verdict,
        );
      }
    },
    caughtBy: [
      'finish › later: the job is due after the delay and not before',
      'lease › lasts about leaseMs, compared with what is put off',
    ],
    elsewhere: true,
  },
  'delays in a column of 32 bits': {
    Queue: class extends MemoryWebhookQueue {
      override judge(row: Row, verdict: Verdict) {
        super.judge(row, verdict.kind === 'later' ? { ...verdict, delayMs: verdict.delayMs | 0 } : verdict);
      }
    },
    caughtBy: ['finish › later: a delay may be a fraction, and may be months'],
  },
  'delays that have to be whole': {
    Queue: class extends MemoryWebhookQueue {
      override judge(row: Row, verdict: Verdict) {
        if (verdict.kind === 'later' && !Number.isInteger(verdict.delayMs)) {
          throw new Error('invalid input syntax for type bigint');
        }
        super.judge(row, verdict);
      }
    },
    caughtBy: ['finish › later: a delay may be a fraction, and may be months'],
  },
  'dead jobs deleted': {
    Queue: class extends MemoryWebhookQueue {
      override judge(row: Row, verdict: Verdict) {
        super.judge(row, verdict.kind === 'dead' ? { kind: 'done' } : verdict);
      }
    },
    caughtBy: ['finish › dead: the job is a dead letter with its id and its new story, and never taken'],
    elsewhere: true,
  },
  'dead jobs go on waiting': {
    Queue: class extends MemoryWebhookQueue {
      override inbox(queue: string, contactId: string) {
        return this.rows(queue).filter((row) => row.state !== 'done' && row.contactId === contactId);
      }
    },
    caughtBy: ['finish › dead: the job is a dead letter with its id and its new story, and never taken'],
    elsewhere: true,
  },
  'verdicts on jobs of other contacts': {
    Queue: class extends MemoryWebhookQueue {
      override rowFor(queue: string, _contactId: string, id: string) {
        return this.rows(queue).find((row) => row.id === id && row.state === 'waiting');
      }
    },
    caughtBy: [
      'finish › verdicts on a job of another contact do nothing: done',
      'finish › verdicts on a job of another contact do nothing: later',
      'finish › verdicts on a job of another contact do nothing: dead',
    ],
    elsewhere: true,
  },
  'verdicts on jobs that are over': {
    Queue: class extends MemoryWebhookQueue {
      override rowFor(queue: string, contactId: string, id: string) {
        return this.rows(queue).find((row) => row.id === id && row.contactId === contactId);
      }
    },
    caughtBy: [
      'finish › verdicts on a job that is over do nothing: done',
      'finish › verdicts on a job that is over do nothing: later',
      'finish › verdicts on a job that is over do nothing: dead',
    ],
  },
  'unknown jobs are an error': {
    Queue: class extends MemoryWebhookQueue {
      override rowFor(queue: string, contactId: string, id: string) {
        if (!/^\d{1,18}$/.test(id)) throw new Error('invalid input syntax for type bigint');
        return super.rowFor(queue, contactId, id);
      }
    },
    caughtBy: ['finish › verdicts on jobs that nobody knows do nothing'],
  },
  'unknown jobs are made': {
    Queue: class extends MemoryWebhookQueue {
      override rowFor(queue: string, contactId: string, id: string) {
        if (!this.store.rows.has(id)) {
          const row = { id, queue, contactId, putAt: 0, job: '{}', dueAt: 0, result: undefined };
          this.store.rows.set(id, { ...row, state: 'waiting' });
        }
        return super.rowFor(queue, contactId, id);
      }
    },
    caughtBy: ['finish › verdicts on jobs that nobody knows do nothing'],
  },
  'fifty verdicts at most': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        return super.finish(queue, lease, new Map([...verdicts].slice(0, 50)));
      }
    },
    caughtBy: ['finish › 200 verdicts at once', 'dead letters › 200 ids at once'],
  },
  'one kind of verdict for all': {
    Queue: class extends MemoryWebhookQueue {
      override async finish(queue: string, lease: Lease, verdicts: Verdicts) {
        const { kind } = [...verdicts.values()][0] ?? {};
        return super.finish(
          queue,
          lease,
          new Map([...verdicts].filter(([, verdict]) => verdict.kind === kind)),
        );
      }
    },
    caughtBy: ['finish › every verdict at once; what has none stays', 'finish › 200 verdicts at once'],
    elsewhere: true,
  },
  'a lease in the memory of the process that took it': {
    Queue: class extends MemoryWebhookQueue {
      readonly #mine = new Set<string>();
      override hold(queue: string, contactId: string) {
        const taken = super.hold(queue, contactId);
        this.#mine.add(taken.token);
        return taken;
      }
      override isHeld(queue: string, lease: Lease) {
        return this.#mine.has(lease.token) && super.isHeld(queue, lease);
      }
    },
    caughtBy: [
      'several processes › a lease of one is as good in the other',
      'several processes › after a restart everything is as it was',
    ],
    elsewhere: true,
  },
  'jobs kept in memory for a while': {
    Queue: class extends MemoryWebhookQueue {
      readonly #mine = new Set<string>();
      override async put(queue: string, contactId: string, job: Job) {
        const id = await super.put(queue, contactId, job);
        this.#mine.add(id);
        return id;
      }
      override rows(queue: string) {
        return super.rows(queue).filter(({ id }) => this.#mine.has(id));
      }
    },
    caughtBy: [
      'take › gives what another process put, at once',
      'several processes › after a restart everything is as it was',
    ],
    elsewhere: true,
  },
};
