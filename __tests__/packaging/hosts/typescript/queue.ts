// A site with a queue of its own: what it stores is worked off, dead letters are told, and walks are watched.
import assert from 'node:assert/strict';
import {
  MemoryActivityLog,
  MemoryUserRepository,
  wpFusionWebhook,
  type Activity,
  type ActivityAttempt,
  type ActivityCount,
  type ActivityEntry,
  type ActivityFilter,
  type ActivityLog,
  type ActivityRange,
  type ActivityRecord,
  type ActivityState,
  type BudgetStore,
  type Contact,
  type CrmClient,
  type DeadJob,
  type DeadLetters,
  type ImportOptions,
  type Job,
  type JobResult,
  type Lease,
  type MemoryActivityLogOptions,
  type QueueCounts,
  type QueueFinding,
  type ReconcileOptions,
  type Settled,
  type SharedPlace,
  type SharedText,
  type StoredJob,
  type TakenContact,
  type Verdict,
  type Walk,
  type WalkFailure,
  type WalkProgress,
  type WebhookQueue,
} from 'wp-fusion-webhook';

/** Counts what is told to it, and hands it on. */
class CountingLog implements ActivityLog {
  readonly states = new Map<ActivityState, number>();
  readonly #memory: MemoryActivityLog;

  constructor(options: MemoryActivityLogOptions) {
    this.#memory = new MemoryActivityLog(options);
  }

  async write(log: string, entries: readonly ActivityEntry[]): Promise<void> {
    for (const { state = 'waiting' } of entries) this.states.set(state, (this.states.get(state) ?? 0) + 1);
    await this.#memory.write(log, entries);
  }

  list(log: string, filter: ActivityFilter): Promise<readonly ActivityRecord[]> {
    return this.#memory.list(log, filter);
  }

  counts(log: string, range: ActivityRange): Promise<readonly ActivityCount[]> {
    return this.#memory.counts(log, range);
  }

  get(log: string, id: string): Promise<ActivityRecord | null> {
    return this.#memory.get(log, id);
  }

  forget(log: string, contactId: string): Promise<number> {
    return this.#memory.forget(log, contactId);
  }
}

interface Row {
  readonly id: string;
  readonly contactId: string;
  job: Job;
  state: 'waiting' | 'dead' | 'done';
  result?: JobResult;
}

/** Only for one process and one worker: nothing of it survives. */
class ArrayQueue implements WebhookQueue {
  readonly leaseMs = 30_000;
  readonly #rows: Row[] = [];
  readonly #taken = new Map<string, string>();
  readonly #shared = new Map<string, string>();

  async put(_queue: string, contactId: string, job: Job): Promise<string> {
    const id = String(this.#rows.length + 1);
    this.#rows.push({ id, contactId, job, state: 'waiting' });
    return id;
  }

  async take(_queue: string, limit: number): Promise<TakenContact[]> {
    const waiting = this.#rows.filter(
      ({ state, contactId }) => state === 'waiting' && !this.#taken.has(contactId),
    );
    const contacts = [...new Set(waiting.map(({ contactId }) => contactId))].slice(0, limit);
    return contacts.map((contactId) => {
      const token = `${contactId} ${Math.random()}`;
      this.#taken.set(contactId, token);
      const jobs = waiting.filter((row) => row.contactId === contactId);
      return { contactId, token, jobs: jobs.map(({ id, job }): StoredJob => ({ id, job, isDue: true })) };
    });
  }

