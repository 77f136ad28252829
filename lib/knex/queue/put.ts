// Storing webhooks, many at once: first the lanes of their contacts, in a fixed order and locked until the commit, then the
// webhooks themselves. So nobody takes a contact with only a part of what was put, nor releases it as empty.
import type { DialectName } from '../dialect';
import type { Database, Row } from '../knex-like';
import { rowsOf } from '../schema';
import type { Transactions } from '../transactions';
import { LANES, WEBHOOKS } from './tables';

/** A webhook that is to be stored: the keys of its queue and contact, and its text. */
export interface NewWebhook {
  readonly queue: string;
  readonly contact: string;
  readonly body: string;
}

/** A contact of a queue, which one worker has at a time. */
interface Lane {
  readonly queue: string;
  readonly contact: string;
}

/**
 * Stores webhooks, due now, so that they survive a power cut; gives their ids in the same order. Those put earlier have the lower
 * ids, for each contact.
 */
export function addWebhooks(
  transactions: Transactions,
  dialect: DialectName,
  webhooks: readonly NewWebhook[],
): Promise<string[]> {
  if (dialect === 'postgres') return addInOneStatement(transactions, webhooks);
  return transactions.runDurably((database, now) => addInSteps(database, dialect, webhooks, now));
}

/**
 * PostgreSQL does it in one statement, which is a transaction of its own: one way there and back instead of five. The webhooks are
 * numbered when all lanes are locked, since they are joined with the number of them.
 */
async function addInOneStatement(
  transactions: Transactions,
  webhooks: readonly NewWebhook[],
): Promise<string[]> {
  const lanes = lanesOf(webhooks);
  const inserted = await transactions.rows(
    `with moment as (${transactions.durableMoment()}),
     opened as (
       insert into ?? as lane (queue, contact, due)
       select given.queue, given.contact, moment.now from moment, unnest(?::text[], ?::text[]) as given (queue, contact)
       ${UNLESS_TAKEN}
       returning 1
     )
     insert into ?? (queue, contact, state, due, body, put)
     select given.queue, given.contact, 'waiting', moment.now, given.body, moment.now
     from moment, (select count(*) from opened) as locked,
       unnest(?::text[], ?::text[], ?::text[]) with ordinality as given (queue, contact, body, place)
     order by given.place returning id`,
    [
      LANES,
      lanes.map(({ queue }) => queue),
      lanes.map(({ contact }) => contact),
      WEBHOOKS,
      webhooks.map(({ queue }) => queue),
      webhooks.map(({ contact }) => contact),
      webhooks.map(({ body }) => body),
    ],
  );
  return inOrder(inserted);
}

async function addInSteps(
  database: Database,
  dialect: DialectName,
  webhooks: readonly NewWebhook[],
  now: number,
): Promise<string[]> {
  await openLanes(database, dialect, webhooks, now);
  const rows = webhooks.map(() => "(?, ?, 'waiting', ?, ?, ?)").join(', ');
  const values = webhooks.flatMap(({ queue, contact, body }) => [queue, contact, now, body, now]);
  const insert = `insert into ?? (queue, contact, state, due, body, put) values ${rows}`;
  if (dialect !== 'mysql') {
    return inOrder(await rowsOf(database, `${insert} returning id`, [WEBHOOKS, ...values]));
  }
  await database.raw(insert, [WEBHOOKS, ...values]);
  // The first of the statement; the others follow, since it says from the start how many there are.
  const [row] = await rowsOf(
    database,
    'select last_insert_id() as id, @@auto_increment_increment as step',
    [],
  );
  return webhooks.map((_, index) => String(Number(row?.id) + index * Number(row?.step)));
}

/** Locks the lanes of contacts, and makes those due now that are with no worker. Two processes lock in the same order. */
export async function openLanes(
  database: Database,
  dialect: DialectName,
  contacts: readonly Lane[],
  now: number,
): Promise<void> {
  const lanes = lanesOf(contacts);
  const rows = lanes.map(() => '(?, ?, ?)').join(', ');
  const values = lanes.flatMap(({ queue, contact }) => [queue, contact, now]);
  if (dialect === 'mysql') {
    await database.raw(
      `insert into ?? (queue, contact, due) values ${rows} on duplicate key update due = if(token is null, least(due, ?), due)`,
      [LANES, ...values, now],
    );
    return;
  }
  await database.raw(`insert into ?? as lane (queue, contact, due) values ${rows} ${UNLESS_TAKEN}`, [
    LANES,
    ...values,
  ]);
}

/** A lane that is there is locked, and due now unless somebody has it or it is due already. */
const UNLESS_TAKEN =
  'on conflict (queue, contact) do update set due = excluded.due where lane.token is null and lane.due > excluded.due';

/** The lanes of contacts, each once, in an order that is the same for all. */
function lanesOf(contacts: readonly Lane[]): Lane[] {
  // A space sorts before everything that a key can hold.
  const lanes = new Map(contacts.map((one) => [`${one.queue} ${one.contact}`, one]));
  return [...lanes].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, lane]) => lane);
}

/** The ids of rows: these are numbered as they are given, but need not be told so. */
const inOrder = (inserted: readonly Row[]): string[] =>
  inserted
    .map(({ id }) => Number(id))
    .sort((one, other) => one - other)
    .map(String);
