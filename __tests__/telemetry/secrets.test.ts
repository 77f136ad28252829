// Whatever happens, no span and no metric says a secret, or who somebody is.
import { MemoryUserRepository, OntraportClient, wpFusionWebhook, type User } from '../../lib';
import express from 'express';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { startSandbox, until } from '../actions/site';
import { Haystack, type Secret } from '../security/haystack';
import { everything, forget, openQueue, QUICK, setUp, spans, tearDown } from './scene';

beforeAll(setUp);
afterEach(forget);
afterAll(tearDown);

const ACCESS_KEY = 'Kéy"With\\odd %+/chars&=<1>';
const WRONG_KEY = 'wröng"key\\in %+/query&=<2>';
const APP_ID = '2_50_app/id+with"odd\\chars%&=<3>';
const API_KEY = 'api key"with\\odd %+/chars&=<4>ä';
const CHOSEN = 'chösen"pass\\word %+/&=<5>';
const EMAIL = 'mary.o+secret@example.com';

/** A storage that quotes all it knows when it fails. */
class QuotingUsers extends MemoryUserRepository {
  failures = 0;
  readonly hashes = new Set<string>();
  override async update(...given: Parameters<MemoryUserRepository['update']>): Promise<User> {
    for (const user of this.all()) if (user.passwordHash !== null) this.hashes.add(user.passwordHash);
    if ((this.failures -= 1) >= 0)
      throw Object.assign(new Error(JSON.stringify([given, this.all()])), {
        code: JSON.stringify(this.all()),
      });
    return super.update(...given);
  }
}

test('keys, passwords, hashes, emails and names are nowhere', async () => {
  const sandbox = await startSandbox({ appId: APP_ID, apiKey: API_KEY });
  const { knex, queue } = await openQueue();
  const users = new QuotingUsers();
  const app = express();
  const options = {
    accessKey: ACCESS_KEY,
    crm: new OntraportClient({ appId: APP_ID, apiKey: API_KEY, baseUrl: sandbox.baseUrl }),
    users,
    fields: { password: 'f2' },
    returnPassword: { field: 'f1' },
    hooks: {
      afterUpdate: ({ user }: { user: { email: string } }) => {
        throw new Error(`${user.email} ${CHOSEN}`);
      },
    },
    logger: false,
  } as const;
  const inside = wpFusionWebhook(options);
  const queued = wpFusionWebhook({ ...options, queue, name: 'queued', ...QUICK });
  app.use('/inside', inside);
  app.use('/queued', queued);
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ping = (path: string, more: Record<string, string>, key = ACCESS_KEY) =>
    fetch(
      `${url}/${path}?${new URLSearchParams({ wpf_action: 'add', access_key: key, email: EMAIL, ...more })}`,
      { method: 'POST' },
    ).then((response) => response.status);

  const withGenerated = sandbox.addContact({ firstname: 'Zebulon', lastname: 'Quagmire', email: EMAIL });
  const withChosen = sandbox.addContact({ firstname: 'Philomena', email: `other.${EMAIL}`, f2: CHOSEN });
  sandbox.fail({ path: '/Contacts', with: 'error500' });
  users.failures = 1;
  expect(await ping('inside', { contact_id: withGenerated })).toBe(500);
  expect(await ping('inside', { contact_id: withGenerated })).toBe(200);
  sandbox.updateContact(withGenerated, { lastname: 'Quagmire-Zweistein' });
  expect(await ping('inside', { contact_id: withGenerated })).toBe(500);
  expect(await ping('inside', { contact_id: withGenerated }, WRONG_KEY)).toBe(403);
  sandbox.fail({ path: '/Contacts', with: 'unauthorized' });
  expect(await ping('inside', { contact_id: withGenerated, role: CHOSEN })).toBe(502);
  expect(await ping('queued', { contact_id: withChosen })).toBe(202);
  expect(await ping('queued', { contact_id: withGenerated, wpf_action: 'update' })).toBe(202);
  await until(async () => {
    const entries = await queued.activity.list();
    return entries.length === 2 && entries.every(({ attempts }) => attempts.length > 0);
  });
  const password = sandbox.contact(withGenerated)?.f1;
  await inside.close();
  await queued.close();
  server.closeAllConnections();
  server.close();
  await knex.destroy();

  const haystack = new Haystack();
  haystack.add('telemetry', await everything());
  const told = haystack.lines[0]!.text;
  for (const code of ['REPOSITORY_FAILED', 'HOOK_FAILED', 'INVALID_ACCESS_KEY', 'CRM_UNAUTHORIZED'])
    expect(told).toContain(code);
  // How many spans there are depends on whether both contacts were read in one call; which there are does not.
  expect([...new Set(spans().map(({ name }) => name))].sort()).toEqual([
    'GET /Contacts',
    'GET /objects/meta',
    'PUT /Contacts',
    'process wp-fusion-webhook.queued',
    'send wp-fusion-webhook.queued',
    'wp_fusion_webhook',
    'wp_fusion_webhook add',
    'wp_fusion_webhook read contact',
    'wp_fusion_webhook update',
    'wp_fusion_webhook.crm getContacts',
    'wp_fusion_webhook.crm updateContact',
    'wp_fusion_webhook.repository create',
    'wp_fusion_webhook.repository findByContactId',
    'wp_fusion_webhook.repository findByEmail',
    'wp_fusion_webhook.repository update',
  ]);
  expect(told).not.toContain('?');
  const secrets: Secret[] = [
    ...Object.entries({ ACCESS_KEY, WRONG_KEY, APP_ID, API_KEY, CHOSEN, EMAIL }),
    ...['Zebulon', 'Quagmire', 'Philomena', 'mary.o'].map((name) => [name, name] as const),
    ['generated password', String(password)] as const,
    ...[...users.hashes].map((hash) => ['hash', hash] as const),
  ].map(([label, text]) => ({ label, text }));
  expect(secrets.length).toBeGreaterThan(11);
  expect(String(password)).toHaveLength(16);
  expect(haystack.search(secrets)).toEqual([]);
});
