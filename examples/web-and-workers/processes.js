// For trying it out: starts web processes and workers, hears what they say, and starts one again that dies. In production that is
// the business of systemd, PM2 or whatever runs your containers.
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { createInterface } = require('node:readline');

const LINE = /^(?:web|worker) \d+: (ready|received|worked off)(?: at http:.*:(\d+))?/;

/** `onLine` hears every line that is printed. */
function createProcesses({ onLine }) {
  /** All there have been, the oldest first. */
  const all = [];
  /** The last lines, for whoever has to tell why something went wrong. */
  const lines = [];
  let isEnding = false;

  function hear(line) {
    lines.push(line);
    if (lines.length > 50) lines.shift();
    onLine(line);
  }

  /** Starts `web.js` or `worker.js`. Resolves when it is ready. */
  async function start(kind, env) {
    if (isEnding) throw new Error('Nothing is started any more.');
    const child = spawn(process.execPath, [path.join(__dirname, `${kind}.js`)], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // Ctrl-C is ours to pass on
    });
    const one = { kind, pid: child.pid, received: 0, workedOff: 0, isReady: false, isToEnd: false, child };
    all.push(one);
    const ready = new Promise((resolve) => {
      for (const input of [child.stdout, child.stderr]) {
        createInterface({ input }).on('line', (line) => {
          const [, what, port] = LINE.exec(line) ?? [];
          if (what === 'ready') resolve(Object.assign(one, { isReady: true, port }));
          if (what === 'received') one.received += 1;
          if (what === 'worked off') one.workedOff += 1;
          hear(line);
        });
      }
    });
    one.ended = once(child, 'close').then(([code]) => {
      if (one.isReady && !one.isToEnd)
        start(kind, { ...env, PORT: one.port }).catch((error) => hear(error.message));
      return code;
    });
    await Promise.race([ready, one.ended]);
    if (!one.isReady && !one.isToEnd)
      throw new Error(`A ${kind} process did not get ready.\n${lines.join('\n')}`);
    return one;
  }

  /** Ends a process as it should be ended; gives its exit code. */
  function stop(one) {
    one.isToEnd = true;
    one.child.kill('SIGTERM');
    return one.ended;
  }

  async function stopAll() {
    isEnding = true;
    await Promise.all(all.map(stop));
  }

  return { all, lines, start, stop, stopAll };
}

module.exports = { createProcesses };
