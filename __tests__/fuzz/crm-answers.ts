// What a CRM could answer: contacts of which any field may be anything, and answers that are none.
import fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { goodAnswer, goodMeta, json, type Asked, type Reply } from './crm-server';
import { anyJson, anyText, jsonObject, MARK, rarely } from './texts';

const text = (given: fc.Arbitrary<string>): fc.Arbitrary<string> => given.map((one) => JSON.stringify(one));

const email = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      'c1@example.com',
      'mary@example.com',
      ' MARY@example.com ',
      'admin@example.com',
      'x@bücher.example',
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(anyText, fc.constantFrom('@example.com', '@', '@exa mple.com', '@[127.0.0.1]'))
      .map((parts) => parts.join('')),
  },
  { weight: 1, arbitrary: anyText },
);
const digits = fc.constantFrom(
  '0',
  '1',
  '-1',
  '1700000000',
  '99999999999999',
  '-99999999999999',
  '9'.repeat(400),
  '1.5',
  '1e5',
  ' 12 ',
);
const ids = fc.array(fc.constantFrom('1', '2', '3', '0', '-1', `<${MARK}>`, '__proto__', 'x'.repeat(500)), {
  maxLength: 5,
});

/** The value of a field: mostly what could stand in it, else anything. */
const fieldValue: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: text(anyText) },
  { weight: 2, arbitrary: anyJson },
  { weight: 2, arbitrary: text(digits) },
  { weight: 1, arbitrary: text(ids.map((list) => `*/*${list.join('*/*')}*/*`)) },
  { weight: 1, arbitrary: text(fc.constantFrom('customer', 'administrator', 'Subscriber ', 'mary', 'gold')) },
);
const tags: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: text(ids.map((list) => `*/*${list.join('*/*')}*/*`)) },
  { weight: 1, arbitrary: text(anyText) },
  { weight: 1, arbitrary: anyJson },
);

/** The fields that the site maps, and some that nobody has asked for. */
const FIELDS = ['firstname', 'lastname', 'f1', 'f2', 'f3', 'f4', 'f5', 'f6', 'f7', 'f8', 'f9', 'f10'];
const OTHERS = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'id',
  'email',
  'contact_cat',
  'then',
];

type Field = readonly [name: string, json: string];

/** A contact, as a function of the id asked for. */
const row: fc.Arbitrary<(id: string) => string> = fc
  .record({
    id: fc.oneof(
      { weight: 40, arbitrary: fc.constant<(id: string) => string>((id) => JSON.stringify(id)) },
      {
        weight: 1,
        arbitrary: fc.constantFrom<(id: string) => string>(
          (id) => id,
          (id) => `"0${id}"`,
          (id) => `["${id}"]`,
          () => '"8"',
          () => '{}',
          () => 'null',
          () => '-1',
        ),
      },
    ),
    email: fc.oneof({ weight: 15, arbitrary: text(email) }, { weight: 1, arbitrary: anyJson }),
    tags,
    first: fc.oneof(
      { weight: 2, arbitrary: fc.constant('"Mary"') },
      {
        weight: 2,
        arbitrary: text(
          fc.constantFrom(`a@b.example, ${MARK}@evil.example`, `x\r\nBcc: ${MARK}@evil.example`),
        ),
      },
      { weight: 1, arbitrary: fieldValue },
    ),
    modified: fc.oneof({ weight: 3, arbitrary: text(digits) }, { weight: 1, arbitrary: anyJson }),
    fields: fc.array(fc.tuple(fc.constantFrom(...FIELDS, ...FIELDS, ...OTHERS), fieldValue), {
      maxLength: 8,
    }),
    without: rarely(40, fc.constantFrom('id', 'email', 'contact_cat', 'dlm')),
  })
  .map(
    ({ id, email: address, tags: list, modified, first, fields, without }) =>
      (asked) =>
        jsonObject(
          (
            [
              ['id', id(asked)],
              ['email', address],
              ['contact_cat', list],
              ['dlm', modified],
              ['firstname', first],
              ...fields,
            ] as Field[]
          ).filter(([name]) => name !== without),
        ),
  );

const contacts: fc.Arbitrary<(asked: readonly string[]) => string> = fc
  .tuple(
    row,
    fc.array(row, { maxLength: 2 }),
    fc.constantFrom('', '', '', '', '', '', '', 'twice', 'too many', 'none'),
  )
  .map(([one, others, how]) => (asked) => {
    const rows = asked.map((id, at) => (others[at] ?? one)(id));
    if (how === 'none') rows.length = 0;
    if (how === 'twice') rows.push(...asked.map((id) => (others[0] ?? one)(id)));
    if (how === 'too many') rows.push(one('9'), one('2'), one('1'));
    return `{"code":0,"data":[${rows.join(',')}]}`;
  });

