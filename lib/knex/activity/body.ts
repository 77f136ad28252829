// A record as the text that is stored. What is in a record makes none fail: it would be tried again for ever, with everything
// that is written together with it.
import type { ActivityRecord } from '../../activity/activity-log';
import { recordOf, saidIn } from '../../activity/record';
import { asciiJson } from '../../queue/text';

/** Characters of a record. Values of fields, and tags by the thousand, make it so long. */
const MAX_BODY = 1_000_000;
const TAGS_OF_LONG_ONES = 100;
const DETAIL_OF_LONG_ONES = 1000;

/** The text of a record, without what every record says. */
export function bodyOf(record: ActivityRecord): string {
  return jsonOf(record) ?? asciiJson(saidIn(shortened(record)));
}

/** The record that a text was made of. */
export function recordIn(body: unknown): ActivityRecord {
  return recordOf(JSON.parse(String(body)) as Parameters<typeof recordOf>[0]);
}

/** `undefined` for a record that is too long, or with a value that is none of JSON: the users of a host may have any. */
function jsonOf(record: ActivityRecord): string | undefined {
  try {
    const said = saidIn(record);
    return JSON.stringify(said).length <= MAX_BODY ? asciiJson(said) : undefined;
  } catch {
    return undefined;
  }
}

function shortened(record: ActivityRecord): ActivityRecord {
  return {
    ...record,
    detail: record.detail?.slice(0, DETAIL_OF_LONG_ONES) ?? null,
    changes: record.changes.map(({ field }) => ({ field })),
    tagsAdded: record.tagsAdded.slice(0, TAGS_OF_LONG_ONES),
    tagsRemoved: record.tagsRemoved.slice(0, TAGS_OF_LONG_ONES),
  };
}
