// What waiting webhooks cost in memory: a process that makes users, while some wait and while 100,000 do, with a CRM that is slow
// enough for both to have done the same; and one that has nothing to do.
const { spreadOf } = require('./measure');
const { inTurn, withSite } = require('./stage');
const { STORES } = require('./stores');

const SECONDS = 10;
/** So many are read in the time: 50 in a call, four calls at once, which take a second. */
const DONE = 2000;
/** What waits beside them: hardly any, or a day's worth. */
const WAITING = [DONE + 500, 100_000];

function resident({ store, waiting }) {
  const parties = { store, contacts: 2 * DONE, site: { kind: 'queued', options: { worker: false } } };
  return withSite(parties, async ({ crm, site: accepts, more, told }) => {
    const contactIds = Array.from({ length: waiting }, (_, index) => String(index + 1));
    await accepts.ask('fill', { action: 'add', contactIds });
    await crm.ask('become', { latencyMs: 1000 });
    const works = await more('site', { ...told, options: {} });
    return { megabytes: (await works.ask('mostMemory', SECONDS)) / 1e6 };
  });
}

async function main() {
  const cases = STORES.flatMap((store) => [0, ...WAITING].map((waiting) => ({ store, waiting })));
  const seen = await inTurn(cases, resident, 1);
  const rows = [...seen].map(([{ store, waiting }, all]) => ({
    store,
    waiting: String(waiting),
    'resident, MB': spreadOf(all, 'megabytes'),
  }));
  process.stdout.write(JSON.stringify({ rows, digits: 1 }));
}
main();
