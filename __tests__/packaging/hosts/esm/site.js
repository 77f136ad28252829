// A site of ES modules: the same webhook as in the CommonJS one, and every name can be imported.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import express from 'express';
import * as root from 'wp-fusion-webhook';
import * as testing from 'wp-fusion-webhook/testing';
import { BcryptHasher, MemoryUserRepository, OntraportClient, wpFusionWebhook } from 'wp-fusion-webhook';
import { OntraportSandbox } from 'wp-fusion-webhook/testing';

const ACCESS_KEY = 'a key for this test only';

// Node finds the names of a CommonJS module by reading its text; what it overlooks cannot be imported by name.
const require = createRequire(import.meta.url);
for (const [specifier, namespace] of Object.entries({
  'wp-fusion-webhook': root,
  'wp-fusion-webhook/testing': testing,
})) {
  const missing = Object.keys(require(specifier)).filter((name) => !(name in namespace));
  assert.deepEqual(missing, [], `${specifier} has names that cannot be imported`);
}
// Imported or required: the same classes.
assert.equal(root.WpFusionError, require('wp-fusion-webhook').WpFusionError);

const sandbox = await OntraportSandbox.start();
sandbox.addField({ key: 'f1556', alias: 'Password' });
const contactId = sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com', tags: ['Customer'] });

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
const { json } = await sandbox.send({
  url: `${siteUrl}?wpf_action=add&access_key=${key}&contact_id=[Contact ID]`,
  contactId,
});
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
