// The hooks a host can put into the processing, and the events it can listen to.
import type { Contact } from './crm/client';
import type { ErrorCode } from './errors';
import type { Warning } from './result';
import type { NewUser, PublicUser, UserChanges } from './users/repository';

type MaybePromise<Value> = Value | Promise<Value>;

/**
 * The host's own code within the processing of a webhook. Awaited; may run more than once for one webhook; a hook that throws
 * fails the webhook (`HOOK_FAILED`). A dry run calls none. `contact` is without the fields that hold passwords.
 *
 * @example
 * const hooks: Hooks = {
 *   beforeCreate: ({ user, contact }) => (contact.fields.country === 'XX' ? null : user),
 *   afterCreate: async ({ user }) => {
 *     await enrol(user.id, user.tags);
 *   },
 *   beforeTagsChange: async ({ user, added, removed }) => {
 *     await enrol(user.id, added);
 *     await expel(user.id, removed);
 *   },
 * };
 */
export interface Hooks {
  /** Before a user is created: return the user, changed or not, or `null` to create none. */
  beforeCreate?(context: { user: NewUser; contact: Contact }): MaybePromise<NewUser | null>;
  /** Before a user is changed, and only when something would change: return the changes, or `null` to change nothing. */
  beforeUpdate?(context: {
    user: PublicUser;
    changes: UserChanges;
    contact: Contact;
  }): MaybePromise<UserChanges | null>;
  /**
   * Before the tags of an existing user change; so at least once for every change that is stored. For a new user use
   * `afterCreate`, whose `user.tags` are all of them.
   */
  beforeTagsChange?(context: {
    user: PublicUser;
    added: string[];
    removed: string[];
    contact: Contact;
  }): MaybePromise<unknown>;
  /** After a user was created. Owed until it has returned: a crash in between makes a later webhook run it. */
  afterCreate?(context: { user: PublicUser; contact: Contact }): MaybePromise<unknown>;
  /** After a user was changed. Not repeated after a crash. */
  afterUpdate?(context: { user: PublicUser; contact: Contact }): MaybePromise<unknown>;
}

/**
 * Sends the welcome mail of a new user. `SmtpNotifier` of `wp-fusion-webhook/smtp` is one.
 *
 * @example
 * const notifier: Notifier = {
 *   sendWelcome: async ({ user }) => {
 *     await mailer.send({ to: user.email, template: 'welcome', username: user.username });
 *   },
 * };
 */
export interface Notifier {
  /** Resolves when the message is in somebody else's hands. Rejecting makes a later webhook for the contact try again. */
  sendWelcome(message: { user: PublicUser }): Promise<void>;
}

/**
 * The events of a webhook, for telemetry: each is emitted at most once, none is promised across a crash, and a listener that
 * throws harms nothing.
 *
 * @example
 * webhook
 *   .on('webhook.processed', ({ action, outcome }) => console.log(action, outcome))
 *   .on('webhook.failed', ({ code, willRetry }) => console.error(code, willRetry));
 */
export interface WebhookEvents {
  /** A request with a valid key and valid parameters. `key` is the name of the access key. */
  'webhook.received': { action: string; contactId: string | null; key: string; dryRun: boolean };
  'webhook.processed': {
    action: string;
    contactId: string | null;
    outcome: string;
    reason?: string | undefined;
    userId?: string | undefined;
    warnings: readonly Warning[];
    dryRun: boolean;
  };
  /** Every request that was answered with a failure, also a rejected one; and every failed try of a webhook from the queue. */
  'webhook.failed': {
    action: string | null;
    contactId: string | null;
    code: ErrorCode;
    status: number;
    detail: string;
    /** Whether the queue tries it again. */
    willRetry: boolean;
  };
  'user.created': { user: PublicUser };
  /** `fields`: the names of what changed. */
  'user.updated': { user: PublicUser; fields: readonly string[] };
  /** Also at creation, with all tags as `added`. */
  'tags.changed': { user: PublicUser; added: readonly string[]; removed: readonly string[] };
}
