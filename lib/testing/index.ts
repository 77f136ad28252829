/**
 * An Ontraport account on your machine, and the contracts that implementations of your own pass.
 *
 * @module wp-fusion-webhook/testing
 */
// What the subpath `wp-fusion-webhook/testing` exports, nothing else.
export { OntraportSandbox } from './ontraport-sandbox';
export type { OntraportSandboxOptions, SandboxChanges } from './ontraport-sandbox';
export type {
  CustomAnswer,
  FaultHandle,
  FaultKind,
  FaultOptions,
  HeldCalls,
  HoldOptions,
  Latency,
} from './sandbox/faults';
export type { TestRunner } from './contracts/runner';
export type {
  RepositoryCapabilities,
  RepositoryScene,
  StoredUser,
  UserRepositoryContractOptions,
} from './contracts/users/settings';
export type {
  CrmCapabilities,
  CrmClientContractOptions,
  CrmContact,
  CrmFailure,
  CrmScene,
} from './contracts/crm/settings';
export type { QueueCapabilities, QueueScene, WebhookQueueContractOptions } from './contracts/queue/settings';
export type {
  ActivityLimits,
  ActivityLogContractOptions,
  ActivityScene,
} from './contracts/activity/settings';
export { activityLogContract } from './activity-log-contract';
export { crmClientContract } from './crm-client-contract';
export { userRepositoryContract } from './user-repository-contract';
export { webhookQueueContract } from './webhook-queue-contract';
export type { SandboxFieldOptions, SandboxFieldType } from './sandbox/fields';
export type { RateLimitOptions } from './sandbox/rate-limit';
export type { SandboxContactOptions, SandboxValue, StoredRecord } from './sandbox/records';
export type { CallFilter, CallMatch, Parameters, SandboxCall } from './sandbox/requests';
export type {
  BurstOptions,
  Delivery,
  RuleOptions,
  RuleTrigger,
  SubscriptionFormat,
  SubscriptionWebhookOptions,
  WebhookOptions,
  WebhookShape,
} from './sandbox/sender';
