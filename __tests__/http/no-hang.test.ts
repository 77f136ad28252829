// Whatever becomes of a body, and whoever reads it: a webhook ends in an answer, on every host.
import type { RequestHandler } from 'express';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { isWpFusionError, wpFusionWebhook, type WpFusionWebhook } from '../../lib';
import { answerOf, dial, open, send, type Incoming } from './client';
import { arrivalOf, HOST_REFUSED, HOSTS, onEach, startHost, type HostVariant, type Started } from './hosts';
import { cheapHasher, CountingUsers, MemoryCrm } from './site';

const KEY = 'contract-key-4e1c0a77d2';
const JSON_TYPE = 'application/json';
const FORM = 'application/x-www-form-urlencoded';
/** All that an update needs; without the contact the body is needed. */
const COMPLETE = `/?wpf_action=update&access_key=${KEY}&contact_id=55`;
const NEEDS_BODY = `/?wpf_action=update&access_key=${KEY}`;
const BODY = JSON.stringify({ contact_id: 55 });

interface Site extends Started {
  readonly webhook: WpFusionWebhook;
  /** The middleware of the host that stands before everything else. */
  first: RequestHandler;
  /** The code of the next failure, ours or the host's. */
  failure(): Promise<unknown>;
}

const pass: RequestHandler = (_request, _response, next) => next();

async function startSite(variant: HostVariant): Promise<Site> {
  const webhook = wpFusionWebhook({
    accessKey: KEY,
    crm: new MemoryCrm(),
    users: new CountingUsers(),
    passwordHasher: cheapHasher,
    // Long enough for every answer of forty hosts at once, on a busy machine; two tests wait for its end.
    timeoutMs: 1500,
    logger: false,
  });
  const listeners = new Set<(code: unknown) => void>();
  const tell = (code: unknown): void => {
    for (const listener of listeners) listener(code);
    listeners.clear();
  };
  webhook.on('webhook.failed', ({ code }) => tell(code));
  const host = await startHost(variant, webhook, {
    first: (request, response, next) => site.first(request, response, next),
    onError: () => tell('HOST'),
  });
  const site: Site = {
    variant,
    host,
    webhook,
    first: pass,
    failure: () => new Promise((resolve) => listeners.add(resolve)),
  };
  return site;
}

let sites: Site[] = [];
beforeAll(async () => void (sites = await Promise.all(HOSTS.map(startSite))));
afterEach(() => {
  for (const site of sites) site.first = pass;
});
afterAll(() =>
  Promise.all(
    sites.map(async ({ host, webhook }) => {
      await host.close();
      await webhook.close();
    }),
  ),
);

const weRead = ({ variant }: Site, type: string | undefined): boolean =>
  arrivalOf(variant, type) === 'stream';

const isDone = ({ status, json }: Incoming): void =>
  expect({ status, json }).toMatchObject({
    status: 200,
    json: { ok: true, contactId: '55', outcome: 'skipped' },
  });
const isProblem = ({ status, json }: Incoming, code: string): void =>
  expect({ status, code: json.code }).toMatchObject({ status: json.status, code });

/** Sends a body in chunks, without its length. */
function sendChunked(
  site: Site,
  path: string,
  chunks: readonly (string | Buffer)[],
  headers: Record<string, string>,
) {
  const sent = open(site.host.url, { path, headers: { ...headers, 'Transfer-Encoding': 'chunked' } });
  const answer = answerOf(sent);
  sent.flushHeaders();
  for (const chunk of chunks) sent.write(chunk);
  sent.end();
  return answer;
}

describe('an empty body', () => {
  test.each([undefined, JSON_TYPE, FORM, 'text/plain', 'application/octet-stream', 'text/xml'])(
    'of Content-Length 0 and the type %s',
    (type) =>
      onEach(sites, async ({ host }) => {
        const headers = type === undefined ? {} : { 'Content-Type': type };
        isDone(await send(host.url, { method: 'POST', path: COMPLETE, headers }));
        isProblem(await send(host.url, { method: 'POST', path: NEEDS_BODY, headers }), 'INVALID_REQUEST');
      }),
  );

  test('of chunks that never come', () =>
    onEach(sites, async (site) =>
      isDone(await sendChunked(site, COMPLETE, [], { 'Content-Type': JSON_TYPE })),
    ));

  test('by HTTP/1.0, without a length', () =>
    onEach(sites, async ({ host }) => {
      const socket = await dial(host.origin);
      let text = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      const path = new URL(host.url + COMPLETE);
      socket.write(`POST ${path.pathname}${path.search} HTTP/1.0\r\nHost: x\r\n\r\n`);
      await once(socket, 'end');
      socket.destroy();
      expect(text).toMatch(/^HTTP\/1\.[01] 200 /);
    }));
});

