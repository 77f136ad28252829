// The assertions of the contract suites. Their messages say in words what is wrong with an adapter and how to mend it.
import { AssertionError } from 'node:assert';
import { inspect } from 'node:util';
import { codeOf } from '../../errors';

const shown = (value: unknown): string =>
  inspect(value, { depth: 6, breakLength: 110, maxStringLength: 300 });

/** An error as one reads it: class, code and message, without its stack. */
const shownError = (error: unknown): string => {
  if (!isErrorLike(error)) return shown(error);
  const code = (error as { code?: unknown }).code;
  return `${error.name}${code === undefined ? '' : ` [${shown(code)}]`}: ${error.message}`;
};

/** An error of another realm is no instance of this one's `Error`. */
const isErrorLike = (value: unknown): value is Error =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as { name?: unknown }).name === 'string' &&
  typeof (value as { message?: unknown }).message === 'string';

/** Fails a test. */
export function fail(
  message: string,
  details: { actual?: unknown; expected?: unknown; cause?: unknown } = {},
): never {
  const { actual, expected, cause } = details;
  const error = new AssertionError({
    message,
    actual,
    expected,
    // With `deepStrictEqual` Node and Jest each add a difference of their own, and nobody finds the words any more.
    operator: 'equal',
    stackStartFn: fail,
  });
  if (cause !== undefined) error.cause = cause;
  throw error;
}

/**
 * Whether two plain values are the same, with their types. By structure: a runner may run the tests in a realm of its own,
 * whose lists and objects have other prototypes than the adapter's.
 */
export function isSame(actual: unknown, expected: unknown): boolean {
  if (Array.isArray(actual) || Array.isArray(expected)) {
    if (!Array.isArray(actual) || !Array.isArray(expected) || actual.length !== expected.length) return false;
    return expected.every((item, index) => isSame(actual[index], item));
  }
  if (typeof actual !== 'object' || typeof expected !== 'object' || actual === null || expected === null) {
    return actual === expected;
  }
  const keys = Object.keys(actual);
  if (keys.length !== Object.keys(expected).length) return false;
  return keys.every((key) => Object.hasOwn(expected, key) && isSame(at(actual, key), at(expected, key)));
}

const at = (object: object, key: string): unknown => (object as Record<string, unknown>)[key];

export function expectSame(actual: unknown, expected: unknown, message: string): void {
  if (isSame(actual, expected)) return;
  fail(`${message}\nexpected: ${shown(expected)}\nreceived: ${shown(actual)}`, { actual, expected });
}

export function expectTrue(condition: boolean, message: string): void {
  if (!condition) fail(message, { actual: condition, expected: true });
}

/** What a call gives that has to succeed. */
export async function expectSuccess<Value>(work: () => Promise<Value>, what: string): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    return fail(`A call that has to succeed threw ${shownError(error)}\nIt was ${what}.`, { cause: error });
  }
}

/** The error of a call that has to fail with this code. */
export async function expectError(
  work: () => Promise<unknown>,
  code: string,
  message: string,
): Promise<unknown> {
  let given: unknown;
  try {
    given = await work();
  } catch (error) {
    if (codeOf(error) === code) return error;
    return fail(`${message}\nexpected: an error with the code ${code}\nreceived: ${shownError(error)}`, {
      actual: codeOf(error),
      expected: code,
      cause: error,
    });
  }
  return fail(
    `${message}\nexpected: an error with the code ${code}\nreceived: no error, but ${shown(given)}`,
    {
      actual: given,
      expected: code,
    },
  );
}

/** The error of a call that has to fail, whatever its error is. */
export async function expectRejection(work: () => Promise<unknown>, message: string): Promise<unknown> {
  let given: unknown;
  try {
    given = await work();
  } catch (error) {
    return error;
  }
  return fail(`${message}\nexpected: an error\nreceived: no error, but ${shown(given)}`, {
    actual: given,
    expected: 'an error',
  });
}

/** A DuplicateUserError that names one of these fields. */
export function expectField(error: unknown, fields: readonly string[]): void {
  const { field } = error as { field?: unknown };
  if (typeof field === 'string' && fields.includes(field)) return;
  fail(
    `The field of a DuplicateUserError has to be the one that is taken: on 'username' another name is tried, on 'email' the ` +
      `user is looked for and linked, on 'contactId' the run starts over. Read it from the name of the violated index.\n` +
      `expected: ${fields.map(shown).join(' or ')}\nreceived: ${shown(field)}`,
    { actual: field, expected: fields[0] },
  );
}

export { shown, shownError };
