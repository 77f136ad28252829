// Access keys: when they are checked, what a caller without one learns, and how guessing is slowed down.
import { wpFusionWebhook, type WpFusionWebhook } from '../../lib';
import { answerOf, open, send, type Incoming } from './client';
import {
  arrivalOf,
  HOSTS,
  onEach,
  PASSED_THROUGH,
  startHost,
  TWO_HOSTS,
  type Host,
  type Started,
} from './hosts';
import { capturingLogger, cheapHasher, CountingUsers, MemoryCrm } from './site';

const KEY = 'contract-key-4e1c0a77d2';
const TAGS_KEY = 'only-for-tags-7710cfe25d';
const WRONG = 'wrong-key-0000000000';

function makeSite() {
  const crm = new MemoryCrm();
  crm.add('7', { email: 'mary@example.com' });
  const users = new CountingUsers();
  const logger = capturingLogger();
  const webhook = wpFusionWebhook({
    accessKey: [KEY, { key: TAGS_KEY, actions: ['update_tags'] }],
    crm,
    users,
    passwordHasher: cheapHasher,
    bodyLimit: 1000,
    logger,
  });
  return { crm, users, logger, webhook };
}

const codeOf = ({ status, json }: Incoming): string => `${status} ${String(json?.code ?? '')}`;

describe('before the body is read', () => {
  const { webhook } = makeSite();
  let hosts: Started[] = [];
  beforeAll(async () => {
    const ours = HOSTS.filter((variant) => arrivalOf(variant, 'application/json') === 'stream');
    hosts = await Promise.all(
      ours.map(async (variant) => ({ variant, host: await startHost(variant, webhook) })),
    );
    await send(hosts[0]!.host.url, { path: `/?wpf_action=test&access_key=${KEY}` });
  });
  afterAll(async () => {
    await Promise.all(hosts.map(({ host }) => host.close()));
    await webhook.close();
  });

  /** The answer to a request whose body never ends. */
  async function answerToEndless(host: Host, path: string, headers: Record<string, string>, method = 'POST') {
    const sent = open(host.url, {
      method,
      path,
      headers: { 'Content-Type': 'application/json', ...headers },
      ownConnection: true,
    });
    const answer = answerOf(sent);
    sent.write('{"contact_id":"7",');
    try {
      return await answer;
    } finally {
      sent.destroy();
    }
  }

  const LENGTH = { 'Content-Length': '900' };
  test.each([
    ['a wrong key in the query', `?wpf_action=add&access_key=${WRONG}`, LENGTH, '403 INVALID_ACCESS_KEY'],
    [
      'a wrong key in the query, in chunks',
      `?wpf_action=add&access_key=${WRONG}`,
      {},
      '403 INVALID_ACCESS_KEY',
    ],
    ['a wrong key in the header', '?wpf_action=add', { 'X-Access-Key': WRONG }, '403 INVALID_ACCESS_KEY'],
    [
      'a wrong key in the query beside a right header',
      `?wpf_action=add&access_key=${WRONG}`,
      { 'X-Access-Key': KEY },
      '403 INVALID_ACCESS_KEY',
    ],
    [
      'a body that says it is too large',
      `?wpf_action=add&access_key=${KEY}`,
      { 'Content-Length': '1001' },
      '413 BODY_TOO_LARGE',
    ],
  ])('%s is refused', (_name, query, headers, expected) =>
    onEach(hosts, async ({ host }) =>
      expect(codeOf(await answerToEndless(host, `/${query}`, headers))).toBe(expected),
    ),
  );

  test('a wrong method is refused', () =>
    onEach(hosts, async ({ host }) => {
      const answer = await answerToEndless(host, `/?wpf_action=add&access_key=${KEY}`, LENGTH, 'PUT');
      expect(codeOf(answer)).toBe('405 METHOD_NOT_ALLOWED');
    }));
});

