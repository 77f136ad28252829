// Other processes over a database, as this one sees them: a repository, a queue, an activity log, or a site.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ActivityLog, UserRepository } from '../../lib';
import type {
  KnexActivityLogOptions,
  KnexUserRepositoryOptions,
  KnexWebhookQueueOptions,
  MigrateOptions,
} from '../../lib/knex';
import type { WebhookQueue } from '../../lib/queue/queue';
import type { OntraportSandbox } from '../../lib/testing';
import { ACCESS_KEY, pinger, type Process } from '../actions/site';
import type { Connection } from './databases';

interface Answer {
  id: number;
  value?: unknown;
  error?: { message: string };
}

interface Setting {
  connection: Connection;
  options: KnexUserRepositoryOptions;
  queue?: KnexWebhookQueueOptions;
  activity?: KnexActivityLogOptions;
  site?: unknown;
}

class Child {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #calls = 0;

  constructor(setting: Setting) {
    this.#process = fork(join(__dirname, 'child.js'), {
      env: { ...process.env, WPF_TEST_CHILD: JSON.stringify(setting) },
      execArgv: [],
      // Maps, dates and what is undefined arrive as they are.
      serialization: 'advanced',
    });
    this.#process.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    this.#process.once('exit', (code) => {
      for (const [id, answer] of this.#waiting)
        answer({ id, error: { message: `the child ended: ${code}` } });
    });
  }

  async call(method: string, ...parameters: unknown[]): Promise<unknown> {
    const id = (this.#calls += 1);
    const { value, error } = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#process.send({ id, method, parameters });
    });
    if (error !== undefined) throw Object.assign(new Error(error.message), error);
    return value;
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exit = once(this.#process, 'exit');
    await this.call('close');
    this.#process.disconnect();
    await exit;
  }
}

/** A repository in a process of its own. */
export interface RemoteRepository extends UserRepository {
  migrate(options?: MigrateOptions): Promise<void>;
  end(): Promise<void>;
}

export function startRepository(
  connection: Connection,
  options: KnexUserRepositoryOptions,
): RemoteRepository {
  const child = new Child({ connection, options });
  const call =
    (method: string) =>
    (...parameters: unknown[]) =>
      child.call(method, ...parameters) as never;
  return {
    findByContactId: call('findByContactId'),
    findByEmail: call('findByEmail'),
    create: call('create'),
    update: call('update'),
    migrate: call('migrate'),
    end: () => child.end(),
  };
}

/** A queue in a process of its own. */
export interface RemoteQueue extends Required<WebhookQueue> {
  end(): Promise<void>;
}

export function startQueue(
  connection: Connection,
  options: KnexWebhookQueueOptions & { leaseMs: number },
): RemoteQueue {
  const child = new Child({ connection, options: {}, queue: options });
  const call =
    (method: keyof WebhookQueue) =>
    (...parameters: unknown[]) =>
      child.call('queue', method, parameters) as never;
  return {
    leaseMs: options.leaseMs,
    put: call('put'),
    take: call('take'),
    renew: call('renew'),
    finish: call('finish'),
    deadLetters: call('deadLetters'),
    replay: call('replay'),
    purge: call('purge'),
    counts: call('counts'),
    settled: call('settled'),
    readPosition: call('readPosition'),
    writePosition: call('writePosition'),
    readShared: call('readShared'),
    writeShared: call('writeShared'),
    check: call('check'),
    end: () => child.end(),
  };
}

/** An activity log in a process of its own. */
export interface RemoteActivityLog extends ActivityLog {
  end(): Promise<void>;
}

export function startActivityLog(connection: Connection, options: KnexActivityLogOptions): RemoteActivityLog {
  const child = new Child({ connection, options: {}, activity: options });
  const call =
    (method: keyof ActivityLog) =>
    (...parameters: unknown[]) =>
      child.call('activity', method, parameters) as never;
  return {
    write: call('write'),
    list: call('list'),
    counts: call('counts'),
    get: call('get'),
    forget: call('forget'),
    end: () => child.end(),
  };
}

/** A site in a process of its own. */
export async function startSite(
  connection: Connection,
  options: KnexUserRepositoryOptions,
  sandbox: OntraportSandbox,
): Promise<Process> {
  const { appId, apiKey, baseUrl } = sandbox;
  const child = new Child({
    connection,
    options,
    site: {
      crm: { appId, apiKey, baseUrl },
      webhook: {
        accessKey: ACCESS_KEY,
        fields: { plan: 'f2' },
        roles: { assignable: ['subscriber', 'customer'] },
        returnPassword: { field: 'f1' },
      },
    },
  });
  const url = (await child.call('listen')) as string;
  return { url, ping: pinger(url), close: () => child.end() };
}
