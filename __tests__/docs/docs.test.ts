// The documentation against the code: codes, options, steps, links and snippets.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import type { Server } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import express from 'express';
import createKnex from 'knex';
import * as ts from 'typescript';
import * as root from '../../lib';
import { STEPS } from '../../lib/actions/steps';
import { ERROR_CODES } from '../../lib/errors';
import * as knexSubpath from '../../lib/knex';
import * as testing from '../../lib/testing';
import { until } from '../actions/site';

const ROOT = path.resolve(__dirname, '../..');
const FILES = [
  'README.md',
  'CHANGELOG.md',
  'SECURITY.md',
  ...readdirSync(path.join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
  ...readdirSync(path.join(ROOT, 'examples'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `examples/${name}/README.md`),
];

const SQLITE = { client: 'better-sqlite3', connection: 'site.sqlite', useNullAsDefault: true };

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

/** A file without the spaces that line the columns of tables up. */
const readTables = (file: string): string => read(file).replace(/ +\|/g, ' |');

interface Block {
  readonly file: string;
  readonly language: string;
  /** What stands behind the language: the name by which a test finds the block. */
  readonly label: string;
  readonly code: string;
}

const FENCE = /^```(\w*) *([^\n]*)\n([\s\S]*?)^```$/gm;

const blocksOf = (file: string): Block[] =>
  [...read(file).matchAll(FENCE)].map(([, language = '', label = '', code = '']) => ({
    file,
    language,
    label,
    code,
  }));

const withoutBlocks = (text: string): string => text.replace(FENCE, '');

const headingsOf = (file: string): string[] =>
  [...withoutBlocks(read(file)).matchAll(/^#{1,6} +(.+?) *$/gm)].map(([, heading = '']) => heading);

/** The anchor that GitHub and npm give a heading. */
const slug = (heading: string): string =>
  heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');

function anchorsOf(file: string): Set<string> {
  const anchors = new Set<string>();
  for (const heading of headingsOf(file)) {
    const base = slug(heading);
    let anchor = base;
    for (let number = 1; anchors.has(anchor); number += 1) anchor = `${base}-${number}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** The texts of a union type in a source file. */
function unionOf(file: string, name: string): string[] {
  const [, body = ''] = new RegExp(`export type ${name} =([^;]*);`).exec(read(file)) ?? [];
  return [...body.matchAll(/'([^']+)'/g)].map(([, text = '']) => text);
}

const findBlock = (file: string, label: string): string => {
  const block = blocksOf(file).find((each) => each.label === label);
  if (block === undefined) throw new Error(`${file} has no block "${label}".`);
  return block.code;
};

/** Runs a CommonJS snippet with this checkout in the place of the installed package. */
function run(
  code: string,
  modules: Readonly<Record<string, unknown>> = {},
  environment: object = {},
): Record<string, unknown> {
  const known: Readonly<Record<string, unknown>> = {
    express,
    'wp-fusion-webhook': root,
    'wp-fusion-webhook/testing': testing,
    ...modules,
  };
  const module = { exports: {} as Record<string, unknown> };
  const load = (name: string): unknown =>
    Object.hasOwn(known, name) ? known[name] : jest.requireActual(name);
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the documentation's own code, out of this repository
  const execute = new Function('require', 'module', 'exports', 'process', code);
  execute(load, module, module.exports, environment);
  return module.exports;
}

const close = async (server: Server): Promise<void> => {
  if (!server.listening) return;
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
};

describe('docs/errors.md', () => {
  const sections = headingsOf('docs/errors.md').filter((heading) => /^[A-Z][A-Z_]+$/.test(heading));
  const warnings = unionOf('lib/result.ts', 'WarningCode');
  const reasons = unionOf('lib/result.ts', 'SkipReason');

  test('finds the codes in the source', () => {
    expect(warnings).toContain('EMAIL_TAKEN');
    expect(reasons).toContain('CANCELLED');
  });

  test('has one section for every code, warning and reason, and none for anything else', () => {
    expect([...sections].sort()).toEqual([...new Set([...ERROR_CODES, ...warnings, ...reasons])].sort());
  });

  test('tells the status of every code that an answer can have', () => {
    const text = read('docs/errors.md');
    const internal = ['DUPLICATE_USER', 'USER_NOT_FOUND', 'STALE_USER', 'INVALID_OPTION'];
    for (const code of ERROR_CODES.filter((each) => !internal.includes(each))) {
      const { status, retryable } = new root.WpFusionError(code, '');
      const [, section = ''] = text.split(`\n## ${code}\n`);
      const [body = ''] = section.split('\n#');
      expect(`${code} ${body.trim()}`).toMatch(new RegExp(`^${code} \\*\\*${status}\\.?\\*\\*`));
      expect([code, body.includes('Worth repeating')]).toEqual([code, retryable]);
    }
  });
});

describe('docs/options.md', () => {
  const [, list = ''] = /OPTION_NAMES[^=]*= \[([^\]]*)\]/.exec(read('lib/options.ts')) ?? [];
  const names = [...list.matchAll(/'(\w+)'/g)].map(([, name = '']) => name);

  test('has a section for every option', () => {
    expect(names).toContain('accessKey');
    expect(headingsOf('docs/options.md')).toEqual(expect.arrayContaining(names));
  });

  test('names them all in its table', () => {
    for (const name of names)
      expect(readTables('docs/options.md')).toContain(`| [\`${name}\`](#${slug(name)}) |`);
  });

  test.each([
    ['OntraportClient', 'lib/crm/ontraport/client-options.ts', /const NAMES = \[([^\]]*)\]/],
    ['BcryptHasher', 'lib/users/password-hasher.ts', /const OPTIONS = \[([^\]]*)\]/],
  ])('names every option of %s', (heading, file, pattern) => {
    const options = [...(pattern.exec(read(file))?.[1] ?? '').matchAll(/'(\w+)'/g)].map(([, name]) => name);
    const [, section = ''] = read('docs/options.md').split(`\n## ${heading}\n`);
    const [body = ''] = section.split('\n## ');
    expect(options.length).toBeGreaterThan(2);
    for (const option of options) expect(body).toContain(`\`${option}\``);
  });
});

