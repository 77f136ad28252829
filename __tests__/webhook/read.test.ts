// A request becomes parameters: by itself, as bytes that come on a stream, and as body parsers leave it.
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import {
  isWebhook,
  parsedBodyTrouble,
  prefersPage,
  readParsedBody,
  readQuery,
  readStream,
  type Body,
  type WebhookRequest,
} from '../../lib/webhook/read';

const FORM = 'application/x-www-form-urlencoded';
const LIMIT = 10;

/** A request of which only what is given is there. */
const requestOf = (given: object): WebhookRequest =>
  ({ url: '/', headers: {}, ...given }) as unknown as WebhookRequest;

const of = (body: Body): Record<string, (string | null)[]> | string | undefined =>
  body === undefined
    ? undefined
    : 'parameters' in body
      ? Object.fromEntries(body.parameters)
      : `${body.trouble.code}: ${body.trouble.message}`;

describe('whether it is a webhook', () => {
  test.each<[string, boolean]>([
    ['/?wpf_action=add', true],
    ['/?a=1&wpf_action=', true],
    ['/?wpf_action', true],
    ['/?a&wpf_%61ction=add', true],
    ['/?%77pf_action=add', true],
    ['/?a=1?b&wpf_%61ction=add', true],
    ['/wpf_action', false],
    ['/wpf_action=add', false],
    ['/wpf_action?a=1', false],
    ['/%77pf_action=add?a', false],
    ['/?a=wpf_action', false],
    ['/?wpf_actions=1', false],
    ['/?a=%77pf_action', false],
    ['/', false],
    ['', false],
  ])('%s: %s', (url, expected) => {
    expect(isWebhook(requestOf({ url }))).toBe(expected);
  });

  test.each(Array.from('wpf_action').map((letter, at) => [letter, at] as const))(
    'with the %s at %i encoded, in capitals or not',
    (letter, at) => {
      const code = letter.charCodeAt(0).toString(16);
      for (const encoded of [code, code.toUpperCase()]) {
        const name = `${'wpf_action'.slice(0, at)}%${encoded}${'wpf_action'.slice(at + 1)}`;
        expect(isWebhook(requestOf({ url: `/?a=1&${name}=add` }))).toBe(true);
      }
    },
  );

  test('names are only decoded where one hides a letter of ours: URLs are full of other encodings', () => {
    const parse = jest.spyOn(URLSearchParams.prototype, 'has');
    for (const url of ['/?a=%20&b=%61', '/%61?a=1', '/?a%5Bb%5D=1', '/?a=1']) isWebhook(requestOf({ url }));
    expect(parse).not.toHaveBeenCalled();
    isWebhook(requestOf({ url: '/?%61=1' }));
    expect(parse).toHaveBeenCalledTimes(1);
    parse.mockRestore();
  });

  test.each<[unknown, boolean]>([
    [{ wpf_action: 'add' }, true],
    [{ wpf_action: undefined }, true],
    [Object.create({ wpf_action: 'add' }), false],
    [['wpf_action'], false],
    ['wpf_action=add', false],
    [Buffer.from('wpf_action=add'), false],
    [null, false],
    [undefined, false],
  ])('the body %j: %s', (body, expected) => {
    expect(isWebhook(requestOf({ body }))).toBe(expected);
  });
});

test.each<[string, object]>([
  ['/?a=1&a=2&b=', { a: ['1', '2'], b: [''] }],
  ['/?a=%zz&b=x+y', { a: ['%zz'], b: ['x y'] }],
  ['/', {}],
  ['a=1', {}],
])('the query of %s', (url, expected) => {
  expect(Object.fromEntries(readQuery(requestOf({ url })))).toEqual(expected);
});

describe('whether a page is wanted', () => {
  const accepts = (types: readonly string[]): string | false => types.at(-1) ?? false;
  test.each<[string, object, boolean]>([
    ['html before JSON', { headers: { accept: 'text/html' }, accepts }, true],
    ['JSON before html', { headers: { accept: '*/*' }, accepts: ([first]: string[]) => first }, false],
    ['neither', { headers: { accept: 'image/png' }, accepts: () => false }, false],
    ['not said', { accepts }, false],
    ['nobody to ask', { headers: { accept: 'text/html' } }, false],
  ])('%s', (_name, given, expected) => {
    expect(prefersPage(requestOf(given))).toBe(expected);
  });
});

