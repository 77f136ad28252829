// OntraportSandbox: an Ontraport account on your own machine, over a real socket, that misbehaves on request.
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigurationError } from '../errors';
import { Faults, Hold, Latencies, misbehave } from './sandbox/faults';
import type { FaultHandle, FaultOptions, HeldCalls, HoldOptions, Latency } from './sandbox/faults';
import type { SandboxFieldOptions } from './sandbox/fields';
import { randomOf, shuffle } from './sandbox/random';
import { RateLimit } from './sandbox/rate-limit';
import type { RateLimitOptions } from './sandbox/rate-limit';
import { Records, splitList } from './sandbox/records';
import type { RecordEvent, SandboxContactOptions, SandboxValue, StoredRecord } from './sandbox/records';
import { OBJECT_NOT_FOUND, textReply, UNAUTHORIZED } from './sandbox/replies';
import type { Reply } from './sandbox/replies';
import { matches, parametersOf, parseBody, parseForm, readBody } from './sandbox/requests';
import type { CallMatch, SandboxCall } from './sandbox/requests';
import { route } from './sandbox/routes';
import type { RouteContext } from './sandbox/routes';
import { seedAccount } from './sandbox/seed';
import { checkUrl, Sender } from './sandbox/sender';
import type {
  BurstOptions,
  Delivery,
  RuleOptions,
  SubscriptionFormat,
  SubscriptionWebhookOptions,
  WebhookOptions,
} from './sandbox/sender';

/**
 * How the account behaves. Everything has the default that the evidence on Ontraport speaks for.
 *
 * @example
 * const sandbox = await OntraportSandbox.start({ seed: true, rateLimit: { limit: 10, windowMs: 1000 } });
 */
export interface OntraportSandboxOptions {
  /** The credentials that work; default: made up, readable as `sandbox.appId` and `sandbox.apiKey`. */
  readonly appId?: string;
  readonly apiKey?: string;
  /** Default 0: a free one. */
  readonly port?: number;
  /** Default `127.0.0.1`, which nobody else can reach. */
  readonly host?: string;
  /** Whether to start with a made-up account: custom fields of every type, more than 50 tags, some contacts. */
  readonly seed?: boolean;
  /** Default 180 calls a minute. */
  readonly rateLimit?: Partial<RateLimitOptions>;
  /** Whether a 429 says `Retry-After` too; default false. */
  readonly retryAfterHeader?: boolean;
  /** Whether `account_id` is text; default false: a number. */
  readonly accountIdAsString?: boolean;
  /** The status of `Object not found`; default 404, and one account was seen to answer 200. */
  readonly notFoundStatus?: 404 | 200;
  /** What `getByEmail` says when there is no match; default 404 (400 before 2022), `'empty'` is 200 without data. */
  readonly getByEmailNoMatch?: 404 | 400 | 'empty';
  /** Whether lists that nobody asked to be sorted come in changing order; default false: by id. */
  readonly shuffle?: boolean;
  /** How long tags take to appear; default 0, `Infinity`: until `applyPending()`. */
  readonly taggingDelayMs?: number;
  /** How long a write with `background_request` takes to appear; default 0, `Infinity`: until `applyPending()`. */
  readonly backgroundDelayMs?: number;
  /** How long a contact made through the API takes to be readable; default 0, `Infinity`: until `reveal(id)`. */
  readonly createdReadableAfterMs?: number;
  /** Whether tagging moves `dlm`; unknown of Ontraport, default true. */
  readonly taggingMovesDateModified?: boolean;
  /** Whether `DELETE /Contacts` without ids and condition deletes everything, as it does at Ontraport; default false: refused. */
  readonly allowDeleteAll?: boolean;
  /** Whether API subscriptions get their webhooks; default false. */
  readonly deliver?: boolean;
  /** How those are encoded; default `form`. */
  readonly subscriptionEncoding?: 'form' | 'json';
  /** The clock, in milliseconds; default `Date.now`. Dates, delays and the rate limit go by it. */
  readonly now?: () => number;
}

/**
 * A contact's values to change; in the form that the account stores. What `updateContact` of {@link OntraportSandbox} takes.
 */
export type SandboxChanges = Readonly<Record<string, SandboxValue | undefined>>;

const ACCOUNT_ID = 50;

interface Pending {
  readonly dueAt: number;
  readonly work: () => void;
}

