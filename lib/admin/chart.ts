// The chart of webhooks over time: bars that need no script, and the same numbers as a table.
import type { ActivityCount, ActivityRange } from '../activity/activity-log';
import { html, type Content, type Html } from '../html';
import { count, duration, moment } from './words';

/** What a bar is made of, from below. */
const PARTS = [
  ['done', 'succeeded'],
  ['waiting', 'waiting'],
  ['failed', 'failed'],
  ['dead', 'given up'],
] as const;

const WIDTH = 720;
const HEIGHT = 160;

/** How many webhooks that were let in there were, by where they stand now. */
export function chart(counts: readonly ActivityCount[], range: ActivityRange): Html {
  const steps = stepsOf(counts, range);
  const most = Math.max(1, ...steps.map(({ total }) => total));
  const sum = steps.reduce((all, { total }) => all + total, 0);
  const step = duration(range.stepMs);
  const label = `${count(sum, 'webhook')} over time; the numbers are below.`;
  return html`<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${label}">${steps.map((each, index) => bar(each, index, { most, of: steps.length }))}</svg>
<p class="muted">From ${moment(range.from)} to now, a bar for each ${step.replace(/^1 /, '')}; the highest is ${most}.</p>
<ul class="legend">${PARTS.map(([state, words]) => html`<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="${state}" width="10" height="10"></rect></svg> ${words}</li>`)}</ul>
<details><summary>The numbers</summary>${table(steps)}</details>`;
}

function bar(
  { values }: Step,
  index: number,
  { most, of }: { most: number; of: number },
): readonly Content[] {
  const width = WIDTH / of;
  const x = (index + 0.1) * width;
  let y = HEIGHT;
  return PARTS.map(([state]) => {
    const height = ((values.get(state) ?? 0) * HEIGHT) / most;
    y -= height;
    if (height === 0) return undefined;
    return html`<rect class="${state}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${(width * 0.8).toFixed(1)}" height="${height.toFixed(1)}"></rect>`;
  });
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
