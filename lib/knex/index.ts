/**
 * Users, waiting webhooks and what became of webhooks in a SQL database, through the host’s own Knex.
 *
 * @module wp-fusion-webhook/knex
 */
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
export { KnexActivityLog, type KnexActivityLogOptions } from './activity/activity-log';
export { KnexWebhookQueue, type KnexWebhookQueueOptions } from './queue/webhook-queue';
export { knexMigrationSource, migrate, type KnexMigrationSource, type MigrateOptions } from './migrate';
export type { KnexLike, Row } from './knex-like';
