// Runs an example as a stranger does: a process of its own, with the built package.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(__dirname, '..', '..');

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export class Example {
  stdout = '';
  stderr = '';
  readonly finished: Promise<Finished>;
  readonly #child: ChildProcess;
  readonly #hear: (() => void)[] = [];

  /** `args` are Node's, from the root of the checkout. Nothing of this process's own settings goes along. */
  constructor(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    /** Whether it leads a group of processes, as what is started on a terminal does. */
    private readonly leads = false,
  ) {
    if (!existsSync(path.join(ROOT, 'dist', 'index.js'))) {
      throw new Error('The examples run with the built package: npm run build');
    }
    const { PATH = '' } = process.env;
    this.#child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: { PATH, PORT: '0', ...env },
      detached: leads,
    });
    for (const name of ['stdout', 'stderr'] as const) {
      this.#child[name]!.setEncoding('utf8').on('data', (text: string) => {
        this[name] += text;
        for (const hear of this.#hear) hear();
      });
    }
    this.finished = once(this.#child, 'close').then(([code, signal]) => ({
      code,
      signal,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  /** Waits until it says something; gives the match. Rejects where it ends without. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const heard = new Promise<RegExpExecArray>((resolve) => {
      const look = (): void => {
        const match = pattern.exec(this.stdout);
        if (match !== null) resolve(match);
      };
      this.#hear.push(look);
      look();
    });
    const ended = this.finished.then(({ code, stdout, stderr }) => {
      throw new Error(`It ended (${code}) without saying ${pattern}.\n${stdout}\n${stderr}`);
    });
    ended.catch(() => undefined);
    return await Promise.race([heard, ended]);
  }

  /** Ends it with a signal, unless it has ended, and gives what came of it. */
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<Finished> {
    // A terminal tells all of a group.
    if (this.leads && this.#child.pid !== undefined) process.kill(-this.#child.pid, signal);
    else this.#child.kill(signal);
    return await this.finished;
  }
}
