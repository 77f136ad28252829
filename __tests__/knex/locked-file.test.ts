// A SQLite file that somebody else is writing to is waited for, and everything else of the process goes on meanwhile: here the one
// who has it locked is in the same process, and would never let go if SQLite did the waiting.
import createKnex, { type Knex } from 'knex';
import { KnexActivityLog, KnexUserRepository, KnexWebhookQueue, migrate } from '../../lib/knex';
import { newUser } from '../http/site';
import { newCorrelationId } from '../../lib/activity/recorder';
import { openDatabase, type TestDatabase } from './databases';

let database: TestDatabase;
let knex: Knex;
let other: Knex;
let freed: Promise<unknown> | undefined;

beforeEach(async () => {
  freed = undefined;
  database = await openDatabase('SQLite');
  await migrate(database.knex);
  const patient = (
    connection: { pragma(sql: string): void },
    done: (error: null, one: object) => void,
  ): void => {
    connection.pragma('busy_timeout = 10000');
    done(null, connection);
  };
  knex = createKnex({ ...database.config, pool: { min: 1, max: 2, afterCreate: patient } } as Knex.Config);
  other = createKnex({ ...database.config, pool: { min: 1, max: 1 } } as Knex.Config);
});
afterEach(async () => {
  await freed;
  await other.destroy();
  await knex.destroy();
  await database.close();
});

/** What of Knex' client is needed to let go at a moment of our own, and not of its pool's. */
interface ClientOfKnex {
  acquireConnection(): Promise<{ exec(sql: string): void; readonly inTransaction: boolean }>;
  releaseConnection(connection: object): void;
}

/** The other one lets go when the event loop has had a turn since the first of our statements failed. */
async function whileLocked(work: () => Promise<unknown>): Promise<void> {
  await other.raw('begin immediate');
  knex.on('query-error', () => {
    freed ??= new Promise((resolve) => setImmediate(resolve)).then(() => other.raw('rollback'));
  });
  await work();
  expect(freed).toBeDefined();
  await freed;
}

const WORK: [string, (prepared: KnexUserRepository) => Promise<unknown>][] = [
  ['a user that is created', (users) => users.create(newUser({}))],
  ['a user that is updated', (users) => users.update('1', { role: 'customer' })],
  [
    'a webhook that is stored',
    () => new KnexWebhookQueue(knex).put('site', '7', { action: 'add', receivedAt: 1 }),
  ],
  ['webhooks that are taken', () => new KnexWebhookQueue(knex).take('site', 1)],
  [
    'a record of a webhook',
    () =>
      new KnexActivityLog(knex).write('site', [{ id: newCorrelationId(1), receivedAt: 1, state: 'done' }]),
  ],
];

/** Users and a queue that have written before. */
async function prepared(): Promise<KnexUserRepository> {
  const users = new KnexUserRepository(knex);
  await new KnexWebhookQueue(knex).put('site', '8', { action: 'add', receivedAt: 1 });
  await users.create(newUser({ email: 'first@example.com', username: 'first' }));
  return users;
}

test.each(WORK)(
  '%s',
  async (_name, work) => {
    const users = await prepared();
    await whileLocked(() => work(users));
    // In SQLite itself it would be ten seconds, with the whole process.
  },
  5_000,
);

test.each(WORK)('%s, where it is free at once: in the transaction that was begun', async (_name, work) => {
  const users = await prepared();
  const { client } = other as unknown as { client: ClientOfKnex };
  const connection = await client.acquireConnection();
  connection.exec('begin immediate');
  let rollbacks = 0;
  knex.on('query', ({ sql }: { sql: string }) => (rollbacks += /^rollback/i.test(sql) ? 1 : 0));
  knex.on('query-error', () => {
    if (connection.inTransaction) connection.exec('commit');
  });
  await work(users);
  expect(connection.inTransaction).toBe(false);
  expect(rollbacks).toBe(0);
  client.releaseConnection(connection);
});
