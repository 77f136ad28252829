// A site in a process of its own with little memory, as a test holds it, and somebody who looks at another page of it meanwhile.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import type { OntraportClientOptions, WpFusionWebhookOptions } from '../../lib';
import type { SmtpNotifierOptions } from '../../lib/smtp';
import { pause } from '../delivery/common';
import type { Connection } from '../knex/databases';

/** A middleware of a site. Plain data. */
export interface Mount {
  readonly path: string;
  readonly crm: OntraportClientOptions;
  readonly webhook: Partial<WpFusionWebhookOptions>;
  /** Whether the host's body parsers stand before it. */
  readonly parser?: boolean;
  /** Where its users are; without one in memory. */
  readonly database?: Connection;
  /** Whether it has a queue in the database. */
  readonly queue?: boolean;
  readonly smtp?: Pick<SmtpNotifierOptions, 'transport' | 'from' | 'timeoutMs'> & {
    readonly loginUrl: string;
  };
}

export interface BusySetting {
  readonly mounts: readonly Mount[];
  readonly trustProxy?: number;
  /** Options of `http.createServer`. */
  readonly server?: Readonly<Record<string, number>>;
}

/** What a site says of itself. */
export interface Condition {
  readonly heapBytes: number;
  /** Buffers and the like. */
  readonly outsideBytes: number;
  readonly rssBytes: number;
  /** The most memory that it has had since it was asked last. */
  readonly peakBytes: number;
  /** The longest turn of its event loop since then, in milliseconds of processor time. */
  readonly longestTurnMs: number;
  readonly connections: number;
  readonly files: number;
  readonly timers: number;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

const running = new Set<BusyProcess>();

/** Ends all sites, however their tests went. */
export async function killBusySites(): Promise<void> {
  await Promise.all([...running].map((site) => site.kill()));
}

/** One process. */
export class BusyProcess {
  url = '';
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #ended: Promise<unknown>;
  #calls = 0;
  #said = '';
  #end: string | undefined;

  private constructor(heapMegabytes: number) {
    const execArgv = ['--expose-gc', `--max-old-space-size=${heapMegabytes}`];
    this.#process = fork(join(__dirname, 'busy-site.js'), { execArgv, silent: true });
    // Why it died; told by the test, since Jest takes what a process without memory says for its own.
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.#process.stdout?.resume();
    this.#process.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    running.add(this);
    this.#ended = once(this.#process, 'exit').then(([code, signal]) => {
      running.delete(this);
      const [reason = ''] = /FATAL ERROR.*|^\w*Error.*/m.exec(this.#said) ?? [];
      this.#end = `The site ended: ${String(signal ?? code)} ${reason}`;
      for (const [id, answer] of this.#waiting) answer({ id, error: this.#end });
    });
  }

  /** Starts a site whose heap may have so much: with more it dies. */
  static async start(setting: BusySetting, heapMegabytes = 128): Promise<BusyProcess> {
    const site = new BusyProcess(heapMegabytes);
    site.url = (await site.#call('start', setting)) as string;
    await site.measure();
    return site;
  }

  async measure(): Promise<Condition> {
    return (await this.#call('measure')) as Condition;
  }

  /** Ends it as a deployment does: it ends by itself, since nothing is held any more. */
  async close(): Promise<void> {
    await this.#call('close');
    await this.#ended;
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#ended;
  }

  async #call(method: string, parameter?: unknown): Promise<unknown> {
    const id = (this.#calls += 1);
    const { value, error } = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      if (this.#end !== undefined) resolve({ id, error: this.#end });
      else this.#process.send({ id, method, parameter }, () => undefined);
    });
    if (error !== undefined) throw new Error(error);
    return value;
  }
}

/** Looks at another page of a site all the time; each look is answered, or `ended` rejects. */
export class Visitor {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #visits: Promise<void>;
  #isGone = false;
  count = 0;

  constructor(url: string) {
    this.#visits = this.#visit(`${url}/ping`);
    this.#visits.catch(() => undefined);
  }

  /** No more looks after the one that is under way. */
  leave(): void {
    this.#isGone = true;
  }

  async ended(): Promise<number> {
    this.leave();
    await this.#visits;
    return this.count;
  }

  async #visit(url: string): Promise<void> {
    try {
      while (!this.#isGone) {
        await this.#look(url);
        this.count += 1;
        await pause();
      }
    } finally {
      this.#agent.destroy();
    }
  }

  #look(url: string): Promise<void> {
    return new Promise((resolve, reject) => {
      get(url, { agent: this.#agent }, (response) => {
        response.resume();
        response.on('end', () => {
          if (response.statusCode === 200) resolve();
          else reject(new Error(`The page was answered with ${response.statusCode}.`));
        });
      }).on('error', reject);
    });
  }
}

/** What may be left in memory: code that was compiled, caches that were filled. */
const LEFT_BYTES = 8_000_000;

/** Resolves when a site holds no more than before, but `kept` connections for later; tells what it was meanwhile. */
export async function untilFreed(site: BusyProcess, before: Condition, kept = 0): Promise<Condition> {
  const first = await site.measure();
  let now = first;
  const isFreed = (): boolean =>
    now.connections === 0 &&
    now.files <= before.files + kept &&
    now.timers <= before.timers &&
    now.heapBytes < before.heapBytes + LEFT_BYTES &&
    now.outsideBytes < before.outsideBytes + LEFT_BYTES;
  while (!isFreed()) {
    await pause(50);
    now = await site.measure();
  }
  return first;
}

/** What a site may take for a while: far less than what it is sent in these tests. */
const PEAK_BYTES = 80_000_000;
/** How long it may hold its other pages up, in processor time. */
const LONGEST_TURN_MS = 1000;

/** A site in trouble took little memory and never held up its other pages for long. */
export function expectBounded(
  before: Condition,
  { peakBytes, longestTurnMs }: Condition,
  { mostBytes = PEAK_BYTES, longestMs = LONGEST_TURN_MS } = {},
): void {
  expect(peakBytes - before.rssBytes).toBeLessThan(mostBytes);
  expect(longestTurnMs).toBeLessThan(longestMs);
}