const fieldMetadata: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({
        type: fc.constantFrom(
          'text',
          'longtext',
          'drop',
          'list',
          'numeric',
          'price',
          'timestamp',
          'fulldate',
          'check',
          'parent',
          'email',
          '__proto__',
          '',
        ),
        label: anyText,
        options: fc.oneof(
          fc
            .array(
              fc.tuple(
                fc.constantFrom('0', '1', '2', '3', '__proto__', ''),
                fc.oneof(text(anyText), anyJson),
              ),
              { maxLength: 4 },
            )
            .map(jsonObject),
          anyJson,
        ),
      })
      .map(({ type, label, options }) =>
        jsonObject([
          ['type', JSON.stringify(type)],
          ['alias', JSON.stringify(label)],
          ['options', options],
        ]),
      ),
  },
  { weight: 1, arbitrary: anyJson },
);
const meta: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(goodMeta) },
  {
    weight: 3,
    arbitrary: fc
      .array(fc.tuple(fc.constantFrom(...FIELDS, 'email', '__proto__', 'constructor'), fieldMetadata), {
        maxLength: 8,
      })
      .map((fields) => `{"code":0,"data":{"0":{"fields":${jsonObject(fields)}}}}`),
  },
  { weight: 1, arbitrary: anyJson.map((data) => `{"code":0,"data":${data}}`) },
  { weight: 1, arbitrary: anyJson.map((fields) => `{"data":{"0":{"fields":${fields}}}}`) },
);
const tagNames: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .array(
        fc.tuple(
          fc.oneof(fc.constantFrom('"1"', '"2"', '3', '"__proto__"'), anyJson),
          fc.oneof(text(anyText), anyJson),
        ),
        { maxLength: 6 },
      )
      .map(
        (list) =>
          `{"data":[${list
            .map(([id, name]) =>
              jsonObject([
                ['tag_id', id],
                ['tag_name', name],
                ['object_type_id', '"0"'],
              ]),
            )
            .join(',')}]}`,
      ),
  },
  { weight: 1, arbitrary: anyJson.map((data) => `{"code":0,"data":${data}}`) },
);

/** An answer that is not even the wrong one: any text, HTML, an envelope of another kind. */
const noAnswer: fc.Arbitrary<string> = fc.oneof(
  { weight: 2, arbitrary: anyText },
  { weight: 3, arbitrary: anyJson },
  { weight: 3, arbitrary: anyJson.map((data) => `{"code":0,"data":${data}}`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      ...[
        '',
        '<!doctype html><h1>Down</h1>',
        'Object not found',
        '"Object not found."',
        '\ufeff{"data":[]}',
        '{"data":{}}',
      ],
      ...[
        '{"data":[[]]}',
        '{"data":[null]}',
        '{"data":[{}]}',
        '{"code":0}',
        '{"__proto__":{"data":[]}}',
        '{"data":[{"__proto__":{"id":"1"}}]}',
      ],
      ...['{"code":429,"data":[]}', '{"data":[],"data":0}', '{"error":"x"}', '{"data":'],
    ),
  },
);

const header = fc.constantFrom<readonly (readonly [string, string])[]>(
  [],
  [],
  [['Content-Type', 'text/html; charset=x']],
  [['Content-Encoding', 'gzip']],
  [['Content-Encoding', 'br']],
  [['Content-Encoding', 'x']],
  [
    ['X-Rate-Limit-Limit', '0'],
    ['X-Rate-Limit-Remaining', '-1'],
    ['X-Rate-Limit-Reset', 'x'],
  ],
  [
    ['X-Rate-Limit-Limit', '1e9'],
    ['X-Rate-Limit-Remaining', '0'],
    ['X-Rate-Limit-Reset', '99999999999'],
  ],
  [
    ['X-Rate-Limit-Limit', '999999999'],
    ['X-Rate-Limit-Remaining', '999999999'],
    ['X-Rate-Limit-Reset', '0'],
  ],
  [['Retry-After', '1e9']],
  [['Retry-After', 'Fri, 31 Dec 9999 23:59:59 GMT']],
  [['Location', 'http://127.0.0.1:1/']],
  [
    ['Set-Cookie', 'a=b'],
    ['__proto__', 'x'],
  ],
);
const status = fc.oneof(
  { weight: 12, arbitrary: fc.constant(200) },
  { weight: 2, arbitrary: fc.constantFrom(201, 204, 205, 206, 299) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      301,
      304,
      307,
      400,
      401,
      403,
      404,
      408,
      409,
      418,
      422,
      429,
      500,
      502,
      503,
      599,
      700,
    ),
  },
);

type Answering = (asked: Asked) => Reply;

const wrong: fc.Arbitrary<Reply> = fc
  .tuple(status, header, noAnswer, fc.boolean())
  .map(([code, headers, body, packed]) => ({
    status: code,
    headers,
    body: packed && headers.some(([, value]) => value === 'gzip') ? gzipSync(body) : body,
  }));

/** The answers of one account: mostly a hostile contact in an account where all else is well, so that something comes of it. */
export const someAnswers: fc.Arbitrary<Answering> = fc
  .record({
    contacts,
    meta,
    tags: tagNames,
    good: fc.constantFrom<readonly Asked['kind'][]>(
      ['meta', 'tags', 'write'],
      ['meta', 'tags', 'write'],
      ['meta', 'tags'],
      ['tags', 'write'],
      ['meta', 'write'],
      [],
    ),
    wrong: fc.record({
      contacts: rarely(8, wrong),
      meta: rarely(8, wrong),
      tags: rarely(8, wrong),
      write: rarely(3, wrong),
    }),
  })
  .map((account) => {
    const answering: Answering = (asked) => {
      const { kind } = asked;
      if (account.good.includes(kind)) return goodAnswer(asked);
      const instead = account.wrong[kind];
      if (instead !== null) return instead;
      if (kind === 'contacts') return json(account.contacts(asked.ids));
      if (kind === 'write') return goodAnswer(asked);
      return json(account[kind]);
    };
    // What fast-check shows of a case that fails.
    return Object.assign(answering, {
      [fc.toStringMethod]: () => {
        const replies = (['contacts', 'meta', 'tags', 'write'] as const).map((kind) => {
          const { status: code, headers, body } = answering({ kind, ids: ['1'] });
          return `${kind}: ${code} ${JSON.stringify(headers)} ${JSON.stringify(body.toString())}`;
        });
        return `\n  ${replies.join('\n  ')}\n`;
      },
    });
  });
