// The tables of the queue. One row of wpf_lanes for each contact that has waiting webhooks: it is what is taken, and whoever
// changes what waits for a contact locks it first. One row of wpf_webhooks for each webhook. wpf_positions: how far walks came.
import { MAX_KEY, MAX_QUEUE_NAME } from '../../queue/limits';
import { keyLength } from '../../queue/text';
import type { DialectName } from '../dialect';
import { tableOf, TYPES, type TableStatements } from '../own-tables';

export const LANES = 'wpf_lanes';
export const WEBHOOKS = 'wpf_webhooks';
export const POSITIONS = 'wpf_positions';

/**
 * All columns. Their names, and aliases in queries, are single words in small letters: a host's Knex that renames columns on
 * their way leaves them as they are.
 */
export const QUEUE_TABLES: ReadonlyMap<string, readonly string[]> = new Map([
  [LANES, ['queue', 'contact', 'due', 'token']],
  [WEBHOOKS, ['id', 'queue', 'contact', 'state', 'due', 'body', 'result', 'put']],
  [POSITIONS, ['queue', 'name', 'text']],
]);

/**
 * What a webhook's row is. Its `due` is when a waiting one is, and when the result of one that is done may be forgotten; a
 * dead one has 0, so that one index lists dead letters by id and finds old results.
 */
export type State = 'waiting' | 'dead' | 'done';

/** The statements that make the tables of the queue. */
export function queueTables(dialect: DialectName): TableStatements {
  const { id, collated, long } = TYPES[dialect];
  const text = (length: number): string => `varchar(${length})${collated}`;
  const queue = `queue ${text(keyLength(MAX_QUEUE_NAME))} not null`;
  const key = (column: string): string => `${column} ${text(keyLength(MAX_KEY))} not null`;
  return new Map([
    [
      LANES,
      tableOf(
        dialect,
        [queue, key('contact'), 'due bigint not null', `token ${text(64)}`, 'primary key (queue, contact)'],
        {
          wpf_lanes_due: 'queue, due',
        },
      ),
    ],
    [
      WEBHOOKS,
      tableOf(
        dialect,
        [
          `id ${id}`,
          queue,
          key('contact'),
          `state ${text(8)} not null`,
          'due bigint not null',
          `body ${long} not null`,
          `result ${long}`,
          'put bigint not null',
        ],
        {
          wpf_webhooks_contact: 'queue, state, contact, id',
          wpf_webhooks_due: 'queue, state, due, id',
        },
      ),
    ],
    [POSITIONS, tableOf(dialect, [queue, key('name'), `text ${long} not null`, 'primary key (queue, name)'])],
  ]);
}
