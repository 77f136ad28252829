// A worker: it works the queue off, and has no HTTP server. Start as many as there is work, on as many machines as you like.
const { connect, onEnd, sayAs } = require('./connect');

const say = sayAs('worker');

async function main() {
  // Mounted nowhere: with a queue it works from the moment it is made.
  const { webhook, close } = await connect({ worker: true });
  webhook.on('webhook.processed', ({ action, contactId, outcome }) =>
    say(`worked off ${action} of contact ${contactId}: ${outcome}`),
  );
  onEnd(close);
  say('ready');
}

main();
