// What the pages say in words: times, states, and what to do about a code.
import type { ActivityRecord } from '../activity/activity-log';
import { codeOf, errorTitle } from '../errors';
import { html, type Html } from '../html';

/** How something stands: the colour it is shown in. */
export type Mood = 'good' | 'warn' | 'bad' | 'muted';

/** A moment, in UTC; the script shows it in the reader's own time. */
export function moment(milliseconds: number): Html {
  const iso = new Date(milliseconds).toISOString();
  const text = `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
  return html`<time datetime="${iso}" title="${text}">${text}</time>`;
}

const UNITS: readonly (readonly [milliseconds: number, name: string])[] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
];

/** How long something lasts, in its largest unit. */
export function duration(milliseconds: number): string {
  const [size, name] = UNITS.find(([each]) => milliseconds >= each) ?? [1, 'millisecond'];
  return count(Math.floor(milliseconds / size), name);
}

/** So many of something. */
export const count = (number: number, singular: string, plural = `${singular}s`): string =>
  `${number.toLocaleString('en')} ${number === 1 ? singular : plural}`;

/** Where a webhook stands, in a few words. */
export function standing(record: ActivityRecord): { readonly words: string; readonly mood: Mood } {
  const { state, outcome, reason, code, dryRun } = record;
  switch (state) {
    case 'waiting':
      return code === null
        ? { words: 'waiting', mood: 'warn' }
        : { words: 'tried again later', mood: 'warn' };
    case 'done': {
      const words = `${outcome ?? 'done'}${reason === null ? '' : `: ${SKIPPED[reason] ?? reason}`}`;
      return { words: dryRun ? `looked: ${words}` : words, mood: reason === null ? 'good' : 'muted' };
    }
    case 'failed':
      return { words: 'failed', mood: 'bad' };
    case 'dead':
      return { words: 'given up', mood: 'bad' };
    case 'rejected':
      return { words: 'rejected', mood: 'muted' };
  }
}

const SKIPPED: Readonly<Record<string, string>> = {
  USER_NOT_FOUND: 'no such user',
  CANCELLED: 'a hook said no',
};

/** What a code means, in a few words. */
export function titleOf(code: string): string {
  const known = codeOf({ code });
  return known === undefined ? code : errorTitle(known);
}

/** What a person can do about a code. */
export const advice = (code: string): string | undefined => ADVICE[code];

const ADVICE: Readonly<Record<string, string>> = {
  INVALID_ACCESS_KEY:
    'Compare the access key in the CRM’s URL with those of the site. Many of these from nowhere are somebody who guesses; they get nothing.',
  UNKNOWN_ACTION: 'Look at wpf_action in the CRM’s URL: add, update or update_tags.',
  INVALID_REQUEST: 'Look at the URL in the CRM; the page “URLs” builds a right one.',
  INVALID_BODY: 'Let the CRM send no data at all; everything needed stands in the URL.',
  UNSUPPORTED_MEDIA_TYPE: 'Let the CRM send no data at all; everything needed stands in the URL.',
  TOO_MANY_ATTEMPTS: 'Somebody sends wrong keys from one address. It is let in again after a minute.',
  CONTACT_NOT_FOUND: 'Open the contact in the CRM: it may have been deleted or merged into another one.',
  CONTACT_WITHOUT_EMAIL: 'Open the contact in the CRM, give it an email, and replay this webhook.',
  PASSWORD_TOO_LONG:
    'The contact’s password is longer than what can be hashed: shorten it in the CRM, and replay.',
  CONTACT_CONFLICT:
    'Another contact in the CRM has a user with this email. Merge the two, or change one’s email, and replay.',
  USER_CONFLICT:
    'Another user has this email or username. Find out whose it is, mend it in the site, and replay.',
  CRM_UNAUTHORIZED: 'The CRM refuses the site’s API key: it was changed or has lost a permission.',
  CRM_BAD_RESPONSE: 'The CRM has answered something unexpected. If it stays so, tell a developer.',
  CRM_RATE_LIMITED: 'The site has made as many calls as the CRM allows. It goes on by itself.',
  CRM_UNAVAILABLE:
    'The CRM could not be reached. With a queue it goes on by itself; otherwise replay it later.',
  QUEUE_UNAVAILABLE: 'The queue’s store could not be reached. The CRM was told to send it again.',
  REPOSITORY_FAILED: 'The site’s user storage failed. The site’s log has the cause, with the correlation id.',
  HOOK_FAILED: 'The site’s own code failed. Its log has the cause, with the correlation id.',
  INTERNAL_ERROR: 'Something in the site failed. Its log has the cause, with the correlation id.',
  TIMED_OUT: 'It took longer than the request may; the work went on.',
  SHUTTING_DOWN: 'The site was being restarted. The CRM was told to send it again; or replay it.',
};
