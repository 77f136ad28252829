// The place that processes share: in the queue, where that has one.
import type { WebhookQueue } from '../../lib';
import { placeIn } from '../../lib/queue/place';
import { MemoryWebhookQueue } from '../testing/contracts/memory-queue';

test('two processes of one name share it, others do not', async () => {
  const queue = new MemoryWebhookQueue();
  const one = placeIn(queue, 'one', 'key')!;
  expect(await one.read()).toMatchObject({ text: null });
  expect(await one.write(null, 'ours')).toBe(true);
  expect(await placeIn(queue, 'one', 'key')!.read()).toMatchObject({ text: 'ours' });
  expect(await placeIn(queue, 'one', 'key')!.write(null, 'late')).toBe(false);
  expect(await placeIn(queue, 'other', 'key')!.read()).toMatchObject({ text: null });
  expect(await placeIn(queue, 'one', 'another key')!.read()).toMatchObject({ text: null });
});

test.each<[string, Partial<WebhookQueue> | undefined]>([
  ['no queue', undefined],
  ['a queue that shares nothing', {}],
  ['one that only reads', { readShared: async () => ({ text: null, now: 0 }) }],
  ['one that only writes', { writeShared: async () => true }],
])('%s: there is none', (_name, queue) => {
  expect(placeIn(queue as WebhookQueue | undefined, 'one', 'key')).toBeUndefined();
});
