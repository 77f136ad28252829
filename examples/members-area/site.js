// The site: login, a page for members, a course that one tag opens. What Ontraport has to do with it is the first half of
// `createSite`; the rest would look the same without it.
const path = require('node:path');
const express = require('express');
const { BcryptHasher, wpFusionWebhook } = require('wp-fusion-webhook');
const { KnexUserRepository, KnexWebhookQueue } = require('wp-fusion-webhook/knex');
const course = require('./course');
const { createMembers, mapping } = require('./members');
const { closedPage, coursePage, loginPage, memberPage, messagePage } = require('./pages');
const { createSessions } = require('./session');

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
};

/** Makes the site. Its tables have to be there. At the end close the server, then `webhook`, then the database. */
function createSite({ knex, crm, accessKey, returnPassword, sessionSecret, orderUrl }) {
  // One cost for all hashes, as those of the old members have: how long a login takes does not tell who came from Ontraport.
  const passwords = new BcryptHasher({ cost: 10, generatedCost: 10 });
  const webhook = wpFusionWebhook({
    accessKey,
    crm,
    users: new KnexUserRepository(knex, mapping),
    queue: new KnexWebhookQueue(knex), // stored, answered with 202, and worked off a moment later
    fields: { company: { from: 'company', blank: 'clear' } },
    roles: { assignable: ['member'], default: 'member' }, // teachers and admins are out of a webhook's reach
    passwordHasher: passwords,
    returnPassword,
  });

  const members = createMembers(knex);
  const sessions = createSessions({ secret: sessionSecret, findMember: members.byId });

  const app = express();
  app.disable('x-powered-by');
  app.use(webhook); // first: a webhook has no session, and comes from another website
  app.use((_request, response, next) => {
    response.set(HEADERS);
    next();
  });
  app.use(express.static(path.join(__dirname, 'public'), { cacheControl: false }));
  app.use(refuseOtherWebsites);
  app.use(express.urlencoded({ extended: false, limit: '10kb' }));
  app.use(async (request, response, next) => {
    response.locals.member = await sessions.memberOf(request);
    next();
  });

  app.get('/login', (request, response) => {
    if (response.locals.member !== undefined) response.redirect(303, '/');
    else response.send(loginPage({ to: pageOf(request.query.to) }));
  });

  // Where strangers can reach it, limit how often somebody may try.
  app.post('/login', async (request, response) => {
    const email = String(request.body?.email ?? '');
    const to = pageOf(request.body?.to);
    const member = await members.byEmail(email);
    const isRight = await passwords.verify(
      String(request.body?.password ?? ''),
      member?.password ?? HASH_OF_NOBODY,
    );
    if (member === undefined || !isRight) {
      response.status(401).send(loginPage({ email, to, isWrong: true }));
      return;
    }
    sessions.start(request, response, member);
    response.redirect(303, to);
  });

  app.post('/logout', (_request, response) => {
    sessions.end(response);
    response.redirect(303, '/login');
  });

  app.get('/', onlyMembers, async (_request, response) => {
    const { member } = response.locals;
    response.send(memberPage({ member, tags: await members.tagsOf(member.id) }));
  });

  app.get(course.path, onlyMembers, async (_request, response) => {
    const { member } = response.locals;
    // Asked at every visit: a tag that is taken away closes the page at once.
    const tags = await members.tagsOf(member.id);
    if (tags.includes(course.tag)) response.send(coursePage({ member }));
    else response.status(403).send(closedPage({ member, orderUrl }));
  });

  app.use((_request, response) => {
    response.status(404).send(messagePage({ title: 'Not found', text: 'There is no such page.' }));
  });
  app.use((error, _request, response, next) => {
    const { status = 500 } = error;
    if (status >= 500) console.error(error);
    if (response.headersSent) next(error);
    else response.status(status).send(messagePage({ title: 'That did not work', text: 'Please try again.' }));
  });
  return { app, webhook };
}

/** Verified where there is no such member, so that this takes as long. No password has it. */
const HASH_OF_NOBODY = `$2b$10$${'.'.repeat(53)}`;

/** Where to go after the login: to a page of ours, whatever the address asks for. */
function pageOf(asked) {
  return asked === course.path ? asked : '/';
}

function onlyMembers(request, response, next) {
  if (response.locals.member !== undefined) next();
  else response.redirect(303, `/login?to=${encodeURIComponent(pageOf(request.path))}`);
}

/** A form of another website logs nobody in or out. */
function refuseOtherWebsites(request, response, next) {
  const origin = request.get('origin');
  const isOwn = origin === undefined || origin.replace(/^https?:\/\//, '') === request.get('host');
  if (request.method === 'GET' || isOwn) next();
  else response.status(403).send(messagePage({ title: 'Refused', text: 'This form is of another website.' }));
}

module.exports = { createSite };
