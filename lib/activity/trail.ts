// One request on its way: what the activity log is told of it, and the id by which it is found again.
import type { Webhook } from '../queue/webhook';
import type { Result } from '../result';
import type { ActivityEntry } from './activity-log';
import { attemptSince, entryOfResult, newCorrelationId, type Recorder } from './recorder';

/** What a request failed with, in words that may be told. */
export interface ToldFailure {
  readonly code: string;
  readonly detail: string;
}

/** The trail of one request. */
export class Trail {
  readonly id = newCorrelationId();
  readonly #receivedAt = Date.now();
  #isLetIn = false;
  #isEnded = false;
  #known: Partial<ActivityEntry> = {};

  constructor(private readonly recorder: Recorder | undefined) {}

  /** It has a valid key and valid parameters. */
  letIn(webhook: Webhook, key: string | null, dryRun: boolean, replayOf: string | null = null): void {
    const { action, contactId, role = null, sendNotification } = webhook;
    this.#isLetIn = true;
    this.#known = { key, action, contactId, role, sendNotification, dryRun, replayOf };
  }

  /** It waits in the queue: whoever works it off tells the rest. */
  stored(jobId: string): void {
    this.#tell({ state: 'waiting', jobId });
  }

  /** It was processed inside the request. */
  done(result: Result): void {
    this.#isEnded = true;
    const attempt = attemptSince(this.#receivedAt, result.contactReads);
    this.#tell({ ...entryOfResult(result), state: 'done', attempt });
  }

  /** It was refused, or failed inside the request. `goesOn`: only the answer failed. */
  failed(failure: ToldFailure, contactReads?: number, goesOn = false): void {
    const { code, detail } = failure;
    if (!this.#isLetIn) this.#tell({ state: 'rejected', code, detail });
    else if (!goesOn) {
      this.#isEnded = true;
      const attempt = attemptSince(this.#receivedAt, contactReads, failure);
      this.#tell({ state: 'failed', code, detail, attempt });
    } else if (!this.#isEnded) this.#tell({ state: 'waiting', code, detail });
  }

  #tell(entry: Partial<ActivityEntry>): void {
    this.recorder?.tell({ id: this.id, receivedAt: this.#receivedAt, ...this.#known, ...entry });
  }
}
