// The pages for a person who tries a webhook's URL in a browser: plain HTML, no script, readable on a phone and in the dark.
import { createHash } from 'node:crypto';
import { html, Html, type Content } from '../html';
import type { Change, Result, Warning } from '../result';

const STYLE = `
:root { color-scheme: light dark; --text: #1c1f23; --muted: #565d66; --back: #ffffff; --panel: #f2f4f6; --line: #c9ced4;
  --accent: #0b5cad; --on-accent: #ffffff; --good: #17683a; --warn: #7a4b00; --bad: #a8201a; }
@media (prefers-color-scheme: dark) { :root { --text: #e9ebee; --muted: #a9b1ba; --back: #16191d; --panel: #20252b; --line: #444c55;
  --accent: #7cb8f5; --on-accent: #10202f; --good: #79d29b; --warn: #f0bd6a; --bad: #ff9a92; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 44rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 1.75rem 0 .5rem; }
p { margin: .5rem 0; } .muted { color: var(--muted); } .good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
ul { padding-left: 1.25rem; } code { font: .9em ui-monospace, monospace; }
dl { margin: 0; border-top: 1px solid var(--line); }
dl > div { padding: .6rem 0; border-bottom: 1px solid var(--line); }
dt { font-weight: 600; } dd { margin: .15rem 0 0; }
button { font: inherit; font-weight: 600; padding: .7rem 1.1rem; border: 0; border-radius: .4rem; background: var(--accent);
  color: var(--on-accent); cursor: pointer; max-width: 100%; }
button:focus-visible { outline: 3px solid var(--text); outline-offset: 2px; }
form { background: var(--panel); border-radius: .5rem; padding: 1rem; margin-top: 1.75rem; }
form p { margin-top: 0; }
`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** No script, no framing, no referrer (the URL holds the key), nothing from elsewhere, no search engine. */
const HEADERS = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  'Referrer-Policy': 'no-referrer',
  'X-Robots-Tag': 'noindex, nofollow',
  'X-Frame-Options': 'DENY',
};

/** A page and the headers it needs. */
export interface Page {
  readonly html: string;
  readonly headers: Readonly<Record<string, string>>;
}

function page(title: string, content: Content): Page {
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body><main>
${content}
</main></body>
</html>
`;
  return { html: document.text, headers: HEADERS };
}

/** The page of a webhook that did not fail. */
export function resultPage(
  result: Result,
  options: { dryRun: boolean; inspect: boolean; button: boolean },
): Page {
  const { action, contactId, outcome, warnings, changes } = result;
  const contact = contactId === null ? '' : ` for contact ${contactId}`;
  const title = `${action}${contact}: ${told(outcome, options.dryRun)}`;
  const content = html`<h1>${action}${contact}</h1>
<p class="${outcome === 'skipped' ? 'warn' : 'good'}"><strong>${sentence(result, options.dryRun)}</strong></p>
${options.dryRun ? ONLY_LOOKED : undefined}
${warnings.length === 0 ? undefined : warningList(warnings)}
${changes.length === 0 ? undefined : changeList(changes, options)}
${options.button ? runButton(`${action}${contact}`) : undefined}`;
  return page(title, content);
}

/** The page of a request that was refused or failed. */
export function problemPage(problem: { code: string; status: number; title: string; detail: string }): Page {
  return page(
    problem.title,
    html`<h1>${problem.title}</h1>
<p class="bad"><strong>${problem.detail}</strong></p>
<p class="muted"><code>${problem.code}</code>, status ${problem.status}. docs/errors.md says what to do about it.</p>`,
  );
}

const ONLY_LOOKED = html`<p class="muted">This page only looked: nothing has been changed, neither here nor in the CRM.</p>`;

const runButton = (what: string): Html =>
  html`<form method="post"><p>Send this webhook for real:</p><button type="submit">Run ${what}</button></form>`;

/** What was asked for and not done. */
export const warningList = (warnings: readonly Warning[]): Html =>
  html`<h2>Warnings</h2><ul>${warnings.map(
    ({ code, message }) => html`<li><code class="warn">${code}</code> ${message}</li>`,
  )}</ul>`;

/** What changed, or would. */
export function changeList(
  changes: readonly Change[],
  options: { readonly dryRun: boolean; readonly inspect: boolean; readonly hint?: Html | undefined },
): Html {
  const rows = changes.map(({ field, from, to }) => {
    // A password's values are told to nobody.
    const values =
      options.inspect && field !== 'password'
        ? html`<dd><bdi>${shown(from)}</bdi> → <bdi>${shown(to)}</bdi></dd>`
        : undefined;
    return html`<div>
      <dt>${field}</dt>
      ${values}
    </div>`;
  });
  const {
    hint = html`<p class="muted">Only the names: a key with <code>inspect: true</code> is shown values.</p>`,
  } = options;
  return html`<h2>${options.dryRun ? 'Would change' : 'Changed'}</h2><dl>${rows}</dl>${options.inspect ? undefined : hint}`;
}

function shown(value: unknown): Html {
  if (value === undefined || value === null) return html`<span class="muted">nothing</span>`;
  if (Array.isArray(value))
    return value.length === 0 ? html`<span class="muted">none</span>` : html`${value.join(', ')}`;
  return html`${typeof value === 'string' ? value : JSON.stringify(value)}`;
}

function told(outcome: string, dryRun: boolean): string {
  return dryRun ? `would be ${outcome}` : outcome;
}

/** A result in words. */
export function sentence({ action, outcome, reason, userId }: Result, dryRun: boolean): string {
  if (action === 'test') return 'The access key is right and the site is reached.';
  if (reason === 'USER_NOT_FOUND')
    return 'Skipped: no user of this site belongs to the contact (USER_NOT_FOUND).';
  if (reason === 'CANCELLED') return 'Skipped: a hook of this site cancelled it (CANCELLED).';
  const user = userId === undefined ? 'A user' : `User ${userId}`;
  if (outcome === 'created') return dryRun ? 'A user would be created.' : `${user} was created.`;
  if (outcome === 'updated') return dryRun ? `${user} would be updated.` : `${user} was updated.`;
  if (outcome === 'unchanged')
    return `${user} is up to date: nothing ${dryRun ? 'would change' : 'to change'}.`;
  if (outcome === 'queued') return 'Stored; it is processed in its turn.';
  return dryRun
    ? 'An action of this site. It cannot be looked at beforehand; the button runs it.'
    : `Done: ${outcome}.`;
}
