// Which username a new user gets, and what is tried when it is taken.
import type { Contact } from '../../lib';
import type { MappedContact } from '../../lib/users/field-map';
import { chooseUsername, usernameCandidates, type UsernameRule } from '../../lib/users/username';

const EMAIL = 'mary@example.com';
const contact: Contact = { id: '7', email: EMAIL, tags: [], modifiedAt: null, fields: { nick: 'Mimi' } };

const choose = (rule: UsernameRule, mapped: Partial<MappedContact> = {}): string =>
  chooseUsername(
    rule,
    { email: EMAIL, username: null, password: null, role: null, meta: {}, ...mapped },
    contact,
    EMAIL,
  );

describe('chooseUsername', () => {
  const names = (firstName: unknown, lastName: unknown): Partial<MappedContact> =>
    ({ meta: { firstName, lastName } }) as Partial<MappedContact>;

  test.each<[string, UsernameRule, Partial<MappedContact>, string]>([
    ['email', 'email', {}, EMAIL],
    ['first and last name', 'firstlast', names('Mary', 'Smith'), 'MarySmith'],
    ['names with spaces', 'firstlast', names(' Mary Ann ', "O' Neil\t"), "MaryAnnO'Neil"],
    ['a first name alone', 'firstlast', names('Mary', null), 'Mary'],
    ['no names', 'firstlast', names(null, null), EMAIL],
    ['names without end', 'firstlast', names('Mary', 'x'.repeat(300)), `Mary${'x'.repeat(251)}`],
    ['names that are nothing but spaces', 'firstlast', names(' ', '\u00A0'), EMAIL],
    ['names that are no texts', 'firstlast', names(5, ['x']), EMAIL],
    ['no names mapped', 'firstlast', {}, EMAIL],
    ['a function', ({ id, fields }) => ` ${String(fields.nick)}-${id} `, {}, 'Mimi-7'],
    ['a function that gives nothing', () => '  ', {}, EMAIL],
    ['a mapped field before all rules', () => 'ruled', { username: 'mapped' }, 'mapped'],
    ['a mapped field before the email', 'email', { username: 'mapped' }, 'mapped'],
  ])('%s', (_name, rule, mapped, expected) => expect(choose(rule, mapped)).toBe(expected));

  test.each<[string, string, string]>([
    ['too long for any table', 'a'.repeat(300), 'a'.repeat(255)],
    ['as long as can be', '\u{1F600}'.repeat(255), '\u{1F600}'.repeat(255)],
    ['cut between characters', '\u{1F600}'.repeat(256), '\u{1F600}'.repeat(255)],
    ['without end', 'ab '.repeat(1_000_000), `${'ab '.repeat(84)}ab`],
  ])('a name %s', (_name, given, expected) => {
    expect(choose('email', { username: given })).toBe(expected);
    expect(choose(() => given)).toBe(expected);
  });

  test.each([
    ['a promise', Promise.resolve('x'), 'a promise'],
    ['undefined', undefined, 'undefined'],
    ['null', null, 'object'],
    ['a number', 5, 'number'],
  ])('a function that gives %s', (_name, given, what) => {
    expect(() => choose((() => given) as unknown as UsernameRule)).toThrow(
      `username() must give a text, at once; it gave ${what}.`,
    );
  });
});

describe('usernameCandidates', () => {
  const candidates = [...usernameCandidates('mary')];

  test('the wanted one, -2 to -9, then longer numbers; not without end', () => {
    expect(candidates.slice(0, 9)).toEqual([
      'mary',
      ...[2, 3, 4, 5, 6, 7, 8, 9].map((number) => `mary-${number}`),
    ]);
    for (const candidate of candidates.slice(9)) expect(candidate).toMatch(/^mary-[1-9]\d{1,5}$/);
    expect(candidates).toHaveLength(19);
  });

  test('none is longer than 255 characters, its number included', () => {
    const long = '\u{1F600}'.repeat(255);
    const [first, ...numbered] = [...usernameCandidates(`${long}x`)];
    expect(first).toBe(long);
    for (const candidate of numbered) {
      expect(Array.from(candidate)).toHaveLength(255);
      expect(candidate).toMatch(/^\u{1F600}+-\d+$/u);
    }
  });

  test('two runs that meet try different numbers', () => {
    expect([...usernameCandidates('mary')].slice(9)).not.toEqual(candidates.slice(9));
  });
});