  async renew(_queue: string, leases: readonly Lease[]): Promise<Lease[]> {
    return leases.filter(({ contactId, token }) => this.#taken.get(contactId) === token);
  }

  async finish(_queue: string, lease: Lease, verdicts: ReadonlyMap<string, Verdict>): Promise<boolean> {
    if (this.#taken.get(lease.contactId) !== lease.token) return false;
    for (const row of this.#rows) {
      const verdict = verdicts.get(row.id);
      if (verdict?.kind === 'done') {
        row.state = 'done';
        if (verdict.result !== undefined) row.result = verdict.result;
      } else if (verdict !== undefined) {
        row.job = verdict.job;
        if (verdict.kind === 'dead') row.state = 'dead';
      }
    }
    return this.#taken.delete(lease.contactId);
  }

  async deadLetters(): Promise<DeadJob[]> {
    return this.#rows
      .filter(({ state }) => state === 'dead')
      .map(({ id, contactId, job }) => ({ id, contactId, job }));
  }

  async replay(): Promise<number> {
    const dead = this.#rows.filter(({ state }) => state === 'dead');
    for (const row of dead) row.state = 'waiting';
    return dead.length;
  }

  async purge(): Promise<number> {
    return 0;
  }

  async counts(): Promise<QueueCounts> {
    const count = (state: Row['state']): number => this.#rows.filter((row) => row.state === state).length;
    return { waiting: count('waiting'), dead: count('dead'), oldestWaiting: null };
  }

  async settled(_queue: string, ids: readonly string[]): Promise<ReadonlyMap<string, Settled>> {
    const settled = new Map<string, Settled>();
    for (const { id, state, job, result } of this.#rows) {
      if (!ids.includes(id)) continue;
      if (state === 'dead') settled.set(id, { kind: 'dead', job });
      else if (result !== undefined) settled.set(id, { kind: 'done', result });
    }
    return settled;
  }

  async readShared(_queue: string, key: string): Promise<SharedText> {
    return { text: this.#shared.get(key) ?? null, now: Date.now() };
  }

  async writeShared(_queue: string, key: string, expected: string | null, text: string): Promise<boolean> {
    if ((this.#shared.get(key) ?? null) !== expected) return false;
    this.#shared.set(key, text);
    return true;
  }

  async check(): Promise<QueueFinding[]> {
    return [];
  }
}

const CONTACTS: readonly Contact[] = ['1', '2'].map((id) => ({
  ...{
    id,
    email: id === '1' ? 'mary@example.com' : null,
    tags: [{ id: '7', name: 'Member' }],
    modifiedAt: null,
  },
  fields: { email: id === '1' ? 'mary@example.com' : null },
}));

let budget: BudgetStore | undefined;
const crm: CrmClient = {
  shareBudget: (store) => {
    budget = store;
  },
  maxBatchSize: 50,
  getContacts: async (ids) =>
    new Map(CONTACTS.filter(({ id }) => ids.includes(id)).map((one) => [one.id, one])),
  updateContact: async () => undefined,
  async *listContacts() {
    yield* CONTACTS;
  },
};

async function main(): Promise<void> {
  const users = new MemoryUserRepository();
  const activityLog = new CountingLog({ records: 100 });
  const webhook = wpFusionWebhook({
    ...{ accessKey: 'the-key-of-this-site', crm, users, queue: new ArrayQueue(), logger: false },
    activityLog,
  });
  assert.equal(await budget?.write(null, 'all of it'), true);
  const place: SharedPlace | undefined = budget;
  assert.equal((await place?.read())?.text, 'all of it');
  const options: ImportOptions = { tag: 'Member' };
  const walk: Walk = webhook.importContacts(options);
  let last: WalkProgress | undefined;
  for await (const progress of walk) last = progress;
  assert.deepEqual({ created: last?.created, failed: last?.failed }, { created: 1, failed: 1 });
  const failure: WalkFailure | undefined = (await walk).failures[0];
  assert.equal(failure?.code, 'CONTACT_WITHOUT_EMAIL');
  assert.equal(users.all().length, 1);

  const since: ReconcileOptions = { since: new Date(0) };
  assert.equal((await webhook.reconcile(since)).unchanged, 1);
  const letters: DeadLetters = webhook.deadLetters;
  assert.equal((await letters.list()).length, (await webhook.queueCounts()).dead);

  const activity: Activity = webhook.activity;
  const attempt: ActivityAttempt = { at: 1, durationMs: 5, contactReads: 1, code: null, detail: null };
  await activityLog.write('default', [{ id: 'a1', receivedAt: 1, contactId: '1', state: 'done', attempt }]);
  assert.equal(activityLog.states.get('done'), 1);
  assert.deepEqual((await activity.list({ state: 'done' }))[0]?.attempts, [attempt]);
  assert.equal((await activity.get('a1'))?.contactId, '1');
  assert.equal(await activity.forget('1'), 1);
  await webhook.close();
}

// A failure is an unhandled rejection, which ends the process.
void main();
