// A site on SQLite to be bundled without Knex and its driver, which hold native code and lazy requires.
import createKnex from 'knex';
import { KnexUserRepository, migrate } from 'wp-fusion-webhook/knex';
import { takeWebhook } from './take-webhook.js';

async function main() {
  const knex = createKnex({
    client: 'better-sqlite3',
    connection: { filename: ':memory:' },
    useNullAsDefault: true,
  });
  await migrate(knex);
  await takeWebhook(new KnexUserRepository(knex));
  await knex.destroy();
}

// A failure is an unhandled rejection, which ends the process.
void main();
