// What one test of the queue contract stands on: a scene, names of its own, and ways to say what has to come out.
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type {
  DeadJob,
  Job,
  JobResult,
  Lease,
  QueueCounts,
  Settled,
  StoredJob,
  TakenContact,
  Verdict,
  WebhookQueue,
} from '../../../queue/queue';
import { expectSame, expectSuccess, expectTrue, fail, shown } from '../expectations';
import { between, type OnStage } from '../runner';
import { Hourglass } from './hourglass';
import type { QueueScene, Settings, WebhookQueueContractOptions } from './settings';

/** More contacts than any test puts. */
const EVERYTHING = 1000;
/** How often a test is run that needed longer than a lease before it counts as failed. */
const ATTEMPTS = 4;
/** For how many leases a test waits for what has to come. */
const PATIENCE = 10;
/** How often it looks in the time of a lease. */
const LOOKS = 25;

const METHODS = ['put', 'take', 'renew', 'finish', 'deadLetters', 'replay', 'purge', 'counts'] as const;

/** Longer than any test runs. */
export const HOUR = 3_600_000;

/** Ids that no job has, of every shape: a person may type them. */
export const UNKNOWN_IDS = [
  'no-such-job',
  '',
  '-1',
  '99999999999999999999',
  '1.5',
  '00000000-0000-4000-8000-000000000000',
] as const;

export const done = (result?: JobResult): Verdict => ({ kind: 'done', result });
export const later = (delayMs: number, job: Job): Verdict => ({ kind: 'later', delayMs, job });
export const dead = (job: Job): Verdict => ({ kind: 'dead', job });

/** Which queue object is asked, and under which name. */
export interface At {
  readonly by?: WebhookQueue | undefined;
  readonly queue?: string | undefined;
}

/** A job with the id it was given. */
export interface PutJob {
  readonly id: string;
  readonly job: Job;
}

/** Thrown where leases ran out while a test needed them: it has shown nothing, and is run once more. */
class TooSlow extends Error {}

/**
 * Opens the scene of every test. A test that failed after more than a lease is run once more where `repeats`: what it had taken
 * may have been given to others by right. Tests that wait for leases to run out see to that themselves.
 */
export const stageFor =
  (options: WebhookQueueContractOptions, settings: Settings, repeats: boolean): OnStage<Stage> =>
  async (body) => {
    for (let attempt = 1; ; attempt += 1) {
      const startedAt = performance.now();
      let leaseMs = Infinity;
      try {
        const scene = await options.open();
        expectWhole(scene, settings);
        ({ leaseMs } = scene.queue);
        await between(
          () => body(new Stage(scene, settings)),
          async () => await scene.close?.(),
        );
        return;
      } catch (error) {
        const isTooSlow = error instanceof TooSlow;
        const mayBeTooSlow = isTooSlow || (repeats && performance.now() - startedAt >= leaseMs);
        if (!mayBeTooSlow || attempt === ATTEMPTS) throw isTooSlow ? tooSlow(leaseMs) : error;
      }
    }
  };

const tooSlow = (leaseMs: number): unknown => {
  try {
    return fail(
      `A few calls took longer than a lease of the queue under test (leaseMs: ${leaseMs}), ${ATTEMPTS} times in a row, so nothing ` +
        'can be said about its leases: give it a longer one.',
    );
  } catch (error) {
    return error;
  }
};

/** A scene with a part missing fails by the name of the part, not as an error of the queue. */
function expectWhole(scene: QueueScene, settings: Settings): void {
  const { queue, other } = (scene as Partial<QueueScene> | undefined) ?? {};
  const optional = {
    settled: settings.results && 'results',
    readPosition: settings.positions && 'positions',
    writePosition: settings.positions && 'positions',
    readShared: settings.shared && 'shared',
    writeShared: settings.shared && 'shared',
  };
  for (const [name, each] of Object.entries({ queue, other: other ?? queue })) {
    for (const method of METHODS) {
      if (typeof each?.[method] === 'function') continue;
      fail(`open() has to give a scene whose ${name} has the method ${method}().`);
    }
    for (const [method, capability] of Object.entries(optional)) {
      if (capability === false || typeof each?.[method as keyof typeof optional] === 'function') continue;
      fail(
        `The ${name} of the scene has no method ${method}(). Where it is left out on purpose, say so: ` +
          `capabilities: { ${capability}: false }.`,
      );
    }
    const leaseMs: unknown = each?.leaseMs;
    if (typeof leaseMs === 'number' && leaseMs > 0 && leaseMs <= 5000) continue;
    fail(
      `leaseMs of the scene's ${name} has to be a number of milliseconds, and here a small one, since the suite waits for leases ` +
        `to run out: 500 is a good one. It is ${shown(leaseMs)}.`,
    );
  }
}

