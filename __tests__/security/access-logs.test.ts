// The access logs that hosts have, morgan's and pino-http's, tell everything of a webhook but its key; the webhook arrives all the same.
import fc from 'fast-check';
import morgan from 'morgan';
import { PassThrough } from 'node:stream';
import pino from 'pino';
import pinoHttp from 'pino-http';
import type { Request, RequestHandler } from 'express';
import { redactRequest, redactUrl, wpFusionWebhook, type WpFusionWebhook } from '../../lib';
import { send } from '../http/client';
import { startHost, TWO_HOSTS, type Host } from '../http/hosts';
import { capturingLogger, cheapHasher, CountingUsers, MemoryCrm } from '../http/site';
import { Haystack } from './haystack';

const KEY = 'Kéy"With\\odd?%+/chars;&=<1>#';
const ENCODED = encodeURIComponent(KEY);

describe.each(TWO_HOSTS)('on Express $express', (variant) => {
  let host: Host | undefined;
  let webhook: WpFusionWebhook | undefined;
  afterEach(async () => {
    await host?.close();
    await webhook?.close();
  });

  /** A site whose log stands before everything else, as usual. */
  async function startSite(log: RequestHandler) {
    const crm = new MemoryCrm();
    crm.add('7', { email: 'mary@example.com' });
    const seen: (string | undefined)[] = [];
    webhook = wpFusionWebhook({
      accessKey: KEY,
      crm,
      users: new CountingUsers(),
      passwordHasher: cheapHasher,
      logger: capturingLogger(),
    });
    host = await startHost(variant, webhook, {
      first: (request, response, next) =>
        log(request, response, () => {
          seen.push(request.url, request.originalUrl);
          next();
        }),
    });
    return { url: host.url, seen };
  }

  /** Sends the key in every place that there is, and gives what stood in the URLs. */
  async function sendAll(url: string): Promise<number[]> {
    const paths = [
      `/?wpf_action=add&access_key=${ENCODED}&contact_id=7`,
      `/?wpf_action=update&contact_id=7&access%5Fkey=${ENCODED}`,
      `/?wpf_action=test&access_key=${new URLSearchParams({ '': KEY }).toString().slice(1)}`,
    ];
    const answers = await Promise.all([
      ...paths.map((path) => send(url, { path })),
      ...[{ 'X-Access-Key': KEY }, { Authorization: `Bearer ${KEY}` }].map((headers) =>
        send(url, { path: '/?wpf_action=test', headers }),
      ),
      send(url, {
        path: `/?wpf_action=test&access_key=${ENCODED}`,
        headers: {
          Referer: `https://example.com/login?next=${encodeURIComponent(`/?access_key=${ENCODED}`)}`,
          'X-Forwarded-Uri': `/?access_key=${ENCODED}`,
          'X-Original-URL': `https://example.com/?wpf_action=test&access_key=${ENCODED}`,
        },
      }),
    ]);
    return answers.map(({ status }) => status);
  }

  function expectNoKey(lines: readonly string[]): void {
    const haystack = new Haystack();
    haystack.add('the log', lines.join('\n'));
    expect(haystack.search([{ label: 'the access key', text: KEY }])).toEqual([]);
    expect(lines.join('\n')).not.toMatch(/odd/);
  }

  test.each(['combined', 'common', 'dev', 'short', 'tiny'])('morgan, %s', async (format) => {
    const lines: string[] = [];
    morgan.token('url', (request: Request) => redactUrl(request.originalUrl));
    morgan.token('referrer', (request: Request) => redactUrl(request.headers.referer ?? ''));
    const { url, seen } = await startSite(morgan(format, { stream: { write: (line) => lines.push(line) } }));
    expect(new Set(await sendAll(url))).toEqual(new Set([200]));
    expect(lines).toHaveLength(6);
    expect(lines.join()).toMatch(/wpf_action=add&access_key=\[redacted\]&contact_id=7/);
    expectNoKey(lines);
    // What the middleware and everybody behind the log see is what was sent.
    expect(seen.join()).toContain(`access_key=${ENCODED}`);
  });

  test.each([
    ['its own serializer', {}],
    ['quiet', { quietReqLogger: true }],
    ['with a logger of the host’s that has serializers of its own', { logged: true }],
  ])(
    'pino-http, %s',
    async (_name, { logged, ...options }: { logged?: boolean; quietReqLogger?: boolean }) => {
      const stream = new PassThrough();
      const lines: string[] = [];
      stream.on('data', (chunk: Buffer) => lines.push(chunk.toString()));
      const serializers = { req: redactRequest };
      const log =
        logged === true
          ? pinoHttp({ logger: pino({}, stream), serializers })
          : pinoHttp({ serializers, ...options }, stream);
      const { url, seen } = await startSite(log);
      expect(new Set(await sendAll(url))).toEqual(new Set([200]));
      expectNoKey(lines);
      if (options.quietReqLogger !== true) {
        const requests = lines
          .join('')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line).req);
        expect(requests).toHaveLength(6);
        expect(requests).toContainEqual(
          expect.objectContaining({
            method: 'GET',
            url: expect.stringMatching(/\?wpf_action=add&access_key=\[redacted\]&contact_id=7$/),
            query: { wpf_action: 'add', access_key: '[redacted]', contact_id: '7' },
            remotePort: expect.any(Number),
          }),
        );
        expect(requests.map(({ headers }) => headers['x-access-key'] ?? headers.authorization)).toEqual(
          expect.arrayContaining(['[redacted]']),
        );
      }
      expect(seen.join()).toContain(`access_key=${ENCODED}`);
    },
  );
});

