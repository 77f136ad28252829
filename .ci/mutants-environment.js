// Mutation tests: after the first failed test the mutant is found out, and no other test is run. Stryker leaves that to jest, which
// cannot do it where a program calls it.
const { TestEnvironment } = require('jest-environment-node');

/** The mutant at hand; undefined while the tests are tried without any. */
const mutant = () => process.env.__STRYKER_ACTIVE_MUTANT__;

module.exports = class MutantEnvironment extends TestEnvironment {
  /** The mutant that failed a test last. */
  static #found;
  /** The names of the tests of each file. */
  static names = {};

  static get isFound() {
    return mutant() !== undefined && mutant() === MutantEnvironment.#found;
  }

  #path;

  constructor(config, context) {
    super(config, context);
    this.#path = context.testPath;
  }

  handleTestEvent({ name, test }) {
    if (name === 'test_start') {
      if (MutantEnvironment.isFound) test.mode = 'skip';
      (MutantEnvironment.names[this.#path] ??= []).push(fullName(test));
    }
    if (name === 'test_done' && test.errors.length > 0) MutantEnvironment.#found = mutant();
  }
};

function fullName({ name, parent }) {
  return parent === undefined || parent.name === 'ROOT_DESCRIBE_BLOCK' ? name : `${fullName(parent)} ${name}`;
}
