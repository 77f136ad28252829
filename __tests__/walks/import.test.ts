// importContacts(): the contacts of a tag get users, once each, wherever the import is stopped and whatever fails on the way.
import {
  MemoryUserRepository,
  WpFusionError,
  type ConfigurationError,
  type ContactFilter,
  type CrmClient,
  type ReadOptions,
  type User,
  type WpFusionWebhookOptions,
} from '../../lib';
import type { OntraportSandbox } from '../../lib/testing';
import { BRIEF_DELAYS_MS } from '../../lib/worker/verdict';
import { ACCESS_KEY, until } from '../actions/site';
import { cheapHasher, newUser } from '../http/site';
import { MemoryWebhookQueue } from '../testing/contracts/memory-queue';
import {
  afterOf,
  clientOf,
  emptied,
  holdSecondPage,
  isLaterPage,
  open,
  pagesOf,
  readsOf,
  watchProcess,
  WAYS,
} from './scene';

watchProcess();

/** Adds contacts with the tag that is imported. */
const customers = (sandbox: OntraportSandbox, count: number): string[] =>
  Array.from({ length: count }, (_, n) =>
    sandbox.addContact({ email: `customer${n}@example.com`, tags: ['Customer'], f2: 'gold' }),
  );

/** Effects that must not happen twice. */
function witness(): {
  mails: string[];
  welcomed: string[];
  options: Pick<WpFusionWebhookOptions, 'hooks' | 'notifier'>;
} {
  const mails: string[] = [];
  const welcomed: string[] = [];
  return {
    mails,
    welcomed,
    options: {
      hooks: { afterCreate: ({ user }) => void welcomed.push(user.email) },
      notifier: { sendWelcome: async ({ user }) => void mails.push(user.email) },
    },
  };
}

