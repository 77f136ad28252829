// Every example is run as its README says, with the built package.
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { OntraportSandbox } from '../../lib/testing';
import { Example } from './child';

const started: Example[] = [];
const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const example of started.splice(0)) await example.end();
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

function start(args: readonly string[], env?: Readonly<Record<string, string>>): Example {
  const example = new Example(args, env);
  started.push(example);
  return example;
}

/** `fetch` does not let one choose the host it names. */
async function get(url: string, headers: Record<string, string>): Promise<{ status: number; text: string }> {
  const sent = request(url, { headers, agent: false }).end();
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, text };
}

const DEMO = 'examples/demo/index.js';
const NOW_YOU = /Now you: {2}(http:\S+)\//;
const FORGETS = { DEMO_DATABASE: ':memory:' };

describe('the demo', () => {
  test('tells its story and ends with 0', async () => {
    const { code, stdout, stderr } = await start([DEMO, '--once']).finished;

    expect(stderr).toBe('');
    expect(code).toBe(0);
    const told = [
      'Contact 1, Mary Smith, is created',
      'She is given the tag "Add User to WP"',
      'add arrives, is stored, and is answered with 202, queued',
      'A moment later it is worked off: created',
      'User 1, mary@example.com, is there: customer',
      'A welcome mail',
      'password has come back to the contact',
      'With this password she logs in, as mary@example.com',
      'Her company and her plan change',
      'The user follows: Globex, on the plan Gold',
      'The tag "Customer" is removed',
      'It is gone from the user too, who keeps: Add User to WP',
      'Its API is down',
      'It is answered with 202 as ever: it waits in the queue',
      'Its API is back. Nothing is sent again',
      'the user follows: Initech',
      'The story held.',
    ];
    const places = told.map((sentence) => ({ sentence, at: stdout.indexOf(sentence) }));
    expect(places.filter(({ at }) => at === -1)).toEqual([]);
    expect(places).toEqual([...places].sort((one, other) => one.at - other.at));
    expect(stdout).not.toMatch(/access_key|[0-9a-f]{32}/);
  });

  test('ends with 1 and says why when its story does not hold', async () => {
    const { code, stderr } = await start([
      '--require',
      './__tests__/examples/fixtures/broken-repository.js',
      DEMO,
      '--once',
    ]).finished;

    expect(code).toBe(1);
    expect(stderr).toContain('The story did not hold: it should be that the user follows changed fields.');
  });

  test('waits with its page after the story, and Ctrl-C ends it cleanly', async () => {
    const demo = start([DEMO], FORGETS);
    const [, url] = await demo.says(NOW_YOU);

    const page = await fetch(`${url}/`);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await page.text()).toContain('<h2 id="site-title">Users</h2>');

    const state = await (await fetch(`${url}/demo/state`)).text();
    expect(state).toContain('mary@example.com');
    expect(state).not.toMatch(/passwordHash|syncState|\$2[aby]\$|access_key/);

    const { code, signal, stderr } = await demo.end('SIGINT');
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('shows its page to this machine alone, and takes no form of another website', async () => {
    const demo = start([DEMO], FORGETS);
    const [, url] = await demo.says(NOW_YOU);

    expect((await get(`${url}/demo/state`, {})).status).toBe(200);
    expect((await get(`${url}/demo/state`, { host: 'evil.example' })).status).toBe(403);
    expect((await get(`${url}/demo/state`, { 'x-forwarded-for': '192.0.2.1' })).status).toBe(403);
    const form = await fetch(`${url}/demo/contacts`, {
      method: 'POST',
      headers: { 'Content-Type': 'text/plain' },
      body: '{"email":"eve@example.com"}',
    });
    expect(form.status).toBe(415);
  });

  test('takes another port where the one it wants is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    cleanUps.push(() => new Promise((resolve) => other.close(resolve)));
    await once(other, 'listening');
    const port = String((other.address() as AddressInfo).port);
    const { code, stdout } = await start([DEMO, '--once'], { PORT: port }).finished;

    expect(stdout).toContain(`Port ${port} is taken`);
    expect(code).toBe(0);
  });

  test('with the keys of a real account it says what to paste there, and shows the site alone', async () => {
    const demo = start([DEMO], {
      ...FORGETS,
      ONTRAPORT_APP_ID: '2_1_app',
      ONTRAPORT_API_KEY: 'the-api-key',
      PUBLIC_URL: 'https://site.example',
    });
    const [, url] = await demo.says(NOW_YOU);
    const [, accessKey = ''] =
      /https:\/\/site\.example\/\?wpf_action=add&access_key=([0-9a-f]{48})&contact_id=\[Contact ID\]&role=customer/.exec(
        demo.stdout,
      ) ?? [];
    expect(demo.stdout).not.toContain('the-api-key');
    expect(demo.stdout).toContain('Its users are forgotten when it ends.');

    // As through a tunnel.
    const outside = { host: 'site.example', 'x-forwarded-for': '192.0.2.1' };
    expect(await get(`${url}/?wpf_action=test&access_key=${accessKey}`, outside)).toEqual({
      status: 200,
      text: '{"ok":true,"action":"test"}',
    });
    expect((await get(`${url}/?wpf_action=test&access_key=wrong-key`, outside)).status).toBe(403);
    expect((await get(`${url}/`, outside)).status).toBe(403);

    const state = await (await fetch(`${url}/demo/state`)).json();
    expect(state).toMatchObject({
      hasAccount: false,
      contacts: [],
      users: [],
      webhooks: [
        { number: 1, action: 'test', state: 'done' },
        { number: 2, state: 'failed', outcome: 'INVALID_ACCESS_KEY' },
      ],
      queue: { waiting: 0, dead: 0 },
    });
    expect((await demo.end('SIGTERM')).code).toBe(0);
  });

  test.each([
    ['half of the keys of an account', { ONTRAPORT_APP_ID: '2_1_app' }, /^apiKey: is missing/],
    ['a port that is none', { PORT: '70000' }, /^PORT is no port: 70000/],
  ])('says what is wrong with %s, and ends', async (_what, env: Record<string, string>, message) => {
    const { code, stderr } = await start([DEMO], { ...FORGETS, ...env }).finished;

    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('    at ');
    expect(code).toBe(1);
  });
});

