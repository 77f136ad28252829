// What can be wrong with the options is said at construction, in words, without what may be secret.
import { BullMqWebhookQueue, type BullMqWebhookQueueOptions } from '../../lib/bullmq';

const connection = { host: '127.0.0.1', port: 6379 };
const wrong = (options: object): (() => unknown) => {
  return () => new BullMqWebhookQueue(options as BullMqWebhookQueueOptions);
};

test.each([
  ['no connection', {}, /connection.+must say where Redis is/],
  ['a URL as it is', { connection: 'redis://:secret@127.0.0.1' }, /connection.+\{ url:/],
  ['a URL that is missing', { connection: { url: undefined } }, /connection\.url.+environment variable/],
  ['a misspelt option', { connection, lease: 1000 }, /lease.+did you mean "leaseMs"/],
  ['a lease that is too short', { connection, leaseMs: 10 }, /leaseMs.+from 100 to 3600000, not 10/],
  ['an empty prefix', { connection, prefix: '' }, /prefix.+not empty/],
  ['telemetry that is none', { connection, telemetry: { tracer: 'x' } }, /telemetry.+BullMQOtel/],
])('%s', (_name, options, message) => {
  expect(wrong(options)).toThrow(message);
  expect(wrong(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  try {
    wrong(options)();
  } catch (error) {
    expect(String(error)).not.toContain('secret');
  }
});

test('what cannot be stored is refused before Redis is asked', async () => {
  const queue = new BullMqWebhookQueue({ connection });
  const job = { action: 'add', receivedAt: 1 };
  const refused = { code: 'INVALID_REQUEST' };
  await expect(queue.put('default', '7'.repeat(256), job)).rejects.toMatchObject(refused);
  await expect(queue.put('n'.repeat(65), '7', job)).rejects.toMatchObject(refused);
  await queue.close();
});

test('a queue that nothing was asked of connects to nothing, and closes at once', async () => {
  // Nobody listens at port 1.
  const queue = new BullMqWebhookQueue({ connection: { host: '127.0.0.1', port: 1 } });
  await queue.close();
  await expect(queue.counts('default')).rejects.toThrow(/was closed/);
});
