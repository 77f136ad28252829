// What waits while a transaction is under way: it goes together, and there is an end to it.
import { Groups } from '../../lib/knex/queue/groups';

const limits = { items: 3, size: 100, waiting: 10 };

test('those who come while all waits for a database that is silent are refused, from so many on', async () => {
  let answer: () => void = () => undefined;
  const silence = new Promise<void>((resolve) => (answer = resolve));
  const groups = new Groups<number, number>(async (items) => {
    await silence;
    return items.map((item) => 2 * item);
  }, limits);
  const first = [0, 1, 2].map((item) => groups.add(item, 1));
  // From here on they are under way.
  await new Promise((resolve) => setImmediate(resolve));
  const waiting = Array.from({ length: limits.waiting }, (_, index) => groups.add(index + 3, 1));
  await expect(groups.add(13, 1)).rejects.toThrow('10 are waiting already: the database is too slow.');
  answer();
  const numbers = await Promise.all([...first, ...waiting]);
  expect(numbers).toEqual(numbers.map((_, index) => 2 * index));
  // All is well again.
  expect(await groups.add(21, 1)).toBe(42);
});
