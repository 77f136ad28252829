// The members' area on a real PostgreSQL: run as its README says, visited as a browser does.
import createKnex, { type Knex } from 'knex';
import { OntraportSandbox } from '../../lib/testing';
import { availableDatabases } from '../knex/databases';
import { Example } from './child';

const SITE = 'examples/members-area/index.js';
const DATABASE_URL = process.env.TEST_POSTGRES_URL ?? 'postgres://root@127.0.0.1:5432/test';
const COURSE = '/courses/watercolour';
const SCHEMA = /in the schema (members_area_try_\w+), which goes/;
const NOW_YOU = /Now you: {2}(http:\S+)\//;

const started: Example[] = [];
const cleanUps: (() => Promise<unknown>)[] = [];
let knex: Knex;

beforeAll(() => {
  knex = createKnex({ client: 'pg', connection: DATABASE_URL });
});
afterEach(async () => {
  for (const example of started.splice(0)) await example.end('SIGTERM');
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});
afterAll(async () => {
  await knex.destroy();
});

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Example {
  const example = new Example(args, { DATABASE_URL, ...env });
  started.push(example);
  return example;
}

async function startSite(): Promise<{ site: Example; url: string; schema: string }> {
  const site = start([SITE]);
  const [, url = ''] = await site.says(NOW_YOU);
  const [, schema = ''] = await site.says(SCHEMA);
  return { site, url, schema };
}

const hasSchema = async (schema: string): Promise<boolean> =>
  (await knex('information_schema.schemata').where({ schema_name: schema })).length > 0;

/** A browser, as far as this site needs one: it keeps the cookie, and follows nothing. */
class Visitor {
  cookie = '';

  constructor(private readonly url: string) {}

  get(path: string): Promise<Response> {
    return fetch(`${this.url}${path}`, { headers: { cookie: this.cookie }, redirect: 'manual' });
  }

  async post(path: string, form: Record<string, string>, headers = {}): Promise<Response> {
    const body = new URLSearchParams(form);
    const options = { method: 'POST', body, redirect: 'manual' } as const;
    const response = await fetch(`${this.url}${path}`, {
      ...options,
      headers: { cookie: this.cookie, ...headers },
    });
    const [cookie] = (response.headers.get('set-cookie') ?? '').split(';');
    if (cookie !== undefined && cookie !== '') this.cookie = cookie;
    return response;
  }

  logIn(email: string, password: string, more = {}): Promise<Response> {
    return this.post('/login', { email, password, ...more });
  }
}

const OLGA = ['olga@example.com', 'olga-since-2019'] as const;

const describeOnPostgres = availableDatabases('PostgreSQL').length > 0 ? describe : describe.skip;

