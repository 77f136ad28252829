// wpFusionAdmin(): lets in who may, finds the page for an address, and answers.
import type { ServerResponse } from 'node:http';
import { ConfigurationError, WpFusionError } from '../errors';
import { html } from '../html';
import { INSIDE, type Inside } from '../inside';
import type { WpFusionWebhook } from '../middleware';
import { describeError } from '../redact';
import { refuseUnknownOptions } from '../unknown-options';
import { readParsedBody, readStream, type WebhookRequest } from '../webhook/read';
import { activityPage, recordPage, replayRecord } from './activity';
import { deadLettersPage, purgeDeadLetters, replayDeadLetters } from './dead-letters';
import { HEADERS, layout } from './layout';
import { overviewPage } from './overview';
import { RecentCounts } from './recent-counts';
import { tryWebhook, urlsPage } from './urls';
import type { Answer, Page, Visit } from './visit';

/** The options of {@link wpFusionAdmin}. */
export interface WpFusionAdminOptions<Request extends WebhookRequest = WebhookRequest> {
  /**
   * Who may see the pages and use them: asked before anything is answered, for every request, with the host's own request, so that
   * its session or its user can be looked at. Anything but `true` is answered with 403; what it throws, with 500.
   */
  readonly authorize: (request: Request) => boolean | Promise<boolean>;
  /** Whether dry runs, and records of a log that keeps them, show the values of fields. Default: `false`, their names alone. */
  readonly inspect?: boolean | undefined;
  /** The address of the site with the path on which the middleware is mounted. Default: that of the request, and `/`. */
  readonly url?: string | undefined;
}

/** The largest form that is read. */
const FORM_LIMIT = 100_000;
const FORM_PATIENCE_MS = 10_000;

/**
 * Makes the pages on which people see what became of each webhook, and do something about it: an overview, every webhook with its
 * tries, those that were given up, and the URLs for the CRM. An Express handler to mount on a path behind the host's own login.
 * [docs/admin.md](../../docs/admin.md) shows them.
 *
 * What is done there is written to `logger.info`. No page holds an access key, a password or a hash.
 *
 * @throws ConfigurationError without `authorize`, or for a wrong option, by name.
 *
 * @example
 * app.use('/admin/webhooks', wpFusionAdmin(webhook, { authorize: (request) => isStaff(request) }));
 */
export function wpFusionAdmin<Request extends WebhookRequest = WebhookRequest>(
  webhook: WpFusionWebhook,
  options: WpFusionAdminOptions<Request>,
): (request: Request, response: ServerResponse) => void {
  const inside = insideOf(webhook);
  const { authorize, inspect, url } = resolve(options);
  const counts = new RecentCounts(webhook);

  async function answer(request: Request): Promise<Answer> {
    // `true` and nothing else: whatever a function gives by mistake lets nobody in.
    const isAllowed: unknown = await authorize(request);
    if (isAllowed !== true) throw new Refusal(403, 'You are not allowed to see this page.');
    const slashless = withSlash(request);
    if (slashless !== undefined) return slashless;
    const { method = 'GET' } = request;
    const isForm = method === 'POST';
    if (!isForm && method !== 'GET' && method !== 'HEAD')
      throw new Refusal(405, 'Only GET and POST are known here.');
    if (isForm && isFromElsewhere(request)) throw new Refusal(403, 'This form was sent by another website.');
    const { path, query } = addressOf(request);
    const visit: Visit = {
      ...{ webhook, inside, counts, inspect, query },
      siteUrl: url ?? siteUrlOf(request),
      form: isForm ? await formOf(request) : new Map(),
      root: '../'.repeat(path.split('/').length - 1),
    };
    const page = await find(isForm ? FORMS : PAGES, path, visit);
    if (page === undefined) throw new Refusal(404, 'There is no such page.');
    return page;
  }

  async function handle(request: Request, response: ServerResponse): Promise<void> {
    let found: Answer;
    try {
      found = await answer(request);
    } catch (thrown) {
      found = trouble(thrown, inside);
    }
    if (response.headersSent || response.destroyed) return;
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    if ('to' in found) {
      response.statusCode = 303;
      response.setHeader('Location', found.to);
      response.end();
      return;
    }
    const { path } = addressOf(request);
    const root = '../'.repeat(path.split('/').length - 1);
    response.statusCode = found.status ?? 200;
    if (found.status === 405) response.setHeader('Allow', 'GET, HEAD, POST');
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(layout({ ...found, name: inside.configuration.name, root: root === '' ? './' : root }));
  }

  return (request, response) => void handle(request, response);
}

type Handler = (visit: Visit, id: string) => Promise<Answer> | Answer;