test('docs/passwords.md tells what is true at every step', () => {
  for (const step of STEPS) expect(readTables('docs/passwords.md')).toContain(`| \`${step}\` |`);
});

test('docs/hooks-and-events.md names every hook and every event', () => {
  const source = read('lib/events.ts');
  const hooks = [...source.matchAll(/^ {2}(\w+)\?\(context/gm)].map(([, name]) => name);
  const events = [...source.matchAll(/^ {2}'([\w.]+)':/gm)].map(([, name]) => name);
  expect([hooks.length > 3, events.length > 3]).toEqual([true, true]);
  for (const name of [...hooks, ...events])
    expect(readTables('docs/hooks-and-events.md')).toContain(`| \`${name}\` |`);
});

describe.each(FILES)('%s', (file) => {
  test('has links that lead somewhere', () => {
    const dead: string[] = [];
    for (const [, target = ''] of withoutBlocks(read(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [to = '', anchor] = target.split('#');
      const linked = to === '' ? file : path.posix.join(path.posix.dirname(file), to);
      const found = existsSync(path.join(ROOT, linked));
      if (!found || (anchor !== undefined && !anchorsOf(linked).has(anchor))) dead.push(target);
    }
    expect(dead).toEqual([]);
  });

  test('has code that parses', () => {
    for (const { language, code } of blocksOf(file)) {
      if (language === 'json') JSON.parse(code);
      if (!['js', 'ts'].includes(language)) continue;
      // A few options without the call around them are the inside of an object.
      expect([code, Math.min(syntaxErrors(code), syntaxErrors(`({\n${code}\n})`))]).toEqual([code, 0]);
    }
  });

  test('names nothing of a machine and nothing that a reader does not have', () => {
    expect(read(file)).not.toMatch(/(^|[\s"'`(=])\/(work|home|root|tmp|Users|opt)\//m);
    expect(read(file)).not.toMatch(
      /shared\/(contract|architecture|reference)|\b(contract|architecture)\.md\b/i,
    );
  });
});

function syntaxErrors(code: string): number {
  const { diagnostics = [] } = ts.transpileModule(code, {
    reportDiagnostics: true,
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  return diagnostics.length;
}

test('the README tells all pages of docs/', () => {
  for (const file of FILES.filter((each) => each.startsWith('docs/')))
    expect(read('README.md')).toContain(`](${file})`);
});

describe('the README, followed as files', () => {
  // Within the package, so that it finds itself and Express by their names.
  let directory: string;
  const write = (name: string, text: string): void => writeFileSync(path.join(directory, name), text);
  const node = async (file: string, env = {}): Promise<string> => {
    const options = { cwd: directory, env: { ...process.env, ...env } };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], options);
    expect(stderr).toBe('');
    return stdout;
  };

  beforeEach(() => {
    mkdirSync(path.join(ROOT, '.tmp'), { recursive: true });
    directory = mkdtempSync(path.join(ROOT, '.tmp/readme-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test('first-user.js creates a user, and ends', async () => {
    const port = String(await freePort());
    write('first-user.js', findBlock('README.md', 'first-user').replaceAll('3000', port));
    const first = await node('first-user.js');
    for (const part of ["outcome: 'created'", "email: 'mary@example.com'", 'tags: \'["Customer"]\''])
      expect(first).toContain(part);
    expect(await node('first-user.js')).toContain("outcome: 'unchanged'");
  });

  test('as ES modules the quick start is the same, by the README’s own rules', async () => {
    const asModule = (label: string): string =>
      findBlock('README.md', label)
        .replaceAll(/^const (.+) = require\('(.+)'\);/gm, "import $1 from '$2';")
        .replaceAll(/'(\.\/\w+)'/g, "'$1.mjs'")
        .replace('module.exports = { knex, users }', 'export { knex, users }');
    write('knex.mjs', `import knex from 'knex';\nexport default knex(${JSON.stringify(SQLITE)});`);
    write('members.mjs', asModule('quick-start-members'));
    write('prepare.mjs', asModule('quick-start-prepare'));
    const knex = createKnex({ ...SQLITE, connection: { filename: path.join(directory, 'site.sqlite') } });
    await knex.schema.createTable('members', (table) => {
      table.increments('id');
      for (const column of ['email_address', 'password', 'first_name', 'company']) table.string(column);
    });
    expect(await node('prepare.mjs')).toBe('The database is prepared.\n');
    expect(Object.keys(await knex('members').columnInfo())).toContain('contact_id');
    await knex.destroy();
    const site = asModule('quick-start').replace(
      /^process\.on[\s\S]*/m,
      'server.close(); await webhook.close(); await knex.destroy();',
    );
    write('site.mjs', site.replace('process.env.PORT ?? 3000', '0'));
    const env = {
      WPF_ACCESS_KEY: 'a-key-of-sixteen-or-more',
      ONTRAPORT_APP_ID: 'id',
      ONTRAPORT_API_KEY: 'key',
    };
    expect(await node('site.mjs', env)).toBe('');
  });

  test('prepare.js prepares the database, as often as it is run', async () => {
    write('knex.js', `module.exports = require('knex')(${JSON.stringify(SQLITE)});`);
    const knex = createKnex({ ...SQLITE, connection: { filename: path.join(directory, 'site.sqlite') } });
    await knex.schema.createTable('members', (table) => {
      table.increments('id');
      for (const column of ['email_address', 'password', 'first_name', 'company']) table.string(column);
    });
    write('members.js', findBlock('README.md', 'quick-start-members'));
    write('prepare.js', findBlock('README.md', 'quick-start-prepare'));
    for (let run = 0; run < 2; run += 1) expect(await node('prepare.js')).toBe('The database is prepared.\n');
    const columns = Object.keys(await knex('members').columnInfo());
    // Those that the README names.
    expect(columns.slice(5)).toEqual(['contact_id', 'sync_state', 'role', 'tags', 'extra']);
    expect(await knex.schema.hasTable('wpf_webhooks')).toBe(true);
    expect(await knex.schema.hasTable('wpf_users')).toBe(false);
    await knex.destroy();
  });
});

describe('the quick start of the README', () => {
  const code = findBlock('README.md', 'quick-start');

  test('is short', () => {
    expect(code.trimEnd().split('\n').length).toBeLessThan(30);
  });

  test('runs: an automation creates a user, whose password comes back', async () => {
    const sandbox = await testing.OntraportSandbox.start();
    sandbox.addField({ key: 'f1550', alias: 'Plan', type: 'drop', options: ['Gold'] });
    sandbox.addField({ key: 'f1556', alias: 'Password' });
    const contact = { firstname: 'Mary', email: 'mary@example.com', company: 'Acme', f1550: '586' };
    const id = sandbox.addContact({ ...contact, tags: ['Customer'] });
    // The snippet as it stands; only the API's address is another one.
    class SandboxClient extends root.OntraportClient {
      constructor(options: root.OntraportClientOptions) {
        super({ ...options, baseUrl: sandbox.baseUrl });
      }
    }
    const handlers = new Map<string, () => Promise<void>>();
    const environment = {
      env: {
        PORT: '0',
        WPF_ACCESS_KEY: 'a-key-for-the-quick-start',
        ONTRAPORT_APP_ID: sandbox.appId,
        ONTRAPORT_API_KEY: sandbox.apiKey,
      },
      on: (signal: string, handler: () => Promise<void>) => handlers.set(signal, handler),
    };
    const said: unknown[] = [];
    for (const level of ['warn', 'error'] as const) {
      jest.spyOn(console, level).mockImplementation((...parts: unknown[]) => void said.push(parts[0]));
    }
    const knex = createKnex({ client: 'better-sqlite3', connection: ':memory:', useNullAsDefault: true });
    await knex.schema.createTable('members', (table) => {
      table.increments('id');
      table.string('email_address').notNullable().unique();
      table.string('password', 100).notNullable();
      for (const column of ['first_name', 'company', 'extra', 'favourite_colour']) table.string(column);
    });
    await knex('members').insert({ email_address: 'John@example.com', password: 'of before' });
    await knexSubpath.migrate(knex, { users: false });
    const members = run(findBlock('README.md', 'quick-start-members'), {
      'wp-fusion-webhook/knex': knexSubpath,
      './knex': knex,
    });
    const site = run(
      `${code}\nObject.assign(exports, { server, webhook });`,
      {
        'wp-fusion-webhook': { ...root, OntraportClient: SandboxClient },
        'wp-fusion-webhook/knex': knexSubpath,
        './members': members,
      },
      environment,
    );
    const server = site.server as Server;
    const users = members.users as knexSubpath.KnexUserRepository;
    const webhook = site.webhook as root.WpFusionWebhook;
    try {
      await users.prepareTable();
      if (!server.listening) await once(server, 'listening');
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

      // The URLs are those of the README's table, the key is where it says, and once where else it may be.
      const key = environment.env.WPF_ACCESS_KEY;
      const written = [...read('README.md').matchAll(/`https:\/\/YOUR-SITE(\/\?wpf_action=[^`]+)`/g)];
      const urls = written.map(([, url = '']) => base + url);
      expect(urls).toHaveLength(5);
      expect(read('README.md')).toContain('the header `X-Access-Key: KEY`');
      expect(
        await sandbox.send({ url: `${urls[4]}&access_key=${key}`, contactId: id, parameters: {} }),
      ).toMatchObject({
        status: 200,
      });
      const outcomes = [];
      for (const url of urls) {
        const { status, json } = await sandbox.send({
          url,
          headers: { 'X-Access-Key': key },
          contactId: id,
          ...(url.includes('test') ? { parameters: {} } : {}),
        });
        const { action, outcome, warnings } = json as {
          action: string;
          outcome?: string;
          warnings?: { code: string }[];
        };
        outcomes.push([status, action, outcome, ...(warnings ?? []).map((warning) => warning.code)]);
      }
      expect(outcomes).toEqual([
        [202, 'add', 'queued'],
        [202, 'add', 'queued'],
        [202, 'update', 'queued'],
        [202, 'update_tags', 'queued'],
        [200, 'test', undefined],
      ]);
      await until(async () => (await webhook.queueCounts()).waiting === 0);
      expect(await webhook.queueCounts()).toMatchObject({ dead: 0 });

      // The site has said at its start what its table lacked then.
      expect(said).toContainEqual(expect.stringContaining('The table members has no column contact_id'));
      const rows = await knex('members').orderBy('id');
      expect(rows).toHaveLength(2);
      expect(rows[1]).toMatchObject({ contact_id: id, email_address: 'mary@example.com', company: 'Acme' });
      expect(rows[1]).toMatchObject({ first_name: 'Mary', favourite_colour: null });
      const mary = await users.findByContactId(id);
      expect(mary).toMatchObject({
        email: 'mary@example.com',
        role: 'customer',
        tags: ['Customer'],
        meta: { firstName: 'Mary', company: 'Acme', plan: 'Gold' },
      });
      const password = sandbox.contact(id)?.f1556 ?? '';
      expect(await new root.BcryptHasher().verify(password, mary!.passwordHash!)).toBe(true);

      // A member of before, who has no role yet, is linked, and keeps the password.
      const johnId = sandbox.addContact({ firstname: 'John', email: 'john@example.com' });
      const { json } = await sandbox.send({
        url: `${urls[0]!}&async=false`,
        headers: { 'X-Access-Key': key },
        contactId: johnId,
      });
      expect(json).toMatchObject({ outcome: 'updated', userId: '1' });
      expect(await knex('members').where({ id: 1 }).first()).toMatchObject({
        ...{ contact_id: johnId, first_name: 'John', password: 'of before' },
      });

      await handlers.get('SIGTERM')?.();
    } finally {
      await close(server);
      await sandbox.close();
      await knex.destroy();
      jest.restoreAllMocks();
    }
  });
});

test('the answers that the README shows are those that are given', async () => {
  const [queued, success, failure] = blocksOf('README.md')
    .filter(({ language }) => language === 'json')
    .map(({ code }) => JSON.parse(code) as Record<string, unknown>);
  const sandbox = await testing.OntraportSandbox.start();
  const id = sandbox.addContact({ id: 8, email: 'mary@example.com' });
  const knex = createKnex({ client: 'better-sqlite3', connection: ':memory:', useNullAsDefault: true });
  await knexSubpath.migrate(knex, { users: false });
  const webhook = root.wpFusionWebhook({
    accessKey: 'a-key-of-this-test',
    crm: new root.OntraportClient({ appId: sandbox.appId, apiKey: sandbox.apiKey, baseUrl: sandbox.baseUrl }),
    users: new root.MemoryUserRepository(),
    queue: new knexSubpath.KnexWebhookQueue(knex),
    logger: false,
  });
  const server = express().use(webhook).listen(0);
  try {
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/?wpf_action=add&access_key=`;
    const answerTo = async (rest: string): Promise<unknown> => {
      const { status, json } = await sandbox.send({ url: base + rest, contactId: id });
      return { status, json };
    };
    const given = await answerTo('a-key-of-this-test&async=false');
    expect(given).toEqual({ status: 200, json: success });
    expect(await answerTo('a-key-of-this-test')).toEqual({ status: 202, json: queued });
    expect(await answerTo('another-key')).toEqual({ status: 403, json: failure });
  } finally {
    await webhook.close();
    await close(server);
    await sandbox.close();
    await knex.destroy();
  }
});

test('the example of docs/testing.md runs', async () => {
  const example = findBlock('docs/testing.md', 'sandbox-example');
  const { done } = run(`${example}\nmodule.exports = { done: module.exports };`);
  await done;
});

describe('the view on a repository of docs/several-accounts.md', () => {
  const { ofAccount } = run(
    `${findBlock('docs/several-accounts.md', 'of-account')}\nexports.ofAccount = ofAccount;`,
  ) as {
    ofAccount: (users: root.UserRepository, account: string) => root.UserRepository;
  };
  const someone = { passwordHash: null, role: 'subscriber', tags: [], meta: {}, syncState: null };

  test('keeps the contacts of two accounts apart', async () => {
    const users = new root.MemoryUserRepository();
    const shop = ofAccount(users, 'shop');
    const school = ofAccount(users, 'school');
    const mary = await shop.create({
      ...someone,
      contactId: '8',
      email: 'mary@example.com',
      username: 'mary',
    });
    await school.create({ ...someone, contactId: '8', email: 'joe@example.com', username: 'joe' });

    expect(mary.contactId).toBe('8');
    expect(await shop.findByContactId('8')).toMatchObject({ username: 'mary', contactId: '8' });
    expect(await school.findByContactId('8')).toMatchObject({ username: 'joe', contactId: '8' });
    expect(await school.findByEmail('mary@example.com')).toBeNull();
    expect(await shop.update(mary.id, { tags: ['T'] })).toMatchObject({ contactId: '8', tags: ['T'] });
    expect(users.all().map(({ contactId }) => contactId)).toEqual(['shop:8', 'school:8']);
  });

  test('shows a user without a contact to both, until one links it', async () => {
    const users = new root.MemoryUserRepository();
    const { id } = await users.create({
      ...someone,
      contactId: null,
      email: 'ann@example.com',
      username: 'ann',
    });
    const shop = ofAccount(users, 'shop');
    expect(await shop.findByEmail('ann@example.com')).toMatchObject({ id, contactId: null });
    await shop.update(id, { contactId: '9' });
    expect(await ofAccount(users, 'school').findByEmail('ann@example.com')).toBeNull();
  });
});
