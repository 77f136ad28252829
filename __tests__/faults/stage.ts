// One cell of the matrix: a site of its own, one of whose outside parts fails while a webhook is sent, or worked off, and is well
// again afterwards. What is seen of it is said in words, to be compared with what is expected.
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import express from 'express';
import createKnex, { type Knex } from 'knex';
import {
  OntraportClient,
  wpFusionWebhook,
  type Logger,
  type WebhookQueue,
  type WpFusionWebhook,
} from '../../lib';
import { BullMqWebhookQueue } from '../../lib/bullmq';
import { KnexUserRepository, KnexWebhookQueue, migrate } from '../../lib/knex';
import { FAIL_POINT, WORKER_TIMING } from '../../lib/options';
import { SmtpNotifier } from '../../lib/smtp';
import type { OntraportSandbox } from '../../lib/testing';
import { fingerprint, formatSyncState, parseSyncState } from '../../lib/users/sync-state';
import { ACCESS_KEY } from '../actions/site';
import { RedisServer } from '../bullmq/redis-server';
import { RedisView } from '../delivery/redis-view';
import { SqlView, type StoreView } from '../delivery/stores';
import { cheapHasher, newUser } from '../http/site';
import { openDatabase, type TestDatabase } from '../knex/databases';
import { startMailServer, type MailServer } from '../smtp/mail-server';
import { FaultProxy, throughProxy } from './fault-proxy';

/** The outside parts of a site. */
export type PartName = 'CRM' | 'PostgreSQL' | 'MariaDB' | 'SQLite' | 'Redis' | 'SMTP';
/** `test` is asked in each cell beside them. */
export const ACTIONS = ['add', 'update', 'update_tags'] as const;
export type Action = (typeof ACTIONS)[number];
/** Without a queue; with one, the fault being there already; with one, the fault coming while the webhook is worked off. */
export type Way = 'inside' | 'queued' | 'accepted';

/** What the sender is answered; what is there while the fault lasts; what it takes to be done when it is over. */
export type Seen = readonly [answer: string, meanwhile: string, afterwards: string];

/** A fault of a part. */
export interface Fault {
  readonly strike: (stage: Stage) => unknown;
  /** Instead of setting the proxy right. */
  readonly heal?: (stage: Stage) => unknown;
  /** Before which step of the work it strikes, where the webhook was accepted before it. */
  readonly at?: string;
  readonly timeoutMs?: number;
  /** After which silence the client of the part gives up, where it has such a setting. */
  readonly silenceMs?: number;
  /** A pool may still hold dead connections when all is well again: the first webhook after that may meet one. */
  readonly mayLinger?: boolean;
  /** The server itself is in trouble, so that no two cells can share one. */
  readonly isOfServer?: boolean;
}

/** Long enough for a busy machine to do what is not meant to be late. */
const LONG_MS = 30_000;
/** How often a test looks. */
const LOOK_MS = 40;
/** How long a connection to a database may take. */
const CONNECT_MS = 8000;
const FOR_EVER_MS = 100_000;
/** Longer than a busy machine leaves a process alone. */
const LEASE_MS = 3000;
const DAY_LATER = 'the next webhook';

/** What the cells of one fault share: servers and tables, but no contact, no name of a queue and no way to a server. */
export class Ground {
  readonly #cleanUps: (() => Promise<unknown>)[] = [];
  private constructor(
    readonly part: PartName,
    readonly sandbox: OntraportSandbox,
    readonly database: TestDatabase,
    readonly redis: RedisServer | undefined,
    readonly mailServer: MailServer,
    readonly store: StoreView,
  ) {}

  static async open(part: PartName, sandbox: OntraportSandbox): Promise<Ground> {
    const isDatabase = part === 'PostgreSQL' || part === 'MariaDB';
    const database = await openDatabase(isDatabase ? part : 'SQLite');
    await migrate(database.knex);
    const redis = part === 'Redis' ? await RedisServer.start() : undefined;
    const store = redis === undefined ? new SqlView(database) : new RedisView(redis.address);
    const ground = new Ground(part, sandbox, database, redis, await startMailServer(), store);
    ground.#cleanUps.push(
      () => database.close(),
      () => Promise.resolve(redis?.close()),
      () => store.close(),
    );
    return ground;
  }

  async close(): Promise<void> {
    for (const cleanUp of this.#cleanUps.splice(0).reverse()) await cleanUp();
  }
}

let count = 0;

