// The webhooks that a sandbox sends: the automation element's, in every shape seen, and those of API subscriptions.
import { setMaxListeners } from 'node:events';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { ConfigurationError } from '../../errors';
import type { Records, RecordEvent, StoredRecord } from './records';
import { randomOf, shuffle } from './random';

/**
 * How an automation's webhook is set up:
 * - `empty`: POST without a body; the parameters are in the query
 * - `form`: POST with a form body
 * - `json`: POST with a JSON body and its content type
 * - `jsonAsForm`, `jsonUntyped`: POST with a JSON body that says it is a form, or does not say what it is
 * - `get`: GET; the parameters are in the query
 *
 * {@link WebhookOptions} has one.
 */
export type WebhookShape = 'empty' | 'form' | 'json' | 'jsonAsForm' | 'jsonUntyped' | 'get';

/**
 * What a person sets up in Ontraport's "Webhook" element. Merge fields (`[Contact ID]`, `[First Name]`) work everywhere.
 *
 * @example
 * const { status, json } = await sandbox.send({
 *   url: `${site}/?wpf_action=update&access_key=${key}`,
 *   contactId: id,
 *   shape: 'json',
 * });
 */
export interface WebhookOptions {
  /** The address of the site, absolute. */
  readonly url: string;
  /** Default `empty`, the set-up that WP Fusion recommends. */
  readonly shape?: WebhookShape;
  /** Goes where the shape puts data, query or body. Default: the contact's id, where the URL has none, and in a body name and email. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** The body as the person typed it, instead of one made from `parameters`. */
  readonly body?: string;
  /** Instead of the shape's method. */
  readonly method?: string;
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether merged values are escaped in a body; default false: whether Ontraport does is unknown, so a quote may break JSON. */
  readonly escape?: boolean;
  /** `false` sends merge fields as they were typed. */
  readonly merge?: boolean;
  /** After how long the sender gives up; default 60,000 ms. */
  readonly timeoutMs?: number;
}

/** What makes an automation send its webhook; tags by name, fields by key. {@link RuleOptions} has one. */
export type RuleTrigger = 'create' | 'change' | `field:${string}` | `tag:${string}` | `untag:${string}`;

/**
 * An automation: what starts it, and the webhook it sends.
 *
 * @example
 * const rule = sandbox.addRule({ on: 'tag:Customer', url: `${site}/?wpf_action=add&access_key=${key}` });
 * sandbox.tag(id, 'Customer');
 * await sandbox.settled();
 * rule.remove();
 */
export interface RuleOptions extends WebhookOptions {
  /** What starts it. */
  readonly on: RuleTrigger;
}

/** Which fields a subscription's webhook carries. {@link SubscriptionWebhookOptions} has one. */
export type SubscriptionFormat = 'all' | 'notify' | 'lightweight';

/**
 * A webhook as an API subscription sends it.
 *
 * @example
 * await sandbox.sendSubscription({ url: `${site}/?wpf_action=update&access_key=${key}`, event: 'sub_tag(4)', contactId: id });
 */
export interface SubscriptionWebhookOptions {
  /** The address of the site, absolute. */
  readonly url: string;
  /** `object_create(0)`, `sub_tag(4)`, `unsub_tag(4)`, `object_submits_form(2)` … */
  readonly event: string;
  /** The contact it is about. */
  readonly contactId: string;
  /** Default `all`. */
  readonly format?: SubscriptionFormat;
  /** Default `form`, with brackets; sources disagree whether Ontraport sends JSON. */
  readonly encoding?: 'form' | 'json';
  /** The id of the subscription. */
  readonly webhookId?: string;
}

/**
 * Many webhooks at once, as group actions send them.
 *
 * @example
 * const { deliveries, dropped } = await sandbox.burst({
 *   url: `${site}/?wpf_action=update&access_key=${key}`,
 *   contactIds: sandbox.contacts().map((contact) => String(contact.id)),
 *   ...{ duplicates: 1, shuffle: true, drop: 0.1, seed: 1 },
 * });
 */
export interface BurstOptions extends WebhookOptions {
  /** Whom they are about; each gets one, and its duplicates. */
  readonly contactIds: readonly string[];
  /** How many are under way at the same time; default 50. */
  readonly concurrency?: number;
  /** How many extra times each is sent; default 0. */
  readonly duplicates?: number;
  /** Whether they are sent out of order. */
  readonly shuffle?: boolean;
  /** The share that is lost on the way, 0 to 1. */
  readonly drop?: number;
  /** For `shuffle` and `drop`: the same seed gives the same burst. */
  readonly seed?: number;
}

/**
 * A webhook that was sent, and the answer it got. Without its query: that holds an access key. {@link WebhookOptions} shows
 * one.
 */
export interface Delivery {
  /** Counts from 1 over the sandbox’s life. */
  readonly number: number;
  readonly method: string;
  /** The path of the URL. */
  readonly path: string;
  /** The contact it was about. */
  readonly contactId: string;
  /** `null` where there was no answer. */
  readonly status: number | null;
  /** What the answer says of its body. */
  readonly contentType: string | undefined;
  /** The text of the answer. */
  readonly body: string;
  /** The answer parsed, `undefined` where it is no JSON. */
  readonly json: unknown;
  /** Why there was no answer: `ECONNREFUSED`, `ECONNRESET`, `TIMEOUT` … */
  readonly error: string | undefined;
}

