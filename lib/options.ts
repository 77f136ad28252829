// The options of wpFusionWebhook() become one resolved, frozen configuration. Everything that can be wrong is found here.
import type { ActivityLog } from './activity/activity-log';
import { MemoryActivityLog } from './activity/memory-activity-log';
import { inspect } from 'node:util';
import type { Contact, CrmClient } from './crm/client';
import { ConfigurationError } from './errors';
import type { Hooks, Notifier } from './events';
import { consoleLogger, guardLogger, silentLogger, type Logger } from './logger';
import type { WebhookQueue } from './queue/queue';
import { BUILT_IN_ACTIONS } from './queue/webhook';
import { refuseUnknownOptions, suggestion } from './unknown-options';
import type { FieldMap, FieldSpec } from './users/field-map';
import { BcryptHasher, type PasswordHasher } from './users/password-hasher';
import type { PublicUser, User, UserRepository } from './users/repository';
import { RolePolicy } from './users/role-policy';
import type { UsernameRule } from './users/username';
import { isTakenParameter } from './webhook/parse';

/**
 * What a webhook has to know to be let in. A text is the key alone.
 *
 * @example
 * const accessKey: AccessKey[] = [
 *   { key: process.env.WPF_ACCESS_KEY, name: 'automations', actions: ['add', 'update', 'update_tags'] },
 *   { key: process.env.WPF_ACCESS_KEY_STAFF, name: 'staff', inspect: true },
 * ];
 */
export type AccessKey =
  | string
  | {
      readonly key: string | undefined;
      /** Names the key in events and logs, where the key itself never stands. Default: `key 1`, `key 2`, … */
      readonly name?: string | undefined;
      /** The actions this key may ask for. Default: all. */
      readonly actions?: readonly string[] | undefined;
      /** Whether dry runs and pages show this key's holder the values of contacts and users. Default: `false`. */
      readonly inspect?: boolean | undefined;
    };

/** What the host's own action gets. {@link ActionHandler} shows it at work. */
export interface ActionContext {
  /** The contact the request names, or `null`. While the action runs it has this contact's turn. */
  readonly contactId: string | null;
  /** Every parameter of the request, as text, without the access key. */
  readonly params: Readonly<Record<string, string>>;
  /** Reads the contact. Throws `CONTACT_NOT_FOUND`, and `INVALID_REQUEST` where the request names none. */
  contact(): Promise<Contact>;
  /** The user linked to the contact, or `null`. */
  user(): Promise<User | null>;
  /** The repository of the option `users`. */
  readonly users: UserRepository;
  /** The logger of the option `logger`. */
  readonly logger: Logger;
  /** Aborted when the time for the request is up or the middleware closes. */
  readonly signal: AbortSignal;
}

/**
 * A `wpf_action` of the host's own. `outcome` becomes the answer's. An error with one of our codes is answered with it.
 *
 * @example
 * const greet: ActionHandler = async ({ contact, user, logger }) => {
 *   const { fields } = await contact();
 *   const known = (await user()) !== null;
 *   logger.info({ known }, `Hello ${String(fields.firstname)}`);
 *   return { outcome: known ? 'greeted' : 'unknown' };
 * };
 * const webhook = wpFusionWebhook({ ...options, actions: { greet } });
 */
export type ActionHandler = (context: ActionContext) => Promise<{ outcome: string }>;

