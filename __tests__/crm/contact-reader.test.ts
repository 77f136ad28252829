// ContactReader: which reads share which call. Calls are answered by hand, the clock is the test's.

import { WpFusionError } from '../../lib/errors';
import type { Contact, ReadOptions } from '../../lib/crm/client';
import { ContactReader } from '../../lib/crm/contact-reader';
import type { ContactReaderOptions } from '../../lib/crm/contact-reader';

const contact = (id: string): Contact => ({
  id,
  email: `${id}@example.com`,
  tags: [{ id: '1', name: 'Blue' }],
  modifiedAt: null,
  fields: { teams: ['a'] },
  raw: { teams: '*/*1*/*' },
});

/** One call that the reader made. */
class FakeCall {
  readonly #resolve: (contacts: ReadonlyMap<string, Contact>) => void;
  readonly reject: (error: unknown) => void;
  readonly promise: Promise<ReadonlyMap<string, Contact>>;

  constructor(
    readonly ids: readonly string[],
    readonly options: ReadOptions,
  ) {
    let resolve!: (contacts: ReadonlyMap<string, Contact>) => void;
    let reject!: (error: unknown) => void;
    this.promise = new Promise((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    this.#resolve = resolve;
    this.reject = reject;
  }

  /** Answers with every contact asked for, but for those named. */
  answer(...absent: string[]): void {
    const known = this.ids.filter((id) => !absent.includes(id));
    this.#resolve(new Map(known.map((id) => [id, contact(id)])));
  }
}

/** Lets everything run that is due, timers apart. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

function setUp(options: Partial<ContactReaderOptions> = {}) {
  const calls: FakeCall[] = [];
  const reader = new ContactReader({
    fetch: (ids, readOptions) => {
      const call = new FakeCall(ids, readOptions);
      calls.push(call);
      return call.promise;
    },
    maxBatchSize: 3,
    ...options,
  });
  return { reader, calls, ids: () => calls.map((call) => call.ids) };
}

/** The error that a read ends with. */
const failure = (read: Promise<unknown>): Promise<unknown> =>
  read.then(
    () => undefined,
    (error: unknown) => error,
  );

beforeEach(() => void jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
afterEach(() => void jest.useRealTimers());

describe('gathering', () => {
  test('the first read goes at once, with what is asked for in the same turn', async () => {
    const { reader, calls, ids } = setUp();
    const reads = Promise.all([reader.read('1'), reader.read('2')]);
    await settle();
    expect(ids()).toEqual([['1', '2']]);
    calls[0]!.answer('2');
    expect(await reads).toEqual([contact('1'), undefined]);
  });

  test('what comes while a call is under way goes together in the next', async () => {
    const { reader, calls, ids } = setUp();
    void reader.read('1');
    await settle();
    void reader.read('2');
    await settle();
    void reader.read('3');
    await settle();
    expect(ids()).toEqual([['1']]);
    calls[0]!.answer();
    await settle();
    expect(ids()).toEqual([['1'], ['2', '3']]);
  });

  test('a full batch starts beside others, up to maxInFlight; the rest waits', async () => {
    const { reader, calls, ids } = setUp({ maxInFlight: 2 });
    for (const id of ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10']) void reader.read(id);
    await settle();
    expect(ids()).toEqual([
      ['1', '2', '3'],
      ['4', '5', '6'],
    ]);
    calls[0]!.answer();
    await settle();
    expect(ids()).toHaveLength(3);
    calls[1]!.answer();
    await settle();
    // The last is partial, and one is under way.
    expect(ids()).toHaveLength(3);
    calls[2]!.answer();
    await settle();
    expect(ids()[3]).toEqual(['10']);
  });

  test('a partial batch goes beside calls that have all become slow, not beside a young one', async () => {
    const { reader, ids } = setUp({ maxInFlight: 3, slowAfterMs: 1000 });
    void reader.read('1');
    await settle();
    void reader.read('2');
    await settle();
    jest.advanceTimersByTime(999);
    await settle();
    expect(ids()).toEqual([['1']]);
    jest.advanceTimersByTime(1);
    await settle();
    expect(ids()).toEqual([['1'], ['2']]);
    void reader.read('3');
    await settle();
    expect(ids()).toHaveLength(2);
    jest.advanceTimersByTime(1000);
    await settle();
    expect(ids()).toEqual([['1'], ['2'], ['3']]);
    // Three are the most, however slow they are.
    void reader.read('4');
    jest.advanceTimersByTime(60_000);
    await settle();
    expect(ids()).toHaveLength(3);
  });

  test('equal ids are asked for once, with all fields that anybody wants; callers share no object', async () => {
    const { reader, calls } = setUp();
    const one = reader.read('1', { fields: ['a', 'b'] });
    const other = reader.read('1', { fields: ['b', 'c'] });
    await settle();
    expect(calls.map((call) => [call.ids, call.options.fields])).toEqual([[['1'], ['a', 'b', 'c']]]);
    calls[0]!.answer();
    const [first, second] = [(await one)!, (await other)!];
    expect(first).toEqual(second);
    first.tags[0]!.name = 'changed';
    (first.fields.teams as string[]).push('changed');
    first.raw!.teams = 'changed';
    expect(second).toEqual(contact('1'));
  });

  test('one who wants all fields makes it all fields for the batch', async () => {
    const { reader, calls } = setUp();
    void reader.read('1', { fields: ['a'] });
    void reader.read('2');
    await settle();
    expect(calls[0]!.options.fields).toBeUndefined();
  });

  test('equal ids need no room', async () => {
    const { reader, ids } = setUp();
    for (const id of ['1', '2', '3', '1', '4', '2']) void reader.read(id);
    await settle();
    expect(ids()).toEqual([['1', '2', '3']]);
  });

  test('a read is never answered by a call that started before it', async () => {
    const { reader, calls, ids } = setUp();
    const early = reader.read('1');
    await settle();
    const late = reader.read('1');
    calls[0]!.answer();
    await early;
    await settle();
    expect(ids()).toEqual([['1'], ['1']]);
    calls[1]!.answer('1');
    expect(await late).toBeUndefined();
  });
});

describe('failures', () => {
  test('a failing call fails its own reads with its error, others live on', async () => {
    const { reader, calls } = setUp();
    const failing = ['1', '2', '3'].map((id) => failure(reader.read(id)));
    const living = ['4', '5', '6'].map((id) => reader.read(id));
    await settle();
    const error = new WpFusionError('CRM_BAD_RESPONSE', 'no');
    calls[0]!.reject(error);
    expect(await Promise.all(failing)).toEqual([error, error, error]);
    calls[1]!.answer();
    expect(await Promise.all(living)).toEqual(['4', '5', '6'].map(contact));
    const next = reader.read('7');
    await settle();
    calls[2]!.answer();
    expect(await next).toEqual(contact('7'));
  });

  test('a fetch that throws at once fails its reads', async () => {
    const { reader } = setUp({
      fetch: () => {
        throw new WpFusionError('CRM_UNAUTHORIZED', 'no');
      },
    });
    expect(await failure(reader.read('1'))).toMatchObject({ code: 'CRM_UNAUTHORIZED' });
  });
});

describe('giving up', () => {
  test('each caller has a signal; the call is aborted with the last one', async () => {
    const { reader, calls } = setUp();
    const [one, other] = [new AbortController(), new AbortController()];
    const reads = [one, other].map(({ signal }, index) => failure(reader.read(String(index), { signal })));
    await settle();
    one.abort();
    expect(await reads[0]).toMatchObject({ code: 'CRM_UNAVAILABLE' });
    expect(calls[0]!.options.signal!.aborted).toBe(false);
    const reason = new WpFusionError('TIMED_OUT', 'enough');
    other.abort(reason);
    expect(await reads[1]).toBe(reason);
    expect(calls[0]!.options.signal!.aborted).toBe(true);
  });

  test('who gives up does not take others along', async () => {
    const { reader, calls } = setUp();
    const controller = new AbortController();
    const given = failure(reader.read('1', { signal: controller.signal }));
    const kept = reader.read('1');
    await settle();
    controller.abort();
    await given;
    calls[0]!.answer();
    expect(await kept).toEqual(contact('1'));
  });

  test('an abandoned call that minds no signal blocks nobody', async () => {
    const { reader, ids } = setUp({ maxInFlight: 1 });
    const controller = new AbortController();
    const given = failure(reader.read('1', { signal: controller.signal }));
    await settle();
    controller.abort();
    await given;
    void reader.read('2');
    await settle();
    expect(ids()).toEqual([['1'], ['2']]);
  });

  test('one that is given up before its call departs is not asked for', async () => {
    const { reader, calls, ids } = setUp();
    void reader.read('1');
    await settle();
    const controller = new AbortController();
    const given = failure(reader.read('2', { signal: controller.signal }));
    void reader.read('3');
    controller.abort();
    await given;
    calls[0]!.answer();
    await settle();
    expect(ids()).toEqual([['1'], ['3']]);
  });

  test('with an aborted signal nothing is asked', async () => {
    const { reader, calls } = setUp();
    expect(await failure(reader.read('1', { signal: AbortSignal.abort() }))).toMatchObject({
      code: 'CRM_UNAVAILABLE',
    });
    await settle();
    expect(calls).toHaveLength(0);
  });

  test('what holds the CRM up is told, where it is known', async () => {
    const trouble = new WpFusionError('CRM_RATE_LIMITED', 'wait', { retryAfter: 20 });
    const { reader } = setUp({ trouble: () => trouble });
    const controller = new AbortController();
    const given = failure(reader.read('1', { signal: controller.signal }));
    await settle();
    controller.abort();
    expect(await given).toBe(trouble);
  });

  test('many reads with one signal do not look like a leak', async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning.name);
    process.on('warning', onWarning);
    try {
      const { reader, calls } = setUp({ maxBatchSize: 50 });
      const { signal } = new AbortController();
      const reads = Promise.all(Array.from({ length: 50 }, (_, id) => reader.read(String(id), { signal })));
      await settle();
      calls[0]!.answer();
      expect(await reads).toHaveLength(50);
      await settle();
      expect(warnings).toEqual([]);
    } finally {
      process.off('warning', onWarning);
    }
  });
});

describe('patient reads', () => {
  test('a lone one goes at once', async () => {
    const { reader, ids } = setUp();
    const ticket = reader.expect();
    void ticket.read('1');
    await settle();
    expect(ids()).toEqual([['1']]);
  });

  test('one without a ticket goes at once where none is open', async () => {
    const { reader, ids } = setUp();
    void reader.read('1', { patient: true });
    await settle();
    expect(ids()).toEqual([['1']]);
  });

  test('they go when all that are announced have come or been released', async () => {
    const { reader, ids } = setUp();
    const tickets = [reader.expect(), reader.expect(), reader.expect()] as const;
    void tickets[0].read('1');
    void tickets[1].read('2');
    await settle();
    expect(ids()).toEqual([]);
    tickets[0].release();
    await settle();
    expect(ids()).toEqual([]);
    tickets[2].release();
    tickets[2].release();
    await settle();
    expect(ids()).toEqual([['1', '2']]);
    // Nothing was counted twice.
    const open = reader.expect();
    void reader.read('3', { patient: true });
    await settle();
    expect(ids()).toHaveLength(1);
    open.release();
  });

  test('they join a call that departs with room left, those with its ids in any case', async () => {
    const { reader, ids } = setUp();
    const tickets = [reader.expect(), reader.expect(), reader.expect(), reader.expect()] as const;
    void tickets[0].read('1');
    void tickets[1].read('2');
    await settle();
    for (const id of ['2', '3']) void reader.read(id);
    await settle();
    expect(ids()).toEqual([['2', '3', '1']]);
    void tickets[2].read('9');
    for (const id of ['4', '5', '6']) void reader.read(id);
    await settle();
    expect(ids()[1]).toEqual(['4', '5', '6']);
    tickets[3].release();
  });

  test('they go when a full batch of them waits, the rest stays', async () => {
    const { reader, ids } = setUp();
    const tickets = Array.from({ length: 6 }, () => reader.expect());
    tickets.slice(0, 4).forEach((ticket, index) => void ticket.read(String(index)));
    await settle();
    expect(ids()).toEqual([['0', '1', '2']]);
    void tickets[4]!.read('4');
    await settle();
    expect(ids()).toHaveLength(1);
    void tickets[5]!.read('5');
    await settle();
    expect(ids()[1]).toEqual(['3', '4', '5']);
  });

  test('they go when the oldest has waited enough', async () => {
    const { reader, ids } = setUp({ patienceMs: 500 });
    const tickets = [reader.expect(), reader.expect(), reader.expect()] as const;
    void tickets[0].read('1');
    await settle();
    jest.advanceTimersByTime(400);
    void tickets[1].read('2');
    await settle();
    jest.advanceTimersByTime(99);
    await settle();
    expect(ids()).toEqual([]);
    jest.advanceTimersByTime(1);
    await settle();
    expect(ids()).toEqual([['1', '2']]);
    tickets[2].release();
  });

  test('one that is given up waits no longer', async () => {
    const { reader, ids } = setUp();
    const tickets = [reader.expect(), reader.expect()] as const;
    const controller = new AbortController();
    const given = failure(tickets[0].read('1', { signal: controller.signal }));
    await settle();
    controller.abort();
    expect(await given).toMatchObject({ code: 'CRM_UNAVAILABLE' });
    void tickets[1].read('2');
    await settle();
    expect(ids()).toEqual([['2']]);
  });

  test('two hundred of them need four calls', async () => {
    const { reader, calls, ids } = setUp({ maxBatchSize: 50 });
    const tickets = Array.from({ length: 200 }, () => reader.expect());
    const reads: Promise<Contact | undefined>[] = [];
    for (const [index, ticket] of tickets.entries()) {
      reads.push(ticket.read(String(index)));
      if (index % 7 === 0) await settle();
    }
    await settle();
    expect(ids()).toHaveLength(4);
    for (const call of calls) call.answer();
    expect((await Promise.all(reads)).every((each, index) => each?.id === String(index))).toBe(true);
  });
});

test('no timer keeps the process alive', async () => {
  const spy = jest.spyOn(globalThis, 'setTimeout');
  const { reader } = setUp();
  void reader.read('1');
  await settle();
  void reader.read('2');
  await settle();
  expect(spy.mock.results.length).toBeGreaterThan(0);
  for (const { value } of spy.mock.results) expect((value as NodeJS.Timeout).hasRef()).toBe(false);
  spy.mockRestore();
});
