// The contract's tables of requests, each row on every host: Express 4 and 5, every body parser, before ours and after.
import { gzipSync } from 'node:zlib';
import { wpFusionWebhook } from '../../lib';
import { send, type Incoming, type Json } from './client';
import {
  arrivalOf,
  HOST_REFUSED,
  HOSTS,
  onEach,
  PASSED_THROUGH,
  startHost,
  type Host,
  type HostVariant,
  type Started,
} from './hosts';
import { cheapHasher, CountingUsers, MemoryCrm } from './site';

const KEY = 'contract-key-4e1c0a77d2';
const OTHER_KEY = 'another-key-83fa20b19c';
const TAGS_KEY = 'only-for-tags-7710cfe25d';
const KEYS = [KEY, OTHER_KEY, TAGS_KEY];
/** A contact that the CRM has and no user belongs to; and one that the CRM has not either. */
const MARY = '7';
const NOBODY = '55';

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';
const BIG = 'x'.repeat(3000);

const crm = new MemoryCrm();
crm.add(MARY, { email: 'mary@example.com', firstname: 'Mary', lastname: 'Smith' }, ['Customer']);
const users = new CountingUsers();
const webhook = wpFusionWebhook({
  accessKey: [
    { key: KEY, inspect: true },
    { key: OTHER_KEY },
    { key: TAGS_KEY, actions: ['update_tags', 'test'] },
  ],
  crm,
  users,
  roles: { assignable: ['subscriber', 'Customer'] },
  passwordHasher: cheapHasher,
  actions: { Echo: async ({ contactId, params }) => ({ outcome: JSON.stringify({ contactId, params }) }) },
  bodyLimit: 2000,
  logger: false,
});

interface Expected {
  readonly status: number;
  readonly code?: string;
  readonly action?: string;
  readonly contactId?: string;
  readonly outcome?: string;
  readonly reason?: string;
  /** The names in `errors`, in any order. */
  readonly parameters?: readonly string[];
  readonly detail?: RegExp;
  readonly warnings?: readonly string[];
  readonly dryRun?: boolean;
  readonly also?: (json: Json) => void;
}

interface Row {
  readonly name: string;
  readonly method?: string;
  readonly query: string | Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly type?: string;
  readonly expected: Expected | ((host: HostVariant) => Expected);
  /** One of many that differ in a value only: it is held against four hosts instead of all. */
  readonly isVariation?: boolean;
}

// What rows are made of

const formOf = (parameters: Readonly<Record<string, string>>): string =>
  new URLSearchParams(parameters).toString();

/** A request whose parameters stand in the query. */
const get = (name: string, query: Row['query'], expected: Row['expected'], more: Partial<Row> = {}): Row => ({
  name: `${name} (query)`,
  query,
  expected,
  ...more,
});

const form = (
  name: string,
  query: Row['query'],
  body: string | Record<string, string>,
  expected: Row['expected'],
  more: Partial<Row> = {},
): Row => ({
  name: `${name} (form)`,
  query,
  type: FORM,
  body: typeof body === 'string' ? body : formOf(body),
  expected,
  ...more,
});

const json = (
  name: string,
  query: Row['query'],
  body: unknown,
  expected: Row['expected'],
  more: Partial<Row> = {},
): Row => ({
  name: `${name} (JSON)`,
  query,
  type: JSON_TYPE,
  body: typeof body === 'string' ? body : JSON.stringify(body),
  expected,
  ...more,
});

const variations = (rows: readonly Row[]): Row[] => rows.map((row) => ({ ...row, isVariation: true }));

/** The same parameters in the query, in a form and in JSON; action and key stay in the query. */
const everywhere = (
  name: string,
  action: string,
  parameters: Readonly<Record<string, string>>,
  expected: Expected,
): Row[] => {
  const query = { wpf_action: action, access_key: KEY };
  return [
    get(name, { ...query, ...parameters }, expected),
    form(name, query, parameters, expected),
    json(name, query, parameters, expected),
  ];
};

const UPDATE = { wpf_action: 'update', access_key: KEY };
const COMPLETE = { ...UPDATE, contact_id: NOBODY };

