// Users and the queue in a real database, for the long run: what is stored there comes back as it was, or the next webhook would differ.
import { KnexUserRepository, KnexWebhookQueue, migrate } from '../../lib/knex';
import { openDatabase, type DatabaseName } from '../knex/databases';
import type { Storage } from './answer-loop';

const TABLES = ['wpf_users', 'wpf_lanes', 'wpf_webhooks', 'wpf_positions'];

export async function databaseStorage(name: DatabaseName): Promise<Storage & { close(): Promise<void> }> {
  const database = await openDatabase(name);
  const { knex } = database;
  await migrate(knex, { activity: false });
  const users = new KnexUserRepository(knex);
  return {
    users,
    queue: new KnexWebhookQueue(knex),
    begin: async () => {
      for (const table of TABLES) await knex(table).delete();
    },
    all: async () => {
      const emails: string[] = await knex('wpf_users').pluck('email');
      const found = await Promise.all(emails.map((email) => users.findByEmail(email)));
      return found.filter((user) => user !== null);
    },
    close: () => database.close(),
  };
}
