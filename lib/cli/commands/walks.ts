// import and reconcile: walks through the CRM's contacts, watched from a terminal.
import { codeOf, type ConfigurationError } from '../../errors';
import type { Walk, WalkProgress } from '../../walks/walk';
import { CONFIG_OPTION, JSON_OPTION, PROGRAM, type Call, type Command, type CommandOption } from '../command';
import { EXIT, UsageError } from '../failures';
import { Interruption } from '../interruption';
import { withSite, type Site } from '../site';
import { summaryOf, WalkDisplay } from '../walk-display';
import { knownRole } from './url';

/**
 * With a queue a walk only stores webhooks, and somebody has to work them off. Before a site goes live nobody else does, so this
 * process does; one more beside those of the site does no harm.
 */
const WORKER_OPTION: Readonly<Record<string, CommandOption>> = {
  'no-worker': { description: 'leave the work to the site’s own processes, where there is a queue' },
};

const NOTES = [
  'Ctrl-C stops it: what is under way is finished, and with a queue the same walk goes on there later.',
  'With a queue this process works it off beside those of the site.',
];

export const importCommand: Command = {
  name: 'import',
  synopsis: '--tag NAME [options]',
  summary:
    'Creates the users of a tag, and links and updates those that are there: an add for each of its contacts.',
  notes: NOTES,
  options: {
    tag: { argument: 'NAME', description: 'the tag, by its name or its id' },
    role: { argument: 'ROLE', description: 'the role of the users, one of roles.assignable' },
    'send-notification': { description: 'send the welcome mail to each new user' },
    restart: { description: 'begin at the first contact, also where an import of the tag was stopped' },
    ...WORKER_OPTION,
    ...JSON_OPTION,
    ...CONFIG_OPTION,
  },
  run: (call) => {
    const tag = call.requiredText('tag');
    const role = call.text('role');
    const sendNotification = call.has('send-notification');
    const restart = call.has('restart');
    return walk(call, {
      start: ({ webhook, configuration }, signal) => {
        if (sendNotification && configuration.notifier === undefined) {
          throw new UsageError('--send-notification needs a notifier, and this site has none.');
        }
        const known = role === undefined ? undefined : knownRole(role, configuration);
        return webhook.importContacts({ tag, role: known, sendNotification, restart, signal });
      },
      // It would begin again.
      continuedBy: call.given.filter((word) => word !== '--restart'),
    });
  },
};

export const reconcile: Command = {
  name: 'reconcile',
  synopsis: '[--since WHEN | --all] [options]',
  summary:
    'Brings users up to date whose contacts were modified since then: also those whose webhooks never arrived.',
  notes: ['It creates no users. Without --since it goes on where the last one got to.', ...NOTES],
  options: {
    since: {
      argument: 'WHEN',
      description: 'a date (2026-11-01), a moment (2026-11-01T12:00:00Z), or 30m, 12h, 7d ago',
    },
    all: { description: 'all contacts, for what changes without them: renamed tags, another field map' },
    ...WORKER_OPTION,
    ...JSON_OPTION,
    ...CONFIG_OPTION,
  },
  run: (call) => {
    const all = call.has('all');
    const given = call.text('since');
    if (all && given !== undefined) throw new UsageError('--all cannot stand beside --since.');
    const since = given === undefined ? undefined : momentOf(given, Date.now());
    if (since !== undefined) call.terminal.tell(`Contacts modified since ${since.toISOString()}`);
    return walk(call, {
      start: ({ webhook }, signal) => webhook.reconcile({ since, all, signal }),
      // Without a date it goes on; with one it would begin again.
      continuedBy: call.given.filter(
        (word, index, words) =>
          !/^--(since|all)(=|$)/.test(word) && (words[index - 1] !== '--since' || word.startsWith('--')),
      ),
    });
  },
};

async function walk(
  call: Call,
  {
    start,
    continuedBy,
  }: { readonly start: (site: Site, signal: AbortSignal) => Walk; readonly continuedBy: readonly string[] },
): Promise<number> {
  const { terminal } = call;
  const interruption = new Interruption(() =>
    terminal.tell('Stopping; what is under way is finished. Ctrl-C again ends it at once.'),
  );
  return withSite(call, { worker: !call.has('no-worker') }, async (site) => {
    const progress = await watched(start(site, interruption.signal), call);
    if (call.has('json')) terminal.printJson(progress);
    else for (const line of summaryOf(progress)) terminal.print(line);
    if (progress.waiting > 0) {
      terminal.tell(
        'What is waiting is stored in the queue, and done as soon as a process of the site works it off.',
      );
    }
    if (!progress.finished) {
      tellHowToGoOn(call, site, progress, continuedBy);
      return interruption.exitCode ?? EXIT.attention;
    }
    return progress.failed > 0 ? EXIT.attention : EXIT.done;
  });
}

async function watched(started: Walk, { terminal }: Call): Promise<WalkProgress> {
  const display = new WalkDisplay(terminal);
  try {
    for await (const progress of started) display.show(progress);
    return await started;
  } catch (error) {
    if (codeOf(error) === 'INVALID_OPTION' && (error as ConfigurationError).option === 'since') {
      throw new UsageError('No walk before this one is remembered: say --since 7d, or --all.');
    }
    throw error;
  } finally {
    display.end();
  }
}

function tellHowToGoOn(
  { terminal, name, given }: Call,
  { configuration }: Site,
  { position }: WalkProgress,
  continuedBy: readonly string[],
): void {
  const command = (words: readonly string[]): string =>
    ['npx', PROGRAM, name, ...words.map(quoted)].join(' ');
  const { queue } = configuration;
  const remembers = queue?.readPosition !== undefined && queue.writePosition !== undefined;
  if (remembers) {
    terminal.tell(
      `Stopped ${position === null ? 'before the first contact' : `behind contact ${position}`}. To go on:`,
    );
    terminal.tell(`  ${command(continuedBy)}`);
  } else {
    terminal.tell(
      'Stopped. Nothing remembers where, for the site has no queue; begin again, which finds what is done up to date:',
    );
    terminal.tell(`  ${command(given)}`);
  }
}

/** A word as a shell reads it back. */
const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** A moment that has passed: a date, a moment of ISO 8601, or how long ago. */
function momentOf(given: string, now: number): Date {
  const [, count = '', unit = ''] = /^(\d{1,6})([mhdw])$/.exec(given) ?? [];
  const isDate = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(given);
  const at = count === '' ? (isDate ? Date.parse(given) : NaN) : now - Number(count) * (UNITS[unit] ?? NaN);
  if (Number.isNaN(at)) {
    throw new UsageError(
      `--since must be as 2026-11-01, 2026-11-01T12:00:00Z or 7d, got ${JSON.stringify(given)}.`,
    );
  }
  if (at > now) throw new UsageError('--since lies in the future.');
  return new Date(at);
}
