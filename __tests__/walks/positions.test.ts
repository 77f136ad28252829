// Where a walk got to: what ends one in the middle, and where the next one goes on, in this process or in another.
import type { ConfigurationError, Job, WebhookQueue } from '../../lib';
import { until } from '../actions/site';
import { MemoryWebhookQueue } from '../testing/contracts/memory-queue';
import {
  afterOf,
  HOUR,
  holdSecondPage,
  isLaterPage,
  isPage,
  isRead,
  MINUTE,
  open,
  pagesOf,
  sinceOf,
  times,
  watchProcess,
  WAYS,
  type Scene,
} from './scene';

watchProcess();

const anHourAgo = (): Date => new Date(Date.now() - HOUR);
const caughtFrom = (walk: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(walk).then(
    () => 'no error',
    (error: unknown) => error,
  );

/** Adds contacts whose users differ from them. */
const differing = ({ member }: Scene, count: number): Promise<string[]> =>
  times(count, () => member({ f2: 'gold' }, { meta: { plan: 'silver' } }));
const golden = ({ users }: Scene): number => users.all().filter(({ meta }) => meta.plan === 'gold').length;

describe.each(WAYS)('%s', (way) => {
  test.each([
    ['unauthorized', 'CRM_UNAUTHORIZED'],
    ['error500', 'CRM_UNAVAILABLE'],
    ['reset', 'CRM_UNAVAILABLE'],
  ] as const)(
    'a CRM that fails in the middle (%s) ends the walk, the next goes on there',
    async (fault, code) => {
      const scene = await open(way);
      const { sandbox, site } = scene;
      const ids = await differing(scene, 120);
      const failing = sandbox.fail({ where: isLaterPage, skip: 1, with: fault, times: Infinity });
      expect(await caughtFrom(site.webhook.reconcile({ since: anHourAgo() }))).toMatchObject({ code });
      expect(golden(scene)).toBe(100);
      failing.remove();
      sandbox.clearCalls();
      expect(await site.webhook.reconcile()).toMatchObject({ contacts: 20, updated: 20, finished: true });
      expect(afterOf(pagesOf(sandbox)[0]!)).toBe(Number(ids[99]));
      expect(golden(scene)).toBe(120);
    },
  );

  test('after a whole walk the next begins ten minutes before the start of it', async () => {
    const { sandbox, site, member, user } = await open(way);
    const id = await member({ f2: 'gold' }, { meta: { plan: 'silver' } });
    await member({ dlm: String(Math.floor((Date.now() - 11 * MINUTE) / 1000)) });
    const earliest = Math.floor((Date.now() - 10 * MINUTE) / 1000);
    const held = sandbox.hold({ where: isPage, times: 1 });
    const walk = site.webhook.reconcile({ since: anHourAgo() });
    await held.caught();
    const latest = Math.floor((Date.now() - 10 * MINUTE) / 1000);
    held.release();
    expect(await walk).toMatchObject({ contacts: 2, finished: true });
    sandbox.updateContact(id, { f2: 'platinum' });
    sandbox.clearCalls();
    expect(await site.webhook.reconcile()).toMatchObject({ contacts: 1, updated: 1, finished: true });
    expect(user(id)?.meta.plan).toBe('platinum');
    const since = pagesOf(sandbox).map(sinceOf);
    for (const one of since) {
      expect(one).toBeGreaterThanOrEqual(earliest);
      expect(one).toBeLessThanOrEqual(latest);
    }
  });

  test('nothing remembered and no since is a ConfigurationError, and asks nobody', async () => {
    const { sandbox, site } = await open(way);
    const error = (await caughtFrom(site.webhook.reconcile())) as ConfigurationError;
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'since' });
    expect(error.message).toContain('{ all: true }');
    expect(sandbox.calls).toEqual([]);
  });

  test.each([
    ['since', { since: new Date(NaN) }],
    ['since', { since: '2026-01-01' as unknown as Date }],
    ['all', { since: new Date(0), all: true }],
    ['everyMs', { since: new Date(0), everyMs: 999 }],
    ['everyMs', { since: new Date(0), everyMs: 1000.5 }],
    ['everyMs', { since: new Date(0), everyMs: 2 ** 31 }],
  ])('a wrong %s is refused at once: %j', async (option, options) => {
    const { site } = await open(way);
    expect(() => site.webhook.reconcile(options)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option }),
    );
  });

  describe('a signal', () => {
    test('stops the walk without an error; the next one goes on there, and each user is done once', async () => {
      const scene = await open(way);
      const { sandbox, site } = scene;
      const updated: string[] = [];
      site.webhook.on('user.updated', ({ user }) => updated.push(user.id));
      const ids = await differing(scene, 60);
      const second = holdSecondPage(sandbox);
      const stop = new AbortController();
      const walk = site.webhook.reconcile({ since: anHourAgo(), signal: stop.signal });
      await second.caught();
      await until(() => updated.length === 50);
      stop.abort();
      expect(await walk).toMatchObject({ contacts: 50, position: ids[49], finished: false });
      second.release();
      sandbox.clearCalls();
      expect(await site.webhook.reconcile()).toMatchObject({ contacts: 10, updated: 10, finished: true });
      expect(afterOf(pagesOf(sandbox)[0]!)).toBe(Number(ids[49]));
      expect(new Set(updated).size).toBe(60);
      expect(updated).toHaveLength(60);
    });

    test('that is aborted already asks nobody', async () => {
      const scene = await open(way);
      await differing(scene, 1);
      const { sandbox, site } = scene;
      const signal = AbortSignal.abort();
      expect(await site.webhook.reconcile({ since: anHourAgo(), signal })).toMatchObject({
        ...{ contacts: 0, position: null, finished: false },
      });
      expect(sandbox.calls).toEqual([]);
      expect(golden(scene)).toBe(0);
    });

    test('for a walk over many contacts at once is no leak of listeners', async () => {
      const scene = await open(way);
      await differing(scene, 30);
      const { signal } = new AbortController();
      // The file fails over a warning of the process.
      expect(await scene.site.webhook.reconcile({ since: anHourAgo(), signal })).toMatchObject({
        updated: 30,
      });
    });
  });

  test('closing stops the walk; afterwards none begins', async () => {
    const scene = await open(way);
    const { sandbox, site } = scene;
    await differing(scene, 60);
    const second = holdSecondPage(sandbox);
    const walk = site.webhook.reconcile({ since: anHourAgo() });
    await second.caught();
    await until(() => golden(scene) === 50);
    await site.webhook.close();
    expect(await walk).toMatchObject({ contacts: 50, finished: false });
    second.release();
    expect(() => site.webhook.reconcile({ since: anHourAgo() })).toThrow(
      expect.objectContaining({ code: 'SHUTTING_DOWN' }),
    );
    expect(golden(scene)).toBe(50);
  });

  test('a CRM that lists, and then is not to be had: nobody is passed over', async () => {
    const scene = await open(way);
    const { sandbox, site } = scene;
    const dlm = String(Math.floor((Date.now() - 30 * MINUTE) / 1000));
    await times(20, () => scene.member({ f2: 'gold', dlm }, { meta: { plan: 'silver' } }));
    const down = sandbox.fail({ where: isRead, with: 'unauthorized', times: Infinity });
    const stop = new AbortController();
    const refused = new Promise<unknown>((resolve) => site.webhook.on('webhook.failed', resolve));
    const walk = site.webhook.reconcile({ since: anHourAgo(), signal: stop.signal });
    expect(await refused).toMatchObject({ code: 'CRM_UNAUTHORIZED' });
    // With a queue everything is stored by then. Without one the walk ends with the error, or remembers whom it owes.
    if (way === 'with a queue') stop.abort();
    await caughtFrom(walk);
    down.remove();
    if (way === 'with a queue') expect(await scene.queue.counts('default')).toMatchObject({ waiting: 20 });
    else {
      await site.webhook.reconcile();
      expect(golden(scene)).toBe(20);
    }
  });

  test('an explicit since begins a walk of its own, also where one was stopped', async () => {
    const scene = await open(way);
    const { sandbox, site } = scene;
    await differing(scene, 60);
    sandbox.fail({ where: isLaterPage, with: 'unauthorized' });
    await caughtFrom(site.webhook.reconcile({ since: anHourAgo() }));
    expect(await site.webhook.reconcile({ since: anHourAgo() })).toMatchObject({ contacts: 60 });
  });
});

