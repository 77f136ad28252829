// The frame of every page, and the headers that keep it to itself.
import { createHash } from 'node:crypto';
import { html, Html, type Content } from '../html';
import { SCRIPT } from './script';
import { STYLE } from './style';

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Nothing from elsewhere, no script and no style but ours, in no frame, in no search engine, in no cache. */
export const HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}; connect-src 'self'; ` +
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  // Not `no-referrer`: forms would then be sent with the origin `null`, which is nobody's.
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'X-Robots-Tag': 'noindex, nofollow',
};

/** The pages that the navigation leads to: path, title. */
const SECTIONS = [
  ['', 'Overview'],
  ['activity', 'Activity'],
  ['dead-letters', 'Dead letters'],
  ['urls', 'URLs'],
] as const;

/** What a page is made of. */
export interface Frame {
  /** The name of the middleware; `default` is not shown. */
  readonly name: string;
  /** The way to the first page, such as `../`. */
  readonly root: string;
  /** The path of the section, or another text for none of them. */
  readonly section: string;
  readonly title: string;
  readonly content: Content;
}

/** A whole document. */
export function layout({ name, root, section, title, content }: Frame): string {
  const site = name === 'default' ? '' : ` of ${name}`;
  const links = SECTIONS.map(
    ([path, text]) =>
      html`<li><a href="${root}${path}"${path === section ? new Html(' aria-current="page"') : ''}>${text}</a></li>`,
  );
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title} – Webhooks${site}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header><div><p>Webhooks${site}</p><nav aria-label="Pages"><ul>${links}</ul></nav></div></header>
<main id="main" tabindex="-1">
${content}
</main>
<footer class="muted"><p id="not-live" role="status" hidden>This page is not up to date any more: reload it.</p></footer>
<script>${new Html(SCRIPT)}</script>
</body>
</html>
`.text;
}

/** A part of a page that is kept up to date while it is open. */
export function live(id: string, content: Content): Html {
  const part = html`${content}`;
  const version = createHash('sha256').update(part.text).digest('base64url').slice(0, 16);
  return html`<div id="${id}" data-live="${version}">${part}</div>`;
}
