// Tells what becomes of webhooks, to the log and to the host's listeners, without any secret.
import { EventEmitter } from 'node:events';
import { RunFailure } from './actions/process';
import { asOurs, codeOf, WpFusionError, type ErrorCode } from './errors';
import type { WebhookEvents } from './events';
import type { Configuration } from './options';
import type { Webhook } from './queue/webhook';
import { describeError, redact, type Secrets } from './redact';
import type { Result } from './result';
import type { Instruments } from './telemetry/instruments';

/** A failure in words that may be told. */
export interface DescribedFailure {
  /** What was thrown, as an error of ours. */
  readonly error: WpFusionError;
  /** Its message without secrets. */
  readonly detail: string;
  /** The secrets that everything else said of it has to be cleaned of. */
  readonly known: readonly string[];
}

type Named = Pick<Webhook, 'contactId' | 'correlationId'> & { readonly action: string | null };

/** The voice of one middleware. */
export class Reporter {
  readonly #events = new EventEmitter();

  constructor(
    private readonly configuration: Pick<Configuration, 'logger' | 'name'>,
    private readonly secrets: Secrets,
    private readonly instruments: Instruments,
  ) {}

  on(name: string, listener: (event: never) => unknown): void {
    this.#events.on(name, listener as () => void);
  }

  off(name: string, listener: (event: never) => unknown): void {
    this.#events.off(name, listener as () => void);
  }

  /** Tells the listeners, each with a copy of its own. What one throws is logged and harms nothing. */
  readonly emit = <Name extends keyof WebhookEvents>(name: Name, event: WebhookEvents[Name]): void => {
    const failed = (error: unknown): void =>
      this.#log(
        'error',
        { event: name, cause: describeError(error, this.secrets) },
        `A listener of ${name} threw.`,
      );
    for (const listener of this.#events.listeners(name) as ((event: unknown) => unknown)[]) {
      try {
        Promise.resolve(listener(structuredClone(event))).catch(failed);
      } catch (error) {
        failed(error);
      }
    }
  };

  /** A webhook that did not fail. */
  done(
    { action, contactId, outcome, reason, userId, warnings, owed }: Result,
    { dryRun, correlationId }: Pick<Webhook, 'dryRun' | 'correlationId'>,
  ): void {
    const named = { action, contactId, userId, ...correlated(correlationId) };
    this.#log('info', { ...named, outcome, reason, dryRun }, `${action}: ${outcome}`);
    for (const { code, message } of warnings) {
      // Nothing has gone wrong with what is still under way, and in a burst that is everybody's password.
      const isUnderWay = owed?.code === code && owed.state === 'under way';
      this.#log(isUnderWay ? 'info' : 'warn', { ...named, code }, message);
    }
    this.instruments.ended({ action, outcome });
    this.emit('webhook.processed', { action, contactId, outcome, reason, userId, warnings, dryRun });
  }

  /** What was thrown, by our codes. Nobody is told yet. */
  describe(thrown: unknown): DescribedFailure {
    const known = [...this.secrets, ...(thrown instanceof RunFailure ? thrown.secrets : [])];
    const error = asOurs(thrown instanceof RunFailure ? thrown.cause : thrown);
    return { error, detail: redact(error.message, known), known };
  }

  /** A webhook that failed. */
  failed(
    { error, detail, known }: DescribedFailure,
    webhook: Named | undefined,
    level: 'error' | 'debug' = 'error',
  ): void {
    const { code, status } = error;
    const { action = null, contactId = null, correlationId } = webhook ?? {};
    const cause = error.cause === undefined ? undefined : describeError(error.cause, known);
    const named = { action, contactId, ...correlated(correlationId) };
    this.#log(level, { code, status, ...named, ...(cause === undefined ? {} : { cause }) }, detail);
  }

  /** Tells the listeners of a failure. */
  emitFailure(
    webhook: Named | undefined,
    { code: given, detail }: { readonly code: string; readonly detail: string },
    willRetry: boolean,
  ): void {
    const { action = null, contactId = null } = webhook ?? {};
    const code = codeOf({ code: given }) ?? 'INTERNAL_ERROR';
    const { status } = new WpFusionError(code, '');
    this.instruments.ended({ action, code, willRetry });
    this.emit('webhook.failed', { action, contactId, code, status, detail, willRetry });
  }

  /** Tells the log at the start what a store lacks, instead of letting the first webhook find out. Never rejects. */
  async findings(
    store: { check?(): Promise<readonly { severity: string; message: string }[]> } | undefined,
    code: ErrorCode,
    what: string,
  ): Promise<void> {
    try {
      for (const { severity, message } of (await store?.check?.()) ?? []) {
        this.#log(severity === 'error' ? 'error' : 'warn', { code }, message);
      }
    } catch (error) {
      const cause = describeError(error, this.secrets);
      this.#log('warn', { code, cause }, `The ${what} could not be looked at.`);
    }
  }

  /** A line of the log. */
  #log(level: 'debug' | 'info' | 'warn' | 'error', details: object, message: string): void {
    const { logger, name } = this.configuration;
    logger[level]({ name, ...details }, message);
  }
}

const correlated = (correlationId: string | undefined): object =>
  correlationId === undefined ? {} : { correlationId };
