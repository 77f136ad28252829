// Where walks through the CRM's contacts got to: in the queue's store, or in this process where there is none.
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
      read: async (key) => (await queue.readPosition?.(name, key)) ?? null,
      write: async (key, position) => queue.writePosition?.(name, key, position),
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
