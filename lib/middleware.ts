// wpFusionWebhook(): puts the parts together. With webhook/read.ts the only file that knows Express.
import { EventEmitter, setMaxListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import { processWebhook, RunFailure } from './actions/process';
import { PasswordReturns } from './actions/password-returns';
import type { Site } from './actions/site';
import { Turns } from './actions/turns';
import { answerProblem, answerResult, type Answer } from './answer/answer';
import { ContactReader } from './crm/contact-reader';
import { asOurs, WpFusionError } from './errors';
import type { WebhookEvents } from './events';
import { resolveOptions, type WpFusionWebhookOptions } from './options';
import type { Webhook } from './queue/webhook';
import { describeError, redact, Secrets } from './redact';
import type { Result } from './result';
import { guardRepository } from './users/guard';
import { Authenticator } from './webhook/authenticate';
import { WebhookParser } from './webhook/parse';
import { isWebhook, prefersPage, type WebhookRequest } from './webhook/read';
import { receive, type Door, type Received } from './webhook/receive';
import { Throttle } from './webhook/throttle';

/** What {@link wpFusionWebhook} gives: an Express handler with a few methods. */
export interface WpFusionWebhook {
  /** Takes webhooks and answers them; hands every other request on, untouched. Never calls `next` with an error. */
  (request: WebhookRequest, response: ServerResponse, next: (error?: unknown) => void): void;
  /**
   * Refuses new webhooks with 503 and resolves when those under way have ended, at the latest after `timeoutMs` (default
   * 10,000). What is owed then stays written down with the users. Called again it is the same closing.
   */
  close(options?: { timeoutMs?: number | undefined }): Promise<void>;
  /** Listens to an event. What a listener throws is logged and harms nothing. */
  on<Name extends keyof WebhookEvents>(name: Name, listener: (event: WebhookEvents[Name]) => unknown): this;
  /** Stops listening. */
  off<Name extends keyof WebhookEvents>(name: Name, listener: (event: WebhookEvents[Name]) => unknown): this;
}

/** How long the rest of a refused body is let in and thrown away before the connection is cut. */
const DRAIN_MS = 10_000;

/**
 * Makes the middleware that lets a CRM create and update the users of a site.
 *
 * Mount it anywhere, before or after body parsers, on `/` or on a path; best before static files, CSRF protection and login.
 * A request is taken when it has a `wpf_action` in its query, or in a body that a parser before it has parsed.
 *
 * @throws ConfigurationError for a wrong option, by name.
 *
 * @example
 * const webhook = wpFusionWebhook({
 *   accessKey: process.env.WPF_ACCESS_KEY,
 *   crm: new OntraportClient({ appId: process.env.ONTRAPORT_APP_ID, apiKey: process.env.ONTRAPORT_API_KEY }),
 *   users: new MemoryUserRepository(),
 * });
 * app.use(webhook);
 * process.on('SIGTERM', async () => { server.close(); await webhook.close(); });
 */
export function wpFusionWebhook(options: WpFusionWebhookOptions): WpFusionWebhook {
  const configuration = resolveOptions(options);
  const { crm, logger, name, timeoutMs } = configuration;
  const keys = configuration.accessKeys.map(({ key }) => key);
  const events = new EventEmitter();
  const closed = new AbortController();
  // One listener for each webhook under way is no leak.
  setMaxListeners(0, closed.signal);
  const turns = new Turns();
  const underWay = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;

  const secrets = new Secrets(keys);
  const users = guardRepository(configuration.users, (hash) => secrets.addHash(hash));
  const contacts = new ContactReader({
    fetch: (ids, read) => crm.getContacts(ids, read),
    maxBatchSize: crm.maxBatchSize ?? 1,
    trouble: () => crm.trouble?.(),
  });
  const site: Site = {
    configuration,
    users,
    contacts,
    returns: new PasswordReturns(configuration, users, contacts, closed.signal, secrets),
    closed: closed.signal,
    secrets,
    emit,
  };
  const door: Door = {
    authenticator: new Authenticator(configuration.accessKeys),
    throttle: new Throttle(),
    parser: new WebhookParser(configuration.contactIdPattern, new Set(configuration.actions.keys())),
    bodyLimit: configuration.bodyLimit,
    isClosing: () => closing !== undefined,
  };

  function emit<Name extends keyof WebhookEvents>(name: Name, event: WebhookEvents[Name]): void {
    const failed = (error: unknown): void =>
      logger.error(
        { name: configuration.name, event: name, cause: describeError(error, secrets) },
        `A listener of ${name} threw.`,
      );
    for (const listener of events.listeners(name) as ((event: unknown) => unknown)[]) {
      try {
        Promise.resolve(listener(structuredClone(event))).catch(failed);
      } catch (error) {
        failed(error);
      }
    }
  }

  /** Tells the log at the start what the storage lacks, instead of letting the first webhook find out. Never rejects. */
  async function checkUsers(): Promise<void> {
    const details = { name, code: 'REPOSITORY_FAILED' };
    try {
      for (const { severity, message } of (await configuration.users.check?.()) ?? []) {
        logger[severity === 'error' ? 'error' : 'warn'](details, message);
      }
    } catch (error) {
      logger.warn(
        { ...details, cause: describeError(error, secrets) },
        'The user storage could not be looked at.',
      );
    }
  }
  const checking = checkUsers().finally(() => underWay.delete(checking));
  underWay.add(checking);

  const middleware = (
    request: WebhookRequest,
    response: ServerResponse,
    next: (error?: unknown) => void,
  ): void => {
    if (isWebhook(request)) void handle(request, response);
    else next();
  };

  /** Answers one webhook. Never rejects. */
  async function handle(request: WebhookRequest, response: ServerResponse): Promise<void> {
    const answerBy = Date.now() + timeoutMs;
    const bodyDeadline = new AbortController();
    const timer = setTimeout(() => bodyDeadline.abort(), timeoutMs);
    const page = prefersPage(request);
    let received: Received | undefined;
    try {
      received = await receive(request, door, bodyDeadline.signal);
      const { webhook, permission } = received;
      // A browser's GET only looks: link previews and prefetchers must not create accounts.
      const looksOnly = page && request.method === 'GET';
      const dryRun = webhook.dryRun || looksOnly;
      const { action, contactId } = webhook;
      emit('webhook.received', { action, contactId, key: permission.name, dryRun });
      const result = await answerInTime({ ...webhook, dryRun }, looksOnly, answerBy);
      report(result, dryRun);
      const button = looksOnly && action !== 'test' && !webhook.dryRun;
      send(request, response, answerResult(result, { page, dryRun, inspect: permission.inspect, button }));
    } catch (error) {
      send(request, response, fail(error, received?.webhook, page));
    } finally {
      clearTimeout(timer);
    }
  }

  /** The result of the work, or `TIMED_OUT` while that goes on. */
  async function answerInTime(webhook: Webhook, looksOnly: boolean, answerBy: number): Promise<Result> {
    const { action, contactId } = webhook;
    if (looksOnly && configuration.actions.has(action)) {
      return { action, contactId, outcome: 'not run', warnings: [], changes: [] };
    }
    const work = webhook.dryRun
      ? processWebhook(webhook, site, answerBy)
      : turns.take(contactId, () => processWebhook(webhook, site, answerBy));
    const tracked = work.catch(() => undefined).finally(() => underWay.delete(tracked));
    underWay.add(tracked);

    let timer: NodeJS.Timeout | undefined;
    let isAnswered = false;
    const timedOut = new Promise<never>((_resolve, reject) => {
      const message = `The webhook is still being processed after ${timeoutMs} ms; the work goes on.`;
      timer = setTimeout(
        () => reject(new WpFusionError('TIMED_OUT', message, { retryAfter: 30 })),
        Math.max(0, answerBy - Date.now()),
      );
    });
    // What becomes of it after the answer still has to be heard of.
    work.then(
      (result) => isAnswered && report(result, webhook.dryRun),
      (error: unknown) => isAnswered && fail(error, webhook, false),
    );
    try {
      return await Promise.race([work, timedOut]);
    } finally {
      isAnswered = true;
      clearTimeout(timer);
    }
  }

  /** Logs and emits what became of a webhook. */
  function report({ action, contactId, outcome, reason, userId, warnings }: Result, dryRun: boolean): void {
    logger.info({ name, action, contactId, outcome, reason, userId, dryRun }, `${action}: ${outcome}`);
    for (const { code, message } of warnings) logger.warn({ name, code, action, contactId, userId }, message);
    emit('webhook.processed', { action, contactId, outcome, reason, userId, warnings, dryRun });
  }

  /** Logs and emits a failure, and gives the answer to it. */
  function fail(thrown: unknown, webhook: Webhook | undefined, page: boolean): Answer {
    const known = [...secrets, ...(thrown instanceof RunFailure ? thrown.secrets : [])];
    const error = asOurs(thrown instanceof RunFailure ? thrown.cause : thrown);
    const detail = redact(error.message, known);
    const { code, status } = error;
    const action = webhook?.action ?? null;
    const contactId = webhook?.contactId ?? null;
    const cause = error.cause === undefined ? undefined : describeError(error.cause, known);
    logger.error(
      { name, code, status, action, contactId, ...(cause === undefined ? {} : { cause }) },
      detail,
    );
    emit('webhook.failed', { action, contactId, code, status, detail });
    const errors = error.errors?.map(({ parameter, message }) => ({
      parameter,
      message: redact(message, known),
    }));
    return answerProblem({ error, detail, errors, action, contactId }, page);
  }

  function close({ timeoutMs: patience = 10_000 }: { timeoutMs?: number | undefined } = {}): Promise<void> {
    closing ??= (async () => {
      let timer: NodeJS.Timeout | undefined;
      const tooLong = new Promise<void>((resolve) => (timer = setTimeout(resolve, patience)));
      const allEnded = async (): Promise<void> => {
        while (underWay.size > 0) await Promise.all(underWay);
        await site.returns.ended();
      };
      await Promise.race([allEnded(), tooLong]);
      clearTimeout(timer);
      closed.abort();
    })();
    return closing;
  }

  const webhook: WpFusionWebhook = Object.assign(middleware, {
    close,
    on: (name: string, listener: (event: never) => unknown) => {
      events.on(name, listener as () => void);
      return webhook;
    },
    off: (name: string, listener: (event: never) => unknown) => {
      events.off(name, listener as () => void);
      return webhook;
    },
  });
  return webhook;
}

/** Sends the one answer of a request. Where somebody has answered already, or nobody listens any more, there is none. */
function send(request: WebhookRequest, response: ServerResponse, answer: Answer): void {
  if (response.headersSent || response.writableEnded || response.destroyed) return;
  response.statusCode = answer.status;
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
  response.setHeader('Content-Length', Buffer.byteLength(answer.body));
  if (!request.complete) {
    // A body we did not want: let its sender finish writing, or it would see a reset instead of our answer; but not for ever.
    response.setHeader('Connection', 'close');
    request.resume();
    const cut = setTimeout(() => request.destroy(), DRAIN_MS);
    cut.unref();
    request.once('close', () => clearTimeout(cut));
  }
  response.end(answer.body);
}
