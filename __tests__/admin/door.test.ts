// Who gets to the admin pages, on which paths, and what no other website can do with them.
import express from 'express';
import { MemoryUserRepository, OntraportClient, wpFusionWebhook, type Logger } from '../../lib';
import { wpFusionAdmin } from '../../lib/admin';
import { KEYS, openSite } from './site';

const PAGES = ['', 'activity', 'dead-letters', 'urls'];

describe('construction', () => {
  const webhook = wpFusionWebhook({
    accessKey: KEYS.ontraport,
    crm: new OntraportClient({ appId: 'app', apiKey: 'key' }),
    users: new MemoryUserRepository(),
    logger: false,
  });
  afterAll(() => webhook.close());

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'authorize'],
    ['no authorize', {}, 'authorize'],
    ['an authorize that is no function', { authorize: true }, 'authorize'],
    ['a misspelt option', { authorise: () => true }, 'authorise'],
    ['a wrong url', { authorize: () => true, url: 'example.com' }, 'url'],
    ['a wrong inspect', { authorize: () => true, inspect: 'yes' }, 'inspect'],
  ])('%s is refused by name', (_what, options, option) => {
    expect(() => wpFusionAdmin(webhook, options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option }),
    );
  });

  test('what is no webhook of ours is refused', () => {
    const other = (() => undefined) as unknown as typeof webhook;
    expect(() => wpFusionAdmin(other, { authorize: () => true })).toThrow(
      expect.objectContaining({ option: 'webhook' }),
    );
  });

  test('the request of the host is what authorize gets, by its type too', () => {
    const options = { authorize: (request: express.Request) => request.hostname === 'localhost' };
    const app = express();
    app.use('/admin', wpFusionAdmin(webhook, options));
  });
});

describe('authorize', () => {
  test.each<[string, () => unknown]>([
    ['false', () => false],
    ['a promise of false', async () => false],
    ['something that is only like true', () => 1],
    ['nothing', () => undefined],
  ])('%s: 403, and nothing is shown', async (_what, authorize) => {
    const site = await openSite({ admin: { authorize: authorize as never } });
    const id = site.sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id);
    const [record] = await site.webhook.activity.list();
    expect((await fetch(`${site.url}admin`, { redirect: 'manual' })).status).toBe(403);
    for (const path of [...PAGES, `activity/${record!.id}`, 'nowhere']) {
      const { status, text } = await site.get(path);
      expect([path, status]).toEqual([path, 403]);
      expect(text).not.toContain('contact');
    }
    const { status } = await site.post(`activity/${record!.id}/replay`);
    expect(status).toBe(403);
    expect(await site.webhook.activity.list()).toHaveLength(1);
  });

  test('one that throws: 500, and the log says why', async () => {
    const lines: unknown[] = [];
    const keep = (...line: unknown[]): void => void lines.push(line);
    const logger: Logger = { debug: keep, info: keep, warn: keep, error: keep };
    const authorize = (): never => {
      throw new Error(`the session store is down, ${KEYS.ontraport}`);
    };
    const site = await openSite({ admin: { authorize }, webhook: { logger } });
    const { status, html } = await site.get('');
    expect(status).toBe(500);
    expect(html).not.toContain('session store');
    expect(JSON.stringify(lines)).toContain('the session store is down');
    expect(JSON.stringify(lines)).not.toContain(KEYS.ontraport);
  });

  test('the host’s own request is asked about', async () => {
    const seen: unknown[] = [];
    const site = await openSite({
      before: (app) =>
        app.use((request, _response, next) => {
          Object.assign(request, { user: 'Ann' });
          next();
        }),
      admin: { authorize: (request) => seen.push((request as { user?: string }).user) > 0 },
    });
    expect((await site.get('')).status).toBe(200);
    expect(seen).toEqual(['Ann']);
  });
});

