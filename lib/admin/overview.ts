// The first page: how it goes, and what somebody has to look at.
import type { ActivityCount, ActivityRange, ActivityState } from '../activity/activity-log';
import { codeOf } from '../errors';
import { html, type Content, type Html } from '../html';
import type { QueueCounts } from '../queue/queue';
import { chart } from './chart';
import { live } from './layout';
import type { Page, Visit } from './visit';
import { textIn } from './visit';
import { advice, count, duration, titleOf } from './words';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const RANGES = {
  day: { title: 'Last 24 hours', steps: 24, stepMs: HOUR },
  week: { title: 'Last 7 days', steps: 28, stepMs: 6 * HOUR },
  month: { title: 'Last 30 days', steps: 30, stepMs: DAY },
} as const;

/** A webhook that waits for longer needs somebody to look. */
const LONG_WAIT_MS = 5 * 60_000;
/** So many rejected calls are no typing error. */
const MANY_REJECTED = 20;
const BUDGET_NEARLY_USED = 0.9;

/** The overview. */
export async function overviewPage(visit: Visit): Promise<Page> {
  const given = textIn(visit.query, 'range');
  const chosen = given === 'week' || given === 'month' ? given : 'day';
  const range = rangeOf(chosen);
  const [counts, queue] = await Promise.all([countsIn(visit, range), queueIn(visit)]);
  const links = Object.entries(RANGES).map(
    ([name, { title }]) =>
      html`<li>${name === chosen ? html`<a href="?range=${name}" aria-current="true"><strong>${title}</strong></a>` : html`<a href="?range=${name}">${title}</a>`}</li>`,
  );
  const content = html`<h1>Overview</h1>
${live('attention', attention(visit, counts, queue))}
<ul class="legend">${links}</ul>
${live('figures', figures(visit, counts, queue))}
${live('over-time', counts === undefined ? html`<p class="muted">The activity log tells nothing (activityLog).</p>` : chart(counts, range))}
${live('trouble', [failures(counts), budget(visit)])}`;
  return { section: '', title: 'Overview', content };
}

function rangeOf(name: keyof typeof RANGES): ActivityRange {
  const { steps, stepMs } = RANGES[name];
  const to = Math.ceil((Date.now() + 1) / stepMs) * stepMs;
  return { from: to - steps * stepMs, to, stepMs };
}

/** What the activity log counts; `undefined` where there is none. */
async function countsIn(
  { counts, inside }: Visit,
  range: ActivityRange,
): Promise<readonly ActivityCount[] | undefined> {
  return inside.configuration.activityLog === undefined ? undefined : counts.get(range);
}

/** What waits; `undefined` where there is no queue, `'gone'` where it cannot be asked. */
async function queueIn({ webhook, inside }: Visit): Promise<QueueCounts | 'gone' | undefined> {
  if (inside.configuration.queue === undefined) return undefined;
  return webhook.queueCounts().catch(() => 'gone' as const);
}

type Counts = readonly ActivityCount[] | undefined;
type Queue = QueueCounts | 'gone' | undefined;

const sumOf = (counts: Counts, wanted: (count: ActivityCount) => boolean): number =>
  (counts ?? []).filter(wanted).reduce((sum, each) => sum + each.count, 0);

const inState = (counts: Counts, ...states: readonly ActivityState[]): number =>
  sumOf(counts, ({ state }) => states.includes(state));