describe('a chunked body', () => {
  test('in JSON', () =>
    onEach(sites, async (site) =>
      isDone(
        await sendChunked(site, NEEDS_BODY, ['{"contact', '_id":', '55}'], { 'Content-Type': JSON_TYPE }),
      ),
    ));

  test('as a form', () =>
    onEach(sites, async (site) =>
      isDone(await sendChunked(site, NEEDS_BODY, ['contact_', 'id=55'], { 'Content-Type': FORM })),
    ));

  test('cut within a character', () =>
    onEach(sites, async (site) => {
      const bytes = Buffer.from('{"name":"Zoë","contact_id":55}');
      const cut = bytes.indexOf(0xc3) + 1;
      const chunks = [bytes.subarray(0, cut), bytes.subarray(cut)];
      isDone(await sendChunked(site, NEEDS_BODY, chunks, { 'Content-Type': JSON_TYPE }));
    }));

  test('without a content type', () =>
    onEach(sites, async (site) => {
      isDone(await sendChunked(site, COMPLETE, [BODY], {}));
      isProblem(await sendChunked(site, NEEDS_BODY, [BODY], {}), 'UNSUPPORTED_MEDIA_TYPE');
    }));

  test('larger than bodyLimit, of which no length says so', () =>
    onEach(sites, async (site) => {
      const chunks = Array.from({ length: 30 }, () => 'x'.repeat(8192));
      const answer = await sendChunked(site, COMPLETE, chunks, { 'Content-Type': 'text/plain' });
      // The host's own text parser has the same limit.
      if (weRead(site, 'text/plain')) isProblem(answer, 'BODY_TOO_LARGE');
      else expect(answer.status).toBe(HOST_REFUSED);
    }));
});

test('Expect: 100-continue', () =>
  onEach(sites, async ({ host }) => {
    const sent = open(host.url, {
      path: NEEDS_BODY,
      headers: { 'Content-Type': JSON_TYPE, 'Content-Length': String(BODY.length), Expect: '100-continue' },
    });
    const answer = answerOf(sent);
    sent.flushHeaders();
    await once(sent, 'continue');
    sent.end(BODY);
    isDone(await answer);
  }));

describe('a gzip body', () => {
  test('that is one', () =>
    onEach(sites, async (site) => {
      const headers = { 'Content-Type': JSON_TYPE, 'Content-Encoding': 'gzip' };
      isDone(await sendChunked(site, COMPLETE, [gzipSync(BODY)], headers));
      const answer = await sendChunked(site, NEEDS_BODY, [gzipSync(BODY)], headers);
      // A parser of the host unpacks what we do not.
      if (weRead(site, JSON_TYPE)) isProblem(answer, 'UNSUPPORTED_MEDIA_TYPE');
      else isDone(answer);
    }));

  test('that is none', () =>
    onEach(sites, async (site) => {
      const headers = { 'Content-Type': JSON_TYPE, 'Content-Encoding': 'gzip' };
      const answer = await sendChunked(site, COMPLETE, [BODY], headers);
      if (weRead(site, JSON_TYPE)) isDone(answer);
      else expect(answer.status).toBe(HOST_REFUSED);
    }));
});

