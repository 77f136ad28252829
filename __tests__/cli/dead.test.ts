// dead: what the queue gave up, seen, put back and deleted.
import type { Job } from '../../lib';
import { KnexWebhookQueue } from '../../lib/knex';
import { isTerminalThere, openSite, type TestSite } from './command';

/** Gives webhooks up; their ids. */
async function giveUp(
  { database }: TestSite,
  ...jobs: (Partial<Job> & { contactId: string })[]
): Promise<string[]> {
  const queue = new KnexWebhookQueue(database.knex);
  const ids: string[] = [];
  for (const { contactId, ...given } of jobs) {
    const job: Job = { action: 'update', receivedAt: Date.UTC(2026, 10, 1), ...given };
    ids.push(await queue.put('default', contactId, job));
    const [taken] = await queue.take('default', 1);
    await queue.finish('default', taken!, new Map([[taken!.jobs[0]!.id, { kind: 'dead', job }]]));
  }
  return ids;
}

const countsOf = async ({ database }: TestSite): Promise<[waiting: number, dead: number]> => {
  const { waiting, dead } = await new KnexWebhookQueue(database.knex).counts('default');
  return [waiting, dead];
};

const failure = { code: 'CONTACT_CONFLICT', detail: 'Email of \u001b[2Janother\u009b\ncontact.', at: 0 };

describe('list', () => {
  test.each([[[]], [['list']]])('%p shows them, the oldest first', async (words) => {
    const site = await openSite();
    const [one, other] = await giveUp(site, { contactId: '42', failure }, { contactId: '7', action: 'add' });
    const { code, stdout, stderr } = await site.folder.run('dead', ...words);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^ID +CONTACT +ACTION +RECEIVED +CODE +DETAIL$/),
      // What could move the cursor does not.
      expect.stringMatching(
        new RegExp(
          `^${one} +42 +update +2026-11-01T00:00:00.000Z +CONTACT_CONFLICT +Email of \ufffd\\[2Janother\ufffd contact\\.$`,
        ),
      ),
      expect.stringMatching(new RegExp(`^${other} +7 +add +2026-11-01T00:00:00.000Z$`)),
      '',
    ]);
  });

  test('is data with --json, and says how many more there are', async () => {
    const site = await openSite();
    const [id] = await giveUp(site, { contactId: '42', failure }, { contactId: '7' });
    const { stdout } = await site.folder.run('dead', 'list', '--json');
    expect(JSON.parse(stdout)).toMatchObject([
      { id, contactId: '42', job: { action: 'update', failure } },
      {},
    ]);
    expect(stdout).not.toMatch(/[\u001b\u009b]/); // eslint-disable-line no-control-regex
    const limited = await site.folder.run('dead', 'list', '--limit', '1');
    expect([limited.stdout.trimEnd().split('\n').length, limited.stderr]).toEqual([
      2,
      '1 more: --limit 2.\n',
    ]);
  });

  test('of none is empty', async () => {
    const { folder } = await openSite();
    expect(await folder.run('dead')).toEqual({ code: 0, stdout: '', stderr: 'There are no dead letters.\n' });
  });
});

describe('replay', () => {
  test('puts those with these ids back into the queue', async () => {
    const site = await openSite();
    const ids = await giveUp(site, { contactId: '1' }, { contactId: '2' }, { contactId: '3' });
    const { folder } = site;
    expect(await folder.run('dead', 'replay', ids[0]!, ids[2]!)).toEqual({
      code: 0,
      stdout: 'replayed 2\n',
      stderr: '',
    });
    expect(await countsOf(site)).toEqual([2, 1]);
    const again = await folder.run('dead', 'replay', ...ids, '--json');
    expect([again.code, JSON.parse(again.stdout)]).toEqual([1, { replayed: 1 }]);
    expect(again.stderr).toBe('2 of these ids are those of no dead letter.\n');
    expect(await countsOf(site)).toEqual([3, 0]);
  });

  test('of all of them', async () => {
    const site = await openSite();
    await giveUp(site, { contactId: '1' }, { contactId: '2' });
    expect(await site.folder.run('dead', 'replay', '--all')).toMatchObject({
      code: 0,
      stdout: 'replayed 2\n',
    });
    expect(await countsOf(site)).toEqual([2, 0]);
  });
});

describe('purge', () => {
  test('deletes those with these ids, or all with --yes', async () => {
    const site = await openSite();
    const ids = await giveUp(site, { contactId: '1' }, { contactId: '2' }, { contactId: '3' });
    expect(await site.folder.run('dead', 'purge', ids[1]!)).toMatchObject({ code: 0, stdout: 'purged 1\n' });
    expect(await site.folder.run('dead', 'purge', '--all', '--yes')).toMatchObject({
      code: 0,
      stdout: 'purged 2\n',
    });
    expect(await countsOf(site)).toEqual([0, 0]);
  });

  test('of all needs --yes where nobody can be asked', async () => {
    const site = await openSite();
    await giveUp(site, { contactId: '1' });
    const { code, stderr } = await site.folder.run('dead', 'purge', '--all');
    expect([code, stderr]).toEqual([2, expect.stringContaining('needs --yes')]);
    expect(await countsOf(site)).toEqual([0, 1]);
  });

  (isTerminalThere() ? test : test.skip).each<[string, string, number, number]>([
    ['y', 'y\n', 0, 0],
    ['n', 'n\n', 1, 2],
    ['nothing', '\n', 1, 2],
    ['Ctrl-C', '\x03', 130, 2],
    ['the end of the input', '\x04', 1, 2],
  ])('of all asks on a terminal: %s', async (_what, typed, code, left) => {
    const site = await openSite();
    await giveUp(site, { contactId: '1' }, { contactId: '2' });
    const running = site.folder.startOnTerminal(['dead', 'purge', '--all']);
    await running.says(/Delete all 2 dead letters for good\? \[y\/N\]/);
    running.type(typed);
    expect((await running.ended).code).toBe(code);
    expect(await countsOf(site)).toEqual([0, left]);
  });
});

test.each([['list'], ['replay'], ['purge']])(
  '%s without a queue is refused, with the option’s name',
  async (action) => {
    const { folder } = await openSite({ queue: false });
    const { code, stderr } = await folder.run('dead', action, ...(action === 'list' ? [] : ['1']));
    expect([code, stderr]).toEqual([2, expect.stringContaining('queue: is not given')]);
  },
);

test('a queue that is not to be had ends it with 1', async () => {
  const { folder, database } = await openSite();
  await database.knex.schema.dropTable('wpf_webhooks');
  const { code, stdout, stderr } = await folder.run('dead');
  expect([code, stdout, stderr]).toEqual([
    1,
    '',
    expect.stringMatching(/^wp-fusion-webhook: .*wpf_webhooks/),
  ]);
});
