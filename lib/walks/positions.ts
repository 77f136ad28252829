// Where walks through the CRM's contacts got to: in the queue's store, or in this process where there is none.
import { WpFusionError } from '../errors';
import type { WebhookQueue } from '../queue/queue';

/** Texts by keys. */
export interface Positions {
  read(key: string): Promise<string | null>;
  write(key: string, position: string | null): Promise<void>;
}

/** The positions of one middleware. */
export function positionsOf(queue: WebhookQueue | undefined, name: string): Positions {
  if (queue?.readPosition !== undefined && queue.writePosition !== undefined) {
    return {
      read: (key) => toldOfStore(async () => (await queue.readPosition?.(name, key)) ?? null),
      write: (key, position) => toldOfStore(async () => queue.writePosition?.(name, key, position)),
    };
  }
  const known = new Map<string, string>();
  return {
    read: (key) => Promise.resolve(known.get(key) ?? null),
    write: (key, position) => {
      if (position === null) known.delete(key);
      else known.set(key, position);
      return Promise.resolve();
    },
  };
}

async function toldOfStore<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (cause) {
    const message = 'Where a walk got to could not be read or written.';
    throw new WpFusionError('QUEUE_UNAVAILABLE', message, { cause, retryAfter: 10 });
  }
}
