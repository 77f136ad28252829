// A join table between users and named things: what both tags and roles can be.
import { seeingLatest, type DialectName } from '../dialect';
import type { Database, Row } from '../knex-like';
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

  constructor(
    private readonly dialect: DialectName,
    given: {
      through: Through;
      table?: string | undefined;
      id?: string | undefined;
      name?: string | undefined;
    },
  ) {
    this.#through = given.through;
    this.#table = given.table;
    this.#id = given.id ?? 'id';
    this.#name = given.name ?? 'name';
  }

  /** The tables and columns that this needs. `isFilled`: whether rows of the table of names are complete, or never made here. */
  needs(isFilled: boolean): TableNeed[] {
    const { table, user, other, newRow } = this.#through;
    const needs: TableNeed[] = [
      {
        table,
        columns: [user, other],
        filled: typeof newRow === 'function' ? undefined : [user, other, ...Object.keys(newRow ?? {})],
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
    const { table, user, other } = this.#through;
    const names = database(table).where(`${table}.${user}`, userId);
    const selected =
      this.#table === undefined
        ? names.select(`${table}.${other} as name`)
        : names
            .join(this.#table, `${this.#table}.${this.#id}`, `${table}.${other}`)
            .select(`${this.#table}.${this.#name} as name`);
    const rows = await (latest === undefined ? selected : seeingLatest(selected, this.dialect));
    return [...new Set(rows.map(({ name }) => textOf(name)))].sort();
  }

  /** Gives a user these names beside those it has. `newRow` makes a name that there is none of; without it that is an error. */
  async add(
    database: Database,
    userId: string,
    names: readonly string[],
    newRow?: (name: string) => Row,
  ): Promise<void> {
    if (names.length === 0) return;
    const { table, user, other, newRow: newMembership } = this.#through;
    const values = await this.#valuesOf(database, names, newRow);
    const more = (): Row => (typeof newMembership === 'function' ? newMembership() : (newMembership ?? {}));
    await database(table).insert(values.map((value) => ({ ...more(), [user]: userId, [other]: value })));
  }

  /** Takes names from a user. */
  async remove(database: Database, userId: string, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const { table, user, other } = this.#through;
    const values = await this.#valuesOf(database, names);
    await database(table).where(user, userId).whereIn(other, values).delete();
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
        throw new Error(
          `The table ${table} has no row whose ${this.#name} is ${JSON.stringify(first)}. Add it there.`,
        );
      }
      // Somebody else may add the same name at the same moment: theirs is as good.
      for (const name of lacking) {
        await database(table)
          .insert({ ...newRow(name), [this.#name]: name })
          .onConflict()
          .ignore();
      }
      known = await this.#idsOf(database, table, names);
    }
    return names.map((name) => {
      const id = known.get(name);
      if (id !== undefined) return id;
      throw new Error(
        `The table ${table} takes ${JSON.stringify(name)} for another ${this.#name} that it has: its collation or its unique index is coarser than the names are.`,
      );
    });
  }

  async #idsOf(database: Database, table: string, names: readonly string[]): Promise<Map<string, unknown>> {
    const found = database(table)
      .whereIn(this.#name, names)
      .select(`${this.#id} as id`, `${this.#name} as name`);
    // One that somebody has just added may not be visible here, and cannot be added again.
    const rows = await seeingLatest(found, this.dialect);
    return new Map(rows.map(({ id, name }) => [textOf(name), id]));
  }
}
