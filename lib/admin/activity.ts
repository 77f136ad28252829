// The pages of the activity log: looking for webhooks, and everything about one of them.
import type { ActivityAttempt, ActivityRecord } from '../activity/activity-log';
import { changeList, warningList } from '../answer/page';
import { WpFusionError } from '../errors';
import { html, Html, type Content } from '../html';
import { BUILT_IN_ACTIONS } from '../queue/webhook';
import { live } from './layout';
import { search, STATES } from './search';
import type { Answer, Page, Visit } from './visit';
import { textIn } from './visit';
import { advice, count, duration, moment, standing, titleOf } from './words';

const STATE_NAMES = {
  waiting: 'waiting',
  done: 'succeeded',
  failed: 'failed',
  dead: 'given up',
  rejected: 'rejected',
} as const;

const CORRELATION_ID = /^[0-9a-z]{9,}-[0-9a-f]{12}$/;

const OUTCOMES = ['created', 'updated', 'unchanged', 'skipped'] as const;

/** The list of webhooks. */
export async function activityPage(visit: Visit): Promise<Answer> {
  if (visit.inside.configuration.activityLog === undefined) return noLog('activity');
  const wanted = textIn(visit.query, 'q');
  if (CORRELATION_ID.test(wanted)) return { to: `activity/${wanted}` };
  const { records, next, notes, contactId } = await search(visit);
  const list = [
    notes.map((note) => html`<p class="notice">${note}</p>`),
    records.length === 0
      ? nothing(visit, contactId)
      : html`<ol class="list">${records.map((record) => row(record))}</ol>`,
    next === undefined
      ? undefined
      : html`<p><a href="?${queryWith(visit, { before: next })}">Older ones</a></p>`,
  ];
  const content = html`<h1>Activity</h1>
${searchForm(visit)}
${live('records', list)}`;
  return { section: 'activity', title: 'Activity', content };
}

function searchForm({ query, inside }: Visit): Html {
  const actions = [...BUILT_IN_ACTIONS, ...inside.configuration.actions.keys()];
  const select = (
    name: string,
    label: string,
    all: string,
    choices: readonly (readonly [string, string])[],
  ): Html =>
    html`<div><label for="${name}">${label}</label><select id="${name}" name="${name}"><option value="">${all}</option>${choices.map(
      ([value, text]) =>
        html`<option value="${value}"${query.get(name) === value ? new Html(' selected') : ''}>${text}</option>`,
    )}</select></div>`;
  const input = (name: string, label: Content, type = 'text'): Html =>
    html`<div><label for="${name}">${label}</label><input id="${name}" name="${name}" type="${type}" value="${textIn(query, name)}" autocomplete="off"></div>`;
  const isNarrowed = ['action', 'outcome', 'code', 'from', 'to'].some((name) => textIn(query, name) !== '');
  return html`<form class="panel" method="get" role="search">
<div class="fields-main"><label for="q">Who or what<small>A contact’s id, an email, a user’s id, or a correlation id</small></label><input id="q" name="q" type="search" value="${textIn(query, 'q')}" autocomplete="off"></div>
<div class="actions">${select(
    'state',
    'State',
    'all but rejected',
    STATES.map((state) => [state, STATE_NAMES[state]]),
  )}<button type="submit">Search</button><a href="activity">Clear</a></div>
<details${isNarrowed ? new Html(' open') : ''}><summary>More</summary><div class="fields">
${select(
  'action',
  'Action',
  'any',
  actions.map((action) => [action, action]),
)}
${select(
  'outcome',
  'Outcome',
  'any',
  OUTCOMES.map((outcome) => [outcome, outcome]),
)}
${input('code', 'Code')}
${input('from', 'From (UTC)', 'datetime-local')}
${input('to', 'To (UTC)', 'datetime-local')}
</div></details>
</form>`;
}

function row(record: ActivityRecord): Html {
  const { id, receivedAt, action, contactId, userId, code, detail } = record;
  const { words, mood } = standing(record);
  const whom =
    contactId === null ? html`<span class="muted">no contact</span>` : html`contact <bdi>${contactId}</bdi>`;
  const user = userId === null ? undefined : html`, user <bdi>${userId}</bdi>`;
  return html`<li><a href="activity/${encodeURIComponent(id)}">${moment(receivedAt)}</a><span><strong>${action ?? 'unknown'}</strong></span>
<span>${whom}${user}</span><span class="${mood}">${words}</span>
${code === null ? undefined : html`<p class="detail muted"><code>${code}</code> ${detail ?? ''}</p>`}</li>`;
}

/** What is told where there is no record: for a person, that nothing has arrived is an answer. */
function nothing(visit: Visit, contactId: string | undefined): Html {
  if (contactId === undefined) return html`<p>No webhook was found.</p>`;
  const what = new URLSearchParams({ contact: contactId, action: 'add' });
  return html`<p><strong>No webhook about contact ${contactId} was found.</strong> Either the CRM has not sent one, or it is too old to be
remembered. See what the CRM would send, and <a href="${visit.root}urls?${what.toString()}">try what an add would do</a>.</p>`;
}

function queryWith({ query }: Visit, more: Readonly<Record<string, string>>): string {
  const given = [...query].filter(([, value]) => value !== '');
  return new URLSearchParams([
    ...given.filter(([name]) => !(name in more)),
    ...Object.entries(more),
  ]).toString();
}

