// What the activity log is told of each webhook, inside its request and out of a queue.
import { inspect } from 'node:util';
import {
  MemoryActivityLog,
  MemoryUserRepository,
  type ActivityRecord,
  type Logger,
  type WpFusionWebhookOptions,
} from '../../lib';
import { ACCESS_KEY, startProcess, startSandbox, until, type LocalProcess } from '../actions/site';
import type { OntraportSandbox } from '../../lib/testing';
import { isEmpty, open as openWithQueue } from '../worker/scene';

interface Scene {
  sandbox: OntraportSandbox;
  users: MemoryUserRepository;
  site: LocalProcess;
}

async function open(options: Partial<WpFusionWebhookOptions> = {}): Promise<Scene> {
  const sandbox = await startSandbox();
  const users = new MemoryUserRepository();
  return { sandbox, users, site: await startProcess(sandbox, users, options) };
}

const only = async ({ site }: { site: LocalProcess }): Promise<ActivityRecord> => {
  const records = await site.webhook.activity.list();
  expect(records).toHaveLength(1);
  return records[0]!;
};

test('webhooks are counted step by step, by where they stand and what they failed with', async () => {
  const { sandbox, site } = await open();
  const id = sandbox.addContact({ email: 'mary@example.com' });
  const from = Date.now() - 1000;
  await site.ping('add', id);
  await site.ping('update', id);
  await site.ping('update', id, { dry_run: 'true' });
  await site.ping('add', sandbox.addContact({}));
  await site.ping('add', id, { access_key: 'wrong-wrong-wrong' });
  const to = Date.now() + 1000;
  const counts = await site.webhook.activity.counts({ from, to, stepMs: to - from });
  expect([...counts].sort((one, other) => one.state.localeCompare(other.state))).toEqual([
    { at: from, state: 'done', code: null, count: 2 },
    { at: from, state: 'failed', code: 'CONTACT_WITHOUT_EMAIL', count: 1 },
    { at: from, state: 'rejected', code: 'INVALID_ACCESS_KEY', count: 1 },
  ]);
  const [{ receivedAt }] = (await site.webhook.activity.list({ action: 'add', state: 'done' })) as [
    ActivityRecord,
  ];
  const fine = await site.webhook.activity.counts({ from: receivedAt - 10, to: receivedAt + 1, stepMs: 5 });
  expect(fine.map(({ at }) => at)).toEqual([receivedAt]);
  expect(await site.webhook.activity.counts({ from: from - 10, to: from, stepMs: 10 })).toEqual([]);
});

describe('done once more', () => {
  test('a webhook of the queue is stored again, with everything it asked for', async () => {
    const { sandbox, site, queue } = await openWithQueue({
      roles: { assignable: ['subscriber', 'customer'] },
    });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id, { role: 'customer', send_notification: 'true' });
    await until(isEmpty(queue));
    const [first] = await site.webhook.activity.list();
    const again = await site.webhook.activity.replay(first!.id);
    expect(again).not.toBe(first!.id);
    await until(async () => (await site.webhook.activity.get(again))?.state === 'done');
    expect(await site.webhook.activity.get(again)).toMatchObject({
      ...{ action: 'add', contactId: id, role: 'customer', sendNotification: true, key: null },
      ...{ replayOf: first!.id, outcome: 'unchanged' },
    });
  });

  test.each(['SHUTTING_DOWN', 'QUEUE_UNAVAILABLE'])('%s is thrown, and nothing is done', async (code) => {
    const { sandbox, site, queue } = await openWithQueue();
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id);
    await until(isEmpty(queue));
    const [first] = await site.webhook.activity.list();
    if (code === 'SHUTTING_DOWN') await site.webhook.close();
    else jest.spyOn(queue, 'put').mockRejectedValue(new Error('down'));
    await expect(site.webhook.activity.replay(first!.id)).rejects.toMatchObject({ code });
    expect((await site.webhook.activity.list({ action: 'add', state: 'done' })).length).toBe(1);
  });

  test('a webhook that is not known, or was not let in, is refused by name', async () => {
    const { site } = await open();
    await site.ping('add', '1', { access_key: 'wrong-wrong-wrong' });
    const [rejected] = await site.webhook.activity.list();
    for (const id of ['unknown', '', rejected!.id]) {
      await expect(site.webhook.activity.replay(id)).rejects.toMatchObject({
        code: 'INVALID_REQUEST',
        errors: [{ parameter: 'id' }],
      });
    }
  });
});

