// How a sandbox misbehaves: answers that are wrong, cut, endless or lost, slow answers, and answers held back for races.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { OBJECT_NOT_FOUND, textReply, UNAUTHORIZED } from './replies';
import type { Reply } from './replies';
import { matches } from './requests';
import type { CallFilter, CallMatch, SandboxCall } from './requests';

/**
 * A way to misbehave:
 * - `error500`: status 500 with an HTML page
 * - `html200`: status 200 with an HTML page
 * - `notFound200`: status 200 with the text `Object not found`, as one account was seen to answer
 * - `unauthorized`, `forbidden`, `rateLimited`: 401, 403, 429 as Ontraport answers them
 * - `redirect`: 302 to `/elsewhere` of the sandbox; `calls` shows whether a client took its credentials there
 * - `reset`: the connection is reset without an answer
 * - `hang`: no answer, ever
 * - `truncate`: the connection is destroyed in the middle of the body, before its `Content-Length` is reached
 * - `truncatedJson`: a complete HTTP answer with half of the JSON
 * - `endless`: a body that never ends
 * - `gzipBomb`: some 260 kB that unpack to 256 MB
 *
 * {@link OntraportSandbox.fail} sets them up.
 */
export type FaultKind =
  | 'error500'
  | 'html200'
  | 'notFound200'
  | 'unauthorized'
  | 'forbidden'
  | 'rateLimited'
  | 'redirect'
  | 'reset'
  | 'hang'
  | 'truncate'
  | 'truncatedJson'
  | 'endless'
  | 'gzipBomb';

/**
 * An answer of your own. An object as `body` becomes JSON.
 *
 * @example
 * sandbox.fail({ path: '/Contacts', with: { status: 422, body: { error: 'Something new' } } });
 */
export interface CustomAnswer {
  readonly status: number;
  readonly body?: string | object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Which calls meet which fault. What {@link OntraportSandbox.fail} takes. */
export interface FaultOptions extends CallFilter {
  /** What the call meets. */
  readonly with: FaultKind | CustomAnswer;
  /** How many calls meet it; default 1, `Infinity` until it is removed. */
  readonly times?: number;
  /** How many matching calls pass before the first one that meets it; default 0. */
  readonly skip?: number;
  /** For writes: whether the write takes effect although its answer is lost; default false. */
  readonly applied?: boolean;
}

/**
 * A fault that was set up.
 *
 * @example
 * const fault = sandbox.fail({ method: 'GET', with: 'error500', times: Infinity });
 * fault.remove();
 * console.log(fault.hits);
 */
export interface FaultHandle {
  /** How many calls have met it. */
  readonly hits: number;
  /** Takes the fault away: from now on calls pass. */
  remove(): void;
}

class Fault implements FaultHandle {
  hits = 0;
  #skip: number;
  #removed = false;

  constructor(readonly options: FaultOptions) {
    this.#skip = options.skip ?? 0;
  }

  remove(): void {
    this.#removed = true;
  }

  take(call: SandboxCall): boolean {
    if (this.#removed || this.hits >= (this.options.times ?? 1) || !matches(this.options, call)) return false;
    if (this.#skip > 0) {
      this.#skip--;
      return false;
    }
    this.hits++;
    return true;
  }
}

/** The faults of a sandbox; of several that match a call, the oldest counts. */
export class Faults {
  readonly #faults: Fault[] = [];

  add(options: FaultOptions): FaultHandle {
    const fault = new Fault(options);
    this.#faults.push(fault);
    return fault;
  }

  take(call: SandboxCall): FaultOptions | undefined {
    return this.#faults.find((fault) => fault.take(call))?.options;
  }
}

/**
 * How long calls take: milliseconds, or a function that says it call by call.
 *
 * @example
 * sandbox.latency(({ number }) => (number % 2 === 0 ? 200 : 0), { method: 'GET' });
 */
export type Latency = number | ((call: SandboxCall) => number);

/** The latencies of a sandbox; of several that match a call, the newest counts. */
export class Latencies {
  readonly #rules: { latency: Latency; match: CallMatch }[] = [];

  add(latency: Latency, match: CallMatch): { remove(): void } {
    const rule = { latency, match };
    this.#rules.unshift(rule);
    return {
      remove: () => {
        const index = this.#rules.indexOf(rule);
        if (index !== -1) this.#rules.splice(index, 1);
      },
    };
  }