interface Message {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly contactId: string;
  readonly timeoutMs?: number | undefined;
}

const FORM_TYPE = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

const CONTENT_TYPES: Readonly<Record<WebhookShape, string | undefined>> = {
  empty: undefined,
  form: FORM_TYPE,
  json: JSON_TYPE,
  jsonAsForm: FORM_TYPE,
  jsonUntyped: undefined,
  get: undefined,
};

/** `[First Name]`, also as a URL class or a careful person writes it: `%5BFirst%20Name%5D`. */
const MERGE_FIELD = /(?:\[|%5B)((?:(?!%5[BD])[^[\]])+)(?:\]|%5D)/gi;

const ID_FIELD = /(?:\[|%5B)(?:Contact(?: |%20|\+))?ID(?:\]|%5D)/i;

/** Found when a webhook is set up, not in the middle of the call that sets it off. */
export function checkUrl(url: string): void {
  if (URL.canParse(url) && /^https?:/i.test(url)) return;
  throw new ConfigurationError('url', 'a webhook needs an absolute URL, http://… or https://…');
}

/** Percent-encodes everything except merge fields. */
const encodeAround = (value: string): string =>
  value.replace(/\[[^[\]]+\]|[^[]+|\[/g, (part) => (/^\[.+\]$/.test(part) ? part : encodeURIComponent(part)));

/** Sends webhooks and remembers what became of them. Never sends one twice. */
export class Sender {
  readonly deliveries: Delivery[] = [];
  readonly rules = new Set<RuleOptions>();
  readonly #active = new Set<Promise<Delivery>>();
  readonly #closing = new AbortController();
  #number = 0;

  constructor(
    private readonly records: Records,
    private readonly now: () => number,
  ) {
    // As many webhooks as there are may be under way at the same time.
    setMaxListeners(0, this.#closing.signal);
  }

  /** Sends an automation's webhook for one contact. */
  async send(contactId: string, options: WebhookOptions): Promise<Delivery> {
    return await this.#deliver(this.#compose(contactId, options));
  }

  /** Sends the webhook of an API subscription. */
  async sendSubscription(
    options: SubscriptionWebhookOptions,
    onDelivery?: (delivery: Delivery, payload: string) => void,
  ): Promise<Delivery> {
    const { url, contactId, encoding = 'form', webhookId = '1' } = options;
    checkUrl(url);
    const [, type = options.event, id = ''] = /^(\w+)\((\d+)\)$/.exec(options.event) ?? [];
    const payload = {
      webhook_id: webhookId,
      object_type_id: '0',
      event: { type, ...eventDetail(type, id) },
      data: this.#subscriptionData(contactId, options.format ?? 'all'),
      timestamp: String(Math.floor(this.now() / 1000)),
    };
    const body = encoding === 'json' ? JSON.stringify(payload) : bracketForm(payload);
    const headers = { 'Content-Type': encoding === 'json' ? JSON_TYPE : FORM_TYPE };
    return await this.#deliver({ method: 'POST', url, headers, body, contactId }, (delivery) =>
      onDelivery?.(delivery, body),
    );
  }

  /** Sends what rules make of an event. */
  fire(event: RecordEvent): void {
    const triggers = this.#triggers(event);
    for (const rule of this.rules) if (triggers.has(rule.on)) void this.send(event.contactId, rule);
  }

  async burst({
    contactIds,
    ...options
  }: BurstOptions): Promise<{ deliveries: Delivery[]; dropped: string[] }> {
    const random = randomOf(options.seed ?? 1);
    const copies = Array.from({ length: 1 + (options.duplicates ?? 0) }, () => contactIds).flat();
    if (options.shuffle === true) shuffle(copies, random);
    const dropped: string[] = [];
    const remaining = copies.filter((id) => {
      const lost = random() < (options.drop ?? 0);
      if (lost) dropped.push(id);
      return !lost;
    });
    const deliveries: Delivery[] = [];
    const work = async (): Promise<void> => {
      while (!this.#closing.signal.aborted) {
        const id = remaining.shift();
        if (id === undefined) return;
        deliveries.push(await this.send(id, options));
      }
    };
    await Promise.all(Array.from({ length: options.concurrency ?? 50 }, work));
    return { deliveries, dropped };
  }

  /** Waits for every delivery under way, those that others set off in the meantime included. */
  async settled(): Promise<void> {
    while (this.#active.size > 0) await Promise.all(this.#active);
  }

  async close(): Promise<void> {
    this.rules.clear();
    this.#closing.abort();
    await this.settled();
  }

  #triggers(event: RecordEvent): Set<string> {
    switch (event.type) {
      case 'change':
        return new Set(['change', ...event.fields.map((key) => `field:${key}`)]);
      case 'tag':
      case 'untag':
        return new Set([`${event.type}:${this.records.tags.get(event.tagId)?.tag_name ?? ''}`]);
      case 'create':
      case 'form':
        return new Set([event.type]);
    }
  }

  #compose(contactId: string, options: WebhookOptions): Message {
    checkUrl(options.url);
    const shape = options.shape ?? 'empty';
    const inQuery = shape === 'empty' || shape === 'get';
    const contact = this.records.contact(contactId);
    const merge = (template: string, escape: (value: string) => string): string =>
      options.merge === false ? template : this.#merge(template, contactId, contact, escape);

    const id: Record<string, string> = ID_FIELD.test(options.url) ? {} : { contact_id: '[Contact ID]' };
    const person = { First_Name: '[First Name]', Email: '[Email]' };
    const parameters =
      options.parameters ?? (inQuery || options.body !== undefined ? id : { ...id, ...person });
    const form = Object.entries(parameters)
      .map(([name, value]) => `${encodeURIComponent(name)}=${encodeAround(value)}`)
      .join('&');

    let { url } = options;
    if (inQuery && form !== '') url += (url.includes('?') ? '&' : '?') + form;
    const isForm = shape === 'form';
    const template = options.body ?? (inQuery ? '' : isForm ? form : JSON.stringify(parameters));
    const escape = isForm ? encodeURIComponent : (value: string) => JSON.stringify(value).slice(1, -1);
    const contentType = CONTENT_TYPES[shape];
    return {
      method: options.method ?? (shape === 'get' ? 'GET' : 'POST'),
      url: merge(url, encodeURIComponent),
      headers: { ...(contentType === undefined ? {} : { 'Content-Type': contentType }), ...options.headers },
      body: merge(template, options.escape === true ? escape : (value) => value),
      contactId,
      timeoutMs: options.timeoutMs,
    };
  }

  /** Puts the contact's values in place of merge fields; brackets around anything else stay what they are. */
  #merge(
    template: string,
    contactId: string,
    contact: StoredRecord | undefined,
    escape: (value: string) => string,
  ): string {
    return template.replace(MERGE_FIELD, (whole, name: string) => {
      const label = name.replace(/%20|\+/g, ' ').trim();
      if (label === 'Contact ID' || label === 'ID') return escape(contactId);
      for (const field of this.records.fields.values()) {
        if (field.alias === label) return escape(this.records.label(field, contact?.[field.key]));
      }
      return whole;
    });
  }

  #subscriptionData(contactId: string, format: SubscriptionFormat): StoredRecord {
    const contact = this.records.contact(contactId) ?? {};
    if (format === 'notify') return { id: contactId };
    if (format === 'all') return { ...contact, id: contactId };
    const { firstname = '', lastname = '', email = '' } = contact;
    return { id: contactId, firstname, lastname, email };
  }

  #deliver(message: Message, onDelivery?: (delivery: Delivery) => void): Promise<Delivery> {
    const delivery = exchange(message, ++this.#number, this.#closing.signal).then((result) => {
      this.#active.delete(delivery);
      this.deliveries.push(result);
      onDelivery?.(result);
      return result;
    });
    this.#active.add(delivery);
    return delivery;
  }
}

