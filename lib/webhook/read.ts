// An HTTP request becomes parameters: is it for us, what does its query say, and its body, whoever has parsed it or not.
// With middleware.ts this is the only file that knows how Express and its body parsers leave a request behind.
import type { IncomingMessage } from 'node:http';
import { Bytes } from '../bytes';
import { WpFusionError } from '../errors';

/**
 * What Express and body parsers add to a request, as far as it is looked at. Any `Request` of Express is one; {@link
 * wpFusionWebhook} takes it.
 */
export interface WebhookRequest extends IncomingMessage {
  /** Set by a body parser that ran before us. */
  body?: unknown;
  /** The client's address as Express sees it, `trust proxy` respected. */
  ip?: string | undefined;
}

/** Every value that was given for every name, in the order they were found. `null` is a value that is no plain text. */
export type Parameters = Map<string, (string | null)[]>;

/** What came of a body: parameters, nothing, or the trouble that the answer may have to tell. */
export type Body = { parameters: Parameters } | { trouble: WpFusionError } | undefined;

const ACTION = 'wpf_action';

/**
 * Whether a request is a webhook. This runs for every request of the host: it looks at `url` and an existing `body`, never at
 * `query` (a getter that parses), and parses nothing unless the name stands there.
 */
export function isWebhook(request: WebhookRequest): boolean {
  const { url = '', body } = request;
  const queryStart = url.indexOf('?');
  if (queryStart !== -1 && (url.includes(ACTION, queryStart) || hasEncodedName(url, queryStart))) {
    if (new URLSearchParams(url.slice(queryStart + 1)).has(ACTION)) return true;
  }
  return isRecord(body) && Object.hasOwn(body, ACTION);
}

/** A letter of ours, encoded: mostly there is none, which is seen in a third of the time that looking at names takes. */
const ENCODED_LETTER = /%(?:5f|6[1369ef]|7[047])/i;
/** One within a name. No name is looked through twice: from each `?` of many to the end, a long URL would take a tenth of a second. */
const ENCODED_LETTER_IN_NAME = /[?&][^=&?]*%(?:5f|6[1369ef]|7[047])/i;

/**
 * A letter of ours that is encoded within a parameter's name could hide it: `%77pf_action`, but not `filter%5Bcolour%5D`. Rare enough
 * to parse the query for it.
 */
const hasEncodedName = (url: string, queryStart: number): boolean =>
  url.includes('%', queryStart) &&
  ENCODED_LETTER.test(url) &&
  ENCODED_LETTER_IN_NAME.test(url.slice(queryStart));

/** The parameters of the query string. */
export function readQuery(request: WebhookRequest): Parameters {
  const { url = '' } = request;
  const queryStart = url.indexOf('?');
  return fromSearchParameters(queryStart === -1 ? '' : url.slice(queryStart + 1));
}

/** Whether the request would rather have a page than JSON. Express gives `accepts`; without it nobody gets a page. */
export function prefersPage(request: WebhookRequest): boolean {
  const { accepts } = request as { accepts?: (types: readonly string[]) => string | false };
  return request.headers.accept !== undefined && accepts?.call(request, ['json', 'html']) === 'html';
}

/** The body that a parser of the host left in `request.body`, or `undefined` where it has to be read from the stream. */
export function readParsedBody(request: WebhookRequest): { body: Body } | undefined {
  const { body } = request;
  // Express 4 leaves {} where no parser matched, with the stream unread; so does a parser that found nothing.
  if (body === undefined || (isRecord(body) && Object.keys(body).length === 0)) return undefined;
  if (typeof body === 'string') return { body: decode(request, body) };
  if (body instanceof Uint8Array) return { body: decode(request, Buffer.from(body).toString('utf8')) };
  return { body: fromValue(body) };
}

/** The trouble with a parsed body that is larger than `limit`, by its own size or by what the request says of it. */
export function parsedBodyTrouble(request: WebhookRequest, limit: number): WpFusionError | undefined {
  const { body, headers } = request;
  const size =
    typeof body === 'string' || body instanceof Uint8Array
      ? Buffer.byteLength(body)
      : Number(headers['content-length'] ?? 0);
  return size > limit ? tooLarge(limit) : undefined;
}

