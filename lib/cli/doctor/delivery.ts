// Whether the queue and the activity log can be had, and what waits there.
import { MemoryActivityLog } from '../../activity/memory-activity-log';
import type { Site } from '../site';
import { attempt, inWords, notChecked, ok, toDo, warning, type Check } from './check';

/** What waits for longer may wait for a worker that is not there. */
const LONG_MS = 10 * 60_000;

export async function checkQueue(site: Site): Promise<readonly Check[]> {
  const { queue, name } = site.configuration;
  if (queue === undefined) {
    return [ok('queue', 'none: webhooks are processed within their requests')];
  }
  return attempt(site, 'queue', async () => {
    const findings = (await queue.check?.()) ?? [];
    const found = findings.map(({ severity, message }) =>
      (severity === 'error' ? toDo : warning)('queue', message),
    );
    const { waiting, dead, oldestWaiting } = await queue.counts(name);
    const since = oldestWaiting === null ? '' : `, the oldest since ${oldestWaiting.toISOString()}`;
    const isLong = oldestWaiting !== null && Date.now() - oldestWaiting.getTime() > LONG_MS;
    const waits = `${inWords(waiting, 'webhook')} waiting${since}`;
    return [
      ...found,
      ...(queue.check === undefined ? [notChecked('queue', 'it has no check()')] : []),
      isLong
        ? warning('queue', `${waits}: does a process of the site work it off? is the CRM to be had?`)
        : ok('queue', waits),
      dead === 0
        ? ok('dead letters', 'none')
        : toDo(
            'dead letters',
            `${dead}: look at them with "dead list", then "dead replay" or "dead purge" them`,
          ),
    ];
  });
}

export async function checkActivityLog(site: Site): Promise<readonly Check[]> {
  const { activityLog } = site.configuration;
  const name = 'activity log';
  if (activityLog === undefined) return [ok(name, 'none: activityLog is false')];
  if (activityLog instanceof MemoryActivityLog) return [ok(name, 'in the memory of each process')];
  return attempt(site, name, async () => {
    await activityLog.list(site.configuration.name, { limit: 1 });
    return [ok(name, 'it can be read')];
  });
}
