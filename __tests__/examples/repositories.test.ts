// The repositories of examples/repositories through the contract suite: on the databases they are written for, and over HTTP.
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { is, SQL } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { getTableConfig, PgDialect } from 'drizzle-orm/pg-core';
import type { Knex } from 'knex';
import { Pool } from 'pg';
import { Sequelize } from 'sequelize';
import * as ts from 'typescript';
import { keyOf, users as drizzleUsers } from '../../examples/repositories/drizzle-schema';
import { DrizzleUserRepository } from '../../examples/repositories/drizzle-user-repository';
import { HttpUserRepository } from '../../examples/repositories/http-user-repository';
import { defineUsers } from '../../examples/repositories/sequelize-model';
import { SequelizeUserRepository } from '../../examples/repositories/sequelize-user-repository';
import type { NewUser, UserRepository } from '../../lib';
import { codeOf } from '../../lib/errors';
import { userRepositoryContract, type StoredUser } from '../../lib/testing';
import { availableDatabases, openDatabase, type DatabaseName, type TestDatabase } from '../knex/databases';

interface UserService {
  app: RequestListener;
  close(): void;
}
const { createUserService } = jest.requireActual<{
  createUserService(options: { filename: string; token: string }): UserService;
}>('../../examples/repositories/user-service.js');

const ROOT = path.resolve(__dirname, '../..');
const FOLDER = path.join(ROOT, 'examples/repositories');
const HASH = '$2b$12$abcdefghijklmnopqrstuuJ5ZQfX0iZ8Qb8Wb3hYlGm2oTn1r4S9K';

const mary: NewUser = {
  contactId: '7',
  email: 'Mary@example.com',
  username: 'mary',
  passwordHash: HASH,
  role: 'subscriber',
  tags: ['Member'],
  meta: { company: 'Acme' },
  syncState: 'one',
};

/** What tests of one example stand on: two repositories with connections of their own, and the table itself. */
interface Ground {
  database: TestDatabase;
  users: UserRepository;
  other: UserRepository;
  close(): Promise<unknown>;
}

/** The contract, and what is shown of an example beside it. */
function tell(
  database: DatabaseName,
  ground: (database: TestDatabase) => Promise<Ground>,
  more: (ground: () => Ground) => void,
): void {
  // Databases that are not there are told about on stderr.
  describe.each(availableDatabases(database))('on %s', () => {
    let here: Ground;
    beforeAll(async () => {
      here = await ground(await openDatabase(database));
    });
    afterAll(async () => {
      await here.close();
      await here.database.close();
    });

    userRepositoryContract({
      runner: { describe, it },
      name: 'contract',
      open: async () => {
        const { knex } = here.database;
        await knex('users').delete();
        return {
          users: here.users,
          other: here.other,
          stored: (id) => stored(knex, id),
          count: async () => Number((await knex('users').count({ count: '*' }))[0]!.count),
        };
      },
    });

    test('users that change to one another’s emails at once are told DUPLICATE_USER, and of no deadlock', async () => {
      const {
        users,
        other,
        database: { knex },
      } = here;
      await knex('users').delete();
      const people = Array.from({ length: 6 }, (_, index) => ({
        ...mary,
        contactId: null,
        email: `p${index}@example.com`,
        username: `p${index}`,
      }));
      const ids = await Promise.all(people.map(async (person) => (await users.create(person)).id));
      const change = (index: number, email: string): Promise<unknown> =>
        [users, other][index % 2]!.update(ids[index % 6]!, { email });
      for (let round = 0; round < 10; round += 1) {
        const outcomes = await Promise.allSettled(
          Array.from({ length: 12 }, (_, index) =>
            change(index, people[(index + round + (index > 5 ? 1 : 2)) % 6]!.email),
          ),
        );
        const refused = outcomes.flatMap((outcome) =>
          outcome.status === 'rejected' ? [outcome.reason] : [],
        );
        expect(refused.filter((reason) => reason.field !== 'email')).toEqual([]);
        for (const email of ['away', 'back'])
          await Promise.all(
            people.map((person, index) =>
              change(index, email === 'back' ? person.email : `${index}@example.org`),
            ),
          );
      }
    });

    more(() => here);
  });
}

/** A table that is not there stands for whatever can be wrong with a database. */
function failsLoudly(ground: () => Ground, expected: object): void {
  test('a failure of the database is no "nobody", and tells no values', async () => {
    const { users, database } = ground();
    await database.knex('users').delete();
    const { id } = await users.create(mary);
    await database.knex.schema.renameTable('users', 'away');
    try {
      for (const work of [
        users.findByContactId('7'),
        users.findByEmail(mary.email),
        users.create(mary),
        users.update(id, { ...mary, tags: ['New'] }),
      ]) {
        const error = (await thrownBy(work)) as Error;
        expect(error).toMatchObject(expected);
        expect(`${error.message} ${String(error.stack)}`).not.toMatch(/\$2b\$|mary/i);
      }
    } finally {
      await database.knex.schema.renameTable('away', 'users');
    }
  });
}

