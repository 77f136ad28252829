// What arrived at the site and what became of it, as the middleware's events tell it: for the page of the demo.

/** How many webhooks are remembered. */
const KEPT = 50;

/**
 * Begins to listen; gives the list, the newest last. `state` is `queued`, `done`, `dead` (given up) or `failed` (never
 * stored); `told` is the rest, in words.
 */
function keepJournal(webhook) {
  const lines = [];
  let number = 0;
  const add = ({ action, contactId, dryRun = false }) => {
    const line = { number: ++number, action, contactId, dryRun };
    lines.push(line);
    if (lines.length > KEPT) lines.shift();
    return line;
  };
  /** The line that an event is about: one that waits, else one that was given up and tried again. */
  const lineOf = (event) => {
    const same = lines.filter((line) => line.action === event.action && line.contactId === event.contactId);
    const inState = (wanted) => same.find(({ state }) => state === wanted);
    // Without one it is older than this process.
    return inState('queued') ?? inState('dead') ?? add(event);
  };

  webhook.on('webhook.received', (event) => {
    Object.assign(add(event), {
      state: 'queued',
      outcome: '',
      told: 'It is stored, and answered with 202. It waits for its turn.',
    });
  });
  webhook.on('webhook.processed', (event) => {
    Object.assign(lineOf(event), {
      state: 'done',
      outcome: event.dryRun ? `dry run: ${outcomeOf(event)}` : outcomeOf(event),
      told: JSON.stringify(event, null, 2),
    });
  });
  webhook.on('webhook.failed', (event) => {
    const { action, code, detail, willRetry } = event;
    // What was never stored was refused to its sender.
    const line = action === null ? add(event) : lineOf(event);
    const isInQueue = action !== null && code !== 'QUEUE_UNAVAILABLE' && !line.dryRun;
    Object.assign(line, {
      state: willRetry ? 'queued' : isInQueue ? 'dead' : 'failed',
      outcome: willRetry ? `${code}, is tried again` : code,
      told: detail,
    });
  });
  return lines;
}

const outcomeOf = ({ outcome, reason, warnings }) =>
  [reason === undefined ? outcome : `${outcome}: ${reason}`, ...warnings.map(({ code }) => code)].join(', ');

module.exports = { keepJournal };
