// Under which conditions a webhook is processed: how much time it has, and who else may be at work on its contact.
import type { Ticket } from '../crm/contact-reader';

/** What differs between a webhook inside its request and one out of a queue. Times are milliseconds since 1970. */
export interface Conditions {
  /** When a contact that the CRM does not have yet is looked for the last time; in the past: it is not waited for. */
  readonly lookUntil: number;
  /** When reading from the CRM is given up. */
  readonly readUntil: number;
  /** How long is waited for what also goes on without us. */
  readonly waitUntil: number;
  /** Whether every webhook of the contact comes through the same queue, so that none is handled while this one is. */
  readonly isExclusive: boolean;
  /** The announced first read of the contact. */
  readonly ticket?: Ticket | undefined;
  /** Throws where the contact is somebody else's by now. Asked before every effect. */
  readonly mayGoOn: () => void;
}

/**
 * The conditions inside a request that is answered at a time, whatever happens. A run whose turn came late has its whole time
 * all the same: the answer is gone, the work goes on.
 */
export function insideRequest(answerBy: number, timeoutMs: number): Conditions {
  const now = Date.now();
  const end = answerBy - now > timeoutMs / 2 ? answerBy : now + timeoutMs;
  // Room to answer with what went wrong before the request runs out of time, and before that for hooks and mail.
  const readUntil = end - timeoutMs / 10;
  return {
    lookUntil: readUntil - timeoutMs / 20,
    readUntil,
    waitUntil: end - timeoutMs / 5,
    isExclusive: false,
    mayGoOn: () => undefined,
  };
}
