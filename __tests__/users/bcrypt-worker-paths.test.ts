// Where BcryptHasher computes: in threads, how many, for how long, and what it does where they fail. Each path is forced, by
// watching `Worker`, by giving it another file to run, or in a process of its own. What is hashed: bcrypt-hasher.test.ts.
import { transformFileSync } from '@swc/core';
import * as bcryptjs from 'bcryptjs';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as workerThreads from 'node:worker_threads';
import { BcryptHasher } from '../../lib/users/password-hasher';

/** The one of bcryptjs' overloads that the hasher calls. */
type Hash = (password: string, salt: number | string) => Promise<string>;

interface Watched extends workerThreads.Worker {
  jobs: { password: string; salt: number | string }[];
  options: workerThreads.WorkerOptions;
  /** Jobs given and not answered. */
  open: number;
  ended: boolean;
}
/** What the next workers are to be instead: another file, or an error of the constructor. Empty: as the hasher wants it. */
type Plan = { file: string; options?: workerThreads.WorkerOptions } | Error | undefined;
interface Seam {
  workers: Watched[];
  plan: Plan[];
  /** The most workers that lived at the same time, and the most jobs that one of them had at once. */
  peak: number;
  peakJobs: number;
}

jest.mock('node:worker_threads', () => {
  const actual = jest.requireActual<typeof workerThreads>('node:worker_threads');
  const seam: Seam = { workers: [], plan: [], peak: 0, peakJobs: 0 };
  class WatchedWorker extends actual.Worker {
    jobs: unknown[] = [];
    open = 0;
    ended = false;
    constructor(
      file: string,
      readonly options: workerThreads.WorkerOptions,
    ) {
      const plan = seam.plan.shift();
      if (plan instanceof Error) throw plan;
      super(plan?.file ?? file, { ...options, ...plan?.options });
      seam.workers.push(this as unknown as Watched);
      seam.peak = Math.max(seam.peak, seam.workers.filter((worker) => !worker.ended).length);
      this.on('message', (message) => (this.open -= message === 'ready' ? 0 : 1));
      this.on('exit', () => (this.ended = true));
    }
    override postMessage(message: unknown): void {
      this.jobs.push(message);
      this.open += 1;
      seam.peakJobs = Math.max(seam.peakJobs, this.open);
      super.postMessage(message);
    }
  }
  return { ...actual, Worker: WatchedWorker, seam };
});

jest.mock('bcryptjs', () => {
  const actual = jest.requireActual<typeof bcryptjs>('bcryptjs');
  return { ...actual, hash: jest.fn<ReturnType<Hash>, Parameters<Hash>>(actual.hash) };
});

const { seam } = workerThreads as unknown as { seam: Seam };
const inProcess = bcryptjs.hash as unknown as jest.MockedFunction<Hash>;
const warn = jest.spyOn(process, 'emitWarning');
const root = path.join(__dirname, '../..');
// Inside the repository, so that bcryptjs is found.
fs.mkdirSync(path.join(root, '.tmp'), { recursive: true });
const folder = fs.mkdtempSync(path.join(root, '.tmp', 'bcrypt-'));

/** A file for a worker to run instead of ours. It has `parentPort`. */
const workerFile = (name: string, code: string): { file: string } => {
  const file = path.join(folder, name);
  fs.writeFileSync(file, `'use strict';\nconst { parentPort } = require('node:worker_threads');\n${code}\n`);
  return { file };
};
const missing = { file: path.join(folder, 'missing.js') };
const dies = workerFile(
  'dies.js',
  `parentPort.on('message', () => process.exit(0)); parentPort.postMessage('ready');`,
);

const hashers: BcryptHasher[] = [];
const hasherWith = (options?: ConstructorParameters<typeof BcryptHasher>[0]): BcryptHasher => {
  const hasher = new BcryptHasher({ cost: 4, ...options });
  hashers.push(hasher);
  return hasher;
};
const passwords = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `password ${index}`);
const verified = (list: string[], hashes: string[]): boolean =>
  list.length === hashes.length &&
  list.every((password, index) => bcryptjs.compareSync(password, hashes[index]!));
const alive = (): Watched[] => seam.workers.filter((worker) => !worker.ended);
const warningCodes = (): unknown[] =>
  warn.mock.calls.map(([, options]) => (options as { code?: unknown }).code);
