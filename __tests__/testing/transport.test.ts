// Checklist 1 to 6: credentials, rate limit, envelope, bodies, unknown paths.
import type { Json } from './helpers';
import { call, startSandbox } from './helpers';

const UNAUTHORIZED = 'Your App ID and API Key do not authenticate.';

describe('1. credentials', () => {
  test.each([
    ['no key', { 'Api-Key': '' }],
    ['a wrong key', { 'Api-Key': 'wrong' }],
    ['no app id', { 'Api-Appid': '' }],
    ['a wrong app id', { 'Api-Appid': 'wrong' }],
  ])('%s: 401 with the exact text, before path and parameters are looked at', async (_, headers) => {
    const sandbox = await startSandbox();
    for (const path of ['/Contacts', '/Contact', '/no/such/path']) {
      const answer = await call(sandbox, 'GET', path, undefined, headers);
      expect(answer.status).toBe(401);
      expect(answer.text).toBe(UNAUTHORIZED);
      expect(answer.headers.get('content-type')).toBe('text/html;charset=UTF-8');
    }
    expect(sandbox.calls.map((one) => one.authenticated)).toEqual([false, false, false]);
  });

  test('header names are case-insensitive, and given credentials are the ones that work', async () => {
    const sandbox = await startSandbox({ appId: '2_7_mine', apiKey: 'my-key' });
    expect([sandbox.appId, sandbox.apiKey]).toEqual(['2_7_mine', 'my-key']);
    const headers = { 'API-APPID': '2_7_mine', 'api-key': 'my-key' };
    const response = await fetch(`${sandbox.baseUrl}/Contacts`, { headers });
    expect(response.status).toBe(200);
    await response.text();
  });
});

describe('2. and 3. rate limit', () => {
  test('every answer has the headers, 401 and 404 included', async () => {
    const sandbox = await startSandbox();
    const answers = [
      await call(sandbox, 'GET', '/Contacts'),
      await call(sandbox, 'GET', '/Contacts', undefined, { 'Api-Key': 'wrong' }),
      await call(sandbox, 'GET', '/Contact?id=1'),
    ];
    expect(answers.map((answer) => answer.status)).toEqual([200, 401, 404]);
    expect(answers.map((answer) => answer.headers.get('x-rate-limit-limit'))).toEqual(['180', '180', '180']);
    expect(answers.map((answer) => answer.headers.get('x-rate-limit-remaining'))).toEqual([
      '179',
      '178',
      '177',
    ]);
    for (const answer of answers) {
      expect(Number(answer.headers.get('x-rate-limit-reset'))).toBeGreaterThanOrEqual(1);
      expect(Number(answer.headers.get('x-rate-limit-reset'))).toBeLessThanOrEqual(60);
    }
  });

  test('the window rolls; refused calls do not count', async () => {
    let now = 1_000_000;
    const sandbox = await startSandbox({ rateLimit: { limit: 2, windowMs: 60_000 }, now: () => now });
    const get = () => call(sandbox, 'GET', '/Contacts');
    expect((await get()).status).toBe(200);
    now += 40_000;
    expect((await get()).status).toBe(200);
    for (let attempt = 0; attempt < 3; attempt++) {
      const refused = await get();
      expect(refused.status).toBe(429);
      expect(refused.text).toBe('You have exceeded your maximum rate limit of 2 requests per minute');
      expect(refused.headers.get('x-rate-limit-remaining')).toBe('0');
      expect(refused.headers.get('x-rate-limit-reset')).toBe('20');
      expect(refused.headers.get('retry-after')).toBeNull();
    }
    now += 20_000; // the first call leaves the window, the second is still in it
    expect((await get()).status).toBe(200);
    expect((await get()).status).toBe(429);
    expect(sandbox.peakCallsInWindow).toBe(2);
    expect(sandbox.rejectedCalls).toBe(4);
    expect(sandbox.callCount((one) => one.status === 429)).toBe(4);
  });

  test('knobs: Retry-After, another limit, calls that others spend', async () => {
    const sandbox = await startSandbox({
      rateLimit: { limit: 5 },
      retryAfterHeader: true,
      now: () => 1_000_000,
    });
    sandbox.spendCalls(3);
    expect((await call(sandbox, 'GET', '/Contacts')).headers.get('x-rate-limit-remaining')).toBe('1');
    sandbox.spendCalls(10);
    const refused = await call(sandbox, 'GET', '/Contacts');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60']);
    sandbox.setRateLimit({ limit: 360 });
    expect((await call(sandbox, 'GET', '/Contacts')).headers.get('x-rate-limit-remaining')).toBe('354');
  });

  test('a refused write changes nothing', async () => {
    const sandbox = await startSandbox({ rateLimit: { limit: 0 } });
    const id = sandbox.addContact({ firstname: 'Mary' });
    expect((await call(sandbox, 'PUT', '/Contacts', { id, firstname: 'Ann' })).status).toBe(429);
    expect(sandbox.contact(id)!.firstname).toBe('Mary');
  });
});