  of(call: SandboxCall): number {
    const latency = this.#rules.find((rule) => matches(rule.match, call))?.latency ?? 0;
    return typeof latency === 'function' ? latency(call) : latency;
  }
}

/** Which calls are held, and where. What {@link OntraportSandbox.hold} takes. */
export interface HoldOptions extends CallFilter {
  /**
   * `before` (default): the call has arrived, nothing is read or written yet. `after`: it is read and written, only the
   * answer is kept back, so it tells of a state that may be old by the time it arrives.
   */
  readonly when?: 'before' | 'after';
  /** How many calls it catches at most; later ones pass. Default: all. */
  readonly times?: number;
}

/** Calls kept back until the test lets them go. What {@link OntraportSandbox.hold} gives. */
export interface HeldCalls {
  /** How many calls were caught so far, those let go included. */
  readonly count: number;
  /** Resolves when this many calls (default 1) were caught. */
  caught(count?: number): Promise<void>;
  /** Lets the oldest `count` calls go; without a number all of them, and from now on every call passes. */
  release(count?: number): void;
  /** Destroys the connections of the calls that are held; from now on every call passes. */
  reset(): void;
}

type Outcome = 'go' | 'reset';

/** One hold of a sandbox. */
export class Hold implements HeldCalls {
  count = 0;
  #held: ((outcome: Outcome) => void)[] = [];
  #waiting: { count: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  #over = false;

  constructor(private readonly options: HoldOptions) {}

  /** Keeps a call until it is let go, if it is one of those meant. */
  async keep(call: SandboxCall, when: 'before' | 'after'): Promise<Outcome> {
    const { options } = this;
    const passes =
      this.#over || when !== (options.when ?? 'before') || this.count >= (options.times ?? Infinity);
    if (passes || !matches(options, call)) return 'go';
    return await new Promise<Outcome>((resolve) => {
      this.#held.push(resolve);
      this.count++;
      for (const waiting of this.#waiting) if (waiting.count <= this.count) waiting.resolve();
      this.#waiting = this.#waiting.filter((waiting) => waiting.count > this.count);
    });
  }

  caught(count = 1): Promise<void> {
    if (this.count >= count) return Promise.resolve();
    const caught = new Promise<void>((resolve, reject) => this.#waiting.push({ count, resolve, reject }));
    // Nobody has to be waiting any more when the sandbox closes.
    caught.catch(() => undefined);
    return caught;
  }

  release(count?: number): void {
    if (count === undefined) this.#over = true;
    for (const letGo of this.#held.splice(0, count ?? this.#held.length)) letGo('go');
  }

  reset(): void {
    this.#over = true;
    for (const end of this.#held.splice(0)) end('reset');
  }

  close(): void {
    this.reset();
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('The sandbox was closed.'));
  }
}

const page = (title: string): string =>
  `<!DOCTYPE html>\n<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`;

const MEGABYTE = 1024 * 1024;

/** Gzip streams may be concatenated, so a bomb is one small stream many times over. */
const gzipBomb = (): Buffer =>
  Buffer.concat(new Array<Buffer>(64).fill(gzipSync(Buffer.alloc(4 * MEGABYTE, 32))));

/** Answers a call wrongly; `reply` is the right answer. */
export function misbehave(
  kind: FaultKind | CustomAnswer,
  reply: Reply,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const answer = (wrong: Reply): void => {
    response.writeHead(wrong.status, wrong.headers).end(wrong.body);
  };
  if (typeof kind === 'object') {
    const { status, body = '' } = kind;
    const type = typeof body === 'string' ? 'text/html;charset=UTF-8' : 'application/json';
    answer({
      status,
      headers: { 'Content-Type': type, ...kind.headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    return;
  }
  switch (kind) {
    case 'error500':
      answer(textReply(500, page('Internal Server Error')));
      return;
    case 'html200':
      answer(textReply(200, page('Down for maintenance')));
      return;
    case 'notFound200':
      answer(textReply(200, OBJECT_NOT_FOUND));
      return;
    case 'unauthorized':
      answer(UNAUTHORIZED);
      return;
    case 'forbidden':
      answer(textReply(403, 'Your API key does not have permission for this.'));
      return;
    case 'rateLimited':
      answer(reply);
      return;
    case 'redirect':
      answer({
        ...textReply(302, ''),
        headers: { Location: `http://${request.headers.host ?? ''}/elsewhere` },
      });
      return;
    case 'reset':
      if (!request.socket.destroyed) request.socket.resetAndDestroy();
      return;
    case 'hang':
      return;
    case 'truncate':
      response.writeHead(reply.status, {
        ...reply.headers,
        'Content-Length': String(Buffer.byteLength(reply.body) + 100),
      });
      response.write(reply.body.slice(0, Math.ceil(reply.body.length / 2)), () => request.socket.destroy());
      return;
    case 'truncatedJson':
      answer({ ...reply, body: reply.body.slice(0, Math.ceil(reply.body.length / 2)) });
      return;
    case 'endless':
      endless(response, reply.headers);
      return;
    case 'gzipBomb':
      response.writeHead(reply.status, { ...reply.headers, 'Content-Encoding': 'gzip' });
      response.end(gzipBomb());
      return;
  }
}

/** White space is valid before JSON, so only the size tells a client that this goes nowhere. */
function endless(response: ServerResponse, headers: Readonly<Record<string, string>>): void {
  const chunk = Buffer.alloc(64 * 1024, 32);
  const more = (): void => {
    if (response.destroyed) return;
    if (response.write(chunk)) setImmediate(more);
    else response.once('drain', more);
  };
  response.writeHead(200, headers);
  more();
}
