// How a site is tested with OntraportSandbox: the test does what a person does in Ontraport, and looks at the site.
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { createServer } = require('node:http');
const { afterEach, beforeEach, test } = require('node:test');
const { BcryptHasher, MemoryUserRepository, OntraportClient } = require('wp-fusion-webhook');
const { OntraportSandbox } = require('wp-fusion-webhook/testing');
const { createSite } = require('./site');

const ACCESS_KEY = 'a key for these tests only';

let sandbox, users, site, server, siteUrl;

beforeEach(async () => {
  sandbox = await OntraportSandbox.start();
  sandbox.addField({ key: 'f1556', alias: 'Password' });
  sandbox.addTag('Member');

  const { appId, apiKey, baseUrl } = sandbox;
  users = new MemoryUserRepository();
  const crm = new OntraportClient({ appId, apiKey, baseUrl });
  site = createSite({ crm, users, accessKey: ACCESS_KEY, logger: false });
  server = createServer(site.app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  siteUrl = `http://127.0.0.1:${server.address().port}`;

  // The automations, as they are set up in Ontraport.
  const url = (action) =>
    `${siteUrl}/?wpf_action=${action}&access_key=${encodeURIComponent(ACCESS_KEY)}&contact_id=[Contact ID]`;
  sandbox.addRule({ on: 'tag:Add User to WP', url: url('add') });
  sandbox.addRule({ on: 'change', url: url('update') });
  sandbox.addRule({ on: 'tag:Member', url: url('update_tags') });
  sandbox.addRule({ on: 'untag:Member', url: url('update_tags') });
});

afterEach(async () => {
  server.close();
  await site.webhook.close();
  await sandbox.close();
});

const members = async () => (await fetch(`${siteUrl}/courses/members`)).json();

test('a contact with the tag becomes a user, who can log in with the password in Ontraport', async () => {
  const id = sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com' });
  sandbox.tag(id, 'Add User to WP');
  await sandbox.settled();

  const user = await users.findByContactId(id);
  assert.equal(user.email, 'mary@example.com');
  assert.equal(user.meta.firstName, 'Mary');
  assert.ok(await new BcryptHasher().verify(sandbox.contact(id).f1556, user.passwordHash));
});

test('the user follows the contact', async () => {
  const id = sandbox.addContact({ email: 'mary@example.com', tags: ['Add User to WP'] });
  await sandbox.settled();
  sandbox.updateContact(id, { company: 'Globex' });
  await sandbox.settled();

  assert.equal((await users.findByContactId(id)).meta.company, 'Globex');
});

test('the tag "Member" opens the courses and closes them', async () => {
  const id = sandbox.addContact({ email: 'mary@example.com', tags: ['Add User to WP'] });
  await sandbox.settled();
  const user = await users.findByContactId(id);
  assert.deepEqual(await members(), []);

  sandbox.tag(id, 'Member');
  await sandbox.settled();
  assert.deepEqual(await members(), [user.id]);

  sandbox.untag(id, 'Member');
  await sandbox.settled();
  assert.deepEqual(await members(), []);
});

test('whoever has the tag from the start is in the courses at once', async () => {
  const id = sandbox.addContact({ email: 'mary@example.com', tags: ['Member', 'Add User to WP'] });
  await sandbox.settled();

  assert.deepEqual(await members(), [(await users.findByContactId(id)).id]);
});

test('a webhook that fails because Ontraport refuses the API key is made good by the next one', async () => {
  const fault = sandbox.fail({ path: '/Contacts', with: 'unauthorized', times: Infinity });
  const id = sandbox.addContact({ email: 'mary@example.com', tags: ['Add User to WP'] });
  await sandbox.settled();
  assert.equal(sandbox.deliveries[0].status, 502);
  assert.equal(sandbox.deliveries[0].json.code, 'CRM_UNAUTHORIZED');

  fault.remove();
  sandbox.untag(id, 'Add User to WP');
  sandbox.tag(id, 'Add User to WP');
  await sandbox.settled();
  assert.equal((await users.findByContactId(id)).email, 'mary@example.com');
});
