// The site, the CRM and the sender of a measurement each have a process of their own: none of them takes another's processor time
// unseen, and each tells how much it took. A program of bench/programs exports what it can be asked for.
const { fork } = require('node:child_process');
const { closeSync, mkdirSync, openSync } = require('node:fs');
const path = require('node:path');
const { performance } = require('node:perf_hooks');

/** Where the numbers are written to, and what programs say by the way: a terminal in between would be measured, too. */
const FOLDER = path.resolve(__dirname, '..', '.tmp', 'bench');

/** Starts a program; resolves to `ask(what, with)`, which gives its answer or throws its error, and `end()`. */
async function begin(name, options) {
  mkdirSync(FOLDER, { recursive: true });
  const log = openSync(path.join(FOLDER, `${name}.log`), 'w');
  const child = fork(path.join(__dirname, 'programs', `${name}.js`), {
    serialization: 'advanced',
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const open = new Map();
  let questions = 0;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const failAll = () => {
    for (const { reject } of open.values())
      reject(new Error(`The program ${name} has ended; see its log in .tmp/bench.`));
    open.clear();
  };
  void ended.then(failAll);
  child.on('message', ({ question, answer, error }) => {
    const { resolve, reject } = open.get(question);
    open.delete(question);
    if (error === undefined) resolve(answer);
    else reject(new Error(`${name}: ${error}`));
  });
  const ask = (what, given) => {
    const question = questions++;
    const answered = new Promise((resolve, reject) => open.set(question, { resolve, reject }));
    child.send({ question, what, given });
    return answered;
  };
  const told = await ask('begin', options);
  return {
    told,
    ask,
    /** Stops it where it is, until `goOn`. */
    stop: () => child.kill('SIGSTOP'),
    goOn: () => child.kill('SIGCONT'),
    /** Ends it, if it has not ended; also one that stands still, because something threw. */
    async end() {
      if (!child.connected) return;
      child.kill('SIGCONT');
      await ask('end');
      child.disconnect();
      await ended;
    },
  };
}

/** What a program calls with what it can be asked for; `begin` and `end` among it. */
function serve(answers) {
  const ownAnswers = {
    ...answers,
    /** Processor time in milliseconds and resident memory in bytes. */
    used() {
      const { user, system } = process.cpuUsage();
      return { cpuMs: (user + system) / 1000, rss: process.memoryUsage().rss };
    },
  };
  // Whoever measured is gone.
  process.once('disconnect', () => process.exit());
  process.on('message', async ({ question, what, given }) => {
    let reply;
    try {
      reply = { question, answer: await ownAnswers[what](given) };
    } catch (error) {
      reply = { question, error: String(error?.stack ?? error) };
    }
    process.send(reply);
  });
}

/** Milliseconds by a clock that all processes of this machine share. */
const now = () => performance.timeOrigin + performance.now();

module.exports = { begin, FOLDER, now, serve };