describe('a body that was parsed', () => {
  const json = { 'content-type': 'application/json' };
  const read = (body: unknown, headers: object = json): unknown => {
    const parsed = readParsedBody(requestOf({ body, headers }));
    return parsed === undefined ? 'not parsed' : of(parsed.body);
  };
  const NO_OBJECT = 'INVALID_BODY: The body holds no object with parameters.';

  test.each<[string, unknown, unknown]>([
    ['nothing', undefined, 'not parsed'],
    ['an empty object: a parser that did not match', {}, 'not parsed'],
    ['texts', { a: '1', b: '' }, { a: ['1'], b: [''] }],
    [
      'numbers and truths',
      { a: 1, b: -0.5, c: true, d: false },
      { a: ['1'], b: ['-0.5'], c: ['true'], d: ['false'] },
    ],
    [
      'the largest number that is itself',
      { a: 2 ** 53 - 1, b: 1 - 2 ** 53 },
      { a: ['9007199254740991'], b: ['-9007199254740991'] },
    ],
    [
      'a number that JSON has rounded',
      { a: 2 ** 53, b: -(2 ** 53), c: Infinity, d: NaN },
      { a: [null], b: [null], c: [null], d: [null] },
    ],
    ['nothing for a name', { a: null, b: undefined, c: '1' }, { c: ['1'] }],
    ['lists', { a: ['1', 2, null, {}], b: [] }, { a: ['1', '2', null, null], b: [null] }],
    [
      'one level',
      { a: { id: 7, b: { c: 1 }, list: ['x'] } },
      { a: [null], 'a[id]': ['7'], 'a[b]': [null], 'a[list]': ['x'] },
    ],
    ['what is no value', { a: () => 1, b: Symbol('x'), c: 1n }, { a: [null], b: [null], c: [null] }],
    [
      'a name twice, once as a form would have it',
      { a: { b: '1' }, 'a[b]': '2' },
      { a: [null], 'a[b]': ['1', '2'] },
    ],
    ['a list', ['a'], NO_OBJECT],
    ['null', null, NO_OBJECT],
    ['a number', 5, NO_OBJECT],
    ['text', '{"a":"1"}', { a: ['1'] }],
    ['bytes', Buffer.from('{"a":"\u00e9"}'), { a: ['\u00e9'] }],
    ['a view of bytes', new Uint8Array(Buffer.from('{"a":"1"}')), { a: ['1'] }],
    ['empty text', ' \n', undefined],
    ['text that is no object', '[1]', NO_OBJECT],
  ])('%s', (_name, body, expected) => {
    expect(read(body)).toEqual(expected);
  });

  const MEDIA = 'send application/x-www-form-urlencoded or application/json.';
  test.each<[string | undefined, string, unknown]>([
    [FORM, 'a=1&a=2', { a: ['1', '2'] }],
    [`${FORM.toUpperCase()} ; charset=utf-8`, 'a=1', { a: ['1'] }],
    ['application/json;charset=utf-8', '{"a":1}', { a: ['1'] }],
    ['application/vnd.ontraport+json', '{"a":1}', { a: ['1'] }],
    ['application/json', '\uFEFF{"a":"\uFEFF"}', { a: ['\uFEFF'] }],
    ['application/json', '{"a":\uFEFF1}', /^INVALID_BODY: The body is not valid JSON/],
    ['application/json', '{"a":', /^INVALID_BODY: The body is not valid JSON/],
    ['+json/x', '{"a":1}', `UNSUPPORTED_MEDIA_TYPE: The body has another content type; ${MEDIA}`],
    ['text/plain', 'a=1', `UNSUPPORTED_MEDIA_TYPE: The body has another content type; ${MEDIA}`],
    [undefined, 'a=1', `UNSUPPORTED_MEDIA_TYPE: The body has no content type; ${MEDIA}`],
    ['', 'a=1', `UNSUPPORTED_MEDIA_TYPE: The body has no content type; ${MEDIA}`],
  ])('text as %s: %s', (type, text, expected) => {
    const found = read(text, { 'content-type': type });
    if (expected instanceof RegExp) expect(found).toMatch(expected);
    else expect(found).toEqual(expected);
  });

  test.each<[string, unknown, object, boolean]>([
    ['text of its size', 'x'.repeat(LIMIT), {}, false],
    ['longer text, whatever is declared', 'x'.repeat(LIMIT + 1), { 'content-length': '1' }, true],
    ['text of more bytes than letters', '\u00e9'.repeat(6), {}, true],
    ['bytes', Buffer.alloc(LIMIT + 1), {}, true],
    ['few bytes', Buffer.alloc(LIMIT), { 'content-length': '99' }, false],
    ['an object, by what is declared', { a: 1 }, { 'content-length': '11' }, true],
    ['an object that is declared to fit', { a: 1 }, { 'content-length': '10' }, false],
    ['an object of no declared size', { a: 'x'.repeat(99) }, {}, false],
  ])('the limit: %s', (_name, body, headers, isTooLarge) => {
    const trouble = parsedBodyTrouble(requestOf({ body, headers }), LIMIT);
    expect(trouble?.code).toBe(isTooLarge ? 'BODY_TOO_LARGE' : undefined);
  });
});

