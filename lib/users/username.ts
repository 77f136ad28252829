// Which username a new user gets, and what is tried when that one is taken.
import { randomInt } from 'node:crypto';
import type { Contact } from '../crm/client';
import type { MappedContact } from './field-map';

/**
 * How usernames are made where no field is mapped to `username`. `'email'`: the email. `'firstlast'`: first and last name as
 * one word. Where a rule gives nothing it is the email; a name that is taken gets a number.
 *
 * @example
 * const username: UsernameRule = ({ fields }) => `${String(fields.firstname)}.${String(fields.lastname)}`;
 */
export type UsernameRule = 'email' | 'firstlast' | ((contact: Contact) => string);

/** In characters, as databases count them: no table is expected to take more. Anybody can fill in a first name without end. */
const MOST = 255;

/** The username to try first, 255 characters at most. Falls back to the email where a rule gives nothing. */
export function chooseUsername(
  rule: UsernameRule,
  mapped: MappedContact,
  contact: Contact,
  email: string,
): string {
  if (mapped.username !== null) return shortened(mapped.username, MOST);
  if (rule === 'email') return email;
  const name =
    rule === 'firstlast'
      ? `${text(mapped.meta.firstName)}${text(mapped.meta.lastName)}`.replace(/\s+/g, '')
      : ruled(rule(contact)).trim();
  return name === '' ? email : shortened(name, MOST);
}

/** The wanted name, then `name-2` … `name-9`, then random suffixes; each cut, since a hook of the host may have made it longer. */
export function* usernameCandidates(wanted: string): Generator<string> {
  const suffixed = (suffix: string): string => `${shortened(wanted, MOST - suffix.length)}${suffix}`;
  yield suffixed('');
  for (let number = 2; number <= 9; number += 1) yield suffixed(`-${number}`);
  for (let attempt = 0; attempt < 10; attempt += 1) yield suffixed(`-${randomInt(10, 1_000_000)}`);
}

function ruled(name: unknown): string {
  if (typeof name === 'string') return name;
  throw new TypeError(
    `username() must give a text, at once; it gave ${name instanceof Promise ? 'a promise' : typeof name}.`,
  );
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Cut where it is too long, between two characters. */
const shortened = (name: string, most: number): string =>
  name.length <= most
    ? name
    : Array.from(name.slice(0, 2 * most))
        .slice(0, most)
        .join('')
        .trim();