const PAGES: readonly (readonly [pattern: RegExp, handler: Handler])[] = [
  [/^$/, overviewPage],
  [/^activity$/, activityPage],
  [/^activity\/([^/]+)$/, recordPage],
  [/^dead-letters$/, deadLettersPage],
  [/^urls$/, urlsPage],
];

const FORMS: readonly (readonly [pattern: RegExp, handler: Handler])[] = [
  [/^activity\/([^/]+)\/replay$/, replayRecord],
  [/^dead-letters\/replay$/, replayDeadLetters],
  [/^dead-letters\/purge$/, purgeDeadLetters],
  [/^urls$/, tryWebhook],
];

async function find(table: typeof PAGES, path: string, visit: Visit): Promise<Answer | undefined> {
  for (const [pattern, handler] of table) {
    const match = pattern.exec(path);
    if (match !== null) return handler(visit, match[1] ?? '');
  }
  return undefined;
}

/** What is answered with a page that says no. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

function trouble(thrown: unknown, { configuration, secrets }: Inside): Page {
  const isTold = thrown instanceof Refusal || thrown instanceof WpFusionError;
  if (!isTold) {
    const { logger, name } = configuration;
    logger.error({ name, cause: describeError(thrown, secrets) }, 'A page of the admin could not be shown.');
  }
  const status = isTold ? thrown.status : 500;
  const message = isTold ? thrown.message : 'This page could not be shown; the log of the site says why.';
  const title = status === 404 ? 'Not found' : status < 500 ? 'No' : 'Something failed';
  return { status, section: 'none', title, content: html`<h1>${title}</h1><p class="bad">${message}</p>` };
}

function insideOf(webhook: WpFusionWebhook): Inside {
  const inside = (webhook as Partial<Record<typeof INSIDE, Inside>> | undefined)?.[INSIDE];
  if (inside === undefined)
    throw new ConfigurationError(
      'webhook',
      'must be what wpFusionWebhook() gave: wpFusionAdmin(webhook, { authorize }).',
    );
  return inside;
}

function resolve<Request extends WebhookRequest>(
  options: Partial<WpFusionAdminOptions<Request>> | undefined,
): WpFusionAdminOptions<Request> & { readonly inspect: boolean } {
  const { authorize, inspect = false, url } = options ?? {};
  refuseUnknownOptions(options ?? {}, ['authorize', 'inspect', 'url']);
  if (typeof authorize !== 'function')
    throw new ConfigurationError(
      'authorize',
      'is required: a function of the request that says who may see what became of people’s accounts, such as (request) => request.user?.isAdmin === true.',
    );
  if (typeof inspect !== 'boolean') throw new ConfigurationError('inspect', 'must be true or false.');
  if (url !== undefined && !URL.canParse(url))
    throw new ConfigurationError('url', 'must be an address such as https://example.com/.');
  return { authorize, inspect, url };
}

/** Links are relative, so that they are right behind any proxy: the first page has to end with a slash. */
function withSlash(request: WebhookRequest): { to: string } | undefined {
  const { originalUrl = '' } = request as { originalUrl?: string };
  const [path = '', query] = originalUrl.split('?', 2);
  if (addressOf(request).path !== '' || path === '' || path.endsWith('/')) return undefined;
  const last = path.slice(path.lastIndexOf('/') + 1);
  return { to: `./${last}/${query === undefined ? '' : `?${query}`}` };
}

function addressOf(request: WebhookRequest): { path: string; query: ReadonlyMap<string, string> } {
  const [path = '', query = ''] = (request.url ?? '/').split('?', 2);
  return { path: path.replace(/^\/+/, ''), query: new Map(new URLSearchParams(query)) };
}

/**
 * Whether a browser sent a form that another website has made. Browsers say where a request comes from, in `Sec-Fetch-Site` (Fetch
 * Metadata Request Headers) or, over plain HTTP, in `Origin` (RFC 6454); what says neither is no browser.
 */
function isFromElsewhere({ headers }: WebhookRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  const { origin, host } = headers;
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

async function formOf(request: WebhookRequest): Promise<ReadonlyMap<string, string>> {
  const patience = AbortSignal.timeout(FORM_PATIENCE_MS);
  const { body } = readParsedBody(request) ?? { body: await readStream(request, FORM_LIMIT, patience) };
  if (body !== undefined && 'trouble' in body) throw body.trouble;
  const values = [...(body?.parameters ?? [])].map(([name, [value]]) => [name, value ?? ''] as const);
  return new Map(values);
}

function siteUrlOf(request: WebhookRequest): string {
  const { protocol = 'http' } = request as { protocol?: string };
  const url = `${protocol}://${request.headers.host ?? 'localhost'}/`;
  return URL.canParse(url) ? url : 'http://localhost/';
}
