// Redis for tests: the server that is there for all of them, and servers of a test's own that can be stopped and killed.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../ports';

/** The server that is there for all tests. Each keeps to keys with a prefix of its own. */
export const TEST_REDIS_URL = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379';

const PROGRAM = 'redis-server';

/** Every write is in the file within a second; nothing depends on a snapshot. */
export const EVERY_SECOND: Readonly<Record<string, string>> = {
  appendonly: 'yes',
  appendfsync: 'everysec',
  save: '',
};

/**
 * A write is in the file before it is answered. With `everysec` it may wait in the server's memory while the file is being
 * synchronised, for up to two seconds: a server that is killed just then has said yes to something that is lost.
 */
export const EVERY_WRITE: Readonly<Record<string, string>> = { ...EVERY_SECOND, appendfsync: 'always' };

/** In CI nothing is skipped: what is missing fails there. */
function isThere(found: boolean, what: string): boolean {
  if (found || process.env.CI !== undefined) return true;
  process.stderr.write(`SKIPPED: ${what}; the tests with Redis do not run.\n`);
  return false;
}

/** Whether the server for all tests answers. Asked before the tests are told, so that what is skipped is seen. */
export function isRedisThere(): boolean {
  const { hostname, port, host } = new URL(TEST_REDIS_URL);
  const script = `require('node:net').connect(${Number(port || 6379)}, ${JSON.stringify(hostname)}).on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;
  const { status } = spawnSync(process.execPath, ['-e', script], { timeout: 10_000 });
  return isThere(status === 0, `Redis is not at ${host}`);
}

/** Whether a test can have a server of its own. */
export function isRedisServerThere(): boolean {
  const { status } = spawnSync(PROGRAM, ['--version']);
  return isThere(status === 0, `there is no program ${PROGRAM}`);
}

/** Ends a server when the process of its test has ended without doing so, in whatever way: the watcher's input closes then. */
function watchOver(server: ChildProcess): void {
  const end = ['-c', 'read _; kill -9 "$0"', String(server.pid)];
  const watcher = spawn('sh', end, { stdio: ['pipe', 'ignore', 'ignore'] });
  watcher.unref();
  server.once('exit', () => watcher.kill('SIGKILL'));
}

/** A Redis server of one test: a port and a folder of its own, which it keeps when it is stopped and started again. */
export class RedisServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'wpf_redis_'));
  #process: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    private readonly settings: Readonly<Record<string, string>>,
  ) {}

  /** Starts one. `settings` are those of redis.conf. */
  static async start(settings = EVERY_SECOND): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), settings);
    await server.start();
    return server;
  }

  /** How to connect. */
  get address(): { readonly host: string; readonly port: number } {
    return { host: '127.0.0.1', port: this.port };
  }

  /** Starts it again, with everything that its files hold. */
  async start(): Promise<void> {
    const settings = { ...this.settings, port: String(this.port), bind: '127.0.0.1', dir: this.#folder };
    const server = spawn(
      PROGRAM,
      Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    this.#process = server;
    await isReady(server);
    watchOver(server);
    await answersPing(this.port);
  }

  /** Ends it as a deployment does. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends it for good, and takes its folder away. */
  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#process;
    this.#process = undefined;
    if (server?.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }
}

/** Resolves when a server says that it has read its files and takes connections. */
function isReady(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    server.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('Ready to accept connections')) resolve();
    });
    server.once('error', reject);
    server.once('exit', () => reject(new Error(`The Redis server ended at its start.\n${output}`)));
  });
}

function answersPing(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.once('error', reject);
    socket.once('data', (answer) => {
      socket.destroy();
      // One that asks for a password answers, too.
      if (/^(\+PONG|-NOAUTH)/.test(answer.toString())) resolve();
      else reject(new Error(`The Redis server answered ${answer.toString()}`));
    });
  });
}
