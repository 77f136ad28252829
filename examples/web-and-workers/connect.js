// What web processes and workers have in common: the users, the queue in Redis, and the same options.
const path = require('node:path');
const createKnex = require('knex');
const { OntraportClient, wpFusionWebhook } = require('wp-fusion-webhook');
const { BullMqWebhookQueue } = require('wp-fusion-webhook/bullmq');
const { KnexUserRepository, migrate } = require('wp-fusion-webhook/knex');

const { env } = process;

/** Where the queue is: BullMQ's connection, and how all its keys begin. */
const redis = {
  connection: { url: env.REDIS_URL ?? 'redis://127.0.0.1:6379' },
  prefix: env.REDIS_PREFIX ?? 'bull',
};

/** The users, and the webhook. `worker` says whether this process works the queue off too. */
async function connect({ worker }) {
  const crm = new OntraportClient({
    appId: env.ONTRAPORT_APP_ID,
    apiKey: env.ONTRAPORT_API_KEY,
    baseUrl: env.ONTRAPORT_BASE_URL, // only for trying it with a sandbox
  });
  const knex = await openDatabase();
  // What a worker that died had in work is given to another one after `leaseMs`.
  const queue = new BullMqWebhookQueue({ ...redis, leaseMs: Number(env.LEASE_MS ?? 30_000) });
  const webhook = wpFusionWebhook({
    accessKey: env.WPF_ACCESS_KEY,
    crm,
    users: new KnexUserRepository(knex), // your own table: docs/existing-tables.md
    queue,
    worker,
    fields: { company: 'company' },
  });

  /** Ends all connections, when what is in work is finished or given back. */
  async function close() {
    await webhook.close();
    await queue.close();
    await knex.destroy();
  }
  return { knex, webhook, close };
}

/** PostgreSQL where DATABASE_URL says so. SQLite, all of whose processes are on one machine, is for trying it out. */
async function openDatabase() {
  const knex =
    env.DATABASE_URL === undefined
      ? createKnex({
          client: 'better-sqlite3',
          connection: { filename: env.DATABASE_FILE ?? path.join(__dirname, 'site.sqlite') },
          useNullAsDefault: true,
        })
      : createKnex({ client: 'pg', connection: env.DATABASE_URL });
  if (env.DATABASE_URL === undefined) await knex.raw('pragma journal_mode = wal');
  await migrate(knex, { queue: false }); // the table of users: all processes call it, one makes it
  return knex;
}

/** Calls `stop` once, however often the process is told to end. */
function onEnd(stop) {
  let ending;
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => (ending ??= stop()));
}

/** A line in the log that says which process it is of. */
const sayAs = (kind) => (text) => console.log(`${kind} ${process.pid}: ${text}`);

module.exports = { connect, onEnd, redis, sayAs };
