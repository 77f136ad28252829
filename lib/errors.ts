// Every error this package throws or answers with: one table of codes, and the classes that carry them.

/** How an HTTP caller, a queue and a reader of the log see a code. */
interface ErrorKind {
  /** The HTTP status of an answer that carries the code. */
  readonly status: number;
  /** RFC 9457 `title`: the same for every occurrence of the code. */
  readonly title: string;
  /** Whether the same webhook may succeed later without anybody changing it. */
  readonly retryable: boolean;
}

const kind = (status: number, title: string, retryable = false): ErrorKind => ({ status, title, retryable });

/** The stable codes. Each has its section in docs/errors.md; a test compares the two. */
const KINDS = {
  // The request
  UNKNOWN_ACTION: kind(400, 'Unknown action'),
  INVALID_REQUEST: kind(400, 'Invalid request'),
  INVALID_BODY: kind(400, 'Body cannot be parsed'),
  INVALID_ACCESS_KEY: kind(403, 'Access key missing, wrong or not allowed this action'),
  METHOD_NOT_ALLOWED: kind(405, 'Method not allowed'),
  BODY_TOO_LARGE: kind(413, 'Body too large'),
  UNSUPPORTED_MEDIA_TYPE: kind(415, 'Unsupported content type'),
  TOO_MANY_ATTEMPTS: kind(429, 'Too many wrong access keys', true),
  // The contact and the user
  CONTACT_NOT_FOUND: kind(404, 'Contact not found in the CRM', true),
  CONTACT_WITHOUT_EMAIL: kind(422, 'Contact without a usable email', true),
  PASSWORD_TOO_LONG: kind(422, 'Password that bcrypt cannot hash whole'),
  CONTACT_CONFLICT: kind(409, 'Email belongs to the user of another contact'),
  USER_CONFLICT: kind(409, 'User conflicts with another user'),
  // The CRM
  CRM_UNAUTHORIZED: kind(502, 'CRM refuses our credentials'),
  CRM_BAD_RESPONSE: kind(502, 'CRM gave an unexpected answer', true),
  CRM_RATE_LIMITED: kind(503, 'CRM rate limit reached', true),
  CRM_UNAVAILABLE: kind(503, 'CRM unavailable', true),
  // The site
  QUEUE_UNAVAILABLE: kind(503, 'Queue unavailable', true),
  REPOSITORY_FAILED: kind(500, 'User storage failed', true),
  HOOK_FAILED: kind(500, 'A hook failed', true),
  INTERNAL_ERROR: kind(500, 'Internal error', true),
  TIMED_OUT: kind(503, 'Webhook still being processed', true),
  SHUTTING_DOWN: kind(503, 'Shutting down', true),
  // Between a repository and the core; never the code of an answer
  DUPLICATE_USER: kind(409, 'User exists already'),
  USER_NOT_FOUND: kind(404, 'No such user'),
  STALE_USER: kind(409, 'User was changed in between', true),
  // At start
  INVALID_OPTION: kind(500, 'Invalid option'),
} as const satisfies Record<string, ErrorKind>;

/**
 * A stable code of an error: what {@link WpFusionError} carries and an answer tells. What each means and what to do about
 * it: [docs/errors.md](../docs/errors.md).
 *
 * @useDeclaredType
 */
export type ErrorCode = keyof typeof KINDS;

/** Every code, in the order of the table. */
export const ERROR_CODES = Object.keys(KINDS) as readonly ErrorCode[];

/** The RFC 9457 `title` of a code. */
export const errorTitle = (code: ErrorCode): string => KINDS[code].title;

/** Two installed versions of the package do not share classes, so an error is known by this, never by `instanceof`. */
const BRAND: unique symbol = Symbol.for('wp-fusion-webhook.error') as never;

/** What a {@link WpFusionError} may say beside its message. */
export interface ErrorDetails {
  /** The error behind this one. Goes to `logger.error` and nowhere else. */
  readonly cause?: unknown;
  /** Seconds after which trying again makes sense; becomes `Retry-After`. */
  readonly retryAfter?: number | undefined;
  /** For INVALID_REQUEST: what is wrong with which parameter. */
  readonly errors?: readonly ParameterError[];
}

/**
 * What was wrong with one parameter of a request. A {@link WpFusionError} with `INVALID_REQUEST` has them in `errors`, an
 * answer too.
 */
export interface ParameterError {
  /** The name of the parameter. */
  readonly parameter: string;
  /** What is wrong with it, in words. */
  readonly message: string;
}

