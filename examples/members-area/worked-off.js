// For trying it without an account: a webhook is answered before it is worked off, and who clicks wants to see what came of it.
const PATIENCE_MS = 30_000;
const LOOK_EVERY_MS = 20;

/** Resolves when no webhook is under way and none waits in the queue. Throws where that takes too long. */
async function workedOff(sandbox, webhook) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    await sandbox.settled();
    const sent = sandbox.deliveries.length;
    const { waiting } = await webhook.queueCounts();
    // What was done may have set off another one: a password that comes back changes its contact.
    await sandbox.settled();
    if (waiting === 0 && sandbox.deliveries.length === sent) return;
    if (Date.now() > end) throw new Error(`${waiting} webhooks still wait in the queue.`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

module.exports = { workedOff };