describe('the demo, started again', () => {
  interface State {
    contacts: { id: string; email: string; password?: string; tags: string[] }[];
    users: { id: string; contactId: string; email: string; tags: string[]; isWelcomed: boolean }[];
    queue: { waiting: number; dead: number };
  }
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'wpf-demo-'));
    file = path.join(folder, 'a folder', 'demo.sqlite');
  });
  afterEach(async () => {
    // Nobody has the file open any more when it goes.
    for (const example of started.splice(0)) await example.end();
    rmSync(folder, { recursive: true });
  });

  /** Starts the demo on the file and waits for its page. */
  async function startDemo(): Promise<{ demo: Example; url: string }> {
    const demo = start([DEMO], { DEMO_DATABASE: file });
    const [, url = ''] = await demo.says(NOW_YOU);
    return { demo, url };
  }
  const stateOf = async (url: string): Promise<State> =>
    (await (await fetch(`${url}/demo/state`)).json()) as State;
  const logIn = (url: string, email: string, password: string): Promise<Response> =>
    fetch(`${url}/login`, { method: 'POST', body: new URLSearchParams({ email, password }) });
  const send = (method: string, url: string, body: unknown): Promise<Response> =>
    fetch(url, { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  /** The user of a contact, when the webhook that is on its way has made it what is expected. */
  async function userOf(
    url: string,
    contactId: string,
    isReady: (user: State['users'][number]) => boolean,
  ): Promise<State['users'][number]> {
    for (;;) {
      const { users } = await stateOf(url);
      const user = users.find((one) => one.contactId === contactId && isReady(one));
      if (user !== undefined) return user;
    }
  }
  const passwordOf = ({ contacts }: State, id: string): string =>
    contacts.find((contact) => contact.id === id)!.password!;

  test('has its users, who log in with the passwords they had, and contacts that go on making them', async () => {
    const first = await startDemo();
    await send('PUT', `${first.url}/demo/contacts/2/tags`, { tag: 'Add User to WP', has: true });
    await userOf(first.url, '2', () => true);
    // Once more, so that the webhook before it is over: the password has come back.
    await send('PUT', `${first.url}/demo/contacts/2/tags`, { tag: 'VIP', has: true });
    const joe = await userOf(first.url, '2', ({ tags }) => tags.includes('VIP'));
    const before = await stateOf(first.url);
    expect((await logIn(first.url, joe.email, passwordOf(before, '2'))).status).toBe(200);
    const { code, stderr } = await first.demo.end('SIGINT');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(readdirSync(path.dirname(file))).toEqual(['demo.sqlite']);

    const { demo, url } = await startDemo();
    expect(demo.stdout).toContain('as you left them');
    expect(demo.stdout).not.toContain('is created');
    const after = await stateOf(url);
    expect(after.users).toEqual(before.users);
    expect(after.contacts).toEqual(before.contacts);
    expect(after.users.map(({ email, isWelcomed }) => ({ email, isWelcomed }))).toEqual([
      { email: 'mary@example.com', isWelcomed: true },
      { email: 'joe@example.com', isWelcomed: true },
    ]);
    expect((await logIn(url, 'mary@example.com', passwordOf(after, '1'))).status).toBe(200);
    expect((await logIn(url, joe.email, passwordOf(after, '2'))).status).toBe(200);
    expect((await logIn(url, joe.email, passwordOf(after, '1'))).status).toBe(401);

    // The contact is the user's still, and a new one is somebody else.
    await send('PUT', `${url}/demo/contacts/2/tags`, { tag: 'VIP', has: false });
    const changed = await userOf(url, '2', ({ tags }) => !tags.includes('VIP'));
    expect(changed.id).toBe(joe.id);
    const added = await send('POST', `${url}/demo/contacts`, { email: 'zoe@example.com' });
    expect(await added.json()).toEqual({ id: '4' });
  });

  test('also after it was killed, at any moment', async () => {
    const first = await startDemo();
    await send('POST', `${first.url}/demo/contacts`, { email: 'zoe@example.com' });
    const before = await stateOf(first.url);
    await first.demo.end('SIGKILL');

    const { url } = await startDemo();
    const after = await stateOf(url);
    expect(after.contacts.map(({ id }) => id)).toEqual(['1', '2', '3', '4']);
    expect(after).toMatchObject({ contacts: before.contacts, users: before.users });
    expect((await logIn(url, 'mary@example.com', passwordOf(after, '1'))).status).toBe(200);
  });

  test('a webhook that was queued when it ended is worked off when it starts again', async () => {
    const first = await startDemo();
    await send('PUT', `${first.url}/demo/outage`, { isDown: true });
    await send('PUT', `${first.url}/demo/contacts/2/tags`, { tag: 'Add User to WP', has: true });
    while ((await stateOf(first.url)).queue.waiting === 0);
    expect((await first.demo.end('SIGINT')).code).toBe(0);

    const { url } = await startDemo();
    const joe = await userOf(url, '2', ({ isWelcomed }) => isWelcomed);
    // The password is kept with the account once the webhook is done.
    while ((await stateOf(url)).queue.waiting > 0);
    expect((await logIn(url, joe.email, passwordOf(await stateOf(url), '2'))).status).toBe(200);
  });

  test('tells the story from its beginning where it was killed within it', async () => {
    const env = { DEMO_DATABASE: file };
    const killed = await start(['--require', './__tests__/examples/fixtures/killed-in-story.js', DEMO], env)
      .finished;
    expect(killed.signal).toBe('SIGKILL');
    expect(killed.stdout).toContain('she logs in');

    const { demo, url } = await startDemo();
    expect(demo.stdout).toContain('The tag "Customer" is removed');
    const { users } = await stateOf(url);
    expect(users.map(({ email }) => email)).toEqual(['mary@example.com']);
  });

  test('is one at a time on one file', async () => {
    await startDemo();
    const { code, stderr } = await start([DEMO], { DEMO_DATABASE: file }).finished;

    expect(stderr).toBe(
      `${file} cannot be opened: another demo has it open. DEMO_DATABASE names another file.\n`,
    );
    expect(code).toBe(1);
  });

  test("never takes one account's users for another's", async () => {
    const real = { ONTRAPORT_APP_ID: '2_1_app', ONTRAPORT_API_KEY: 'the-api-key', DEMO_DATABASE: file };
    const first = start([DEMO], real);
    await first.says(NOW_YOU);
    expect(first.stdout).toContain(`Its users are kept in ${file}.`);
    await first.end('SIGTERM');
    const playing = await start([DEMO], { DEMO_DATABASE: file }).finished;
    expect(playing.stderr).toContain("are a real account's");
    expect(playing.code).toBe(1);
    rmSync(file);
    const { demo } = await startDemo();
    await demo.end('SIGTERM');
    const again = await start([DEMO], real).finished;
    expect(again.stderr).toContain("are the make-believe account's");
    expect(again.code).toBe(1);
  });

  test('with --once leaves nothing behind', async () => {
    expect((await start([DEMO, '--once'], { DEMO_DATABASE: file }).finished).code).toBe(0);
    expect(existsSync(path.dirname(file))).toBe(false);
  });
});

