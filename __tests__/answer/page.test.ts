// No value ever becomes markup: a page has the tags that its shape has, whatever stands in it.
import fc from 'fast-check';
import { answerProblem, answerResult } from '../../lib/answer/answer';
import { problemPage, resultPage } from '../../lib/answer/page';
import { ERROR_CODES, WpFusionError } from '../../lib/errors';
import type { Result, WarningCode } from '../../lib/result';

const tagsOf = (html: string): string[] => html.match(/<[^>]*>/g) ?? [];
/** What stands between the tags, the style sheet apart. */
const textsOf = (html: string): string =>
  html
    .replace(/<style>.*?<\/style>/s, '')
    .split(/<[^>]*>/)
    .join('\n');
const decoded = (text: string): string =>
  text.replace(/&#(\d+);/g, (_whole, code: string) => String.fromCharCode(Number(code)));

const hostile = fc.oneof(
  fc.constantFrom(
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    '</title></style><script>',
    '<!--',
    '-->',
    '<![CDATA[',
    '&lt;b&gt;',
    '&#60;b&#62;',
    '&',
    '${x}',
    '$&',
    '\0<b>',
    '\u2028<b>',
    '<\u0000script>',
    '＜script＞',
  ),
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('<', '>', '&', '"', "'", '/', '!', '-', 'a', ' ', '=', '`', '\n') }),
);
const value = fc.oneof(
  hostile,
  fc.array(hostile),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.dictionary(hostile, hostile),
);

const result: fc.Arbitrary<Result> = fc.record({
  // Without a name that the page treats in a way of its own.
  action: hostile.map((text) => `x${text}`),
  contactId: fc.option(hostile),
  outcome: hostile.map((text) => `x${text}`),
  userId: hostile,
  warnings: fc.array(fc.record({ code: hostile as fc.Arbitrary<WarningCode>, message: hostile })),
  changes: fc.array(
    fc.record(
      { field: hostile.map((text) => `x${text}`), from: value, to: value },
      { requiredKeys: ['field'] },
    ),
  ),
});

/** The same shape with harmless texts in it. */
function harmless(one: unknown): unknown {
  if (typeof one === 'string') return 'x';
  if (Array.isArray(one)) return one.map(harmless);
  if (typeof one !== 'object' || one === null) return one;
  return Object.fromEntries(Object.entries(one).map(([key, inner]) => [key, harmless(inner)]));
}

function textsWithin(one: unknown): string[] {
  if (typeof one === 'string') return [one];
  return typeof one === 'object' && one !== null ? Object.values(one).flatMap(textsWithin) : [];
}

const options = fc.record({ dryRun: fc.boolean(), inspect: fc.boolean(), button: fc.boolean() });

