// What this folder uses of Knex, told structurally: any Knex 3 that a host has fits, and Knex itself is never imported.

/**
 * A Knex instance or a Knex transaction, of whatever version: the connection pool stays the host's, nothing here closes it.
 * {@link migrate} takes one.
 */
export interface KnexLike {
  (...parameters: never[]): unknown;
  /** SQL as it is. */
  raw(...parameters: never[]): unknown;
  /** Work that is done whole or not at all. */
  transaction(...parameters: never[]): unknown;
  /** Names the database. */
  readonly client: unknown;
}

/** A row, by its columns. {@link KnexUserRepository} takes some as `extraValues`. */
export type Row = Record<string, unknown>;

/** A piece of SQL that `raw` made. */
export interface Raw extends PromiseLike<unknown> {
  /** The SQL with its bindings in place. */
  toString(): string;
  /** Runs it on this connection of the pool. */
  connection(connection: object): this;
}

/** A query under construction. */
export interface Query<Result = Row[]> extends PromiseLike<Result> {
  select(...columns: (string | Raw)[]): this;
  where(column: string | Raw | Row, value?: unknown): this;
  where(group: (this: Query) => void): this;
  whereNot(column: string, value: unknown): this;
  orWhere(column: string, value: unknown): this;
  whereIn(column: string, values: readonly unknown[]): this;
  whereNotNull(column: string): this;
  whereRaw(sql: string, bindings: readonly unknown[]): this;
  orWhereRaw(sql: string, bindings: readonly unknown[]): this;
  join(table: string, left: string, right: string): this;
  orderBy(column: string): this;
  limit(count: number): this;
  groupByRaw(sql: string): this;
  havingRaw(sql: string): this;
  forUpdate(): this;
  forShare(): this;
  first(): Query<Row | undefined>;
  insert(rows: Row | readonly Row[], returning?: readonly string[]): Query<unknown[]>;
  onConflict(): { ignore(): Query<unknown> };
  update(row: Row): Query<number>;
  delete(): Query<number>;
}

/** How a transaction is to be run. */
interface TransactionSettings {
  readonly isolationLevel?: 'read committed';
  /** The connection to run it on, which stays taken; without it one of the pool is. */
  readonly connection?: object;
}

/** Knex, as the code of this folder sees it. */
export interface Database {
  (table: string): Query;
  raw(sql: string, bindings?: readonly unknown[]): Raw;
  transaction<Value>(
    work: (transaction: Database) => Promise<Value>,
    settings?: TransactionSettings,
  ): Promise<Value>;
  readonly isTransaction?: boolean;
  readonly client: {
    readonly dialect?: unknown;
    acquireConnection(): Promise<object>;
    releaseConnection(connection: object): Promise<void>;
  };
}
