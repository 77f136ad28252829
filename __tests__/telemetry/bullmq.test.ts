// Redis: BullMQ's own telemetry and ours are one trace.
import { BullMQOtel } from 'bullmq-otel';
import { MemoryUserRepository } from '../../lib';
import { startProcess, startSandbox, until } from '../actions/site';
import { closeScenes, NAME, openScene } from '../bullmq/scene';
import { isRedisThere } from '../bullmq/redis-server';
import { forget, QUICK, setUp, tearDown, tree } from './scene';

beforeAll(setUp);
afterEach(async () => {
  await closeScenes();
  forget();
});
afterAll(tearDown);

const shortly = ({ name }: { name: string }): boolean => !/repository|GET \/objects/.test(name);

/** Stores a webhook in one process and works it off in another. */
async function workOff(telemetry?: BullMQOtel): Promise<void> {
  const scene = await openScene(telemetry && { telemetry });
  const sandbox = await startSandbox();
  const users = new MemoryUserRepository();
  const web = await startProcess(sandbox, users, { queue: scene.queue, worker: false });
  await web.ping('add', sandbox.addContact({ email: 'mary@example.com' }));
  const worker = await startProcess(sandbox, users, { queue: scene.open(), ...QUICK });
  await until(async () => (await scene.queue.counts(NAME)).waiting === 0);
  await worker.close();
}

(isRedisThere() ? describe : describe.skip)('a queue on Redis', () => {
  test('without telemetry of its own', async () => {
    await workOff();
    expect(tree(shortly)).toBe(
      `
wp_fusion_webhook add outcome=queued
  send wp-fusion-webhook.default PRODUCER
    process wp-fusion-webhook.default CONSUMER outcome=created
      wp_fusion_webhook read contact
        wp_fusion_webhook.crm getContacts contact_count=1
          GET /Contacts CLIENT status_code=200`.trim(),
    );
  });

  test("with BullMQ's: the work is part of BullMQ's spans", async () => {
    await workOff(new BullMQOtel({ tracerName: 'site' }));
    expect(tree(shortly)).toBe(
      `
wp_fusion_webhook add outcome=queued
  send wp-fusion-webhook.default PRODUCER
    add wp-fusion-webhook.default.add PRODUCER
      process wp-fusion-webhook.default CONSUMER
        process wp-fusion-webhook.default CONSUMER outcome=created
          wp_fusion_webhook read contact
            wp_fusion_webhook.crm getContacts contact_count=1
              GET /Contacts CLIENT status_code=200
          complete wp-fusion-webhook.default`.trim(),
    );
  });
});
