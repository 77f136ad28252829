// How long visitors wait for another page of the site while 200 new users come at once: the site without webhooks, with a route by
// hand, and with the package.
const { quantile, spreadOf } = require('./measure');
const { inTurn, withSite } = require('./stage');

const WEBHOOKS = 200;
const LATENCY_MS = 100;
/** As if people had chosen a password: hashed with the cost of those. */
const CHOSEN = { fields: { email: 'email', firstName: 'firstname', password: 'lastname', lastName: 'city' } };

const SITES = [
  { name: 'nothing to do', kind: 'queued', webhooks: 0 },
  { name: 'by hand', kind: 'by hand' },
  { name: 'without a queue', kind: 'package' },
  { name: 'with a queue', kind: 'queued' },
  { name: 'with a queue, passwords that people chose', kind: 'queued', options: CHOSEN },
];

function visited({ kind, options, webhooks = WEBHOOKS }) {
  const site = { kind, options, returnsPassword: options === undefined };
  return withSite({ contacts: WEBHOOKS, site }, async ({ crm, site: { told, ask }, load, more }) => {
    const visitor = await more('load');
    await crm.ask('become', { latencyMs: LATENCY_MS });
    const visits = visitor.ask('visit', { url: told.page, everyMs: 5 });
    const contactIds = crm.told.contactIds.slice(0, webhooks);
    const { begunAt } = await load.ask('send', { url: `${told.webhook}add`, contactIds });
    const { lastAt } = await ask('finished', webhooks);
    // With nothing to do the visits would end at once.
    if (webhooks === 0) await new Promise((resolve) => setTimeout(resolve, 5000));
    await visitor.ask('leave');
    const times = await visits;
    return {
      seconds: Math.max(0, lastAt - begunAt) / 1000,
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      most: Math.max(...times),
    };
  });
}

async function main() {
  const seen = await inTurn(SITES, visited);
  const rows = [...seen].map(([{ name }, all]) => ({
    site: name,
    'visitor, p50, ms': spreadOf(all, 'p50'),
    'p99, ms': spreadOf(all, 'p99'),
    'longest, ms': spreadOf(all, 'most'),
    'last user there after, s': spreadOf(all, 'seconds'),
  }));
  const bars = rows.map((row) => ({
    label: row.site,
    value: row['p99, ms'].median,
    isOurs: row.site.startsWith('with'),
  }));
  const charts = [
    {
      name: 'event-loop',
      title: 'A visitor of another page, the slowest of a hundred, while 200 users come',
      unit: 'ms',
      bars,
      digits: 1,
    },
  ];
  process.stdout.write(JSON.stringify({ rows, digits: 1, charts }));
}
main();