const skipped = (contactId = NOBODY, action = 'update'): Expected => ({
  status: 200,
  action,
  contactId,
  outcome: 'skipped',
  reason: 'USER_NOT_FOUND',
  warnings: [],
});
const invalid = (...parameters: string[]): Expected => ({
  status: 400,
  code: 'INVALID_REQUEST',
  parameters,
});
const FORBIDDEN: Expected = { status: 403, code: 'INVALID_ACCESS_KEY' };
const UNKNOWN_ACTION: Expected = { status: 400, code: 'UNKNOWN_ACTION' };
const INVALID_BODY: Expected = { status: 400, code: 'INVALID_BODY' };
const UNSUPPORTED: Expected = { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' };
const TOO_LARGE: Expected = { status: 413, code: 'BODY_TOO_LARGE' };
const NOT_ALLOWED: Expected = { status: 405, code: 'METHOD_NOT_ALLOWED' };
const PASSED: Expected = { status: PASSED_THROUGH };

/** What a parser of the host refuses never gets to us, where that parser stands before ours. */
const unlessHostParses =
  (type: string, expected: Expected) =>
  (host: HostVariant): Expected =>
    arrivalOf(host, type) === 'object' ? { status: HOST_REFUSED } : expected;

/** Where the body matters to what we read ourselves, and not to what a parser of the host has taken. */
const whereWeRead =
  (type: string | undefined, expected: Expected, otherwise: Expected) =>
  (host: HostVariant): Expected =>
    arrivalOf(host, type) === 'stream' ? expected : otherwise;

const values = (json: Json): Record<string, unknown> =>
  Object.fromEntries(json.changes.map(({ field, to }: { field: string; to: unknown }) => [field, to]));

// The rows

const PLACES: Row[] = [
  get('everything', COMPLETE, skipped()),
  get('everything, with POST and an empty body', COMPLETE, skipped(), { method: 'POST' }),
  get('the action alone; the key in X-Access-Key', { wpf_action: 'update', contact_id: NOBODY }, skipped(), {
    headers: { 'X-Access-Key': KEY },
  }),
  form('key and contact', { wpf_action: 'update' }, { access_key: KEY, contact_id: NOBODY }, skipped()),
  json('key and contact', { wpf_action: 'update' }, { access_key: KEY, contact_id: NOBODY }, skipped()),
  form('key', { wpf_action: 'update', contact_id: NOBODY }, { access_key: KEY }, skipped()),
  json('key', { wpf_action: 'update', contact_id: NOBODY }, { access_key: KEY }, skipped()),
  form('the contact; the key in X-Access-Key', { wpf_action: 'update' }, { contact_id: NOBODY }, skipped(), {
    headers: { 'X-Access-Key': KEY },
  }),
  json('the contact; the key as Bearer', { wpf_action: 'update' }, { contact_id: NOBODY }, skipped(), {
    headers: { Authorization: `Bearer ${KEY}` },
  }),
  json('with a charset', UPDATE, { contact_id: NOBODY }, skipped(), {
    type: 'application/json; charset=utf-8',
  }),
  json('with a content type in capitals', UPDATE, { contact_id: NOBODY }, skipped(), {
    type: 'Application/JSON',
  }),
  json('of another JSON type', UPDATE, { contact_id: NOBODY }, skipped(), {
    type: 'application/vnd.crm+json',
  }),
  json('after a byte order mark', UPDATE, `\uFEFF{"contact_id":"${NOBODY}"}`, skipped()),
  form('with a charset', UPDATE, { contact_id: NOBODY }, skipped(), { type: `${FORM}; charset=UTF-8` }),
  form('with broken percent encoding', UPDATE, `contact_id=${NOBODY}&first=%E4%&last=%zz`, skipped()),
  json('in a GET', UPDATE, { contact_id: NOBODY }, skipped(), { method: 'GET' }),
  form('the action twice, the same', UPDATE, { wpf_action: 'UPDATE', contact_id: NOBODY }, skipped()),
  form('the action twice, different', COMPLETE, { wpf_action: 'add' }, invalid('wpf_action')),
  json('the action twice, different', COMPLETE, { wpf_action: 'add' }, invalid('wpf_action')),
  // Only the host's own parser can tell us that a request is ours by its body.
  form('everything in the body', '', { ...COMPLETE }, (host) =>
    arrivalOf(host, FORM) === 'object' ? skipped() : PASSED,
  ),
  json('everything in the body', '', COMPLETE, (host) =>
    arrivalOf(host, JSON_TYPE) === 'object' ? skipped() : PASSED,
  ),
  json(
    'the action in the body, the rest in the query',
    { access_key: KEY, contact_id: NOBODY },
    { wpf_action: 'Update' },
    (host) => (arrivalOf(host, JSON_TYPE) === 'object' ? skipped() : PASSED),
  ),
];

const CONTACT_IDS: Row[] = [
  ...['contact_id', 'contactId', 'id', 'data[id]'].flatMap((name) =>
    everywhere(`the contact as ${name}`, 'update', { [name]: NOBODY }, skipped()),
  ),
  json('the contact as data: { id }', UPDATE, { data: { id: NOBODY } }, skipped()),
  json(
    'a subscription’s webhook',
    UPDATE,
    {
      webhook_id: '3',
      object_type_id: '0',
      event: { type: 'sub_tag', tag_id: '4' },
      timestamp: '1700000000',
      data: { id: NOBODY, email: 'x@example.com', contact_cat: '*/*4*/*' },
    },
    skipped(),
  ),
  form(
    'a subscription’s webhook',
    UPDATE,
    `webhook_id=3&event%5Btype%5D=sub_tag&event[tag_id]=4&data%5Bid%5D=${NOBODY}&data[email]=x%40example.com`,
    skipped(),
  ),
  get('contact_id comes first', { ...COMPLETE, id: '77', contactId: '78', 'data[id]': '79' }, skipped()),
  json('contact_id comes first', COMPLETE, { id: 77, contactId: '78', data: { id: '79' } }, skipped()),
  form('contactId comes before id', { ...UPDATE, id: '77' }, { contactId: NOBODY }, skipped()),
  get('an empty contact_id is none', { ...UPDATE, contact_id: '', id: NOBODY }, skipped()),
  ...everywhere('missing', 'update', {}, invalid('contact_id')),
  ...everywhere('empty', 'update', { contact_id: '' }, invalid('contact_id')),
  ...everywhere('letters', 'update', { contact_id: 'abc' }, invalid('contact_id')),
  ...everywhere('20 digits', 'update', { contact_id: '1'.repeat(20) }, skipped('1'.repeat(20))),
  ...everywhere('21 digits', 'update', { contact_id: '1'.repeat(21) }, invalid('contact_id')),
  get('a list', { ...UPDATE, contact_id: '12,13' }, invalid('contact_id')),
  get('a negative one', { ...UPDATE, contact_id: '-5' }, invalid('contact_id')),
  get('wrong under its other name', { ...UPDATE, contactId: 'x' }, invalid('contact_id')),
  ...['[Contact ID]', '[ContactID]', '[contact_id]'].flatMap((literal) =>
    everywhere(
      `the merge field ${literal}`,
      'update',
      { contact_id: literal },
      {
        ...invalid('contact_id'),
        detail: /merge field/,
        also: ({ detail, errors }: Json) => {
          expect(errors[0].message).toContain(literal);
          expect(detail).not.toContain('is no contact id');
        },
      },
    ),
  ),
  ...(
    [
      [55, skipped()],
      [Number.MAX_SAFE_INTEGER, skipped(String(Number.MAX_SAFE_INTEGER))],
      [5.5, invalid('contact_id')],
      [-5, invalid('contact_id')],
      [true, invalid('contact_id')],
      [null, invalid('contact_id')],
      [[], invalid('contact_id')],
      [[55, 55], skipped()],
      [[55, '55'], skipped()],
      [[55, 56], invalid('contact_id')],
      [[[55]], invalid('contact_id')],
      [{ id: 55 }, invalid('contact_id')],
      [{}, invalid('contact_id')],
    ] as const
  ).map(([id, expected]) => json(`contact_id: ${JSON.stringify(id)}`, UPDATE, { contact_id: id }, expected)),
  json('2^53', UPDATE, '{"contact_id":9007199254740992}', invalid('contact_id')),
  json('a number of 20 digits', UPDATE, '{"contact_id":12345678901234567890}', invalid('contact_id')),
  json('a rounded number as data.id', UPDATE, '{"data":{"id":9007199254740993}}', invalid('contact_id')),
  json(
    '20 digits as a text',
    UPDATE,
    '{"contact_id":"12345678901234567890"}',
    skipped('12345678901234567890'),
  ),
];

const DOUBLED: Row[] = [
  get('the same twice', `${formOf(COMPLETE)}&contact_id=${NOBODY}`, skipped()),
  get('different', `${formOf(COMPLETE)}&contact_id=56`, invalid('contact_id')),
  form('the same in query and body', COMPLETE, { contact_id: NOBODY }, skipped()),
  form('different in query and body', COMPLETE, { contact_id: '56' }, invalid('contact_id')),
  form('twice in the body, the same', UPDATE, `contact_id=${NOBODY}&contact_id=${NOBODY}`, skipped()),
  form('twice in the body, different', UPDATE, `contact_id=${NOBODY}&contact_id=56`, invalid('contact_id')),
  form('data[id] twice, the same', UPDATE, `data[id]=${NOBODY}&data[id]=${NOBODY}`, skipped()),
  form('data[id] twice, different', UPDATE, `data[id]=${NOBODY}&data[id]=56`, invalid('contact_id')),
  json('the same in query and body', COMPLETE, { contact_id: 55 }, skipped()),
  json('different in query and body', COMPLETE, { contact_id: 56 }, invalid('contact_id')),
  json(
    'role, different',
    { wpf_action: 'add', access_key: KEY, contact_id: MARY, role: 'subscriber', dry_run: '1' },
    { role: 'Customer' },
    invalid('role'),
  ),
  get(
    'email, different',
    `${formOf(COMPLETE)}&email=a%40example.com&email=b%40example.com`,
    invalid('email'),
  ),
  get(
    'a parameter that the action does not have',
    `${formOf(COMPLETE)}&send_notification=1&send_notification=0`,
    skipped(),
  ),
  get('an unknown parameter', `${formOf(COMPLETE)}&colour=red&colour=blue`, skipped()),
];

const SPELLINGS: readonly (readonly [string, boolean])[] = [
  ['true', true],
  ['TRUE', true],
  ['True', true],
  ['1', true],
  ['yes', true],
  ['YES', true],
  ['on', true],
  ['On', true],
  ['false', false],
  ['FALSE', false],
  ['0', false],
  ['no', false],
  ['No', false],
  ['off', false],
  ['OFF', false],
];
const WRONG = ['maybe', '2', '', ' ', 'truee', 'y', '01', '[Send]', 'null'];
const ADD_DRY = { wpf_action: 'add', access_key: KEY, contact_id: MARY, dry_run: 'true' };
const added = (warnings: string[] = []): Expected => ({
  status: 200,
  action: 'add',
  contactId: MARY,
  outcome: 'created',
  dryRun: true,
  warnings,
});
const noticed = (on: boolean): Expected => added(on ? ['NOTIFIER_NOT_CONFIGURED'] : []);

const BOOLEANS: Row[] = [
  // Without a notifier the warning shows what was understood.
  ...variations(
    SPELLINGS.map(([text, on]) =>
      get(`send_notification=${text}`, { ...ADD_DRY, send_notification: text }, noticed(on)),
    ),
  ),
  ...variations(
    SPELLINGS.map(([text, on]) =>
      get(`dry_run=${text}`, { ...COMPLETE, dry_run: text }, { ...skipped(), dryRun: on }),
    ),
  ),
  ...variations(SPELLINGS.map(([text]) => get(`async=${text}`, { ...COMPLETE, async: text }, skipped()))),
  form('send_notification=YES', ADD_DRY, { send_notification: 'YES' }, noticed(true)),
  form('dry_run=On', COMPLETE, { dry_run: 'On' }, { ...skipped(), dryRun: true }),
  ...(
    [
      ['true', true],
      ['Yes', true],
      [true, true],
      [1, true],
      ['off', false],
      [false, false],
      [0, false],
      [null, false],
    ] as const
  ).flatMap(([value, on]) => [
    json(`send_notification: ${JSON.stringify(value)}`, ADD_DRY, { send_notification: value }, noticed(on)),
    json(`dry_run: ${JSON.stringify(value)}`, COMPLETE, { dry_run: value }, { ...skipped(), dryRun: on }),
  ]),
  ...variations(
    WRONG.flatMap((text) => [
      get(
        `send_notification=${JSON.stringify(text)}`,
        { ...ADD_DRY, send_notification: text },
        invalid('send_notification'),
      ),
      get(`async=${JSON.stringify(text)}`, { ...COMPLETE, async: text }, invalid('async')),
      get(`dry_run=${JSON.stringify(text)}`, { ...COMPLETE, dry_run: text }, invalid('dry_run')),
    ]),
  ),
  form('async=vielleicht', COMPLETE, { async: 'vielleicht' }, invalid('async')),
  ...[2, 'maybe', '', {}, { a: 1 }, [], [[true]], 1.5].map((value) =>
    json(`dry_run: ${JSON.stringify(value)}`, COMPLETE, { dry_run: value }, invalid('dry_run')),
  ),
  get(
    'all that is wrong at once',
    { wpf_action: 'add', access_key: KEY, send_notification: 'x', async: 'y', dry_run: 'z' },
    invalid('contact_id', 'send_notification', 'async', 'dry_run'),
  ),
];

const ACTIONS: Row[] = [
  ...['update', 'UPDATE', 'Update'].flatMap((action) =>
    everywhere(action, action, { contact_id: NOBODY }, skipped()),
  ),
  get('Update_Tags', { ...COMPLETE, wpf_action: 'Update_Tags' }, skipped(NOBODY, 'update_tags')),
  get('ADD', { ...ADD_DRY, wpf_action: 'ADD' }, added()),
  ...['test', 'TEST'].map((action) =>
    get(
      action,
      { wpf_action: action, access_key: KEY },
      {
        status: 200,
        action: 'test',
        also: (answer: Json) => expect(answer).toEqual({ ok: true, action: 'test' }),
      },
    ),
  ),
  ...['echo', 'ECHO', 'Echo'].map((action) =>
    get(
      `custom: ${action}`,
      { wpf_action: action, access_key: KEY, colour: 'red', contact_id: MARY },
      {
        status: 200,
        action: 'echo',
        contactId: MARY,
        also: ({ outcome }: Json) =>
          expect(JSON.parse(outcome)).toEqual({
            contactId: MARY,
            params: { wpf_action: action, colour: 'red', contact_id: MARY },
          }),
      },
    ),
  ),
  json(
    'custom: parameters out of a body',
    { wpf_action: 'echo' },
    { access_key: KEY, colour: 'red', size: 4, data: { id: 7 } },
    {
      status: 200,
      action: 'echo',
      contactId: MARY,
      also: ({ outcome }: Json) =>
        expect(JSON.parse(outcome)).toEqual({
          contactId: MARY,
          params: { wpf_action: 'echo', colour: 'red', size: '4', 'data[id]': '7' },
        }),
    },
  ),
  get(
    'custom: without a contact',
    { wpf_action: 'echo', access_key: KEY, id: 'no-contact' },
    {
      status: 200,
      action: 'echo',
      also: ({ outcome }: Json) => expect(JSON.parse(outcome).contactId).toBeNull(),
    },
  ),
  ...['', 'delete', 'add2', 'constructor', '__proto__', 'toString', 'add,update'].map((action) =>
    get(`unknown: ${JSON.stringify(action)}`, { ...COMPLETE, wpf_action: action }, UNKNOWN_ACTION),
  ),
  get('without a value', `wpf_action&access_key=${KEY}&contact_id=5`, UNKNOWN_ACTION),
  json('unknown, key in the body', { wpf_action: 'nonsense' }, { access_key: KEY }, UNKNOWN_ACTION),
];

const ROLES: Row[] = [
  get('none asked', ADD_DRY, {
    ...added(),
    also: (answer) => expect(values(answer).role).toBe('subscriber'),
  }),
  ...['Customer', 'customer', 'CUSTOMER'].flatMap((role) =>
    everywhere(
      `asked as ${role}`,
      'add',
      { contact_id: MARY, dry_run: '1', role },
      {
        ...added(),
        also: (answer) => expect(values(answer).role).toBe('Customer'),
      },
    ),
  ),
  get(
    'the default by name',
    { ...ADD_DRY, role: 'SUBSCRIBER' },
    {
      ...added(),
      also: (answer) => expect(values(answer).role).toBe('subscriber'),
    },
  ),
  ...everywhere(
    'not assignable',
    'add',
    { contact_id: MARY, dry_run: '1', role: 'administrator' },
    {
      ...added(['ROLE_NOT_ASSIGNABLE']),
      also: (answer) => expect(values(answer).role).toBe('subscriber'),
    },
  ),
  get('empty', { ...ADD_DRY, role: '' }, added()),
];

const IGNORED: Row[] = [
  get('unknown parameters', { ...COMPLETE, utm_source: 'x', q: '1', dry_Run: '1' }, skipped()),
  form('unknown parameters', UPDATE, { contact_id: NOBODY, first: 'Mary', 'custom[a][b]': 'x' }, skipped()),
  json(
    'unknown parameters',
    UPDATE,
    { contact_id: NOBODY, tags: ['a', 'b'], nested: { a: { b: [1] } }, n: null },
    skipped(),
  ),
  form(
    'names of JavaScript’s own',
    UPDATE,
    'contact_id=55&__proto__[id]=1&constructor=2&hasOwnProperty=3&toString=4',
    skipped(),
  ),
  json(
    'names of JavaScript’s own',
    UPDATE,
    '{"contact_id":"55","__proto__":{"id":"1"},"constructor":{"prototype":{"id":"2"}}}',
    skipped(),
  ),
  json(
    'tags and fields are not trusted',
    ADD_DRY,
    { tags: ['Admin'], firstname: 'Eve', email: 'eve@example.com', contact: { tags: 'Admin' } },
    {
      ...added(),
      also: (answer) =>
        expect(values(answer)).toMatchObject({
          email: 'mary@example.com',
          firstName: 'Mary',
          tags: ['Customer'],
        }),
    },
  ),
  get('email, where the action has none', { ...ADD_DRY, email: 'nonsense' }, added()),
  get('email', { ...COMPLETE, email: 'nonsense' }, invalid('email')),
  get(
    'role, where the action has none',
    { ...COMPLETE, wpf_action: 'update_tags', role: 'x' },
    skipped(NOBODY, 'update_tags'),
  ),
];

const MALFORMED = '{"access_key":"nonsense","contact_id":"55","note":"a "quote" and a\nline break"}';
const SHAPES: Row[] = [
  get('empty: POST, all in the query', COMPLETE, skipped(), {
    method: 'POST',
    headers: { 'User-Agent': 'Ontraport Webhook' },
  }),
  get('empty, with a content type all the same', COMPLETE, skipped(), { method: 'POST', type: JSON_TYPE }),
  get('empty, said to be a form', COMPLETE, skipped(), { method: 'POST', type: FORM }),
  form(
    'form',
    { wpf_action: 'update' },
    { access_key: KEY, contact_id: NOBODY, first: 'Mary', last: 'O’Neil & Söhne' },
    skipped(),
  ),
  json('JSON', { wpf_action: 'update' }, { access_key: KEY, contact_id: NOBODY, first: 'Mary' }, skipped()),
  json(
    'JSON said to be a form, all in the query',
    COMPLETE,
    { contact_id: '99', first: 'M & =' },
    skipped(),
    { type: FORM },
  ),
  json('JSON said to be a form, the contact in it', UPDATE, { contact_id: NOBODY }, invalid('contact_id'), {
    type: FORM,
  }),
  {
    name: 'JSON without a content type, all in the query',
    query: COMPLETE,
    method: 'POST',
    body: '{"contact_id":"99"}',
    expected: skipped(),
  },
  {
    name: 'JSON without a content type, the contact in it',
    query: UPDATE,
    method: 'POST',
    body: '{"contact_id":"55"}',
    expected: UNSUPPORTED,
  },
  get('GET', COMPLETE, skipped()),
];

const UNPARSEABLE: Row[] = [
  json('malformed, not needed', COMPLETE, MALFORMED, unlessHostParses(JSON_TYPE, skipped())),
  json(
    'malformed, not needed, the key in a header',
    { wpf_action: 'update', contact_id: NOBODY },
    MALFORMED,
    unlessHostParses(JSON_TYPE, skipped()),
    { headers: { 'X-Access-Key': KEY } },
  ),
  json(
    'malformed, not needed, the key as Bearer',
    { wpf_action: 'update', contactId: NOBODY },
    MALFORMED,
    unlessHostParses(JSON_TYPE, skipped()),
    { headers: { Authorization: `Bearer ${KEY}` } },
  ),
  json(
    'malformed, and test needs no contact',
    { wpf_action: 'test', access_key: KEY },
    MALFORMED,
    unlessHostParses(JSON_TYPE, { status: 200, action: 'test' }),
  ),
  json('malformed, the contact in it', UPDATE, MALFORMED, unlessHostParses(JSON_TYPE, INVALID_BODY)),
  json(
    'malformed, the key in it',
    { wpf_action: 'update', contact_id: NOBODY },
    MALFORMED,
    unlessHostParses(JSON_TYPE, FORBIDDEN),
  ),
  json('an array, not needed', COMPLETE, [], skipped()),
  json('an array, needed', UPDATE, [{ contact_id: NOBODY }], INVALID_BODY),
  json('a text, needed', UPDATE, '"55"', unlessHostParses(JSON_TYPE, INVALID_BODY)),
  json('null, needed', UPDATE, 'null', unlessHostParses(JSON_TYPE, INVALID_BODY)),
  json('an empty object', UPDATE, {}, invalid('contact_id')),
  ...[
    'text/xml',
    'multipart/form-data; boundary=x',
    'text/plain',
    'application/octet-stream',
    'nonsense',
  ].flatMap((type) => [
    { name: `${type}, not needed`, query: COMPLETE, type, body: 'contact_id=99', expected: skipped() },
    { name: `${type}, needed`, query: UPDATE, type, body: 'contact_id=55', expected: UNSUPPORTED },
    {
      name: `${type}, the key in it`,
      query: { wpf_action: 'update', contact_id: NOBODY },
      type,
      body: `access_key=${KEY}`,
      expected: FORBIDDEN,
    },
  ]),
  // A parser of the host unpacks what we do not.
  {
    name: 'gzip, not needed',
    query: COMPLETE,
    type: JSON_TYPE,
    headers: { 'Content-Encoding': 'gzip' },
    body: gzipSync('{"a":1}'),
    expected: skipped(),
  },
  {
    name: 'gzip, needed',
    query: UPDATE,
    type: JSON_TYPE,
    headers: { 'Content-Encoding': 'gzip' },
    body: gzipSync('{"contact_id":"55"}'),
    expected: whereWeRead(JSON_TYPE, UNSUPPORTED, skipped()),
  },
  json('too large, not needed', COMPLETE, { note: BIG }, TOO_LARGE),
  json('too large, needed', UPDATE, { contact_id: NOBODY, note: BIG }, TOO_LARGE),
  json('too large and malformed', COMPLETE, `{${BIG}`, (host) =>
    unlessHostParses(JSON_TYPE, TOO_LARGE)(host),
  ),
  form('too large, without a key', { wpf_action: 'update', contact_id: NOBODY }, { note: BIG }, FORBIDDEN),
  form(
    'too large, the key in it',
    { wpf_action: 'update', contact_id: NOBODY },
    { access_key: KEY, note: BIG },
    whereWeRead(FORM, FORBIDDEN, TOO_LARGE),
  ),
  {
    name: 'too large and of a type that nobody knows',
    query: COMPLETE,
    type: 'text/xml',
    body: BIG,
    expected: TOO_LARGE,
  },
  form('exactly bodyLimit', COMPLETE, `note=${'x'.repeat(1995)}`, skipped()),
  form('one byte more than bodyLimit', COMPLETE, `note=${'x'.repeat(1996)}`, TOO_LARGE),
];

const rowsOfMethod = (method: string): Row[] => [
  get(method, COMPLETE, NOT_ALLOWED, { method }),
  get(`${method} with a wrong key`, { ...COMPLETE, access_key: 'wrong-key-wrong-key' }, FORBIDDEN, {
    method,
  }),
  get(`${method} without a key`, { wpf_action: 'update', contact_id: NOBODY }, FORBIDDEN, { method }),
];
const METHODS: Row[] = [
  ...rowsOfMethod('PUT'),
  ...variations(['DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'PROPFIND'].flatMap(rowsOfMethod)),
];

const ACCESS_KEYS: Row[] = [
  get('missing', { wpf_action: 'update', contact_id: NOBODY }, FORBIDDEN),
  get('empty', { ...COMPLETE, access_key: '' }, FORBIDDEN),
  get('wrong', { ...COMPLETE, access_key: 'wrong-key-wrong-key' }, FORBIDDEN),
  get('in capitals', { ...COMPLETE, access_key: KEY.toUpperCase() }, FORBIDDEN),
  get('cut', { ...COMPLETE, access_key: KEY.slice(0, -1) }, FORBIDDEN),
  get('with something behind', { ...COMPLETE, access_key: `${KEY}x` }, FORBIDDEN),
  get('under another name', { wpf_action: 'update', contact_id: NOBODY, Access_Key: KEY }, FORBIDDEN),
  form('missing', { wpf_action: 'update' }, { contact_id: NOBODY }, FORBIDDEN),
  form(
    'wrong',
    { wpf_action: 'update' },
    { access_key: 'wrong-key-wrong-key', contact_id: NOBODY },
    FORBIDDEN,
  ),
  json(
    'wrong',
    { wpf_action: 'update' },
    { access_key: 'wrong-key-wrong-key', contact_id: NOBODY },
    FORBIDDEN,
  ),
  json(
    'not even a text',
    { wpf_action: 'update' },
    { access_key: { $ne: '' }, contact_id: NOBODY },
    FORBIDDEN,
  ),
  json(
    'a list of wrong ones',
    { wpf_action: 'update' },
    { access_key: ['a', 'b'], contact_id: NOBODY },
    FORBIDDEN,
  ),
  json(
    'a list with a right one',
    { wpf_action: 'update' },
    { access_key: [KEY, 'b'], contact_id: NOBODY },
    FORBIDDEN,
  ),
  json('true', { wpf_action: 'update' }, { access_key: true, contact_id: NOBODY }, FORBIDDEN),
  // Several places: all must be valid.
  get('header and query, both right', COMPLETE, skipped(), { headers: { 'X-Access-Key': KEY } }),
  get('header and query, two keys of a rotation', COMPLETE, skipped(), {
    headers: { 'X-Access-Key': OTHER_KEY },
  }),
  get('header right, query wrong', { ...COMPLETE, access_key: 'wrong-key-wrong-key' }, FORBIDDEN, {
    headers: { 'X-Access-Key': KEY },
  }),
  get('header wrong, query right', COMPLETE, FORBIDDEN, {
    headers: { 'X-Access-Key': 'wrong-key-wrong-key' },
  }),
  form('query right, body right', COMPLETE, { access_key: OTHER_KEY }, skipped()),
  form('query right, body wrong', COMPLETE, { access_key: 'wrong-key-wrong-key' }, FORBIDDEN),
  json('query right, body wrong', COMPLETE, { access_key: 'wrong-key-wrong-key' }, FORBIDDEN),
  json(
    'header right, body wrong',
    { wpf_action: 'update', contact_id: NOBODY },
    { access_key: 'wrong-key-wrong-key' },
    FORBIDDEN,
    { headers: { 'X-Access-Key': KEY } },
  ),
  get('twice in the query, once wrong', `${formOf(COMPLETE)}&access_key=wrong-key-wrong-key`, FORBIDDEN),
  get('twice in the query, both right', `${formOf(COMPLETE)}&access_key=${KEY}`, skipped()),
  // Authorization counts only where no other place holds a key.
  get('Bearer', { wpf_action: 'update', contact_id: NOBODY }, skipped(), {
    headers: { Authorization: `Bearer ${KEY}` },
  }),
  get('bearer in small letters', { wpf_action: 'update', contact_id: NOBODY }, skipped(), {
    headers: { Authorization: `bearer ${KEY}` },
  }),
  get('a wrong Bearer', { wpf_action: 'update', contact_id: NOBODY }, FORBIDDEN, {
    headers: { Authorization: 'Bearer wrong-key-wrong-key' },
  }),
  get('somebody else’s Bearer beside the query', COMPLETE, skipped(), {
    headers: { Authorization: 'Bearer eyJhbGciOi.x.y' },
  }),
  get('somebody else’s Bearer beside the header', { wpf_action: 'update', contact_id: NOBODY }, skipped(), {
    headers: { 'X-Access-Key': KEY, Authorization: 'Bearer eyJhbGciOi.x.y' },
  }),
  form(
    'somebody else’s Bearer beside the body',
    { wpf_action: 'update', contact_id: NOBODY },
    { access_key: KEY },
    skipped(),
    {
      headers: { Authorization: 'Bearer eyJhbGciOi.x.y' },
    },
  ),
  get('Bearer right, query wrong', { ...COMPLETE, access_key: 'wrong-key-wrong-key' }, FORBIDDEN, {
    headers: { Authorization: `Bearer ${KEY}` },
  }),
  form(
    'Bearer right, body wrong',
    { wpf_action: 'update', contact_id: NOBODY },
    { access_key: 'wrong-key-wrong-key' },
    FORBIDDEN,
    {
      headers: { Authorization: `Bearer ${KEY}` },
    },
  ),
  get('Basic', { wpf_action: 'update', contact_id: NOBODY }, FORBIDDEN, {
    headers: { Authorization: `Basic ${KEY}` },
  }),
  get('Basic beside the query', COMPLETE, skipped(), { headers: { Authorization: 'Basic dXNlcjpwYXNz' } }),
  // What a key may do.
  get(
    'allowed',
    { ...COMPLETE, access_key: TAGS_KEY, wpf_action: 'update_tags' },
    skipped(NOBODY, 'update_tags'),
  ),
  get('not allowed', { ...COMPLETE, access_key: TAGS_KEY }, FORBIDDEN),
  get('custom, not allowed', { access_key: TAGS_KEY, wpf_action: 'echo' }, FORBIDDEN),
  get('two keys, one of them not allowed', COMPLETE, FORBIDDEN, { headers: { 'X-Access-Key': TAGS_KEY } }),
];

const LIMITED = { wpf_action: 'add', access_key: TAGS_KEY };
const ORDER: Row[] = [
  get('key before method', { ...COMPLETE, access_key: 'wrong-key-wrong-key' }, FORBIDDEN, { method: 'PUT' }),
  get('key before action', { wpf_action: 'nonsense', access_key: 'wrong-key-wrong-key' }, FORBIDDEN),
  get('key before parameters', { ...UPDATE, access_key: 'wrong-key-wrong-key' }, FORBIDDEN),
  json(
    'key before body',
    { ...UPDATE, access_key: 'wrong-key-wrong-key' },
    MALFORMED,
    unlessHostParses(JSON_TYPE, FORBIDDEN),
  ),
  get('method before action', { wpf_action: 'nonsense', access_key: KEY }, NOT_ALLOWED, { method: 'PUT' }),
  get('method before parameters', UPDATE, NOT_ALLOWED, { method: 'PUT' }),
  form('method before size', COMPLETE, { note: BIG }, NOT_ALLOWED, { method: 'PUT' }),
  json('method before body', UPDATE, MALFORMED, unlessHostParses(JSON_TYPE, NOT_ALLOWED), { method: 'PUT' }),
  form(
    'method, the key in the body',
    { wpf_action: 'update' },
    { access_key: KEY, contact_id: NOBODY },
    NOT_ALLOWED,
    { method: 'PUT' },
  ),
  form('size before action', { wpf_action: 'nonsense', access_key: KEY }, { note: BIG }, TOO_LARGE),
  form('size before the key’s actions', LIMITED, { note: BIG }, TOO_LARGE),
  json('body before the key’s actions', LIMITED, MALFORMED, unlessHostParses(JSON_TYPE, INVALID_BODY)),
  {
    name: 'content type before the key’s actions',
    query: LIMITED,
    type: 'text/xml',
    body: '<a/>',
    expected: UNSUPPORTED,
  },
  get('action before the key’s actions', { wpf_action: 'nonsense', access_key: TAGS_KEY }, UNKNOWN_ACTION),
  get('the key’s actions before parameters', LIMITED, FORBIDDEN),
  get('the key’s actions before parameters', { ...LIMITED, contact_id: 'x', async: 'y' }, FORBIDDEN),
  get('parameters last', { wpf_action: 'update_tags', access_key: TAGS_KEY }, invalid('contact_id')),
];

const PREFETCH: Row[] = (
  [
    ['Sec-Purpose', 'prefetch'],
    ['Sec-Purpose', 'prefetch;prerender'],
    ['Purpose', 'prefetch'],
    ['X-Moz', 'prefetch'],
  ] as const
).flatMap(([name, value]) => [
  get(
    `${name}: ${value}`,
    COMPLETE,
    { status: 400, code: 'INVALID_REQUEST' },
    { headers: { [name]: value } },
  ),
  get(`${name}: ${value}, without a key`, { wpf_action: 'add' }, FORBIDDEN, { headers: { [name]: value } }),
]);

// The machinery

let hosts: Started[] = [];

beforeAll(async () => {
  hosts = await Promise.all(
    HOSTS.map(async (variant) => ({ variant, host: await startHost(variant, webhook) })),
  );
  // An address that showed a valid key is never throttled: the rows may hold as many wrong ones as they like.
  await send(hosts[0]!.host.url, { path: `/?${formOf({ wpf_action: 'test', access_key: KEY })}` });
});

afterAll(async () => {
  await Promise.all(hosts.map(({ host }) => host.close()));
  await webhook.close();
});

async function outcomeOn(host: Host, variant: HostVariant, row: Row): Promise<void> {
  const { query, body, type, method } = row;
  const errorsBefore = host.errors.length;
  const answer = await send(host.url, {
    method,
    path: `/?${typeof query === 'string' ? query : formOf(query)}`,
    headers: { ...(type === undefined ? {} : { 'Content-Type': type }), ...row.headers },
    body,
  });
  const expected = typeof row.expected === 'function' ? row.expected(variant) : row.expected;
  check(answer, expected, method === 'HEAD');
  if (expected.status !== HOST_REFUSED) expect(host.errors.slice(errorsBefore)).toEqual([]);
}

/** What every answer has to be, and what the row says of this one. */
function check(answer: Incoming, expected: Expected, isHead: boolean): void {
  const { status, headers, text, json: body } = answer;
  expect({ status, code: body?.code }).toEqual({
    status: expected.status,
    code: isHead ? undefined : expected.code,
  });
  if (expected.status === PASSED_THROUGH || expected.status === HOST_REFUSED) {
    expect(body.host).toBe(true);
    return;
  }
  expect(headers['cache-control']).toBe('no-store');
  for (const key of KEYS) expect(text + JSON.stringify(headers)).not.toContain(key);
  expect(headers.allow).toBe(status === 405 ? 'GET, POST' : undefined);
  if (isHead) {
    expect(text).toBe('');
    return;
  }
  if (expected.code === undefined) checkSuccess(answer, expected);
  else checkProblem(answer, expected);
  expected.also?.(body);
}

function checkSuccess({ headers, json: body }: Incoming, expected: Expected): void {
  expect(headers['content-type']).toMatch(/^application\/json\b/);
  expect(body.ok).toBe(true);
  for (const name of ['action', 'contactId', 'outcome', 'reason'] as const) {
    if (expected[name] !== undefined) expect({ [name]: body[name] }).toEqual({ [name]: expected[name] });
  }
  if (expected.warnings !== undefined) {
    expect(body.warnings.map(({ code }: { code: string }) => code)).toEqual(expected.warnings);
  }
  if (expected.dryRun === true) {
    expect(body.dryRun).toBe(true);
    expect(Array.isArray(body.changes)).toBe(true);
  } else {
    expect(body).not.toHaveProperty('dryRun');
    expect(body).not.toHaveProperty('changes');
  }
}

function checkProblem({ status, headers, json: body }: Incoming, expected: Expected): void {
  expect(headers['content-type']).toMatch(/^application\/problem\+json\b/);
  expect(body).toMatchObject({ ok: false, status, code: expected.code });
  for (const name of ['type', 'title', 'detail']) expect(body[name]).toMatch(/./);
  expect(URL.canParse(body.type)).toBe(true);
  if (expected.parameters !== undefined) {
    const named = body.errors.map(({ parameter }: { parameter: string }) => parameter);
    expect(named.sort()).toEqual([...expected.parameters].sort());
    for (const { message } of body.errors) expect(message).toMatch(/./);
  }
  if (expected.detail !== undefined) expect(body.detail).toMatch(expected.detail);
  // Whoever has no valid key learns nothing else.
  if (status === 403) {
    expect(Object.keys(body).sort()).toEqual(['code', 'detail', 'ok', 'status', 'title', 'type']);
  }
}

const isTypical = ({ parsers, order, mount }: HostVariant): boolean =>
  parsers === (mount === '/' ? 'none' : 'all') && order === 'before';

/** A row on every host at once; a failure names the hosts. */
async function everyHost(row: Row): Promise<void> {
  const chosen = row.isVariation === true ? hosts.filter(({ variant }) => isTypical(variant)) : hosts;
  await onEach(chosen, ({ variant, host }) => outcomeOn(host, variant, row));
}

describe('where parameters may stand', () => test.each(PLACES)('$name', everyHost));
describe('the contact’s id', () => test.each(CONTACT_IDS)('$name', everyHost));
describe('a parameter given twice', () => test.each(DOUBLED)('$name', everyHost));
describe('booleans', () => test.each(BOOLEANS)('$name', everyHost));
describe('wpf_action', () => test.each(ACTIONS)('$name', everyHost));
describe('role', () => test.each(ROLES)('$name', everyHost));
describe('what is ignored', () => test.each(IGNORED)('$name', everyHost));
describe('the shapes in which Ontraport delivers', () => test.each(SHAPES)('$name', everyHost));
describe('a body that cannot be parsed', () => test.each(UNPARSEABLE)('$name', everyHost));
describe('methods', () => test.each(METHODS)('$name', everyHost));
describe('access keys', () => test.each(ACCESS_KEYS)('$name', everyHost));
describe('the order of the checks', () => test.each(ORDER)('$name', everyHost));
describe('prefetching', () => test.each(PREFETCH)('$name', everyHost));

test('not one of all these requests has changed anything', () => {
  expect({ users: users.writes, crm: crm.writes }).toEqual({ users: 0, crm: 0 });
});
