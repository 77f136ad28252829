// A table that was there before: what its rows look like to the core, and what is left alone.
import createKnex, { type Knex } from 'knex';
import type { NewUser } from '../../lib';
import { KnexUserRepository, type KnexUserRepositoryOptions } from '../../lib/knex';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';

const mary: NewUser = {
  contactId: '7',
  email: 'mary@example.com',
  username: 'mary',
  passwordHash: 'hash',
  role: 'subscriber',
  tags: [],
  meta: {},
  syncState: 'one',
};

describe.each(availableDatabases())('%s', (name) => {
  let database: TestDatabase;
  let knex: Knex;

  beforeEach(async () => {
    database = await openDatabase(name);
    knex = database.knex;
  });
  afterEach(() => database.close());

  /** A users table with these columns beside the usual ones, and what it lacks. */
  async function table(
    more: (table: Knex.CreateTableBuilder) => void,
    options: KnexUserRepositoryOptions = {},
  ): Promise<KnexUserRepository> {
    await knex.schema.createTable('users', (created) => {
      created.increments('id');
      created.string('email').notNullable();
      created.string('username').notNullable();
      created.string('password_hash');
      more(created);
    });
    const users = new KnexUserRepository(knex, { table: 'users', ...options });
    await users.prepareTable();
    return users;
  }

  const oldRow = (row: object) => knex('users').insert({ email: 'old@example.com', username: 'old', ...row });

  test('a row from before has no contact, no tags, no meta, and is found by its email however that is spelt', async () => {
    const users = await table((created) => created.string('role').defaultTo('subscriber'));
    await oldRow({ email: ' Old@Example.COM ', password_hash: 'from before' });
    const found = await users.findByEmail('old@example.com');
    expect(found).toMatchObject({
      contactId: null,
      email: ' Old@Example.COM ',
      username: 'old',
      passwordHash: 'from before',
      role: 'subscriber',
      tags: [],
      meta: {},
      syncState: null,
    });
    expect(
      await users.update(found!.id, { contactId: '7', syncState: 's' }, { ifSyncState: null }),
    ).toMatchObject({
      contactId: '7',
      email: ' Old@Example.COM ',
    });
    expect((await users.findByContactId('7'))!.id).toBe(found!.id);
  });

  test('rows whose emails differ in case only: the one that is spelt so is found, and a third one is refused', async () => {
    await knex.schema.createTable('users', (created) => {
      created.increments('id');
      created.string('email').notNullable();
      for (const column of ['username', 'password_hash', 'role', 'sync_state', 'tags', 'meta'])
        created.string(column);
      created.string('contact_id').unique();
    });
    await oldRow({ email: 'Ann@example.com', username: 'first' });
    await oldRow({ email: 'ann@example.com', username: 'second' });
    const users = new KnexUserRepository(knex, { table: 'users' });
    expect((await users.findByEmail('ann@example.com'))!.username).toBe('second');
    expect((await users.findByEmail('ANN@example.com'))!.username).toBe('first');
    await expect(users.create({ ...mary, email: 'aNN@example.com' })).rejects.toMatchObject({
      code: 'DUPLICATE_USER',
      field: 'email',
    });
    // Nothing is changed before the rows are told that stand in the way.
    await expect(users.prepareTable()).rejects.toThrow(/unique index over email: rows repeat .*ids 1, 2/);
  });

  test('rows without an email or a username are many, and no duplicates of each other', async () => {
    await knex.schema.createTable('users', (created) => {
      created.increments('id');
      for (const column of ['email', 'username', 'password_hash', 'role']) created.string(column);
    });
    await knex('users').insert([
      { email: null, username: '' },
      { email: null, username: '' },
      { email: ' ', username: null },
    ]);
    const users = new KnexUserRepository(knex, { table: 'users' });
    await users.prepareTable();
    await knex('users').insert({ email: '', username: '', contact_id: '9' });
    expect(await users.findByContactId('9')).toMatchObject({ email: '', username: '' });
    expect(await users.findByEmail('')).toBeNull();
    await knex('users').insert({ contact_id: '10' });
    expect(await users.findByContactId('10')).toMatchObject({ email: '', username: '', role: '' });
  });

  test('soft-deleted rows are no users, and their email and contact are free', async () => {
    const users = await table(
      (created) => {
        created.string('role');
        created.dateTime('deleted_at');
      },
      { softDelete: 'deleted_at' },
    );
    const first = await users.create(mary);
    await knex('users').where({ id: first.id }).update({ deleted_at: new Date() });
    expect(await users.findByEmail(mary.email)).toBeNull();
    expect(await users.findByContactId('7')).toBeNull();
    await expect(users.update(first.id, { role: 'customer' })).rejects.toMatchObject({
      code: 'USER_NOT_FOUND',
    });
    const second = await users.create(mary);
    expect(second.id).not.toBe(first.id);
    await expect(users.create({ ...mary, email: 'b@example.com', username: 'b' })).rejects.toMatchObject({
      field: 'contactId',
    });
    expect(await knex('users').where({ contact_id: '7' })).toHaveLength(2);
  });

  test('a soft delete with a value of its own, and an old unique index that deleted rows still hold: said, not hidden', async () => {
    const users = await table(
      (created) => {
        created.string('role');
        created.integer('status').notNullable().defaultTo(1);
        created.unique(['email']);
      },
      { softDelete: { column: 'status', alive: 1 } },
    );
    const first = await users.create(mary);
    await knex('users').where({ id: first.id }).update({ status: 0 });
    expect(await users.findByEmail(mary.email)).toBeNull();
    await expect(users.create(mary)).rejects.toMatchObject({ code: 'DUPLICATE_USER', field: 'email' });
  });

  test('only emails that the person has shown to be theirs are found', async () => {
    const users = await table(
      (created) => {
        created.string('role');
        created.dateTime('verified_at');
      },
      { columns: { emailVerified: 'verified_at' } },
    );
    await oldRow({});
    expect(await users.findByEmail('old@example.com')).toBeNull();
    await expect(users.create({ ...mary, email: 'old@example.com' })).rejects.toMatchObject({
      field: 'email',
    });
    await knex('users').update({ verified_at: new Date() });
    expect((await users.findByEmail('old@example.com'))!.username).toBe('old');
  });

  test.each([
    ['a flag', (created: Knex.CreateTableBuilder) => created.boolean('ok'), [false, null], [true]],
    ['a number', (created: Knex.CreateTableBuilder) => created.integer('ok'), [0, null], [1, 2]],
    [
      'a text',
      (created: Knex.CreateTableBuilder) => created.string('ok'),
      ['', '0', 'false', 'N', 'no', null],
      ['yes', '2026-01-01'],
    ],
  ] as const)('an email is verified where %s says yes, and only there', async (_what, column, no, yes) => {
    const users = await table(
      (created) => {
        created.string('role');
        column(created);
      },
      { columns: { emailVerified: 'ok' } },
    );
    await oldRow({});
    for (const value of [...no, ...yes]) {
      await knex('users').update({ ok: value });
      const found = await users.findByEmail('old@example.com');
      expect([value, found !== null]).toEqual([value, (yes as readonly unknown[]).includes(value)]);
    }
  });

  test('names that a table has twice are taken away wholly, and rows of other things are left alone', async () => {
    await knex.schema.createTable('roles', (created) => {
      created.increments('id');
      created.string('name').notNullable();
      created.string('guard').notNullable();
    });
    await knex('roles').insert([
      { name: 'admin', guard: 'web' },
      { name: 'subscriber', guard: 'web' },
      { name: 'admin', guard: 'api' },
      { name: 'subscriber', guard: 'api' },
    ]);
    await knex.schema.createTable('role_of', (created) => {
      created.integer('model_id').notNullable();
      created.string('model_type').notNullable();
      created.integer('role_id').notNullable();
    });
    const users = await table(() => undefined, {
      role: {
        through: { table: 'role_of', user: 'model_id', other: 'role_id', scope: { model_type: 'User' } },
        table: 'roles',
        scope: { guard: 'web' },
        mostPrivilegedFirst: ['admin', 'subscriber'],
      },
    });
    const { id } = await users.create({ ...mary, role: 'admin' });
    await knex('role_of').insert([
      { model_id: id, model_type: 'User', role_id: 3 },
      { model_id: id, model_type: 'Post', role_id: 1 },
    ]);
    expect((await users.update(id, { role: 'subscriber' })).role).toBe('subscriber');
    expect(await knex('role_of').select('model_type', 'role_id').orderBy('role_id')).toEqual([
      { model_type: 'Post', role_id: 1 },
      { model_type: 'User', role_id: 2 },
    ]);
  });

  test('with admin and customer, subscriber takes both away', async () => {
    await knex.schema.createTable('user_roles', (created) => {
      created.integer('user_id').notNullable();
      created.string('role').notNullable();
    });
    const users = await table(() => undefined, {
      role: {
        through: { table: 'user_roles', user: 'user_id', other: 'role' },
        mostPrivilegedFirst: ['admin', 'customer', 'subscriber'],
      },
    });
    const { id } = await users.create({ ...mary, role: 'customer' });
    await knex('user_roles').insert({ user_id: id, role: 'admin' });
    expect((await users.update(id, { role: 'subscriber' })).role).toBe('subscriber');
    expect(await knex('user_roles').pluck('role')).toEqual(['subscriber']);
  });

  test('an index of the site’s own that refuses names its field, whatever it is over', async () => {
    const users = await table((created) => created.string('role'));
    const over = {
      SQLite: '(substr(email, 1, 3))',
      PostgreSQL: '(substr(email, 1, 3))',
      MariaDB: '(email(3))',
    }[name];
    await knex.raw(`create unique index own_email_index on users ${over}`);
    await users.create(mary);
    await expect(
      users.create({ ...mary, contactId: '8', email: 'margaret@example.com', username: 'b' }),
    ).rejects.toMatchObject({ code: 'DUPLICATE_USER', field: 'email' });
  });

  test('the scope has the last word over extra values, and what is trimmed is stored trimmed', async () => {
    const users = await table(
      (created) => {
        created.string('role');
        created.integer('tenant');
      },
      { scope: { tenant: 7 }, extraValues: { onCreate: { tenant: 8 } } },
    );
    const { id } = await users.create({ ...mary, email: ' Mary@example.com ', username: ' mary ' });
    expect(await knex('users').where({ id }).first()).toMatchObject({
      tenant: 7,
      email: 'Mary@example.com',
      username: 'mary',
    });
    expect((await users.update(id, { email: ' m@example.com' })).email).toBe('m@example.com');
  });

  test('a tenant sees its own rows, and has its own values', async () => {
    const users = await table(
      (created) => {
        created.string('role');
        created.integer('tenant').notNullable().defaultTo(1);
        created.string('created_by').notNullable();
      },
      {
        scope: { tenant: 7 },
        extraValues: { onCreate: (user) => ({ created_by: `webhook for ${user.email}` }) },
      },
    );
    await oldRow({ email: mary.email, username: mary.username, contact_id: '7', created_by: 'x' });
    expect(await users.findByEmail(mary.email)).toBeNull();
    expect(await users.findByContactId('7')).toBeNull();
    const created = await users.create(mary);
    expect(await knex('users').where({ id: created.id }).first()).toMatchObject({
      tenant: 7,
      created_by: 'webhook for mary@example.com',
    });
    await expect(users.update('1', { role: 'admin' })).rejects.toMatchObject({ code: 'USER_NOT_FOUND' });
  });

  test('of several roles the most privileged counts; changing it leaves the lesser ones and the unknown alone', async () => {
    const users = await table(() => undefined, {
      role: {
        through: { table: 'user_roles', user: 'user_id', other: 'role_id' },
        table: 'roles',
        mostPrivilegedFirst: ['admin', 'customer', 'subscriber', 'guest'],
        ifNone: 'guest',
      },
    });
    await knex.schema.createTable('roles', (created) => {
      created.increments('id');
      created.string('name').notNullable();
    });
    await knex('roles').insert(
      ['admin', 'customer', 'subscriber', 'guest', 'unheard of'].map((role) => ({ name: role })),
    );
    await knex.schema.createTable('user_roles', (created) => {
      created.integer('user_id').notNullable();
      created.integer('role_id').notNullable();
    });
    const { id } = await users.create({ ...mary, role: 'subscriber' });
    const give = (role: number) => knex('user_roles').insert({ user_id: id, role_id: role });
    const roles = async (): Promise<string[]> => {
      const rows = await knex('user_roles')
        .join('roles', 'roles.id', 'role_id')
        .where({ user_id: id })
        .select('name');
      return rows.map((row) => String(row.name)).sort();
    };
    await give(4);
    expect((await users.update(id, { role: 'customer' })).role).toBe('customer');
    expect(await roles()).toEqual(['customer', 'guest']);
    expect((await users.update(id, { role: 'subscriber' })).role).toBe('subscriber');
    expect(await roles()).toEqual(['guest', 'subscriber']);
    await give(1);
    expect((await users.findByContactId('7'))!.role).toBe('admin');
    await give(5);
    expect((await users.findByContactId('7'))!.role).toBe('unheard of');
    await knex('user_roles').delete();
    expect((await users.findByContactId('7'))!.role).toBe('guest');
    await expect(users.update(id, { role: 'editor', tags: ['x'] })).rejects.toThrow(
      /roles has no row whose name is "editor"/,
    );
    expect((await users.findByContactId('7'))!.tags).toEqual([]);
  });

  test('a role as a flag: true and false, 1 and 0; NULL is what the options say', async () => {
    const users = await table((created) => created.boolean('is_admin'), {
      role: { column: 'is_admin', values: { subscriber: false, admin: true }, ifNone: 'subscriber' },
    });
    await oldRow({});
    const old = (await users.findByEmail('old@example.com'))!;
    expect(old.role).toBe('subscriber');
    await knex('users').update({ is_admin: true });
    expect((await users.findByEmail('old@example.com'))!.role).toBe('admin');
    expect((await users.create(mary)).role).toBe('subscriber');
    expect(Boolean((await knex('users').where({ contact_id: '7' }).first()).is_admin)).toBe(false);
    await expect(users.update(old.id, { role: 'editor' })).rejects.toThrow(/no value for the role "editor"/);
  });

  test('a foreign key to a role that there is not fails in words and changes nothing', async () => {
    await knex.schema.createTable('roles', (created) => {
      created.increments('id');
      created.string('name');
    });
    await knex('roles').insert([{ name: 'subscriber' }]);
    const users = await table((created) => created.integer('role_id'), {
      role: { column: 'role_id', table: 'roles', ifNone: 'none' },
    });
    await expect(users.create({ ...mary, role: 'customer' })).rejects.toThrow(
      'The table roles has no row whose name is "customer". Add it there.',
    );
    expect(await knex('users')).toEqual([]);
    await oldRow({});
    expect((await users.findByEmail('old@example.com'))!.role).toBe('none');
  });

  test('a key of meta without a column is told, and meta in columns touches only the columns that change', async () => {
    const users = await table(
      (created) => {
        created.string('role');
        created.string('first_name');
        created.string('company').notNullable().defaultTo('none');
      },
      { meta: { columns: { firstName: 'first_name', company: { column: 'company', empty: 'none' } } } },
    );
    await expect(users.create({ ...mary, meta: { plan: 'gold' } })).rejects.toThrow(
      'user.meta has "plan", which has no column: map it in meta.columns, or give meta.json.',
    );
    const { id } = await users.create({ ...mary, meta: { firstName: 'Mary' } });
    // The site itself has written something that reads otherwise than it would be written.
    await knex('users').update({ company: 'Initech' });
    expect((await users.update(id, { meta: { firstName: null } })).meta).toEqual({ company: 'Initech' });
    expect((await users.update(id, { meta: { company: null } })).meta).toEqual({});
    expect((await knex('users').first()).company).toBe('none');
  });

  test('columns that are NOT NULL without a default are filled where the options say what no value is', async () => {
    const users = await table(
      (created) => {
        created.string('role');
        created.string('company').notNullable();
        created.json('extra').notNullable();
      },
      { meta: { columns: { company: { column: 'company', empty: '-' } }, json: 'extra' } },
    );
    expect(await users.check()).toEqual([]);
    expect((await users.create(mary)).meta).toEqual({});
    expect((await knex('users').first()).company).toBe('-');
    const strict = new KnexUserRepository(knex, {
      table: 'users',
      meta: { columns: { company: 'company' }, json: 'extra' },
    });
    expect(await strict.check()).toEqual([
      {
        severity: 'warning',
        message: expect.stringContaining('give meta.columns.company.empty, or contacts without one'),
      },
    ]);
  });

  test('a text in a JSON column stays that text, whatever the driver makes of JSON', async () => {
    const users = await table(
      (created) => {
        created.string('role');
        created.json('note');
      },
      { meta: { columns: { note: { column: 'note', type: 'json' } } } },
    );
    const created = await users.create({ ...mary, meta: { note: 'plain' } });
    expect(created.meta).toEqual({ note: 'plain' });
    for (const note of ['7', 'null', '{"a":1}', 7, false, ['x'], '']) {
      expect((await users.update(created.id, { meta: { note } })).meta).toEqual({ note });
    }
  });

  test('rows of a join table get what else they need', async () => {
    await knex.schema.createTable('user_tags', (created) => {
      created.integer('user_id').notNullable();
      created.string('tag').notNullable();
      created.string('source').notNullable();
    });
    const users = await table((created) => created.string('role'), {
      tags: {
        through: { table: 'user_tags', user: 'user_id', other: 'tag', newRow: () => ({ source: 'crm' }) },
      },
    });
    await users.create({ ...mary, tags: ['a', 'b'] });
    expect(await knex('user_tags').select('tag', 'source').orderBy('tag')).toEqual([
      { tag: 'a', source: 'crm' },
      { tag: 'b', source: 'crm' },
    ]);
  });

  test('a Knex that renames columns on their way, as Objection has it, reads and writes the same', async () => {
    await table((created) => {
      created.string('role');
      created.string('first_name');
    });
    const camel = (text: string): string =>
      text.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
    const snake = (text: string): string => text.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const renaming = createKnex({
      ...(database.config as Knex.Config),
      wrapIdentifier: (name: string, wrap: (name: string) => string) => wrap(snake(name)),
      postProcessResponse: (result: unknown) => {
        const renamed = (row: unknown): unknown =>
          typeof row === 'object' && row !== null && !Array.isArray(row) && !('rows' in row)
            ? Object.fromEntries(Object.entries(row).map(([key, value]) => [camel(key), value]))
            : row;
        return Array.isArray(result) ? result.map(renamed) : renamed(result);
      },
    });
    const options = { table: 'users', meta: { columns: { firstName: 'first_name' } } };
    const users = new KnexUserRepository(renaming, options);
    try {
      await users.prepareTable();
      expect(await users.check()).toEqual([]);
      const created = await users.create({ ...mary, tags: ['a'], meta: { firstName: 'Mary' } });
      expect(await users.findByEmail(mary.email)).toEqual(created);
      expect(created).toMatchObject({ contactId: '7', syncState: 'one', meta: { firstName: 'Mary' } });
      await expect(users.create(mary)).rejects.toMatchObject({ field: 'contactId' });
      expect(await users.update(created.id, { meta: { firstName: null } })).toEqual({ ...created, meta: {} });
    } finally {
      await renaming.destroy();
    }
  });

  test('tags that a table of tags lacks are added, with what such a row needs', async () => {
    await knex.schema.createTable('tags', (created) => {
      created.increments('id');
      created.string('name').notNullable().unique();
      created.string('slug').notNullable();
    });
    await knex.schema.createTable('user_tags', (created) => {
      created.integer('user_id').notNullable();
      created.integer('tag_id').notNullable();
      created.primary(['user_id', 'tag_id']);
    });
    const users = await table((created) => created.string('role'), {
      tags: {
        through: { table: 'user_tags', user: 'user_id', other: 'tag_id' },
        table: 'tags',
        newTag: (tag) => ({ slug: tag.toLowerCase() }),
      },
    });
    await knex('tags').insert({ name: 'VIP', slug: 'very-important' });
    const { id } = await users.create({ ...mary, tags: ['VIP', 'New', 'New'] });
    expect((await users.update(id, { tags: ['New', 'VIP'] })).tags).toEqual(['New', 'VIP']);
    expect(await knex('tags').orderBy('id').select('name', 'slug')).toEqual([
      { name: 'VIP', slug: 'very-important' },
      { name: 'New', slug: 'new' },
    ]);
  });

  test('errors of the driver come without SQL and without values', async () => {
    const users = await table((created) => {
      created.string('role');
      created.string('needed').notNullable();
    });
    const secret = '$argon2id$v=19$secret-hash';
    const failed = await users.create({ ...mary, passwordHash: secret }).catch((error: unknown) => error);
    expect(failed).toMatchObject({ name: 'DatabaseError' });
    expect((failed as Error).message).toMatch(/^create\(\) on the table users: .*needed/i);
    const everything = [
      (failed as Error).stack,
      JSON.stringify(failed),
      String((failed as Error).cause),
    ].join();
    expect(everything).not.toContain(secret);
    expect(everything).not.toContain('insert into');
  });

  test('what a function of the host throws stays whole, as the cause', async () => {
    const broken = new TypeError('a - b is not a function');
    const onCreate = (): never => {
      throw broken;
    };
    const users = await table((created) => created.string('role'), { extraValues: { onCreate } });
    await expect(users.create(mary)).rejects.toMatchObject({
      name: 'TableError',
      message: 'extraValues.onCreate() threw.',
      cause: broken,
    });
    expect(await knex('users')).toEqual([]);
  });

  test('a storage that is gone is no empty one', async () => {
    const users = await table((created) => created.string('role'));
    await knex.schema.dropTable('users');
    for (const call of [users.findByContactId('7'), users.findByEmail('a@example.com'), users.create(mary)]) {
      await expect(call).rejects.toMatchObject({ name: 'DatabaseError' });
    }
    await expect(users.update('1', {})).rejects.toMatchObject({ name: 'DatabaseError' });
  });

  test('what PostgreSQL cannot hold is left out, on every database alike', async () => {
    const users = await table((created) => created.string('role'));
    const created = await users.create({ ...mary, tags: ['a\0b'], meta: { note: 'x\0y', half: 'z\ud800' } });
    expect(created.tags).toEqual(['ab']);
    expect(created.meta).toEqual({ note: 'xy', half: 'z\ufffd' });
    expect(await users.findByEmail('mary\0@example.com')).toMatchObject({ id: created.id });
    expect(await users.findByContactId('7\0')).toBeNull();
  });

  describe('in a transaction of the host', () => {
    test('what is written is undone with it, and stays with it', async () => {
      const users = await table((created) => created.string('role'));
      await expect(
        knex.transaction(async (transaction) => {
          await users.transacting(transaction).create(mary);
          throw new Error('the host has changed its mind');
        }),
      ).rejects.toThrow('the host has changed its mind');
      expect(await users.findByContactId('7')).toBeNull();
      const created = await knex.transaction(async (transaction) => {
        const user = await users.transacting(transaction).create(mary);
        await transaction('users').where({ id: user.id }).update({ role: 'customer' });
        return users.transacting(transaction).update(user.id, { tags: ['x'] });
      });
      expect(await users.findByContactId('7')).toEqual({ ...created, role: 'customer' });
    });

    test('a refused create leaves it usable', async () => {
      const users = await table((created) => created.string('role'));
      await users.create(mary);
      await knex.transaction(async (transaction) => {
        const inside = users.transacting(transaction);
        await expect(inside.create({ ...mary, email: 'b@example.com', username: 'b' })).rejects.toMatchObject(
          {
            field: 'contactId',
          },
        );
        await expect(inside.update('1', {}, { ifSyncState: 'another' })).rejects.toMatchObject({
          code: 'STALE_USER',
        });
        await inside.create({ ...mary, contactId: '8', email: 'c@example.com', username: 'c' });
      });
      expect(await knex('users').select('contact_id').orderBy('id')).toEqual([
        { contact_id: '7' },
        { contact_id: '8' },
      ]);
    });

    test('a create that fails half-way leaves nothing in it', async () => {
      await knex.schema.createTable('user_roles', (created) => {
        created.integer('user_id').notNullable();
        created.integer('role_id').notNullable();
      });
      await knex.schema.createTable('roles', (created) => {
        created.increments('id');
        created.string('name');
      });
      const users = await table(() => undefined, {
        role: {
          through: { table: 'user_roles', user: 'user_id', other: 'role_id' },
          table: 'roles',
          mostPrivilegedFirst: ['subscriber'],
        },
      });
      await knex.transaction(async (transaction) => {
        await expect(users.transacting(transaction).create(mary)).rejects.toThrow(
          /no row whose name is "subscriber"/,
        );
      });
      expect(await knex('users')).toEqual([]);
    });

    // SQLite has one writer; there is nobody to get in between.
    if (name !== 'SQLite') {
      test('a unique value that somebody takes in the meantime is told, though this transaction cannot see it', async () => {
        const users = await table((created) => created.string('role'));
        await knex.transaction(async (transaction) => {
          const inside = users.transacting(transaction);
          expect(await inside.findByContactId('7')).toBeNull();
          await users.create(mary);
          await expect(
            inside.create({ ...mary, email: 'b@example.com', username: 'b' }),
          ).rejects.toMatchObject({
            field: 'contactId',
          });
        });
      });
    }
  });
});
