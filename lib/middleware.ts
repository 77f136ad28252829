// wpFusionWebhook(): puts the parts together. With webhook/read.ts the only file that knows Express.
import { setMaxListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import { insideRequest } from './actions/conditions';
import { processWebhook, RunFailure } from './actions/process';
import { PasswordReturns } from './actions/password-returns';
import { Presence } from './actions/presence';
import type { Site } from './actions/site';
import { Turns } from './actions/turns';
import type { ActivityCount, ActivityFilter, ActivityRange, ActivityRecord } from './activity/activity-log';
import { Recorder } from './activity/recorder';
import { Trail } from './activity/trail';
import { answerProblem, answerResult, type Answer } from './answer/answer';
import { ContactReader } from './crm/contact-reader';
import { codeOf, ConfigurationError, WpFusionError, type ErrorCode } from './errors';
import type { WebhookEvents } from './events';
import { INSIDE, type Inside } from './inside';
import { resolveOptions, type WpFusionWebhookOptions } from './options';
import { placeIn } from './queue/place';
import type { DeadJob, QueueCounts } from './queue/queue';
import { BUILT_IN_ACTIONS, type Webhook } from './queue/webhook';
import { redact, Secrets } from './redact';
import { Reporter, type DescribedFailure } from './reporter';
import type { Result } from './result';
import { Instruments } from './telemetry/instruments';
import { apart } from './telemetry/spans';
import { answering, onErrand, type Tell } from './telemetry/webhooks';
import { guardRepository } from './users/guard';
import { Authenticator } from './webhook/authenticate';
import { WebhookParser } from './webhook/parse';
import { isWebhook, prefersPage, type WebhookRequest } from './webhook/read';
import { receive, type Door, type Received } from './webhook/receive';
import { Throttle } from './webhook/throttle';
import { Inbox, type News } from './worker/inbox';
import { Worker } from './worker/worker';
import { treatmentOf } from './worker/verdict';
import { positionsOf } from './walks/positions';
import type { Walk } from './walks/walk';
import {
  Walker,
  type Errand,
  type ErrandEnd,
  type ImportOptions,
  type ReconcileOptions,
} from './walks/walker';

/** What {@link wpFusionWebhook} gives: an Express handler with a few methods. */
export interface WpFusionWebhook {
  /** Takes webhooks and answers them; hands every other request on, untouched. Never calls `next` with an error. */
  (request: WebhookRequest, response: ServerResponse, next: (error?: unknown) => void): void;
  /**
   * Refuses new webhooks with 503, takes nothing more from the queue, stops walks, and resolves when what is under way has
   * ended, at the latest about `timeoutMs` (default 10,000) later. What has not ended then stays in the queue, and what is
   * owed stays written down with the users. Called again it is the same closing.
   */
  close(options?: { timeoutMs?: number | undefined }): Promise<void>;
  /**
   * Walks the contacts that were modified since then, and brings their users up to date: also those whose webhooks never
   * arrived. Reads fifty contacts a call; only those that differ from their users get a webhook's work, in their turn. It creates
   * no users. Remembers where it got to: in the queue's store, or without one in this process.
   *
   * Not promised: that a change made while the CRM had not finished it itself is seen; the next walk begins ten minutes before
   * the start of this one.
   *
   * @throws ConfigurationError for wrong options, `SHUTTING_DOWN` after `close()`. The walk ends with the error of the CRM that
   *   ended it (`CRM_…`) or with `QUEUE_UNAVAILABLE`; what failed for single contacts is in its summary.
   *
   * @example
   * const { updated, failures } = await webhook.reconcile({ since: new Date(Date.now() - 86_400_000) });
   * webhook.reconcile({ since: new Date(), everyMs: 3_600_000 }); // every hour, from where it got to
   */
  reconcile(options?: ReconcileOptions): Walk;
  /**
   * Does an `add` for every contact with a tag: creates its user, or links and updates the one that is there. Goes on where an
   * import of this tag was stopped.
   *
   * @throws as {@link WpFusionWebhook.reconcile}; `INVALID_REQUEST` ends the walk where the CRM does not have the tag.
   *
   * @example
   * const summary = await webhook.importContacts({ tag: 'Customer', role: 'customer' });
   */
  importContacts(options: ImportOptions): Walk;
  /** The webhooks that were given up, with their reasons. Without a queue every method throws a ConfigurationError. */
  readonly deadLetters: DeadLetters;
  /** What became of webhooks. With `activityLog: false` every method throws a ConfigurationError. */
  readonly activity: Activity;
  /** How much waits in the queue. Throws a ConfigurationError where there is none. */
  queueCounts(): Promise<QueueCounts>;
  /** Listens to an event. What a listener throws is logged and harms nothing. */
  on<Name extends keyof WebhookEvents>(name: Name, listener: (event: WebhookEvents[Name]) => unknown): this;
  /** Stops listening. */
  off<Name extends keyof WebhookEvents>(name: Name, listener: (event: WebhookEvents[Name]) => unknown): this;
}

/**
 * What became of the webhooks of one middleware, out of its {@link ActivityLog}.
 *
 * @example
 * const records = await webhook.activity.list({ contactId: '42' });
 * console.log(records.map(({ receivedAt, action, outcome, code }) => [new Date(receivedAt), action, outcome ?? code]));
 */
export interface Activity {
  /** Records, the newest first; 50 unless `limit` says otherwise. */
  list(filter?: ActivityFilter): Promise<readonly ActivityRecord[]>;
  /** How many webhooks there were, step by step. */
  counts(range: ActivityRange): Promise<readonly ActivityCount[]>;
  /** The record with a correlation id, or `null`. */
  get(id: string): Promise<ActivityRecord | null>;
  /**
   * Does what a webhook asked for once more. One that was given up goes back into the queue; any other is made anew, as though
   * the CRM had sent it again (without its parameter `email`, which is not kept), and stored in the queue where there is one. Resolves
   * with the id of the record that tells what comes of it: its own, or that of the new one. A failure is told there, too.
   *
   * @throws INVALID_REQUEST for a webhook that is not known, was rejected, was a dry run, or is none of `add`, `update` and
   *   `update_tags`; `QUEUE_UNAVAILABLE`, `SHUTTING_DOWN`.
   *
   * @example
   * const id = await webhook.activity.replay(record.id);
   * console.log((await webhook.activity.get(id))?.outcome);
   */
  replay(id: string): Promise<string>;
  /** Deletes the records of a contact; how many those were. */
  forget(contactId: string): Promise<number>;
}

/**
 * The webhooks of a queue that were given up: nothing else helps them than somebody who looks at the reason.
 *
 * @example
 * for (const { id, contactId, job } of await webhook.deadLetters.list({ limit: 20 })) {
 *   console.log(id, contactId, job.action, job.failure?.code);
 * }
 * await webhook.deadLetters.replay(['17', '18']);
 */
export interface DeadLetters {
  /** The oldest first, 100 unless `limit` says otherwise, behind the one with the id `after`. */
  list(page?: {
    readonly after?: string | undefined;
    readonly limit?: number | undefined;
  }): Promise<DeadJob[]>;
  /** Puts them back into the queue, those with these ids or all. Gives their number. */
  replay(ids?: readonly string[]): Promise<number>;
  /** Deletes them, those with these ids or all. Gives their number. */
  purge(ids?: readonly string[]): Promise<number>;
}

/** How long the rest of a refused body is let in and thrown away before the connection is cut. */
const DRAIN_MS = 2000;
/** How long a queue may take to store a webhook, at most, before its sender is told to come again. */
const PUT_PATIENCE_MS = 10_000;
/** How long a walk waits for the result of one contact that is stored in the queue. */
const ERRAND_PATIENCE_MS = 30_000;
/** Under which key of the queue all processes share what is left of the calls to the CRM. */
const BUDGET_KEY = 'rate budget';
/** … and which of them return passwords. */
const PRESENCE_KEY = 'presence';
/** How long closing waits for stopped work to give its contacts back to the queue. */
const GIVE_BACK_MS = 1000;

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
  const { crm, logger, name, queue, timeoutMs } = configuration;
  const keys = configuration.accessKeys.map(({ key }) => key);
  const closing = new AbortController();
  const closed = new AbortController();
  // One listener for each webhook under way is no leak.
  setMaxListeners(0, closing.signal, closed.signal);
  const turns = new Turns();
  const underWay = new Set<Promise<unknown>>();
  let end: Promise<void> | undefined;

  const secrets = new Secrets(keys);
  const instruments = new Instruments(name);
  const reporter = new Reporter(configuration, secrets, instruments);
  const { activityLog } = configuration;
  const recorder = activityLog && new Recorder({ log: activityLog, name, logger, secrets });
  const users = guardRepository(configuration.users, (hash) => secrets.addHash(hash));
  const contacts = new ContactReader({
    fetch: (ids, read) => crm.getContacts(ids, read),
    maxBatchSize: crm.maxBatchSize ?? 1,
    span: 'wp_fusion_webhook.crm getContacts',
    trouble: () => crm.trouble?.(),
  });
  const budget = placeIn(queue, name, BUDGET_KEY);
  if (budget !== undefined) crm.shareBudget?.(budget);
  const presence = new Presence(placeIn(queue, name, PRESENCE_KEY), queue?.leaseMs ?? 0);
  const site: Site = {
    configuration,
    users,
    contacts,
    returns: new PasswordReturns(configuration, users, contacts, closed.signal, secrets, presence),
    closed: closed.signal,
    secrets,
    emit: reporter.emit,
    instruments,
  };
  const inbox =
    queue === undefined
      ? undefined
      : new Inbox({
          queue,
          name,
          patienceMs: Math.min(PUT_PATIENCE_MS, timeoutMs),
          clean: (text) => redact(text, secrets),
          onStored: () => worker?.wake(1),
          step: async (step) => configuration.failPoint?.(step),
        });
  const worker =
    queue === undefined || !configuration.worker
      ? undefined
      : new Worker({
          queue,
          site,
          turns,
          reporter,
          recorder,
          onNews: (id, news) => inbox?.tell(id, news),
        });
  const walker = new Walker({
    site,
    positions: positionsOf(queue, name),
    run: (errand, contactId, signal) =>
      onErrand(name, { action: errand.action, contactId }, () => runErrand(errand, contactId, signal)),
    closing: closing.signal,
  });
  const door: Door = {
    authenticator: new Authenticator(configuration.accessKeys),
    throttle: new Throttle(),
    parser: new WebhookParser(
      configuration.contactIdPattern,
      new Set(configuration.actions.keys()),
      configuration.contactIdParameters,
    ),
    bodyLimit: configuration.bodyLimit,
    isClosing: () => closing.signal.aborted,
  };

  instruments.observe({
    counts: queue === undefined ? undefined : () => queue.counts(name),
    budget: crm.budget === undefined ? undefined : () => crm.budget?.(),
  });
  void track(reporter.findings(configuration.users, 'REPOSITORY_FAILED', 'user storage'));
  void track(reporter.findings(queue, 'QUEUE_UNAVAILABLE', 'queue'));

  /** Closing waits for it. */
  function track<Value>(work: Promise<Value>): Promise<Value> {
    const tracked = work.then(ignore, ignore).finally(() => underWay.delete(tracked));
    underWay.add(tracked);
    return work;
  }

  const middleware = (
    request: WebhookRequest,
    response: ServerResponse,
    next: (error?: unknown) => void,
  ): void => {
    if (isWebhook(request)) void answering(name, instruments, (tell) => handle(request, response, tell));
    else next();
  };

  /** Answers one webhook. Never rejects. */
  async function handle(request: WebhookRequest, response: ServerResponse, tell: Tell): Promise<void> {
    const answerBy = Date.now() + timeoutMs;
    const bodyDeadline = new AbortController();
    const timer = setTimeout(() => bodyDeadline.abort(), timeoutMs);
    const page = prefersPage(request);
    const trail = new Trail(recorder);
    let received: Received | undefined;
    try {
      received = await receive(request, door, bodyDeadline.signal);
      const { webhook, permission } = received;
      // A browser's GET only looks: link previews and prefetchers must not create accounts.
      const looksOnly = page && request.method === 'GET';
      const dryRun = webhook.dryRun || looksOnly;
      const { action, contactId } = webhook;
      trail.letIn(cleaned(webhook), permission.name, dryRun);
      tell({ action, contactId, correlationId: trail.id, dryRun });
      instruments.received(action, permission.name, dryRun);
      reporter.emit('webhook.received', { action, contactId, key: permission.name, dryRun });
      const isStored =
        inbox !== undefined && !dryRun && action !== 'test' && !configuration.actions.has(action);
      const result = isStored
        ? await storeAndAnswer(inbox, webhook, webhook.async ?? !page, answerBy, trail)
        : await answerInTime({ ...webhook, dryRun }, looksOnly, answerBy, trail);
      tell({ outcome: result.outcome });
      // What comes out of a queue is told there.
      if (!isStored) done(result, { ...webhook, dryRun }, trail);
      const button = looksOnly && action !== 'test' && !webhook.dryRun;
      const { inspect } = permission;
      send(request, response, trail, answerResult(result, { page, dryRun, inspect, button }));
    } catch (error) {
      send(request, response, trail, answerFailure(error, received?.webhook, page, trail, tell));
    } finally {
      clearTimeout(timer);
    }
  }

  /** The result of the work, or `TIMED_OUT` while that goes on. */
  async function answerInTime(
    webhook: Webhook,
    looksOnly: boolean,
    answerBy: number,
    trail: Trail,
  ): Promise<Result> {
    const { action, contactId } = webhook;
    if (looksOnly && configuration.actions.has(action)) {
      return { action, contactId, outcome: 'not run', warnings: [], changes: [] };
    }
    const run = (): Promise<Result> => processWebhook(webhook, site, insideRequest(answerBy, timeoutMs));
    const work = track(webhook.dryRun ? run() : turns.take(contactId, run));

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
      (result) => isAnswered && done(result, webhook, trail),
      (error: unknown) => isAnswered && fail(error, webhook, trail),
    );
    try {
      return await Promise.race([work, timedOut]);
    } finally {
      isAnswered = true;
      clearTimeout(timer);
    }
  }

  /** Stores a webhook; its result, where the sender waits for it and it comes in time. */
  async function storeAndAnswer(
    into: Inbox,
    webhook: Webhook,
    isAsync: boolean,
    answerBy: number,
    trail: Trail,
  ): Promise<Result> {
    const { action } = webhook;
    const contactId = webhook.contactId ?? '';
    const id = await track(into.put({ ...webhook, correlationId: trail.id }, contactId, !isAsync));
    trail.stored(id);
    const queued = { action, contactId, outcome: 'queued', warnings: [], changes: [] };
    logger.debug({ name, action, contactId, id, correlationId: trail.id }, `${action}: queued`);
    if (isAsync) return queued;
    // A tenth of the time is for the way back.
    const settled = await into.news(id, { patienceMs: Math.max(0, answerBy - timeoutMs / 10 - Date.now()) });
    if (settled === undefined) return queued;
    if (settled.kind === 'done') return { ...queued, ...(settled.result as Partial<Result>) };
    const { code, detail } = settled.job.failure ?? { code: 'INTERNAL_ERROR', detail: 'It failed.' };
    throw new ToldFailure(new WpFusionError(codeOf({ code }) ?? 'INTERNAL_ERROR', detail));
  }

  /** Does what a walk wants for one contact, where its webhooks are done. */
  async function runErrand(
    { action, role, sendNotification }: Errand,
    contactId: string,
    signal: AbortSignal,
  ): Promise<ErrandEnd> {
    const webhook: Webhook = {
      action,
      contactId,
      role,
      sendNotification,
      emails: [],
      dryRun: false,
      parameters: {},
    };
    if (inbox !== undefined) {
      const id = await inbox.put(webhook, contactId, true);
      const news = await inbox.news(id, { patienceMs: ERRAND_PATIENCE_MS, signal, atFirstTry: true });
      return news === undefined ? { kind: 'waiting' } : errandEnd(news);
    }
    // An add announces its second look itself; waiting for that with its first one it would wait for itself.
    const ticket = action === 'add' ? undefined : site.contacts.expect();
    try {
      const run = (): Promise<Result> =>
        processWebhook(webhook, site, { ...insideRequest(Date.now() + timeoutMs, timeoutMs), ticket });
      const result = await track(turns.take(contactId, run));
      reporter.done(result, webhook);
      return { kind: 'done', outcome: result.outcome };
    } catch (thrown) {
      const { code, detail } = fail(thrown, webhook);
      // Not the contact's failure: the walk ends, and the next one begins with this contact.
      if (treatmentOf(code) === 'pause' || code === 'SHUTTING_DOWN') throw new WpFusionError(code, detail);
      return { kind: 'failed', failure: { code, detail, willRetry: false } };
    } finally {
      ticket?.release();
    }
  }

  /** Tells of a webhook that was processed inside its request. */
  function done(result: Result, webhook: Webhook, trail: Trail): void {
    reporter.done(result, { ...webhook, correlationId: trail.id });
    trail.done(result);
  }

  /** Tells of a failure. */
  function fail(
    thrown: unknown,
    webhook: Webhook | undefined,
    trail?: Trail,
  ): DescribedFailure & { readonly code: ErrorCode } {
    const described = reporter.describe(thrown);
    const { code } = described.error;
    const { detail } = described;
    const { action = null, contactId = null } = webhook ?? {};
    reporter.failed(described, { action, contactId, correlationId: trail?.id });
    reporter.emitFailure(webhook, { code, detail }, false);
    const contactReads = thrown instanceof RunFailure ? thrown.contactReads : undefined;
    trail?.failed({ code, detail }, contactReads, code === 'TIMED_OUT');
    return { ...described, code };
  }

  /** The answer to a webhook that failed. What failed in the queue was told there. */
  function answerFailure(
    thrown: unknown,
    webhook: Webhook | undefined,
    page: boolean,
    trail: Trail,
    tell: Tell,
  ): Answer {
    const { error, detail, known } =
      thrown instanceof ToldFailure ? reporter.describe(thrown.cause) : fail(thrown, webhook, trail);
    tell({ correlationId: trail.id, code: error.code });
    const { action = null, contactId = null } = webhook ?? {};
    const errors = error.errors?.map(({ parameter, message }) => ({
      parameter,
      message: redact(message, known),
    }));
    return answerProblem({ error, detail, errors, action, contactId }, page);
  }

  function close({ timeoutMs: patience = 10_000 }: { timeoutMs?: number | undefined } = {}): Promise<void> {
    end ??= (async () => {
      closing.abort();
      const working = worker?.stop();
      const allEnded = async (): Promise<void> => {
        await working;
        inbox?.close();
        await walker.ended();
        while (underWay.size > 0) await Promise.all(underWay);
        await site.returns.ended();
        await recorder?.ended();
      };
      await within(patience, allEnded());
      instruments.close();
      closed.abort();
      inbox?.close();
      // What was stopped just now gives its contacts back, so that another worker need not wait for the lease to run out.
      if (working !== undefined) await within(GIVE_BACK_MS, working);
    })();
    return end;
  }

  function requireQueue(): NonNullable<typeof queue> {
    if (queue === undefined)
      throw new ConfigurationError('queue', 'is not given; there is nothing to look into.');
    return queue;
  }
  const deadLetters: DeadLetters = {
    list: async ({ after, limit = 100 } = {}) => requireQueue().deadLetters(name, { after, limit }),
    replay: async (ids) => {
      const count = await requireQueue().replay(name, ids);
      worker?.wake(count);
      return count;
    },
    purge: async (ids) => requireQueue().purge(name, ids),
  };

  /** A webhook as the activity log may be told of it. */
  function cleaned(webhook: Webhook): Webhook {
    const { role } = webhook;
    return role === undefined ? webhook : { ...webhook, role: redact(role, secrets) };
  }

  /** Does what a webhook asked for once more. */
  async function replay(id: string): Promise<string> {
    const record = await (await readLog()).get(name, id);
    const { action, contactId, jobId, receivedAt, role, sendNotification } = replayable(record);
    if (closing.signal.aborted) throw new WpFusionError('SHUTTING_DOWN', 'The site is shutting down.');
    if (record?.state === 'dead' && jobId !== null && (await deadLetters.replay([jobId])) > 0) {
      recorder?.tell({ id, receivedAt, state: 'waiting', replay: Date.now() });
      return id;
    }
    const trail = new Trail(recorder);
    const webhook: Webhook = {
      ...{ action, contactId, role: role ?? undefined, sendNotification },
      ...{ emails: [], dryRun: false, parameters: {}, correlationId: trail.id },
    };
    trail.letIn(webhook, null, false, id);
    try {
      if (inbox === undefined) {
        done(await answerInTime(webhook, false, Date.now() + timeoutMs, trail), webhook, trail);
      } else trail.stored(await track(inbox.put(webhook, contactId, false)));
    } catch (error) {
      const { code, detail } = fail(error, webhook, trail);
      if (inbox !== undefined) throw new WpFusionError(code, detail);
    }
    return trail.id;
  }

  const inside: Inside = {
    configuration,
    secrets,
    preview: async ({ action, contactId, role, sendNotification = false }) => {
      const webhook: Webhook = {
        ...{ action, contactId, role, sendNotification },
        ...{ emails: [], dryRun: true, parameters: {} },
      };
      try {
        const conditions = insideRequest(Date.now() + timeoutMs, timeoutMs);
        return { kind: 'result', result: await processWebhook(webhook, site, conditions) };
      } catch (error) {
        const described = reporter.describe(error);
        return { kind: 'failure', code: described.error.code, detail: described.detail };
      }
    },
  };

  /** The log, with everything in it that this process has told it. */
  async function readLog(): Promise<NonNullable<typeof activityLog>> {
    if (activityLog === undefined) throw new ConfigurationError('activityLog', 'is false; nothing is kept.');
    await recorder?.ended();
    return activityLog;
  }
  const activity: Activity = {
    list: async (filter = {}) => (await readLog()).list(name, filter),
    counts: async (range) => (await readLog()).counts(name, range),
    get: async (id) => (await readLog()).get(name, id),
    replay,
    forget: async (contactId) => (await readLog()).forget(name, contactId),
  };

  const webhook: WpFusionWebhook = Object.assign(middleware, {
    [INSIDE]: inside,
    close,
    activity,
    // Too much for one trace: a walk is part of none, and what it does for a contact is one of its own.
    reconcile: (options: ReconcileOptions = {}) => apart(() => walker.reconcile(options)),
    importContacts: (options: ImportOptions) => apart(() => walker.importContacts(options)),
    deadLetters,
    queueCounts: async () => requireQueue().counts(name),
    on: (name: string, listener: (event: never) => unknown) => {
      reporter.on(name, listener);
      return webhook;
    },
    off: (name: string, listener: (event: never) => unknown) => {
      reporter.off(name, listener);
      return webhook;
    },
  });
  worker?.start();
  return webhook;
}

