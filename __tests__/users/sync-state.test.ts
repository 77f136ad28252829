// The opaque state of a user: round trips, its length, and that it holds nothing worth reading.
import fc from 'fast-check';
import { Presence } from '../../lib/actions/presence';
import { fingerprint, formatSyncState, parseSyncState, type SyncState } from '../../lib/users/sync-state';

/** Whether a text owes a password, afterCreate or a mail. */
const owes = (text: string): boolean => {
  const { password, afterCreate, mail } = parseSyncState(text);
  return password !== undefined || afterCreate === true || mail === true;
};

const alone = new Presence(undefined, 0);
const claim = fc.constant(null).map(() => alone.newClaim());
const seconds = fc.integer({ min: 1_600_000_000, max: 9_999_999_999 });
const aState = (claims: fc.Arbitrary<string[]>): fc.Arbitrary<SyncState> =>
  fc.record({
    hash: fc.option(fc.string().map(fingerprint), { nil: undefined }),
    password: fc.option(fc.record({ claims, claimedAt: seconds }), { nil: undefined }),
    afterCreate: fc.boolean(),
    mail: fc.boolean(),
  });

test('what is written down is read again', () => {
  fc.assert(
    fc.property(aState(fc.array(claim, { maxLength: 6 })), (state) => {
      expect(parseSyncState(formatSyncState(state))).toEqual({
        hash: state.hash,
        password: state.password,
        afterCreate: state.afterCreate,
        mail: state.mail,
      });
    }),
  );
});

test('never over 255 characters, printable, however many processes claim; the newest claims stay', () => {
  fc.assert(
    fc.property(aState(fc.array(claim, { maxLength: 40 })), (state) => {
      const text = formatSyncState(state);
      expect(text.length).toBeLessThanOrEqual(255);
      expect(text).toMatch(/^[\x20-\x7E]+$/);
      const { password } = parseSyncState(text);
      expect(password?.claims).toEqual(state.password?.claims.slice(-6));
      // Also where every write is the next one's start.
      expect(formatSyncState(parseSyncState(text)).length).toBeLessThanOrEqual(255);
    }),
  );
});

test('two writes of one state differ, so that each makes the other one stale', () => {
  const texts = Array.from({ length: 200 }, () => formatSyncState({}));
  expect(new Set(texts).size).toBe(200);
  expect(new Set(Array.from({ length: 200 }, () => alone.newClaim())).size).toBe(200);
});

describe('a text that is not ours owes nothing', () => {
  test.each([
    ...['', 'junk', 'null', '5', '"text"', 'true', '[]', '[1,2]', '{}', '{"v":1}', '{', '\0'],
    '{"p":null,"a":0,"m":0}',
    '{"p":true,"a":"1","m":true}',
    '{"p":{"c":"x","t":5}}',
    '{"p":{"c":[1],"t":"5"}}',
    '{"p":{"c":["x"]}}',
    '{"__proto__":{"a":1}}',
  ])('%j', (text) => expect(owes(text)).toBe(false));

  test('null', () => expect(parseSyncState(null)).toEqual({}));

  test('ours does', () => {
    for (const state of [{ afterCreate: true }, { mail: true }, { password: { claims: [], claimedAt: 5 } }]) {
      expect(owes(formatSyncState(state))).toBe(true);
    }
  });

  test('whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        // The one-letter keys of a debt do not come about by chance.
        fc.pre(!/"[ahmp]"/.test(text));
        expect(owes(text)).toBe(false);
      }),
    );
  });
});

test('holds no secret: neither hash nor anything a hash could be found by', () => {
  const hash = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy';
  const text = formatSyncState({
    hash: fingerprint(hash),
    password: { claims: [alone.newClaim()], claimedAt: 1_700_000_000 },
    afterCreate: true,
    mail: true,
  });
  for (let at = 0; at + 6 <= hash.length; at += 1) expect(text).not.toContain(hash.slice(at, at + 6));
});

test('a fingerprint tells two hashes apart, and is the same for the same', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (one, other) => {
      expect(fingerprint(one)).toMatch(/^[\w-]{12}$/);
      expect(fingerprint(one) === fingerprint(other)).toBe(one === other);
    }),
  );
});

test('a foreign state cannot make ours longer than there is room for', () => {
  const foreign = JSON.stringify({
    h: '\0'.repeat(12),
    p: { c: Array<string>(6).fill('\0"'.repeat(6)), t: 1e308 },
  });
  expect(formatSyncState(parseSyncState(foreign)).length).toBeLessThanOrEqual(255);
});

test('an overlong foreign hash and claims are cut to the length of ours', () => {
  const long = 'x'.repeat(500);
  const own = 'x'.repeat(12);
  const read = parseSyncState(JSON.stringify({ h: long, p: { c: Array<string>(6).fill(long), t: 5 } }));
  expect(read).toMatchObject({
    hash: own,
    password: { claims: Array<string>(6).fill(own), claimedAt: 5 },
  });
  expect(formatSyncState(read).length).toBeLessThanOrEqual(255);
});

test('of a foreign debt only what is of the right type is taken', () => {
  const debt = (p: unknown) => parseSyncState(JSON.stringify({ h: 5, p }));
  expect(debt({ c: ['a', 1, null, ['b'], 'c'], t: 5 })).toEqual({
    hash: undefined,
    password: { claims: ['a', 'c'], claimedAt: 5 },
    afterCreate: false,
    mail: false,
  });
  expect(parseSyncState('{"p":{"c":["a"],"t":1e999}}').password).toBeUndefined();
});
