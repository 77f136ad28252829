// The contract suite for webhook queues, on every database. The second queue in its races is another process.
import createKnex, { type Knex } from 'knex';
import { KnexWebhookQueue, migrate } from '../../lib/knex';
import { webhookQueueContract } from '../../lib/testing/webhook-queue-contract';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';
import { startQueue, type RemoteQueue } from './processes';

const OPTIONS = { leaseMs: 500 };

describe.each(availableDatabases())('%s', (name) => {
  let database: TestDatabase;
  let other: RemoteQueue | undefined;
  const opened: Knex[] = [];

  beforeAll(async () => {
    database = await openDatabase(name);
    await migrate(database.knex, { users: false });
    other = startQueue(database.config, OPTIONS);
  });
  afterAll(async () => {
    await other?.end();
    await database.close();
  });

  webhookQueueContract({
    runner: { describe, it },
    open: async () => ({
      queue: new KnexWebhookQueue(database.knex, OPTIONS),
      other,
      reopened: async () => {
        const again = createKnex(database.config as Knex.Config);
        opened.push(again);
        return new KnexWebhookQueue(again, OPTIONS);
      },
      close: async () => {
        await Promise.all(opened.splice(0).map((one) => one.destroy()));
      },
    }),
  });
});
