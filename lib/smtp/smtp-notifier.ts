// SmtpNotifier: the welcome mail by SMTP, or by any other transport of nodemailer.
import { createHash } from 'node:crypto';
import { domainToASCII } from 'node:url';
import { WpFusionError } from '../errors';
import type { Notifier } from '../events';
import type { PublicUser } from '../users/repository';
import { isPlainAddress } from './address';
import { mailFailure, secretsIn } from './failure';
import { httpUrl, resolveOptions, type ResolvedOptions, type SmtpNotifierOptions } from './notifier-options';
import type { MailMessage } from './transport';
import { displayName, oneLine, type MailText, type WelcomeMail } from './welcome-mail';

/**
 * Sends the welcome mail that `send_notification=true` asks for: a greeting, the username and a login link, as text and HTML.
 * Never the password, which it does not get.
 *
 * - `sendWelcome()` resolves when the mail server has taken the mail. What becomes of it then is not known here: a bounce comes
 *   to `from`.
 * - Every failure rejects, whether the server refuses for good or for now. The mail stays owed, and the contact's next webhook
 *   tries again. So a mail can be sent twice, where the server took it and nobody got to know; the two have the same
 *   `Message-ID` if they are the same word for word.
 * - It goes to exactly one address. An email that could be read as several, or as another one, is refused.
 * - What it rejects with holds no credentials that it finds in the transport's settings, no address and no login link.
 *
 * @example
 * const notifier = new SmtpNotifier({
 *   transport: process.env.SMTP_URL, // smtps://user:password@smtp.example.com
 *   from: 'Example Shop <shop@example.com>',
 *   loginUrl: 'https://www.example.com/login',
 * });
 * app.use(wpFusionWebhook({ accessKey, crm, users, notifier }));
 */
export class SmtpNotifier implements Notifier {
  readonly #options: ResolvedOptions;
  readonly #underWay = new Set<Promise<void>>();
  #isClosed = false;

  /** Throws a `ConfigurationError` for an option that is missing, misspelt or wrong. Connects to nothing. */
  constructor(options: SmtpNotifierOptions) {
    this.#options = resolveOptions(options);
  }

  /** Sends the mail to one user. Rejects with a {@link WpFusionError} where it may not have been taken. */
  async sendWelcome({ user }: { user: PublicUser }): Promise<void> {
    if (this.#isClosed) throw failure('The notifier is closed.');
    const sending = this.#sendInTime(user);
    const tracked = sending.catch(() => undefined).finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
    await sending;
  }

  /**
   * Waits for the mails under way, at most `timeoutMs`, then closes the transport if it was made here. Needed where that keeps
   * connections (`pool: true`). A mail that is asked for later is refused, and stays owed.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#underWay);
    this.#options.transport.close();
  }

  async #sendInTime(user: PublicUser): Promise<void> {
    const { timeoutMs } = this.#options;
    const time = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const timedOut = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        // First this, so that it wins against what the transport says when it is stopped.
        reject(failure(`The welcome mail was not taken within ${timeoutMs} ms; it may have been sent.`));
        time.abort();
      }, timeoutMs);
    });
    try {
      await Promise.race([this.#send(user, time.signal), timedOut]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #send(user: PublicUser, signal: AbortSignal): Promise<void> {
    const { transport } = this.#options;
    const { message, loginUrl } = await this.#compose(user, signal);
    // The host's own functions took all the time there was, and the mail has been reported as not sent.
    if (signal.aborted) return;
    let sent: unknown;
    try {
      sent = await transport.transport.sendMail(message);
    } catch (error) {
      throw mailFailure(error, [...transport.settings.flatMap((each) => [...secretsIn(each)]), loginUrl]);
    }
    // Some transports do not count this as a failure of theirs.
    const { rejected } = (sent ?? {}) as { rejected?: unknown };
    if (Array.isArray(rejected) && rejected.length > 0) {
      throw failure('The mail server refused the recipient of the welcome mail.');
    }
  }

  async #compose(user: PublicUser, signal: AbortSignal): Promise<{ message: MailMessage; loginUrl: string }> {
    const { from, replyTo, siteName, subject, text, html } = this.#options;
    const address = user.email.trim();
    if (!isPlainAddress(address)) {
      throw failure('The user’s email is not one plain address; no welcome mail was sent.');
    }
    const loginUrl = httpUrl(await callHost('loginUrl', () => this.#options.loginUrl(user)));
    if (loginUrl === undefined) {
      throw failure('loginUrl() must give an absolute URL like https://www.example.com/login.');
    }
    const mail: WelcomeMail = {
      user,
      loginUrl,
      siteName: siteName ?? (from.name === '' ? new URL(loginUrl).hostname : from.name),
    };
    const content: Pick<MailMessage, 'subject' | 'text' | 'html'> = {
      subject: oneLine(await textOf('subject', subject, mail)),
      text: await textOf('text', text, mail),
      ...(html === undefined ? {} : { html: await textOf('html', html, mail) }),
    };
    const message: MailMessage = {
      from,
      ...(replyTo === undefined ? {} : { replyTo }),
      // Never a text, which would be read as a list of recipients.
      to: { name: displayName(user), address },
      ...content,
      messageId: messageIdOf([user.id, user.contactId, from.address, address, content], from.address),
      // Nobody's absence note or ticket system need answer.
      headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'OOF, AutoReply' },
      signal,
    };
    return { message, loginUrl };
  }
}

/**
 * The same for the same mail, so that a mailbox can drop the second copy; another one as soon as anything in it differs, such as
 * a new login link, since the first copy would not do in its place.
 */
function messageIdOf(parts: readonly unknown[], sender: string): string {
  const fingerprint = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 40);
  const domain = sender.slice(sender.lastIndexOf('@') + 1);
  return `<welcome.${fingerprint}@${domainToASCII(domain) || 'localhost'}>`;
}

async function textOf(option: string, given: MailText, mail: WelcomeMail): Promise<string> {
  const text: unknown = typeof given === 'function' ? await callHost(option, () => given(mail)) : given;
  if (typeof text !== 'string' || text.trim() === '') {
    throw failure(`${option}() must give a text that is not empty.`);
  }
  return text;
}

async function callHost(option: string, call: () => unknown): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    throw new WpFusionError('INTERNAL_ERROR', `${option}() failed; no welcome mail was sent.`, {
      cause: error,
    });
  }
}

const failure = (message: string): WpFusionError => new WpFusionError('INTERNAL_ERROR', message);