describe.each(WAYS)('%s', (way) => {
  test('120 contacts of a tag become users, over three pages, with the role and the mail that were asked for', async () => {
    const { mails, welcomed, options } = witness();
    const { sandbox, site, users } = await open(way, { ...options, returnPassword: { field: 'f1' } });
    sandbox.addContact({ email: 'nobody@example.com', tags: ['Member'] });
    const ids = customers(sandbox, 120);
    const { position, ...summary } = await site.webhook.importContacts({
      ...{ tag: 'Customer', role: 'customer', sendNotification: true },
    });
    expect(summary).toEqual({
      ...{ contacts: 120, created: 120, updated: 0, unchanged: 0, skipped: 0, waiting: 0, failed: 0 },
      ...{ failures: [], finished: true },
    });
    expect(position).toBe(ids.at(-1));
    const emails = ids.map((_id, n) => `customer${n}@example.com`).sort();
    expect(
      users
        .all()
        .map(({ email }) => email)
        .sort(),
    ).toEqual(emails);
    expect(users.all().filter(({ role, tags }) => role !== 'customer' || tags[0] !== 'Customer')).toEqual([]);
    expect([...mails].sort()).toEqual(emails);
    expect([...welcomed].sort()).toEqual(emails);
    for (const { contactId, passwordHash } of users.all()) {
      await until(() => Boolean(sandbox.contact(contactId!)?.f1));
      expect(await cheapHasher.verify(sandbox.contact(contactId!)!.f1!, passwordHash!)).toBe(true);
    }
    expect(pagesOf(sandbox)).toHaveLength(4);
    // With a queue one read each; without one another after the user was stored. Up to fifty share a call.
    expect(readsOf(sandbox).length).toBeLessThanOrEqual(way === 'with a queue' ? 6 : 12);
  });

  test('without a role or a mail asked for there is the default role, and no mail', async () => {
    const { mails, options } = witness();
    const { sandbox, site, users } = await open(way, options);
    customers(sandbox, 1);
    await site.webhook.importContacts({ tag: 'Customer' });
    expect(users.all()).toMatchObject([{ role: 'subscriber' }]);
    expect(mails).toEqual([]);
  });

  test('users that are there are linked or updated, not created anew', async () => {
    const { mails, options } = witness();
    const { sandbox, site, users, member, user } = await open(way, options);
    const linked = await member({ tags: ['Customer'], f2: 'gold' }, { meta: { plan: 'silver' } });
    const equal = await member({ tags: ['Customer'], f2: 'gold' });
    const unlinked = await users.create(newUser({ email: 'customer0@example.com' }));
    const [byEmail] = customers(sandbox, 1);
    expect(await site.webhook.importContacts({ tag: 'Customer', sendNotification: true })).toMatchObject({
      ...{ contacts: 3, created: 0, updated: 2, unchanged: 1, failed: 0 },
    });
    expect(users.all()).toHaveLength(3);
    expect([linked, equal].map((id) => user(id)?.meta.plan)).toEqual(['gold', 'gold']);
    expect(user(byEmail!)).toMatchObject({ id: unlinked.id, meta: { plan: 'gold' }, tags: ['Customer'] });
    expect(mails).toEqual([]);
  });

  test('a tag may be given by its id', async () => {
    const { sandbox, site } = await open(way);
    customers(sandbox, 2);
    expect(await site.webhook.importContacts({ tag: sandbox.addTag('Customer') })).toMatchObject({
      created: 2,
    });
  });

  test('a tag that the account does not have is INVALID_REQUEST', async () => {
    const { site } = await open(way);
    const error = await site.webhook.importContacts({ tag: 'Custmoer' }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'INVALID_REQUEST', errors: [{ parameter: 'tag' }] });
  });

  test.each(['', '  ', undefined])('no tag is refused at once: %j', async (tag) => {
    const { site } = await open(way);
    expect(() => site.webhook.importContacts({ tag: tag! })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option: 'tag' }) as ConfigurationError,
    );
  });

  test('one that fails is told with its reason, the others are done', async () => {
    const { sandbox, site, users } = await open(way);
    await users.create(newUser({ email: 'customer1@example.com', role: 'admin' }));
    const ids = customers(sandbox, 3);
    expect(await site.webhook.importContacts({ tag: 'Customer' })).toMatchObject({
      ...{ contacts: 3, created: 2, failed: 1, finished: true },
      failures: [{ contactId: ids[1], code: 'USER_CONFLICT', detail: expect.stringMatching(/protected/) }],
    });
  });

  test('what fails shows no secret', async () => {
    const password = 'correct horse battery staple';
    const logged: unknown[] = [];
    const { sandbox, site } = await open(way, {
      fields: { password: 'f1' },
      passwordHasher: {
        hash: async (given) => {
          throw new WpFusionError('PASSWORD_TOO_LONG', `${given} of ${ACCESS_KEY} is too long`);
        },
        verify: async () => false,
      },
      logger: { debug: ignore, info: ignore, warn: ignore, error: (details) => void logged.push(details) },
    });
    const id = sandbox.addContact({ email: 'mary@example.com', f1: password, tags: ['Customer'] });
    const summary = await site.webhook.importContacts({ tag: 'Customer' });
    expect(summary.failures).toEqual([
      {
        contactId: id,
        code: 'PASSWORD_TOO_LONG',
        detail: '[redacted] of [redacted] is too long',
        willRetry: false,
      },
    ]);
    expect(JSON.stringify([summary, logged])).not.toMatch(new RegExp(`${password}|${ACCESS_KEY}`));
  });

  describe('stopped in the middle', () => {
    test('by its signal: it ends cleanly, and the next one goes on; nothing happens twice', async () => {
      const { mails, welcomed, options } = witness();
      const { sandbox, queue, site, users } = await open(way, options);
      const ids = customers(sandbox, 120);
      const second = holdSecondPage(sandbox);
      const stop = new AbortController();
      const order = { tag: 'Customer', sendNotification: true };
      const walk = site.webhook.importContacts({ ...order, signal: stop.signal });
      await second.caught();
      await until(() => mails.length === 50);
      stop.abort();
      second.release();
      expect(await walk).toMatchObject({ contacts: 50, created: 50, position: ids[49], finished: false });
      await emptied(queue);
      sandbox.clearCalls();
      // Nothing goes on by itself.
      await new Promise((resolve) => setImmediate(resolve));
      expect(sandbox.calls).toEqual([]);
      expect(users.all()).toHaveLength(50);

      expect(await site.webhook.importContacts(order)).toMatchObject({
        ...{ contacts: 70, created: 70, finished: true },
      });
      expect(afterOf(pagesOf(sandbox)[0]!)).toBe(Number(ids[49]));
      expect(users.all()).toHaveLength(120);
      expect([new Set(mails).size, mails.length]).toEqual([120, 120]);
      expect([new Set(welcomed).size, welcomed.length]).toEqual([120, 120]);
      // One that came to its end begins anew.
      expect(await site.webhook.importContacts(order)).toMatchObject({ contacts: 120, unchanged: 120 });
      expect(mails).toHaveLength(120);
    });

    test('while work is under way: what was begun is finished, by this process or its queue', async () => {
      const { mails, options } = witness();
      let release: () => void = ignore;
      const held = new Promise<void>((resolve) => (release = resolve));
      let begun = 0;
      const { sandbox, queue, site, users } = await open(way, {
        ...options,
        hooks: {
          beforeCreate: async ({ user }) => {
            begun += 1;
            await held;
            return user;
          },
        },
      });
      customers(sandbox, 30);
      const stop = new AbortController();
      const walk = site.webhook.importContacts({
        ...{ tag: 'Customer', sendNotification: true, signal: stop.signal },
      });
      await until(() => begun === 30);
      stop.abort();
      // With a queue nobody has to wait for what is stored.
      if (way === 'with a queue') expect(await walk).toMatchObject({ waiting: 30, finished: false });
      release();
      await walk;
      await emptied(queue);
      expect(users.all()).toHaveLength(30);
      const next = await site.webhook.importContacts({ tag: 'Customer', sendNotification: true });
      expect(next).toMatchObject({ created: 0, finished: true });
      expect([new Set(mails).size, mails.length]).toEqual([30, 30]);
    });

    test('over a client that does not heed the signal: no further contact is begun', async () => {
      const { sandbox, queue, users, another } = await open(way);
      const whole = clientOf(sandbox);
      const stop = new AbortController();
      let listed = 0;
      const { webhook } = await another({
        crm: {
          maxBatchSize: 50,
          contactIdPattern: whole.contactIdPattern,
          getContacts: (ids, read) => whole.getContacts(ids, read),
          updateContact: (id, fields, write) => whole.updateContact(id, fields, write),
          listContacts: async function* (filter) {
            for await (const contact of whole.listContacts(filter)) {
              listed += 1;
              if (listed === 6) stop.abort();
              yield contact;
            }
          },
        },
      });
      customers(sandbox, 60);
      expect(await webhook.importContacts({ tag: 'Customer', signal: stop.signal })).toMatchObject({
        ...{ contacts: 5, finished: false },
      });
      await emptied(queue);
      expect({ listed, users: users.all().length }).toEqual({ listed: 6, users: 5 });
    });

    test('by a CRM that fails: the next one goes on', async () => {
      const { sandbox, site } = await open(way);
      customers(sandbox, 120);
      sandbox.fail({ where: isLaterPage, with: 'forbidden', times: 1 });
      const error = await site.webhook.importContacts({ tag: 'Customer' }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'CRM_UNAUTHORIZED' });
      expect(await site.webhook.importContacts({ tag: 'Customer' })).toMatchObject({
        ...{ contacts: 70, created: 70, finished: true },
      });
    });

    test('by its signal: with restart: true the next one begins at the first contact', async () => {
      const { sandbox, site, users } = await open(way);
      customers(sandbox, 60);
      const second = holdSecondPage(sandbox);
      const stop = new AbortController();
      const walk = site.webhook.importContacts({ tag: 'Customer', signal: stop.signal });
      await second.caught();
      await until(() => users.all().length === 50);
      stop.abort();
      await walk;
      second.release();
      expect(await site.webhook.importContacts({ tag: 'Customer', restart: true })).toMatchObject({
        ...{ contacts: 60, created: 10, unchanged: 50, finished: true },
      });
    });

    test('another tag’s import begins at its own first contact', async () => {
      const { sandbox, site } = await open(way);
      customers(sandbox, 60);
      sandbox.addContact({ id: 1000, email: 'vip@example.com', tags: ['VIP'] });
      sandbox.fail({ where: isLaterPage, with: 'forbidden', times: 1 });
      await site.webhook.importContacts({ tag: 'Customer' }).catch(ignore);
      sandbox.clearCalls();
      expect(await site.webhook.importContacts({ tag: 'VIP' })).toMatchObject({ contacts: 1 });
      expect(afterOf(pagesOf(sandbox)[0]!)).toBeUndefined();
    });

    test('by closing', async () => {
      const { sandbox, queue, site, users, another } = await open(way);
      customers(sandbox, 60);
      const second = holdSecondPage(sandbox);
      const walk = site.webhook.importContacts({ tag: 'Customer' });
      await second.caught();
      await until(() => users.all().length === 50);
      await site.webhook.close();
      expect(await walk).toMatchObject({ contacts: 50, finished: false });
      second.release();
      await emptied(queue);
      expect(() => site.webhook.importContacts({ tag: 'Customer' })).toThrow(
        expect.objectContaining({ code: 'SHUTTING_DOWN' }) as WpFusionError,
      );
      const other = await another();
      expect(await other.webhook.importContacts({ tag: 'Customer' })).toMatchObject(
        // Only a queue's store outlives the process.
        way === 'with a queue' ? { contacts: 10, created: 10 } : { contacts: 60, created: 10, unchanged: 50 },
      );
    });
  });

  test('a client that cannot go on behind a contact begins anew, and does no harm', async () => {
    const { mails, options } = witness();
    const { sandbox, users, another } = await open(way, options);
    const whole = clientOf(sandbox);
    const filters: ContactFilter[] = [];
    const crm: CrmClient = {
      maxBatchSize: 50,
      contactIdPattern: whole.contactIdPattern,
      getContacts: (ids, read) => whole.getContacts(ids, read),
      updateContact: (id, fields, write) => whole.updateContact(id, fields, write),
      listContacts: ({ tag, ...filter }, read: ReadOptions = {}) => {
        filters.push({ tag, ...filter });
        return whole.listContacts({ tag }, { fields: read.fields, signal: read.signal });
      },
    };
    const site = await another({ crm });
    customers(sandbox, 60);
    sandbox.fail({ where: isLaterPage, with: 'forbidden', times: 1 });
    const order = { tag: 'Customer', sendNotification: true };
    await site.webhook.importContacts(order).catch(ignore);
    expect(await site.webhook.importContacts(order)).toMatchObject({
      ...{ contacts: 60, created: 10, unchanged: 50, finished: true },
    });
    expect(filters.map(({ afterId }) => afterId)).toEqual([undefined, expect.any(String)]);
    expect(users.all()).toHaveLength(60);
    expect([new Set(mails).size, mails.length]).toEqual([60, 60]);
  });

  test('two imports of one tag at once make one user for each contact', async () => {
    const { mails, options } = witness();
    const { sandbox, site, users, another } = await open(way, options);
    const other = await another();
    customers(sandbox, 60);
    const order = { tag: 'Customer', sendNotification: true };
    const summaries = await Promise.all([
      site.webhook.importContacts(order),
      other.webhook.importContacts(order),
    ]);
    expect(summaries).toMatchObject([
      { failed: 0, waiting: 0, finished: true },
      { failed: 0, waiting: 0, finished: true },
    ]);
    expect(users.all()).toHaveLength(60);
    expect(new Set(mails).size).toBe(60);
  });
});