describe.each(TWO_HOSTS)('on Express $express', (variant) => {
  let host: Host;
  let site: ReturnType<typeof makeSite>;
  beforeAll(async () => void (host = await startHost(variant, undefined, { trustProxy: true })));
  afterAll(() => host.close());
  beforeEach(() => {
    site = makeSite();
    host.mount(site.webhook);
  });
  afterEach(() => site.webhook.close());

  const from = (
    address: string,
    query: string,
    more: { headers?: Record<string, string>; body?: string } = {},
  ) =>
    send(host.url, {
      path: `/?${query}`,
      ...more,
      headers: { 'X-Forwarded-For': address, ...more.headers },
    });
  const guess = async (address: string, times: number, key = WRONG): Promise<string[]> => {
    const answers: string[] = [];
    for (let count = 0; count < times; count += 1) {
      answers.push(codeOf(await from(address, `wpf_action=test&access_key=${key}${count}`)));
    }
    return answers;
  };
  const hasRight = async (address: string): Promise<string> =>
    codeOf(await from(address, `wpf_action=test&access_key=${KEY}`));

  const REFUSED = '403 INVALID_ACCESS_KEY';
  const THROTTLED = '429 TOO_MANY_ATTEMPTS';

  describe('a caller without a valid key', () => {
    test('learns nothing, and nothing is looked up for it', async () => {
      const received: unknown[] = [];
      site.webhook.on('webhook.received', (event) => void received.push(event));
      const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
      const answers = [
        await from('9.0.0.1', 'wpf_action=add&contact_id=7'),
        await from('9.0.0.1', 'wpf_action=add&contact_id=404&dry_run=1'),
        await from('9.0.0.1', `wpf_action=update&contact_id=x&access_key=${WRONG}`),
        await from('9.0.0.1', `wpf_action=nonsense&access_key=${WRONG}`),
        await from('9.0.0.1', 'wpf_action=update_tags', { headers: { Authorization: `Bearer ${WRONG}` } }),
        await from('9.0.0.1', 'wpf_action=test', { headers: { 'X-Access-Key': WRONG } }),
        await from('9.0.0.1', 'wpf_action=add', { headers: form, body: 'contact_id=7' }),
        await from('9.0.0.1', 'wpf_action=add', { headers: form, body: `access_key=${WRONG}&contact_id=7` }),
        await from('9.0.0.1', 'wpf_action=add', { headers: { 'Content-Type': 'text/xml' }, body: '<a/>' }),
      ];
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
      expect(answers[0]!.json).toEqual({
        ok: false,
        type: expect.any(String),
        title: expect.any(String),
        status: 403,
        detail: expect.any(String),
        code: 'INVALID_ACCESS_KEY',
      });
      expect(received).toEqual([]);
      const { crm, users } = site;
      expect({ crm: crm.reads, reads: users.reads, writes: users.writes }).toEqual({
        crm: 0,
        reads: 0,
        writes: 0,
      });
    });

    test('leaves no key in log or event, be it wrong or right', async () => {
      const events: unknown[] = [];
      for (const name of ['webhook.received', 'webhook.processed', 'webhook.failed'] as const) {
        site.webhook.on(name, (event) => void events.push(name, event));
      }
      await from('9.0.0.2', `wpf_action=add&contact_id=7&access_key=${WRONG}`);
      await from('9.0.0.2', `wpf_action=add&contact_id=7&access_key=${KEY}&dry_run=${KEY}`);
      await from('9.0.0.2', `wpf_action=${KEY}&access_key=${KEY}`);
      await from('9.0.0.2', `wpf_action=update&contact_id=55&access_key=${KEY}`);
      await from('9.0.0.2', `wpf_action=add&contact_id=7&access_key=${TAGS_KEY}`);
      const told = JSON.stringify(events) + site.logger.lines.join('\n');
      expect(told).toContain('webhook.failed');
      expect(told).toContain('webhook.processed');
      for (const key of [KEY, TAGS_KEY, WRONG]) expect(told).not.toContain(key);
    });
  });

  describe('the throttle', () => {
    test('refuses an address after 20 wrong keys, and says for how long', async () => {
      expect(new Set(await guess('9.1.0.1', 20))).toEqual(new Set([REFUSED]));
      const answer = await from('9.1.0.1', `wpf_action=test&access_key=${WRONG}`);
      expect(codeOf(answer)).toBe(THROTTLED);
      const seconds = Number(answer.headers['retry-after']);
      expect(seconds).toBeGreaterThanOrEqual(1);
      expect(seconds).toBeLessThanOrEqual(60);
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(answer.headers['cache-control']).toBe('no-store');
    });

    test('does not even compare the key then', async () => {
      await guess('9.1.0.2', 20);
      expect(await hasRight('9.1.0.2')).toBe(THROTTLED);
      expect(codeOf(await from('9.1.0.2', 'wpf_action=test'))).toBe(THROTTLED);
    });

    test('lets other addresses in, and requests that are not ours', async () => {
      await guess('9.1.0.3', 21);
      expect(await hasRight('9.1.0.4')).toBe('200 ');
      expect((await from('9.1.0.3', 'a=b')).status).toBe(PASSED_THROUGH);
    });

    test('counts a wrong key wherever it stands', async () => {
      const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
      for (let count = 0; count < 5; count += 1) {
        await from('9.1.0.5', `wpf_action=test&access_key=${WRONG}`);
        await from('9.1.0.5', 'wpf_action=test', { headers: { 'X-Access-Key': WRONG } });
        await from('9.1.0.5', 'wpf_action=test', { headers: { Authorization: `Bearer ${WRONG}` } });
        expect(await hasRightAfter(count)).toBe(REFUSED);
      }
      expect(await hasRight('9.1.0.5')).toBe(THROTTLED);

      async function hasRightAfter(count: number): Promise<string> {
        return codeOf(
          await from('9.1.0.5', 'wpf_action=test', { headers: form, body: `access_key=${WRONG}${count}` }),
        );
      }
    });

    test('does not count a missing key', async () => {
      for (let count = 0; count < 25; count += 1) {
        expect(codeOf(await from('9.1.0.6', 'wpf_action=test'))).toBe(REFUSED);
        expect(codeOf(await from('9.1.0.6', 'wpf_action=test&access_key='))).toBe(REFUSED);
      }
      expect(await hasRight('9.1.0.6')).toBe('200 ');
    });

    test('does not count a key that is valid and not allowed the action', async () => {
      for (let count = 0; count < 25; count += 1) {
        const answer = await from('9.1.0.7', `wpf_action=add&contact_id=7&access_key=${TAGS_KEY}`);
        expect(codeOf(answer)).toBe(REFUSED);
      }
      expect(await hasRight('9.1.0.7')).toBe('200 ');
    });

    test('never refuses an address that has shown a valid key', async () => {
      expect(await hasRight('9.1.0.8')).toBe('200 ');
      expect(new Set(await guess('9.1.0.8', 30))).toEqual(new Set([REFUSED]));
      expect(await hasRight('9.1.0.8')).toBe('200 ');
    });

    test('takes the addresses of one IPv6 network for one', async () => {
      for (let count = 0; count < 20; count += 1) await guess(`2001:db8:1:2::${count}`, 1);
      expect(await hasRight('2001:db8:1:2:ffff::1')).toBe(THROTTLED);
      expect(await hasRight('2001:db8:1:3::1')).toBe('200 ');
    });

    test('is each middleware’s own', async () => {
      await guess('9.1.0.9', 20);
      const other: WpFusionWebhook = makeSite().webhook;
      host.mount(other);
      expect(await hasRight('9.1.0.9')).toBe('200 ');
      await other.close();
    });
  });
});
