// A site in a process of its own that takes a webhook, with a queue and without; prints what came of it as JSON. With `absent` as its
// argument `@opentelemetry/api` cannot be found there.
const Module = require('node:module');

const isAbsent = process.argv[2] === 'absent';
if (isAbsent) {
  const resolve = Module._resolveFilename;
  Module._resolveFilename = function (request, ...rest) {
    if (request.startsWith('@opentelemetry/')) {
      throw Object.assign(new Error(`Cannot find module '${request}'`), { code: 'MODULE_NOT_FOUND' });
    }
    return resolve.call(this, request, ...rest);
  };
}

const express = require('express');
const createKnex = require('knex');
const { MemoryUserRepository, OntraportClient, wpFusionWebhook } = require('wp-fusion-webhook');
const { KnexWebhookQueue, migrate } = require('wp-fusion-webhook/knex');
const { OntraportSandbox } = require('wp-fusion-webhook/testing');

async function main() {
  const sandbox = await OntraportSandbox.start();
  const knex = createKnex({
    client: 'better-sqlite3',
    connection: { filename: ':memory:' },
    useNullAsDefault: true,
  });
  await migrate(knex, { users: false });
  const { appId, apiKey, baseUrl } = sandbox;
  const contactId = sandbox.addContact({ email: 'mary@example.com' });
  const outcomes = [];
  const queue = new KnexWebhookQueue(knex);
  const stored = [];
  const put = queue.put.bind(queue);
  queue.put = (name, contact, job) => {
    stored.push('trace' in job);
    return put(name, contact, job);
  };
  for (const options of [{}, { queue }]) {
    const webhook = wpFusionWebhook({
      accessKey: 'a-key-for-this-test-only',
      crm: new OntraportClient({ appId, apiKey, baseUrl }),
      users: new MemoryUserRepository(),
      logger: false,
      ...options,
    });
    const server = express().use(webhook).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const url = `http://127.0.0.1:${server.address().port}/?wpf_action=add&access_key=a-key-for-this-test-only&async=false`;
    const { json } = await sandbox.send({ url, contactId });
    outcomes.push(json.outcome);
    server.close();
    await webhook.close();
  }
  await knex.destroy();
  await sandbox.close();
  const loaded = Object.keys(require.cache).some((file) => file.includes('@opentelemetry'));
  console.log(JSON.stringify({ outcomes, stored, loaded }));
}

// A failure is an unhandled rejection, which ends the process.
void main();