interface CallWaiter {
  readonly count: number;
  readonly match: CallMatch;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * An Ontraport account for tests and demos: its REST API over HTTP, its webhooks, its rate limit, and on request its troubles.
 * It needs no test runner.
 *
 * @example
 * const sandbox = await OntraportSandbox.start();
 * sandbox.addField({ key: 'f1556', alias: 'Password' });
 * const id = sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com', tags: ['Customer'] });
 * const crm = new OntraportClient({ appId: sandbox.appId, apiKey: sandbox.apiKey, baseUrl: sandbox.baseUrl });
 * const answer = await sandbox.send({ url: 'http://localhost:3000/?wpf_action=add&access_key=…', contactId: id });
 * await sandbox.close();
 */
export class OntraportSandbox {
  /** Working credentials. */
  readonly appId: string;
  readonly apiKey: string;
  /** Every call so far, oldest first; {@link OntraportSandbox.clearCalls} empties it. */
  readonly calls: SandboxCall[] = [];

  readonly #options: OntraportSandboxOptions;
  readonly #now: () => number;
  readonly #records: Records;
  readonly #sender: Sender;
  readonly #rateLimit: RateLimit;
  readonly #faults = new Faults();
  readonly #latencies = new Latencies();
  readonly #holds: Hold[] = [];
  readonly #closing = new AbortController();
  readonly #server: Server;
  readonly #routeContext: RouteContext;
  readonly #timers = new Set<NodeJS.Timeout>();
  #pending: Pending[] = [];
  #waiters: CallWaiter[] = [];
  #inFlight = 0;
  #peakInFlight = 0;
  #callNumber = 0;
  #closed: Promise<void> | undefined;

