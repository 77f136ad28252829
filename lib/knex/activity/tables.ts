// The tables of the activity log. One row of wpf_activity for each webhook: its record as JSON, and beside it what is searched for.
// One row of wpf_activity_logs for each log: whoever changes records of a log locks it first.
import type { DialectName } from '../dialect';
import { tableOf, TYPES, type TableStatements } from '../own-tables';
import { KEY_LENGTH } from './keys';

export const ACTIVITY = 'wpf_activity';
export const LOGS = 'wpf_activity_logs';

/**
 * What an index is for. Each leads to what one filter wants in the order in which records are listed, so that a page is read and
 * no more, and a filter that nothing fits is at its end at once. Behind that order stands what is asked for together with it: of
 * a million records of one action those of one outcome are found within the index. Nothing of the kind is needed for a contact
 * or a user, who have few.
 */
const INDEXES = {
  // No filter, and stretches of time. The counts are read out of it alone.
  wpf_activity_received: 'log, received, id, state, code, dry',
  wpf_activity_contact: 'log, contact, received, id',
  wpf_activity_user: 'log, userid, received, id',
  wpf_activity_code: 'log, code, received, id, state, action',
  wpf_activity_outcome: 'log, outcome, received, id, state, action',
  wpf_activity_state: 'log, state, received, id, action',
  wpf_activity_action: 'log, action, received, id',
  // Where the oldest are that are too many.
  wpf_activity_number: 'log, rejected, number',
} as const;

/** An index of {@link ACTIVITY}. */
export type ActivityIndex = keyof typeof INDEXES;

/**
 * The statements that make the tables. Names of columns are single words in small letters: a host's Knex that renames columns
 * on their way leaves them as they are.
 */
export function activityTables(dialect: DialectName): TableStatements {
  const { collated, long } = TYPES[dialect];
  const key = `varchar(${KEY_LENGTH})${collated}`;
  return new Map([
    [
      ACTIVITY,
      tableOf(
        dialect,
        [
          `log ${key} not null`,
          `id ${key} not null`,
          'received bigint not null',
          `state ${key} not null`,
          `action ${key}`,
          `contact ${key}`,
          `userid ${key}`,
          `outcome ${key}`,
          `code ${key}`,
          'dry smallint not null',
          // Rejected records are counted for themselves. Both kinds are numbered as they come, from 1 on in each log.
          'rejected smallint not null',
          'number bigint not null',
          `body ${long} not null`,
          'primary key (log, id)',
        ],
        INDEXES,
      ),
    ],
    [LOGS, tableOf(dialect, [`log ${key} not null`, 'primary key (log)'])],
  ]);
}
