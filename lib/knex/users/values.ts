// Values of columns, in the shapes that drivers give them: JSON parsed or as text, numbers as text, binary columns as bytes.
import { storable } from '../dialect';

/** The value of a JSON column, or `undefined` for NULL and `''`. Throws an error that names the column. */
export function parseJsonColumn(value: unknown, column: string): unknown {
  if (value === null || value === undefined || value === '') return undefined;
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    throw new Error(`The column ${column} of a user holds no JSON.`);
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
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return `${value}`;
  return JSON.stringify(value);
}

/** Text, or `null` for NULL. */
export function textOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : textOf(value);
}
