// How long the fuzzer runs and from which seed: a fixed one in CI, so that it never flakes; FUZZ_MINUTES=20 begins with a random one.
import fc from 'fast-check';

const number = (name: string): number | undefined => {
  const text = process.env[name] ?? '';
  return text === '' ? undefined : Number(text);
};

const minutes = number('FUZZ_MINUTES');

/** Whether this is the long run. */
export const IS_LONG = minutes !== undefined;
const SEED = number('FUZZ_SEED') ?? (IS_LONG ? Math.floor(Math.random() * 0x7fffffff) : 20_240_229);

/** How long a case that fails is made smaller. */
const SHRINKING_MS = IS_LONG ? 120_000 : 15_000;

export interface Fuzzing {
  /** How many cases there are, at most. */
  readonly runs: number;
  readonly milliseconds?: number | undefined;
  /** `false`: it is enough to know that a case fails. */
  readonly shrinks?: boolean | undefined;
  /** How long a case is waited for before it hangs; default 20 s, which is for ever on any machine. */
  readonly patienceMs?: number | undefined;
}

/** What a loop of the folder takes: so many cases in CI, this part of FUZZ_MINUTES in the long run. */
export const runsOf = (short: number, part: number): Fuzzing =>
  minutes === undefined
    ? { runs: number('FUZZ_RUNS') ?? short }
    : { runs: number('FUZZ_RUNS') ?? 1_000_000_000, milliseconds: minutes * 60_000 * part };

/** What a loop came to. */
export interface Fuzzed {
  readonly cases: number;
  /** The smallest case that failed, why, and how to have it again. */
  readonly failure: string | undefined;
}

/** Tries cases until one fails, and makes that one small. */
export async function fuzz<Case>(
  { runs, milliseconds, shrinks = true }: Fuzzing,
  cases: fc.Arbitrary<Case>,
  attempt: (one: Case) => Promise<void>,
): Promise<Fuzzed> {
  let failedAt: number | undefined;
  const bounded = async (one: Case): Promise<void> => {
    // Enough of it: what is called good from here on ends the making smaller.
    if (failedAt !== undefined && Date.now() - failedAt > SHRINKING_MS) return;
    try {
      await attempt(one);
    } catch (error) {
      failedAt ??= Date.now();
      throw error;
    }
  };
  const details = await fc.check(fc.asyncProperty(cases, bounded), {
    seed: SEED,
    numRuns: runs,
    endOnFailure: !shrinks,
    ...(milliseconds === undefined ? {} : { interruptAfterTimeLimit: milliseconds }),
    markInterruptAsFailure: false,
  });
  if (!details.failed) return { cases: details.numRuns, failure: undefined };
  const again = `FUZZ_SEED=${details.seed} FUZZ_RUNS=${Math.max(runs === 1_000_000_000 ? 0 : runs, details.numRuns)}`;
  const why =
    details.errorInstance instanceof Error ? details.errorInstance.message : String(details.errorInstance);
  const shown = fc.stringify(details.counterexample?.[0]);
  const told = shown.length > 4000 ? `${shown.slice(0, 4000)} … (${shown.length} characters)` : shown;
  return {
    cases: details.numRuns,
    failure: `${why}\n\nCase ${details.numRuns}, made small in ${details.numShrinks} steps:\n${told}\n\nOnce more: ${again}`,
  };
}

/** Says what the long run has done: nobody sees the names of tests that pass for twenty minutes. */
export function report(name: string, { cases, failure }: Fuzzed): void {
  if (IS_LONG)
    process.stderr.write(
      `${name}: ${cases} cases from the seed ${SEED}, ${failure === undefined ? 'nothing found' : 'FAILED'}\n`,
    );
  if (failure !== undefined) throw new Error(failure);
}