/** A failure that was logged and emitted where it happened. */
class ToldFailure extends Error {
  constructor(override readonly cause: WpFusionError) {
    super(cause.message);
  }
}

/** A record whose webhook can be done once more. */
function replayable(
  record: ActivityRecord | null,
): ActivityRecord & { readonly action: string; readonly contactId: string } {
  const { action, contactId, dryRun, state } = record ?? {};
  let message = 'There is no webhook with this id; it may be too old.';
  if (state === 'rejected') message = 'This webhook was not let in: there is nothing to do once more.';
  else if (dryRun === true) message = 'This was a dry run: there is nothing to do once more.';
  else if (record !== null) {
    const isOurs = action !== 'test' && (BUILT_IN_ACTIONS as readonly unknown[]).includes(action);
    if (isOurs && typeof contactId === 'string' && typeof action === 'string')
      return { ...record, action, contactId };
    message = 'Only add, update and update_tags can be done once more.';
  }
  throw new WpFusionError('INVALID_REQUEST', message, { errors: [{ parameter: 'id', message }] });
}

/** What news of a job mean for a walk. */
function errandEnd(news: News): ErrandEnd {
  if (news.kind === 'done') return { kind: 'done', outcome: String(news.result.outcome) };
  const { code = 'INTERNAL_ERROR', detail = 'It failed.' } = news.job.failure ?? {};
  const willRetry = news.kind === 'later';
  return { kind: 'failed', failure: { code: codeOf({ code }) ?? 'INTERNAL_ERROR', detail, willRetry } };
}

