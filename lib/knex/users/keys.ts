// The keys by which emails and usernames are compared, and the names that what we add to a users table has.
import { createHash } from 'node:crypto';
import { comparisonKeySql, type DialectName } from '../dialect';

/** Columns that MySQL and MariaDB compute: they have no index over an expression (MariaDB), and no ASCII-only lower(). */
export const EMAIL_KEY = 'wpf_email_key';
export const USERNAME_KEY = 'wpf_username_key';
/** Where rows can be deleted softly: the contact id of those that are not. */
export const CONTACT_KEY = 'wpf_contact_key';

export type KeyColumn = typeof EMAIL_KEY | typeof USERNAME_KEY | typeof CONTACT_KEY;

/** SQL for "the column's key is this one". */
export function keyCondition(
  dialect: DialectName,
  column: string,
  value: string,
): { sql: string; bindings: unknown[] } {
  return { sql: `${comparisonKeySql(dialect)} = ?`, bindings: [column, value] };
}

/** The name of a unique index of ours; names are unique in a whole schema, and PostgreSQL cuts them at 63 bytes. */
export function indexName(table: string, what: 'contact' | 'email' | 'username'): string {
  const bare = table.replaceAll('.', '_').replace(/^wpf_/, '');
  const name = `wpf_${bare}_${what}_unique`;
  if (Buffer.byteLength(name) <= 63) return name;
  return `wpf_${createHash('sha256').update(table).digest('hex').slice(0, 16)}_${what}_unique`;
}
