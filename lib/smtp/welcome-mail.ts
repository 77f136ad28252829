// What the welcome mail says unless the host says something else. Much of it was typed by a stranger into a form.
import type { PublicUser } from '../users/repository';

/** What subject, text and HTML are made of. {@link MailText} gets it. */
export interface WelcomeMail {
  /** Without password and hash. All of it comes from the CRM's contact: escape it in HTML. */
  readonly user: PublicUser;
  /** An absolute `http:` or `https:` URL, without spaces and control characters. */
  readonly loginUrl: string;
  /** How the site is called. */
  readonly siteName: string;
}

/**
 * A part of the mail: always the same text, or a function that gives it.
 *
 * @example
 * const subject: MailText = ({ siteName }) => `Welcome to ${siteName}`;
 */
export type MailText = string | ((mail: WelcomeMail) => string | Promise<string>);

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * A text as it may stand in HTML, between tags and in quoted attributes. In `href` it keeps the attribute whole, nothing more:
 * `loginUrl` has been checked to be an HTTP URL, an address from a contact has not.
 *
 * @example
 * const html: MailText = ({ user, loginUrl }) =>
 *   `<p>${escapeHtml(user.username)}: <a href="${escapeHtml(loginUrl)}">log in</a></p>`;
 */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);

/** A text on one line, without control characters: a line break in a header would begin another header. */
export const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();

/** Letters, digits, spaces and what joins parts of names; no link, not even one that a mail program makes of `evil.com`. */
const NAME = /^(?!.*\.[\p{L}\p{N}]{2})\p{L}[\p{L}\p{M}\p{N} .'’·-]{0,39}$/u;

/**
 * A name out of a contact, or '' where it does not look like one. Whoever fills in a form with somebody else's email could
 * otherwise have the site send that person any short message, with a link in it.
 */
function usableName(value: unknown): string {
  const name = typeof value === 'string' ? value.trim() : '';
  return NAME.test(name) ? name : '';
}

/** The name in `To:`. */
export const displayName = ({ meta }: PublicUser): string =>
  [usableName(meta.firstName), usableName(meta.lastName)].filter((name) => name !== '').join(' ');

const greeting = ({ meta }: PublicUser): string => {
  const name = usableName(meta.firstName);
  return name === '' ? 'Hello,' : `Hello ${name},`;
};

export const defaultSubject = ({ siteName }: WelcomeMail): string => `Your account at ${siteName}`;

// No password: it would lie in a mailbox for years. How people get theirs: docs/welcome-mail.md.
export const defaultText = ({ user, loginUrl, siteName }: WelcomeMail): string =>
  `${greeting(user)}

your account at ${oneLine(siteName)} is ready.

Username: ${oneLine(user.username)}
Log in: ${loginUrl}`;

export const defaultHtml = ({ user, loginUrl, siteName }: WelcomeMail): string => {
  const url = escapeHtml(loginUrl);
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escapeHtml(oneLine(siteName))}</title></head>
<body style="font-family: sans-serif; font-size: 16px; line-height: 1.5">
<p>${escapeHtml(greeting(user))}</p>
<p>your account at ${escapeHtml(oneLine(siteName))} is ready.</p>
<p>Username: <b>${escapeHtml(oneLine(user.username))}</b></p>
<p>Log in: <a href="${url}">${url}</a></p>
</body>
</html>`;
};
