// A site's own tests under Jest, in plain CommonJS, as the docs tell: a webhook by supertest, and both contract suites.
const express = require('express');
const request = require('supertest');
const { MemoryUserRepository, OntraportClient, wpFusionWebhook } = require('wp-fusion-webhook');
const { crmClientContract, OntraportSandbox, userRepositoryContract } = require('wp-fusion-webhook/testing');

jest.setTimeout(60_000);

const clientOf = ({ appId, apiKey, baseUrl }) => new OntraportClient({ appId, apiKey, baseUrl });

describe('the site', () => {
  let sandbox;
  let webhook;

  beforeAll(async () => {
    sandbox = await OntraportSandbox.start();
    sandbox.addField({ key: 'f1556', alias: 'Password' });
  });

  afterAll(async () => {
    await webhook.close();
    await sandbox.close();
  });

  it('makes a user of a contact', async () => {
    const contact = { firstname: 'Mary', email: 'mary@example.com', tags: ['Customer'] };
    const contactId = sandbox.addContact(contact);
    const users = new MemoryUserRepository();
    webhook = wpFusionWebhook({
      accessKey: 'only-for-this-test',
      crm: clientOf(sandbox),
      users,
      returnPassword: { field: 'f1556' },
      logger: false,
    });
    const app = express().use(webhook);
    const query = { wpf_action: 'add', access_key: 'only-for-this-test', contact_id: contactId };
    const { body, status } = await request(app).post('/').query(query);
    expect(body).toMatchObject({ ok: true, outcome: 'created' });
    expect(status).toBe(200);
    expect(await users.findByContactId(contactId)).toMatchObject({
      email: 'mary@example.com',
      tags: ['Customer'],
      passwordHash: expect.stringMatching(/^\$2b\$/),
    });
    expect(sandbox.contact(contactId).f1556).toHaveLength(16);
  });
});

userRepositoryContract({
  runner: { describe, it },
  name: 'users',
  open: async () => {
    const users = new MemoryUserRepository();
    return {
      users,
      stored: async (id) => users.all().find((user) => user.id === id) ?? null,
      count: async () => users.all().length,
    };
  },
});

crmClientContract({
  runner: { describe, it },
  name: 'crm',
  open: async () => {
    const sandbox = await OntraportSandbox.start();
    return {
      client: clientOf(sandbox),
      addContact: async ({ email, tags, fields }) =>
        sandbox.addContact({ ...fields, tags: [...tags], ...(email === null ? {} : { email }) }),
      removeContact: async (id) => sandbox.deleteContact(id),
      missingId: '999999',
      writableField: 'company',
      stored: async (id, field) => sandbox.contact(id)?.[field] ?? null,
      fail: async () => void sandbox.fail({ with: 'unauthorized', times: Infinity }),
      secrets: [sandbox.appId, sandbox.apiKey],
      close: () => sandbox.close(),
    };
  },
  // The one that is not tried again, and so not waited for.
  capabilities: { failures: ['unauthorized'] },
});