/** The options of {@link wpFusionWebhook}. `undefined` equals not given. [docs/options.md](../docs/options.md) tells each at length. */
export interface WpFusionWebhookOptions {
  /** The key or keys that let a webhook in; several make a rotation. At least 8 characters each, better 16 and more. */
  readonly accessKey: AccessKey | readonly (AccessKey | undefined)[] | undefined;
  /** The CRM that is asked for contacts. */
  readonly crm: CrmClient;
  /** The site's users. */
  readonly users: UserRepository;
  /** Tells several middlewares of one host apart. Default: `'default'`. */
  readonly name?: string | undefined;
  /**
   * Which field of a contact fills what of a user. Stands above the default: email, firstName, lastName; `false` takes one of
   * those away.
   */
  readonly fields?: Readonly<Record<string, string | FieldSpec | false>> | undefined;
  /** The roles a webhook may give, the role of a new user, and who is out of reach. */
  readonly roles?:
    | {
        /** Default: `['subscriber']`. */
        readonly assignable?: readonly string[] | undefined;
        /** Always assignable. Default: `'subscriber'`. */
        readonly default?: string | undefined;
        /** Protected beside those whose role is not assignable: roles, or a test of the user. */
        readonly protected?: readonly string[] | ((user: PublicUser) => boolean) | undefined;
      }
    | undefined;
  /** Whether a user without a contact is linked by its email. Default: `'unprotected'`. */
  readonly linkByEmail?: 'always' | 'unprotected' | 'never' | undefined;
  /** How usernames are made. Default: `'email'`. */
  readonly username?: UsernameRule | undefined;
  /** Whether `user.tags` holds the names of tags or their ids. Default: `'name'`. */
  readonly tagsAs?: 'name' | 'id' | undefined;
  /** Default: {@link BcryptHasher}. */
  readonly passwordHasher?: PasswordHasher | undefined;
  /** Whether a mapped password also counts after creation. Default: `false`. */
  readonly passwordOnUpdate?: boolean | undefined;
  /** The contact's field that a generated password is saved to, and one for the username. Default: off. */
  readonly returnPassword?:
    { readonly field: string; readonly usernameField?: string | undefined } | undefined;
  /** Sends the welcome mail that `send_notification` asks for. */
  readonly notifier?: Notifier | undefined;
  /** The host's own code within the processing. */
  readonly hooks?: Hooks | undefined;
  /** Stores webhooks before they are acknowledged with 202. Default: none, they are processed inside the request. */
  readonly queue?: WebhookQueue | undefined;
  /** Whether this process also works the queue off. Default: `true`. */
  readonly worker?: boolean | undefined;
  /** Keeps what became of each webhook. Default: the last 1000, in memory. `false`: nothing. */
  readonly activityLog?: ActivityLog | false | undefined;
  /** Default: warnings and errors to the console. `false`: nothing. */
  readonly logger?: Logger | false | undefined;
  /** The host's own values of `wpf_action`. */
  readonly actions?: Readonly<Record<string, ActionHandler>> | undefined;
  /** How long a webhook may be processed inside its request, in milliseconds. Default: 25,000. */
  readonly timeoutMs?: number | undefined;
  /** The largest request body, in bytes or as `'100kb'`. Default: 100 kB. */
  readonly bodyLimit?: number | string | undefined;
}

/** One access key, resolved. */
export interface ResolvedKey {
  readonly key: string;
  readonly name: string;
  readonly actions: ReadonlySet<string> | undefined;
  readonly inspect: boolean;
}

/** The resolved options: complete, checked, frozen. */
export interface Configuration {
  readonly accessKeys: readonly ResolvedKey[];
  readonly crm: CrmClient;
  readonly contactIdPattern: RegExp;
  readonly contactIdParameters: readonly string[];
  readonly users: UserRepository;
  readonly name: string;
  readonly fields: FieldMap;
  readonly roles: RolePolicy;
  readonly linkByEmail: 'always' | 'unprotected' | 'never';
  readonly username: UsernameRule;
  readonly tagsAs: 'name' | 'id';
  readonly passwordHasher: PasswordHasher;
  readonly passwordOnUpdate: boolean;
  readonly returnPassword:
    { readonly field: string; readonly usernameField?: string | undefined } | undefined;
  readonly notifier: Notifier | undefined;
  readonly hooks: Hooks;
  readonly queue: WebhookQueue | undefined;
  readonly worker: boolean;
  readonly activityLog: ActivityLog | undefined;
  readonly logger: Logger;
  readonly actions: ReadonlyMap<string, ActionHandler>;
  readonly timeoutMs: number;
  readonly bodyLimit: number;
  /** Tests stop the work at named steps through this. */
  readonly failPoint: ((step: string) => Promise<void>) | undefined;
  readonly workerTiming: WorkerTiming;
}

/** A test's way into the work between two steps; no option of a host. */
export const FAIL_POINT: unique symbol = Symbol.for('wp-fusion-webhook.fail-point') as never;

