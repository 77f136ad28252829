// What keeps a database from keeping webhooks safely, in words: tables that are missing, versions that are too old, settings
// that lose commits.
import type { QueueFinding } from '../../queue/queue';
import type { DialectName } from '../dialect';
import type { Database, Row } from '../knex-like';
import { columnsOf, engineOf, rowsOf } from '../schema';
import { QUEUE_TABLES } from './tables';

const error = (message: string): QueueFinding => ({ severity: 'error', message });
const warning = (message: string): QueueFinding => ({ severity: 'warning', message });

/** Everything there is to say. Empty: all is well. */
export async function findingsOf(database: Database, dialect: DialectName): Promise<QueueFinding[]> {
  return [...(await OF_SERVER[dialect](database)), ...(await ofTables(database, dialect))];
}

async function ofTables(database: Database, dialect: DialectName): Promise<QueueFinding[]> {
  const findings: QueueFinding[] = [];
  for (const [table, wanted] of QUEUE_TABLES) {
    const columns = await columnsOf(database, dialect, table);
    if (columns.size === 0) {
      findings.push(error(`There is no table ${table}. Call migrate(knex), which makes it.`));
      continue;
    }
    const missing = wanted.filter((column) => !columns.has(column));
    if (missing.length > 0) {
      findings.push(
        error(
          `The table ${table} is not as migrate(knex) makes it: it has no column ${missing.join(', ')}. ` +
            `Give it another name if it is yours, then call migrate(knex).`,
        ),
      );
    }
    const engine = await engineOf(database, dialect, table);
    if (engine !== undefined && engine.toLowerCase() !== 'innodb') {
      findings.push(
        error(
          `The table ${table} is kept by ${engine}, which knows no transactions. alter table ${table} engine = InnoDB.`,
        ),
      );
    }
  }
  return findings;
}

type Look = (database: Database) => Promise<QueueFinding[]>;

const OF_SERVER: Readonly<Record<DialectName, Look>> = {
  sqlite: async (database) => {
    const findings: QueueFinding[] = [];
    const version = String(await valueOf(database, 'select sqlite_version()'));
    if (!isAtLeast(version, [3, 35])) {
      findings.push(error(`This is SQLite ${version}; 3.35 is needed. Update the driver.`));
    }
    const databases = await rowsOf(database, 'pragma database_list', []);
    const main = databases.find(({ name }) => name === 'main');
    if (main?.file === '' || main?.file === null) {
      findings.push(
        warning(
          'This SQLite database is in memory: webhooks are gone when the process ends. Give it a file.',
        ),
      );
      return findings;
    }
    const mode = String(await valueOf(database, 'pragma journal_mode'));
    if (mode === 'off' || mode === 'memory') {
      findings.push(
        warning(
          `SQLite has journal_mode ${mode}: a process that dies can destroy the file. Run pragma journal_mode = wal.`,
        ),
      );
    } else if (mode !== 'wal') {
      findings.push(
        warning(
          `SQLite has journal_mode ${mode}: readers keep webhooks waiting. The queue asked for WAL and did not get it: the file is ` +
            `on a network drive, or was in use. Run pragma journal_mode = wal while nobody uses it.`,
        ),
      );
    }
    return findings;
  },
  postgres: async (database) =>
    (await valueOf(database, "select current_setting('fsync')")) === 'off'
      ? [
          warning(
            'PostgreSQL has fsync off: a power cut loses webhooks, or the whole database. Set fsync = on.',
          ),
        ]
      : [],
  mysql: async (database) => {
    const version = String(await valueOf(database, 'select version()'));
    const isMaria = /mariadb/i.test(version);
    const findings: QueueFinding[] = [];
    if (!isAtLeast(version, isMaria ? [10, 6] : [8, 0])) {
      findings.push(
        error(`This is ${isMaria ? 'MariaDB' : 'MySQL'} ${version}; MariaDB 10.6 or MySQL 8 is needed.`),
      );
    }
    return [...findings, ...ofMysqlSettings(await mysqlSettings(database))];
  },
};

function ofMysqlSettings(settings: ReadonlyMap<string, string>): QueueFinding[] {
  const findings: QueueFinding[] = [];
  const flush = settings.get('innodb_flush_log_at_trx_commit');
  if (flush !== undefined && flush !== '1') {
    findings.push(
      warning(
        `The server has innodb_flush_log_at_trx_commit = ${flush}: a power cut loses the webhooks of the last second. ` +
          `Set it to 1 in the server's configuration.`,
      ),
    );
  }
  if (settings.get('log_bin') !== 'ON') return findings;
  const sync = settings.get('sync_binlog');
  if (sync !== undefined && sync !== '1') {
    findings.push(
      warning(
        `The server has a binary log and sync_binlog = ${sync}: after a power cut it may take back commits that the log lacks. ` +
          `Set sync_binlog = 1 in the server's configuration.`,
      ),
    );
  }
  if (settings.get('binlog_format') === 'STATEMENT') {
    findings.push(
      error(
        `The server has binlog_format = STATEMENT, with which READ COMMITTED transactions cannot write. Set it to MIXED or ROW.`,
      ),
    );
  }
  return findings;
}

/** Settings that exist; newer versions lack some. */
async function mysqlSettings(database: Database): Promise<ReadonlyMap<string, string>> {
  const rows = await rowsOf(
    database,
    `show variables where variable_name in ('innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog', 'binlog_format')`,
    [],
  );
  return new Map(rows.map(valuesOf).map(([name, value]) => [String(name), String(value)]));
}

/** The only value of the only row. By its place: a host's Knex may rename the column. */
async function valueOf(database: Database, sql: string): Promise<unknown> {
  const [row] = await rowsOf(database, sql, []);
  return valuesOf(row)[0];
}

const valuesOf = (row: Row | undefined): unknown[] => Object.values(row ?? {});

function isAtLeast(version: string, [wantedMajor, wantedMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
