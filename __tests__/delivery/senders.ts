// Sends the webhooks of a plan as somebody does who gives up on nothing: those of one contact in order, each again until it is
// accepted, several contacts at once.
import { ACCESS_KEY, pause } from './common';
import type { PlannedWebhook } from './plan';

/** A webhook that the site has acknowledged. */
export interface AcceptedWebhook extends PlannedWebhook {
  readonly contactId: string;
  /** Its place among all that were accepted. */
  readonly acceptedAs: number;
  /** How often it was sent; all but the last time it was refused, or nobody answered. */
  readonly sent: number;
}

export interface SendersOptions {
  readonly contactIds: readonly string[];
  /** The URL of a site that is up; waits for one. */
  readonly url: () => Promise<string>;
  /** The status that says "I have it". */
  readonly acceptedStatus: number;
  /** Makes the change that stands before a webhook. */
  readonly change: (contactId: string, webhook: PlannedWebhook) => void;
  /** How many contacts are sent for at once. Default 8. */
  readonly concurrency?: number;
}

/** Long enough for any answer of a site that is alive. */
const ANSWER_TIMEOUT_MS = 40_000;

/** The senders of one plan. */
export class Senders {
  readonly accepted: AcceptedWebhook[] = [];
  /** Answers other than an acceptance, by status. */
  readonly refusals = new Map<number, number>();
  /** How often nobody answered. */
  unanswered = 0;
  /** Called after each acceptance. */
  onAccepted: () => void = () => undefined;
  readonly #options: SendersOptions;
  readonly #last = new Map<number, Promise<void>>();
  readonly #waitingForRoom: (() => void)[] = [];
  #room: number;
  #underWay = 0;
  #isStopped = false;

  constructor(options: SendersOptions) {
    this.#options = options;
    this.#room = options.concurrency ?? 8;
  }

  /** Sends these too, each after what was released for its contact before. */
  release(webhooks: readonly PlannedWebhook[]): void {
    for (const webhook of webhooks) {
      this.#underWay += 1;
      const before = this.#last.get(webhook.contact) ?? Promise.resolve();
      const sending = before
        .then(() => this.#withRoom(() => this.#send(webhook)))
        .finally(() => (this.#underWay -= 1));
      this.#last.set(webhook.contact, sending);
    }
  }

  /** Whether everything released is accepted. */
  get isIdle(): boolean {
    return this.#underWay === 0;
  }

  get refused(): number {
    return [...this.refusals.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Gives up, at the end of a test. */
  stop(): void {
    this.#isStopped = true;
  }

  async #withRoom(work: () => Promise<void>): Promise<void> {
    if (this.#room > 0) this.#room -= 1;
    else await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve));
    try {
      await work();
    } finally {
      const next = this.#waitingForRoom.shift();
      if (next === undefined) this.#room += 1;
      else next();
    }
  }

  async #send(webhook: PlannedWebhook): Promise<void> {
    const { contactIds, change, acceptedStatus } = this.#options;
    const contactId = contactIds[webhook.contact]!;
    change(contactId, webhook);
    for (let sent = 1; !this.#isStopped; sent += 1) {
      const status = await this.#attempt(contactId, webhook);
      if (status === acceptedStatus) {
        this.accepted.push({ ...webhook, contactId, acceptedAs: this.accepted.length, sent });
        this.onAccepted();
        return;
      }
      if (status === undefined) this.unanswered += 1;
      else this.refusals.set(status, (this.refusals.get(status) ?? 0) + 1);
      await pause();
    }
  }

  /** The status of the answer; `undefined` where there was none. */
  async #attempt(contactId: string, webhook: PlannedWebhook): Promise<number | undefined> {
    const query = new URLSearchParams({
      wpf_action: webhook.action,
      access_key: ACCESS_KEY,
      contact_id: contactId,
      ...(webhook.role === undefined ? {} : { role: webhook.role }),
      ...(webhook.sendNotification ? { send_notification: 'true' } : {}),
    });
    const url = await this.#options.url();
    try {
      const response = await fetch(`${url}?${query}`, {
        method: 'POST',
        signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return undefined;
    }
  }
}