test('a page of a result has the markup of its shape, and its values as text', () => {
  fc.assert(
    fc.property(result, options, (given, how) => {
      const { html } = resultPage(given, how);
      expect(tagsOf(html)).toEqual(tagsOf(resultPage(harmless(given) as Result, how).html));
      const texts = textsOf(html);
      expect(texts).not.toMatch(/[<>"']/);
      expect(texts.replace(/&#\d+;/g, '')).not.toContain('&');
      const shown = decoded(texts);
      for (const text of [...textsWithin(given.warnings), ...given.changes.map(({ field }) => field)]) {
        expect(shown).toContain(text);
      }
      if (how.inspect) {
        for (const { from, to } of given.changes) {
          for (const each of [from, to].flat()) if (typeof each === 'string') expect(shown).toContain(each);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('a page of a failure too', () => {
  fc.assert(
    fc.property(hostile, hostile, hostile, fc.integer(), (code, title, detail, status) => {
      const { html } = problemPage({ code, title, detail, status });
      expect(tagsOf(html)).toEqual(
        tagsOf(problemPage({ code: 'x', title: 'x', detail: 'x', status: 1 }).html),
      );
      expect(textsOf(html)).not.toMatch(/[<>"']/);
      expect(decoded(textsOf(html))).toContain(detail);
    }),
    { numRuns: 500 },
  );
});

test('no markup depends on a value in a tag, and none is a script', () => {
  fc.assert(
    fc.property(result, options, (given, how) => {
      for (const tag of tagsOf(resultPage(given, how).html)) {
        expect(tag).toMatch(
          /^<(!doctype html|html lang="en"|meta [a-z]+="[a-z0-9=, .-]+"( content="[a-z0-9=, .-]+")?|(?!script|iframe|object|embed|link|base|svg|math)[a-z][a-z0-9]*( class="(good|warn|bad|muted)")?|form method="post"|button type="submit"|\/[a-z0-9]+)>$/,
        );
      }
    }),
  );
});

describe('without inspect', () => {
  test('no value is in any answer', () => {
    const secret = fc.stringMatching(/^[a-z]{12}$/);
    fc.assert(
      fc.property(secret, options, fc.boolean(), (text, how, page) => {
        const given: Result = {
          action: 'update',
          contactId: '5',
          outcome: 'updated',
          userId: '1',
          warnings: [],
          changes: [
            { field: 'FIELD', from: text, to: [text, text] },
            { field: 'META', from: { a: text }, to: text },
          ],
        };
        const { body } = answerResult(given, { ...how, page, inspect: false });
        expect(body).not.toContain(text);
        if (page || how.dryRun) expect(body).toContain('FIELD');
      }),
    );
  });

  test('a password’s value is not even with it', () => {
    const given: Result = {
      action: 'update',
      contactId: '5',
      outcome: 'updated',
      warnings: [],
      changes: [{ field: 'password', from: 'SECRET', to: 'SECRET' }],
    };
    expect(resultPage(given, { dryRun: true, inspect: true, button: true }).html).not.toContain('SECRET');
  });
});

describe('a problem document', () => {
  const answer = (error: WpFusionError, page = false) =>
    answerProblem(
      { error, detail: error.message, errors: error.errors, action: null, contactId: null },
      page,
    );

  test.each(ERROR_CODES)('%s is complete, as JSON and as a page', (code) => {
    const error = new WpFusionError(code, 'What happened.');
    for (const page of [false, true]) {
      const { status, headers, body } = answer(error, page);
      expect(status).toBe(error.status);
      expect(headers['Cache-Control']).toBe('no-store');
      expect(headers['Content-Type']).toMatch(page ? /^text\/html/ : /^application\/problem\+json/);
      expect(headers.Allow).toBe(status === 405 ? 'GET, POST' : undefined);
      if (status === 503) expect(headers['Retry-After']).toMatch(/^[1-9]\d*$/);
      for (const part of ['What happened.', code]) expect(body).toContain(part);
    }
    const document = JSON.parse(answer(error).body) as { type: string };
    expect(document).toMatchObject({
      ok: false,
      title: expect.stringMatching(/./),
      status: error.status,
      detail: 'What happened.',
      code,
    });
    expect(URL.canParse(document.type)).toBe(true);
  });

  test.each([
    [0, '1'],
    [-5, '1'],
    [0.2, '1'],
    [1, '1'],
    [29.1, '30'],
    [3600, '3600'],
    [Number.NaN, '30'],
    [Infinity, '30'],
    [undefined, '30'],
  ])('Retry-After of %s is %s', (retryAfter, header) => {
    expect(answer(new WpFusionError('CRM_UNAVAILABLE', 'x', { retryAfter })).headers['Retry-After']).toBe(
      header,
    );
  });

  test('errors name the parameters', () => {
    const errors = [{ parameter: 'role', message: 'is odd' }];
    const { body } = answer(new WpFusionError('INVALID_REQUEST', 'role is odd.', { errors }));
    expect(JSON.parse(body)).toMatchObject({ errors });
  });
});
