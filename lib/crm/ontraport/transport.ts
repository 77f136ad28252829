// One call to the Ontraport API: paced, bounded in time and size, tried again where that is safe, and turned into data or an error of ours.
// An error of axios never gets out of here: it holds the request's headers, and so the keys.

import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import { Axios } from 'axios';
import { Bytes } from '../../bytes';
import { WpFusionError } from '../../errors';
import { crmCallCounter } from '../../telemetry/instruments';
import { hasFailed, inSpan, type Attributes } from '../../telemetry/spans';
import { AbortListeners } from '../abort-listeners';
import type { BudgetStore, CrmBudget } from '../client';
import { RateLimit } from './rate-limit';
import type { CallKind, RateObservation } from './rate-limit';

/** What a {@link Transport} needs. */
export interface TransportOptions {
  readonly appId: string;
  readonly apiKey: string;
  /** Without a slash at its end. */
  readonly baseUrl: string;
  /** Milliseconds for one try, from its start to the last byte of its answer. */
  readonly timeoutMs: number;
  readonly maxConcurrentCalls: number;
  readonly maxResponseBytes: number;
}

/** A call. Every call is one that may be made twice: reads, and writes of the same values. */
export interface Call {
  readonly method: 'GET' | 'PUT';
  /** Under the base URL; goes into error messages, so without anything of a contact. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: Readonly<Record<string, string>>;
  readonly kind: CallKind;
  readonly signal?: AbortSignal | undefined;
  /** How often it is tried at most; default 4. */
  readonly tries?: number | undefined;
}

/** An answer's `data`; `undefined` where Ontraport says that there is no such object. */
export type Answer = { readonly data: unknown } | undefined;

/** A try that failed, and whether another one may succeed. */
interface Failure {
  readonly error: WpFusionError;
  readonly again: boolean;
}

interface Reply {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly text: string;
}

const TRIES = 4;
const FIRST_BACKOFF_MS = 250;
/** Where a 429 says nothing of when to come back. */
const FIRST_PAUSE_MS = 1000;
/** A pause that is asked for is kept up to this length; then the account is asked again. */
const LONGEST_PAUSE_MS = 300_000;