/** How long the worker waits between two looks at an idle queue, for company in a burst, and first after a CRM that was not to be had. */
export interface WorkerTiming {
  readonly pollMs?: number | undefined;
  readonly gatherMs?: number | undefined;
  readonly pauseMs?: number | undefined;
}

/** A test's shorter waits of the worker; no option of a host. */
export const WORKER_TIMING: unique symbol = Symbol.for('wp-fusion-webhook.worker-timing') as never;

const DEFAULT_FIELDS = { email: 'email', firstName: 'firstname', lastName: 'lastname' };
const DEFAULT_ID_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;
const QUEUE_METHODS = ['put', 'take', 'renew', 'finish', 'deadLetters', 'replay', 'purge', 'counts'] as const;
const OPTION_NAMES: readonly (keyof WpFusionWebhookOptions)[] = [
  'accessKey',
  'crm',
  'users',
  'name',
  'fields',
  'roles',
  'linkByEmail',
  'username',
  'tagsAs',
  'passwordHasher',
  'passwordOnUpdate',
  'returnPassword',
  'notifier',
  'hooks',
  'queue',
  'worker',
  'activityLog',
  'logger',
  'actions',
  'timeoutMs',
  'bodyLimit',
];

/** Checks the options and fills in what was not given. Throws {@link ConfigurationError} for the first thing that is wrong. */
export function resolveOptions(options: WpFusionWebhookOptions): Configuration {
  requireObject('options', options);
  refuseUnknownOptions(options, OPTION_NAMES);

  const logger = resolveLogger(options.logger);
  const crm = requireMethods('crm', options.crm, ['getContacts', 'updateContact']);
  if (crm.maxBatchSize !== undefined) requireInteger('crm.maxBatchSize', crm.maxBatchSize, 1, 100_000);
  const users = requireMethods('users', options.users, [
    'findByContactId',
    'findByEmail',
    'create',
    'update',
  ]);
  const actions = resolveActions(options.actions);
  const fields = resolveFields(options.fields);
  const configuration: Configuration = {
    accessKeys: resolveAccessKeys(options.accessKey, actions, logger),
    crm,
    contactIdPattern: resolveIdPattern(crm),
    contactIdParameters: resolveIdParameters(crm),
    users,
    name: resolveName(options.name),
    fields,
    roles: resolveRoles(options.roles),
    linkByEmail: requireOneOf('linkByEmail', or(options.linkByEmail, 'unprotected'), [
      'always',
      'unprotected',
      'never',
    ]),
    username:
      typeof options.username === 'function'
        ? options.username
        : requireOneOf(
            'username',
            or(options.username, 'email'),
            ['email', 'firstlast'],
            'or a function of the contact',
          ),
    tagsAs: requireOneOf('tagsAs', or(options.tagsAs, 'name'), ['name', 'id']),
    passwordHasher:
      options.passwordHasher === undefined
        ? new BcryptHasher()
        : requireMethods('passwordHasher', options.passwordHasher, ['hash', 'verify']),
    passwordOnUpdate: requireBoolean('passwordOnUpdate', or(options.passwordOnUpdate, false)),
    returnPassword: resolveReturnPassword(options.returnPassword, fields),
    notifier:
      options.notifier === undefined
        ? undefined
        : requireMethods('notifier', options.notifier, ['sendWelcome']),
    hooks: resolveHooks(options.hooks),
    queue: resolveQueue(options.queue),
    worker: requireBoolean('worker', or(options.worker, true)),
    activityLog: resolveActivityLog(options.activityLog),
    logger,
    actions,
    timeoutMs: requireInteger('timeoutMs', or(options.timeoutMs, 25_000), 1, 2_147_483_647),
    bodyLimit: resolveBodyLimit(or(options.bodyLimit, '100kb')),
    failPoint: (options as { [FAIL_POINT]?: Configuration['failPoint'] })[FAIL_POINT],
    workerTiming: (options as { [WORKER_TIMING]?: WorkerTiming })[WORKER_TIMING] ?? {},
  };
  return Object.freeze(configuration);
}

/** Queues and logs are told apart by it; it stands in a column of 64 characters. */
function resolveName(given: string | undefined): string {
  if (given === undefined) return 'default';
  const name = requireText('name', given);
  if (name.length > 64) refuse('name', `has ${name.length} characters; 64 are the most`);
  return name;
}

