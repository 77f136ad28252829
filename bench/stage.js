// A measurement's parties: an account of Ontraport, a site on a store of its own, and a sender; ended whatever happens.
const { begin } = require('./processes');
const { drop, make } = require('./stores');

/** How often each measurement is repeated, in turn with what it is compared with. */
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);

/**
 * Calls `work` with the parties. `site` is what the site's program is told, `more` begins others that end with these, and
 * `another` makes a place beside the site's own.
 */
async function withSite({ store, contacts = 0, site }, work) {
  const places = [];
  const another = async () => {
    places.push(await make(store));
    return places.at(-1);
  };
  const running = [];
  const more = async (name, options) => {
    const program = await begin(name, options);
    running.push(program);
    return program;
  };
  try {
    const crm = await more('crm', { contacts });
    const told = { place: await another(), account: crm.told, ...site };
    const [one, load] = [await more('site', told), await more('load')];
    return await work({ crm, site: one, load, more, another, told });
  } finally {
    // The site before the CRM that it may still call.
    for (const program of running.reverse()) await program.end();
    for (const place of places) await drop(place);
  }
}

/** Measures each of several things once a round: a map of each to all that was seen of it. */
async function inTurn(things, measure, rounds = ROUNDS) {
  const seen = new Map(things.map((thing) => [thing, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const thing of things) seen.get(thing).push(await measure(thing));
  }
  return seen;
}

module.exports = { inTurn, ROUNDS, withSite };
