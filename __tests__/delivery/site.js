// A site in a process of its own, with a durable queue, that kills itself at a step it is told. The parent sends a setting and
// gets the URL back; everything the site does that must not be lost is written to a ledger at once.
const { appendFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const express = require('express');
const createKnex = require('knex');
const { OntraportClient, wpFusionWebhook } = require('wp-fusion-webhook');
const { KnexUserRepository, KnexWebhookQueue } = require('wp-fusion-webhook/knex');
const { Watch } = require('./watch.js');

const FAIL_POINT = Symbol.for('wp-fusion-webhook.fail-point');
const WORKER_TIMING = Symbol.for('wp-fusion-webhook.worker-timing');

/** Knex tells the console of every connection that is lost, which in these tests is many. */
const QUIET = { debug() {}, deprecate() {}, warn() {}, error() {} };

let site;

process.on('message', async ({ id, method, parameter }) => {
  try {
    process.send({ id, value: await METHODS[method](parameter) });
  } catch (error) {
    process.send({ id, error: error.stack });
  }
});
// Nobody is left to end us when the parent has died.
const exit = () => process.exit();
process.on('disconnect', exit);

const METHODS = {
  start: async (setting) => {
    site = await startSite(setting);
    return site.url;
  },
  close: () => site.close(),
  measure: () => site.measure(),
  beginWork: () => site.beginWork(),
};

async function startSite(setting) {
  setClockAhead(setting.clockAheadMs ?? 0);
  const write = (line) =>
    appendFileSync(setting.ledger, `${JSON.stringify({ pid: process.pid, ...line })}\n`);
  const atStep = dyingAt(setting.death, write);
  let beginWork = () => undefined;
  const mayWork = setting.waitsWithWork ? new Promise((resolve) => (beginWork = resolve)) : undefined;
  const knex = createKnex({ ...withShortBusyTimeout(setting.connection), log: QUIET });
  const watch =
    setting.watch === undefined
      ? undefined
      : new Watch(setting.watch, (contactId, detail) => write({ what: 'collision', contactId, detail }));
  const users = new KnexUserRepository(knex);
  const queue = setting.queue === undefined ? undefined : queueOf(setting.queue, knex, atStep);
  const webhook = wpFusionWebhook({
    ...setting.webhook,
    crm: new OntraportClient(setting.crm),
    users: watch?.users(users) ?? users,
    ...(queue === undefined ? {} : { queue: watch?.queue(queue) ?? queue }),
    hooks: {
      afterCreate: ({ user: { contactId, tags } }) => write({ what: 'afterCreate', contactId, tags }),
      beforeTagsChange: ({ user: { contactId }, added, removed }) =>
        write({ what: 'beforeTagsChange', contactId, added, removed }),
      afterUpdate: ({ user: { contactId, role } }) => write({ what: 'afterUpdate', contactId, role }),
    },
    notifier: { sendWelcome: async ({ user: { contactId } }) => write({ what: 'mail', contactId }) },
    logger: loggerTo(write),
    [FAIL_POINT]: async (step) => {
      await atStep(step);
      if (step === 'work: taken') await mayWork;
    },
    [WORKER_TIMING]: setting.timing,
  });
  const app = express();
  app.use(webhook);
  const server = createServer(app);
  await new Promise((resolve, reject) => {
    server.once('error', reject).listen(setting.port, '127.0.0.1', resolve);
  });
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    beginWork: () => beginWork(),
    measure: () => {
      globalThis.gc();
      const measured = { heapBytes: process.memoryUsage().heapUsed, longestDelayMs: delay.max / 1e6 };
      delay.reset();
      return measured;
    },
    close: async () => {
      server.closeIdleConnections();
      server.close();
      await webhook.close();
      await queue?.close?.();
      await knex.destroy();
      delay.disable();
      // A process that holds on to something does not end by itself: the parent waits for the end.
      process.off('disconnect', exit);
      setImmediate(() => process.disconnect());
    },
  };
}

/** In Redis or in the database; the one in Redis has steps of its own. */
function queueOf({ leaseMs, redis }, knex, atStep) {
  if (redis === undefined) return new KnexWebhookQueue(knex, { leaseMs });
  const { BullMqWebhookQueue } = require('wp-fusion-webhook/bullmq');
  return new BullMqWebhookQueue({ connection: redis, leaseMs, [FAIL_POINT]: atStep });
}

/** What waits for a quarter of an hour is not waited for. */
function setClockAhead(milliseconds) {
  const now = Date.now;
  Date.now = () => now() + milliseconds;
}

/** better-sqlite3 waits for a lock in the one thread there is; five seconds of that are a long time in a test. */
function withShortBusyTimeout(connection) {
  if (connection.client !== 'better-sqlite3') return connection;
  const afterCreate = (database, done) => {
    database.pragma('busy_timeout = 250');
    done(null, database);
  };
  return { ...connection, pool: { min: 1, max: 1, afterCreate } };
}

/** Kills the process at the n-th hit of one step, or of any. */
function dyingAt(death, write) {
  let hits = 0;
  return async (step) => {
    write({ what: 'step', step });
    if (death === undefined || (death.step !== undefined && death.step !== step)) return;
    hits += 1;
    if (hits !== death.hit) return;
    write({ what: 'dies at', step });
    process.kill(process.pid, 'SIGKILL');
    // The signal may come a moment later: nothing goes on until then.
    await new Promise(() => undefined);
  };
}

/** What went wrong is for whoever reads the story of a contact. */
function loggerTo(write) {
  const tell = (details, message) => {
    const cause = details.cause?.message ?? details.cause;
    const more = [details.code, cause].filter((part) => part !== undefined).join(': ');
    write({ what: 'log', contactId: details.contactId ?? undefined, message: `${message} (${more})` });
  };
  return { debug() {}, info() {}, warn: tell, error: tell };
}
