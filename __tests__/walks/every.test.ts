// reconcile({ everyMs }): walks again and again, whatever becomes of one walk, until somebody stops it.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../actions/site';
import { HOUR, isPage, open, pagesOf, sinceOf, watchProcess, WAYS } from './scene';

watchProcess();

const anHourAgo = (): Date => new Date(Date.now() - HOUR);
const everyMs = 1000;

describe.each(WAYS)('%s', (way) => {
  test('walks again, from where it got to, until its signal is aborted', async () => {
    const { sandbox, site, member, user } = await open(way);
    const id = await member({ f2: 'gold' });
    const stop = new AbortController();
    const since = anHourAgo();
    const walk = site.webhook.reconcile({ since, everyMs, signal: stop.signal });
    await sandbox.waitForCalls(isPage, 2);
    sandbox.updateContact(id, { f2: 'platinum' });
    await until(() => user(id)?.meta.plan === 'platinum');
    const pages = pagesOf(sandbox);
    expect(sinceOf(pages[0]!)).toBe(Math.floor(since.getTime() / 1000));
    expect(sinceOf(pages.at(-1)!)).toBeGreaterThan(sinceOf(pages[0]!)!);
    stop.abort();
    expect(await walk).toMatchObject({ contacts: 1 });
  });

  test('what is remembered counts for more than since', async () => {
    const { sandbox, site, member } = await open(way);
    await member();
    await site.webhook.reconcile({ since: anHourAgo() });
    sandbox.clearCalls();
    const stop = new AbortController();
    const since = new Date(Date.now() - 100 * HOUR);
    const walk = site.webhook.reconcile({ since, everyMs, signal: stop.signal });
    await sandbox.waitForCalls(isPage, 1);
    expect(sinceOf(pagesOf(sandbox)[0]!)).toBeGreaterThan((since.getTime() + HOUR) / 1000);
    stop.abort();
    await walk;
  });

  test('an error in one walk is logged, and ends nothing', async () => {
    const logged: unknown[] = [];
    const log = (details: unknown): void => void logged.push(details);
    const { sandbox, site, member, user } = await open(way, {
      logger: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: log },
    });
    const id = await member({ f2: 'gold' });
    await site.webhook.reconcile({ since: anHourAgo() });
    sandbox.clearCalls();
    sandbox.fail({ where: isPage, with: 'unauthorized', times: 1 });
    sandbox.updateContact(id, { f2: 'platinum' });
    const stop = new AbortController();
    const walk = site.webhook.reconcile({ everyMs, signal: stop.signal });
    await until(() => user(id)?.meta.plan === 'platinum');
    expect(logged).toMatchObject([{ code: 'CRM_UNAUTHORIZED' }]);
    stop.abort();
    await walk;
  });

  test('a first walk that fails before any contact does not take since with it', async () => {
    const { sandbox, site, member, user } = await open(way);
    const id = await member({ f2: 'gold' }, { meta: { plan: 'silver' } });
    sandbox.fail({ where: isPage, with: 'unauthorized', times: 1 });
    const stop = new AbortController();
    const walk = site.webhook.reconcile({ since: anHourAgo(), everyMs, signal: stop.signal });
    await sandbox.waitForCalls(isPage, 1);
    const patience = setTimeout(() => stop.abort(), 3 * everyMs);
    await until(() => user(id)?.meta.plan === 'gold' || stop.signal.aborted);
    clearTimeout(patience);
    stop.abort();
    await walk;
    expect(user(id)?.meta.plan).toBe('gold');
  });

  test('nothing remembered and no since is told at once, not to the log each time', async () => {
    const { site } = await open(way);
    const stop = new AbortController();
    const patience = setTimeout(() => stop.abort(), 500);
    const end = await site.webhook
      .reconcile({ everyMs, signal: stop.signal })
      .catch((error: unknown) => error);
    clearTimeout(patience);
    expect(end).toMatchObject({ code: 'INVALID_OPTION', option: 'since' });
  });

  test('closing ends it, while it walks and while it waits', async () => {
    const { sandbox, site, member, another } = await open(way);
    await member();
    const waiting = site.webhook.reconcile({ since: anHourAgo(), everyMs: HOUR });
    for await (const { finished } of waiting) if (finished) break;
    await site.webhook.close();
    expect(await waiting).toMatchObject({ contacts: 1 });

    const other = await another();
    const held = sandbox.hold({ where: isPage });
    const walking = other.webhook.reconcile({ all: true, everyMs: HOUR });
    await held.caught();
    await other.webhook.close();
    expect(await walking).toMatchObject({ contacts: 0, finished: false });
    held.release();
  });
});

test('waiting for the next time keeps no process alive', async () => {
  // Killed where it does not end; then this rejects.
  const child = promisify(execFile)(process.execPath, [join(__dirname, 'idle.js')], { timeout: 20_000 });
  expect((await child).stdout).toBe('walked');
});
