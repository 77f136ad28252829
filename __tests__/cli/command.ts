// Runs the built command as a person does: a process of its own, off a terminal or on one, in a folder with a configuration file.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { OntraportSandbox } from '../../lib/testing';
import { openSandbox } from '../actions/site';
import { openDatabase, type DatabaseName, type TestDatabase } from '../knex/databases';
import { migrate } from '../../lib/knex';

const ROOT = path.resolve(__dirname, '../..');
export const MAIN = path.join(ROOT, 'dist', 'cli', 'main.js');

/** Whether a terminal can be had. In CI one has to: there what is missing fails, it is never skipped. */
export function isTerminalThere(): boolean {
  const isThere = spawnSync('script', ['-qfec', 'true', '/dev/null'], { timeout: 10_000 }).status === 0;
  if (!isThere && process.env.CI === undefined) {
    process.stderr.write('SKIPPED: there is no `script` (util-linux); tests on a terminal do not run.\n');
    return false;
  }
  return true;
}

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** What a command has said and how it ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command under way. */
export class Running {
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;
  readonly #hear: (() => void)[] = [];

  constructor(private readonly child: ChildProcess) {
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]!.setEncoding('utf8').on('data', (text: string) => {
        this[name] += text;
        for (const hear of this.#hear) hear();
      });
    }
    this.ended = once(child, 'close').then(([code]) => {
      return { code: code as number | null, stdout: this.stdout, stderr: this.stderr };
    });
    cleanUps.push(async () => {
      child.kill('SIGKILL');
      await this.ended;
    });
  }

  /** Resolves when it has said something, wherever; rejects where it ends without. */
  async says(pattern: RegExp): Promise<void> {
    const heard = new Promise<void>((resolve) => {
      const look = (): void => {
        if (pattern.test(this.stdout + this.stderr)) resolve();
      };
      this.#hear.push(look);
      look();
    });
    const ended = this.ended.then(({ code, stdout, stderr }) => {
      throw new Error(`It ended (${code}) without saying ${pattern}.\n${stdout}\n${stderr}`);
    });
    ended.catch(() => undefined);
    await Promise.race([heard, ended]);
  }

  /** Types something, on a terminal. */
  type(text: string): void {
    this.child.stdin!.write(text);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Nobody reads its data any more. */
  closePipe(): void {
    this.child.stdout!.destroy();
  }
}

/** A folder in which commands are run. */
export class Folder {
  readonly path: string;

  constructor(private readonly env: Readonly<Record<string, string>> = {}) {
    // Within the package, so that a configuration file finds it by its name.
    mkdirSync(path.join(ROOT, '.tmp'), { recursive: true });
    this.path = mkdtempSync(path.join(ROOT, '.tmp/cli-'));
    cleanUps.push(() => rmSync(this.path, { recursive: true, force: true }));
    if (!existsSync(MAIN)) throw new Error('The command runs as built: npm run build');
  }

  write(name: string, text: string): void {
    writeFileSync(path.join(this.path, name), text);
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    return this.#spawn(process.execPath, [MAIN, ...args], env);
  }

  run(...args: string[]): Promise<Ended> {
    return this.start(args).ended;
  }

  /** On a terminal: what it says comes out as one, as on a screen. */
  startOnTerminal(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    const command = ['exec', process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(' ');
    return this.#spawn('script', ['-qfec', command.replace("'exec'", 'exec'), '/dev/null'], {
      TERM: 'xterm-256color',
      ...env,
    });
  }

  #spawn(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Running {
    const { PATH = '' } = process.env;
    const settings = { PATH, SHELL: '/bin/sh', ...this.env, ...env };
    return new Running(spawn(file, [...args], { cwd: this.path, env: settings }));
  }
}

export const ACCESS_KEY = 'the-access-key-of-the-tests';

/** A site whose users and queue stand in a database of their own, over a sandbox. */
export interface TestSite {
  readonly folder: Folder;
  readonly sandbox: OntraportSandbox;
  readonly database: TestDatabase;
}

/** The configuration file of a site; `options` and `more` are code. */
export function configuration({ options = '', more = '', queue = true } = {}): string {
  return `
const createKnex = require('knex');
const { MemoryActivityLog, MemoryUserRepository, OntraportClient } = require('wp-fusion-webhook');
const { KnexUserRepository, KnexWebhookQueue } = require('wp-fusion-webhook/knex');

const { ACCESS_KEY, API_KEY, APP_ID, BASE_URL, DATABASE } = process.env;
const knex = createKnex(JSON.parse(DATABASE));
module.exports = {
  options: {
    accessKey: ACCESS_KEY,
    crm: new OntraportClient({ appId: APP_ID, apiKey: API_KEY, baseUrl: BASE_URL }),
    users: new KnexUserRepository(knex),
    ${queue ? 'queue: new KnexWebhookQueue(knex),' : ''}
    roles: { assignable: ['subscriber', 'customer'] },
    ${options}
  },
  url: 'https://www.example.com/hooks',
  close: () => knex.destroy(),
  ${more}
};`;
}

/** Opens a site; it is gone after the test. */
export async function openSite(
  given: Parameters<typeof configuration>[0] = {},
  name: DatabaseName = 'SQLite',
): Promise<TestSite> {
  const sandbox = await openSandbox();
  cleanUps.push(() => sandbox.close());
  const database = await openDatabase(name);
  cleanUps.push(() => database.close());
  await migrate(database.knex);
  const folder = new Folder({
    ACCESS_KEY,
    APP_ID: sandbox.appId,
    API_KEY: sandbox.apiKey,
    BASE_URL: sandbox.baseUrl,
    DATABASE: JSON.stringify(database.config),
  });
  folder.write('wp-fusion-webhook.config.js', configuration(given));
  return { folder, sandbox, database };
}

/** Nothing that a command says may hold one of these. */
export function secretsOf({ sandbox }: TestSite): string[] {
  return [ACCESS_KEY, sandbox.apiKey, sandbox.appId];
}