test('without a queue: no email, a hook that throws and a storage that fails are told one by one', async () => {
  class Picky extends MemoryUserRepository {
    override async create(user: Parameters<MemoryUserRepository['create']>[0]): Promise<User> {
      if (user.email === 'customer2@example.com') throw new Error(`no room for ${user.passwordHash}`);
      return super.create(user);
    }
  }
  const { sandbox, site } = await open('without a queue', {
    users: new Picky(),
    hooks: {
      beforeCreate: ({ user }) => {
        if (user.email === 'customer1@example.com') throw new Error(`no: ${ACCESS_KEY}`);
        return user;
      },
    },
  });
  const ids = customers(sandbox, 4);
  const noEmail = sandbox.addContact({ tags: ['Customer'] });
  const { failures, ...summary } = await site.webhook.importContacts({ tag: 'Customer' });
  expect(summary).toMatchObject({ contacts: 5, created: 2, failed: 3, finished: true });
  expect([...failures].sort((one, other) => Number(one.contactId) - Number(other.contactId))).toMatchObject([
    { contactId: ids[1], code: 'HOOK_FAILED', detail: 'hooks.beforeCreate threw.' },
    { contactId: ids[2], code: 'REPOSITORY_FAILED' },
    { contactId: noEmail, code: 'CONTACT_WITHOUT_EMAIL', detail: expect.stringContaining('has no email') },
  ]);
  expect(JSON.stringify(failures)).not.toContain('no room');
});

