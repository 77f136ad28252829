// Requests that are not ours reach the host as if we were not there; those that are, are known whatever they look like.
import type { RequestHandler } from 'express';
import { PassThrough } from 'node:stream';
import { wpFusionWebhook, type WebhookRequest } from '../../lib';
import { answerOf, open, send } from './client';
import { arrivalOf, HOSTS, onEach, PASSED_THROUGH, startHost, type Started } from './hosts';
import { cheapHasher, CountingUsers, MemoryCrm } from './site';

const KEY = 'contract-key-4e1c0a77d2';
const JSON_TYPE = 'application/json';
const FORM = 'application/x-www-form-urlencoded';

const crm = new MemoryCrm();
const users = new CountingUsers();
const webhook = wpFusionWebhook({ accessKey: KEY, crm, users, passwordHasher: cheapHasher, logger: false });

/** Express 4 sets `query`, Express 5 has a getter for it that parses anew each time. Here it may not be touched at all. */
const noQuery: RequestHandler = (request, _response, next) => {
  Object.defineProperty(request, 'query', {
    configurable: true,
    get: () => {
      throw new Error('req.query was read.');
    },
  });
  next();
};

/** The host's route: tells what it got, and reads the body from the stream where nobody has. */
const route: RequestHandler = (request, response) => {
  const { method, url, readableDidRead, readableFlowing } = request;
  const body: unknown = request.body;
  const answer = (stream: string | undefined): void =>
    void response
      .status(PASSED_THROUGH)
      .json({ method, url, body: Buffer.isBuffer(body) ? body.toString() : body, stream, readableFlowing });
  if (readableDidRead) {
    answer(undefined);
    return;
  }
  let text = '';
  request
    .setEncoding('utf8')
    .on('data', (chunk: string) => (text += chunk))
    .on('end', () => answer(text));
};

let hosts: Started[] = [];
beforeAll(async () => {
  hosts = await Promise.all(
    HOSTS.map(async (variant) => ({
      variant,
      host: await startHost(variant, webhook, { first: noQuery, route }),
    })),
  );
});
afterAll(async () => {
  await Promise.all(hosts.map(({ host }) => host.close()));
  await webhook.close();
});
afterEach(() => {
  for (const { host } of hosts) expect(host.errors.splice(0)).toEqual([]);
  expect({ reads: crm.reads, users: users.reads }).toEqual({ reads: 0, users: 0 });
});

describe('a request that is not ours', () => {
  test.each([
    '/',
    '/?a=b&c=d',
    '/?access_key=x&contact_id=5&action=add',
    '/?xwpf_action=add',
    '/?wpf_actions=add',
    '/?wpf_action_=add',
    '/?wpf-action=add',
    '/?wpf_actio=n',
    '/?WPF_ACTION=add',
    '/?wpf_action%00=add',
    '/?wpf_action[]=add',
    '/?wpf_action%5B%5D=add',
    '/?data[wpf_action]=add',
    '/?a=wpf_action',
    '/?a=wpf_action%3Dadd',
    '/?next=/login?wpf_action=add',
    '/?next=%2Flogin%3Fwpf_action%3Dadd',
    '/?a=b%26wpf_action=add',
    '/?a%26wpf_action=add',
    '/?wpf%255Faction=add',
    '/?%E0%A4%A=1&%zz=%',
    '/?a;wpf_action=add',
    '/wpf_action=add',
    '/wpf_action/?a=b',
    '/&wpf_action=add',
    '/%3Fwpf_action=add',
    `/?${'a=b&'.repeat(500)}`,
  ])('%s', (path) =>
    onEach(hosts, async ({ host }) => {
      const { status, json } = await send(host.url, { path });
      expect({ status, json }).toEqual({
        status: PASSED_THROUGH,
        json: expect.objectContaining({
          method: 'GET',
          url: new URL(host.url).pathname.replace(/\/$/, '') + path,
        }),
      });
    }),
  );

  test.each(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND'])('by %s', (method) =>
    onEach(hosts, async ({ host }) => {
      const { status, json } = await send(host.url, { method, path: '/?a=b' });
      expect({ status, method: json.method }).toEqual({ status: PASSED_THROUGH, method });
    }),
  );

  test.each([
    [JSON_TYPE, '{"wpf_actions":"add","access_key":"x"}'],
    [JSON_TYPE, '{"data":{"wpf_action":"add"}}'],
    [JSON_TYPE, '[{"wpf_action":"add"}]'],
    [JSON_TYPE, '[["wpf_action","add"]]'],
    [JSON_TYPE, '{"__proto__":{"wpf_action":"add"}}'],
    [FORM, 'xwpf_action=add&wpf_actions=add'],
    [FORM, 'a[wpf_action]=add'],
    ['text/plain', 'wpf_action=add'],
    ['application/octet-stream', '{"wpf_action":"add"}'],
    ['text/xml', '<wpf_action>add</wpf_action>'],
  ])('with a body of %s: %s', (type, body) =>
    onEach(hosts, async ({ variant, host }) => {
      const { status, json } = await send(host.url, {
        path: '/?a=b',
        headers: { 'Content-Type': type },
        body,
      });
      expect(status).toBe(PASSED_THROUGH);
      // Behind parsers that took it the body is what they made of it, else the stream still has every byte.
      if (arrivalOf({ ...variant, order: 'before' }, type) === 'stream') expect(json.stream).toBe(body);
      else expect(json).not.toHaveProperty('stream');
    }),
  );

  test('whose body is an unread stream keeps it, untouched, however large and slow', () =>
    onEach(
      hosts.filter(({ variant }) => arrivalOf({ ...variant, order: 'before' }, 'text/xml') === 'stream'),
      async ({ host }) => {
        const sent = open(host.url, {
          path: '/?a=b',
          headers: { 'Content-Type': 'text/xml', 'Transfer-Encoding': 'chunked' },
        });
        const answer = answerOf(sent);
        const chunk = 'wpf_action '.repeat(10_000);
        for (let count = 0; count < 3; count += 1) {
          await new Promise((resolve) => sent.write(chunk, resolve));
        }
        sent.end();
        const { status, json } = await answer;
        expect({ status, length: json.stream.length, flowing: json.readableFlowing }).toEqual({
          status: PASSED_THROUGH,
          length: 3 * chunk.length,
          flowing: null,
        });
      },
    ));

  test('by JSON is parsed by the host’s parser behind ours as ever', () =>
    onEach(
      hosts.filter(({ variant }) => ['json', 'all'].includes(variant.parsers)),
      async ({ host }) => {
        const { json } = await send(host.url, {
          path: '/',
          headers: { 'Content-Type': JSON_TYPE },
          body: '{"a":{"b":1}}',
        });
        expect(json.body).toEqual({ a: { b: 1 } });
      },
    ));
});

