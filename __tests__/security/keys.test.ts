// What an access key is worth: it is compared in constant time, can be changed while webhooks arrive, and cannot be guessed from
// one place, whatever proxies say.
import * as crypto from 'node:crypto';
import express from 'express';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MemoryUserRepository, wpFusionWebhook, type AccessKey, type WpFusionWebhook } from '../../lib';
import { Authenticator } from '../../lib/webhook/authenticate';
import { send } from '../http/client';
import { startHost, TWO_HOSTS, type Host } from '../http/hosts';
import { cheapHasher, MemoryCrm } from '../http/site';

jest.mock('node:crypto', () => {
  const actual = jest.requireActual<typeof crypto>('node:crypto');
  return { ...actual, timingSafeEqual: jest.fn(actual.timingSafeEqual) };
});
const comparisons = jest.mocked(crypto.timingSafeEqual);

const OLD = 'the-old-key-5f0c2a91';
const NEW = 'the-new-key-77b1e0d4';
const WRONG = 'wrong-key-0000000000';

function makeSite(accessKey: AccessKey | readonly AccessKey[]): WpFusionWebhook {
  const crm = new MemoryCrm();
  crm.add('7', { email: 'mary@example.com' });
  return wpFusionWebhook({
    accessKey,
    crm,
    users: new MemoryUserRepository(),
    passwordHasher: cheapHasher,
    logger: false,
  });
}

describe('comparing', () => {
  const KEYS = ['short-11', 'a-key-of-medium-length', 'x'.repeat(500)].map((key) => ({
    ...{ key, name: key, actions: undefined, inspect: false },
  }));

  test.each([
    ['the first', KEYS[0]!.key],
    ['the last', KEYS[2]!.key],
    ['none', WRONG],
    ['none, by its last character', `${KEYS[2]!.key.slice(0, -1)}y`],
    ['none, by its first', `y${KEYS[0]!.key.slice(1)}`],
    ['none: empty', ''],
    ['none: of ten thousand characters', 'x'.repeat(10_000)],
  ])('does the same work, whichever key it is: %s', (_name, candidate) => {
    const authenticator = new Authenticator(KEYS);
    comparisons.mockClear();
    authenticator.check([candidate]);
    // Every key, each time, in digests of one length: neither place nor length nor number of right characters shows.
    expect(comparisons).toHaveBeenCalledTimes(KEYS.length);
    for (const [one, other] of comparisons.mock.calls)
      expect([one.byteLength, other.byteLength]).toEqual([32, 32]);
  });

  test('digests are no use elsewhere: each process has its own salt', () => {
    const digests = [1, 2].map(() => {
      comparisons.mockClear();
      new Authenticator(KEYS).check([WRONG]);
      return Buffer.from(comparisons.mock.calls[0]![1] as Uint8Array).toString('hex');
    });
    expect(digests[0]).not.toBe(digests[1]);
  });
});

describe.each(TWO_HOSTS)('on Express $express', (variant) => {
  let host: Host;
  beforeAll(async () => void (host = await startHost(variant)));
  afterAll(() => host.close());

  test('a key is rotated without one webhook refused', async () => {
    const named = (key: string, name: string): AccessKey => ({ key, name });
    const deployments = [
      [named(OLD, 'old')],
      [named(NEW, 'new'), named(OLD, 'old')],
      [named(NEW, 'new'), named(OLD, 'old')],
      [named(NEW, 'new')],
    ];
    // Rules are changed one after the other, between the second deployment and the last.
    const rules = [OLD, OLD, OLD];
    const used: string[] = [];
    for (const [number, keys] of deployments.entries()) {
      const webhook = makeSite(keys);
      webhook.on('webhook.received', ({ key }) => void used.push(`${number} ${key}`));
      host.mount(webhook);
      for (const [index] of rules.entries()) {
        if (number === 2) rules[index] = NEW;
        const answers = await Promise.all(
          rules.map((key) => send(host.url, { path: `/?wpf_action=add&contact_id=7&access_key=${key}` })),
        );
        expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      }
      await webhook.close();
    }
    // Whether the old one may go is told by the events: since the rules were changed nobody shows it any more.
    expect(used.filter((one) => one === '2 old')).toHaveLength(3);
    expect(new Set(used.slice(used.lastIndexOf('2 old') + 1))).toEqual(new Set(['2 new', '3 new']));
    expect((await send(host.url, { path: `/?wpf_action=test&access_key=${OLD}` })).status).toBe(403);
  });
});

