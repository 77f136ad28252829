// The databases that tests run on: SQLite in a file, and PostgreSQL and MariaDB where they are. Each test file gets a database
// (a schema) of its own, gone when it ends.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import createKnex, { type Knex } from 'knex';

export type DatabaseName = 'SQLite' | 'PostgreSQL' | 'MariaDB';

/** How to connect, as data: a child process gets it too. */
export interface Connection {
  client: string;
  connection: unknown;
  searchPath?: string[];
  useNullAsDefault?: boolean;
}

/** A database of one test file. */
export interface TestDatabase {
  readonly name: DatabaseName;
  readonly config: Connection;
  readonly knex: Knex;
  close(): Promise<void>;
}

const POSTGRES_URL = process.env.TEST_POSTGRES_URL ?? 'postgres://root@127.0.0.1:5432/test';
const MYSQL_URL = process.env.TEST_MYSQL_URL ?? 'mysql://root@127.0.0.1:3306/test';

/** Whether somebody listens there. Asked before the tests are told, so that what is skipped is seen. */
function isReachable(url: string): boolean {
  const { hostname, port } = new URL(url);
  const script = `require('node:net').connect(${port}, ${JSON.stringify(hostname)}).on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;
  return spawnSync(process.execPath, ['-e', script], { timeout: 10_000 }).status === 0;
}

const SERVERS: readonly [DatabaseName, string][] = [
  ['PostgreSQL', POSTGRES_URL],
  ['MariaDB', MYSQL_URL],
];

/** The databases that there are. In CI all of them: a service that is missing fails there, it is never skipped. */
export function availableDatabases(...wanted: DatabaseName[]): DatabaseName[] {
  const asked = wanted.length === 0 ? (['SQLite', 'PostgreSQL', 'MariaDB'] as const) : wanted;
  return asked.filter((name) => {
    const server = SERVERS.find(([one]) => one === name);
    if (server === undefined || process.env.CI !== undefined || isReachable(server[1])) return true;
    process.stderr.write(`SKIPPED: ${name} is not at ${new URL(server[1]).host}; its tests do not run.\n`);
    return false;
  });
}

let count = 0;

/** An empty database. */
export async function openDatabase(name: DatabaseName): Promise<TestDatabase> {
  count += 1;
  const unique = `wpf_test_${process.pid}_${count}_${Math.random().toString(36).slice(2, 8)}`;
  return OPEN[name](unique);
}

const OPEN: Readonly<Record<DatabaseName, (unique: string) => Promise<TestDatabase>>> = {
  SQLite: async (unique) => {
    const folder = mkdtempSync(join(tmpdir(), `${unique}-`));
    const config: Connection = {
      client: 'better-sqlite3',
      connection: { filename: join(folder, 'test.sqlite') },
      useNullAsDefault: true,
    };
    const knex = connect(config);
    await knex.raw('pragma journal_mode = wal');
    return opened('SQLite', config, knex, async () => rmSync(folder, { recursive: true }));
  },
  PostgreSQL: async (unique) => {
    const config: Connection = { client: 'pg', connection: POSTGRES_URL, searchPath: [unique] };
    const knex = connect(config);
    await knex.raw('create schema ??', [unique]);
    return opened('PostgreSQL', config, knex, async () => {
      const last = connect(config);
      await last.raw('drop schema ?? cascade', [unique]);
      await last.destroy();
    });
  },
  MariaDB: async (unique) => {
    const { hostname, port, username, password } = new URL(MYSQL_URL);
    const server = { host: hostname, port: Number(port || 3306), user: username, password };
    const first = connect({ client: 'mysql2', connection: server });
    await first.raw('create database ?? character set utf8mb4', [unique]);
    await first.destroy();
    const config: Connection = { client: 'mysql2', connection: { ...server, database: unique } };
    return opened('MariaDB', config, connect(config), async () => {
      const last = connect({ client: 'mysql2', connection: server });
      await last.raw('drop database ??', [unique]);
      await last.destroy();
    });
  },
};

/** Knex tells failures of migrations to the console, also those that a test asks for. */
function connect(config: object): Knex {
  const quiet = (): void => undefined;
  return createKnex({ ...config, log: { debug: quiet, deprecate: quiet, warn: quiet, error: quiet } });
}

function opened(name: DatabaseName, config: Connection, knex: Knex, drop: () => Promise<void>): TestDatabase {
  return {
    name,
    config,
    knex,
    close: async () => {
      await knex.destroy();
      await drop();
    },
  };
}
