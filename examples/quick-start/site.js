// The quick start of the README as a site that runs: users in SQLite, and a queue beside them in which webhooks wait.
const path = require('node:path');
const express = require('express');
const createKnex = require('knex');
const { OntraportClient, wpFusionWebhook } = require('wp-fusion-webhook');
const { KnexUserRepository, KnexWebhookQueue, migrate } = require('wp-fusion-webhook/knex');

const { env } = process;

async function main() {
  const crm = new OntraportClient({
    appId: env.ONTRAPORT_APP_ID,
    apiKey: env.ONTRAPORT_API_KEY,
    baseUrl: env.ONTRAPORT_BASE_URL, // only for trying it with a sandbox
  });
  const knex = createKnex({
    client: 'better-sqlite3',
    connection: { filename: env.DATABASE_FILE ?? path.join(__dirname, 'site.sqlite') },
    useNullAsDefault: true,
  });
  await migrate(knex); // the users and the queue; { users: false } where you have a users table

  const webhook = wpFusionWebhook({
    accessKey: env.WPF_ACCESS_KEY,
    crm,
    users: new KnexUserRepository(knex), // your own table: docs/existing-tables.md
    queue: new KnexWebhookQueue(knex),
  });

  const app = express();
  app.use(webhook);
  app.get('/', async (_request, response) => {
    const users = await knex('wpf_users').orderBy('id').pluck('email');
    const { waiting, dead } = await webhook.queueCounts();
    response.json({ users, waiting, dead });
  });

  const server = app.listen(Number(env.PORT ?? 3000), (error) => {
    if (error) throw error;
    console.log(`http://localhost:${server.address().port}/`);
  });
  process.once('SIGTERM', async () => {
    server.close();
    await webhook.close();
    await knex.destroy();
  });
}

main();