describe('a body that stops in the middle', () => {
  test('is waited for as long as timeoutMs', () =>
    onEach(sites, async (site) => {
      const slow = open(site.host.url, {
        path: COMPLETE,
        headers: { 'Content-Type': JSON_TYPE, 'Content-Length': String(BODY.length) },
        ownConnection: true,
      });
      const answer = answerOf(slow);
      slow.write(BODY.slice(0, 5));
      // Where a parser of the host waits for the body, we have not heard of the request yet.
      if (!weRead(site, JSON_TYPE)) slow.end(BODY.slice(5));
      const { status, headers, json } = await answer;
      slow.destroy();
      if (!weRead(site, JSON_TYPE)) expect(status).toBe(200);
      else {
        expect({ status, code: json.code }).toEqual({ status: 503, code: 'TIMED_OUT' });
        expect(headers['retry-after']).toMatch(/^[1-9]\d*$/);
      }
    }));

  test('and whose sender has shown no key, is refused as that', () =>
    onEach(
      sites.filter((site) => weRead(site, JSON_TYPE)),
      async ({ host }) => {
        const slow = open(host.url, {
          path: '/?wpf_action=update&contact_id=55',
          headers: { 'Content-Type': JSON_TYPE, 'Content-Length': String(BODY.length) },
          ownConnection: true,
        });
        const answer = answerOf(slow);
        slow.write(BODY.slice(0, 5));
        isProblem(await answer, 'INVALID_ACCESS_KEY');
        slow.destroy();
      },
    ));

  test('because the upload was aborted, leaves nothing behind', () =>
    onEach(sites, async (site) => {
      const failure = site.failure();
      const arrived = new Promise<void>((resolve) => {
        site.first = (request, _response, next) => {
          next();
          request.once('data', () => resolve());
        };
      });
      const aborted = open(site.host.url, {
        path: NEEDS_BODY,
        headers: { 'Content-Type': JSON_TYPE, 'Content-Length': '1000' },
        ownConnection: true,
      });
      aborted.on('error', () => undefined);
      aborted.write(BODY);
      await arrived;
      aborted.destroy();
      expect(await failure).toBe(weRead(site, JSON_TYPE) ? 'INVALID_BODY' : 'HOST');
      isDone(await send(site.host.url, { path: COMPLETE }));
    }));
});

describe('a body that another middleware has taken', () => {
  const drain: RequestHandler = (request, _response, next) => {
    request.on('end', () => next()).resume();
  };
  interface Consumer {
    readonly first: RequestHandler;
    /** Whether the body can still be read afterwards. */
    readonly leavesBody: boolean;
    /** Body parsers never end after it. Where one stands before ours, we never hear of the request. */
    readonly stopsParsers?: boolean;
  }
  const CONSUMERS: Record<string, Consumer> = {
    'to its end': { first: drain, leavesBody: false },
    'to its end, and waits a while': {
      first: (request, _response, next) => void request.on('end', () => setImmediate(next)).resume(),
      leavesBody: false,
    },
    'in part': {
      first: (request, _response, next) => void request.once('data', () => next()),
      leavesBody: false,
    },
    'with an iterator that it left': {
      first: (request, _response, next) =>
        void request
          .iterator({ destroyOnReturn: false })
          .next()
          .then(() => next()),
      leavesBody: false,
      stopsParsers: true,
    },
    'beside us': {
      first: (request, _response, next) => {
        request.on('data', () => undefined);
        next();
      },
      leavesBody: true,
    },
    'to throw it away': {
      first: (request, _response, next) => {
        request.resume();
        next();
      },
      leavesBody: true,
    },
    'as text': {
      first: (request, _response, next) => {
        request.setEncoding('utf8');
        next();
      },
      leavesBody: true,
    },
    'not at all, but was slow': {
      first: (_request, _response, next) => void setImmediate(next),
      leavesBody: true,
    },
    'not at all, but paused': {
      first: (request, _response, next) => {
        request.pause();
        next();
      },
      leavesBody: true,
      stopsParsers: true,
    },
  };

  test.each(Object.entries(CONSUMERS))('%s', (_name, { first, leavesBody, stopsParsers }) =>
    onEach(stopsParsers === true ? sites.filter((site) => weRead(site, JSON_TYPE)) : sites, async (site) => {
      site.first = first;
      const { url } = site.host;
      const headers = { 'Content-Type': JSON_TYPE };
      const complete = await send(url, { path: COMPLETE, headers, body: BODY });
      const needed = await send(url, { path: NEEDS_BODY, headers, body: BODY });
      if (!weRead(site, JSON_TYPE)) {
        // What a parser of the host makes of that is its own business; an answer it is.
        for (const { status } of [complete, needed]) expect([200, 400, HOST_REFUSED]).toContain(status);
        return;
      }
      isDone(complete);
      if (leavesBody) isDone(needed);
      else isProblem(needed, 'INVALID_REQUEST');
    }),
  );

  test('and made into an object of its own', () =>
    // The raw and text parsers of Express 4 do not look whether there is a body already.
    onEach(
      sites.filter((site) => weRead(site, 'text/xml')),
      async (site) => {
        site.first = (request, response, next) => {
          request.body = { contact_id: '55' };
          drain(request, response, next);
        };
        isDone(
          await send(site.host.url, {
            path: NEEDS_BODY,
            headers: { 'Content-Type': 'text/xml' },
            body: '<a/>',
          }),
        );
      },
    ));
});

test('none of them was ever handed to the host as an error of ours', () =>
  onEach(sites, async ({ host }) => {
    expect(host.errors.filter(isWpFusionError)).toEqual([]);
  }));
