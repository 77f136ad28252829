// reconcile(): users are made equal to the contacts that were modified, whether or not a webhook came; nothing else is touched.
import { MemoryUserRepository, type User } from '../../lib';
import { fingerprint, formatSyncState, parseSyncState } from '../../lib/users/sync-state';
import { crmPasswordLogsIn, until } from '../actions/site';
import { cheapHasher, newUser } from '../http/site';
import { HOUR, holdSecondPage, isRead, open, pagesOf, readsOf, times, watchProcess, WAYS } from './scene';

watchProcess();

const anHourAgo = (): Date => new Date(Date.now() - HOUR);
const states = (users: readonly User[]): (string | null)[] => users.map(({ syncState }) => syncState);

describe.each(WAYS)('%s', (way) => {
  test('users that differ are made equal, and nothing else is written', async () => {
    const { sandbox, users, site, member, user } = await open(way);
    const equal = await member({ f2: 'gold', tags: ['Member'] });
    const otherPlan = await member({ f2: 'gold' }, { meta: { plan: 'silver', own: 'kept' } });
    const otherTags = await member({ tags: ['VIP'] }, { tags: ['Member'] });
    const otherEmail = await member({ email: 'new@example.com' }, { email: 'old@example.com' });
    const untouched = user(equal);
    const strangers = await users.create(newUser({ email: 'stranger@example.com' }));

    const { position, ...summary } = await site.webhook.reconcile({ since: anHourAgo() });
    expect(summary).toEqual({
      ...{ contacts: 4, created: 0, updated: 3, unchanged: 1, skipped: 0, waiting: 0, failed: 0 },
      ...{ failures: [], finished: true },
    });
    expect(position).toBe(otherEmail);
    expect(user(otherPlan)?.meta).toEqual({ plan: 'gold', own: 'kept' });
    expect(user(otherTags)?.tags).toEqual(['VIP']);
    expect(user(otherEmail)?.email).toBe('new@example.com');
    expect(user(equal)).toEqual(untouched);
    expect(users.all().find(({ id }) => id === strangers.id)).toEqual(strangers);
    expect(sandbox.callCount(({ method }) => method !== 'GET')).toBe(0);
  });

  test('200 equal users cost five calls for the walk, no other read, no webhook’s work and no write', async () => {
    const { sandbox, queue, users, site, member } = await open(way);
    const processed: unknown[] = [];
    site.webhook.on('webhook.processed', (event) => processed.push(event));
    await times(200, () => member({ f2: 'gold', tags: ['Member'] }));
    const before = states(users.all());
    expect(await site.webhook.reconcile({ since: anHourAgo() })).toMatchObject({
      ...{ contacts: 200, unchanged: 200, updated: 0, finished: true },
    });
    expect(pagesOf(sandbox)).toHaveLength(5);
    expect(readsOf(sandbox)).toEqual([]);
    expect(processed).toEqual([]);
    expect(queue.store.rows.size).toBe(0);
    expect(states(users.all())).toEqual(before);
  });

  test('200 users that all differ cost one read for at least 25 of them, on average', async () => {
    const { sandbox, users, site, member } = await open(way);
    await times(200, () => member({ f2: 'gold' }, { meta: { plan: 'silver' } }));
    expect(await site.webhook.reconcile({ since: anHourAgo() })).toMatchObject({
      ...{ contacts: 200, updated: 200, failed: 0, waiting: 0, finished: true },
    });
    expect(users.all().filter(({ meta }) => meta.plan !== 'gold')).toEqual([]);
    expect(pagesOf(sandbox)).toHaveLength(5);
    expect(readsOf(sandbox).length).toBeLessThanOrEqual(8);
  });

  test('a contact without a user gets none, not even where an unlinked user has its email', async () => {
    const { sandbox, queue, users, site, member } = await open(way);
    sandbox.addContact({ email: 'mary@example.com', f2: 'gold' });
    const unlinked = await users.create(newUser({ email: 'mary@example.com' }));
    await member({ f2: 'gold' });
    expect(await site.webhook.reconcile({ since: anHourAgo() })).toMatchObject({
      ...{ contacts: 2, created: 0, skipped: 1, unchanged: 1 },
    });
    expect(users.all()).toHaveLength(2);
    expect(users.all().find(({ id }) => id === unlinked.id)).toEqual(unlinked);
    expect(queue.store.rows.size).toBe(0);
  });

  test('a contact modified at the very second of since is looked at, one of the second before is not', async () => {
    const { site, member, user } = await open(way);
    const seconds = Math.floor(Date.now() / 1000) - 1000;
    const differs = { meta: { plan: 'silver' } };
    const before = await member({ f2: 'gold', dlm: String(seconds - 1) }, differs);
    const at = await member({ f2: 'gold', dlm: String(seconds) }, differs);
    const after = await member({ f2: 'gold', dlm: String(seconds + 1) }, differs);
    // The account counts whole seconds: what is left of one must not leave a contact out.
    const since = new Date(seconds * 1000 + 999);
    expect(await site.webhook.reconcile({ since })).toMatchObject({ contacts: 2, updated: 2 });
    expect([before, at, after].map((id) => user(id)?.meta.plan)).toEqual(['silver', 'gold', 'gold']);
  });

  test('{ all: true } brings a renamed tag, which moves no contact', async () => {
    const { sandbox, site, member, user } = await open(way);
    const long = { dlm: String(Math.floor((Date.now() - 1000 * HOUR) / 1000)) };
    const id = await member({ tags: ['Member'], ...long });
    await member({ tags: ['VIP'], ...long });
    sandbox.renameTag('Member', 'Fellow');
    expect(await site.webhook.reconcile({ since: anHourAgo() })).toMatchObject({ contacts: 0 });
    // The client has kept the old name; such a walk asks anew.
    expect(await site.webhook.reconcile({ all: true })).toMatchObject({
      ...{ contacts: 2, updated: 1, unchanged: 1, finished: true },
    });
    expect(user(id)?.tags).toEqual(['Fellow']);
  });

  test('what is owed to a user is settled, though the user is equal', async () => {
    const welcomed: string[] = [];
    const mailed: string[] = [];
    const { sandbox, site, member, user } = await open(way, {
      returnPassword: { field: 'f1' },
      hooks: { afterCreate: ({ user: { email } }) => void welcomed.push(email) },
      notifier: { sendWelcome: async ({ user: { email } }) => void mailed.push(email) },
    });
    const passwordHash = await cheapHasher.hash('lost with the process that knew it');
    const owing = (debts: Parameters<typeof formatSyncState>[0]): Partial<User> => ({
      passwordHash,
      syncState: formatSyncState({ hash: fingerprint(passwordHash), ...debts }),
    });
    const password = await member({}, owing({ password: { claims: [], claimedAt: 1 } }));
    const hook = await member({}, owing({ afterCreate: true }));
    const mail = await member({}, owing({ mail: true }));
    const nothing = await member({}, owing({}));
    const before = user(nothing);
    expect(await site.webhook.reconcile({ since: anHourAgo() })).toMatchObject({
      ...{ contacts: 4, unchanged: 4, failed: 0 },
    });
    const shown = sandbox.contact(password)?.f1 ?? '';
    expect(shown).not.toBe('');
    expect(await cheapHasher.verify(shown, user(password)!.passwordHash!)).toBe(true);
    expect({ welcomed, mailed }).toEqual({
      welcomed: [user(hook)?.email],
      mailed: [user(mail)?.email],
    });
    const debts = [hook, mail].map((id) => parseSyncState(user(id)!.syncState));
    expect(debts).toMatchObject([
      { afterCreate: false, mail: false },
      { afterCreate: false, mail: false },
    ]);
    expect(user(nothing)).toEqual(before);
  });

  test('of a protected user only fields and tags change; where nothing else differs it costs nothing', async () => {
    const { sandbox, queue, site, member, user } = await open(way);
    const admin = { role: 'admin' };
    const email = await member({ email: 'taken@example.com' }, { ...admin, email: 'admin@example.com' });
    const fields = await member({ f2: 'gold', tags: ['VIP'] }, { ...admin, meta: {}, tags: [] });
    const before = user(email);
    expect(await site.webhook.reconcile({ since: anHourAgo() })).toMatchObject({
      ...{ contacts: 2, unchanged: 1, updated: 1 },
    });
    expect(user(email)).toEqual(before);
    expect(user(fields)).toMatchObject({ role: 'admin', meta: { plan: 'gold' }, tags: ['VIP'] });
    expect(readsOf(sandbox)).toHaveLength(1);
    expect([...queue.store.rows.values()].filter(({ contactId }) => contactId === email)).toEqual([]);
  });

  test('a hook that says no to a change is asked, and counts as skipped', async () => {
    const { site, member, user } = await open(way, { hooks: { beforeUpdate: () => null } });
    const id = await member({ f2: 'gold' }, { meta: { plan: 'silver' } });
    expect(await site.webhook.reconcile({ since: anHourAgo() })).toMatchObject({ skipped: 1, failed: 0 });
    expect(user(id)?.meta.plan).toBe('silver');
  });

  describe('while the walk is between two pages', () => {
    test('what changes, goes, comes and moves is neither missed nor done twice', async () => {
      const { sandbox, site, member, user, users } = await open(way);
      const differs = { meta: { plan: 'silver' } };
      const ids = await times(60, () => member({ f2: 'gold' }, differs));
      const [changedBehind, changedAhead, deletedBehind, deletedAhead] = [3, 55, 7, 57].map((n) => ids[n]!);
      const second = holdSecondPage(sandbox);
      const walk = site.webhook.reconcile({ since: anHourAgo() });
      await second.caught();
      // The first page has been done by now.
      await until(() => users.all().filter(({ meta }) => meta.plan === 'gold').length === 50);
      sandbox.updateContact(changedBehind!, { f2: 'platinum' });
      sandbox.updateContact(changedAhead!, { f2: 'platinum' });
      sandbox.deleteContact(deletedBehind!);
      sandbox.deleteContact(deletedAhead!);
      const appeared = await member({ f2: 'new' }, differs);
      second.release();
      expect(await walk).toMatchObject({ contacts: 60, updated: 60, failed: 0, finished: true });
      expect(user(changedAhead!)?.meta.plan).toBe('platinum');
      expect(user(appeared)?.meta.plan).toBe('new');
      expect(user(deletedAhead!)?.meta.plan).toBe('silver');
      expect(users.all().filter(({ meta }) => meta.plan === 'gold')).toHaveLength(58);
      // The one that the walk had passed is the next one's.
      expect(user(changedBehind!)?.meta.plan).toBe('gold');
      expect(await site.webhook.reconcile()).toMatchObject({ contacts: 59, updated: 1, unchanged: 58 });
      expect(user(changedBehind!)?.meta.plan).toBe('platinum');
    });

    test('one that is deleted after its page was read fails nobody else', async () => {
      const { sandbox, site, member, users } = await open(way, { timeoutMs: 5000 });
      const ids = await times(10, () => member({ f2: 'gold' }, { meta: { plan: 'silver' } }));
      const read = sandbox.hold({ where: isRead, times: 1 });
      const walk = site.webhook.reconcile({ since: anHourAgo() });
      await read.caught();
      sandbox.deleteContact(ids[4]!);
      read.release();
      await until(() => users.all().filter(({ meta }) => meta.plan === 'gold').length === 9);
      // It may come back: the queue looks for it for a minute more.
      const willRetry = way === 'with a queue';
      expect(await walk).toMatchObject({
        ...{ updated: 9, failed: 1, finished: true },
        failures: [{ contactId: ids[4], code: 'CONTACT_NOT_FOUND', willRetry }],
      });
    });
  });

  test('one contact that fails is told with its reason, the others are done', async () => {
    const { site, member, user } = await open(way, {
      passwordHasher: undefined,
      passwordOnUpdate: true,
      fields: { plan: 'f2', password: 'f1' },
    });
    const first = await member({ f2: 'gold' }, { meta: { plan: 'silver' } });
    const tooLong = await member({ f2: 'gold', f1: 'x'.repeat(80) }, { meta: { plan: 'silver' } });
    const last = await member({ f2: 'gold' }, { meta: { plan: 'silver' } });
    expect(await site.webhook.reconcile({ since: anHourAgo() })).toMatchObject({
      ...{ contacts: 3, updated: 2, failed: 1, finished: true },
      failures: [{ contactId: tooLong, code: 'PASSWORD_TOO_LONG', detail: expect.stringMatching(/bytes/) }],
    });
    expect([first, tooLong, last].map((id) => user(id)?.meta.plan)).toEqual(['gold', 'silver', 'gold']);
  });

  test('a storage that fails for one contact while it is compared fails that one', async () => {
    class Moody extends MemoryUserRepository {
      broken = '';
      override async findByContactId(id: string): Promise<User | null> {
        if (id === this.broken) throw new Error('row is corrupt');
        return super.findByContactId(id);
      }
    }
    const users = new Moody();
    const { site, member, user } = await open(way, { users });
    const ids = await times(3, () => member({ f2: 'gold' }, { meta: { plan: 'silver' } }));
    users.broken = ids[1]!;
    const failed = new Promise<{ code: string }>((resolve) => site.webhook.on('webhook.failed', resolve));
    const walk = site.webhook.reconcile({ since: anHourAgo() });
    expect(await failed).toMatchObject({ contactId: ids[1], code: 'REPOSITORY_FAILED' });
    await until(() => user(ids[2]!)?.meta.plan === 'gold');
    const summary = await walk;
    // With a queue it is tried again for a day.
    const willRetry = way === 'with a queue';
    expect(summary).toMatchObject({
      ...{ updated: 2, finished: true },
      failures: [{ contactId: ids[1], code: 'REPOSITORY_FAILED', willRetry }],
    });
    expect(JSON.stringify(summary)).not.toContain('corrupt');
  });

  test('a password that was returned meanwhile still logs in', async () => {
    const { sandbox, site, users } = await open(way, {
      returnPassword: { field: 'f1' },
      passwordHasher: undefined,
    });
    const id = sandbox.addContact({ email: 'mary@example.com', f2: 'gold' });
    await site.ping('add', id, { async: 'false' });
    sandbox.updateContact(id, { f2: 'platinum' });
    await site.webhook.reconcile({ since: anHourAgo() });
    expect(users.all()).toMatchObject([{ meta: { plan: 'platinum' } }]);
    await until(() => crmPasswordLogsIn(sandbox, users, id));
  });
});
