// Mutation tests of one part of lib: `MUTANTS=keys npm run mutants`. __tests__/mutants.md tells what was found so far.

/** By parts: what is changed, the tests that must notice (the quick ones first), and the score below which it fails: `null` where it was not measured yet. */
const PARTS = {
  roles: {
    mutate: ['lib/users/{role-policy,guard,normalize,sync-state}.ts'],
    tests: ['users/role-policy', 'users/guard', 'users/normalize', 'users/sync-state'],
    score: 94,
  },
  fields: {
    mutate: ['lib/users/{field-map,username,generate-password}.ts'],
    tests: ['users/field-map', 'users/username', 'users/generate-password'],
    score: 98,
  },
  keys: {
    mutate: ['lib/webhook/{authenticate,throttle}.ts'],
    tests: ['webhook/authenticate', 'webhook/throttle'],
    score: 95,
  },
  merge: {
    mutate: ['lib/worker/{merge,verdict}.ts', 'lib/queue/place.ts'],
    tests: ['worker/merge', 'worker/verdict', 'queue/place', 'worker/worker'],
    score: 96,
  },
  door: {
    mutate: ['lib/webhook/{receive,read}.ts'],
    tests: ['webhook/read', 'http/keys', 'http/contract-table', 'http/no-hang', 'http/contract-outcomes'],
    score: null,
  },
  linking: {
    mutate: ['lib/actions/{link,plan,add,update}.ts'],
    tests: ['actions/semantics', 'security/takeover'],
    score: null,
  },
  actions: {
    mutate: ['lib/actions/*.ts'],
    tests: [
      'actions/run',
      'actions/presence',
      'actions/turns',
      'actions/password-returns',
      'actions/owed',
      'actions/create',
      'actions/check-again',
      'actions/semantics',
      'actions/interleavings',
      'faults/repository-faults',
    ],
    score: null,
  },
};

const part = process.env.MUTANTS ?? 'keys';
const { mutate, tests, score } = PARTS[part];
// Random trials are many mutants times as dear as elsewhere.
process.env.FC_RUNS ??= '3';

export default {
  mutate,
  testRunner: 'jest',
  coverageAnalysis: 'perTest',
  jest: {
    // The parts say which tests there are; to find out for each mutant takes longer than most mutants.
    enableFindRelatedTests: false,
    config: {
      testMatch: tests.map((name) => `<rootDir>/__tests__/${name}.test.ts`),
      runner: './.ci/mutants-runner.js',
      testEnvironment: './.ci/mutants-environment.js',
      testTimeout: 20_000,
    },
  },
  // Wording is not tested.
  mutator: { excludedMutations: ['StringLiteral'] },
  thresholds: { break: score },
  // swc takes the types away unseen.
  disableTypeChecks: false,
  ignorePatterns: ['dist', 'docs', 'examples', '__tests__/packaging'],
  tempDirName: '.tmp/mutants',
  reporters: ['clear-text', 'json'],
  jsonReporter: { fileName: `.tmp/mutants-${part}.json` },
  clearTextReporter: { logTests: false },
  allowConsoleColors: false,
  concurrency: 1,
  // What mutants leave running is gone with the process.
  maxTestRunnerReuse: 100,
  timeoutMS: 20_000,
};