test('with a queue: what is tried again is told once it is given up', async () => {
  let ahead = 0;
  const queue = new MemoryWebhookQueue({ now: () => Date.now() + ahead });
  const { sandbox, site } = await open('with a queue', { queue });
  const noEmail = sandbox.addContact({ tags: ['Customer'] });
  customers(sandbox, 1);
  let failed = 0;
  site.webhook.on('webhook.failed', () => (failed += 1));
  const walk = site.webhook.importContacts({ tag: 'Customer' });
  for (const [tries, delayMs] of BRIEF_DELAYS_MS.entries()) {
    await until(() => failed === tries + 1);
    ahead += 1.2 * delayMs;
  }
  expect(await walk).toMatchObject({
    ...{ contacts: 2, created: 1, waiting: 0, failed: 1, finished: true },
    failures: [{ contactId: noEmail, code: 'CONTACT_WITHOUT_EMAIL' }],
  });
});

test('the first thousand failures are told one by one, all are counted', async () => {
  const { sandbox, site } = await open('without a queue');
  for (let n = 0; n < 1100; n += 1) sandbox.addContact({ tags: ['Customer'] });
  const { failures, ...summary } = await site.webhook.importContacts({ tag: 'Customer' });
  expect(summary).toMatchObject({ contacts: 1100, failed: 1100, finished: true });
  expect(failures).toHaveLength(1000);
});

