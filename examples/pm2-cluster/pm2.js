// PM2 for trying it out: in the foreground, in a folder of its own, and with an ear for what the processes of the site say.
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { createInterface } = require('node:readline');

const LINE = /^process (\d+): (ready|received|worked off)/;

/** Starts the site as `npx pm2-runtime ecosystem.config.js` does. `onLine` hears every line that is printed. */
function startPm2({ env, onLine }) {
  // PM2 keeps its sockets here; another PM2 of this machine, in ~/.pm2, is not touched.
  const home = mkdtempSync(path.join(tmpdir(), 'wpf-pm2-'));
  const options = { env: { ...process.env, ...env, PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: 'true' } };
  const run = (command, ...args) =>
    spawn(process.execPath, [command, ...args], {
      ...options,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // Ctrl-C is ours to pass on, once
    });

  const runtime = run(
    require.resolve('pm2/bin/pm2-runtime'),
    'start',
    path.join(__dirname, 'ecosystem.config.js'),
  );
  const ended = once(runtime, 'close');
  /** What each process of the site, by its id, has said of itself. */
  const processes = new Map();
  /** The last lines, for whoever has to tell why something went wrong. */
  const lines = [];
  for (const stream of [runtime.stdout, runtime.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      const [, pid, what] = LINE.exec(line) ?? [];
      if (what === 'ready') processes.set(Number(pid), { received: 0, workedOff: 0 });
      if (what === 'received') processes.get(Number(pid)).received += 1;
      if (what === 'worked off') processes.get(Number(pid)).workedOff += 1;
      lines.push(line);
      if (lines.length > 50) lines.shift();
      onLine(line);
    });
  }

  return {
    home,
    processes,
    lines,
    hasEnded: () => runtime.exitCode !== null || runtime.signalCode !== null,
    /** Resolves when PM2 says that all processes were replaced. */
    async reload() {
      const reload = run(require.resolve('pm2/bin/pm2'), 'reload', 'site');
      reload.stdout.resume();
      reload.stderr.resume();
      const [code] = await once(reload, 'close');
      if (code !== 0) throw new Error(`pm2 reload ended with ${code}.`);
    },
    /** Ends PM2, which ends the processes of the site; gives PM2's exit code. */
    async stop() {
      runtime.kill('SIGTERM');
      const [code] = await ended;
      rmSync(home, { recursive: true });
      return code;
    },
  };
}

module.exports = { startPm2 };
