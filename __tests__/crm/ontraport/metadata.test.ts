// Catalogue: what is loaded when, and who waits for it. The clock is the test's, loads are answered by hand.

import { WpFusionError } from '../../../lib/errors';
import { Catalogue } from '../../../lib/crm/ontraport/metadata';

const MINUTE = 60_000;

interface Load {
  readonly signal: AbortSignal;
  readonly tries: number | undefined;
  answer(...names: string[]): void;
  fail(): void;
}

function setUp() {
  const clock = { now: 0 };
  const loads: Load[] = [];
  const catalogue = new Catalogue<ReadonlySet<string>>({
    now: () => clock.now,
    load: ({ signal, tries }) =>
      new Promise((resolve, reject) => {
        loads.push({
          signal,
          tries,
          answer: (...names) => resolve(new Set(names)),
          fail: () => reject(new WpFusionError('CRM_UNAVAILABLE', 'down')),
        });
      }),
  });
  const get = async (names: readonly string[], signal?: AbortSignal): Promise<string[]> => [
    ...(await catalogue.get(signal, (known) => names.filter((name) => !known.has(name)))),
  ];
  return { clock, loads, get };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('it is loaded when first needed, once for all who ask, and kept for an hour', async () => {
  const { clock, loads, get } = setUp();
  expect(loads).toHaveLength(0);
  const [one, other] = [get(['a']), get(['b'])];
  await settle();
  loads[0]!.answer('a', 'b');
  expect(await one).toEqual(['a', 'b']);
  expect(await other).toEqual(['a', 'b']);
  clock.now = 60 * MINUTE - 1;
  expect(await get(['a'])).toEqual(['a', 'b']);
  expect(loads).toHaveLength(1);
  clock.now = 60 * MINUTE;
  const third = get(['a']);
  await settle();
  loads[1]!.answer('c');
  expect(await third).toEqual(['c']);
  expect(loads.map(({ tries }) => tries)).toEqual([undefined, 1]);
});

test('something unknown loads it again, at most once a minute', async () => {
  const { clock, loads, get } = setUp();
  const first = get(['a']);
  await settle();
  loads[0]!.answer('a');
  await first;
  clock.now = 1;
  const second = get(['a', 'b']);
  await settle();
  loads[1]!.answer('a', 'b');
  expect(await second).toEqual(['a', 'b']);
  clock.now = MINUTE;
  expect(await get(['c'])).toEqual(['a', 'b']);
  expect(loads).toHaveLength(2);
  clock.now = MINUTE + 1;
  const third = get(['c']);
  await settle();
  loads[2]!.answer('a', 'b', 'c');
  expect(await third).toEqual(['a', 'b', 'c']);
});

test('what a load did not find either is asked for again after ten minutes', async () => {
  const { clock, loads, get } = setUp();
  const first = get(['gone']);
  await settle();
  loads[0]!.answer('a');
  // One load is enough: it began after the unknown name was seen.
  expect(await first).toEqual(['a']);
  clock.now = 10 * MINUTE - 1;
  expect(await get(['gone'])).toEqual(['a']);
  expect(loads).toHaveLength(1);
  clock.now = 10 * MINUTE;
  void get(['gone']);
  await settle();
  expect(loads).toHaveLength(2);
});

test('a load under way is waited for, and is enough where it brings what is missing', async () => {
  const { clock, loads, get } = setUp();
  const first = get([]);
  await settle();
  loads[0]!.answer('a');
  await first;
  clock.now = 1;
  const asks = [get(['b']), get(['b']), get(['b', 'a'])];
  await settle();
  expect(loads).toHaveLength(2);
  loads[1]!.answer('a', 'b');
  expect(await Promise.all(asks)).toEqual(asks.map(() => ['a', 'b']));
  expect(loads).toHaveLength(2);
});

test('a failed first load is an error, and the next one tries again', async () => {
  const { loads, get } = setUp();
  const first = get(['a']);
  await settle();
  loads[0]!.fail();
  await expect(first).rejects.toMatchObject({ code: 'CRM_UNAVAILABLE' });
  const second = get(['a']);
  await settle();
  loads[1]!.answer('a');
  expect(await second).toEqual(['a']);
});

test('a failed later load leaves what was known, for a minute', async () => {
  const { clock, loads, get } = setUp();
  const first = get(['a']);
  await settle();
  loads[0]!.answer('a');
  await first;
  clock.now = 61 * MINUTE;
  const second = get(['a']);
  await settle();
  loads[1]!.fail();
  expect(await second).toEqual(['a']);
  expect(await get(['a', 'b'])).toEqual(['a']);
  expect(loads).toHaveLength(2);
  clock.now = 62 * MINUTE;
  void get(['a']);
  await settle();
  expect(loads).toHaveLength(3);
});

test('who gives up does not stop others; the last one stops the load', async () => {
  const { loads, get } = setUp();
  const [one, other] = [new AbortController(), new AbortController()];
  const reads = [get(['a'], one.signal), get(['a'], other.signal)];
  const ends = reads.map((read) => read.catch((error: unknown) => error));
  await settle();
  one.abort();
  expect(await ends[0]).toMatchObject({ code: 'CRM_UNAVAILABLE' });
  expect(loads[0]!.signal.aborted).toBe(false);
  other.abort();
  await ends[1];
  expect(loads[0]!.signal.aborted).toBe(true);
  // The abandoned load is nobody's any more.
  const next = get(['a']);
  await settle();
  expect(loads).toHaveLength(2);
  loads[0]!.fail();
  await settle();
  loads[1]!.answer('a');
  expect(await next).toEqual(['a']);
});