/** Makes calls. Holds the keys, in private fields that neither `util.inspect` nor JSON shows. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #rateLimit: RateLimit;
  readonly #http: InstanceType<typeof Axios>;
  readonly #abortListeners = new AbortListeners();
  readonly #count = crmCallCounter();
  /** What spans say of the server, and of the address of calls: without a query, and without credentials. */
  readonly #server: Attributes;
  readonly #url: string;
  /** The last error of each call that is being tried again. */
  readonly #troubles = new Map<symbol, WpFusionError>();

  constructor(options: TransportOptions) {
    const { maxConcurrentCalls, timeoutMs } = options;
    this.#options = options;
    const { protocol, host, hostname, port, pathname } = new URL(options.baseUrl);
    const usualPort = protocol === 'http:' ? 80 : 443;
    this.#server = { 'server.address': hostname, 'server.port': port === '' ? usualPort : Number(port) };
    this.#url = `${protocol}//${host}${pathname}`;
    this.#rateLimit = new RateLimit({ maxConcurrentCalls, longestCallMs: timeoutMs });
    // A client of its own, made from nothing: what a host sets in axios' defaults, or intercepts, is not for these calls.
    this.#http = new Axios({
      adapter: 'http',
      httpAgent: new HttpAgent({ keepAlive: true, maxSockets: maxConcurrentCalls }),
      httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: maxConcurrentCalls }),
      // Collected here: axios keeps every piece of an answer as it came, which in pieces of a byte is more than memory has.
      responseType: 'stream',
      transformRequest: (data: unknown) => data,
      transformResponse: (data: unknown) => data,
      validateStatus: () => true,
      // A redirect would take the keys somewhere else.
      maxRedirects: 0,
      decompress: true,
    });
  }

  /** Spends one budget with all processes that share this store. Of several stores the first counts. */
  shareBudget(store: BudgetStore): void {
    this.#rateLimit.share(store);
  }

  /** Milliseconds that a call may wait for company, for the sake of the budget. */
  lingerMs(): number {
    return this.#rateLimit.lingerMs();
  }

  /** What is known of the rate limit. */
  budget(): CrmBudget {
    return this.#rateLimit.state();
  }

  /** What calls are held up by now: the rate limit, or the error after which one is being tried again. */
  trouble(): WpFusionError | undefined {
    return this.#rateLimit.trouble() ?? [...this.#troubles.values()].at(-1);
  }

  /**
   * Makes a call, several times if need be: after network errors, timeouts, 5xx, 429 and answers that are no JSON.
   *
   * @throws WpFusionError with CRM_UNAUTHORIZED, CRM_RATE_LIMITED, CRM_UNAVAILABLE or CRM_BAD_RESPONSE. After an abort: the error of
   *   the last try, else CRM_RATE_LIMITED where it waited for budget, else CRM_UNAVAILABLE.
   */
  async call(call: Call): Promise<Answer> {
    const { signal } = call;
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    if (signal?.aborted) abort();
    const stopListening = signal === undefined ? undefined : this.#abortListeners.add(signal, abort);
    const self = Symbol(call.path);
    try {
      for (let attempt = 1; ; attempt += 1) {
        const outcome = await this.#try(call, attempt, controller.signal, this.#troubles.get(self));
        if (!('error' in outcome)) return outcome.answer;
        if (!outcome.again || attempt >= (call.tries ?? TRIES) || controller.signal.aborted) {
          throw outcome.error;
        }
        // Deleted first, so that the newest is the last.
        this.#troubles.delete(self);
        this.#troubles.set(self, outcome.error);
        await backOff(attempt, outcome.error, controller.signal);
      }
    } finally {
      stopListening?.();
      this.#troubles.delete(self);
    }
  }

  async #try(
    call: Call,
    attempt: number,
    signal: AbortSignal,
    last: WpFusionError | undefined,
  ): Promise<{ answer: Answer } | Failure> {
    let permit;
    try {
      permit = await this.#rateLimit.acquire(call.kind, signal);
    } catch (error) {
      const refused = error as WpFusionError;
      return { error: refused.code === 'CRM_RATE_LIMITED' ? refused : (last ?? refused), again: false };
    }
    return this.#traced(call, attempt, async (answered) => {
      let reply: Reply | Failure;
      try {
        reply = await this.#send(call, signal);
      } catch {
        // Nothing is known to come here; whatever did could hold the request.
        reply = fail('CRM_UNAVAILABLE', `${nameOf(call)} to Ontraport could not be made.`, true);
      }
      if ('error' in reply) {
        permit.release();
        return signal.aborted && last !== undefined ? { error: last, again: false } : reply;
      }
      answered(reply.status);
      const observation = observe(reply, attempt);
      permit.release(observation);
      return judge(call, reply, observation);
    });
  }

  /** Tells OpenTelemetry of a try: a span by the conventions for HTTP clients, and a number. */
  async #traced<Outcome extends object>(
    call: Call,
    attempt: number,
    work: (answered: (status: number) => void) => Promise<Outcome | Failure>,
  ): Promise<Outcome | Failure> {
    const attributes = (): Attributes => ({
      ...this.#server,
      'http.request.method': call.method,
      'url.full': `${this.#url}${call.path}`,
      'url.template': call.path,
      ...(attempt === 1 ? {} : { 'http.request.resend_count': attempt - 1 }),
    });
    return inSpan(nameOf(call), { kind: 'client', attributes }, async (span) => {
      let status: number | undefined;
      const outcome = await work((one) => (status = one));
      this.#count(call.kind, status);
      if (status !== undefined) span?.setAttribute('http.response.status_code', status);
      if ('error' in outcome) hasFailed(span, outcome.error.code);
      return outcome;
    });
  }

  async #send(call: Call, signal: AbortSignal): Promise<Reply | Failure> {
    const { baseUrl, appId, apiKey, timeoutMs, maxResponseBytes } = this.#options;
    // axios' own timeout starts again with every byte; this one is for the whole answer.
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    const timeout = new AbortController();
    timeout.signal.addEventListener('abort', abort);
    const timer = setTimeout(() => timeout.abort(), timeoutMs);
    timer.unref();
    // It may have come between the permit and here, and an abort that is over is not heard of any more.
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    const query = new URLSearchParams(call.query).toString();
    try {
      const response = await this.#http.request<Readable>({
        method: call.method,
        url: `${baseUrl}${call.path}${query === '' ? '' : `?${query}`}`,
        headers: {
          Accept: 'application/json',
          'User-Agent': 'wp-fusion-webhook',
          'Api-Appid': appId,
          'Api-Key': apiKey,
          ...(call.body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(call.body === undefined ? {} : { data: JSON.stringify(call.body) }),
        signal: controller.signal,
      });
      const { status, headers, data } = response;
      const header = (name: string): string | undefined => {
        const value: unknown = headers[name];
        return typeof value === 'string' ? value : undefined;
      };
      const text = await textOf(data, maxResponseBytes, controller.signal);
      if (text !== undefined) return { status, header, text };
      return fail(
        'CRM_BAD_RESPONSE',
        `The answer to ${nameOf(call)} has more than ${maxResponseBytes} bytes. Check baseUrl.`,
        false,
      );
    } catch (error) {
      if (timeout.signal.aborted) {
        return fail(
          'CRM_UNAVAILABLE',
          `Ontraport did not answer ${nameOf(call)} within ${timeoutMs} ms.`,
          true,
        );
      }
      if (signal.aborted) {
        return fail(
          'CRM_UNAVAILABLE',
          `Ontraport had not answered ${nameOf(call)} when the time for it was over.`,
          false,
        );
      }
      return this.#networkFailure(call, error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  #networkFailure(call: Call, error: unknown): Failure {
    const { code } = error as { code?: unknown };
    // Of a foreign error only its code goes on: the message of some names the URL, the error itself holds the headers.
    const name = typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,40}$/.test(code) ? code : 'unknown error';
    const cause = Object.assign(new Error(`The connection failed: ${name}.`), { code: name });
    if (name.startsWith('Z_')) {
      return fail('CRM_BAD_RESPONSE', `The answer to ${nameOf(call)} cannot be unpacked.`, true, { cause });
    }
    return fail(
      'CRM_UNAVAILABLE',
      `The connection for ${nameOf(call)} to Ontraport failed (${name}).`,
      true,
      { cause },
    );
  }
}

