// How soon a webhook is answered with 202, stored: so many a second, whatever the answers take, on each store. The site only
// accepts; the work is another process's.
const { quantile, spreadOf } = require('./measure');
const { inTurn, withSite } = require('./stage');
const { STORES } = require('./stores');

const SECONDS = 10;
/** A process that has just begun is several times as slow. */
const WARM_UP_SECONDS = 5;

const ids = (from, count) => Array.from({ length: count }, (_, index) => String(from + index));

function acknowledged({ store, perSecond }) {
  return withSite({ store, site: { kind: 'queued', options: { worker: false } } }, async ({ site, load }) => {
    const url = `${site.told.webhook}update`;
    const send = (from, seconds) =>
      load.ask('send', { url, contactIds: ids(from, perSecond * seconds), connections: 200, perSecond });
    await send(1, WARM_UP_SECONDS);
    const before = await site.ask('used');
    const { answers } = await send(perSecond * WARM_UP_SECONDS + 1, SECONDS);
    const after = await site.ask('used');
    const times = answers.map(({ ms }) => ms);
    return {
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      'p99.9': quantile(times, 0.999),
      cpuMs: (after.cpuMs - before.cpuMs) / answers.length,
      errors: answers.filter(({ status }) => status !== 202).length,
    };
  });
}

async function main() {
  const cases = [500, 1000].flatMap((perSecond) => STORES.map((store) => ({ store, perSecond })));
  const seen = await inTurn(cases, acknowledged);
  const rows = [...seen].map(([{ store, perSecond }, all]) => ({
    store,
    'a second': String(perSecond),
    'p50, ms': spreadOf(all, 'p50'),
    'p99, ms': spreadOf(all, 'p99'),
    'p99.9, ms': spreadOf(all, 'p99.9'),
    'CPU a webhook, ms': spreadOf(all, 'cpuMs'),
    'not 202': String(spreadOf(all, 'errors').median),
  }));
  const bars = rows
    .filter((row) => row['a second'] === '500')
    .map((row) => ({ label: row.store, value: row['p99, ms'].median, isOurs: true }));
  const charts = [
    {
      name: 'acknowledge',
      title: 'Stored and answered with 202: the slowest of a hundred, at 500 a second',
      unit: 'ms',
      bars,
      digits: 1,
    },
  ];
  process.stdout.write(JSON.stringify({ rows, digits: 1, charts }));
}
main();
