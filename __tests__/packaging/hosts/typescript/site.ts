// A TypeScript site that names everything the package exports, each where a host would; it is type checked in every mode of
// module resolution, then compiled and run: it takes webhooks and ends by itself.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { Router, type RequestHandler } from 'express';
import {
  BcryptHasher,
  comparisonKey,
  ConfigurationError,
  DuplicateUserError,
  isWpFusionError,
  MemoryUserRepository,
  OntraportClient,
  redactRequest,
  redactUrl,
  StaleUserError,
  UserNotFoundError,
  WpFusionError,
  wpFusionWebhook,
  type AccessKey,
  type ActionContext,
  type ActionHandler,
  type BcryptHasherOptions,
  type Change,
  type Contact,
  type ContactFilter,
  type CrmBudget,
  type CrmClient,
  type CrmField,
  type ErrorCode,
  type ErrorDetails,
  type FieldSpec,
  type FieldValue,
  type Hooks,
  type Logger,
  type MetaValue,
  type NewUser,
  type Notifier,
  type OntraportClientOptions,
  type Outcome,
  type ParameterError,
  type PasswordHasher,
  type PublicUser,
  type ReadOptions,
  type RepositoryFinding,
  type SkipReason,
  type Tag,
  type User,
  type UserChanges,
  type UsernameRule,
  type UserRepository,
  type Warning,
  type WarningCode,
  type WebhookEvents,
  type WebhookRequest,
  type WpFusionConfig,
  type WpFusionWebhook,
  type WpFusionWebhookOptions,
} from 'wp-fusion-webhook';
import {
  OntraportSandbox,
  type BurstOptions,
  type CallFilter,
  type CallMatch,
  type CustomAnswer,
  type Delivery,
  type FaultHandle,
  type FaultKind,
  type FaultOptions,
  type HeldCalls,
  type HoldOptions,
  type Latency,
  type OntraportSandboxOptions,
  type Parameters,
  type RateLimitOptions,
  type RuleOptions,
  type RuleTrigger,
  type SandboxCall,
  type SandboxChanges,
  type SandboxContactOptions,
  type SandboxFieldOptions,
  type SandboxFieldType,
  type SandboxValue,
  type StoredRecord,
  type SubscriptionFormat,
  type SubscriptionWebhookOptions,
  type WebhookOptions,
  type WebhookShape,
} from 'wp-fusion-webhook/testing';

// The site's own users table

class UserTable implements UserRepository {
  readonly #rows = new Map<string, User>();

  async findByContactId(contactId: string): Promise<User | null> {
    return this.#first((row) => row.contactId === contactId);
  }

  async findByEmail(email: string): Promise<User | null> {
    return this.#first((row) => comparisonKey(row.email) === comparisonKey(email));
  }

  async create(user: NewUser): Promise<User> {
    return this.#store({ ...user, id: randomUUID() });
  }

  async update(id: string, changes: UserChanges, condition?: { ifSyncState: string | null }): Promise<User> {
    const row = this.#rows.get(id);
    if (row === undefined) throw new UserNotFoundError({ id });
    if (condition !== undefined && row.syncState !== condition.ifSyncState) throw new StaleUserError({ id });
    const meta: Record<string, MetaValue> = { ...row.meta };
    for (const [name, value] of Object.entries(changes.meta ?? {})) {
      if (value === null) delete meta[name];
      else meta[name] = value;
    }
    return this.#store({
      ...row,
      contactId: changes.contactId === undefined ? row.contactId : changes.contactId,
      email: changes.email ?? row.email,
      passwordHash: changes.passwordHash === undefined ? row.passwordHash : changes.passwordHash,
      role: changes.role ?? row.role,
      tags: changes.tags ?? row.tags,
      syncState: changes.syncState === undefined ? row.syncState : changes.syncState,
      meta,
    });
  }

  async check(): Promise<readonly RepositoryFinding[]> {
    return this.#rows.size > 10_000 ? [{ severity: 'warning', message: 'Use a database.' }] : [];
  }

  #store(user: User): User {
    for (const row of this.#rows.values()) {
      if (row.id !== user.id && row.email === user.email) throw new DuplicateUserError({ field: 'email' });
    }
    this.#rows.set(user.id, structuredClone(user));
    return structuredClone(user);
  }

  #first(matches: (row: User) => boolean): User | null {
    const found = [...this.#rows.values()].find(matches);
    return found === undefined ? null : structuredClone(found);
  }
}