describe('a body on the stream', () => {
  const headers = (length: number | undefined, more: object = {}): object => ({
    'content-type': FORM,
    ...(length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(length) }),
    ...more,
  });
  const stream = (given: object): PassThrough & WebhookRequest =>
    Object.assign(new PassThrough(), { url: '/', headers: given }) as unknown as PassThrough & WebhookRequest;
  const never = new AbortController().signal;

  test.each<[string, object, string, unknown]>([
    ['of the declared length', headers(3), 'a=1', { a: ['1'] }],
    ['of no declared length', headers(undefined), 'a=1', { a: ['1'] }],
    ['as large as may be', headers(LIMIT), 'a=12345678', { a: ['12345678'] }],
    ['as large as may be, in chunks', headers(undefined), 'a=12345678', { a: ['12345678'] }],
    ['encoded as nothing', headers(3, { 'content-encoding': 'Identity' }), 'a=1', { a: ['1'] }],
    ['compressed', headers(3, { 'content-encoding': 'gzip' }), 'a=1', /^UNSUPPORTED_MEDIA_TYPE.+compressed/],
    [
      'declared too large',
      headers(LIMIT + 1),
      'a=1',
      /^BODY_TOO_LARGE: The body is larger than the 10 bytes/,
    ],
    ['too large', headers(undefined), 'a=123456789', /^BODY_TOO_LARGE/],
    ['empty', headers(undefined), '', undefined],
  ])('%s', async (_name, given, text, expected) => {
    const request = stream(given);
    const reading = readStream(request, LIMIT, never);
    // In pieces, the last of which makes it too large.
    for (const piece of text.match(/.{1,4}/g) ?? []) request.write(piece);
    request.end();
    const found = of(await reading);
    if (expected instanceof RegExp) expect(found).toMatch(expected);
    else expect(found).toEqual(expected);
    expect(['data', 'error'].map((event) => request.listenerCount(event))).toEqual([0, 0]);
  });

  test.each<[string, object]>([
    ['nothing is declared', {}],
    ['nothing is to come', { 'content-length': '0' }],
    ['its length is no number', { 'content-length': 'x' }],
  ])('is not waited for where %s', async (_name, given) => {
    expect(await readStream(stream(given), LIMIT, never)).toBeUndefined();
  });

  test('is not waited for where somebody has read it', async () => {
    const request = stream(headers(3));
    request.end('a=1');
    for await (const _chunk of request);
    expect(await readStream(request, LIMIT, never)).toBeUndefined();
    const destroyed = stream(headers(3)).destroy() as unknown as WebhookRequest;
    expect(await readStream(destroyed, LIMIT, never)).toBeUndefined();
  });

  test('that somebody has made text of is the same', async () => {
    const request = stream(headers(4));
    request.setEncoding('utf8');
    const reading = readStream(request, LIMIT, never);
    request.end('a=\u00e9');
    expect(of(await reading)).toEqual({ a: ['\u00e9'] });
  });

  test.each(['close', 'error'])('ends with %s: INVALID_BODY', async (event) => {
    const request = stream(headers(3));
    const reading = readStream(request, LIMIT, never);
    if (event === 'error') request.once('error', () => undefined).destroy(new Error('reset'));
    else request.destroy();
    expect(of(await reading)).toBe('INVALID_BODY: The connection ended within the body.');
  });

  test.each(['before', 'after'])('is given up when time is up %s it is read', async (when) => {
    const time = new AbortController();
    if (when === 'before') time.abort();
    const reading = readStream(stream(headers(3)), LIMIT, time.signal);
    time.abort();
    const body = (await reading) as { trouble: unknown };
    expect(body.trouble).toMatchObject({ code: 'TIMED_OUT', retryAfter: 30 });
  });
});

test('an IncomingMessage of Node is what is read', async () => {
  const request = new IncomingMessage(new Socket());
  request.url = '/?wpf_action=add';
  expect(isWebhook(request)).toBe(true);
  expect(await readStream(request, LIMIT, new AbortController().signal)).toBeUndefined();
});
