// Sends webhooks: over so many connections, each with the next one as soon as its last is answered, or so many a second, whatever
// the answers take. Beside them it may ask for another page of the site, as a visitor does.
const http = require('node:http');
const { performance } = require('node:perf_hooks');
const { setTimeout: pause } = require('node:timers/promises');
const { now, serve } = require('../processes');

let agent;
let visitors;
/** Whether visits go on. */
let isVisiting = false;

function get(url, through) {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const request = http.get(url, { agent: through }, (response) => {
      response.resume();
      response.on('end', () => resolve({ status: response.statusCode, ms: performance.now() - begun }));
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}

const answered = (asked) => asked.catch((error) => ({ status: error.code ?? 'error', ms: 0 }));

serve({
  begin() {
    visitors = new http.Agent({ keepAlive: true });
  },
  /** Resolves when all are answered: when that began and ended, and status and milliseconds of each. */
  async send({ url, contactIds, connections = 20, perSecond }) {
    agent = new http.Agent({ keepAlive: true, maxSockets: connections });
    const urlOf = (id) => url.replace('CONTACT', id);
    const begunAt = now();
    const answers = [];
    if (perSecond === undefined) {
      const left = [...contactIds];
      const connection = async () => {
        for (let id = left.shift(); id !== undefined; id = left.shift()) {
          answers.push(await answered(get(urlOf(id), agent)));
        }
      };
      await Promise.all(Array.from({ length: connections }, connection));
    } else {
      // From the time at which each should have been sent, so that a stall counts for all that it kept back.
      const sent = [];
      for (const [index, id] of contactIds.entries()) {
        const due = begunAt + (index * 1000) / perSecond;
        if (due > now()) await pause(due - now());
        sent.push(answered(get(urlOf(id), agent)).then(({ status }) => ({ status, ms: now() - due })));
      }
      answers.push(...(await Promise.all(sent)));
    }
    const endedAt = now();
    agent.destroy();
    return { begunAt, endedAt, answers };
  },
  /** Asks for a page again and again until `leave`: milliseconds of each. */
  async visit({ url, everyMs }) {
    const seen = [];
    isVisiting = true;
    while (isVisiting) {
      const due = now();
      await answered(get(url, visitors));
      seen.push(now() - due);
      await pause(everyMs);
    }
    return seen;
  },
  leave() {
    isVisiting = false;
  },
  end() {
    visitors.destroy();
  },
});
