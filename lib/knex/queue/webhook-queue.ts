// KnexWebhookQueue: webhooks in the host's own database from before they are acknowledged until they are done.
import { randomUUID } from 'node:crypto';
import { ConfigurationError } from '../../errors';
import { leaseOf } from '../../queue/lease';
import { isWebhookId, MAX_KEY, MAX_QUEUE_NAME, refuseLongText, RESULT_KEPT_MS } from '../../queue/limits';
import type {
  DeadJob,
  Job,
  JobResult,
  Lease,
  QueueCounts,
  QueueFinding,
  Settled,
  SharedText,
  StoredJob,
  TakenContact,
  Verdict,
  WebhookQueue,
} from '../../queue/queue';
import { refuseUnknownOptions } from '../../unknown-options';
import { dialectOf, inWords, isUniqueViolation, type DialectName } from '../dialect';
import type { Database, KnexLike, Row } from '../knex-like';
import { rowsOf } from '../schema';
import { Transactions } from '../transactions';
import { findingsOf } from './findings';
import { Groups } from './groups';
import { addWebhooks, openLanes, type NewWebhook } from './put';
import { LANES, POSITIONS, WEBHOOKS, type State } from './tables';
import { asciiJson, keyOf, textOfKey } from '../../queue/text';

/** Options of {@link KnexWebhookQueue}. */
export interface KnexWebhookQueueOptions {
  /**
   * Milliseconds for which a taken contact stays with its worker without being renewed: default 30,000, from 100 to an hour.
   * So long the webhooks of a process that died wait at most. The same in every process.
   */
  readonly leaseMs?: number | undefined;
}

/** Webhooks that are stored in one transaction, and the characters of their text: far below what any database takes at once. */
const GROUP = { items: 500, size: 500_000, waiting: 10_000 };
/** Contacts that are released in one transaction, and the characters of what is written of their webhooks. */
const RELEASED = { items: 100, size: 100_000, waiting: 10_000 };
/** How many ids or rows one statement is about. */
const CHUNK = 500;
const FORGET_EVERY_MS = 60_000;
/** What the keys of shared texts begin with in the table of positions: no key of a position has a space in it there. */
const SHARED = 'shared ';
/** Characters that the key of a shared text may have. */
const MAX_SHARED_KEY = MAX_KEY - SHARED.length;

/**
 * Webhooks in the host's database, through the host's own Knex: SQLite, PostgreSQL, MySQL 8 or MariaDB 10.6 and later. Call
 * {@link migrate} first, which makes its tables: `wpf_lanes`, `wpf_webhooks` and `wpf_positions`.
 *
 * - `put` resolves once the webhook is committed so that it survives a power cut: SQLite commits with `synchronous = FULL`,
 *   PostgreSQL with `synchronous_commit` on, whatever the session has else. A server that is set to lose commits is told by
 *   {@link KnexWebhookQueue.check}. What is put at the same time is committed together.
 * - A contact is given to one worker at a time, in however many processes. All of them go by the clock of the database; on
 *   SQLite by that of the machine.
 * - `take` gives up to 500 contacts, whatever the limit.
 * - A database that asks for a transaction to be run again (a deadlock, a file that is in use) is obeyed for half a minute.
 * - The result of an awaited webhook is kept for ten minutes. Nothing else is left of what is done; dead letters stay until they
 *   are replayed or purged.
 * - A SQLite file is switched to a write-ahead log (`journal_mode = WAL`) by the first `check` or transaction, and stays so.
 * - It has no timer, keeps no process alive, and never closes the host's Knex. One connection of the pool is enough for it.
 *
 * Not promised: that the order among different contacts is that of their webhooks. Not for SQLite files on network drives.
 *
 * @throws ConfigurationError at construction for a wrong option, and for a Knex transaction: a webhook must not vanish with
 * somebody's rollback. `put` throws a WpFusionError with the code `INVALID_REQUEST` for what cannot be stored: a contact id of
 * more than 255 characters, a queue's name of more than 64. Else its methods throw what the database says, without the SQL and
 * its values, as an `Error` named `DatabaseError`.
 *
 * @example
 * await migrate(knex);
 * const webhook = wpFusionWebhook({ ...options, queue: new KnexWebhookQueue(knex) });
 */
