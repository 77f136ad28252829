// The command as such: finding a command, helping, refusing; its configuration file; colours; ends of pipes.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Folder, isTerminalThere, openSite } from './command';

const { version } = JSON.parse(readFileSync(path.resolve(__dirname, '../../package.json'), 'utf8')) as {
  version: string;
};
const COMMANDS = ['keygen', 'url', 'doctor', 'import', 'reconcile', 'replay', 'dead', 'sandbox'];

describe('without a site', () => {
  test.each(['--version', '-v'])('%s', async (option) => {
    expect(await new Folder().run(option)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each(['help', '--help', '-h'])('%s lists every command, as data', async (word) => {
    const { code, stdout, stderr } = await new Folder().run(word);
    expect([code, stderr]).toEqual([0, '']);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} +[A-Z]`, 'm'));
  });

  test('nothing at all is wrong usage', async () => {
    const { code, stdout, stderr } = await new Folder().run();
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Usage: wp-fusion-webhook COMMAND');
  });

  test.each(COMMANDS)('%s --help is what help says of it', async (command) => {
    const folder = new Folder();
    const asked = await folder.run(command, '--help');
    expect(asked).toEqual({ code: 0, stdout: expect.stringMatching(/^Usage: .*\n/), stderr: '' });
    expect(await folder.run('help', command)).toEqual(asked);
  });

  test.each<[string, string[], string]>([
    ['a command that is nearly one', ['imprt'], '"imprt" is no command; did you mean "import"?'],
    ['a command that is none', ['frobnicate'], 'There are: keygen, url,'],
    ['help about none', ['help', 'dcotor'], 'did you mean "doctor"?'],
    ['an option before the command', ['--json', 'doctor'], 'Options stand behind the command'],
    ['an option that is nearly one', ['import', '--tga', 'x'], '--tga is no option; did you mean --tag?'],
    ['an option of another command', ['keygen', '--limit', '1'], '--limit is no option.'],
    ['an option without its argument', ['import', '--tag'], '--tag'],
    ['a word too many', ['doctor', 'now'], 'doctor takes no "now".'],
    ['no tag', ['import'], '--tag is missing.'],
    ['no ids', ['replay'], 'replay takes the ids of webhooks.'],
    ['a number that is none', ['dead', '--limit', 'many'], '--limit must be a whole number from 1'],
    ['a verb that is nearly one', ['dead', 'pruge'], 'did you mean "purge"?'],
    ['purge without anything', ['dead', 'purge'], 'dead purge takes ids, or --all.'],
    ['replay of both', ['dead', 'replay', '1', '--all'], 'dead replay takes ids, or --all.'],
    ['a day that is none', ['reconcile', '--since', '2026-13-41'], '--since must be as 2026-11-01'],
    ['a day to come', ['reconcile', '--since', '2999-01-01'], '--since lies in the future.'],
    ['both ways', ['reconcile', '--since', '7d', '--all'], '--all cannot stand beside --since.'],
    ['a port that is none', ['sandbox', '--port', '70000'], '--port must be a whole number from 0 to 65535'],
  ])('%s', async (_what, args, message) => {
    const { code, stdout, stderr } = await new Folder().run(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('keygen', () => {
  test('gives a key alone on stdout, another one each time', async () => {
    const folder = new Folder();
    const [one, other] = [await folder.run('keygen'), await folder.run('keygen')];
    expect(one.stdout).toMatch(/^[\w-]{43}\n$/);
    expect(one.code).toBe(0);
    expect(one.stdout).not.toBe(other.stdout);
    expect(one.stderr).toContain('accessKey: process.env.WPF_ACCESS_KEY');
    expect(one.stderr).not.toContain(one.stdout.trim());
  });
});

describe('the configuration file', () => {
  const SITE = `{
    accessKey: 'a-key-of-sixteen-or-more',
    crm: { getContacts: async () => new Map(), updateContact: async () => undefined },
    users: new MemoryUserRepository(),
  }`;
  const REQUIRE = "const { MemoryUserRepository } = require('wp-fusion-webhook');";
  const URL = ['url', '--action', 'test'];
  const FOUND = 'https://www.example.com/?wpf_action=test&access_key=YOUR-ACCESS-KEY\n';
  const OF_MODULE = "import { MemoryUserRepository } from 'wp-fusion-webhook';";

  test.each<[string, string, string]>([
    [
      '.js',
      'wp-fusion-webhook.config.js',
      `${REQUIRE} module.exports = { options: ${SITE}, url: 'https://www.example.com/' };`,
    ],
    [
      '.cjs',
      'wp-fusion-webhook.config.cjs',
      `${REQUIRE} exports.options = ${SITE}; exports.url = 'https://www.example.com/';`,
    ],
    [
      '.mjs',
      'wp-fusion-webhook.config.mjs',
      `${OF_MODULE} export default { options: ${SITE}, url: 'https://www.example.com/' };`,
    ],
    [
      '.mjs without a default',
      'wp-fusion-webhook.config.mjs',
      `${OF_MODULE} export const options = ${SITE}; export const url = 'https://www.example.com/';`,
    ],
    [
      'out of a compiler',
      'wp-fusion-webhook.config.js',
      `${REQUIRE} exports.__esModule = true; exports.default = { options: ${SITE}, url: 'https://www.example.com/' };`,
    ],
    [
      'with a function',
      'wp-fusion-webhook.config.js',
      `${REQUIRE} module.exports = { options: async () => (${SITE}), url: 'https://www.example.com/' };`,
    ],
  ])('%s', async (_what, name, text) => {
    const folder = new Folder();
    folder.write(name, text);
    expect(await folder.run(...URL)).toEqual({ code: 0, stdout: FOUND, stderr: '' });
  });

  test('anywhere, with --config', async () => {
    const folder = new Folder();
    folder.write(
      'elsewhere.js',
      `${REQUIRE} module.exports = { options: ${SITE}, url: 'https://www.example.com/' };`,
    );
    expect((await folder.run(...URL, '--config', 'elsewhere.js')).stdout).toBe(FOUND);
    const { code, stderr } = await folder.run(...URL, '--config', 'elsewere.js');
    expect([code, stderr]).toEqual([2, 'wp-fusion-webhook: There is no file elsewere.js.\n']);
  });

  test('is closed at the end, also after a failure', async () => {
    const folder = new Folder();
    folder.write(
      'wp-fusion-webhook.config.js',
      `${REQUIRE} module.exports = { options: ${SITE}, close: () => console.error('closed') };`,
    );
    expect(await folder.run(...URL)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^closed\n.*url: is missing/),
    });
    expect(await folder.run(...URL, '--site', 'http://localhost:3000/')).toMatchObject({
      code: 0,
      stderr: 'closed\n',
    });
  });

  test('that leaves something open is told so, and the command ends', async () => {
    const folder = new Folder();
    folder.write(
      'wp-fusion-webhook.config.js',
      `${REQUIRE} module.exports = { options: ${SITE} }; setInterval(() => {}, 1000);`,
    );
    const { code, stderr } = await folder.run(...URL, '--site', 'http://localhost:3000/');
    expect([code, stderr]).toEqual([0, expect.stringContaining('is still open; let its close() end it.')]);
  });

  test.each<[string, string, string[]]>([
    [
      'a mistake in its syntax',
      "const key = 'my-secret-key;\nmodule.exports = {};",
      ['wp-fusion-webhook.config.js:1: it could not be loaded: Invalid or unexpected token'],
    ],
    [
      'an error',
      "throw new Error('the environment is not loaded');",
      ['it could not be loaded: the environment is not loaded'],
    ],
    [
      'a module that is not there',
      "require('dotenv-of-nobody');",
      ["it could not be loaded: Cannot find module 'dotenv-of-nobody'"],
    ],
    ['no object', 'module.exports = 7;', ['it must export an object { options, url, close }.']],
    [
      'another property',
      'module.exports = { option: {} };',
      ['option: is no property of it; did you mean "options"?'],
    ],
    ['no options', 'module.exports = {};', ['options: is missing']],
    ['options that are none', 'module.exports = { options: 7 };', ['options: must be an object']],
    [
      'a function that gives none',
      'module.exports = { options: () => undefined };',
      ['options: the function must give an object'],
    ],
    [
      'a function that throws',
      "module.exports = { options: async () => { throw new Error('no database'); } };",
      ['options: the function threw: no database'],
    ],
    [
      'an address that is none',
      `${REQUIRE} module.exports = { options: ${SITE}, url: 'www.example.com' };`,
      ['url: must be the address'],
    ],
    [
      'an address with a password',
      `${REQUIRE} module.exports = { options: ${SITE}, url: 'https://me:my-secret-key@example.com' };`,
      ['url: must be the address'],
    ],
    [
      'something to close that is none',
      `${REQUIRE} module.exports = { options: ${SITE}, close: 'yes' };`,
      ['close: must be a function.'],
    ],
    [
      'a wrong option',
      `${REQUIRE} module.exports = { options: { ...${SITE}, accessKey: undefined } };`,
      ['options.accessKey: is undefined'],
    ],
    [
      'an option that is nearly one',
      `${REQUIRE} module.exports = { options: { ...${SITE}, feilds: {} } };`,
      ['options.feilds: is no option; did you mean "fields"?'],
    ],
  ])('%s is told, with its name', async (_what, text, messages) => {
    const folder = new Folder();
    folder.write('wp-fusion-webhook.config.js', text);
    for (const more of [[], ['--verbose']]) {
      const { code, stdout, stderr } = await folder.run('doctor', ...more);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain('wp-fusion-webhook: wp-fusion-webhook.config.js');
      for (const message of messages) expect(stderr).toContain(message);
      expect(stderr).not.toContain('my-secret-key');
    }
  });

  test('none at all is told, with what to do', async () => {
    const { code, stderr } = await new Folder().run('doctor');
    expect([code, stderr]).toEqual([2, expect.stringContaining('There is no wp-fusion-webhook.config.js')]);
  });
});

describe('what it writes', () => {
  const COLOUR = /\u001b\[/; // eslint-disable-line no-control-regex

  test('off a terminal has no colours', async () => {
    const { folder } = await openSite();
    const { stdout, stderr } = await folder.run('doctor');
    expect(stdout + stderr).not.toMatch(COLOUR);
  });

  (isTerminalThere() ? test : test.skip)('on a terminal has colours, unless nobody wants them', async () => {
    const { folder } = await openSite();
    const saidWith = async (env: Record<string, string>): Promise<string> =>
      (await folder.startOnTerminal(['doctor'], env).ended).stdout;
    expect(await saidWith({})).toMatch(COLOUR);
    expect(await saidWith({ NO_COLOR: '' })).toMatch(COLOUR);
    expect(await saidWith({ NO_COLOR: '1' })).not.toMatch(COLOUR);
    expect(await saidWith({ TERM: 'dumb' })).not.toMatch(COLOUR);
  });

  test('a pipe that is closed is no crash', async () => {
    const { folder, sandbox } = await openSite();
    sandbox.addContact({ email: 'mary@example.com', tags: ['Member'] });
    const running = folder.start(['doctor']);
    running.closePipe();
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([0, 'All is well.\n']);
  });

  test('--verbose logs to stderr, whatever the site logs to', async () => {
    const { folder } = await openSite({ options: "accessKey: 'deadbeef', logger: console," });
    expect(await folder.run('dead', '--json')).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
    const { stdout, stderr } = await folder.run('dead', '--json', '--verbose');
    expect([stdout, stderr]).toEqual(['[]\n', expect.stringMatching(/^warn: This access key is short/)]);
  });

  test('data for programs is JSON, and nothing else', async () => {
    const { folder } = await openSite();
    const { stdout } = await folder.run('doctor', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ ok: true });
  });
});

describe('docs/command-line.md', () => {
  const text = readFileSync(path.resolve(__dirname, '../../docs/command-line.md'), 'utf8');

  test.each(COMMANDS)('tells of %s, and of its options', async (command) => {
    expect(text).toMatch(new RegExp(`^## .*\\b${command}\\b`, 'm'));
    const { stdout } = await new Folder().run(command, '--help');
    const options = [...stdout.matchAll(/^ {2}(--[\w-]+)/gm)].map(([, option = '']) => option);
    expect(options.filter((option) => !text.includes(option))).toEqual([]);
  });

  test('shows a configuration file that works', async () => {
    const [, code = ''] = /^```js command-line-config\n([\s\S]*?)^```$/m.exec(text) ?? [];
    const folder = new Folder({
      WPF_ACCESS_KEY: 'a-key-of-sixteen-or-more',
      ONTRAPORT_APP_ID: 'id',
      ONTRAPORT_API_KEY: 'key',
    });
    folder.write('wp-fusion-webhook.config.js', code);
    folder.write(
      'members.js',
      `const knex = require('knex')({ client: 'better-sqlite3', connection: ':memory:', useNullAsDefault: true });
      const { KnexUserRepository } = require('wp-fusion-webhook/knex');
      module.exports = { knex, users: new KnexUserRepository(knex) };`,
    );
    const [printed = ''] = /^https:\/\/www.*customer.*$/m.exec(text) ?? [];
    expect(await folder.run('url', '--action', 'add')).toEqual({
      code: 0,
      stdout: `${printed.replace('role=customer&', '')}\n`,
      stderr: '',
    });
  });
});