/** The text of an answer, unpacked; `undefined` where it has more bytes than `limit`. Rejects where it ends too early. */
function textOf(answer: Readable, limit: number, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const bytes = new Bytes();
    const stop = (): void => void answer.destroy();
    answer.on('data', (piece: Buffer) => {
      if (bytes.length + piece.length <= limit) bytes.add(piece);
      else {
        resolve(undefined);
        stop();
      }
    });
    answer.on('end', () => resolve(bytes.text().replace(/^\uFEFF/, '')));
    answer.on('error', reject);
    answer.on('close', () => {
      signal.removeEventListener('abort', stop);
      reject(new Error('The answer ended too early.'));
    });
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
  });
}

const nameOf = (call: Call): string => `${call.method} ${call.path}`;

function fail(
  code: 'CRM_UNAUTHORIZED' | 'CRM_BAD_RESPONSE' | 'CRM_RATE_LIMITED' | 'CRM_UNAVAILABLE',
  message: string,
  again: boolean,
  details: { cause?: unknown; retryAfter?: number } = {},
): Failure {
  return { error: new WpFusionError(code, message, details), again };
}

/** What a reply means: status first, then the text. */
function judge(
  call: Call,
  { status, text }: Reply,
  { refusedForMs = 0 }: RateObservation,
): { answer: Answer } | Failure {
  const name = nameOf(call);
  if (status === 401) {
    return fail(
      'CRM_UNAUTHORIZED',
      `Ontraport refuses the credentials (401 to ${name}). Check appId and apiKey.`,
      false,
    );
  }
  if (status === 403) {
    return fail(
      'CRM_UNAUTHORIZED',
      `Ontraport does not allow ${name} (403). Give the user who owns the API key the permission for it.`,
      false,
    );
  }
  if (status === 429) {
    const retryAfter = Math.max(1, Math.ceil(refusedForMs / 1000));
    return fail('CRM_RATE_LIMITED', `Ontraport's rate limit is reached (429 to ${name}).`, true, {
      retryAfter,
    });
  }
  if (status >= 500 || status === 408) {
    return fail('CRM_UNAVAILABLE', `Ontraport answered ${name} with ${status}.`, true);
  }
  const saysNotFound = /^\s*"?object not found"?\.?\s*$/i.test(text);
  if (saysNotFound && (status === 404 || (status >= 200 && status < 300))) return { answer: undefined };
  if (status < 200 || status >= 300) {
    const advice =
      status >= 300 && status < 400
        ? 'Redirects are not followed; check baseUrl.'
        : status === 404
          ? 'Check baseUrl.'
          : 'The call was not understood; check the field keys and values.';
    return fail('CRM_BAD_RESPONSE', `Ontraport answered ${name} with ${status}. ${advice}`, false);
  }
  let envelope: unknown;
  try {
    envelope = JSON.parse(text);
  } catch {
    return fail('CRM_BAD_RESPONSE', `Ontraport's answer to ${name} is no JSON (status ${status}).`, true);
  }
  if (typeof envelope !== 'object' || envelope === null || Array.isArray(envelope)) {
    return fail('CRM_BAD_RESPONSE', `Ontraport's answer to ${name} is not what it documents.`, false);
  }
  const { code, data } = envelope as { code?: unknown; data?: unknown };
  if (code !== 0 && code !== '0') {
    const shown = typeof code === 'number' ? String(code) : 'none';
    return fail(
      'CRM_BAD_RESPONSE',
      `Ontraport's answer to ${name} has the code ${shown} instead of 0.`,
      false,
    );
  }
  return { answer: { data } };
}