describe('the throttle behind proxies', () => {
  let server: Server | undefined;
  let webhook: WpFusionWebhook | undefined;
  afterEach(async () => {
    server?.closeAllConnections();
    server?.close();
    await webhook?.close();
  });

  async function startSite(
    trustProxy: unknown,
  ): Promise<(forwarded: string | undefined, key: string) => Promise<number>> {
    const app = express();
    if (trustProxy !== undefined) app.set('trust proxy', trustProxy);
    webhook = makeSite(NEW);
    app.use(webhook);
    const listening = (server = app.listen(0, '127.0.0.1'));
    await new Promise((resolve) => listening.once('listening', resolve));
    const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
    return async (forwarded, key) => {
      const headers = forwarded === undefined ? {} : { 'X-Forwarded-For': forwarded };
      return (await send(url, { path: `/?wpf_action=test&access_key=${key}`, headers })).status;
    };
  }

  /** The answer to the right key after 20 wrong ones, each from where `from` says. */
  async function afterGuessing(
    ask: (forwarded: string | undefined, key: string) => Promise<number>,
    from: (guess: number) => string | undefined,
    then: string | undefined = from(0),
  ): Promise<number> {
    for (let guess = 0; guess < 20; guess += 1) expect([403, 429]).toContain(await ask(from(guess), WRONG));
    return ask(then, NEW);
  }

  test('one proxy, trusted: whatever a client says of itself, its own address counts', async () => {
    const ask = await startSite(1);
    expect(await afterGuessing(ask, (guess) => `10.9.8.${guess}, 203.0.113.5`)).toBe(429);
    expect(await ask('203.0.113.5, 203.0.113.6', NEW)).toBe(200);
  });

  test('two proxies, by their networks', async () => {
    const ask = await startSite(['loopback', '10.0.0.0/8']);
    expect(await afterGuessing(ask, (guess) => `192.0.2.${guess}, 203.0.113.5, 10.1.2.3`)).toBe(429);
    expect(await ask('203.0.113.6, 10.1.2.3', NEW)).toBe(200);
  });

  test('one that adds the port of each connection', async () => {
    const ask = await startSite(1);
    expect(await afterGuessing(ask, (guess) => `203.0.113.5:${50_000 + guess}`)).toBe(429);
    expect(await afterGuessing(ask, (guess) => `[2001:db8:1:2::${guess}]:${50_000 + guess}`)).toBe(429);
    expect(await ask('203.0.113.6:50000', NEW)).toBe(200);
  });

  test('IPv6: a customer’s network is one place', async () => {
    const ask = await startSite(1);
    expect(await afterGuessing(ask, (guess) => `2001:db8:1:2:${guess}::1`)).toBe(429);
    expect(await ask('2001:db8:1:3::1', NEW)).toBe(200);
  });

  test('none trusted: what the header says does not count', async () => {
    const ask = await startSite(undefined);
    expect(await afterGuessing(ask, (guess) => `203.0.113.${guess}`)).toBe(429);
  });

  test('a header full of nonsense is one place, and no more memory than that', async () => {
    const ask = await startSite(true);
    expect(await afterGuessing(ask, (guess) => `${'x'.repeat(8_000)}${guess}`)).toBe(429);
    expect(await ask('203.0.113.5', NEW)).toBe(200);
  });

  test('a proxy that is not trusted and whose clients know the key is never shut out', async () => {
    const ask = await startSite(undefined);
    expect(await ask(undefined, NEW)).toBe(200);
    expect(await afterGuessing(ask, () => undefined)).toBe(200);
  });
});