const eventDetail = (type: string, id: string): Record<string, string> => {
  if (type === 'sub_tag' || type === 'unsub_tag') return { tag_id: id };
  if (type === 'object_submits_form') return { form_id: id };
  return type === 'object_create' ? {} : { product_id: id };
};

/** `data[id]=8&…`, with the brackets percent-encoded, as it is on the wire. */
function bracketForm(payload: Readonly<Record<string, string | StoredRecord>>): string {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(payload)) {
    if (typeof value === 'string') form.append(name, value);
    else for (const [key, inner] of Object.entries(value)) form.append(`${name}[${key}]`, inner ?? '');
  }
  return form.toString();
}

/** Sends a message and resolves with what came back; trouble is part of the result, never thrown. */
function exchange(message: Message, number: number, signal: AbortSignal): Promise<Delivery> {
  const { method, contactId, body } = message;
  const url = new URL(message.url);
  const about = { number, method, path: url.pathname, contactId };
  return new Promise((resolve) => {
    const failed = (error: Error & { code?: unknown }): void => {
      const code = typeof error.code === 'string' ? error.code : error.name;
      resolve({ ...about, status: null, contentType: undefined, body: '', json: undefined, error: code });
    };
    const headers: Record<string, string> = { 'User-Agent': 'Ontraport Webhook', ...message.headers };
    if (method !== 'GET' || body !== '') headers['Content-Length'] = String(Buffer.byteLength(body));
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    const request = send(url, { method, headers, agent: false, signal });
    request.setTimeout(message.timeoutMs ?? 60_000, () => {
      request.destroy(Object.assign(new Error('Timed out'), { code: 'TIMEOUT' }));
    });
    request.on('error', failed);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', failed);
      response.on('end', () => {
        const { statusCode = null, headers: received } = response;
        resolve({
          ...about,
          status: statusCode,
          contentType: received['content-type'],
          body: text,
          json: parsed(text),
          error: undefined,
        });
      });
    });
    request.end(body);
  });
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
};
