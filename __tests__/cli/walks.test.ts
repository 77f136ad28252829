// import and reconcile, off a terminal and on one: what they do, what they say, and how they are stopped and gone on with.
import express from 'express';
import { once } from 'node:events';
import { OntraportClient, wpFusionWebhook } from '../../lib';
import { KnexUserRepository, KnexWebhookQueue } from '../../lib/knex';
import type { OntraportSandbox } from '../../lib/testing';
import { until } from '../actions/site';
import { holdSecondPage } from '../walks/scene';
import { ACCESS_KEY, isTerminalThere, openSite, secretsOf, type Ended, type TestSite } from './command';

const addMembers = (sandbox: OntraportSandbox, count: number): string[] =>
  Array.from({ length: count }, (_, index) =>
    sandbox.addContact({ email: `p${index}@example.com`, firstname: `P${index}`, tags: ['Member'] }),
  );

const emailsOf = async ({ database }: TestSite): Promise<string[]> =>
  (await database.knex('wpf_users').orderBy('id').pluck('email')) as string[];

const expectNoSecrets = (site: TestSite, { stdout, stderr }: Ended): void => {
  for (const secret of secretsOf(site)) expect(stdout + stderr).not.toContain(secret);
};

describe.each([
  ['with a queue', true],
  ['without a queue', false],
])('import, %s', (_way, queue) => {
  test('creates the users of a tag, says what became of them, and finds them up to date the next time', async () => {
    const site = await openSite({ queue });
    addMembers(site.sandbox, 3);
    site.sandbox.addContact({ email: 'other@example.com', tags: ['VIP'] });
    const first = await site.folder.run('import', '--tag', 'Member', '--role', 'Customer');
    expect(first).toMatchObject({ code: 0, stdout: '3 contacts: 3 created\n' });
    expect(first.stderr).toMatch(/^\d contacts?: /);
    expect(await emailsOf(site)).toEqual(['p0@example.com', 'p1@example.com', 'p2@example.com']);
    expect(await site.database.knex('wpf_users').distinct('role').pluck('role')).toEqual(['customer']);
    const again = await site.folder.run('import', '--tag', 'Member', '--json');
    expect([again.code, JSON.parse(again.stdout)]).toMatchObject([
      0,
      { contacts: 3, unchanged: 3, finished: true },
    ]);
    expectNoSecrets(site, first);
  });

  test('ends with 1 where a contact failed, and names it', async () => {
    const site = await openSite({ queue });
    addMembers(site.sandbox, 1);
    const id = site.sandbox.addContact({ firstname: 'Nobody', tags: ['Member'] });
    const { code, stdout } = await site.folder.run('import', '--tag', 'Member');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^2 contacts: 1 created, 1 failed\n/);
    expect(stdout).toContain(`failed: contact ${id}: CONTACT_WITHOUT_EMAIL: `);
    expect(stdout.includes('(the queue tries it again)')).toBe(queue);
  });

  test('names and emails do nothing to a terminal', async () => {
    const site = await openSite({
      queue,
      options:
        "hooks: { beforeCreate: () => { throw new Error('no'); } }, username: ({ fields }) => { throw Object.assign(new Error('\\u001b]0;title\\u0007' + fields.firstname), { code: 'CONTACT_CONFLICT' }); },",
    });
    site.sandbox.addContact({ email: 'mary@example.com', firstname: '\u001b[2Jx\u202e', tags: ['Member'] });
    const { stdout } = await site.folder.run('import', '--tag', 'Member');
    expect(stdout).toContain('failed: contact 1:');
    expect(stdout).not.toMatch(/[\u001b\u0007\u202e]/); // eslint-disable-line no-control-regex
  });

  test.each<[string, string[], RegExp]>([
    ['a tag that is not there', ['--tag', 'Membr'], /Ontraport has no contact tag with this name/],
    [
      'a role that is none',
      ['--tag', 'Member', '--role', 'custmer'],
      /--role: "custmer" is no role .*did you mean "customer"/,
    ],
    [
      'a mail that nobody sends',
      ['--tag', 'Member', '--send-notification'],
      /--send-notification needs a notifier/,
    ],
  ])('%s is refused', async (_what, args, message) => {
    const site = await openSite({ queue });
    addMembers(site.sandbox, 1);
    const { code, stdout, stderr } = await site.folder.run('import', ...args);
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(message)]);
    expect(await emailsOf(site)).toEqual([]);
  });

  test('a CRM that refuses ends it with 1', async () => {
    const site = await openSite({ queue });
    site.sandbox.fail({ with: 'unauthorized', times: Infinity });
    const { code, stdout, stderr } = await site.folder.run('import', '--tag', 'Member');
    expect([code, stdout, stderr]).toEqual([1, '', expect.stringContaining('credentials')]);
  });
});

