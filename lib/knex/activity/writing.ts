// Writing records: what is known is read, what is told is added to it, and the whole is stored, while nobody else writes to the
// log. So two processes that tell of one webhook at once both leave what they told, and none of them can meet another in a deadlock.
import type { ActivityEntry, ActivityRecord } from '../../activity/activity-log';
import { merged } from '../../activity/record';
import type { DialectName } from '../dialect';
import type { Database } from '../knex-like';
import { rowsOf } from '../schema';
import { bodyOf, recordIn } from './body';
import { fittingKey, fittingKeyOrNull } from './keys';
import { ACTIVITY, LOGS } from './tables';

/** How many records one statement is about, and how many characters it has at most: far below what any database takes at once. */
const RECORDS = 500;
const CHARACTERS = 1_000_000;

const KEY = ['log', 'id'];
const FIXED = ['rejected', 'number'];
const TOLD = ['received', 'state', 'action', 'contact', 'userid', 'outcome', 'code', 'dry', 'body'];
const COLUMNS = [...KEY, ...FIXED, ...TOLD];

/** The two kinds of records, each numbered and bounded for itself. */
export const KINDS = ['others', 'rejected'] as const;
export type Kind = (typeof KINDS)[number];

/** The highest number of each kind. */
export type Numbers = Readonly<Record<Kind, number>>;

/** A record as it is to be stored. `kind`: one that is new, and gets a number. */
interface Written {
  readonly record: ActivityRecord;
  readonly kind: Kind | undefined;
}

/** Keeps every other writer of a log out until the transaction ends. */
export async function lockLog(database: Database, dialect: DialectName, log: string): Promise<void> {
  const otherwise =
    dialect === 'mysql'
      ? 'on duplicate key update log = values(log)'
      : 'on conflict (log) do update set log = excluded.log';
  await database.raw(`insert into ?? (log) values (?) ${otherwise}`, [LOGS, log]);
}

/** Adds entries to the records of a log that is locked. Gives the numbers before and after. */
export async function addEntries(
  database: Database,
  dialect: DialectName,
  log: string,
  entries: readonly ActivityEntry[],
): Promise<{ readonly before: Numbers; readonly after: Numbers }> {
  const written = await mergedWithKnown(database, log, entries);
  const before = [...written.values()].some(({ kind }) => kind !== undefined)
    ? await lastNumbers(database, log)
    : { others: 0, rejected: 0 };
  const after: Record<Kind, number> = { ...before };
  const rows = [...written].map(([id, { record, kind }]) => {
    if (kind !== undefined) after[kind] += 1;
    return [log, id, ...fixedValues(kind, after), ...toldValues(record)];
  });
  for (const some of chunksOf(rows)) await store(database, dialect, some);
  return { before, after };
}

async function mergedWithKnown(
  database: Database,
  log: string,
  entries: readonly ActivityEntry[],
): Promise<ReadonlyMap<string, Written>> {
  const keyed = entries.map((entry) => [fittingKey(entry.id), entry] as const);
  const known = await readRecords(database, log, [...new Set(keyed.map(([id]) => id))]);
  const written = new Map<string, Written>();
  for (const [id, entry] of keyed) {
    const kind = known.has(id) ? undefined : entry.state === 'rejected' ? 'rejected' : 'others';
    const before = written.get(id);
    const record = merged(before?.record ?? known.get(id), entry);
    written.set(id, { record, kind: before === undefined ? kind : before.kind });
  }
  return written;
}

async function readRecords(
  database: Database,
  log: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, ActivityRecord>> {
  const known = new Map<string, ActivityRecord>();
  for (let start = 0; start < ids.length; start += RECORDS) {
    const some = ids.slice(start, start + RECORDS);
    const rows = await rowsOf(
      database,
      `select id, body from ?? where log = ? and id in (${placesFor(some)})`,
      [ACTIVITY, log, ...some],
    );
    for (const row of rows) known.set(String(row.id), recordIn(row.body));
  }
  return known;
}

/** Of the rows, not of a counter: whatever somebody deletes by hand, no more is pruned than there is too much. */
async function lastNumbers(database: Database, log: string): Promise<Numbers> {
  const last = '(select max(number) from ?? where log = ? and rejected = ?)';
  const [row] = await rowsOf(database, `select ${last} as others, ${last} as rejected`, [
    ...[ACTIVITY, log, 0],
    ...[ACTIVITY, log, 1],
  ]);
  return { others: Number(row?.others ?? 0), rejected: Number(row?.rejected ?? 0) };
}

/** What stays as it was where the row is known already. */
function fixedValues(kind: Kind | undefined, numbers: Numbers): number[] {
  return kind === undefined ? [0, 0] : [kind === 'rejected' ? 1 : 0, numbers[kind]];
}

/** In the order of {@link TOLD}. */
function toldValues(record: ActivityRecord): (string | number | null)[] {
  const { receivedAt, state, action, contactId, userId, outcome, code, dryRun } = record;
  return [
    receivedAt,
    fittingKey(state),
    ...[action, contactId, userId, outcome, code].map(fittingKeyOrNull),
    dryRun ? 1 : 0,
    bodyOf(record),
  ];
}

type Values = readonly (string | number | null)[];

async function store(database: Database, dialect: DialectName, rows: readonly Values[]): Promise<void> {
  const places = rows.map((row) => `(${placesFor(row)})`).join(', ');
  const isMysql = dialect === 'mysql';
  const set = TOLD.map((name) => `${name} = ${isMysql ? `values(${name})` : `excluded.${name}`}`).join(', ');
  const otherwise = isMysql ? 'on duplicate key update' : `on conflict (${KEY.join(', ')}) do update set`;
  await database.raw(`insert into ?? (${COLUMNS.join(', ')}) values ${places} ${otherwise} ${set}`, [
    ACTIVITY,
    ...rows.flat(),
  ]);
}

/** As many rows as go into one statement. */
function chunksOf(rows: readonly Values[]): Values[][] {
  const chunks: Values[][] = [];
  let characters = Infinity;
  for (const row of rows) {
    const length = String(row.at(-1)).length;
    const chunk = chunks.at(-1);
    if (chunk === undefined || chunk.length === RECORDS || characters + length > CHARACTERS) {
      chunks.push([row]);
      characters = length;
    } else {
      chunk.push(row);
      characters += length;
    }
  }
  return chunks;
}

export const placesFor = (values: readonly unknown[]): string => values.map(() => '?').join(', ');
