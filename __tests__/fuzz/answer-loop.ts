// Webhooks against a CRM that answers anything: with every action, with and without a queue, with pages, mails and stored users.
import fc from 'fast-check';
import type { Request } from 'express';
import express, { type RequestHandler } from 'express';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { NewUser, User, UserRepository, WebhookQueue, WpFusionWebhook } from '../../lib';
import { startHost, TWO_HOSTS } from '../http/hosts';
import { cheapHasher, newUser } from '../http/site';
import { MemoryWebhookQueue } from '../testing/contracts/memory-queue';
import { pooled, startMailServer, type MailServer } from '../smtp/mail-server';
import { WORKER_TIMING } from '../../lib/options';
import { someAnswers } from './crm-answers';
import { startCrmServer } from './crm-server';
import type { Library } from './library';
import {
  CapturingLogger,
  headerOf,
  judgeAnswer,
  judgeLog,
  judgeMails,
  judgePage,
  judgeSecrets,
  judgeUsers,
  Watch,
} from './oracle';
import { fuzz, type Fuzzed, type Fuzzing } from './settings';
import { exchange } from './wire';

const KEY = 'fuzz-key-of-answers-41';
const APP_ID = 'fuzz-app-id-42';
const API_KEY = 'fuzz-api-key-43';
const ROLES = ['subscriber', 'customer'];
const STAFF = 'administrator';
/** So short that a contact that never comes costs little; the answers on a busy machine may then be "unavailable", which is documented. */
const TIMEOUT_MS = 200;

/** Where users, and webhooks that wait, are kept. */
export interface Storage {
  readonly users: UserRepository;
  readonly queue: WebhookQueue;
  all(): Promise<User[]>;
  begin(): Promise<void>;
}

export function memoryStorage(library: Library): Storage {
  let users = new library.root.MemoryUserRepository();
  let queue = new MemoryWebhookQueue({ leaseMs: 60_000 });
  return {
    get users() {
      return users;
    },
    get queue() {
      return queue;
    },
    all: async () => users.all(),
    begin: async () => {
      users = new library.root.MemoryUserRepository();
      queue = new MemoryWebhookQueue({ leaseMs: 60_000 });
    },
  };
}

/** Who is there before. */
const EXISTING: Readonly<Record<string, Partial<NewUser>[]>> = {
  nobody: [],
  'the contact’s user': [
    {
      contactId: '1',
      email: 'c1@example.com',
      role: 'subscriber',
      tags: ['Old'],
      meta: { plan: 'x', firstName: 'M' },
    },
  ],
  'a user with the email': [{ email: 'mary@example.com', passwordHash: 'cheap:x' }],
  'users of other contacts': [
    { contactId: '2', email: 'mary@example.com' },
    { contactId: '3', email: 'c1@example.com' },
  ],
  'the staff': [{ contactId: '1', email: 'admin@example.com', role: STAFF }],
};

const webhookOf = fc.record({
  action: fc.constantFrom('add', 'add', 'add', 'add', 'update', 'update', 'update_tags', 'greet'),
  method: fc.constantFrom('POST', 'POST', 'POST', 'GET'),
  page: fc.boolean(),
  more: fc.constantFrom(
    '',
    '',
    '&dry_run=1',
    '&role=customer',
    `&role=${STAFF}`,
    '&send_notification=true',
    '&send_notification=true',
    '&send_notification=true',
    '&email=mary%40example.com',
    '&async=true',
  ),
});
const someCase = fc.record({
  answers: fc.array(someAnswers, { minLength: 1, maxLength: 2 }),
  webhooks: fc.array(webhookOf, { minLength: 1, maxLength: 3 }),
  existing: fc.constantFrom('nobody', 'nobody', ...Object.keys(EXISTING)),
  queued: fc.constantFrom(false, false, true),
  tagsAs: fc.constantFrom('name' as const, 'id' as const),
  username: fc.constantFrom('email' as const, 'firstlast' as const),
  passwords: fc.boolean(),
  looks: fc.boolean(),
});
type Case = typeof someCase extends fc.Arbitrary<infer One> ? One : never;

