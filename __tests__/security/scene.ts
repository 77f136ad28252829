// A site whose every sign of life is collected, over an Ontraport in which everything is secret that can be.
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import express from 'express';
import {
  BcryptHasher,
  MemoryUserRepository,
  OntraportClient,
  wpFusionWebhook,
  type Logger,
  type NewUser,
  type PasswordHasher,
  type User,
  type UserChanges,
  type WebhookEvents,
  type WpFusionWebhook,
  type WpFusionWebhookOptions,
} from '../../lib';
import type { OntraportSandbox } from '../../lib/testing';
import { startSandbox } from '../actions/site';
import { send, type Incoming, type Outgoing } from '../http/client';
import { Haystack, type Secret } from './haystack';

/** Keys that every encoding writes differently; short enough for a message that quotes 60 characters. */
export const ACCESS_KEY = 'Kéy"With\\odd %+/chars&=<1>';
export const INSPECTING_KEY = `seé'ing"it\\all %+/chars&=<2>`;
export const LIMITED_KEY = 'only\\for"tests %+/chars&=<3>é';
export const WRONG_KEYS = [
  'wröng"key\\in %+/query&=<4>',
  'wröng"key\\in %+/body&=<5>',
  'wröng"in\\head %+/er&=<6>',
];
export const CHOSEN_PASSWORDS = [
  'chösen"pass\\word %+/&=<7>',
  'änother"pass\\word %+/&=<8>',
  'thírd"pass\\word %+/&=<9>',
];
const APP_ID = '2_50_app/id+with"odd\\chars%&=<10>';
const API_KEY = 'api key"with\\odd %+/chars&=<11>ä';

const EVENTS = [
  'webhook.received',
  'webhook.processed',
  'webhook.failed',
  'user.created',
  'user.updated',
  'tags.changed',
] as const satisfies readonly (keyof WebhookEvents)[];

type Method = 'findByContactId' | 'findByEmail' | 'create' | 'update';

/** Remembers every hash and every syncState, and fails where a test says so. */
export class RecordingUsers extends MemoryUserRepository {
  readonly hashes = new Set<string>();
  readonly states = new Set<string>();
  trouble: ((method: Method, row: unknown) => void) | undefined;

  override async findByContactId(contactId: string): Promise<User | null> {
    const user = await super.findByContactId(contactId);
    this.trouble?.('findByContactId', user);
    return user;
  }

  override async findByEmail(email: string): Promise<User | null> {
    const user = await super.findByEmail(email);
    this.trouble?.('findByEmail', user);
    return user;
  }

  override async create(user: NewUser): Promise<User> {
    this.#remember(user);
    this.trouble?.('create', user);
    return super.create(user);
  }

  override async update(
    id: string,
    changes: UserChanges,
    condition?: { ifSyncState: string | null },
  ): Promise<User> {
    this.#remember(changes);
    this.trouble?.('update', { ...this.all().find((user) => user.id === id), ...changes });
    return super.update(id, changes, condition);
  }

  #remember({ passwordHash, syncState }: UserChanges): void {
    if (typeof passwordHash === 'string') this.hashes.add(passwordHash);
    if (typeof syncState === 'string') this.states.add(syncState);
  }
}

/** Remembers every password that it is given. */
class RecordingHasher implements PasswordHasher {
  readonly passwords: string[] = [];
  constructor(private readonly inner: PasswordHasher) {}

  async hash(password: string, info?: { generated: boolean }): Promise<string> {
    this.passwords.push(password);
    return this.inner.hash(password, info);
  }

  verify(password: string, hash: string): Promise<boolean> {
    return this.inner.verify(password, hash);
  }
}

