// Turns passwords into hashes: the interface that a host may implement, and bcrypt in worker threads, which is the default.
import { hash as bcryptHash } from 'bcryptjs';
import { timingSafeEqual } from 'node:crypto';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { ConfigurationError, WpFusionError } from '../errors';
import { refuseUnknownOptions } from '../unknown-options';
import type { BcryptJob, BcryptMessage } from './bcrypt-worker';

/**
 * Hashes the passwords of new users. `BcryptHasher` is the default; write your own where the site's login checks another
 * kind of hash.
 *
 * @example
 * const argon2Hasher: PasswordHasher = {
 *   hash: (password) => argon2.hash(password),
 *   verify: (password, hash) => argon2.verify(hash, password),
 * };
 */
export interface PasswordHasher {
  /**
   * The hash to store for a password. `info.generated` tells that this package made the password itself (16 characters of a
   * CSPRNG) and no person chose it. Throw a {@link WpFusionError} with `PASSWORD_TOO_LONG` for a password that cannot be hashed
   * whole; whatever else is thrown counts as `INTERNAL_ERROR`. No error may carry the password.
   */
  hash(password: string, info?: { generated: boolean }): Promise<string>;

  /** Whether a hash was made of this password. `false`, not an exception, for a hash that is none of this hasher's kind. */
  verify(password: string, hash: string): Promise<boolean>;
}

/** What a {@link BcryptHasher} may be told. */
export interface BcryptHasherOptions {
  /** The cost of a password that a person chose, 4 to 31: each step doubles the time. Default 10. */
  readonly cost?: number | undefined;
  /** The cost of a password that this package generated, 4 to 31. Default 4; {@link BcryptHasher} tells why. */
  readonly generatedCost?: number | undefined;
  /**
   * How many threads may hash at the same time. Default: one fewer than Node believes to have processors, at least one. Set it
   * where a container gets fewer than the machine has, which Node 20 and 22 do not notice.
   */
  readonly maxThreads?: number | undefined;
}

/** How many bytes of a password bcrypt reads; it ignores the rest in silence. */
const MAX_PASSWORD_BYTES = 72;

/** A bcrypt hash as login libraries and PHP write it: version, cost, 22 characters of salt, 31 of hash. */
const BCRYPT_HASH = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/;

/** Version, cost and salt: what stands before the hash proper. */
const SALT_LENGTH = 29;

/** After this long without work a thread ends. A burst of webhooks reuses it, an idle site does not pay for it. */
const IDLE_MS = 10_000;

/**
 * bcrypt (by `bcryptjs`, without native code), computed in worker threads, so that the event loop goes on serving requests.
 *
 * A generated password gets a lower cost than one that a person chose: its 16 characters of a CSPRNG are over 90 bits, so
 * guessing is hopeless at any cost and stretching buys nothing, while a burst of new users costs 1 ms instead of 76 ms each. A
 * password chosen by a person gets the full cost.
 *
 * Threads start with the first password, one after the other while passwords wait, and end after some idle seconds; they never
 * keep a finished process alive. Where none can be started (a bundle without `bcrypt-worker.js`, Node's permission model), or
 * where one password brings two of them down, this hasher computes in the process from then on, and emits the warning
 * `WPF_BCRYPT_IN_PROCESS` once.
 *
 * @example
 * const hasher = new BcryptHasher({ cost: 12 });
 * const user = await users.findByEmail(email);
 * const welcome = user?.passwordHash ? await hasher.verify(password, user.passwordHash) : false;
 */
export class BcryptHasher implements PasswordHasher {
  readonly #cost: number;
  readonly #generatedCost: number;
  readonly #threads: BcryptThreads;

  /** Throws a {@link ConfigurationError} for an option that is misspelt or out of its range. */
  constructor(options: BcryptHasherOptions = {}) {
    if (typeof (options as unknown) !== 'object' || (options as unknown) === null) {
      throw new ConfigurationError('options', 'BcryptHasher takes an object, such as { cost: 12 }.');
    }
    refuseUnknownOptions(options, OPTIONS);
    const { cost = 10, generatedCost = 4, maxThreads = Math.max(1, availableParallelism() - 1) } = options;
    this.#cost = wholeNumber('cost', cost, 4, 31);
    this.#generatedCost = wholeNumber('generatedCost', generatedCost, 4, 31);
    this.#threads = new BcryptThreads(wholeNumber('maxThreads', maxThreads, 1, 1024));
  }