describeOnPostgres("the members' area", () => {
  test('plays its walk-through, ends with 0 and leaves nothing behind', async () => {
    const { code, stdout, stderr } = await start([SITE, '--once']).finished;

    expect(stderr).toBe('');
    expect(code).toBe(0);
    const told = [
      'The table members has no column contact_id',
      'The table members has no column sync_state',
      'The column members.contact_id has no unique index',
      'The column members.email_address has no unique index',
      'has added it; the third has made the queue',
      'Olga, a member for years, logs in. The course is closed to her.',
      'A webhook tells the site, is answered with 202, and is worked off',
      'the same member, found by her email, is in, and the course is open',
      'Mary, whom the site does not know',
      'The tag is taken from her. The course is closed to her at once',
      'The walk-through held.',
    ];
    const places = told.map((sentence) => ({ sentence, at: stdout.indexOf(sentence) }));
    expect(places.filter(({ at }) => at === -1)).toEqual([]);
    expect(places).toEqual([...places].sort((one, other) => one.at - other.at));
    expect(stdout).not.toMatch(/access_key|\$2b\$|[0-9a-f]{32}/);
    expect(await hasSchema(SCHEMA.exec(stdout)![1]!)).toBe(false);
  });

  test('ends with 1, says why and cleans up when the walk-through does not hold', async () => {
    const site = start(['--require', './__tests__/examples/fixtures/forgetful-tags.js', SITE, '--once']);
    const { code, stdout, stderr } = await site.finished;

    expect(stderr).toContain('the course is open to an old member with the tag');
    expect(code).toBe(1);
    expect(await hasSchema(SCHEMA.exec(stdout)![1]!)).toBe(false);
  });

  test('takes its tables along also when it is ended before it is ready', async () => {
    const site = start([SITE]);
    const [, schema = ''] = await site.says(SCHEMA);
    const { code, stderr } = await site.end('SIGTERM');

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await hasSchema(schema)).toBe(false);
  });

  test('is tried by hand: ordered, open, given back, closed; and Ctrl-C takes its tables', async () => {
    const { site, url, schema } = await startSite();
    expect(await hasSchema(schema)).toBe(true);

    const olga = new Visitor(url);
    expect((await olga.get(COURSE)).headers.get('location')).toBe('/login?to=%2Fcourses%2Fwatercolour');
    expect((await olga.logIn(...OLGA, { to: COURSE })).headers.get('location')).toBe(COURSE);
    const closed = await olga.get(COURSE);
    expect(closed.status).toBe(403);
    expect(await closed.text()).toContain('href="/order-form"');

    await olga.post('/order-form', { email: 'OLGA@example.com', what: 'order' });
    expect((await olga.get(COURSE)).status).toBe(200);
    expect(await (await olga.get('/')).text()).toContain('Course: Watercolour, Newsletter');

    const ordered = await olga.post('/order-form', {
      firstname: '<b>Zoë</b>',
      email: 'zoe@example.com',
      what: 'order',
    });
    const [, password = ''] = /<code>(\w+)<\/code>/.exec(await ordered.text()) ?? [];
    const zoe = new Visitor(url);
    expect((await zoe.logIn('Zoe@example.com ', password)).status).toBe(303);
    expect((await zoe.get(COURSE)).status).toBe(200);
    expect(await (await zoe.get('/')).text()).toContain('Welcome, &lt;b&gt;Zoë&lt;/b&gt;');
    const row: unknown = await knex
      .withSchema(schema)
      .table('members')
      .where({ email_address: 'zoe@example.com' })
      .first();
    expect(row).toMatchObject({ first_name: '<b>Zoë</b>', created_at: expect.any(Date), deleted_at: null });

    await olga.post('/order-form', { email: 'zoe@example.com', what: 'return' });
    expect((await zoe.get(COURSE)).status).toBe(403);
    expect((await olga.get(COURSE)).status).toBe(200);

    const { code, signal, stderr } = await site.end('SIGINT');
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    expect(await hasSchema(schema)).toBe(false);
  });

  test('a teacher is not linked, and who has left is not let in again', async () => {
    const { url, schema } = await startSite();
    const tables = knex.withSchema(schema);
    const visitor = new Visitor(url);
    await visitor.post('/order-form', { email: 'tom@example.com', what: 'order' });
    const [tom] = (await tables.table('members').where({ email_address: 'tom@example.com' })) as unknown[];
    expect(tom).toMatchObject({ contact_id: null });

    expect((await visitor.logIn('dora@example.com', 'dora-who-left')).status).toBe(401);
    await visitor.post('/order-form', { email: 'dora@example.com', what: 'order' });
    const doras: unknown = await knex
      .withSchema(schema)
      .table('members')
      .where({ email_address: 'dora@example.com' })
      .orderBy('id');
    expect(doras).toMatchObject([
      { contact_id: null, deleted_at: expect.any(Date) },
      { contact_id: expect.any(String), deleted_at: null },
    ]);
  });

  test('its sessions: nobody can write one, and one ends with the password', async () => {
    const { url, schema } = await startSite();
    const wrong = await new Visitor(url).logIn(OLGA[0], 'not-her-password');
    expect(wrong.status).toBe(401);
    expect(wrong.headers.get('set-cookie')).toBeNull();
    expect(await wrong.text()).toContain('The email or the password is wrong.');
    expect((await new Visitor(url).logIn('nobody@example.com', '')).status).toBe(401);

    const olga = new Visitor(url);
    const login = await olga.logIn(...OLGA);
    expect(login.headers.get('set-cookie')).toMatch(/; HttpOnly; SameSite=Lax$/);
    expect((await olga.get('/')).status).toBe(200);

    // As another member, for longer, and with a signature that is cut.
    const [, id = '', until = '', signature = ''] = /^member=(\d+)\.(\d+)\.(.+)$/.exec(olga.cookie) ?? [];
    const forged = [
      `${Number(id) + 1}.${until}.${signature}`,
      `${id}.${Number(until) + 1}.${signature}`,
      `${id}.${until}.${signature.slice(1)}`,
      `${id}.${until}.`,
      '',
    ];
    for (const value of forged) {
      const forger = new Visitor(url);
      forger.cookie = `member=${value}`;
      expect({ value, status: (await forger.get('/')).status }).toEqual({ value, status: 303 });
    }

    const elsewhere = await olga.post('/logout', {}, { origin: 'https://evil.example' });
    expect(elsewhere.status).toBe(403);
    expect((await olga.get('/')).status).toBe(200);
    expect(
      (await new Visitor(url).logIn(...OLGA, { to: 'https://evil.example/' })).headers.get('location'),
    ).toBe('/');

    await knex
      .withSchema(schema)
      .table('members')
      .where({ id })
      .update({ password: `$2b$04$${'.'.repeat(53)}` });
    expect((await olga.get('/')).status).toBe(303);
  });

  test('with the keys of an account it says what to paste, and its members stay', async () => {
    const sandbox = await OntraportSandbox.start();
    cleanUps.push(() => sandbox.close());
    const schema = `members_area_test_${process.pid}`;
    cleanUps.push(() => knex.raw('drop schema if exists ?? cascade', [schema]));
    const env = {
      MEMBERS_AREA_SCHEMA: schema,
      ONTRAPORT_APP_ID: sandbox.appId,
      ONTRAPORT_API_KEY: sandbox.apiKey,
      ONTRAPORT_BASE_URL: sandbox.baseUrl,
      WPF_ACCESS_KEY: 'the-key-of-the-members-area',
      ORDER_FORM_URL: 'https://order.example/',
    };
    const contactId = sandbox.addContact({ email: 'mary@example.com', tags: ['Course: Watercolour'] });

    for (const outcome of ['created', 'unchanged']) {
      const site = start([SITE], env);
      const [, url = ''] = await site.says(NOW_YOU);
      expect(site.stdout).toContain(
        'https://YOUR-SITE/?wpf_action=add&access_key=$WPF_ACCESS_KEY&contact_id=[Contact ID]',
      );
      expect((await new Visitor(url).get('/order-form')).status).toBe(404);
      const { status, json } = await sandbox.send({
        url: `${url}/?wpf_action=add&access_key=the-key-of-the-members-area&async=false`,
        contactId,
      });
      expect({ status, json }).toMatchObject({ status: 200, json: { outcome, userId: '1' } });
      const { code, stderr } = await site.end('SIGTERM');
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
  });

  test.each([
    ['half of the keys of an account', { ONTRAPORT_APP_ID: '2_1_app' }, /^apiKey: is missing/],
    ['a port that is none', { PORT: '70000' }, /^PORT is no port: 70000/],
  ])('says what is wrong with %s, and ends', async (_what, given: Record<string, string>, message) => {
    const schema = `members_area_test_${process.pid}_half`;
    cleanUps.push(() => knex.raw('drop schema if exists ?? cascade', [schema]));
    const { code, stderr } = await start([SITE], { MEMBERS_AREA_SCHEMA: schema, ...given }).finished;

    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('    at ');
    expect(code).toBe(1);
  });
});

test("the members' area says that there is no PostgreSQL, and ends", async () => {
  const url = 'postgres://somebody:the-password@127.0.0.1:1/nowhere';
  const { code, stdout, stderr } = await start([SITE, '--once'], { DATABASE_URL: url }).finished;

  expect(stderr).toMatch(
    /^PostgreSQL at 127\.0\.0\.1:1 does not take us: .*ECONNREFUSED.* DATABASE_URL says where/,
  );
  expect(stdout + stderr).not.toMatch(/the-password| {4}at /);
  expect(code).toBe(1);
});