describe('the work of an import', () => {
  test('is left to the site with --no-worker', async () => {
    const site = await openSite();
    const { sandbox, database } = site;
    addMembers(sandbox, 3);
    const webhook = wpFusionWebhook({
      accessKey: ACCESS_KEY,
      crm: new OntraportClient({ appId: sandbox.appId, apiKey: sandbox.apiKey, baseUrl: sandbox.baseUrl }),
      users: new KnexUserRepository(database.knex),
      queue: new KnexWebhookQueue(database.knex),
      logger: false,
    });
    const done: string[] = [];
    webhook.on('webhook.processed', ({ outcome }) => done.push(outcome));
    const server = express().use(webhook).listen(0);
    await once(server, 'listening');
    try {
      const { code, stdout } = await site.folder.run('import', '--tag', 'Member', '--no-worker');
      expect([code, stdout]).toEqual([0, '3 contacts: 3 created\n']);
      expect(done).toEqual(['created', 'created', 'created']);
    } finally {
      await webhook.close();
      server.close();
      await once(server, 'close');
    }
  });

  test('what nobody does is stored, and told, also after Ctrl-C', async () => {
    const site = await openSite();
    addMembers(site.sandbox, 2);
    const running = site.folder.start(['import', '--tag', 'Member', '--no-worker']);
    const queue = new KnexWebhookQueue(site.database.knex);
    await until(async () => (await queue.counts('default')).waiting === 2);
    running.kill('SIGINT');
    const { code, stdout, stderr } = await running.ended;
    expect([code, stdout]).toEqual([130, '2 contacts: 2 waiting\n']);
    expect(stderr).toContain('What is waiting is stored in the queue');
    expect((await queue.counts('default')).waiting).toBe(2);
    // Whoever works the queue off next does it.
    expect((await site.folder.run('import', '--tag', 'Member', '--restart')).code).toBe(0);
    expect(await emailsOf(site)).toHaveLength(2);
  });
});

describe('a walk that is stopped', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    'by %s finishes what is under way, and goes on there',
    async (signal) => {
      const site = await openSite();
      addMembers(site.sandbox, 70);
      const held = holdSecondPage(site.sandbox);
      const running = site.folder.start(['import', '--tag', 'Member', '--role', 'customer', '--restart']);
      await held.caught();
      // The walk itself knows of all by then, not only the database.
      await running.says(/50 contacts: 50 created/);
      running.kill(signal);
      await running.says(/Stopping; what is under way is finished/);
      held.release();
      const ended = await running.ended;
      expect(ended.code).toBe({ SIGINT: 130, SIGTERM: 143 }[signal]);
      expect(ended.stdout).toBe('50 contacts: 50 created\n');
      expect(ended.stderr).toContain(
        'Stopped behind contact 50. To go on:\n  npx wp-fusion-webhook import --tag Member --role customer\n',
      );
      const rest = await site.folder.run('import', '--tag', 'Member', '--role', 'customer');
      expect([rest.code, rest.stdout]).toEqual([0, '20 contacts: 20 created\n']);
    },
  );

  test('without a queue begins again, and says so', async () => {
    const site = await openSite({ queue: false });
    addMembers(site.sandbox, 60);
    const held = holdSecondPage(site.sandbox);
    const running = site.folder.start(['import', '--tag', 'Member']);
    await held.caught();
    running.kill('SIGINT');
    await running.says(/Stopping/);
    held.release();
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([
      130,
      expect.stringMatching(/Nothing remembers where.*\n {2}npx wp-fusion-webhook import --tag Member\n$/),
    ]);
    expect((await site.folder.run('import', '--tag', 'Member')).code).toBe(0);
    expect(await emailsOf(site)).toHaveLength(60);
  });

  test('twice ends at once, with work under way that never ends', async () => {
    const site = await openSite({
      queue: false,
      options:
        "hooks: { beforeCreate: () => { console.error('The host is at work'); return new Promise(() => undefined); } },",
    });
    addMembers(site.sandbox, 1);
    const running = site.folder.start(['import', '--tag', 'Member']);
    await running.says(/The host is at work/);
    running.kill('SIGINT');
    await running.says(/Ctrl-C again ends it at once/);
    running.kill('SIGINT');
    expect(await running.ended).toMatchObject({ code: 130, stdout: '' });
  });
});

