// The keys by which emails and usernames are compared, and the names that what we add to a users table has.
import { createHash } from 'node:crypto';
import { comparisonKeySql, type DialectName } from '../dialect';
import type { Mapping } from './mapping';

/** What of a user a unique index is over. */
export type Unique = 'contact' | 'email' | 'username';

/**
 * What an index or a key column of ours depends on: it stands in its name, so that one which was made for another mapping is
 * not taken for the one that is needed.
 */
const fingerprint = (depends: unknown): string =>
  createHash('sha256').update(JSON.stringify(depends)).digest('hex').slice(0, 6);

/**
 * The name of a column that MySQL and MariaDB compute, since they have no index over an expression (MariaDB) and no ASCII-only
 * lower(): the key of an email or a username or, where rows can be deleted softly, the contact id of those that are not.
 */
export function keyColumn({ columns, softDelete }: Mapping, what: Unique): string {
  const column = { contact: columns.contactId, email: columns.email, username: columns.username }[what];
  return `wpf_${what}_key_${fingerprint([column, softDelete ?? null])}`;
}

/** SQL for "the column's key is this one". */
export function keyCondition(
  dialect: DialectName,
  column: string,
  value: string,
): { sql: string; bindings: unknown[] } {
  return { sql: `${comparisonKeySql(dialect)} = ?`, bindings: [column, value] };
}

/** The name of a unique index of ours; names are unique in a whole schema, and PostgreSQL cuts them at 63 bytes. */
export function indexName(mapping: Mapping, what: Unique): string {
  const { table, columns, scope, softDelete } = mapping;
  const column = { contact: columns.contactId, email: columns.email, username: columns.username }[what];
  const end = `${what}_${fingerprint([table, column, Object.keys(scope), softDelete ?? null])}_unique`;
  const name = `wpf_${table.replaceAll('.', '_').replace(/^wpf_/, '')}_${end}`;
  return Buffer.byteLength(name) <= 63 ? name : `wpf_${end}`;
}