/** Everything about one webhook. */
export async function recordPage(visit: Visit, encodedId: string): Promise<Page> {
  if (visit.inside.configuration.activityLog === undefined) return noLog('activity');
  const id = decode(encodedId);
  const record = await visit.webhook.activity.get(id);
  if (record === null) {
    const content = html`<h1>Not found</h1><p>There is no webhook with the correlation id <code>${id}</code>; it may be too old.</p>`;
    return { section: 'activity', title: 'Not found', content, status: 404 };
  }
  const title = `${record.action ?? 'Unknown'}${record.contactId === null ? '' : ` for contact ${record.contactId}`}`;
  const notice = visit.query.has('replayed')
    ? html`<p class="notice good" role="status">It is done once more; this page shows what comes of it.</p>`
    : undefined;
  return {
    section: 'activity',
    title,
    content: html`<h1>${title}</h1>${notice}${live('record', details(visit, record))}${replayForm(visit, record)}`,
  };
}

function details(visit: Visit, record: ActivityRecord): Content {
  const { code, detail, warnings, changes, attempts, tagsAdded, tagsRemoved } = record;
  const { words, mood } = standing(record);
  const failure =
    code === null
      ? undefined
      : html`<div class="notice bad"><p><strong>${titleOf(code)}</strong> <code>${code}</code></p><p>${detail ?? ''}</p>${advice(code) === undefined ? undefined : html`<p>${advice(code)}</p>`}</div>`;
  const tags = [
    ...tagsAdded.map((tag) => html`<li class="good">+ <bdi>${tag}</bdi></li>`),
    ...tagsRemoved.map((tag) => html`<li class="bad">− <bdi>${tag}</bdi></li>`),
  ];
  const fields = changes.filter(({ field }) => field !== 'tags');
  const shows = visit.inspect && fields.some((change) => 'from' in change || 'to' in change);
  return [
    html`<p class="${mood}"><strong>${words}</strong></p>`,
    failure,
    facts(visit, record),
    warnings.length === 0 ? undefined : warningList(warnings),
    fields.length === 0
      ? undefined
      : changeList(fields, { dryRun: record.dryRun, inspect: shows, hint: html`` }),
    tags.length === 0 ? undefined : html`<h2>Tags</h2><ul>${tags}</ul>`,
    attempts.length === 0
      ? undefined
      : html`<h2>${count(attempts.length, 'try', 'tries')}</h2><ol>${attempts.map(attemptItem)}</ol>`,
  ];
}

function facts(visit: Visit, record: ActivityRecord): Html {
  const { id, receivedAt, key, contactId, userId, role, sendNotification, replays, replayOf } = record;
  const { crm } = visit.inside.configuration;
  const url = contactId === null ? undefined : safeUrl(crm.contactUrl?.(contactId));
  const contact =
    contactId === null
      ? undefined
      : html`<bdi>${contactId}</bdi> – <a href="${visit.root}activity?${new URLSearchParams({ q: contactId }).toString()}">all its webhooks</a>${
          url === undefined
            ? undefined
            : html`, <a href="${url}" rel="noreferrer noopener">open it in the CRM</a>`
        }`;
  const again =
    replayOf === null
      ? undefined
      : html`<a href="${encodeURIComponent(replayOf)}">an earlier one</a>, once more`;
  const all: readonly (readonly [string, Content])[] = [
    ['Received', moment(receivedAt)],
    ['Contact', contact],
    ['User', userId === null ? undefined : html`<bdi>${userId}</bdi>`],
    ['Access key', key ?? undefined],
    ['Role asked for', role ?? undefined],
    ['Welcome mail', sendNotification ? 'asked for' : undefined],
    ['Does', again],
    [
      'Replayed',
      replays.length === 0
        ? undefined
        : replays.map((at, index) => html`${index === 0 ? '' : ', '}${moment(at)}`),
    ],
    ['Correlation id', html`<code>${id}</code>`],
  ];
  return html`<dl class="facts">${all
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function attemptItem({ at, durationMs, contactReads, code, detail }: ActivityAttempt): Html {
  const end =
    code === null
      ? html`<span class="good">succeeded</span>`
      : html`<span class="bad">failed: <code>${code}</code></span> ${detail ?? ''}`;
  return html`<li>${moment(at)}: ${end} <span class="muted">(${duration(durationMs)}, asked the CRM for ${count(contactReads, 'contact')})</span></li>`;
}

function replayForm({ root }: Visit, record: ActivityRecord): Html | undefined {
  const { id, action, contactId, dryRun, state } = record;
  const isOurs =
    action !== null && action !== 'test' && (BUILT_IN_ACTIONS as readonly string[]).includes(action);
  if (!isOurs || contactId === null || dryRun || state === 'rejected') return undefined;
  return html`<form class="panel" method="post" action="${root}activity/${encodeURIComponent(id)}/replay">
<p>Reads the contact from the CRM again, as it is now, and does what this webhook asked for.</p><button type="submit">Replay</button></form>`;
}

/** Does a webhook once more. */
export async function replayRecord({ webhook, inside }: Visit, encodedId: string): Promise<Answer> {
  const id = decode(encodedId);
  const { logger, name } = inside.configuration;
  const next = await webhook.activity.replay(id);
  logger.info({ name, correlationId: id, as: next }, 'Replayed on the admin page.');
  return { to: `../${encodeURIComponent(next)}?replayed=1` };
}

/** The page where there is no activity log. */
function noLog(section: string): Page {
  const content = html`<h1>Activity</h1><p>This site keeps no activity log (<code>activityLog: false</code>).</p>`;
  return { section, title: 'Activity', content };
}

/** An address of a client is a link only where it leads to a website. */
function safeUrl(url: string | undefined): string | undefined {
  return url !== undefined && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) ? url : undefined;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new WpFusionError('INVALID_REQUEST', 'The address of this page is broken.');
  }
}