export async function fuzzAnswers(
  library: Library,
  fuzzing: Fuzzing,
  storage = memoryStorage(library),
): Promise<Fuzzed> {
  const crm = await startCrmServer();
  const mailServer: MailServer = await startMailServer();
  const transport = pooled(mailServer.url);
  const notifier = new library.smtp.SmtpNotifier({
    transport,
    from: 'Shop <shop@example.com>',
    loginUrl: 'https://shop.example/login',
  });
  const hosts = await Promise.all(TWO_HOSTS.map((variant) => startHost(variant)));
  let pages: RequestHandler | undefined;
  const adminServer = express()
    .use('/admin', (request, response, next) =>
      pages === undefined ? next() : pages(request, response, next),
    )
    .listen(0, '127.0.0.1');
  await once(adminServer, 'listening');
  const adminUrl = `http://127.0.0.1:${(adminServer.address() as AddressInfo).port}/`;
  const logger = new CapturingLogger();
  const watch = new Watch(fuzzing.patienceMs);
  const secrets = [KEY, APP_ID, API_KEY];
  /** Of all cases: a mail may come late, and a webhook may have changed the email since. */
  const emails = new Set(Object.values(EXISTING).flatMap((users) => users.map(({ email = '' }) => email)));
  // A try after a failure need not wait here.
  const jitter = jest.spyOn(Math, 'random').mockReturnValue(0);

  const get = async (origin: string, method: string, path: string, accept: string) => {
    const length = method === 'POST' ? 'Content-Length: 0\r\n' : '';
    const bytes = `${method} ${path} HTTP/1.1\r\nHost: site.example\r\nAccept: ${accept}\r\n${length}Connection: close\r\n\r\n`;
    const answer = await exchange(origin, Buffer.from(bytes), true);
    if (answer === undefined) throw new Error(`No answer to ${method} ${path}`);
    judgeSecrets(JSON.stringify(answer.headers) + answer.body, secrets);
    return answer;
  };

  const siteOf = ({ queued, tagsAs, username, passwords }: Case): WpFusionWebhook =>
    library.root.wpFusionWebhook({
      accessKey: { key: KEY, inspect: true },
      crm: new library.root.OntraportClient({
        appId: APP_ID,
        apiKey: API_KEY,
        baseUrl: crm.url,
        timeZone: 'Europe/Berlin',
      }),
      users: storage.users,
      fields: {
        ...{
          username: 'f3',
          role: 'f5',
          plan: 'f2',
          number: 'f6',
          moment: { from: 'f7', blank: 'clear' },
          list: 'f8',
          yes: 'f9',
        },
        ...{ day: 'f10', raw: { from: 'f2', raw: true } },
        ...(passwords ? { password: 'f4' } : {}),
      },
      roles: { assignable: ROLES },
      passwordHasher: cheapHasher,
      passwordOnUpdate: passwords,
      returnPassword: { field: 'f1' },
      notifier,
      tagsAs,
      username,
      actions: {
        greet: async ({ contact, user }) => {
          await contact();
          await user();
          return { outcome: 'greeted' };
        },
      },
      timeoutMs: TIMEOUT_MS,
      logger,
      ...(queued
        ? { queue: storage.queue, ...({ [WORKER_TIMING]: { pollMs: 5, gatherMs: 1, pauseMs: 1 } } as object) }
        : {}),
    });

  const attempt = async (one: Case): Promise<void> => {
    await storage.begin();
    logger.lines.length = 0;
    mailServer.mails.length = 0;
    mailServer.asked.length = 0;
    for (const user of EXISTING[one.existing] ?? []) await storage.users.create(newUser(user));
    const webhook = siteOf(one);
    webhook.on('user.created', ({ user }) => emails.add(user.email));
    webhook.on('user.updated', ({ user }) => emails.add(user.email));
    try {
      pages = library.admin.wpFusionAdmin<Request>(webhook, { authorize: () => true, inspect: true });
      for (const [at, answers] of one.answers.entries()) {
        crm.answer = answers;
        const host = hosts[at % hosts.length]!;
        host.mount(webhook);
        for (const { action, method, page, more } of one.webhooks) {
          const path = `${new URL(host.url).pathname}?wpf_action=${action}&access_key=${KEY}&contact_id=1&async=false${more.replace('&async=true', '')}`;
          const answer = await get(host.origin, method, path, page ? 'text/html' : '*/*');
          if (headerOf(answer, 'x-correlation-id') === undefined)
            throw new Error('The webhook was not taken.');
          judgeAnswer(answer);
        }
      }
      if (one.looks) {
        const records = await webhook.activity.list({ limit: 2 });
        for (const path of [
          '',
          'activity',
          'activity?q=1',
          'dead-letters',
          'urls',
          ...records.map(({ id }) => `activity/${id}`),
        ]) {
          const page = await get(adminUrl, 'GET', `/admin/${path}`, 'text/html');
          if (page.status >= 500) throw new Error(`The admin does not show ${path}: ${page.body}`);
          judgePage(page);
        }
        const form = { action: 'add', contact_id: '1' };
        const response = await fetch(`${adminUrl}admin/urls`, {
          method: 'POST',
          body: new URLSearchParams(form),
        });
        judgePage({ status: response.status, headers: [...response.headers], body: await response.text() });
      }
    } finally {
      await webhook.close({ timeoutMs: 50 });
    }
    const users = await storage.all();
    judgeUsers(users, [...ROLES, STAFF]);
    const staff = users.filter(({ role }) => role === STAFF);
    if (staff.length !== (one.existing === 'the staff' ? 1 : 0))
      throw new Error('Somebody has become an administrator.');
    judgeMails(mailServer, emails);
    judgeLog(logger);
    judgeSecrets(JSON.stringify(logger.lines), secrets);
  };

  try {
    return await fuzz(fuzzing, someCase, (one) => watch.watch(() => attempt(one)));
  } finally {
    watch.end();
    jitter.mockRestore();
    await Promise.all(hosts.map((host) => host.close()));
    adminServer.closeAllConnections();
    adminServer.close();
    await notifier.close();
    await crm.close();
  }
}