describe('the quick start', () => {
  const SITE = 'examples/quick-start/site.js';
  const WEBHOOK = '?wpf_action=add&access_key=the-key-of-the-quick-start';
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'wpf-quick-start-'));
  });
  afterEach(async () => {
    for (const example of started.splice(0)) await example.end();
    rmSync(folder, { recursive: true });
  });

  async function startAccount(): Promise<OntraportSandbox> {
    const sandbox = await OntraportSandbox.start();
    cleanUps.push(() => sandbox.close());
    return sandbox;
  }
  async function startSite(sandbox: OntraportSandbox): Promise<{ site: Example; url: string }> {
    const site = start([SITE], {
      WPF_ACCESS_KEY: 'the-key-of-the-quick-start',
      ONTRAPORT_APP_ID: sandbox.appId,
      ONTRAPORT_API_KEY: sandbox.apiKey,
      ONTRAPORT_BASE_URL: sandbox.baseUrl,
      DATABASE_FILE: path.join(folder, 'site.sqlite'),
    });
    const [url] = await site.says(/http:\S+/);
    return { site, url };
  }
  interface State {
    users: string[];
    waiting: number;
    dead: number;
  }
  async function stateOf(url: string, isReached: (state: State) => boolean): Promise<State> {
    for (;;) {
      const state = (await (await fetch(url)).json()) as State;
      if (isReached(state)) return state;
    }
  }

  test('stores a webhook, makes a user of its contact, and ends cleanly', async () => {
    const sandbox = await startAccount();
    const { site, url } = await startSite(sandbox);
    const contactId = sandbox.addContact({ email: 'mary@example.com' });

    const { status, json } = await sandbox.send({ url: `${url}${WEBHOOK}`, contactId });
    expect({ status, json }).toMatchObject({ status: 202, json: { outcome: 'queued' } });
    const state = await stateOf(url, ({ waiting }) => waiting === 0);
    expect(state).toEqual({ users: ['mary@example.com'], waiting: 0, dead: 0 });
    const again = await sandbox.send({ url: `${url}${WEBHOOK}&async=false`, contactId });
    expect(again).toMatchObject({ status: 200, json: { outcome: 'unchanged' } });

    const { code, signal, stderr } = await site.end('SIGTERM');
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('goes on, when it starts again, with the webhooks that came while Ontraport was down', async () => {
    const sandbox = await startAccount();
    const first = await startSite(sandbox);
    const contactId = sandbox.addContact({ email: 'mary@example.com' });
    const outage = sandbox.fail({ with: 'error500', times: Infinity });
    const { status } = await sandbox.send({ url: `${first.url}${WEBHOOK}`, contactId });
    expect(status).toBe(202);
    expect((await first.site.end('SIGTERM')).code).toBe(0);

    outage.remove();
    const second = await startSite(sandbox);
    const state = await stateOf(second.url, ({ waiting }) => waiting === 0);
    expect(state).toEqual({ users: ['mary@example.com'], waiting: 0, dead: 0 });
    expect(sandbox.deliveries).toHaveLength(1);
  });

  test('names what is missing in the environment', async () => {
    const { code, stderr } = await start([SITE]).finished;

    expect(stderr).toContain('appId: is missing');
    expect(code).toBe(1);
  });
});

