// The walk-through, played: what a person would try by hand is done over HTTP, as a browser does it, and checked.
const { OLD_MEMBERS, PASSWORD_FIELD } = require('./account');
const course = require('./course');
const { workedOff } = require('./worked-off');

/** A step of the walk-through did not hold. */
class WalkThroughError extends Error {}

/** Throws a WalkThroughError that names the step which did not hold. */
async function playWalkThrough({ knex, sandbox, webhook, siteUrl, say }) {
  /** Does something in the account, waits until it is worked off, and gives what the site answered to the webhooks of it. */
  const answersTo = async (act) => {
    const sent = sandbox.deliveries.length;
    act();
    await workedOff(sandbox, webhook);
    return sandbox.deliveries
      .slice(sent)
      .map(({ json, status }) => `${json?.action}: ${status} ${json?.outcome}`);
  };
  const count = async () => Number((await knex('members').count('* as count').first()).count);

  const [old] = OLD_MEMBERS;
  const before = await count();
  const olga = await logIn(siteUrl, old.email_address, old.password);
  expect(olga !== undefined, 'an old member logs in with her old password');
  expect((await olga(course.path)) === 403, 'the course is closed to an old member');
  say(`  Olga, a member for years, logs in. The course is closed to her.`);

  const [contact] = sandbox.contacts();
  let answers = await answersTo(() => sandbox.tag(contact.id, course.tag));
  expect(
    answers.includes('add: 202 queued'),
    'the webhook of an old member is answered with 202, queued',
    answers,
  );
  const row = await knex('members').where({ email_address: old.email_address }).first();
  expect(row.contact_id === contact.id, 'the old member is linked with her contact');
  expect((await count()) === before, 'no second member is made of an old one');
  expect((await olga(course.path)) === 200, 'the course is open to an old member with the tag');
  expect((await logIn(siteUrl, old.email_address, old.password)) !== undefined, 'her old password stays');
  say(
    `  Her contact gets the tag "${course.tag}". A webhook tells the site, is answered with 202, and is worked off:`,
  );
  say('  the same member, found by her email, is in, and the course is open.');

  let newId;
  answers = await answersTo(() => {
    newId = sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com', tags: [course.tag] });
  });
  expect(
    answers.includes('add: 202 queued'),
    'the webhook of a new contact is answered with 202, queued',
    answers,
  );
  expect((await count()) === before + 1, 'a new contact becomes one member');
  const mary = await logIn(siteUrl, 'mary@example.com', sandbox.contact(newId)[PASSWORD_FIELD] ?? '');
  expect(mary !== undefined, 'the password that the contact shows logs in');
  expect((await mary(course.path)) === 200, 'the course is open to a new member');
  say(
    '  Mary, whom the site does not know, gets it too: she is a member now, logs in with the password that came',
  );
  say('  back to her contact, and the course is open.');

  answers = await answersTo(() => sandbox.untag(newId, course.tag));
  expect(
    answers.includes('update_tags: 202 queued'),
    'the webhook of a lost tag is answered with 202, queued',
    answers,
  );
  expect((await mary(course.path)) === 403, 'the course is closed without the tag');
  expect((await mary('/')) === 200, 'she is a member still');
  expect((await olga(course.path)) === 200, 'it stays open to others');
  expect((await webhook.queueCounts()).dead === 0, 'no webhook is given up');
  say('  The tag is taken from her. The course is closed to her at once, and open to Olga still.');
}

/** Logs in as a browser does. Gives a function that visits a page of the site in this session and tells its status. */
async function logIn(siteUrl, email, password) {
  const body = new URLSearchParams({ email, password });
  const response = await fetch(`${siteUrl}/login`, { method: 'POST', body, redirect: 'manual' });
  if (response.status !== 303) return undefined;
  const [cookie] = response.headers.get('set-cookie').split(';');
  return async (path) =>
    (await fetch(`${siteUrl}${path}`, { headers: { cookie }, redirect: 'manual' })).status;
}

function expect(holds, what, answers) {
  if (holds) return;
  const there = answers === undefined ? '' : `; there were: ${answers.join('; ') || 'none'}`;
  throw new WalkThroughError(`The walk-through did not hold: it should be that ${what}${there}.`);
}

module.exports = { playWalkThrough, WalkThroughError };