export class KnexWebhookQueue implements WebhookQueue {
  readonly leaseMs: number;
  readonly #database: Database;
  readonly #dialect: DialectName;
  readonly #transactions: Transactions;
  readonly #puts: Groups<NewWebhook, string>;
  readonly #releases: Groups<Release, boolean>;
  /** When old results of each queue were last looked for. */
  readonly #forgotten = new Map<string, number>();

  /**
   * @param knex the host's Knex. It stays the host's: nothing closes it.
   * @param options how long a worker may be silent.
   */
  constructor(knex: KnexLike, options: KnexWebhookQueueOptions = {}) {
    this.#dialect = dialectOf(knex);
    this.#database = knex as unknown as Database;
    if (this.#database.isTransaction === true) {
      throw new ConfigurationError(
        'knex',
        'must not be a transaction: a webhook that was acknowledged would vanish with its rollback. Give the Knex instance itself.',
      );
    }
    refuseUnknownOptions(options, ['leaseMs']);
    this.leaseMs = leaseOf(options.leaseMs);
    this.#transactions = new Transactions(this.#database, this.#dialect, LANES);
    this.#puts = new Groups((webhooks) => addWebhooks(this.#transactions, this.#dialect, webhooks), GROUP);
    this.#releases = new Groups((releases) => this.#release(releases), RELEASED);
  }

  async put(queue: string, contactId: string, job: Job): Promise<string> {
    // Before the group: one that cannot be stored must not make others fail.
    refuseLongText('The name of the queue', queue, MAX_QUEUE_NAME);
    refuseLongText('The contact id', contactId, MAX_KEY);
    const webhook = { queue: keyOf(queue), contact: keyOf(contactId), body: asciiJson(job) };
    return this.#saying('put', () => this.#puts.add(webhook, webhook.body.length));
  }

