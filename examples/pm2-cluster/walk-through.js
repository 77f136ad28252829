// What the example claims, done for real and checked: webhooks through all processes, one process killed, all replaced.
const { KnexUserRepository, KnexWebhookQueue } = require('wp-fusion-webhook/knex');

const PATIENCE_MS = 60_000;
/** How many webhooks are under way at the same time while all processes are replaced. */
const SENDERS = 4;

/** A step of the walk-through did not hold. */
class WalkThroughError extends Error {}

/** Throws a WalkThroughError that names the step which did not hold. */
async function playWalkThrough({ knex, sandbox, pm2, webhookUrl, contactCount, say }) {
  const users = new KnexUserRepository(knex);
  const queue = new KnexWebhookQueue(knex);
  const instances = pm2.processes.size;
  const isWorkedOff = async () => (await queue.counts('default')).waiting === 0;

  // Ontraport takes its time, so that all webhooks wait until they are told to be in work.
  const reads = sandbox.hold({ method: 'GET', path: '/Contacts' });
  const contactIds = Array.from({ length: contactCount }, (_, index) =>
    sandbox.addContact({ firstname: 'Mary', email: `mary${index + 1}@example.com` }),
  );
  const { deliveries } = await sandbox.burst({ url: webhookUrl('add'), contactIds });
  expectAccepted(deliveries);
  say(`${deliveries.length} contacts are to become users: their webhooks are stored and answered with 202.`);

  // Whoever tries to write a user now has contacts in work, and cannot end it.
  const lock = await knex.transaction();
  let victim;
  try {
    await lock.raw('lock table wpf_users in share mode');
    reads.release();
    victim = await until(() => waitingProcess(knex, pm2), 'a process works the queue off');
    process.kill(victim, 'SIGKILL');
  } finally {
    await lock.rollback();
  }
  say(`Process ${victim} has some of them in work when it is killed.`);

  await until(() => pm2.processes.size > instances, 'PM2 starts another process for the one that was killed');
  say(`PM2 has started process ${[...pm2.processes.keys()].at(-1)} in its place.`);
  await until(isWorkedOff, 'what the killed process had in work is worked off by others');
  const emails = await knex('wpf_users').pluck('email');
  expect(
    emails.length === contactCount && new Set(emails).size === contactCount,
    `each contact is one user; there are ${emails.length}`,
  );
  const workedOff = () => [...pm2.processes.values()].reduce((sum, one) => sum + one.workedOff, 0);
  await until(() => workedOff() >= contactCount, 'the processes say what they have worked off');
  say(`All ${contactCount} contacts are users, each of them once:\n`);
  for (const [pid, { received, workedOff: count }] of pm2.processes)
    say(
      `  process ${pid} received ${received} and worked off ${count}${pid === victim ? ', and was killed' : ''}`,
    );
  const receivers = [...pm2.processes.values()].filter(({ received }) => received > 0);
  expect(receivers.length >= instances, 'webhooks came through all processes');

  for (const id of contactIds) sandbox.updateContact(id, { company: 'Globex' });
  const before = new Set(pm2.processes.keys());
  let isReloading = true;
  const reload = pm2.reload().finally(() => (isReloading = false));
  const during = [];
  let sent = 0;
  /** Sends one webhook after the other, until the reload is over and each contact has had one. */
  const send = async () => {
    while (isReloading || sent < contactCount) {
      const contactId = contactIds[sent % contactCount];
      sent += 1;
      during.push(await sandbox.send({ url: webhookUrl('update'), contactId }));
    }
  };
  await Promise.all([reload, ...Array.from({ length: SENDERS }, send)]);
  expectAccepted(during);
  const fresh = await until(() => {
    const pids = [...pm2.processes.keys()].filter((pid) => !before.has(pid));
    return pids.length === instances && pids;
  }, 'all processes were replaced');
  say(
    `\n"pm2 reload" has replaced all processes while ${during.length} webhooks came: each was answered with 202.`,
  );
  await until(isWorkedOff, 'what came during the reload is worked off');
  for (const contactId of contactIds) {
    const user = await users.findByContactId(contactId);
    expect(user?.meta.company === 'Globex', `the user of contact ${contactId} follows`);
  }
  expect((await queue.counts('default')).dead === 0, 'no webhook is given up');
  say(`All users have what changed. The processes are ${fresh.join(', ')} now.`);
}

/** A process of the site that waits for a lock: which one it is, it has told PostgreSQL as `application_name`. */
async function waitingProcess(knex, pm2) {
  const names = await knex('pg_stat_activity').where({ wait_event_type: 'Lock' }).pluck('application_name');
  return [...pm2.processes.keys()].find((pid) => names.includes(`site ${pid}`));
}

/** Resolves with what `look` finds, when it finds something. */
async function until(look, what) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    expect(Date.now() < end, `${what}, within ${PATIENCE_MS / 1000} seconds`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function expectAccepted(deliveries) {
  const others = deliveries.filter(({ status }) => status !== 202);
  expect(
    others.length === 0,
    `every webhook is answered with 202; ${others.length} were not: ${[...new Set(others.map(({ status, error }) => status ?? error))].join(', ')}`,
  );
}

function expect(holds, what) {
  if (!holds) throw new WalkThroughError(`The walk-through did not hold: it should be that ${what}.`);
}

module.exports = { playWalkThrough, until, WalkThroughError };
