// What the example claims, done for real and checked: webhooks through all web processes, a worker that is killed with contacts in
// work, and one that is ended as it should be.
const PATIENCE_MS = 60_000;

/** A step of the walk-through did not hold. */
class WalkThroughError extends Error {}

/** Throws a WalkThroughError that names the step which did not hold. Begins with one worker and starts another one. */
async function playWalkThrough({
  sandbox,
  processes,
  startWorker,
  database,
  queue,
  webhookUrls,
  contactCount,
  say,
}) {
  const workers = () => processes.all.filter(({ kind }) => kind === 'worker');
  const isWorkedOff = async () => (await queue.counts('default')).waiting === 0;
  const holdReads = () => sandbox.hold({ method: 'GET', path: '/Contacts' });
  /** Sends a webhook for each contact, through one web process after the other. */
  const sendAll = async (action, contactIds) => {
    const bursts = webhookUrls(action).map((url, web, { length }) =>
      sandbox.burst({ url, contactIds: contactIds.filter((_id, index) => index % length === web) }),
    );
    const deliveries = (await Promise.all(bursts)).flatMap((burst) => burst.deliveries);
    const others = deliveries.filter(({ status }) => status !== 202);
    expect(
      others.length === 0,
      `every webhook is answered with 202; ${others.length} were not: ${[...new Set(others.map(({ status, error }) => status ?? error))].join(', ')}`,
    );
  };

  const [first] = workers();
  let reads = holdReads();
  const contactIds = Array.from({ length: contactCount }, (_, index) =>
    sandbox.addContact({ firstname: 'Mary', email: `mary${index + 1}@example.com` }),
  );
  await sendAll('add', contactIds);
  say(`${contactCount} contacts are to become users: their webhooks are in Redis and answered with 202.`);

  // It is the only worker: what Ontraport is asked for now, it has in work.
  await until(() => reads.count > 0, 'the worker works the queue off');
  const second = await startWorker();
  process.kill(first.pid, 'SIGKILL');
  await first.ended;
  reads.release();
  say(`Worker ${first.pid} is killed while it waits for Ontraport; worker ${second.pid} is there by now.`);

  await until(isWorkedOff, 'what the killed worker had in work is worked off by another one');
  const emails = await database('wpf_users').pluck('email');
  expect(
    emails.length === contactCount && new Set(emails).size === contactCount,
    `each contact is one user; there are ${emails.length}`,
  );
  const countOf = (what) => processes.all.reduce((sum, one) => sum + one[what], 0);
  await until(() => countOf('workedOff') >= contactCount, 'the workers say what they have worked off');
  say(`All ${contactCount} contacts are users, each of them once:\n`);
  for (const { kind, pid, received, workedOff } of processes.all) {
    const what = kind === 'web' ? `received ${received}` : `worked off ${workedOff}`;
    say(`  ${kind.padEnd(6)} ${pid} ${what}${pid === first.pid ? ', and was killed' : ''}`);
  }

  await until(
    () => workers().filter(({ isReady }) => isReady).length === 3,
    'the killed worker is started again',
  );
  for (const id of contactIds) sandbox.updateContact(id, { company: 'Globex' });
  reads = holdReads();
  await sendAll('update', contactIds);
  await until(() => reads.count > 0, 'the workers work the queue off');
  const leaving = workers().filter(({ pid }) => pid !== first.pid);
  const before = countOf('workedOff');
  const ended = Promise.all(leaving.map(processes.stop));
  reads.release();
  const codes = await ended;
  expect(codes.join() === '0,0', `workers that are told to end do so with 0; it was ${codes.join(' and ')}`);
  const finished = countOf('workedOff') - before;
  expect(finished > 0, 'workers that are told to end finish what they have in work');
  const last = await startWorker();
  await until(isWorkedOff, 'all is worked off');
  const rows = await database('wpf_users').pluck('meta');
  const following = rows.filter((meta) => meta.includes('Globex'));
  expect(following.length === contactCount, `all users follow their contacts; ${following.length} did`);
  expect((await queue.counts('default')).dead === 0, 'no webhook is given up');
  say(`
Both workers are told to end while they wait for Ontraport: they finish ${finished} of ${contactCount} changed contacts, and worker ${last.pid}
does what is left. All users have what changed.`);
}

/** Resolves when `holds` does. */
async function until(holds, what) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    expect(Date.now() < end, `${what}, within ${PATIENCE_MS / 1000} seconds`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function expect(holds, what) {
  if (!holds) throw new WalkThroughError(`The walk-through did not hold: it should be that ${what}.`);
}

module.exports = { playWalkThrough, WalkThroughError };