describe('reconcile', () => {
  test('brings up to date what changed, and goes on where it got to', async () => {
    const site = await openSite();
    const [id = ''] = addMembers(site.sandbox, 2);
    await site.folder.run('import', '--tag', 'Member');
    site.sandbox.updateContact(id, { firstname: 'Zoe' });
    const ended = await site.folder.run('reconcile', '--since', '1d');
    expect([ended.code, ended.stdout]).toEqual([0, '2 contacts: 1 updated, 1 unchanged\n']);
    expect(ended.stderr).toMatch(/^Contacts modified since 20\d\d-/);
    expect((await site.database.knex('wpf_users').where({ contact_id: id }).first()).meta).toContain('Zoe');
    expect((await site.folder.run('reconcile')).code).toBe(0);
    expect((await site.folder.run('reconcile', '--all', '--json')).stdout).toContain('"unchanged": 2');
  });

  test('has to be told since when where nothing is remembered', async () => {
    const site = await openSite();
    const { code, stderr } = await site.folder.run('reconcile');
    expect([code, stderr]).toEqual([2, expect.stringContaining('say --since 7d, or --all.')]);
  });

  test('that is stopped goes on without a date', async () => {
    const site = await openSite();
    addMembers(site.sandbox, 60);
    const held = holdSecondPage(site.sandbox);
    const running = site.folder.start(['reconcile', '--since', '2020-01-01', '--verbose']);
    await held.caught();
    running.kill('SIGINT');
    await running.says(/Stopping/);
    held.release();
    const { code, stdout, stderr } = await running.ended;
    expect([code, stdout]).toEqual([130, '50 contacts: 50 skipped\n']);
    expect(stderr).toMatch(
      /Stopped behind contact 50. To go on:\n {2}npx wp-fusion-webhook reconcile --verbose\n$/,
    );
    expect((await site.folder.run('reconcile')).stdout).toBe('10 contacts: 10 skipped\n');
  });
});

describe('progress', () => {
  test('off a terminal is a line every few seconds', async () => {
    const site = await openSite();
    addMembers(site.sandbox, 60);
    const held = holdSecondPage(site.sandbox);
    const running = site.folder.start(['import', '--tag', 'Member']);
    await held.caught();
    await running.says(/^50 contacts: 50 created$/m);
    held.release();
    const { code, stderr } = await running.ended;
    expect(code).toBe(0);
    // The first one at once, which may be the last one too.
    const lines = stderr.trimEnd().split('\n');
    expect(lines.at(-1)).toBe('50 contacts: 50 created');
    expect(lines.length).toBeLessThanOrEqual(2);
  });

  const onTerminal = isTerminalThere() ? test : test.skip;

  onTerminal('on a terminal is a line that changes, and is gone at the end', async () => {
    const site = await openSite();
    addMembers(site.sandbox, 60);
    const held = holdSecondPage(site.sandbox);
    const running = site.folder.startOnTerminal(['import', '--tag', 'Member']);
    await held.caught();
    await running.says(/\r\u001b\[2K\[[-#]{12}\] 50 contacts: 50 created \(\d+ s, Ctrl-C stops\)/); // eslint-disable-line no-control-regex
    held.release();
    const { code, stdout } = await running.ended;
    expect([code, stdout]).toEqual([0, expect.stringMatching(/\r\u001b\[2K60 contacts: 60 created\r\n$/)]); // eslint-disable-line no-control-regex
  });

  onTerminal.each([
    ['import', ['--tag', 'Member'], 'npx wp-fusion-webhook import --tag Member'],
    ['reconcile', ['--since', '7d'], 'npx wp-fusion-webhook reconcile'],
  ])('Ctrl-C on a terminal stops %s cleanly', async (name, args, again) => {
    const site = await openSite();
    addMembers(site.sandbox, 60);
    const held = holdSecondPage(site.sandbox);
    const running = site.folder.startOnTerminal([name, ...args]);
    await held.caught();
    await running.says(/50 contacts: /);
    running.type('\x03');
    await running.says(/Stopping; what is under way is finished/);
    held.release();
    const { code, stdout } = await running.ended;
    expect(code).toBe(130);
    expect(stdout).toContain(`Stopped behind contact 50. To go on:\r\n  ${again}\r\n`);
    const rest = await site.folder.run(...again.split(' ').slice(2));
    expect([rest.code, rest.stdout]).toEqual([0, expect.stringMatching(/^10 contacts: /)]);
  });

  onTerminal('nobody who wants no colours gets lines that change', async () => {
    const site = await openSite();
    addMembers(site.sandbox, 1);
    const { code, stdout } = await site.folder.startOnTerminal(['import', '--tag', 'Member'], {
      NO_COLOR: '1',
    }).ended;
    expect([code, stdout]).toEqual([0, '1 contact: 1 created\r\n1 contact: 1 created\r\n']);
  });
});
