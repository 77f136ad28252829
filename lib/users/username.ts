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

/** The username to try first. Falls back to the email where a rule gives nothing. */
export function chooseUsername(
  rule: UsernameRule,
  mapped: MappedContact,
  contact: Contact,
  email: string,
): string {
  if (mapped.username !== null) return mapped.username;
  if (rule === 'email') return email;
  const name =
    rule === 'firstlast'
      ? `${text(mapped.meta.firstName)}${text(mapped.meta.lastName)}`.replace(/\s+/g, '')
      : ruled(rule(contact)).trim();
  return name === '' ? email : name;
}

/** The wanted name, then `name-2` … `name-9`, then random suffixes: bounded, and short where it can be. */
export function* usernameCandidates(wanted: string): Generator<string> {
  yield wanted;
  for (let suffix = 2; suffix <= 9; suffix += 1) yield `${wanted}-${suffix}`;
  for (let attempt = 0; attempt < 10; attempt += 1) yield `${wanted}-${randomInt(10, 1_000_000)}`;
}

function ruled(name: unknown): string {
  if (typeof name === 'string') return name;
  throw new TypeError(
    `username() must give a text, at once; it gave ${name instanceof Promise ? 'a promise' : typeof name}.`,
  );
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
