// The site: an Express site with a login, whose users come from Ontraport. This is the file to copy from.
const express = require('express');
const { BcryptHasher, MemoryUserRepository, wpFusionWebhook } = require('wp-fusion-webhook');

/** Makes the site. `app` is an Express app like any other; close `webhook` when the server closes. */
function createSite({ accessKey, crm, fields, returnPassword, sendMail }) {
  const users = new MemoryUserRepository(); // a real site has its users in a database
  const passwords = new BcryptHasher();

  const webhook = wpFusionWebhook({
    accessKey,
    crm,
    users,
    fields: { company: { from: 'company', blank: 'clear' }, ...fields },
    roles: { assignable: ['subscriber', 'customer'], default: 'subscriber' },
    passwordHasher: passwords,
    returnPassword,
    notifier: { sendWelcome: async ({ user }) => sendMail({ to: user.email, subject: 'Welcome' }) },
  });

  const app = express();
  app.disable('x-powered-by');
  app.use(webhook);

  app.post('/login', express.urlencoded({ extended: false }), async (request, response) => {
    const { email = '', password = '' } = request.body ?? {};
    const user = await users.findByEmail(String(email));
    if (user === null || !(await passwords.verify(String(password), user.passwordHash))) {
      response.status(401).json({ message: 'The email or the password is wrong.' });
      return;
    }
    // A real site starts a session here.
    response.json({ username: user.username, role: user.role, tags: user.tags });
  });

  return { app, users, webhook };
}

module.exports = { createSite };
