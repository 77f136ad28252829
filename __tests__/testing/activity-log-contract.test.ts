// The contract suite for activity logs, tested itself: the log in memory passes, and each broken one is caught by the tests that
// are named for what is broken.
import { MemoryActivityLog } from '../../lib';
import { activityLogContract, type ActivityLogContractOptions, type ActivityScene } from '../../lib/testing';
import { broken } from './contracts/broken/activity-logs';
import { collect, crashesOf, type Results } from './contracts/collect';

const LIMITS = { records: 150, rejected: 20 };

const run = (
  open: () => Promise<ActivityScene>,
  options: Partial<ActivityLogContractOptions> = {},
): Promise<Results> =>
  collect((runner) => activityLogContract({ runner, open, limits: LIMITS, rounds: 1, ...options }));

activityLogContract({
  runner: { describe, it },
  name: 'MemoryActivityLog',
  open: async () => ({ log: new MemoryActivityLog(LIMITS) }),
  limits: LIMITS,
});

describe('broken logs are caught by name', () => {
  test.each(Object.entries(broken))('%s', async (_name, { Log, caughtBy }) => {
    const results = await run(async () => ({ log: new Log(LIMITS) }));
    expect([...results.failed.keys()]).toEqual(expect.arrayContaining([...caughtBy]));
    expect(results.passed).not.toEqual([]);
    expect(crashesOf(results)).toEqual([]);
    // Words, and not only two values that differ.
    for (const error of results.failed.values()) {
      expect((error as Error).message.split('\n')[0]!.length).toBeGreaterThan(40);
    }
  });
});

describe('the suite itself', () => {
  test('leaves out what it is not told the limits of, and says so', async () => {
    const { skipped, failed } = await run(async () => ({ log: new MemoryActivityLog() }), {
      limits: undefined,
    });
    expect([...failed.keys()]).toEqual([]);
    expect(skipped).toEqual([
      expect.stringMatching(/^bounds › .+ \(not tested: limits\.rejected\)$/),
      expect.stringMatching(/^bounds › .+ \(not tested: limits\.records\)$/),
    ]);
  });

  test('says what a scene lacks, and closes every scene', async () => {
    let open = 0;
    const { passed, failed } = await run(async () => {
      open += 1;
      return { log: new MemoryActivityLog(LIMITS), close: async () => void (open -= 1) };
    });
    expect([open, failed.size]).toEqual([0, 0]);
    expect(passed.length).toBeGreaterThan(30);
    const lacking = await run(async () => ({ log: { write: async () => undefined } as never }));
    expect(String([...lacking.failed.values()][0])).toMatch(/whose log has the method list\(\)/);
  });

  test.each([{ writers: 1 }, { rounds: 0 }, { limits: { records: 5 } }, { limits: { rejected: 5 } }])(
    '%j makes no suite',
    (options) => {
      const open = async (): Promise<ActivityScene> => ({ log: new MemoryActivityLog() });
      expect(() => activityLogContract({ runner: { describe, it }, open, ...options })).toThrow(TypeError);
    },
  );
});
