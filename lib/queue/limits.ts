// What every queue of ours takes, and for how long it keeps what somebody may ask for.
import { WpFusionError } from '../errors';

/** Characters that the name of a queue may have. */
export const MAX_QUEUE_NAME = 64;
/** Characters that a contact id, or the key of a position or a shared text, may have. */
export const MAX_KEY = 255;
/** How long a result is kept: somebody may ask for it for five minutes. */
export const RESULT_KEPT_MS = 10 * 60_000;

/** Throws INVALID_REQUEST for a text that cannot be stored: whoever sent it has to mend it. */
export function refuseLongText(what: string, text: string, max: number): void {
  if (text.length <= max) return;
  throw new WpFusionError(
    'INVALID_REQUEST',
    `${what} has ${text.length} characters (${JSON.stringify(text.slice(0, 20))}…); it may have ${max}.`,
  );
}

/** Whether a text can be the id of a webhook: those of our queues are numbers. */
export const isWebhookId = (text: string): boolean => /^[1-9]\d{0,14}$/.test(text);
