// Stores webhooks, and tells what became of those whose sender waits for the result.
import { WpFusionError } from '../errors';
import type { Job, Settled, WebhookQueue } from '../queue/queue';
import type { Webhook } from '../queue/webhook';

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

/** One sender that waits. */
type Tell = (settled: Settled | undefined) => void;

/** The way into a queue. */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #waiting = new Map<string, Set<Tell>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /**
   * Stores a webhook; resolves with the id of its job. Throws `QUEUE_UNAVAILABLE`: then it may be stored all the same, and
   * sending it again does no harm.
   */
  async put(
    webhook: Pick<Webhook, 'action' | 'role' | 'emails' | 'sendNotification'>,
    contactId: string,
    awaited: boolean,
  ): Promise<string> {
    const { queue, name, patienceMs, clean, onStored, step } = this.#options;
    const { action, role, emails, sendNotification } = webhook;
    const [email] = emails;
    const job: Job = {
      action,
      ...(role === undefined ? {} : { role: clean(role) }),
      ...(email === undefined ? {} : { email: clean(email) }),
      ...(sendNotification ? { sendNotification } : {}),
      ...(awaited ? { awaited } : {}),
      receivedAt: Date.now(),
    };
    await step('accept: about to store');
    const id = await withinPatience(() => queue.put(name, contactId, job), patienceMs);
    await step('accept: stored');
    onStored();
    return id;
  }

  /** What becomes of a job; `undefined` when `patienceMs` or the signal end the waiting first. */
  settled(id: string, patienceMs: number, signal?: AbortSignal): Promise<Settled | undefined> {
    return new Promise((resolve) => {
      const giveUp = (): void => tell(undefined);
      const timer = setTimeout(giveUp, patienceMs);
      timer.unref();
      if (signal?.aborted === true) setImmediate(giveUp);
      signal?.addEventListener('abort', giveUp, { once: true });
      const tell: Tell = (settled) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        const others = this.#waiting.get(id);
        others?.delete(tell);
        if (others?.size === 0) this.#waiting.delete(id);
        resolve(settled);
      };
      const known = this.#waiting.get(id);
      if (known === undefined) this.#waiting.set(id, new Set([tell]));
      else known.add(tell);
      this.#poll();
    });
  }

  /** Says what became of a job that this process has run. */
  tell(id: string, settled: Settled): void {
    for (const tell of this.#waiting.get(id) ?? []) tell(settled);
  }

  /** Tells everybody that there is nothing to wait for any more. */
  close(): void {
    clearTimeout(this.#timer);
    for (const tells of this.#waiting.values()) for (const tell of tells) tell(undefined);
  }

  /** Asks the store for what another process has run. */
  #poll(): void {
    const { queue, name } = this.#options;
    if (queue.settled === undefined || this.#timer !== undefined || this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => {
      const ids = [...this.#waiting.keys()];
      const asked =
        ids.length === 0 ? Promise.resolve(new Map<string, Settled>()) : queue.settled?.(name, ids);
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
    if (error instanceof WpFusionError && error.code === 'QUEUE_UNAVAILABLE') throw error;
    throw unavailable('The webhook could not be stored.', error);
  } finally {
    clearTimeout(timer);
  }
}

const unavailable = (message: string, cause?: unknown): WpFusionError =>
  new WpFusionError('QUEUE_UNAVAILABLE', `${message} Send it again.`, { cause, retryAfter: 10 });
