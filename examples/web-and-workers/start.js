// For trying it out: starts two web processes and two workers. Without the keys of an account there is a make-believe Ontraport beside
// them, whose contacts become users. With --once it plays its walk-through and ends.
const { randomBytes } = require('node:crypto');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const Redis = require('ioredis');
const createKnex = require('knex');
const { BullMqWebhookQueue } = require('wp-fusion-webhook/bullmq');
const { OntraportSandbox } = require('wp-fusion-webhook/testing');
const { createProcesses } = require('./processes');
const { playWalkThrough, WalkThroughError } = require('./walk-through');

const { env } = process;
const isOnce = process.argv.includes('--once');
const isReal = env.ONTRAPORT_APP_ID !== undefined || env.ONTRAPORT_API_KEY !== undefined;
const redisUrl = env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const say = (text) => console.log(text);

/** What has to be ended, the first started last. */
const running = [];
let isEnding = false;

async function main() {
  // From the start: whenever it is ended, nothing stays.
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      isEnding = true;
      say('\nEnding.');
      void stop();
    });
  }
  if (isReal && isOnce) {
    throw new Error('--once plays with the sandbox: run it without ONTRAPORT_APP_ID and ONTRAPORT_API_KEY.');
  }
  const redis = await openRedis();
  const settings = isReal ? {} : await makeBelieve(redis);
  if (isEnding) return;
  const processes = createProcesses({ onLine: isOnce ? () => undefined : say });
  running.push(() => processes.stopAll());
  const startWorker = () => processes.start('worker', settings.env);
  const ports = await startWebs(processes, settings.env);
  await startWorker();

  if (isOnce) {
    const { prefix, databaseFile, sandbox, webhookUrl } = settings;
    const queue = new BullMqWebhookQueue({ connection: { url: redisUrl }, prefix });
    running.push(() => queue.close());
    const database = openDatabase(databaseFile);
    running.push(() => database.destroy());
    const webhookUrls = (action) => ports.map((port) => webhookUrl(port, action));
    try {
      await playWalkThrough({
        sandbox,
        processes,
        startWorker,
        database,
        queue,
        webhookUrls,
        contactCount: 60,
        say,
      });
    } catch (error) {
      if (!isEnding) say(`\nWhat was said last:\n\n${processes.lines.join('\n')}\n`);
      throw error;
    }
    await stop();
    say('\nAll processes have ended. The walk-through held.');
    return;
  }

  await startWorker();
  const urls = ports.map((port) => `http://127.0.0.1:${port}/`).join(' and ');
  if (isReal) {
    say(`\nNow you:  let a reverse proxy lead to ${urls}, and Ontraport to it. Ctrl-C ends it.\n`);
    return;
  }
  say(`\nNow you:  ${urls} show the users. Every second a contact becomes one.
Kill a web process or a worker with "kill -9": it is started again, and nothing is lost. Ctrl-C ends it.\n`);
  const { sandbox, webhookUrl } = settings;
  let count = 0;
  const timer = setInterval(() => {
    count += 1;
    const contactId = sandbox.addContact({ email: `mary${count}@example.com` });
    void sandbox.send({ url: webhookUrl(ports[count % ports.length], 'add'), contactId });
  }, 1000);
  running.push(() => clearInterval(timer));
}

/** Two web processes, which listen on PORT (3000) and the next one; with --once, or where PORT is 0, on any that are free. */
async function startWebs(processes, given) {
  const wanted = Number(isOnce ? 0 : (env.PORT ?? 3000));
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65534)
    throw new Error(`PORT is no port: ${env.PORT}`);
  const ports = [];
  for (const port of wanted === 0 ? [0, 0] : [wanted, wanted + 1]) {
    const web = await processes.start('web', { ...given, PORT: String(port) });
    ports.push(web.port);
  }
  return ports;
}

/** A make-believe Ontraport, and places for users and queue that go when it ends. */
async function makeBelieve(redis) {
  const sandbox = await OntraportSandbox.start();
  running.push(() => sandbox.close());
  const prefix = `wpf_example_${randomBytes(4).toString('hex')}`;
  running.push(() => removeKeys(redis, prefix));
  const folder = mkdtempSync(path.join(tmpdir(), 'wpf-web-and-workers-'));
  running.push(() => rmSync(folder, { recursive: true }));
  const databaseFile = path.join(folder, 'site.sqlite');
  const accessKey = randomBytes(24).toString('hex');
  say(`Web processes and workers. The queue is in Redis, its keys begin with ${prefix}; the users are in SQLite.
Both go when it ends.`);
  return {
    sandbox,
    prefix,
    databaseFile,
    webhookUrl: (port, action) =>
      `http://127.0.0.1:${port}/?wpf_action=${action}&access_key=${accessKey}&contact_id=[Contact ID]`,
    env: {
      DATABASE_FILE: databaseFile,
      DATABASE_URL: undefined,
      REDIS_URL: redisUrl,
      REDIS_PREFIX: prefix,
      WPF_ACCESS_KEY: accessKey,
      ONTRAPORT_APP_ID: sandbox.appId,
      ONTRAPORT_API_KEY: sandbox.apiKey,
      ONTRAPORT_BASE_URL: sandbox.baseUrl,
      LEASE_MS: '2000', // so that nobody has to wait for half a minute after a kill
    },
  };
}

async function openRedis() {
  const redis = new Redis(redisUrl, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => undefined); // told below
  running.push(() => redis.disconnect());
  try {
    await redis.connect();
  } catch (error) {
    const { host } = new URL(redisUrl);
    throw new Error(`Redis at ${host} does not take us: ${error.message}. REDIS_URL says where it is.`, {
      cause: error,
    });
  }
  return redis;
}

async function removeKeys(redis, prefix) {
  for await (const keys of redis.scanStream({ match: `${prefix}:*` }))
    if (keys.length > 0) await redis.unlink(keys);
}

const openDatabase = (filename) =>
  createKnex({ client: 'better-sqlite3', connection: { filename }, useNullAsDefault: true });

/** Ends everything, also where something of it fails. */
async function stop() {
  for (const end of running.splice(0).reverse()) {
    try {
      await end();
    } catch (error) {
      fail(error);
    }
  }
}

function fail(error) {
  // What we say of a mistake needs no stack.
  const isPlain = error.constructor === Error || error instanceof WalkThroughError;
  console.error(isPlain ? error.message : error);
  process.exitCode = 1;
}

main()
  .catch((error) => {
    // What was under way when it was to end may fail.
    if (!isEnding) fail(error);
  })
  .finally(() => {
    if (isEnding || process.exitCode !== undefined) return stop();
  });
