// Metrics: how many webhooks there are, what becomes of them and how long that takes, what waits, and how the CRM is called.
// docs/telemetry.md lists them.
import type {
  Attributes,
  BatchObservableCallback,
  Counter,
  Histogram,
  Meter,
  Observable,
} from '@opentelemetry/api';
import { api, SCOPE, VERSION } from './api';

/** How a webhook, or a try, ended: with an outcome, or with a code. */
export interface End {
  readonly action?: string | null | undefined;
  readonly outcome?: string | undefined;
  readonly code?: string | undefined;
  /** Whether a failure is tried again by the queue. */
  readonly willRetry?: boolean | undefined;
}

/** What can be asked at any time. */
export interface Gauged {
  /** How much waits; asked when the site's SDK collects, and never else. */
  readonly counts?:
    | (() => Promise<{
        readonly waiting: number;
        readonly dead: number;
        readonly oldestWaiting: Date | null;
      }>)
    | undefined;
  /** The calls to the CRM, as far as its client knows. */
  readonly budget?: (() => { readonly limit: number; readonly used: number } | undefined) | undefined;
}

const OURS = 'wp_fusion_webhook';

/** Seconds: those that the semantic conventions have for requests, and a minute. */
const WORK_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60];
/** A webhook waits for a moment, or for a CRM that is down for a day. */
const WAIT_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400];

/** What the site measures with; `undefined` where it has set nothing up by now. */
function meterOfSite(): Meter | undefined {
  const meter = api?.metrics.getMeter(SCOPE, VERSION);
  return meter === api?.createNoopMeter() ? undefined : meter;
}

/** The metrics of one middleware. Without OpenTelemetry they are none. */
export class Instruments {
  readonly #name: string;
  readonly #meter = meterOfSite();
  readonly #received: Counter | undefined;
  readonly #ended: Counter | undefined;
  readonly #requestDuration: Histogram | undefined;
  readonly #runDuration: Histogram | undefined;
  readonly #wait: Histogram | undefined;
  #stopObserving = (): void => undefined;

