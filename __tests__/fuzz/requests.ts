// Requests as nobody would send them, from nearly right ones to bytes that are no HTTP at all.
import fc from 'fast-check';
import { anyJson, anyText, jsonObject, rarely, wellFormed } from './texts';

export const ACCESS_KEY = 'fuzz-key-9d1f"\\&é 77';
export const WRONG_KEY = 'fuzz-wrong-5c2e"\\&é 78';

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

type Pair = readonly [name: string, value: string];

const name: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      ...['wpf_action', 'access_key', 'contact_id', 'contactId', 'id', 'data[id]', 'data', 'contact[id]'],
      ...[
        'role',
        'send_notification',
        'async',
        'dry_run',
        'email',
        'WPF_ACTION',
        'wpf_action[]',
        'wpf_action[0]',
      ],
      ...[
        '__proto__',
        '__proto__[fuzzmark]',
        'constructor[prototype][fuzzmark]',
        'data[__proto__][fuzzmark]',
      ],
      ...[
        'a[b][c]',
        'a[b][c][d][e][f][g][h]',
        'contact_id[id]',
        'toString',
        'hasOwnProperty',
        'then',
        'length',
        '',
      ],
    ),
  },
  { weight: 1, arbitrary: anyText },
);
const value: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...['add', 'ADD ', 'update', 'update_tags', 'test', 'greet', ACCESS_KEY, ACCESS_KEY, WRONG_KEY],
      ...['1', '2', '7', '007', '9007199254740993', '9'.repeat(400), '[Contact ID]', 'true', 'no', 'maybe'],
      ...['subscriber', 'customer', 'administrator', 'mary@example.com', 'c7@example.com'],
    ),
  },
  { weight: 2, arbitrary: anyText },
);
/** A wrong key where keys are: nobody could know it for one elsewhere, and a value that is refused is told to its sender. */
const parameter = fc
  .tuple(name, value)
  .map(([given, text]): Pair => [text === WRONG_KEY ? 'access_key' : given, text]);
const pairs: fc.Arbitrary<Pair[]> = fc.oneof(
  { weight: 12, arbitrary: fc.array(parameter, { maxLength: 8 }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(name, value, fc.integer({ min: 100, max: 8000 }), fc.boolean())
      .map(([given, text, count, same]) =>
        Array.from({ length: count }, (_, at): Pair => [
          same ? given.slice(0, 20) : `${given.slice(0, 20)}[${at}]`,
          text.slice(0, 5),
        ]),
      ),
  },
);

/** A whole webhook, before whatever else is in the query. */
const whole: fc.Arbitrary<Pair[]> = fc
  .tuple(fc.constantFrom('add', 'update', 'update_tags', 'test', 'greet'), fc.constantFrom('1', '2', '7'))
  .map(([action, id]): Pair[] => [
    ['wpf_action', action],
    ['access_key', ACCESS_KEY],
    ['contact_id', id],
  ]);

/** How a text is written into a URL or a form. */
const writing = fc.constantFrom<(text: string) => string>(
  (text) => encodeURIComponent(wellFormed(text)),
  (text) => encodeURIComponent(wellFormed(text)).replaceAll('%20', '+').toLowerCase(),
  // Nothing but what would end the line: a sender that knows of no encoding.
  (text) => text.replace(/[\0-\x20\x7f-\uffff#&=]/g, '_'),
  (text) => `${encodeURIComponent(wellFormed(text))}%`,
  (text) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  (text) =>
    Array.from(text)
      .map((character) => `%u${character.charCodeAt(0).toString(16)}`)
      .join(''),
);

const formOf = (given: readonly Pair[], write: (text: string) => string, separator = '&'): string =>
  given.map(([key, text]) => `${write(key)}=${write(text)}`).join(separator);

const contentType = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(FORM, JSON_TYPE) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...[
        undefined,
        '',
        ';',
        'text/plain',
        'text/html',
        'application/octet-stream',
        'application/problem+json',
      ],
      ...[
        'application/json; charset=utf-16',
        'application/json; charset=x',
        `${FORM}; charset=latin1`,
        '+json',
        'JSON',
      ],
      ...[
        'multipart/form-data',
        'multipart/form-data; boundary=x',
        'application/json, application/json',
        '__proto__/x',
      ],
    ),
  },
);

