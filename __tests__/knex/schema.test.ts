// What a table lacks is said in words and added; migrate() makes our own table, once, whoever calls it.
import createKnex, { type Knex } from 'knex';
import { ConfigurationError } from '../../lib';
import {
  KnexUserRepository,
  knexMigrationSource,
  migrate,
  type KnexUserRepositoryOptions,
} from '../../lib/knex';
import { indexName } from '../../lib/knex/users/keys';
import { resolveMapping } from '../../lib/knex/users/mapping';
import { startProcess, startSandbox, until } from '../actions/site';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';
import { startRepository } from './processes';

describe.each(availableDatabases())('%s', (name) => {
  let database: TestDatabase;
  let knex: Knex;

  beforeEach(async () => {
    database = await openDatabase(name);
    knex = database.knex;
  });
  afterEach(() => database.close());

  const messages = async (options: KnexUserRepositoryOptions = {}): Promise<string[]> =>
    (await new KnexUserRepository(knex, options).check()).map(({ message }) => message);

  const tables = async (): Promise<string[]> => {
    const sql = {
      SQLite: "select name from sqlite_master where type = 'table'",
      PostgreSQL: 'select tablename as name from pg_tables where schemaname = current_schema()',
      MariaDB: 'select table_name as name from information_schema.tables where table_schema = database()',
    }[name];
    const result = await knex.raw(sql);
    const rows = (result.rows ?? (Array.isArray(result[0]) ? result[0] : result)) as { name: string }[];
    return rows.map((row) => row.name).filter((table) => !table.startsWith('sqlite_'));
  };

  test('no table: what to do', async () => {
    expect(await messages()).toEqual([
      'There is no table wpf_users. Call migrate(knex), which makes it, or give the name of the table that you have as options.table.',
    ]);
    expect(await messages({ table: 'members' })).toEqual([
      'There is no table members. options.table has to name the table with the users.',
    ]);
  });

  test('migrate makes a users table with all it needs, from several processes at once, and a second time changes nothing', async () => {
    const others = [1, 2, 3].map(() => startRepository(database.config, {}));
    await Promise.all(others.map((one) => one.migrate()));
    expect(await tables()).toContain('wpf_users');
    expect(await messages()).toEqual([]);
    const columns = await knex('wpf_users').columnInfo();
    await migrate(knex);
    expect(await knex('wpf_users').columnInfo()).toEqual(columns);
    await Promise.all(others.map((one) => one.end()));
  });

  test('as a Knex migration, in a folder’s file or from our source; rolling back is refused', async () => {
    const source = {
      getMigrations: () => Promise.resolve(['001']),
      getMigrationName: (migration: string) => migration,
      getMigration: () => Promise.resolve({ up: (one: Knex) => migrate(one), down: () => Promise.resolve() }),
    };
    await knex.migrate.latest({ migrationSource: source });
    expect(await messages()).toEqual([]);

    const ours = {
      migrationSource: knexMigrationSource(),
      tableName: 'wpf_migrations',
    } as Knex.MigratorConfig;
    expect((await knex.migrate.latest(ours))[1]).toEqual([
      'wpf_001_users',
      'wpf_002_queue',
      'wpf_003_activity',
    ]);
    expect((await knex.migrate.latest(ours))[1]).toEqual([]);
    await expect(knex.migrate.rollback(ours)).rejects.toThrow(
      /is not rolled back: that would delete what became of webhooks/,
    );
    expect(await tables()).toContain('wpf_users');
    await expect(knexMigrationSource().getMigration('nonsense')).rejects.toThrow('has no migration nonsense');
  });

  test('an old table: everything that it lacks, in words, and the SQL that adds it does', async () => {
    await knex.schema.createTable('members', (table) => {
      table.increments('id');
      table.string('email').notNullable();
      table.string('login').notNullable();
      table.string('password_hash', 32);
      table.string('country').notNullable();
    });
    const options: KnexUserRepositoryOptions = { table: 'members', meta: { columns: { city: 'town' } } };
    const found = (await messages(options)).map((message) => message.split('\n')[0]);
    expect(found.slice(0, 5)).toEqual([
      'The table members has no column username: let columns.username name the one it has. A site without usernames says null there.',
      'The table members has no column town: let meta.columns.city name the one it has.',
      expect.stringMatching(
        /^The table members has no column contact_id \(the CRM contact of a user\)\. prepareTable\(\) adds it, or:/,
      ),
      expect.stringMatching(/^The table members has no column sync_state/),
      expect.stringMatching(/^The table members has no column role/),
    ]);
    expect(found).toContainEqual(expect.stringMatching(/^The table members has no column tags/));
    if (name !== 'SQLite') {
      expect(found).toContain(
        'The column members.password_hash takes 32 characters; a bcrypt hash has up to 60. Make it longer.',
      );
    }
    expect(found).toContainEqual(
      expect.stringMatching(/^The column members\.contact_id has no unique index: two webhooks/),
    );
    expect(found).toContainEqual(
      expect.stringMatching(/^The column members\.email has no unique index over its trimmed form/),
    );
    expect(found).toContain(
      'The column members.country is NOT NULL and has no default: a new user needs a value for it; give extraValues.onCreate.country.',
    );
    // login is needed too, as long as nothing fills it.
    expect(found).toContainEqual(expect.stringMatching(/^The column members\.login is NOT NULL/));

    const better: KnexUserRepositoryOptions = {
      table: 'members',
      columns: { username: 'login' },
      extraValues: { onCreate: { country: 'DE' } },
    };
    const users = new KnexUserRepository(knex, better);
    for (const { message } of await users.check()) {
      const [, ...statements] = message.split('\n');
      for (const statement of statements) await knex.raw(statement);
    }
    const left = name === 'SQLite' ? [] : [expect.stringMatching(/password_hash takes 32 characters/)];
    expect(await messages(better)).toEqual(left);
    await Promise.all([users.prepareTable(), new KnexUserRepository(knex, better).prepareTable()]);
    expect(await messages(better)).toEqual(left);
  });

  test('tables beside it that the options name, and columns of theirs', async () => {
    await migrate(knex);
    await knex.schema.createTable('roles', (table) => table.increments('id'));
    expect(
      await messages({
        table: 'wpf_users',
        role: { through: { table: 'roles', user: 'user_id', other: 'id' }, mostPrivilegedFirst: ['a'] },
        tags: { through: { table: 'user_tags', user: 'user_id', other: 'tag' } },
      }),
    ).toEqual(
      expect.arrayContaining([
        'The table roles has no column user_id, which the options name.',
        'There is no table user_tags, which the options name.',
      ]),
    );
    await knex.schema.createTable('user_tags', (table) => {
      table.integer('user_id').notNullable();
      table.string('tag').notNullable();
      table.dateTime('tagged_at').notNullable();
    });
    const tags = { through: { table: 'user_tags', user: 'user_id', other: 'tag' } };
    expect(await messages({ table: 'wpf_users', tags })).toContain(
      'The column user_tags.tagged_at is NOT NULL and has no default: a new row needs a value for it; give through.newRow.',
    );
    const through = { ...tags.through, newRow: { tagged_at: '2020-01-01 00:00:00' } };
    expect(await messages({ table: 'wpf_users', tags: { through } })).toEqual([]);
  });

  test('our own table and a table named users stand beside each other; an index of another mapping is none of this one', async () => {
    await migrate(knex);
    await knex.schema.createTable('users', (table) => {
      table.increments('id');
      for (const column of ['email', 'username', 'password_hash', 'second_email']) table.string(column);
      table.dateTime('deleted_at');
      table.integer('tenant').notNullable().defaultTo(1);
    });
    await new KnexUserRepository(knex, { table: 'users' }).prepareTable();
    expect(await messages({ table: 'users' })).toEqual([]);
    for (const more of [
      { softDelete: 'deleted_at' },
      { scope: { tenant: 1 } },
      { columns: { email: 'second_email' } },
    ] as KnexUserRepositoryOptions[]) {
      const options = { table: 'users', ...more };
      expect((await messages(options)).length).toBeGreaterThan(0);
      await new KnexUserRepository(knex, options).prepareTable();
      expect(await messages(options)).toEqual([]);
    }
    await knex('users').insert({ email: 'old@example.com', second_email: 'New@example.com', username: 'x' });
    const moved = new KnexUserRepository(knex, { table: 'users', columns: { email: 'second_email' } });
    expect((await moved.findByEmail('new@example.com'))!.email).toBe('New@example.com');
    expect(await moved.findByEmail('old@example.com')).toBeNull();
  });

  if (name === 'MariaDB') {
    test('a table that knows no transactions is told', async () => {
      await migrate(knex);
      await knex.raw('alter table wpf_users engine = MyISAM');
      expect(await messages()).toEqual([
        expect.stringMatching(/is kept by MyISAM, which knows no transactions/),
      ]);
    });
  }

  test('an index that the site has had over the contact id is good enough', async () => {
    await migrate(knex);
    const index = indexName(resolveMapping({}, undefined), 'contact');
    await knex.raw(name === 'MariaDB' ? 'drop index ?? on wpf_users' : 'drop index ??', [index]);
    expect((await messages())[0]).toMatch(/contact_id has no unique index/);
    await knex.schema.alterTable('wpf_users', (table) => table.unique(['contact_id']));
    expect(await messages()).toEqual([]);
  });

  test('what is not mapped keeps its NULLs, and the look-up by email uses the index', async () => {
    await migrate(knex);
    const users = new KnexUserRepository(knex);
    const rows = Array.from({ length: 2000 }, (_, index) => ({
      email: `User${index}@example.com`,
      username: `user${index}`,
      role: 'subscriber',
    }));
    await knex.batchInsert('wpf_users', rows, 100);
    const queries: { sql: string; bindings: unknown[] }[] = [];
    knex.on('query', (query: { sql: string; bindings: unknown[] }) => queries.push(query));
    expect((await users.findByEmail('USER77@example.com'))!.email).toBe('User77@example.com');
    const { sql, bindings } = queries.find((query) => query.sql.includes('wpfaa'))!;
    if (name === 'PostgreSQL') await knex.raw('analyze wpf_users');
    const explain = name === 'SQLite' ? 'explain query plan' : 'explain';
    const plain = sql.replace(/\$\d+/g, '?');
    const plan = JSON.stringify(await knex.raw(`${explain} ${plain}`, bindings as string[]));
    expect(/wpf_users_email_\w+_unique/.exec(plan) ?? plan.slice(0, 1000)).toHaveLength(1);
  });
});

