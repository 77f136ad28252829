// The contract suite for activity logs, on every database. The second log in its races is another process.
import { KnexActivityLog, migrate } from '../../lib/knex';
import { activityLogContract } from '../../lib/testing';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';
import { startActivityLog, type RemoteActivityLog } from './processes';

const LIMITS = { records: 150, rejected: 20 };

describe.each(availableDatabases())('%s', (name) => {
  let database: TestDatabase;
  let other: RemoteActivityLog | undefined;

  beforeAll(async () => {
    database = await openDatabase(name);
    await migrate(database.knex, { users: false, queue: false });
    other = startActivityLog(database.config, LIMITS);
  });
  afterAll(async () => {
    await other?.end();
    await database.close();
  });

  activityLogContract({
    runner: { describe, it },
    open: async () => ({ log: new KnexActivityLog(database.knex, LIMITS), other }),
    limits: LIMITS,
  });
});
