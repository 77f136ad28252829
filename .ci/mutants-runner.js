// Mutation tests: runs the files in the order in which the configuration names them, the quick ones first, up to the first that fails;
// and none without a test that gets to the mutant.
const { existsSync, readFileSync, writeFileSync } = require('node:fs');
const { default: TestRunner } = require('jest-runner');
const MutantEnvironment = require('./mutants-environment');

/** Where the first run, without a mutant, leaves the names of the tests: in the copy that Stryker makes and takes away. */
const NAMES = 'mutants-tests.json';

module.exports = class MutantRunner extends TestRunner {
  async runTests(tests, watcher, options) {
    const { testNamePattern } = this._globalConfig;
    const names = existsSync(NAMES) ? JSON.parse(readFileSync(NAMES, 'utf8')) : {};
    const pattern = new RegExp(testNamePattern ?? '', 'i');
    const place = ({ path, context }) =>
      context.config.testMatch.findIndex((match) => path.endsWith(match.replace('<rootDir>', '')));
    for (const test of [...tests].sort((one, other) => place(one) - place(other))) {
      if (MutantEnvironment.isFound) return;
      if (names[test.path]?.some((name) => pattern.test(name)) === false) continue;
      await super.runTests([test], watcher, options);
    }
    if (process.env.__STRYKER_ACTIVE_MUTANT__ === undefined) {
      writeFileSync(NAMES, JSON.stringify(MutantEnvironment.names));
    }
  }
};
