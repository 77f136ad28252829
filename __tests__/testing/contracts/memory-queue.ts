// A webhook queue in memory, for tests. Every rule is a method of its own, which a broken queue overrides. Two queues can share
// a store, as two processes share a database.
import { setImmediate as turn } from 'node:timers/promises';
import type {
  DeadJob,
  Job,
  JobResult,
  Lease,
  QueueCounts,
  QueueFinding,
  Settled,
  SharedText,
  StoredJob,
  TakenContact,
  Verdict,
  WebhookQueue,
} from '../../../lib/queue/queue';

/** A webhook in the store, also when it is over. */
export interface Row {
  readonly id: string;
  readonly queue: string;
  readonly contactId: string;
  readonly putAt: number;
  job: string;
  state: 'waiting' | 'dead' | 'done';
  dueAt: number;
  result: string | undefined;
}

/** Who works on a contact, or did so last. */
export interface Hold {
  readonly token: string;
  until: number;
}

/** What several queues share. */
export class QueueStore {
  readonly rows = new Map<string, Row>();
  readonly holds = new Map<string, Hold>();
  readonly positions = new Map<string, string>();
  readonly shared = new Map<string, string>();
  #last = 0;

  next(): string {
    this.#last += 1;
    return String(this.#last);
  }
}

export interface MemoryWebhookQueueOptions {
  /** Default 60,000. */
  readonly leaseMs?: number | undefined;
  /** Milliseconds since 1970; default the clock of the machine. A test that turns its own clock needs no waiting. */
  readonly now?: (() => number) | undefined;
  /** Default: one of its own. */
  readonly store?: QueueStore | undefined;
}

/** No timer and no waiting in it: each method is one atomic step, and time goes by as `now` says. */
export class MemoryWebhookQueue implements WebhookQueue {
  readonly leaseMs: number;
  readonly store: QueueStore;
  readonly now: () => number;

  constructor({
    leaseMs = 60_000,
    now = Date.now,
    store = new QueueStore(),
  }: MemoryWebhookQueueOptions = {}) {
    this.leaseMs = leaseMs;
    this.now = now;
    this.store = store;
  }

  async put(queue: string, contactId: string, job: Job): Promise<string> {
    const id = this.store.next();
    const now = this.now();
    this.store.rows.set(id, {
      ...{ id, queue, contactId, putAt: now, job: this.write(job) },
      ...{ state: 'waiting', dueAt: now, result: undefined },
    });
    return id;
  }

  async take(queue: string, limit: number): Promise<TakenContact[]> {
    return this.dueContacts(queue)
      .slice(0, limit)
      .map((contactId) => this.hold(queue, contactId));
  }

  async renew(queue: string, leases: readonly Lease[]): Promise<Lease[]> {
    const held = leases.filter((lease) => this.isHeld(queue, lease));
    for (const { contactId } of held) this.holdOf(queue, contactId)!.until = this.now() + this.leaseMs;
    return held;
  }

  async finish(queue: string, lease: Lease, verdicts: ReadonlyMap<string, Verdict>): Promise<boolean> {
    if (!this.isHeld(queue, lease)) return false;
    for (const [id, verdict] of verdicts) {
      const row = this.rowFor(queue, lease.contactId, id);
      if (row !== undefined) this.judge(row, verdict);
    }
    this.release(queue, lease.contactId);
    return true;
  }

