// What every bundle does: takes a webhook over HTTP and checks that the password returned to the CRM logs in. IN_PROCESS=1: the
// worker's file is not beside the bundle, so hashing falls back to this process, which it has to tell, and tell once a hasher.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import express from 'express';
import { BcryptHasher, OntraportClient, wpFusionWebhook } from 'wp-fusion-webhook';
import { OntraportSandbox } from 'wp-fusion-webhook/testing';

const ACCESS_KEY = 'a-key-for-this-test-only';

const warnings = [];
// Not written to stderr: that a warning was given is checked here.
process.removeAllListeners('warning');
process.on('warning', ({ code, message }) => warnings.push(code ?? message));

export async function takeWebhook(users) {
  const sandbox = await OntraportSandbox.start();
  sandbox.addField({ key: 'f1556', alias: 'Password' });
  const contactId = sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com', tags: ['Customer'] });
  const { appId, apiKey, baseUrl } = sandbox;
  const webhook = wpFusionWebhook({
    accessKey: ACCESS_KEY,
    crm: new OntraportClient({ appId, apiKey, baseUrl }),
    users,
    returnPassword: { field: 'f1556' },
  });
  const server = express().use(webhook).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}/?wpf_action=add&access_key=${ACCESS_KEY}`;
  const { json } = await sandbox.send({ url, contactId });
  assert.equal(json?.outcome, 'created', JSON.stringify(json));
  assert.deepEqual(json.warnings, []);

  const user = await users.findByContactId(contactId);
  assert.equal(user.email, 'mary@example.com');
  assert.ok(await new BcryptHasher().verify(sandbox.contact(contactId).f1556, user.passwordHash));
  // One by the middleware's hasher, one by ours.
  const expected = process.env.IN_PROCESS === '1' ? ['WPF_BCRYPT_IN_PROCESS', 'WPF_BCRYPT_IN_PROCESS'] : [];
  assert.deepEqual(warnings, expected);

  server.close();
  await webhook.close();
  await sandbox.close();
}