describe.each([4, 5] as const)('on Express %i', (version) => {
  test.each(['/admin', '/', '/a/b'])('on %s every page is there', async (mount) => {
    const site = await openSite({ express: version, mount });
    for (const path of PAGES) {
      const { status, headers, html } = await site.get(path);
      expect([path, status]).toEqual([path, 200]);
      expect(headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
      expect(headers.get('cache-control')).toBe('no-store');
      // Every link leads to a page, whatever the path of the mount.
      for (const [, link = ''] of html.matchAll(/<a [^>]*?href="([^"#]+)"/g)) {
        if (link.startsWith('https://')) continue;
        const target = new URL(link.replaceAll('&#38;', '&'), `${site.adminUrl}${path}`);
        expect(target.href.startsWith(site.adminUrl)).toBe(true);
        expect([link, (await fetch(target)).status]).toEqual([link, 200]);
      }
    }
  });

  test.each(['urlencoded', 'json', 'text', 'none'] as const)(
    'a form arrives behind the parser %s',
    async (parser) => {
      const site = await openSite({
        express: version,
        before: (app, module) => {
          if (parser === 'urlencoded') app.use(module.urlencoded({ extended: true }));
          if (parser === 'json') app.use(module.json());
          if (parser === 'text') app.use(module.text({ type: '*/*' }));
        },
      });
      const id = site.sandbox.addContact({ email: 'mary@example.com' });
      const { status, text } = await site.post('urls', { contact: id, action: 'add' });
      expect(status).toBe(200);
      expect(text).toContain('A user would be created.');
    },
  );
});

test('without its slash at the end the first page leads to itself', async () => {
  const site = await openSite();
  const response = await fetch(`${site.url}admin?range=week`, { redirect: 'manual' });
  expect(response.status).toBe(303);
  expect(new URL(response.headers.get('location')!, `${site.url}admin`).href).toBe(
    `${site.url}admin/?range=week`,
  );
});

test.each([
  ['PUT', 'activity', 405],
  ['DELETE', 'activity', 405],
  ['POST', 'activity', 404],
  ['GET', 'nowhere', 404],
  ['GET', 'activity/%zz', 400],
  ['GET', 'activity/unknown', 404],
  ['POST', 'activity/unknown/replay', 400],
  ['POST', 'activity/%zz/replay', 400],
])('%s %s: %i, with a page', async (method, path, status) => {
  const site = await openSite();
  const response = await fetch(`${site.adminUrl}${path}`, { method });
  expect(response.status).toBe(status);
  expect(response.headers.get('content-type')).toContain('text/html');
  expect(await response.text()).toContain('<h1>');
});

test('a form that is too large is refused', async () => {
  const site = await openSite();
  const { status } = await site.post('urls', { contact: 'x'.repeat(200_000) });
  expect(status).toBe(413);
});

describe('a form of another website', () => {
  test.each<[string, Record<string, string>, number]>([
    ['told by the browser', { 'Sec-Fetch-Site': 'cross-site' }, 403],
    ['of a sister domain', { 'Sec-Fetch-Site': 'same-site' }, 403],
    ['by its origin', { Origin: 'https://evil.example' }, 403],
    ['without an origin of its own', { Origin: 'null' }, 403],
    ['on this machine, on another port', { Origin: 'http://127.0.0.1:1' }, 403],
    [
      'none: of the page itself',
      { 'Sec-Fetch-Site': 'same-origin', Origin: 'https://behind-a-proxy.example' },
      200,
    ],
    ['none: no browser at all', {}, 200],
  ])('%s', async (_what, headers, status) => {
    const site = await openSite();
    const id = site.sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id);
    const [record] = await site.webhook.activity.list();
    expect((await site.post(`activity/${record!.id}/replay`, {}, headers)).status).toBe(status);
    expect(await site.webhook.activity.list()).toHaveLength(status === 200 ? 2 : 1);
  });

  test('none: the origin of the page over plain HTTP', async () => {
    const site = await openSite();
    const id = site.sandbox.addContact({ email: 'mary@example.com' });
    const { origin } = new URL(site.url);
    expect((await site.post('urls', { contact: id, action: 'add' }, { Origin: origin })).status).toBe(200);
  });
});