function resolveLogger(logger: WpFusionWebhookOptions['logger']): Logger {
  if (logger === undefined) return consoleLogger;
  if (logger === false) return silentLogger;
  return guardLogger(requireMethods('logger', logger, ['debug', 'info', 'warn', 'error']));
}

function resolveAccessKeys(
  given: WpFusionWebhookOptions['accessKey'],
  actions: ReadonlyMap<string, ActionHandler>,
  logger: Logger,
): ResolvedKey[] {
  const list = (Array.isArray as (value: unknown) => value is readonly (AccessKey | undefined)[])(given)
    ? given
    : [given];
  if (list.length === 0) refuse('accessKey', 'is an empty list; give at least one key');
  const knownActions = [...BUILT_IN_ACTIONS, ...actions.keys()];
  const keys = list.map((entry, index): ResolvedKey => {
    const path = list.length === 1 ? 'accessKey' : `accessKey[${index}]`;
    if (entry === undefined) refuse(path, UNSET);
    const settings = typeof entry === 'string' ? { key: entry } : entry;
    requireObject(path, settings);
    refuseUnknownOptions(settings, ['key', 'name', 'actions', 'inspect'], `${path}.`);
    const keyPath = typeof entry === 'string' ? path : `${path}.key`;
    if (settings.key === undefined) refuse(keyPath, UNSET);
    if (typeof settings.key !== 'string') refuse(keyPath, `must be a text, got ${typeName(settings.key)}`);
    const { length } = settings.key;
    if (length < 8)
      refuse(keyPath, `has ${length} characters; at least 8 are needed, 32 random ones are better`);
    if (settings.key.trim() !== settings.key) refuse(keyPath, 'begins or ends with white space');
    if (length < 16)
      logger.warn(
        { option: keyPath, length },
        'This access key is short enough to be guessed; use 16 characters or more.',
      );
    const given =
      settings.actions === undefined ? undefined : requireTexts(`${path}.actions`, settings.actions);
    const allowed = given?.map((action) => {
      const name = action.toLowerCase();
      if (!knownActions.includes(name))
        refuse(`${path}.actions`, `${quote(action)} is no action${suggestion(name, knownActions)}`);
      return name;
    });
    return {
      key: settings.key,
      name: settings.name === undefined ? `key ${index + 1}` : requireText(`${path}.name`, settings.name),
      actions: allowed === undefined ? undefined : new Set(allowed),
      inspect: requireBoolean(`${path}.inspect`, or(settings.inspect, false)),
    };
  });
  if (new Set(keys.map(({ key }) => key)).size < keys.length) refuse('accessKey', 'holds the same key twice');
  return keys;
}

function resolveIdPattern(crm: CrmClient): RegExp {
  const pattern = or(crm.contactIdPattern, DEFAULT_ID_PATTERN);
  if (!(pattern instanceof RegExp))
    refuse('crm.contactIdPattern', `must be a regular expression, got ${typeName(pattern)}`);
  // Without the flags that make a pattern remember where it was.
  return new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''));
}

function resolveIdParameters(crm: CrmClient): readonly string[] {
  const names = or(crm.contactIdParameters, []);
  if (!Array.isArray(names))
    refuse('crm.contactIdParameters', `must be a list of names, got ${typeName(names)}`);
  return (names as readonly unknown[]).map((name, index) => {
    const text = requireText(`crm.contactIdParameters[${index}]`, name);
    if (isTakenParameter(text))
      refuse(`crm.contactIdParameters[${index}]`, `${quote(text)} is a parameter with a meaning of its own`);
    return text;
  });
}

