// Hostile texts and values, as requests and contacts hold them.
import fc from 'fast-check';

/** In whatever is meant to become markup, a header or a property: none of it may ever be one. */
export const MARK = 'fuzzmark';

const long = (unit: string, most: number): fc.Arbitrary<string> =>
  fc.integer({ min: 1, max: most }).map((count) => unit.repeat(count));

export const hostileText: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      `<${MARK}>`,
      `"><${MARK} a="`,
      `' on${MARK}='1`,
      `</title></style></textarea><script src=//${MARK}.example>`,
      `<!--<${MARK}>`,
      `]]><${MARK}>`,
      `javascript:${MARK}()`,
      `x\r\nX-${MARK}: 1\r\n\r\n<${MARK}>`,
      `x\nBcc: ${MARK}@evil.example`,
      `x@example.com, ${MARK}@evil.example`,
      `"x" <${MARK}@evil.example>`,
      `=?UTF-8?Q?x=0D=0ABcc:_${MARK}=40evil.example?=`,
      '__proto__',
      'constructor',
      'prototype',
      'toString',
      'hasOwnProperty',
      `\0${MARK}`,
      '\ud800',
      '\udfff\ud800x',
      '\u202e\u2028\u0085\ufeff',
      '',
      ' ',
      '0',
      '-0',
      '00',
      '1e309',
      'NaN',
      'null',
      'undefined',
      'true',
      '*/*1*/*2*/*',
      '*/*',
      '[]',
      '{}',
      '$&$1',
      '%',
      '%00',
      '%zz',
      '%ED%A0%80',
      '${7*7}',
    ),
  },
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 40 }),
);

/** Beside those, long ones: what is linear for ten characters need not be for thirty thousand. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 12, arbitrary: hostileText },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc
          .constantFrom(
            'a',
            '1',
            ' ',
            '?',
            '.',
            ',',
            '@',
            '=',
            '"',
            '[',
            '\\',
            '*/*',
            '1.',
            '<',
            'a@',
            '\n',
            'é',
            '\ud83d',
          )
          .chain((unit) => long(unit, 30_000)),
        fc.constantFrom('', '!', 'x', '=%', '@', ' x', '\n'),
      )
      .map(([text, end]) => text + end),
  },
);

/** Any JSON at all, as text: also duplicate names, `__proto__`, numbers that no double holds, and depth without end. */
export const anyJson: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: anyText.map((text) => JSON.stringify(text)) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      'null',
      'true',
      'false',
      '0',
      '-0',
      '1e309',
      '-1e400',
      '9007199254740993',
      '1'.repeat(400),
      '[]',
      '{}',
      '[null]',
      '[[],{}]',
      '{"__proto__":{"fuzzmark":1}}',
      '{"constructor":{"prototype":{"fuzzmark":1}}}',
      '{"toString":1,"valueOf":null,"toJSON":"x","then":1,"length":-1}',
    ),
  },
  { weight: 2, arbitrary: fc.json({ maxDepth: 3 }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 100_000 }), fc.constantFrom(['[', ']'], ['{"a":', '}']))
      .map(([depth, [open, close]]) =>
        `${open.repeat(depth)}1${close.repeat(depth)}`.replace('{"a":}', '{}'),
      ),
  },
);

/** An object as JSON; a name may stand in it twice. */
export const jsonObject = (pairs: readonly (readonly [name: string, json: string])[]): string =>
  `{${pairs.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;

/** Without lone surrogates, which `encodeURIComponent` throws over. */
export const wellFormed = (text: string): string => Buffer.from(text).toString('utf8');

/** Once in so many cases; `null` in all others. */
export const rarely = <Value>(oneIn: number, given: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> =>
  fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: given });
