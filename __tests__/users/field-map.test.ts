// What a contact's fields become: blank, raw, transformed, and what cannot be stored.
import fc from 'fast-check';
import type { Contact, FieldSpec } from '../../lib';
import { fieldsToRead, mapContact, type FieldMap, type MappedContact } from '../../lib/users/field-map';

const aContact = (given: Partial<Contact> = {}): Contact => ({
  id: '7',
  email: 'own@example.com',
  tags: [],
  modifiedAt: null,
  fields: {},
  ...given,
});

const mapOf = (fields: Record<string, string | FieldSpec>): FieldMap =>
  new Map(
    Object.entries(fields).map(([name, spec]) => [name, typeof spec === 'string' ? { from: spec } : spec]),
  );

const map = (
  fields: Record<string, string | FieldSpec>,
  values: Contact['fields'],
  more: Partial<Contact> = {},
): MappedContact => mapContact(mapOf(fields), aContact({ fields: values, ...more }));

const transformed = (transform: FieldSpec['transform'], value: Contact['fields'][string] = 'x'): unknown =>
  map({ plan: { from: 'f2', transform } }, { f2: value }).meta.plan;

test('the fields to read are each asked for once', () => {
  expect(fieldsToRead(mapOf({ a: 'f1', b: { from: 'f1', raw: true }, c: 'f2' }))).toEqual(['f1', 'f2']);
});

