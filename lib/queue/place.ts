// A text in the store of a queue that all processes of a site share.
import type { SharedPlace } from '../exchange';
import type { WebhookQueue } from './queue';

/** The place under a key; `undefined` where there is no queue, or one that shares nothing. `name` is that of the middleware. */
export function placeIn(queue: WebhookQueue | undefined, name: string, key: string): SharedPlace | undefined {
  if (queue?.readShared === undefined || queue.writeShared === undefined) return undefined;
  return {
    read: async () => (await queue.readShared?.(name, key)) ?? { text: null, now: Date.now() },
    write: async (expected, text) => (await queue.writeShared?.(name, key, expected, text)) ?? false,
  };
}