/** A row of any of the tables, whatever the columns are called. */
async function stored(knex: Knex, id: string): Promise<StoredUser | null> {
  // As text, so that no database makes an id of something else.
  const rows = await knex<Record<string, unknown>>('users');
  const row = rows.find((each) => String(each.id) === id);
  if (row === undefined) return null;
  const json = (value: unknown): unknown => (typeof value === 'string' ? JSON.parse(value) : value);
  const column = (name: string): unknown =>
    row[name] ?? row[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] ?? null;
  return {
    contactId: column('contactId'),
    email: column('email'),
    username: column('username'),
    passwordHash: column('passwordHash'),
    role: column('role'),
    tags: json(column('tags')),
    meta: json(column('meta')),
    syncState: column('syncState'),
  };
}

class UnexpectedValue extends Error {}

/** What a call throws. */
const thrownBy = async (work: Promise<unknown>): Promise<unknown> => {
  let value: unknown;
  try {
    value = await work;
  } catch (error) {
    return error;
  }
  return new UnexpectedValue(`It gave ${JSON.stringify(value)}.`);
};

describe('drizzle-user-repository.ts', () => {
  /** What drizzle-kit would write for the schema. */
  async function createTable(knex: Knex): Promise<void> {
    const { name, columns, indexes } = getTableConfig(drizzleUsers);
    const dialect = new PgDialect();
    const sqlOf = (part: unknown): string =>
      is(part, SQL) ? `(${dialect.sqlToQuery(part, 'indexes').sql})` : `"${(part as { name: string }).name}"`;
    const told = columns.map((column) =>
      [
        `"${column.name}" ${column.getSQLType()}`,
        column.primary && 'primary key',
        column.notNull && 'not null',
      ]
        .filter(Boolean)
        .join(' '),
    );
    await knex.raw(`create table "${name}" (${told.join(', ')})`);
    for (const { config } of indexes) {
      expect(config.unique).toBe(true);
      await knex.raw(
        `create unique index "${config.name}" on "${name}" (${config.columns.map(sqlOf).join(', ')})`,
      );
    }
  }

  tell(
    'PostgreSQL',
    async (database) => {
      await createTable(database.knex);
      const { connection, searchPath } = database.config;
      const connect = (): Pool =>
        new Pool({ connectionString: String(connection), options: `-c search_path=${String(searchPath)}` });
      const pools = [connect(), connect()] as const;
      const [users, other] = pools.map((pool) => new DrizzleUserRepository(drizzle(pool)));
      return {
        database,
        users: users!,
        other: other!,
        close: () => Promise.all(pools.map((pool) => pool.end())),
      };
    },
    (ground) => {
      test('an email that the site changes itself is found, without a key that somebody has to keep', async () => {
        const { users, database } = ground();
        await database.knex('users').delete();
        const { id } = await users.create(mary);
        await database.knex('users').update({ email: ' New@Example.com ' });
        expect(await users.findByEmail('new@example.com')).toMatchObject({ id });
      });

      test('the look-up by email uses the index', async () => {
        const { sql } = new PgDialect().sqlToQuery(keyOf(drizzleUsers.email));
        let plan: unknown;
        await ground().database.knex.transaction(async (transaction) => {
          await transaction.raw('set local enable_seqscan = off');
          plan = await transaction.raw(`explain select * from users where ${sql} = 'x'`);
        });
        expect(JSON.stringify((plan as { rows: unknown }).rows)).toContain('users_email_key');
      });

      failsLoudly(ground, { code: '42P01' });
    },
  );
});

describe('sequelize-user-repository.ts', () => {
  let model: ReturnType<typeof defineUsers>;

  tell(
    'MariaDB',
    async (database) => {
      const { database: name, ...options } = database.config.connection as { database: string };
      const { user, password, host, port } = options as Record<string, unknown>;
      const connections = [1, 2].map(
        () =>
          new Sequelize({
            dialect: 'mysql',
            database: name,
            username: String(user),
            password: String(password),
            host: String(host),
            port: Number(port),
            logging: false,
          }),
      );
      const [users, other] = connections.map((sequelize) => new SequelizeUserRepository(sequelize));
      model = defineUsers(connections[0]!);
      await model.sync();
      return {
        database,
        users: users!,
        other: other!,
        close: () => Promise.all(connections.map((sequelize) => sequelize.close())),
      };
    },
    (ground) => {
      test('an email that the site changes itself through the model is found: its key follows', async () => {
        const { users, database } = ground();
        await database.knex('users').delete();
        const { id } = await users.create(mary);
        await model.update({ email: ' New@Example.com ' }, { where: { id } });
        expect(await users.findByEmail('new@example.com')).toMatchObject({ id, email: 'New@Example.com' });
        expect(await users.findByEmail(mary.email)).toBeNull();
      });

      failsLoudly(ground, { parent: { errno: 1146 } });
    },
  );
});

