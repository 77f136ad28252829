// A CRM that answers without end, with bombs, or sends us elsewhere: every webhook gets its answer in time, with little memory,
// nothing stays behind, and the other pages of the site answer meanwhile. The site would die of 64 MB of objects.
import { ACCESS_KEY } from '../delivery/common';
import { until } from '../actions/site';
import { answerOf as responseTo, open } from '../http/client';
import { BusyProcess, expectBounded, killBusySites, untilFreed, Visitor, type Mount } from './busy-process';
import {
  BOMBS,
  CHUNKED,
  drip,
  endlessTags,
  flood,
  HostileServer,
  UNTIL_CLOSED,
  type Talk,
} from './hostile-crm';

interface Case {
  readonly talk: Talk;
  readonly status: number;
  readonly code: string;
  /** What the answer says of it. */
  readonly says: string;
  /** Milliseconds for a call, and for a webhook. Default: neither is the end of it, on a machine that is not too busy. */
  readonly callMs?: number;
  readonly webhookMs?: number;
}

/** For answers that go on for ever: this long for the webhook, and longer for the call. */
const BY_WEBHOOK = {
  ...{ status: 503, code: 'CRM_UNAVAILABLE', says: 'no answer before the time for the read was over' },
  ...{ callMs: 30_000, webhookMs: 1500 },
} as const;
/** The other way round. */
const BY_CALL = {
  ...{ status: 503, code: 'CRM_UNAVAILABLE', says: 'did not answer GET /Contacts within 300 ms' },
  ...{ callMs: 300, webhookMs: 30_000 },
} as const;
const BROKEN = { status: 503, code: 'CRM_UNAVAILABLE', says: 'The connection for GET /Contacts' } as const;
const MAX_RESPONSE_BYTES = 1_000_000;
const TOO_LARGE = { status: 502, code: 'CRM_BAD_RESPONSE', says: 'more than 1000000 bytes' } as const;

const JSON_START = '{"code":0,"data":[{"id":"1"}';
const JSON_MORE = ',{"id":"1"}'.repeat(1000);
const EARLY_HINTS = 'HTTP/1.1 103 Early Hints\r\n\r\n';

const CASES: Record<string, Case> = {
  'JSON without end': { talk: flood(UNTIL_CLOSED + JSON_START, JSON_MORE), ...TOO_LARGE },
  'JSON without end in pieces of a byte': { talk: flood(CHUNKED, '1\r\n[\r\n'.repeat(10_000)), ...TOO_LARGE },
  'a gzip bomb': { talk: BOMBS.gzip(), ...TOO_LARGE },
  'a deflate bomb': { talk: BOMBS.deflate(), ...TOO_LARGE },
  'a brotli bomb': { talk: BOMBS.br(), ...TOO_LARGE },
  'a bomb in a bomb': { talk: BOMBS.nested(), status: 502, code: 'CRM_BAD_RESPONSE', says: 'is no JSON' },
  'a list of tags without end': {
    talk: endlessTags(MAX_RESPONSE_BYTES),
    ...{ status: 502, code: 'CRM_BAD_RESPONSE', says: 'GET /objects is not what it documents' },
  },
  'headers without end': { talk: flood('HTTP/1.1 200 OK\r\n', 'X-Header: value\r\n'.repeat(500)), ...BROKEN },
  'one header without end': { talk: flood('HTTP/1.1 200 OK\r\nX-Long: ', 'x'.repeat(10_000)), ...BROKEN },
  'trailers without end': { talk: flood(`${CHUNKED}0\r\n`, 'X-Trailer: value\r\n'.repeat(500)), ...BROKEN },
};

/** Those that only time ends; tried together. */
const SLOW_CASES: Record<string, Case> = {
  'JSON without end, byte by byte': { talk: drip(UNTIL_CLOSED + JSON_START, JSON_MORE), ...BY_WEBHOOK },
  '… given up by the call': { talk: drip(UNTIL_CLOSED + JSON_START, JSON_MORE), ...BY_CALL },
  'a head without end, byte by byte': { talk: drip('', 'HTTP/1.1 200 OK\r\nX-Long: '), ...BY_WEBHOOK },
  '… of a head given up by the call': { talk: drip('', 'HTTP/1.1 200 OK\r\nX-Long: '), ...BY_CALL },
  'provisional answers without end': { talk: flood('', EARLY_HINTS.repeat(500)), ...BY_WEBHOOK },
  'provisional answers given up by the call': { talk: flood('', EARLY_HINTS.repeat(500)), ...BY_CALL },
  silence: { talk: () => undefined, ...BY_WEBHOOK },
};

