// The way a mail leaves: a transport that the host gives, or one that is made here by nodemailer, which is loaded only then.
import { ConfigurationError } from '../errors';
import type { Mailbox } from './address';

/** A message as a {@link MailTransport} is given it: a part of what nodemailer takes. */
export interface MailMessage {
  /** The sender. */
  from: Mailbox;
  /** Where answers go, where that is not the sender. */
  replyTo?: Mailbox;
  /** The one recipient. */
  to: Mailbox;
  /** One line. */
  subject: string;
  /** The text part. */
  text: string;
  /** The HTML part. Absent: none. */
  html?: string;
  /** With its angle brackets; the same for the same mail. */
  messageId: string;
  /** Further headers, by their names. */
  headers: Record<string, string>;
  /** Aborted when the time is up. nodemailer 10 then cuts the connection; a transport that does not know it goes on. */
  signal: AbortSignal;
}

/**
 * What sends a message: a transport that `nodemailer.createTransport()` gave, or anything else with this one method.
 *
 * @example
 * const transport: MailTransport = {
 *   sendMail: async ({ from, to, subject, text }) => {
 *     await mailService.send({ from: from.address, to: to.address, subject, text });
 *   },
 * };
 */
export interface MailTransport {
  /** Resolves when the message is in somebody else's hands, else rejects. */
  sendMail(message: MailMessage): Promise<unknown>;
}

/**
 * The usual ones of nodemailer's SMTP options; all others that it has are handed on to it too.
 *
 * @example
 * const transport: SmtpOptions = {
 *   ...{ host: 'smtp.example.com', port: 465, secure: true },
 *   auth: { user: 'shop', pass: process.env.SMTP_PASSWORD },
 * };
 */
export interface SmtpOptions {
  /** The mail server. */
  readonly host?: string | undefined;
  /** Default 587, with `secure` 465. */
  readonly port?: number | string | undefined;
  /** TLS from the first byte, as on port 465. Else the connection is upgraded where the server offers it. */
  readonly secure?: boolean | undefined;
  /** Send nothing where the server does not offer the upgrade. */
  readonly requireTLS?: boolean | undefined;
  /** `{ user, pass }`, or what nodemailer knows for OAuth 2. */
  readonly auth?: object | undefined;
  /** An SMTP URL; what it says wins. */
  readonly url?: string | undefined;
  /** Keep connections open and use them again. Then `close()` has to be called for the process to end. */
  readonly pool?: boolean | undefined;
  // `any`, since types of nodemailer's own, which are interfaces, do not fit an index of `unknown`.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly [option: string]: any;
}

/** A transport, and who has to close it. */
export interface ResolvedTransport {
  readonly transport: MailTransport;
  /** Closes a transport that was made here; leaves one of the host's alone. */
  readonly close: () => void;
  /** Whatever holds the credentials, so that they can be taken out of errors. */
  readonly settings: readonly unknown[];
}

interface OwnTransport extends MailTransport {
  readonly options?: unknown;
  close(): void;
  on?(event: 'error', listener: () => void): unknown;
}

/** nodemailer's own waiting times are minutes: a server that accepts and never answers would hold a webhook that long. */
const TIMEOUTS = ['connectionTimeout', 'greetingTimeout', 'socketTimeout', 'dnsTimeout'] as const;

/**
 * The transport of the option `transport`.
 *
 * @throws ConfigurationError whose message never holds a credential.
 */
export function resolveTransport(given: unknown, timeoutMs: number): ResolvedTransport {
  if (given === undefined) {
    throw new ConfigurationError(
      'transport',
      'is missing. Is the environment variable set that it comes from? Give a URL like smtps://user:password@smtp.example.com, nodemailer’s SMTP options, or one of its transports.',
    );
  }
  if (isTransport(given)) {
    const { options, transporter } = given as { options?: unknown; transporter?: { options?: unknown } };
    return { transport: given, close: () => undefined, settings: [options, transporter?.options] };
  }
  const options = typeof given === 'string' ? fromUrl(given, timeoutMs) : fromOptions(given, timeoutMs);
  const transport = create(options);
  // What fails a mail is thrown to it as well; unheard here, it would end the process.
  transport.on?.('error', () => undefined);
  return { transport, close: () => transport.close(), settings: [options, given, transport.options] };
}

const isTransport = (value: unknown): value is MailTransport =>
  typeof value === 'object' && value !== null && typeof (value as MailTransport).sendMail === 'function';

/** The waiting times go into the query: older versions of nodemailer look at nothing else beside a URL. */
function fromUrl(text: string, timeoutMs: number, beside: object = {}): { url: string } {
  let url: URL | undefined;
  try {
    url = new URL(text.trim());
  } catch {
    // Told below.
  }
  if (url === undefined || !['smtp:', 'smtps:'].includes(url.protocol) || url.hostname === '') {
    throw new ConfigurationError(
      'transport',
      'must be a URL like smtps://user:password@smtp.example.com. What is special in URLs (@ : / ? # %) is written percent-encoded in user and password.',
    );
  }
  for (const name of TIMEOUTS) {
    // What stands in the URL wins over what stands beside it.
    if (!url.searchParams.has(name) && !(name in beside)) url.searchParams.set(name, String(timeoutMs));
  }
  return { ...beside, url: url.href };
}

function fromOptions(given: unknown, timeoutMs: number): object {
  if (typeof given !== 'object' || given === null) {
    throw new ConfigurationError(
      'transport',
      'must be an SMTP URL, nodemailer’s SMTP options, or an object with the method sendMail().',
    );
  }
  const { host, service, url } = given as Readonly<Record<string, unknown>>;
  if (typeof url === 'string') return fromUrl(url, timeoutMs, given);
  // Without any, nodemailer tries this machine, and so would `host: process.env.MISSPELT`.
  if (![host, service].some((name) => typeof name === 'string' && name.trim() !== '')) {
    throw new ConfigurationError('transport.host', 'is missing: the name of the SMTP server.');
  }
  return { ...Object.fromEntries(TIMEOUTS.map((name) => [name, timeoutMs])), ...given };
}

function create(options: object): OwnTransport {
  let nodemailer: { createTransport(options: object): OwnTransport };
  try {
    // Here and not above: a host with a transport of its own need not have it.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    nodemailer = require('nodemailer') as typeof nodemailer;
  } catch (error) {
    const isMissing = (error as { code?: unknown } | null)?.code === 'MODULE_NOT_FOUND';
    throw new ConfigurationError(
      'transport',
      isMissing
        ? 'needs the package nodemailer, which is not installed: npm install nodemailer.'
        : 'needs the package nodemailer, which cannot be loaded.',
    );
  }
  try {
    return nodemailer.createTransport(options);
  } catch {
    // What it throws may quote the URL with its password.
    throw new ConfigurationError('transport', 'is refused by nodemailer.');
  }
}
