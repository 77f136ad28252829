// A CommonJS site: takes a webhook, checks that the password returned to the CRM logs in, and ends by itself.
const assert = require('node:assert/strict');
const { once } = require('node:events');
const express = require('express');
const { BcryptHasher, MemoryUserRepository, OntraportClient, wpFusionWebhook } = require('wp-fusion-webhook');
const { OntraportSandbox } = require('wp-fusion-webhook/testing');

const ACCESS_KEY = 'a key for this test only';

async function main() {
  const sandbox = await OntraportSandbox.start();
  sandbox.addField({ key: 'f1556', alias: 'Password' });
  const contactId = sandbox.addContact({
    firstname: 'Mary',
    email: 'mary@example.com',
    tags: ['Customer'],
  });

  const { appId, apiKey, baseUrl } = sandbox;
  const users = new MemoryUserRepository();
  const webhook = wpFusionWebhook({
    accessKey: ACCESS_KEY,
    crm: new OntraportClient({ appId, apiKey, baseUrl }),
    users,
    returnPassword: { field: 'f1556' },
  });
  const app = express();
  app.use(webhook);
  app.get('/', (_request, response) => response.send('the page of the site'));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const siteUrl = `http://127.0.0.1:${server.address().port}/`;

  const key = encodeURIComponent(ACCESS_KEY);
  const url = `${siteUrl}?wpf_action=add&access_key=${key}&contact_id=[Contact ID]`;
  const { json } = await sandbox.send({ url, contactId });
  assert.equal(json?.outcome, 'created', JSON.stringify(json));
  assert.deepEqual(json.warnings, []);

  const user = await users.findByContactId(contactId);
  assert.equal(user.email, 'mary@example.com');
  assert.equal(user.meta.firstName, 'Mary');
  assert.deepEqual(user.tags, ['Customer']);
  assert.ok(await new BcryptHasher().verify(sandbox.contact(contactId).f1556, user.passwordHash));
  assert.equal(await (await fetch(siteUrl)).text(), 'the page of the site');

  server.close();
  await webhook.close();
  await sandbox.close();
}

// A failure is an unhandled rejection, which ends the process whatever is still open.
void main();
