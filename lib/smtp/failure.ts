// What is told of a mail that could not be sent: the reason, without credentials, addresses and the login link.
import { WpFusionError } from '../errors';
import { redact } from '../redact';

/** Settings of a transport whose value nobody else may read. */
const SECRET_SETTING = /pass|secret|token|key/i;

/** A mail address in a text that somebody else wrote. Bounded, or a long answer without an `@` would take long to look through. */
const ADDRESS = /[^\s<>"'(),:;=]{1,64}@[^\s<>"'(),;]{1,255}/g;

/** A mail server may answer with a page of text. */
const LONGEST_REASON = 500;

/**
 * An error to throw for what a transport has thrown. A new one, without the old one as its cause: that may carry the transport
 * with all its settings, and a server's answer may repeat anything that it was sent.
 */
export function mailFailure(thrown: unknown, secrets: Iterable<string>): WpFusionError {
  const { message, code, originalCode, command, responseCode } = read(thrown);
  const codes = [responseCode, command, code, originalCode].filter((each) => each !== undefined);
  const told = `${outcome(responseCode)}${codes.length === 0 ? '' : ` (${codes.join(', ')})`}: ${message}`;
  // Cut last: half a secret would not be found.
  const clean = redact(told, secrets)
    .replace(ADDRESS, '[address]')
    .replace(/[\p{C}\s]+/gu, ' ');
  return new WpFusionError('INTERNAL_ERROR', clean.slice(0, LONGEST_REASON).trim());
}

function outcome(responseCode: number | undefined): string {
  if (responseCode === undefined) return 'The welcome mail could not be handed over';
  return responseCode >= 500
    ? 'The mail server refused the welcome mail'
    : 'The mail server did not take the welcome mail yet';
}

interface Reason {
  readonly message: string;
  readonly code?: string | undefined;
  readonly originalCode?: string | undefined;
  readonly command?: string | undefined;
  readonly responseCode?: number | undefined;
}

/** What nodemailer says of an error. Never throws, whatever was thrown. */
function read(thrown: unknown): Reason {
  try {
    if (typeof thrown !== 'object' || thrown === null) return { message: String(thrown) };
    const { message, code, originalCode, command, responseCode } = thrown as Record<string, unknown>;
    return {
      message: asText(message) ?? 'no reason given',
      code: asText(code),
      originalCode: asText(originalCode),
      command: asText(command),
      responseCode: typeof responseCode === 'number' ? responseCode : undefined,
    };
  } catch {
    return { message: 'the error could not be read' };
  }
}

const asText = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** Passwords, keys and tokens in the settings of a transport, and in URLs among them. */
export function* secretsIn(settings: unknown, depth = 0): Generator<string> {
  if (typeof settings === 'string') yield* passwordsOf(settings);
  if (!isPlainObject(settings) || depth > 4) return;
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value === 'string' && SECRET_SETTING.test(name)) yield value;
    else yield* secretsIn(value, depth + 1);
  }
}

/** The password of a URL, as it stands there and decoded. */
function* passwordsOf(text: string): Generator<string> {
  const password = /^[a-z][a-z0-9+.-]*:\/\/[^/?#@]*?:([^/?#]*)@/i.exec(text.trim())?.[1];
  if (password === undefined) return;
  yield password;
  try {
    yield decodeURIComponent(password);
  } catch {
    // Then it is not encoded.
  }
}

/** A client of some cloud among the settings is nothing to walk through. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