describe('redactUrl', () => {
  test.each([
    ['/', '/'],
    ['/?a=b', '/?a=b'],
    ['/?access_key=k', '/?access_key=[redacted]'],
    ['/?access_key=', '/?access_key=[redacted]'],
    ['/?access_key', '/?access_key'],
    ['/?a=1&access_key=k&b=%20x', '/?a=1&access_key=[redacted]&b=%20x'],
    ['/?ACCESS_KEY=k', '/?ACCESS_KEY=[redacted]'],
    ['/?access-key=k', '/?access-key=[redacted]'],
    ['/?access_key[]=k&access_key[1]=l', '/?access_key[]=[redacted]&access_key[1]=[redacted]'],
    ['/?%61ccess%5fkey=k', '/?%61ccess%5fkey=[redacted]'],
    ['/?access_key=k;l?m#n', '/?access_key=[redacted]'],
    ['/?wpf_action=add?access_key=k', '/?wpf_action=[redacted]'],
    ['/login?next=%2F%3Fa%3Db%26access_key%3Dk', '/login?next=[redacted]'],
    ['/login?next=%252F%253Faccess_key%253Dk', '/login?next=[redacted]'],
    ['/to/%3Faccess_key%3Dk?x=1', '[redacted]?x=1'],
    ['/docs/access_key', '/docs/access_key'],
    ['/?access_key%3Dk', '/?[redacted]'],
    ['/?a=%E0%A4%A&access_key=%E0%A4%A', '/?a=%E0%A4%A&access_key=[redacted]'],
    ['https://example.com/?access_key=k', 'https://example.com/?access_key=[redacted]'],
    ['', ''],
  ])('%s', (url, expected) => expect(redactUrl(url)).toBe(expected));

  test('whatever the key, whatever stands around it', () => {
    const key = fc.string({ minLength: 8, unit: 'grapheme' }).filter((text) => text.trim().length >= 8);
    const around = fc.array(fc.tuple(fc.constantFrom('a', 'contact_id', 'next'), fc.webQueryParameters()));
    fc.assert(
      fc.property(key, around, fc.nat(3), (text, others, encodings) => {
        let value = encodeURIComponent(Buffer.from(text).toString());
        for (let round = 0; round < encodings; round += 1) value = encodeURIComponent(value);
        const before = others.map(([name, other]) => `${name}=${encodeURIComponent(other)}`);
        const url = `/?${[...before, `access_key=${value}`, 'wpf_action=add'].join('&')}`;
        expect(redactUrl(url)).toBe(`/?${[...before, 'access_key=[redacted]', 'wpf_action=add'].join('&')}`);
      }),
    );
  });

  test('takes time that grows with its length only', () => {
    // A second of CPU is a thousand times what it takes; what backtracks would never come to its end.
    for (const unit of ['%', '%25', 'access_key', '=', '&', '?', '%2525%', 'access_key=&', '[']) {
      const { user } = process.cpuUsage();
      redactUrl(unit.repeat(20_000));
      expect(process.cpuUsage().user - user).toBeLessThan(1_000_000);
    }
  });
});

describe('redactRequest', () => {
  test('gives a copy, and leaves what it was given as it is', () => {
    const given = {
      id: 7,
      url: '/?access_key=k',
      query: { access_key: 'k', a: ['b'], data: { access_key: 'k' } },
      params: Object.create(null) as object,
      headers: { authorization: 'Basic k', 'x-access-key': 'k', 'set-cookie': ['a=b'], host: 'x' },
    };
    const before = structuredClone(given);
    expect(redactRequest(given)).toEqual({
      id: 7,
      url: '/?access_key=[redacted]',
      query: { access_key: '[redacted]', a: ['b'], data: { access_key: '[redacted]' } },
      params: {},
      headers: {
        authorization: '[redacted]',
        'x-access-key': '[redacted]',
        'set-cookie': ['a=b'],
        host: 'x',
      },
    });
    expect(given).toEqual(before);
  });

  test('comes to an end, whatever refers to itself', () => {
    const circular: { self?: object; url: string } = { url: '/?access_key=k' };
    circular.self = circular;
    expect(JSON.stringify(redactRequest(circular))).not.toContain('access_key=k');
  });
});
