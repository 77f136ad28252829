// A queue worked off: what waits for a contact is merged, run in its turn, and its job is done, tried again, paused or dead.
import { MemoryUserRepository } from '../../lib';
import { BRIEF_DELAYS_MS } from '../../lib/worker/verdict';
import { until, type LocalProcess } from '../actions/site';
import { isEmpty, open, readsOf, type Scene } from './scene';

test('a webhook is answered with 202 once it is stored, and then takes effect', async () => {
  const { sandbox, queue, users, site, processed } = await open();
  const id = sandbox.addContact({ email: 'mary@example.com', tags: ['Member'] });
  const { status, json } = await site.ping('add', id);
  expect({ status, json }).toEqual({
    status: 202,
    json: { ok: true, action: 'add', contactId: id, outcome: 'queued', warnings: [] },
  });
  await until(isEmpty(queue));
  expect(users.all()).toMatchObject([{ contactId: id, tags: ['Member'] }]);
  await until(() => processed.length === 1);
  expect(processed).toMatchObject([{ action: 'add', contactId: id, outcome: 'created' }]);
});

test('with async=false the result is waited for', async () => {
  const { sandbox, site } = await open();
  const id = sandbox.addContact({ email: 'mary@example.com' });
  expect(await site.ping('add', id, { async: 'false' })).toMatchObject({
    status: 200,
    json: { outcome: 'created', userId: '1' },
  });
  expect(await site.ping('update', '99', { async: 'false' })).toMatchObject({
    status: 200,
    json: { outcome: 'skipped', reason: 'USER_NOT_FOUND' },
  });
});

describe('what waits for one contact', () => {
  /** Stores webhooks while nobody works them off, then lets a worker at them. */
  async function afterwards(
    put: (ping: LocalProcess['ping'], id: string) => Promise<unknown>,
    options: Parameters<typeof open>[0] = {},
  ): Promise<Scene & { id: string }> {
    const scene = await open({ ...options, worker: false });
    const id = scene.sandbox.addContact({ email: 'mary@example.com', tags: ['Member'] });
    await put(scene.site.ping, id);
    await scene.another({ worker: true });
    await until(isEmpty(scene.queue));
    return { ...scene, id };
  }

  test('is read from the CRM once, and each webhook is told to be done', async () => {
    const { sandbox, users, processed } = await afterwards(async (ping, id) => {
      await ping('update_tags', id);
      await ping('add', id);
      await ping('update', id);
    });
    expect(readsOf(sandbox)).toBe(1);
    expect(users.all()).toHaveLength(1);
    await until(() => processed.length === 3);
    expect(processed.map(({ action, outcome }) => `${action}: ${outcome}`)).toEqual([
      'update_tags: created',
      'add: created',
      'update: created',
    ]);
  });

  test('an add keeps its role and its welcome mail, whatever else waits', async () => {
    const mails: string[] = [];
    const { users } = await afterwards(
      async (ping, id) => {
        await ping('update', id);
        await ping('add', id, { role: 'customer', send_notification: 'true' });
        await ping('add', id);
        await ping('update_tags', id);
        await ping('update', id, { role: 'admin' });
      },
      { notifier: { sendWelcome: async ({ user }) => void mails.push(user.email) } },
    );
    expect(users.all()).toMatchObject([{ role: 'customer' }]);
    expect(mails).toEqual(['mary@example.com']);
  });

  test('the last role that can be given is given', async () => {
    const { users } = await afterwards(async (ping, id) => {
      await ping('add', id, { role: 'customer' });
      await ping('update', id, { role: 'Subscriber' });
    });
    expect(users.all()).toMatchObject([{ role: 'subscriber' }]);
  });

  test('a user is found by any of the emails that were given', async () => {
    const users = new MemoryUserRepository();
    const user = await users.create({
      ...{ contactId: null, email: 'mary@example.com', username: 'mary', passwordHash: null },
      ...{ role: 'subscriber', tags: [], meta: {}, syncState: null },
    });
    const { id, sandbox } = await afterwards(
      async (ping, id) => {
        await ping('update_tags', id, { email: 'mary@example.com' });
        await ping('update_tags', id, { email: 'other@example.com' });
      },
      { users },
    );
    expect(users.all()).toMatchObject([{ id: user.id, contactId: id, tags: ['Member'] }]);
    // Nobody else works for this contact meanwhile: no second look.
    expect(readsOf(sandbox)).toBe(1);
  });

  test('what only an add cannot get over takes no other webhook with it', async () => {
    const users = new MemoryUserRepository();
    await users.create({
      ...{ contactId: null, email: 'mary@example.com', username: 'mary', passwordHash: null },
      ...{ role: 'admin', tags: [], meta: {}, syncState: null },
    });
    const { queue, failed, processed } = await afterwards(
      async (ping, id) => {
        await ping('add', id);
        await ping('update', id);
      },
      { users },
    );
    await until(() => processed.length === 1);
    expect(failed).toMatchObject([{ action: 'add', code: 'USER_CONFLICT', status: 409, willRetry: false }]);
    expect(processed).toMatchObject([{ action: 'update', outcome: 'skipped', reason: 'USER_NOT_FOUND' }]);
    expect(await queue.deadLetters('default', { limit: 10 })).toMatchObject([
      { job: { action: 'add', failure: { code: 'USER_CONFLICT' } } },
    ]);
  });
});