  /**
   * The hash of a password, `$2b$…`. Rejects with `PASSWORD_TOO_LONG` where bcrypt would read only a part of the password: over
   * 72 bytes of UTF-8, or with a NUL character.
   */
  async hash(password: string, info?: { generated: boolean }): Promise<string> {
    // A caller without types: Buffer.byteLength would put what it was given into its error.
    if (typeof (password as unknown) !== 'string') {
      throw new WpFusionError('INTERNAL_ERROR', 'The password to hash is not a string.');
    }
    const trouble = whyNotWhole(password);
    if (trouble !== undefined) throw new WpFusionError('PASSWORD_TOO_LONG', trouble);
    return await this.#threads.run({
      password,
      salt: info?.generated === true ? this.#generatedCost : this.#cost,
    });
  }

  /**
   * Whether a hash (`$2a$`, `$2b$` or `$2y$`) was made of this password. `false` for anything that is no bcrypt hash, a user's
   * `null` included, and for a password that {@link BcryptHasher.hash} refuses.
   */
  async verify(password: string, hash: string): Promise<boolean> {
    const given: readonly unknown[] = [password, hash];
    if (!given.every((value) => typeof value === 'string')) return false;
    if (!BCRYPT_HASH.test(hash) || whyNotWhole(password) !== undefined) return false;
    const computed = await this.#threads.run({ password, salt: hash.slice(0, SALT_LENGTH) });
    return computed.length === hash.length && timingSafeEqual(Buffer.from(computed), Buffer.from(hash));
  }

  /**
   * Waits for every password handed in before, then ends the threads. Not needed for a process to end; for tests and for a site
   * that sheds parts of itself. The hasher remains usable: the next password starts a thread anew.
   */
  async close(): Promise<void> {
    await this.#threads.close();
  }
}

/** A job on its way. */
interface Task {
  readonly job: BcryptJob;
  readonly resolve: (hash: string) => void;
  readonly reject: (error: WpFusionError) => void;
  /** A thread has ended in the middle of it, and it was put back. */
  retried: boolean;
}

/** A worker thread and what it is at. */
interface Thread {
  readonly worker: Worker;
  /** It has loaded bcryptjs. One that ends before that could not start. */
  ready: boolean;
  task: Task | undefined;
  idleTimer: NodeJS.Timeout | undefined;
}

/** Computes bcrypt jobs in the order they come, in worker threads, or in this process where threads cannot be had. */
class BcryptThreads {
  readonly #queue: Task[] = [];
  readonly #pending = new Set<Promise<string>>();
  /** The first free one takes a job, so that with little to do the later ones stay idle and end. */
  readonly #threads = new Set<Thread>();
  #maxThreads: number;
  #inProcess = false;
  #inProcessBusy = false;

  constructor(maxThreads: number) {
    this.#maxThreads = maxThreads;
  }

