// Starts the members' area on PostgreSQL: with a make-believe Ontraport beside it, in tables that go when it ends, or with a real
// account, in tables that stay. With --once it plays its walk-through and ends.
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const { createServer } = require('node:http');
const path = require('node:path');
const express = require('express');
const createKnex = require('knex');
const { isWpFusionError, OntraportClient } = require('wp-fusion-webhook');
const { KnexUserRepository } = require('wp-fusion-webhook/knex');
const { OntraportSandbox } = require('wp-fusion-webhook/testing');
const {
  addAutomations,
  addOldMembers,
  OLD_MEMBERS,
  PASSWORD_FIELD,
  setUpAccount,
  webhookUrls,
} = require('./account');
const { mapping } = require('./members');
const { createOrderForm } = require('./order-form');
const { createSite } = require('./site');
const { playWalkThrough, WalkThroughError } = require('./walk-through');

const { env } = process;
const isOnce = process.argv.includes('--once');
const isReal = env.ONTRAPORT_APP_ID !== undefined || env.ONTRAPORT_API_KEY !== undefined;
const databaseUrl = env.DATABASE_URL ?? 'postgres://127.0.0.1:5432/postgres';
const say = (text) => console.log(text);

/** What has to be ended, the first started last. */
const running = [];
let isEnding = false;

async function main() {
  // From the start: whenever it is ended, its tables go.
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      isEnding = true;
      say('\nEnding.');
      stop().catch(fail);
    });
  }
  if (isReal && isOnce) {
    throw new Error('--once plays with the sandbox: run it without ONTRAPORT_APP_ID and ONTRAPORT_API_KEY.');
  }
  const sandbox = isReal ? undefined : await OntraportSandbox.start();
  if (sandbox !== undefined) {
    running.push(() => sandbox.close());
    setUpAccount(sandbox);
  }

  // A schema of its own: no other table of the database is touched.
  const schema = isReal
    ? (env.MEMBERS_AREA_SCHEMA ?? 'members_area')
    : `members_area_try_${randomBytes(4).toString('hex')}`;
  const knex = await openDatabase(schema);
  const made = Promise.resolve(knex.raw('create schema if not exists ??', [schema]));
  if (!isReal) {
    running.push(async () => {
      // Not before it is there: it would come after its end.
      await made.catch(() => undefined);
      await knex.raw('drop schema if exists ?? cascade', [schema]);
    });
    say(`A members' area and an Ontraport account, both on this machine.
Its tables are in the schema ${schema}, which goes when it ends.\n`);
  }
  await made;
  if (isReal) await knex.migrate.latest(MIGRATIONS);
  else await playMigrations(knex);

  const accessKey = isReal ? env.WPF_ACCESS_KEY : randomBytes(24).toString('hex');
  const passwordField = isReal ? env.ONTRAPORT_PASSWORD_FIELD : PASSWORD_FIELD;
  const site = createSite({
    knex,
    accessKey,
    crm: new OntraportClient({
      appId: sandbox?.appId ?? env.ONTRAPORT_APP_ID,
      apiKey: sandbox?.apiKey ?? env.ONTRAPORT_API_KEY,
      baseUrl: sandbox?.baseUrl ?? env.ONTRAPORT_BASE_URL, // only for trying it with a sandbox
    }),
    returnPassword: passwordField === undefined ? undefined : { field: passwordField },
    // Made up, it ends all sessions at a restart.
    sessionSecret: env.SESSION_SECRET ?? randomBytes(32),
    orderUrl: isReal ? (env.ORDER_FORM_URL ?? 'https://YOUR-ORDER-FORM.example/') : '/order-form',
  });
  running.push(() => site.webhook.close()); // also where it never comes to listen
  const app = express();
  if (sandbox !== undefined) app.use('/order-form', createOrderForm(sandbox, site.webhook));
  app.use(site.app);

  const siteUrl = await listen(app, site.webhook);
  if (sandbox === undefined) sayWhatToPaste(siteUrl);
  else addAutomations(sandbox, webhookUrls(siteUrl, accessKey));
  if (isOnce) {
    await playWalkThrough({ knex, sandbox, webhook: site.webhook, siteUrl, say });
    await stop();
    say('\nThe walk-through held.');
    return;
  }

  if (sandbox !== undefined) sayWhatToTry(siteUrl);
  say(`\nNow you:  ${siteUrl}/\nCtrl-C ends it.`);
}

const MIGRATIONS = { directory: path.join(__dirname, 'migrations') };

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

/** The old site first, then what webhooks need: so that one sees what is lacking, and that it is there afterwards. */
async function playMigrations(knex) {
  await knex.migrate.up(MIGRATIONS);
  await addOldMembers(knex);
  const users = new KnexUserRepository(knex, mapping);
  say('The table "members" is an old one. users.check() says what it lacks:\n');
  for (const { severity, message } of await users.check())
    say(`  ${severity}: ${message.split(' prepareTable()')[0]}`);
  await knex.migrate.latest(MIGRATIONS);
  const left = await users.check();
  for (const { severity, message } of left) say(`  ${severity}: ${message}`);
  if (left.length > 0) throw new WalkThroughError('The second migration should have added everything.');
  say('\nThe second migration, which is users.prepareTable(), has added it; the third has made the queue.\n');
}

function sayWhatToTry(siteUrl) {
  const [{ email_address, password }] = OLD_MEMBERS;
  say(`  1. Log in at ${siteUrl}/login, as ${email_address}, who has been a member for years: ${password}
  2. Look at the course: closed.
  3. Order it for her, at ${siteUrl}/order-form: it is open.
  4. Order it for somebody new: a member is made, and logs in with the password that comes back.
  5. Give it back there: closed again.`);
}

function sayWhatToPaste(siteUrl) {
  const { add, update, updateTags } = webhookUrls(env.PUBLIC_URL ?? 'https://YOUR-SITE', '$WPF_ACCESS_KEY');
  say(`A members' area that talks to your Ontraport, which has to reach ${siteUrl}. Its tables stay.
In an automation, add the element "Webhook" with one of these as its URL, POST, no data:

  the course is ordered      ${add}
  a field changed            ${update}
  a tag came or went         ${updateTags}`);
}

/** Listens on loopback, on PORT or 3000; gives the URL. */
async function listen(app, webhook) {
  const port = Number(isOnce ? 0 : (env.PORT ?? 3000));
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error(`PORT is no port: ${env.PORT}`);
  const server = createServer(app).listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new Error(`Port ${port} is taken. PORT names another one.`, { cause: error });
  }
  running.push(async () => {
    const closed = once(server, 'close');
    server.close();
    await webhook.close();
    server.closeAllConnections();
    await closed;
  });
  return `http://127.0.0.1:${server.address().port}`;
}

async function stop() {
  for (const end of running.splice(0).reverse()) await end();
}

function fail(error) {
  // What we or the package say of a mistake needs no stack.
  const isPlain = error.constructor === Error || error instanceof WalkThroughError || isWpFusionError(error);
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
  })
  .catch(fail);