test('what arrives during a run runs after it', async () => {
  const { sandbox, queue, users, site, processed } = await open();
  const id = sandbox.addContact({ email: 'mary@example.com', f2: 'one' });
  const held = sandbox.hold({ method: 'GET', path: '/Contacts', when: 'after' });
  await site.ping('add', id);
  await held.caught(1);
  sandbox.updateContact(id, { f2: 'two' });
  await site.ping('update', id);
  expect((await queue.counts('default')).waiting).toBe(2);
  held.release();
  await until(isEmpty(queue));
  expect(users.all()).toMatchObject([{ meta: { plan: 'two' } }]);
  await until(() => processed.length === 2);
  expect(processed.map(({ outcome }) => outcome)).toEqual(['created', 'updated']);
});

test('fifty contacts are read in one call, and one that fails does not fail the others', async () => {
  const { sandbox, users, site, failed, another } = await open({ worker: false });
  const ids = Array.from({ length: 50 }, (_, n) =>
    sandbox.addContact({ email: n === 7 ? '' : `p${n}@example.com` }),
  );
  for (const id of ids) await site.ping('add', id);
  await another({ worker: true });
  await until(async () => users.all().length === 49 && failed.length === 1);
  expect(failed).toMatchObject([{ contactId: ids[7], code: 'CONTACT_WITHOUT_EMAIL', willRetry: true }]);
  expect(readsOf(sandbox)).toBe(1);
});

describe('a failure', () => {
  test('CONTACT_NOT_FOUND is tried again for a minute, then dead; replayed, it is done', async () => {
    const { sandbox, clock, queue, users, site, failed, processed } = await open();
    const id = String(Number(sandbox.addContact({ email: 'joe@example.com' })) + 1);
    const startedAt = clock.now();
    await site.ping('add', id);
    for (let tries = 1; tries < 7; tries += 1) {
      await until(() => failed.length === tries);
      clock.advance(1.2 * BRIEF_DELAYS_MS[tries - 1]!);
    }
    await until(async () => (await queue.counts('default')).dead === 1);
    expect(clock.now() - startedAt).toBeGreaterThan(60_000);
    expect(failed.map(({ code, willRetry }) => `${code} ${willRetry}`)).toEqual([
      ...Array.from({ length: 6 }, () => 'CONTACT_NOT_FOUND true'),
      'CONTACT_NOT_FOUND false',
    ]);
    expect(await site.webhook.deadLetters.list()).toMatchObject([
      { contactId: id, job: { action: 'add', failure: { code: 'CONTACT_NOT_FOUND' } } },
    ]);
    expect(sandbox.addContact({ email: 'mary@example.com' })).toBe(id);
    expect(await site.webhook.deadLetters.replay()).toBe(1);
    await until(() => processed.length === 1);
    expect(users.all()).toMatchObject([{ contactId: id }]);
    expect(await site.webhook.queueCounts()).toMatchObject({ waiting: 0, dead: 0 });
  });

  test('of the storage is tried again for about a day', async () => {
    class Broken extends MemoryUserRepository {
      broken = true;
      override async findByContactId(id: string): ReturnType<MemoryUserRepository['findByContactId']> {
        if (this.broken) throw new Error('disk full');
        return super.findByContactId(id);
      }
    }
    const users = new Broken();
    const { sandbox, clock, queue, site, failed } = await open({ users });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    const startedAt = clock.now();
    await site.ping('add', id);
    while ((await queue.counts('default')).dead === 0) {
      const { length } = failed;
      clock.advance(3_600_000 * 1.2);
      await until(async () => failed.length > length || (await queue.counts('default')).dead > 0);
    }
    expect(failed.at(-1)).toMatchObject({ code: 'REPOSITORY_FAILED', status: 500, willRetry: false });
    expect(failed).toHaveLength(32);
    expect(clock.now() - startedAt).toBeGreaterThan(24 * 3_600_000);
    users.broken = false;
    await site.webhook.deadLetters.replay();
    await until(() => users.all().length === 1);
  });

  test('a CRM that is down for longer than all tries costs none of them', async () => {
    const { sandbox, clock, queue, users, site, failed } = await open();
    const id = sandbox.addContact({ email: 'mary@example.com' });
    const down = sandbox.fail({ with: 'unauthorized', times: Infinity });
    await site.ping('add', id);
    for (let rounds = 0; rounds < 40; rounds += 1) {
      const { length } = failed;
      clock.advance(3_600_000 * 1.2);
      await until(() => failed.length > length);
    }
    expect(new Set(failed.map(({ code, willRetry }) => `${code} ${willRetry}`))).toEqual(
      new Set(['CRM_UNAUTHORIZED true']),
    );
    expect(await queue.counts('default')).toMatchObject({ waiting: 1, dead: 0 });
    down.remove();
    clock.advance(3_600_000);
    await until(isEmpty(queue));
    expect(users.all()).toHaveLength(1);
  });
});

test('what a newer version has stored is kept until that is back', async () => {
  const { sandbox, queue, failed } = await open();
  const id = sandbox.addContact({ email: 'mary@example.com' });
  await queue.put('default', id, { action: 'dance', receivedAt: 0 });
  await until(() => failed.length === 1);
  expect(failed).toMatchObject([{ action: 'dance', code: 'INTERNAL_ERROR', willRetry: true }]);
  expect(await queue.counts('default')).toMatchObject({ waiting: 1, dead: 0 });
});

test('a job that cannot be read stops nobody', async () => {
  const { sandbox, queue, users, site } = await open();
  await queue.put('default', '99', { action: 'add', role: 7, receivedAt: 0 } as never);
  await site.ping('add', sandbox.addContact({ email: 'mary@example.com' }));
  await until(() => users.all().length === 1);
  expect(await queue.counts('default')).toMatchObject({ waiting: 1, dead: 0 });
});