/**
 * An error with a stable `code`. Everything this package throws is one; a `CrmClient` of your own throws it with a `CRM_…`
 * code to say what kind of trouble its CRM is in. The message never holds a key, a password or a hash: keep it so in yours.
 *
 * @example
 * throw new WpFusionError('CRM_RATE_LIMITED', 'HubSpot allows 100 calls in 10 s.', { retryAfter: 10 });
 */
export class WpFusionError extends Error {
  /** The HTTP status that an answer with this error has. */
  readonly status: number;
  /** Whether the same webhook may succeed later without anybody changing it. */
  readonly retryable: boolean;
  /** Seconds after which trying again makes sense. */
  readonly retryAfter: number | undefined;
  /** For INVALID_REQUEST: what is wrong with which parameter. */
  readonly errors: readonly ParameterError[] | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.status = KINDS[code].status;
    this.retryable = KINDS[code].retryable;
    this.retryAfter = details.retryAfter;
    this.errors = details.errors;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/**
 * An option is wrong. Thrown at construction, never later; the message names the option and what to write instead.
 *
 * @example
 * try {
 *   wpFusionWebhook({ ...options, timeoutMs: -1 });
 * } catch (error) {
 *   if (error instanceof ConfigurationError) console.error(error.option, error.message); // → timeoutMs …
 * }
 */
export class ConfigurationError extends WpFusionError {
  constructor(
    /** The option, as a path: `roles.default`. */
    readonly option: string,
    message: string,
  ) {
    super('INVALID_OPTION', `${option}: ${message}`);
  }
}

/**
 * A repository's `create` or `update` met another user with this contact id, email or username.
 *
 * @example
 * if (code === 'ER_DUP_ENTRY') throw new DuplicateUserError({ field: 'email', cause });
 */
export class DuplicateUserError extends WpFusionError {
  /** Which of the unique values is taken. */
  readonly field: 'contactId' | 'email' | 'username';

  constructor(details: { field: 'contactId' | 'email' | 'username'; cause?: unknown }) {
    super('DUPLICATE_USER', `Another user has this ${details.field}.`, { cause: details.cause });
    this.field = details.field;
  }
}

/**
 * A repository's `update` found no user with this id.
 *
 * @example
 * if (rowCount === 0) throw new UserNotFoundError({ id });
 */
export class UserNotFoundError extends WpFusionError {
  /** The id that was asked for. */
  readonly id: string;

  constructor(details: { id: string; cause?: unknown }) {
    super('USER_NOT_FOUND', `There is no user with the id ${details.id}.`, { cause: details.cause });
    this.id = details.id;
  }
}

/**
 * A repository's `update` found the user with another `syncState` than the condition asked for; nothing was written.
 *
 * @example
 * if (condition !== undefined && row.sync_state !== condition.ifSyncState) throw new StaleUserError({ id });
 */
export class StaleUserError extends WpFusionError {
  /** The id of the user. */
  readonly id: string;

  constructor(details: { id: string; cause?: unknown }) {
    super('STALE_USER', `The user ${details.id} was changed since it was read.`, { cause: details.cause });
    this.id = details.id;
  }
}

/**
 * Whether a value is an error of this package, also of another installed version of it.
 *
 * @example
 * if (isWpFusionError(error) && error.retryable) scheduleRetry(error.retryAfter ?? 60);
 */
export function isWpFusionError(value: unknown): value is WpFusionError {
  return (
    typeof value === 'object' && value !== null && (value as Record<PropertyKey, unknown>)[BRAND] === true
  );
}

/** The code of whatever was thrown, where it is one of ours: a thrown error counts by its code, whatever its class. */
export function codeOf(thrown: unknown): ErrorCode | undefined {
  try {
    const code =
      typeof thrown === 'object' && thrown !== null ? (thrown as { code?: unknown }).code : undefined;
    return typeof code === 'string' && Object.hasOwn(KINDS, code) ? (code as ErrorCode) : undefined;
  } catch {
    // A getter that throws is no code.
    return undefined;
  }
}

/** Any thrown value as an error of ours. One of another installed version counts by its code. */
export function asOurs(thrown: unknown): WpFusionError {
  const code = codeOf(thrown);
  if (code === undefined)
    return new WpFusionError('INTERNAL_ERROR', 'Something unexpected failed.', { cause: thrown });
  if (thrown instanceof WpFusionError) return thrown;
  const { message, retryAfter } = thrown as { message?: unknown; retryAfter?: unknown };
  return new WpFusionError(code, typeof message === 'string' ? message : KINDS[code].title, {
    cause: thrown,
    retryAfter: typeof retryAfter === 'number' ? retryAfter : undefined,
  });
}
