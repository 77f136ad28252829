// doctor: a sound site on every database, and each thing that can be wrong with one.
import { KnexUserRepository, KnexWebhookQueue } from '../../lib/knex';
import { availableDatabases } from '../knex/databases';
import { newUser } from '../http/site';
import { openSite, secretsOf, type TestSite } from './command';

interface Found {
  readonly name: string;
  readonly status: string;
  readonly detail: string;
}

/** What the doctor finds, by the names of the checks. */
async function examine(site: TestSite): Promise<{ code: number | null; checks: Map<string, Found[]> }> {
  const { code, stdout, stderr } = await site.folder.run('doctor', '--json');
  for (const secret of secretsOf(site)) expect(stdout + stderr).not.toContain(secret);
  const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: Found[] };
  expect(ok).toBe(code === 0);
  const byName = new Map<string, Found[]>();
  for (const check of checks) byName.set(check.name, [...(byName.get(check.name) ?? []), check]);
  return { code, checks: byName };
}

/** What is not ok, as lines. */
const notOk = (checks: Map<string, Found[]>): string[] =>
  [...checks.values()]
    .flat()
    .filter(({ status }) => status !== 'ok')
    .map(({ name, status, detail }) => `${status}: ${name}: ${detail}`);

const RETURNS = "returnPassword: { field: 'f1', usernameField: 'f2' },";

