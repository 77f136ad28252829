// Turns of webhooks for one contact, without the web around them.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Turns } from '../../lib/actions/turns';
import { gate } from '../http/site';

test('what comes when the first has ended, and the second has not, comes behind the second', async () => {
  const turns = new Turns();
  const begun: string[] = [];
  const second = gate();
  const work = (name: string, until = Promise.resolve()) =>
    turns.take('1', async () => {
      begun.push(name);
      await until;
    });
  const first = work('first');
  const held = work('second', second.pass());
  await first;
  const third = work('third');
  // All that can happen does: a turn that were free would have begun.
  await new Promise(setImmediate);
  expect(begun).toEqual(['first', 'second']);
  second.open();
  await Promise.all([held, third]);
  expect(begun).toEqual(['first', 'second', 'third']);
});

test('what has no contact waits for nobody', async () => {
  const turns = new Turns();
  const held = gate();
  const first = turns.take(null, () => held.pass());
  await turns.take(null, async () => undefined);
  held.open();
  await first;
});

test('nothing is kept of a contact whose turns have ended', async () => {
  const turns = new Turns();
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const done = async (): Promise<WeakRef<object>> => {
    const result = { of: 'a webhook' };
    await turns.take('1', async () => result);
    return new WeakRef(result);
  };
  const result = await done();
  // A weak reference lives until the turn of the event loop in which it was made is over.
  await new Promise(setImmediate);
  collect();
  expect(result.deref()).toBeUndefined();
});
