// Activity logs that are each wrong in one way, with the tests of the contract that have to fail for it.
import { setImmediate as turnOfOthers } from 'node:timers/promises';
import {
  MemoryActivityLog,
  type ActivityEntry,
  type ActivityFilter,
  type ActivityLog,
  type ActivityRange,
  type ActivityRecord,
} from '../../../../lib';

interface Broken {
  readonly Log: new (options: { records: number; rejected: number }) => ActivityLog;
  readonly caughtBy: readonly string[];
}

/** Looks, and writes a moment later what it saw. */
class Unlocked extends MemoryActivityLog {
  override async write(log: string, entries: readonly ActivityEntry[]): Promise<void> {
    const [known] = await Promise.all([
      Promise.all(entries.map(({ id }) => this.get(log, id))),
      turnOfOthers(),
    ]);
    for (const [index, entry] of entries.entries()) {
      const before = known[index]?.attempts ?? [];
      const now = (await this.get(log, entry.id))?.attempts ?? [];
      await super.write(log, [now.length > before.length ? { ...entry, attempt: undefined } : entry]);
    }
  }
}

class LastOneWins extends MemoryActivityLog {
  override async write(log: string, entries: readonly ActivityEntry[]): Promise<void> {
    return super.write(
      log,
      // A replay that was none makes that no entry is late.
      entries.map((entry) =>
        entry.state === 'waiting' && !entry.attempt ? { ...entry, replay: entry.replay ?? 0 } : entry,
      ),
    );
  }
}

class OneBound extends MemoryActivityLog {
  constructor({ records, rejected }: { records: number; rejected: number }) {
    super({ records: records + rejected, rejected: 0 });
  }

  override async write(log: string, entries: readonly ActivityEntry[]): Promise<void> {
    for (const { state, ...entry } of entries) {
      // Told apart only afterwards.
      await super.write(log, [entry]);
      if (state !== undefined)
        await super.write(log, [{ ...entry, state: state === 'rejected' ? 'failed' : state }]);
    }
  }
}

class Unbounded extends MemoryActivityLog {
  constructor() {
    super({ records: 1e6, rejected: 1e6 });
  }
}

class OneName extends MemoryActivityLog {
  override write = (_log: string, entries: readonly ActivityEntry[]) => super.write('', entries);
  override list = (_log: string, filter: ActivityFilter) => super.list('', filter);
}

class AnyCase extends MemoryActivityLog {
  override list = async (log: string, filter: ActivityFilter): Promise<readonly ActivityRecord[]> => {
    const { contactId, limit, ...rest } = filter;
    if (contactId === undefined) return super.list(log, filter);
    const records = await super.list(log, { ...rest, limit: 1e6 });
    return records
      .filter((one) => one.contactId?.toLowerCase() === contactId.toLowerCase())
      .slice(0, limit ?? 50);
  };
}

class Shared extends MemoryActivityLog {
  readonly #given = new Map<string, ActivityRecord | null>();
  override async write(log: string, entries: readonly ActivityEntry[]): Promise<void> {
    this.#given.clear();
    return super.write(log, entries);
  }
  override async get(log: string, id: string): Promise<ActivityRecord | null> {
    const key = JSON.stringify([log, id]);
    if (!this.#given.has(key)) this.#given.set(key, await super.get(log, id));
    return this.#given.get(key) ?? null;
  }
}

class OldestFirst extends MemoryActivityLog {
  override async list(log: string, filter: ActivityFilter): Promise<readonly ActivityRecord[]> {
    return [...(await super.list(log, filter))].reverse();
  }
}

class EndIncluded extends MemoryActivityLog {
  override async list(log: string, filter: ActivityFilter): Promise<readonly ActivityRecord[]> {
    return super.list(log, filter.to === undefined ? filter : { ...filter, to: filter.to + 1 });
  }
}

class NoPages extends MemoryActivityLog {
  override async list(log: string, filter: ActivityFilter): Promise<readonly ActivityRecord[]> {
    return super.list(log, { ...filter, before: undefined });
  }
}

class CountsDryRuns extends MemoryActivityLog {
  override async write(log: string, entries: readonly ActivityEntry[]): Promise<void> {
    return super.write(
      log,
      entries.map(({ dryRun: _, ...entry }) => entry),
    );
  }
}

class OneStep extends MemoryActivityLog {
  override async counts(log: string, range: ActivityRange) {
    return super.counts(log, { ...range, stepMs: range.to - range.from });
  }
}

class ForgetsNoRejected extends MemoryActivityLog {
  override async forget(log: string, contactId: string): Promise<number> {
    const rejected = await super.list(log, { contactId, state: 'rejected', limit: 1e6 });
    const count = await super.forget(log, contactId);
    await super.write(log, rejected);
    return count - rejected.length;
  }
}

class CutsTexts extends MemoryActivityLog {
  override async write(log: string, entries: readonly ActivityEntry[]): Promise<void> {
    const cut = (text: string | null | undefined) => text?.slice(0, 255) ?? null;
    const cutEntry = (entry: ActivityEntry) =>
      'contactId' in entry ? { ...entry, contactId: cut(entry.contactId) } : entry;
    return super.write(log, entries.map(cutEntry));
  }
}

const NAMES = ['names › an id under two names is two records', 'names › names are compared to the letter'];
const BOUNDS = [
  'bounds › a flood of rejected calls pushes nothing else out, and the last ones are kept',
  'bounds › of too many records the newest are kept, under each name',
];
const TELL = 'races › many tell of one webhook at once';

export const broken: Readonly<Record<string, Broken>> = {
  'reads, and writes later what it read': {
    Log: Unlocked,
    caughtBy: [TELL, 'races › many tell of the same webhooks, each in another order'],
  },
  'the last entry wins': {
    Log: LastOneWins,
    caughtBy: [
      'writing › that it was stored may be told after what became of it',
      'writing › … in the same batch too',
      'races › two tell of a webhook that nobody knows: stored, and done',
    ],
  },
  'one bound for all': { Log: OneBound, caughtBy: [BOUNDS[0]!] },
  'no bounds': { Log: Unbounded, caughtBy: BOUNDS },
  'one name': { Log: OneName, caughtBy: NAMES },
  'compares in any case': {
    Log: AnyCase,
    caughtBy: [
      'finding › whatever the texts are, they are found, and no others',
      'finding › texts that look alike are different ones',
    ],
  },
  'shares its records': { Log: Shared, caughtBy: ['writing › nothing is shared with who wrote or read it'] },
  'the oldest first': {
    Log: OldestFirst,
    caughtBy: ['finding › the newest first, 50 where nothing else is said'],
  },
  'the end of a stretch included': { Log: EndIncluded, caughtBy: ['finding › stretches of time'] },
  'no pages': {
    Log: NoPages,
    caughtBy: ['finding › page by page', 'finding › webhooks of the same moment, page by page'],
  },
  'counts dry runs': {
    Log: CountsDryRuns,
    caughtBy: ['counting › no dry runs, and no steps in which there was nothing'],
  },
  'counts in one step': { Log: OneStep, caughtBy: ['counting › step by step, by state and code'] },
  'forgets no rejected ones': {
    Log: ForgetsNoRejected,
    caughtBy: ['forgetting › every record of a contact, and no other'],
  },
  'cuts texts': {
    Log: CutsTexts,
    caughtBy: [
      'writing › whatever the texts are, they come back',
      'finding › whatever the texts are, they are found, and no others',
    ],
  },
};
