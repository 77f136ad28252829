// Which keys let a request in, and what they let it do.
import fc from 'fast-check';
import { Authenticator } from '../../lib/webhook/authenticate';

const ALL = { key: 'may-do-anything-1', name: 'all', actions: undefined, inspect: true };
const TAGS = {
  key: 'only-for-tags-22',
  name: 'tags',
  actions: new Set(['update_tags', 'test']),
  inspect: false,
};
const ADDS = { key: 'only-for-adding-333', name: 'adds', actions: new Set(['add', 'test']), inspect: true };
const KEYS = [ALL, TAGS, ADDS];
const authenticator = new Authenticator(KEYS);

test.each(KEYS)('$name is let in with what it may do', ({ key, name, actions, inspect }) => {
  const permission = authenticator.check([key])!;
  expect({ name: permission.name, inspect: permission.inspect }).toEqual({ name, inspect });
  for (const action of ['add', 'update', 'update_tags', 'test', 'constructor']) {
    expect(permission.allows(action)).toBe(actions?.has(action) ?? true);
  }
});

test('several keys may do what all of them may', () => {
  const permission = authenticator.check([ALL.key, TAGS.key, ADDS.key])!;
  expect(permission.name).toBe('all, tags, adds');
  expect(permission.inspect).toBe(false);
  const allowed = ['add', 'update', 'update_tags', 'test'].filter((action) => permission.allows(action));
  expect(allowed).toEqual(['test']);
});

test('the same key twice is one', () => {
  expect(authenticator.check([ALL.key, ALL.key])).toMatchObject({ name: 'all', inspect: true });
});

test('one key in eight places is let in', () => {
  expect(authenticator.check(new Array<string>(8).fill(ALL.key))).toMatchObject({ name: 'all' });
});

test('two entries of one key: the last counts, never both', () => {
  const both = new Authenticator([ALL, { ...TAGS, key: ALL.key }]);
  expect(both.check([ALL.key])).toMatchObject({ name: 'tags', inspect: false });
});

test.each([
  ['none', []],
  ['an empty one', ['']],
  ['one that is no text', [null]],
  ['a right one and one that is no text', [ALL.key, null]],
  ['a right one and an empty one', [ALL.key, '']],
  ['a right one and a wrong one', [ALL.key, 'wrong-key-wrong-key']],
  ['a wrong one and a right one', ['wrong-key-wrong-key', ALL.key]],
  ['two right ones in one', [`${ALL.key}, ${TAGS.key}`]],
  ['white space around it', [` ${ALL.key}`]],
  ['other letters', [ALL.key.toUpperCase()]],
  ['the right one more often than anybody needs', new Array<string>(9).fill(ALL.key)],
])('%s: not let in', (_name, candidates) => expect(authenticator.check(candidates)).toBeUndefined());

test('nothing but a key is let in', () => {
  const near = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(...KEYS).chain(({ key }) =>
      fc.oneof(
        fc.nat(key.length - 1).map((length) => key.slice(0, length)),
        fc.string({ minLength: 1 }).map((more) => key + more),
        fc.nat(key.length - 1).map((index) => `${key.slice(0, index)}\0${key.slice(index + 1)}`),
      ),
    ),
  );
  fc.assert(
    fc.property(fc.array(near, { minLength: 1, maxLength: 8 }), (candidates) => {
      fc.pre(candidates.some((candidate) => !KEYS.some(({ key }) => key === candidate)));
      expect(authenticator.check(candidates)).toBeUndefined();
      expect(authenticator.check([ALL.key, ...candidates])).toBeUndefined();
    }),
  );
});