  private constructor(options: OntraportSandboxOptions) {
    this.#options = options;
    this.appId = options.appId ?? `2_${ACCOUNT_ID}_sandbox`;
    this.apiKey = options.apiKey ?? `sandbox-${randomBytes(12).toString('hex')}`;
    this.#now = options.now ?? Date.now;
    this.#rateLimit = new RateLimit({ limit: 180, windowMs: 60_000, ...options.rateLimit }, this.#now);
    this.#records = new Records({
      now: this.#now,
      taggingMovesDateModified: options.taggingMovesDateModified ?? true,
      onEvent: (event) => this.#react(event),
    });
    this.#sender = new Sender(this.#records, this.#now);
    const random = randomOf(1);
    this.#routeContext = {
      records: this.#records,
      accountId: options.accountIdAsString === true ? String(ACCOUNT_ID) : ACCOUNT_ID,
      notFoundStatus: options.notFoundStatus ?? 404,
      getByEmailNoMatch: options.getByEmailNoMatch ?? 404,
      allowDeleteAll: options.allowDeleteAll ?? false,
      createdReadableAfterMs: options.createdReadableAfterMs ?? 0,
      shuffle: options.shuffle === true ? (rows) => shuffle(rows, random) : undefined,
      later: (kind, work) =>
        this.#later((kind === 'tagging' ? options.taggingDelayMs : options.backgroundDelayMs) ?? 0, work),
    };
    this.#server = createServer((request, response) => {
      void this.#handle(request, response).catch((error: unknown) => giveUp(request, response, error));
    });
    // As many calls as there are may be waiting for it at the same time.
    setMaxListeners(0, this.#closing.signal);
    // A client's idle connection must not be closed under it just as it sends the next call.
    this.#server.keepAliveTimeout = 60_000;
    if (options.seed === true) seedAccount(this.#records);
  }

  /** Starts a sandbox. Close it when done. */
  static async start(options: OntraportSandboxOptions = {}): Promise<OntraportSandbox> {
    const sandbox = new OntraportSandbox(options);
    await new Promise<void>((resolve, reject) => {
      sandbox.#server.once('error', reject);
      sandbox.#server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
    });
    return sandbox;
  }

  /** What an `OntraportClient` takes as its `baseUrl`. */
  get baseUrl(): string {
    const address = this.#server.address() as AddressInfo | null;
    if (address === null) throw new ConfigurationError('baseUrl', 'the sandbox is closed.');
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `http://${host}:${address.port}/1`;
  }

  // The account

  /** Adds a field, or replaces the one with this key, and gives its key. */
  addField(field: SandboxFieldOptions): string {
    return this.#records.addField(field);
  }

  /** Adds a tag and gives its id; the id of the one that exists where there is one and no `id` is asked for. */
  addTag(
    name: string,
    options: { readonly id?: string | number; readonly objectTypeId?: number } = {},
  ): string {
    return this.#records.addTag(name, options);
  }

  /** Gives a tag another name. */
  renameTag(name: string, newName: string): void {
    const tag = this.#records.tags.get(this.#tagId(name));
    if (tag !== undefined) tag.tag_name = newName;
  }

  /** Adds a contact and gives its id. A person who types one into Ontraport adds an empty one and then changes it. */
  addContact(contact: SandboxContactOptions = {}): string {
    return this.#records.addContact(contact);
  }

  /** Changes a contact and moves its `dlm`, unless that is given. */
  updateContact(id: string, changes: SandboxChanges): void {
    if (!this.#records.update(id, changes)) throw unknownContact(id);
  }

  /** Deletes a contact, at once. */
  deleteContact(id: string): void {
    if (!this.#records.delete(id)) throw unknownContact(id);
  }

  /** Makes a contact readable that is not yet. */
  reveal(id: string): void {
    this.#records.reveal(id);
  }

  /** Gives a contact tags, at once; those that do not exist are created. */
  tag(id: string, ...names: readonly string[]): void {
    if (this.#records.contact(id) === undefined) throw unknownContact(id);
    this.#records.tag(
      id,
      'tag',
      names.map((name) => this.#records.addTag(name)),
    );
  }

  /** Takes tags from a contact, at once. */
  untag(id: string, ...names: readonly string[]): void {
    if (this.#records.contact(id) === undefined) throw unknownContact(id);
    this.#records.tag(
      id,
      'untag',
      names.map((name) => this.#tagId(name)),
    );
  }

  /** Has a contact submit a form: subscribers of `object_submits_form` hear of it. */
  submitForm(formId: string | number, contactId: string): void {
    if (this.#records.contact(contactId) === undefined) throw unknownContact(contactId);
    this.#react({ type: 'form', formId: String(formId), contactId });
  }

  /** A copy of a contact as it is stored, whether the API shows it or not. */
  contact(id: string): StoredRecord | undefined {
    return this.#records.contact(id);
  }

  /** Copies of all contacts as they are stored. */
  contacts(): StoredRecord[] {
    return this.#records.contacts();
  }

  /** The names of a contact's tags. */
  tagsOf(id: string): string[] {
    const ids = splitList(this.#records.contact(id)?.contact_cat);
    return ids.map((tagId) => this.#records.tags.get(tagId)?.tag_name ?? `#${tagId}`);
  }

  /** Lets delayed tags and background writes take effect now. */
  applyPending(): void {
    for (const { work } of this.#pending.splice(0)) work();
  }

  // What clients did

  /** How many recorded calls match. */
  callCount(match: CallMatch = {}): number {
    return this.calls.filter((call) => matches(match, call)).length;
  }

  /** Forgets the recorded calls; the rate limit does not. */
  clearCalls(): void {
    this.calls.length = 0;
  }

  /** Resolves when this many calls (default 1) match; looked at when a call arrives and again when it is answered. */
  waitForCalls(match: CallMatch, count = 1): Promise<void> {
    if (this.callCount(match) >= count) return Promise.resolve();
    const waiting = new Promise<void>((resolve, reject) =>
      this.#waiters.push({ count, match, resolve, reject }),
    );
    // Nobody has to be waiting any more when the sandbox closes.
    waiting.catch(() => undefined);
    return waiting;
  }

  /** The most accepted calls that any window of the rate limit held. */
  get peakCallsInWindow(): number {
    return this.#rateLimit.peak;
  }

  /** The most calls that were under way at the same time. */
  get peakInFlight(): number {
    return this.#peakInFlight;
  }

  /** How many calls were refused with 429. */
  get rejectedCalls(): number {
    return this.#rateLimit.rejected;
  }

  /** Changes the rate limit; calls already counted stay counted. */
  setRateLimit(options: Partial<RateLimitOptions>): void {
    this.#rateLimit.options = { ...this.#rateLimit.options, ...options };
  }

  /** Takes calls from the account's budget, as its other integrations do. */
  spendCalls(count: number): void {
    for (let spent = 0; spent < count; spent++) this.#rateLimit.take();
  }

  // Trouble

  /**
   * Makes calls meet a fault.
   *
   * @example
   * sandbox.fail({ method: 'PUT', path: '/Contacts', with: 'reset', applied: true });
   */
  fail(options: FaultOptions): FaultHandle {
    return this.#faults.add(options);
  }

  /** Makes calls slow; of several latencies that match, the newest counts. */
  latency(latency: Latency, match: CallMatch = {}): { remove(): void } {
    return this.#latencies.add(latency, match);
  }

  /**
   * Holds calls until the test lets them go.
   *
   * @example
   * const held = sandbox.hold({ method: 'GET', path: '/Contacts', when: 'after' });
   * await held.caught(); // the answer is made of the state as it is now …
   * sandbox.updateContact(id, { company: 'Acme' }); // … and is old already
   * held.release();
   */
  hold(options: HoldOptions = {}): HeldCalls {
    const hold = new Hold(options);
    this.#holds.push(hold);
    return hold;
  }

  // Webhooks

  /** What was sent, in the order it ended. */
  get deliveries(): readonly Delivery[] {
    return this.#sender.deliveries;
  }

  /** Sends an automation's webhook for a contact, once, and gives the site's answer. */
  send({ contactId, ...options }: WebhookOptions & { readonly contactId: string }): Promise<Delivery> {
    return this.#sender.send(contactId, options);
  }

  /** Sends the webhook of an API subscription, once, and gives the site's answer. */
  sendSubscription(options: SubscriptionWebhookOptions): Promise<Delivery> {
    return this.#sender.sendSubscription(options);
  }

  /**
   * Adds an automation: whenever it is triggered, through the API or the methods of the sandbox, it sends its webhook. What
   * the site itself writes triggers `change` and `field:…` too, as it does at Ontraport.
   */
  addRule(rule: RuleOptions): { remove(): void } {
    checkUrl(rule.url);
    const added = { ...rule };
    this.#sender.rules.add(added);
    return { remove: () => void this.#sender.rules.delete(added) };
  }

  /** Sends a webhook for many contacts, as a group action does; each answer is in `deliveries` of the result. */
  burst(options: BurstOptions): Promise<{ deliveries: Delivery[]; dropped: string[] }> {
    return this.#sender.burst(options);
  }

  /** Waits until no webhook is under way any more. */
  settled(): Promise<void> {
    return this.#sender.settled();
  }

  /** Ends every connection and every webhook under way. Called twice it is one closing. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    for (const hold of this.#holds) hold.close();
    for (const { reject } of this.#waiters.splice(0)) reject(new Error('The sandbox was closed.'));
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await Promise.all([closed, this.#sender.close()]);
  }

  // Answering a call

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#inFlight++;
    this.#peakInFlight = Math.max(this.#peakInFlight, this.#inFlight);
    response.once('close', () => this.#inFlight--);

    const { call, isApi } = this.#record(request, await readBody(request));
    const fault = this.#faults.take(call);
    if (fault !== undefined) call.fault = typeof fault.with === 'string' ? fault.with : 'answer';
    this.#tellWaiters();
    const refusal = isApi ? this.#refusal(call, fault) : textReply(404, OBJECT_NOT_FOUND);
    for (const [name, value] of Object.entries(this.#rateLimit.headers())) response.setHeader(name, value);
    if (refusal !== undefined) {
      this.#send(call, response, refusal);
      return;
    }

    const milliseconds = this.#latencies.of(call);
    if (milliseconds > 0) await delay(milliseconds, undefined, { signal: this.#closing.signal });
    if (await this.#isReset(call, 'before', request)) return;
    this.#applyDue();
    const reply = this.#reply(call, fault);
    if (await this.#isReset(call, 'after', request)) return;
    if (fault === undefined) {
      this.#send(call, response, reply);
      return;
    }
    response.once('finish', () => this.#answered(call, response.statusCode));
    misbehave(fault.with, reply, request, response);
  }

  #record(request: IncomingMessage, body: string): { call: SandboxCall; isApi: boolean } {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://sandbox');
    const isApi = pathname.startsWith('/1/');
    const contentType = request.headers['content-type'];
    const call: SandboxCall = {
      number: ++this.#callNumber,
      method: request.method ?? 'GET',
      path: isApi ? pathname.slice(2) : pathname,
      query: parseForm(searchParams),
      body: parseBody(body, contentType),
      contentType,
      at: this.#now(),
      authenticated:
        request.headers['api-appid'] === this.appId && request.headers['api-key'] === this.apiKey,
      status: null,
      fault: null,
    };
    this.calls.push(call);
    return { call, isApi };
  }

  /** 401 and 429: no latency delays them and no hold catches them. A wrong key costs a call too, a refused call does not. */
  #refusal(call: SandboxCall, fault: FaultOptions | undefined): Reply | undefined {
    const accepted = fault?.with !== 'rateLimited' && this.#rateLimit.take();
    if (!call.authenticated) return UNAUTHORIZED;
    if (accepted) return undefined;
    this.#rateLimit.rejected++;
    const { limit, windowMs } = this.#rateLimit.options;
    const period = windowMs === 60_000 ? 'minute' : `${windowMs / 1000} seconds`;
    const reply = textReply(
      429,
      `You have exceeded your maximum rate limit of ${limit} requests per ${period}`,
    );
    const reset = this.#rateLimit.headers()['X-Rate-Limit-Reset'] ?? '';
    const retryAfter = this.#options.retryAfterHeader === true ? { 'Retry-After': reset } : {};
    return { ...reply, headers: { ...reply.headers, ...retryAfter, 'X-Rate-Limit-Remaining': '0' } };
  }

  #reply(call: SandboxCall, fault: FaultOptions | undefined): Reply {
    if (fault !== undefined && fault.applied !== true && call.method !== 'GET') return LOST_WRITE;
    if (typeof call.body === 'string') return textReply(400, 'Malformed request body');
    return route(this.#routeContext, call.method, call.path, parametersOf(call.query, call.body));
  }

  async #isReset(call: SandboxCall, when: 'before' | 'after', request: IncomingMessage): Promise<boolean> {
    for (const hold of this.#holds) {
      if ((await hold.keep(call, when)) === 'reset') {
        if (!request.socket.destroyed) request.socket.resetAndDestroy();
        return true;
      }
    }
    return false;
  }

  #send(call: SandboxCall, response: ServerResponse, reply: Reply): void {
    response.writeHead(reply.status, reply.headers).end(reply.body);
    this.#answered(call, reply.status);
  }

  #answered(call: SandboxCall, status: number): void {
    call.status = status;
    this.#tellWaiters();
  }

  #tellWaiters(): void {
    this.#waiters = this.#waiters.filter((waiter) => {
      if (this.callCount(waiter.match) < waiter.count) return true;
      waiter.resolve();
      return false;
    });
  }

  // What happens on its own

  #later(milliseconds: number, work: () => void): void {
    if (milliseconds <= 0) {
      work();
      return;
    }
    this.#pending.push({ dueAt: this.#now() + milliseconds, work });
    if (milliseconds === Infinity) return;
    // Timers may be a millisecond early. Calls look too, so an injected clock needs no timer.
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#applyDue();
    }, milliseconds + 2);
    timer.unref();
    this.#timers.add(timer);
  }

  #applyDue(): void {
    const now = this.#now();
    const due = this.#pending.filter((pending) => pending.dueAt <= now);
    this.#pending = this.#pending.filter((pending) => pending.dueAt > now);
    for (const { work } of due) work();
  }

  #react(event: RecordEvent): void {
    this.#sender.fire(event);
    if (this.#options.deliver !== true) return;
    const name = subscriptionEvent(event);
    for (const webhook of this.#records.webhooks.values()) {
      if (webhook.event === name) this.#notify(webhook, event.contactId);
    }
  }

  #notify(webhook: StoredRecord, contactId: string): void {
    const sentAt = String(Math.floor(this.#now() / 1000));
    void this.#sender.sendSubscription(
      {
        url: webhook.url ?? '',
        event: webhook.event ?? '',
        webhookId: webhook.id ?? '',
        contactId,
        format: formatOf(webhook.data),
        encoding: this.#options.subscriptionEncoding ?? 'form',
      },
      ({ status }, payload) => {
        Object.assign(webhook, {
          last_hook: sentAt,
          last_code: status?.toString() ?? null,
          last_payload: payload,
        });
      },
    );
  }

  #tagId(name: string): string {
    const id = this.#records.tagId(name);
    if (id === undefined) throw new ConfigurationError('tag', `the sandbox has no tag "${name}".`);
    return id;
  }
}

