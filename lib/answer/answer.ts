// A result or a failure becomes an HTTP answer: JSON, a problem document, or a page.
import { errorTitle, type ParameterError, type WpFusionError } from '../errors';
import type { Change, Result } from '../result';
import { problemPage, resultPage } from './page';

/** An HTTP answer, before anybody has sent it. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** How an answer is to be told. */
export interface AnswerOptions {
  /** A page for a person instead of JSON. */
  readonly page: boolean;
  /** Nothing was changed. */
  readonly dryRun: boolean;
  /** Whether values of contacts and users are told. */
  readonly inspect: boolean;
  /** On a page: offers a button that sends the webhook for real. */
  readonly button: boolean;
}

/** No cache may keep what a webhook was answered, on any path. */
const COMMON = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' };

/** What a 503 says where nobody knows better: a CRM that is down does not tell for how long. */
const RETRY_AFTER_SECONDS = 30;

/** The answer to a webhook that did not fail. */
export function answerResult(result: Result, options: AnswerOptions): Answer {
  const status = result.outcome === 'queued' ? 202 : 200;
  if (options.page) {
    const { html, headers } = resultPage(
      { ...result, changes: tell(result.changes, options.inspect) },
      options,
    );
    return { status, headers: { ...COMMON, ...headers }, body: html };
  }
  const { action, contactId, outcome, reason, userId, warnings } = result;
  const body =
    action === 'test'
      ? { ok: true, action }
      : {
          ok: true,
          action,
          ...(contactId === null ? {} : { contactId }),
          outcome,
          ...(reason === undefined ? {} : { reason }),
          ...(userId === undefined ? {} : { userId }),
          warnings,
          ...(options.dryRun ? { dryRun: true, changes: tell(result.changes, options.inspect) } : {}),
        };
  return {
    status,
    headers: { ...COMMON, 'Content-Type': 'application/json; charset=utf-8' },
    body: JSON.stringify(body),
  };
}

/** What was refused or failed. */
export interface Problem {
  readonly error: WpFusionError;
  /** The error's message, cleaned of secrets. */
  readonly detail: string;
  /** The error's `errors`, cleaned of secrets. */
  readonly errors?: readonly ParameterError[] | undefined;
  readonly action: string | null;
  readonly contactId: string | null;
}

/** The answer to a request that was refused or failed: a problem document (RFC 9457). */
export function answerProblem({ error, detail, errors, action, contactId }: Problem, page: boolean): Answer {
  const { code, status, retryAfter } = error;
  const headers: Record<string, string> = { ...COMMON };
  const seconds = Number.isFinite(retryAfter) ? retryAfter : status === 503 ? RETRY_AFTER_SECONDS : undefined;
  if (seconds !== undefined) headers['Retry-After'] = String(Math.max(1, Math.ceil(seconds)));
  if (status === 405) headers.Allow = 'GET, POST';
  const title = errorTitle(code);
  if (page) {
    const { html, headers: pageHeaders } = problemPage({ code, status, title, detail });
    return { status, headers: { ...headers, ...pageHeaders }, body: html };
  }
  const document = {
    ok: false,
    type: `urn:wp-fusion-webhook:error:${code}`,
    title,
    status,
    detail,
    code,
    ...(action === null ? {} : { action }),
    ...(contactId === null ? {} : { contactId }),
    ...(errors === undefined ? {} : { errors }),
  };
  headers['Content-Type'] = 'application/problem+json; charset=utf-8';
  return { status, headers, body: JSON.stringify(document) };
}

/** Values only for whom they are; a field's name is told to every key. */
function tell(changes: readonly Change[], inspect: boolean): readonly Change[] {
  return inspect ? changes : changes.map(({ field }) => ({ field }));
}
