// The errors: codes with the contract's status, recognised by brand and code, whichever version of the package threw them.
import {
  ConfigurationError,
  DuplicateUserError,
  isWpFusionError,
  StaleUserError,
  UserNotFoundError,
  WpFusionError,
  type ErrorCode,
} from '../lib';
import { codeOf, ERROR_CODES, errorTitle } from '../lib/errors';

/** The contract's table, and whether trying again later makes sense without anybody changing anything. */
const STATUS: Record<ErrorCode, [status: number, retryable: boolean]> = {
  UNKNOWN_ACTION: [400, false],
  INVALID_REQUEST: [400, false],
  INVALID_BODY: [400, false],
  INVALID_ACCESS_KEY: [403, false],
  METHOD_NOT_ALLOWED: [405, false],
  BODY_TOO_LARGE: [413, false],
  UNSUPPORTED_MEDIA_TYPE: [415, false],
  TOO_MANY_ATTEMPTS: [429, true],
  CONTACT_NOT_FOUND: [404, true],
  CONTACT_WITHOUT_EMAIL: [422, true],
  PASSWORD_TOO_LONG: [422, false],
  CONTACT_CONFLICT: [409, false],
  USER_CONFLICT: [409, false],
  CRM_UNAUTHORIZED: [502, false],
  CRM_BAD_RESPONSE: [502, true],
  CRM_RATE_LIMITED: [503, true],
  CRM_UNAVAILABLE: [503, true],
  QUEUE_UNAVAILABLE: [503, true],
  REPOSITORY_FAILED: [500, true],
  HOOK_FAILED: [500, true],
  INTERNAL_ERROR: [500, true],
  TIMED_OUT: [503, true],
  SHUTTING_DOWN: [503, true],
  DUPLICATE_USER: [409, false],
  USER_NOT_FOUND: [404, false],
  STALE_USER: [409, true],
  INVALID_OPTION: [500, false],
};

test('the codes are those of the contract, each with its status', () => {
  expect([...ERROR_CODES].sort()).toEqual(Object.keys(STATUS).sort());
  for (const code of ERROR_CODES) {
    const { status, retryable } = new WpFusionError(code, 'x');
    expect({ code, status, retryable }).toEqual({
      code,
      status: STATUS[code][0],
      retryable: STATUS[code][1],
    });
    expect(errorTitle(code)).toMatch(/^[A-Z]/);
  }
});

test('details: cause, retryAfter, errors; and none where none were given', () => {
  const cause = new Error('behind');
  const errors = [{ parameter: 'role', message: 'is odd' }];
  const error = new WpFusionError('INVALID_REQUEST', 'role is odd.', { cause, retryAfter: 7, errors });
  expect(error).toMatchObject({
    message: 'role is odd.',
    cause,
    retryAfter: 7,
    errors,
    name: 'WpFusionError',
  });
  expect(new WpFusionError('TIMED_OUT', 'x')).toMatchObject({ retryAfter: undefined, errors: undefined });
  expect(Object.hasOwn(new WpFusionError('TIMED_OUT', 'x'), 'cause')).toBe(false);
});

test.each([
  [
    new DuplicateUserError({ field: 'email', cause: 1 }),
    'DuplicateUserError',
    'DUPLICATE_USER',
    { field: 'email', cause: 1 },
  ],
  [
    new UserNotFoundError({ id: '7', cause: 2 }),
    'UserNotFoundError',
    'USER_NOT_FOUND',
    { id: '7', cause: 2 },
  ],
  [new StaleUserError({ id: '8' }), 'StaleUserError', 'STALE_USER', { id: '8' }],
  [
    new ConfigurationError('roles.default', 'is odd.'),
    'ConfigurationError',
    'INVALID_OPTION',
    { option: 'roles.default' },
  ],
])('%p', (error, name, code, details) => {
  expect(error).toBeInstanceOf(Error);
  expect(error).toBeInstanceOf(WpFusionError);
  expect(error).toMatchObject({ name, code, ...details });
  expect(isWpFusionError(error)).toBe(true);
  expect(codeOf(error)).toBe(code);
});

test('a message never holds the email or the name that was taken, only which it is', () => {
  expect(new DuplicateUserError({ field: 'username' }).message).toBe('Another user has this username.');
});

test('an error of another installed version is one, an error that only looks like one is none', () => {
  let other: typeof WpFusionError | undefined;
  jest.isolateModules(() => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- a second copy of the module
    other = (require('../lib/errors') as { WpFusionError: typeof WpFusionError }).WpFusionError;
  });
  const theirs = new other!('CRM_UNAVAILABLE', 'x');
  expect(theirs).not.toBeInstanceOf(WpFusionError);
  expect(isWpFusionError(theirs)).toBe(true);
  for (const value of [null, undefined, 'CRM_UNAVAILABLE', {}, new Error('x'), { code: 'TIMED_OUT' }]) {
    expect(isWpFusionError(value)).toBe(false);
  }
});

test('a thrown error counts by its code, whatever its class; a code that is none of ours is none', () => {
  expect(codeOf({ code: 'STALE_USER' })).toBe('STALE_USER');
  for (const value of [
    null,
    'STALE_USER',
    { code: 'toString' },
    { code: '__proto__' },
    { code: 7 },
    { code: '23505' },
  ]) {
    expect(codeOf(value)).toBeUndefined();
  }
});
