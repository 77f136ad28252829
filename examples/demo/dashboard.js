// The demo's page and what it asks the server: a window into both the account and the site. A real site has nothing of this.
const path = require('node:path');
const express = require('express');
const { ADD_TAG, FIELDS, PLANS, TAGS } = require('./account');
const { keepJournal } = require('./journal');

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/**
 * The page. `sandbox` is undefined where the site talks to a real account: then the page shows the site alone.
 * `previewUrl(action, contactId)` is the URL of a webhook for a person to open in a browser; `keep()` keeps the account as it is.
 */
function createDashboard({ site, knex, sandbox, mails, previewUrl, keep }) {
  const journal = keepJournal(site.webhook);
  const outage = sandbox === undefined ? undefined : new Outage(sandbox);

  const router = express.Router();
  router.use(onlyFromThisMachine);
  router.use((_request, response, next) => {
    response.set(HEADERS);
    next();
  });
  router.use(express.static(path.join(__dirname, 'public'), { cacheControl: false }));

  router.get('/demo/state', async (_request, response) => {
    // A page of the site reads the table as it likes.
    const users = await knex('wpf_users').orderBy('id');
    const { waiting, dead } = await site.webhook.queueCounts();
    response.json({
      hasAccount: sandbox !== undefined,
      isDown: outage?.isOn ?? false,
      addTag: ADD_TAG,
      tags: TAGS,
      plans: Object.entries(PLANS).map(([id, label]) => ({ id, label })),
      contacts: sandbox?.contacts().map((contact) => shownContact(contact, sandbox)) ?? [],
      users: users.map((user) => shownUser(user, mails)),
      webhooks: journal,
      queue: { waiting, dead },
    });
  });

  router.get('/demo/preview/:contactId', async (request, response) => {
    const { contactId } = request.params;
    const user = await site.users.findByContactId(contactId);
    response.redirect(303, previewUrl(user === null ? 'add' : 'update', contactId));
  });

  router.use('/demo', express.json({ limit: '10kb' }), onlyJson);
  router.post('/demo/replay', async (_request, response) => {
    response.json({ count: await site.webhook.deadLetters.replay() });
  });
  if (sandbox === undefined) return router;
  router.put('/demo/outage', (request, response) => {
    outage.set(request.body.isDown === true);
    response.json({});
  });
  router.use('/demo/contacts', accountRoutes(sandbox, keep));
  return router;
}

/** Ontraport's API, down or not. */
class Outage {
  #fault;

  constructor(sandbox) {
    this.sandbox = sandbox;
  }

  get isOn() {
    return this.#fault !== undefined;
  }

  set(isOn) {
    if (isOn) {
      this.#fault ??= this.sandbox.fail({ with: 'error500', times: Infinity });
      return;
    }
    this.#fault?.remove();
    this.#fault = undefined;
  }
}

/** What the page does in the account, as a person would do it in Ontraport. */
function accountRoutes(sandbox, keep) {
  const router = express.Router();

  router.post('/', async (request, response) => {
    const fields = fieldsOf(request.body);
    if (!fields.email) {
      response.status(422).json({ message: 'A contact needs an email here.' });
      return;
    }
    const id = sandbox.addContact(fields);
    // Before it can become a user: the id of a user's contact is never given to another one.
    await keep();
    response.status(201).json({ id });
  });

  router.use('/:id', (request, response, next) => {
    if (sandbox.contact(request.params.id) !== undefined) next();
    else response.status(404).json({ message: 'There is no such contact.' });
  });
  router.patch('/:id', async (request, response) => {
    sandbox.updateContact(request.params.id, fieldsOf(request.body));
    await keep();
    response.json({});
  });
  router.put('/:id/tags', async (request, response) => {
    const { tag, has } = request.body;
    if (!TAGS.includes(tag)) {
      response.status(422).json({ message: 'There is no such tag.' });
      return;
    }
    if (has === true) sandbox.tag(request.params.id, tag);
    else sandbox.untag(request.params.id, tag);
    await keep();
    response.json({});
  });
  return router;
}

/** The fields that the page may write, out of what it sent. */
function fieldsOf(body) {
  const fields = {};
  for (const name of ['firstname', 'lastname', 'email', 'company', 'plan']) {
    const value = body[name];
    if (typeof value === 'string') fields[FIELDS[name] ?? name] = value.trim().slice(0, 200);
  }
  return fields;
}

function shownContact(contact, sandbox) {
  const { id, firstname, lastname, email, company } = contact;
  return {
    id,
    firstname,
    lastname,
    email,
    company,
    plan: contact[FIELDS.plan],
    password: contact[FIELDS.password],
    tags: sandbox.tagsOf(id),
  };
}

const shownUser = ({ id, contact_id, username, email, role, tags, meta }, mails) => ({
  id: String(id),
  contactId: contact_id,
  username,
  email,
  role,
  tags: JSON.parse(tags),
  meta: JSON.parse(meta),
  isWelcomed: mails.some(({ to }) => to === email),
});

/** A form of another website cannot send JSON without the browser asking us first. */
function onlyJson(request, response, next) {
  if (request.is('json')) next();
  else response.status(415).json({ message: 'Send JSON.' });
}

/**
 * The page shows contacts, and passwords: it is for a browser on this machine. A tunnel that lets Ontraport reach the webhook,
 * and a website whose name was made to point here, come with another host.
 */
function isFromThisMachine(request) {
  const isLocal = ['localhost', '127.0.0.1'].includes(request.hostname);
  const isForwarded = 'x-forwarded-for' in request.headers || 'forwarded' in request.headers;
  return isLocal && !isForwarded;
}

function onlyFromThisMachine(request, response, next) {
  if (isFromThisMachine(request)) next();
  else response.status(403).type('text').send('This page is for a browser on the machine it runs on.');
}

module.exports = { createDashboard, isFromThisMachine };
