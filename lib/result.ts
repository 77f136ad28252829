// What became of a webhook: what the actions give and what an answer is made of.

/** What became of a webhook that did not fail. {@link WebhookEvents} tells it. */
export type Outcome = 'created' | 'updated' | 'unchanged' | 'queued' | 'skipped';

/** Why a webhook was skipped. Each has its section in [docs/errors.md](../docs/errors.md). */
export type SkipReason = 'USER_NOT_FOUND' | 'CANCELLED';

/**
 * The stable codes of warnings: the webhook took effect, but not all of what was asked. Each has its section in
 * [docs/errors.md](../docs/errors.md).
 */
export type WarningCode =
  | 'ROLE_NOT_ASSIGNABLE'
  | 'USER_PROTECTED'
  | 'EMAIL_TAKEN'
  | 'NOTIFIER_NOT_CONFIGURED'
  | 'NOTIFICATION_FAILED'
  | 'PASSWORD_NOT_RETURNED';

/** Something that a webhook asked for and did not get. {@link WebhookEvents} tells them. */
export interface Warning {
  /** What it is about, for programs. */
  readonly code: WarningCode;
  /** The same in words, without any secret. */
  readonly message: string;
}

/**
 * One thing that changed, or in a dry run would. The answer to a dry run lists them:
 * [docs/ontraport-setup.md](../docs/ontraport-setup.md#parameters).
 */
export interface Change {
  /** A property of the user, a local name of `fields`, or `password` (whose values are never told). */
  readonly field: string;
  /** What it was. Absent where the access key may not see values. */
  readonly from?: unknown;
  /** What it is, or would be. Absent as `from`. */
  readonly to?: unknown;
}

/** What became of a webhook. */
export interface Result {
  readonly action: string;
  readonly contactId: string | null;
  /** One of {@link Outcome}; a custom action has its own words. */
  readonly outcome: string;
  readonly reason?: SkipReason | undefined;
  readonly userId?: string | undefined;
  readonly warnings: readonly Warning[];
  readonly changes: readonly Change[];
  /** What is still owed to the user; nobody outside is told. */
  readonly owed?: Owed | undefined;
  /** How often a contact was asked for; for the activity log. */
  readonly contactReads?: number | undefined;
}

/** What is still owed to a user, and when it makes sense to come back to it. */
export interface Owed {
  readonly code: 'PASSWORD_NOT_RETURNED' | 'NOTIFICATION_FAILED';
  readonly detail: string;
  /** `failed`: what was tried did not work. `under way`: it goes on in this process. A number: milliseconds until it can be judged. */
  readonly state: 'failed' | 'under way' | number;
}
