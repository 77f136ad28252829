// What a person looks for becomes records: by contact, email, user or correlation id, and by what became of them.
import type { ActivityFilter, ActivityRecord, ActivityState } from '../activity/activity-log';
import { codeOf } from '../errors';
import { html, type Html } from '../html';
import { comparisonKey } from '../users/normalize';
import type { Visit } from './visit';
import { textIn } from './visit';

/** How many records a page has. */
const PAGE = 25;
/** An email has so many contacts at most that are looked at. */
const MAX_CONTACTS = 10;

export const STATES = [
  'waiting',
  'done',
  'failed',
  'dead',
  'rejected',
] as const satisfies readonly ActivityState[];
const LET_IN = ['waiting', 'done', 'failed', 'dead'] as const satisfies readonly ActivityState[];

/** What was found. */
export interface Found {
  readonly records: readonly ActivityRecord[];
  /** The id behind which the next page begins. */
  readonly next: string | undefined;
  /** What was understood, and what could not be looked into. */
  readonly notes: readonly Html[];
  /** The contact that was looked for, where it is one. */
  readonly contactId: string | undefined;
}

/** Looks for what the query of the page says. */
export async function search(visit: Visit): Promise<Found> {
  const { query } = visit;
  const wanted = textIn(query, 'q');
  const notes: Html[] = [];
  const filter: ActivityFilter = {
    action: textIn(query, 'action') || undefined,
    state: STATES.find((state) => state === query.get('state')),
    outcome: textIn(query, 'outcome') || undefined,
    code: textIn(query, 'code').toUpperCase() || undefined,
    from: timeIn(visit, 'from', notes),
    to: timeIn(visit, 'to', notes),
    before: textIn(query, 'before') || undefined,
    limit: PAGE + 1,
  };
  const { who, contactId } = await whoIs(visit, wanted, notes);
  const found = await newest(
    visit,
    who.flatMap((each) => withState({ ...filter, ...each })),
  );
  const records = found.slice(0, PAGE);
  return { records, notes, contactId, next: found.length > PAGE ? records.at(-1)?.id : undefined };
}

type Who = Pick<ActivityFilter, 'contactId' | 'userId'>;

/** Whom a text is about; several answers count all. */
async function whoIs(
  visit: Visit,
  wanted: string,
  notes: Html[],
): Promise<{ who: readonly Who[]; contactId?: string | undefined }> {
  if (wanted === '') return { who: [{}] };
  if (wanted.includes('@')) return whoHas(visit, wanted, notes);
  const isContact = visit.inside.configuration.contactIdPattern.test(wanted);
  return { who: [{ contactId: wanted }, { userId: wanted }], contactId: isContact ? wanted : undefined };
}

/** The user and the contacts with an email: no record holds one. */
async function whoHas(
  { inside }: Visit,
  email: string,
  notes: Html[],
): Promise<{ who: readonly Who[]; contactId?: string | undefined }> {
  const { users, crm, logger, name } = inside.configuration;
  const [user, contactIds] = await Promise.all([
    users.findByEmail(comparisonKey(email)).catch(() => {
      logger.warn({ name }, 'The user storage could not be asked for an email.');
      notes.push(html`The site’s users could not be asked.`);
      return null;
    }),
    crm.findContactIds?.(email).catch((error: unknown) => {
      notes.push(html`The CRM could not be asked for its contacts: ${codeOf(error) ?? 'CRM_UNAVAILABLE'}.`);
      return [];
    }),
  ]);
  const ids = [...new Set([...(contactIds ?? []), ...(user?.contactId == null ? [] : [user.contactId])])];
  const contacts = ids.slice(0, MAX_CONTACTS);
  const inSite = user === null ? html`<strong>no user</strong>` : html`user <strong>${user.id}</strong>`;
  const inCrm =
    contactIds === undefined
      ? html`not asked for (its client has no <code>findContactIds</code>)`
      : ids.length === 0
        ? html`<strong>no contact</strong>`
        : html`contact <strong>${ids.join(', ')}</strong>`;
  notes.push(html`${email} is ${inSite} of the site, and in the CRM ${inCrm}.`);
  const who = [
    ...contacts.map((contactId) => ({ contactId })),
    ...(user === null ? [] : [{ userId: user.id }]),
  ];
  return { who, contactId: contacts[0] };
}

/** Unless somebody asks for them, or for a person, calls that were not let in are only in the way. */
function withState(filter: ActivityFilter): readonly ActivityFilter[] {
  const { state, contactId, userId, code } = filter;
  const isOpen = state !== undefined || contactId !== undefined || userId !== undefined || code !== undefined;
  return isOpen ? [filter] : LET_IN.map((each) => ({ ...filter, state: each }));
}

/** The newest records of several lists, each once. */
async function newest({ webhook }: Visit, filters: readonly ActivityFilter[]): Promise<ActivityRecord[]> {
  const lists = await Promise.all(filters.map((filter) => webhook.activity.list(filter)));
  const records = new Map(lists.flat().map((record) => [record.id, record]));
  return [...records.values()].sort((one, other) => (one.id < other.id ? 1 : -1)).slice(0, PAGE + 1);
}

/** A moment out of a form, which has it in UTC. */
function timeIn({ query }: Visit, name: string, notes: Html[]): number | undefined {
  const text = textIn(query, name);
  if (text === '') return undefined;
  const time = Date.parse(`${text}Z`);
  if (!Number.isNaN(time)) return time;
  notes.push(html`“${text}” is no time, such as 2026-11-27T18:30; it was left out.`);
  return undefined;
}
