// MemoryActivityLog: how entries become records, which are kept, and how they are found.
import { MemoryActivityLog, type ActivityEntry, type ActivityFilter } from '../../lib';

const LOG = 'default';
const attempt = (at: number, code: string | null = null) => ({
  ...{ at, durationMs: 5, contactReads: 1, code, detail: null },
});
const entry = (id: string, more: Partial<ActivityEntry> = {}): ActivityEntry => ({
  ...{ id, receivedAt: Number(id.replace(/\D/g, '')), contactId: '7' },
  ...more,
});
const idsOf = async (log: MemoryActivityLog, filter: ActivityFilter = {}): Promise<string[]> =>
  (await log.list(LOG, filter)).map(({ id }) => id);

describe('writing', () => {
  test('an entry adds to what is known, and its try to the tries', async () => {
    const log = new MemoryActivityLog();
    await log.write(LOG, [entry('a1', { state: 'waiting', key: 'key 1', jobId: '9' })]);
    await log.write(LOG, [
      entry('a1', { state: 'waiting', code: 'CRM_UNAVAILABLE', attempt: attempt(1, 'X') }),
    ]);
    await log.write(LOG, [
      entry('a1', { state: 'done', outcome: 'created', code: null, attempt: attempt(2) }),
    ]);
    expect(await log.get(LOG, 'a1')).toMatchObject({
      ...{ key: 'key 1', jobId: '9', state: 'done', outcome: 'created', code: null },
      attempts: [{ at: 1, code: 'X' }, { at: 2 }],
    });
  });

  test('that it was stored may be told after what became of it', async () => {
    const log = new MemoryActivityLog();
    await log.write(LOG, [entry('a1', { state: 'done', outcome: 'created', attempt: attempt(2) })]);
    await log.write(LOG, [entry('a1', { state: 'waiting', key: 'key 1', jobId: '9' })]);
    expect(await log.get(LOG, 'a1')).toMatchObject({
      ...{ key: 'key 1', jobId: '9', state: 'done', outcome: 'created', attempts: [{ at: 2 }] },
    });
  });

  test('of very many tries the first one and the last ones are kept', async () => {
    const log = new MemoryActivityLog();
    for (let at = 1; at <= 100; at += 1) await log.write(LOG, [entry('a1', { attempt: attempt(at) })]);
    const attempts = (await log.get(LOG, 'a1'))?.attempts.map(({ at }) => at) ?? [];
    expect(attempts).toEqual([1, ...Array.from({ length: 39 }, (_, index) => 62 + index)]);
  });

  test('nothing is shared with who wrote or read it', async () => {
    const log = new MemoryActivityLog();
    const warnings = [{ code: 'EMAIL_TAKEN' as const, message: 'x' }];
    await log.write(LOG, [entry('a1', { warnings })]);
    warnings.pop();
    ((await log.get(LOG, 'a1'))?.warnings as unknown[]).pop();
    expect((await log.get(LOG, 'a1'))?.warnings).toHaveLength(1);
  });
});

describe('keeping', () => {
  test('the last records, and rejected ones in a bound of their own', async () => {
    const log = new MemoryActivityLog({ records: 3, rejected: 2 });
    for (let number = 1; number <= 5; number += 1) {
      await log.write(LOG, [entry(`a${String(number)}`, { state: 'done' })]);
      await log.write(LOG, [entry(`r${String(number)}`, { state: 'rejected' })]);
    }
    expect(await idsOf(log)).toEqual(['r5', 'r4', 'a5', 'a4', 'a3']);
  });

  test('each name for itself', async () => {
    const log = new MemoryActivityLog({ records: 1 });
    await log.write('one', [entry('a1')]);
    await log.write('two', [entry('a2')]);
    expect([await log.get('one', 'a1'), await log.get('two', 'a1')]).toEqual([expect.anything(), null]);
    expect(await log.forget('two', '7')).toBe(1);
    expect(await log.list('one', {})).toHaveLength(1);
  });

  test.each([{ records: -1 }, { rejected: 1.5 }, { records: '5' as unknown as number }])(
    '%j is refused',
    (options) => {
      expect(() => new MemoryActivityLog(options)).toThrow(/must be a whole number from 0 on/);
    },
  );
});

describe('finding', () => {
  const log = new MemoryActivityLog();
  beforeAll(() =>
    log.write(LOG, [
      entry('a1', { userId: '1', action: 'add', state: 'done', outcome: 'created' }),
      entry('a2', { contactId: '8', action: 'add', state: 'dead', code: 'USER_CONFLICT' }),
      entry('a3', { userId: '1', action: 'update', state: 'done', outcome: 'updated' }),
      entry('a4', { contactId: null, state: 'rejected', code: 'INVALID_ACCESS_KEY' }),
    ]),
  );

  test.each<[ActivityFilter, string[]]>([
    [{}, ['a4', 'a3', 'a2', 'a1']],
    [{ contactId: '7' }, ['a3', 'a1']],
    [{ userId: '1' }, ['a3', 'a1']],
    [{ action: 'add' }, ['a2', 'a1']],
    [{ state: 'dead' }, ['a2']],
    [{ outcome: 'updated' }, ['a3']],
    [{ code: 'USER_CONFLICT' }, ['a2']],
    [{ action: 'add', state: 'done' }, ['a1']],
    [{ from: 2, to: 4 }, ['a3', 'a2']],
    [{ limit: 2 }, ['a4', 'a3']],
    [{ limit: 2, before: 'a3' }, ['a2', 'a1']],
  ])('%j', async (filter, ids) => {
    expect(await idsOf(log, filter)).toEqual(ids);
  });
});
