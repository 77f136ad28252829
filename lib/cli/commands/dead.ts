// dead: the webhooks that the queue gave up.
import type { DeadJob } from '../../queue/queue';
import { suggestion } from '../../unknown-options';
import { CONFIG_OPTION, JSON_OPTION, type Call, type Command } from '../command';
import { EXIT, UsageError } from '../failures';
import { withSite, type Site } from '../site';
import { columns } from '../terminal';

const ACTIONS = ['list', 'replay', 'purge'];

export const dead: Command = {
  name: 'dead',
  synopsis: '[list [--limit N] | replay (ID… | --all) | purge (ID… | --all [--yes])]',
  summary: 'Lists the webhooks that were given up, puts them back into the queue, or deletes them.',
  notes: [
    'list, the oldest first, is what it does without a word. What is replayed is worked off by the site,',
    'within seconds. What is purged is gone; purging all asks first, and needs --yes where nobody can be asked.',
  ],
  options: {
    limit: { argument: 'N', description: 'list: how many at most; default 100' },
    all: { description: 'replay, purge: all of them' },
    yes: { description: 'purge --all: do not ask' },
    ...JSON_OPTION,
    ...CONFIG_OPTION,
  },
  takesWords: true,
  run: (call) => {
    const [action = 'list', ...ids] = call.words;
    if (!ACTIONS.includes(action)) {
      throw new UsageError(
        `${JSON.stringify(action)} is nothing that dead can do${suggestion(action, ACTIONS) || `. There are: ${ACTIONS.join(', ')}.`}`,
      );
    }
    if (action === 'list' && ids.length > 0) throw new UsageError('dead list takes no ids.');
    if (action !== 'list' && call.has('all') === ids.length > 0) {
      throw new UsageError(`dead ${action} takes ids, or --all.`);
    }
    const limit = call.wholeNumber('limit', { least: 1, most: 1_000_000 }) ?? 100;
    return withSite(call, { worker: false }, async (site) => {
      if (action === 'list') return list(call, site, limit);
      return action === 'replay' ? replay(call, site, ids) : purge(call, site, ids);
    });
  },
};

async function list(call: Call, { webhook }: Site, limit: number): Promise<number> {
  const { terminal } = call;
  const letters = await webhook.deadLetters.list({ limit });
  if (call.has('json')) {
    terminal.printJson(letters);
    return EXIT.done;
  }
  const head = ['ID', 'CONTACT', 'ACTION', 'RECEIVED', 'CODE', 'DETAIL'];
  if (letters.length > 0) for (const row of columns([head, ...letters.map(rowOf)])) terminal.print(row);
  const { dead: all } = await webhook.queueCounts();
  if (all === 0) terminal.tell('There are no dead letters.');
  else if (all > letters.length) terminal.tell(`${all - letters.length} more: --limit ${all}.`);
  return EXIT.done;
}

const rowOf = ({ id, contactId, job }: DeadJob): string[] => [
  id,
  contactId,
  job.action,
  new Date(job.receivedAt).toISOString(),
  job.failure?.code ?? '',
  job.failure?.detail ?? '',
];

async function replay(call: Call, { webhook }: Site, ids: readonly string[]): Promise<number> {
  const { deadLetters } = webhook;
  const count = await (ids.length === 0 ? deadLetters.replay() : deadLetters.replay(ids));
  return tellCount(call, 'replayed', count, ids);
}

async function purge(call: Call, { webhook }: Site, ids: readonly string[]): Promise<number> {
  const { terminal } = call;
  if (ids.length === 0 && !call.has('yes')) {
    if (!terminal.canAsk) throw new UsageError('dead purge --all needs --yes where nobody can be asked.');
    const { dead: all } = await webhook.queueCounts();
    if (all === 0) return tellCount(call, 'purged', 0, ids);
    if (
      !(await terminal.asks(`Delete ${all === 1 ? 'the dead letter' : `all ${all} dead letters`} for good?`))
    ) {
      terminal.tell('Nothing was deleted.');
      return EXIT.attention;
    }
  }
  const { deadLetters } = webhook;
  const count = await (ids.length === 0 ? deadLetters.purge() : deadLetters.purge(ids));
  return tellCount(call, 'purged', count, ids);
}

function tellCount(call: Call, done: 'replayed' | 'purged', count: number, ids: readonly string[]): number {
  const { terminal } = call;
  if (call.has('json')) terminal.printJson({ [done]: count });
  else terminal.print(`${done} ${count}`);
  const missing = new Set(ids).size - count;
  if (missing <= 0) return EXIT.done;
  terminal.tell(
    `${missing} of these ids ${missing === 1 ? 'is that of no' : 'are those of no'} dead letter.`,
  );
  return EXIT.attention;
}
