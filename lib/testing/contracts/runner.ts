// What the contract suites ask of a test runner: two functions, handed over, so that no runner is a dependency.

/**
 * The functions of a test runner that the contract suites use. Those of Jest, Vitest and `node:test` fit as they are.
 *
 * @example
 * import { describe, it } from 'node:test'; // or from 'vitest'; with Jest they are there
 * userRepositoryContract({ runner: { describe, it }, open });
 */
export interface TestRunner {
  /** Groups the tests that `body` names. */
  describe(name: string, body: () => void): unknown;
  /** Names tests. */
  it: {
    /** Names a test; it fails where the promise rejects. */
    (name: string, body: () => Promise<void>): unknown;
    /** Names a test that is not run, so that nobody believes it passed. Without it such tests are left out. */
    skip?(name: string, body: () => Promise<void>): unknown;
  };
}

/** Opens what one test needs, runs the test on it and closes it again. */
export type OnStage<Stage> = (body: (stage: Stage) => Promise<void>) => Promise<void>;

/** The tests of one contract, each on a stage of its own. */
export class Suite<Stage> {
  readonly #runner: TestRunner;
  readonly #onStage: OnStage<Stage>;

  constructor(runner: TestRunner, onStage: OnStage<Stage>) {
    this.#runner = runner;
    this.#onStage = onStage;
  }

  group(name: string, body: () => void): void {
    this.#runner.describe(name, body);
  }

  /** Names a test. `missing` says what it would need that is not there: then it is skipped. */
  test(name: string, body: (stage: Stage) => Promise<void>, missing?: string | false): void {
    // A function without parameters: Jest takes one that has any for a test that calls back.
    const run = (): Promise<void> => this.#onStage(body);
    if (missing === undefined || missing === false) this.#runner.it(name, run);
    else this.#runner.it.skip?.(`${name} (not tested: ${missing})`, run);
  }
}

/** Runs a test between opening and closing; what the test says counts more than what closing says. */
export async function between(body: () => Promise<void>, close: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
  await close();
}
