// For trying it out: starts PM2 with the site, and beside it a make-believe Ontraport, whose contacts become users. With --once
// it plays its walk-through and ends.
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const { createServer } = require('node:net');
const createKnex = require('knex');
const { OntraportSandbox } = require('wp-fusion-webhook/testing');
const { startPm2 } = require('./pm2');
const { playWalkThrough, until, WalkThroughError } = require('./walk-through');

const { env } = process;
const isOnce = process.argv.includes('--once');
const databaseUrl = env.DATABASE_URL ?? 'postgres://127.0.0.1:5432/postgres';
const instances = Number(env.INSTANCES ?? 4);
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
  const sandbox = await OntraportSandbox.start();
  running.push(() => sandbox.close());

  // A schema of its own: no other table of the database is touched.
  const schema = `wpf_example_${randomBytes(4).toString('hex')}`;
  const knex = await openDatabase(schema);
  const made = Promise.resolve(knex.raw('create schema ??', [schema]));
  running.push(async () => {
    // Not before it is there: it would come after its end.
    await made.catch(() => undefined);
    await knex.raw('drop schema if exists ?? cascade', [schema]);
  });
  await made;
  say(`A site in ${instances} processes, on PostgreSQL, in the schema ${schema}, which goes when it ends.`);

  const accessKey = randomBytes(24).toString('hex');
  const port = await freePort(Number(isOnce ? 0 : (env.PORT ?? 3000)));
  const siteUrl = `http://127.0.0.1:${port}/`;
  const webhookUrl = (action) =>
    `${siteUrl}?wpf_action=${action}&access_key=${accessKey}&contact_id=[Contact ID]`;
  if (isEnding) return;
  const pm2 = startPm2({
    env: {
      DATABASE_URL: urlIn(schema),
      INSTANCES: String(instances),
      PORT: String(port),
      WPF_ACCESS_KEY: accessKey,
      ONTRAPORT_APP_ID: sandbox.appId,
      ONTRAPORT_API_KEY: sandbox.apiKey,
      ONTRAPORT_BASE_URL: sandbox.baseUrl,
      LEASE_MS: '2000', // so that nobody has to wait for half a minute after a kill
    },
    onLine: isOnce ? () => undefined : say,
  });
  running.push(() => pm2.stop());
  await until(() => {
    if (pm2.hasEnded()) throw new Error(`PM2 has ended.\n${pm2.lines.join('\n')}`);
    return pm2.processes.size === instances;
  }, 'all processes of the site are ready');

  if (isOnce) {
    try {
      await playWalkThrough({ knex, sandbox, pm2, webhookUrl, contactCount: 60, say });
    } catch (error) {
      if (!isEnding) say(`\nWhat was said last:\n\n${pm2.lines.join('\n')}\n`);
      throw error;
    }
    const pids = [...pm2.processes.keys()];
    await stop();
    const left = pids.filter(isAlive);
    if (left.length > 0) throw new Error(`These processes did not end: ${left.join(', ')}.`);
    say('\nAll processes have ended. The walk-through held.');
    return;
  }

  say(`\nNow you:  ${siteUrl} shows the users, and which process says so. Every second another contact becomes one.
Kill a process with "kill -9", or replace all:  PM2_HOME=${pm2.home} npx pm2 reload site
Ctrl-C ends it.\n`);
  const timer = setInterval(() => {
    const contactId = sandbox.addContact({ email: `mary${sandbox.contacts().length + 1}@example.com` });
    void sandbox.send({ url: webhookUrl('add'), contactId });
  }, 1000);
  running.push(() => clearInterval(timer));
}

async function openDatabase(schema) {
  const knex = createKnex({
    client: 'pg',
    connection: databaseUrl,
    searchPath: [schema],
    log: { warn: () => undefined }, // a connection that fails is an error, and said once
  });
  running.push(() => knex.destroy());
  try {
    await knex.raw('select 1');
  } catch (error) {
    const { host } = new URL(databaseUrl);
    const why = error.message || error.code;
    throw new Error(`PostgreSQL at ${host} does not take us: ${why}. DATABASE_URL says where it is.`, {
      cause: error,
    });
  }
  return knex;
}

/** The database's URL, for one who is to see this schema only. */
function urlIn(schema) {
  const url = new URL(databaseUrl);
  url.searchParams.set('options', `-csearch_path=${schema}`);
  return url.href;
}

/** A port that nobody listens on: the one that is wanted, or any for 0. Said once, and not by each process of the site. */
async function freePort(wanted) {
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65535)
    throw new Error(`PORT is no port: ${env.PORT}`);
  const server = createServer().listen(wanted, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new Error(`Port ${wanted} is taken. PORT names another one.`, { cause: error });
  }
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

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
