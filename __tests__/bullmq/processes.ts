// A queue in another process over the same Redis, as this one sees it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { WebhookQueue } from '../../lib/queue/queue';

/** Where it is, as plain data. */
export interface RemoteQueueOptions {
  readonly connection: { readonly url: string };
  readonly prefix: string;
  readonly leaseMs: number;
}

interface Answer {
  id: number;
  value?: unknown;
  error?: { message: string };
}

/** A queue in a process of its own. */
export interface RemoteQueue extends Required<WebhookQueue> {
  end(): Promise<void>;
}

export function startQueue(options: RemoteQueueOptions): RemoteQueue {
  const child = fork(join(__dirname, 'child.js'), {
    env: { ...process.env, WPF_TEST_CHILD: JSON.stringify(options) },
    execArgv: [],
    // Maps, dates and what is undefined arrive as they are.
    serialization: 'advanced',
  });
  const waiting = new Map<number, (answer: Answer) => void>();
  let calls = 0;
  child.on('message', (answer: Answer) => {
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  child.once('exit', (code) => {
    for (const [id, answer] of waiting) answer({ id, error: { message: `the child ended: ${code}` } });
  });
  const callMethod = async (method: string, parameters: unknown[]): Promise<unknown> => {
    const id = (calls += 1);
    const { value, error } = await new Promise<Answer>((resolve) => {
      waiting.set(id, resolve);
      child.send({ id, method, parameters });
    });
    if (error !== undefined) throw Object.assign(new Error(error.message), error);
    return value;
  };
  const call =
    (method: keyof WebhookQueue) =>
    (...parameters: unknown[]) =>
      callMethod(method, parameters) as never;
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
    end: async () => {
      const exit = once(child, 'exit');
      await callMethod('close', []);
      child.disconnect();
      await exit;
    },
  };
}
