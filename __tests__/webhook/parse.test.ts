// Whatever a request holds, it becomes a webhook or an error with a code.
import fc from 'fast-check';
import { Readable } from 'node:stream';
import { codeOf, WpFusionError } from '../../lib/errors';
import type { Webhook } from '../../lib/queue/webhook';
import { WebhookParser } from '../../lib/webhook/parse';
import {
  isWebhook,
  readParsedBody,
  readQuery,
  readStream,
  type Body,
  type Parameters,
  type WebhookRequest,
} from '../../lib/webhook/read';

const PATTERN = /^\d{1,20}$/;
const parser = new WebhookParser(PATTERN, new Set(['greet', 'constructor']));
const NAMES = [
  'wpf_action',
  'contact_id',
  'contactId',
  'id',
  'data[id]',
  'role',
  'email',
  'send_notification',
  'async',
  'dry_run',
  'access_key',
  'data',
  '__proto__',
  'constructor',
];

/** What a parser makes of parameters: a webhook, or the error, which has to be one of those a request may cause. */
function parsed(parameters: Parameters): Webhook | WpFusionError {
  try {
    return parser.parse(parser.action(parameters), parameters);
  } catch (error) {
    expect(['UNKNOWN_ACTION', 'INVALID_REQUEST']).toContain(codeOf(error));
    return error as WpFusionError;
  }
}

/** A webhook is right whatever it was made from; an error says what is wrong with what. */
function checkParsed(result: Webhook | WpFusionError): void {
  if (result instanceof WpFusionError) {
    expect(result.status).toBe(400);
    expect(result.message).toMatch(/./);
    if (result.code === 'INVALID_REQUEST') {
      expect(result.errors!.length).toBeGreaterThan(0);
      const named = result.errors!.map(({ parameter }) => parameter);
      expect(new Set(named).size).toBe(named.length);
      for (const { message } of result.errors!) expect(message.length).toBeLessThan(400);
    }
    return;
  }
  const { action, contactId, sendNotification, dryRun, role, emails } = result;
  expect(['add', 'update', 'update_tags', 'test', 'greet', 'constructor']).toContain(action);
  if (['add', 'update', 'update_tags'].includes(action)) expect(contactId).toMatch(PATTERN);
  expect([typeof sendNotification, typeof dryRun]).toEqual(['boolean', 'boolean']);
  if (role !== undefined) expect(role).toMatch(/\S/);
  for (const email of emails) expect(email).toMatch(/^[^\s@]+@[^\s@]+$/);
  expect(structuredClone(result)).toEqual(result);
  expect(Object.keys(result.parameters)).not.toContain('access_key');
}

const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...NAMES) },
  { weight: 1, arbitrary: fc.string() },
);
const text = fc.oneof(
  fc.constantFrom(
    'add',
    'ADD',
    'update',
    'update_tags',
    'test',
    'greet',
    'constructor',
    '1',
    'true',
    'no',
    '55',
    '[Contact ID]',
    'a@b.c',
    '',
    ' ',
  ),
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 400 }),
);
const parameters = fc
  .array(
    fc.tuple(
      name,
      fc.array(fc.oneof({ weight: 9, arbitrary: text }, { weight: 1, arbitrary: fc.constant(null) }), {
        maxLength: 3,
      }),
    ),
  )
  .map((entries): Parameters => new Map(entries));

const requestOf = (given: object): WebhookRequest => ({ headers: {}, ...given }) as unknown as WebhookRequest;
const paramsOf = (body: Body): Parameters =>
  body !== undefined && 'parameters' in body ? body.parameters : new Map();

