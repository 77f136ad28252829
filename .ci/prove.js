// `npm run prove`: what takes longer than a change can wait for. Run by hand, its result goes into the notes of a release.
const { spawnSync } = require('node:child_process');

const run = (name, command, env = {}) => {
  console.log(`\n== ${name}`);
  const { status } = spawnSync(command, { shell: true, stdio: 'inherit', env: { ...process.env, ...env } });
  return { name, ok: status === 0 };
};

const results = [
  run('build', 'npm run --silent build'),
  run('2,000 random interleavings', 'npx jest __tests__/actions/interleavings.test.ts', { FC_RUNS: '2000' }),
  run('500 random interleavings on every database, two processes', 'npx jest __tests__/knex/races.test.ts', {
    FC_RUNS: '500',
  }),
  run('the kill test, outages, two processes and bursts, whole', 'npx jest -i __tests__/delivery', {
    DELIVERY_SIZE: 'whole',
  }),
  run('every fault of every part, in every action', 'npx jest -i __tests__/faults', {
    DELIVERY_SIZE: 'whole',
  }),
  run(
    'the queue’s contract on every database and on Redis, three times',
    'for round in 1 2 3; do npx jest __tests__/knex/queue __tests__/bullmq || exit 1; done',
  ),
  run(
    'the repositories’ contract on every database, three times',
    'for round in 1 2 3; do npx jest __tests__/knex/contract.test.ts || exit 1; done',
  ),
  run('every race, five times', 'for round in 1 2 3 4 5; do npx jest __tests__/actions || exit 1; done'),
  run('the activity log with a million records', 'npx jest __tests__/knex/activity-size.test.ts', {
    DELIVERY_SIZE: 'whole',
  }),
  run(
    'the threat model: without its defence each test fails',
    'npx jest __tests__/security/threats.test.ts',
    { DELIVERY_SIZE: 'whole' },
  ),
  run('hostile input from a random seed, an hour', 'npx jest -i __tests__/fuzz', { FUZZ_MINUTES: '60' }),
  run('the API reference', 'npm run --silent reference'),
  run('slow and many, thousands more', 'npx jest -i __tests__/security/many-at-once.test.ts', {
    DELIVERY_SIZE: 'whole',
  }),
  run('broken queues, all of them', 'npx jest __tests__/testing/webhook-queue-contract.test.ts', {
    DELIVERY_SIZE: 'whole',
  }),
  run('the admin page in every light and width', 'npx jest __tests__/browser/admin.test.ts', {
    DELIVERY_SIZE: 'whole',
  }),
  run(
    'the tarball in every host project, on every version of Node and of TypeScript',
    'npm run --silent packaging',
    {
      PACKAGING: 'whole',
    },
  ),
];
for (const { name, ok } of results) console.log(`${ok ? 'passed' : 'FAILED'}  ${name}`);
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