describe('what is remembered', () => {
  test('is in the queue’s store: another process goes on', async () => {
    const scene = await open('with a queue');
    const { sandbox, site, another } = scene;
    await differing(scene, 60);
    sandbox.fail({ where: isLaterPage, with: 'unauthorized' });
    await caughtFrom(site.webhook.reconcile({ since: anHourAgo() }));
    await site.close();
    const other = await another();
    expect(await other.webhook.reconcile()).toMatchObject({ contacts: 10, finished: true });
    expect(golden(scene)).toBe(60);
  });

  test('is never behind a contact that is not done, though others behind it are', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const slow = 'slow@example.com';
    const { site, member, queue } = await open('with a queue', {
      hooks: {
        beforeUpdate: async ({ changes }) => {
          await held;
          return changes;
        },
      },
    });
    const stored = (): (string | null)[] =>
      [...queue.store.positions.values()].map(
        (text) => (JSON.parse(text) as { open?: { afterId: string | null } }).open?.afterId ?? null,
      );
    const first = await member();
    await member({ email: slow, f2: 'gold' }, { meta: { plan: 'silver' } });
    await times(10, () => member());
    const walk = site.webhook.reconcile({ since: anHourAgo() });
    for await (const { contacts } of walk) if (contacts === 11) break;
    await until(() => stored().length > 0);
    expect(stored()).toEqual([first]);
    release();
    expect(await walk).toMatchObject({ contacts: 12, finished: true });
    expect(stored()).toEqual([null]);
  });

  test('is each site’s own, by its name', async () => {
    const { site, another, member } = await open('with a queue');
    await member();
    await site.webhook.reconcile({ since: anHourAgo() });
    const other = await another({ name: 'other', worker: false });
    expect(await caughtFrom(other.webhook.reconcile())).toMatchObject({ code: 'INVALID_OPTION' });
  });

  test.each(['without a queue', 'with a queue that remembers nothing'])(
    '%s lasts as long as the process',
    async (way) => {
      const whole = new MemoryWebhookQueue();
      const queue: WebhookQueue = {
        leaseMs: whole.leaseMs,
        put: (...given) => whole.put(...given),
        take: (...given) => whole.take(...given),
        renew: (...given) => whole.renew(...given),
        finish: (...given) => whole.finish(...given),
        deadLetters: (...given) => whole.deadLetters(...given),
        replay: (...given) => whole.replay(...given),
        purge: (...given) => whole.purge(...given),
        counts: (...given) => whole.counts(...given),
      };
      const scene = await open('without a queue');
      const options = way === 'without a queue' ? {} : { queue };
      const site = await scene.another(options);
      await differing(scene, 60);
      scene.sandbox.fail({ where: isLaterPage, with: 'unauthorized' });
      await caughtFrom(site.webhook.reconcile({ since: anHourAgo() }));
      expect(await site.webhook.reconcile()).toMatchObject({ contacts: 10, updated: 10, finished: true });
      const other = await scene.another(options);
      expect(await caughtFrom(other.webhook.reconcile())).toMatchObject({ code: 'INVALID_OPTION' });
    },
  );
});