export class Stage {
  readonly queue: WebhookQueue;
  /** The second queue over the same store, or the first one again. */
  readonly other: WebhookQueue;
  readonly settings: Settings;
  /** Two names that no other test uses. */
  readonly name = `contract-${randomBytes(6).toString('hex')}`;
  readonly otherName = `${this.name}-2`;
  readonly #scene: QueueScene;
  #lastJob = 0;
  #lastGlass = 0;

  constructor(scene: QueueScene, settings: Settings) {
    this.#scene = scene;
    this.queue = scene.queue;
    this.other = scene.other ?? scene.queue;
    this.settings = settings;
  }

  /** A queue made anew over the same store. */
  async reopened(): Promise<WebhookQueue> {
    if (this.#scene.reopened === undefined) return this.other;
    return expectSuccess(async () => this.#scene.reopened?.() ?? this.other, 'reopened() of the scene');
  }

  /** The queues in turn, so that what is raced comes from both processes. */
  side(number: number): WebhookQueue {
    return number % 2 === 0 ? this.queue : this.other;
  }

  /** A job that differs from all others. */
  job(given: Partial<Job> & Readonly<Record<string, unknown>> = {}): Job {
    this.#lastJob += 1;
    const email = `person-${this.#lastJob}@example.com`;
    return {
      action: 'add',
      role: 'customer',
      email,
      receivedAt: 1_700_000_000_000 + this.#lastJob,
      ...given,
    };
  }

  // Calls that have to succeed

  async put(contactId: string, job: Job = this.job(), at: At = {}): Promise<PutJob> {
    const id: unknown = await expectSuccess(
      () => this.#at(at).put(this.#nameOf(at), contactId, job),
      `put() for the contact ${shown(contactId)}`,
    );
    if (typeof id !== 'string' || id === '') {
      fail(
        `put() has to give the id of the job as text, whatever the store has: String(id). It gave ${shown(id)}.`,
      );
    }
    return { id, job };
  }

  /** Puts several, one after the other. */
  async putAll(contactId: string, count: number, at: At = {}): Promise<PutJob[]> {
    const jobs: PutJob[] = [];
    for (let index = 0; index < count; index += 1) jobs.push(await this.put(contactId, this.job(), at));
    return jobs;
  }

  async take(limit = EVERYTHING, at: At = {}): Promise<TakenContact[]> {
    const taken: unknown = await expectSuccess(
      () => this.#at(at).take(this.#nameOf(at), limit),
      `take(queue, ${limit})`,
    );
    expectContacts(taken);
    const ids = taken.map(({ contactId }) => contactId);
    expectSame(ids, [...new Set(ids)], 'One take() may give a contact once only, with everything it has.');
    expectTrue(taken.length <= limit, `take(queue, ${limit}) gave more contacts than that: ${taken.length}.`);
    return taken;
  }

  async renew(leases: readonly Lease[], at: At = {}): Promise<Lease[]> {
    const renewed: unknown = await expectSuccess(
      () => this.#at(at).renew(this.#nameOf(at), leases.map(asLease)),
      `renew() of ${leases.length} leases`,
    );
    if (!Array.isArray(renewed) || renewed.some((lease) => typeof lease !== 'object' || lease === null)) {
      fail(`renew() has to give a list of those leases that are still held, and gave ${shown(renewed)}.`);
    }
    return renewed as Lease[];
  }

  finish(lease: Lease, verdicts: readonly (readonly [string, Verdict])[], at: At = {}): Promise<boolean> {
    return expectSuccess(
      () => this.#at(at).finish(this.#nameOf(at), asLease(lease), new Map(verdicts)),
      `finish() with the verdicts ${shown(verdicts.map(([, { kind }]) => kind))}`,
    );
  }

  async deadLetters(page: { after?: string; limit?: number } = {}, at: At = {}): Promise<DeadJob[]> {
    const asked = { limit: EVERYTHING, ...page };
    const letters: unknown = await expectSuccess(
      () => this.#at(at).deadLetters(this.#nameOf(at), asked),
      `deadLetters(queue, ${shown(asked)})`,
    );
    if (!Array.isArray(letters)) fail(`deadLetters() has to give a list, and gave ${shown(letters)}.`);
    return letters as DeadJob[];
  }

  replay(ids?: readonly string[], at: At = {}): Promise<number> {
    return expectSuccess(() => this.#at(at).replay(this.#nameOf(at), ids), `replay(queue, ${shown(ids)})`);
  }

  purge(ids?: readonly string[], at: At = {}): Promise<number> {
    return expectSuccess(() => this.#at(at).purge(this.#nameOf(at), ids), `purge(queue, ${shown(ids)})`);
  }

  async counts(at: At = {}): Promise<QueueCounts> {
    const counts: unknown = await expectSuccess(() => this.#at(at).counts(this.#nameOf(at)), 'counts()');
    if (typeof counts !== 'object' || counts === null)
      fail(`counts() has to give an object, not ${shown(counts)}.`);
    return counts as QueueCounts;
  }

  async settled(ids: readonly string[], at: At = {}): Promise<ReadonlyMap<string, Settled>> {
    const settled: unknown = await expectSuccess(
      async () => this.#at(at).settled?.(this.#nameOf(at), ids),
      `settled(queue, ${shown(ids)})`,
    );
    if (typeof (settled as Map<string, Settled> | undefined)?.entries !== 'function') {
      fail(`settled() has to give a Map from ids to what became of them, and gave ${shown(settled)}.`);
    }
    return settled as ReadonlyMap<string, Settled>;
  }

  readPosition(key: string, at: At = {}): Promise<string | null | undefined> {
    return expectSuccess(
      async () => this.#at(at).readPosition?.(this.#nameOf(at), key),
      `readPosition(queue, ${shown(key)})`,
    );
  }

  writePosition(key: string, position: string | null, at: At = {}): Promise<void> {
    return expectSuccess(
      async () => this.#at(at).writePosition?.(this.#nameOf(at), key, position),
      `writePosition(queue, ${shown(key)}, ${shown(position)})`,
    );
  }

  // What has to come out

  /** Takes what is due, which has to be this contact and no other. */
  async takeOnly(contactId: string, why: string, at: At = {}): Promise<TakenContact> {
    const taken = await this.take(EVERYTHING, at);
    const [first] = taken;
    if (first === undefined || taken.length > 1 || first.contactId !== contactId) {
      fail(
        `${why} take() has to give one contact, ${shown(contactId)}, to the letter.\n` +
          `received: ${shown(taken.map((contact) => contact.contactId))}`,
        { actual: taken.map((contact) => contact.contactId), expected: [contactId] },
      );
    }
    return first;
  }

  async expectNothingDue(why: string, at: At = {}): Promise<void> {
    const taken = await this.take(EVERYTHING, at);
    expectSame(
      taken.map(({ contactId }) => contactId),
      [],
      `${why} take() has to give an empty list.`,
    );
  }

  async expectFinished(
    lease: Lease,
    verdicts: readonly (readonly [string, Verdict])[],
    why: string,
    at: At = {},
  ): Promise<void> {
    const isFinished: unknown = await this.finish(lease, verdicts, at);
    expectSame(isFinished, true, `${why} The lease is held, so finish() has to give true.`);
  }

  async expectRefused(
    lease: Lease,
    verdicts: readonly (readonly [string, Verdict])[],
    why: string,
    at: At = {},
  ): Promise<void> {
    const isFinished: unknown = await this.finish(lease, verdicts, at);
    expectSame(isFinished, false, `${why} The lease is not held any more, so finish() has to give false.`);
  }

  async expectCounts(expected: { waiting: number; dead: number }, why: string, at: At = {}): Promise<void> {
    const { waiting, dead: given } = await this.counts(at);
    expectSame({ waiting, dead: given }, expected, `${why} counts() gave other numbers than it has to.`);
  }

  /** Puts a job and gives it up. */
  async bury(contactId: string, job: Job = this.job(), at: At = {}): Promise<PutJob> {
    const put = await this.put(contactId, job, at);
    const taken = await this.takeOnly(contactId, 'A job was put.', at);
    await this.expectFinished(taken, [[put.id, dead(job)]], 'The contact was taken.', at);
    return put;
  }

  /** A contact with one job, taken, whose lease has run out since, and that nobody else was given. */
  async ranOut(contactId: string, at: At = {}): Promise<{ put: PutJob; taken: TakenContact }> {
    const put = await this.put(contactId, this.job(), at);
    const taken = await this.takeOnly(contactId, 'A job was put.', at);
    // It was taken before the glass was turned, so its lease runs out before.
    const glass = await this.hourglass();
    await glass.runOut();
    return { put, taken };
  }

  /** A contact with one job, whose lease ran out and that the other queue was given: who has it now, and who had it. */
  async stolen(contactId: string): Promise<{ put: PutJob; late: TakenContact; current: TakenContact }> {
    const { put, taken: late } = await this.ranOut(contactId);
    const current = await this.takeOnly(contactId, 'The lease has run out.', { by: this.other });
    return { put, late, current };
  }

  // Time

  /** Something that runs out as a lease does, and begins now. */
  hourglass(): Promise<Hourglass> {
    this.#lastGlass += 1;
    return Hourglass.turn(this, `${this.name}-glass-${this.#lastGlass}`);
  }

  /** Waits until something is so, for a number of leases that is more than enough. */
  async until(isSo: () => Promise<boolean>, message: string): Promise<void> {
    const pause = this.queue.leaseMs / LOOKS;
    for (let look = 0; look <= PATIENCE * LOOKS; look += 1) {
      if (await isSo()) return;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    fail(`${message} The suite waited for ${PATIENCE} times leaseMs (${this.queue.leaseMs}).`);
  }

  /** Gives the test up as one that has shown nothing, where a lease that began with the glass may have run out. */
  async expectInTime(glass: Hourglass): Promise<void> {
    if (await glass.hasRunOut()) throw new TooSlow();
  }

  #at({ by }: At): WebhookQueue {
    return by ?? this.queue;
  }

  #nameOf({ queue }: At): string {
    return queue ?? this.name;
  }
}

/** What a worker hands back of a taken contact: the lease, without its jobs. */
const asLease = ({ contactId, token }: Lease): Lease => ({ contactId, token });

/** Something that looks at all like taken contacts. */
function expectContacts(value: unknown): asserts value is TakenContact[] {
  if (!Array.isArray(value)) fail(`take() has to give a list, also an empty one, and gave ${shown(value)}.`);
  for (const contact of value as Partial<Record<keyof TakenContact, unknown>>[]) {
    const { contactId, token, jobs } = contact;
    if (typeof contactId === 'string' && isText(token) && Array.isArray(jobs) && jobs.length > 0) continue;
    fail(
      'take() has to give contacts with contactId and token as text, and with their jobs, of which there is one at least; it gave ' +
        shown(contact),
      { actual: contact },
    );
  }
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';

/** Waits for all, also where one fails: no call may go on when the scene is closed. */
export async function atOnce<Calls extends readonly unknown[] | []>(
  calls: Calls,
): Promise<{ -readonly [Index in keyof Calls]: Awaited<Calls[Index]> }> {
  await Promise.allSettled(calls);
  return Promise.all(calls);
}

/** Whether a contact was taken with these jobs, whole and in this order. */
export function expectJobs(taken: TakenContact, expected: readonly PutJob[], why: string): void {
  expectSame(
    taken.jobs.map(({ id }) => id),
    expected.map(({ id }) => id),
    `${why} take() has to give the ids that put() gave, everything that waits for the contact, in the order it was put.`,
  );
  for (const [index, { job }] of expected.entries()) {
    expectSame(
      taken.jobs[index]?.job,
      job,
      `${why} A job has to come out as it was stored, whole and to the letter, also what you do not know of it: store it as JSON text.`,
    );
  }
}

/** Which of the jobs of a contact say that they are due. */
export const dueOf = (taken: TakenContact): (readonly [string, unknown])[] =>
  taken.jobs.map(({ id, isDue }: StoredJob) => [id, isDue] as const);

/** Whether these are the dead letters, whole and in this order. */
export function expectLetters(
  letters: readonly DeadJob[],
  expected: readonly (PutJob & { readonly contactId: string })[],
  why: string,
): void {
  expectSame(
    letters.map(({ id, contactId, job }) => ({ id, contactId, job })),
    expected.map(({ id, contactId, job }) => ({ id, contactId, job })),
    `${why} deadLetters() has to give what was given up, with the id that put() gave, whole, the oldest first.`,
  );
}