  async take(queue: string, limit: number): Promise<TakenContact[]> {
    const name = keyOf(queue);
    return this.#saying('take', async () => {
      await this.#forgetResults(name);
      if (limit < 1 || !(await this.#hasDue(name))) return [];
      return this.#transactions.run((database, now) =>
        this.#take(database, now, name, Math.min(limit, CHUNK)),
      );
    });
  }

  async renew(queue: string, leases: readonly Lease[]): Promise<Lease[]> {
    const name = keyOf(queue);
    const held: Lease[] = [];
    return this.#saying('renew', async () => {
      for (const some of chunksOf(leases)) {
        held.push(
          ...(await this.#transactions.run((database, now) => this.#renew(database, now, name, some))),
        );
      }
      return held;
    });
  }

  async finish(queue: string, lease: Lease, verdicts: ReadonlyMap<string, Verdict>): Promise<boolean> {
    const changes = [...verdicts].map(([id, verdict]) => changeOf(id, verdict));
    const release = {
      queue: keyOf(queue),
      contact: keyOf(lease.contactId),
      token: lease.token,
      changes: changes.filter((change) => change !== undefined),
    };
    return this.#saying('finish', () => this.#releases.add(release, sizeOf(release)));
  }

  async deadLetters(
    queue: string,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<DeadJob[]> {
    const after = page.after === undefined ? 0 : numberOf(page.after);
    if (after === undefined || page.limit < 1) return [];
    return this.#saying('deadLetters', async () => {
      const rows = await this.#transactions.rows(
        "select id, contact, body from ?? where queue = ? and state = 'dead' and due = 0 and id > ? order by id limit ?",
        [WEBHOOKS, keyOf(queue), after, page.limit],
      );
      return rows.map((row) => ({
        id: String(row.id),
        contactId: textOfKey(String(row.contact)),
        job: jobOf(row),
      }));
    });
  }

  async replay(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#saying('replay', () =>
      this.#eachDead(keyOf(queue), ids, async (database, now, place, rows) => {
        await openLanes(
          database,
          this.#dialect,
          rows.map(({ contact }) => ({ ...place, contact: String(contact) })),
          now,
        );
        return webhooks(database, place, 'dead', rows.map(idOf)).update({ state: 'waiting', due: now });
      }),
    );
  }

  async purge(queue: string, ids?: readonly string[]): Promise<number> {
    return this.#saying('purge', () =>
      this.#eachDead(keyOf(queue), ids, (database, _now, place, rows) =>
        webhooks(database, place, 'dead', rows.map(idOf)).delete(),
      ),
    );
  }

  async counts(queue: string): Promise<QueueCounts> {
    return this.#saying('counts', async () => {
      const count = 'select count(*) as number, min(put) as oldest from ?? where queue = ? and state = ?';
      const of = async (state: State): Promise<Row> =>
        (await this.#transactions.rows(count, [WEBHOOKS, keyOf(queue), state]))[0] ?? {};
      const { number, oldest } = await of('waiting');
      const isEmpty = oldest === null || oldest === undefined;
      return {
        waiting: Number(number),
        dead: Number((await of('dead')).number),
        oldestWaiting: isEmpty ? null : new Date(Number(oldest)),
      };
    });
  }

  async settled(queue: string, ids: readonly string[]): Promise<ReadonlyMap<string, Settled>> {
    return this.#saying('settled', async () => {
      const settled = new Map<string, Settled>();
      for (const some of chunksOf(numbersOf(ids))) {
        const rows = await this.#transactions.rows(
          `select id, state, body, result from ?? where queue = ? and state in ('dead', 'done') and id in (${placesFor(some)})`,
          [WEBHOOKS, keyOf(queue), ...some],
        );
        for (const row of rows) settled.set(String(row.id), settledOf(row));
      }
      return settled;
    });
  }

  async readPosition(queue: string, key: string): Promise<string | null> {
    return this.#saying('readPosition', async () => {
      const [row] = await this.#transactions.rows('select text from ?? where queue = ? and name = ?', [
        POSITIONS,
        keyOf(queue),
        keyOf(key),
      ]);
      return row === undefined ? null : textOfKey(String(row.text));
    });
  }

  async writePosition(queue: string, key: string, position: string | null): Promise<void> {
    refuseLongText('The name of the queue', queue, MAX_QUEUE_NAME);
    refuseLongText('The key of a position', key, MAX_KEY);
    const place = { queue: keyOf(queue), name: keyOf(key) };
    const text = position === null ? null : keyOf(position);
    return this.#saying('writePosition', () =>
      this.#transactions.run(async (database) => {
        if (text === null) {
          await database(POSITIONS).where(place).delete();
          return;
        }
        const otherwise =
          this.#dialect === 'mysql'
            ? 'on duplicate key update text = ?'
            : 'on conflict (queue, name) do update set text = ?';
        await database.raw(`insert into ?? (queue, name, text) values (?, ?, ?) ${otherwise}`, [
          POSITIONS,
          place.queue,
          place.name,
          text,
          text,
        ]);
      }),
    );
  }

  async readShared(queue: string, key: string): Promise<SharedText> {
    return this.#saying('readShared', async () => {
      const { sql, bindings } = this.#transactions.clock();
      const place = [POSITIONS, keyOf(queue), sharedKey(key)];
      const [row] = await this.#transactions.rows(
        `select ${sql} as moment, (select text from ?? where queue = ? and name = ?) as text`,
        [...bindings, ...place],
      );
      const text = row?.text;
      return { text: typeof text === 'string' ? textOfKey(text) : null, now: Number(row?.moment) };
    });
  }

  async writeShared(queue: string, key: string, expected: string | null, text: string): Promise<boolean> {
    refuseLongText('The name of the queue', queue, MAX_QUEUE_NAME);
    refuseLongText('The key of a shared text', key, MAX_SHARED_KEY);
    const place = { queue: keyOf(queue), name: sharedKey(key) };
    return this.#saying('writeShared', async () => {
      // MySQL can be set to count only rows that become other ones.
      if (text === expected) return (await this.readShared(queue, key)).text === expected;
      try {
        return await this.#transactions.run(async (database) => {
          if (expected !== null) {
            const row = { ...place, text: keyOf(expected) };
            return (
              (await database(POSITIONS)
                .where(row)
                .update({ text: keyOf(text) })) > 0
            );
          }
          await database(POSITIONS).insert({ ...place, text: keyOf(text) });
          return true;
        });
      } catch (error) {
        if (isUniqueViolation(error)) return false;
        throw error;
      }
    });
  }

  async check(): Promise<QueueFinding[]> {
    return this.#saying('check', async () => {
      await this.#transactions.prepare();
      return findingsOf(this.#database, this.#dialect);
    });
  }

  /** Whether anything is due: asked before a transaction is begun, since mostly nothing is. */
  async #hasDue(queue: string): Promise<boolean> {
    const { sql, bindings } = this.#transactions.clock();
    // In order, so that nobody thinks it quicker to look through all that is not due yet.
    const one = `select contact from ?? where queue = ? and due <= ${sql} order by due limit 1`;
    return (await this.#transactions.rows(one, [LANES, queue, ...bindings])).length > 0;
  }

  async #take(database: Database, now: number, queue: string, limit: number): Promise<TakenContact[]> {
    const contacts = await this.#dueContacts(database, now, queue, limit);
    if (contacts.length === 0) return [];
    const token = randomUUID();
    await database(LANES)
      .where({ queue })
      .whereIn('contact', contacts)
      .update({ token, due: now + this.leaseMs });
    const inboxes = await waitingJobs(database, now, queue, contacts);
    const taken: TakenContact[] = [];
    for (const contact of contacts) {
      const jobs = inboxes.get(contact);
      // Somebody deleted webhooks by hand, or purged them while they were replayed.
      if (jobs === undefined) await database(LANES).where({ queue, contact }).delete();
      else taken.push({ contactId: textOfKey(contact), token, jobs });
    }
    return taken;
  }

  /** Locks contacts that are due, and leaves out those that somebody else has just locked. */
  async #dueContacts(database: Database, now: number, queue: string, limit: number): Promise<string[]> {
    const isMysql = this.#dialect === 'mysql';
    // MySQL locks what it reads: along another index that would be more than is taken.
    const along = isMysql ? 'force index (wpf_lanes_due)' : '';
    const locked = this.#dialect === 'sqlite' ? '' : 'for update skip locked';
    const rows = await rowsOf(
      database,
      `select contact from ?? ${along} where queue = ? and due <= ? order by due limit ? ${locked}`,
      [LANES, queue, now, limit],
    );
    return rows.map(({ contact }) => String(contact));
  }

  /** Does what the verdicts say, and frees the contacts, as far as they are still held; all of it or nothing. Whether each was. */
  #release(releases: readonly Release[]): Promise<boolean[]> {
    // In the order in which others lock them, too.
    const queues = [...new Set(releases.map(({ queue }) => queue))].sort();
    return this.#transactions.run(async (database, now) => {
      const held = new Set<Release>();
      for (const queue of queues) {
        const ofQueue = releases.filter((release) => release.queue === queue);
        const tokens = await lockedTokens(database, queue, contactsOf(ofQueue));
        const those = ofQueue.filter(({ contact, token }) => {
          if (tokens.get(contact) !== token) return false;
          // Once: whoever asks again has it no more.
          return tokens.delete(contact);
        });
        await settle(database, now, queue, those);
        await freeLanes(database, queue, contactsOf(those));
        for (const release of those) held.add(release);
      }
      return releases.map((release) => held.has(release));
    });
  }

  async #renew(database: Database, now: number, queue: string, leases: readonly Lease[]): Promise<Lease[]> {
    const contacts = leases.map(({ contactId }) => keyOf(contactId));
    const tokens = await lockedTokens(database, queue, contacts);
    const held = leases.filter(({ contactId, token }) => tokens.get(keyOf(contactId)) === token);
    const kept = held.map(({ contactId }) => keyOf(contactId));
    if (kept.length > 0) {
      await database(LANES)
        .where({ queue })
        .whereIn('contact', kept)
        .update({ due: now + this.leaseMs });
    }
    return held;
  }

  /**
   * Runs `work` on dead letters, some at a time, and adds up what it gives. Always onwards: one that dies again meanwhile is not
   * met twice.
   */
  async #eachDead(
    queue: string,
    ids: readonly string[] | undefined,
    work: (
      database: Database,
      now: number,
      place: { queue: string },
      rows: readonly Row[],
    ) => PromiseLike<number>,
  ): Promise<number> {
    const some = async (database: Database, where: string, values: readonly number[]): Promise<Row[]> =>
      rowsOf(
        database,
        `select id, contact from ?? where queue = ? and state = 'dead' and due = 0 and ${where} order by id limit ?`,
        [WEBHOOKS, queue, ...values, CHUNK],
      );
    let count = 0;
    if (ids !== undefined) {
      for (const numbers of chunksOf(numbersOf(ids))) {
        count += await this.#transactions.run(async (database, now) => {
          const rows = await some(database, `id in (${placesFor(numbers)})`, numbers);
          return rows.length === 0 ? 0 : work(database, now, { queue }, rows);
        });
      }
      return count;
    }
    for (let last = 0; ;) {
      const [done, next] = await this.#transactions.run(async (database, now) => {
        const rows = await some(database, 'id > ?', [last]);
        if (rows.length === 0) return [0, undefined] as const;
        return [await work(database, now, { queue }, rows), Math.max(...rows.map(idOf))] as const;
      });
      count += done;
      if (next === undefined) return count;
      last = next;
    }
  }

  /** Deletes results that nobody will ask for any more, once in a while. */
  async #forgetResults(queue: string): Promise<void> {
    const last = this.#forgotten.get(queue);
    if (last !== undefined && performance.now() - last < FORGET_EVERY_MS) return;
    this.#forgotten.set(queue, performance.now());
    for (;;) {
      const { sql, bindings } = this.#transactions.clock();
      const rows = await this.#transactions.rows(
        `select id from ?? where queue = ? and state = 'done' and due <= ${sql} order by due limit ?`,
        [WEBHOOKS, queue, ...bindings, CHUNK],
      );
      if (rows.length === 0) return;
      await this.#transactions.run((database) =>
        webhooks(database, { queue }, 'done', rows.map(idOf)).delete(),
      );
    }
  }

  /** Runs the work of a method; what a driver throws says which, and holds no SQL. */
  async #saying<Value>(method: string, work: () => PromiseLike<Value>): Promise<Value> {
    try {
      return await work();
    } catch (error) {
      throw inWords(error, `${method}() of the webhook queue`, 'the tables of the queue');
    }
  }
}

