// Values of columns, in the shapes that drivers give them: JSON parsed or as text, numbers as text, binary columns as bytes.
import { storable } from '../../users/normalize';
import { TableError } from '../table-error';

/** The value of a JSON column, or `undefined` for NULL and `''`. Throws an error that names the column. */
export function parseJsonColumn(value: unknown, column: string): unknown {
  if (value === null || value === undefined || value === '') return undefined;
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    throw new TableError(`The column ${column} of a user holds no JSON.`);
  }
}

/** A value for a JSON column. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'string' ? storable(part) : part));
}

/** A column's value as text. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  if (value instanceof Date) return isoOf(value) ?? '';
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return `${value}`;
  return JSON.stringify(value);
}

/** Text, or `null` for NULL. */
export function textOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : textOf(value);
}

/** A moment in ISO 8601, or `undefined` for one that is none: `0000-00-00` of MySQL, `infinity` of PostgreSQL. */
export function isoOf(value: unknown): string | undefined {
  const moment = new Date(value as string | number | Date);
  return Number.isNaN(moment.getTime()) ? undefined : moment.toISOString();
}

/** MySQL gives a `bit(1)` as a byte. */
export function withoutBit(value: unknown): unknown {
  return Buffer.isBuffer(value) && value.length === 1 ? value[0] : value;
}

/** What stands for no in a text column. */
const NO = /^\s*(|0+(\.0+)?|f(alse)?|n(o)?|off|null|0000-00-00.*)\s*$/i;

/** Whether a column says yes: true, a number that is not 0, a moment, a text that is no "no". Whatever is unknown says no. */
export function isYes(given: unknown): boolean {
  const value = withoutBit(given);
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value) !== 0;
  if (value instanceof Date) return isoOf(value) !== undefined;
  if (Buffer.isBuffer(value)) return value.some((byte) => byte !== 0);
  return typeof value === 'string' && !NO.test(value);
}
