// A join table between users and named things: what both tags and roles can be.
import { seeingLatest, type DialectName } from '../dialect';
import type { Database, Row } from '../knex-like';
import { TableError } from '../table-error';
import type { Through } from './mapping';
import { textOf } from './values';

/** A table beside the users table, and what it must have. */
export interface TableNeed {
  readonly table: string;
  readonly columns: readonly string[];
  /** The columns that new rows get a value in; `undefined` where that is not known, or no rows are made. */
  readonly filled?: readonly string[] | undefined;
  /** The option that can give the others one. */
  readonly fillBy?: string;
}

/** Reads and changes which names a user has in a join table. */
export class Memberships {
  readonly #through: Through;
  readonly #table: string | undefined;
  readonly #id: string;
  readonly #name: string;
  readonly #scope: Row;

  constructor(
    private readonly dialect: DialectName,
    given: {
      through: Through;
      table?: string | undefined;
      id?: string | undefined;
      name?: string | undefined;
      scope?: Readonly<Row> | undefined;
    },
  ) {
    this.#through = given.through;
    this.#table = given.table;
    this.#id = given.id ?? 'id';
    this.#name = given.name ?? 'name';
    this.#scope = { ...given.scope };
  }

  /** The tables and columns that this needs. `isFilled`: whether rows of the table of names are complete, or never made here. */
  needs(isFilled: boolean): TableNeed[] {
    const { table, user, other, newRow, scope = {} } = this.#through;
    const needs: TableNeed[] = [
      {
        table,
        columns: [user, other],
        filled:
          typeof newRow === 'function'
            ? undefined
            : [user, other, ...Object.keys(newRow ?? {}), ...Object.keys(scope)],
        fillBy: 'through.newRow',
      },
    ];
    if (this.#table !== undefined) {
      const columns = [this.#id, this.#name];
      needs.push({
        table: this.#table,
        columns,
        filled: isFilled ? undefined : columns,
        fillBy: 'tags.newTag',
      });
    }
    return needs;
  }

  /** The names that a user has, sorted. `latest`: also what this transaction cannot see, for whoever is about to write. */
  async namesOf(database: Database, userId: string, latest?: 'latest'): Promise<string[]> {
    const held = await this.#held(database, userId, latest);
    return [...new Set(held.map(({ name }) => name))].sort();
  }

  /** What the join table holds for a user, each with its name. */
  async #held(
    database: Database,
    userId: string,
    latest?: 'latest',
  ): Promise<{ name: string; other: unknown }[]> {
    const { table, user, other, scope = {} } = this.#through;
    const mine = database(table)
      .where(`${table}.${user}`, userId)
      .where(
        Object.fromEntries(Object.entries(scope).map(([column, value]) => [`${table}.${column}`, value])),
      );
    const selected =
      this.#table === undefined
        ? mine.select(`${table}.${other} as name`, `${table}.${other} as other`)
        : mine
            .join(this.#table, `${this.#table}.${this.#id}`, `${table}.${other}`)
            .select(`${this.#table}.${this.#name} as name`, `${table}.${other} as other`);
    const rows = await (latest === undefined ? selected : seeingLatest(selected, this.dialect));
    return rows.map((row) => ({ name: textOf(row.name), other: row.other }));
  }

  /** Gives a user these names beside those it has. `newRow` makes a name that there is none of; without it that is an error. */
  async add(
    database: Database,
    userId: string,
    names: readonly string[],
    newRow?: (name: string) => Row,
  ): Promise<void> {
    if (names.length === 0) return;
    const { table, user, other, scope = {}, newRow: newMembership } = this.#through;
    const values = await this.#valuesOf(database, names, newRow);
    const more = (): Row => (typeof newMembership === 'function' ? newMembership() : (newMembership ?? {}));
    await database(table).insert(
      values.map((value) => ({ ...more(), ...scope, [user]: userId, [other]: value })),
    );
  }

  /** Takes names from a user: every row that stands for one of them, where a name is there more than once. */
  async remove(database: Database, userId: string, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const { table, user, other, scope = {} } = this.#through;
    const held = await this.#held(database, userId, 'latest');
    const values = held.filter(({ name }) => names.includes(name)).map((row) => row.other);
    const rows = database(table).where(scope).where(user, userId).whereIn(other, values);
    // Names that stand in the join table itself are told apart to the letter, whatever its collation.
    if (this.#table === undefined && this.dialect === 'mysql') {
      rows.whereRaw(`binary ?? in (${values.map(() => '?').join(', ')})`, [other, ...values]);
    }
    await rows.delete();
  }

  /** What the join table holds for each of these names. */
  async #valuesOf(
    database: Database,
    names: readonly string[],
    newRow?: (name: string) => Row,
  ): Promise<unknown[]> {
    const table = this.#table;
    if (table === undefined) return [...names];
    let known = await this.#idsOf(database, table, names);
    const lacking = names.filter((name) => !known.has(name));
    if (lacking.length > 0) {
      if (newRow === undefined) {
        const [first] = lacking;
        throw new TableError(
          `The table ${table} has no row whose ${this.#name} is ${JSON.stringify(first)}. Add it there.`,
        );
      }
      // Somebody else may add the same name at the same moment: theirs is as good.
      for (const name of lacking) {
        await database(table)
          .insert({ ...newRow(name), ...this.#scope, [this.#name]: name })
          .onConflict()
          .ignore();
      }
      // One that somebody has just added may not be visible otherwise, and cannot be added again.
      known = await this.#idsOf(database, table, names, 'latest');
    }
    return names.map((name) => {
      const id = known.get(name);
      if (id !== undefined) return id;
      throw new TableError(
        `The table ${table} takes ${JSON.stringify(name)} for another ${this.#name} that it has: its collation or its unique index is coarser than the names are.`,
      );
    });
  }

  async #idsOf(
    database: Database,
    table: string,
    names: readonly string[],
    latest?: 'latest',
  ): Promise<Map<string, unknown>> {
    const found = database(table)
      .where(this.#scope)
      .whereIn(this.#name, names)
      .select(`${this.#id} as id`, `${this.#name} as name`);
    const rows = await (latest === undefined ? found : seeingLatest(found, this.dialect));
    const ids = new Map<string, unknown>();
    for (const { id, name } of rows) if (!ids.has(textOf(name))) ids.set(textOf(name), id);
    return ids;
  }
}
