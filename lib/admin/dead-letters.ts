// The page of webhooks that were given up: why, and what to do with them.
import { WpFusionError } from '../errors';
import { html, type Html } from '../html';
import type { DeadJob } from '../queue/queue';
import { live } from './layout';
import type { Answer, Page, Visit } from './visit';
import { textIn } from './visit';
import { advice, count, moment, titleOf } from './words';

const PAGE = 25;

/** The list of dead letters. */
export async function deadLettersPage(visit: Visit): Promise<Page> {
  const { webhook, inside, query } = visit;
  const section = 'dead-letters';
  const title = 'Dead letters';
  if (inside.configuration.queue === undefined) {
    const content = html`<h1>${title}</h1><p>This site has no queue: a webhook that fails is answered with its failure. <a href="activity?state=failed">Those that failed</a></p>`;
    return { section, title, content };
  }
  const after = textIn(query, 'after') || undefined;
  const [jobs, { dead }] = await Promise.all([
    webhook.deadLetters.list({ limit: PAGE + 1, after }),
    webhook.queueCounts(),
  ]);
  const shown = jobs.slice(0, PAGE);
  const next = jobs.length > PAGE ? shown.at(-1)?.id : undefined;
  const list =
    dead === 0
      ? html`<p class="notice good">No webhook was given up.</p>`
      : html`<p>${count(dead, 'webhook was', 'webhooks were')} given up. Mend what each says, then replay it: the contact is read again, as it is then.</p>
<ol class="list">${shown.map(item)}</ol>
${next === undefined ? undefined : html`<p><a href="?${new URLSearchParams({ after: next }).toString()}">More</a></p>`}`;
  const content = html`<h1>${title}</h1>${notice(query)}${live('dead', list)}${dead === 0 ? undefined : allOfThem(dead)}`;
  return { section, title, content };
}

function notice(query: Visit['query']): Html | undefined {
  for (const [name, words] of [
    ['replayed', 'put back into the queue'],
    ['purged', 'deleted'],
  ] as const) {
    const number = Number(query.get(name));
    if (query.has(name) && Number.isInteger(number))
      return html`<p class="notice good" role="status">${count(number, 'webhook was', 'webhooks were')} ${words}.</p>`;
  }
  return undefined;
}

function item({ id, contactId, job }: DeadJob): Html {
  const { action, receivedAt, failure, correlationId } = job;
  const { code = 'INTERNAL_ERROR', detail = '' } = failure ?? {};
  const when = moment(receivedAt);
  const link =
    correlationId === undefined
      ? when
      : html`<a href="activity/${encodeURIComponent(correlationId)}">${when}</a>`;
  const what = `${action} for contact ${contactId}`;
  const button = (verb: string, path: string, kind: string): Html =>
    html`<form method="post" action="dead-letters/${path}"><input type="hidden" name="id" value="${id}"><button class="${kind}" type="submit">${verb}<span class="visually-hidden"> ${what}</span></button></form>`;
  return html`<li>${link}<span><strong>${action}</strong></span><span>contact <bdi>${contactId}</bdi></span>
<span class="actions">${button('Replay', 'replay', '')}${button('Purge', 'purge', 'danger')}</span>
<p class="detail"><strong>${titleOf(code)}</strong> <code>${code}</code><br>${detail}<br><span class="muted">${advice(code)}</span></p></li>`;
}

function allOfThem(dead: number): Html {
  return html`<div class="panel actions"><form method="post" action="dead-letters/replay"><input type="hidden" name="all" value="true"><button type="submit">Replay all</button></form>
<details><summary>Purge all</summary><form method="post" action="dead-letters/purge"><input type="hidden" name="all" value="true"><p>What they asked for will never be done.</p><button class="danger" type="submit">Delete ${count(dead, 'webhook')} for ever</button></form></details></div>`;
}

/** The ids that a form means: one, or `undefined` for all. Neither is nothing. */
function meant(form: Visit['form']): readonly string[] | undefined {
  if (form.get('all') === 'true') return undefined;
  const id = form.get('id') ?? '';
  return id === '' ? [] : [id];
}

/** Without a queue there are none, and no page has a form for them. */
function requireQueue({ configuration }: Visit['inside']): void {
  if (configuration.queue === undefined)
    throw new WpFusionError('INVALID_REQUEST', 'This site has no queue, and so no dead letters.');
}

/** Puts dead letters back into the queue. */
export const replayDeadLetters = (visit: Visit): Promise<Answer> => change(visit, 'replay', 'replayed');

/** Deletes dead letters. */
export const purgeDeadLetters = (visit: Visit): Promise<Answer> => change(visit, 'purge', 'purged');

async function change(
  { webhook, inside, form }: Visit,
  method: 'replay' | 'purge',
  done: 'replayed' | 'purged',
): Promise<Answer> {
  requireQueue(inside);
  const ids = meant(form);
  const number = await webhook.deadLetters[method](ids);
  const { logger, name } = inside.configuration;
  logger.info({ name, ids: ids ?? 'all', count: number }, `Dead letters ${done} on the admin page.`);
  return { to: `../dead-letters?${done}=${number}` };
}