function resolveFields(given: WpFusionWebhookOptions['fields']): FieldMap {
  if (given !== undefined) requireObject('fields', given);
  const map = new Map<string, FieldSpec>();
  const entries: Record<string, string | FieldSpec | false> = {
    ...DEFAULT_FIELDS,
    ...withoutUndefined(given ?? {}),
  };
  for (const [name, value] of Object.entries(entries)) {
    const path = `fields.${name}`;
    if (name === '' || name === '__proto__') refuse('fields', `${quote(name)} cannot be a local name`);
    if (value === false) {
      if (name === 'email') refuse(path, 'cannot be taken away: a user needs an email');
      continue;
    }
    const spec: FieldSpec = typeof value === 'string' ? { from: value } : value;
    requireObject(path, spec);
    refuseUnknownOptions(spec, ['from', 'blank', 'raw', 'transform'], `${path}.`);
    requireText(`${path}.from`, spec.from);
    if (spec.blank !== undefined) requireOneOf(`${path}.blank`, spec.blank, ['keep', 'clear']);
    if (spec.raw !== undefined) requireBoolean(`${path}.raw`, spec.raw);
    if (spec.transform !== undefined && typeof spec.transform !== 'function') {
      refuse(`${path}.transform`, `must be a function, got ${typeName(spec.transform)}`);
    }
    if (spec.blank === 'clear' && ['email', 'username', 'password', 'role'].includes(name)) {
      refuse(`${path}.blank`, `a user cannot be without ${name}; only fields of user.meta can be cleared`);
    }
    map.set(name, spec);
  }
  const password = map.get('password')?.from;
  for (const [name, spec] of map) {
    if (name !== 'password' && spec.from === password) {
      refuse(`fields.${name}`, `${quote(spec.from)} is the password's field; it would be stored in clear`);
    }
  }
  return map;
}

function resolveRoles(given: WpFusionWebhookOptions['roles'] = {}): RolePolicy {
  requireObject('roles', given);
  refuseUnknownOptions(given, ['assignable', 'default', 'protected'], 'roles.');
  const assignable = requireTexts('roles.assignable', or(given.assignable, ['subscriber']));
  if (given.protected !== undefined && typeof given.protected !== 'function') {
    requireTexts('roles.protected', given.protected);
  }
  return new RolePolicy(
    assignable,
    given.default === undefined ? 'subscriber' : requireText('roles.default', given.default),
    given.protected,
  );
}

function resolveReturnPassword(
  given: WpFusionWebhookOptions['returnPassword'],
  fields: FieldMap,
): Configuration['returnPassword'] {
  if (given === undefined) return undefined;
  requireObject('returnPassword', given);
  refuseUnknownOptions(given, ['field', 'usernameField'], 'returnPassword.');
  const field = requireText('returnPassword.field', given.field);
  for (const [name, spec] of fields) {
    if (spec.from !== field) continue;
    refuse(
      'returnPassword.field',
      name === 'password'
        ? `${quote(field)} is also the mapped password's field (fields.password): a password we write would come back as one that was chosen`
        : `${quote(field)} is also mapped to ${quote(name)}: the password would be stored in clear`,
    );
  }
  if (given.usernameField === undefined) return { field };
  const usernameField = requireText('returnPassword.usernameField', given.usernameField);
  for (const [name, spec] of fields) {
    if (spec.from === usernameField && name !== 'username') {
      refuse(
        'returnPassword.usernameField',
        `${quote(usernameField)} is mapped to ${quote(name)}; only the field of fields.username may be both`,
      );
    }
  }
  if (usernameField === field) refuse('returnPassword.usernameField', 'is the same field as the password’s');
  return { field, usernameField };
}

function resolveHooks(given: Hooks = {}): Hooks {
  requireObject('hooks', given);
  const names = ['beforeCreate', 'beforeUpdate', 'beforeTagsChange', 'afterCreate', 'afterUpdate'] as const;
  refuseUnknownOptions(given, names, 'hooks.');
  for (const [name, hook] of Object.entries(given) as [string, unknown][]) {
    if (hook !== undefined && typeof hook !== 'function') {
      refuse(`hooks.${name}`, `must be a function, got ${typeName(hook)}`);
    }
  }
  return given;
}

function resolveQueue(given: WebhookQueue | undefined): WebhookQueue | undefined {
  if (given === undefined) return undefined;
  const queue = requireMethods('queue', given, QUEUE_METHODS);
  requireInteger('queue.leaseMs', queue.leaseMs, 100, 3_600_000);
  return queue;
}

function resolveActivityLog(given: ActivityLog | false | undefined): ActivityLog | undefined {
  if (given === false) return undefined;
  return requireMethods('activityLog', given ?? new MemoryActivityLog(), [
    'write',
    'list',
    'counts',
    'get',
    'forget',
  ]);
}