/** A site, its contact, and the part that fails. */
export class Stage {
  readonly #name = `cell-${(count += 1)}`;
  readonly #email = `${this.#name}@example.com`;
  readonly #users: KnexUserRepository;
  #contactId = '';
  #plan = 'gold';
  #tags = ['Member'];
  #before = '';
  #webhook!: WpFusionWebhook;
  #url = '';
  #queue: WebhookQueue | undefined;
  /** Warnings and errors since the fault struck. */
  #complaints: string[] = [];
  #ends = 0;
  #created = 0;
  #hasStruck = false;
  readonly #cleanUps: (() => unknown)[] = [];
  proxy!: FaultProxy;
  /** The site's own way to its database. */
  knex!: Knex;
  /** Runs on each new connection to the database: a server can be in a state that each of them meets. */
  onConnection: ((run: (sql: string) => void) => void) | undefined;

  constructor(
    readonly ground: Ground,
    private readonly fault: Fault,
    private readonly action: Action,
    private readonly way: Way,
  ) {
    this.#users = new KnexUserRepository(ground.database.knex);
  }

  /** Plays the cell. `expected` says only what is worth waiting for. */
  async play(expected: Seen): Promise<Seen> {
    await this.#open();
    const { fault } = this;
    if (this.way !== 'accepted') await this.strike();
    const answer = await this.#ask(this.action);
    const [told] = answer;
    const test = await this.#ask('test');
    if (test[0] !== '200') throw new Error(`test is answered with ${test[0]}.`);
    const isAccepted = told === '202';
    if (isAccepted)
      await until('the fault is noticed', async () => this.#complaints.length > 0 || (await this.#isFinal()));
    const meanwhile = await soon(() => this.#state(), expected[1]);
    const ends = this.#ends;
    await (fault.heal === undefined ? this.proxy.restore() : fault.heal(this));
    // Work that went on behind the answer has an end of its own.
    if (told.includes('TIMED_OUT'))
      await until('the work behind the answer ends', () => this.#ends >= ends && this.#ends >= 2);
    let afterwards = 'by itself';
    if (isAccepted || answer.goesOn || expected[2] === afterwards) await this.#untilFinal();
    else if (!(await this.#isFinal())) afterwards = DAY_LATER;
    await this.#next();
    const mails = this.#mails().length;
    const isWelcome = this.action === 'add';
    if (this.#created < (isWelcome ? 1 : 0)) throw new Error('afterCreate has not run.');
    if (isWelcome && mails === 2) afterwards += '; a second mail';
    else if (mails !== (isWelcome ? 1 : 0)) throw new Error(`There are ${mails} mails.`);
    return [told, meanwhile, afterwards];
  }

  /** Registers what is to be done when the cell has been played. */
  afterwards(cleanUp: () => unknown): void {
    this.#cleanUps.push(cleanUp);
  }

  async close(): Promise<void> {
    for (const cleanUp of this.#cleanUps.splice(0).reverse()) await cleanUp();
  }

  async strike(): Promise<void> {
    this.#hasStruck = true;
    this.#complaints = [];
    await this.fault.strike(this);
  }

  /** The contact changes, and its next webhook succeeds: nothing has to be restarted. */
  async #next(): Promise<void> {
    const { sandbox } = this.ground;
    this.#plan = 'platinum';
    this.#tags = ['Member', 'VIP'];
    sandbox.updateContact(this.#contactId, { f2: this.#plan });
    sandbox.tag(this.#contactId, 'VIP');
    for (;;) {
      const [told] = await this.#ask(this.action);
      if (told === '200' || told === '202') break;
      if (this.fault.mayLinger !== true) throw new Error(`All is well, and the webhook is told ${told}.`);
    }
    await this.#untilFinal();
  }

  /** Asks a site; hangs for ever where it does. */
  async #ask(action: string): Promise<readonly [string] & { goesOn?: boolean }> {
    const query = new URLSearchParams({ wpf_action: action, contact_id: this.#contactId });
    if (action === 'add') query.set('send_notification', 'true');
    const response = await fetch(`${this.#url}?${query}`, {
      method: 'POST',
      headers: { 'X-Access-Key': ACCESS_KEY },
      signal: AbortSignal.timeout(LONG_MS),
    });
    const answer = (await response.json()) as {
      code?: string;
      warnings?: { code: string; message: string }[];
    };
    const { code, warnings = [] } = answer;
    if (response.status === 503 && response.headers.get('retry-after') === null) {
      throw new Error(`${code ?? ''} without Retry-After.`);
    }
    const codes = code === undefined ? warnings.map((warning) => warning.code) : [code];
    const goesOn =
      response.ok && warnings.every(({ message }) => !/next webhook|later webhook/.test(message));
    return Object.assign([[response.status, ...codes].join(' ')] as const, { goesOn });
  }

  /** What there is of the user, in words. */
  async #state(): Promise<string> {
    const [user, number] = await this.#user();
    if (number > 1) return `${number} users`;
    if (JSON.stringify(user) === this.#before) return 'nothing is done';
    if (user === null) return 'the user is gone';
    const { password, afterCreate, mail } = parseSyncState(user.syncState);
    const owed = [
      ...(password === undefined ? [] : ['password']),
      ...(afterCreate === true ? ['afterCreate'] : []),
      ...(mail === true ? ['mail'] : []),
    ];
    if (owed.length > 0) return `the user is there, ${owed.join(', ')} owed`;
    return (await this.#isDone()) ? 'all is done' : 'half is done';
  }

  async #user(): Promise<[Awaited<ReturnType<KnexUserRepository['findByEmail']>>, number]> {
    const rows = await this.ground.database
      .knex('wpf_users')
      .where('email', this.#email)
      .orWhere('contact_id', this.#contactId)
      .select('email');
    return [rows.length === 0 ? null : await this.#users.findByContactId(this.#contactId), rows.length];
  }

  /** Whether the user is what the contact is, and nothing is owed. */
  async #isDone(): Promise<boolean> {
    const [user, number] = await this.#user();
    if (user === null || number !== 1 || user.syncState === null) return false;
    const { password, afterCreate, mail } = parseSyncState(user.syncState);
    if (password !== undefined || afterCreate === true || mail === true) return false;
    const shown = this.ground.sandbox.contact(this.#contactId)?.f1;
    const logsIn = await cheapHasher.verify(typeof shown === 'string' ? shown : '', user.passwordHash ?? '');
    return (
      [...user.tags].sort().join() === this.#tags.join() &&
      (this.action === 'update_tags' || user.meta.plan === this.#plan) &&
      (this.action !== 'add' || logsIn)
    );
  }

  /** Whether all is done, and the queue knows it. */
  async #isFinal(): Promise<boolean> {
    if (!(await this.#isDone())) return false;
    // A store in trouble need not show them.
    const jobs = await this.ground.store.jobs().catch(() => undefined);
    return jobs !== undefined && !jobs.some(({ contactId }) => contactId === this.#contactId);
  }

  /** Lets days pass, for what waits for a later time. */
  async #untilFinal(): Promise<void> {
    await until('all is done', async () => {
      await this.ground.store.makeDue([this.#contactId]);
      return this.#isFinal();
    });
  }

  #mails(): MailServer['mails'] {
    return this.ground.mailServer.mails.filter(({ recipients }) => recipients.includes(this.#email));
  }

  async #open(): Promise<void> {
    const { ground, fault, action, way } = this;
    const { sandbox, mailServer, part } = ground;
    this.#contactId = sandbox.addContact({ email: this.#email, f2: this.#plan, tags: this.#tags });
    const users = await this.#openUsers();
    if (action !== 'add') {
      const passwordHash = await cheapHasher.hash('the first password');
      const syncState = formatSyncState({ hash: fingerprint(passwordHash) });
      const user = { email: this.#email, contactId: this.#contactId, passwordHash, syncState };
      await this.#users.create(newUser(user));
    }
    this.#before = JSON.stringify((await this.#user())[0]);

    const crmAddress = new URL(sandbox.baseUrl);
    if (part === 'CRM') {
      this.proxy = await this.#proxyTo(Number(crmAddress.port));
      crmAddress.port = String(this.proxy.port);
    }
    const { appId, apiKey } = sandbox;
    const crm = new OntraportClient({
      ...{ appId, apiKey, baseUrl: crmAddress.href },
      timeoutMs: part === 'CRM' ? (fault.silenceMs ?? LONG_MS) : LONG_MS,
    });
    if (part === 'SMTP') this.proxy = await this.#proxyTo(mailServer.port);
    const notifier = new SmtpNotifier({
      transport: `smtp://127.0.0.1:${part === 'SMTP' ? this.proxy.port : mailServer.port}`,
      from: 'shop@example.com',
      loginUrl: 'https://www.example.com/login',
      timeoutMs: part === 'SMTP' ? (fault.silenceMs ?? LONG_MS) : LONG_MS,
    });
    if (way !== 'inside') this.#queue = await this.#openQueue();
    const { name, log } = { name: this.#name, log: this.#logger() };
    const options = {
      ...{ accessKey: ACCESS_KEY, crm, users, queue: this.#queue, notifier, name, logger: log },
      fields: { plan: 'f2' },
      returnPassword: { field: 'f1' },
      hooks: { afterCreate: () => void (this.#created += 1) },
      passwordHasher: cheapHasher,
      timeoutMs: fault.timeoutMs ?? LONG_MS,
      [WORKER_TIMING]: { pollMs: 100, gatherMs: 5, pauseMs: 5 },
      [FAIL_POINT]: async (step: string) => {
        if (way === 'accepted' && !this.#hasStruck && step === (fault.at ?? 'create: stored'))
          await this.strike();
      },
    };
    this.#webhook = wpFusionWebhook(options);
    this.#webhook.on('webhook.processed', () => (this.#ends += 1));
    this.#webhook.on('webhook.failed', () => (this.#ends += 1));
    const app = express().use(this.#webhook);
    const server = await new Promise<Server>((resolve) => {
      const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
    });
    this.afterwards(async () => {
      server.closeAllConnections();
      server.close();
      await this.#webhook.close({ timeoutMs: 0 });
      if (this.#queue instanceof BullMqWebhookQueue) await this.#queue.close();
    });
    this.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    // Connections that are there already meet a fault in another way than those that come.
    await Promise.all([
      users.findByContactId(this.#contactId),
      crm.getContacts([this.#contactId], { fields: ['f2'] }),
      ...(this.#queue === undefined ? [] : [until('there is the queue', () => this.#hasQueue())]),
    ]);
  }

  async #hasQueue(): Promise<boolean> {
    return this.#webhook.queueCounts().then(
      () => true,
      () => false,
    );
  }

  /** The site's users: through the proxy where the database is what fails. */
  async #openUsers(): Promise<KnexUserRepository> {
    const { ground, fault } = this;
    const { config } = ground.database;
    if (!['PostgreSQL', 'MariaDB', 'SQLite'].includes(ground.part)) {
      this.knex = ground.database.knex;
      return new KnexUserRepository(this.knex);
    }
    let connection = config;
    if (ground.part !== 'SQLite') {
      const { proxy, config: proxied } = await throughProxy(config);
      this.proxy = proxy;
      this.afterwards(() => proxy.close());
      connection = proxied;
    }
    const knex = createKnex({
      ...connection,
      acquireConnectionTimeout: CONNECT_MS,
      pool: {
        ...{
          min: 0,
          max: 4,
          idleTimeoutMillis: ground.part === 'SQLite' ? 20 : LONG_MS,
          reapIntervalMillis: 20,
        },
        createTimeoutMillis: fault.silenceMs ?? CONNECT_MS,
        afterCreate: (given: RawConnection, done: (error: unknown, given: RawConnection) => void) => {
          giveUpAfterSilence(given, fault.silenceMs ?? LONG_MS);
          this.onConnection?.((sql) => void (given.exec ?? given.query)?.call(given, sql, ignore));
          done(null, given);
        },
      },
      log: { debug: ignore, deprecate: ignore, warn: ignore, error: ignore },
    } as Knex.Config);
    this.knex = knex;
    this.afterwards(() => knex.destroy());
    return new KnexUserRepository(knex);
  }

  async #openQueue(): Promise<WebhookQueue> {
    const { redis } = this.ground;
    if (redis === undefined) return new KnexWebhookQueue(this.knex, { leaseMs: LEASE_MS });
    this.proxy = await this.#proxyTo(redis.port);
    return new BullMqWebhookQueue({
      connection: { host: '127.0.0.1', port: this.proxy.port },
      leaseMs: LEASE_MS,
    });
  }

  async #proxyTo(port: number): Promise<FaultProxy> {
    const proxy = await FaultProxy.start('127.0.0.1', port);
    this.afterwards(() => proxy.close());
    return proxy;
  }

  #logger(): Logger {
    const complain = (_details: unknown, message?: unknown): void =>
      void this.#complaints.push(String(message));
    return { debug: ignore, info: ignore, warn: complain, error: complain };
  }
}

/** A connection as the pool of Knex is given it: of pg, of mysql2, of better-sqlite3. */
interface RawConnection {
  readonly stream?: Socket;
  readonly connection?: { readonly stream: Socket };
  query?(sql: string, done: () => void): unknown;
  exec?(sql: string, done: () => void): unknown;
}

/** What docs/faults.md tells a host to do: a connection on which nothing is heard for so long is given up. */
function giveUpAfterSilence(given: RawConnection, silenceMs: number): void {
  const socket = given.connection?.stream ?? given.stream;
  socket?.setTimeout(silenceMs, () => socket.destroy(new Error('The database has fallen silent.')));
}

const ignore = (): void => undefined;

/** Resolves when a condition holds; throws where it never does. */
async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + FOR_EVER_MS;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Never: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** What is to be seen, once it is what was hoped for; or what there is after a while. */
async function soon(look: () => Promise<string>, hope: string): Promise<string> {
  const end = performance.now() + LONG_MS;
  for (;;) {
    const seen = await look();
    if (seen === hope || performance.now() > end) return seen;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