describe('a store that fails', () => {
  class Failing extends MemoryWebhookQueue {
    puts = Infinity;
    reads = Infinity;
    writes = Infinity;
    override async put(queue: string, contactId: string, job: Job): Promise<string> {
      if ((this.puts -= 1) < 0) throw new Error('connection lost: postgres://root:secret@db');
      return super.put(queue, contactId, job);
    }
    override async readPosition(queue: string, key: string): Promise<string | null> {
      if ((this.reads -= 1) < 0) throw new Error('connection lost: postgres://root:secret@db');
      return super.readPosition(queue, key);
    }
    override async writePosition(queue: string, key: string, text: string | null): Promise<void> {
      if ((this.writes -= 1) < 0) throw new Error('connection lost: postgres://root:secret@db');
      return super.writePosition(queue, key, text);
    }
  }

  test('while webhooks are put: QUEUE_UNAVAILABLE, and the next walk goes on there', async () => {
    const queue = new Failing();
    const scene = await open('with a queue', { queue });
    await differing(scene, 60);
    queue.puts = 20;
    const error = await caughtFrom(scene.site.webhook.reconcile({ since: anHourAgo() }));
    expect(error).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    expect(golden(scene)).toBe(20);
    queue.puts = Infinity;
    expect(await scene.site.webhook.reconcile()).toMatchObject({ contacts: 40, updated: 40, finished: true });
  });

  test('for one webhook in the middle: the next walk begins with that one', async () => {
    class Once extends MemoryWebhookQueue {
      refused: string | undefined;
      override async put(queue: string, contactId: string, job: Job): Promise<string> {
        if (contactId === this.refused) throw new Error('deadlock');
        return super.put(queue, contactId, job);
      }
    }
    const queue = new Once();
    const scene = await open('with a queue', { queue });
    const ids = await differing(scene, 20);
    queue.refused = ids[4];
    const error = await caughtFrom(scene.site.webhook.reconcile({ since: anHourAgo() }));
    expect(error).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    expect(scene.user(ids[4]!)?.meta.plan).toBe('silver');
    queue.refused = undefined;
    scene.sandbox.clearCalls();
    expect(await scene.site.webhook.reconcile()).toMatchObject({ contacts: 16, finished: true });
    expect(afterOf(pagesOf(scene.sandbox)[0]!)).toBe(Number(ids[3]));
    expect(golden(scene)).toBe(20);
  });

  test('while positions are written on the way ends nothing', async () => {
    const queue = new Failing();
    const scene = await open('with a queue', { queue });
    await differing(scene, 60);
    scene.sandbox.fail({ where: isLaterPage, with: 'unauthorized' });
    queue.writes = 1;
    const error = await caughtFrom(scene.site.webhook.reconcile({ since: anHourAgo() }));
    expect(error).toMatchObject({ code: 'CRM_UNAUTHORIZED' });
    expect(golden(scene)).toBe(50);
    queue.writes = Infinity;
    expect(await scene.site.webhook.reconcile({ since: anHourAgo() })).toMatchObject({
      ...{ contacts: 60, updated: 10, unchanged: 50 },
    });
  });

  test.each(['reads', 'writes'] as const)(
    'where a position is at stake (%s): QUEUE_UNAVAILABLE',
    async (what) => {
      const queue = new Failing();
      const { site } = await open('with a queue', { queue });
      queue[what] = 0;
      const error = await caughtFrom(site.webhook.reconcile({ since: anHourAgo() }));
      expect(error).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
      expect((error as Error).message).not.toContain('postgres');
    },
  );
});