/** What is to become of one webhook. */
interface Change {
  readonly id: number;
  /** What its row is then, but for `due`; `undefined`: there is none. */
  readonly row: Readonly<Record<string, string>> | undefined;
  /** In how many milliseconds it is due; `undefined`: never. */
  readonly dueInMs?: number;
}

/** A contact that somebody is done with, and what is to become of its webhooks. */
interface Release {
  readonly queue: string;
  readonly contact: string;
  readonly token: string;
  readonly changes: readonly Change[];
}

const contactsOf = (releases: readonly Release[]): string[] => releases.map(({ contact }) => contact);

/** The characters that are written. */
const sizeOf = ({ changes }: Release): number =>
  changes.flatMap(({ row }) => Object.values(row ?? {})).reduce((sum, text) => sum + text.length, 0);

/** Locks contacts, in an order that is the same for all, and gives who has them. */
async function lockedTokens(
  database: Database,
  queue: string,
  contacts: readonly string[],
): Promise<Map<unknown, unknown>> {
  const rows = await database(LANES)
    .where({ queue })
    .whereIn('contact', contacts)
    .select('contact', 'token')
    .orderBy('contact')
    .forUpdate();
  return new Map(rows.map((row) => [row.contact, row.token]));
}

/** All jobs of contacts, in the order they were put. */
async function waitingJobs(
  database: Database,
  now: number,
  queue: string,
  contacts: readonly string[],
): Promise<Map<string, StoredJob[]>> {
  const rows = await rowsOf(
    database,
    `select id, contact, due, body from ?? where queue = ? and state = 'waiting' and contact in (${placesFor(contacts)})`,
    [WEBHOOKS, queue, ...contacts],
  );
  const inboxes = new Map<string, StoredJob[]>();
  // Sorted here: asked to do it, a database might read the whole table in the order of ids.
  for (const row of rows.sort((one, other) => idOf(one) - idOf(other))) {
    const contact = String(row.contact);
    const jobs = inboxes.get(contact) ?? [];
    jobs.push({ id: String(row.id), job: jobOf(row), isDue: Number(row.due) <= now });
    inboxes.set(contact, jobs);
  }
  return inboxes;
}

