// A text that several processes change: each change is made on what is there, and none is made that the store cannot take.
import { Exchange, type SharedPlace } from '../lib/exchange';

function placeWith(initial: string | null): SharedPlace & { text: string | null } {
  return {
    text: initial,
    async read() {
      return { text: this.text, now: 7 };
    },
    async write(expected, text) {
      if (this.text !== expected) return false;
      this.text = text;
      return true;
    },
  };
}

test('many at once: each change is made, on what the others have made', async () => {
  const place = placeWith(null);
  const add = (): Promise<void> =>
    new Exchange(place, () => performance.now()).change(({ text }) => String(Number(text ?? 0) + 1));
  await Promise.all(Array.from({ length: 20 }, add));
  expect(place.text).toBe('20');
});

test('nothing to change: nothing is written', async () => {
  const place = placeWith('as it is');
  const write = jest.spyOn(place, 'write');
  await new Exchange(place, () => 0).change(() => undefined);
  expect(write).not.toHaveBeenCalled();
});

test('a text that is too long for a store is refused, and what is there stays', async () => {
  const place = placeWith('as it is');
  const exchange = new Exchange(place, () => 0);
  await expect(exchange.change(() => 'x'.repeat(60_001))).rejects.toThrow('too long');
  expect(place.text).toBe('as it is');
  await exchange.change(() => 'x'.repeat(60_000));
  expect(place.text).toHaveLength(60_000);
});
