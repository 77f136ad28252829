// What a person sees who tries a webhook's URL in a browser.
import { createHash } from 'node:crypto';
import { wpFusionWebhook, type WpFusionWebhookOptions } from '../../lib';
import { send, type Incoming } from './client';
import { startHost, type Host, type HostVariant } from './hosts';
import { cheapHasher, CountingUsers, MemoryCrm, newUser } from './site';

const KEY = 'contract-key-4e1c0a77d2';
const INSPECT_KEY = 'one-that-may-look-91b5d0';
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';
const SCRIPT = '<script>alert(1)</script>';
const IMAGE = '"><img src=x onerror=alert(1)>';

const VARIANTS: readonly HostVariant[] = ([4, 5] as const).flatMap((express): HostVariant[] => [
  { express, parsers: 'none', order: 'before', mount: '/' },
  { express, parsers: 'all', order: 'before', mount: '/hooks' },
]);

function makeSite(options: Partial<WpFusionWebhookOptions> = {}) {
  const crm = new MemoryCrm();
  crm.add('7', { email: 'mary@example.com', firstname: 'Mary', lastname: 'Smith' }, ['Customer']);
  crm.add('8', { email: 'eve@example.com', firstname: SCRIPT, lastname: IMAGE }, [IMAGE, SCRIPT, 'a&b']);
  const users = new CountingUsers();
  const hookCalls: string[] = [];
  const webhook = wpFusionWebhook({
    accessKey: [KEY, { key: INSPECT_KEY, inspect: true }],
    crm,
    users,
    passwordHasher: cheapHasher,
    hooks: {
      beforeCreate: ({ user }) => {
        hookCalls.push('beforeCreate');
        return user;
      },
      afterCreate: () => void hookCalls.push('afterCreate'),
    },
    actions: {
      greet: async () => {
        hookCalls.push('greet');
        return { outcome: SCRIPT };
      },
    },
    logger: false,
    ...options,
  });
  return { crm, users, webhook, hookCalls };
}

