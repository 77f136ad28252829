// The CRM clients of examples/crm-clients against fakes of their APIs: the contract, what is special to each, and their webhooks.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import express, { type RequestHandler } from 'express';
import request from 'supertest';
import { ActiveCampaignClient } from '../../examples/crm-clients/activecampaign-client';
import { FakeActiveCampaign } from '../../examples/crm-clients/fake-activecampaign';
import { FakeHubSpot } from '../../examples/crm-clients/fake-hubspot';
import { HubSpotClient } from '../../examples/crm-clients/hubspot-client';
import { MemoryUserRepository, wpFusionWebhook, type CrmClient } from '../../lib';
import { crmClientContract } from '../../lib/testing';

const FOLDER = path.resolve(__dirname, '../../examples/crm-clients');
const KEY = 'only-for-this-test';

/** The users that one webhook left behind, and the answer to it. */
async function take(
  crm: CrmClient,
  query: object,
  send: (post: request.Test) => request.Test,
  parsers: RequestHandler[] = [],
) {
  const users = new MemoryUserRepository();
  const webhook = wpFusionWebhook({ accessKey: KEY, crm, users, logger: false });
  const app = express();
  for (const handler of [...parsers, webhook]) app.use(handler);
  const { status, body } = await send(
    request(app)
      .post('/')
      .query({ access_key: KEY, ...query }),
  );
  await webhook.close();
  return { status, body, users: users.all() };
}

test.each(['hubspot-client.ts', 'activecampaign-client.ts'])('%s is short', (file) => {
  expect(readFileSync(path.join(FOLDER, file), 'utf8').split('\n').length - 1).toBeLessThanOrEqual(150);
});

describe('HubSpot', () => {
  let hubspot: FakeHubSpot;
  let client: HubSpotClient;
  const open = async () => {
    hubspot = await FakeHubSpot.start();
    for (const name of ['company', 'jobtitle']) hubspot.addProperty(name);
    client = new HubSpotClient({ token: hubspot.token, baseUrl: hubspot.url });
  };

  crmClientContract({
    runner: { describe, it },
    open: async () => {
      await open();
      const reads = ['/contacts/batch/read', '/memberships/batch/read'];
      return {
        client,
        addContact: async ({ email, tags, fields }) => hubspot.addContact({ email, lists: tags, ...fields }),
        removeContact: async (id) => hubspot.removeContact(id),
        missingId: '999999',
        writableField: 'company',
        otherField: 'jobtitle',
        stored: async (id, field) => hubspot.contact(id)?.[field] ?? null,
        fail: async (kind) => hubspot.fail(kind),
        secrets: [hubspot.token],
        readCalls: () => hubspot.calls.filter((call) => reads.some((end) => call.endsWith(end))).length,
        close: () => hubspot.close(),
      };
    },
  });

  describe('itself', () => {
    beforeEach(open);
    afterEach(() => hubspot.close());

    test('properties have types', async () => {
      hubspot.addProperty('score', 'number', 'number');
      hubspot.addProperty('member', 'bool', 'booleancheckbox');
      hubspot.addProperty('interests', 'enumeration', 'checkbox');
      hubspot.addProperty('plan', 'enumeration', 'select');
      hubspot.addProperty('birthday', 'date', 'date');
      const given = {
        score: '12.5',
        member: 'false',
        interests: 'go;chess',
        plan: 'a;b',
        birthday: '1990-05-01',
      };
      const id = hubspot.addContact({ email: 'mary@example.com', ...given });
      const contact = (await client.getContacts([id], { fields: [...Object.keys(given), 'company'] })).get(
        id,
      );
      expect(contact?.fields).toMatchObject({
        ...{ score: 12.5, member: false, interests: ['go', 'chess'], plan: 'a;b' },
        ...{ birthday: '1990-05-01', company: null },
      });
    });

    test('a write to a property that it does not know is refused, without the value', async () => {
      const id = hubspot.addContact({ email: 'mary@example.com' });
      const error = await client.updateContact(id, { nickname: 's3cret-value' }).catch((one: unknown) => one);
      expect(error).toMatchObject({ code: 'CRM_BAD_RESPONSE' });
      expect(String((error as Error).stack)).not.toContain('s3cret-value');
    });

    const PARTLY = { results: [], errors: [{ category: 'VALIDATION_ERROR' }] };
    const READ = 'POST /crm/v3/objects/contacts/batch/read';
    const MEMBERSHIPS = 'POST /crm/v3/lists/records/memberships/batch/read';
    test.each<[string, string, [number, object | string], object]>([
      ['no lists of a contact', MEMBERSHIPS, [200, { results: [] }], { code: 'CRM_BAD_RESPONSE' }],
      ['contacts it could not read', READ, [207, PARTLY], { code: 'CRM_BAD_RESPONSE' }],
      ['a page of a proxy', READ, [404, '<h1>Not found</h1>'], { code: 'CRM_BAD_RESPONSE' }],
      ['a token without a scope', READ, [403, { status: 'error' }], { code: 'CRM_UNAUTHORIZED' }],
      ['a locked account', READ, [423, { status: 'error' }], { code: 'CRM_UNAVAILABLE', retryAfter: 10 }],
      [
        'the end of the day’s calls',
        READ,
        [429, { policyName: 'DAILY' }],
        { code: 'CRM_RATE_LIMITED', retryAfter: 3600 },
      ],
    ])('%s is a failure, and not an answer', async (_what, call, answer, failure) => {
      const id = hubspot.addContact({ email: 'mary@example.com', lists: ['Customers'] });
      hubspot.answers.set(call, answer);
      await expect(client.getContacts([id])).rejects.toMatchObject(failure);
    });

    test('a page of a proxy is no contact that is not there', async () => {
      hubspot.answers.set('PATCH /crm/v3/objects/contacts/9990', [404, '<h1>Not found</h1>']);
      await expect(client.updateContact('9990', { company: 'x' })).rejects.toMatchObject({
        code: 'CRM_BAD_RESPONSE',
      });
    });

    test.each<[string, (post: request.Test) => request.Test]>([
      ['the whole contact', (post) => post.send({ vid: 9990, 'canonical-vid': 9990, properties: {} })],
      ['the property Record ID', (post) => post.send({ hs_object_id: 9990, firstname: 'Mary' })],
      ['what its user calls contact_id', (post) => post.send({ contact_id: '9990' })],
    ])('a workflow’s webhook with %s makes a user', async (_what, send) => {
      hubspot.addContact({ email: 'mary@example.com', lists: ['Customers'] });
      const { status, body, users } = await take(client, { wpf_action: 'add' }, send);
      expect(body).toMatchObject({ ok: true, outcome: 'created' });
      expect(status).toBe(200);
      expect(users).toMatchObject([{ contactId: '9990', email: 'mary@example.com', tags: ['Customers'] }]);
    });
  });
});

