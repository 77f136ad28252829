/**
 * The welcome mail by SMTP.
 *
 * @module wp-fusion-webhook/smtp
 */
// What the subpath `wp-fusion-webhook/smtp` exports, nothing else.
export { SmtpNotifier } from './smtp-notifier';
export type { MailAddress, Mailbox } from './address';
export type { SmtpNotifierOptions } from './notifier-options';
export type { MailMessage, MailTransport, SmtpOptions } from './transport';
export { escapeHtml } from './welcome-mail';
export type { MailText, WelcomeMail } from './welcome-mail';
