// The Ontraport account of the demo: its fields, its tags, its automations, and a few contacts.
const ADD_TAG = 'Add User to WP';
const TAGS = [ADD_TAG, 'Customer', 'Newsletter', 'VIP'];

/** Option ids of a drop-down are arbitrary, as they are at Ontraport. */
const PLANS = { 590: 'Basic', 612: 'Gold', 613: 'Platinum' };

const FIELDS = { plan: 'f1550', password: 'f1556' };

/** Adds what a person would set up in Ontraport, by hand and once. */
function setUpAccount(sandbox) {
  sandbox.addField({ key: FIELDS.plan, alias: 'Plan', type: 'drop', options: PLANS });
  sandbox.addField({ key: FIELDS.password, alias: 'Password' });
  for (const tag of TAGS) sandbox.addTag(tag);
}

/** The URLs of the webhooks, as they are pasted into Ontraport. */
function webhookUrls(siteUrl, accessKey) {
  const url = (action, more = '') =>
    `${siteUrl}/?wpf_action=${action}&access_key=${accessKey}&contact_id=[Contact ID]${more}`;
  return {
    add: url('add', '&role=customer&send_notification=true'),
    update: url('update'),
    updateTags: url('update_tags'),
  };
}

/** Adds the automations: what happens to a contact, and the webhook that tells the site of it. */
function addAutomations(sandbox, urls) {
  sandbox.addRule({ on: `tag:${ADD_TAG}`, url: urls.add });
  sandbox.addRule({ on: 'change', url: urls.update });
  for (const tag of TAGS) {
    if (tag !== ADD_TAG) sandbox.addRule({ on: `tag:${tag}`, url: urls.updateTags });
    sandbox.addRule({ on: `untag:${tag}`, url: urls.updateTags });
  }
}

/** Contacts for a person to play with. */
function addContacts(sandbox) {
  sandbox.addContact({
    firstname: 'Joe',
    lastname: 'Miller',
    email: 'joe@example.com',
    company: 'Initech',
    [FIELDS.plan]: '590',
    tags: ['Newsletter'],
  });
  sandbox.addContact({ firstname: 'Ana', lastname: 'García', email: 'ana@example.com', tags: ['Customer'] });
}

/** What of the contacts a person sees, for the next time the demo starts. */
function contactsOf(sandbox) {
  return sandbox.contacts().map((contact) => {
    const { id, firstname, lastname, email, company } = contact;
    const { [FIELDS.plan]: plan, [FIELDS.password]: password } = contact;
    const fields = {
      id,
      firstname,
      lastname,
      email,
      company,
      [FIELDS.plan]: plan,
      [FIELDS.password]: password,
    };
    return { ...fields, tags: sandbox.tagsOf(id) };
  });
}

/** Puts contacts back, under the ids that the site's users know. Before the automations: nothing happens to them by this. */
function restoreContacts(sandbox, contacts) {
  for (const contact of contacts) sandbox.addContact(contact);
}

module.exports = {
  ADD_TAG,
  FIELDS,
  PLANS,
  TAGS,
  addAutomations,
  addContacts,
  contactsOf,
  restoreContacts,
  setUpAccount,
  webhookUrls,
};