function resolveActions(given: WpFusionWebhookOptions['actions'] = {}): ReadonlyMap<string, ActionHandler> {
  requireObject('actions', given);
  const actions = new Map<string, ActionHandler>();
  for (const [name, handler] of Object.entries(withoutUndefined(given))) {
    const key = name.toLowerCase();
    if (!/^[a-z0-9][a-z0-9_.-]{0,63}$/.test(key))
      refuse('actions', `${quote(name)} is no name for an action`);
    if ((BUILT_IN_ACTIONS as readonly string[]).includes(key))
      refuse(`actions.${name}`, 'is built in; choose another name');
    if (actions.has(key)) refuse(`actions.${name}`, 'differs from another action only in case');
    if (typeof handler !== 'function')
      refuse(`actions.${name}`, `must be a function, got ${typeName(handler)}`);
    actions.set(key, handler);
  }
  return actions;
}

function resolveBodyLimit(given: number | string): number {
  if (typeof given !== 'string') return requireInteger('bodyLimit', given, 1, Number.MAX_SAFE_INTEGER);
  const match = /^(\d+(?:\.\d+)?)\s*(b|kb|mb)?$/i.exec(given.trim());
  if (match === null)
    return refuse('bodyLimit', `must be a number of bytes or a text such as '100kb', got ${quote(given)}`);
  const unit = { b: 1, kb: 1024, mb: 1024 * 1024 }[(match[2] ?? 'b').toLowerCase()] ?? 1;
  return requireInteger('bodyLimit', Math.floor(Number(match[1]) * unit), 1, Number.MAX_SAFE_INTEGER);
}

// The checks. Each names the option as a path, and never quotes a value that may be a secret.

const UNSET = 'is undefined; probably an environment variable is not set';

function refuse(option: string, message: string): never {
  throw new ConfigurationError(option, `${message}.`);
}

const quote = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value) : inspect(value);

/** The default where nothing is given. `null` is something, and wrong. */
const or = <Value, Default>(value: Value | undefined, fallback: Default): Value | Default =>
  value === undefined ? fallback : value;

const typeName = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;

const withoutUndefined = <Value>(
  record: Readonly<Record<string, Value>>,
): Record<string, NonNullable<Value>> =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Record<
    string,
    NonNullable<Value>
  >;

function requireObject(option: string, value: unknown): asserts value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse(option, `must be an object, got ${typeName(value)}`);
  }
}

function requireMethods<Value>(
  option: string,
  value: Value | undefined,
  methods: readonly (keyof Value & string)[],
): Value {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
    refuse(
      option,
      `is required: an object with ${methods.map((method) => `${method}()`).join(', ')}; got ${typeName(value)}`,
    );
  }
  for (const method of methods) {
    if (typeof (value as Record<string, unknown>)[method] !== 'function')
      refuse(option, `has no method ${method}()`);
  }
  return value;
}

function requireText(option: string, value: unknown): string {
  if (typeof value !== 'string' || value.trim() === '') {
    return refuse(
      option,
      `must be a text that is not empty, got ${value === '' ? 'an empty one' : typeName(value)}`,
    );
  }
  return value;
}

function requireTexts(option: string, value: unknown): readonly string[] {
  if (!Array.isArray(value)) return refuse(option, `must be an array of texts, got ${typeName(value)}`);
  return value.map((item, index) => requireText(`${option}[${index}]`, item));
}

function requireOneOf<const Choice extends string>(
  option: string,
  value: unknown,
  choices: readonly Choice[],
  or = '',
): Choice {
  if (!(choices as readonly unknown[]).includes(value)) {
    refuse(
      option,
      `must be ${choices.map(quote).join(', ')}${or === '' ? '' : ` ${or}`}; got ${typeof value === 'string' ? quote(value) : typeName(value)}`,
    );
  }
  return value as Choice;
}

function requireBoolean(option: string, value: unknown): boolean {
  if (typeof value !== 'boolean') return refuse(option, `must be true or false, got ${typeName(value)}`);
  return value;
}

function requireInteger(option: string, value: unknown, least: number, most: number): number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
    return refuse(option, `must be a whole number from ${least} to ${most}, got ${quote(value)}`);
  }
  return value as number;
}
