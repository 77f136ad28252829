// Mail addresses: what is exactly one of them. Mail libraries read "a@x.com, b@y.com" and "Name <a@x.com>" too, and a contact's
// email must not become two recipients or somebody else's.
import { ConfigurationError } from '../errors';

/**
 * An address with the name that is shown for it.
 *
 * @example
 * const from: MailAddress = { name: 'Example Shop', address: 'shop@example.com' };
 */
export interface MailAddress {
  /** May be empty. */
  readonly name?: string | undefined;
  /** One plain address: `mail@example.com`. */
  readonly address: string;
}

/** An address as transports are given it. {@link MailTransport} gets them. */
export interface Mailbox {
  /** The name that is shown; may be empty. */
  readonly name: string;
  /** One plain address. */
  readonly address: string;
}

/** Nothing that separates, quotes, comments or encloses in an address list; after the `@` only what a domain is made of. */
const PLAIN_ADDRESS = /^[^\s\p{C}"(),:;<>@[\\\]]+@[\p{L}\p{M}\p{N}.-]+$/u;

/** Whether a text is one address and can be read as nothing else. */
export const isPlainAddress = (text: string): boolean => text.length <= 254 && PLAIN_ADDRESS.test(text);

/** The address that an option gives: `mail@example.com`, `Name <mail@example.com>` or `{ name, address }`. */
export function parseAddress(option: string, value: unknown): Mailbox {
  const { name, address } = typeof value === 'string' ? split(value) : asAddress(option, value);
  if (/\p{Cc}/u.test(name + address)) {
    throw new ConfigurationError(option, 'must hold no line breaks and no control characters.');
  }
  if (!isPlainAddress(address)) {
    throw new ConfigurationError(
      option,
      "must be one address: 'mail@example.com', 'Name <mail@example.com>' or { name, address }.",
    );
  }
  return { name, address };
}

function split(text: string): Mailbox {
  const trimmed = text.trim();
  const start = trimmed.lastIndexOf('<');
  if (start === -1 || !trimmed.endsWith('>')) return { name: '', address: trimmed };
  const name = trimmed.slice(0, start).trim();
  const quoted = /^"(.*)"$/s.exec(name)?.[1];
  // Two addresses, of which the first would be taken for a name.
  if (quoted === undefined && /[@<].*,/s.test(name)) return { name: '', address: trimmed };
  return { name: quoted?.replace(/\\(.)/gs, '$1') ?? name, address: trimmed.slice(start + 1, -1).trim() };
}

function asAddress(option: string, value: unknown): Mailbox {
  const { name = '', address } = (typeof value === 'object' && value !== null ? value : {}) as {
    name?: unknown;
    address?: unknown;
  };
  if (typeof name !== 'string') throw new ConfigurationError(`${option}.name`, 'must be a text.');
  return { name, address: typeof address === 'string' ? address : '' };
}
