// A site, as a team has it before and after: without webhooks, with a route written by hand, with the plugin's way of calling the
// CRM, and with the package.
const { once } = require('node:events');
const { setTimeout: pause } = require('node:timers/promises');
const axios = require('axios');
const bcrypt = require('bcryptjs');
const express = require('express');
const { OntraportClient, wpFusionWebhook } = require('../../dist');
const { KnexUserRepository, migrate } = require('../../dist/knex');
const { now, serve } = require('../processes');
const { open } = require('../stores');

const KEY = 'only-for-the-bench';

let site;
let server;
let webhook;
/** How many webhooks are done with, how they ended, and when the last did. */
const done = { count: 0, outcomes: {}, lastAt: 0, wake: () => undefined };

function finish(outcome) {
  done.count += 1;
  done.outcomes[outcome] = (done.outcomes[outcome] ?? 0) + 1;
  done.lastAt = now();
  done.wake();
}

/** What a good developer writes in an afternoon: read the contact, read its tags, hash, insert, save the password. */
function byHand(knex, { baseUrl, appId, apiKey, passwordField, returnsPassword, atOnce }) {
  const crm = axios.create({ baseURL: baseUrl, headers: { 'Api-Appid': appId, 'Api-Key': apiKey } });
  // PHP has a few processes, each with one request.
  const workers = { free: atOnce, waiting: [] };
  const enter = async () => {
    if (workers.free > 0) workers.free -= 1;
    else await new Promise((resolve) => workers.waiting.push(resolve));
  };
  const leave = () => {
    const next = workers.waiting.shift();
    if (next === undefined) workers.free += 1;
    else next();
  };
  const isPlugin = atOnce !== Infinity;

  const work = async (action, id) => {
    const { data: contact } = (await crm.get('/Contact', { params: { id } })).data;
    const ids = String(contact.contact_cat).split('*/*').filter(Boolean).join(',');
    // The plugin reads the contact once more for its tags, and knows their names; others ask for the names.
    const tags = isPlugin
      ? (await crm.get('/Contact', { params: { id } })).data.data.contact_cat
      : JSON.stringify(
          (await crm.get('/Tags', { params: { ids } })).data.data.map(({ tag_name: name }) => name),
        );
    const user = await knex('people').where({ contact_id: id }).first();
    if (user !== undefined) {
      const rest = action === 'update_tags' ? {} : { email: contact.email, first_name: contact.firstname };
      await knex('people')
        .where({ id: user.id })
        .update({ tags, ...rest });
      return 'updated';
    }
    if (action !== 'add') return 'skipped';
    const password = Math.random().toString(36).slice(2, 14);
    // The plugin's own hashing takes next to nothing.
    const hash = await bcrypt.hash(password, isPlugin ? 4 : 10);
    await knex('people').insert({
      contact_id: id,
      email: contact.email,
      first_name: contact.firstname,
      last_name: contact.lastname,
      password: hash,
      tags,
    });
    if (returnsPassword) await crm.put('/Contacts', { id, [passwordField]: password });
    return 'created';
  };
  return async (request, response) => {
    const { wpf_action: action, contact_id: id, access_key: key } = request.query;
    if (key !== KEY) return response.sendStatus(403);
    await enter();
    let outcome = 'failed';
    try {
      outcome = await work(action, id);
      response.json({ outcome });
    } catch (error) {
      response.status(500).json({ error: error.message });
    } finally {
      leave();
      finish(outcome);
    }
  };
}

async function packaged({ knex, queue }, { hasQueue, account, returnsPassword, options }) {
  const { baseUrl, appId, apiKey, passwordField } = account;
  await migrate(knex);
  webhook = wpFusionWebhook({
    accessKey: KEY,
    crm: new OntraportClient({ baseUrl, appId, apiKey }),
    users: new KnexUserRepository(knex),
    queue: hasQueue ? queue : undefined,
    returnPassword: returnsPassword ? { field: passwordField } : undefined,
    ...options,
  });
  webhook.on('webhook.processed', ({ outcome }) => finish(outcome));
  webhook.on('webhook.failed', ({ willRetry }) => {
    if (!willRetry) finish('failed');
  });
  return webhook;
}

let watching;

