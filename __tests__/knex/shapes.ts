// Users tables to run the tests on: our own, and three as sites have had them for years. What they have in common with each
// other is little, and that is the point.
import type { Knex } from 'knex';
import { migrate, KnexUserRepository, type KnexUserRepositoryOptions } from '../../lib/knex';
import type { RepositoryCapabilities, StoredUser } from '../../lib/testing';
import type { DatabaseName } from './databases';

export interface Shape {
  readonly name: string;
  /** As data: a child process gets it too. */
  options(database: DatabaseName): KnexUserRepositoryOptions;
  capabilities(database: DatabaseName): RepositoryCapabilities;
  /** Makes the tables, as the site had them, and then what they lack. */
  create(knex: Knex, database: DatabaseName): Promise<void>;
  /** Takes every user away. */
  empty(knex: Knex): Promise<void>;
  /** What the database holds, read with nothing of ours. */
  stored(knex: Knex, id: string, database: DatabaseName): Promise<StoredUser | null>;
  count(knex: Knex): Promise<number>;
}

const json = (value: unknown): unknown => (typeof value === 'string' ? JSON.parse(value) : value);
const countOf = async (query: Knex.QueryBuilder): Promise<number> => {
  const [row] = await query.count({ count: '*' });
  return Number(row.count);
};
/** Old MySQL tables have collations that fold accents. */
const isCoarse = (database: DatabaseName): boolean => database === 'MariaDB';

const own: Shape = {
  name: 'our own table',
  options: () => ({}),
  capabilities: () => ({}),
  create: (knex) => migrate(knex),
  empty: async (knex) => {
    await knex('wpf_users').delete();
  },
  stored: async (knex, id) => {
    const row = await knex('wpf_users').where({ id }).first();
    if (row === undefined) return null;
    return {
      contactId: row.contact_id,
      email: row.email,
      username: row.username,
      passwordHash: row.password_hash,
      role: row.role,
      tags: json(row.tags),
      meta: json(row.meta),
      syncState: row.sync_state,
    };
  },
  count: (knex) => countOf(knex('wpf_users')),
};

/** Numbers as ids, the role as a code, tags as JSON, some meta in columns and the rest in JSON, deleted rows that stay. */
const members: Shape = {
  name: 'members: codes, columns, soft deletes',
  options: () => ({
    table: 'members',
    columns: { id: 'member_id', email: 'email_address', username: 'login', passwordHash: 'password' },
    role: { column: 'level', values: { subscriber: 0, customer: 1, admin: 9 } },
    tags: 'labels',
    meta: {
      columns: {
        firstName: 'first_name',
        company: { column: 'company', empty: '' },
        visits: { column: 'visits', type: 'number' },
        optIn: { column: 'opt_in', type: 'boolean' },
        birthday: { column: 'birthday', type: 'date' },
        lastSeen: { column: 'last_seen', type: 'timestamp' },
        interests: { column: 'interests', type: 'json' },
      },
      json: 'extra',
    },
    softDelete: 'deleted_at',
    extraValues: { onCreate: { created_at: '2020-01-02 03:04:05' } },
  }),
  capabilities: (database) => ({
    distinguishesUnicode: !isCoarse(database),
    meta: {
      firstName: ['Mary', "Ana “García” '\\"],
      company: ['Initech', 'Überwald & Söhne'],
      visits: [0, 12.5],
      optIn: [false, true],
      birthday: ['1980-02-29', '2001-12-31'],
      lastSeen: ['2026-01-02T03:04:05.000Z', '1999-12-31T23:59:59.000Z'],
      interests: [['art', 'a,b'], []],
      anything: ['x', ['y', 'z']],
      'with.dot': [1, false],
    },
  }),
  create: async (knex, database) => {
    await knex.schema.createTable('members', (table) => {
      table.increments('member_id');
      table.string('email_address', 190).notNullable().unique();
      table.string('login', 100).notNullable().unique();
      table.string('password', 100);
      table.smallint('level').notNullable().defaultTo(0);
      table.json('labels');
      table.string('first_name');
      table.string('company').notNullable().defaultTo('');
      table.decimal('visits', 10, 2);
      table.boolean('opt_in');
      table.date('birthday');
      table.dateTime('last_seen');
      table.text('interests');
      table.text('extra');
      table.string('untouched').notNullable().defaultTo('as it was');
      table.dateTime('created_at').notNullable();
      table.dateTime('deleted_at');
      if (database === 'MariaDB') table.collate('utf8mb4_general_ci');
    });
    await prepare(knex, members, database);
  },
  empty: async (knex) => {
    await knex('members').delete();
  },
  stored: async (knex, id, database) => {
    const row = await knex('members').where({ member_id: id }).first();
    if (row === undefined) return null;
    if (row.untouched !== 'as it was') throw new Error('a column that is not mapped was written');
    const day = { SQLite: 'birthday', PostgreSQL: 'birthday::text', MariaDB: 'cast(birthday as char)' }[
      database
    ];
    const [{ birthday }] = await knex('members')
      .where({ member_id: id })
      .select(knex.raw(`${day} as birthday`));
    const columns = {
      firstName: row.first_name,
      company: row.company === '' ? null : row.company,
      visits: row.visits === null ? null : Number(row.visits),
      optIn: row.opt_in === null ? null : Boolean(row.opt_in),
      birthday,
      lastSeen: row.last_seen === null ? null : new Date(row.last_seen).toISOString(),
      interests: row.interests === null ? null : JSON.parse(row.interests),
    };
    const meta = Object.entries(columns).filter(([, value]) => value !== null);
    return {
      contactId: row.contact_id,
      email: row.email_address,
      username: row.login,
      passwordHash: row.password,
      role: { 0: 'subscriber', 1: 'customer', 9: 'admin' }[row.level as 0 | 1 | 9],
      tags: json(row.labels),
      meta: { ...Object.fromEntries(meta), ...(json(row.extra ?? '{}') as object) },
      syncState: row.sync_state,
    };
  },
  count: (knex) => countOf(knex('members').whereNull('deleted_at')),
};

