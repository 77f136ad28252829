// What became of each webhook, for people who ask: the records, and the interface of a store of them.
import type { Change, Warning } from '../result';

/**
 * Where a webhook stands. `waiting`: it is stored and not done yet; with a `code` it has failed and is tried again. `done`: it took
 * effect, or there was nothing to do. `failed`: its sender was told that it failed. `dead`: the queue gave it up. `rejected`: it was not
 * let in. {@link ActivityRecord} has it.
 */
export type ActivityState = 'waiting' | 'done' | 'failed' | 'dead' | 'rejected';

/** One try to do what a webhook asks for. {@link ActivityRecord} lists them. */
export interface ActivityAttempt {
  /** Milliseconds since 1970 when it began. */
  readonly at: number;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
  /** How many contacts it asked the CRM for; several webhooks share a call. */
  readonly contactReads: number;
  /** What it failed with, or `null`. */
  readonly code: string | null;
  /** The failure in words, without any secret, or `null`. */
  readonly detail: string | null;
}

/**
 * What is known of one webhook. Without any secret; values of fields only where the log keeps them.
 *
 * @example
 * const [last] = await webhook.activity.list({ contactId: '42', limit: 1 });
 * console.log(last?.state, last?.outcome ?? last?.code, last?.attempts.length);
 */
export interface ActivityRecord {
  /** The correlation id: it stands in every log line about the webhook, and in the answer’s header `X-Correlation-Id`. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
  /** The name of the access key; `null` where none was valid. */
  readonly key: string | null;
  /** What was asked for; `null` where that could not be read. */
  readonly action: string | null;
  /** The contact it is about. */
  readonly contactId: string | null;
  /** The role asked for. */
  readonly role: string | null;
  /** Whether a welcome mail was asked for. */
  readonly sendNotification: boolean;
  /** Whether it only looked. */
  readonly dryRun: boolean;
  /** The user it is about, as soon as that is known. */
  readonly userId: string | null;
  /** Where it stands. */
  readonly state: ActivityState;
  /** What became of it, as the answer says it; `null` where nothing did yet. */
  readonly outcome: string | null;
  /** Why it was skipped. */
  readonly reason: string | null;
  /** What it failed with last; `null` where it did not, or not any more. */
  readonly code: string | null;
  /** The failure in words. */
  readonly detail: string | null;
  /** What it asked for and did not get. */
  readonly warnings: readonly Warning[];
  /** The fields that it changed. */
  readonly changes: readonly Change[];
  /** The tags that the user got. */
  readonly tagsAdded: readonly string[];
  /** The tags that the user lost. */
  readonly tagsRemoved: readonly string[];
  /** Every try, the oldest first; of very many the first one and the last ones. */
  readonly attempts: readonly ActivityAttempt[];
  /** The queue’s id of it, for `deadLetters.replay`; `null` where there is no queue. */
  readonly jobId: string | null;
  /** When somebody had it tried again after it was given up, in milliseconds since 1970, the first time first. */
  readonly replays: readonly number[];
  /** The id of the webhook that it does once more; `null` where the CRM has sent it. */
  readonly replayOf: string | null;
}

/** What is told of a webhook; what is left out keeps its value. {@link ActivityLog}`.write` takes them. */
export type ActivityEntry = Pick<ActivityRecord, 'id' | 'receivedAt'> &
  Partial<Omit<ActivityRecord, 'id' | 'receivedAt' | 'attempts' | 'replays'>> & {
    /** A try, added behind those that are known. */
    readonly attempt?: ActivityAttempt | undefined;
    /** That it is tried again from then on: added as `attempt` is. */
    readonly replay?: number | undefined;
  };

/**
 * Which records are wanted; what is given together has to hold together.
 *
 * @example
 * const failed = await webhook.activity.list({ state: 'dead', from: Date.now() - 86_400_000 });
 */
export interface ActivityFilter {
  readonly contactId?: string | undefined;
  readonly userId?: string | undefined;
  readonly action?: string | undefined;
  readonly state?: ActivityState | undefined;
  readonly outcome?: string | undefined;
  /** What it failed with last. */
  readonly code?: string | undefined;
  /** Received then or later, in milliseconds since 1970. */
  readonly from?: number | undefined;
  /** Received before, in milliseconds since 1970. */
  readonly to?: number | undefined;
  /** How many at most; default 50. */
  readonly limit?: number | undefined;
  /** Only older ones than the record with this id: the next page. */
  readonly before?: string | undefined;
}

/**
 * A stretch of time in steps.
 *
 * @example
 * const lastDay: ActivityRange = { from: Date.now() - 86_400_000, to: Date.now(), stepMs: 3_600_000 };
 */
export interface ActivityRange {
  /** Milliseconds since 1970. */
  readonly from: number;
  /** Milliseconds since 1970; what was received then does not count any more. */
  readonly to: number;
  /** How long a step is, in milliseconds. The first one begins at `from`. */
  readonly stepMs: number;
}

/** How many webhooks of one state, and of one code, were received in one step of an {@link ActivityRange}. Never 0. */
export interface ActivityCount {
  /** When the step begins, in milliseconds since 1970. */
  readonly at: number;
  /** Where they stand now. */
  readonly state: ActivityState;
  /** What they failed with last. */
  readonly code: string | null;
  readonly count: number;
}

/**
 * Where the records of webhooks are kept. {@link MemoryActivityLog} is one. `log` is the `name` of the middleware: what is kept under
 * one name is never seen under another. One object may be used for several names.
 *
 * It is telemetry: what is in work when a process dies may not be recorded, and a log that fails harms no webhook. The queue, not
 * this, knows what has to be done.
 *
 * @example
 * const webhook = wpFusionWebhook({ ...options, activityLog: new MemoryActivityLog({ records: 10_000 }) });
 */
export interface ActivityLog {
  /** Whether values of fields are kept beside their names; default: they are not. Those of passwords never are. */
  readonly keepsValues?: boolean | undefined;
  /**
   * Adds to what is known. An entry with an id that is not known makes a record. One with the state `waiting` and without an attempt
   * tells only what is not known yet: it may come after what was done; unless it has a `replay`. Rejected records are bounded for themselves: a flood of
   * them pushes nothing else out.
   */
  write(log: string, entries: readonly ActivityEntry[]): Promise<void>;
  /** Records, the newest first. */
  list(log: string, filter: ActivityFilter): Promise<readonly ActivityRecord[]>;
  /** How many there are, step by step, in any order. Dry runs do not count. */
  counts(log: string, range: ActivityRange): Promise<readonly ActivityCount[]>;
  /** One record, or `null`. */
  get(log: string, id: string): Promise<ActivityRecord | null>;
  /** Deletes everything about a contact; how many records that were. What is written later is kept again. */
  forget(log: string, contactId: string): Promise<number>;
}