describe.each(availableDatabases())('a sound site on %s', (name) => {
  test('is found to be one, and left as it is', async () => {
    const site = await openSite({ options: RETURNS }, name);
    const { sandbox, database } = site;
    sandbox.addContact({ email: 'mary@example.com', tags: ['Member', 'VIP'] });
    const users = new KnexUserRepository(database.knex);
    await users.create(newUser({ email: 'mary@example.com', contactId: '1' }));
    const before = await database.knex('wpf_users');

    const { code, checks } = await examine(site);
    expect(notOk(checks)).toEqual([]);
    expect(code).toBe(0);
    expect([...checks.keys()]).toEqual([
      ...['configuration', 'access keys', 'CRM', 'rate limit'],
      ...['fields.email', 'fields.firstName', 'fields.lastName'],
      ...['returnPassword.field', 'returnPassword.usernameField', 'tags', 'user storage'],
      ...['user storage, tried', 'queue', 'dead letters', 'activity log'],
    ]);
    expect(checks.get('tags')?.[0]?.detail).toBe('2 tags on 1 contact');
    expect(await database.knex('wpf_users')).toEqual(before);
    // Nothing but reads.
    expect(sandbox.calls.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  test('whose email and contact ids may be there twice is found out', async () => {
    const site = await openSite({}, name);
    const { knex } = site.database;
    await knex.schema.dropTable('wpf_users');
    await knex.schema.createTable('wpf_users', (table) => {
      table.increments('id');
      for (const column of ['contact_id', 'email', 'username', 'role']) table.string(column);
      table.string('password_hash');
      table.text('tags');
      table.text('meta');
      table.string('sync_state');
    });
    const { code, checks } = await examine(site);
    expect([code, notOk(checks).join('\n')]).toEqual([
      1,
      expect.stringMatching(/to do: user storage: .*unique/),
    ]);
    expect(checks.get('user storage, tried')?.[0]?.status).toBe('not checked');
    expect(await knex('wpf_users')).toEqual([]);
  });
});

test('for people it is a line for each thing', async () => {
  const site = await openSite({ options: "returnPassword: { field: 'Site password' }," });
  site.sandbox.addContact({ email: 'mary@example.com' });
  const { code, stdout, stderr } = await site.folder.run('doctor');
  expect(code).toBe(1);
  expect(stdout).toMatch(/^ok {11}configuration {17}wp-fusion-webhook\.config\.js$/m);
  expect(stdout).toMatch(
    /^to do {8}returnPassword\.field {10}the CRM has no field "Site password"; did you mean "f1", labelled "Site password"\?$/m,
  );
  expect(stderr).toBe('1 thing to do.\n');
});

test.each<[string, string, string[]]>([
  [
    'a field that is nearly one',
    "returnPassword: { field: 'ff1' },",
    ['to do: returnPassword.field: the CRM has no field "ff1"; did you mean "f1", labelled "Site password"?'],
  ],
  [
    'a field that is none',
    "fields: { plan: 'somethingElse' },",
    ['to do: fields.plan: the CRM has no field "somethingElse"'],
  ],
  [
    'a password in a field of another type',
    "returnPassword: { field: 'birthday' },",
    [
      'to do: returnPassword.field: birthday (Birthday) is no text field (date); a password could not be read back to the letter',
    ],
  ],
  [
    'a password in a field of emails',
    "returnPassword: { field: 'f1', usernameField: 'spent' },",
    ['to do: returnPassword.usernameField: spent (Total Spent) is no text field (number)'],
  ],
  [
    'an email out of a field of another type',
    "fields: { email: 'status' },",
    ['to do: fields.email: status (Sales Stage) is no text field (choice)'],
  ],
  ['an email that is transformed', "fields: { email: { from: 'status', transform: String } },", []],
  [
    'a key that can be guessed',
    "accessKey: ['deadbeef', { key: 'aaaaaaaaaaaaaaaaaaaaaaaa', name: 'long' }],",
    [
      'warning: access keys: "key 1" has 8 characters and could be guessed; keygen makes a better one',
      'warning: access keys: "long" has few different characters and could be guessed; keygen makes a better one',
    ],
  ],
])('%s', async (_what, options, expected) => {
  const site = await openSite({ options });
  site.sandbox.addContact({ email: 'mary@example.com' });
  const { code, checks } = await examine(site);
  expect(notOk(checks)).toEqual(expected);
  expect(code).toBe(expected.some((line) => line.startsWith('to do')) ? 1 : 0);
});

describe('a CRM', () => {
  test('that refuses the credentials', async () => {
    const site = await openSite();
    site.sandbox.fail({ with: 'unauthorized', times: Infinity });
    const { code, checks } = await examine(site);
    expect(code).toBe(1);
    expect(checks.get('CRM')).toEqual([
      { name: 'CRM', status: 'to do', detail: expect.stringContaining('credentials') },
    ]);
    for (const name of ['rate limit', 'fields', 'tags']) {
      expect(checks.get(name)?.[0]).toMatchObject({
        status: 'not checked',
        detail: 'the CRM is not to be had',
      });
    }
    // The others are looked at all the same.
    expect(checks.get('user storage, tried')?.[0]?.status).toBe('ok');
  });

  test('that shows no contact', async () => {
    const { code, checks } = await examine(await openSite());
    expect([code, notOk(checks)]).toEqual([
      0,
      ['warning: tags: the account shows no contact: may the key see them?'],
    ]);
  });

  const LEAST = 'getContacts: async () => new Map(), updateContact: async () => undefined,';

  test('whose calls are used up', async () => {
    const budget = 'budget: () => ({ limit: 100, used: 81, windowMs: 60_000 }),';
    const { code, checks } = await examine(await openSite({ options: `crm: { ${LEAST} ${budget} },` }));
    expect([code, checks.get('rate limit')?.[0]]).toMatchObject([
      0,
      {
        status: 'warning',
        detail: expect.stringMatching(/^100 calls in 60 s, 81 of them used: something else/),
      },
    ]);
  });

  test('whose tags have no names', async () => {
    const list =
      "async *listContacts() { yield { id: '1', tags: [{ id: '7', name: '' }, { id: '8', name: 'VIP' }] }; },";
    const { code, checks } = await examine(await openSite({ options: `crm: { ${LEAST} ${list} },` }));
    expect([code, checks.get('tags')?.[0]]).toMatchObject([
      0,
      { status: 'warning', detail: '2 tags on 1 contact; the CRM gives no name for 7' },
    ]);
  });

  test('with nothing but what it must have', async () => {
    const site = await openSite({
      options: `crm: { ${LEAST} },`,
    });
    const { code, checks } = await examine(site);
    expect([code, notOk(checks)]).toEqual([
      0,
      [
        'not checked: rate limit: the client has no budget()',
        'not checked: fields: the client has no describeFields()',
        'not checked: tags: the client has no listContacts()',
      ],
    ]);
  });
});

describe('a user storage', () => {
  /** A repository of the site's own: the one in memory, with some of its methods replaced. */
  const own = (methods: string): string => `users: (() => {
    const own = (users) => ({
      findByContactId: (id) => users.findByContactId(id),
      findByEmail: (email) => users.findByEmail(email),
      create: (user) => users.create(user),
      update: (id, changes, condition) => users.update(id, changes, condition),
      rehearse: (work) => users.rehearse((copy) => work(own(copy))),
      ${methods}
    });
    return own(new MemoryUserRepository());
  })(),`;

  test.each<[string, string, string[]]>([
    ['that does all of it', '', ['not checked: user storage: the repository has no check()']],
    [
      'that cannot be tried',
      'rehearse: undefined,',
      ['not checked: user storage, tried: the repository has no rehearse(), which undoes what is tried'],
    ],
    [
      'that takes doubles',
      "create: (user) => users.create({ ...user, email: Math.random() + user.email, username: Math.random() + '', contactId: null }).then((made) => ({ ...made, contactId: user.contactId })),",
      [
        'takes a second user with the same email',
        'takes a second user with the same contact id',
        'does not find the user',
      ],
    ],
    [
      'that ignores conditions',
      'update: (id, changes) => users.update(id, changes),',
      ['to do: user storage, tried: update() writes although the user was changed in between'],
    ],
    [
      'that finds nobody',
      'findByContactId: async () => null,',
      ['to do: user storage, tried: findByContactId() does not find the user'],
    ],
    [
      'that undoes nothing',
      'rehearse: (work) => work(users),',
      ['to do: user storage, tried: it did not undo what was tried: delete the user doctor-'],
    ],
    [
      'that fails',
      "create: async () => { throw new Error('value too long for the key the-access-key-of-the-tests'); },",
      [
        'to do: user storage, tried: The user storage failed in create(). (value too long for the key [redacted])',
      ],
    ],
    ['that finds by email only who has confirmed it', 'findByEmail: async () => null,', []],
  ])('%s', async (_what, methods, expected) => {
    const site = await openSite({ options: own(methods) });
    site.sandbox.addContact({ email: 'mary@example.com' });
    const { code, checks } = await examine(site);
    const lines = notOk(checks);
    for (const line of expected) expect(lines).toContainEqual(expect.stringContaining(line));
    const isToDo = lines.some((line) => line.startsWith('to do'));
    expect([code, isToDo]).toEqual(isToDo ? [1, true] : [0, false]);
    expect(isToDo).toBe(!['', 'rehearse: undefined,', 'findByEmail: async () => null,'].includes(methods));
  });

  test('that is not to be had', async () => {
    const site = await openSite();
    await site.database.knex.schema.dropTable('wpf_users');
    const { code, checks } = await examine(site);
    expect([code, checks.get('user storage')?.[0]?.status]).toEqual([1, 'to do']);
  });
});

describe('a queue', () => {
  test('with something that waits for long, and dead letters', async () => {
    const site = await openSite();
    site.sandbox.addContact({ email: 'mary@example.com' });
    const queue = new KnexWebhookQueue(site.database.knex);
    await queue.put('default', '1', { action: 'update', receivedAt: Date.now() });
    const [taken] = await queue.take('default', 1);
    const [dead] = taken!.jobs;
    const failure = { code: 'CONTACT_CONFLICT', detail: 'It is taken.', at: 0 };
    await queue.finish(
      'default',
      taken!,
      new Map([[dead!.id, { kind: 'dead', job: { ...dead!.job, failure } }]]),
    );
    await queue.put('default', '1', { action: 'update', receivedAt: Date.now() });
    await site.database
      .knex('wpf_webhooks')
      .where({ state: 'waiting' })
      .update({ put: Date.now() - 3_600_000 });
    const { code, checks } = await examine(site);
    expect([code, notOk(checks)]).toEqual([
      1,
      [
        expect.stringMatching(
          /^warning: queue: 1 webhook waiting, the oldest since .*: does a process of the site/,
        ),
        expect.stringMatching(/^to do: dead letters: 1: look at them with "dead list"/),
      ],
    ]);
  });

  test('without its tables', async () => {
    const site = await openSite();
    await site.database.knex.schema.dropTable('wpf_webhooks');
    const { code, checks } = await examine(site);
    expect([code, checks.get('queue')?.map(({ status }) => status)]).toEqual([1, ['to do']]);
  });

  test('that is none', async () => {
    const { code, checks } = await examine(await openSite({ queue: false, options: 'activityLog: false,' }));
    expect([code, checks.get('queue')?.[0]?.status, checks.get('activity log')?.[0]?.status]).toEqual([
      0,
      'ok',
      'ok',
    ]);
  });
});

test('an activity log that is not to be had', async () => {
  const failing = 'async () => { throw new Error("no disk"); }';
  const methods = ['write', 'list', 'counts', 'get', 'forget']
    .map((name) => `${name}: ${failing}`)
    .join(', ');
  const { code, checks } = await examine(await openSite({ options: `activityLog: { ${methods} },` }));
  expect([code, checks.get('activity log')]).toEqual([
    1,
    [{ name: 'activity log', status: 'to do', detail: 'no disk' }],
  ]);
});