/** Uuids, no usernames, the role as a foreign key, tags in a join table, everything of one tenant among others. */
const accounts: Shape = {
  name: 'accounts: uuids, a tenant, foreign keys',
  options: () => ({
    table: 'accounts',
    ids: 'uuid',
    columns: { contactId: 'crm_id', username: null, passwordHash: 'pass', syncState: 'crm_state' },
    role: { column: 'role_id', table: 'account_roles', name: 'title' },
    tags: {
      through: { table: 'account_tags', user: 'account_id', other: 'tag_id' },
      table: 'tags',
      name: 'label',
    },
    meta: { json: 'profile' },
    scope: { tenant_id: 7 },
  }),
  capabilities: () => ({ usernames: false }),
  create: async (knex, database) => {
    await knex.schema.createTable('account_roles', (table) => {
      table.increments('id');
      table.string('title').notNullable();
    });
    await knex('account_roles').insert([{ title: 'subscriber' }, { title: 'customer' }, { title: 'admin' }]);
    await knex.schema.createTable('accounts', (table) => {
      table.uuid('id').primary();
      table.integer('tenant_id').notNullable();
      table.string('email', 200).notNullable();
      table.string('pass', 255);
      table.integer('role_id').unsigned().references('account_roles.id');
      table.jsonb('profile');
      table.unique(['tenant_id', 'email']);
      if (database === 'MariaDB') table.collate('utf8mb4_bin');
    });
    await knex.schema.createTable('tags', (table) => {
      table.increments('id');
      table.string('label').notNullable().unique();
      if (database === 'MariaDB') table.collate('utf8mb4_bin');
    });
    await knex.schema.createTable('account_tags', (table) => {
      table.uuid('account_id').notNullable().references('accounts.id').onDelete('cascade');
      table.integer('tag_id').unsigned().notNullable().references('tags.id');
      table.primary(['account_id', 'tag_id']);
      if (database === 'MariaDB') table.collate('utf8mb4_bin');
    });
    // A stranger of another tenant, whose values are none of ours.
    await prepare(knex, accounts, database);
    await knex('accounts').insert({
      id: '00000000-0000-4000-8000-000000000000',
      tenant_id: 8,
      email: 'mary@example.com',
      crm_id: '7',
    });
  },
  empty: async (knex) => {
    await knex('account_tags').delete();
    await knex('accounts').where({ tenant_id: 7 }).delete();
  },
  stored: async (knex, id) => {
    if (!/^[0-9a-f-]{36}$/.test(id)) return null;
    const row = await knex('accounts').where({ id }).first();
    if (row === undefined) return null;
    if (row.tenant_id !== 7) throw new Error('a row of another tenant was written');
    const role = await knex('account_roles').where({ id: row.role_id }).first();
    const tags = await knex('account_tags')
      .join('tags', 'tags.id', 'tag_id')
      .where({ account_id: id })
      .select('label');
    return {
      contactId: row.crm_id,
      email: row.email,
      username: row.email,
      passwordHash: row.pass,
      role: role.title,
      tags: tags.map(({ label }) => label),
      meta: json(row.profile ?? '{}'),
      syncState: row.crm_state,
    };
  },
  count: (knex) => countOf(knex('accounts').where({ tenant_id: 7 })),
};

