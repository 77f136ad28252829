// What the core asks of a store of webhooks: the interface that a queue implements. What a webhook means is not its business.

/**
 * A webhook as it is stored, and what became of it so far. Plain data that survives JSON, without any secret; a queue stores
 * it whole and looks into nothing of it. Later versions may add properties. What {@link WebhookQueue} stores.
 */
export interface Job {
  /** `add`, `update` or `update_tags`; `settle`: only what is still owed to the user of the contact. */
  readonly action: string;
  /** The role asked for. */
  readonly role?: string | undefined;
  /** Whether a welcome mail was asked for. */
  readonly sendNotification?: boolean | undefined;
  /** Finds the user where none has the contact id. */
  readonly email?: string | undefined;
  /** Milliseconds since 1970 when the webhook was received. */
  readonly receivedAt: number;
  /** Tells this webhook from all others, in the log and in the activity log. */
  readonly correlationId?: string | undefined;
  /** The trace that it was stored in: headers by which whoever works it off goes on with that. */
  readonly trace?: Readonly<Record<string, string>> | undefined;
  /** Whether somebody waits for the result. */
  readonly awaited?: boolean | undefined;
  /** How often it has failed in the present way. Pauses do not count. */
  readonly tries?: number | undefined;
  /** How often in a row it has met a CRM that was not to be had. */
  readonly pauses?: number | undefined;
  /** What it failed with last. Its `detail` holds no secret. */
  readonly failure?: { readonly code: string; readonly detail: string; readonly at: number } | undefined;
}

/** A stored webhook, as it is taken. A part of what {@link WebhookQueue}`.take` gives. */
export interface StoredJob {
  /** The queue's own id. */
  readonly id: string;
  /** The webhook, as it was put or as the last verdict left it. */
  readonly job: Job;
  /** Whether its time has come. One that waits to be tried again is taken along when another webhook of the contact is due. */
  readonly isDue: boolean;
}

/** The right to work on one contact, for as long as it is renewed. {@link WebhookQueue} shows it at work. */
export interface Lease {
  /** The contact that is worked on. */
  readonly contactId: string;
  /** Differs with every taking: the fencing token. */
  readonly token: string;
}

/** A contact that was taken, with everything that waits for it. What {@link WebhookQueue}`.take` gives. */
export interface TakenContact extends Lease {
  /** In the order they were put. Never empty. */
  readonly jobs: readonly StoredJob[];
  /** The trace of the taking, where the queue has one of its own: the work is part of that. As in {@link Job}. */
  readonly trace?: Readonly<Record<string, string>> | undefined;
}

/**
 * What becomes of a job: it is done, tried again later (with its story as `job`), or dead. What {@link
 * WebhookQueue}`.finish` takes.
 */
export type Verdict =
  | { readonly kind: 'done'; readonly result?: JobResult | undefined }
  | { readonly kind: 'later'; readonly delayMs: number; readonly job: Job }
  | { readonly kind: 'dead'; readonly job: Job };

/**
 * The result of a job that somebody waits for: plain data that survives JSON. A queue looks into nothing of it. {@link
 * WebhookQueue}`.settled` gives it.
 */
export type JobResult = Readonly<Record<string, unknown>>;

/** What became of an awaited job. What {@link WebhookQueue}`.settled` gives. */
export type Settled =
  { readonly kind: 'done'; readonly result: JobResult } | { readonly kind: 'dead'; readonly job: Job };

/** A webhook that was given up. {@link DeadLetters} lists them. */
export interface DeadJob {
  /** The id that `put` gave it. */
  readonly id: string;
  /** The contact it is about. */
  readonly contactId: string;
  /** The webhook; `job.failure` says why it was given up. */
  readonly job: Job;
}

/** How much there is in a queue. What {@link WebhookQueue}`.counts` and `queueCounts()` of the middleware give. */
export interface QueueCounts {
  /** Webhooks that are waiting or being worked on. */
  readonly waiting: number;
  /** Webhooks that were given up. */
  readonly dead: number;
  /** When the oldest waiting one was put, or `null`. */
  readonly oldestWaiting: Date | null;
}

/** Something that keeps a queue from its promises, in words. What {@link WebhookQueue}`.check` gives. */
export interface QueueFinding {
  /** `error`: no webhook can be stored until it is mended. `warning`: it works, but survives less than it should. */
  readonly severity: 'error' | 'warning';
  /** What is wrong, and what to do about it. */
  readonly message: string;
}

/** What is shared by all processes under one key. What {@link WebhookQueue}`.readShared` gives. */
export interface SharedText {
  /** What was written last, or `null`. */
  readonly text: string | null;
  /** Milliseconds since 1970, by the clock of the store. */
  readonly now: number;
}