  async deadLetters(
    queue: string,
    { after, limit }: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<DeadJob[]> {
    const dead = this.dead(queue);
    const from = after === undefined ? 0 : dead.findIndex(({ id }) => id === after) + 1;
    return dead
      .slice(from, from + limit)
      .map(({ id, contactId, job }) => ({ id, contactId, job: this.read(job) }));
  }

  async replay(queue: string, ids?: readonly string[]): Promise<number> {
    const rows = this.dead(queue, ids);
    for (const row of rows) this.revive(row);
    return rows.length;
  }

  async purge(queue: string, ids?: readonly string[]): Promise<number> {
    const rows = this.dead(queue, ids);
    for (const { id } of rows) this.store.rows.delete(id);
    return rows.length;
  }

  async counts(queue: string): Promise<QueueCounts> {
    const waiting = this.rows(queue).filter(({ state }) => state === 'waiting');
    const oldest = Math.min(...waiting.map(({ putAt }) => putAt));
    return {
      waiting: waiting.length,
      dead: this.dead(queue).length,
      oldestWaiting: waiting.length === 0 ? null : new Date(oldest),
    };
  }

  async settled(queue: string, ids: readonly string[]): Promise<ReadonlyMap<string, Settled>> {
    const settled = new Map<string, Settled>();
    for (const row of this.rows(queue)) {
      const outcome = ids.includes(row.id) ? this.outcome(row) : undefined;
      if (outcome !== undefined) settled.set(row.id, outcome);
    }
    return settled;
  }

  async readPosition(queue: string, key: string): Promise<string | null> {
    return this.store.positions.get(this.positionKey(queue, key)) ?? null;
  }

  async writePosition(queue: string, key: string, position: string | null): Promise<void> {
    if (position === null) this.store.positions.delete(this.positionKey(queue, key));
    else this.store.positions.set(this.positionKey(queue, key), position);
  }

  async readShared(queue: string, key: string): Promise<SharedText> {
    return { text: this.sharedTexts().get(this.sharedKey(queue, key)) ?? null, now: this.now() };
  }

  async writeShared(queue: string, key: string, expected: string | null, text: string): Promise<boolean> {
    const isExpected = this.isThere(queue, key, expected);
    if (isExpected) this.sharedTexts().set(this.sharedKey(queue, key), text);
    return isExpected;
  }

  async check(): Promise<QueueFinding[]> {
    return [];
  }

  // The rules

  /** What is stored of a job. */
  write(job: Job): string {
    return JSON.stringify(job);
  }

  /** What is given of it. */
  read(job: string): Job {
    return JSON.parse(job) as Job;
  }

  nameKey(queue: string): string {
    return queue;
  }

  contactKey(contactId: string): string {
    return contactId;
  }

  positionKey(queue: string, key: string): string {
    return JSON.stringify([queue, key]);
  }

  sharedKey(queue: string, key: string): string {
    return JSON.stringify([queue, key]);
  }

  sharedTexts(): Map<string, string> {
    return this.store.shared;
  }

  isThere(queue: string, key: string, expected: string | null): boolean {
    return (this.sharedTexts().get(this.sharedKey(queue, key)) ?? null) === expected;
  }

  rows(queue: string): Row[] {
    return [...this.store.rows.values()].filter((row) => this.nameKey(row.queue) === this.nameKey(queue));
  }

  /** Everything that a contact has waiting, in the order it was put. */
  inbox(queue: string, contactId: string): Row[] {
    return this.rows(queue).filter(
      (row) => row.state === 'waiting' && this.contactKey(row.contactId) === this.contactKey(contactId),
    );
  }

  /** Dead letters, those with these ids or all. */
  dead(queue: string, ids?: readonly string[]): Row[] {
    return this.rows(queue).filter(({ state, id }) => state === 'dead' && (ids?.includes(id) ?? true));
  }

  isDue(row: Row): boolean {
    return row.dueAt <= this.now();
  }

  /** Contacts that are due and free, those that have waited longest first. */
  dueContacts(queue: string): string[] {
    const due = this.rows(queue)
      .filter((row) => row.state === 'waiting' && this.isDue(row) && this.isFree(queue, row.contactId))
      .sort((one, two) => one.dueAt - two.dueAt);
    return [...new Map(due.map(({ contactId }) => [this.contactKey(contactId), contactId])).values()];
  }

  holdKey(queue: string, contactId: string): string {
    return JSON.stringify([this.nameKey(queue), this.contactKey(contactId)]);
  }

  holdOf(queue: string, contactId: string): Hold | undefined {
    return this.store.holds.get(this.holdKey(queue, contactId));
  }

  isFree(queue: string, contactId: string): boolean {
    const hold = this.holdOf(queue, contactId);
    return hold === undefined || hold.until <= this.now();
  }

  /** Whether nobody else was given the contact since. */
  isHeld(queue: string, lease: Lease): boolean {
    return this.holdOf(queue, lease.contactId)?.token === lease.token;
  }

  hold(queue: string, contactId: string): TakenContact {
    const token = `token-${this.store.next()}`;
    this.store.holds.set(this.holdKey(queue, contactId), { token, until: this.now() + this.leaseMs });
    return { contactId, token, jobs: this.inbox(queue, contactId).map((row) => this.given(row)) };
  }

  given(row: Row): StoredJob {
    return { id: row.id, job: this.read(row.job), isDue: this.isDue(row) };
  }

  release(queue: string, contactId: string): void {
    this.store.holds.delete(this.holdKey(queue, contactId));
  }

  /** The row that a verdict is on. */
  rowFor(queue: string, contactId: string, id: string): Row | undefined {
    return this.inbox(queue, contactId).find((row) => row.id === id);
  }

  judge(row: Row, verdict: Verdict): void {
    if (verdict.kind === 'done') {
      row.state = 'done';
      row.result = verdict.result && JSON.stringify(verdict.result);
      return;
    }
    row.job = this.write(verdict.job);
    if (verdict.kind === 'dead') row.state = 'dead';
    else row.dueAt = this.now() + verdict.delayMs;
  }

  revive(row: Row): void {
    row.state = 'waiting';
    row.dueAt = this.now();
  }

  outcome({ state, job, result }: Row): Settled | undefined {
    if (state === 'dead') return { kind: 'dead', job: this.read(job) };
    if (state !== 'done' || result === undefined) return undefined;
    return { kind: 'done', result: JSON.parse(result) as JobResult };
  }

  /** Lets others do something in between. */
  moment(): Promise<void> {
    return turn();
  }
}

/** Queues that are broken in one way each, as they are in practice, and what has to catch them. */
export type BrokenQueues = Readonly<
  Record<
    string,
    {
      readonly Queue: new (options: MemoryWebhookQueueOptions) => MemoryWebhookQueue;
      /** The tests that have to fail, and no others … */
      readonly caughtBy: readonly string[];
      /** … unless it breaks what many tests need. */
      readonly elsewhere?: true;
    }
  >
>;
