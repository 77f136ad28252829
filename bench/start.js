// What `require('wp-fusion-webhook')` adds to the start of a site: time and memory, in processes of their own, one with Express
// alone after one with both.
const { execFileSync } = require('node:child_process');
const { resolve } = require('node:path');
const { spread } = require('./measure');

const ROUNDS = 15;

const OURS = resolve(__dirname, '..', 'dist');
const LOADS = {
  'Express alone': [],
  'and axios, ajv, bcryptjs': ['axios', 'ajv', 'bcryptjs'],
  'and wp-fusion-webhook': [OURS],
  'and its knex, smtp and admin': [OURS, `${OURS}/knex`, `${OURS}/smtp`, `${OURS}/admin`],
};

const measured = `
  require('express');
  const begun = process.hrtime.bigint();
  const before = process.memoryUsage().rss;
  for (const name of JSON.parse(process.argv[1])) require(name);
  const milliseconds = Number(process.hrtime.bigint() - begun) / 1e6;
  process.stdout.write(JSON.stringify({ milliseconds, megabytes: (process.memoryUsage().rss - before) / 1e6 }));
`;

const run = (names) =>
  JSON.parse(
    execFileSync(process.execPath, ['-e', measured, JSON.stringify(names)], {
      cwd: resolve(__dirname, '..'),
      encoding: 'utf8',
    }),
  );

const seen = Object.fromEntries(Object.keys(LOADS).map((what) => [what, []]));
for (let round = -1; round < ROUNDS; round += 1) {
  for (const [what, names] of Object.entries(LOADS)) {
    const one = run(names);
    // The first round fills the file cache.
    if (round >= 0) seen[what].push(one);
  }
}
const rows = Object.entries(seen).map(([what, all]) => ({
  loaded: what,
  'added, ms': spread(all.map(({ milliseconds }) => milliseconds)),
  'added, MB': spread(all.map(({ megabytes }) => megabytes)),
}));
process.stdout.write(JSON.stringify({ rows, digits: 1 }));
