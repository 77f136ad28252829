// What a client sent: its parameters, whatever form they came in, and the log of calls without anything secret.
import type { IncomingMessage } from 'node:http';

/**
 * Parameters of a request. Without a prototype, so that a key like `__proto__` is a key like any other. {@link SandboxCall}
 * has them.
 */
export type Parameters = Record<string, unknown>;

/**
 * A call that a client made. Never holds credentials; its body may hold what the client wrote, a password for instance.
 *
 * @example
 * const [first] = sandbox.calls;
 * console.log(first?.method, first?.path, first?.query.ids, first?.status); // GET /Contacts 42 200
 */
export interface SandboxCall {
  /** Counts from 1 over the sandbox's life. */
  readonly number: number;
  readonly method: string;
  /** Without the query and without the `/1` of the base URL: `/Contacts`. */
  readonly path: string;
  /** The parameters of the query, `a[b]=1` as an object. */
  readonly query: Readonly<Parameters>;
  /** The parsed body: an object, the text where it was none, `undefined` where there was none. */
  readonly body: unknown;
  /** What the request says of its body. */
  readonly contentType: string | undefined;
  /** When it arrived, by the sandbox's clock. */
  readonly at: number;
  /** Whether working credentials came along. */
  readonly authenticated: boolean;
  /** The status it was answered with; `null` while it is not, or where the connection was lost before. */
  status: number | null;
  /** The fault it met, where it met one. */
  fault: string | null;
}

/**
 * Which calls are meant. All that is given must fit.
 *
 * @example
 * await sandbox.waitForCalls({ method: 'PUT', path: '/Contacts', where: ({ status }) => status === 200 });
 */
export interface CallFilter {
  /** The HTTP method, in any case. */
  readonly method?: string;
  /** The path as {@link SandboxCall.path} has it, or a pattern for it. */
  readonly path?: string | RegExp;
  /** Anything else, the query or the body for instance. */
  readonly where?: (call: SandboxCall) => boolean;
}

/** A {@link CallFilter}, or just its `where`. */
export type CallMatch = CallFilter | ((call: SandboxCall) => boolean);

/** Whether a call is among those meant. */
export function matches(match: CallMatch, call: SandboxCall): boolean {
  if (typeof match === 'function') return match(call);
  const { method, path, where } = match;
  if (method !== undefined && method.toUpperCase() !== call.method) return false;
  if (typeof path === 'string' && path !== call.path) return false;
  // A pattern with the g flag would remember where it stopped.
  if (path instanceof RegExp && call.path.search(path) === -1) return false;
  return where === undefined || where(call);
}

/** Longer than anything a client of this API has to say. */
const BODY_LIMIT = 5_000_000;

/** The text of a request's body. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_LIMIT) throw new Error('Body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const empty = (): Parameters => Object.create(null) as Parameters;

/** `a=1&b[c]=2&d[]=3` as an object, a repeated name keeping its last value. */
export function parseForm(text: string | URLSearchParams): Parameters {
  const result = empty();
  for (const [name, value] of new URLSearchParams(text)) {
    const [, head = name, rest = ''] = /^([^[\]]+)((?:\[[^[\]]*\])*)$/.exec(name) ?? [];
    const keys = [head, ...[...rest.matchAll(/\[([^[\]]*)\]/g)].map((match) => match[1] ?? '')];
    let target = result;
    keys.forEach((key, index) => {
      const name = key === '' ? String(Object.keys(target).length) : key;
      if (index === keys.length - 1) {
        target[name] = value;
      } else {
        const next = target[name];
        target = (typeof next === 'object' && next !== null ? next : (target[name] = empty())) as Parameters;
      }
    });
  }
  return result;
}

/**
 * A body as an object where it is one: JSON whatever its content type says (WP Fusion sends it without one), else a form.
 * A body that claims to be JSON and is none stays the text it is.
 */
export function parseBody(text: string, contentType: string | undefined): unknown {
  if (text.trim() === '') return undefined;
  if (/^\s*[{[]/.test(text)) {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  }
  return contentType?.includes('json') === true ? text : parseForm(text);
}

/** Query and body as one; where both have a name, the body's value counts. */
export function parametersOf(query: Readonly<Parameters>, body: unknown): Parameters {
  const result = Object.assign(empty(), query);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return result;
  for (const [key, value] of Object.entries(body)) result[key] = value;
  return result;
}

/** A parameter as text, `''` where it is absent or no scalar. */
export function text(value: unknown): string {
  if (typeof value === 'string') return value.trim();
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

/** A parameter as a list: an array, or text with commas. */
export function list(value: unknown): string[] {
  const values: unknown[] =
    typeof value === 'object' && value !== null ? Object.values(value) : text(value).split(',');
  return values.map(text).filter((item) => item !== '');
}

/** A parameter as a boolean, in any of the ways that clients write one. */
export const isTrue = (value: unknown): boolean => ['1', 'true'].includes(text(value).toLowerCase());