/** Resolves when something has become true, looked at in each turn of the event loop. */
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};

beforeEach(() => {
  Object.assign(seam, { workers: [], plan: [], peak: 0, peakJobs: 0 });
  inProcess.mockClear();
  warn.mockReset();
});

afterEach(async () => {
  await Promise.all(hashers.splice(0).map((hasher) => hasher.close()));
  expect(alive()).toEqual([]);
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

describe('threads', () => {
  it('start with the first password that needs one, and not before', async () => {
    const hasher = hasherWith();
    await hasher.verify('x', 'no hash');
    await hasher.hash('x'.repeat(73)).catch(() => undefined);
    expect(seam.workers).toHaveLength(0);
    const hash = await hasher.hash('x');
    expect(await hasher.verify('x', hash)).toBe(true);
    expect(seam.workers).toHaveLength(1);
    expect(seam.workers[0]!.jobs).toEqual([
      { password: 'x', salt: 4 },
      { password: 'x', salt: hash.slice(0, 29) },
    ]);
    expect(inProcess).not.toHaveBeenCalled();
  });

  it('leave the event loop free', async () => {
    /** How often the event loop turns while a password is hashed. */
    const turns = async (hasher: BcryptHasher): Promise<number> => {
      await hasher.hash('warm', { generated: true });
      let count = 0;
      let done = false;
      const hashing = hasher.hash('x').finally(() => (done = true));
      await until(() => ((count += 1), done));
      await hashing;
      return count;
    };
    const inThreads = await turns(hasherWith({ cost: 12 }));
    seam.plan = [missing];
    const inTheProcess = await turns(hasherWith({ cost: 12 }));
    expect(inProcess).toHaveBeenCalledTimes(2);
    expect(inThreads).toBeGreaterThan(10 * inTheProcess);
  });

  it('inherit neither the loaders nor the environment of the site', async () => {
    await hasherWith().hash('x');
    expect(seam.workers[0]!.options).toMatchObject({ execArgv: [], env: {} });
  });

  it.each([1, 3])('are never more than maxThreads: %i, with one job each', async (maxThreads) => {
    const hasher = hasherWith({ maxThreads, cost: 8 });
    const list = passwords(50);
    expect(verified(list, await Promise.all(list.map((password) => hasher.hash(password))))).toBe(true);
    expect(seam.workers).toHaveLength(maxThreads);
    expect(seam.peak).toBe(maxThreads);
    expect(seam.peakJobs).toBe(1);
    expect(inProcess).not.toHaveBeenCalled();
  });

  it('are by default one fewer than there are processors', async () => {
    const processors = jest.spyOn(os, 'availableParallelism');
    for (const [count, threads] of [
      [1, 1],
      [2, 1],
      [4, 3],
    ] as const) {
      seam.workers = [];
      processors.mockReturnValue(count);
      const hasher = hasherWith({ cost: 8 });
      await Promise.all(passwords(30).map((password) => hasher.hash(password)));
      expect(seam.workers).toHaveLength(threads);
      await hasher.close();
    }
    processors.mockRestore();
  });

  it('take the passwords in the order they came', async () => {
    const hasher = hasherWith({ maxThreads: 1 });
    const order: number[] = [];
    await Promise.all(passwords(20).map(async (password, i) => (await hasher.hash(password), order.push(i))));
    expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  it('are not started for jobs that a free one can take', async () => {
    const hasher = hasherWith({ maxThreads: 4 });
    for (const password of passwords(5)) await hasher.hash(password);
    expect(seam.workers).toHaveLength(1);
  });

  it('end after ten idle seconds, and start anew', async () => {
    jest.useFakeTimers({
      doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'Date', 'hrtime', 'performance'],
    });
    try {
      const hasher = hasherWith();
      await hasher.hash('x');
      jest.advanceTimersByTime(9_999);
      await hasher.hash('again: the ten seconds start over');
      const end = jest.spyOn(seam.workers[0]!, 'terminate');
      jest.advanceTimersByTime(9_999);
      expect(end).not.toHaveBeenCalled();
      const exit = once(seam.workers[0]!, 'exit');
      jest.advanceTimersByTime(1);
      // A thread that is ending is given nothing any more.
      expect(bcryptjs.compareSync('y', await hasher.hash('y'))).toBe(true);
      await exit;
      expect(seam.workers.map((worker) => worker.jobs.length)).toEqual([2, 1]);
      expect(inProcess).not.toHaveBeenCalled();
      expect(warn).not.toHaveBeenCalled();
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('close', () => {
  it('lets running and waiting jobs finish, then ends the threads', async () => {
    const hasher = hasherWith({ maxThreads: 2, cost: 8 });
    const list = passwords(10);
    const hashing = Promise.all(list.map((password) => hasher.hash(password)));
    await hasher.close();
    expect(alive()).toEqual([]);
    expect(verified(list, await hashing)).toBe(true);
    expect(seam.workers.flatMap((worker) => worker.jobs)).toHaveLength(10);
  });

  it('leaves the hasher usable, can be called twice and without need', async () => {
    const hasher = hasherWith();
    await hasher.close();
    await hasher.hash('x');
    await Promise.all([hasher.close(), hasher.close()]);
    expect(alive()).toEqual([]);
    expect(bcryptjs.compareSync('y', await hasher.hash('y'))).toBe(true);
    expect(seam.workers).toHaveLength(2);
  });

  it('ends a thread that is still starting, which is no failure', async () => {
    seam.plan = [undefined, workerFile('never-ready.js', 'parentPort.on("message", () => {});')];
    const hasher = hasherWith({ maxThreads: 2 });
    await Promise.all(passwords(3).map((password) => hasher.hash(password)));
    expect(alive()).toHaveLength(2);
    await hasher.close();
    expect(alive()).toEqual([]);
    await Promise.all(passwords(30).map((password) => hasher.hash(password)));
    expect(alive()).toHaveLength(2);
    expect(warn).not.toHaveBeenCalled();
  });

  it('does what came while it was closing, in the threads there are', async () => {
    const hasher = hasherWith({ maxThreads: 2, cost: 8 });
    const first = hasher.hash('first', { generated: true });
    const closing = hasher.close();
    const list = passwords(5);
    const later = Promise.all(list.map((password) => hasher.hash(password)));
    await closing;
    expect(bcryptjs.compareSync('first', await first)).toBe(true);
    expect(seam.workers.filter((worker) => worker.ended)).toEqual([]);
    expect(verified(list, await later)).toBe(true);
    expect(seam.workers.flatMap((worker) => worker.jobs)).toHaveLength(6);
  });

  it('leaves a thread alone that works on what came since', async () => {
    const hasher = hasherWith({ maxThreads: 1, cost: 8 });
    void hasher.hash('first');
    const closing = hasher.close();
    const later = hasher.hash('later');
    await closing;
    expect(bcryptjs.compareSync('later', await later)).toBe(true);
    expect(seam.workers.map((worker) => worker.jobs.length)).toEqual([2]);
  });
});

describe('where no thread can start', () => {
  const broken: [string, () => Plan][] = [
    ['the file is missing', () => missing],
    [
      'the constructor throws',
      () => Object.assign(new Error('Access restricted'), { code: 'ERR_ACCESS_DENIED' }),
    ],
    ['bcryptjs is not found from there', () => workerFile('no-bcryptjs.js', `require('no-such-package');`)],
    ['it ends at once', () => workerFile('ends.js', 'process.exit(0);')],
  ];

  it.each(broken)('%s: computes in the process and warns once', async (_, plan) => {
    seam.plan = [plan()];
    const hasher = hasherWith({ maxThreads: 3 });
    const list = passwords(5);
    const hashes = await Promise.all(list.map((password) => hasher.hash(password)));
    expect(verified(list, hashes)).toBe(true);
    expect(await hasher.verify(list[0]!, hashes[0]!)).toBe(true);
    expect(await hasher.verify(list[1]!, hashes[0]!)).toBe(false);
    expect(inProcess).toHaveBeenCalledTimes(7);
    expect(warningCodes()).toEqual(['WPF_BCRYPT_IN_PROCESS']);
    expect(String(warn.mock.calls[0]![0])).not.toMatch(/Require stack|\n/);
    expect(seam.workers.flatMap((worker) => worker.jobs)).toEqual([]);
  });

  it('says why, and neither password nor hash', async () => {
    seam.plan = [missing];
    const hasher = hasherWith();
    const hash = await hasher.hash('correct horse');
    const text = String(warn.mock.calls[0]![0]);
    expect(text).toContain('no worker thread could be started (Cannot find module');
    expect(text).not.toContain('correct horse');
    expect(text).not.toContain(hash.slice(0, 29));
  });

  it('computes one after the other, so that the event loop gets its turn', async () => {
    let open = 0;
    let peak = 0;
    const actual = jest.requireActual<typeof bcryptjs>('bcryptjs');
    inProcess.mockImplementation(async (password, salt) => {
      peak = Math.max(peak, ++open);
      const hash = await actual.hash(password, salt);
      open -= 1;
      return hash;
    });
    seam.plan = [missing];
    const hasher = hasherWith();
    await hasher.hash('x');
    const order: number[] = [];
    await Promise.all(passwords(10).map(async (password, i) => (await hasher.hash(password), order.push(i))));
    expect(peak).toBe(1);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    inProcess.mockImplementation(actual.hash);
  });

  it('is content with the threads there are', async () => {
    seam.plan = [undefined, missing];
    const hasher = hasherWith({ maxThreads: 3, cost: 8 });
    const list = passwords(30);
    expect(verified(list, await Promise.all(list.map((password) => hasher.hash(password))))).toBe(true);
    expect(seam.workers).toHaveLength(2);
    expect(inProcess).not.toHaveBeenCalled();
    expect(warn).not.toHaveBeenCalled();
  });
});

describe('a thread that ends in the middle of a job', () => {
  const deaths: [string, () => Plan][] = [
    ['exits', () => dies],
    [
      'throws outside of the job',
      () =>
        workerFile(
          'throws.js',
          `parentPort.on('message', () => setImmediate(() => { throw new Error('x'); })); parentPort.postMessage('ready');`,
        ),
    ],
    [
      'runs out of memory',
      () => ({
        ...workerFile(
          'greedy.js',
          `parentPort.on('message', () => { const all = []; for (;;) all.push(new Array(1e5).fill(0).map(Math.random)); });
          parentPort.postMessage('ready');`,
        ),
        options: { resourceLimits: { maxOldGenerationSizeMb: 16 } },
      }),
    ],
  ];

  it.each(deaths)('%s: the job is done by another one', async (_, plan) => {
    seam.plan = [plan()];
    const hasher = hasherWith({ maxThreads: 1 });
    const order: number[] = [];
    const list = passwords(3);
    const hashes = await Promise.all(
      list.map(async (password, index) => {
        const hash = await hasher.hash(password);
        order.push(index);
        return hash;
      }),
    );
    expect(verified(list, hashes)).toBe(true);
    expect(order).toEqual([0, 1, 2]);
    expect(seam.workers.map((worker) => worker.jobs.length)).toEqual([1, 3]);
    expect(inProcess).not.toHaveBeenCalled();
    expect(warn).not.toHaveBeenCalled();
  });

  it('killed from outside: the job is done by another one', async () => {
    const hasher = hasherWith({ cost: 12 });
    const hashing = hasher.hash('x');
    await until(() => seam.workers[0]?.jobs.length === 1);
    await seam.workers[0]!.terminate();
    expect(bcryptjs.compareSync('x', await hashing)).toBe(true);
    expect(seam.workers.map((worker) => worker.jobs.length)).toEqual([1, 1]);
    expect(warn).not.toHaveBeenCalled();
  });

  it('killed while idle: nobody notices', async () => {
    const hasher = hasherWith();
    await hasher.hash('x');
    await seam.workers[0]!.terminate();
    expect(bcryptjs.compareSync('y', await hasher.hash('y'))).toBe(true);
    expect(seam.workers).toHaveLength(2);
    expect(warn).not.toHaveBeenCalled();
  });

  it('killed while idle, and given a job before that is known: the job is done by another one', async () => {
    const hasher = hasherWith();
    await hasher.hash('x');
    void seam.workers[0]!.terminate();
    expect(bcryptjs.compareSync('y', await hasher.hash('y'))).toBe(true);
    expect(seam.workers.map((worker) => worker.jobs.length)).toEqual([2, 1]);
    expect(warn).not.toHaveBeenCalled();
  });

  it('twice: everything is done in the process from then on, and warned once', async () => {
    seam.plan = [dies, dies];
    const hasher = hasherWith({ maxThreads: 1 });
    const list = passwords(5);
    expect(verified(list, await Promise.all(list.map((password) => hasher.hash(password))))).toBe(true);
    await hasher.hash('later');
    expect(seam.workers).toHaveLength(2);
    expect(inProcess).toHaveBeenCalledTimes(6);
    expect(warningCodes()).toEqual(['WPF_BCRYPT_IN_PROCESS']);
    expect(String(warn.mock.calls[0]![0])).toContain('ended in the middle of their work');
  });

  it('twice, and another one too: the warning stays one', async () => {
    const silent = workerFile(
      'silent.js',
      `parentPort.on('message', () => {}); parentPort.postMessage('ready');`,
    );
    seam.plan = [silent, silent, silent, silent];
    const hasher = hasherWith({ maxThreads: 2 });
    const list = passwords(2);
    const hashing = Promise.all(list.map((password) => hasher.hash(password)));
    for (let round = 0; round < 2; round++) {
      await until(() => alive().length === 2 && alive().every((worker) => worker.jobs.length === 1));
      await Promise.all(alive().map((worker) => worker.terminate()));
    }
    expect(verified(list, await hashing)).toBe(true);
    expect(seam.workers).toHaveLength(4);
    expect(warningCodes()).toEqual(['WPF_BCRYPT_IN_PROCESS']);
  });

  it('twice, beside others: no job is lost and the warning stays one', async () => {
    seam.plan = Array.from({ length: 20 }, () => dies);
    const hasher = hasherWith({ maxThreads: 4 });
    const list = passwords(30);
    expect(verified(list, await Promise.all(list.map((password) => hasher.hash(password))))).toBe(true);
    expect(warningCodes()).toEqual(['WPF_BCRYPT_IN_PROCESS']);
  });
});

describe('a job that fails', () => {
  it('rejects with the message alone; the thread works on', async () => {
    seam.plan = [
      workerFile(
        'fails.js',
        `parentPort.on('message', () => parentPort.postMessage({ failure: 'Illegal salt' })); parentPort.postMessage('ready');`,
      ),
    ];
    const hasher = hasherWith();
    const failure = { name: 'WpFusionError', code: 'INTERNAL_ERROR', message: 'bcrypt failed: Illegal salt' };
    await expect(hasher.hash('x')).rejects.toMatchObject(failure);
    await expect(hasher.hash('y')).rejects.toMatchObject(failure);
    expect(seam.workers).toHaveLength(1);
    expect(inProcess).not.toHaveBeenCalled();
    expect(warn).not.toHaveBeenCalled();
  });

  it('rejects in the process too, and the next is done', async () => {
    seam.plan = [missing];
    inProcess.mockRejectedValueOnce(new Error('Illegal salt'));
    const hasher = hasherWith();
    const [first, second] = await Promise.allSettled([hasher.hash('x'), hasher.hash('y')]);
    expect(first).toMatchObject({
      reason: { code: 'INTERNAL_ERROR', message: 'bcrypt failed: Illegal salt' },
    });
    expect(second.status).toBe('fulfilled');
  });

  it('is answered by our own worker', async () => {
    const worker = new workerThreads.Worker(path.join(root, 'lib/users/bcrypt-worker.js'), {});
    expect(await once(worker, 'message')).toEqual(['ready']);
    worker.postMessage({ password: 'x', salt: 'no salt' });
    expect(await once(worker, 'message')).toEqual([{ failure: 'Invalid salt version: no' }]);
    worker.postMessage({ password: 'x', salt: 4 });
    const [answer] = await once(worker, 'message');
    expect(bcryptjs.compareSync('x', (answer as { hash: string }).hash)).toBe(true);
    await worker.terminate();
  });
});

describe('in a process of its own', () => {
  const compiled = path.join(folder, 'compiled');
  const withoutWorker = path.join(folder, 'without-worker');

  beforeAll(() => {
    for (const target of [compiled, withoutWorker]) {
      fs.mkdirSync(path.join(target, 'users'), { recursive: true });
      for (const name of ['errors', 'unknown-options', 'users/password-hasher']) {
        const { code } = transformFileSync(path.join(root, 'lib', `${name}.ts`), {
          jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
          module: { type: 'commonjs' },
        });
        fs.writeFileSync(path.join(target, `${name}.js`), code);
      }
    }
    fs.copyFileSync(
      path.join(root, 'lib/users/bcrypt-worker.js'),
      path.join(compiled, 'users/bcrypt-worker.js'),
    );
  });

  /** Runs a script, which has `BcryptHasher`, until it ends by itself. It is killed only when it never would. */
  const run = async (
    from: string,
    script: string,
    nodeOptions: string[] = [],
  ): Promise<{ code: number | null; output: string; errors: string }> => {
    const file = path.join(from, `script-${process.hrtime.bigint()}.js`);
    fs.writeFileSync(file, `const { BcryptHasher } = require('./users/password-hasher.js');\n${script}`);
    return await new Promise((resolve) => {
      const child = execFile(
        process.execPath,
        [...nodeOptions, file],
        { timeout: 50_000, killSignal: 'SIGKILL' },
        (_, output, errors) => resolve({ code: child.exitCode, output, errors }),
      );
    });
  };
  /** The idle timer never fires: what ends the process then is that nothing keeps it alive. */
  const noTimers = 'globalThis.setTimeout = () => ({ unref() { return this; } });';

  it('a script that awaits hashes gets them, and ends without close and process.exit', async () => {
    const result = await run(
      compiled,
      `${noTimers}
      (async () => {
        const hasher = new BcryptHasher({ maxThreads: 2 });
        for (let i = 0; i < 3; i++) console.log(await hasher.hash('x'));
        console.log((await Promise.all([1, 2, 3, 4, 5].map(() => hasher.hash('x')))).length);
        console.log(await hasher.verify('x', await hasher.hash('x')));
      })();`,
    );
    expect(result).toEqual({
      code: 0,
      output: expect.stringMatching(/^(\$2b\$10\$.{53}\n){3}5\ntrue\n$/),
      errors: '',
    });
  });

  it('the idle timer does not keep it alive either', async () => {
    const result = await run(
      compiled,
      `const { setTimeout } = globalThis;
      const timers = [];
      globalThis.setTimeout = (...given) => { const timer = setTimeout(...given); timers.push(timer); return timer; };
      (async () => {
        await new BcryptHasher().hash('x', { generated: true });
        console.log(timers.map((timer) => timer.hasRef()).join());
      })();`,
    );
    expect(result).toEqual({ code: 0, output: 'false\n', errors: '' });
  });

  it('a process that only constructs one ends', async () => {
    expect(await run(compiled, 'new BcryptHasher();')).toEqual({ code: 0, output: '', errors: '' });
  });

  it('the loaders of the site are not loaded in the threads', async () => {
    const loader = path.join(folder, 'loader.js');
    fs.writeFileSync(
      loader,
      `require('fs').writeSync(1, require('worker_threads').isMainThread ? 'main\\n' : 'thread\\n');`,
    );
    const result = await run(
      compiled,
      `new BcryptHasher().hash('x', { generated: true }).then((hash) => console.log(hash.slice(0, 7)));`,
      ['--require', loader],
    );
    expect(result).toEqual({ code: 0, output: 'main\n$2b$04$\n', errors: '' });
  });

  it('without the worker file it hashes in the process, and warns once', async () => {
    const result = await run(
      withoutWorker,
      `(async () => {
        const hasher = new BcryptHasher();
        const hashes = await Promise.all(['a', 'b', 'c'].map((password) => hasher.hash(password)));
        console.log(hashes.length, await hasher.verify('a', hashes[0]), await hasher.verify('b', hashes[0]));
      })();`,
    );
    expect(result).toMatchObject({ code: 0, output: '3 true false\n' });
    expect(result.errors.match(/WPF_BCRYPT_IN_PROCESS/g)).toHaveLength(1);
  });

  it("under Node's permission model, which refuses threads, it hashes in the process", async () => {
    const permission = process.allowedNodeEnvironmentFlags.has('--permission')
      ? '--permission'
      : '--experimental-permission';
    const result = await run(
      compiled,
      `new BcryptHasher().hash('x', { generated: true }).then((hash) => console.log(hash.slice(0, 7)));`,
      [permission, '--allow-fs-read=*'],
    );
    expect(result).toMatchObject({ code: 0, output: '$2b$04$\n' });
    expect(result.errors.match(/WPF_BCRYPT_IN_PROCESS/g)).toHaveLength(1);
  });
});