  async run(job: BcryptJob): Promise<string> {
    const result = new Promise<string>((resolve, reject) => {
      this.#queue.push({ job, resolve, reject, retried: false });
    });
    this.#pending.add(result);
    this.#work();
    try {
      return await result;
    } finally {
      this.#pending.delete(result);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#pending);
    // What came since keeps the threads that have it, and one that starts for it; they end when they are idle.
    if (this.#queue.length > 0) return;
    const free = [...this.#threads].filter((thread) => thread.task === undefined);
    await Promise.all(free.map((thread) => this.#end(thread)));
  }

  /** Gives what waits to who is free. */
  #work(): void {
    if (this.#inProcess) void this.#workInProcess();
    for (const thread of this.#threads) {
      if (thread.ready && thread.task === undefined) this.#give(thread);
    }
    if (this.#inProcess || this.#queue.length === 0 || this.#threads.size >= this.#maxThreads) return;
    // One start at a time: in the 60 ms that it takes, the others do a good part of a burst of short jobs.
    if ([...this.#threads].every((thread) => thread.ready)) this.#start();
  }

  /** Gives a free thread the next job, or lets it rest. */
  #give(thread: Thread): void {
    const task = this.#queue.shift();
    if (task === undefined) {
      // Only a thread with a job (or one that starts) keeps the process alive.
      thread.worker.unref();
      thread.idleTimer ??= setTimeout(() => void this.#end(thread), IDLE_MS).unref();
      return;
    }
    clearTimeout(thread.idleTimer);
    thread.idleTimer = undefined;
    thread.task = task;
    thread.worker.ref();
    thread.worker.postMessage(task.job);
  }

  #start(): void {
    let worker: Worker;
    try {
      worker = new Worker(path.join(__dirname, 'bcrypt-worker.js'), {
        name: 'wp-fusion-webhook bcrypt',
        // Neither the host's loaders (--require, --import, NODE_OPTIONS) nor its secrets have business in there.
        execArgv: [],
        env: {},
      });
    } catch (error) {
      this.#couldNotStart(error);
      return;
    }
    const thread: Thread = { worker, ready: false, task: undefined, idleTimer: undefined };
    this.#threads.add(thread);
    let failure: unknown;
    worker.on('message', (message: BcryptMessage) => this.#hear(thread, message));
    // 'exit' follows, after every message that the thread has still sent.
    worker.on('error', (error) => (failure = error));
    worker.on('exit', () => this.#bury(thread, failure));
  }

  #hear(thread: Thread, message: BcryptMessage): void {
    const task = thread.task;
    thread.task = undefined;
    if (message === 'ready') thread.ready = true;
    else if ('hash' in message) task?.resolve(message.hash);
    else task?.reject(bcryptFailed(message.failure));
    this.#work();
  }

  /** A thread has ended that nobody asked to. */
  #bury(thread: Thread, failure: unknown): void {
    if (!this.#threads.delete(thread)) return;
    clearTimeout(thread.idleTimer);
    if (!thread.ready) {
      this.#couldNotStart(failure);
      return;
    }
    const task = thread.task;
    if (task !== undefined) {
      this.#queue.unshift(task);
      if (task.retried) this.#giveThreadsUp('two threads in turn ended in the middle of their work', failure);
      task.retried = true;
    }
    this.#work();
  }

  #couldNotStart(failure: unknown): void {
    // Those there are will do: a limit on threads or memory is no reason to block the event loop.
    if (this.#threads.size > 0) this.#maxThreads = this.#threads.size;
    else this.#giveThreadsUp('no worker thread could be started', failure);
    this.#work();
  }

  #giveThreadsUp(what: string, failure: unknown): void {
    if (this.#inProcess) return;
    this.#inProcess = true;
    const reason = messageOf(failure).split('\n', 1).join();
    process.emitWarning(
      `BcryptHasher computes in the main thread, where each password holds other requests up: ${what}` +
        `${reason === '' ? '' : ` (${reason})`}. Where the site is bundled, keep wp-fusion-webhook out of the bundle.`,
      { code: 'WPF_BCRYPT_IN_PROCESS' },
    );
  }

  /** One job after the other, so that the event loop gets its turn in between. */
  async #workInProcess(): Promise<void> {
    if (this.#inProcessBusy) return;
    this.#inProcessBusy = true;
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) {
      try {
        task.resolve(await bcryptHash(task.job.password, task.job.salt));
      } catch (error) {
        task.reject(bcryptFailed(messageOf(error)));
      }
    }
    this.#inProcessBusy = false;
  }

  async #end(thread: Thread): Promise<void> {
    this.#threads.delete(thread);
    clearTimeout(thread.idleTimer);
    await thread.worker.terminate();
  }
}

/** Why bcrypt would read only a part of a password, or `undefined` where it reads all of it. */
function whyNotWhole(password: string): string | undefined {
  const bytes = Buffer.byteLength(password);
  if (bytes > MAX_PASSWORD_BYTES) {
    return `The password has ${bytes} bytes in UTF-8, and bcrypt reads only the first ${MAX_PASSWORD_BYTES} bytes.`;
  }
  // bcryptjs reads on, and then takes 'a' and 'a\0a' for the same password; other implementations end there.
  if (password.includes('\0')) {
    return 'The password has a NUL character, and bcrypt reads a password only as far as that.';
  }
  return undefined;
}

/** What bcryptjs complains of is the kind of its arguments, never their content. */
const bcryptFailed = (message: string): WpFusionError =>
  new WpFusionError('INTERNAL_ERROR', `bcrypt failed: ${message}`);

/** The message of whatever was thrown, also in another realm, whose `Error` is not ours. */
function messageOf(thrown: unknown): string {
  const message =
    typeof thrown === 'object' && thrown !== null ? (thrown as { message?: unknown }).message : '';
  return typeof message === 'string' ? message : '';
}

const OPTIONS = ['cost', 'generatedCost', 'maxThreads'] as const satisfies (keyof BcryptHasherOptions)[];

function wholeNumber(option: string, value: unknown, from: number, to: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to) return value;
  const given = typeof value === 'number' ? String(value) : `a value of type ${typeof value}`;
  throw new ConfigurationError(option, `must be a whole number from ${from} to ${to}, not ${given}.`);
}
