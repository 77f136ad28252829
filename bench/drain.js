// How fast waiting webhooks are worked off: what the queue itself can give out and take back on each store, and `update_tags` as a
// whole, by one process, two and four. Two that share a database are compared with two that share nothing but the machine.
const { spread, spreadOf } = require('./measure');
const { now } = require('./processes');
const { inTurn, ROUNDS, withSite } = require('./stage');
const { STORES } = require('./stores');

const WEBHOOKS = 1000;
/** How often so many are worked off: a machine that others use too is twice as slow for seconds. */
const MEASURED = 3 * ROUNDS;
/** The same before that, unmeasured: a process is slow at first. */
const WARM_UP = 4;
const APART = { what: '2 processes, a database each', processes: 2, databases: 2 };
/** Those who are measured in turn. All of them together would be more connections than a database lets in. */
const CREWS = [
  [
    { what: 'one process', processes: 1, databases: 1 },
    { what: '2 processes', processes: 2, databases: 1 },
    APART,
  ],
  [{ what: '4 processes', processes: 4, databases: 1 }],
];

function emptied(store) {
  return withSite({ store, site: { kind: 'queued', options: { worker: false } } }, async ({ site }) => {
    const contactIds = Array.from({ length: WEBHOOKS }, (_, index) => String(index + 1));
    await site.ask('fill', { action: 'update_tags', contactIds });
    const before = await site.ask('used');
    const ms = await site.ask('empty');
    const after = await site.ask('used');
    return { aSecond: (WEBHOOKS * 1000) / ms, cpuMs: (after.cpuMs - before.cpuMs) / WEBHOOKS };
  });
}

/** Those who work webhooks off together. They stand still except in `workOff`. */
async function gather({ what, processes, databases }, { crm, load, more, another, told }) {
  const { contactIds } = crm.told;
  const workers = [];
  const desks = [];
  for (let index = 0; index < databases; index += 1) {
    const place = await another();
    // Puts webhooks into the queue, and sees when it is empty; not measured.
    const accepts = await more('site', { ...told, place });
    desks.push({ accepts, contactIds: contactIds.filter((_id, each) => each % databases === index) });
    const begin = () => more('site', { ...told, place, options: {} });
    // The users, made by the first.
    const first = await begin();
    await load.ask('send', { url: `${accepts.told.webhook}add`, contactIds: desks[index].contactIds });
    await first.ask('finished', desks[index].contactIds.length);
    workers.push(first);
    while (workers.length * databases < processes * (index + 1)) workers.push(await begin());
  }
  const each = (work) => Promise.all(workers.map(work));
  const atOnce = (work) => Promise.all(desks.map(work));
  const used = async () => (await each((one) => one.ask('used'))).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
  for (const one of workers) one.stop();
  let tags = 0;
  return {
    what,
    async workOff() {
      await crm.ask('tagAll', `${what} ${(tags += 1)}`);
      // All of it is there before anybody begins.
      await atOnce(({ accepts, contactIds: ids }) =>
        accepts.ask('fill', { action: 'update_tags', contactIds: ids }),
      );
      for (const one of workers) one.goOn();
      const before = await used();
      const begunAt = now();
      const ends = await atOnce(({ accepts }) => accepts.ask('emptied'));
      const cpuMs = (await used()) - before;
      for (const one of workers) one.stop();
      return { aSecond: (WEBHOOKS * 1000) / (Math.max(...ends) - begunAt), cpuMs: cpuMs / WEBHOOKS };
    },
    /** Once more, unmeasured: counting statements and looking for locks takes time, too. */
    async watched() {
      for (const one of workers) one.goOn();
      await each((one) => one.ask('countStatements'));
      for (const one of workers) one.stop();
      await desks[0].accepts.ask('watchLocks');
      await this.workOff();
      for (const one of workers) one.goOn();
      const counts = await each((one) => one.ask('statements'));
      const lockWaits = await desks[0].accepts.ask('lockWaits');
      return { statements: counts.reduce((sum, count) => sum + count, 0) / WEBHOOKS, lockWaits };
    },
  };
}

/** Several crews on one store in turn, again and again, so that each meets the machine as the others do: their rows. */
function workedOff({ store, crews: planned }) {
  const site = { kind: 'queued', options: { worker: false } };
  return withSite({ store, contacts: WEBHOOKS, site }, async (parties) => {
    const crews = [];
    for (const crew of planned) crews.push(await gather(crew, parties));
    await inTurn(crews, (crew) => crew.workOff(), WARM_UP);
    const seen = await inTurn(crews, (crew) => crew.workOff(), MEASURED);
    const apart = seen.get(crews[planned.indexOf(APART)]);
    const rows = [];
    for (const crew of crews) {
      const all = seen.get(crew);
      const toApart = apart && spread(all.map(({ cpuMs }, round) => cpuMs / apart[round].cpuMs));
      const { statements, lockWaits = '' } = await crew.watched();
      rows.push({
        ...rowOf(store, `update_tags, ${crew.what}`, all),
        ...{ 'to a database each': toApart ?? '', statements, 'lock waits': lockWaits },
      });
    }
    return rows;
  });
}

const rowOf = (store, what, all) => ({
  store,
  what,
  'a second': spreadOf(all, 'aSecond'),
  'CPU a webhook, ms': spreadOf(all, 'cpuMs'),
});

async function main() {
  const alone = await inTurn(STORES, emptied);
  const shapes = STORES.flatMap((store) => CREWS.map((crews) => ({ store, crews })));
  const whole = await inTurn(shapes, workedOff, 1);
  const rows = [
    ...[...alone].map(([store, all]) => ({
      ...rowOf(store, 'the queue’s own part', all),
      ...{ 'to a database each': '', statements: '', 'lock waits': '' },
    })),
    ...[...whole.values()].flat(2),
  ];
  const bars = rows
    .filter(({ what }) => what === 'update_tags, one process')
    .map((row) => ({ label: row.store, value: row['a second'].median, isOurs: true }));
  const charts = [
    { name: 'drain', title: 'update_tags, worked off a second by one process', unit: '', bars, digits: 0 },
  ];
  process.stdout.write(JSON.stringify({ rows, digits: 2, charts }));
}
main();
