// The way most hosts will test it: supertest on an app, no port, on both Express versions.
import express5 from 'express';
import express4 from 'express4';
import request from 'supertest';
import { MemoryUserRepository, OntraportClient, wpFusionWebhook } from '../../lib';
import { OntraportSandbox } from '../../lib/testing';

test.each([
  ['4', express4],
  ['5', express5],
] as const)('Express %s: a webhook makes a user, other requests go on', async (_version, express) => {
  const sandbox = await OntraportSandbox.start();
  try {
    const users = new MemoryUserRepository();
    const app = express();
    const webhook = wpFusionWebhook({
      accessKey: 'the-key-of-this-test',
      crm: new OntraportClient({ appId: sandbox.appId, apiKey: sandbox.apiKey, baseUrl: sandbox.baseUrl }),
      users,
    });
    app.use(webhook);
    app.get('/', (_request, response) => void response.send('the site'));
    const id = sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com' });

    await request(app)
      .post('/any/path')
      .query({ wpf_action: 'add', access_key: 'the-key-of-this-test', contact_id: id })
      .expect(200)
      .expect('Content-Type', /^application\/json/)
      .expect({ ok: true, action: 'add', contactId: id, outcome: 'created', userId: '1', warnings: [] });
    await request(app).get('/').expect(200, 'the site');
    expect(users.all()).toMatchObject([
      { contactId: id, email: 'mary@example.com', meta: { firstName: 'Mary' } },
    ]);
    await webhook.close();
  } finally {
    await sandbox.close();
  }
});
