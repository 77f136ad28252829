// Stores webhooks, and tells what became of those whose sender waits for the result.
import { codeOf, WpFusionError } from '../errors';
import type { Job, Settled, WebhookQueue } from '../queue/queue';
import type { Webhook } from '../queue/webhook';
import { apart } from '../telemetry/spans';
import { sending } from '../telemetry/webhooks';

/** How often the store is asked for results that another process may have. */
const POLL_MS = 250;

/** What an {@link Inbox} needs. */
export interface InboxOptions {
  readonly queue: WebhookQueue;
  readonly name: string;
  /** How long the store may take before a sender is told to come again. */
  readonly patienceMs: number;
  /** Takes secrets out of what a sender gave. */
  readonly clean: (text: string) => string;
  /** Hears of everything that was stored. */
  readonly onStored: () => void;
  readonly step: (name: 'accept: about to store' | 'accept: stored') => Promise<void>;
}

/** What became of a job: it is decided, or has failed and is tried again later. */
export type News = Settled | { readonly kind: 'later'; readonly job: Job };

/** One sender that waits. */
interface Listener {
  /** Whether a first failure is news enough. */
  readonly atFirstTry: boolean;
  readonly tell: (news: News | undefined) => void;
}

/** The way into a queue. */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #waiting = new Map<string, Set<Listener>>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /**
   * Stores a webhook; resolves with the id of its job. Throws `QUEUE_UNAVAILABLE`: then it may be stored all the same, and
   * sending it again does no harm.
   */
  async put(
    webhook: Pick<Webhook, 'action' | 'role' | 'emails' | 'sendNotification' | 'correlationId'>,
    contactId: string,
    awaited: boolean,
  ): Promise<string> {
    const { queue, name, patienceMs, clean, onStored, step } = this.#options;
    const { action, role, emails, sendNotification, correlationId } = webhook;
    const [email] = emails;
    const job: Job = {
      action,
      ...(role === undefined ? {} : { role: clean(role) }),
      ...(email === undefined ? {} : { email: clean(email) }),
      ...(sendNotification ? { sendNotification } : {}),
      ...(awaited ? { awaited } : {}),
      ...(correlationId === undefined ? {} : { correlationId }),
      receivedAt: Date.now(),
    };
    await step('accept: about to store');
    const facts = { action, contactId, correlationId };
    const id = await sending(name, facts, (trace) => {
      const traced = trace === undefined ? job : { ...job, trace };
      return withinPatience(() => queue.put(name, contactId, traced), patienceMs);
    });
    await step('accept: stored');
    onStored();
    return id;
  }

  /**
   * What becomes of a job; `undefined` when `patienceMs` or the signal end the waiting first. `atFirstTry`: also that it has
   * failed and is tried again, where this process has run it.
   */
  news(
    id: string,
    options: { readonly patienceMs: number; readonly signal?: AbortSignal; readonly atFirstTry?: boolean },
  ): Promise<News | undefined> {
    const { patienceMs, signal, atFirstTry = false } = options;
    if (this.#isClosed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const giveUp = (): void => listener.tell(undefined);
      const timer = setTimeout(giveUp, patienceMs);
      timer.unref();
      if (signal?.aborted === true) setImmediate(giveUp);
      signal?.addEventListener('abort', giveUp, { once: true });
      const listener: Listener = {
        atFirstTry,
        tell: (news) => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', giveUp);
          const others = this.#waiting.get(id);
          others?.delete(listener);
          if (others?.size === 0) this.#waiting.delete(id);
          resolve(news);
        },
      };
      const others = this.#waiting.get(id);
      if (others === undefined) this.#waiting.set(id, new Set([listener]));
      else others.add(listener);
      this.#poll();
    });
  }

  /** Says what became of a job that this process has run. */
  tell(id: string, news: News): void {
    for (const { atFirstTry, tell } of this.#waiting.get(id) ?? []) {
      if (news.kind !== 'later' || atFirstTry) tell(news);
    }
  }

  /** Tells everybody that there is nothing to wait for any more, also those who come later. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const listeners of this.#waiting.values()) for (const { tell } of listeners) tell(undefined);
  }

  /** Asks the store for what another process has run. */
  #poll(): void {
    const { queue, name } = this.#options;
    if (queue.settled === undefined || this.#timer !== undefined || this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => {
      const ids = [...this.#waiting.keys()];
      // For everybody who waits: part of nobody's trace.
      const ask = (): Promise<ReadonlyMap<string, Settled>> | undefined => queue.settled?.(name, ids);
      const asked = ids.length === 0 ? Promise.resolve(new Map<string, Settled>()) : apart(ask);
      Promise.resolve(asked)
        .then((found) => found?.forEach((settled, id) => this.tell(id, settled)))
        // A store that is down has no news; who waits for too long gives up.
        .catch(() => undefined)
        .finally(() => {
          this.#timer = undefined;
          this.#poll();
        });
    }, POLL_MS);
    this.#timer.unref();
  }
}

/** A store that gives no answer in time is one that is not to be had. */
async function withinPatience(put: () => Promise<string>, patienceMs: number): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(unavailable(`The queue gave no answer within ${patienceMs} ms.`)),
      patienceMs,
    );
  });
  try {
    return await Promise.race([put(), tooLong]);
  } catch (error) {
    const code = codeOf(error);
    // What can never be stored is the sender's to mend; everything else passes.
    if (code === 'QUEUE_UNAVAILABLE' || code === 'INVALID_REQUEST') throw error;
    throw unavailable('The webhook could not be stored.', error);
  } finally {
    clearTimeout(timer);
  }
}

const unavailable = (message: string, cause?: unknown): WpFusionError =>
  new WpFusionError('QUEUE_UNAVAILABLE', `${message} Send it again.`, { cause, retryAfter: 10 });
