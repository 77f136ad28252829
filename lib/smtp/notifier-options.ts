// The options of a SmtpNotifier: everything that can be wrong with them is found at construction.
import { ConfigurationError } from '../errors';
import { refuseUnknownOptions } from '../unknown-options';
import type { PublicUser } from '../users/repository';
import { parseAddress, type MailAddress, type Mailbox } from './address';
import { resolveTransport, type MailTransport, type ResolvedTransport, type SmtpOptions } from './transport';
import { defaultHtml, defaultSubject, defaultText, type MailText } from './welcome-mail';

/** What a {@link SmtpNotifier} takes. `undefined` equals not given. */
export interface SmtpNotifierOptions {
  /**
   * How mails leave:
   *
   * - an SMTP URL, `smtps://user:password@smtp.example.com`, or nodemailer's SMTP options. The package nodemailer has to be
   *   installed; the transport that is made of it belongs to the notifier, and its waiting times are `timeoutMs`;
   * - a transport of `nodemailer.createTransport()`, or anything with its method `sendMail()`. It stays yours to close.
   *
   * `undefined` is accepted by the type, so that an environment variable can be given, and throws.
   */
  readonly transport: MailTransport | SmtpOptions | string | undefined;
  /** The sender: `'mail@example.com'`, `'Name <mail@example.com>'` or `{ name, address }`. `undefined` throws as for `transport`. */
  readonly from: MailAddress | string | undefined;
  /** Where answers go, in the same forms; default: to `from`. */
  readonly replyTo?: MailAddress | string | undefined;
  /** How the site is called in the mail; default: the name in `from`, else the host in `loginUrl`. */
  readonly siteName?: string | undefined;
  /**
   * Where the person logs in: an absolute `https:` (or `http:`) URL, or a function that gives one for a user, such as a link
   * that works once. The function runs once for every attempt to send the mail, so maybe more than once for a user.
   */
  readonly loginUrl: URL | string | ((user: PublicUser) => URL | string | Promise<URL | string>) | undefined;
  /** The subject; default `Your account at …`. Line breaks in it become spaces. */
  readonly subject?: MailText | undefined;
  /** The text part; default: a greeting, the username and the login link. */
  readonly text?: MailText | undefined;
  /**
   * The HTML part, sent as it is: put `escapeHtml()` around what comes from a contact. `false`: none. Default: the same as the
   * default text, and none where `text` is given, which it would contradict.
   */
  readonly html?: MailText | false | undefined;
  /**
   * Milliseconds for one mail, from `loginUrl()` to the yes of the mail server; default 15,000. Then `sendWelcome()` rejects,
   * also where a given transport goes on.
   */
  readonly timeoutMs?: number | undefined;
}

/** The options with everything filled in. */
export interface ResolvedOptions {
  readonly transport: ResolvedTransport;
  readonly from: Mailbox;
  readonly replyTo: Mailbox | undefined;
  readonly siteName: string | undefined;
  readonly loginUrl: (user: PublicUser) => unknown;
  readonly subject: MailText;
  readonly text: MailText;
  readonly html: MailText | undefined;
  readonly timeoutMs: number;
}

const NAMES = [
  'transport',
  'from',
  'replyTo',
  'siteName',
  'loginUrl',
  'subject',
  'text',
  'html',
  'timeoutMs',
] as const satisfies readonly (keyof SmtpNotifierOptions)[];

/** Longer ones overflow the timers of Node and fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/**
 * Checks the options and fills them in.
 *
 * @throws ConfigurationError that names the option. Its message never holds a credential.
 */
export function resolveOptions(options: SmtpNotifierOptions): ResolvedOptions {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null) {
    throw new ConfigurationError('options', 'must be an object: { transport, from, loginUrl }.');
  }
  refuseUnknownOptions(given, NAMES);
  const timeoutMs: unknown = options.timeoutMs ?? 15_000;
  if (
    typeof timeoutMs !== 'number' ||
    !Number.isInteger(timeoutMs) ||
    timeoutMs < 1 ||
    timeoutMs > LONGEST_TIMER_MS
  ) {
    throw new ConfigurationError('timeoutMs', `must be a whole number from 1 to ${LONGEST_TIMER_MS}.`);
  }
  if (options.from === undefined) {
    throw new ConfigurationError('from', "is missing: the sender, such as 'Name <mail@example.com>'.");
  }
  const html = options.html ?? (options.text === undefined ? defaultHtml : false);
  return {
    from: parseAddress('from', options.from),
    replyTo: options.replyTo === undefined ? undefined : parseAddress('replyTo', options.replyTo),
    siteName: siteName(options.siteName),
    loginUrl: loginUrl(options.loginUrl),
    subject: mailText('subject', options.subject ?? defaultSubject),
    text: mailText('text', options.text ?? defaultText),
    html: html === false ? undefined : mailText('html', html),
    timeoutMs,
    // Last: only with options that are right is a transport made.
    transport: resolveTransport(options.transport, timeoutMs),
  };
}

/** An absolute HTTP URL as it stands in the mail, or `undefined` where it is none. */
export function httpUrl(value: unknown): string | undefined {
  if (typeof value !== 'string' && !(value instanceof URL)) return undefined;
  try {
    const url = new URL(value);
    return ['https:', 'http:'].includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

function loginUrl(value: unknown): (user: PublicUser) => unknown {
  if (typeof value === 'function') return value as (user: PublicUser) => unknown;
  const url = httpUrl(value);
  if (url !== undefined) return () => url;
  throw new ConfigurationError(
    'loginUrl',
    value === undefined
      ? 'is missing: where people log in, such as https://www.example.com/login.'
      : 'must be an absolute URL like https://www.example.com/login, or a function that gives one.',
  );
}

function siteName(value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'string' && value.trim() !== '')) return value?.trim();
  throw new ConfigurationError('siteName', 'must be a text that is not empty.');
}

function mailText(option: string, value: unknown): MailText {
  if (typeof value === 'function' || (typeof value === 'string' && value.trim() !== '')) {
    return value as MailText;
  }
  const or = option === 'html' ? ', or false' : '';
  throw new ConfigurationError(
    option,
    `must be a text that is not empty, or a function that gives one${or}.`,
  );
}
