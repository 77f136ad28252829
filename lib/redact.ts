// Takes our own secrets out of texts that are not ours: a driver's message may quote the row, with the hash, that it refused.
import { inspect } from 'node:util';

/** Any bcrypt hash, ours or not. */
const BCRYPT_HASH = /\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{20,53}/g;

const REPLACEMENT = '[redacted]';

/** What `logger.error` is told about an error that is not ours. */
export interface DescribedError {
  readonly name: string;
  readonly message: string;
  readonly code?: string | undefined;
  readonly stack?: string | undefined;
  readonly cause?: DescribedError | undefined;
}

/** Replaces secrets, as they are and URL-encoded, base64 and JSON-escaped. */
export function redact(text: string, secrets: Iterable<string>): string {
  let redacted = text;
  const forms = [...secrets]
    .filter((secret) => secret !== '')
    .flatMap((secret) => [...formsOf(secret), ...formsOf(secret.toLowerCase())]);
  // In small letters too: parameters with few values are compared, and told, so. The longest first: one secret may be the beginning of another.
  for (const form of forms.sort((one, other) => other.length - one.length)) {
    redacted = redacted.replaceAll(form, REPLACEMENT);
  }
  return redacted.replace(BCRYPT_HASH, REPLACEMENT);
}

/** An error that is not ours, for the log: plain data without secrets. Never throws, whatever was thrown. */
export function describeError(error: unknown, secrets: Iterable<string>, depth = 0): DescribedError {
  const known = [...secrets];
  const clean = (value: unknown): string => redact(asText(value), known);
  try {
    if (!(error instanceof Error)) return { name: typeof error, message: clean(error) };
    const { name, message, stack, code, cause } = error as Error & { code?: unknown };
    return {
      name: clean(name),
      message: clean(message),
      code: typeof code === 'string' ? clean(code) : undefined,
      stack: stack === undefined ? undefined : clean(stack),
      cause: cause === undefined || depth >= 3 ? undefined : describeError(cause, known, depth + 1),
    };
  } catch {
    return { name: 'Error', message: 'The error could not be read.' };
  }
}

/** What must not be logged by anybody: the access keys, and hashes that no pattern would recognise. */
export class Secrets {
  readonly #hashes = new Set<string>();

  constructor(private readonly accessKeys: readonly string[]) {}

  /** Remembers a password hash, the latest of them. Those of bcrypt are known by their looks. */
  addHash(hash: string): void {
    if (hash.replace(BCRYPT_HASH, '') === '') return;
    this.#hashes.delete(hash);
    this.#hashes.add(hash);
    const [oldest] = this.#hashes;
    if (this.#hashes.size > MAX_HASHES && oldest !== undefined) this.#hashes.delete(oldest);
  }

  *[Symbol.iterator](): Generator<string> {
    yield* this.accessKeys;
    yield* this.#hashes;
  }
}

const MAX_HASHES = 200;

/** Everything that a secret may look like in a text that somebody else has written. */
function formsOf(secret: string): Set<string> {
  const bytes = Buffer.from(secret);
  const uri = encodeURIComponent(toWellFormed(secret));
  return new Set([
    secret,
    uri,
    uri.replaceAll('%20', '+'),
    new URLSearchParams({ '': secret }).toString().slice(1),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    ...base64Forms(bytes),
    JSON.stringify(secret).slice(1, -1),
    inspect(secret).slice(1, -1),
    secret.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`),
    secret.replace(/[&<>"']/g, (character) => HTML_NAMES[character] ?? character),
  ]);
}

const HTML_NAMES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Base64 of a secret that stands anywhere in something longer: what is sure of it, at each of the three alignments. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    const sure = encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    return sure.length < 5 ? [] : [sure, sure.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** A lone surrogate would make `encodeURIComponent` throw. */
const toWellFormed = (text: string): string => Buffer.from(text).toString('utf8');

const asText = (value: unknown): string => (typeof value === 'string' ? value : inspect(value));