describe('ActiveCampaign', () => {
  let campaign: FakeActiveCampaign;
  let client: ActiveCampaignClient;
  const open = async () => {
    campaign = await FakeActiveCampaign.start();
    for (const name of ['COMPANY', 'NOTE']) campaign.addField(name);
    client = new ActiveCampaignClient({ url: campaign.url, key: campaign.key });
  };

  crmClientContract({
    runner: { describe, it },
    open: async () => {
      await open();
      return {
        client,
        addContact: async ({ email, tags, fields = {} }) =>
          campaign.addContact({ email: email!, tags, fields }),
        removeContact: async (id) => campaign.removeContact(id),
        missingId: '999999',
        writableField: 'COMPANY',
        otherField: 'NOTE',
        stored: async (id, field) => campaign.stored(id, field),
        fail: async (kind) => campaign.fail(kind),
        secrets: [campaign.key],
        readCalls: () => campaign.calls.filter((call) => call === 'GET /contacts').length,
        close: () => campaign.close(),
      };
    },
    capabilities: { withoutEmail: false },
  });

  describe('itself', () => {
    beforeEach(open);
    afterEach(() => campaign.close());

    test('fields have types, and the contact some of its own', async () => {
      campaign.addField('INTERESTS', 'checkbox');
      campaign.addField('SCORE', 'number');
      const given = { firstName: 'Mary', INTERESTS: '||go||chess||', SCORE: '7' };
      const id = campaign.addContact({ email: 'mary@example.com', fields: given });
      const fields = ['firstName', 'lastName', 'INTERESTS', 'SCORE', 'NOTE'];
      const contact = (await client.getContacts([id], { fields })).get(id);
      expect(contact?.fields).toEqual({
        ...{ firstName: 'Mary', lastName: null, INTERESTS: ['go', 'chess'], SCORE: 7, NOTE: null },
      });
      await client.updateContact(id, { firstName: 'Maria', NOTE: 'x' });
      expect([campaign.stored(id, 'firstName'), campaign.stored(id, 'NOTE')]).toEqual(['Maria', 'x']);
    });

    test('more fields than one call gives are known', async () => {
      for (let number = 0; number < 130; number += 1) campaign.addField(`F${String(number)}`);
      const id = campaign.addContact({ email: 'mary@example.com', fields: { F129: 'last' } });
      expect((await client.getContacts([id], { fields: ['F129'] })).get(id)?.fields).toEqual({
        F129: 'last',
      });
    });

    test('a write to a field that it does not know is refused before anything is sent', async () => {
      const id = campaign.addContact({ email: 'mary@example.com' });
      await expect(client.updateContact(id, { NICKNAME: 'x' })).rejects.toMatchObject({
        ...{ code: 'CRM_BAD_RESPONSE', message: expect.stringContaining('%NICKNAME%') },
      });
      expect(campaign.calls.filter((call) => call.startsWith('PUT'))).toEqual([]);
    });

    test('an answer without tags is a failure, and not "no tags"', async () => {
      const id = campaign.addContact({ email: 'mary@example.com', tags: ['Customer'] });
      const contacts = [{ id, email: 'mary@example.com', udate: '2026-01-01T00:00:00-05:00' }];
      campaign.answers.set('GET /contacts', [200, { contacts }]);
      await expect(client.getContacts([id])).rejects.toMatchObject({ code: 'CRM_BAD_RESPONSE' });
    });

    test('a page of a proxy is no contact that is not there', async () => {
      campaign.answers.set('PUT /contacts/98', [404, '<h1>Not found</h1>']);
      await expect(client.updateContact('98', { NOTE: 'x' })).rejects.toMatchObject({
        code: 'CRM_BAD_RESPONSE',
      });
    });

    test.each<[string, RequestHandler[]]>([
      ['nobody has parsed', []],
      ['was parsed flat', [express.urlencoded({ extended: false })]],
      ['was parsed deep', [express.urlencoded({ extended: true })]],
    ])('an automation’s webhook, a form that %s, makes a user', async (_what, parsers) => {
      campaign.addContact({ email: 'mary@example.com', tags: ['Customer'] });
      const form = 'type=update&initiated_by=system&contact[id]=98&contact[email]=mary%40example.com&list=0';
      const { status, body, users } = await take(
        client,
        { wpf_action: 'add' },
        (post) => post.send(form),
        parsers,
      );
      expect(body).toMatchObject({ ok: true, outcome: 'created' });
      expect(status).toBe(200);
      expect(users).toMatchObject([{ contactId: '98', email: 'mary@example.com', tags: ['Customer'] }]);
    });
  });
});
