// What one test of the activity log contract stands on: a scene, names of its own, and webhooks that were received a while ago.
import { randomBytes } from 'node:crypto';
import type {
  ActivityAttempt,
  ActivityCount,
  ActivityEntry,
  ActivityFilter,
  ActivityLog,
  ActivityRange,
  ActivityRecord,
} from '../../../activity/activity-log';
import { newCorrelationId } from '../../../activity/recorder';
import { expectSame, expectSuccess, fail } from '../expectations';
import { between, type OnStage } from '../runner';
import type { ActivityLogContractOptions, ActivityScene, Settings } from './settings';

const METHODS = ['write', 'list', 'counts', 'get', 'forget'] as const;
/** So long ago the first webhook of a test was received. */
const AGO_MS = 3_600_000;
/** So much later is the next one. */
export const LATER_MS = 1000;

/** Which log object is asked, and under which name. */
export interface At {
  readonly by?: ActivityLog | undefined;
  readonly name?: string | undefined;
}

/** Opens the scene of every test. */
export const stageFor =
  (options: ActivityLogContractOptions, settings: Settings): OnStage<Stage> =>
  async (body) => {
    const scene = await options.open();
    expectWhole(scene);
    await between(
      () => body(new Stage(scene, settings)),
      async () => await scene.close?.(),
    );
  };

/** A scene with a part missing fails by the name of the part, not as an error of the log. */
function expectWhole(scene: ActivityScene): void {
  const { log, other } = (scene as Partial<ActivityScene> | undefined) ?? {};
  for (const [name, each] of Object.entries({ log, other: other ?? log })) {
    for (const method of METHODS) {
      if (typeof each?.[method] === 'function') continue;
      fail(`open() has to give a scene whose ${name} has the method ${method}().`);
    }
  }
}

/** What identifies a webhook. */
export type Webhook = Pick<ActivityEntry, 'id' | 'receivedAt'>;

export const attempt = (at: number, code: string | null = null): ActivityAttempt => ({
  ...{ at, durationMs: 12, contactReads: 1, code, detail: code === null ? null : 'It failed.' },
});

/** A record of which nothing was told but these properties. */
export const recordWith = (told: Webhook & Partial<ActivityRecord>): ActivityRecord => ({
  ...{ key: null, action: null, contactId: null, role: null, sendNotification: false, dryRun: false },
  ...{ userId: null, state: 'waiting', outcome: null, reason: null, code: null, detail: null },
  ...{ warnings: [], changes: [], tagsAdded: [], tagsRemoved: [], attempts: [] },
  ...{ jobId: null, replays: [], replayOf: null },
  ...told,
});

export class Stage {
  readonly log: ActivityLog;
  /** The second log over the same store, or the first one again. */
  readonly other: ActivityLog;
  readonly settings: Settings;
  /** Two names that no other test uses. */
  readonly name = `contract-${randomBytes(6).toString('hex')}`;
  readonly otherName = `${this.name}-2`;
  /** When the first webhook was received. */
  readonly start = Date.now() - AGO_MS;
  #webhooks = 0;

  constructor(scene: ActivityScene, settings: Settings) {
    this.log = scene.log;
    this.other = scene.other ?? scene.log;
    this.settings = settings;
  }

  /** The logs in turn, so that what is raced comes from both processes. */
  side(number: number): ActivityLog {
    return number % 2 === 0 ? this.log : this.other;
  }

  /** A webhook that was received after all others. */
  webhook(): Webhook {
    const receivedAt = this.start + this.#webhooks * LATER_MS;
    this.#webhooks += 1;
    return { id: newCorrelationId(receivedAt), receivedAt };
  }

  webhooks(count: number): Webhook[] {
    return Array.from({ length: count }, () => this.webhook());
  }

  // Calls that have to succeed

  async write(entries: readonly ActivityEntry[], at: At = {}): Promise<void> {
    await expectSuccess(() => this.#at(at).write(this.#nameOf(at), entries), 'write()');
  }

  async list(filter: ActivityFilter = {}, at: At = {}): Promise<readonly ActivityRecord[]> {
    return expectSuccess(
      () => this.#at(at).list(this.#nameOf(at), filter),
      `list() with ${JSON.stringify(filter).slice(0, 200)}`,
    );
  }

  async idsOf(filter: ActivityFilter = {}, at: At = {}): Promise<string[]> {
    return (await this.list(filter, at)).map(({ id }) => id);
  }

  async counts(range: ActivityRange, at: At = {}): Promise<readonly ActivityCount[]> {
    const counts = await expectSuccess(() => this.#at(at).counts(this.#nameOf(at), range), 'counts()');
    const key = ({ at: time, state, code }: ActivityCount): string => JSON.stringify([time, state, code]);
    return [...counts].sort((one, two) => (key(one) < key(two) ? -1 : 1));
  }

  async get(id: string, at: At = {}): Promise<ActivityRecord | null> {
    return expectSuccess(() => this.#at(at).get(this.#nameOf(at), id), 'get()');
  }

  /** A record that has to be there. */
  async known(id: string, at: At = {}): Promise<ActivityRecord> {
    const record = await this.get(id, at);
    return record ?? fail(`get() has to give the record that was written with the id ${id}. It gave null.`);
  }

  async forget(contactId: string, at: At = {}): Promise<number> {
    return expectSuccess(() => this.#at(at).forget(this.#nameOf(at), contactId), 'forget()');
  }

  /** Some properties of a record. */
  async expectKnown(id: string, expected: Partial<ActivityRecord>, why: string): Promise<void> {
    const record = await this.known(id);
    const names = Object.keys(expected) as (keyof ActivityRecord)[];
    expectSame(Object.fromEntries(names.map((name) => [name, record[name]])), expected, why);
  }

  #at({ by = this.log }: At): ActivityLog {
    return by;
  }

  #nameOf({ name = this.name }: At): string {
    return name;
  }
}
