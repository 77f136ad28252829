// Adds to a users table what it lacks, and says in words which rows stand in the way of a unique index.
import { asText, comparisonKeySql, type DialectName } from '../dialect';
import type { Database, Query } from '../knex-like';
import { hasColumn } from '../schema';
import { TableError } from '../table-error';
import { withSchemaLock } from '../schema-lock';
import { findMissing, type Missing } from './missing';
import type { Mapping } from './mapping';
import type { TableNeed } from './memberships';
import { textOf } from './values';

/** How many of the rows that stand in the way are named. */
const MAX_NAMED = 10;

/** Adds everything that is missing and can be added. Takes no lock where there is nothing to do. */
export async function addMissing(
  database: Database,
  dialect: DialectName,
  mapping: Mapping,
  needs: readonly TableNeed[],
): Promise<void> {
  const addable = async (connection: Database): Promise<Missing[]> =>
    (await findMissing(connection, dialect, mapping, needs)).filter(({ sql }) => sql.length > 0);
  if ((await addable(database)).length === 0) return;
  await withSchemaLock(database, dialect, async (locked) => {
    const missing = await addable(locked);
    // Before anything is changed: MySQL and MariaDB take nothing back.
    for (const one of missing) await refuseRepeated(locked, dialect, mapping, one);
    for (const { sql } of missing) {
      // A question mark is no place for a value here.
      for (const statement of sql) await locked.raw(statement.replaceAll('?', '\\?'));
    }
  });
}

/** Throws where several rows have the same value of what is to be unique. */
async function refuseRepeated(
  database: Database,
  dialect: DialectName,
  mapping: Mapping,
  { uniqueOver }: Missing,
): Promise<void> {
  const { table, columns, scope, softDelete } = mapping;
  if (uniqueOver === undefined || !(await hasColumn(database, dialect, table, uniqueOver))) return;
  const isContact = uniqueOver === columns.contactId;
  const key = database
    .raw(isContact ? '??' : comparisonKeySql(dialect), [uniqueOver])
    .toString()
    .replaceAll('?', '\\?');
  const users = (): Query => {
    const query = database(table).where(scope).whereNotNull(uniqueOver);
    return softDelete === undefined ? query : query.where({ [softDelete.column]: softDelete.alive });
  };
  const repeated = users().select(database.raw(key)).groupByRaw(key).havingRaw('count(*) > 1');
  const rows = await users()
    .whereRaw(`${key} in (?)`, [repeated])
    .select(asText(database, dialect, columns.id, 'wpfid'))
    .orderBy(uniqueOver)
    .limit(MAX_NAMED + 1);
  if (rows.length === 0) return;
  const named = rows.slice(0, MAX_NAMED).map((row) => textOf(row.wpfid));
  const more = rows.length > MAX_NAMED ? ' and more' : '';
  throw new TableError(
    `The table ${table} cannot have a unique index over ${uniqueOver}: rows repeat one another there, but for case and spaces ` +
      `around (ids ${named.join(', ')}${more}). Merge those users first, or change the value.`,
  );
}
