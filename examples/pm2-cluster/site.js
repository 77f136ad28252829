// One process of the site, the file to copy from: PM2 starts several of these. They share a port, a database and a queue.
const express = require('express');
const createKnex = require('knex');
const { OntraportClient, wpFusionWebhook } = require('wp-fusion-webhook');
const { KnexUserRepository, KnexWebhookQueue, migrate } = require('wp-fusion-webhook/knex');

const { env } = process;
const say = (text) => console.log(`process ${process.pid}: ${text}`);

async function main() {
  const crm = new OntraportClient({
    appId: env.ONTRAPORT_APP_ID,
    apiKey: env.ONTRAPORT_API_KEY,
    baseUrl: env.ONTRAPORT_BASE_URL, // only for trying it with a sandbox
  });
  const knex = createKnex({
    client: 'pg',
    connection: {
      connectionString: env.DATABASE_URL ?? 'postgres://root@127.0.0.1:5432/test',
      application_name: `site ${process.pid}`, // PostgreSQL tells in pg_stat_activity what each process does
    },
    pool: { min: 0, max: 5 }, // for each process: all together have to stay below PostgreSQL's max_connections
  });
  await migrate(knex); // all processes call it at once: one makes the tables, the others wait for it

  const webhook = wpFusionWebhook({
    accessKey: env.WPF_ACCESS_KEY,
    crm,
    users: new KnexUserRepository(knex), // your own table: docs/existing-tables.md
    // Any process stores a webhook, any process works it off. What a process that died had in work is free after `leaseMs`.
    queue: new KnexWebhookQueue(knex, { leaseMs: Number(env.LEASE_MS ?? 30_000) }),
    fields: { company: 'company' },
  });
  webhook.on('webhook.received', ({ action, contactId }) =>
    say(`received ${action} of contact ${contactId}`),
  );
  webhook.on('webhook.processed', ({ action, contactId, outcome }) =>
    say(`worked off ${action} of contact ${contactId}: ${outcome}`),
  );

  const app = express();
  app.use(webhook);
  app.get('/', async (_request, response) => {
    const users = await knex('wpf_users').orderBy('id').pluck('email');
    const { waiting, dead } = await webhook.queueCounts();
    response.json({ process: process.pid, users, waiting, dead });
  });

  const server = app.listen(Number(env.PORT ?? 3000), '127.0.0.1', (error) => {
    if (error) return fail(error);
    say('ready');
    process.send?.('ready'); // PM2 has been waiting for this: `wait_ready`
  });

  let isStopping = false;
  async function stop() {
    // Ctrl-C in a terminal comes twice, from the terminal and from PM2.
    if (isStopping) return;
    isStopping = true;
    // The other processes take what comes now. What is here already is answered before webhooks are refused.
    await new Promise((resolve) => server.close(resolve));
    await webhook.close(); // finishes what is in work; what does not end in time goes back to the queue
    await knex.destroy();
    process.exit(0); // the line to PM2 would keep it alive
  }
  const end = () => stop().catch(fail);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, end);
  process.on('message', (message) => {
    if (message === 'shutdown') end(); // `shutdown_with_message`
  });
}

/** Under PM2 a promise that is rejected ends no process: one that could not start would be left standing there. */
function fail(error) {
  console.error(error);
  process.exit(1);
}

main().catch(fail);
