// Which processes return passwords at this moment: one that is there is believed, one that is gone or unknown is not.
import { Presence } from '../../lib/actions/presence';
import type { SharedPlace } from '../../lib/exchange';
import { until } from './site';

/** A place whose clock a test turns, and whose store can fail. */
class Place implements SharedPlace {
  text: string | null = null;
  now = 1_000_000;
  reads = 0;
  writes = 0;
  isDown = false;
  async read(): Promise<{ text: string | null; now: number }> {
    this.reads += 1;
    if (this.isDown) throw new Error('down');
    return { text: this.text, now: this.now };
  }
  async write(expected: string | null, text: string): Promise<boolean> {
    if (this.isDown) throw new Error('down');
    if (this.text !== expected) return false;
    this.text = text;
    this.writes += 1;
    return true;
  }
}

const LEASE_MS = 80;

const open = (): { place: Place; one: Presence; other: Presence } => {
  const place = new Place();
  return { place, one: new Presence(place, LEASE_MS), other: new Presence(place, LEASE_MS) };
};

test('a claim of a process that is there is believed by others, not by itself', async () => {
  const { place, one, other } = open();
  const claim = one.newClaim();
  expect(await other.isThere([claim])).toBe(false);
  one.enter(() => true);
  await until(() => place.writes > 0);
  expect(await other.isThere(['of-nobody', claim])).toBe(true);
  expect(await other.isThere(['of-nobody'])).toBe(false);
  expect(await other.isThere([])).toBe(false);
  // What it is at itself, it knows better.
  expect(await one.isThere([claim])).toBe(false);
  await one.leave();
});

test('nobody is asked about claims of its own, or none', async () => {
  const { place, one } = open();
  expect(await one.isThere([])).toBe(false);
  expect(await one.isThere([one.newClaim()])).toBe(false);
  expect(place.reads).toBe(0);
});

test('is said an eighth of a lease after the last time, once however much there is to do', async () => {
  const { place, one } = open();
  const interval = jest.spyOn(globalThis, 'setInterval');
  one.enter(() => true);
  one.enter(() => true);
  expect(interval.mock.calls.map(([, ms]) => ms)).toEqual([LEASE_MS / 8]);
  new Presence(undefined, 0).enter(() => true);
  expect(interval).toHaveBeenCalledTimes(1);
  interval.mockRestore();
  await one.leave();
  // Here, and gone.
  expect(place.writes).toBe(2);
  await one.leave();
  expect(place.writes).toBe(2);
});

test('where others are always faster it is given up', async () => {
  const { place, one } = open();
  let now = 0;
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => (now += 3000));
  place.write = async () => false;
  one.enter(() => true);
  await one.leave();
  expect(place.reads).toBe(2);
  clock.mockRestore();
});

test('one that leaves is believed no more, at once', async () => {
  const { one, other } = open();
  one.enter(() => true);
  await one.leave();
  expect(await other.isThere([one.newClaim()])).toBe(false);
});

test('one that goes on says so again; one that has died is gone before its contacts come back', async () => {
  const { place, one, other } = open();
  one.enter(() => true);
  await until(() => place.writes > 2);
  await one.leave();
  place.text = JSON.stringify({ [one.newClaim().slice(0, 6)]: place.now });
  place.now += LEASE_MS / 2 - 1;
  expect(await other.isThere([one.newClaim()])).toBe(true);
  place.now += 1;
  expect(await other.isThere([one.newClaim()])).toBe(false);
});

test('a time that is no number is none', async () => {
  const { place, one, other } = open();
  place.text = JSON.stringify({ [one.newClaim().slice(0, 6)]: String(place.now) });
  expect(await other.isThere([one.newClaim()])).toBe(false);
});

test('one that has nothing to do any more says so by itself', async () => {
  const { place, one, other } = open();
  let isAtWork = true;
  one.enter(() => isAtWork);
  await until(() => place.writes > 0);
  isAtWork = false;
  await until(async () => !(await other.isThere([one.newClaim()])));
  expect(place.text).toBe('{}');
});

test('several at once: each is there, and those that are gone are forgotten', async () => {
  const place = new Place();
  place.text = JSON.stringify({ ofdead: place.now - LEASE_MS });
  const all = Array.from({ length: 8 }, () => new Presence(place, LEASE_MS));
  for (const one of all) one.enter(() => true);
  const asker = new Presence(place, LEASE_MS);
  await until(async () => {
    const there = await Promise.all(all.map((one) => asker.isThere([one.newClaim()])));
    return there.every(Boolean);
  });
  expect(place.text).not.toContain('ofdead');
  await Promise.all(all.map((one) => one.leave()));
  expect(place.text).toBe('{}');
});

test('where nobody can be asked a claim is believed; without a place none is', async () => {
  const { place, one, other } = open();
  place.isDown = true;
  one.enter(() => true);
  expect(await other.isThere([one.newClaim()])).toBe(true);
  await one.leave();
  const alone = new Presence(undefined, 0);
  alone.enter(() => true);
  expect(await alone.isThere([one.newClaim()])).toBe(false);
  await alone.leave();
});

test.each(['no json', '7', 'null', '[]', '{"ofdead":"x"}'])(
  'a text that is none of ours (%s) is taken for nothing, and written anew',
  async (text) => {
    const { place, one, other } = open();
    place.text = text;
    expect(await other.isThere([one.newClaim()])).toBe(false);
    one.enter(() => true);
    await until(() => other.isThere([one.newClaim()]));
    await one.leave();
  },
);
