// A site in a process of its own, as the test holds it: started, killed, closed, and heard of when it dies.
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { OntraportClientOptions, WpFusionWebhookOptions } from '../../lib';
import type { Connection } from '../knex/databases';

/** Where a site kills itself: at the n-th hit of a step, or of any. */
export interface PlannedDeath {
  readonly step?: string;
  readonly hit: number;
}

/** What a site is started with. Plain data. */
export interface SiteSetting {
  readonly connection: Connection;
  /** Without it the site has no queue. */
  readonly queue?: {
    readonly leaseMs: number;
    /** The server that it is on, where it is not in the database. */
    readonly redis?: { readonly host: string; readonly port: number };
  };
  readonly crm: Pick<OntraportClientOptions, 'appId' | 'apiKey' | 'baseUrl'>;
  readonly webhook: Partial<WpFusionWebhookOptions>;
  /** 0: any that is free. */
  readonly port: number;
  readonly ledger: string;
  readonly timing?: { readonly pollMs?: number; readonly pauseMs?: number };
  readonly death?: PlannedDeath;
  /** How far the clock of the process is ahead. */
  readonly clockAheadMs?: number;
  /** Whether it takes webhooks in and does nothing with them until it is told to. */
  readonly waitsWithWork?: boolean;
  /** The folder where the sites write down which contact is in whose hands. */
  readonly watch?: string;
}

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What a site says of itself. */
export interface Measurement {
  readonly heapBytes: number;
  /** The longest that its event loop was held up since it was asked last. */
  readonly longestDelayMs: number;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

const running = new Set<SiteProcess>();

/** Kills every site there is, and waits until they are gone. For the end of each test, however it went. */
export async function killAllSites(): Promise<void> {
  await Promise.all([...running].map((site) => site.kill()));
}

/** One process. */
export class SiteProcess {
  /** Resolves when it has ended, whichever way. */
  readonly ended: Promise<End>;
  url = '';
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #calls = 0;

  private constructor() {
    this.#process = fork(join(__dirname, 'site.js'), { execArgv: ['--expose-gc'] });
    this.#process.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    running.add(this);
    this.ended = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        running.delete(this);
        for (const [id, answer] of this.#waiting) answer({ id, error: `The site ended: ${code ?? signal}.` });
        resolve({ code, signal });
      });
    });
  }

  /** Starts a site. Rejects when it cannot be started or dies on the way. */
  static async start(setting: SiteSetting): Promise<SiteProcess> {
    const site = new SiteProcess();
    site.url = (await site.#call('start', setting)) as string;
    return site;
  }

  get isAlive(): boolean {
    return running.has(this);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Ends it as a power cut does. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.ended;
  }

  /** Stops it as a suspended machine is: it is alive and does nothing. */
  suspend(): void {
    this.#process.kill('SIGSTOP');
  }

  /** Lets it go on as if no time had passed. */
  resume(): void {
    this.#process.kill('SIGCONT');
  }

  /** Ends it as a deployment does; everything it holds is let go, or the process would not end. */
  async close(): Promise<End> {
    await this.#call('close');
    return this.ended;
  }

  async beginWork(): Promise<void> {
    await this.#call('beginWork');
  }

  async measure(): Promise<Measurement> {
    return (await this.#call('measure')) as Measurement;
  }

  async #call(method: string, parameter?: unknown): Promise<unknown> {
    const id = (this.#calls += 1);
    const { value, error } = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      // What cannot be sent any more is answered by the end.
      this.#process.send({ id, method, parameter }, () => undefined);
      if (!this.isAlive) resolve({ id, error: 'The site has ended.' });
    });
    if (error !== undefined) throw new Error(error);
    return value;
  }
}