/** MariaDB counts row locks that were waited for; PostgreSQL shows who waits now, so it is asked again and again. */
function watchLocks(knex, store) {
  if (store === 'MariaDB') {
    const count = async () => {
      const [[{ Value: waits }]] = await knex.raw("show global status like 'Innodb_row_lock_waits'");
      return Number(waits);
    };
    const before = count();
    return { end: async () => `${(await count()) - (await before)}` };
  }
  if (store !== 'PostgreSQL') return { end: async () => '' };
  let isOver = false;
  const seen = { looks: 0, waits: 0 };
  const looking = (async () => {
    while (!isOver) {
      const { rows } = await knex.raw(
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' limit 1",
      );
      seen.looks += 1;
      seen.waits += rows.length;
      await pause(10);
    }
  })();
  return {
    async end() {
      isOver = true;
      await looking;
      return `in ${seen.waits} of ${seen.looks} looks`;
    },
  };
}

serve({
  async begin({ kind, place, account, returnsPassword = false, options = {} }) {
    site = { place, ...open(place) };
    const { knex } = site;
    const app = express();
    app.get('/page', (_request, response) => response.json({ hello: 'visitor' }));
    if (kind === 'by hand' || kind === 'as the plugin') {
      await knex.raw('pragma journal_mode = wal');
      await knex.schema.createTable('people', (people) => {
        people.increments('id');
        people.string('contact_id').unique();
        people.string('email').unique();
        people.string('first_name');
        people.string('last_name');
        people.string('password');
        people.string('tags');
      });
      const atOnce = kind === 'by hand' ? Infinity : 4;
      app.all('/', byHand(knex, { ...account, returnsPassword, atOnce }));
    } else if (kind !== 'nothing') {
      app.use(await packaged(site, { hasQueue: kind === 'queued', account, returnsPassword, options }));
    }
    server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${server.address().port}`;
    return { page: `${url}/page`, webhook: `${url}/?access_key=${KEY}&contact_id=CONTACT&wpf_action=` };
  },
  /** Resolves when so many webhooks are done with: how they ended, and when the last did. */
  async finished(count) {
    while (done.count < count) {
      await new Promise((resolve) => {
        done.wake = resolve;
      });
    }
    return { outcomes: done.outcomes, lastAt: done.lastAt };
  },
  /** Puts a webhook of each contact into the queue, as if it had been accepted. */
  async fill({ action, contactIds }) {
    const left = contactIds.toReversed();
    const putAll = async () => {
      for (let id = left.pop(); id !== undefined; id = left.pop()) {
        await site.queue.put('default', id, { action, receivedAt: Date.now() });
      }
    };
    await Promise.all(Array.from({ length: 1000 }, putAll));
  },
  /** Empties the queue without doing what the webhooks ask for: what the queue itself takes, in milliseconds. */
  async empty() {
    const begun = now();
    for (;;) {
      const taken = await site.queue.take('default', 100);
      if (taken.length === 0) return now() - begun;
      await Promise.all(
        taken.map((contact) => {
          const verdicts = new Map(contact.jobs.map(({ id }) => [id, { kind: 'done' }]));
          return site.queue.finish('default', contact, verdicts);
        }),
      );
    }
  },
  /** The most memory that this process had in so many seconds, in bytes. */
  async mostMemory(seconds) {
    let most = 0;
    for (const end = now() + seconds * 1000; now() < end; await pause(100)) {
      most = Math.max(most, process.memoryUsage().rss);
    }
    return most;
  },
  counts: () => site.queue.counts('default'),
  /** Resolves when nothing waits any more, with when that was. */
  async emptied() {
    while ((await site.queue.counts('default')).waiting > 0) await pause(20);
    return now();
  },
  /** Counts what Knex is told from now on, for `statements`. */
  countStatements() {
    site.statements = 0;
    site.knex.on('query', () => (site.statements += 1));
  },
  statements: () => site.statements,
  /** Looks for locks that somebody waits for, until `lockWaits`. */
  watchLocks() {
    watching = watchLocks(site.knex, site.place.store);
  },
  /** What was seen of them; `undefined` where the store has none to look at. */
  lockWaits: () => watching.end(),
  clear() {
    Object.assign(done, { count: 0, outcomes: {}, lastAt: 0 });
  },
  async end() {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await webhook?.close();
    await site.close();
  },
});