test('the middleware says at its start what the table lacks', async () => {
  const database = await openDatabase('SQLite');
  const lines: string[] = [];
  const note = (_details: object, message: string) => void lines.push(message);
  const sandbox = await startSandbox();
  await startProcess(sandbox, new KnexUserRepository(database.knex), {
    logger: { debug: note, info: note, warn: note, error: note },
  });
  await until(() => lines.length > 0);
  expect(lines).toEqual([expect.stringContaining('There is no table wpf_users. Call migrate(knex)')]);
  await database.close();
});

describe('options', () => {
  const knex = createKnex({ client: 'better-sqlite3', connection: ':memory:', useNullAsDefault: true });
  afterAll(() => knex.destroy());
  const wrong = (options: unknown): string => {
    try {
      new KnexUserRepository(knex, options as KnexUserRepositoryOptions);
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigurationError);
      return (error as Error).message;
    }
    throw new Error('nothing was wrong');
  };

  test.each([
    [{ tabel: 'x' }, 'tabel: is no option; did you mean "table"?'],
    [{ table: '' }, 'table: must be a name, as text.'],
    [{ columns: { mail: 'x' } }, /^columns\.mail: is no option/],
    [{ columns: { email: null } }, 'columns.email: must be a name, as text.'],
    [{ ids: 'numbers' }, "ids: must be 'database', 'uuid' or a function that makes an id."],
    [{ role: { column: 1 } }, 'role.column: must be a name, as text.'],
    [
      { role: { through: { table: 'a', user: 'b', other: 'c' } } },
      /^role\.mostPrivilegedFirst: must list the roles/,
    ],
    [{ role: { column: 'r', vallues: {} } }, 'role.vallues: is no option; did you mean "values"?'],
    [{ tags: { column: 't', type: 'csv' } }, 'tags.type: must be one of json, array.'],
    [{ tags: { through: { table: 'a', user: 'b' } } }, 'tags.through.other: must be a name, as text.'],
    [
      { tags: { through: { table: 'a', user: 'b', other: 'c' }, newTag: 1 } },
      /^tags\.newTag: must be a function/,
    ],
    [
      { meta: { columns: { a: { column: 'b', type: 'datetime' } } } },
      /^meta\.columns\.a\.type: must be one of text/,
    ],
    [{ meta: { columns: { a: 7 } } }, 'meta.columns.a: must be an object.'],
    [{ softDelete: { column: 'x' } }, /^softDelete\.alive: must be what/],
    [{ scope: 7 }, 'scope: must be an object.'],
    [{ extraValues: { onDelete: {} } }, /^extraValues\.onDelete: is no option/],
    [
      { meta: { columns: { a: 'x', b: 'x' } } },
      'meta.columns.b: names the column x, as meta.columns.a does.',
    ],
    [{ meta: { columns: { a: 'email' } } }, 'meta.columns.a: names the column email, as columns.email does.'],
    [{ meta: { columns: { email: 'mail' } } }, /^meta\.columns\.email: is never in user\.meta/],
    [
      { columns: { username: 'email' } },
      'columns.username: is the email: a site without usernames says null.',
    ],
    [{ role: { column: 'r', values: { a: 1, b: true } } }, 'role.values: has the same value for two roles.'],
    [{ scope: { tenant: null } }, 'scope.tenant: must be a text, a number or a boolean.'],
    [7, 'options: must be an object.'],
  ])('%j', (options, message) => {
    if (typeof message === 'string') expect(wrong(options)).toBe(message);
    else expect(wrong(options)).toMatch(message);
  });

  test('what is no Knex, and a database that is not supported', () => {
    expect(() => new KnexUserRepository({} as never)).toThrow(/^knex: must be a Knex instance/);
    const mssql = Object.assign(() => undefined, {
      client: { dialect: 'mssql' },
      raw() {},
      transaction() {},
    });
    expect(() => new KnexUserRepository(mssql as never)).toThrow(
      /^knex: speaks "mssql"; supported are PostgreSQL/,
    );
  });
});
