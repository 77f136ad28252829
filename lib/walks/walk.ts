// A walk through the CRM's contacts: what it has come to so far, as something to await or to watch.
import type { ErrorCode } from '../errors';

/** How far a walk has come. The last one is its summary. {@link Walk} shows how to watch it. */
export interface WalkProgress {
  /** Contacts that were looked at. */
  readonly contacts: number;
  /** Users that were created. */
  readonly created: number;
  /** Users that were changed. */
  readonly updated: number;
  /** Users that were up to date. */
  readonly unchanged: number;
  /** Contacts for which there was nothing to do: no user, or a hook said no. */
  readonly skipped: number;
  /** Contacts whose webhook is stored, and whose result was not there within half a minute. */
  readonly waiting: number;
  /** Contacts that failed; some of them may still be tried again by the queue. */
  readonly failed: number;
  /** Who failed and why: the first thousand. */
  readonly failures: readonly WalkFailure[];
  /** The last contact up to which everything is settled or stored, or `null`. */
  readonly position: string | null;
  /** Whether the walk has come to its end; `false` at its last progress: it was stopped. */
  readonly finished: boolean;
}

/** A contact that failed. {@link Walk} shows where they stand. */
export interface WalkFailure {
  /** The contact. */
  readonly contactId: string;
  /** Why, for programs. */
  readonly code: ErrorCode;
  /** What is wrong, in words. */
  readonly detail: string;
  /** Whether the queue tries it again. */
  readonly willRetry: boolean;
}

/**
 * A walk that goes on by itself. Await it for its summary, or watch it:
 *
 * @example
 * const walk = webhook.importContacts({ tag: 'Customer' });
 * for await (const { contacts, created, failed } of walk) console.log({ contacts, created, failed });
 * const { failures } = await walk;
 */
export interface Walk extends PromiseLike<WalkProgress>, AsyncIterable<WalkProgress> {
  /** Ends as the walk does: with its summary, or with the error that ended it. */
  catch<Value>(onRejected: (error: unknown) => Value): Promise<WalkProgress | Value>;
}

/** How many failures are remembered one by one. */
const MAX_FAILURES = 1000;

/** The numbers of a walk that is under way. */
export class Tally {
  #progress: WalkProgress = {
    contacts: 0,
    created: 0,
    updated: 0,
    unchanged: 0,
    skipped: 0,
    waiting: 0,
    failed: 0,
    failures: [],
    position: null,
    finished: false,
  };

  get progress(): WalkProgress {
    return this.#progress;
  }

  count(what: 'created' | 'updated' | 'unchanged' | 'skipped' | 'waiting'): void {
    const { contacts } = this.#progress;
    this.#progress = { ...this.#progress, contacts: contacts + 1, [what]: this.#progress[what] + 1 };
  }

  fail(failure: WalkFailure): void {
    const { contacts, failed, failures } = this.#progress;
    this.#progress = {
      ...this.#progress,
      contacts: contacts + 1,
      failed: failed + 1,
      failures: failures.length < MAX_FAILURES ? [...failures, failure] : failures,
    };
  }

  reach(position: string): void {
    this.#progress = { ...this.#progress, position };
  }

  finish(): void {
    this.#progress = { ...this.#progress, finished: true };
  }
}

/** Starts a walk. `work` calls `tell` when there is progress; what it resolves with is the summary. */
export function startWalk(
  work: (tell: (progress: WalkProgress) => void) => Promise<WalkProgress>,
): Walk & { readonly ended: Promise<void> } {
  let latest: WalkProgress | undefined;
  let isOver = false;
  const wakeUp: (() => void)[] = [];
  const wake = (): void => {
    for (const one of wakeUp.splice(0)) one();
  };
  const end = work((progress) => {
    latest = progress;
    wake();
  }).finally(() => {
    isOver = true;
    wake();
  });
  const ended = end.then(
    () => undefined,
    () => undefined,
  );
  return {
    ended,
    then: (onFulfilled, onRejected) => end.then(onFulfilled, onRejected),
    catch: (onRejected) => end.catch(onRejected),
    async *[Symbol.asyncIterator]() {
      let seen: WalkProgress | undefined;
      while (!isOver) {
        if (latest !== undefined && latest !== seen) {
          seen = latest;
          yield seen;
        } else {
          await new Promise<void>((resolve) => wakeUp.push(resolve));
        }
      }
      const summary = await end;
      if (summary !== seen) yield summary;
    },
  };
}
