// What the actions work with, put together once by the middleware.
import type { ContactReader } from '../crm/contact-reader';
import type { WebhookEvents } from '../events';
import type { Configuration } from '../options';
import type { Secrets } from '../redact';
import type { Instruments } from '../telemetry/instruments';
import type { UserRepository } from '../users/repository';
import type { PasswordReturns } from './password-returns';

/** Everything that outlives a single webhook. */
export interface Site {
  readonly configuration: Configuration;
  /** The host's repository, its failures named. */
  readonly users: UserRepository;
  readonly contacts: ContactReader;
  readonly returns: PasswordReturns;
  /** What no log line may hold. */
  readonly secrets: Secrets;
  /** Aborted when closing has waited long enough. */
  readonly closed: AbortSignal;
  readonly instruments: Instruments;
  readonly emit: <Name extends keyof WebhookEvents>(name: Name, event: WebhookEvents[Name]) => void;
}
