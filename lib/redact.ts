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
  for (const secret of secrets) {
    if (secret === '') continue;
    for (const form of formsOf(secret)) redacted = redacted.replaceAll(form, REPLACEMENT);
  }
  return redacted.replace(BCRYPT_HASH, REPLACEMENT);
}

/** An error that is not ours, for the log: plain data without secrets. */
export function describeError(error: unknown, secrets: Iterable<string>, depth = 0): DescribedError {
  const known = [...secrets];
  if (!(error instanceof Error)) return { name: typeof error, message: redact(asText(error), known) };
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  return {
    name: error.name,
    message: redact(error.message, known),
    code: typeof code === 'string' ? redact(code, known) : undefined,
    stack: error.stack === undefined ? undefined : redact(error.stack, known),
    cause: cause === undefined || depth >= 3 ? undefined : describeError(cause, known, depth + 1),
  };
}

function formsOf(secret: string): Set<string> {
  const bytes = Buffer.from(secret);
  const uri = encodeURIComponent(toWellFormed(secret));
  return new Set([
    secret,
    uri,
    uri.replaceAll('%20', '+'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    JSON.stringify(secret).slice(1, -1),
  ]);
}

/** A lone surrogate would make `encodeURIComponent` throw. */
const toWellFormed = (text: string): string => Buffer.from(text).toString('utf8');

const asText = (value: unknown): string => (typeof value === 'string' ? value : inspect(value));