describe('inside the request', () => {
  test('a record tells what was asked for and what became of it', async () => {
    const scene = await open({ accessKey: { key: ACCESS_KEY, name: 'automations' } });
    const { sandbox, site } = scene;
    const contact = { firstname: 'Mary', email: 'mary@example.com', tags: ['Member', 'VIP'] };
    const id = sandbox.addContact(contact);
    const before = Date.now();
    await site.ping('add', id);
    const record = await only(scene);
    expect(record).toMatchObject({
      ...{ key: 'automations', action: 'add', contactId: id, dryRun: false, userId: '1' },
      ...{ state: 'done', outcome: 'created', reason: null, code: null, detail: null, warnings: [] },
      ...{ tagsAdded: ['Member', 'VIP'], tagsRemoved: [], jobId: null },
    });
    expect(record.receivedAt).toBeGreaterThanOrEqual(before);
    expect(record.changes).toContainEqual({ field: 'email' });
    expect(record.changes).toContainEqual({ field: 'password' });
    expect(record.changes.every((change) => !('to' in change))).toBe(true);
    // The second look at the contact counts, too.
    expect(record.attempts).toEqual([
      { at: record.receivedAt, durationMs: expect.any(Number), contactReads: 2, code: null, detail: null },
    ]);
  });

  test('what tags come and go is told', async () => {
    const { sandbox, site } = await open();
    const id = sandbox.addContact({ email: 'mary@example.com', tags: ['Member', 'VIP'] });
    await site.ping('add', id);
    sandbox.tag(id, 'Customer');
    sandbox.untag(id, 'VIP');
    await site.ping('update_tags', id);
    const [record] = await site.webhook.activity.list({ action: 'update_tags' });
    expect(record).toMatchObject({ outcome: 'updated', tagsAdded: ['Customer'], tagsRemoved: ['VIP'] });
  });

  test('values are kept where the log keeps them, those of passwords never', async () => {
    const activityLog = new MemoryActivityLog({ keepsValues: true });
    const { sandbox, site } = await open({ activityLog });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id);
    const [record] = await site.webhook.activity.list();
    expect(record?.changes).toContainEqual({ field: 'email', from: null, to: 'mary@example.com' });
    expect(record?.changes).toContainEqual({ field: 'password' });
  });

  test('the correlation id is in the answer’s header and in the log', async () => {
    const lines: object[] = [];
    const keep = (details: object): void => void lines.push(details);
    const logger: Logger = { debug: keep, info: keep, warn: keep, error: keep };
    const { sandbox, site } = await open({ logger });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    const url = `${site.url}?wpf_action=add&access_key=${ACCESS_KEY}&contact_id=${id}&role=nonsense`;
    const { headers } = await fetch(url, { method: 'POST' });
    const correlationId = headers.get('x-correlation-id') ?? '';
    expect(await site.webhook.activity.get(correlationId)).toMatchObject({
      ...{ id: correlationId, outcome: 'created', warnings: [{ code: 'ROLE_NOT_ASSIGNABLE' }] },
    });
    // The line of the result, and that of the warning.
    expect(lines.filter((line) => 'action' in line)).toEqual([
      expect.objectContaining({ correlationId, outcome: 'created' }),
      expect.objectContaining({ correlationId, code: 'ROLE_NOT_ASSIGNABLE' }),
    ]);
  });

  test('a failure is told with its code, and with its try', async () => {
    const scene = await open();
    const id = scene.sandbox.addContact({});
    await scene.site.ping('add', id);
    const failure = { code: 'CONTACT_WITHOUT_EMAIL', detail: expect.stringContaining('has no email') };
    expect(await only(scene)).toMatchObject({
      ...{ state: 'failed', outcome: null, contactId: id, ...failure },
      attempts: [{ contactReads: 1, ...failure }],
    });
  });

  test('one that is answered before it is done is told when it is', async () => {
    let letGo: (() => void) | undefined;
    const beforeCreate = async <User>({ user }: { user: User }): Promise<User> => {
      await new Promise<void>((resolve) => (letGo = resolve));
      return user;
    };
    const scene = await open({ timeoutMs: 300, hooks: { beforeCreate } });
    const id = scene.sandbox.addContact({ email: 'mary@example.com' });
    expect(await scene.site.ping('add', id)).toMatchObject({ status: 503, json: { code: 'TIMED_OUT' } });
    const waiting = await only(scene);
    expect(waiting).toMatchObject({ state: 'waiting', code: 'TIMED_OUT', outcome: null });
    letGo?.();
    await until(async () => (await only(scene)).state === 'done');
    expect(await only(scene)).toMatchObject({ id: waiting.id, outcome: 'created', code: null });
  });

  test.each<[string, Record<string, string>, object]>([
    ['a dry run', { dry_run: 'true' }, { dryRun: true, outcome: 'created', userId: null }],
    ['a test', { wpf_action: 'test' }, { action: 'test', outcome: 'ok' }],
  ])('%s is recorded', async (_what, query, record) => {
    const scene = await open();
    const id = scene.sandbox.addContact({ email: 'mary@example.com' });
    await scene.site.ping('add', id, query);
    expect(await only(scene)).toMatchObject({ state: 'done', ...record });
  });

  test.each<[string, Record<string, string>, object]>([
    ['a wrong key', { access_key: 'wrong-wrong-wrong' }, { code: 'INVALID_ACCESS_KEY' }],
    ['an unknown action', { wpf_action: 'delete' }, { code: 'UNKNOWN_ACTION' }],
    ['a contact id that is none', { contact_id: '../1' }, { code: 'INVALID_REQUEST' }],
  ])('%s is recorded as rejected, without a key', async (_what, query, record) => {
    const scene = await open();
    await scene.site.ping('add', '1', query);
    expect(await only(scene)).toMatchObject({ state: 'rejected', key: null, attempts: [], ...record });
  });

  test('no secret is in a record', async () => {
    const activityLog = new MemoryActivityLog({ keepsValues: true });
    const { sandbox, site, users } = await open({ activityLog, returnPassword: { field: 'f1' } });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id);
    await until(() => (sandbox.contact(id)?.f1 ?? '') !== '');
    await site.ping('add', `x ${ACCESS_KEY}`);
    await site.ping('add', id, { wpf_action: ACCESS_KEY });
    await site.ping('add', id, { role: `a ${ACCESS_KEY}` });
    const text = inspect(await site.webhook.activity.list(), { depth: 20 });
    const secrets = [ACCESS_KEY, sandbox.contact(id)?.f1 ?? '', users.all()[0]?.passwordHash ?? ''];
    for (const secret of secrets) expect(text).not.toContain(secret);
  });

  test('a log that fails or gives no answer harms no webhook', async () => {
    const failing = Object.assign(new MemoryActivityLog(), {
      write: () => Promise.reject(new Error('full')),
    });
    const silent = Object.assign(new MemoryActivityLog(), {
      write: () => new Promise<void>(() => undefined),
    });
    for (const activityLog of [failing, silent]) {
      const { sandbox, site } = await open({ activityLog });
      const id = sandbox.addContact({ email: 'mary@example.com' });
      expect(await site.ping('add', id)).toMatchObject({ status: 200, json: { outcome: 'created' } });
      await site.webhook.close({ timeoutMs: 100 });
    }
  });

  test('forget() deletes what is known of a contact', async () => {
    const { sandbox, site } = await open();
    const [mary, john] = ['mary', 'john'].map((name) => sandbox.addContact({ email: `${name}@example.com` }));
    for (const id of [mary!, john!, mary!]) await site.ping('add', id);
    expect(await site.webhook.activity.forget(mary!)).toBe(2);
    expect(await site.webhook.activity.list()).toMatchObject([{ contactId: john }]);
  });

  test('activityLog: false keeps nothing, and says so', async () => {
    const { sandbox, site } = await open({ activityLog: false });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    expect(await site.ping('add', id)).toMatchObject({ status: 200 });
    await expect(site.webhook.activity.list()).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });
});