describe('http-user-repository.ts', () => {
  const TOKEN = 'a-token-of-this-test';
  const servers: Server[] = [];

  async function listen(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function closeServers(): Promise<void> {
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    }
  }

  tell(
    'SQLite',
    async (database) => {
      const { filename } = database.config.connection as { filename: string };
      // Two of them, as behind a load balancer.
      const services = [1, 2].map(() => createUserService({ filename, token: TOKEN }));
      const [users, other] = await Promise.all(
        services.map(async ({ app }) => new HttpUserRepository({ baseUrl: await listen(app), token: TOKEN })),
      );
      return {
        database,
        users: users!,
        other: other!,
        close: async () => {
          await closeServers();
          for (const service of services) service.close();
        },
      };
    },
    (ground) => {
      failsLoudly(ground, { message: expect.stringMatching(/with the status 500\.$/) });
    },
  );

  describe('what a service says that is no answer to the question', () => {
    afterEach(closeServers);

    const json =
      (status: number, body: unknown): RequestListener =>
      (_request, response) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const page =
      (status: number): RequestListener =>
      (_request, response) =>
        response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Hello</h1>');

    test.each<[string, RequestListener]>([
      ['a page with 404, of a proxy or a wrong address', page(404)],
      ['a 404 that says something else', json(404, { error: 'NO_SUCH_ROUTE' })],
      ['a page with 200', page(200)],
      ['no list', json(200, { user: null })],
      ['nothing', json(200, null)],
      ['the user of another contact', json(200, [{ ...mary, id: '1', contactId: '8' }])],
      [
        'everybody, since it does not know the parameter',
        json(200, [
          { ...mary, id: '1' },
          { ...mary, id: '2' },
        ]),
      ],
      ['a refused token', json(401, { error: 'UNAUTHORIZED' })],
      ['a conflict without a field', json(409, {})],
      ['a failed condition that is not ours', json(412, {})],
      ['that it is elsewhere', (_request, response) => response.writeHead(302, { location: '/' }).end()],
      ['nothing, and hangs up', (request) => request.socket.destroy()],
      [
        'half an answer',
        (_request, response) => {
          response.writeHead(200, { 'content-length': 10 });
          response.write('[', () => response.destroy());
        },
      ],
    ])('%s: is a failure without a name, never "nobody"', async (_name, listener) => {
      const users = new HttpUserRepository({ baseUrl: await listen(listener), token: TOKEN });
      const error = await thrownBy(users.findByContactId('7'));
      expect([error instanceof UnexpectedValue, codeOf(error)]).toEqual([false, undefined]);
    });

    test.each<[string, RequestListener]>([
      ['a page with 404', page(404)],
      ['a page with 409', page(409)],
      ['a page with 412', page(412)],
      ['a page with 502', page(502)],
      ['a 404 that says something else', json(404, { error: 'NO_SUCH_ROUTE' })],
      ['a conflict without a field', json(409, {})],
    ])('update, %s: is none of the named errors', async (_name, listener) => {
      const users = new HttpUserRepository({ baseUrl: await listen(listener), token: TOKEN });
      const error = await thrownBy(users.update('1', { role: 'customer' }, { ifSyncState: null }));
      expect([error instanceof UnexpectedValue, codeOf(error)]).toEqual([false, undefined]);
    });

    test('a service that says nothing is waited for as long as it was said, and no longer', async () => {
      const users = new HttpUserRepository({
        baseUrl: await listen(() => undefined),
        token: TOKEN,
        timeoutMs: 20,
      });
      expect(await thrownBy(users.findByEmail(mary.email))).toMatchObject({ name: 'TimeoutError' });
    });

    test('a wrong token gets nothing', async () => {
      const { app, close } = createUserService({ filename: ':memory:', token: TOKEN });
      const users = new HttpUserRepository({ baseUrl: await listen(app), token: 'another' });
      for (const work of [users.findByContactId('7'), users.create(mary), users.update('1', {})])
        expect(String(await thrownBy(work))).toContain('with the status 401');
      close();
    });
  });
});

