// The options of OntraportClient: each mistake is found at construction and told by name; keys are never shown.

import { inspect } from 'node:util';
import { ConfigurationError } from '../../../lib/errors';
import { OntraportClient } from '../../../lib/crm/ontraport/client';
import type { OntraportClientOptions } from '../../../lib/crm/ontraport/client';

const APP_ID = '2_50_appidsecret';
const API_KEY = 'apikeysecret';
const KEYS = { appId: APP_ID, apiKey: API_KEY };

function errorOf(options: unknown): ConfigurationError {
  try {
    new OntraportClient(options as OntraportClientOptions);
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('There was no error.');
}

test.each<[option: string, options: object]>([
  ['appId', { ...KEYS, appId: undefined }],
  ['appId', { apiKey: API_KEY }],
  ['appId', { ...KEYS, appId: '' }],
  ['appId', { ...KEYS, appId: '  ' }],
  ['appId', { ...KEYS, appId: 5 }],
  ['apiKey', { ...KEYS, apiKey: undefined }],
  ['apiKey', { ...KEYS, apiKey: `${API_KEY}\n` }],
  ['apiKey', { ...KEYS, apiKey: ` ${API_KEY}` }],
  ['apiKey', { ...KEYS, apiKey: `${API_KEY}\r\nX-Evil: 1` }],
  ['apiKey', { ...KEYS, apiKey: `${API_KEY}\u2713` }],
  ['apiKey', { ...KEYS, apiKey: `${API_KEY}\u0000x` }],
  ['baseUrl', { ...KEYS, baseUrl: 'api.ontraport.com' }],
  ['baseUrl', { ...KEYS, baseUrl: 'ftp://api.ontraport.com/1' }],
  ['baseUrl', { ...KEYS, baseUrl: 'https://user:pass@api.ontraport.com/1' }],
  ['baseUrl', { ...KEYS, baseUrl: 'https://api.ontraport.com/1?x=1' }],
  ['baseUrl', { ...KEYS, baseUrl: '' }],
  ['timeoutMs', { ...KEYS, timeoutMs: 0 }],
  ['timeoutMs', { ...KEYS, timeoutMs: 1.5 }],
  ['timeoutMs', { ...KEYS, timeoutMs: '1000' }],
  ['timeoutMs', { ...KEYS, timeoutMs: 2 ** 31 }],
  ['timeZone', { ...KEYS, timeZone: 'Mars/Olympus' }],
  ['timeZone', { ...KEYS, timeZone: '' }],
  ['maxConcurrentCalls', { ...KEYS, maxConcurrentCalls: 0 }],
  ['maxResponseBytes', { ...KEYS, maxResponseBytes: -1 }],
  ['options', null as unknown as object],
])('a wrong %s is named: %p', (option, options) => {
  const error = errorOf(options);
  expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
  expect(error.message).toContain(option);
  expect(inspect(error, { depth: 10 })).not.toMatch(/secret/);
});

test('a misspelt option gets the name that was meant', () => {
  expect(errorOf({ ...KEYS, apikey: 'x' }).message).toContain('did you mean "apiKey"?');
  expect(errorOf({ ...KEYS, timeout: 5 }).message).toContain('did you mean "timeoutMs"?');
  expect(errorOf({ ...KEYS, colour: 5 }).message).toContain('There are: appId, apiKey');
});

test('undefined equals not given', () => {
  const options = {
    baseUrl: undefined,
    timeoutMs: undefined,
    timeZone: undefined,
    maxConcurrentCalls: undefined,
  };
  const client = new OntraportClient({ ...KEYS, ...options });
  expect(client.maxBatchSize).toBe(50);
  expect(client.contactIdPattern.test('12345678901234567890')).toBe(true);
  expect(client.contactIdPattern.test('1a')).toBe(false);
});

test('a client shows no keys', () => {
  const client = new OntraportClient(KEYS);
  const shown = [inspect(client, { depth: 20, showHidden: true, getters: true }), JSON.stringify(client)];
  expect(shown.join()).not.toMatch(/secret/);
});
