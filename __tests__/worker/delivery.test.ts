// What is promised of delivery: when a webhook is acknowledged, who works on a contact, what closing leaves, what is come back to.
import { MemoryUserRepository, WpFusionError, type CrmClient, type Job, type Lease } from '../../lib';
import { OntraportClient } from '../../lib';
import { FAIL_POINT } from '../../lib/options';
import type { OntraportSandbox } from '../../lib/testing';
import { formatSyncState, parseSyncState } from '../../lib/users/sync-state';
import { ACCESS_KEY, crmPasswordLogsIn, until } from '../actions/site';
import type { TakenContact } from '../../lib/queue/queue';
import { MemoryWebhookQueue, QueueStore } from '../testing/contracts/memory-queue';
import { isEmpty, open, readsOf } from './scene';

const clientOf = ({ appId, apiKey, baseUrl }: OntraportSandbox): OntraportClient =>
  new OntraportClient({ appId, apiKey, baseUrl });

describe('acknowledging', () => {
  test('only after the queue has it', async () => {
    let store: (() => void) | undefined;
    class Slow extends MemoryWebhookQueue {
      override async put(queue: string, contactId: string, job: Job): Promise<string> {
        await new Promise<void>((resolve) => (store = resolve));
        return super.put(queue, contactId, job);
      }
    }
    const { sandbox, site, queue } = await open({ queue: new Slow(), worker: false });
    let answered = false;
    const answer = site.ping('add', sandbox.addContact({ email: 'mary@example.com' }));
    void answer.then(() => (answered = true));
    await until(() => store !== undefined);
    expect(answered).toBe(false);
    store?.();
    expect(await answer).toMatchObject({ status: 202 });
    expect(await queue.counts('default')).toMatchObject({ waiting: 1 });
  });

  test.each([
    ['that throws', () => Promise.reject(new Error('no such table: wpf_webhooks'))],
    ['that gives no answer', () => new Promise<string>(() => undefined)],
  ])('a store %s: 503, to be sent again', async (_name, put) => {
    class Down extends MemoryWebhookQueue {
      override put(): Promise<string> {
        return put();
      }
    }
    const { sandbox, site, failed } = await open({ queue: new Down(), timeoutMs: 300 });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    const { status, json } = await site.ping('add', id);
    expect({ status, code: json.code }).toEqual({ status: 503, code: 'QUEUE_UNAVAILABLE' });
    expect(JSON.stringify(json)).not.toContain('wpf_webhooks');
    expect(failed).toMatchObject([{ code: 'QUEUE_UNAVAILABLE', contactId: id }]);
    const response = await fetch(`${site.url}?wpf_action=add&access_key=${ACCESS_KEY}&contact_id=${id}`);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  test('what is stored holds what was asked for, and no secret', async () => {
    const { sandbox, site, queue } = await open({ worker: false });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id, { role: 'customer', send_notification: '1', email: 'x@example.com' });
    await site.ping('add', id, { role: `a ${ACCESS_KEY} z`, unknown: ACCESS_KEY });
    await site.ping('update', id, { email: 'mary@example.com' });
    const jobs = [...queue.store.rows.values()].map(({ job }) => JSON.parse(job) as Job);
    const always = { receivedAt: expect.any(Number), correlationId: expect.stringMatching(/^[0-9a-z-]+$/) };
    expect(jobs).toEqual([
      { action: 'add', role: 'customer', sendNotification: true, ...always },
      { action: 'add', role: 'a [redacted] z', ...always },
      { action: 'update', email: 'mary@example.com', ...always },
    ]);
  });

  test('what looks only, tests, or is the host’s own action is answered at once', async () => {
    const { sandbox, site, queue } = await open({
      worker: false,
      actions: { hello: async () => ({ outcome: 'greeted' }) },
    });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    expect((await site.ping('add', id, { dry_run: 'true' })).json).toMatchObject({
      dryRun: true,
      outcome: 'created',
    });
    expect((await site.ping('test', id)).json).toEqual({ ok: true, action: 'test' });
    expect((await site.ping('hello', id)).json).toMatchObject({ outcome: 'greeted' });
    const url = `${site.url}?wpf_action=add&access_key=${ACCESS_KEY}&contact_id=${id}`;
    await fetch(url, { headers: { Accept: 'text/html' } });
    expect(await queue.counts('default')).toMatchObject({ waiting: 0 });
  });

  test('a person who presses the button is shown the result', async () => {
    const { sandbox, site } = await open();
    const id = sandbox.addContact({ email: 'mary@example.com' });
    const url = `${site.url}?wpf_action=add&access_key=${ACCESS_KEY}&contact_id=${id}`;
    const response = await fetch(url, { method: 'POST', headers: { Accept: 'text/html' } });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('created');
  });
});

describe('async=false', () => {
  test('a result that another process has is waited for', async () => {
    const { sandbox, site, another } = await open({ worker: false });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    const answer = site.ping('add', id, { async: 'false' });
    await another({ worker: true });
    expect(await answer).toMatchObject({
      status: 200,
      json: { outcome: 'created', userId: '1', warnings: [] },
    });
  });

  test('a failure for good is the answer', async () => {
    const users = new MemoryUserRepository();
    await users.create({
      ...{ contactId: null, email: 'mary@example.com', username: 'mary', passwordHash: null },
      ...{ role: 'admin', tags: [], meta: {}, syncState: null },
    });
    const { sandbox, site, failed } = await open({ users });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    expect(await site.ping('add', id, { async: 'false' })).toMatchObject({
      status: 409,
      json: { code: 'USER_CONFLICT' },
    });
    expect(failed).toHaveLength(1);
  });

  test('one that does not come in time is 202', async () => {
    const { sandbox, site } = await open({ worker: false, timeoutMs: 100 });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    expect(await site.ping('add', id, { async: 'false' })).toMatchObject({
      status: 202,
      json: { outcome: 'queued' },
    });
  });
});

describe('a contact in work', () => {
  test('is with one of two processes only', async () => {
    const users = new MemoryUserRepository();
    const inWork = new Set<string>();
    let most = 0;
    const hooks = {
      afterCreate: async ({ contact: { id } }: { contact: { id: string } }) => {
        expect(inWork.has(id)).toBe(false);
        inWork.add(id);
        most = Math.max(most, inWork.size);
        await new Promise((resolve) => setImmediate(resolve));
        inWork.delete(id);
      },
    };
    const { sandbox, site, queue, another, processed } = await open({ users, hooks });
    const other = await another();
    const ids = Array.from({ length: 20 }, (_, n) => sandbox.addContact({ email: `p${n}@example.com` }));
    await Promise.all(
      ids.flatMap((id) => [site.ping('add', id), other.ping('add', id), site.ping('update', id)]),
    );
    await until(isEmpty(queue));
    await until(() => processed.length === 60);
    expect(users.all()).toHaveLength(20);
    expect(processed.filter(({ outcome }) => outcome === 'created').length).toBeGreaterThanOrEqual(20);
  });

  test('is kept by its worker for as long as the work takes', async () => {
    let renewals = 0;
    class Counting extends MemoryWebhookQueue {
      override renew(queue: string, leases: readonly Lease[]): Promise<Lease[]> {
        renewals += 1;
        return super.renew(queue, leases);
      }
    }
    const { sandbox, site, queue, another, users } = await open({ queue: new Counting({ leaseMs: 150 }) });
    await another();
    const id = sandbox.addContact({ email: 'mary@example.com' });
    const held = sandbox.hold({ method: 'GET', path: '/Contacts', when: 'after' });
    await site.ping('add', id);
    await held.caught(1);
    const before = renewals;
    await until(() => renewals > before + 6);
    expect(readsOf(sandbox)).toBe(1);
    held.release();
    await until(isEmpty(queue));
    expect(users.all()).toHaveLength(1);
  });

  test('comes back when its worker is gone; one that wakes up late changes nothing', async () => {
    const calls: string[] = [];
    class Stalled extends MemoryWebhookQueue {
      override async renew(): Promise<Lease[]> {
        throw new Error('stalled');
      }
    }
    const sleeping = new Stalled({ leaseMs: 100 });
    const { sandbox, site, users, another } = await open({
      queue: sleeping,
      hooks: {
        beforeCreate: ({ user }) => (calls.push('stalled'), user),
        afterCreate: () => calls.push('stalled'),
      },
    });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    let isFirst = true;
    const held = sandbox.hold({ method: 'GET', path: '/Contacts', when: 'after', where: () => isFirst });
    await site.ping('add', id, { send_notification: 'true' });
    await held.caught(1);
    isFirst = false;
    const awake = new MemoryWebhookQueue({ leaseMs: 60_000, store: sleeping.store });
    await another({ queue: awake, hooks: { afterCreate: () => calls.push('awake') } });
    await until(isEmpty(awake));
    const [user] = users.all();
    held.release();
    await site.close();
    expect(users.all()).toEqual([user]);
    expect(calls).toEqual(['awake']);
  });
});

describe('closing', () => {
  test('finishes what runs, leaves the rest, and refuses what comes', async () => {
    const { sandbox, site, queue, users } = await open();
    const first = sandbox.addContact({ email: 'mary@example.com' });
    const second = sandbox.addContact({ email: 'joe@example.com' });
    const held = sandbox.hold({ method: 'GET', path: '/Contacts', when: 'after' });
    await site.ping('add', first);
    await held.caught(1);
    const closing = site.close();
    expect(await site.ping('add', second)).toMatchObject({ status: 503, json: { code: 'SHUTTING_DOWN' } });
    await queue.put('default', second, { action: 'add', receivedAt: 0 });
    held.release();
    await closing;
    expect(users.all()).toMatchObject([{ contactId: first }]);
    expect([...queue.store.rows.values()].filter(({ state }) => state === 'waiting')).toMatchObject([
      { contactId: second },
    ]);
  });

  test('what does not end in time is given back at once', async () => {
    const { sandbox, site, queue, users, another } = await open();
    const id = sandbox.addContact({ email: 'mary@example.com' });
    let isFirst = true;
    const held = sandbox.hold({ method: 'GET', path: '/Contacts', when: 'before', where: () => isFirst });
    await site.ping('add', id);
    await held.caught(1);
    isFirst = false;
    await site.webhook.close({ timeoutMs: 0 });
    // The clock of the queue stands still: without being given back the contact would be taken for a minute.
    await another();
    await until(isEmpty(queue));
    expect(users.all()).toHaveLength(1);
    held.release();
  });
});

describe('what is owed', () => {
  test('a mail that could not be sent is sent later', async () => {
    const mails: string[] = [];
    const { sandbox, site, queue, clock, processed, users } = await open({
      notifier: {
        sendWelcome: async ({ user }) => {
          mails.push(user.email);
          if (mails.length < 3) throw new Error('421 try later');
        },
      },
    });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id, { send_notification: 'true', role: 'customer' });
    await until(() => processed.length === 1);
    expect(processed).toMatchObject([{ outcome: 'created', warnings: [{ code: 'NOTIFICATION_FAILED' }] }]);
    // The user may change meanwhile: what is come back to touches nothing else.
    await site.ping('update', id, { role: 'subscriber' });
    await until(() => mails.length === 2);
    // No webhook told of this: the next one does.
    sandbox.tag(id, 'VIP');
    sandbox.updateContact(id, { f2: 'gold' });
    clock.advance(60_000);
    await until(isEmpty(queue));
    expect(mails).toHaveLength(3);
    expect(users.all()).toMatchObject([{ role: 'subscriber', tags: [] }]);
    expect(users.all()[0]!.meta).not.toHaveProperty('plan');
  });

  test('and cannot be settled for a day is given up, and somebody is told', async () => {
    const errors: object[] = [];
    const ignore = (): void => undefined;
    const logger = {
      debug: ignore,
      info: ignore,
      warn: ignore,
      error: (details: object) => errors.push(details),
    };
    const { sandbox, site, queue, clock, processed } = await open({
      notifier: { sendWelcome: () => Promise.reject(new Error('550 no')) },
      logger,
    });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id, { send_notification: 'true' });
    await until(() => processed.length === 1);
    while ((await queue.counts('default')).dead === 0) {
      const { length } = errors;
      clock.advance(3_600_000 * 1.2);
      await until(async () => errors.length > length || (await queue.counts('default')).dead === 1);
    }
    expect(await site.webhook.deadLetters.list()).toMatchObject([
      { contactId: id, job: { action: 'settle', failure: { code: 'NOTIFICATION_FAILED' } } },
    ]);
    // The log is told when the queue has it.
    await until(() => errors.length > 32);
    expect(errors.at(-1)).toEqual({ name: 'default', code: 'NOTIFICATION_FAILED', contactId: id });
    expect(processed).toHaveLength(1);
  });

  test('that is taken along with newer webhooks burns no try, and is not kept twice', async () => {
    const { sandbox, site, queue, processed } = await open({
      notifier: { sendWelcome: () => Promise.reject(new Error('550 no')) },
    });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id, { send_notification: 'true' });
    for (let number = 1; number <= 40; number += 1) {
      await until(() => processed.length === number);
      await site.ping('update', id);
    }
    await until(async () => processed.length === 41 && (await queue.counts('default')).waiting === 1);
    expect(await queue.counts('default')).toMatchObject({ waiting: 1, dead: 0 });
    const waiting = [...queue.store.rows.values()].find(({ state }) => state === 'waiting');
    expect(JSON.parse(waiting!.job)).toMatchObject({ action: 'settle', tries: 1 });
  });

  test('a password that the CRM did not take is returned later, by another process too', async () => {
    const { sandbox, site, queue, clock, users, another, processed } = await open({
      returnPassword: { field: 'f1' },
    });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    const refused = sandbox.fail({ method: 'PUT', path: '/Contacts', with: 'forbidden', times: Infinity });
    await site.ping('add', id);
    await until(() => processed.length === 1);
    expect(processed).toMatchObject([{ outcome: 'created', warnings: [{ code: 'PASSWORD_NOT_RETURNED' }] }]);
    expect(await queue.counts('default')).toMatchObject({ waiting: 1, dead: 0 });
    await site.close();
    refused.remove();
    await another();
    clock.advance(60_000);
    await until(isEmpty(queue));
    expect(await crmPasswordLogsIn(sandbox, users, id)).toBe(true);
  });

  test('a password that another process returns is left to it; when that process is gone, it is taken over', async () => {
    const store = new QueueStore();
    let isTaking = true;
    let finished = 0;
    // The first process works until it has created the user, then only on what it has begun.
    class FirstQueue extends MemoryWebhookQueue {
      override take(name: string, limit: number): Promise<TakenContact[]> {
        return isTaking ? super.take(name, limit) : Promise.resolve([]);
      }
    }
    class OtherQueue extends MemoryWebhookQueue {
      override async finish(...parameters: Parameters<MemoryWebhookQueue['finish']>): Promise<boolean> {
        const isHeld = await super.finish(...parameters);
        finished += 1;
        return isHeld;
      }
    }
    const first = new FirstQueue({ store, leaseMs: 1000 });
    const queue = new OtherQueue({ store, leaseMs: 1000 });
    const { sandbox, site, users, another, processed } = await open({
      returnPassword: { field: 'f1' },
      queue: first,
    });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    // The CRM never answers its write, nor does what it says.
    const write = { method: 'PUT', path: '/Contacts' };
    sandbox.fail({ ...write, with: 'hang', times: 1 });
    await site.ping('add', id);
    // Its run waits a moment, then leaves the password to go on behind it.
    await until(() => processed.length === 1);
    expect(processed).toMatchObject([{ outcome: 'created', warnings: [{ code: 'PASSWORD_NOT_RETURNED' }] }]);
    const hashOf = (): string | null | undefined => users.all()[0]?.passwordHash;
    const hash = hashOf();
    isTaking = false;
    await another({ queue });
    const settled = async (): Promise<void> => {
      const before = finished;
      await queue.put('default', id, { action: 'settle', receivedAt: Date.now() });
      await until(() => finished > before);
    };

    // Not one call.
    sandbox.clearCalls();
    await settled();
    expect(sandbox.calls).toEqual([]);
    // A webhook reads the contact, and no more.
    await site.ping('update', id);
    await until(() => processed.length === 2);
    expect(processed[1]).toMatchObject({ warnings: [{ code: 'PASSWORD_NOT_RETURNED' }] });
    expect({ writes: sandbox.callCount(write), hash: hashOf() }).toEqual({ writes: 0, hash });

    await site.webhook.close({ timeoutMs: 0 });
    await until(async () => (await queue.readShared('default', 'presence')).text === '{}');
    await queue.put('default', id, { action: 'settle', receivedAt: Date.now() });
    await until(() => crmPasswordLogsIn(sandbox, users, id));
    expect(hashOf()).not.toBe(hash);
  });

  test('a password whose write may still be under way in a process that died is looked at when that is over', async () => {
    const { sandbox, site, queue, clock, users, processed } = await open({ returnPassword: { field: 'f1' } });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id, { async: 'false' });
    await until(isEmpty(queue));
    const [user] = users.all();
    const claimedAt = Math.floor(Date.now() / 1000);
    const state = { ...parseSyncState(user!.syncState), password: { claims: ['gone'], claimedAt } };
    await users.update(user!.id, { syncState: formatSyncState(state) });
    await site.ping('update', id);
    await until(() => processed.length === 2);
    const { calls } = sandbox;
    const settle = [...queue.store.rows.values()].find(({ state }) => state === 'waiting');
    expect(JSON.parse(settle!.job)).toMatchObject({ action: 'settle' });
    expect(settle!.dueAt - clock.now()).toBeGreaterThan(14 * 60_000);
    expect(calls.length).toBeGreaterThan(0);
  });

  test('afterCreate that throws is run again', async () => {
    let runs = 0;
    const { sandbox, site, queue, clock, users, failed } = await open({
      hooks: {
        afterCreate: () => {
          runs += 1;
          if (runs === 1) throw new Error('no room on the course');
        },
      },
    });
    await site.ping('add', sandbox.addContact({ email: 'mary@example.com' }));
    await until(() => failed.length === 1);
    expect(failed).toMatchObject([{ code: 'HOOK_FAILED', willRetry: true }]);
    clock.advance(12_000);
    await until(isEmpty(queue));
    expect({ runs, users: users.all().length }).toEqual({ runs: 2, users: 1 });
  });
});