/** Every tag of a page, in order. */
const tagsOf = (html: string): string[] => html.match(/<[^>]*>/g) ?? [];
const textOf = (html: string): string =>
  html
    .replace(/<style>.*<\/style>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&#(\d+);/g, (_whole, code: string) => String.fromCharCode(Number(code)))
    .replace(/\s+/g, ' ');

function expectPage({ status, headers, text }: Incoming, expectedStatus = 200): void {
  expect(status).toBe(expectedStatus);
  expect(headers['content-type']).toBe('text/html; charset=utf-8');
  expect(headers['cache-control']).toBe('no-store');
  expect(headers['referrer-policy']).toBe('no-referrer');
  expect(headers['x-robots-tag']).toContain('noindex');
  expect(headers['x-frame-options']).toBe('DENY');

  const policy = new Map(
    String(headers['content-security-policy'])
      .split(';')
      .map((directive) => directive.trim().split(' '))
      .map(([name = '', ...values]) => [name, values.join(' ')]),
  );
  expect(policy.get('default-src')).toBe("'none'");
  expect(policy.get('frame-ancestors')).toBe("'none'");
  expect(policy.has('script-src')).toBe(false);
  expect(String(headers['content-security-policy'])).not.toContain('unsafe');

  // The one style sheet is allowed by its hash, or the page would stand there bare.
  const style = /<style>(.*)<\/style>/s.exec(text)?.[1] ?? '';
  expect(policy.get('style-src')).toBe(`'sha256-${createHash('sha256').update(style).digest('base64')}'`);

  expect(text).toMatch(/^<!doctype html>/);
  for (const tag of tagsOf(text))
    expect(tag).not.toMatch(/<script|<img|<iframe|<link|<base|\son\w+=|\sstyle=|https?:/i);
  expect(text).not.toContain(KEY);
  expect(text).not.toContain(INSPECT_KEY);
}

const hasButton = ({ text }: Incoming): boolean => /<form[^>]*>.*<button[^>]*type="submit"[^>]*>/s.test(text);

describe.each(VARIANTS)('Express $express, $parsers, on $mount', (variant) => {
  let host: Host;
  let site: ReturnType<typeof makeSite>;
  beforeAll(async () => void (host = await startHost(variant)));
  afterAll(() => host.close());
  const use = (options?: Partial<WpFusionWebhookOptions>): void => {
    site = makeSite(options);
    host.mount(site.webhook);
  };
  beforeEach(() => use());
  afterEach(() => site.webhook.close());

  const ask = (
    query: Record<string, string>,
    {
      method = 'GET',
      key = KEY,
      accept = BROWSER,
      headers = {},
    }: { method?: string; key?: string; accept?: string; headers?: Record<string, string> } = {},
  ): Promise<Incoming> =>
    send(host.url, {
      method,
      path: `/?${new URLSearchParams({ access_key: key, ...query }).toString()}`,
      headers: {
        Accept: accept,
        ...(method === 'POST' ? { 'Content-Type': 'application/x-www-form-urlencoded' } : {}),
        ...headers,
      },
    });
  const ADD = { wpf_action: 'add', contact_id: '7' };
  const nothingHappened = (): void => {
    expect({ users: site.users.memory.all(), crm: site.crm.writes, hooks: site.hookCalls }).toEqual({
      users: [],
      crm: 0,
      hooks: [],
    });
  };

  describe('a GET', () => {
    test('is a dry run with a button that sends the real thing', async () => {
      const answer = await ask(ADD);
      expectPage(answer);
      nothingHappened();
      const text = textOf(answer.text);
      for (const part of ['add', 'contact 7', 'would be created', 'nothing has been changed'])
        expect(text).toContain(part);
      for (const field of ['email', 'username', 'role', 'firstName', 'lastName', 'tags'])
        expect(text).toContain(field);
      expect(hasButton(answer)).toBe(true);

      // The form has no address of its own, so it goes to the page's: query, key and all.
      const form = tagsOf(answer.text).find((tag) => tag.startsWith('<form'));
      expect(form).toMatch(/method="post"/i);
      expect(form).not.toMatch(/action=/i);

      const result = await ask(ADD, { method: 'POST' });
      expectPage(result);
      expect(hasButton(result)).toBe(false);
      expect(textOf(result.text)).toContain('was created');
      expect(textOf(result.text)).not.toContain('would');
      expect(site.users.memory.all()).toMatchObject([{ contactId: '7', email: 'mary@example.com' }]);
      expect(site.hookCalls).toEqual(['beforeCreate', 'afterCreate']);
    });

    test('of an existing user tells what would change', async () => {
      await site.users.memory.create(
        newUser({ contactId: '7', meta: { firstName: 'Old' }, tags: ['Customer'] }),
      );
      const before = site.users.memory.all();
      const answer = await ask({ wpf_action: 'update', contact_id: '7' }, { key: INSPECT_KEY });
      expectPage(answer);
      expect(textOf(answer.text)).toContain('Old → Mary');
      expect(textOf(answer.text)).not.toContain('mary@example.com');
      expect(site.users.memory.all()).toEqual(before);
    });

    test.each(['update', 'update_tags'])('%s of nobody says so', async (action) => {
      const answer = await ask({ wpf_action: action, contact_id: '7' });
      expectPage(answer);
      expect(textOf(answer.text)).toContain('USER_NOT_FOUND');
      nothingHappened();
    });

    test('of test needs no button', async () => {
      const answer = await ask({ wpf_action: 'test' });
      expectPage(answer);
      expect(hasButton(answer)).toBe(false);
    });

    test('of the host’s own action does not run it; the button does', async () => {
      const looked = await ask({ wpf_action: 'greet' });
      expectPage(looked);
      expect(hasButton(looked)).toBe(true);
      nothingHappened();
      const ran = await ask({ wpf_action: 'greet' }, { method: 'POST' });
      expectPage(ran);
      expect(site.hookCalls).toEqual(['greet']);
      expect(textOf(ran.text)).toContain(SCRIPT);
    });

    test('with dry_run stays one when it is posted', async () => {
      expectPage(await ask({ ...ADD, dry_run: '1' }));
      expectPage(await ask({ ...ADD, dry_run: '1' }, { method: 'POST' }));
      nothingHappened();
    });

    test('shows warnings', async () => {
      const answer = await ask({ ...ADD, role: 'king', send_notification: 'yes' });
      expect(textOf(answer.text)).toContain('ROLE_NOT_ASSIGNABLE');
      expect(textOf(answer.text)).toContain('NOTIFIER_NOT_CONFIGURED');
    });

    test.each(['Sec-Purpose', 'Purpose', 'X-Moz'])(
      'that only prefetches (%s) is refused, and nothing is read',
      async (name) => {
        const answer = await ask(ADD, { headers: { [name]: 'prefetch' } });
        expectPage(answer, 400);
        expect(hasButton(answer)).toBe(false);
        expect({ crm: site.crm.reads, users: site.users.reads }).toEqual({ crm: 0, users: 0 });
      },
    );
  });

  describe('who gets a page', () => {
    test.each([
      [BROWSER, true],
      ['text/html', true],
      ['text/html, application/json;q=0.9', true],
      ['application/json;q=0.2, text/html;q=0.3', true],
      ['*/*', false],
      ['application/json', false],
      ['application/json, text/html', false],
      ['text/html;q=0.5, application/json', false],
      ['application/problem+json', false],
      ['text/html;q=0', false],
      ['text/plain', false],
      ['', false],
      ['nonsense', false],
    ])('%j: %s', async (accept, page) => {
      const { headers, status } = await ask({ wpf_action: 'test' }, { accept });
      expect({ status, page: headers['content-type']?.startsWith('text/html') }).toEqual({
        status: 200,
        page,
      });
    });

    test('a GET that wants JSON is the real thing', async () => {
      const { json } = await ask(ADD, { accept: 'application/json' });
      expect(json).toMatchObject({ ok: true, outcome: 'created' });
      expect(site.users.memory.all()).toHaveLength(1);
    });
  });

  describe('a failure', () => {
    test.each([
      ['a wrong key', 403, 'INVALID_ACCESS_KEY', ADD, { key: 'wrong-key-wrong-key' }],
      ['an unknown action', 400, 'UNKNOWN_ACTION', { wpf_action: SCRIPT }, {}],
      ['a wrong parameter', 400, 'INVALID_REQUEST', { wpf_action: 'add', contact_id: IMAGE }, {}],
      ['a wrong method', 405, 'METHOD_NOT_ALLOWED', ADD, { method: 'PUT' }],
      ['an unknown contact', 404, 'CONTACT_NOT_FOUND', { wpf_action: 'add', contact_id: '404' }, {}],
    ] as const)('by %s is a page too', async (_name, status, code, query, more) => {
      const answer = await ask(query, more);
      expectPage(answer, status);
      expect(hasButton(answer)).toBe(false);
      expect(textOf(answer.text)).toContain(code);
      expect(answer.headers.allow).toBe(status === 405 ? 'GET, POST' : undefined);
      nothingHappened();
    });
  });

  describe('values', () => {
    const VALUES = ['mary@example.com', 'Mary', 'Smith', 'Customer'];

    test('are not for a key without inspect', async () => {
      const dry = await ask({ ...ADD, dry_run: '1' }, { accept: 'application/json' });
      expect(dry.json.changes).toContainEqual({ field: 'firstName' });
      for (const change of dry.json.changes) expect(Object.keys(change)).toEqual(['field']);
      const answers = [dry, await ask(ADD), await ask(ADD, { method: 'POST' })];
      for (const { text } of answers) {
        expect(text).toContain('firstName');
        for (const value of VALUES) expect(text).not.toContain(value);
      }
    });

    test('are for one with it', async () => {
      const looked = await ask(ADD, { key: INSPECT_KEY });
      for (const value of VALUES) expect(textOf(looked.text)).toContain(value);
      const { json } = await ask({ ...ADD, dry_run: '1' }, { key: INSPECT_KEY, accept: '*/*' });
      expect(json.changes).toContainEqual({ field: 'firstName', from: null, to: 'Mary' });
      expect(json.changes).toContainEqual({ field: 'tags', from: [], to: ['Customer'] });
      const posted = await ask(ADD, { key: INSPECT_KEY, method: 'POST' });
      for (const value of VALUES) expect(textOf(posted.text)).toContain(value);
    });

    test('are not for two keys of which one may not', async () => {
      const answer = await ask(ADD, { key: INSPECT_KEY, headers: { 'X-Access-Key': KEY } });
      for (const value of VALUES) expect(answer.text).not.toContain(value);
    });

    test('of a password are for nobody', async () => {
      await site.webhook.close();
      use({ fields: { password: 'f1557' }, passwordOnUpdate: true });
      site.crm.add('9', { email: 'ann@example.com', f1557: 'Chosen-Secret-1' });
      await site.users.memory.create(
        newUser({ contactId: '9', email: 'ann@example.com', passwordHash: 'cheap:old' }),
      );
      const query = { wpf_action: 'update', contact_id: '9' };
      const looked = await ask(query, { key: INSPECT_KEY });
      const dry = await ask({ ...query, dry_run: '1' }, { key: INSPECT_KEY, accept: '*/*' });
      const posted = await ask(query, { key: INSPECT_KEY, method: 'POST' });
      expect(dry.json.changes).toEqual([{ field: 'password' }]);
      for (const { text } of [looked, dry, posted]) {
        expect(text).toContain('password');
        expect(text).not.toContain('Secret');
        expect(text).not.toContain('cheap:');
      }
    });

    test('never become markup', async () => {
      const harmless = await ask(ADD, { key: INSPECT_KEY });
      const hostile = await ask({ ...ADD, contact_id: '8' }, { key: INSPECT_KEY });
      expectPage(hostile);
      expect(tagsOf(hostile.text)).toEqual(tagsOf(harmless.text));
      for (const value of [SCRIPT, IMAGE, 'a&b']) expect(textOf(hostile.text)).toContain(value);
    });

    test('of parameters never become markup either', async () => {
      const harmless = await ask({ wpf_action: 'nonsense' });
      for (const name of [SCRIPT, IMAGE]) {
        const hostile = await ask({ wpf_action: name });
        expectPage(hostile, 400);
        expect(tagsOf(hostile.text)).toEqual(tagsOf(harmless.text));
      }
    });
  });
});