describe('the repository of docs/user-repository.md', () => {
  const guide = readFileSync(path.join(ROOT, 'docs/user-repository.md'), 'utf8');
  const block = (label: string): string => {
    const [, code] = new RegExp(`^\`\`\`js ${label}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(guide) ?? [];
    if (code === undefined) throw new Error(`The guide has no block "${label}".`);
    return code;
  };

  /** What the guide leaves to its reader: a store. */
  const STORE = `
    const { transactionsOver } = require('./transactions');
    const texts = new Map();
    const get = async (key) => (texts.has(key) ? JSON.parse(texts.get(key)) : undefined);
    const writeAll = async (changes) => {
      for (const [key, value] of changes) {
        if (value === undefined) texts.delete(key);
        else texts.set(key, JSON.stringify(value));
      }
    };
    const transaction = transactionsOver({ get, writeAll });
    const keys = async (beginning) => [...texts.keys()].filter((key) => key.startsWith(beginning));
    exports.connect = async () => ({ transaction, get, keys, clear: async () => texts.clear(), close: async () => {} });
  `;

  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'wpf-guide-'));
    mkdirSync(path.join(folder, 'node_modules'));
    mkdirSync(path.join(folder, 'test'));
    symlinkSync(ROOT, path.join(folder, 'node_modules/wp-fusion-webhook'), 'junction');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('passes the suite, set up with the runner of Node as the guide shows it', () => {
    const files = {
      'users.js': block('key-value'),
      'transactions.js': block('one-process'),
      'store.js': STORE,
      'test/users-scene.js': block('suite-scene'),
      'test/users.test.js': block('suite-node'),
    };
    for (const [name, code] of Object.entries(files)) writeFileSync(path.join(folder, name), code);
    const run = ['--test', '--test-reporter=tap', 'test/users.test.js'];
    const { status, stdout } = spawnSync(process.execPath, run, { cwd: folder, encoding: 'utf8' });
    expect(stdout).toMatch(/^# fail 0$/m);
    expect(Number(/^# pass (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(100);
    expect(status).toBe(0);
  });

  test('is set up with Jest and Vitest by the same two calls', () => {
    for (const label of ['suite-jest', 'suite-vitest', 'suite-node'])
      expect(block(label)).toContain('\nuserRepositoryContract({ runner: { describe, it }, open });\n');
  });
});

describe('the files', () => {
  const names = readdirSync(FOLDER).sort();
  const repositories = names.filter((name) => name.endsWith('-user-repository.ts'));
  const read = (name: string): string => readFileSync(path.join(FOLDER, name), 'utf8');
  const linesOf = (name: string): number => read(name).trimEnd().split('\n').length;

  test('are three repositories and what they stand on', () => {
    expect(repositories).toHaveLength(3);
    expect(names).toEqual(
      ['README.md', 'drizzle-schema.ts', 'sequelize-model.ts', 'user-service.js', ...repositories].sort(),
    );
    for (const name of names.slice(1)) expect(read('README.md')).toContain(`(${name})`);
  });

  test.each(repositories)('%s has at most 60 lines', (name) => {
    expect(linesOf(name)).toBeLessThanOrEqual(60);
  });

  test('are formatted', () => {
    const check = [require.resolve('prettier/bin/prettier.cjs'), '--check', FOLDER];
    expect(() => execFileSync(process.execPath, check, { stdio: 'pipe', cwd: FOLDER })).not.toThrow();
  });

  test.each(names.filter((name) => name.endsWith('.ts')))(
    '%s imports nothing of ours but types and errors',
    (name) => {
      const file = ts.createSourceFile(name, read(name), ts.ScriptTarget.ES2022);
      const imports = file.statements
        .filter(ts.isImportDeclaration)
        .map(({ importClause, moduleSpecifier }) => {
          const { text: from } = moduleSpecifier as ts.StringLiteral;
          // What stands behind `import type`, or behind `type`, is gone when the file runs.
          const isType = importClause?.getText(file).startsWith('type ') === true;
          const bindings = importClause?.namedBindings;
          const values =
            bindings !== undefined && ts.isNamedImports(bindings) && !isType
              ? bindings.elements.filter((element) => !element.isTypeOnly).map((element) => element.name.text)
              : [];
          return { from, values };
        });
      expect(imports.map(({ from }) => from)).toContain('wp-fusion-webhook');
      const errors = ['DuplicateUserError', 'StaleUserError', 'UserNotFoundError'];
      for (const { from, values } of imports) {
        if (from === 'wp-fusion-webhook')
          expect(values.filter((value) => !errors.includes(value))).toEqual([]);
        // Who copies the folder has all of it.
        if (from.startsWith('.')) expect(names).toContain(`${path.basename(from)}.ts`);
        expect(from).not.toMatch(/^wp-fusion-webhook\/|^\.\./);
      }
    },
  );
});
