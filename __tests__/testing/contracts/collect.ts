// A test runner in a few lines: it runs a contract suite here and now, and tells what passed and what did not.
import type { TestRunner } from '../../../lib/testing';

export interface Results {
  readonly passed: readonly string[];
  /** What failed, by name, with what was thrown. */
  readonly failed: ReadonlyMap<string, unknown>;
  readonly skipped: readonly string[];
}

/** Runs what `declare` names, one after the other. Names are those of the groups and the test, the outermost group aside. */
export async function collect(declare: (runner: TestRunner) => void): Promise<Results> {
  const groups: string[] = [];
  const tests: { name: string; body: () => Promise<void> }[] = [];
  const skipped: string[] = [];
  const nameOf = (name: string): string => [...groups.slice(1), name].join(' › ');
  const it = (name: string, body: () => Promise<void>): void => void tests.push({ name: nameOf(name), body });
  const skip = (name: string): void => void skipped.push(nameOf(name));
  declare({
    describe: (name, body) => {
      groups.push(name);
      body();
      groups.pop();
    },
    it: Object.assign(it, { skip }),
  });

  const names = tests.map(({ name }) => name);
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  if (twice.length > 0) throw new Error(`Two tests have one name: ${twice.join(', ')}`);
  const passed: string[] = [];
  const failed = new Map<string, unknown>();
  for (const { name, body } of tests) {
    if (body.length > 0) throw new Error(`${name} takes parameters; runners would pass it a callback.`);
    try {
      await body();
      passed.push(name);
    } catch (error) {
      failed.set(name, error);
    }
  }
  return { passed, failed, skipped };
}

/** Every failure is an assertion with words for the author of the adapter: the suite itself does not fall over. */
export function crashesOf({ failed }: Results): string[] {
  return [...failed]
    .filter(([, error]) => (error as { code?: unknown } | undefined)?.code !== 'ERR_ASSERTION')
    .map(([name, error]) => `${name}: ${String(error)}`);
}