const REDIRECTS = [301, 302, 303, 307, 308];
const TARGETS: Record<string, (elsewhere: HostileServer) => string> = {
  'another server': ({ url }) => `${url}/1/Contacts`,
  'another server, without a scheme': ({ url }) => `${url.slice('http:'.length)}/1/Contacts`,
  'a file': () => 'file:///etc/passwd',
  itself: () => '/itself/Contacts',
};

const nameOf = (title: string): string => encodeURIComponent(title.replaceAll(/[^\w]+/g, '-'));

let crm: HostileServer;
let elsewhere: HostileServer;
let site: BusyProcess;
beforeAll(async () => {
  elsewhere = await HostileServer.start();
  const redirects = Object.entries(TARGETS).flatMap(([target, locationOf]) =>
    REDIRECTS.map((status): [string, Talk] => [
      nameOf(`${target} ${status}`),
      (socket) =>
        socket.write(
          `HTTP/1.1 ${status} Elsewhere\r\nLocation: ${locationOf(elsewhere)}\r\nContent-Length: 0\r\n\r\n`,
        ),
    ]),
  );
  const cases = Object.entries({ ...CASES, ...SLOW_CASES });
  crm = await HostileServer.start(
    Object.fromEntries([...redirects, ...cases.map(([title, { talk }]) => [nameOf(title), talk] as const)]),
  );
  const mountOf = (name: string, { callMs = 30_000, webhookMs = 30_000 }: Partial<Case> = {}): Mount => ({
    path: `/${name}`,
    crm: {
      ...{ appId: 'the-app-id', apiKey: 'the-api-key', baseUrl: `${crm.url}/${name}` },
      ...{ timeoutMs: callMs, maxResponseBytes: MAX_RESPONSE_BYTES },
    },
    webhook: { accessKey: ACCESS_KEY, timeoutMs: webhookMs },
  });
  const mounts = [
    ...cases.map(([title, one]) => mountOf(nameOf(title), one)),
    ...redirects.map(([name]) => mountOf(name)),
  ];
  site = await BusyProcess.start({ mounts }, 64);
});
afterAll(async () => {
  await killBusySites();
  await Promise.all([crm.close(), elsewhere.close()]);
});

/** Sends one webhook. */
async function answerOf(name: string): Promise<{ status: number; code: unknown; detail: string }> {
  const query = `wpf_action=add&access_key=${ACCESS_KEY}&contact_id=1`;
  const sent = open(site.url, { path: `/${name}?${query}`, ownConnection: true });
  sent.end();
  const { status, json } = await responseTo(sent);
  return { status, code: json.code, detail: json.detail };
}

/** Sends webhooks beside a visitor, and waits until the CRM has nobody left to talk to. */
async function beside<Value>(work: () => Promise<Value>): Promise<Value> {
  const before = await site.measure();
  const visitor = new Visitor(site.url);
  const value = await work();
  await until(() => crm.open === 0);
  expect(await visitor.ended()).toBeGreaterThan(0);
  expectBounded(before, await untilFreed(site, before));
  return value;
}

const asSaid = ({ status, code, says }: Case): object => ({
  ...{ status, code },
  detail: expect.stringContaining(says),
});

test.each(Object.entries(CASES))('%s', async (title, one) => {
  expect(await beside(() => answerOf(nameOf(title)))).toEqual(asSaid(one));
});

test('what would never end ends in time', async () => {
  const titles = Object.keys(SLOW_CASES);
  const answers = await beside(() => Promise.all(titles.map((title) => answerOf(nameOf(title)))));
  expect(Object.fromEntries(titles.map((title, index) => [title, answers[index]]))).toEqual(
    Object.fromEntries(Object.entries(SLOW_CASES).map(([title, one]) => [title, asSaid(one)])),
  );
});

test.each(Object.keys(TARGETS))('a redirect to %s is not followed', async (target) => {
  const names = REDIRECTS.map((status) => nameOf(`${target} ${status}`));
  const answers = await Promise.all(names.map(answerOf));
  const says = 'Redirects are not followed';
  expect(answers).toEqual(names.map(() => asSaid({ ...TOO_LARGE, talk: () => undefined, says })));
  expect(names.map((name) => crm.callsOf(name))).toEqual(names.map(() => 1));
  expect({ calls: elsewhere.calls, connections: elsewhere.mostOpen }).toEqual({
    calls: [],
    connections: 0,
  });
});

test('the site that went through all this ends by itself', () => site.close());