describe('4. envelope', () => {
  test('code 0, data, account_id as a number', async () => {
    const sandbox = await startSandbox();
    const answer = await call(sandbox, 'GET', '/Contacts');
    expect(answer.json).toEqual({ code: 0, data: [], account_id: 50, misc: [] });
    expect(answer.headers.get('content-type')).toBe('application/json');
  });

  test('knob: account_id as text', async () => {
    const sandbox = await startSandbox({ accountIdAsString: true });
    expect((await call(sandbox, 'GET', '/Contacts')).json.account_id).toBe('50');
  });
});

describe('5. bodies', () => {
  const write = async (body: string, contentType: string | undefined): Promise<string | null> => {
    const sandbox = await startSandbox();
    const id = sandbox.addContact({ firstname: 'Mary' });
    const headers = contentType === undefined ? {} : { 'Content-Type': contentType };
    // A typed array, because fetch gives text a content type of its own.
    const response = await fetch(`${sandbox.baseUrl}/Contacts`, {
      method: 'PUT',
      headers: { 'Api-Appid': sandbox.appId, 'Api-Key': sandbox.apiKey, ...headers },
      body: new TextEncoder().encode(body),
    });
    await response.text();
    expect(sandbox.calls[0]!.contentType).toBe(contentType);
    return sandbox.contact(id)!.firstname!;
  };

  test.each([
    ['JSON', '{"id":1,"firstname":"Ann"}', 'application/json'],
    ['a form', 'id=1&firstname=Ann', 'application/x-www-form-urlencoded'],
    ['JSON without a content type', '{"id":"1","firstname":"Ann"}', undefined],
    ['JSON that says it is a form', '{"id":"1","firstname":"Ann"}', 'application/x-www-form-urlencoded'],
    ['JSON with an odd content type', ' {"id":"1","firstname":"Ann"}', 'text/plain'],
  ])('accepts %s', async (_, body, contentType) => {
    expect(await write(body, contentType)).toBe('Ann');
  });

  test('a body that says it is JSON and is not: 400', async () => {
    const sandbox = await startSandbox();
    expect(
      (await call(sandbox, 'POST', '/Contacts', '{"id":', { 'Content-Type': 'application/json' })).status,
    ).toBe(400);
    expect(
      (await call(sandbox, 'POST', '/Contacts', 'a=1', { 'Content-Type': 'application/json' })).status,
    ).toBe(400);
  });

  test('DELETE takes parameters from the query or from a JSON body', async () => {
    const sandbox = await startSandbox();
    const [one, other] = [sandbox.addContact(), sandbox.addContact()];
    expect((await call(sandbox, 'DELETE', `/Contact?id=${one}`)).status).toBe(200);
    expect((await call(sandbox, 'DELETE', '/object', { objectID: 0, id: other })).status).toBe(200);
    expect(sandbox.contacts()).toEqual([]);
  });

  test('keys that aim at prototypes stay keys', async () => {
    const sandbox = await startSandbox();
    const form =
      '__proto__[polluted]=1&constructor[prototype][polluted]=1&a[__proto__][polluted]=1&a[b][]=1&a[b][]=2';
    await call(sandbox, 'POST', '/Contacts', form);
    await call(sandbox, 'POST', '/Contacts', '{"__proto__":{"polluted":"1"},"firstname":"Ann"}');
    expect(({} as Json).polluted).toBeUndefined();
    const [body] = sandbox.calls.map((one) => one.body as Json);
    expect(Object.keys(body)).toEqual(['__proto__', 'constructor', 'a']);
    expect(body.a.b).toEqual({ 0: '1', 1: '2' });
    expect(sandbox.contacts().map((contact) => contact.firstname)).toEqual(['', 'Ann']);
  });
});

test('6. unknown paths are 404, wrong verbs 405, as text', async () => {
  const sandbox = await startSandbox();
  const unknown = await call(sandbox, 'GET', '/contacts');
  expect([unknown.status, unknown.json]).toEqual([404, undefined]);
  expect((await call(sandbox, 'PATCH', '/Contacts')).status).toBe(405);
  expect((await call(sandbox, 'PUT', '/Contact?id=1')).status).toBe(405);
  expect((await fetch(new URL('/2/Contacts', sandbox.baseUrl))).status).toBe(404);
});
