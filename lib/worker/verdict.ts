// What becomes of a job after a run: the schedule of retries, and who is given up when.
import type { Job, JobResult, StoredJob, Verdict } from '../queue/queue';
import { SETTLE } from '../queue/webhook';
import type { Owed, Result } from '../result';

/** A failure, as it is remembered with a job. */
export interface Failure {
  readonly code: string;
  /** Holds no secret. */
  readonly detail: string;
  /** Seconds after which trying again makes sense, where the CRM says so. */
  readonly retryAfter?: number | undefined;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** A contact may be readable, or have its email, some 20 s after its webhook: tried again for a minute. */
export const BRIEF_DELAYS_MS: readonly number[] = [1, 2, 4, 8, 16, 30].map((seconds) => seconds * SECOND);

/** Somebody has to mend something: tried again for about a day. From 10 s, doubled up to an hour. */
export const LONG_DELAYS_MS: readonly number[] = Array.from({ length: 31 }, (_, index) =>
  Math.min(10 * SECOND * 2 ** index, 60 * MINUTE),
);

/** How long one contact waits after a CRM that was not to be had; for as long as that lasts. */
export const PAUSE_DELAYS_MS: readonly number[] = [5, 10, 20, 40, 60, 120, 300, 600, 900].map(
  (seconds) => seconds * SECOND,
);

/** How long a job that waits for this process's own return of a password sleeps. */
const UNDER_WAY_MS = MINUTE;

/** So that what failed together does not come back together: up to a fifth later, never earlier. */
const jitter = (delayMs: number): number => Math.round(delayMs * (1 + Math.random() / 5));

/** The CRM is to blame, whatever the contact: nothing is counted, everything waits. */
const PAUSED = new Set(['CRM_UNAUTHORIZED', 'CRM_RATE_LIMITED', 'CRM_UNAVAILABLE']);
/** May be only a moment too early. */
const BRIEF = new Set(['CONTACT_NOT_FOUND', 'CONTACT_WITHOUT_EMAIL']);
/** Nothing but a person helps. */
const DEAD = new Set(['CONTACT_CONFLICT', 'USER_CONFLICT', 'PASSWORD_TOO_LONG']);

/** How a failure is met. */
export type Treatment = 'pause' | 'brief' | 'long' | 'dead';

/** How a code is met: the last column of the table of errors. */
export function treatmentOf(code: string): Treatment {
  if (PAUSED.has(code)) return 'pause';
  if (BRIEF.has(code)) return 'brief';
  return DEAD.has(code) ? 'dead' : 'long';
}

/** What a run that ended leaves of its jobs. */
export function verdictsOfSuccess(jobs: readonly StoredJob[], result: Result): Map<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  const { owed } = result;
  const kept = jobToKeep(jobs);
  for (const stored of jobs) {
    const { id, job } = stored;
    if (owed !== undefined && stored === kept) {
      // One that was only taken along keeps its own time, and its tries.
      if (job.action !== SETTLE || stored.isDue) verdicts.set(id, verdictOfDebt(job, owed));
    } else verdicts.set(id, { kind: 'done', result: job.awaited === true ? told(result, job) : undefined });
  }
  return verdicts;
}

/** One job is enough to come back to what is owed: the one that is there for it, else best none whose result somebody waits for. */
const jobToKeep = (jobs: readonly StoredJob[]): StoredJob | undefined =>
  jobs.find(({ job }) => job.action === SETTLE) ?? jobs.find(({ job }) => job.awaited !== true) ?? jobs[0];

/** The result as one of several merged jobs is told it, without values. */
export function told(result: Result, { action }: Job): JobResult {
  const { outcome, reason, userId, warnings, contactId, changes } = result;
  return {
    action,
    contactId,
    outcome,
    ...(reason === undefined ? {} : { reason }),
    ...(userId === undefined ? {} : { userId }),
    warnings,
    changes: changes.map(({ field }) => ({ field })),
  };
}

function verdictOfDebt(job: Job, { code, detail, state }: Owed): Verdict {
  const tries = job.action === SETTLE ? (job.tries ?? 0) : 0;
  const rest: Job = {
    action: SETTLE,
    receivedAt: job.receivedAt,
    ...(job.correlationId === undefined ? {} : { correlationId: job.correlationId }),
    ...(job.trace === undefined ? {} : { trace: job.trace }),
    tries,
    failure: failureOf({ code, detail }),
  };
  if (state === 'under way') return { kind: 'later', delayMs: jitter(UNDER_WAY_MS), job: rest };
  if (typeof state === 'number') return { kind: 'later', delayMs: state, job: rest };
  return tryAgain(rest, LONG_DELAYS_MS, tries);
}

/**
 * What a failed run leaves of one of its jobs; `undefined`: it stays as it is.
 *
 * @param action The action that was run: what only that action cannot get over does not take other jobs with it.
 */
export function verdictOfFailure(stored: StoredJob, failure: Failure, action: string): Verdict | undefined {
  const { job } = stored;
  const treatment = treatmentOf(failure.code);
  if (treatment === 'dead') {
    return job.action === action ? { kind: 'dead', job: given(job, failure) } : undefined;
  }
  // It was only taken along: its own time is still to come.
  if (!stored.isDue) return undefined;
  if (treatment === 'pause') {
    const pauses = (job.pauses ?? 0) + 1;
    const delayMs = Math.max(
      PAUSE_DELAYS_MS[Math.min(pauses, PAUSE_DELAYS_MS.length) - 1] ?? 0,
      (failure.retryAfter ?? 0) * SECOND,
    );
    return { kind: 'later', delayMs: jitter(delayMs), job: { ...job, pauses, failure: failureOf(failure) } };
  }
  // Another kind of failure begins a schedule of its own; a pause in between does not.
  const before = treatmentOf(job.failure?.code ?? failure.code);
  const tries = before === treatment || before === 'pause' ? (job.tries ?? 0) : 0;
  const failed = { ...job, pauses: 0, failure: failureOf(failure) };
  return tryAgain(failed, treatment === 'brief' ? BRIEF_DELAYS_MS : LONG_DELAYS_MS, tries);
}

function tryAgain(job: Job, delays: readonly number[], tries: number): Verdict {
  const delayMs = delays[tries];
  if (delayMs === undefined) return { kind: 'dead', job: { ...job, tries: 0 } };
  return { kind: 'later', delayMs: jitter(delayMs), job: { ...job, tries: tries + 1 } };
}

/** A job as a dead letter: what is replayed begins anew. */
const given = (job: Job, failure: Failure): Job => ({
  ...job,
  tries: 0,
  pauses: 0,
  failure: failureOf(failure),
});

const failureOf = ({ code, detail }: Failure): Job['failure'] => ({ code, detail, at: Date.now() });
