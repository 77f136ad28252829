// Roles by allow-list: what is not on it cannot be given, however it is spelt, and who has another is protected.
import fc from 'fast-check';
import type { PublicUser } from '../../lib';
import { RolePolicy } from '../../lib/users/role-policy';

const user = (role: string, more: Partial<PublicUser> = {}): PublicUser => ({
  id: '1',
  contactId: null,
  email: 'mary@example.com',
  username: 'mary',
  role,
  tags: [],
  meta: {},
  ...more,
});

describe('match', () => {
  const policy = new RolePolicy(['subscriber', 'Customer', 'Key Kunde'], 'subscriber');

  test.each([
    ['subscriber', 'subscriber'],
    ['SUBSCRIBER', 'subscriber'],
    ['customer', 'Customer'],
    ['  CUSTOMER\t', 'Customer'],
    ['key kunde', 'Key Kunde'],
    ['administrator', undefined],
    ['', undefined],
    ['customers', undefined],
    ['key  kunde', undefined],
    ['keykunde', undefined],
    ['subscriber,administrator', undefined],
    ['subscriber administrator', undefined],
    ['*', undefined],
    ['__proto__', undefined],
    ['constructor', undefined],
    ['toString', undefined],
  ])('%j gives %j', (asked, expected) => expect(policy.match(asked)).toBe(expected));

  test.each([
    ['the Kelvin sign', '\u212Aey Kunde'],
    ['a long s', '\u017Fubscriber'],
    ['a Cyrillic c', '\u0441ustomer'],
    ['full width letters', '\uFF43ustomer'],
    ['an accent', 'custome\u0155'],
    ['a dotless i', 'subscr\u0131ber'],
    ['a zero width space', 'cus\u200Btomer'],
    ['a zero width space at its end', 'customer\u200B'],
    ['a soft hyphen', 'custo\u00ADmer'],
    ['a NUL', 'customer\0'],
    ['a right-to-left mark', '\u200Fcustomer'],
  ])('a look-alike is not assignable: %s', (_name, asked) => expect(policy.match(asked)).toBeUndefined());

  test('the default is assignable, listed or not; the list has the last word on its spelling', () => {
    expect(new RolePolicy([], 'Member').match('member')).toBe('Member');
    expect(new RolePolicy(['MEMBER'], 'Member').match('member')).toBe('MEMBER');
    expect(new RolePolicy(['MEMBER'], 'Member').defaultRole).toBe('Member');
  });

  test('every role that can be given is listed once, as the host spells it', () => {
    expect(policy.assignable).toEqual(['subscriber', 'Customer', 'Key Kunde']);
    expect(new RolePolicy(['MEMBER', 'editor'], 'Member').assignable).toEqual(['MEMBER', 'editor']);
    expect(new RolePolicy([], 'Member').assignable).toEqual(['Member']);
  });

  test('whatever is asked for, only what was listed is given', () => {
    const roles = ['subscriber', 'Customer', 'k\u00F6nig'];
    const all = new RolePolicy(roles, 'subscriber');
    const nearly = fc
      .constantFrom(...roles)
      .chain((role) =>
        fc
          .mixedCase(fc.constant(role))
          .chain((text) => fc.tuple(fc.constant(text), fc.string({ maxLength: 1 }))),
      );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          nearly.map((parts) => parts.join('')),
        ),
        (asked) => {
          const given = all.match(asked);
          if (given === undefined) return;
          expect(roles).toContain(given);
          // Equal but for ASCII case and the white space around it.
          expect(asked.trim().replace(/[A-Z]/g, (letter) => letter.toLowerCase())).toBe(
            given.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
          );
        },
      ),
    );
  });
});

describe('isProtected', () => {
  const assignable = ['subscriber', 'Customer'];

  test.each([
    ['subscriber', false],
    ['CUSTOMER ', false],
    ['administrator', true],
    ['', true],
    ['\u017Fubscriber', true],
    ['__proto__', true],
  ])('by the role alone: %j is %s', (role, expected) => {
    expect(new RolePolicy(assignable, 'subscriber').isProtected(user(role))).toBe(expected);
  });

  test('roles of the host’s own list, whatever their case; assignable ones too', () => {
    const policy = new RolePolicy(assignable, 'subscriber', ['customer']);
    expect(policy.isProtected(user(' CUSTOMER'))).toBe(true);
    expect(policy.isProtected(user('subscriber'))).toBe(false);
    // Assignable all the same: it can be given, but not taken away again.
    expect(policy.match('customer')).toBe('Customer');
  });

  test('without a list of the host’s own no assignable role is protected', () => {
    for (const policy of [
      new RolePolicy(assignable, 'subscriber'),
      new RolePolicy(assignable, 'subscriber', []),
    ]) {
      for (const role of assignable) expect(policy.isProtected(user(role))).toBe(false);
    }
  });

  test('a test of the host’s adds to the role, it takes nothing away', () => {
    const policy = new RolePolicy(assignable, 'subscriber', ({ email }) => email.endsWith('@us.example'));
    expect(policy.isProtected(user('subscriber', { email: 'a@us.example' }))).toBe(true);
    expect(policy.isProtected(user('subscriber'))).toBe(false);
    expect(new RolePolicy(assignable, 'subscriber', () => false).isProtected(user('administrator'))).toBe(
      true,
    );
  });

  test('a test that throws is not "no"', () => {
    const policy = new RolePolicy(assignable, 'subscriber', () => {
      throw new Error('cannot tell');
    });
    expect(() => policy.isProtected(user('subscriber'))).toThrow('cannot tell');
  });

  // A host without types writes these: nobody it meant to protect may be left open.
  const untyped = (test: unknown): RolePolicy =>
    new RolePolicy(assignable, 'subscriber', test as (user: PublicUser) => boolean);
  test('a test that gives something else than true or false is refused', () => {
    for (const [answer, what] of [
      [1, 'a number'],
      ['no', 'a string'],
      [{}, 'a object'],
      [Promise.resolve(false), 'a promise'],
    ]) {
      expect(() => untyped(() => answer).isProtected(user('subscriber'))).toThrow(
        `roles.protected must give true or false, at once; it gave ${what as string}.`,
      );
    }
  });
  test('a test that gives a promise does not leave the user open', () => {
    let isOpen: boolean;
    try {
      isOpen = !untyped(async () => true).isProtected(user('subscriber'));
    } catch {
      isOpen = false;
    }
    expect(isOpen).toBe(false);
  });
});
