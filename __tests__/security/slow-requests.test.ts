// Requests that take their time: bodies and heads that never end, senders that vanish or never listen, bombs. Each is answered in
// time or cut, takes next to no memory, and leaves nothing behind; the other pages of the site answer meanwhile.
import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { ACCESS_KEY, pause } from '../delivery/common';
import { closedPort } from '../smtp/mail-server';
import { answerOf, dial, open, type Incoming } from '../http/client';
import {
  BusyProcess,
  expectBounded,
  killBusySites,
  untilFreed,
  Visitor,
  type BusySetting,
} from './busy-process';
import { flood } from './hostile-crm';

const JSON_TYPE = { 'Content-Type': 'application/json' };
const TEST = 'wpf_action=test';
/** All that an update needs but the key. */
const UPDATE = 'wpf_action=update&contact_id=55';
const KEY = `access_key=${ACCESS_KEY}`;
const WRONG = 'access_key=not-the-key-of-the-tests';
const TIMEOUT_MS = 1500;

let site: BusyProcess;
/** Its server gives up what is slow before a request has come to anybody, as docs/security.md tells hosts to. */
let strictSite: BusyProcess;

beforeAll(async () => {
  const crm = { appId: 'app', apiKey: 'key', baseUrl: `http://127.0.0.1:${await closedPort()}` };
  const webhook = { accessKey: ACCESS_KEY, timeoutMs: TIMEOUT_MS };
  const setting: BusySetting = {
    mounts: [
      { path: '/patient', crm, webhook: { ...webhook, timeoutMs: 600_000 } },
      { path: '/parsed', crm, webhook, parser: true },
      { path: '/', crm, webhook },
    ],
  };
  site = await BusyProcess.start(setting, 64);
  const server = { headersTimeout: 800, requestTimeout: 1200, connectionsCheckingInterval: 100 };
  strictSite = await BusyProcess.start({ ...setting, server }, 64);
});
afterAll(killBusySites);

const left: (ClientRequest | Socket)[] = [];
afterEach(() => {
  for (const one of left.splice(0)) one.destroy();
});

/** A POST without an end, on a connection of its own. */
function post(path: string, headers: Record<string, string> = {}, { url } = site): ClientRequest {
  const sent = open(url, { path, headers: { ...JSON_TYPE, ...headers }, ownConnection: true });
  left.push(sent);
  sent.on('error', () => undefined).flushHeaders();
  return sent;
}

/** What a connection says until it says this, or is closed; closed by a reset, too. */
function heard(socket: Socket, end?: string): Promise<string> {
  let text = '';
  return new Promise((resolve) => {
    socket
      .on('error', () => undefined)
      .on('close', () => resolve(text))
      .on('data', (data) => {
        text += String(data);
        if (end !== undefined && text.endsWith(end)) resolve(text);
      });
  });
}

/**
 * What a sender hears that is cut while it still writes: an answer, or nothing where a byte of it had just come. Node closes at
 * once, and the system then resets what is under way.
 */
const CUT = /^(HTTP\/1\.1 408 |$)/;

/** Says a byte now and then, for as long as anybody listens. */
function dripping<One extends ClientRequest | Socket>(to: One): One {
  const timer = setInterval(() => to.write('x'), 100);
  to.on('close', () => clearInterval(timer));
  return to;
}

/** Does something beside a visitor, and waits until the site holds no more than before. */
async function beside<Value>(work: () => Promise<Value>, on = site): Promise<Value> {
  const before = await on.measure();
  const visitor = new Visitor(on.url);
  // A visitor that stayed would be one too many for all tests to come.
  const value = await work().finally(() => {
    for (const one of left.splice(0)) one.destroy();
    visitor.leave();
  });
  expect(await visitor.ended()).toBeGreaterThan(0);
  expectBounded(before, await untilFreed(on, before));
  return value;
}

/** Resolves when the site has closed all connections but that of its visitor, though nobody else has. */
async function untilOnlyTheVisitor(): Promise<void> {
  while ((await site.measure()).connections > 1) await pause(200);
}

const said = ({ status, json }: Incoming): unknown => [status, json.code];

