// What is told of a webhook, bit by bit and in any order, becomes one record.
import type { ActivityAttempt, ActivityEntry, ActivityFilter, ActivityRecord } from './activity-log';

/** How many tries a record lists: a CRM that is down for days makes hundreds. */
const MAX_ATTEMPTS = 40;

const EMPTY: Omit<ActivityRecord, 'id' | 'receivedAt'> = {
  key: null,
  action: null,
  contactId: null,
  dryRun: false,
  userId: null,
  state: 'waiting',
  outcome: null,
  reason: null,
  code: null,
  detail: null,
  warnings: [],
  changes: [],
  tagsAdded: [],
  tagsRemoved: [],
  attempts: [],
  jobId: null,
};

const STANDARD: ReadonlyMap<string, unknown> = new Map(Object.entries(EMPTY));

/** A record with what an entry adds to it. */
export function merged(known: ActivityRecord | undefined, entry: ActivityEntry): ActivityRecord {
  const { attempt, ...told } = entry;
  if (known === undefined) return { ...EMPTY, ...told, attempts: listed([], attempt) };
  // That a webhook was stored is told by another process than what became of it, and may be told later.
  const isLate = entry.state === 'waiting' && attempt === undefined;
  const record = isLate ? { ...told, ...presentIn(known) } : { ...known, ...told };
  return { ...known, ...record, attempts: listed(known.attempts, attempt) };
}

/** What a record says beside what every record says. */
const presentIn = (record: ActivityRecord): Partial<ActivityRecord> =>
  Object.fromEntries(
    Object.entries(record).filter(([name, value]) => name === 'state' || value !== STANDARD.get(name)),
  );

function listed(
  known: readonly ActivityAttempt[],
  attempt: ActivityAttempt | undefined,
): readonly ActivityAttempt[] {
  if (attempt === undefined) return known;
  const [first, ...others] = [...known, attempt];
  return [first, ...others.slice(1 - MAX_ATTEMPTS)];
}

/** Whether a record is one of those that are wanted. */
export function fits(record: ActivityRecord, filter: ActivityFilter): boolean {
  const { from = -Infinity, to = Infinity, before } = filter;
  const equal = ['contactId', 'userId', 'action', 'state', 'outcome', 'code'] as const;
  return (
    equal.every((name) => filter[name] === undefined || filter[name] === record[name]) &&
    record.receivedAt >= from &&
    record.receivedAt < to &&
    (before === undefined || record.id < before)
  );
}