/** Waits, but not for ever. */
async function within(patienceMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)));
  await Promise.race([work, tooLong]);
  clearTimeout(timer);
}

const ignore = (): void => undefined;

/** Sends the one answer of a request. Where somebody has answered already, or nobody listens any more, there is none. */
function send(request: WebhookRequest, response: ServerResponse, trail: Trail, answer: Answer): void {
  if (response.headersSent || response.writableEnded || response.destroyed) return;
  response.statusCode = answer.status;
  response.setHeader('X-Correlation-Id', trail.id);
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
  response.setHeader('Content-Length', Buffer.byteLength(answer.body));
  if (request.complete) response.end(answer.body);
  else sendBeforeTheEnd(request, response, answer.body);
}

/**
 * Answers a request whose body is still on its way and that nobody wants. Node closes the connection as soon as such an answer has
 * ended, and a sender that is still writing would see a reset instead of it (RFC 9112, 9.6): all of it is written, but it ends when
 * the body has, or after a while.
 */
function sendBeforeTheEnd(request: WebhookRequest, response: ServerResponse, body: string): void {
  response.setHeader('Connection', 'close');
  response.write(body);
  // Where nothing of a body is written, as for HEAD.
  response.flushHeaders();
  const end = (): void => {
    clearTimeout(cut);
    response.end();
  };
  const cut = setTimeout(end, DRAIN_MS).unref();
  request.once('end', end).once('close', end).resume();
}
