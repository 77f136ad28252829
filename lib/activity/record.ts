// What is told of a webhook, bit by bit and in any order, becomes one record.
import type { ActivityEntry, ActivityFilter, ActivityRecord } from './activity-log';

/** How many tries a record lists: a CRM that is down for days makes hundreds. */
const MAX_ATTEMPTS = 40;
const MAX_REPLAYS = 40;

const EMPTY: Omit<ActivityRecord, 'id' | 'receivedAt'> = {
  key: null,
  action: null,
  contactId: null,
  role: null,
  sendNotification: false,
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
  replays: [],
  replayOf: null,
};

const STANDARD: ReadonlyMap<string, unknown> = new Map(Object.entries(EMPTY));

/** A record with what an entry adds to it. */
export function merged(known: ActivityRecord | undefined, entry: ActivityEntry): ActivityRecord {
  const { attempt, replay, ...told } = entry;
  const { attempts, replays } = known ?? EMPTY;
  const lists = {
    attempts: listed(attempts, attempt, MAX_ATTEMPTS),
    replays: listed(replays, replay, MAX_REPLAYS),
  };
  if (known === undefined) return { ...EMPTY, ...told, ...lists };
  // That a webhook was stored is told by another process than what became of it, and may be told later.
  const isLate = entry.state === 'waiting' && attempt === undefined && replay === undefined;
  const record = isLate ? { ...told, ...presentIn(known) } : { ...known, ...told };
  return { ...known, ...record, ...lists };
}

/** What is worth storing of a record: without what every record says. */
export const saidIn = (record: ActivityRecord): Partial<ActivityRecord> =>
  Object.fromEntries(
    Object.entries(record).filter(
      ([name, value]) => value !== STANDARD.get(name) && !(Array.isArray(value) && value.length === 0),
    ),
  );

/** The record of what was stored of it, also where an older version did. */
export const recordOf = (
  stored: Partial<ActivityRecord> & Pick<ActivityRecord, 'id' | 'receivedAt'>,
): ActivityRecord => ({ ...EMPTY, ...stored });

/** What a record says beside what every record says, and where it stands. */
const presentIn = (record: ActivityRecord): Partial<ActivityRecord> =>
  Object.fromEntries(
    Object.entries(record).filter(([name, value]) => name === 'state' || value !== STANDARD.get(name)),
  );

/** A list with one more; of too many the first one and the last ones. */
function listed<Item>(known: readonly Item[], next: Item | undefined, most: number): readonly Item[] {
  if (next === undefined) return known;
  const all = [...known, next];
  return all.length <= most ? all : [...all.slice(0, 1), ...all.slice(1 - most)];
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
