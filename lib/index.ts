/**
 * The middleware, the CRM client for Ontraport, and the interfaces that a site implements.
 *
 * @module wp-fusion-webhook
 */
// What `wp-fusion-webhook` exports, nothing else.
export { wpFusionWebhook, type Activity, type DeadLetters, type WpFusionWebhook } from './middleware';
export type { AccessKey, ActionContext, ActionHandler, WpFusionWebhookOptions } from './options';
export type { WpFusionConfig } from './cli/wp-fusion-config';
export type { Hooks, Notifier, WebhookEvents } from './events';
export type { Logger } from './logger';
export type { Change, Outcome, SkipReason, Warning, WarningCode } from './result';
export type { WebhookRequest } from './webhook/read';
export { redactRequest, redactUrl } from './webhook/access-log';

export type {
  DeadJob,
  Job,
  JobResult,
  Lease,
  QueueCounts,
  QueueFinding,
  Settled,
  SharedText,
  StoredJob,
  TakenContact,
  Verdict,
  WebhookQueue,
} from './queue/queue';
export type {
  ActivityAttempt,
  ActivityCount,
  ActivityEntry,
  ActivityFilter,
  ActivityLog,
  ActivityRange,
  ActivityRecord,
  ActivityState,
} from './activity/activity-log';
export { MemoryActivityLog, type MemoryActivityLogOptions } from './activity/memory-activity-log';

export type { Walk, WalkFailure, WalkProgress } from './walks/walk';
export type { ImportOptions, ReconcileOptions } from './walks/walker';

export type {
  NewUser,
  PublicUser,
  RepositoryFinding,
  User,
  UserChanges,
  UserRepository,
} from './users/repository';
export { comparisonKey } from './users/normalize';
export { MemoryUserRepository } from './users/memory-user-repository';
export type { FieldSpec } from './users/field-map';
export type { UsernameRule } from './users/username';
export { BcryptHasher, type BcryptHasherOptions, type PasswordHasher } from './users/password-hasher';

export type { SharedPlace } from './exchange';
export type {
  BudgetStore,
  Contact,
  ContactFilter,
  CrmBudget,
  CrmClient,
  CrmField,
  FieldValue,
  MetaValue,
  ReadOptions,
  Tag,
} from './crm/client';
export { OntraportClient, type OntraportClientOptions } from './crm/ontraport/client';

export {
  ConfigurationError,
  DuplicateUserError,
  isWpFusionError,
  StaleUserError,
  UserNotFoundError,
  WpFusionError,
  type ErrorCode,
  type ErrorDetails,
  type ParameterError,
} from './errors';
