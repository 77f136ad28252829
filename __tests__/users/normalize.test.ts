// The rule by which emails, usernames and roles are compared, and which emails a user can have.
import { comparisonKey } from '../../lib';
import { isUsableEmail, storable } from '../../lib/users/normalize';

test.each([
  [' Mary@Example.COM\t', 'mary@example.com'],
  ['AZ az', 'az az'],
  ['ÄÖ', 'ÄÖ'],
  ['\u212A', '\u212A'],
  ['a  b', 'a  b'],
])('%j is compared as %j', (value, key) => expect(comparisonKey(value)).toBe(key));

test.each([
  ['plain text', 'plain text'],
  [' white\tspace\n', ' white\tspace\n'],
  ['a\0b\0\0c', 'abc'],
  ['half \ud83d, its other \ude00', 'half \ufffd, its other \ufffd'],
  ['whole \u{1F600}', 'whole \u{1F600}'],
  ['\ude00\ud83d', '\ufffd\ufffd'],
])('%j is stored as %j', (text, stored) => expect(storable(text)).toBe(stored));

describe('an email that a user can have', () => {
  test.each([
    'a@b',
    'mary@example.com',
    "o'neil+tag@example.co.uk",
    'rené@exämple.com',
    '用户@例子',
    `${'a'.repeat(242)}@example.com`,
  ])('%s', (email) => expect(isUsableEmail(email)).toBe(true));
});

describe('an email that no user can have', () => {
  test.each([...['', '@', 'a', 'a@', '@b', 'a@b@c', 'a@@b'], `${'a'.repeat(243)}@example.com`])(
    '%s',
    (email) => expect(isUsableEmail(email)).toBe(false),
  );

  test.each(' "(),:;<>@[\\]\t\n\0\u00AD\u200B\u2028\u202E'.split(''))('one with %j in it', (character) => {
    for (const email of ['a%b@c.d', '%a@b.c', 'a%@b.c', 'a@%b.c', 'a@b%c', 'a@b.c%']) {
      expect(isUsableEmail(email.replace('%', character))).toBe(false);
    }
  });
});
