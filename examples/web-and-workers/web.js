// A web process: it stores webhooks in Redis and answers them, and has all its time for visitors. Start as many as there is traffic.
const express = require('express');
const { connect, onEnd, redis, sayAs } = require('./connect');
const { createDashboard } = require('./dashboard');

const { env } = process;
const say = sayAs('web');

async function main() {
  const { knex, webhook, close } = await connect({ worker: false });
  webhook.on('webhook.received', ({ action, contactId }) =>
    say(`received ${action} of contact ${contactId}`),
  );

  const app = express();
  app.use(webhook);
  // Without a password nobody is let in: there is no dashboard then.
  const dashboard = env.QUEUES_PASSWORD && createDashboard({ ...redis, password: env.QUEUES_PASSWORD });
  if (dashboard) app.use(dashboard.path, dashboard.router);
  app.get('/', async (_request, response) => {
    const users = await knex('wpf_users').orderBy('id').pluck('email');
    const { waiting, dead } = await webhook.queueCounts();
    response.json({ users, waiting, dead });
  });

  const server = app.listen(Number(env.PORT ?? 3000), '127.0.0.1', (error) => {
    if (error) throw error;
    say(`ready at http://127.0.0.1:${server.address().port}/`);
  });
  onEnd(async () => {
    // What is here already is answered before webhooks are refused.
    await new Promise((resolve) => server.close(resolve));
    await dashboard?.close();
    await close();
  });
}

main();
