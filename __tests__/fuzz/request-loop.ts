// Hostile requests to real hosts, with every body parser before and after us, in front of an account where all is well.
import type { Request } from 'express';
import express from 'express';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { NewUser, User, UserChanges, UserRepository } from '../../lib';
import { HOSTS, startHost } from '../http/hosts';
import { cheapHasher } from '../http/site';
import { goodAnswer, startCrmServer } from './crm-server';
import type { Library } from './library';
import {
  CapturingLogger,
  headerOf,
  heapUsed,
  judgeAnswer,
  judgeLog,
  judgePage,
  judgeSecrets,
  judgeUsers,
  Watch,
} from './oracle';
import { ACCESS_KEY, someRequest, WRONG_KEY, type SomeRequest } from './requests';
import { fuzz, type Fuzzed, type Fuzzing } from './settings';
import { exchange } from './wire';

const APP_ID = 'fuzz-app-id-31';
const API_KEY = 'fuzz-api-key-32';
const ROLES = ['subscriber', 'customer'];
/** No host of a webhook is slow here: what comes this late would never have come. */
const TIMEOUT_MS = 3000;
/** What the account cannot be blamed for, since it answers at once and rightly. */
const NOT_HERE = [
  'QUEUE_UNAVAILABLE',
  'TIMED_OUT',
  'CRM_UNAUTHORIZED',
  'CRM_BAD_RESPONSE',
  'CRM_RATE_LIMITED',
  'CRM_UNAVAILABLE',
  'CONTACT_NOT_FOUND',
];
/** What a case may leave on the heap, on average: less than the smallest request is long. */
const MOST_BYTES_A_CASE = 300;

/** Users that are gone after each case. */
class PassingUsers implements UserRepository {
  #users;
  constructor(private readonly library: Library) {
    this.#users = new library.root.MemoryUserRepository();
  }
  begin(): void {
    this.#users = new this.library.root.MemoryUserRepository();
  }
  all = (): User[] => this.#users.all();
  findByContactId = (id: string): Promise<User | null> => this.#users.findByContactId(id);
  findByEmail = (email: string): Promise<User | null> => this.#users.findByEmail(email);
  create = (user: NewUser): Promise<User> => this.#users.create(user);
  update = (id: string, changes: UserChanges, condition?: { ifSyncState: string | null }): Promise<User> =>
    this.#users.update(id, changes, condition);
}

export async function fuzzRequests(library: Library, fuzzing: Fuzzing): Promise<Fuzzed> {
  const { OntraportClient, MemoryActivityLog, wpFusionWebhook } = library.root;
  const crm = await startCrmServer();
  const users = new PassingUsers(library);
  const logger = new CapturingLogger();
  const webhook = wpFusionWebhook({
    accessKey: ACCESS_KEY,
    crm: new OntraportClient({ appId: APP_ID, apiKey: API_KEY, baseUrl: crm.url }),
    users,
    fields: { plan: 'f2' },
    roles: { assignable: ROLES },
    passwordHasher: cheapHasher,
    returnPassword: { field: 'f1' },
    actions: { greet: async ({ params }) => ({ outcome: Object.keys(params).length > -1 ? 'greeted' : '' }) },
    activityLog: new MemoryActivityLog({ records: 20, rejected: 20 }),
    timeoutMs: TIMEOUT_MS,
    logger,
  });
  const hosts = await Promise.all([
    ...HOSTS.map((variant) => startHost(variant, webhook)),
    startHost({ express: 5, parsers: 'none', order: 'before', mount: '/' }, webhook, { trustProxy: true }),
  ]);
  const admin = express().use(
    '/admin',
    library.admin.wpFusionAdmin<Request>(webhook, { authorize: () => true, inspect: true }),
  );
  const adminServer = admin.listen(0, '127.0.0.1');
  await once(adminServer, 'listening');
  const adminUrl = `http://127.0.0.1:${(adminServer.address() as AddressInfo).port}/`;
  const watch = new Watch(fuzzing.patienceMs);
  const secrets = [ACCESS_KEY, WRONG_KEY, APP_ID, API_KEY];

  const look = async (path: string): Promise<void> => {
    const bytes = `GET ${path} HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n`;
    const page = await exchange(adminUrl, Buffer.from(bytes), true);
    if (page === undefined || page.status >= 500)
      throw new Error(`The admin does not show ${path}: ${page?.body}`);
    judgePage(page);
    // A search repeats what the person has typed.
    if (!path.includes('?')) judgeSecrets(page.body, secrets);
  };

  const attempt = async (request: SomeRequest): Promise<void> => {
    users.begin();
    logger.lines.length = 0;
    const host = hosts[request.host % hosts.length]!;
    const answer = await exchange(host.origin, Buffer.from(request.bytes, 'latin1'), request.isWhole);
    // The parser may refuse a request before anybody sees it, and nobody waits for one that hangs up.
    if (answer === undefined && request.isWhole) throw new Error('No answer came.');
    if (answer !== undefined) {
      if (headerOf(answer, 'x-correlation-id') !== undefined) {
        judgeAnswer(answer, NOT_HERE);
        judgeSecrets(JSON.stringify(answer.headers) + answer.body, secrets);
      } else if (
        ![HOST_PASSED, HOST_REFUSED, 400, 404, 408, 413, 417, 431, 501, 505].includes(answer.status)
      ) {
        throw new Error(`The host answered ${answer.status}: ${answer.body.slice(0, 500)}`);
      }
    }
    host.errors.length = 0;
    judgeUsers(users.all(), ROLES);
    judgeLog(logger);
    judgeSecrets(JSON.stringify(logger.lines), secrets);
    if (request.looks) {
      const [latest] = await webhook.activity.list({ limit: 1 });
      await look(latest === undefined ? '/admin/' : `/admin/activity/${latest.id}`);
      const query = /\?(\S*)/.exec(request.bytes)?.[1] ?? '';
      await look(`/admin/activity?q=${query.slice(0, 4000)}`);
      await look(`/admin/urls?${query.slice(0, 4000)}`);
    }
  };

  crm.answer = goodAnswer;
  try {
    // One valid key, and the address is trusted for a day: no guess of the fuzzer makes it wait.
    const key = encodeURIComponent(ACCESS_KEY);
    const hello = `GET /?wpf_action=test&access_key=${key} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    await exchange(hosts[0].origin, Buffer.from(hello), true);
    let warm: { heap: number; cases: number } | undefined;
    let cases = 0;
    const fuzzed = await fuzz(fuzzing, someRequest, async (request) => {
      cases += 1;
      await watch.watch(() => attempt(request));
      if (cases === Math.ceil(Math.min(fuzzing.runs, 4000) / 3)) warm = { heap: heapUsed(), cases };
    });
    if (fuzzed.failure !== undefined || warm === undefined) return fuzzed;
    const grown = heapUsed() - warm.heap;
    const most = 2_000_000 + (cases - warm.cases) * MOST_BYTES_A_CASE;
    if (grown <= most) return fuzzed;
    const failure = `The heap has grown by ${grown} bytes in ${cases - warm.cases} cases, which is more than ${most}.`;
    return { ...fuzzed, failure };
  } finally {
    watch.end();
    await Promise.all(hosts.map((host) => host.close()));
    adminServer.closeAllConnections();
    adminServer.close();
    await webhook.close();
    await crm.close();
  }
}

const HOST_PASSED = 299;
const HOST_REFUSED = 298;
