// For trying it without an account: the order form, as Ontraport would host one. What is ordered here gives the contact a tag,
// or takes it away, and the automations of the account do the rest.
const express = require('express');
const { PASSWORD_FIELD } = require('./account');
const course = require('./course');
const { html, page } = require('./pages');
const { workedOff } = require('./worked-off');

const form = html`<p>Any name and email will do: with one that the site knows, its member gets the course; with another, a new
      member is made.</p>
  <form method="post" action="/order-form" class="card">
    <label>First name <input name="firstname" autocomplete="off" maxlength="100" /></label>
    <label>Email <input name="email" type="email" required autocomplete="off" maxlength="200" /></label>
    <button type="submit" name="what" value="order">Order the course</button>
    <button type="submit" name="what" value="return" class="quiet">Give it back</button>
  </form>`;

function createOrderForm(sandbox, webhook) {
  const router = express.Router();
  router.use(express.urlencoded({ extended: false, limit: '10kb' }));
  router.get('/', (_request, response) => {
    response.send(page({ title: `Order ${course.title}`, body: form }));
  });

  router.post('/', async (request, response) => {
    const { email = '', firstname = '', what } = request.body ?? {};
    const contact = contactOf(sandbox, String(email));
    const sent = sandbox.deliveries.length;
    let id = contact?.id;
    if (what === 'order') {
      id ??= sandbox.addContact({ firstname: String(firstname), email: String(email) });
      sandbox.tag(id, course.tag);
    } else if (id !== undefined) sandbox.untag(id, course.tag);
    await workedOff(sandbox, webhook);
    const answers = sandbox.deliveries.slice(sent);
    const body = html`<section class="card">
        <p>${what === 'order' ? 'Thank you. The contact has the tag' : 'The contact no longer has the tag'} “${course.tag}”.</p>
        <ul>
          ${answers.map(({ json, status }) => html`<li>Webhook ${json?.action}: ${status}, ${json?.outcome ?? json?.code}</li>`)}
        </ul>
        <p>${passwordLine(sandbox, id)}</p>
      </section>
      <p><a href="${course.path}">To the course</a> · <a href="/order-form">Back to the order form</a></p>`;
    response.send(page({ title: what === 'order' ? 'Ordered' : 'Given back', body }));
  });
  return router;
}

/** The contact with this email: a form of Ontraport finds it whatever the case of the letters. */
const contactOf = (sandbox, email) =>
  sandbox.contacts().find((contact) => contact.email?.toLowerCase() === email.trim().toLowerCase());

function passwordLine(sandbox, id) {
  const password = id === undefined ? undefined : sandbox.contact(id)[PASSWORD_FIELD];
  return password
    ? html`An automation would mail this password: <code>${password}</code>`
    : 'Log in with the password you have.';
}

module.exports = { createOrderForm };
