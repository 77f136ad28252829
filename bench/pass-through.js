// What a request that is no webhook costs the site: the middleware's own time in front of every other route, in nanoseconds,
// against a middleware that does nothing.
const { IncomingMessage } = require('node:http');
const { Socket } = require('node:net');
const { MemoryUserRepository, OntraportClient, wpFusionWebhook } = require('../dist');
const { spread } = require('./measure');

const CALLS = 200_000;
const ROUNDS = 25;
const WARM_UP = 5;

const REQUESTS = {
  'a page': { url: '/courses/first-steps' },
  'a file, with its version': { url: '/assets/app.3f1c.js?v=20261101' },
  'a search, encoded': { url: '/search?q=caf%C3%A9%20au%20lait&page=2&sort=price%2Cdesc' },
  'an encoded name': { url: '/list?filter%5Bcolour%5D=red&filter%5Bsize%5D=m' },
  'a form, parsed': {
    url: '/profile',
    method: 'POST',
    body: Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`field${index}`, 'x'])),
  },
  '2,000 characters of query': { url: `/report?${'column=a-name&'.repeat(143)}` },
};

function requestOf({ url, method = 'GET', body }) {
  const request = new IncomingMessage(new Socket());
  return Object.assign(request, { url, method, ...(body === undefined ? {} : { body }) });
}

/** Nanoseconds a call. */
function time(middleware, request) {
  let passed = 0;
  const next = () => {
    passed += 1;
  };
  const begun = process.hrtime.bigint();
  for (let call = 0; call < CALLS; call += 1) middleware(request, undefined, next);
  const nanoseconds = Number(process.hrtime.bigint() - begun);
  if (passed !== CALLS) throw new Error('A request was not passed on.');
  return nanoseconds / CALLS;
}

const webhook = wpFusionWebhook({
  accessKey: 'the-key-of-the-measurement',
  crm: new OntraportClient({ appId: 'x', apiKey: 'x' }),
  users: new MemoryUserRepository(),
  logger: false,
});
const nothing = (_request, _response, next) => next();

const rows = Object.entries(REQUESTS).map(([what, given]) => {
  const request = requestOf(given);
  const seen = { ours: [], without: [], added: [] };
  for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
    const without = time(nothing, request);
    const ours = time(webhook, request);
    if (round < WARM_UP) continue;
    seen.without.push(without);
    seen.ours.push(ours);
    seen.added.push(ours - without);
  }
  return {
    request: what,
    'nothing, ns': spread(seen.without),
    'ours, ns': spread(seen.ours),
    'added, ns': spread(seen.added),
  };
});
process.stdout.write(JSON.stringify({ rows, digits: 0 }));