/** What a reply says about the budget. Numbers that are none are as good as absent. */
function observe({ status, header }: Reply, attempt: number): RateObservation {
  const number = (name: string): number | undefined => {
    const value = header(name)?.trim() ?? '';
    return /^\d{1,9}(\.\d+)?$/.test(value) ? Number(value) : undefined;
  };
  const limit = number('x-rate-limit-limit');
  const reset = number('x-rate-limit-reset');
  const resetMs = reset === undefined ? undefined : reset * 1000;
  const observation = {
    limit: limit !== undefined && limit >= 1 ? Math.floor(limit) : undefined,
    remaining: number('x-rate-limit-remaining'),
    resetMs,
  };
  if (status !== 429) return observation;
  const pause = retryAfterMs(header('retry-after')) ?? resetMs ?? FIRST_PAUSE_MS * 2 ** (attempt - 1);
  return { ...observation, refusedForMs: Math.min(pause, LONGEST_PAUSE_MS) };
}

/** `Retry-After` in milliseconds: seconds, or an HTTP date. */
function retryAfterMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

/** Waits before the next try, at most until the abort. After a 429 the rate limit does the waiting. */
async function backOff(attempt: number, error: WpFusionError, signal: AbortSignal): Promise<void> {
  if (error.code === 'CRM_RATE_LIMITED') return;
  // Full jitter: many processes that failed together do not come back together.
  const delay = Math.random() * FIRST_BACKOFF_MS * 2 ** (attempt - 1);
  const done = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => finish(true), delay);
    const finish = (waited: boolean): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(waited);
    };
    const onAbort = (): void => finish(false);
    timer.unref();
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  if (!done) throw error;
}
