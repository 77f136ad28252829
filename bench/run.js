// `npm run bench`: every measurement, or those that are named: `npm run bench start`. Tables to the terminal, numbers to .tmp/bench;
// `npm run bench page` puts these into docs/performance.md.
const { spawnSync } = require('node:child_process');
const { mkdirSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { table } = require('./measure');
const { FOLDER } = require('./processes');

const PARTS = {
  'pass-through': 'What a request that is no webhook costs',
  start: 'What loading the package adds to the start of a site',
  burst: 'Many webhooks at once, until the last user is as the CRM has it',
  limited: 'Many webhooks at once under a limit of 180 calls a minute',
  acknowledge: 'How soon a webhook is stored and answered with 202',
  drain: 'How fast waiting webhooks are worked off',
  memory: 'What 100,000 waiting webhooks take of the memory of a process that works',
  'event-loop':
    'What visitors of other pages wait while 200 new users come at once, with a CRM that takes 100 ms',
};

const PAGE = 'page';

const asked = process.argv.slice(2);
const unknown = asked.find((name) => name !== PAGE && !Object.hasOwn(PARTS, name));
if (unknown !== undefined) {
  console.error(
    `There is no measurement "${unknown}"; there are ${Object.keys(PARTS).join(', ')}, and ${PAGE}.`,
  );
  process.exit(1);
}
const parts = asked.length > 0 ? asked.filter((name) => name !== PAGE) : Object.keys(PARTS);

mkdirSync(FOLDER, { recursive: true });
const [processor] = os.cpus();
const machine = {
  processor: processor?.model.trim() ?? 'unknown',
  cores: os.cpus().length,
  memoryGB: Math.round(os.totalmem() / 1e9),
  system: `${os.platform()} ${os.release()}`,
  node: process.version,
  versions: Object.fromEntries(
    ['express', 'knex', 'better-sqlite3', 'pg', 'mysql2', 'bullmq'].map((name) => [
      name,
      require(`${name}/package.json`).version,
    ]),
  ),
};
console.log(`${machine.cores} cores of ${machine.processor}, ${machine.memoryGB} GB, Node ${machine.node}`);

for (const name of parts) {
  const { status, stdout } = spawnSync(process.execPath, [path.join(__dirname, `${name}.js`)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) process.exit(1);
  const { rows, digits, charts } = JSON.parse(stdout);
  console.log(`\n${PARTS[name]}: median (middle half)\n\n${table(rows, digits)}`);
  writeFileSync(
    path.join(FOLDER, `${name}.json`),
    `${JSON.stringify({ at: new Date().toISOString(), machine, rows, digits, charts }, undefined, 2)}\n`,
  );
}
if (asked.includes(PAGE)) require('./page');
