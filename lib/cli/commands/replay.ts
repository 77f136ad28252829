// replay: webhooks once more, by their correlation ids.
import { MemoryActivityLog } from '../../activity/memory-activity-log';
import { codeOf } from '../../errors';
import { CONFIG_OPTION, JSON_OPTION, type Command } from '../command';
import { EXIT, UsageError } from '../failures';
import { withSite, type Site } from '../site';

/** What became of one id. */
interface Replayed {
  readonly id: string;
  /** Under which id the activity log tells what comes of it; `null` where it could not be done. */
  readonly recordId: string | null;
  readonly state: string;
  readonly outcome: string | null;
  readonly detail: string | null;
}

export const replay: Command = {
  name: 'replay',
  synopsis: 'ID…',
  summary: 'Does what webhooks asked for once more.',
  notes: [
    'ID is the correlation id: it stands in every line of the log, and in the header X-Correlation-Id of the answer.',
    'Needs an activity log in a store (option activityLog). With a queue the site works them off, without one this',
    'process does.',
  ],
  options: { ...JSON_OPTION, ...CONFIG_OPTION },
  takesWords: true,
  run: (call) => {
    const ids = [...new Set(call.words)];
    if (ids.length === 0) throw new UsageError('replay takes the ids of webhooks.');
    return withSite(call, { worker: false }, async (site) => {
      if (site.configuration.activityLog instanceof MemoryActivityLog) {
        throw new UsageError(
          `${site.file.name}: options.activityLog: is in the memory of each process, and this one knows no webhook of the site’s. Give it a store.`,
        );
      }
      const results: Replayed[] = [];
      for (const id of ids) {
        const result = await replayOne(site, id);
        results.push(result);
        const { recordId, state, outcome, detail } = result;
        const rest = detail === null ? '' : `: ${detail}`;
        if (!call.has('json')) call.terminal.print(`${id} -> ${recordId ?? '-'} ${outcome ?? state}${rest}`);
      }
      if (call.has('json')) call.terminal.printJson(results);
      return results.some(({ state }) => state === 'failed') ? EXIT.attention : EXIT.done;
    });
  },
};

async function replayOne({ webhook, describe }: Site, id: string): Promise<Replayed> {
  try {
    const recordId = await webhook.activity.replay(id);
    const record = await webhook.activity.get(recordId);
    const { state = 'waiting', outcome = null, detail = null } = record ?? {};
    // In the queue again, what it failed with before does not count any more.
    return { id, recordId, state, outcome, detail: state === 'failed' ? detail : null };
  } catch (error) {
    // Of this webhook alone; without a store there is no use in asking for the next one.
    if (codeOf(error) !== 'INVALID_REQUEST') throw error;
    return { id, recordId: null, state: 'failed', outcome: null, detail: describe(error) };
  }
}