/** Big numbers as ids, several roles in a join table, tags as an array column (where there are such), names in the join table. */
const people: Shape = {
  name: 'people: roles and tags in join tables or arrays',
  options: (database) => ({
    table: 'people',
    columns: { id: 'person_id', passwordHash: 'password_digest' },
    role: {
      through: { table: 'person_roles', user: 'person_id', other: 'role' },
      mostPrivilegedFirst: ['admin', 'customer', 'subscriber'],
      ifNone: 'subscriber',
    },
    tags:
      database === 'PostgreSQL'
        ? { column: 'tags', type: 'array' }
        : { through: { table: 'person_tags', user: 'person_id', other: 'tag' } },
    extraValues: { onUpdate: { touched: 1 } },
  }),
  capabilities: (database) => ({ distinguishesUnicode: !isCoarse(database) }),
  create: async (knex, database) => {
    await knex.schema.createTable('people', (table) => {
      table.bigIncrements('person_id');
      table.string('email', 180).notNullable().unique();
      table.string('username', 180).notNullable().unique();
      table.string('password_digest', 80);
      table.integer('touched').notNullable().defaultTo(0);
      if (database === 'PostgreSQL') table.specificType('tags', 'text[]').notNullable().defaultTo('{}');
      // What a Swedish site of 2008 has.
      if (database === 'MariaDB') table.collate('utf8mb4_swedish_ci');
    });
    if (database === 'PostgreSQL') {
      await knex.raw('alter sequence people_person_id_seq restart with 9007199254740993');
    }
    if (database === 'MariaDB') await knex.raw('alter table people auto_increment = 9007199254740993');
    for (const [name, column] of [
      ['person_roles', 'role'],
      ['person_tags', 'tag'],
    ] as const) {
      await knex.schema.createTable(name, (table) => {
        if (database === 'MariaDB') table.bigInteger('person_id').unsigned().notNullable();
        else table.bigInteger('person_id').notNullable();
        table.string(column, 150).notNullable();
        table.primary(['person_id', column]);
        table.foreign('person_id').references('people.person_id').onDelete('cascade');
        if (database === 'MariaDB') table.collate('utf8mb4_bin');
      });
    }
    await prepare(knex, people, database);
  },
  empty: async (knex) => {
    await knex('person_roles').delete();
    await knex('person_tags').delete();
    await knex('people').delete();
  },
  stored: async (knex, id, database) => {
    if (!/^\d+$/.test(id)) return null;
    const row = await knex('people').where({ person_id: id }).first();
    if (row === undefined) return null;
    const roles = await knex('person_roles').where({ person_id: id }).select('role');
    const tags = await knex('person_tags').where({ person_id: id }).select('tag');
    return {
      contactId: row.contact_id,
      email: row.email,
      username: row.username,
      passwordHash: row.password_digest,
      role: roles.length === 1 ? roles[0].role : roles.map(({ role }) => role),
      tags: database === 'PostgreSQL' ? row.tags : tags.map(({ tag }) => tag),
      meta: json(row.meta),
      syncState: row.sync_state,
    };
  },
  count: (knex) => countOf(knex('people')),
};

async function prepare(knex: Knex, shape: Shape, database: DatabaseName): Promise<void> {
  await new KnexUserRepository(knex, shape.options(database)).prepareTable();
}

export const SHAPES: readonly Shape[] = [own, members, accounts, people];
