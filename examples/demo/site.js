// The site: an Express site with a login, whose users come from Ontraport. This is the file to copy from.
const express = require('express');
const { BcryptHasher, wpFusionWebhook } = require('wp-fusion-webhook');
const { wpFusionAdmin } = require('wp-fusion-webhook/admin');
const { KnexActivityLog, KnexUserRepository, KnexWebhookQueue, migrate } = require('wp-fusion-webhook/knex');

/**
 * Makes the site, with its users, the webhooks that wait and what became of them in the database behind `knex`: SQLite here,
 * PostgreSQL, MySQL and MariaDB alike. `isStaff` says whose request may see what became of people's accounts. `app` is an Express
 * app like any other. At the end close the server, then `webhook`, then the database.
 */
async function createSite({ knex, accessKey, crm, fields, returnPassword, sendMail, isStaff, logger }) {
  await migrate(knex); // makes the tables wpf_… where there are none
  const users = new KnexUserRepository(knex);
  const passwords = new BcryptHasher();

  const webhook = wpFusionWebhook({
    accessKey,
    crm,
    users,
    queue: new KnexWebhookQueue(knex), // a webhook is stored, answered with 202, and worked off a moment later
    activityLog: new KnexActivityLog(knex), // what became of each of them, for 30 days
    fields: { company: { from: 'company', blank: 'clear' }, ...fields },
    roles: { assignable: ['subscriber', 'customer'], default: 'subscriber' },
    passwordHasher: passwords,
    returnPassword,
    notifier: { sendWelcome: async ({ user }) => sendMail({ to: user.email, subject: 'Welcome' }) },
    logger,
  });

  const app = express();
  app.disable('x-powered-by');
  app.use(webhook);
  // On a real site `isStaff` looks at the session; `inspect` shows values of contacts, not only the names of fields.
  app.use('/admin', wpFusionAdmin(webhook, { authorize: isStaff, inspect: true }));

  app.post('/login', express.urlencoded({ extended: false }), async (request, response) => {
    const { email = '', password = '' } = request.body ?? {};
    const user = await users.findByEmail(String(email));
    const isRight = user?.passwordHash ? await passwords.verify(String(password), user.passwordHash) : false;
    if (!isRight) {
      response.status(401).json({ message: 'The email or the password is wrong.' });
      return;
    }
    // A real site starts a session here.
    response.json({ username: user.username, role: user.role, tags: user.tags });
  });

  return { app, users, webhook };
}

module.exports = { createSite };