/** Reads the body from the stream, up to `limit` bytes. Resolves in any case: with nothing where there is nothing to read. */
export async function readStream(request: WebhookRequest, limit: number, signal: AbortSignal): Promise<Body> {
  const { headers } = request;
  const declared = Number(headers['content-length'] ?? 0);
  if (headers['transfer-encoding'] === undefined && !(declared > 0)) return undefined;
  // Somebody else took the stream and left no body: waiting for its end would be waiting for ever.
  if (request.readableDidRead || request.readableEnded || request.destroyed) return undefined;
  if (declared > limit) return { trouble: tooLarge(limit) };
  const encoding = headers['content-encoding']?.toLowerCase() ?? 'identity';
  if (encoding !== 'identity') {
    return {
      trouble: new WpFusionError('UNSUPPORTED_MEDIA_TYPE', 'The body is compressed; send it as it is.'),
    };
  }
  const bytes = await collect(request, limit, signal);
  return bytes instanceof WpFusionError ? { trouble: bytes } : decode(request, bytes.text());
}

function collect(
  request: WebhookRequest,
  limit: number,
  signal: AbortSignal,
): Promise<Bytes | WpFusionError> {
  return new Promise((resolve) => {
    const bytes = new Bytes();
    const settle = (outcome: Bytes | WpFusionError): void => {
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      signal.removeEventListener('abort', onAbort);
      resolve(outcome);
    };
    const onData = (chunk: Buffer | string): void => {
      const piece = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      if (bytes.length + piece.length > limit) settle(tooLarge(limit));
      else bytes.add(piece);
    };
    const onEnd = (): void => settle(bytes);
    const onGone = (): void =>
      settle(new WpFusionError('INVALID_BODY', 'The connection ended within the body.'));
    const onAbort = (): void =>
      settle(new WpFusionError('TIMED_OUT', 'The body did not arrive in time.', { retryAfter: 30 }));
    // Resumed by name: a stream that a middleware before us has paused would not flow for a listener alone.
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone).resume();
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}

const tooLarge = (limit: number): WpFusionError =>
  new WpFusionError('BODY_TOO_LARGE', `The body is larger than the ${limit} bytes of bodyLimit.`);

/** A body that is still text, by its content type. */
function decode(request: WebhookRequest, text: string): Body {
  if (text.trim() === '') return undefined;
  const type = (request.headers['content-type'] ?? '').split(';', 1).join('').trim().toLowerCase();
  if (type === 'application/x-www-form-urlencoded') return { parameters: fromSearchParameters(text) };
  if (type !== 'application/json' && !type.endsWith('+json')) {
    const given = type === '' ? 'no content type' : 'another content type';
    const message = `The body has ${given}; send application/x-www-form-urlencoded or application/json.`;
    return { trouble: new WpFusionError('UNSUPPORTED_MEDIA_TYPE', message) };
  }
  try {
    return fromValue(JSON.parse(text.replace(/^\uFEFF/, '')));
  } catch {
    const message =
      'The body is not valid JSON; a merge field with a quote or a line break in its value can cause this.';
    return { trouble: new WpFusionError('INVALID_BODY', message) };
  }
}

function fromValue(value: unknown): Body {
  if (isRecord(value)) return { parameters: fromRecord(value) };
  return { trouble: new WpFusionError('INVALID_BODY', 'The body holds no object with parameters.') };
}

function fromSearchParameters(text: string): Parameters {
  const parameters: Parameters = new Map();
  for (const [name, value] of new URLSearchParams(text)) add(parameters, name, value);
  return parameters;
}

/**
 * An object out of JSON or a body parser. One level of nesting becomes `data[id]`, as a form would have it; the object itself is
 * a value that is no plain text, so that `"dry_run": {}` is a mistake and not a parameter that was left out.
 */
function fromRecord(record: Readonly<Record<string, unknown>>): Parameters {
  const parameters: Parameters = new Map();
  for (const [name, value] of Object.entries(record)) {
    if (isRecord(value)) {
      add(parameters, name, null);
      for (const [key, inner] of Object.entries(value)) addValue(parameters, `${name}[${key}]`, inner);
    } else addValue(parameters, name, value);
  }
  return parameters;
}

function addValue(parameters: Parameters, name: string, value: unknown): void {
  if (value === null || value === undefined) return;
  if (Array.isArray(value) && value.length > 0) for (const item of value) add(parameters, name, asText(item));
  else add(parameters, name, asText(value));
}

/** A plain value as text; `null` for anything else, and for a number that JSON has already rounded. */
function asText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return String(value);
  return null;
}

function add(parameters: Parameters, name: string, value: string | null): void {
  const values = parameters.get(name);
  if (values === undefined) parameters.set(name, [value]);
  else values.push(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
