// How many webhooks there were, as it was a moment ago: a page that is open asks every few seconds, and a million records take a
// database a second to count.
import type { ActivityCount, ActivityRange } from '../activity/activity-log';
import type { WpFusionWebhook } from '../middleware';

/** An answer is given again for so many times as long as it took to get, so that counting takes a small part of the time … */
const TIMES = 30;
/** … but never for longer. */
const LONGEST_MS = 60_000;

interface Answer {
  readonly counts: Promise<readonly ActivityCount[]>;
  /** Until when it is given again; while it is under way, for ever. */
  until: number;
}

/** Asks the activity log of one middleware, for everybody who looks. */
export class RecentCounts {
  readonly #answers = new Map<string, Answer>();

  constructor(private readonly webhook: WpFusionWebhook) {}

  /** The counts of a range. */
  get(range: ActivityRange): Promise<readonly ActivityCount[]> {
    const key = JSON.stringify(range);
    const now = performance.now();
    for (const [each, { until }] of this.#answers) if (until <= now) this.#answers.delete(each);
    const known = this.#answers.get(key);
    if (known !== undefined) return known.counts;
    const answer: Answer = { counts: this.webhook.activity.counts(range), until: Infinity };
    this.#answers.set(key, answer);
    answer.counts.then(
      () => (answer.until = now + Math.min((performance.now() - now) * (TIMES + 1), LONGEST_MS)),
      () => (answer.until = now),
    );
    return answer.counts;
  }
}
