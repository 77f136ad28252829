// What the subpaths export beside the sandbox, each named as a host would; type checked in every mode of module resolution, and
// loaded where none of the optional peers is installed.
import * as assert from 'node:assert/strict';
import {
  MemoryActivityLog,
  MemoryUserRepository,
  type ActivityCount,
  type ActivityLog,
  type ActivityRange,
  type CrmBudget,
  type CrmClient,
  type PublicUser,
  type UserRepository,
  type WebhookQueue,
  type WebhookRequest,
  type WpFusionWebhook,
} from 'wp-fusion-webhook';
import { wpFusionAdmin, type WpFusionAdminOptions } from 'wp-fusion-webhook/admin';
import {
  BullMqWebhookQueue,
  type BullMqTelemetry,
  type BullMqWebhookQueueOptions,
  type RedisClient,
  type RedisOptions,
} from 'wp-fusion-webhook/bullmq';
import {
  KnexActivityLog,
  knexMigrationSource,
  KnexUserRepository,
  KnexWebhookQueue,
  migrate,
  type ExtraValues,
  type KnexActivityLogOptions,
  type KnexLike,
  type KnexMigrationSource,
  type KnexUserRepositoryOptions,
  type KnexWebhookQueueOptions,
  type MigrateOptions,
  type MetaColumn,
  type MetaMapping,
  type MetaType,
  type RoleColumn,
  type RoleMemberships,
  type RoleReference,
  type Row,
  type Scope,
  type TagColumn,
  type TagMemberships,
  type Through,
  type UserColumns,
} from 'wp-fusion-webhook/knex';
import {
  escapeHtml,
  SmtpNotifier,
  type MailAddress,
  type Mailbox,
  type MailMessage,
  type MailText,
  type MailTransport,
  type SmtpNotifierOptions,
  type SmtpOptions,
  type WelcomeMail,
} from 'wp-fusion-webhook/smtp';
import {
  activityLogContract,
  crmClientContract,
  userRepositoryContract,
  webhookQueueContract,
  type ActivityLimits,
  type ActivityLogContractOptions,
  type ActivityScene,
  type CrmCapabilities,
  type CrmClientContractOptions,
  type CrmContact,
  type CrmFailure,
  type CrmScene,
  type QueueCapabilities,
  type QueueScene,
  type RepositoryCapabilities,
  type RepositoryScene,
  type StoredUser,
  type TestRunner,
  type UserRepositoryContractOptions,
  type WebhookQueueContractOptions,
} from 'wp-fusion-webhook/testing';

// Users in SQL

const columns: UserColumns = { email: 'email_address', username: null };
const flag: RoleColumn = { column: 'is_admin', values: { subscriber: false, admin: true } };
const reference: RoleReference = { column: 'role_id', table: 'roles' };
const through: Through = { table: 'member_tags', user: 'member_id', other: 'tag_id' };
const roles: RoleMemberships = { through, mostPrivilegedFirst: ['admin', 'subscriber'] };
const scope: Scope = { tenant: 7 };
const tagColumn: TagColumn = { column: 'tags', type: 'json' };
const tags: TagMemberships = {
  through,
  table: 'tags',
  scope,
  newTag: (name): Row => ({ slug: name.toLowerCase() }),
};
const type: MetaType = 'date';
const birthday: MetaColumn = { column: 'birthday', type };
const meta: MetaMapping = { columns: { birthday } };
const extraValues: ExtraValues = { onCreate: (user) => ({ created_by: user.email }) };
const mapping: KnexUserRepositoryOptions = {
  table: 'members',
  columns,
  role: reference,
  tags,
  meta,
  extraValues,
};
const others: KnexUserRepositoryOptions[] = [{ role: flag }, { role: roles }, { tags: tagColumn }];

/** What looks like Knex is taken for it: its types are not needed here. */
async function open(knex: KnexLike): Promise<UserRepository> {
  await migrate(knex, ownTables);
  return new KnexUserRepository(knex, others[0] ?? mapping);
}
const ownTables: MigrateOptions = { users: false };
const lease: KnexWebhookQueueOptions = { leaseMs: 60_000 };
const openQueue = (knex: KnexLike): WebhookQueue => new KnexWebhookQueue(knex, lease);
const kept: KnexActivityLogOptions = { keepDays: 90, records: 5_000_000, rejected: 1000, keepsValues: true };
const openLog = (knex: KnexLike): ActivityLog => new KnexActivityLog(knex, kept);
const lastDay: ActivityRange = { from: Date.now() - 86_400_000, to: Date.now(), stepMs: 3_600_000 };
const counts = (log: ActivityLog): Promise<readonly ActivityCount[]> => log.counts('default', lastDay);
const source: KnexMigrationSource = knexMigrationSource();

// The queue on Redis