describe('a request that is ours', () => {
  test.each([
    '?wpf_action=test',
    '?wpf%5Faction=test',
    '?wpf%5faction=test',
    '?%77pf_action=test',
    '?%77%70%66%5F%61%63%74%69%6F%6E=test',
    '?a=b&wpf_action=test',
    '?a=%20&wpf%5Faction=test',
    '?&&wpf_action=test',
    '?wpf_action=test&wpf_actions=add',
    '?next=/?wpf_actions&wpf_action=test',
    '?%zz=%&wpf_action=test',
    '/?wpf_action=test',
    '/any/path/at/all?wpf_action=test',
  ])('%s', (path) =>
    onEach(hosts, async ({ host }) => {
      const full = path.startsWith('?') ? `/${path}` : path;
      const { status, json } = await send(host.url, { path: full, headers: { 'X-Access-Key': KEY } });
      expect({ status, json }).toEqual({ status: 200, json: { ok: true, action: 'test' } });
    }),
  );

  test('by its body, on the hosts that parse it before us', () =>
    onEach(hosts, async ({ variant, host }) => {
      for (const [type, body] of [
        [JSON_TYPE, JSON.stringify({ wpf_action: 'test', access_key: KEY })],
        [FORM, `wpf_action=test&access_key=${KEY}`],
        [FORM, `wpf%5Faction=test&access_key=${KEY}`],
      ] as const) {
        const { status } = await send(host.url, { path: '/', headers: { 'Content-Type': type }, body });
        expect(status).toBe(arrivalOf(variant, type) === 'object' ? 200 : PASSED_THROUGH);
      }
    }));

  test('is not taken outside of the path that we are mounted on', () =>
    onEach(
      hosts.filter(({ variant }) => variant.mount !== '/'),
      async ({ host }) => {
        const { status } = await send(host.origin, { path: `/?wpf_action=test&access_key=${KEY}` });
        expect(status).toBe(PASSED_THROUGH);
      },
    ));
});

describe('outside of Express', () => {
  /** A request as bare as Node makes it, of which only what is given may be looked at. */
  const bare = (given: Partial<WebhookRequest>): WebhookRequest =>
    new Proxy(given as WebhookRequest, {
      get: (target, name) => {
        if (name !== 'url' && name !== 'body') throw new Error(`${String(name)} was read.`);
        return Reflect.get(target, name);
      },
      getOwnPropertyDescriptor: () => {
        throw new Error('It was looked through.');
      },
    });
  const response = new Proxy({} as never, {
    get: (_target, name) => {
      throw new Error(`response.${String(name)} was read.`);
    },
  });

  test.each([
    {},
    { url: '/' },
    { url: '' },
    { url: '/?a=b', body: undefined },
    { url: '/?a=b', body: null },
    { url: '/?a=b', body: 'wpf_action=add' },
    { url: '/?a=b', body: Buffer.from('wpf_action=add') },
    { url: '/?a=b', body: ['wpf_action'] },
    { url: '/?a=b', body: 5 },
    { url: '/?a=b', body: Object.create({ wpf_action: 'add' }) },
    { url: '/?a=b', body: new PassThrough() },
  ])('only url and body are looked at: %j', (given) => {
    const calls: unknown[][] = [];
    webhook(bare(given), response, (...args) => void calls.push(args));
    expect(calls).toEqual([[]]);
  });
});