  constructor(name: string) {
    this.#name = name;
    const meter = this.#meter;
    const unit = '{webhook}';
    this.#received = meter?.createCounter(`${OURS}.received`, {
      unit,
      description: 'Webhooks that were let in.',
    });
    this.#ended = meter?.createCounter(`${OURS}.ended`, {
      unit,
      description: 'Webhooks that were processed, and tries that failed.',
    });
    const seconds = (
      what: string,
      description: string,
      explicitBucketBoundaries: number[],
    ): Histogram | undefined =>
      meter?.createHistogram(`${OURS}.${what}`, {
        unit: 's',
        description,
        advice: { explicitBucketBoundaries },
      });
    this.#requestDuration = seconds('request.duration', 'From a request to its answer.', WORK_SECONDS);
    this.#runDuration = seconds('run.duration', 'The work on one contact.', WORK_SECONDS);
    this.#wait = seconds(
      'queue.wait.duration',
      'From the receipt of a webhook to the first work on it.',
      WAIT_SECONDS,
    );
  }

  /** A webhook was let in. */
  received(action: string, key: string, dryRun: boolean): void {
    this.#received?.add(
      1,
      this.#with({ [`${OURS}.action`]: action, [`${OURS}.key`]: key, [`${OURS}.dry_run`]: dryRun }),
    );
  }

  /** A webhook was processed, or a try has failed. */
  ended(end: End): void {
    this.#ended?.add(1, this.#with(attributesOf(end)));
  }

  /** A request was answered that began at a moment of `performance.now()`. */
  answered(startedAt: number, end: End): void {
    this.#requestDuration?.record(secondsSince(startedAt), this.#with(attributesOf(end)));
  }

  /** The work on a contact ended that began at a moment of `performance.now()`. */
  ran(startedAt: number, end: End): void {
    this.#runDuration?.record(secondsSince(startedAt), this.#with(attributesOf(end)));
  }

  /** The first work on a webhook began that was received at a moment of `Date.now()`. */
  waited(receivedAt: number, action: string): void {
    this.#wait?.record(
      Math.max(0, Date.now() - receivedAt) / 1000,
      this.#with({ [`${OURS}.action`]: action }),
    );
  }

  /** Answers, from now until {@link close}, what the site's SDK asks for. What cannot be told has no value. */
  observe({ counts, budget }: Gauged): void {
    const meter = this.#meter;
    if (meter === undefined) return;
    const gauge = (what: string, unit: string, description: string): Observable =>
      meter.createObservableGauge(`${OURS}.${what}`, { unit, description });
    const stops: (() => void)[] = [];
    const observe = (callback: BatchObservableCallback, gauges: Observable[]): void => {
      meter.addBatchObservableCallback(callback, gauges);
      stops.push(() => meter.removeBatchObservableCallback(callback, gauges));
    };
    const attributes = this.#with({});
    if (counts !== undefined) {
      const waiting = gauge('queue.waiting', '{webhook}', 'Webhooks that wait or are being worked on.');
      const dead = gauge('queue.dead', '{webhook}', 'Webhooks that were given up.');
      const age = gauge('queue.oldest.age', 's', 'For how long the oldest of those that wait has waited.');
      let isAsked = false;
      observe(
        async (result) => {
          // A store that has not answered yet is not asked once more.
          if (isAsked) return;
          isAsked = true;
          try {
            const found = await counts();
            result.observe(waiting, found.waiting, attributes);
            result.observe(dead, found.dead, attributes);
            const since = found.oldestWaiting?.getTime() ?? Infinity;
            result.observe(age, Math.max(0, Date.now() - since) / 1000, attributes);
          } catch {
            // A store that is down is told by the log.
          } finally {
            isAsked = false;
          }
        },
        [waiting, dead, age],
      );
    }
    if (budget !== undefined) {
      const limit = gauge('crm.budget.limit', '{call}', 'Calls that the CRM allows in a window.');
      const used = gauge('crm.budget.used', '{call}', 'Calls of them that are used up.');
      observe(
        (result) => {
          const known = budget();
          if (known === undefined) return;
          result.observe(limit, known.limit, attributes);
          result.observe(used, known.used, attributes);
        },
        [limit, used],
      );
    }
    this.#stopObserving = () => stops.forEach((stop) => stop());
  }

  /** Answers nothing any more. */
  close(): void {
    this.#stopObserving();
  }

  #with(attributes: Attributes): Attributes {
    return { [`${OURS}.name`]: this.#name, ...attributes };
  }
}

/** The metrics of a client's calls to its CRM: to be called with each try's kind, and its status where an answer came. */
export function crmCallCounter(): (kind: string, status: number | undefined) => void {
  const meter = meterOfSite();
  const calls = meter?.createCounter(`${OURS}.crm.calls`, {
    unit: '{call}',
    description: 'Calls to the CRM, each try for itself.',
  });
  const refused = meter?.createCounter(`${OURS}.crm.rate_limited`, {
    unit: '{call}',
    description: 'Calls that the CRM refused for its rate limit (429).',
  });
  return (kind, status) => {
    const statusClass = status === undefined ? 'none' : `${Math.floor(status / 100)}xx`;
    calls?.add(1, { [`${OURS}.crm.kind`]: kind, [`${OURS}.crm.status_class`]: statusClass });
    if (status === 429) refused?.add(1, { [`${OURS}.crm.kind`]: kind });
  };
}

function attributesOf({ action, outcome, code, willRetry }: End): Attributes {
  return {
    ...(action == null ? {} : { [`${OURS}.action`]: action }),
    ...(outcome === undefined || code !== undefined ? {} : { [`${OURS}.outcome`]: outcome }),
    ...(code === undefined ? {} : { 'error.type': code }),
    ...(willRetry === undefined ? {} : { [`${OURS}.will_retry`]: willRetry }),
  };
}

const secondsSince = (startedAt: number): number => (performance.now() - startedAt) / 1000;