test('the example of a test passes', async () => {
  const { code, stdout } = await start(['--test', 'examples/testing/site.test.js']).finished;

  expect(stdout).toMatch(/^(# |ℹ )pass 5$/m);
  expect(code).toBe(0);
});

describe('the examples as one set', () => {
  const names = readdirSync('examples', { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

  test.each(names)('%s tells its one command, and not much more', (name) => {
    const text = readFileSync(`examples/${name}/README.md`, 'utf8');
    expect(text).toMatch(name === 'demo' ? /npm run demo\n/ : new RegExp(`npm run example ${name}\\n`));
    expect(text.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(11);
  });

  test('all are there under their names', async () => {
    const { code, stdout } = await start(['examples/run.js']).finished;
    expect(code).toBe(0);
    expect([...stdout.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name).sort()).toEqual([...names].sort());
  });

  test('an unknown name is refused, with those that there are', async () => {
    const { code, stdout } = await start(['examples/run.js', 'quickstart']).finished;
    expect(code).toBe(1);
    expect(stdout).toContain('quick-start');
  });

  test('Ctrl-C on a terminal, which tells both processes, ends one in its order', async () => {
    const demo = new Example(['examples/run.js', 'demo'], FORGETS, true);
    await demo.says(NOW_YOU);
    const { code, signal, stdout } = await demo.end('SIGINT');
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(stdout).toContain('Ending.');
  });

  test('one is run with what follows its name, and ends as it does', async () => {
    const { code, stdout } = await start(['examples/run.js', 'demo', '--once'], FORGETS).finished;
    expect(code).toBe(0);
    expect(stdout).toContain('The story held.');
  });
});
