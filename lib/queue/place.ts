// A text in the store of a queue that all processes of a site share.
import type { SharedPlace } from '../exchange';
import type { WebhookQueue } from './queue';

type SharingQueue = WebhookQueue & Required<Pick<WebhookQueue, 'readShared' | 'writeShared'>>;

const isSharing = (queue: WebhookQueue | undefined): queue is SharingQueue =>
  queue?.readShared !== undefined && queue.writeShared !== undefined;

/** The place under a key; `undefined` where there is no queue, or one that shares nothing. `name` is that of the middleware. */
export function placeIn(queue: WebhookQueue | undefined, name: string, key: string): SharedPlace | undefined {
  if (!isSharing(queue)) return undefined;
  return {
    read: async () => queue.readShared(name, key),
    write: async (expected, text) => queue.writeShared(name, key, expected, text),
  };
}
