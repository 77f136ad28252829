// Storing webhooks, many at once: first the lanes of their contacts, in a fixed order and locked until the commit, then the
// webhooks themselves. So nobody takes a contact with only a part of what was put, nor releases it as empty.
import type { DialectName } from '../dialect';
import type { Database } from '../knex-like';
import { rowsOf } from '../schema';
import { LANES, WEBHOOKS } from './tables';

/** A webhook that is to be stored: the keys of its queue and contact, and its text. */
export interface NewWebhook {
  readonly queue: string;
  readonly contact: string;
  readonly body: string;
}

/** Stores webhooks, due now; gives their ids in the same order. Those put earlier have the lower ids, for each contact. */
export async function addWebhooks(
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
    const inserted = await rowsOf(database, `${insert} returning id`, [WEBHOOKS, ...values]);
    // Rows are numbered as they are given, but need not be told so.
    return inserted
      .map(({ id }) => Number(id))
      .sort((one, other) => one - other)
      .map(String);
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
  contacts: readonly { readonly queue: string; readonly contact: string }[],
  now: number,
): Promise<void> {
  // A space sorts before everything that a key can hold.
  const lanes = new Map(contacts.map((one) => [`${one.queue} ${one.contact}`, one]));
  const sorted = [...lanes].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, lane]) => lane);
  const rows = sorted.map(() => '(?, ?, ?)').join(', ');
  const values = sorted.flatMap(({ queue, contact }) => [queue, contact, now]);
  if (dialect === 'mysql') {
    await database.raw(
      `insert into ?? (queue, contact, due) values ${rows} on duplicate key update due = if(token is null, least(due, ?), due)`,
      [LANES, ...values, now],
    );
    return;
  }
  await database.raw(
    `insert into ?? as lane (queue, contact, due) values ${rows}
     on conflict (queue, contact) do update set due = excluded.due where lane.token is null and lane.due > excluded.due`,
    [LANES, ...values],
  );
}