describe('a body that comes byte by byte', () => {
  test.each([
    ['with a valid key', `/?${UPDATE}&${KEY}`, [503, 'TIMED_OUT']],
    ['without one', `/?${UPDATE}`, [403, 'INVALID_ACCESS_KEY']],
  ])('%s is waited for as long as timeoutMs', async (_title, path, answer) => {
    expect(said(await beside(() => answerOf(dripping(post(path)))))).toEqual(answer);
  });

  test.each([
    ['in the URL', `/patient?${UPDATE}&${WRONG}`, {}],
    ['in a header', `/patient?${UPDATE}`, { 'X-Access-Key': 'not-the-key-of-the-tests' }],
    ['beside the right one', `/patient?${UPDATE}&${KEY}`, { 'X-Access-Key': 'not-the-key-of-the-tests' }],
  ])('is not waited for where a wrong key is %s', async (_title, path, headers) => {
    // Not even its first byte, which never comes; timeoutMs is longer than this test may take.
    expect(said(await beside(() => answerOf(post(path, headers))))).toEqual([403, 'INVALID_ACCESS_KEY']);
  });

  test('takes the memory of its bytes, not of its pieces', async () => {
    const pieces = '1\r\nx\r\n'.repeat(95_000);
    await beside(async () => {
      for (let count = 0; count < 15; count += 1) {
        const socket = await dial(site.url);
        left.push(socket);
        socket.write(`POST /patient?${TEST} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
        await new Promise((resolve) => socket.write(pieces, resolve));
        // Behind all that was sent before: Node needs a while for so many pieces, and would take those of all in one turn.
        await site.measure();
      }
    });
  });

  test('behind a parser of the host is ended by requestTimeout of the server', async () => {
    const answer = await beside(async () => {
      const socket = await dial(strictSite.url);
      left.push(socket);
      const type = 'Content-Type: application/json\r\nContent-Length: 1000';
      socket.write(`POST /parsed?${UPDATE}&${KEY} HTTP/1.1\r\nHost: x\r\n${type}\r\n\r\n`);
      return heard(dripping(socket));
    }, strictSite);
    expect(answer).toMatch(CUT);
  });
});

describe('a body that is too large', () => {
  test('without end: answered at its limit, whatever comes behind', async () => {
    const socket = await dial(site.url);
    left.push(socket);
    const answer = await beside(async () => {
      flood(
        `POST /?${TEST}&${KEY} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`,
        `2000\r\n${'x'.repeat(0x2000)}\r\n`,
      )(socket);
      return heard(socket, '}');
    });
    expect(answer).toMatch(/^HTTP\/1\.1 413 .*"code":"BODY_TOO_LARGE"/s);
  });

  const ZEROS = Buffer.alloc(60_000_000);
  test.each([
    ['gzip', gzipSync(ZEROS)],
    ['deflate', deflateSync(ZEROS)],
    ['br', brotliCompressSync(ZEROS)],
    ['gzip, gzip', gzipSync(gzipSync(ZEROS))],
  ])('unpacked from %s: nobody unpacks it', async (encoding, bomb) => {
    expect(bomb.length).toBeLessThan(100_000);
    const send = (path: string): Promise<Incoming> => {
      const sent = post(path, { 'Content-Encoding': encoding, 'Content-Length': String(bomb.length) });
      sent.end(bomb);
      return answerOf(sent);
    };
    const [needed, spare] = await beside(() =>
      Promise.all([send(`/?wpf_action=update&${KEY}`), send(`/?${UPDATE}&${KEY}`)]),
    );
    expect(said(needed)).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
    expect(spare.json).toMatchObject({ ok: true, reason: 'USER_NOT_FOUND' });
    // What a parser of the host unpacks has the host's limit.
    expect((await beside(() => send(`/parsed?${UPDATE}&${KEY}`))).status).toBeGreaterThanOrEqual(400);
  });
});

describe('a body that nobody wants', () => {
  test.each([
    ['too large', `POST /?${TEST}&${KEY}`, 413, 'BODY_TOO_LARGE'],
    ['behind a wrong key', `POST /?${UPDATE}&${WRONG}`, 403, 'INVALID_ACCESS_KEY'],
    ['of a method that is not allowed', `PUT /?${UPDATE}&${KEY}`, 405, 'METHOD_NOT_ALLOWED'],
  ])('%s: heard by a sender who writes all of it first', async (_title, line, status, code) => {
    const socket = (await dial(site.url)).pause();
    left.push(socket);
    const answer = await beside(async () => {
      socket.write(`${line} HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n`);
      // More than the buffers of both sides take: without somebody who reads it, it would not go away.
      await new Promise<void>((resolve, reject) =>
        socket.write(Buffer.alloc(8_000_000), (error) => (error ? reject(error) : resolve())),
      );
      return heard(socket.resume(), '}');
    });
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*"code":"${code}"`, 's'));
  });
});

describe('a sender', () => {
  test('that vanishes within its body, or stays and says nothing, is cut', async () => {
    await beside(async () => {
      for (let count = 0; count < 50; count += 1) {
        // Never read, and never closed by this side: so is one whose machine was switched off.
        const socket = (await dial(site.url)).pause();
        left.push(socket);
        const path = `/?${UPDATE}${count % 2 === 0 ? `&${KEY}` : ''}`;
        socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx`);
      }
      await untilOnlyTheVisitor();
    });
  });

  test('whose head never ends is cut by headersTimeout of the server', async () => {
    const heads = ['POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ', `POST /?${TEST}&${KEY}`];
    const answers = await beside(
      () =>
        Promise.all(
          heads.map(async (head) => {
            const socket = dripping(await dial(strictSite.url));
            left.push(socket);
            socket.write(head);
            return heard(socket);
          }),
        ),
      strictSite,
    );
    for (const answer of answers) expect(answer).toMatch(CUT);
  });
});

test('sites that went through all this end by themselves', async () => {
  await site.close();
  await strictSite.close();
});
