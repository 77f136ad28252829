// The members: where in the old tables everything of them stands, and the queries that the site has had all along.

/** What stands where, for `KnexUserRepository`. */
const mapping = {
  table: 'members',
  columns: { email: 'email_address', username: null, passwordHash: 'password' },
  role: { column: 'role_id', table: 'roles' },
  tags: { through: { table: 'member_tags', user: 'member_id', other: 'tag_id' }, table: 'tags' },
  meta: {
    columns: {
      firstName: { column: 'first_name', empty: '' },
      lastName: { column: 'last_name', empty: '' },
      company: 'company',
    },
  },
  softDelete: 'deleted_at',
  extraValues: { onCreate: () => ({ created_at: new Date() }) },
};

/** The site's own queries: login and pages read the tables as before. */
function createMembers(knex) {
  const members = () =>
    knex('members').select('members.*', 'roles.name as role').join('roles', 'roles.id', 'role_id');
  const alive = () => members().whereNull('deleted_at');
  return {
    byEmail: (email) => alive().whereRaw('lower(email_address) = lower(?)', [email.trim()]).first(),
    byId: (id) => alive().where('members.id', id).first(),
    tagsOf: (id) =>
      knex('member_tags')
        .join('tags', 'tags.id', 'tag_id')
        .where('member_id', id)
        .orderBy('name')
        .pluck('name'),
  };
}

module.exports = { createMembers, mapping };