export interface Asking extends Omit<Outgoing, 'path'> {
  /** What stands in the query. */
  readonly query?: Readonly<Record<string, string>>;
  readonly page?: boolean;
}

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A host with nothing but the middleware; gives its address. */
async function listen(webhook: WpFusionWebhook): Promise<string> {
  const app = express();
  app.use(webhook);
  const server = app.listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** One run of a site with everything that it lets out. */
export class Scene {
  readonly haystack = new Haystack();
  readonly users = new RecordingUsers();
  readonly hasher: RecordingHasher;
  /** Whatever sends webhooks and knows the key. */
  key = ACCESS_KEY;
  readonly #started: WpFusionWebhook[] = [];

  private constructor(
    readonly sandbox: OntraportSandbox,
    hasher: PasswordHasher,
  ) {
    this.hasher = new RecordingHasher(hasher);
  }

  static async start(hasher: PasswordHasher = new BcryptHasher({ cost: 4 })): Promise<Scene> {
    const sandbox = await startSandbox({ appId: APP_ID, apiKey: API_KEY });
    sandbox.addField({ key: 'f3', alias: 'Site username', type: 'text' });
    sandbox.addField({ key: 'f4', alias: 'Chosen password', type: 'text' });
    return new Scene(sandbox, hasher);
  }

  readonly logger: Logger = {
    debug: (...line) => this.haystack.add('logger.debug', ...line),
    info: (...line) => this.haystack.add('logger.info', ...line),
    warn: (...line) => this.haystack.add('logger.warn', ...line),
    error: (...line) => this.haystack.add('logger.error', ...line),
  };

  client(options: { apiKey?: string; timeoutMs?: number } = {}): OntraportClient {
    const { appId, apiKey, baseUrl } = this.sandbox;
    return new OntraportClient({ appId, apiKey, baseUrl, maxResponseBytes: 100_000, ...options });
  }

  /** A process of the site; gives a function that sends it a webhook and keeps the answer. */
  async site(
    options: Partial<WpFusionWebhookOptions> = {},
    make = wpFusionWebhook,
  ): Promise<{ webhook: WpFusionWebhook; ask: (asking: Asking) => Promise<Incoming> }> {
    const webhook = make({
      accessKey: [
        ACCESS_KEY,
        { key: INSPECTING_KEY, inspect: true, name: 'the inspector' },
        { key: LIMITED_KEY, actions: ['test'] },
      ],
      crm: this.client(),
      users: this.users,
      fields: { plan: 'f2' },
      passwordHasher: this.hasher,
      returnPassword: { field: 'f1', usernameField: 'f3' },
      notifier: { sendWelcome: async () => undefined },
      logger: this.logger,
      ...options,
    });
    const url = await listen(webhook);
    for (const name of EVENTS) webhook.on(name, (event) => this.haystack.add(`event ${name}`, event));
    this.#started.push(webhook);
    const ask = async ({ query = {}, page = false, ...outgoing }: Asking): Promise<Incoming> => {
      const path = `?${new URLSearchParams(query)}`;
      const headers = { ...(page ? { Accept: 'text/html' } : {}), ...outgoing.headers };
      const answer = await send(url, { method: 'POST', ...outgoing, headers, path });
      const { status, headers: answered, text, json } = answer;
      this.haystack.add('answer', status, answered, text, json);
      return answer;
    };
    return { webhook, ask };
  }

  /** Sends a webhook with the key in the query. */
  webhook(action: string, contactId: string, more: Readonly<Record<string, string>> = {}): Asking {
    return { query: { wpf_action: action, access_key: this.key, contact_id: contactId, ...more } };
  }

  #count = 0;
  contact(fields: Readonly<Record<string, string>> = {}): string {
    this.#count += 1;
    const email = `mary${this.#count}@example.com`;
    return this.sandbox.addContact({ firstname: 'Mary', email, tags: ['Member'], ...fields });
  }

  /** A contact that has a user with a password already. */
  async member(fields: Readonly<Record<string, string>> = {}): Promise<string> {
    const id = this.contact(fields);
    const { ask } = await this.site();
    const answer = await ask(this.webhook('add', id));
    if (answer.json.outcome !== 'created') throw new Error(`No member: ${answer.text}`);
    return id;
  }

  /** What is stored with a contact's user. */
  hashOf(contactId: string): string {
    return this.users.all().find((user) => user.contactId === contactId)?.passwordHash ?? 'no hash';
  }

  get latestPassword(): string {
    return this.hasher.passwords.at(-1) ?? 'no password yet';
  }

  /** Waits until every password is returned or given up, and closes. */
  async close(): Promise<void> {
    await Promise.all(this.#started.splice(0).map((webhook) => webhook.close({ timeoutMs: 5000 })));
  }

  /** Everything that must not have got out. */
  secrets(): Secret[] {
    const written = this.sandbox.calls.flatMap(({ method, body }) =>
      method === 'PUT' && typeof (body as { f1?: unknown } | undefined)?.f1 === 'string'
        ? [(body as { f1: string }).f1]
        : [],
    );
    const named = (label: string, texts: Iterable<string>): Secret[] =>
      [...new Set(texts)].map((text, index) => ({ label: `${label} ${index + 1}`, text }));
    return [
      ...named('access key', [ACCESS_KEY, INSPECTING_KEY, LIMITED_KEY]),
      ...named('wrong key', WRONG_KEYS),
      ...named('CRM credential', [APP_ID, API_KEY]),
      ...named('password', [...CHOSEN_PASSWORDS, ...this.hasher.passwords, ...written]),
      ...named('hash', this.users.hashes),
    ];
  }
}

/** The forms of a secret that a foreign error is known to quote it in. */
const quoted = (secret: string): string =>
  [
    secret,
    encodeURIComponent(secret),
    new URLSearchParams({ q: secret }).toString(),
    JSON.stringify(secret),
    Buffer.from(secret).toString('base64'),
    Buffer.from(secret).toString('base64url'),
  ].join(' | ');

/** A foreign error that quotes secrets wherever an error can: message, stack, cause, the cause's cause, a list of errors. */
export function leakyError(secrets: readonly string[], row?: unknown): Error {
  const says = `refused ${secrets.map(quoted).join(' ; ')} in ${JSON.stringify(row ?? null)}`;
  const deepest = new Error(`4: ${says}`, { cause: new Error(`5: ${says}`, { cause: says }) });
  const several = new AggregateError([new Error(`3: ${says}`), says], `2: ${says}`, { cause: deepest });
  return Object.assign(new Error(`1: ${says}`, { cause: several }), { code: 'ER_ROW', row, sql: says });
}

/** The same as something that is no Error at all. */
export const leakyThing = (secrets: readonly string[], row?: unknown): unknown => ({
  says: secrets,
  shown: inspect(secrets),
  row,
});
