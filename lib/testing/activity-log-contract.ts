// activityLogContract: what every activity log has to do, as tests that its author runs on the real store.
import { finding } from './contracts/activity/finding';
import { keeping } from './contracts/activity/keeping';
import { racing } from './contracts/activity/racing';
import { settingsOf } from './contracts/activity/settings';
import type { ActivityLogContractOptions } from './contracts/activity/settings';
import { stageFor } from './contracts/activity/stage';
import { writing } from './contracts/activity/writing';
import { Suite } from './contracts/runner';

/**
 * Tests an `ActivityLog` against everything that the middleware relies on: that what is told bit by bit becomes one record, also
 * late, twice and by several processes at once; that records are found by every filter and in pages, counted, bounded and
 * forgotten; that names are kept apart; and that no text of a webhook can do any harm. `MemoryActivityLog` is the reference.
 * Every test opens a scene of its own. It needs no test runner of its own, and no clock: its webhooks were received an hour ago.
 *
 * Run it on the store that you use in production, with two logs over different connections: a race within one process shows
 * little of what two processes do to each other. It cannot show whether a filter is quick among a million records.
 *
 * @throws TypeError where `limits`, `writers` or `rounds` make no suite.
 *
 * @example
 * const { describe, it } = require('node:test');
 * const { activityLogContract } = require('wp-fusion-webhook/testing');
 *
 * activityLogContract({
 *   runner: { describe, it },
 *   name: 'records in MongoDB',
 *   open: async () => ({
 *     log: new MongoActivityLog(database, { records: 150, rejected: 20 }),
 *     other: new MongoActivityLog(otherDatabase, { records: 150, rejected: 20 }),
 *   }),
 *   limits: { records: 150, rejected: 20 },
 * });
 */
export function activityLogContract(options: ActivityLogContractOptions): void {
  const settings = settingsOf(options);
  const suite = new Suite(options.runner, stageFor(options, settings));
  suite.group(options.name ?? 'ActivityLog contract', () => {
    writing(suite);
    finding(suite);
    keeping(suite, settings);
    racing(suite, settings);
  });
}
