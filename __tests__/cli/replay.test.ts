// replay: webhooks once more, out of an activity log that the site and the command share.
import { appendFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { ActivityEntry } from '../../lib';
import { KnexWebhookQueue } from '../../lib/knex';
import { openSite, type TestSite } from './command';

/** An activity log in a file: what was told, line by line. */
const IN_FILE = `
  activityLog: (() => {
    const fs = require('node:fs');
    const path = require('node:path');
    const file = path.join(__dirname, 'activity.jsonl');
    const log = async () => {
      const memory = new MemoryActivityLog();
      const lines = fs.readFileSync(file, 'utf8').split('\\n').filter((line) => line !== '');
      await memory.write('default', lines.map((line) => JSON.parse(line)));
      return memory;
    };
    return {
      write: async (_name, entries) => fs.appendFileSync(file, entries.map((entry) => JSON.stringify(entry) + '\\n').join('')),
      list: async (name, filter) => (await log()).list(name, filter),
      counts: async (name, range) => (await log()).counts(name, range),
      get: async (name, id) => (await log()).get(name, id),
      forget: async () => 0,
    };
  })(),`;

const fileOf = ({ folder }: TestSite): string => path.join(folder.path, 'activity.jsonl');

const record = (site: TestSite, entry: Partial<ActivityEntry> & { id: string }): void =>
  appendFileSync(
    fileOf(site),
    `${JSON.stringify({ receivedAt: 1, key: 'key 1', action: 'add', state: 'done', outcome: 'created', ...entry })}\n`,
  );

test('without a queue does it here, and tells what became of it', async () => {
  const site = await openSite({ queue: false, options: IN_FILE });
  const contactId = site.sandbox.addContact({ email: 'mary@example.com' });
  record(site, { id: 'one', contactId });
  record(site, { id: 'two', contactId: site.sandbox.addContact({ firstname: 'Nobody' }) });
  const { code, stdout } = await site.folder.run('replay', 'one', 'two', 'three', 'one');
  expect(code).toBe(1);
  const lines = stdout.trimEnd().split('\n');
  expect(lines).toEqual([
    expect.stringMatching(/^one -> \S{8,} created$/),
    expect.stringMatching(/^two -> \S{8,} failed: .*email/),
    'three -> - failed: There is no webhook with this id; it may be too old.',
  ]);
  const [, recordId = ''] = /-> (\S+)/.exec(lines[0]!) ?? [];
  expect(readFileSync(fileOf(site), 'utf8')).toContain(`"id":"${recordId}"`);
  expect(await site.database.knex('wpf_users').pluck('email')).toEqual(['mary@example.com']);
});

test('with a queue leaves it to the site; one that was given up goes back as it was', async () => {
  const site = await openSite({ options: IN_FILE });
  const queue = new KnexWebhookQueue(site.database.knex);
  const jobId = await queue.put('default', '1', { action: 'update', receivedAt: 1, correlationId: 'dead' });
  const [taken] = await queue.take('default', 1);
  await queue.finish('default', taken!, new Map([[jobId, { kind: 'dead', job: taken!.jobs[0]!.job }]]));
  record(site, { id: 'done', contactId: '7' });
  record(site, {
    id: 'dead',
    contactId: '1',
    action: 'update',
    state: 'dead',
    outcome: null,
    code: 'CONTACT_CONFLICT',
    detail: 'It is taken.',
    jobId,
  });
  const { code, stdout } = await site.folder.run('replay', 'done', 'dead', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual([
    {
      id: 'done',
      recordId: expect.stringMatching(/^\S{8,}$/),
      state: 'waiting',
      outcome: null,
      detail: null,
    },
    { id: 'dead', recordId: 'dead', state: 'waiting', outcome: null, detail: null },
  ]);
  expect(await queue.counts('default')).toMatchObject({ waiting: 2, dead: 0 });
});

test('an activity log in memory is refused: this process knows nothing of the site’s', async () => {
  const { folder } = await openSite();
  const { code, stderr } = await folder.run('replay', 'one');
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining('options.activityLog: is in the memory of each process'),
  ]);
  const without = await openSite({ options: 'activityLog: false,' });
  expect(await without.folder.run('replay', 'one')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('activityLog: is false'),
  });
});