describe('where another process works the queue off', () => {
  test('the summary is what came of it there', async () => {
    const { sandbox, users, another } = await open('with a queue');
    const site = await another({ worker: false });
    await users.create(newUser({ email: 'customer1@example.com', role: 'admin' }));
    const ids = customers(sandbox, 5);
    expect(await site.webhook.importContacts({ tag: 'Customer' })).toMatchObject({
      ...{ contacts: 5, created: 4, failed: 1, waiting: 0, finished: true },
      failures: [{ contactId: ids[1], code: 'USER_CONFLICT' }],
    });
  });

  test('and none does yet: everything is stored, and done when one comes', async () => {
    const { sandbox, queue, users, site, another } = await open('with a queue', { worker: false });
    customers(sandbox, 60);
    const stop = new AbortController();
    const walk = site.webhook.importContacts({ tag: 'Customer', role: 'customer', signal: stop.signal });
    await until(async () => (await queue.counts('default')).waiting === 60);
    stop.abort();
    expect(await walk).toMatchObject({ contacts: 60, waiting: 60, created: 0, finished: false });
    await another({ worker: true });
    await emptied(queue);
    expect(users.all().filter(({ role }) => role === 'customer')).toHaveLength(60);
    // What was stored is not looked at again.
    expect(await site.webhook.importContacts({ tag: 'Customer' })).toMatchObject({
      ...{ contacts: 0, finished: true },
    });
  });
});

function ignore(): void {
  // Nothing to do.
}