// The client for a CRM of the site's own

class AcmeClient implements CrmClient {
  readonly maxBatchSize = 20;
  readonly contactIdPattern = /^c\d{1,12}$/;
  readonly #records = new Map<string, Record<string, string | null>>();

  put(id: string, record: Record<string, string | null>): void {
    this.#records.set(id, record);
  }

  async getContacts(
    ids: readonly string[],
    { fields, signal }: ReadOptions = {},
  ): Promise<ReadonlyMap<string, Contact>> {
    signal?.throwIfAborted();
    const contacts = new Map<string, Contact>();
    for (const id of ids) {
      const raw = this.#records.get(id);
      if (raw !== undefined) contacts.set(id, this.#contact(id, raw, fields ?? Object.keys(raw)));
    }
    return contacts;
  }

  async updateContact(
    id: string,
    fields: Readonly<Record<string, string>>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<void> {
    options?.signal?.throwIfAborted();
    const record = this.#records.get(id);
    if (record === undefined) throw new WpFusionError('CONTACT_NOT_FOUND', `Acme has no contact ${id}.`);
    Object.assign(record, fields);
  }

  async describeFields(): Promise<readonly CrmField[]> {
    return [{ key: 'company', label: 'Company', type: 'text' }];
  }

  budget(): CrmBudget {
    return { limit: 100, used: this.#records.size, windowMs: 60_000 };
  }

  trouble(): WpFusionError | undefined {
    const details: ErrorDetails = { retryAfter: 10, cause: new Error('429') };
    return this.#records.size > 1000
      ? new WpFusionError('CRM_RATE_LIMITED', 'Slow down.', details)
      : undefined;
  }

  async *listContacts({ tag, modifiedSince }: ContactFilter, options?: ReadOptions): AsyncIterable<Contact> {
    for (const contact of (await this.getContacts([...this.#records.keys()], options)).values()) {
      const isTagged = tag === undefined || contact.tags.some(({ name }) => name === tag);
      const isNew = modifiedSince === undefined || (contact.modifiedAt ?? new Date(0)) >= modifiedSince;
      if (isTagged && isNew) yield contact;
    }
  }

  #contact(id: string, raw: Record<string, string | null>, wanted: readonly string[]): Contact {
    const tags: Tag[] = (raw.tags ?? '').split(',').map((name, index) => ({ id: String(index), name }));
    const fields: Record<string, FieldValue> = {};
    for (const key of wanted) fields[key] = raw[key] ?? null;
    return { id, email: raw.email ?? null, tags, modifiedAt: null, fields, raw };
  }
}

// What else a host brings along

const hasherOptions: BcryptHasherOptions = { cost: 10, generatedCost: 4 };

class CountingHasher implements PasswordHasher {
  readonly #bcrypt = new BcryptHasher(hasherOptions);
  hashed = 0;

  async hash(password: string, info?: { generated: boolean }): Promise<string> {
    this.hashed += 1;
    return await this.#bcrypt.hash(password, info);
  }

  verify(password: string, hash: string): Promise<boolean> {
    return this.#bcrypt.verify(password, hash);
  }
}

const welcomed: PublicUser[] = [];
const notifier: Notifier = {
  async sendWelcome({ user }) {
    welcomed.push(user);
  },
};

const courses = new Set<string>();
const hooks: Hooks = {
  beforeCreate: ({ user, contact }) =>
    contact.email === null ? null : { ...user, tags: [...user.tags, 'New'] },
  async beforeUpdate({ changes, user }) {
    return user.role === 'admin' ? null : { ...changes, meta: { ...changes.meta, plan: null } };
  },
  beforeTagsChange({ user, added, removed }) {
    if (added.includes('Member')) courses.add(user.id);
    if (removed.includes('Member')) courses.delete(user.id);
  },
  afterCreate({ user }) {
    if (user.tags.includes('Member')) courses.add(user.id);
  },
  afterUpdate: async ({ user, contact }) => console.assert(user.contactId === contact.id),
};

const lines: string[] = [];
const write = (details: object, message: string): void =>
  void lines.push(`${message} ${JSON.stringify(details)}`);
const logger: Logger = { debug: write, info: write, warn: write, error: write };

const upperCase: FieldSpec['transform'] = (value: FieldValue, contact: Contact) =>
  typeof value === 'string' ? value.toUpperCase() : contact.id;
const company: FieldSpec = { from: 'company', blank: 'clear', transform: upperCase };
const byFirstName: UsernameRule = ({ fields, id }) => `${String(fields.firstname ?? 'user')}-${id}`;

const greet: ActionHandler = async ({ contact, user, params, logger: log, signal }: ActionContext) => {
  const [{ email }, known] = await Promise.all([contact(), user()]);
  log.info({ email, aborted: signal.aborted }, 'A contact says hello.');
  return {
    outcome: known === null ? 'greeted a stranger' : `greeted ${known.email} in ${params.language ?? 'en'}`,
  };
};

// Keys from the environment are `string | undefined`.
const rotation: readonly (AccessKey | undefined)[] = [
  process.env.HOOKS_KEY,
  { key: process.env.HOOKS_KEY_FOR_TESTS, name: 'tests', actions: ['add', 'greet'], inspect: true },
  process.env.HOOKS_KEY_OLD,
];

/** The answer to a webhook, as a test reads it. */
interface Answer {
  readonly ok: boolean;
  readonly outcome?: Outcome;
  readonly reason?: SkipReason;
  readonly code?: ErrorCode;
  readonly errors?: readonly ParameterError[];
  readonly warnings?: readonly Warning[];
  readonly changes?: readonly Change[];
}

const quiet: ReadonlySet<WarningCode> = new Set<WarningCode>(['EMAIL_TAKEN', 'USER_PROTECTED']);
const loud = ({ warnings = [] }: Answer): Warning[] => warnings.filter(({ code }) => !quiet.has(code));

/** A handler of the site's own around the middleware. */
const counted =
  (webhook: WpFusionWebhook, count: (ip: string | undefined) => void) =>
  (request: WebhookRequest, response: ServerResponse, next: (error?: unknown) => void): void => {
    count(request.ip);
    webhook(request, response, next);
  };

// The account for tests

const accountOptions: OntraportSandboxOptions = { seed: true, deliver: false, getByEmailNoMatch: 'empty' };
const limits: RateLimitOptions = { limit: 1000, windowMs: 60_000 };
const fieldType: SandboxFieldType = 'text';
const passwordField: SandboxFieldOptions = { key: 'f9001', alias: 'Password', type: fieldType };
const mary: SandboxContactOptions = {
  firstname: 'Mary',
  email: 'mary@example.com',
  company: 'Acme',
  tags: ['Member'],
};
const newCompany: SandboxValue = 'Globex';
const move: SandboxChanges = { company: newCompany };
const reads: CallFilter = { method: 'GET', path: /^\/Contacts?$/ };
const readsOrWrites: CallMatch = ({ path, query, body }: SandboxCall) => {
  const parameters: Parameters = { ...query, body };
  return path.startsWith('/Contact') && Object.keys(parameters).length > 0;
};
const slow: Latency = (call) => (call.authenticated ? 1 : 0);
const down: FaultKind | CustomAnswer = {
  status: 503,
  body: { message: 'down' },
  headers: { 'Retry-After': '1' },
};
const refusal: FaultOptions = { ...reads, with: 'unauthorized', times: Infinity };
const answersHeld: HoldOptions = { ...reads, when: 'after', times: 1 };

async function main(): Promise<void> {
  const sandbox = await OntraportSandbox.start(accountOptions);
  sandbox.setRateLimit(limits);
  sandbox.addField(passwordField);
  const maryId = sandbox.addContact(mary);

  const { appId, apiKey, baseUrl } = sandbox;
  const clientOptions: OntraportClientOptions = { appId, apiKey, baseUrl, timeZone: process.env.TIME_ZONE };
  const users = new MemoryUserRepository();
  const webhook = wpFusionWebhook({
    accessKey: process.env.WPF_ACCESS_KEY,
    crm: new OntraportClient(clientOptions),
    users,
    fields: { company, city: 'city' },
    roles: { assignable: ['subscriber', 'customer'], protected: (user) => user.tags.includes('Staff') },
    returnPassword: { field: 'f9001' },
    hooks,
    logger,
  });

  const created: string[] = [];
  const failures: WebhookEvents['webhook.failed'][] = [];
  const onCreated = ({ user }: WebhookEvents['user.created']): void => void created.push(user.email);
  webhook
    .on('user.created', onCreated)
    .on('user.updated', ({ user, fields }) => assert.ok(!('passwordHash' in user) && fields.length > 0))
    .on('tags.changed', async ({ added, removed }) => assert.ok(added.length + removed.length > 0))
    .on('webhook.failed', (event) => failures.push(event))
    .on('webhook.processed', ({ outcome, userId, warnings }) => console.assert(outcome, userId, warnings));

  // Mistakes that the types find
  // @ts-expect-error -- no such event
  webhook.on('user.creatd', () => undefined);
  // @ts-expect-error -- a user without its secrets
  webhook.on('user.created', ({ user }) => user.passwordHash);
  const base = { accessKey: 'a-key-for-this-test-only', crm: new AcmeClient(), users };
  // @ts-expect-error -- an option misspelt
  assert.throws(() => wpFusionWebhook({ ...base, feilds: {} }), ConfigurationError);
  // @ts-expect-error -- an option left out
  assert.throws(() => wpFusionWebhook({ accessKey: base.accessKey, users }), ConfigurationError);

  const acme = new AcmeClient();
  acme.put('c1', { email: 'joe@example.com', firstname: 'Joe', tags: 'Customer', secret: null });
  const table = new UserTable();
  const hasher = new CountingHasher();
  const hooksOptions: WpFusionWebhookOptions = {
    accessKey: rotation,
    crm: acme,
    users: table,
    name: 'hooks',
    username: byFirstName,
    passwordHasher: hasher,
    returnPassword: { field: 'secret' },
    notifier,
    actions: { greet },
    logger: false,
    bodyLimit: process.env.BODY_LIMIT,
  };
  const config: WpFusionConfig = {
    options: async () => hooksOptions,
    url: process.env.SITE_URL,
    close: () => sandbox.close(),
  };
  assert.equal(typeof config.options, 'function');
  const ownWebhook = wpFusionWebhook(hooksOptions);

  const addresses = new Set<string | undefined>();
  const app = express();
  const accessLog: string[] = [];
  app.use((request, _response, next) => {
    const { ip, headers } = redactRequest({ ip: request.ip, headers: request.headers });
    accessLog.push(`${ip ?? ''} ${redactUrl(request.originalUrl)} ${headers['x-access-key'] ?? ''}`);
    next();
  });
  app.use('/hooks', ownWebhook);
  const handler: RequestHandler = webhook;
  app.use('/api', Router().use(webhook), handler);
  app.post(
    '/counted',
    counted(webhook, (ip) => void addresses.add(ip)),
  );
  app.use(webhook);
  app.get('/courses', (_request, response) => {
    response.json([...courses]);
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const siteUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const urlOf = (action: string, path = '/'): string =>
    `${siteUrl}${path}?wpf_action=${action}&access_key=${process.env.WPF_ACCESS_KEY ?? ''}&contact_id=[Contact ID]`;

  // A contact becomes a user
  const delivery: Delivery = await sandbox.send({ url: urlOf('add'), contactId: maryId });
  const answer = delivery.json as Answer;
  assert.equal(answer.outcome, 'created', delivery.body);
  assert.match(accessLog.join(), /wpf_action=add&access_key=\[redacted\]&contact_id=/);
  assert.deepEqual(loud(answer), []);
  assert.deepEqual(created, ['mary@example.com']);
  const user = await users.findByContactId(maryId);
  assert.ok(user?.passwordHash);
  assert.equal(user.meta.company, 'ACME');
  assert.deepEqual(user.tags, ['Member', 'New']);
  const record: StoredRecord | undefined = sandbox.contact(maryId);
  assert.ok(await hasher.verify(record?.f9001 ?? '', user.passwordHash));
  assert.deepEqual(await (await fetch(`${siteUrl}/courses`)).json(), [user.id]);

  // … and follows it, by an automation, while the account has its moods
  const trigger: RuleTrigger = 'field:company';
  const shape: WebhookShape = 'form';
  const rule: RuleOptions = { on: trigger, url: urlOf('update', '/counted'), shape, timeoutMs: 30_000 };
  const added = sandbox.addRule(rule);
  const latency = sandbox.latency(slow, readsOrWrites);
  const held: HeldCalls = sandbox.hold(answersHeld);
  sandbox.updateContact(maryId, move);
  await held.caught();
  held.release();
  await sandbox.settled();
  latency.remove();
  added.remove();
  assert.equal((await users.findByContactId(maryId))?.meta.company, 'GLOBEX');
  assert.deepEqual([...addresses], ['127.0.0.1']);

  const fault: FaultHandle = sandbox.fail(refusal);
  const webhookOptions: WebhookOptions = { url: urlOf('update'), shape: 'empty' };
  const refused = await sandbox.send({ ...webhookOptions, contactId: maryId });
  assert.equal((refused.json as Answer).code, 'CRM_UNAUTHORIZED');
  assert.equal(failures[0]?.status, 502);
  assert.ok(fault.hits > 0);
  fault.remove();
  sandbox.fail({ ...reads, with: down });
  const burst: BurstOptions = { ...webhookOptions, contactIds: [maryId], duplicates: 1 };
  const { deliveries } = await sandbox.burst(burst);
  assert.deepEqual(
    deliveries.map(({ status }) => status),
    [200, 200],
  );
  const format: SubscriptionFormat = 'notify';
  const subscription: SubscriptionWebhookOptions = {
    url: urlOf('update').replace('[Contact ID]', maryId),
    event: 'object_create(0)',
    contactId: maryId,
    format,
  };
  assert.equal((await sandbox.sendSubscription(subscription)).status, 200);

  // The other webhook, with everything of the site's own
  const ask = async (action: string): Promise<Answer> => {
    const parameters = new URLSearchParams({
      wpf_action: action,
      access_key: process.env.HOOKS_KEY_FOR_TESTS ?? '',
      contact_id: 'c1',
      send_notification: 'true',
    });
    const response = await fetch(`${siteUrl}/hooks?${parameters.toString()}`, { method: 'POST' });
    return (await response.json()) as Answer;
  };
  assert.equal((await ask('add')).outcome, 'created');
  const joe = await table.findByEmail('JOE@example.com');
  assert.equal(joe?.username, 'Joe-c1');
  assert.equal(hasher.hashed, 1);
  assert.deepEqual(
    welcomed.map(({ email }) => email),
    ['joe@example.com'],
  );
  assert.equal((await ask('greet')).outcome, 'greeted joe@example.com in en');
  assert.equal((await ask('delete_all')).code, 'UNKNOWN_ACTION');

  try {
    wpFusionWebhook({ ...hooksOptions, roles: { default: '' } });
    assert.fail('a wrong option was taken');
  } catch (error) {
    assert.ok(
      error instanceof ConfigurationError && isWpFusionError(error) && error.option === 'roles.default',
    );
  }
  assert.ok(lines.length > 0);

  webhook.off('user.created', onCreated);
  server.close();
  await Promise.all([webhook.close(), ownWebhook.close({ timeoutMs: 5000 })]);
  await sandbox.close();
}

// A failure is an unhandled rejection, which ends the process whatever is still open.
void main();
