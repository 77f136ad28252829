// A walk as it is awaited and watched: by nobody, by one, by several, to its end or not; and how it keeps its pace.
import type { ConfigurationError, Contact, CrmClient, WalkProgress, WpFusionError } from '../../lib';
import { until } from '../actions/site';
import { clientOf, HOUR, holdSecondPage, isPage, open, pagesOf, times, watchProcess, WAYS } from './scene';

watchProcess();

const anHourAgo = (): Date => new Date(Date.now() - HOUR);
const ignore = (): void => undefined;

describe.each(WAYS)('%s', (way) => {
  test('its progress only grows, and ends with the summary that is awaited', async () => {
    const { sandbox, site } = await open(way);
    for (let n = 0; n < 60; n += 1) sandbox.addContact({ email: `p${n}@example.com`, tags: ['Customer'] });
    const walk = site.webhook.importContacts({ tag: 'Customer' });
    const seen: WalkProgress[] = [];
    for await (const progress of walk) seen.push(progress);
    const summary = await walk;
    expect(summary).toMatchObject({ contacts: 60, created: 60, finished: true });
    expect(seen.at(-1)).toEqual(summary);
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.filter(({ finished }) => finished)).toHaveLength(1);
    for (const [index, one] of seen.slice(1).entries()) {
      const before = seen[index]!;
      expect(one.contacts).toBeGreaterThanOrEqual(before.contacts);
      expect(one.created).toBeGreaterThanOrEqual(before.created);
      expect(Number(one.position)).toBeGreaterThanOrEqual(Number(before.position));
      expect(before.finished && !one.finished).toBe(false);
    }
  });

  test('several watch it at once, each to the same end; one that comes later gets the end alone', async () => {
    const { site, member } = await open(way);
    await times(20, () => member({ f2: 'gold' }, { meta: { plan: 'silver' } }));
    const walk = site.webhook.reconcile({ since: anHourAgo() });
    const last = async (): Promise<WalkProgress | undefined> => {
      let latest: WalkProgress | undefined;
      for await (const progress of walk) latest = progress;
      return latest;
    };
    const [one, other, summary] = await Promise.all([last(), last(), walk]);
    expect(summary).toMatchObject({ contacts: 20, updated: 20, finished: true });
    expect([one, other]).toEqual([summary, summary]);
    const late: WalkProgress[] = [];
    for await (const progress of walk) late.push(progress);
    expect(late).toEqual([summary]);
  });

  test('it goes on when its watcher stops watching', async () => {
    const { sandbox, site, member, users } = await open(way);
    await times(60, () => member({ f2: 'gold' }, { meta: { plan: 'silver' } }));
    const second = holdSecondPage(sandbox);
    const walk = site.webhook.reconcile({ since: anHourAgo() });
    for await (const { contacts } of walk) {
      if (contacts > 0) break;
    }
    second.release();
    expect(await walk).toMatchObject({ updated: 60, finished: true });
    expect(users.all().every(({ meta }) => meta.plan === 'gold')).toBe(true);
  });

  test('it goes on without anybody', async () => {
    const { site, member, user } = await open(way);
    const id = await member({ f2: 'gold' }, { meta: { plan: 'silver' } });
    void site.webhook.reconcile({ since: anHourAgo() });
    await until(() => user(id)?.meta.plan === 'gold');
  });

  test('one that fails unheard harms nothing', async () => {
    const { sandbox, site } = await open(way);
    sandbox.fail({ where: isPage, with: 'unauthorized', times: Infinity });
    void site.webhook.reconcile({ since: anHourAgo() });
    await until(() => pagesOf(sandbox).some(({ status }) => status === 401));
    // Its watcher and who catches hear of it; the process hears nothing.
    const walk = site.webhook.reconcile({ since: anHourAgo() });
    const codes: unknown[] = [];
    await walk.catch((error: unknown) => codes.push((error as WpFusionError).code));
    await (async () => {
      for await (const _progress of walk) ignore();
    })().catch((error: unknown) => codes.push((error as WpFusionError).code));
    expect(codes).toEqual(['CRM_UNAUTHORIZED', 'CRM_UNAUTHORIZED']);
  });

  test('a first contact that takes long leaves their turns to everything else in the process', async () => {
    let release: () => void = ignore;
    const held = new Promise<void>((resolve) => (release = resolve));
    const slow = 'slow@example.com';
    const { site, member, users } = await open(way, {
      hooks: {
        beforeUpdate: async ({ changes }) => {
          await held;
          return changes;
        },
      },
    });
    await member({ email: slow, f2: 'gold' }, { meta: { plan: 'silver' } });
    await times(150, () => member());
    // A loop that gives nobody else a turn could not be ended from here: it ends itself.
    const original = Promise.race.bind(Promise);
    let inOneTurn = 0;
    const race = jest.spyOn(Promise, 'race').mockImplementation((ends: Iterable<unknown>) => {
      if (inOneTurn === 0) setImmediate(() => (inOneTurn = 0));
      inOneTurn += 1;
      if (inOneTurn > 1000) throw new Error('Nobody else gets a turn.');
      return original(ends);
    });
    try {
      const walk = site.webhook.reconcile({ since: anHourAgo() });
      walk.catch(ignore);
      const turns = jest.fn();
      setImmediate(turns);
      await until(() => turns.mock.calls.length > 0);
      for await (const { contacts } of walk) if (contacts >= 99) break;
      release();
      expect(await walk).toMatchObject({ contacts: 151, unchanged: 150, finished: true });
      expect(users.all().find(({ email }) => email === slow)?.meta.plan).toBe('gold');
    } finally {
      race.mockRestore();
    }
  });
});

test('a client that cannot list contacts is a ConfigurationError of both walks', async () => {
  const { sandbox, another } = await open('without a queue');
  const whole = clientOf(sandbox);
  const crm: CrmClient = {
    getContacts: (ids, options) => whole.getContacts(ids, options),
    updateContact: (id, fields, options) => whole.updateContact(id, fields, options),
  };
  const { webhook } = await another({ crm });
  for (const walk of [webhook.reconcile({ all: true }), webhook.importContacts({ tag: 'Customer' })]) {
    const error = (await walk.catch((thrown: unknown) => thrown)) as ConfigurationError;
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'crm' });
    expect(error.message).toContain('listContacts');
  }
});

test('what a client of a host throws while it lists counts as a CRM that is not to be had', async () => {
  const { sandbox, another } = await open('without a queue');
  const whole = clientOf(sandbox);
  const crm: CrmClient = {
    getContacts: (ids, options) => whole.getContacts(ids, options),
    updateContact: (id, fields, options) => whole.updateContact(id, fields, options),
    listContacts: async function* (): AsyncGenerator<Contact> {
      yield* [];
      throw new TypeError('fetch failed');
    },
  };
  const { webhook } = await another({ crm });
  const error = await webhook.reconcile({ all: true }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'CRM_UNAVAILABLE' });
});