/**
 * Where webhooks are stored before they are acknowledged. `KnexWebhookQueue` keeps them in the host's database; a queue of your
 * own passes `webhookQueueContract` of `wp-fusion-webhook/testing`. [docs/delivery.md](../../docs/delivery.md) tells what is made of it.
 *
 * A queue is a set of inboxes, one for each contact. Everything a contact has is taken together, by one worker at a time.
 * `queue` is the `name` of the middleware: what is stored under one name is never seen under another. One object may be used
 * for several names, by several workers, and in several processes at once.
 *
 * Whatever a method throws means that the store is not to be had right now; it is tried again, or answered with
 * `QUEUE_UNAVAILABLE`. A method that threw may have done its work all the same.
 *
 * Not asked for: that contacts are taken in the order in which they became due (nearly is enough), that a job is stored once
 * when `put` threw and was called again, or that a queue knows what a job means.
 *
 * @example
 * const id = await queue.put('default', '42', { action: 'update', receivedAt: Date.now() });
 * for (const taken of await queue.take('default', 10)) {
 *   const verdicts = new Map<string, Verdict>(taken.jobs.map((job) => [job.id, { kind: 'done' }]));
 *   await queue.finish('default', taken, verdicts);
 * }
 */
export interface WebhookQueue {
  /**
   * Milliseconds for which a taken contact stays with its worker without being renewed. A worker renews three times in this
   * time; so it is also how long the jobs of a worker that died wait at most.
   */
  readonly leaseMs: number;

  /**
   * Adds a job to the end of a contact's inbox, due now. Resolves, with the job's id, when it is stored as durably as this
   * store can: the webhook is acknowledged then, and may never be lost. It is never merged with another one here, also not
   * while the contact is being worked on. A contact that is free is due with it at once, whatever else waits for a later time.
   */
  put(queue: string, contactId: string, job: Job): Promise<string>;

  /**
   * Takes up to `limit` contacts that are due and with no worker, those that have waited longest first as far as it is easy,
   * each with *all* its jobs, also those that are not due. From then on nobody else is given the contact, until `finish` is
   * called or the lease runs out. Resolves with an empty list when nothing is due; never waits for anything to become so.
   */
  take(queue: string, limit: number): Promise<TakenContact[]>;

  /**
   * Makes leases last another `leaseMs` from now, where they are still held. Resolves with those. One that ran out and was given
   * to nobody since is still held.
   */
  renew(queue: string, leases: readonly Lease[]): Promise<Lease[]>;

  /**
   * Ends the work on a contact, in one step: jobs that are `done` are gone, those for `later` are due after `delayMs`, dead ones
   * are kept as dead letters, and everything else stays as it is, also what was put since. The contact is free then, and due when
   * the first of its jobs is.
   *
   * A verdict on a job that the contact does not have waiting (any more) does nothing. A job keeps its id, also as a dead letter.
   *
   * Resolves with `false`, and changes nothing, when the lease is not held any more. A lease that ran out and was given to
   * nobody since is still held.
   */
  finish(queue: string, lease: Lease, verdicts: ReadonlyMap<string, Verdict>): Promise<boolean>;

  /** The dead letters, the oldest first, up to `limit`, beginning behind the one with the id `after`. */
  deadLetters(
    queue: string,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<DeadJob[]>;

  /**
   * Makes dead letters jobs that are due now, those with these ids (none for an empty list) or all; resolves with how many there
   * were. An id that nobody knows, of whatever shape, is no error.
   */
  replay(queue: string, ids?: readonly string[]): Promise<number>;

  /** Deletes dead letters, those with these ids or all; resolves with how many there were. Never touches anything else. */
  purge(queue: string, ids?: readonly string[]): Promise<number>;

  /** How much there is. */
  counts(queue: string): Promise<QueueCounts>;

  /**
   * What became of jobs, by their ids, as far as it is decided: the `result` of one that is done with a result, which is kept for
   * five minutes at least, and dead ones. Others are absent. Optional: without it only the process that runs a job can
   * tell its result.
   */
  settled?(queue: string, ids: readonly string[]): Promise<ReadonlyMap<string, Settled>>;

  /** The text last written under a key, or `null`. Optional: without it walks through the CRM's contacts do not remember. */
  readPosition?(queue: string, key: string): Promise<string | null>;

  /** Remembers a text of up to 1,000 characters under a key; `null` forgets it. */
  writePosition?(queue: string, key: string, position: string | null): Promise<void>;

  /**
   * The text that all processes share under a key, or `null`, and what time it is by the clock of the store, in milliseconds since
   * 1970. Optional, together with {@link writeShared}: without them each process paces its calls to the CRM by itself, and does not
   * know that another one is just returning a password.
   */
  readShared?(queue: string, key: string): Promise<SharedText>;

  /**
   * Puts `text` (of up to 60,000 characters) in the place of `expected` (`null`: of nothing), in one step. Resolves with `false`,
   * and changes nothing, when something else is there by then. It need not survive a crash of the store.
   */
  writeShared?(queue: string, key: string, expected: string | null, text: string): Promise<boolean>;

  /** What keeps the store from its promises: tables that are missing, settings that lose data. The middleware logs it at its start. */
  check?(): Promise<QueueFinding[]>;
}
