// The queries of the activity log: each goes along one index, and reads no more than it gives.
import type {
  ActivityCount,
  ActivityFilter,
  ActivityRange,
  ActivityState,
} from '../../activity/activity-log';
import { textOfKey } from '../../queue/text';
import { along, type DialectName } from '../dialect';
import type { Row } from '../knex-like';
import { fittingKey, isWhole } from './keys';
import { ACTIVITY, type ActivityIndex } from './tables';

/** A statement that reads. */
export interface Select {
  readonly sql: string;
  readonly bindings: readonly (string | number)[];
}

/** Where in the order of a list a record stands. */
export interface Place {
  readonly received: number;
  readonly id: string;
}

/** The columns of the filter, those first that have the fewest records of one value: the first that is asked for leads. */
const FILTERS = [
  ['contactId', 'contact', 'wpf_activity_contact'],
  ['userId', 'userid', 'wpf_activity_user'],
  ['code', 'code', 'wpf_activity_code'],
  ['outcome', 'outcome', 'wpf_activity_outcome'],
  ['state', 'state', 'wpf_activity_state'],
  ['action', 'action', 'wpf_activity_action'],
] as const satisfies readonly (readonly [keyof ActivityFilter, string, ActivityIndex])[];

const DEFAULT_LIMIT = 50;
/** Later than any time, and a number that every database holds. */
const END_OF_TIME = 9e15;

/** The page of a list that begins behind a place. */
export function listing(
  dialect: DialectName,
  log: string,
  filter: ActivityFilter,
  behind: Place | undefined,
): Select {
  const asked = FILTERS.filter(([name]) => filter[name] !== undefined);
  const [, , index] = asked[0] ?? ['', '', 'wpf_activity_received' satisfies ActivityIndex];
  const conditions = ['log = ?', ...asked.map(([, column]) => `${column} = ?`)];
  const values: (string | number)[] = [log, ...asked.map(([name]) => fittingKey(String(filter[name])))];
  const { from, to, limit = DEFAULT_LIMIT } = filter;
  if (from !== undefined) {
    conditions.push('received >= ?');
    values.push(wholeTime(from));
  }
  if (to !== undefined) {
    conditions.push('received < ?');
    values.push(wholeTime(to));
  }
  if (behind !== undefined) {
    conditions.push('received <= ?', '(received < ? or id < ?)');
    values.push(behind.received, behind.received, behind.id);
  }
  return {
    sql: `select body from ?? ${along(dialect, index)} where ${conditions.join(' and ')} order by received desc, id desc limit ?`,
    bindings: [ACTIVITY, ...values, limit],
  };
}

/** One record. */
export const one = (log: string, id: string): Select => ({
  sql: 'select received, body from ?? where log = ? and id = ?',
  bindings: [ACTIVITY, log, fittingKey(id)],
});

/** Where a record stood that is not there any more: its id tells the time. `undefined` for an id that is none of ours. */
export function placeOf(id: string): Place | undefined {
  const [, time] = /^([0-9a-z]{9})-[0-9a-f]{12}$/.exec(id) ?? [];
  return time === undefined ? undefined : { received: Number.parseInt(time, 36), id: fittingKey(id) };
}

/** How long a step of the counts is from a beginning, as SQL. All of them cut off what is left. */
const STEP: Readonly<Record<DialectName, string>> = {
  sqlite: 'cast((received - ?) / ? as integer)',
  postgres: 'floor((received - ?::float8) / ?::float8)',
  mysql: '(received - ?) div ?',
};

/** The counts of a stretch of time, out of an index alone. */
export function counting(dialect: DialectName, log: string, { from, to, stepMs }: ActivityRange): Select {
  return {
    sql:
      `select ${STEP[dialect]} as step, state, code, count(*) as number from ?? ${along(dialect, 'wpf_activity_received')} ` +
      'where log = ? and received >= ? and received < ? and dry = 0 group by step, state, code',
    bindings: [from, stepMs, ACTIVITY, log, wholeTime(from), wholeTime(to)],
  };
}

/** A row of the counts. `codes`: codes that are too long for a key, by their keys. */
export function countIn(
  row: Row,
  { from, stepMs }: ActivityRange,
  codes: ReadonlyMap<string, string | null>,
): ActivityCount {
  const { code } = row;
  return {
    at: from + Number(row.step) * stepMs,
    state: String(row.state) as ActivityState,
    code: typeof code !== 'string' ? null : isWhole(code) ? textOfKey(code) : (codes.get(code) ?? null),
    count: Number(row.number),
  };
}

/** Any record with a code that is too long for a key: it knows the whole. */
export const withCode = (dialect: DialectName, log: string, code: string): Select => ({
  sql: `select body from ?? ${along(dialect, 'wpf_activity_code')} where log = ? and code = ? limit 1`,
  bindings: [ACTIVITY, log, code],
});

/** Times are stored whole: what is from then on, or before, is the same from the next whole one. */
const wholeTime = (time: number): number => Math.ceil(Math.min(Math.max(time, -END_OF_TIME), END_OF_TIME));
