// The story that the demo tells on the terminal: everything in it is done for real, and checked.
const { ADD_TAG, FIELDS } = require('./account');

/** How long a step may take before it counts as one that did not hold. */
const PATIENCE_MS = 30_000;

/** A step of the story did not hold. */
class StoryError extends Error {}

/** Tells the story. Throws a StoryError that names the step which did not hold. */
async function tellStory({ sandbox, site, siteUrl, mails, say }) {
  const { users, webhook } = site;
  const watch = watchQueue(sandbox, webhook);
  const tell = (where, what) => say(`  ${where.padEnd(10)} ${what}`);

  const id = sandbox.addContact({ firstname: 'Mary', lastname: 'Smith', email: 'mary@example.com' });
  sandbox.tag(id, 'Customer');
  await watch.workedOff();
  expect((await users.findByEmail('mary@example.com')) === null, 'a contact without the tag has no user');
  tell('Ontraport', `Contact ${id}, Mary Smith, is created and is a "Customer". The site does not know her.`);

  tell('Ontraport', `She is given the tag "${ADD_TAG}"; an automation sends a webhook.`);
  const created = await watch.of(() => sandbox.tag(id, ADD_TAG));
  expectQueued(created, 'add');
  tell('Webhook', 'add arrives, is stored, and is answered with 202, queued.');
  expectResult(created, 'add', 'created');
  let user = await users.findByContactId(id);
  expect(user !== null, 'the webhook creates a user');
  expect(user.role === 'customer', 'the new user has the role that the webhook asked for');
  expect(user.tags.includes(ADD_TAG) && user.tags.includes('Customer'), 'the new user has the tags');
  tell('Queue', 'A moment later it is worked off: created.');
  tell('Site', `User ${user.id}, ${user.username}, is there: ${user.role}, tagged ${user.tags.join(', ')}.`);

  expect(
    mails.some(({ to }) => to === 'mary@example.com'),
    'the new user is sent a welcome mail',
  );
  tell('Site', 'A welcome mail is on its way to her.');

  // On a busy machine the user is there before the password has come back.
  await until(() => Boolean(sandbox.contact(id)[FIELDS.password]), 'the password is returned to the contact');
  await watch.workedOff();
  const password = sandbox.contact(id)[FIELDS.password];
  const login = await fetch(`${siteUrl}/login`, {
    method: 'POST',
    body: new URLSearchParams({ email: 'mary@example.com', password }),
  });
  expect(login.status === 200, 'the password that came back logs in');
  tell('Ontraport', 'A generated password has come back to the contact.');
  tell('Site', `With this password she logs in, as ${(await login.json()).username}.`);

  const changed = await watch.of(() => {
    sandbox.updateContact(id, { company: 'Globex', [FIELDS.plan]: '612' });
  });
  expectQueued(changed, 'update');
  expectResult(changed, 'update', 'updated');
  user = await users.findByContactId(id);
  expect(user.meta.company === 'Globex' && user.meta.plan === 'Gold', 'the user follows changed fields');
  tell('Ontraport', 'Her company and her plan change; another webhook: update.');
  tell('Site', `The user follows: ${user.meta.company}, on the plan ${user.meta.plan}.`);

  const untagged = await watch.of(() => sandbox.untag(id, 'Customer'));
  expectQueued(untagged, 'update_tags');
  expectResult(untagged, 'update_tags', 'updated');
  user = await users.findByContactId(id);
  expect(!user.tags.includes('Customer'), 'a removed tag is gone');
  tell('Ontraport', 'The tag "Customer" is removed; another webhook: update_tags.');
  tell('Site', `It is gone from the user too, who keeps: ${user.tags.join(', ')}.`);

  const outage = sandbox.fail({ with: 'error500', times: Infinity });
  const missed = await watch.of(
    async () => {
      sandbox.updateContact(id, { company: 'Initech' });
      await sandbox.settled();
      await until(() => outage.hits > 0, 'the site asks Ontraport for the contact');
      expect((await webhook.queueCounts()).waiting === 1, 'the webhook waits in the queue');
      user = await users.findByContactId(id);
      expect(user.meta.company === 'Globex', 'nothing is changed while Ontraport cannot be asked');
      tell('Ontraport', 'Its API is down. Her company changes all the same; another webhook: update.');
      tell('Webhook', 'It is answered with 202 as ever: it waits in the queue, and the user is as before.');
    },
    () => outage.remove(),
  );
  expectQueued(missed, 'update');
  expectResult(missed, 'update', 'updated');
  expect(missed.answers.length === 1, 'nothing has to be sent again');
  user = await users.findByContactId(id);
  expect(user.meta.company === 'Initech', 'the user follows when Ontraport is back');
  tell('Ontraport', 'Its API is back. Nothing is sent again.');
  tell('Site', `The webhook is worked off, and the user follows: ${user.meta.company}.`);
  watch.end();
}

/** Watches what arrives in the queue and what becomes of it. */
function watchQueue(sandbox, webhook) {
  const results = [];
  const onProcessed = ({ action, outcome }) => results.push(`${action}: ${outcome}`);
  const onFailed = ({ action, code, willRetry }) => {
    if (!willRetry) results.push(`${action}: ${code}`);
  };
  webhook.on('webhook.processed', onProcessed).on('webhook.failed', onFailed);

  const queued = () => sandbox.deliveries.filter(({ json }) => json?.outcome === 'queued').length;
  /** Resolves when no webhook is under way, and something has become of each that was queued. */
  const workedOff = async () => {
    do {
      await until(() => results.length >= queued(), 'what is in the queue is worked off');
      // What was done may have set off another one: a password that comes back changes its contact.
      await sandbox.settled();
    } while (results.length < queued());
  };
  return {
    workedOff,
    /** Does things in the account; gives the answers to the webhooks of them, and what became of those. */
    async of(...acts) {
      const before = { answers: sandbox.deliveries.length, results: results.length };
      for (const act of acts) await act();
      await workedOff();
      return { answers: sandbox.deliveries.slice(before.answers), results: results.slice(before.results) };
    },
    end: () => webhook.off('webhook.processed', onProcessed).off('webhook.failed', onFailed),
  };
}

async function until(holds, what) {
  const end = Date.now() + PATIENCE_MS;
  while (!holds()) {
    expect(Date.now() < end, `${what}, within ${PATIENCE_MS / 1000} seconds`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function expect(holds, what) {
  if (!holds) throw new StoryError(`The story did not hold: it should be that ${what}.`);
}

function expectQueued({ answers }, action) {
  const given = answers.map(
    ({ status, json, error }) =>
      `${json?.action ?? '?'}: ${status ?? error} ${json?.outcome ?? json?.detail ?? ''}`,
  );
  expect(
    given.includes(`${action}: 202 queued`),
    `a webhook ${action} is answered with 202, queued; there were: ${given.join('; ') || 'none'}`,
  );
}

function expectResult({ results }, action, outcome) {
  expect(
    results.includes(`${action}: ${outcome}`),
    `a webhook ${action} comes out of the queue as ${outcome}; there were: ${results.join('; ') || 'none'}`,
  );
}

module.exports = { StoryError, tellStory };