const redis: RedisOptions = { url: 'redis://127.0.0.1:6379', lazyConnect: true };
const openOnRedis = (connection: RedisClient | RedisOptions, telemetry?: BullMqTelemetry): WebhookQueue => {
  const options: BullMqWebhookQueueOptions = { connection, prefix: '{shop}', telemetry };
  return new BullMqWebhookQueue(options);
};

// The welcome mail

const sent: MailMessage[] = [];
const transport: MailTransport = { sendMail: (message) => Promise.resolve(sent.push(message)) };
const from: MailAddress = { name: 'Shop', address: 'shop@example.com' };
const text: MailText = ({ user, loginUrl }: WelcomeMail) => `${escapeHtml(user.username)}: ${loginUrl}`;
const mail: SmtpNotifierOptions = { transport, from, loginUrl: 'https://example.com/login', text };
const smtp: SmtpOptions = { host: 'smtp.example.com', auth: { user: 'u', pass: process.env.SMTP_PASSWORD } };

// The admin page

interface Staff extends WebhookRequest {
  readonly isStaff?: boolean;
}
const admin: WpFusionAdminOptions<Staff> = { authorize: ({ isStaff }) => isStaff === true, inspect: true };
const mountAdmin = (webhook: WpFusionWebhook): unknown => wpFusionAdmin(webhook, admin);

// The suites

const names: string[] = [];
const runner: TestRunner = {
  describe: (_name, body) => body(),
  it: (name) => names.push(name),
};
const capabilities: RepositoryCapabilities = { usernames: false };
const stored = (): Promise<StoredUser | null> => Promise.resolve(null);
const scene = (): Promise<RepositoryScene> =>
  Promise.resolve({ users: new MemoryUserRepository(), stored, count: () => Promise.resolve(0) });
const repositoryOptions: UserRepositoryContractOptions = { runner, open: scene, capabilities };

const crmCapabilities: CrmCapabilities = {};
const budgetOf = (client: CrmClient): CrmBudget | undefined => client.budget?.();
const failures: CrmFailure[] = ['unauthorized'];
const openCrm = (client: CrmClient): CrmScene => ({
  client,
  addContact: (contact: CrmContact) => Promise.resolve(String(contact.email)),
  removeContact: () => Promise.resolve(),
  missingId: '999',
  writableField: 'note',
  stored: () => Promise.resolve(null),
  fail: (kind) => Promise.resolve(void failures.push(kind)),
  secrets: [],
});
const crmOptions = (client: CrmClient): CrmClientContractOptions => ({
  runner,
  open: () => Promise.resolve(openCrm(client)),
  capabilities: crmCapabilities,
});

const queueCapabilities: QueueCapabilities = { results: false, positions: false };
const queueOptions = (scene: QueueScene): WebhookQueueContractOptions => ({
  runner,
  open: () => Promise.resolve(scene),
  capabilities: queueCapabilities,
});

const limits: ActivityLimits = { records: 150, rejected: 20 };
const logScene = (): Promise<ActivityScene> => Promise.resolve({ log: new MemoryActivityLog(limits) });
const logOptions: ActivityLogContractOptions = { runner, open: logScene, limits };

async function main(): Promise<void> {
  assert.deepEqual(await source.getMigrations(), ['wpf_001_users', 'wpf_002_queue', 'wpf_003_activity']);
  await assert.rejects(open({} as KnexLike), /must be a Knex instance/);
  assert.throws(() => openQueue({} as KnexLike), /must be a Knex instance/);
  assert.throws(() => openLog({} as KnexLike), /must be a Knex instance/);
  // Neither BullMQ nor nodemailer is installed here.
  assert.throws(() => openOnRedis(redis), /npm install bullmq ioredis/);
  assert.throws(() => mountAdmin({} as WpFusionWebhook), /must be what wpFusionWebhook/);
  const user: PublicUser = {
    ...{ id: '1', contactId: '7', email: 'mary@example.com', username: 'mary', role: 'subscriber' },
    ...{ tags: [], meta: {} },
  };
  await new SmtpNotifier(mail).sendWelcome({ user });
  const to: Mailbox | undefined = sent[0]?.to;
  assert.equal(to?.address, 'mary@example.com');
  // nodemailer is only needed for a transport that is to be made.
  assert.throws(() => new SmtpNotifier({ ...mail, transport: smtp }), /npm install nodemailer/);
  userRepositoryContract(repositoryOptions);
  assert.ok(names.length > 50);
  const before = names.length;
  crmClientContract(crmOptions({} as CrmClient));
  assert.equal(budgetOf({} as CrmClient), undefined);
  assert.ok(names.length > before);
  const beforeQueue = names.length;
  webhookQueueContract(queueOptions({ queue: {} as QueueScene['queue'] }));
  assert.ok(names.length > beforeQueue + 100);
  assert.deepEqual(await counts(new MemoryActivityLog()), []);
  const beforeLog = names.length;
  activityLogContract(logOptions);
  assert.ok(names.length > beforeLog + 30);
}

// A failure is an unhandled rejection, which ends the process.
void main();
