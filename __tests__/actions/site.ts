// What the tests of the actions share: a sandbox, and real Express sites (processes, so to speak) over one repository.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import {
  BcryptHasher,
  MemoryUserRepository,
  OntraportClient,
  wpFusionWebhook,
  type User,
  type UserRepository,
  type WpFusionWebhook,
  type WpFusionWebhookOptions,
} from '../../lib';
import { OntraportSandbox, type OntraportSandboxOptions } from '../../lib/testing';

export const ACCESS_KEY = 'the-access-key-of-the-tests';

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

export interface Answer {
  status: number;
  json: Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any
}

/** One process of a site. */
export interface Process {
  url: string;
  /** Sends a webhook as Ontraport does. */
  ping(action: string, contactId: string, more?: Record<string, string>): Promise<Answer>;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

/** A site within this process: as good as one, where the users are shared. */
export interface LocalProcess extends Process {
  webhook: WpFusionWebhook;
}

/** Sends webhooks to a site. */
export function pinger(url: string): Process['ping'] {
  return async (action, contactId, more = {}) => {
    const query = new URLSearchParams({
      wpf_action: action,
      access_key: ACCESS_KEY,
      contact_id: contactId,
      ...more,
    });
    const response = await fetch(`${url}?${query}`, { method: 'POST' });
    return { status: response.status, json: (await response.json()) as Answer['json'] };
  };
}

/** A sandbox with a field for the password and one for the plan; closed after the test. */
export async function startSandbox(options: OntraportSandboxOptions = {}): Promise<OntraportSandbox> {
  const sandbox = await openSandbox(options);
  cleanUps.push(() => sandbox.close());
  return sandbox;
}

/** The same, for whoever closes it. */
export async function openSandbox(options: OntraportSandboxOptions = {}): Promise<OntraportSandbox> {
  const sandbox = await OntraportSandbox.start({
    rateLimit: { limit: 100_000, windowMs: 60_000 },
    ...options,
  });
  sandbox.addField({ key: 'f1', alias: 'Site password', type: 'text' });
  sandbox.addField({ key: 'f2', alias: 'Plan', type: 'text' });
  for (const tag of ['Member', 'Customer', 'VIP']) sandbox.addTag(tag);
  return sandbox;
}

/** A process of a site; closed after the test. Two over one repository are what two processes are to each other. */
export async function startProcess(
  sandbox: OntraportSandbox,
  users: UserRepository = new MemoryUserRepository(),
  options: Partial<WpFusionWebhookOptions> = {},
): Promise<LocalProcess> {
  const webhook = wpFusionWebhook({
    accessKey: ACCESS_KEY,
    crm: new OntraportClient({ appId: sandbox.appId, apiKey: sandbox.apiKey, baseUrl: sandbox.baseUrl }),
    users,
    fields: { plan: 'f2' },
    roles: { assignable: ['subscriber', 'customer'] },
    logger: false,
    ...options,
  });
  const app = express();
  app.use(webhook);
  const server = await new Promise<Server>((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
  });
  cleanUps.push(async () => {
    server.closeAllConnections();
    server.close();
    await webhook.close({ timeoutMs: 0 });
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return { webhook, url, ping: pinger(url), close: () => webhook.close() };
}

export const hasher = new BcryptHasher();

/** Whether the password that the CRM shows for a contact is the user's. */
export async function crmPasswordLogsIn(
  sandbox: OntraportSandbox,
  users: { all(): User[] | Promise<User[]> },
  contactId: string,
): Promise<boolean> {
  const user = (await users.all()).find((one) => one.contactId === contactId);
  const shown = sandbox.contact(contactId)?.f1;
  return typeof shown === 'string' && user?.passwordHash != null && hasher.verify(shown, user.passwordHash);
}

/** Resolves when a condition holds; looks again whenever the event loop has had its turn. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
