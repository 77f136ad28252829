// What an author of an activity log hands to its contract suite.
import type { ActivityLog } from '../../../activity/activity-log';
import type { TestRunner } from '../runner';

/**
 * The activity log under test. Every test opens a scene of its own, and closes it.
 *
 * @example
 * const open = async (): Promise<ActivityScene> => ({
 *   log: new MongoActivityLog(database),
 *   other: new MongoActivityLog(otherDatabase), // connections of its own
 * });
 */
export interface ActivityScene {
  /** The log under test. Its store may hold records already: every test works under names that nobody else uses. */
  readonly log: ActivityLog;
  /**
   * A second log over the same store: of another process, or at least with connections of its own. Races go through both.
   * Default: `log` again, and then nothing is known about several processes.
   */
  readonly other?: ActivityLog | undefined;
  /** Ends the scene: connections, temporary tables. */
  close?(): Promise<void>;
}

/**
 * How many records the log under test is set to keep under one name: small numbers, since the suite writes more. What is left
 * out is not tested.
 *
 * @example
 * const limits: ActivityLimits = { records: 150, rejected: 20 };
 */
export interface ActivityLimits {
  /** How many, rejected ones aside; at least 150. */
  readonly records?: number | undefined;
  /** How many rejected ones; at least 10. */
  readonly rejected?: number | undefined;
}

/**
 * Options of {@link activityLogContract}.
 *
 * @example
 * const options: ActivityLogContractOptions = { runner: { describe, it }, name: 'records in MongoDB', open };
 */
export interface ActivityLogContractOptions {
  /** The test runner's own functions. */
  readonly runner: TestRunner;
  /** What the group of tests is called; default `ActivityLog contract`. */
  readonly name?: string | undefined;
  /** Opens a scene. Every test does so once. */
  open(): Promise<ActivityScene>;
  /** How many records the log under test keeps; default: not tested. */
  readonly limits?: ActivityLimits | undefined;
  /** How many write at once in the tests of races; default 10, at least 2. */
  readonly writers?: number | undefined;
  /** How often each race is run; default 3. */
  readonly rounds?: number | undefined;
}

/** The options with every default in its place. */
export interface Settings {
  readonly limits: ActivityLimits;
  readonly writers: number;
  readonly rounds: number;
}

/** @throws TypeError where the options make no suite. */
export function settingsOf(options: ActivityLogContractOptions): Settings {
  const { limits = {}, writers = 10, rounds = 3 } = options;
  if (!Number.isInteger(writers) || writers < 2 || !Number.isInteger(rounds) || rounds < 1) {
    throw new TypeError('activityLogContract: writers has to be 2 or more, rounds 1 or more.');
  }
  const { records = 150, rejected = 10 } = limits;
  if (!Number.isInteger(records) || records < 150 || !Number.isInteger(rejected) || rejected < 10) {
    throw new TypeError(
      'activityLogContract: limits.records has to be 150 or more, limits.rejected 10 or more.',
    );
  }
  return { limits, writers, rounds };
}
