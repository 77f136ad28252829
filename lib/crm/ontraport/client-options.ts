// The options of an OntraportClient: everything that can be wrong with them is found at construction.

import { ConfigurationError } from '../../errors';
import { refuseUnknownOptions } from '../../unknown-options';

/** What an {@link OntraportClient} takes. `undefined` equals not given. */
export interface OntraportClientOptions {
  /** The App ID of the API key. `undefined` is accepted by the type, so that an environment variable can be given, and throws. */
  readonly appId: string | undefined;
  /** The API key. `undefined` throws as for `appId`. Its user needs to read contacts and tags, and to write the contact fields that are written. */
  readonly apiKey: string | undefined;
  /** Default `https://api.ontraport.com/1`. `http:` sends the keys in the clear: for a sandbox only. */
  readonly baseUrl?: string | undefined;
  /**
   * Milliseconds for one HTTP call, from its start to the last byte of the answer; default 60,000, since Ontraport may take a
   * minute. One read can be several calls; what bounds those together is its `signal`.
   */
  readonly timeoutMs?: number | undefined;
  /** The IANA zone of the account, in which days are told from moments: `America/Los_Angeles`; default `UTC`. */
  readonly timeZone?: string | undefined;
  /** How many calls are under way at once at most; default 4. */
  readonly maxConcurrentCalls?: number | undefined;
  /** How many bytes an answer may have, unpacked; default 10,000,000. */
  readonly maxResponseBytes?: number | undefined;
}

/** The options with everything filled in. */
export type ResolvedOptions = {
  readonly [Name in keyof OntraportClientOptions]-?: Exclude<OntraportClientOptions[Name], undefined>;
};

const NAMES = [
  'appId',
  'apiKey',
  'baseUrl',
  'timeoutMs',
  'timeZone',
  'maxConcurrentCalls',
  'maxResponseBytes',
] as const satisfies readonly (keyof OntraportClientOptions)[];

/** Longer ones overflow the timers of Node and fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/**
 * Checks the options and fills them in.
 *
 * @throws ConfigurationError that names the option. Its message never holds a key.
 */
export function resolveOptions(options: OntraportClientOptions): ResolvedOptions {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null) {
    throw new ConfigurationError('options', 'must be an object: { appId, apiKey }.');
  }
  refuseUnknownOptions(given, NAMES);
  return {
    appId: credential('appId', options.appId),
    apiKey: credential('apiKey', options.apiKey),
    baseUrl: url(options.baseUrl ?? 'https://api.ontraport.com/1'),
    timeoutMs: positiveInteger('timeoutMs', options.timeoutMs ?? 60_000, LONGEST_TIMER_MS),
    timeZone: zone(options.timeZone ?? 'UTC'),
    maxConcurrentCalls: positiveInteger('maxConcurrentCalls', options.maxConcurrentCalls ?? 4),
    maxResponseBytes: positiveInteger('maxResponseBytes', options.maxResponseBytes ?? 10_000_000),
  };
}

function credential(name: 'appId' | 'apiKey', value: unknown): string {
  if (value === undefined) {
    throw new ConfigurationError(name, 'is missing. Is the environment variable set that it comes from?');
  }
  if (typeof value !== 'string' || value.trim() === '') {
    throw new ConfigurationError(name, 'must be a text that is not empty.');
  }
  // What cannot stand in an HTTP header, or would be cut off there.
  if (!/^[\x21-\x7e\xa1-\xff]([\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa1-\xff])?$/.test(value)) {
    throw new ConfigurationError(
      name,
      'holds characters that an HTTP header cannot carry, or a space or line break at one of its ends.',
    );
  }
  return value;
}

function url(value: unknown): string {
  const example = 'https://api.ontraport.com/1';
  let parsed: URL;
  try {
    parsed = new URL(String(value));
  } catch {
    throw new ConfigurationError('baseUrl', `must be a URL like ${example}.`);
  }
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') {
    throw new ConfigurationError('baseUrl', `must begin with https:// like ${example}.`);
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw new ConfigurationError(
      'baseUrl',
      'must hold no user or password; the keys go into appId and apiKey.',
    );
  }
  if (parsed.search !== '' || parsed.hash !== '') {
    throw new ConfigurationError('baseUrl', `must have no query and no fragment, like ${example}.`);
  }
  return parsed.href.replace(/\/+$/, '');
}

function zone(value: unknown): string {
  try {
    if (typeof value === 'string' && value !== '') {
      new Intl.DateTimeFormat('en', { timeZone: value });
      return value;
    }
  } catch {
    // Told below.
  }
  throw new ConfigurationError('timeZone', 'must be the name of a time zone like Europe/Berlin.');
}

function positiveInteger(name: string, value: unknown, atMost = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > atMost) {
    throw new ConfigurationError(name, `must be a whole number from 1 to ${atMost}.`);
  }
  return value;
}
