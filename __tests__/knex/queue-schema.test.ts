// The tables of the webhook queue and of the activity log: made once, whoever calls, also beside users that were there before; and
// what check() of the queue says.
import createKnex, { type Knex } from 'knex';
import {
  KnexActivityLog,
  KnexWebhookQueue,
  knexMigrationSource,
  migrate,
  type MigrateOptions,
} from '../../lib/knex';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';
import { startRepository } from './processes';

const QUEUE_TABLES = ['wpf_lanes', 'wpf_positions', 'wpf_webhooks'];
const ACTIVITY_TABLES = ['wpf_activity', 'wpf_activity_logs'];
const WITHOUT_USERS = [...ACTIVITY_TABLES, ...QUEUE_TABLES];
const ALL_TABLES = [...WITHOUT_USERS, 'wpf_users'].sort();

describe.each(availableDatabases())('%s', (name) => {
  let database: TestDatabase;
  let knex: Knex;

  beforeEach(async () => {
    database = await openDatabase(name);
    knex = database.knex;
  });
  afterEach(() => database.close());

  const messages = async (by: Knex = knex): Promise<string[]> =>
    (await new KnexWebhookQueue(by).check()).map(({ severity, message }) => `${severity}: ${message}`);

  const tables = async (): Promise<string[]> => {
    const sql = {
      SQLite: "select name from sqlite_master where type = 'table'",
      PostgreSQL: 'select tablename as name from pg_tables where schemaname = current_schema()',
      MariaDB: 'select table_name as name from information_schema.tables where table_schema = database()',
    }[name];
    const result = await knex.raw(sql);
    const rows = (result.rows ?? (Array.isArray(result[0]) ? result[0] : result)) as { name: string }[];
    return rows
      .map((row) => row.name)
      .filter((table) => table.startsWith('wpf_'))
      .sort();
  };

  /** A Knex whose database says something else here and there. */
  async function lying<Value>(
    change: (row: Record<string, unknown>) => Record<string, unknown>,
    work: (by: Knex) => Promise<Value>,
  ): Promise<Value> {
    const changed = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(changed);
      if (typeof value !== 'object' || value === null) return value;
      return 'rows' in value ? { rows: changed(value.rows) } : change({ ...value });
    };
    const by = createKnex({ ...(database.config as Knex.Config), postProcessResponse: changed });
    try {
      return await work(by);
    } finally {
      await by.destroy();
    }
  }

  describe('migrate', () => {
    test('makes all tables from several processes at once, and a second time changes nothing', async () => {
      const others = [1, 2, 3].map(() => startRepository(database.config, {}));
      await Promise.all(others.map((one) => one.migrate()));
      await Promise.all(others.map((one) => one.end()));
      expect(await tables()).toEqual(ALL_TABLES);
      expect(await messages()).toEqual([]);
      const queue = new KnexWebhookQueue(knex);
      await queue.put('site', '7', { action: 'add', receivedAt: 1 });
      await migrate(knex);
      expect(await queue.counts('site')).toMatchObject({ waiting: 1 });
    });

    test('leaves the users table out where the site has its own, from several processes at once', async () => {
      const others = [1, 2].map(() => startRepository(database.config, {}));
      await Promise.all(others.map((one) => one.migrate({ users: false })));
      await Promise.all(others.map((one) => one.end()));
      expect(await tables()).toEqual(WITHOUT_USERS);
      expect(await messages()).toEqual([]);
      // Somebody who changes their mind.
      await migrate(knex);
      expect(await tables()).toEqual(ALL_TABLES);
    });

    test('adds the queue to a database that has only users', async () => {
      await (await knexMigrationSource().getMigration('wpf_001_users')).up(knex);
      expect(await tables()).toEqual(['wpf_users']);
      await knex('wpf_users').insert({ email: 'mary@example.com', username: 'mary', role: 'customer' });
      await migrate(knex);
      expect(await tables()).toEqual(ALL_TABLES);
      expect(await knex('wpf_users').select('username')).toEqual([{ username: 'mary' }]);
    });

    test('goes on where a table is missing', async () => {
      await migrate(knex, { users: false });
      await new KnexWebhookQueue(knex).writePosition('site', 'import', 'half-way');
      await knex.schema.dropTable('wpf_webhooks');
      await migrate(knex, { users: false });
      expect(await messages()).toEqual([]);
      expect(await tables()).toEqual(WITHOUT_USERS);
      expect(await new KnexWebhookQueue(knex).readPosition('site', 'import')).toBe('half-way');
    });

    test('refuses options that it does not know', async () => {
      await expect(migrate(knex, { user: false } as MigrateOptions)).rejects.toThrow(
        'user: is no option; did you mean "users"?',
      );
      await expect(migrate(knex, { users: 'members' } as unknown as MigrateOptions)).rejects.toThrow(
        'users: must be true or false.',
      );
      expect(() => knexMigrationSource({ user: false } as MigrateOptions)).toThrow('did you mean "users"?');
      expect(await tables()).toEqual([]);
    });

    if (name !== 'SQLite') {
      test('makes each table once when it is called several times at once', async () => {
        await Promise.all([1, 2, 3, 4].map(() => migrate(knex, { users: false })));
        expect(await messages()).toEqual([]);
      });
    }

    if (name === 'PostgreSQL') {
      test('does so too where sessions see nothing that was committed since they began', async () => {
        const strict = createKnex({
          ...database.config,
          pool: {
            min: 0,
            max: 4,
            afterCreate: (
              connection: { query(sql: string, done: (error: Error | null) => void): void },
              done: (error: Error | null, one: object) => void,
            ) => {
              const setting = "set default_transaction_isolation = 'serializable'";
              connection.query(setting, (error) => done(error, connection));
            },
          },
        } as Knex.Config);
        await Promise.all([1, 2, 3, 4].map(() => migrate(strict)));
        expect(await messages()).toEqual([]);
        await strict.destroy();
      });
    }

    if (name !== 'MariaDB') {
      test('is undone with a transaction of the host', async () => {
        const undone = knex.transaction(async (transaction) => {
          await migrate(transaction);
          throw new Error('undone');
        });
        await expect(undone).rejects.toThrow('undone');
        expect(await tables()).toEqual([]);
      });
    }
  });

  describe('as Knex migrations', () => {
    const configOf = (options?: MigrateOptions): Knex.MigratorConfig => ({
      migrationSource: knexMigrationSource(options),
      tableName: 'migrations',
    });

    test('a site that ran the first one gets the others', async () => {
      const before = { ...knexMigrationSource(), getMigrations: () => Promise.resolve(['wpf_001_users']) };
      const config = { ...configOf(), migrationSource: before } as Knex.MigratorConfig;
      expect((await knex.migrate.latest(config))[1]).toEqual(['wpf_001_users']);
      expect(await tables()).toEqual(['wpf_users']);
      expect((await knex.migrate.latest(configOf()))[1]).toEqual(['wpf_002_queue', 'wpf_003_activity']);
      expect(await tables()).toEqual(ALL_TABLES);
    });

    test('users can be left out, and rolling back is refused', async () => {
      const config = configOf({ users: false });
      expect((await knex.migrate.latest(config))[1]).toEqual(['wpf_002_queue', 'wpf_003_activity']);
      expect((await knex.migrate.latest(config))[1]).toEqual([]);
      await expect(knex.migrate.rollback(config)).rejects.toThrow(
        'wpf_003_activity is not rolled back: that would delete what became of webhooks. Drop wpf_activity, wpf_activity_logs',
      );
      expect(await tables()).toEqual(WITHOUT_USERS);
      await expect(knexMigrationSource({ users: false }).getMigration('wpf_001_users')).rejects.toThrow(
        'has no migration wpf_001_users',
      );
    });

    test('the queue can be left out, where it is in another store', async () => {
      await migrate(knex, { queue: false });
      expect(await tables()).toEqual([...ACTIVITY_TABLES, 'wpf_users']);
      expect(await knexMigrationSource({ queue: false }).getMigrations()).toEqual([
        ...['wpf_001_users', 'wpf_003_activity'],
      ]);
      await expect(migrate(knex, { queue: 'no' } as object)).rejects.toThrow('queue: must be true or false.');
    });

    test('the activity log can be left out, and added later', async () => {
      await migrate(knex, { users: false, activity: false });
      expect(await tables()).toEqual(QUEUE_TABLES);
      expect(await knexMigrationSource({ users: false, activity: false }).getMigrations()).toEqual([
        'wpf_002_queue',
      ]);
      const others = [1, 2, 3].map(() => startRepository(database.config, {}));
      await Promise.all(others.map((one) => one.migrate({ users: false })));
      await Promise.all(others.map((one) => one.end()));
      expect(await tables()).toEqual(WITHOUT_USERS);
      const log = new KnexActivityLog(knex);
      await log.write('site', [{ id: 'a', receivedAt: Date.now() }]);
      await migrate(knex);
      expect(await log.list('site', {})).toHaveLength(1);
    });
  });

  describe('check', () => {
    test('no tables: what to do', async () => {
      expect(await messages()).toEqual([
        'error: There is no table wpf_lanes. Call migrate(knex), which makes it.',
        'error: There is no table wpf_webhooks. Call migrate(knex), which makes it.',
        'error: There is no table wpf_positions. Call migrate(knex), which makes it.',
      ]);
    });

    test('a table of that name that is another', async () => {
      await knex.schema.createTable('wpf_lanes', (table) => table.string('contact'));
      await migrate(knex, { users: false });
      expect(await messages()).toEqual([
        'error: The table wpf_lanes is not as migrate(knex) makes it: it has no column queue, due, token. ' +
          'Give it another name if it is yours, then call migrate(knex).',
      ]);
    });

    if (name === 'SQLite') {
      test('a database in memory', async () => {
        const memory = createKnex({
          client: 'better-sqlite3',
          connection: ':memory:',
          useNullAsDefault: true,
        });
        await migrate(memory, { users: false });
        expect(await messages(memory)).toEqual([
          'warning: This SQLite database is in memory: webhooks are gone when the process ends. Give it a file.',
        ]);
        // It works all the same.
        const queue = new KnexWebhookQueue(memory);
        await queue.put('site', '7', { action: 'add', receivedAt: 1 });
        expect(await queue.take('site', 10)).toHaveLength(1);
        await memory.destroy();
      });

      test('a file without a write-ahead log is given one', async () => {
        await migrate(knex, { users: false });
        await knex.raw('pragma journal_mode = delete');
        expect(await messages()).toEqual([]);
        expect(await knex.raw('pragma journal_mode')).toEqual([{ journal_mode: 'wal' }]);
      });

      test('a journal that a dying process takes along', async () => {
        await migrate(knex, { users: false });
        await knex.raw('pragma journal_mode = delete');
        await knex.raw('pragma journal_mode = memory');
        expect(await messages()).toEqual([
          'warning: SQLite has journal_mode memory: a process that dies can destroy the file. Run pragma journal_mode = wal.',
        ]);
      });

      test('a file that did not get a write-ahead log', async () => {
        await migrate(knex, { users: false });
        const found = await lying(
          (row) => ('journal_mode' in row ? { journal_mode: 'persist' } : row),
          messages,
        );
        expect(found).toEqual([
          expect.stringMatching(/^warning: SQLite has journal_mode persist: readers keep webhooks waiting/),
        ]);
      });

      test('a version that is too old', async () => {
        await migrate(knex, { users: false });
        const found = await lying(
          (row) => ('sqlite_version()' in row ? { 'sqlite_version()': '3.34.1' } : row),
          messages,
        );
        expect(found).toEqual(['error: This is SQLite 3.34.1; 3.35 is needed. Update the driver.']);
      });
    }

    if (name === 'PostgreSQL') {
      test('a server that does not wait for its disk', async () => {
        await migrate(knex, { users: false });
        const found = await lying(
          (row) => ('current_setting' in row ? { current_setting: 'off' } : row),
          messages,
        );
        expect(found).toEqual([
          expect.stringMatching(/^warning: PostgreSQL has fsync off: a power cut loses/),
        ]);
      });
    }

    if (name === 'MariaDB') {
      test('a table that knows no transactions', async () => {
        await migrate(knex, { users: false });
        await knex.raw('alter table wpf_webhooks engine = Aria');
        expect(await messages()).toEqual([
          'error: The table wpf_webhooks is kept by Aria, which knows no transactions. alter table wpf_webhooks engine = InnoDB.',
        ]);
      });

      test.each([
        ['10.5.23-MariaDB-1:10.5.23+maria~ubu2004', 'MariaDB 10.5.23'],
        ['5.7.44-log', 'MySQL 5.7.44'],
      ])('a version that is too old: %s', async (version, told) => {
        await migrate(knex, { users: false });
        const found = await lying((row) => ('version()' in row ? { 'version()': version } : row), messages);
        expect(found).toEqual([
          expect.stringMatching(new RegExp(`^error: This is ${told}.*; MariaDB 10.6 or MySQL 8 is needed`)),
        ]);
      });

      test.each(['10.6.0-MariaDB', '11.4.2-MariaDB', '8.0.36', '9.1.0'])(
        'a version that is new enough: %s',
        async (version) => {
          await migrate(knex, { users: false });
          const found = await lying((row) => ('version()' in row ? { 'version()': version } : row), messages);
          expect(found).toEqual([]);
        },
      );

      test('settings that lose commits', async () => {
        await migrate(knex, { users: false });
        const settings: Record<string, string> = {
          innodb_flush_log_at_trx_commit: '2',
          log_bin: 'ON',
          sync_binlog: '0',
          binlog_format: 'STATEMENT',
        };
        const told = (): Promise<string[]> =>
          lying((row) => {
            const value = settings[String(row.Variable_name)];
            return value === undefined ? row : { ...row, Value: value };
          }, messages);
        expect(await told()).toEqual([
          expect.stringMatching(
            /^warning: The server has innodb_flush_log_at_trx_commit = 2: a power cut loses/,
          ),
          expect.stringMatching(
            /^warning: The server has a binary log and sync_binlog = 0: after a power cut/,
          ),
          expect.stringMatching(
            /^error: The server has binlog_format = STATEMENT, with which READ COMMITTED/,
          ),
        ]);
        settings.log_bin = 'OFF';
        settings.innodb_flush_log_at_trx_commit = '1';
        expect(await told()).toEqual([]);
      });
    }
  });
});
