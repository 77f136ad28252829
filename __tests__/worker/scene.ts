// What the tests of the worker share: a site with a queue whose clock they turn.
import { MemoryUserRepository, type WebhookEvents, type WpFusionWebhookOptions } from '../../lib';
import { WORKER_TIMING } from '../../lib/options';
import type { OntraportSandbox, OntraportSandboxOptions } from '../../lib/testing';
import { startProcess, startSandbox, type LocalProcess } from '../actions/site';
import { MemoryWebhookQueue } from '../testing/contracts/memory-queue';

/** A clock that a test turns. */
export class Clock {
  #ahead = 0;
  readonly now = (): number => Date.now() + this.#ahead;
  advance(ms: number): void {
    this.#ahead += ms;
  }
}

export interface Scene {
  readonly sandbox: OntraportSandbox;
  readonly clock: Clock;
  readonly queue: MemoryWebhookQueue;
  readonly users: MemoryUserRepository;
  readonly site: LocalProcess;
  readonly processed: WebhookEvents['webhook.processed'][];
  readonly failed: WebhookEvents['webhook.failed'][];
  /** Another process of the same site, whose events are gathered too. */
  another(options?: Partial<WpFusionWebhookOptions>): Promise<LocalProcess>;
}

interface SceneOptions extends Partial<WpFusionWebhookOptions> {
  readonly queue?: MemoryWebhookQueue;
  readonly sandbox?: OntraportSandboxOptions;
}

/** A site with a queue in memory, over a sandbox. */
export async function open({ sandbox: account, ...options }: SceneOptions = {}): Promise<Scene> {
  const sandbox = await startSandbox(account);
  const clock = new Clock();
  const queue = options.queue ?? new MemoryWebhookQueue({ now: clock.now, leaseMs: 60_000 });
  const users = (options.users ?? new MemoryUserRepository()) as MemoryUserRepository;
  const processed: Scene['processed'] = [];
  const failed: Scene['failed'] = [];
  const another: Scene['another'] = async (more = {}) => {
    const timing = { [WORKER_TIMING]: { pollMs: 5, gatherMs: 5, pauseMs: 1 } };
    const all: object = { queue, ...timing, ...options, ...more };
    const site = await startProcess(sandbox, users, all);
    site.webhook.on('webhook.processed', (event) => processed.push(event));
    site.webhook.on('webhook.failed', (event) => failed.push(event));
    return site;
  };
  return { sandbox, clock, queue, users, site: await another(), processed, failed, another };
}

/** Whether nothing waits in a queue. */
export const isEmpty = (queue: MemoryWebhookQueue) => async (): Promise<boolean> =>
  (await queue.counts('default')).waiting === 0;

/** How many reads of contacts the account has seen. */
export const readsOf = (sandbox: OntraportSandbox): number =>
  sandbox.calls.filter(({ method, path }) => method === 'GET' && path === '/Contacts').length;
