// A site in a process of its own, with little memory, that says how it is: what it holds, and how long it held others up. The
// parent sends a setting and gets the URLs back.
const { readdirSync, readFileSync, writeFileSync } = require('node:fs');
const { createHash } = require('node:crypto');
const { createServer } = require('node:http');
const { setTimeout: pause } = require('node:timers/promises');
const express = require('express');
const createKnex = require('knex');
const { MemoryUserRepository, OntraportClient, wpFusionWebhook } = require('wp-fusion-webhook');
const { KnexUserRepository, KnexWebhookQueue, migrate } = require('wp-fusion-webhook/knex');
const { SmtpNotifier } = require('wp-fusion-webhook/smtp');

/** How often it is looked whether somebody holds the event loop up. */
const LOOK_MS = 10;

let site;

process.on('message', async ({ id, method, parameter }) => {
  try {
    process.send({ id, value: await METHODS[method](parameter) });
  } catch (error) {
    process.send({ id, error: error.stack });
  }
});
const exit = () => process.exit();
process.on('disconnect', exit);

const METHODS = {
  start: async (setting) => {
    site = await startSite(setting);
    return site.url;
  },
  measure: () => site.measure(),
  close: () => site.close(),
};

async function startSite({ mounts, trustProxy, server: serverOptions }) {
  const app = express();
  if (trustProxy !== undefined) app.set('trust proxy', trustProxy);
  const closes = [];
  for (const mount of mounts) {
    if (mount.parser) app.use(mount.path, express.json({ limit: '100kb' }), express.urlencoded());
    app.use(mount.path, await middlewareOf(mount, closes));
  }
  app.get('/ping', (_request, response) => response.send('pong'));
  const server = createServer(serverOptions ?? {}, app);
  await new Promise((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve));
  const turns = watchTurns();
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    measure: () => measure(server, turns),
    close: async () => {
      server.closeIdleConnections();
      server.close();
      for (const close of closes.reverse()) await close();
      turns.stop();
      // A process that holds on to something does not end by itself: the parent waits for the end.
      process.off('disconnect', exit);
      setImmediate(() => process.disconnect());
    },
  };
}

async function middlewareOf({ path, crm, database, queue, smtp, webhook: options }, closes) {
  const knex = database === undefined ? undefined : createKnex({ ...database, log: QUIET });
  if (knex !== undefined) {
    closes.push(() => knex.destroy());
    await migrate(knex);
  }
  const notifier = smtp === undefined ? undefined : new SmtpNotifier(smtp);
  const webhook = wpFusionWebhook({
    name: `at ${path}`,
    crm: new OntraportClient(crm),
    users: knex === undefined ? new MemoryUserRepository() : new KnexUserRepository(knex),
    passwordHasher: cheapHasher,
    logger: false,
    ...(queue === true ? { queue: new KnexWebhookQueue(knex) } : {}),
    ...(notifier === undefined ? {} : { notifier }),
    ...options,
  });
  closes.push(() => webhook.close({ timeoutMs: 1000 }));
  return webhook;
}

/** What is measured is not how long hashing takes. */
const cheapHasher = {
  hash: async (password) => createHash('sha256').update(password).digest('hex'),
  verify: async (password, hash) => createHash('sha256').update(password).digest('hex') === hash,
};

const QUIET = { debug() {}, deprecate() {}, warn() {}, error() {} };

/**
 * Notes the longest turn of the event loop, by the processor time that went by between two looks: what other processes of the
 * machine take from this one does not count.
 */
function watchTurns() {
  let before = process.cpuUsage();
  let longest = 0;
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    longest = Math.max(longest, (user + system) / 1000);
  }, LOOK_MS);
  timer.unref();
  return {
    take: () => {
      const taken = longest;
      longest = 0;
      before = process.cpuUsage();
      return taken;
    },
    stop: () => clearInterval(timer),
  };
}

async function measure(server, turns) {
  const longestTurnMs = turns.take();
  const peakBytes = peakOfMemory();
  // Twice: what is freed with the first one lets go of what it held.
  for (let round = 0; round < 2; round += 1) {
    globalThis.gc();
    await pause(1);
  }
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
  resetPeak();
  turns.take();
  return {
    heapBytes: heapUsed,
    outsideBytes: external + arrayBuffers,
    rssBytes: rss,
    peakBytes,
    longestTurnMs,
    connections: await new Promise((resolve) => server.getConnections((_error, count) => resolve(count))),
    files: readdirSync('/proc/self/fd').length,
    timers: process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length,
  };
}

/** Not `resourceUsage().maxRSS`, which begins with what the parent had. */
const peakOfMemory = () =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;

/** From now on the peak is that of what comes. */
function resetPeak() {
  writeFileSync('/proc/self/clear_refs', '5');
}
