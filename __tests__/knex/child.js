// Another process over the same database: a repository, a queue or an activity log whose methods are called from outside, or a whole site.
const { createServer } = require('node:http');
const express = require('express');
const createKnex = require('knex');
const { OntraportClient, wpFusionWebhook } = require('wp-fusion-webhook');
const { KnexActivityLog, KnexUserRepository, KnexWebhookQueue, migrate } = require('wp-fusion-webhook/knex');

const { connection, options, site, queue: queueOptions, activity } = JSON.parse(process.env.WPF_TEST_CHILD);
const knex = createKnex(connection);
const users = new KnexUserRepository(knex, options);
const queue = new KnexWebhookQueue(knex, queueOptions);
const activityLog = new KnexActivityLog(knex, activity);

process.on('message', async ({ id, method, parameters }) => {
  try {
    const value = await METHODS[method](...parameters);
    process.send({ id, value });
  } catch (error) {
    process.send({ id, error: { ...error, message: error.message, code: error.code } });
  }
});

// What fails is for whoever reads the test's output; the rest is not.
const QUIET = {
  debug() {},
  info() {},
  warn() {},
  error: (details, message) => console.error(message, details),
};

let webhook;
let server;
const METHODS = {
  findByContactId: (contactId) => users.findByContactId(contactId),
  findByEmail: (email) => users.findByEmail(email),
  create: (user) => users.create(user),
  update: (id, changes, condition) => users.update(id, changes, condition ?? undefined),
  migrate: (tables) => migrate(knex, tables),
  queue: (method, parameters) => queue[method](...parameters),
  activity: (method, parameters) => activityLog[method](...parameters),
  listen: async () => {
    webhook = wpFusionWebhook({ logger: QUIET, ...site.webhook, crm: new OntraportClient(site.crm), users });
    const app = express();
    app.use(webhook);
    server = createServer(app);
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${server.address().port}/`;
  },
  close: async () => {
    server?.closeAllConnections();
    server?.close();
    await webhook?.close();
    await knex.destroy();
  },
};
