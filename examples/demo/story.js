// The story that the demo tells on the terminal: everything in it is done for real, and checked.
const { ADD_TAG, FIELDS } = require('./account');

/** A step of the story did not hold. */
class StoryError extends Error {}

/** Tells the story. Throws a StoryError that names the step which did not hold. */
async function tellStory({ sandbox, users, siteUrl, mails, say }) {
  /** Does something in the account and waits until no webhook is under way; gives those that were sent. */
  const webhooksOf = async (act) => {
    const before = sandbox.deliveries.length;
    act();
    await sandbox.settled();
    return sandbox.deliveries.slice(before);
  };
  const tell = (where, what) => say(`  ${where.padEnd(10)} ${what}`);

  const id = sandbox.addContact({ firstname: 'Mary', lastname: 'Smith', email: 'mary@example.com' });
  sandbox.tag(id, 'Customer');
  await sandbox.settled();
  expect((await users.findByEmail('mary@example.com')) === null, 'a contact without the tag has no user');
  tell('Ontraport', `Contact ${id}, Mary Smith, is created and is a "Customer". The site does not know her.`);

  tell('Ontraport', `She is given the tag "${ADD_TAG}"; an automation sends a webhook.`);
  const created = await webhooksOf(() => sandbox.tag(id, ADD_TAG));
  expectAnswer(created, 'add', 'created');
  let user = await users.findByContactId(id);
  expect(user !== null, 'the webhook creates a user');
  expect(user.role === 'customer', 'the new user has the role that the webhook asked for');
  expect(user.tags.includes(ADD_TAG) && user.tags.includes('Customer'), 'the new user has the tags');
  tell('Webhook', 'add arrives, and is answered with 200, created.');
  tell('Site', `User ${user.id}, ${user.username}, is there: ${user.role}, tagged ${user.tags.join(', ')}.`);

  expect(
    mails.some(({ to }) => to === 'mary@example.com'),
    'the new user is sent a welcome mail',
  );
  tell('Site', 'A welcome mail is on its way to her.');

  const password = sandbox.contact(id)[FIELDS.password];
  expect(Boolean(password), 'the password is returned to the contact');
  const login = await fetch(`${siteUrl}/login`, {
    method: 'POST',
    body: new URLSearchParams({ email: 'mary@example.com', password }),
  });
  expect(login.status === 200, 'the password that came back logs in');
  tell('Ontraport', 'A generated password has come back to the contact.');
  tell('Site', `With this password she logs in, as ${(await login.json()).username}.`);

  const changed = await webhooksOf(() =>
    sandbox.updateContact(id, { company: 'Globex', [FIELDS.plan]: '612' }),
  );
  expectAnswer(changed, 'update', 'updated');
  user = await users.findByContactId(id);
  expect(user.meta.company === 'Globex' && user.meta.plan === 'Gold', 'the user follows changed fields');
  tell('Ontraport', 'Her company and her plan change; another webhook: update.');
  tell('Site', `The user follows: ${user.meta.company}, on the plan ${user.meta.plan}.`);

  const untagged = await webhooksOf(() => sandbox.untag(id, 'Customer'));
  expectAnswer(untagged, 'update_tags', 'updated');
  user = await users.findByContactId(id);
  expect(!user.tags.includes('Customer'), 'a removed tag is gone');
  tell('Ontraport', 'The tag "Customer" is removed; another webhook: update_tags.');
  tell('Site', `It is gone from the user too, who keeps: ${user.tags.join(', ')}.`);
}

function expect(holds, what) {
  if (!holds) throw new StoryError(`The story did not hold: it should be that ${what}.`);
}

function expectAnswer(deliveries, action, outcome) {
  const answers = deliveries.map(
    ({ status, json, error }) =>
      `${json?.action ?? '?'}: ${status ?? error} ${json?.outcome ?? json?.detail ?? ''}`,
  );
  expect(
    answers.includes(`${action}: 200 ${outcome}`),
    `a webhook ${action} is answered with 200, ${outcome}; there were: ${answers.join('; ') || 'none'}`,
  );
}

module.exports = { StoryError, tellStory };
