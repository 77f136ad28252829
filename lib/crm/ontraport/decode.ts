// What Ontraport stores as text becomes values: by the type that the account's field metadata names
// (Ontraport API, "Object meta" and "Value quirks").

import { WpFusionError } from '../../errors';
import type { CrmField, FieldValue } from '../client';

/** What the account's metadata says about a field. */
export interface FieldMetadata {
  readonly type: string;
  /** Labels by option id, for `drop` and `list`. */
  readonly options: ReadonlyMap<string, string>;
}

/** What a field of this type can hold, in words that other CRMs have too. */
export function kindOf(type: string): CrmField['type'] {
  switch (type) {
    case 'text':
    case 'longtext':
      return 'text';
    case 'numeric':
    case 'price':
      return 'number';
    case 'check':
      return 'boolean';
    case 'timestamp':
    case 'fulldate':
      return 'date';
    case 'drop':
      return 'choice';
    case 'list':
      return 'list';
    default:
      return 'other';
  }
}

/**
 * A value as the account stores it, as text: `null` where there is none, JSON where it is no scalar. Throws `CRM_BAD_RESPONSE` for
 * one that is nested deeper than JSON can be written.
 */
export function rawValue(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    throw new WpFusionError('CRM_BAD_RESPONSE', 'A value in an answer of Ontraport is nested too deeply.');
  }
}

/** The ids in a list as Ontraport stores it: `*\/*1*\/*22*\/*`; `''`, `*\/*`, `*\/**\/*` and `0` hold none. */
export function splitIds(raw: string | null): string[] {
  if (raw === null || raw === '0') return [];
  return raw
    .split('*/*')
    .map((id) => id.trim())
    .filter((id) => id !== '');
}

/** The option ids that a stored value names. */
export function optionIds(raw: string | null, { type }: FieldMetadata): string[] {
  if (type === 'list') return splitIds(raw);
  if (type === 'drop' && raw !== null && raw !== '' && raw !== '0') return [raw];
  return [];
}

/**
 * Decodes a stored value.
 *
 * - check: boolean · numeric, price: number; a text that is none, or a whole number too large to be exact, stays text
 * - timestamp: ISO 8601 in UTC · fulldate: `YYYY-MM-DD` in `timeZone` · what is no number of seconds stays text
 * - drop: the label · list: the labels · an option without a label: its id
 * - everything else: text · unset: `null`
 *
 * @param raw what {@link rawValue} gave.
 * @param metadata `undefined` for a field that the metadata does not know: text.
 * @param timeZone an IANA name.
 */
export function decodeValue(
  raw: string | null,
  metadata: FieldMetadata | undefined,
  timeZone: string,
): FieldValue {
  if (raw === null || raw === '') return null;
  if (metadata === undefined) return raw;
  switch (metadata.type) {
    case 'check':
      return ['1', 'true'].includes(raw.trim().toLowerCase());
    case 'numeric':
    case 'price':
      return numberOr(raw);
    case 'timestamp':
      return raw === '0' ? null : (dateOf(raw)?.toISOString() ?? raw);
    case 'fulldate':
      return raw === '0' ? null : dayOr(raw, timeZone);
    case 'parent':
      return raw === '0' ? null : raw;
    case 'drop':
      return raw === '0' ? null : (metadata.options.get(raw) ?? raw);
    case 'list': {
      const { options } = metadata;
      const labels = splitIds(raw).map((id) => options.get(id) ?? id);
      return labels.length === 0 ? null : labels;
    }
    default:
      return raw;
  }
}

/** Epoch seconds as text, also negative ones; `undefined` for anything else. */
export function dateOf(raw: string | null): Date | undefined {
  if (raw === null || !/^\s*-?\d{1,14}(\.\d+)?\s*$/.test(raw)) return undefined;
  const date = new Date(Number(raw) * 1000);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function numberOr(raw: string): number | string {
  // The point stands between the digits: where it may be left out, a long row of them can be divided in too many ways.
  if (!/^\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*$/i.test(raw)) return raw;
  const value = Number(raw);
  const isExact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
  return isExact ? value : raw;
}

function dayOr(raw: string, timeZone: string): string {
  const date = dateOf(raw);
  if (date === undefined) return raw;
  const format = new Intl.DateTimeFormat('en-u-ca-gregory-nu-latn', {
    timeZone,
    era: 'short',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  });
  const parts = new Map(format.formatToParts(date).map(({ type, value }) => [type, value]));
  const year = (parts.get('year') ?? '').padStart(4, '0');
  // A year before Christ, or after 9999, has no form with four digits.
  if (parts.get('era') !== 'AD' || year.length > 4) return raw;
  return `${year}-${parts.get('month') ?? ''}-${parts.get('day') ?? ''}`;
}
