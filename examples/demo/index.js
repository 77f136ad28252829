// Starts the demo: a site, and beside it an Ontraport account to play with. With --once it tells its story and ends, and keeps
// nothing.
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const { createServer } = require('node:http');
const path = require('node:path');
const { isWpFusionError, OntraportClient } = require('wp-fusion-webhook');
const { OntraportSandbox } = require('wp-fusion-webhook/testing');
const {
  addAutomations,
  addContacts,
  contactsOf,
  FIELDS,
  restoreContacts,
  setUpAccount,
  webhookUrls,
} = require('./account');
const { createDashboard, isFromThisMachine } = require('./dashboard');
const { keepAccount, loadAccount, openDatabase, refuseOtherAccount, startAfresh } = require('./database');
const { createSite } = require('./site');
const { StoryError, tellStory } = require('./story');

const { env } = process;
const isOnce = process.argv.includes('--once');
const isReal = env.ONTRAPORT_APP_ID !== undefined || env.ONTRAPORT_API_KEY !== undefined;
const say = (text) => console.log(text);

/** Where the users and the webhooks are. Those of a real account are none of the make-believe one's. */
const file = isOnce
  ? ':memory:'
  : (env.DEMO_DATABASE ?? path.join(__dirname, isReal ? 'ontraport.sqlite' : 'demo.sqlite'));
const isKept = file !== ':memory:';
const shownFile = path.relative('', file).startsWith('..') ? file : path.relative('', file);

/** What has to be ended, the first started last. */
const running = [];
/** Whether there are contacts to keep: before the end of the story there are none, so that another start tells it. */
let isTold = false;

async function main() {
  if (isReal && isOnce) {
    throw new Error(
      '--once tells the story of the sandbox: run it without ONTRAPORT_APP_ID and ONTRAPORT_API_KEY.',
    );
  }
  const sandbox = isReal ? undefined : await OntraportSandbox.start();
  if (sandbox !== undefined) {
    running.push(() => sandbox.close());
    setUpAccount(sandbox);
  }

  const knex = await openDatabase(file);
  running.push(() => knex.destroy());
  await refuseOtherAccount(knex, file, isReal);
  const remembered = isReal ? undefined : await loadAccount(knex);
  // Before there is a site: it goes on at once with the webhooks that wait.
  if (remembered !== undefined) restoreContacts(sandbox, remembered.contacts);
  else if (!isReal) await startAfresh(knex);

  // One key for Ontraport, another for a person with a browser, who is shown values.
  const accessKey = randomBytes(24).toString('hex');
  const previewKey = randomBytes(24).toString('hex');
  const mails = remembered?.mails ?? [];
  const site = await createSite({
    knex,
    accessKey: [
      { key: accessKey, name: 'Ontraport' },
      { key: previewKey, name: 'preview', inspect: true },
    ],
    crm: new OntraportClient({
      appId: sandbox?.appId ?? env.ONTRAPORT_APP_ID,
      apiKey: sandbox?.apiKey ?? env.ONTRAPORT_API_KEY,
      baseUrl: sandbox?.baseUrl,
    }),
    fields: isReal ? {} : { plan: FIELDS.plan },
    returnPassword: returnPassword(),
    sendMail: (mail) => void mails.push(mail),
    isStaff: isFromThisMachine,
    logger: isKept ? undefined : withoutSurprise(console),
  });
  const previewUrl = (action, contactId) =>
    webhookUrls('', previewKey)[action].replace('[Contact ID]', encodeURIComponent(contactId));
  const keep = () => keepAccount(knex, { contacts: contactsOf(sandbox), mails });
  running.push(async () => {
    await site.webhook.close();
    if (isTold) await keep();
  });
  site.app.use(createDashboard({ site, knex, sandbox, mails, previewUrl, keep }));

  const server = await listen(site.app);
  running.push(async () => {
    const closed = once(server, 'close');
    server.close();
    await site.webhook.close();
    server.closeAllConnections();
    await closed;
  });
  const siteUrl = `http://127.0.0.1:${server.address().port}`;

  if (sandbox === undefined) sayHowToConnect(accessKey, siteUrl);
  else if (remembered === undefined) {
    addAutomations(sandbox, webhookUrls(siteUrl, accessKey));
    say('A site and an Ontraport account, both on this machine. This is what happens between them:\n');
    await tellStory({ sandbox, site, siteUrl, mails, say });
    addContacts(sandbox);
  } else {
    addAutomations(sandbox, webhookUrls(siteUrl, accessKey));
    say(`A site and an Ontraport account, both on this machine, as you left them.
Delete ${shownFile} to start afresh, with the story of what happens between them.`);
  }
  if (sandbox !== undefined) {
    isTold = true;
    site.webhook.on('webhook.processed', keep);
    await keep();
  }
  if (isOnce) {
    say('\nThe story held.');
    await stop();
    return;
  }

  const fate = isKept ? `what you did is kept in ${shownFile}` : 'nothing is kept';
  for (const signal of ['SIGINT', 'SIGTERM']) {
    // A second Ctrl-C is Node's own: it ends the process at once.
    process.once(signal, () => {
      say('\nEnding.');
      stop().catch(fail);
    });
  }
  say(`\nNow you:  ${siteUrl}/\nWhat became of each webhook:  ${siteUrl}/admin/\nCtrl-C ends it; ${fate}.`);
}

async function stop() {
  for (const end of running.splice(0).reverse()) await end();
}

/** A logger without the warning that webhooks in memory do not survive the process: here that was asked for. */
function withoutSurprise(logger) {
  const quiet = () => undefined;
  const line = (message) => `wp-fusion-webhook: ${message}`;
  return {
    debug: quiet,
    info: quiet,
    warn: (details, message) => {
      if (!message.includes('database is in memory')) logger.warn(line(message), details);
    },
    error: (details, message) => logger.error(line(message), details),
  };
}

function returnPassword() {
  const field = isReal ? env.ONTRAPORT_PASSWORD_FIELD : FIELDS.password;
  return field === undefined ? undefined : { field };
}

function sayHowToConnect(accessKey, siteUrl) {
  const { add, update, updateTags } = webhookUrls(env.PUBLIC_URL ?? 'https://YOUR-SITE', accessKey);
  say(`A site that talks to your Ontraport. Its users ${isKept ? `are kept in ${shownFile}` : 'are forgotten when it ends'}.

Ontraport has to reach this machine: let a tunnel lead to ${siteUrl}${env.PUBLIC_URL === undefined ? ', and put its name in the place of YOUR-SITE' : ''}.
In an automation, add the element "Webhook" with one of these as its URL, POST, no data:

  a contact becomes a user   ${add}
  a field changed            ${update}
  a tag came or went         ${updateTags}

The access key is made anew at each start.`);
}

/** Listens on loopback, on PORT or 3000, or on a free port where that one is taken. */
async function listen(app) {
  const wanted = Number(env.PORT ?? 3000);
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65535)
    throw new Error(`PORT is no port: ${env.PORT}`);
  try {
    return await listenOn(app, wanted);
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error;
    say(`Port ${wanted} is taken; another one will do.\n`);
    return await listenOn(app, 0);
  }
}

async function listenOn(app, port) {
  const server = createServer(app).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function fail(error) {
  // What we or the package say of a mistake needs no stack.
  const isPlain = error.constructor === Error || error instanceof StoryError || isWpFusionError(error);
  console.error(isPlain ? error.message : error);
  process.exitCode = 1;
}

main().catch(async (error) => {
  fail(error);
  await stop();
});
