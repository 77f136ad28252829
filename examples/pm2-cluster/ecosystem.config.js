// What PM2 has to know: how many processes, when one of them is ready, and how long it may take to end.
const path = require('node:path');

module.exports = {
  apps: [
    {
      name: 'site',
      script: path.join(__dirname, 'site.js'),
      exec_mode: 'cluster', // all processes listen on one port
      instances: process.env.INSTANCES ?? 4, // or 'max': one for each core
      wait_ready: true, // a process is ready when it says so, not when it was started
      listen_timeout: 30_000, // a reload ends the old process after this time, whether the new one is ready or not
      kill_timeout: 40_000, // longer than a webhook may take (25 s) and `webhook.close()` after it (10 s)
      shutdown_with_message: process.platform === 'win32', // there are no signals there
    },
  ],
};
