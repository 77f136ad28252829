// Where a site keeps its users and its queue: on each store a place of its own, made and taken away by the measurement.
const { mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const Redis = require('ioredis');
const createKnex = require('knex');
const { BullMqWebhookQueue } = require('../dist/bullmq');
const { KnexWebhookQueue } = require('../dist/knex');

const POSTGRES_URL = process.env.TEST_POSTGRES_URL ?? 'postgres://root@127.0.0.1:5432/test';
const MYSQL_URL = process.env.TEST_MYSQL_URL ?? 'mysql://root@127.0.0.1:3306/test';
const REDIS_URL = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379';

const isOnPostgres = (store) => store === 'PostgreSQL' || store === 'Redis';
const STORES = ['SQLite', 'PostgreSQL', 'MariaDB', 'Redis'];

/** The options of Knex without a database of our own, and with one. With Redis the users are in PostgreSQL. */
function serverOf(store) {
  if (isOnPostgres(store)) return { client: 'pg', connection: POSTGRES_URL };
  const { hostname, port, username, password } = new URL(MYSQL_URL);
  return {
    client: 'mysql2',
    connection: { host: hostname, port: Number(port || 3306), user: username, password },
  };
}
function configOf({ store, name, folder }) {
  if (isOnPostgres(store)) return { ...serverOf(store), searchPath: [name] };
  if (store === 'MariaDB') {
    const { client, connection } = serverOf(store);
    return { client, connection: { ...connection, database: name } };
  }
  const filename = path.join(folder, 'site.sqlite');
  return { client: 'better-sqlite3', connection: { filename }, useNullAsDefault: true };
}

async function tell(store, statement, name) {
  const knex = createKnex(serverOf(store));
  await knex.raw(statement, [name]);
  await knex.destroy();
}

/** A new place, as data that a program can be sent. */
async function make(store = 'SQLite') {
  const place = {
    store,
    name: `wpf_bench_${process.pid}_${Date.now()}`,
    folder: mkdtempSync(path.join(os.tmpdir(), 'wpf-bench-')),
  };
  if (isOnPostgres(store)) await tell(store, 'create schema ??', place.name);
  if (store === 'MariaDB') await tell(store, 'create database ?? character set utf8mb4', place.name);
  return place;
}

async function drop({ store, name, folder }) {
  if (isOnPostgres(store)) await tell(store, 'drop schema ?? cascade', name);
  if (store === 'MariaDB') await tell(store, 'drop database ??', name);
  if (store === 'Redis') {
    const redis = new Redis(REDIS_URL);
    const keys = await redis.keys(`${name}:*`);
    while (keys.length > 0) await redis.del(keys.splice(0, 1000));
    redis.disconnect();
  }
  rmSync(folder, { recursive: true });
}

/** Knex and a queue on a place, and how both are ended. */
function open(place) {
  const knex = createKnex(configOf(place));
  if (place.store !== 'Redis') {
    return { knex, queue: new KnexWebhookQueue(knex), close: () => knex.destroy() };
  }
  const queue = new BullMqWebhookQueue({ connection: { url: REDIS_URL }, prefix: place.name });
  return {
    knex,
    queue,
    async close() {
      await queue.close();
      await knex.destroy();
    },
  };
}

module.exports = { drop, make, open, STORES };
