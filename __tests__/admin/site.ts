// What the tests of the admin pages share: a site with them, on either Express, and a person who clicks.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import express4 from 'express4';
import {
  MemoryUserRepository,
  OntraportClient,
  wpFusionWebhook,
  type WpFusionWebhook,
  type WpFusionWebhookOptions,
} from '../../lib';
import { wpFusionAdmin, type WpFusionAdminOptions } from '../../lib/admin';
import { WORKER_TIMING } from '../../lib/options';
import type { OntraportSandbox } from '../../lib/testing';
import { pinger, startSandbox, type Process } from '../actions/site';
import { MemoryWebhookQueue } from '../testing/contracts/memory-queue';

export const KEYS = {
  ontraport: 'the-key-of-ontraport-0123456789',
  staff: 'the-key-of-the-staff-0123456789',
};

export interface Answer {
  status: number;
  headers: Headers;
  html: string;
  /** What a person reads: without markup, style and script. */
  text: string;
}

export interface AdminSite {
  sandbox: OntraportSandbox;
  users: MemoryUserRepository;
  queue: MemoryWebhookQueue;
  webhook: WpFusionWebhook;
  url: string;
  adminUrl: string;
  ping: Process['ping'];
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  /** Sends a form, and follows to where it leads. */
  post(path: string, form?: Record<string, string>, headers?: Record<string, string>): Promise<Answer>;
}

export interface SiteOptions {
  admin?: Partial<WpFusionAdminOptions>;
  webhook?: Partial<WpFusionWebhookOptions>;
  /** Whether webhooks are stored in a queue; default: they are not. */
  queued?: boolean;
  express?: 4 | 5;
  mount?: string;
  /** What stands before the pages. */
  before?: (app: Express, module: typeof express) => void;
  sandbox?: OntraportSandbox;
}

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

export async function openSite(options: SiteOptions = {}): Promise<AdminSite> {
  const { queued = false, mount = '/admin' } = options;
  const sandbox = options.sandbox ?? (await startSandbox());
  const users = new MemoryUserRepository();
  const queue = new MemoryWebhookQueue({ leaseMs: 60_000 });
  const timing: object = { [WORKER_TIMING]: { pollMs: 5, gatherMs: 5, pauseMs: 1 } };
  const webhook = wpFusionWebhook({
    accessKey: [
      { key: KEYS.ontraport, name: 'Ontraport' },
      { key: KEYS.staff, name: 'staff', actions: ['update_tags'] },
    ],
    crm: new OntraportClient({ appId: sandbox.appId, apiKey: sandbox.apiKey, baseUrl: sandbox.baseUrl }),
    users,
    fields: { plan: 'f2' },
    roles: { assignable: ['subscriber', 'customer'] },
    ...(queued ? { queue, ...timing } : {}),
    logger: false,
    ...options.webhook,
  });
  const module = options.express === 4 ? express4 : express;
  const app = module();
  app.use(webhook);
  options.before?.(app, module);
  app.use(mount, wpFusionAdmin(webhook, { authorize: () => true, ...options.admin }));
  const server = await new Promise<Server>((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
  });
  cleanUps.push(async () => {
    server.closeAllConnections();
    server.close();
    await webhook.close({ timeoutMs: 0 });
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const adminUrl = `${url}${mount.replace(/^\//, '')}/`.replace(/\/\/$/, '/');
  const answerOf = async (response: Response): Promise<Answer> => {
    const html = await response.text();
    return { status: response.status, headers: response.headers, html, text: readable(html) };
  };
  const send = pinger(url);
  return {
    ...{ sandbox, users, queue, webhook, url, adminUrl },
    ping: (action, contactId, more = {}) => send(action, contactId, { access_key: KEYS.ontraport, ...more }),
    get: async (path, headers = {}) => answerOf(await fetch(`${adminUrl}${path}`, { headers })),
    post: async (path, form = {}, headers = {}) =>
      answerOf(
        await fetch(`${adminUrl}${path}`, { method: 'POST', body: new URLSearchParams(form), headers }),
      ),
  };
}

function readable(html: string): string {
  return html
    .replace(/<(style|script)>[\s\S]*?<\/\1>/g, ' ')
    .replace(/<[^>]+>/g, ' ')
    .replace(/&#(\d+);/g, (_all, code) => String.fromCharCode(Number(code)))
    .replace(/\s+/g, ' ');
}
