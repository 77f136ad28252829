// The chart of webhooks over time: bars that need no script, and the same numbers as a table.
import type { ActivityCount, ActivityRange } from '../activity/activity-log';
import { html, type Html } from '../html';
import { count, moment } from './words';

/** What a bar is made of, from below. */
const PARTS = [
  ['done', 'succeeded'],
  ['waiting', 'waiting'],
  ['failed', 'failed'],
  ['dead', 'given up'],
] as const;

const WIDTH = 720;
const HEIGHT = 180;
const BOTTOM = 24;
const LEFT = 44;

/** How many webhooks that were let in there were, by where they stand now. */
export function chart(counts: readonly ActivityCount[], range: ActivityRange): Html {
  const steps = stepsOf(counts, range);
  const most = Math.max(1, ...steps.map(({ total }) => total));
  const sum = steps.reduce((all, { total }) => all + total, 0);
  const width = (WIDTH - LEFT) / steps.length;
  const scale = (HEIGHT - BOTTOM - 12) / most;
  const bars = steps.map(({ values }, index) => {
    let y = HEIGHT - BOTTOM;
    return PARTS.map(([state]) => {
      const height = (values.get(state) ?? 0) * scale;
      y -= height;
      if (height === 0) return undefined;
      const x = LEFT + index * width + width * 0.12;
      return html`<rect class="${state}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${(width * 0.76).toFixed(1)}" height="${height.toFixed(1)}"></rect>`;
    });
  });
  const base = HEIGHT - BOTTOM;
  const first = moment(range.from);
  const last = moment(range.to);
  return html`<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${count(sum, 'webhook')} over time; the table below has the numbers.">
<line x1="${LEFT}" y1="${base}" x2="${WIDTH}" y2="${base}"></line><line x1="${LEFT}" y1="12" x2="${WIDTH}" y2="12"></line>
<text x="${LEFT - 6}" y="16" text-anchor="end">${most}</text><text x="${LEFT - 6}" y="${base}" text-anchor="end">0</text>
${bars}
</svg>
<p class="muted">From ${first} to ${last}.</p>
<ul class="legend">${PARTS.map(([state, words]) => html`<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="${state}" width="10" height="10"></rect></svg> ${words}</li>`)}</ul>
<details><summary>The numbers</summary>${table(steps)}</details>`;
}

interface Step {
  readonly at: number;
  readonly values: ReadonlyMap<string, number>;
  readonly total: number;
}

function stepsOf(counts: readonly ActivityCount[], { from, to, stepMs }: ActivityRange): Step[] {
  const steps: Step[] = [];
  for (let at = from; at < to; at += stepMs) {
    const values = new Map<string, number>();
    for (const each of counts) {
      if (each.at === at) values.set(each.state, (values.get(each.state) ?? 0) + each.count);
    }
    const total = PARTS.reduce((sum, [state]) => sum + (values.get(state) ?? 0), 0);
    steps.push({ at, values, total });
  }
  return steps;
}

function table(steps: readonly Step[]): Html {
  const rows = steps
    .filter(({ total }) => total > 0)
    .map(
      ({ at, values }) =>
        html`<tr><th scope="row">${moment(at)}</th>${PARTS.map(([state]) => html`<td class="number">${values.get(state) ?? 0}</td>`)}</tr>`,
    );
  if (rows.length === 0) return html`<p class="muted">No webhook.</p>`;
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Webhooks over time"><table><thead><tr><th scope="col">From</th>${PARTS.map(
    ([, words]) => html`<th scope="col" class="number">${words}</th>`,
  )}</tr></thead><tbody>${rows}</tbody></table></div>`;
}
