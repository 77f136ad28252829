// `npm run example NAME`: runs an example by the name of its folder, and hands on what follows it: `npm run example demo -- --once`.
// Without a name it tells which there are.
const { spawn } = require('node:child_process');
const path = require('node:path');

const JEST = require.resolve('jest/bin/jest');

/** How each is started, and what it is. */
const EXAMPLES = {
  'quick-start': [['site.js'], 'the quick start, on SQLite, with your Ontraport account'],
  demo: [['index.js'], 'a site and a make-believe Ontraport to play with, on SQLite'],
  'members-area': [['index.js'], 'an old members table, a login, a course that a tag opens, on PostgreSQL'],
  'pm2-cluster': [['start.js'], 'four processes under PM2, on PostgreSQL'],
  'web-and-workers': [['start.js'], 'web processes and workers, on Redis'],
  testing: [['--test', 'site.test.js'], 'a site and its tests, against the sandbox'],
  repositories: [[JEST, 'examples/repositories'], 'user repositories to copy, and their tests'],
  'crm-clients': [[JEST, 'examples/crm-clients'], 'clients of other CRMs to copy, and their tests'],
};

const [name, ...rest] = process.argv.slice(2);
const [start] = Object.hasOwn(EXAMPLES, name ?? '') ? EXAMPLES[name] : [];
if (start === undefined) {
  console.log('npm run example NAME, where NAME is one of:');
  for (const [each, [, what]] of Object.entries(EXAMPLES)) console.log(`  ${each.padEnd(16)} ${what}`);
  process.exitCode = name === undefined ? 0 : 1;
} else {
  // The path of a file of the example; Jest is told a part of the names of its tests instead.
  const isFile = (argument) => argument.endsWith('.js') && argument !== JEST;
  const args = start.map((argument) => (isFile(argument) ? path.join('examples', name, argument) : argument));
  const child = spawn(process.execPath, [...args, ...rest], {
    cwd: path.dirname(__dirname),
    stdio: 'inherit',
  });
  // A terminal gives Ctrl-C to both: a second one would kill the example while it ends. Other signals come to this process alone.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => (process.exitCode = signal === null ? code : 1));
}
