// Decoding: what a stored text becomes, by the type of its field.

import fc from 'fast-check';
import type { FieldValue } from '../../../lib/crm/client';
import { decodeValue, optionIds, rawValue, splitIds } from '../../../lib/crm/ontraport/decode';
import type { FieldMetadata } from '../../../lib/crm/ontraport/decode';

const OPTIONS = new Map([
  ['586', 'Blue'],
  ['587', 'Red'],
]);
const field = (type: string): FieldMetadata => ({ type, options: OPTIONS });

test.each<[type: string, stored: unknown, decoded: FieldValue]>([
  ['check', '1', true],
  ['check', 1, true],
  ['check', true, true],
  ['check', 'true', true],
  ['check', '0', false],
  ['check', 0, false],
  ['check', 'false', false],
  ['check', '', null],
  ['check', null, null],
  ['numeric', '12.50', 12.5],
  ['numeric', 12.5, 12.5],
  ['numeric', '0', 0],
  ['numeric', '-3', -3],
  ['numeric', ' 7 ', 7],
  ['numeric', '.5', 0.5],
  ['numeric', '1,234', '1,234'],
  ['numeric', '5.', 5],
  ['numeric', '1.2.3', '1.2.3'],
  ['numeric', '0x10', '0x10'],
  ['numeric', 'Infinity', 'Infinity'],
  ['numeric', '12345678901234567890', '12345678901234567890'],
  ['numeric', '', null],
  ['price', '0.00', 0],
  ['price', '99.90', 99.9],
  ['price', null, null],
  ['timestamp', '1538154601', '2018-09-28T17:10:01.000Z'],
  ['timestamp', 1538154601, '2018-09-28T17:10:01.000Z'],
  ['timestamp', '-1', '1969-12-31T23:59:59.000Z'],
  ['timestamp', '0', null],
  ['timestamp', '', null],
  ['timestamp', null, null],
  ['timestamp', '2018-09-28', '2018-09-28'],
  ['timestamp', '99999999999999', '99999999999999'],
  ['fulldate', '498700800', '1985-10-21'],
  ['fulldate', 498700800, '1985-10-21'],
  ['fulldate', '-86400', '1969-12-31'],
  ['fulldate', '-2208988800', '1900-01-01'],
  ['fulldate', '-30610224000', '1000-01-01'],
  ['fulldate', '-62135596801', '-62135596801'],
  ['fulldate', '1999-05-07', '1999-05-07'],
  ['fulldate', '0', null],
  ['fulldate', '', null],
  ['drop', '586', 'Blue'],
  ['drop', 586, 'Blue'],
  ['drop', '999', '999'],
  ['drop', '0', null],
  ['drop', '', null],
  ['drop', null, null],
  ['list', '*/*586*/*587*/*', ['Blue', 'Red']],
  ['list', '*/*586*/*', ['Blue']],
  ['list', '*/*999*/*586*/*', ['999', 'Blue']],
  ['list', '*/**/*', null],
  ['list', '*/*', null],
  ['list', '', null],
  ['list', '0', null],
  ['list', null, null],
  ['parent', '2', '2'],
  ['parent', '0', null],
  ['text', '0', '0'],
  ['text', ' x ', ' x '],
  ['text', 5, '5'],
  ['text', '', null],
  ['text', null, null],
  ['country', 'US', 'US'],
  ['subscription', '*/*3*/*', '*/*3*/*'],
  ['related_data', { a: [1] }, '{"a":[1]}'],
])('%s %p is %p', (type, stored, decoded) => {
  expect(decodeValue(rawValue(stored), field(type), 'UTC')).toEqual(decoded);
});

test('a field that the metadata does not know is text', () => {
  expect(decodeValue('586', undefined, 'UTC')).toBe('586');
  expect(decodeValue('', undefined, 'UTC')).toBeNull();
});

test('days are told in the time zone of the account', () => {
  const day = (raw: string, zone: string): FieldValue => decodeValue(raw, field('fulldate'), zone);
  expect(day('498700800', 'America/Los_Angeles')).toBe('1985-10-20');
  expect(day('498722399', 'Asia/Tokyo')).toBe('1985-10-21');
  expect(day('-1', 'Europe/Berlin')).toBe('1970-01-01');
});

test.each<[string | null, string[]]>([
  ['*/*1*/*22*/*333*/*', ['1', '22', '333']],
  ['*/*1*/*', ['1']],
  ['*/**/*', []],
  ['*/*', []],
  ['', []],
  ['0', []],
  [null, []],
])('the ids in %p are %p', (raw, ids) => expect(splitIds(raw)).toEqual(ids));

test('option ids of a value', () => {
  expect(optionIds('586', field('drop'))).toEqual(['586']);
  expect(optionIds('0', field('drop'))).toEqual([]);
  expect(optionIds('*/*586*/*1*/*', field('list'))).toEqual(['586', '1']);
  expect(optionIds('586', field('text'))).toEqual([]);
});

test('whatever is stored, decoding gives a value and never throws', () => {
  const types = ['check', 'numeric', 'price', 'timestamp', 'fulldate', 'drop', 'list', 'parent', 'text'];
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.anything(), (type, stored) => {
      const value = decodeValue(rawValue(stored), field(type), 'UTC');
      const isPlain = ['string', 'number', 'boolean'].includes(typeof value) || value === null;
      expect(isPlain || Array.isArray(value)).toBe(true);
    }),
  );
});

test('a long row of digits that is no number takes no time to speak of', () => {
  const begun = process.cpuUsage();
  const digits = `${'1'.repeat(300_000)}x`;
  expect(decodeValue(digits, field('numeric'), 'UTC')).toBe(digits);
  // Two minutes where every way to divide the row is tried.
  expect(process.cpuUsage(begun).user / 1000).toBeLessThan(2000);
});

test('a value that is nested too deeply is a bad answer, not a mistake of ours', () => {
  const deep: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000));
  expect(() => rawValue(deep)).toThrow(expect.objectContaining({ code: 'CRM_BAD_RESPONSE' }));
});
