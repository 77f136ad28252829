// Many webhooks at once, over 20 connections: how long until the last user is as the CRM has it and every password is back there,
// and how many calls that takes; beside a route by hand, the plugin's way of calling, and what cannot be beaten.
const { setTimeout: pause } = require('node:timers/promises');
const { spreadOf } = require('./measure');
const { inTurn, withSite } = require('./stage');

/** Calls of OntraportClient that are under way at once, and contacts that one of them reads. */
const AT_ONCE = 4;
const IN_ONE_READ = 50;

const EVERYBODY = ['queued', 'package', 'by hand', 'as the plugin'];
const CASES = [
  ...[0, 100, 1000].map((latencyMs) => ({ action: 'add', webhooks: 200, latencyMs, sites: EVERYBODY })),
  ...[0, 100, 1000].map((latencyMs) => ({
    action: 'update_tags',
    webhooks: 200,
    latencyMs,
    sites: EVERYBODY,
  })),
  { action: 'add', webhooks: 5000, latencyMs: 0, sites: ['queued'] },
  { action: 'update_tags', webhooks: 5000, latencyMs: 100, sites: ['queued'] },
].filter(({ webhooks, latencyMs }) => wanted(process.env.BENCH_CASE, webhooks, latencyMs));

const NAMES = {
  queued: 'with a queue',
  package: 'without a queue',
  'by hand': 'by hand',
  'as the plugin': 'as the plugin calls',
};

/** `BENCH_CASE=200/100`: 200 webhooks at a CRM that takes 100 ms. */
function wanted(only, webhooks, latencyMs) {
  return only === undefined || only === `${webhooks}/${latencyMs}`;
}

/** Sends one burst to a new site, and waits for the last of it. */
function burst(kind, { action, webhooks, latencyMs, rateLimit }) {
  const returnsPassword = action === 'add';
  const parties = { contacts: webhooks, site: { kind, returnsPassword } };
  return withSite(parties, async ({ crm, site, load }) => {
    const url = site.told.webhook;
    const { contactIds } = crm.told;
    if (returnsPassword) {
      // One before all others: connections are open then, and the fields and tags of the account are known.
      await load.ask('send', { url: `${url}add`, contactIds: contactIds.splice(0, 1) });
      await site.ask('finished', 1);
      await crm.ask('written', 1);
    } else {
      await load.ask('send', { url: `${url}add`, contactIds });
      await site.ask('finished', webhooks);
      await crm.ask('tagAll', 'New');
    }
    // What has been called until here is spent of another minute.
    if (rateLimit !== undefined) await pause(rateLimit.windowMs);
    await site.ask('clear');
    await crm.ask('become', { latencyMs, rateLimit });
    const before = await site.ask('used');
    const { begunAt, answers } = await load.ask('send', { url: `${url}${action}`, contactIds });
    const { lastAt, outcomes } = await site.ask('finished', contactIds.length);
    const writtenAt = returnsPassword ? await crm.ask('written', contactIds.length) : 0;
    const after = await site.ask('used');
    return {
      seconds: (Math.max(lastAt, writtenAt) - begunAt) / 1000,
      cpuMs: (after.cpuMs - before.cpuMs) / contactIds.length,
      failures: answers.filter(({ status }) => !(status < 300)).length + (outcomes.failed ?? 0),
      ...(await crm.ask('seen')),
    };
  });
}

/** The seconds that the calls take which there have to be, so many at once, so many a minute. */
function secondsOfCalls({ action, webhooks, latencyMs, rateLimit }) {
  const calls = Math.ceil(webhooks / IN_ONE_READ) + (action === 'add' ? webhooks : 0);
  const byLatency = (Math.ceil(calls / AT_ONCE) * latencyMs) / 1000;
  const windows = rateLimit === undefined ? 0 : Math.ceil(calls / rateLimit.limit) - 1;
  return Math.max(byLatency, (windows * (rateLimit?.windowMs ?? 0)) / 1000);
}

/** Measures cases, a row for each site. */
async function rowsOf(cases) {
  const rows = [];
  for (const each of cases) {
    const { action, webhooks, latencyMs, rateLimit, sites } = each;
    // What takes minutes is measured once.
    const isLong = webhooks > 200 || latencyMs > 100 || rateLimit !== undefined;
    const seen = await inTurn(sites, (kind) => burst(kind, each), isLong ? 1 : undefined);
    // Of the calls and the work of a process whichever takes longer.
    const { median: cpuMs } = spreadOf(seen.get('queued'), 'cpuMs');
    const limit = Math.max(secondsOfCalls(each), (webhooks * cpuMs) / 1000);
    for (const [kind, all] of seen) {
      const median = (name) => String(spreadOf(all, name).median);
      rows.push({
        burst: `${webhooks} ${action}`,
        CRM:
          rateLimit === undefined ? `${latencyMs} ms` : `${latencyMs} ms, ${rateLimit.limit} calls a minute`,
        site: NAMES[kind],
        seconds: spreadOf(all, 'seconds'),
        'limit, s': limit,
        'times the limit': (spreadOf(all, 'seconds').median / limit).toFixed(2),
        'CPU a webhook, ms': spreadOf(all, 'cpuMs'),
        'reads of contacts': median('contactReads'),
        'other reads': median('otherReads'),
        writes: median('writes'),
        'calls refused': median('refused'),
        failures: median('failures'),
      });
    }
  }
  return rows;
}

async function main() {
  const rows = await rowsOf(CASES);
  process.stdout.write(JSON.stringify({ rows, digits: 1, charts: ['add', 'update_tags'].flatMap(chartOf) }));

  /** The burst at which the plugin's makers measure themselves. */
  function chartOf(action) {
    const shown = rows.filter(({ burst: what, CRM }) => what === `200 ${action}` && CRM === '100 ms');
    if (shown.length === 0) return [];
    const bars = shown.map(({ site, seconds }) => ({
      label: site,
      value: seconds.median,
      isOurs: site === NAMES.queued || site === NAMES.package,
    }));
    const [{ 'limit, s': limit }] = shown;
    bars.push({ label: 'what cannot be beaten', value: limit, isOurs: false });
    return [
      { name: `burst-${action}`, title: `200 ${action} at once, a CRM that takes 100 ms`, unit: 's', bars },
    ];
  }
}
module.exports = { rowsOf };
if (require.main === module) main();