const body: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(pairs, writing).map(([given, write]) => Buffer.from(formOf(given, write))),
  },
  {
    weight: 4,
    arbitrary: fc
      .array(
        fc.oneof(
          fc.tuple(name, anyJson),
          parameter.map(([given, text]): Pair => [given, JSON.stringify(text)]),
        ),
        { maxLength: 8 },
      )
      .map((given) => Buffer.from(jsonObject(given))),
  },
  { weight: 1, arbitrary: fc.tuple(whole, pairs).map((given) => Buffer.from(formOf(given.flat(), encoded))) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(whole, anyJson)
      .map(([given, json]) =>
        Buffer.from(
          jsonObject([...given.map(([key, text]) => [key, JSON.stringify(text)] as const), ['role', json]]),
        ),
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        whole,
        fc.constantFrom('__proto__', 'constructor', 'data', 'toString'),
        fc.constantFrom('{"fuzzmark":1}', '{"prototype":{"fuzzmark":1}}', '{"__proto__":{"fuzzmark":1}}'),
      )
      .map(([given, key, json]) =>
        Buffer.from(
          jsonObject([...given.map(([one, text]) => [one, JSON.stringify(text)] as const), [key, json]]),
        ),
      ),
  },
  // As long as a body may be: quadratic in that is too long for anybody.
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('a', '1', ' ', '[', '{"a":', '%', '&', '=', '+')
      .map((unit) => Buffer.from(unit.repeat(99_000 / unit.length))),
  },
  { weight: 1, arbitrary: anyJson.map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: anyText.map((text) => Buffer.from(text)) },
);

function encoded(text: string): string {
  return encodeURIComponent(wellFormed(text));
}

/** What can stand in a header at all; Node refuses the rest before anybody sees it. */
const inHeader = (text: string): string =>
  Buffer.from(text.replace(/(?!\t)\p{Cc}/gu, ' ').slice(0, 6000)).toString('latin1');

const headerNames = [
  ...[
    'Accept',
    'Accept',
    'Accept',
    'Sec-Purpose',
    'Purpose',
    'X-Moz',
    'X-Access-Key',
    'X-Access-Key',
    'Authorization',
  ],
  ...[
    'X-Forwarded-For',
    'X-Forwarded-For',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'Cookie',
    'Expect',
    'Host',
  ],
  ...[
    'X-Correlation-Id',
    'If-None-Match',
    'Range',
    'X-HTTP-Method-Override',
    'traceparent',
    '__proto__',
    'constructor',
  ],
];
const header: fc.Arbitrary<Pair> = fc.tuple(
  fc.constantFrom(...headerNames),
  fc
    .oneof(
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          ...[
            'text/html',
            'text/html;q=0.5, application/json;q=0.1',
            '*/*',
            'application/json',
            'text/*;q=1e309',
            ';q=,,',
          ],
          ...[
            'prefetch',
            'prefetch;prerender',
            'preview',
            ACCESS_KEY,
            WRONG_KEY,
            `Bearer ${ACCESS_KEY}`,
            `Bearer ${WRONG_KEY}`,
          ],
          ...[
            'Bearer',
            'Bearer  ',
            '::ffff:1.2.3.4',
            '[::1]:80',
            'fe80::1%eth0',
            '1.2.3.4:5',
            'unknown',
            '100-continue',
          ],
          'text/html,'.repeat(500),
        ),
      },
      { weight: 1, arbitrary: anyText },
    )
    .map(inHeader),
);

export interface SomeRequest {
  readonly method: string;
  readonly isWhole: boolean;
  /** A character a byte. */
  readonly bytes: string;
  /** Which of the hosts gets it. */
  readonly host: number;
  /** Whether somebody looks at the pages of the admin afterwards. */
  readonly looks: boolean;
}