describe('meta', () => {
  test.each([
    ['Acme', 'Acme'],
    [' ', ' '],
    ['0', '0'],
    [0, 0],
    [-1.5, -1.5],
    [false, false],
    [true, true],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    [[''], ['']],
    ['', null],
    [null, null],
    [[], null],
  ])('%j becomes %j', (value, expected) => {
    expect(map({ plan: 'f2' }, { f2: value }).meta).toEqual({ plan: expected });
  });

  test('a field the contact does not have is blank', () => {
    expect(map({ plan: 'f2' }, {}).meta).toEqual({ plan: null });
  });

  test('one field may feed several names', () => {
    expect(map({ a: 'f2', b: 'f2' }, { f2: 'x' }).meta).toEqual({ a: 'x', b: 'x' });
  });

  test('names like those of a user’s properties land in meta', () => {
    const names = ['id', 'tags', 'contactId', 'passwordHash', 'syncState', 'meta', 'constructor', 'toString'];
    const { meta } = map(Object.fromEntries(names.map((name) => [name, 'f2'])), { f2: 'x' });
    expect(meta).toEqual(Object.fromEntries(names.map((name) => [name, 'x'])));
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'a CRM key %s gives only what the contact itself has',
    (key) => {
      expect(map({ plan: key }, {}, { raw: {} }).meta).toEqual({ plan: null });
      expect(map({ plan: { from: key, raw: true } }, {}, { raw: {} }).meta).toEqual({ plan: null });
      const fields = JSON.parse(`{"${key}":"x"}`) as Contact['fields'];
      expect(map({ plan: key }, fields).meta).toEqual({ plan: 'x' });
    },
  );
});

describe('raw', () => {
  const spec = { plan: { from: 'f2', raw: true } };
  test('takes the value as it is stored', () => {
    expect(map(spec, { f2: ['Blue'] }, { raw: { f2: '*/*586*/*' } }).meta).toEqual({ plan: '*/*586*/*' });
    expect(map(spec, { f2: null }, { raw: { f2: '0' } }).meta).toEqual({ plan: '0' });
  });

  test.each([[{ f2: '' }], [{ f2: null }], [{}], [undefined]])('%j is blank', (raw) => {
    const more = raw === undefined ? {} : { raw };
    expect(map(spec, { f2: 'decoded' }, more as Partial<Contact>).meta).toEqual({ plan: null });
  });
});

describe('transform', () => {
  test('gets the value and the contact', () => {
    const transform = jest.fn(() => 'made');
    const contact = aContact({ fields: { f2: ['a'] }, raw: { f2: 'stored' } });
    expect(mapContact(mapOf({ plan: { from: 'f2', transform } }), contact).meta).toEqual({ plan: 'made' });
    expect(transform).toHaveBeenCalledWith(['a'], contact);
    mapContact(mapOf({ plan: { from: 'f2', raw: true, transform } }), contact);
    expect(transform).toHaveBeenLastCalledWith('stored', contact);
  });

  test('gets null for a field that is unset or not there', () => {
    const seen: unknown[] = [];
    const transform = (value: unknown): unknown => (seen.push(value), null);
    map({ plan: { from: 'f2', transform } }, { f2: null });
    map({ plan: { from: 'f2', transform } }, {});
    map({ plan: { from: 'f2', raw: true, transform } }, { f2: 'x' });
    expect(seen).toEqual([null, null, null]);
  });

  test.each([
    ['a text', 'A', 'A'],
    ['a number', 0, 0],
    ['a boolean', false, false],
    ['texts', ['a'], ['a']],
    ['a Date', new Date(Date.UTC(2024, 1, 29, 12)), '2024-02-29T12:00:00.000Z'],
    ['null', null, null],
    ['undefined', undefined, null],
    ['an empty text', '', null],
    ['an empty list', [], null],
  ])('may give %s', (_name, given, expected) => {
    expect(transformed(() => given)).toEqual(expected);
  });

  test.each([
    ['NaN', NaN, 'a number'],
    ['Infinity', -Infinity, 'a number'],
    ['an invalid Date', new Date(NaN), 'a object'],
    ['a promise', Promise.resolve('x'), 'a promise'],
    ['an object', { a: 1 }, 'a object'],
    ['a list of numbers', [1], 'an array with other items'],
    ['a list of mixed types', ['a', 1], 'an array with other items'],
    ['a list of lists', [['a']], 'an array with other items'],
    ['a bigint', 1n, 'a bigint'],
    ['a symbol', Symbol('s'), 'a symbol'],
    ['a function', () => 'x', 'a function'],
  ])('may not give %s', (_name, given, what) => {
    expect(() => transformed(() => given)).toThrow(
      expect.objectContaining({
        code: 'INTERNAL_ERROR',
        message: expect.stringContaining(`fields.plan gave ${what}`),
      }),
    );
  });

  test('that throws is INTERNAL_ERROR by name, with what was thrown behind it', () => {
    const cause = new Error('oops');
    const broken = (): never => {
      throw cause;
    };
    expect(() => transformed(broken)).toThrow(
      expect.objectContaining({ code: 'INTERNAL_ERROR', message: 'fields.plan.transform threw.', cause }),
    );
  });
});

describe('properties of the user', () => {
  const fields = { email: 'email', username: 'f3', password: 'f4', role: 'f5' };

  test('are texts; white space around them is nobody’s, but for the password’s', () => {
    const values = { email: ' m@example.com ', f3: '\tmary ', f4: ' pass word ', f5: ' customer\n' };
    expect(map(fields, values)).toEqual({
      email: 'm@example.com',
      username: 'mary',
      password: ' pass word ',
      role: 'customer',
      meta: {},
    });
  });

  test('of other types become texts', () => {
    expect(map(fields, { f3: 12, f4: 34.5, f5: ['customer'] })).toMatchObject({
      username: '12',
      password: '34.5',
      role: 'customer',
    });
  });

  test('are null where blank, or not mapped', () => {
    const nothing = { username: null, password: null, role: null };
    expect(map(fields, { f3: ' ', f4: '', f5: null })).toMatchObject(nothing);
    expect(map({}, { f3: 'x' })).toEqual({ email: null, ...nothing, meta: {} });
  });

  test.each([
    ['the default mapping, blank', { email: 'email' }, { email: null }, 'own@example.com'],
    ['the default mapping, white space', { email: 'email' }, { email: '  ' }, 'own@example.com'],
    ['the default mapping, filled', { email: 'email' }, { email: 'field@example.com' }, 'field@example.com'],
    ['another field, blank', { email: 'f9' }, { f9: null, email: 'field@example.com' }, null],
    ['another field, filled', { email: 'f9' }, { f9: 'nine@example.com' }, 'nine@example.com'],
  ])(
    'the contact’s own email stands in for the default mapping only: %s',
    (_name, spec, values, expected) => {
      expect(map(spec, values, { email: ' own@example.com ' }).email).toBe(expected);
    },
  );

  test.each([null, '', '  '])('a contact whose own email is %j has none', (email) => {
    expect(map({ email: 'email' }, {}, { email }).email).toBeNull();
  });

  // Known defect: a transform that says "this email does not count" is overruled by the contact's own email.
  test('a transform that blanks the email has the last word', () => {
    const email = { from: 'email', transform: () => null };
    expect(map({ email }, { email: 'own@example.com' }).email).toBeNull();
  });
});

test('texts are as every database gives them back, a password is as it came', () => {
  const fields = { a: 'x\0y\ud83d', b: ['\0', 'z\udfff'], c: '\0' };
  const specs = new Map(['a', 'b', 'c'].map((name) => [name, { from: name }]));
  const mapped = mapContact(new Map([...specs, ['password', { from: 'a' }]]), aContact({ fields }));
  expect(mapped.meta).toEqual({ a: 'xy\ufffd', b: ['', 'z\ufffd'], c: null });
  expect(mapped.password).toBe(fields.a);
});

test('whatever a contact holds, what comes out can be stored', () => {
  const value = fc.oneof(
    fc.string(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.array(fc.string()),
    fc.constant(null),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value), fc.array(fc.string({ minLength: 1 })), (fields, names) => {
      const specs = new Map([...names, ...Object.keys(fields)].map((name) => [`l-${name}`, { from: name }]));
      const { meta } = mapContact(specs, aContact({ fields }));
      expect(Object.keys(meta).sort()).toEqual([...specs.keys()].sort());
      for (const [name, { from }] of specs) {
        const given = Object.hasOwn(fields, from) ? fields[from] : null;
        const isBlank = given === '' || (Array.isArray(given) && given.length === 0);
        expect(meta[name]).toEqual(isBlank ? null : given);
      }
    }),
  );
});
