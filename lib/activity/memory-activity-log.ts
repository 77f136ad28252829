// The records of the last webhooks, in memory: the default.
import { ConfigurationError } from '../errors';
import type {
  ActivityCount,
  ActivityEntry,
  ActivityFilter,
  ActivityLog,
  ActivityRange,
  ActivityRecord,
} from './activity-log';
import { fits, merged } from './record';

/**
 * The options of {@link MemoryActivityLog}.
 *
 * @example
 * const options: MemoryActivityLogOptions = { records: 10_000, keepsValues: true };
 */
export interface MemoryActivityLogOptions {
  /** How many records are kept of each middleware; default 1000. */
  readonly records?: number | undefined;
  /** How many of rejected calls beside them; default 200. */
  readonly rejected?: number | undefined;
  /** As {@link ActivityLog.keepsValues}. */
  readonly keepsValues?: boolean | undefined;
}

/**
 * Keeps the records of the last webhooks in memory, for this process: a worker in another process tells what it did there. Gives
 * copies. Everything is gone when the process ends.
 *
 * @throws ConfigurationError for an option that is wrong.
 *
 * @example
 * const activityLog = new MemoryActivityLog({ records: 10_000 });
 * const webhook = wpFusionWebhook({ ...options, activityLog });
 */
export class MemoryActivityLog implements ActivityLog {
  readonly keepsValues: boolean;
  readonly #limits: { readonly others: number; readonly rejected: number };
  readonly #logs = new Map<
    string,
    { others: Map<string, ActivityRecord>; rejected: Map<string, ActivityRecord> }
  >();

  constructor({ records = 1000, rejected = 200, keepsValues = false }: MemoryActivityLogOptions = {}) {
    for (const [name, value] of Object.entries({ records, rejected })) {
      if (!Number.isInteger(value) || value < 0)
        throw new ConfigurationError(name, `must be a whole number from 0 on, got ${String(value)}.`);
    }
    this.#limits = { others: records, rejected };
    this.keepsValues = keepsValues;
  }

  // The methods are async to give promises; nothing is awaited in them, so each is one atomic step.
  // eslint-disable-next-line @typescript-eslint/require-await
  async write(log: string, entries: readonly ActivityEntry[]): Promise<void> {
    for (const entry of entries) {
      const kind = entry.state === 'rejected' ? 'rejected' : 'others';
      const records = this.#of(log)[kind];
      records.set(entry.id, structuredClone(merged(records.get(entry.id), entry)));
      // The oldest was added first.
      for (const id of records.keys()) {
        if (records.size <= this.#limits[kind]) break;
        records.delete(id);
      }
    }
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async list(log: string, filter: ActivityFilter): Promise<readonly ActivityRecord[]> {
    const { others, rejected } = this.#of(log);
    return [...others.values(), ...rejected.values()]
      .filter((record) => fits(record, filter))
      .sort((one, other) => (one.id < other.id ? 1 : -1))
      .slice(0, filter.limit ?? 50)
      .map((record) => structuredClone(record));
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async counts(log: string, { from, to, stepMs }: ActivityRange): Promise<readonly ActivityCount[]> {
    const { others, rejected } = this.#of(log);
    const counts = new Map<string, ActivityCount>();
    for (const record of [...others.values(), ...rejected.values()]) {
      const { receivedAt, state, code, dryRun } = record;
      if (dryRun || !fits(record, { from, to })) continue;
      const at = from + Math.floor((receivedAt - from) / stepMs) * stepMs;
      const key = JSON.stringify([at, state, code]);
      counts.set(key, { at, state, code, count: (counts.get(key)?.count ?? 0) + 1 });
    }
    return [...counts.values()];
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async get(log: string, id: string): Promise<ActivityRecord | null> {
    const { others, rejected } = this.#of(log);
    return structuredClone(others.get(id) ?? rejected.get(id) ?? null);
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async forget(log: string, contactId: string): Promise<number> {
    let count = 0;
    for (const records of Object.values(this.#of(log))) {
      for (const [id, record] of records) {
        if (record.contactId === contactId && records.delete(id)) count += 1;
      }
    }
    return count;
  }

  #of(log: string): { others: Map<string, ActivityRecord>; rejected: Map<string, ActivityRecord> } {
    let found = this.#logs.get(log);
    if (found === undefined) this.#logs.set(log, (found = { others: new Map(), rejected: new Map() }));
    return found;
  }
}
