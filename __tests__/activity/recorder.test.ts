// The way into an activity log: a few at a time, bounded, and harmless when the log is slow, full or down.
import { MemoryActivityLog, type ActivityEntry, type ActivityState, type Logger } from '../../lib';
import { newCorrelationId, Recorder } from '../../lib/activity/recorder';
import { until } from '../actions/site';

class Gate extends MemoryActivityLog {
  readonly batches: number[] = [];
  trouble: Error | undefined;
  open: Promise<unknown> = Promise.resolve();
  override async write(log: string, entries: readonly ActivityEntry[]): Promise<void> {
    await this.open;
    if (this.trouble !== undefined) throw this.trouble;
    this.batches.push(entries.length);
    return super.write(log, entries);
  }
}

function recorderOf(log: MemoryActivityLog): { recorder: Recorder; said: string[] } {
  const said: string[] = [];
  const say = (_details: object, message: string): void => void said.push(message);
  const logger: Logger = { debug: say, info: say, warn: say, error: say };
  return { recorder: new Recorder({ log, name: 'default', logger, secrets: [] }), said };
}
const entry = (number: number, state: ActivityState = 'done'): ActivityEntry => ({
  ...{ id: `${state}${String(number).padStart(7, '0')}`, receivedAt: number, state },
});

test('entries that come together are written together', async () => {
  const log = new Gate();
  const { recorder } = recorderOf(log);
  for (let number = 0; number < 50; number += 1) recorder.tell(entry(number));
  await recorder.ended();
  expect(log.batches).toEqual([50]);
});

test('a flood of 100,000 rejected calls pushes out nothing that was let in, and is not held', async () => {
  const log = new Gate();
  let letGo: (() => void) | undefined;
  log.open = new Promise<void>((resolve) => (letGo = resolve));
  const { recorder } = recorderOf(log);
  for (let number = 0; number < 100_000; number += 1) {
    recorder.tell(entry(number, 'rejected'));
    if (number % 1000 === 0) recorder.tell(entry(number));
  }
  letGo?.();
  await recorder.ended();
  expect(await log.list('default', { state: 'done', limit: 1000 })).toHaveLength(100);
  // No more was held than the log keeps of them, and one batch that was under way.
  expect(log.batches.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(100 + 2 * 200 + 200);
});

test('a log that is down gets it later, and the site’s log says so once', async () => {
  const log = new Gate();
  log.trouble = new Error('disk full');
  const { recorder, said } = recorderOf(log);
  recorder.tell(entry(1));
  await until(() => said.length === 1);
  recorder.tell(entry(2));
  log.trouble = undefined;
  await until(async () => (await log.list('default', {})).length === 2);
  expect(said).toEqual([
    'The activity log could not be written; it is tried again.',
    'The activity log is back.',
  ]);
});

test('correlation ids are in the order of time, and differ', () => {
  const ids = [1_700_000_000_000, 1_700_000_000_001, 1_800_000_000_000].map((now) => newCorrelationId(now));
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(Array.from({ length: 1000 }, () => newCorrelationId(0))).size).toBe(1000);
  expect(ids[0]).toMatch(/^[0-9a-z]{9}-[0-9a-f]{12}$/);
});
