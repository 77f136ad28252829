// What other parts of this package may see of a middleware, beside what it shows everybody: for the admin page.
import type { Configuration } from './options';
import type { Webhook } from './queue/webhook';
import type { Secrets } from './redact';
import type { Result } from './result';

/** What would become of a webhook. */
export type Preview =
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'failure'; readonly code: string; readonly detail: string };

/** The inside of a middleware. */
export interface Inside {
  readonly configuration: Configuration;
  /** What no line of the log and no page may hold. */
  readonly secrets: Secrets;
  /** A dry run. Its result holds the values of fields. Never rejects, and is told to nobody. */
  preview(
    webhook: Pick<Webhook, 'action' | 'contactId' | 'role'> & Partial<Pick<Webhook, 'sendNotification'>>,
  ): Promise<Preview>;
}

/** Where a middleware keeps its inside. */
export const INSIDE: unique symbol = Symbol.for('wp-fusion-webhook.inside') as never;
