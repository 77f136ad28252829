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