const LENGTHS = [
  'right',
  'right',
  'right',
  'right',
  'right',
  'right',
  'chunked',
  'chunked',
  'none',
  'less',
  'more',
  'both',
  'odd',
] as const;

/** A request out of its parts; its length may be a lie. */
const structured: fc.Arbitrary<SomeRequest> = fc
  .record({
    method: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('GET', 'POST') },
      {
        weight: 1,
        arbitrary: fc.constantFrom('HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'TRACE'),
      },
    ),
    path: fc.constantFrom('/', '/hooks', '/hooks/', '//', '/%', '/%00', '/a/../b', '/;x', '/\\', '*'),
    first: fc.option(whole, { nil: [], freq: 3 }),
    more: pairs,
    write: writing,
    separator: fc.constantFrom('&', '&', '&', ';', '&&', '?'),
    headers: fc.array(header, { maxLength: 5 }),
    body: fc.option(body),
    type: contentType,
    encoding: rarely(12, fc.constantFrom('gzip', 'br', 'deflate', 'identity', 'x', 'gzip, gzip')),
    length: fc.constantFrom(...LENGTHS),
    host: fc.nat(),
    looks: fc.boolean(),
  })
  .map(({ path, first, more, write, separator, headers, type, encoding, length, ...one }) => {
    const query = [formOf(first, encoded), formOf(more, write, separator)].filter((text) => text !== '');
    // Node takes 16 kB of headers at most, and answers everything above by itself.
    const url = `${path}${query.length === 0 ? '' : `?${query.join('&')}`}`.slice(0, 14_000);
    const bytes = one.body ?? Buffer.alloc(0);
    const told = [`${one.method} ${url} HTTP/1.1`, 'Host: site.example', 'Connection: close'];
    for (const [key, text] of headers)
      if (told.join().length + text.length < 15_000) told.push(`${key}: ${text}`);
    if (type !== undefined) told.push(`Content-Type: ${type}`);
    if (encoding !== null) told.push(`Content-Encoding: ${encoding}`);
    const declared =
      { less: bytes.length - 1, more: bytes.length + 10, odd: '0x10' }[length as string] ?? bytes.length;
    const isChunked = length === 'chunked' || length === 'both';
    if (isChunked) told.push('Transfer-Encoding: chunked');
    if (length !== 'none' && length !== 'chunked') told.push(`Content-Length: ${declared}`);
    const sent = isChunked
      ? Buffer.concat([
          Buffer.from(bytes.length === 0 ? '' : `${bytes.length.toString(16)}\r\n`),
          bytes,
          Buffer.from(bytes.length === 0 ? '0\r\n\r\n' : '\r\n0\r\n\r\n'),
        ])
      : bytes;
    return {
      method: one.method,
      host: one.host,
      looks: one.looks,
      isWhole: ['right', 'chunked', 'none'].includes(length),
      bytes: `${told.join('\r\n')}\r\n\r\n${sent.toString('latin1')}`,
    };
  });

/** One with a few bytes changed, added or missing. */
const damaged: fc.Arbitrary<SomeRequest> = fc
  .tuple(
    structured,
    fc.array(
      fc.tuple(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat({ max: 20 }),
        fc.uint8Array({ maxLength: 6 }),
      ),
      {
        minLength: 1,
        maxLength: 4,
      },
    ),
  )
  .map(([request, edits]) => {
    let { bytes } = request;
    for (const [place, removed, added] of edits) {
      // Mostly in the head, where everything is decided.
      const at = Math.floor(place * Math.min(bytes.length, 600));
      bytes = bytes.slice(0, at) + Buffer.from(added).toString('latin1') + bytes.slice(at + removed);
    }
    return { ...request, bytes, isWhole: false };
  });

export const someRequest: fc.Arbitrary<SomeRequest> = fc.oneof(
  { weight: 8, arbitrary: structured },
  { weight: 2, arbitrary: damaged },
);