test('200 contacts cost the store few writes of the position', async () => {
  const written: string[] = [];
  class Counting extends MemoryWebhookQueue {
    override async writePosition(queue: string, key: string, text: string | null): Promise<void> {
      written.push(String(text));
      // As long as a database takes.
      await new Promise((resolve) => setTimeout(resolve, 2));
      return super.writePosition(queue, key, text);
    }
  }
  const { site, member } = await open('with a queue', { queue: new Counting() });
  await times(200, () => member());
  await site.webhook.reconcile({ since: anHourAgo() });
  expect(written.length).toBeLessThan(50);
});

test('a walk that begins later than what is done leaves no gap behind it', async () => {
  const { queue, site, member, user } = await open('with a queue');
  const ago = (hours: number): Date => new Date(Date.now() - hours * HOUR);
  await queue.writePosition('default', 'reconcile', JSON.stringify({ done: ago(10).toISOString() }));
  const dlm = String(Math.floor(ago(8).getTime() / 1000));
  const id = await member({ f2: 'gold', dlm }, { meta: { plan: 'silver' } });
  expect(await site.webhook.reconcile({ since: ago(5) })).toMatchObject({ contacts: 0, finished: true });
  await site.webhook.reconcile();
  expect(user(id)?.meta.plan).toBe('gold');
});

test.each([
  [{ everyMS: 5000 }, 'everyMS', /did you mean "everyMs"/],
  [{ signal: {} }, 'signal', /AbortSignal/],
])('reconcile(%j) is refused', async (options, option, message) => {
  const { site } = await open('without a queue');
  expect(() => site.webhook.reconcile(options as never)).toThrow(
    expect.objectContaining({ option, message: expect.stringMatching(message) }),
  );
});

test.each([
  [{}, 'tag', /name or the id/],
  [{ tag: 'Member', role: 'admin' }, 'role', /"admin" is not one of roles.assignable/],
  [{ tag: 'Member', sendNotification: true }, 'sendNotification', /needs a notifier/],
  [{ tag: 'Member', resart: true }, 'resart', /did you mean "restart"/],
])('importContacts(%j) is refused', async (options, option, message) => {
  const { site } = await open('without a queue');
  expect(() => site.webhook.importContacts(options as never)).toThrow(
    expect.objectContaining({ option, message: expect.stringMatching(message) }),
  );
});
