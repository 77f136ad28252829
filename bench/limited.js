// Many webhooks at once under the limit that Ontraport has: 180 calls a minute.
const { rowsOf } = require('./burst');

const CASES = [
  {
    action: 'update_tags',
    webhooks: 5000,
    latencyMs: 100,
    rateLimit: { limit: 180, windowMs: 60_000 },
    sites: ['queued'],
  },
  // As many as have to wait for the next minute.
  {
    action: 'add',
    webhooks: 200,
    latencyMs: 100,
    rateLimit: { limit: 180, windowMs: 60_000 },
    sites: ['queued'],
  },
];

async function main() {
  process.stdout.write(JSON.stringify({ rows: await rowsOf(CASES), digits: 1 }));
}
main();