/** Changes the webhooks that wait for these contacts. */
async function settle(
  database: Database,
  now: number,
  queue: string,
  releases: readonly Release[],
): Promise<void> {
  const ids = releases.flatMap(({ changes }) => changes.map(({ id }) => id));
  const contacts = new Map<number, unknown>();
  for (const some of chunksOf(ids)) {
    const rows = await webhooks(database, { queue }, 'waiting', some).select('id', 'contact');
    for (const row of rows) contacts.set(idOf(row), row.contact);
  }
  const gone: number[] = [];
  for (const { contact, changes } of releases) {
    for (const { id, row, dueInMs } of changes) {
      if (contacts.get(id) !== contact) continue;
      if (row === undefined) gone.push(id);
      else {
        const due = dueInMs === undefined ? 0 : now + dueInMs;
        await webhooks(database, { queue, contact }, 'waiting', [id]).update({ ...row, due });
      }
    }
  }
  for (const some of chunksOf(gone)) await webhooks(database, { queue }, 'waiting', some).delete();
}

/** What a verdict makes of a webhook; `undefined` for an id that none can have. */
function changeOf(webhookId: string, verdict: Verdict): Change | undefined {
  const id = numberOf(webhookId);
  if (id === undefined) return undefined;
  switch (verdict.kind) {
    case 'later':
      return {
        id,
        row: { body: asciiJson(verdict.job) },
        dueInMs: Math.max(0, Math.ceil(verdict.delayMs)),
      };
    case 'dead':
      return { id, row: { state: 'dead' satisfies State, body: asciiJson(verdict.job) } };
    case 'done': {
      if (verdict.result === undefined) return { id, row: undefined };
      const row = { state: 'done' satisfies State, body: '', result: asciiJson(verdict.result) };
      return { id, row, dueInMs: RESULT_KEPT_MS };
    }
  }
}