/** What a faulty answer to a write is cut from when the write did not happen. */
const LOST_WRITE: Reply = {
  status: 200,
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ code: 0, data: { attrs: { dlm: '0', id: '0' } }, account_id: ACCOUNT_ID }),
};

const unknownContact = (id: string): ConfigurationError =>
  new ConfigurationError('id', `the sandbox has no contact ${id}.`);

/** A client that hung up is nothing to talk about; anything else is a mistake in the sandbox, and shown. */
function giveUp(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.headersSent || request.socket.destroyed) {
    request.socket.destroy();
    return;
  }
  const { status, headers, body } = textReply(500, `The sandbox failed: ${String(error)}`);
  response.writeHead(status, headers).end(body);
}

function subscriptionEvent(event: RecordEvent): string | undefined {
  switch (event.type) {
    case 'create':
      return 'object_create(0)';
    case 'tag':
      return `sub_tag(${event.tagId})`;
    case 'untag':
      return `unsub_tag(${event.tagId})`;
    case 'form':
      return `object_submits_form(${event.formId})`;
    case 'change':
      return undefined;
  }
}

/** A subscription's `data` is JSON text: `{"format":"notify"}`. */
function formatOf(data: string | null | undefined): SubscriptionFormat {
  const [, format] = /"format"\s*:\s*"(notify|lightweight)"/.exec(data ?? '') ?? [];
  return (format ?? 'all') as SubscriptionFormat;
}
