// The field map: which field of the contact becomes which property of the user.
import type { Contact, FieldValue, MetaValue } from '../crm/client';
import { WpFusionError } from '../errors';
import { storable } from './normalize';

/**
 * How one local name is filled.
 *
 * @example
 * const fields: Record<string, string | FieldSpec> = {
 *   company: 'company',
 *   newsletter: { from: 'f1562', blank: 'clear' },
 *   country: { from: 'country', transform: (value) => String(value ?? '').toUpperCase() },
 * };
 */
export interface FieldSpec {
  /** The CRM's key of the field, for example `f1550`. */
  readonly from: string;
  /** What an emptied field does to the user: `'keep'` (default) leaves the value it has, `'clear'` removes it. */
  readonly blank?: 'keep' | 'clear' | undefined;
  /** Take the value as the CRM stores it, not decoded. */
  readonly raw?: boolean | undefined;
  /**
   * Makes the stored value out of the contact's. Synchronous. Gets `null` for an unset field; what it gives must be a string,
   * a number, a boolean, an array of strings or a Date; `null`, `undefined`, `''` and `[]` count as blank.
   */
  readonly transform?: ((value: FieldValue, contact: Contact) => unknown) | undefined;
}

/** `fields`, resolved: every local name with its specification. */
export type FieldMap = ReadonlyMap<string, FieldSpec>;

/** The local names that are properties of the user; any other one lands in `user.meta`. */
const USER_PROPERTIES = ['email', 'username', 'password', 'role'] as const;

const TO_THE_LETTER: readonly string[] = ['email', 'role', 'password'];

/** What the field map makes of a contact. `null` is blank. */
export interface MappedContact {
  readonly email: string | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly role: string | null;
  readonly meta: Readonly<Record<string, MetaValue | null>>;
}

/** The CRM keys that a read has to ask for. */
export function fieldsToRead(map: FieldMap): string[] {
  return [...new Set([...map.values()].map((spec) => spec.from))];
}

/** Applies the map. Throws `INTERNAL_ERROR` where a `transform` of the host throws or gives something that cannot be stored. */
export function mapContact(map: FieldMap, contact: Contact): MappedContact {
  const property = (name: (typeof USER_PROPERTIES)[number]): string | null => {
    const spec = map.get(name);
    if (spec === undefined) return null;
    const value = valueOf(name, spec, contact);
    // A password is taken to the letter; of the others nobody means the white space around them.
    const text = value === null ? '' : name === 'password' ? asText(value) : asText(value).trim();
    return text === '' ? null : text;
  };

  const meta: Record<string, MetaValue | null> = {};
  for (const [name, spec] of map) {
    if (!(USER_PROPERTIES as readonly string[]).includes(name)) meta[name] = valueOf(name, spec, contact);
  }
  const spec = map.get('email');
  const isDefault = spec?.from === 'email' && spec.transform === undefined;
  const email = property('email') ?? (isDefault ? contact.email?.trim() : null);
  return {
    email: email === undefined || email === '' ? null : email,
    username: property('username'),
    password: property('password'),
    role: property('role'),
    meta,
  };
}

function valueOf(name: string, spec: FieldSpec, contact: Contact): MetaValue | null {
  const stored = spec.raw === true ? own(contact.raw ?? {}, spec.from) : own(contact.fields, spec.from);
  let value: unknown = stored ?? null;
  if (spec.transform !== undefined) {
    try {
      value = spec.transform(stored ?? null, contact);
    } catch (cause) {
      throw new WpFusionError('INTERNAL_ERROR', `fields.${name}.transform threw.`, { cause });
    }
  }
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  // Else it would come back from a database as another text, and differ for ever. Not what is compared: no email and no role may
  // become somebody else's by it; nor a password, which is hashed.
  if (!TO_THE_LETTER.includes(name)) value = inTexts(value, storable);
  if (value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0))
    return null;
  if (isMetaValue(value)) return value;
  throw new WpFusionError(
    'INTERNAL_ERROR',
    `fields.${name} gave ${describe(value)}; it must be a string, a finite number, a boolean, an array of strings or a Date.`,
  );
}

const inTexts = (value: unknown, change: (text: string) => string): unknown =>
  typeof value === 'string'
    ? change(value)
    : Array.isArray(value)
      ? value.map((item: unknown) => (typeof item === 'string' ? change(item) : item))
      : value;

const own = <Value>(record: Readonly<Record<string, Value>>, key: string): Value | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;

const asText = (value: MetaValue): string => (Array.isArray(value) ? value.join(',') : String(value));

const describe = (value: unknown): string =>
  value instanceof Promise
    ? 'a promise'
    : Array.isArray(value)
      ? 'an array with other items'
      : `a ${typeof value}`;

function isMetaValue(value: unknown): value is MetaValue {
  return (
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    (typeof value === 'number' && Number.isFinite(value)) ||
    (Array.isArray(value) && value.every((item) => typeof item === 'string'))
  );
}