describe('parsing', () => {
  test('no parameters make it throw an error without a code', () => {
    fc.assert(
      fc.property(parameters, (given) => checkParsed(parsed(given))),
      { numRuns: 2000 },
    );
  });

  test('no query makes it throw an error without a code', () => {
    const query = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.tuple(name, text)).map((pairs) => pairs.map((pair) => pair.join('=')).join('&')),
      fc
        .array(fc.tuple(name, text))
        .map((pairs) => new URLSearchParams(pairs.map(([key, value]) => [key, value])).toString()),
    );
    fc.assert(
      fc.property(query, (given) => {
        const request = requestOf({ url: `/?${given}` });
        expect(typeof isWebhook(request)).toBe('boolean');
        checkParsed(parsed(readQuery(request)));
      }),
      { numRuns: 2000 },
    );
  });

  test('no body that a parser left does either', () => {
    const body = fc.oneof(
      fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withTypedArray: true,
        withNullPrototype: true,
        withSparseArray: true,
      }),
      fc.dictionary(name, fc.anything()),
      fc.json(),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    const type = fc.constantFrom(
      'application/json',
      'application/x-www-form-urlencoded',
      'text/plain',
      ';',
      undefined,
    );
    fc.assert(
      fc.property(body, type, (given, contentType) => {
        const request = requestOf({ url: '/', body: given, headers: { 'content-type': contentType } });
        expect(typeof isWebhook(request)).toBe('boolean');
        const read = readParsedBody(request)?.body;
        if (read !== undefined && 'trouble' in read)
          expect(['INVALID_BODY', 'UNSUPPORTED_MEDIA_TYPE']).toContain(read.trouble.code);
        checkParsed(parsed(paramsOf(read)));
      }),
      { numRuns: 2000 },
    );
  });

  test('no stream does either', async () => {
    const type = fc.constantFrom(
      'application/json',
      'application/x-www-form-urlencoded',
      'text/plain',
      undefined,
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.uint8Array(),
            fc.json().map((json) => Buffer.from(json)),
          ),
        ),
        type,
        async (chunks, contentType) => {
          const stream = Readable.from(
            chunks.map((chunk) => Buffer.from(chunk)),
            { objectMode: false },
          );
          const request = Object.assign(stream, {
            url: '/',
            headers: { 'content-type': contentType, 'transfer-encoding': 'chunked' },
          }) as unknown as WebhookRequest;
          const read = await readStream(request, 50, new AbortController().signal);
          if (read !== undefined && 'trouble' in read) {
            expect(['INVALID_BODY', 'UNSUPPORTED_MEDIA_TYPE', 'BODY_TOO_LARGE']).toContain(read.trouble.code);
          }
          checkParsed(parsed(paramsOf(read)));
          stream.destroy();
        },
      ),
    );
  });

  test('a query is understood as it was meant', () => {
    fc.assert(
      fc.property(
        fc.record({
          contact_id: fc.stringMatching(/^[0-9]{1,20}$/),
          role: fc.string({ minLength: 1, maxLength: 100 }),
          send_notification: fc.constantFrom('true', 'Yes', '1', 'ON', 'false', 'No', '0', 'oFF'),
        }),
        (given) => {
          fc.pre(given.role.trim() !== '');
          const query = new URLSearchParams({ ...given, wpf_action: 'aDD' }).toString();
          const role = new URLSearchParams(query).get('role')!.trim();
          expect(parsed(readQuery(requestOf({ url: `/?${query}` })))).toMatchObject({
            action: 'add',
            contactId: given.contact_id,
            role,
            sendNotification: ['true', 'yes', '1', 'on'].includes(given.send_notification.toLowerCase()),
            dryRun: false,
          });
        },
      ),
    );
  });

  test('the same parameters mean the same as query, form, JSON and object', () => {
    const values = fc.dictionary(
      fc.constantFrom(...NAMES.filter((each) => each !== '__proto__')),
      fc.string(),
    );
    fc.assert(
      fc.property(values, (given) => {
        const form = new URLSearchParams(given).toString();
        // A lone surrogate does not survive the encoding of a URL.
        const plain = Object.fromEntries(new URLSearchParams(form));
        const read = (headers: object, body: unknown): unknown =>
          outcome(paramsOf(readParsedBody(requestOf({ url: '/', headers, body }))?.body));
        const expected = outcome(readQuery(requestOf({ url: `/?${form}` })));
        expect(read({ 'content-type': 'application/x-www-form-urlencoded' }, form)).toEqual(expected);
        expect(read({ 'content-type': 'application/json' }, JSON.stringify(plain))).toEqual(expected);
        expect(read({ 'content-type': 'application/json' }, Buffer.from(JSON.stringify(plain)))).toEqual(
          expected,
        );
        expect(read({}, plain)).toEqual(expected);
      }),
    );

    function outcome(given: Parameters): unknown {
      const result = parsed(given);
      return result instanceof WpFusionError
        ? { code: result.code, message: result.message, errors: result.errors }
        : result;
    }
  });
});

describe('what an action cannot do without', () => {
  test.each([
    ['add', [], false],
    ['add', [['contact_id', '']], false],
    ['add', [['contact_id', '5']], true],
    ['update', [['data[id]', '5']], true],
    ['update_tags', [['id', '5']], true],
    ['test', [], true],
    ['greet', [], true],
    ['constructor', [], true],
  ] as const)('%s with %j: %s', (action, pairs, complete) => {
    const given: Parameters = new Map(pairs.map(([key, value]) => [key, [value]]));
    expect(parser.isComplete(action, given)).toBe(complete);
  });
});

describe('where a CRM’s webhooks carry the contact id', () => {
  const parserOf = (...names: string[]): WebhookParser =>
    new WebhookParser(PATTERN, new Set(['greet']), names);
  const idOf = (names: string[], body: object, action = 'update'): string | null => {
    const given = paramsOf(readParsedBody(requestOf({ url: '/', body }))!.body);
    return parserOf(...names).parse(action, given).contactId;
  };
  const names = ['contact[id]', 'objectId'];

  test.each<[string, object, string]>([
    ['contact_id first of all', { contact_id: '1', contact: { id: '2' } }, '1'],
    ['then the client’s own, nested', { contact: { id: '2' }, id: '9' }, '2'],
    ['as a form without nesting has it', { 'contact[id]': '2', contactId: '9' }, '2'],
    ['its second one', { objectId: 3, id: '9' }, '3'],
    ['those that always count', { contact: { email: 'a@b.c' }, data: { id: '4' } }, '4'],
  ])('%s', (_what, body, id) => {
    expect(idOf(names, body)).toBe(id);
  });

  test('is not looked for elsewhere', () => {
    expect(() => idOf([], { contact: { id: '2' } })).toThrow('contact_id is missing or empty');
    expect(() => idOf(names, { contact: { contact: { id: '2' } } })).toThrow(
      'contact_id is missing or empty',
    );
  });

  test('is checked like any other, and told by its name', () => {
    expect(() => idOf(names, { contact: { id: 'x' } })).toThrow(
      'contact_id is no contact id of this CRM: "x"',
    );
    expect(() => idOf(names, { contact: { id: ['2', '3'] } })).toThrow(/\(as contact\[id\]\) is given twice/);
  });

  test('completes a request, so that its body is not waited for', () => {
    const given = readQuery(requestOf({ url: '/?wpf_action=add&contact[id]=2' }));
    expect(parserOf(...names).isComplete('add', given)).toBe(true);
    expect(parserOf().isComplete('add', given)).toBe(false);
  });

  test('counts for an action of the host’s where it could be a contact’s', () => {
    expect(idOf(names, { objectId: 'something else' }, 'greet')).toBeNull();
    expect(idOf(names, { objectId: '3' }, 'greet')).toBe('3');
  });
});
