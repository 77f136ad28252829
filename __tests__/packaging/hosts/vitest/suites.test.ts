// A webhook and both contract suites, as a host runs them with Vitest, in TypeScript. BROKEN=1: a repository without lower case, and a client that
// takes failures for "no contact".
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { describe, expect, it } from 'vitest';
import {
  MemoryUserRepository,
  OntraportClient,
  wpFusionWebhook,
  type Contact,
  type ReadOptions,
} from 'wp-fusion-webhook';
import { crmClientContract, OntraportSandbox, userRepositoryContract } from 'wp-fusion-webhook/testing';

const isBroken = process.env.BROKEN === '1';

class CaseSensitive extends MemoryUserRepository {
  override async findByEmail(email: string) {
    const user = await super.findByEmail(email);
    return user?.email.trim() === email.trim() ? user : null;
  }
}

class Swallowing extends OntraportClient {
  override async getContacts(ids: readonly string[], options?: ReadOptions) {
    try {
      return await super.getContacts(ids, options);
    } catch (error) {
      if (options?.signal?.aborted) throw error;
      return new Map<string, Contact>();
    }
  }
}

it('the site makes a user of a contact', async () => {
  const sandbox = await OntraportSandbox.start();
  const { appId, apiKey, baseUrl } = sandbox;
  const users = new MemoryUserRepository();
  const crm = new OntraportClient({ appId, apiKey, baseUrl });
  const webhook = wpFusionWebhook({ accessKey: 'a-key-for-this-test-only', crm, users, logger: false });
  const server = express().use(webhook).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/?wpf_action=add&access_key=a-key-for-this-test-only&contact_id=[Contact ID]`;
  const { json } = await sandbox.send({ url, contactId: sandbox.addContact({ email: 'mary@example.com' }) });
  expect(json).toMatchObject({ outcome: 'created' });
  expect(users.all()).toMatchObject([{ email: 'mary@example.com' }]);
  server.close();
  await webhook.close();
  await sandbox.close();
});

userRepositoryContract({
  runner: { describe, it },
  name: 'users',
  open: async () => {
    const users = isBroken ? new CaseSensitive() : new MemoryUserRepository();
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
    const { appId, apiKey, baseUrl } = sandbox;
    const options = { appId, apiKey, baseUrl };
    return {
      client: isBroken ? new Swallowing(options) : new OntraportClient(options),
      addContact: async ({ email, tags, fields }) =>
        sandbox.addContact({ ...fields, tags: [...tags], ...(email === null ? {} : { email }) }),
      removeContact: async (id) => sandbox.deleteContact(id),
      missingId: '999999',
      writableField: 'company',
      stored: async (id, field) => sandbox.contact(id)?.[field] ?? null,
      fail: async () => void sandbox.fail({ with: 'unauthorized', times: Infinity }),
      secrets: [appId, apiKey],
      close: () => sandbox.close(),
    };
  },
  // The one that is not tried again, and so not waited for.
  capabilities: { failures: ['unauthorized'] },
});
