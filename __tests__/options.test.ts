// Every option, wrong in every way: the error names the option and what to write instead, and quotes no secret.
import {
  BcryptHasher,
  ConfigurationError,
  MemoryActivityLog,
  MemoryUserRepository,
  wpFusionWebhook,
} from '../lib';
import type { CrmClient, Logger, WpFusionWebhookOptions } from '../lib';
import { consoleLogger, silentLogger } from '../lib/logger';
import { resolveOptions, type Configuration } from '../lib/options';

const KEY = 'options-key-3f9c27d1a4';
const crm: CrmClient = { getContacts: async () => new Map(), updateContact: async () => undefined };
const users = new MemoryUserRepository();
const required = { accessKey: KEY, crm, users };

/** The options as a host without types may give them. */
type Given = Readonly<Record<string, unknown>>;

const resolve = (given: Given): Configuration => resolveOptions({ ...required, logger: false, ...given });

function errorOf(given: unknown): ConfigurationError {
  try {
    wpFusionWebhook(given as WpFusionWebhookOptions);
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('Nothing was thrown.');
}

const refused = (given: Given): ConfigurationError => errorOf({ ...required, logger: false, ...given });

/** What to give, the option the error names, and what it says. */
type Row = readonly [given: Given, option: string, message: RegExp];

const table = (rows: readonly Row[]): (readonly [string, ...Row])[] =>
  rows.map((row) => [
    JSON.stringify(row[0], (_key, value: unknown) =>
      typeof value === 'function'
        ? '() => …'
        : typeof value === 'bigint' || Number.isNaN(value) || value === Infinity
          ? String(value)
          : value,
    ),
    ...row,
  ]);

const expectRefused = (_name: string, given: Given, option: string, message: RegExp): void => {
  const error = refused(given);
  expect(error.option).toBe(option);
  expect(error.message).toMatch(message);
  expect(error.message.startsWith(`${option}: `)).toBe(true);
  expect(error).toMatchObject({ code: 'INVALID_OPTION', name: 'ConfigurationError', retryable: false });
};

/** As little of a queue as the options look at. */
const queue = Object.fromEntries([
  ['leaseMs', 30_000],
  ...['put', 'take', 'renew', 'finish', 'deadLetters', 'replay', 'purge', 'counts'].map((name) => [
    name,
    () => undefined,
  ]),
]) as Record<string, unknown>;

describe('the options as a whole', () => {
  test.each([undefined, null, 'text', 5, []])('%j instead of an object', (given) => {
    expect(errorOf(given)).toMatchObject({ option: 'options', code: 'INVALID_OPTION' });
  });

  test.each(
    table([
      [{ acessKey: KEY }, 'acessKey', /did you mean "accessKey"\?$/],
      [{ accesskey: KEY }, 'accesskey', /did you mean "accessKey"\?$/],
      [{ feilds: {} }, 'feilds', /did you mean "fields"\?$/],
      [{ Roles: {} }, 'Roles', /did you mean "roles"\?$/],
      [{ linkByMail: 'never' }, 'linkByMail', /did you mean "linkByEmail"\?$/],
      [{ tagAs: 'id' }, 'tagAs', /did you mean "tagsAs"\?$/],
      [{ passwordOnUpdates: true }, 'passwordOnUpdates', /did you mean "passwordOnUpdate"\?$/],
      [{ returnPasword: {} }, 'returnPasword', /did you mean "returnPassword"\?$/],
      [{ hook: {} }, 'hook', /did you mean "hooks"\?$/],
      [{ timeoutMS: 5 }, 'timeoutMS', /did you mean "timeoutMs"\?$/],
      [{ user: {} }, 'user', /did you mean "users"\?$/],
      [{ somethingElseAltogether: 1 }, 'somethingElseAltogether', /is no option\. There are: accessKey, crm/],
      [{ queue: {} }, 'queue', /has no method put\(\)/],
      [{ queue: { ...queue, leaseMs: '30s' } }, 'queue.leaseMs', /whole number from 100/],
      [{ worker: 'yes' }, 'worker', /must be true or false/],
      [{ name: 'x'.repeat(65) }, 'name', /has 65 characters; 64 are the most/],
    ]),
  )('%s', expectRefused);

  test('what is wrong first is told, and construction leaves nothing half done', () => {
    expect(refused({ tagsAs: 'x', name: '' }).option).toBe('name');
  });
});

describe('accessKey', () => {
  test.each(
    table([
      [{ accessKey: undefined }, 'accessKey', /undefined; probably an environment variable is not set/],
      [{ accessKey: [undefined] }, 'accessKey', /undefined; probably an environment variable/],
      [{ accessKey: [KEY, undefined] }, 'accessKey[1]', /undefined; probably an environment variable/],
      [{ accessKey: { key: undefined } }, 'accessKey.key', /undefined; probably an environment variable/],
      [{ accessKey: [KEY, { key: undefined }] }, 'accessKey[1].key', /undefined/],
      [{ accessKey: {} }, 'accessKey.key', /undefined/],
      [{ accessKey: [] }, 'accessKey', /empty list/],
      [{ accessKey: null }, 'accessKey', /must be an object, got null/],
      [{ accessKey: 12345678 }, 'accessKey', /got number/],
      [{ accessKey: [[KEY]] }, 'accessKey', /got an array/],
      [{ accessKey: { key: 12345678 } }, 'accessKey.key', /must be a text, got number/],
      [{ accessKey: '' }, 'accessKey', /has 0 characters; at least 8/],
      [{ accessKey: '1234567' }, 'accessKey', /has 7 characters; at least 8/],
      [{ accessKey: { key: '1234567' } }, 'accessKey.key', /has 7 characters/],
      [{ accessKey: [KEY, 'short'] }, 'accessKey[1]', /has 5 characters/],
      [{ accessKey: ` ${KEY}` }, 'accessKey', /white space/],
      [{ accessKey: `${KEY}\n` }, 'accessKey', /white space/],
      [{ accessKey: [KEY, KEY] }, 'accessKey', /the same key twice/],
      [{ accessKey: [KEY, { key: KEY, name: 'other' }] }, 'accessKey', /the same key twice/],
      [{ accessKey: { key: KEY, name: '' } }, 'accessKey.name', /not empty/],
      [{ accessKey: { key: KEY, name: 5 } }, 'accessKey.name', /got number/],
      [{ accessKey: { key: KEY, inspect: 'yes' } }, 'accessKey.inspect', /true or false, got string/],
      [{ accessKey: { key: KEY, actions: ['ad'] } }, 'accessKey.actions', /did you mean "add"/],
      [{ accessKey: { key: KEY, actions: ['update_tag'] } }, 'accessKey.actions', /mean "update_tags"/],
      [{ accessKey: { key: KEY, actions: ['toString'] } }, 'accessKey.actions', /is no action/],
      [{ accessKey: { key: KEY, inspekt: true } }, 'accessKey.inspekt', /did you mean "inspect"/],
      [{ accessKey: [KEY, { key: `${KEY}2`, action: [] }] }, 'accessKey[1].action', /mean "actions"/],
    ]),
  )('%s', expectRefused);

  test('several keys, their names and what each may do', () => {
    const actions = { Refund: async () => ({ outcome: 'refunded' }) };
    const accessKey = [
      `${KEY}1`,
      { key: `${KEY}2`, name: 'tags', actions: ['Update_Tags', 'REFUND'], inspect: true },
      { key: `${KEY}3`, name: undefined, actions: undefined, inspect: undefined },
    ];
    expect(resolve({ accessKey, actions }).accessKeys).toEqual([
      { key: `${KEY}1`, name: 'key 1', actions: undefined, inspect: false },
      { key: `${KEY}2`, name: 'tags', actions: new Set(['update_tags', 'refund']), inspect: true },
      { key: `${KEY}3`, name: 'key 3', actions: undefined, inspect: false },
    ]);
  });

  test.each([
    ['8 characters', 'abcd1234', 1],
    ['15 characters', 'abcdefgh1234567', 1],
    ['16 characters', 'abcdefgh12345678', 0],
  ])('%s: warned of where it is short, without quoting it', (_name, accessKey, times) => {
    const warn = jest.fn();
    const logger: Logger = { debug: jest.fn(), info: jest.fn(), warn, error: jest.fn() };
    resolve({ accessKey, logger });
    expect(warn).toHaveBeenCalledTimes(times);
    expect(JSON.stringify(warn.mock.calls)).not.toContain(accessKey);
    if (times > 0)
      expect(warn.mock.calls[0]).toEqual([
        { option: 'accessKey', length: accessKey.length },
        expect.any(String),
      ]);
  });
});

const method = (): undefined => undefined;

describe('the host’s parts', () => {
  test.each(
    table([
      [
        { crm: undefined },
        'crm',
        /is required: an object with getContacts\(\), updateContact\(\); got undefined/,
      ],
      [{ crm: null }, 'crm', /got null/],
      [{ crm: 'ontraport' }, 'crm', /got string/],
      [{ crm: { getContacts: method } }, 'crm', /has no method updateContact\(\)/],
      [{ crm: { ...crm, getContacts: 'x' } }, 'crm', /has no method getContacts\(\)/],
      [
        { crm: { ...crm, contactIdPattern: '^x$' } },
        'crm.contactIdPattern',
        /regular expression, got string/,
      ],
      [
        { crm: { ...crm, contactIdParameters: 'contact[id]' } },
        'crm.contactIdParameters',
        /list of names, got string/,
      ],
      [{ crm: { ...crm, contactIdParameters: ['x', ''] } }, 'crm.contactIdParameters[1]', /./],
      [
        { crm: { ...crm, contactIdParameters: ['email'] } },
        'crm.contactIdParameters[0]',
        /"email" is a parameter with a meaning of its own/,
      ],
      ...['wpf_action', 'access_key', 'role', 'send_notification', 'async', 'dry_run'].map((name): Row => [
        { crm: { ...crm, contactIdParameters: [name] } },
        'crm.contactIdParameters[0]',
        /with a meaning of its own/,
      ]),
      [
        { users: undefined },
        'users',
        /is required: an object with findByContactId\(\), findByEmail\(\), create\(\)/,
      ],
      [{ users: [] }, 'users', /has no method findByContactId\(\)/],
      [
        { users: { findByContactId: method, findByEmail: method, create: method } },
        'users',
        /no method update\(\)/,
      ],
      [{ passwordHasher: null }, 'passwordHasher', /got null/],
      [{ passwordHasher: { hash: method } }, 'passwordHasher', /has no method verify\(\)/],
      [{ notifier: {} }, 'notifier', /has no method sendWelcome\(\)/],
      [{ notifier: () => undefined }, 'notifier', /has no method sendWelcome\(\)/],
      [{ logger: true }, 'logger', /got boolean/],
      [{ logger: null }, 'logger', /got null/],
      [{ logger: { debug: method, info: method, warn: method } }, 'logger', /has no method error\(\)/],
      [{ hooks: null }, 'hooks', /must be an object, got null/],
      [{ hooks: [] }, 'hooks', /got an array/],
      [{ hooks: { beforeCreate: true } }, 'hooks.beforeCreate', /must be a function, got boolean/],
      [{ hooks: { afterUpdate: null } }, 'hooks.afterUpdate', /must be a function, got null/],
      [{ hooks: { beforeCreated: method } }, 'hooks.beforeCreated', /did you mean "beforeCreate"/],
      [{ hooks: { beforeTagChange: method } }, 'hooks.beforeTagChange', /did you mean "beforeTagsChange"/],
      [{ actions: null }, 'actions', /must be an object, got null/],
      [{ actions: { greet: 'hello' } }, 'actions.greet', /must be a function, got string/],
      [{ actions: { ADD: method } }, 'actions.ADD', /is built in/],
      [{ actions: { test: method } }, 'actions.test', /is built in/],
      [{ actions: { greet: method, Greet: method } }, 'actions.Greet', /only in case/],
      [{ actions: { '': method } }, 'actions', /is no name for an action/],
      [{ actions: { 'a b': method } }, 'actions', /is no name for an action/],
      [{ actions: { grüßen: method } }, 'actions', /is no name for an action/],
      [{ actions: { ['x'.repeat(65)]: method } }, 'actions', /is no name for an action/],
    ]),
  )('%s', expectRefused);

  test('a pattern that remembers where it was does not remember it here', () => {
    const { contactIdPattern } = resolve({ crm: { ...crm, contactIdPattern: /^\d+$/gy } });
    expect([contactIdPattern.test('1'), contactIdPattern.test('1')]).toEqual([true, true]);
  });

  test('a client may name where its CRM’s webhooks carry the contact id', () => {
    const contactIdParameters = ['contact[id]', 'objectId'];
    expect(resolve({ crm: { ...crm, contactIdParameters } }).contactIdParameters).toEqual(
      contactIdParameters,
    );
  });
});

describe('fields', () => {
  test.each(
    table([
      [{ fields: null }, 'fields', /must be an object, got null/],
      [{ fields: ['company'] }, 'fields', /got an array/],
      [{ fields: { plan: 5 } }, 'fields.plan', /got number/],
      [{ fields: { plan: null } }, 'fields.plan', /got null/],
      [{ fields: { plan: '' } }, 'fields.plan.from', /not empty, got an empty one/],
      [{ fields: { plan: '  ' } }, 'fields.plan.from', /not empty/],
      [{ fields: { plan: {} } }, 'fields.plan.from', /got undefined/],
      [{ fields: { plan: { from: 7 } } }, 'fields.plan.from', /got number/],
      [{ fields: { plan: { form: 'f2' } } }, 'fields.plan.form', /did you mean "from"/],
      [{ fields: { plan: { from: 'f2', transfrom: method } } }, 'fields.plan.transfrom', /mean "transform"/],
      [
        { fields: { plan: { from: 'f2', blank: 'erase' } } },
        'fields.plan.blank',
        /"keep", "clear"; got "erase"/,
      ],
      [{ fields: { plan: { from: 'f2', blank: true } } }, 'fields.plan.blank', /got boolean/],
      [{ fields: { plan: { from: 'f2', raw: 1 } } }, 'fields.plan.raw', /true or false/],
      [
        { fields: { plan: { from: 'f2', transform: 'upper' } } },
        'fields.plan.transform',
        /must be a function/,
      ],
      [{ fields: { '': 'f2' } }, 'fields', /"" cannot be a local name/],
      [{ fields: JSON.parse('{"__proto__":"f2"}') }, 'fields', /"__proto__" cannot be a local name/],
      ...['email', 'username', 'password', 'role'].map((name): Row => [
        { fields: { [name]: { from: 'f9', blank: 'clear' } } },
        `fields.${name}.blank`,
        new RegExp(`cannot be without ${name}`),
      ]),
      [{ fields: { password: 'f7', hint: 'f7' } }, 'fields.hint', /"f7" is the password's field/],
      [{ fields: { hint: { from: 'f7' }, password: { from: 'f7' } } }, 'fields.hint', /stored in clear/],
      [{ fields: { email: false } }, 'fields.email', /a user needs an email/],
      [{ fields: { password: 'email' } }, 'fields.email', /"email" is the password's field/],
      [{ fields: { password: 'f7', username: 'f7' } }, 'fields.username', /password's field/],
    ]),
  )('%s', expectRefused);

  test('false takes a default away, but not the email', () => {
    const { fields } = resolve({ fields: { lastName: false, plan: false } });
    expect([...fields.keys()]).toEqual(['email', 'firstName']);
  });

  test('stand above the defaults; undefined takes none away', () => {
    const transform = (): string => 'x';
    const { fields } = resolve({
      fields: {
        email: undefined,
        firstName: 'f9',
        plan: { from: 'f2', blank: 'clear', raw: true, transform },
      },
    });
    expect([...fields]).toEqual([
      ['email', { from: 'email' }],
      ['firstName', { from: 'f9' }],
      ['lastName', { from: 'lastname' }],
      ['plan', { from: 'f2', blank: 'clear', raw: true, transform }],
    ]);
  });
});

describe('roles', () => {
  test.each(
    table([
      [{ roles: null }, 'roles', /got null/],
      [{ roles: ['subscriber'] }, 'roles', /got an array/],
      [{ roles: { assignable: 'subscriber' } }, 'roles.assignable', /array of texts, got string/],
      [{ roles: { assignable: ['a', 5] } }, 'roles.assignable[1]', /got number/],
      [{ roles: { assignable: [''] } }, 'roles.assignable[0]', /not empty/],
      [{ roles: { default: '' } }, 'roles.default', /not empty/],
      [{ roles: { default: null } }, 'roles.default', /got null/],
      [{ roles: { protected: 'administrator' } }, 'roles.protected', /array of texts, got string/],
      [{ roles: { protected: [null] } }, 'roles.protected[0]', /got null/],
      [{ roles: { assignible: [] } }, 'roles.assignible', /did you mean "assignable"/],
      [{ roles: { protect: [] } }, 'roles.protect', /did you mean "protected"/],
    ]),
  )('%s', expectRefused);
});

describe('choices, switches and numbers', () => {
  test.each(
    table([
      [{ name: '' }, 'name', /not empty, got an empty one/],
      [{ name: null }, 'name', /got null/],
      [{ linkByEmail: true }, 'linkByEmail', /"always", "unprotected", "never"; got boolean/],
      [{ linkByEmail: 'Always' }, 'linkByEmail', /got "Always"/],
      [{ linkByEmail: 'toString' }, 'linkByEmail', /got "toString"/],
      [{ username: 'login' }, 'username', /"email", "firstlast" or a function of the contact; got "login"/],
      [{ username: 5 }, 'username', /got number/],
      [{ tagsAs: 'ids' }, 'tagsAs', /"name", "id"; got "ids"/],
      [{ passwordOnUpdate: 'true' }, 'passwordOnUpdate', /true or false, got string/],
      [{ passwordOnUpdate: 1 }, 'passwordOnUpdate', /got number/],
      [{ timeoutMs: 0 }, 'timeoutMs', /whole number from 1 to 2147483647, got 0/],
      [{ timeoutMs: -5 }, 'timeoutMs', /got -5/],
      [{ timeoutMs: 1.5 }, 'timeoutMs', /got 1\.5/],
      [{ timeoutMs: '25000' }, 'timeoutMs', /whole number/],
      [{ timeoutMs: NaN }, 'timeoutMs', /whole number/],
      [{ timeoutMs: Infinity }, 'timeoutMs', /whole number/],
      [{ timeoutMs: 2 ** 31 }, 'timeoutMs', /whole number/],
      [{ bodyLimit: 0 }, 'bodyLimit', /whole number from 1/],
      [{ bodyLimit: -1 }, 'bodyLimit', /whole number/],
      [{ bodyLimit: 10.5 }, 'bodyLimit', /whole number/],
      [{ bodyLimit: NaN }, 'bodyLimit', /whole number/],
      [{ bodyLimit: '' }, 'bodyLimit', /'100kb'/],
      [{ bodyLimit: '100 gb' }, 'bodyLimit', /'100kb', got "100 gb"/],
      [{ bodyLimit: '-1kb' }, 'bodyLimit', /'100kb'/],
      [{ bodyLimit: '0.1b' }, 'bodyLimit', /whole number from 1/],
    ]),
  )('%s', expectRefused);

  test.each([
    [1, 1],
    [100_000, 100_000],
    ['512', 512],
    ['512b', 512],
    ['100kb', 102_400],
    [' 1.5 MB ', 1_572_864],
    ['1Kb', 1024],
  ])('bodyLimit %j is %i bytes', (given, bytes) => {
    expect(resolve({ bodyLimit: given }).bodyLimit).toBe(bytes);
  });
});

describe('returnPassword', () => {
  const fields = { plan: 'f2', password: 'f7', username: 'f8' };
  test.each(
    table([
      [{ returnPassword: null }, 'returnPassword', /got null/],
      [{ returnPassword: 'f1' }, 'returnPassword', /must be an object, got string/],
      [{ returnPassword: {} }, 'returnPassword.field', /got undefined/],
      [{ returnPassword: { field: '' } }, 'returnPassword.field', /not empty/],
      [{ returnPassword: { field: ' ' } }, 'returnPassword.field', /not empty/],
      [{ returnPassword: { feild: 'f1' } }, 'returnPassword.feild', /did you mean "field"/],
      [{ returnPassword: { field: 'f1', userField: 'f5' } }, 'returnPassword.userField', /is no option/],
      [{ returnPassword: { field: 'f1', usernameField: '' } }, 'returnPassword.usernameField', /not empty/],
      [
        { returnPassword: { field: 'f1', usernameField: 'f1' } },
        'returnPassword.usernameField',
        /same field/,
      ],
      [
        { fields, returnPassword: { field: 'f7' } },
        'returnPassword.field',
        /also the mapped password's field/,
      ],
      [
        { fields, returnPassword: { field: 'f2' } },
        'returnPassword.field',
        /also mapped to "plan".*in clear/,
      ],
      [{ fields, returnPassword: { field: 'f8' } }, 'returnPassword.field', /also mapped to "username"/],
      [{ returnPassword: { field: 'email' } }, 'returnPassword.field', /also mapped to "email"/],
      [{ returnPassword: { field: 'firstname' } }, 'returnPassword.field', /also mapped to "firstName"/],
      [
        { fields: { plan: { from: 'f2', raw: true } }, returnPassword: { field: 'f2' } },
        'returnPassword.field',
        /also mapped to "plan"/,
      ],
    ]),
  )('%s', expectRefused);

  test('the username may go to the field that username is mapped to', () => {
    const returnPassword = { field: 'f1', usernameField: 'f8' };
    expect(resolve({ fields, returnPassword }).returnPassword).toEqual(returnPassword);
    expect(resolve({ returnPassword: { field: 'f1', usernameField: undefined } }).returnPassword).toEqual({
      field: 'f1',
    });
  });
});

describe('defaults', () => {
  const DEFAULTS = {
    accessKeys: [{ key: KEY, name: 'key 1', actions: undefined, inspect: false }],
    crm,
    users,
    contactIdPattern: /^[A-Za-z0-9_-]{1,64}$/,
    contactIdParameters: [],
    name: 'default',
    fields: new Map([
      ['email', { from: 'email' }],
      ['firstName', { from: 'firstname' }],
      ['lastName', { from: 'lastname' }],
    ]),
    linkByEmail: 'unprotected',
    username: 'email',
    tagsAs: 'name',
    passwordOnUpdate: false,
    returnPassword: undefined,
    notifier: undefined,
    hooks: {},
    actions: new Map(),
    timeoutMs: 25_000,
    bodyLimit: 102_400,
    queue: undefined,
    worker: true,
    failPoint: undefined,
    workerTiming: {},
  };

  const expectDefaults = (configuration: Configuration): void => {
    const { roles, passwordHasher, logger, activityLog, ...others } = configuration;
    expect(others).toEqual(DEFAULTS);
    expect(passwordHasher).toBeInstanceOf(BcryptHasher);
    expect(logger).toBe(consoleLogger);
    expect(activityLog).toBeInstanceOf(MemoryActivityLog);
    expect(roles.defaultRole).toBe('subscriber');
    expect(['subscriber', 'customer', 'administrator'].map((role) => roles.match(role))).toEqual([
      'subscriber',
      undefined,
      undefined,
    ]);
  };

  test('where nothing is given', () => expectDefaults(resolveOptions(required)));

  test('undefined equals not given, for every option and every part of one', () => {
    const given: Record<string, unknown> = { ...required };
    for (const name of [
      ...['name', 'fields', 'roles', 'linkByEmail', 'username', 'tagsAs', 'passwordHasher', 'notifier'],
      ...['passwordOnUpdate', 'returnPassword', 'hooks', 'logger', 'actions', 'timeoutMs', 'bodyLimit'],
    ]) {
      given[name] = undefined;
    }
    expectDefaults(resolveOptions(given as unknown as WpFusionWebhookOptions));
    expectDefaults(
      resolveOptions({
        ...required,
        accessKey: { key: KEY, name: undefined, actions: undefined, inspect: undefined },
        fields: { email: undefined, firstName: undefined } as never,
        roles: { assignable: undefined, default: undefined, protected: undefined },
        actions: { greet: undefined } as never,
      }),
    );
    expect(Object.values(resolve({ hooks: { beforeCreate: undefined } }).hooks)).toEqual([undefined]);
  });

  test('logger: false is silence', () => expect(resolve({ logger: false }).logger).toBe(silentLogger));

  test('the default role is assignable, whatever the list says', () => {
    const { roles } = resolve({ roles: { assignable: [], default: 'Member' } });
    expect([roles.match('MEMBER'), roles.match('subscriber')]).toEqual(['Member', undefined]);
  });
});

test('the configuration is frozen, and what the host changes of its lists afterwards has no effect', () => {
  const assignable = ['subscriber'];
  const fields: Record<string, string> = { plan: 'f2' };
  const accessKey = [KEY];
  const configuration = resolve({ roles: { assignable }, fields, accessKey });
  expect(Object.isFrozen(configuration)).toBe(true);
  expect(() => {
    (configuration as { linkByEmail: string }).linkByEmail = 'always';
  }).toThrow(TypeError);
  assignable.push('administrator');
  fields.plan = 'f3';
  accessKey.push('another-key-of-somebody');
  expect(configuration.roles.match('administrator')).toBeUndefined();
  expect(configuration.fields.get('plan')).toEqual({ from: 'f2' });
  expect(configuration.accessKeys).toHaveLength(1);
});

test('no message quotes a key, wherever the mistake is', () => {
  const secret = 'Sup3r-secret-key';
  for (const accessKey of [
    ` ${secret}`,
    secret.slice(0, 7),
    [secret, secret],
    { key: secret, name: '' },
    { key: secret, inspect: 'x' },
    { key: secret, actions: ['x'] },
    { key: secret, other: 1 },
    [secret, undefined],
    { key: { key: secret } },
  ]) {
    const error = refused({ accessKey });
    expect(error.message).not.toContain(secret.slice(0, 7));
    expect(error.option).not.toContain(secret.slice(0, 7));
  }
  expect(refused({ accessKey: secret, tagsAs: 'x' }).message).not.toContain(secret);
});

// What a host without types can write.
describe('without types', () => {
  test.each(
    table([
      // A TypeError of JavaScript's own instead of an error that names the option.
      [{ bodyLimit: true }, 'bodyLimit', /./],
      [{ bodyLimit: {} }, 'bodyLimit', /./],
      [{ timeoutMs: 25n }, 'timeoutMs', /./],
      [{ accessKey: { key: KEY, actions: 'add' } }, 'accessKey.actions', /./],
      [{ accessKey: { key: KEY, actions: [5] } }, 'accessKey.actions[0]', /./],
      // null is no value of any of these, and is taken for "not given".
      ...['bodyLimit', 'timeoutMs', 'linkByEmail', 'tagsAs', 'username', 'passwordOnUpdate'].map(
        (name): Row => [{ [name]: null }, name, /got null/],
      ),
      [{ roles: { assignable: null } }, 'roles.assignable', /got null/],
      [{ accessKey: { key: KEY, inspect: null } }, 'accessKey.inspect', /got null/],
      [{ crm: { ...crm, contactIdPattern: null } }, 'crm.contactIdPattern', /got null/],
      // The username, which is the email by default, would come back as a password that somebody chose.
      [
        { fields: { password: 'f7' }, returnPassword: { field: 'f1', usernameField: 'f7' } },
        'returnPassword.usernameField',
        /./,
      ],
      // Would overwrite what a person typed into the contact, and come back as the user's email.
      [{ returnPassword: { field: 'f1', usernameField: 'email' } }, 'returnPassword.usernameField', /./],
    ]),
  )('%s', expectRefused);
});
