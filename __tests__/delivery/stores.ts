// Where the queue of a test of delivery is kept: in the database of the users, or in Redis beside one. And what can be seen of
// it there, past the queue itself.
import { isTransient } from '../../lib/knex/dialect';
import { isRedisServerThere } from '../bullmq/redis-server';
import { availableDatabases, type DatabaseName, type TestDatabase } from '../knex/databases';
import type { KeptJob } from './judge';
import { isWhole } from './size';

/** `Redis`: the queue is there, the users are in PostgreSQL, or in SQLite where that is not. */
export type StoreName = DatabaseName | 'Redis';

/** The stores that there are. */
export function availableStores(...wanted: StoreName[]): StoreName[] {
  const asked = wanted.length === 0 ? (['SQLite', 'PostgreSQL', 'MariaDB', 'Redis'] as const) : wanted;
  return asked.filter((name) =>
    name === 'Redis' ? isRedisServerThere() : availableDatabases(name).length > 0,
  );
}

/** The stores that every change is tried on: how MariaDB goes about the same statements is for `DELIVERY_SIZE=whole`. */
export function storesOfEveryChange(): StoreName[] {
  return isWhole ? availableStores() : availableStores('SQLite', 'PostgreSQL', 'Redis');
}

/** Where the users are when the queue is in a store. */
export function databaseOf(store: StoreName): DatabaseName {
  if (store !== 'Redis') return store;
  return availableDatabases('PostgreSQL')[0] ?? 'SQLite';
}

/** A webhook in a store. */
export interface SeenJob extends KeptJob {
  readonly isDead: boolean;
  readonly pauses: number;
}

/** A look into the store of a queue. */
export interface StoreView {
  /** Every webhook that waits or was given up. */
  jobs(): Promise<SeenJob[]>;
  /** Whether no webhook waits. For thousands of them. */
  isEmpty(): Promise<boolean>;
  /** Contacts of which the queue still holds something, beside dead letters. */
  lanes(): Promise<string[]>;
  /** What a store without webhooks and dead letters still has of them, in words of its own. */
  leftovers(): Promise<string[]>;
  /** Lets a day pass for what waits of these contacts; contacts in work stay where they are. */
  makeDue(contactIds: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** A webhook as the tests look at it. */
export function seenJob(contactId: string, body: string, isDead: boolean): SeenJob {
  const { action, pauses = 0 } = JSON.parse(body) as { action: string; pauses?: number };
  return { contactId, isDead, action, pauses, body };
}

const DAY_MS = 24 * 60 * 60_000;

/** A row of the table of webhooks. */
interface JobRow {
  readonly contact: string;
  readonly state: string;
  readonly body: string;
}

/** Runs a statement, and again where it met one of a worker in a deadlock and was the one to give way. */
async function untilItIsLet(statement: () => PromiseLike<unknown>): Promise<void> {
  for (;;) {
    try {
      await statement();
      return;
    } catch (error) {
      if (!isTransient(error)) throw error;
    }
  }
}

/** The tables of `KnexWebhookQueue`. */
export class SqlView implements StoreView {
  constructor(private readonly database: TestDatabase) {}

  async jobs(): Promise<SeenJob[]> {
    const rows: JobRow[] = await this.database
      .knex('wpf_webhooks')
      .select('contact', 'state', 'body')
      .whereIn('state', ['waiting', 'dead']);
    return rows.map(({ contact, state, body }) => seenJob(contact, body, state === 'dead'));
  }

  async isEmpty(): Promise<boolean> {
    return (await this.database.knex('wpf_webhooks').where('state', 'waiting').first('id')) === undefined;
  }

  async lanes(): Promise<string[]> {
    const lanes: { contact: string }[] = await this.database.knex('wpf_lanes').select('contact');
    return lanes.map(({ contact }) => contact);
  }

  async leftovers(): Promise<string[]> {
    return (await this.lanes()).map((contactId) => `a lane of ${contactId}`);
  }

  async makeDue(contactIds: readonly string[]): Promise<void> {
    const { knex } = this.database;
    // Earlier by the same for all: who waits for longest still comes first.
    await untilItIsLet(() =>
      knex('wpf_webhooks').where('state', 'waiting').whereIn('contact', contactIds).decrement('due', DAY_MS),
    );
    await untilItIsLet(() =>
      knex('wpf_lanes').whereNull('token').whereIn('contact', contactIds).decrement('due', DAY_MS),
    );
  }

  /** The database is closed by whoever opened it. */
  async close(): Promise<void> {}
}
