// What the subpath `wp-fusion-webhook/knex` exports, nothing else.
export { KnexUserRepository } from './users/user-repository';
export type {
  ExtraValues,
  KnexUserRepositoryOptions,
  MetaColumn,
  MetaMapping,
  MetaType,
  RoleColumn,
  RoleMemberships,
  RoleReference,
  Scope,
  TagColumn,
  TagMemberships,
  Through,
  UserColumns,
} from './users/mapping';
export { knexMigrationSource, migrate, type KnexMigrationSource } from './migrate';
export type { KnexLike, Row } from './knex-like';