describe('a CRM in trouble', () => {
  test('one contact that makes every call fail does not keep the others', async () => {
    const { sandbox, users, clock, another } = await open({ worker: false });
    const ids = Array.from({ length: 60 }, (_, n) => sandbox.addContact({ email: `p${n}@example.com` }));
    const client = clientOf(sandbox);
    const poison = ids[17]!;
    const crm: CrmClient = {
      maxBatchSize: 50,
      getContacts: async (wanted, options) => {
        if (wanted.includes(poison))
          throw new WpFusionError('CRM_UNAVAILABLE', 'The server broke down over it.');
        return client.getContacts(wanted, options);
      },
      updateContact: (id, fields, options) => client.updateContact(id, fields, options),
    };
    const site = await another({ crm, worker: false });
    await Promise.all(ids.map((id) => site.ping('add', id)));
    const working = await another({ crm, worker: true });
    await until(() => {
      // Those that had to wait with it come back a few seconds later, by the clock of the queue.
      clock.advance(100);
      return users.all().length === 59;
    });
    expect(users.all().some(({ contactId }) => contactId === poison)).toBe(false);
    await working.close();
  });

  test('while it is down, it is left alone', async () => {
    const { sandbox, site, users, another, clock } = await open({ worker: false });
    const ids = Array.from({ length: 300 }, (_, n) => sandbox.addContact({ email: `p${n}@example.com` }));
    await Promise.all(ids.map((id) => site.ping('add', id)));
    const asked: number[] = [];
    let isDown = true;
    const client = clientOf(sandbox);
    const crm: CrmClient = {
      maxBatchSize: 50,
      getContacts: async (wanted, options) => {
        if (isDown) asked.push(wanted.length);
        if (isDown) throw new WpFusionError('CRM_UNAVAILABLE', 'Nobody is there.');
        return client.getContacts(wanted, options);
      },
      updateContact: (id, fields, options) => client.updateContact(id, fields, options),
    };
    await another({ crm, worker: true });
    await until(() => asked.length >= 8);
    // Less and less (two batches may have been under way at the beginning), until one contact asks for all.
    const first = asked.slice(0, 8);
    expect(first).toEqual([...first].sort((one, other) => other - one));
    expect(first.slice(-2)).toEqual([1, 1]);
    isDown = false;
    clock.advance(60_000);
    await until(() => users.all().length === 300);
  });
});

test('each step can be died at', async () => {
  const steps = new Set<string>();
  const { sandbox, site, queue } = await open({
    [FAIL_POINT]: async (step: string) => void steps.add(step),
  } as never);
  await site.ping('add', sandbox.addContact({ email: 'mary@example.com' }));
  await until(isEmpty(queue));
  await until(() => steps.has('work: finished'));
  expect([...steps]).toEqual(
    expect.arrayContaining(['accept: about to store', 'accept: stored', 'work: taken', 'work: run ended']),
  );
});