describe('out of a queue', () => {
  test('it waits, and is done with the try of another process', async () => {
    const activityLog = new MemoryActivityLog();
    const scene = await openWithQueue({ activityLog, worker: false });
    const { sandbox, site, queue, another } = scene;
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id);
    const waiting = await only(scene);
    expect(waiting).toMatchObject({ state: 'waiting', outcome: null, attempts: [], contactId: id });
    const worker = await another({ worker: true });
    await until(isEmpty(queue));
    await worker.close();
    expect(await only(scene)).toMatchObject({
      ...{ id: waiting.id, jobId: waiting.jobId, state: 'done', outcome: 'created', userId: '1' },
      ...{ key: waiting.key, attempts: [{ contactReads: 1, code: null }] },
    });
  });

  test('what fails is waiting with its code, and its tries are listed', async () => {
    const scene = await openWithQueue();
    const { sandbox, site, queue, clock, failed } = scene;
    const id = sandbox.addContact({});
    await site.ping('add', id);
    await until(() => failed.length === 1);
    expect(await only(scene)).toMatchObject({ state: 'waiting', code: 'CONTACT_WITHOUT_EMAIL' });
    sandbox.updateContact(id, { email: 'mary@example.com' });
    clock.advance(10_000);
    await until(isEmpty(queue));
    const record = await only(scene);
    expect(record).toMatchObject({ state: 'done', outcome: 'created', code: null, detail: null });
    expect(record.attempts).toMatchObject([{ code: 'CONTACT_WITHOUT_EMAIL' }, { code: null }]);
  });

  test('what is given up is dead, and done once it was replayed', async () => {
    const users = new MemoryUserRepository();
    await users.create({
      ...{ contactId: null, email: 'mary@example.com', username: 'mary', passwordHash: null },
      ...{ role: 'admin', tags: [], meta: {}, syncState: null },
    });
    const scene = await openWithQueue({ users });
    const { sandbox, site, queue, failed } = scene;
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id);
    await until(() => failed.length === 1);
    const dead = await only(scene);
    expect(dead).toMatchObject({ state: 'dead', code: 'USER_CONFLICT' });
    sandbox.updateContact(id, { email: 'maria@example.com' });
    await site.webhook.deadLetters.replay([dead.jobId!]);
    await until(isEmpty(queue));
    expect(await only(scene)).toMatchObject({
      ...{ id: dead.id, state: 'done', outcome: 'created' },
      attempts: [{ code: 'USER_CONFLICT' }, { code: null }],
    });
  });

  test('what is still owed is a warning for as long as it is, and its tries are listed', async () => {
    const scene = await openWithQueue({ returnPassword: { field: 'f1' } });
    const { sandbox, site, queue, clock } = scene;
    const id = sandbox.addContact({ email: 'mary@example.com' });
    const refused = sandbox.fail({ method: 'PUT', path: '/Contacts', with: 'forbidden', times: Infinity });
    await site.ping('add', id);
    await until(async () => (await only(scene)).attempts.length === 1);
    const owing = { outcome: 'created', state: 'waiting', warnings: [{ code: 'PASSWORD_NOT_RETURNED' }] };
    expect(await only(scene)).toMatchObject(owing);
    refused.remove();
    await until(async () => {
      clock.advance(60_000);
      return await isEmpty(queue)();
    });
    const record = await only(scene);
    expect(record).toMatchObject({ action: 'add', outcome: 'created', state: 'done', code: null });
    expect(record.warnings).toEqual([]);
    expect(record.attempts.length).toBeGreaterThan(1);
  });

  test('webhooks that were merged have each their own record', async () => {
    const scene = await openWithQueue({ worker: false });
    const { sandbox, site, queue, another } = scene;
    const id = sandbox.addContact({ email: 'mary@example.com' });
    for (const action of ['add', 'update', 'update_tags']) await site.ping(action, id);
    const records = await site.webhook.activity.list();
    expect(records.map(({ action }) => action)).toEqual(['update_tags', 'update', 'add']);
    const worker = await another({ worker: true });
    await until(isEmpty(queue));
    // Its own log is in its own memory; it knows them by what is stored with them.
    const worked = await worker.webhook.activity.list();
    expect(worked.map(({ id }) => id)).toEqual(records.map(({ id }) => id));
    expect(worked.map(({ outcome, state }) => [outcome, state])).toEqual(Array(3).fill(['created', 'done']));
  });
});