/** What needs a person, in words. */
function attention({ inside }: Visit, counts: Counts, queue: Queue): Html {
  const { crm } = inside.configuration;
  const findings: Content[] = [];
  if (queue === 'gone')
    findings.push(
      html`The queue’s store cannot be reached: webhooks are refused with 503, and the CRM sends them again.`,
    );
  else if (queue !== undefined) {
    if (queue.dead > 0)
      findings.push(
        html`<a href="dead-letters">${count(queue.dead, 'webhook was', 'webhooks were')} given up</a>: somebody has to look why.`,
      );
    const waited = queue.oldestWaiting === null ? 0 : Date.now() - queue.oldestWaiting.getTime();
    if (waited > LONG_WAIT_MS)
      findings.push(
        html`The oldest of <a href="activity?state=waiting">${count(queue.waiting, 'waiting webhook')}</a> has been waiting for ${duration(waited)}. Does a worker run?`,
      );
  }
  const trouble = codeOf(crm.trouble?.());
  if (trouble !== undefined)
    findings.push(html`${titleOf(trouble)}: calls to the CRM are held up right now. ${advice(trouble)}`);
  const unauthorized = sumOf(counts, ({ code, state }) => code === 'CRM_UNAUTHORIZED' && state !== 'done');
  if (unauthorized > 0)
    findings.push(
      html`The CRM has refused the site’s API key for <a href="activity?code=CRM_UNAUTHORIZED">${count(unauthorized, 'webhook')}</a>. ${advice('CRM_UNAUTHORIZED')}`,
    );
  const failed = inState(counts, 'failed');
  if (failed > 0)
    findings.push(
      html`<a href="activity?state=failed">${count(failed, 'webhook')} failed</a>; what asked for ${failed === 1 ? 'it' : 'them'} was told so.`,
    );
  const rejected = inState(counts, 'rejected');
  if (rejected >= MANY_REJECTED)
    findings.push(
      html`<a href="activity?state=rejected">${count(rejected, 'call was', 'calls were')} rejected</a>: a wrong URL in the CRM, or somebody who tries keys.`,
    );
  const { limit = 0, used = 0 } = crm.budget?.() ?? {};
  if (limit > 0 && used >= limit * BUDGET_NEARLY_USED)
    findings.push(html`The CRM’s rate limit is nearly used up; webhooks take longer.`);
  if (findings.length === 0) return html`<p class="notice good">Nothing needs attention.</p>`;
  return html`<div class="notice bad"><h2>Needs attention</h2><ul>${findings.map((finding) => html`<li>${finding}</li>`)}</ul></div>`;
}

function figures(_visit: Visit, counts: Counts, queue: Queue): Html {
  const shown: (readonly [name: string, value: string | number, link?: string])[] = [];
  if (counts !== undefined) {
    shown.push(['received', inState(counts, 'done', 'waiting', 'failed', 'dead'), 'activity']);
    shown.push(['succeeded', inState(counts, 'done'), 'activity?state=done']);
    shown.push(['failed', inState(counts, 'failed'), 'activity?state=failed']);
    shown.push(['rejected', inState(counts, 'rejected'), 'activity?state=rejected']);
  }
  if (queue !== undefined && queue !== 'gone') {
    shown.push(['waiting now', queue.waiting, 'activity?state=waiting']);
    shown.push(['given up', queue.dead, 'dead-letters']);
    const { oldestWaiting } = queue;
    shown.push([
      'oldest waiting',
      oldestWaiting === null ? 'none' : duration(Date.now() - oldestWaiting.getTime()),
    ]);
  }
  return html`<dl class="figures">${shown.map(([name, value, link]) => {
    const text = typeof value === 'number' ? value.toLocaleString('en') : value;
    return html`<div><dt>${name}</dt><dd>${link === undefined ? text : html`<a href="${link}">${text}</a>`}</dd></div>`;
  })}</dl>`;
}

/** The codes that webhooks failed with, the most frequent first. */
function failures(counts: Counts): Html | undefined {
  const codes = new Map<string, number>();
  for (const { code, count: number, state } of counts ?? []) {
    if (code !== null && state !== 'rejected') codes.set(code, (codes.get(code) ?? 0) + number);
  }
  if (codes.size === 0) return undefined;
  const rows = [...codes]
    .sort(([, one], [, other]) => other - one)
    .map(
      ([code, number]) =>
        html`<li>${number.toLocaleString('en')} × <a href="activity?code=${code}"><code>${code}</code></a> <span class="muted">${titleOf(code)}</span></li>`,
    );
  return html`<h2>What they fail with</h2><ul>${rows}</ul>`;
}

/** What is left of the calls to the CRM. */
function budget({ inside }: Visit): Html | undefined {
  const known = inside.configuration.crm.budget?.();
  if (known === undefined) return undefined;
  const { used, limit, windowMs } = known;
  return html`<h2>Calls to the CRM</h2><p><strong>${used} of ${limit}</strong> in ${duration(windowMs)} are used up (${Math.round((100 * used) / limit)} %), as far as this process knows.</p>`;
}