/** Frees contacts: gone where nothing waits for them, else due when the first of their webhooks is. */
async function freeLanes(database: Database, queue: string, contacts: readonly string[]): Promise<void> {
  if (contacts.length === 0) return;
  const places = placesFor(contacts);
  const rows = await rowsOf(
    database,
    `select contact, min(due) as due from ?? where queue = ? and state = 'waiting' and contact in (${places}) group by contact`,
    [WEBHOOKS, queue, ...contacts],
  );
  const left = new Map(rows.map(({ contact, due }) => [String(contact), Number(due)]));
  const empty = contacts.filter((contact) => !left.has(contact));
  const lanes = (some: readonly string[]): ReturnType<Database> =>
    database(LANES).where({ queue }).whereIn('contact', some);
  if (empty.length > 0) await lanes(empty).delete();
  for (const [contact, due] of left) await lanes([contact]).update({ token: null, due });
}

/** The rows with these ids, where they still are what they are taken for. */
function webhooks(
  database: Database,
  place: { queue: string; contact?: string },
  state: State,
  ids: readonly number[],
): ReturnType<Database> {
  return database(WEBHOOKS)
    .where({ ...place, state })
    .whereIn('id', ids);
}

function settledOf(row: Row): Settled {
  return row.state === 'dead'
    ? { kind: 'dead', job: jobOf(row) }
    : { kind: 'done', result: JSON.parse(String(row.result)) as JobResult };
}

const jobOf = (row: Row): Job => JSON.parse(String(row.body)) as Job;
const sharedKey = (key: string): string => SHARED + keyOf(key);
const idOf = (row: Row): number => Number(row.id);

/** An id as the number that it is; `undefined` for what cannot be one of ours. */
function numberOf(id: string): number | undefined {
  return isWebhookId(id) ? Number(id) : undefined;
}

const numbersOf = (ids: readonly string[]): number[] =>
  [...new Set(ids)].map(numberOf).filter((number) => number !== undefined);

const placesFor = (values: readonly unknown[]): string => values.map(() => '?').join(', ');

function chunksOf<Value>(values: readonly Value[]): Value[][] {
  return Array.from({ length: Math.ceil(values.length / CHUNK) }, (_, index) =>
    values.slice(index * CHUNK, (index + 1) * CHUNK),
  );
}
