// For trying it without an account: a make-believe Ontraport with a few contacts, and members that were there before.
const { BcryptHasher } = require('wp-fusion-webhook');
const course = require('./course');

const PASSWORD_FIELD = 'f1556';

const OLD_MEMBERS = [
  {
    first_name: 'Olga',
    last_name: 'Novak',
    email_address: 'olga@example.com',
    password: 'olga-since-2019',
    role: 'member',
    tags: ['Newsletter'],
  },
  {
    first_name: 'Tom',
    last_name: 'Reed',
    email_address: 'tom@example.com',
    password: 'tom-the-teacher',
    role: 'teacher',
    tags: [],
  },
  {
    first_name: 'Dora',
    last_name: 'Lind',
    email_address: 'dora@example.com',
    password: 'dora-who-left',
    role: 'member',
    tags: [],
    deleted_at: '2021-03-01T10:00:00Z',
  },
];

/** Adds the members of before, as the site itself once did. */
async function addOldMembers(knex) {
  const hasher = new BcryptHasher({ cost: 10 });
  for (const { role, tags, password, ...columns } of OLD_MEMBERS) {
    const [{ id }] = await knex('members')
      .insert({
        ...columns,
        password: await hasher.hash(password),
        role_id: knex('roles').where({ name: role }).select('id'),
        created_at: '2019-04-12T09:00:00Z',
      })
      .returning('id');
    for (const name of tags) {
      const [tag] = await knex('tags').insert({ name }).returning('id');
      await knex('member_tags').insert({ member_id: id, tag_id: tag.id });
    }
  }
}

/** Sets the account up, as a person does it in Ontraport. Olga is a contact there too; nobody has told the site yet. */
function setUpAccount(sandbox) {
  sandbox.addField({ key: PASSWORD_FIELD, alias: 'Password' });
  sandbox.addTag(course.tag);
  sandbox.addContact({
    firstname: 'Olga',
    lastname: 'Novak',
    email: 'Olga@Example.com',
    tags: ['Newsletter'],
  });
}

/** The URLs of the webhooks, as they are pasted into Ontraport. */
function webhookUrls(siteUrl, accessKey) {
  const url = (action) => `${siteUrl}/?wpf_action=${action}&access_key=${accessKey}&contact_id=[Contact ID]`;
  return { add: url('add'), update: url('update'), updateTags: url('update_tags') };
}

/** Adds the automations. `add` finds the member who is there already, and makes one where there is none. */
function addAutomations(sandbox, urls) {
  sandbox.addRule({ on: `tag:${course.tag}`, url: urls.add });
  sandbox.addRule({ on: `untag:${course.tag}`, url: urls.updateTags });
  sandbox.addRule({ on: 'change', url: urls.update });
}

module.exports = { addAutomations, addOldMembers, OLD_MEMBERS, PASSWORD_FIELD, setUpAccount, webhookUrls };
