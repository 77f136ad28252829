// What the admin pages say, and what they do.
import { MemoryActivityLog, type ActivityCount, type ActivityRecord } from '../../lib';
import { ACCESS_KEY, until } from '../actions/site';
import { KEYS, openSite, type AdminSite } from './site';

const records = (site: AdminSite): Promise<readonly ActivityRecord[]> =>
  site.webhook.activity.list({ limit: 100 });
const idsOn = (html: string): string[] =>
  [...html.matchAll(/<li><a href="activity\/([^"]+)"/g)].map(([, id = '']) => id);

afterEach(() => void jest.restoreAllMocks());

describe('the overview', () => {
  test('says what came, and that nothing needs attention', async () => {
    const site = await openSite();
    const id = site.sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id);
    await site.ping('update', id);
    await site.ping('add', id, { dry_run: 'true' });
    const { text, html } = await site.get('');
    expect(text).toContain('Nothing needs attention.');
    // A dry run does not count.
    expect(text).toMatch(/received 2 succeeded 2 failed 0 rejected 0/);
    expect(html.match(/<rect class="done" x[^>]*height="[1-9]/g)).toHaveLength(1);
    expect(text).toMatch(/Calls to the CRM \d+ of 100000 in 1 minute/);
  });

  test('a log that takes long to count is not asked again at once, nor twice at the same time', async () => {
    const site = await openSite();
    let answer: ((counts: readonly ActivityCount[]) => void) | undefined;
    const asked = jest
      .spyOn(site.webhook.activity, 'counts')
      .mockImplementation(() => new Promise((resolve) => (answer = resolve)));
    const pages = [site.get(''), site.get('')];
    await until(() => answer !== undefined);
    // So long did it take.
    const clock = jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 1500);
    answer?.([{ at: 0, state: 'done', code: null, count: 7 }]);
    for (const page of await Promise.all(pages)) expect(page.text).toContain('succeeded 7');
    await site.get('');
    expect(asked).toHaveBeenCalledTimes(1);
    clock.mockReturnValue(performance.now() + 60_000);
    const later = site.get('');
    await until(() => asked.mock.calls.length === 2);
    answer?.([]);
    await later;
  });

  test.each(['day', 'week', 'month'])('over the last %s', async (range) => {
    const site = await openSite();
    const id = site.sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id);
    const { text, html } = await site.get(`?range=${range}`);
    expect(text).toContain('received 1 ');
    expect(html).toContain(`<a href="?range=${range}" aria-current="true">`);
  });

  test('failed webhooks need attention, with their reasons', async () => {
    const site = await openSite();
    await site.ping('add', site.sandbox.addContact({}));
    for (let count = 0; count < 21; count += 1) await site.ping('nonsense', '1');
    const { text } = await site.get('');
    expect(text).toContain('Needs attention');
    expect(text).toContain('1 webhook failed');
    expect(text).toContain('21 calls were rejected');
    expect(text).toContain('1 × CONTACT_WITHOUT_EMAIL Contact without a usable email');
    expect(text).not.toContain('UNKNOWN_ACTION');
  });

  test('dead letters, long waits, a used-up rate limit and a refused API key do too', async () => {
    const site = await openSite({ queued: true });
    const [dead, waiting] = [site.sandbox.addContact({ email: 'a@example.com' }), '9999'];
    const { queue, sandbox } = site;
    sandbox.fail({ with: 'unauthorized', times: Infinity });
    await site.ping('add', dead);
    await until(async () => (await records(site))[0]?.code === 'CRM_UNAUTHORIZED');
    const past = Date.now() - 3 * 3_600_000;
    jest.spyOn(queue, 'counts').mockResolvedValue({ waiting: 2, dead: 1, oldestWaiting: new Date(past) });
    const { text } = await site.get('');
    expect(waiting).toBe('9999');
    expect(text).toContain('1 webhook was given up');
    expect(text).toContain('The oldest of 2 waiting webhooks has been waiting for 3 hours.');
    expect(text).toContain('The CRM has refused the site’s API key for 1 webhook .');
    expect(text).toMatch(/waiting now 2 given up 1 oldest waiting 3 hours/);
  });

  test('a queue that is down is said, and the rest is shown', async () => {
    const site = await openSite({ queued: true });
    jest.spyOn(site.queue, 'counts').mockRejectedValue(new Error('down'));
    const { status, text } = await site.get('');
    expect(status).toBe(200);
    expect(text).toContain('The queue’s store cannot be reached');
    expect(text).toContain('received 0');
  });

  test('without an activity log it says so, on every page', async () => {
    const site = await openSite({ webhook: { activityLog: false } });
    expect((await site.get('')).text).toContain('activityLog');
    expect((await site.get('activity')).text).toContain('keeps no activity log');
    expect((await site.get('activity/x')).text).toContain('keeps no activity log');
  });
});

describe('the search', () => {
  async function busySite() {
    const site = await openSite();
    const mary = site.sandbox.addContact({ email: 'mary@example.com' });
    const nobody = site.sandbox.addContact({});
    await site.ping('add', mary);
    await site.ping('update', mary);
    await site.ping('add', nobody);
    await site.ping('add', mary, { access_key: 'wrong-wrong-wrong' });
    const [rejected, failed, updated, created] = (await records(site)).map(({ id }) => id);
    return { site, mary, nobody, rejected, failed, updated, created };
  }

  test('without a question: the newest first, but those that were not let in', async () => {
    const { site, failed, updated, created } = await busySite();
    expect(idsOn((await site.get('activity')).html)).toEqual([failed, updated, created]);
  });

  test('by contact, by user, by state, code, outcome, action, and time', async () => {
    const { site, mary, nobody, rejected, failed, updated, created } = await busySite();
    const found = async (query: string): Promise<string[]> =>
      idsOn((await site.get(`activity?${query}`)).html);
    expect(await found(`q=${mary}`)).toEqual([updated, created]);
    expect(await found(`q=+${nobody}+`)).toEqual([failed]);
    // The one user has the id 1, as Mary's contact may have.
    expect(await found('q=1')).toEqual([updated, created]);
    expect(await found('state=rejected')).toEqual([rejected]);
    expect(await found('state=failed')).toEqual([failed]);
    expect(await found('code=contact_without_email')).toEqual([failed]);
    expect(await found('outcome=created')).toEqual([created]);
    expect(await found('action=update')).toEqual([updated]);
    expect(await found('to=2020-01-01T00:00')).toEqual([]);
    expect(await found('from=2020-01-01T00:00&action=update')).toEqual([updated]);
    expect(await found('from=yesterday&action=update')).toEqual([updated]);
    expect((await site.get('activity?from=yesterday')).text).toContain('“yesterday” is no time');
  });

  test('by correlation id it leads to the webhook', async () => {
    const { site, created } = await busySite();
    const { text } = await site.get(`activity?q=${created!}`);
    expect(text).toContain('Correlation id');
    expect(text).toContain(created);
  });

  test('by email: through the site’s user and the CRM’s contacts, whatever its case', async () => {
    const { site, mary, updated, created } = await busySite();
    const { html, text } = await site.get('activity?q=Mary@Example.com');
    expect(text).toContain(`Mary@Example.com is user 1 of the site, and in the CRM contact ${mary} .`);
    expect(idsOn(html)).toEqual([updated, created]);
  });

  test('by the email of a contact that has no user and no webhook: that is said, and what to do', async () => {
    const { site } = await busySite();
    const id = site.sandbox.addContact({ email: 'late@example.com' });
    const { text, html } = await site.get('activity?q=late@example.com');
    expect(text).toContain(`is no user of the site, and in the CRM contact ${id}`);
    expect(text).toContain(`No webhook about contact ${id} was found.`);
    expect(html).toContain(`urls?contact=${id}&#38;action=add`);
  });

  test('by an email while the CRM is down: what the site knows', async () => {
    const { site, updated, created } = await busySite();
    site.sandbox.fail({ with: 'unauthorized', times: Infinity });
    const { text, html } = await site.get('activity?q=mary@example.com');
    expect(text).toContain('The CRM could not be asked for its contacts: CRM_UNAUTHORIZED.');
    expect(idsOn(html)).toEqual([updated, created]);
  });

  test('page by page', async () => {
    const site = await openSite();
    const id = site.sandbox.addContact({ email: 'mary@example.com' });
    for (let count = 0; count < 30; count += 1) await site.ping('add', id);
    const all = (await records(site)).map((record) => record.id);
    const first = await site.get(`activity?q=${id}`);
    expect(idsOn(first.html)).toEqual(all.slice(0, 25));
    const [, link = ''] = /<a href="(\?[^"]+)">Older ones/.exec(first.html) ?? [];
    const second = await site.get(`activity${link.replaceAll('&#38;', '&')}`);
    expect(idsOn(second.html)).toEqual(all.slice(25));
    expect(second.html).not.toContain('Older ones');
  });
});

describe('a webhook', () => {
  test('that failed says why, what to do, and where its contact is', async () => {
    const site = await openSite();
    const id = site.sandbox.addContact({});
    await site.ping('add', id, { role: 'customer', send_notification: 'true' });
    const [record] = await records(site);
    const { text, html } = await site.get(`activity/${record!.id}`);
    expect(text).toContain(`add for contact ${id}`);
    expect(text).toContain('Contact without a usable email CONTACT_WITHOUT_EMAIL');
    expect(text).toContain('give it an email, and replay');
    expect(text).toContain('Access key Ontraport');
    expect(text).toContain('Role asked for customer');
    expect(text).toContain('Welcome mail asked for');
    expect(text).toMatch(/1 try .*failed: CONTACT_WITHOUT_EMAIL/);
    expect(html).toContain(`https://app.ontraport.com/#!/contact/edit&#38;id=${id}`);
  });

  test('that was done says what changed: names, and values only where both the log and the page may', async () => {
    const seen: boolean[] = [];
    for (const [keepsValues, inspect] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const site = await openSite({
        webhook: { activityLog: new MemoryActivityLog({ keepsValues }) },
        admin: { inspect },
      });
      const id = site.sandbox.addContact({ email: 'mary@example.com', tags: ['Member'] });
      await site.ping('add', id);
      site.sandbox.untag(id, 'Member');
      site.sandbox.tag(id, 'VIP');
      site.sandbox.updateContact(id, { f2: 'Gold' });
      await site.ping('update', id);
      const [record] = await records(site);
      const { text } = await site.get(`activity/${record!.id}`);
      expect(text).toMatch(/Changed plan/);
      expect(text).toMatch(/Tags \+ VIP − Member/);
      seen.push(text.includes('Gold'));
    }
    expect(seen).toEqual([false, false, false, true]);
  });

  test('is replayed inside the request: as a new one, with a way back', async () => {
    const site = await openSite();
    const id = site.sandbox.addContact({});
    await site.ping('add', id, { role: 'customer' });
    const [failed] = await records(site);
    site.sandbox.updateContact(id, { email: 'mary@example.com' });
    const { status, text, html } = await site.post(`activity/${failed!.id}/replay`);
    expect(status).toBe(200);
    expect(text).toContain('It is done once more');
    expect(text).toContain('created');
    expect(html).toContain(`<a href="${failed!.id}">an earlier one</a>`);
    expect(site.users.all()).toMatchObject([{ email: 'mary@example.com', role: 'customer' }]);
    expect(await records(site)).toHaveLength(2);
  });

  test('is replayed inside the request and fails again: that is what the page tells', async () => {
    const site = await openSite();
    await site.ping('add', site.sandbox.addContact({}));
    const [failed] = await records(site);
    const { status, text } = await site.post(`activity/${failed!.id}/replay`);
    expect(status).toBe(200);
    expect(text).toContain('CONTACT_WITHOUT_EMAIL');
  });

  test('that was given up is replayed as itself', async () => {
    const site = await openSite({ queued: true });
    const { sandbox, users, webhook } = site;
    const [mary, double] = [
      sandbox.addContact({ email: 'mary@example.com' }),
      sandbox.addContact({ email: 'mary@example.com' }),
    ];
    await site.ping('add', mary);
    await until(() => users.all().length === 1);
    await site.ping('add', double);
    await until(async () => (await webhook.queueCounts()).dead === 1);
    const dead = (await records(site)).find(({ state }) => state === 'dead');
    expect(dead).toMatchObject({ contactId: double, code: 'CONTACT_CONFLICT' });
    sandbox.updateContact(double, { email: 'other@example.com' });
    const { text } = await site.post(`activity/${dead!.id}/replay`);
    expect(text).toContain('Replayed');
    await until(() => users.all().length === 2);
    await until(async () => (await webhook.activity.get(dead!.id))?.state === 'done');
    expect(await webhook.activity.get(dead!.id)).toMatchObject({
      outcome: 'created',
      attempts: [{ code: 'CONTACT_CONFLICT' }, { code: null }],
      replays: [expect.any(Number)],
    });
  });

  test.each<[string, string, Record<string, string>]>([
    ['a test', 'test', {}],
    ['a dry run', 'add', { dry_run: 'true' }],
    ['one that was not let in', 'add', { access_key: 'wrong-wrong-wrong' }],
  ])('%s has no button, and is not replayed', async (_what, action, more) => {
    const site = await openSite();
    const id = site.sandbox.addContact({ email: 'mary@example.com' });
    await site.ping(action, id, more);
    const [record] = await records(site);
    const { html } = await site.get(`activity/${record!.id}`);
    expect(html).not.toContain('<button');
    const { status } = await site.post(`activity/${record!.id}/replay`);
    expect(status).toBe(400);
    expect(await records(site)).toHaveLength(1);
    expect(site.users.all()).toEqual([]);
  });
});

describe('dead letters', () => {
  async function deadSite() {
    const site = await openSite({ queued: true });
    const { sandbox, users, webhook } = site;
    const mary = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', mary);
    await until(() => users.all().length === 1);
    const contacts = [1, 2, 3].map(() => sandbox.addContact({ email: 'mary@example.com' }));
    for (const id of contacts) await site.ping('add', id);
    await until(async () => (await webhook.queueCounts()).dead === 3);
    const mend = (): void =>
      contacts.forEach((id) => sandbox.updateContact(id, { email: `p${id}@example.com` }));
    return { site, users, webhook, mend };
  }

  test('are listed with their reasons, and lead to their records', async () => {
    const { site } = await deadSite();
    const { text, html } = await site.get('dead-letters');
    expect(text).toContain('3 webhooks were given up.');
    expect(text).toContain('Email belongs to the user of another contact CONTACT_CONFLICT');
    const ids = idsOn(html);
    expect(ids).toHaveLength(3);
    expect((await site.get(`activity/${ids[0]!}`)).text).toContain('given up');
  });

  test('one, or all, are replayed', async () => {
    const { site, users, mend } = await deadSite();
    mend();
    const [one] = await site.webhook.deadLetters.list();
    expect((await site.post('dead-letters/replay', { id: one!.id })).text).toContain(
      '1 webhook was put back into the queue.',
    );
    await until(() => users.all().length === 2);
    expect((await site.post('dead-letters/replay', { all: 'true' })).text).toContain(
      '2 webhooks were put back',
    );
    await until(() => users.all().length === 4);
    expect((await site.get('dead-letters')).text).toContain('No webhook was given up.');
  });

  test('one, or all, are purged; a form that says neither does nothing', async () => {
    const { site, webhook } = await deadSite();
    const [one] = await webhook.deadLetters.list();
    expect((await site.post('dead-letters/purge', {})).text).toContain('0 webhooks were deleted.');
    expect((await site.post('dead-letters/purge', { id: one!.id })).text).toContain('1 webhook was deleted.');
    expect((await webhook.deadLetters.list()).map(({ id }) => id)).not.toContain(one!.id);
    expect((await site.post('dead-letters/purge', { all: 'true' })).text).toContain(
      '2 webhooks were deleted.',
    );
    expect(await webhook.queueCounts()).toMatchObject({ dead: 0 });
  });

  test('without a queue there are none', async () => {
    const site = await openSite();
    expect((await site.get('dead-letters')).text).toContain('This site has no queue');
    expect((await site.post('dead-letters/replay', { all: 'true' })).status).toBe(400);
  });
});

describe('URLs', () => {
  const url = async (site: AdminSite, query: string): Promise<string> => {
    const { html } = await site.get(`urls?${query}`);
    const [, shown = ''] = /<pre id="url">([^<]*)</.exec(html) ?? [];
    return shown.replace(/&#(\d+);/g, (_all, code) => String.fromCharCode(Number(code)));
  };
  const KEY = 'access_key=YOUR-ACCESS-KEY';

  test.each([
    ['', `?wpf_action=add&${KEY}&contact_id=[Contact ID]`],
    ['action=update_tags', `?wpf_action=update_tags&${KEY}&contact_id=[Contact ID]`],
    ['action=test', `?wpf_action=test&${KEY}`],
    [
      'action=add&role=customer&send_notification=true&async=false',
      `?wpf_action=add&${KEY}&role=customer&send_notification=true&async=false&contact_id=[Contact ID]`,
    ],
    [
      'action=update&role=customer&send_notification=true',
      `?wpf_action=update&${KEY}&role=customer&contact_id=[Contact ID]`,
    ],
    ['action=add&role=admin', `?wpf_action=add&${KEY}&contact_id=[Contact ID]`],
    ['action=add&place=header', '?wpf_action=add&contact_id=[Contact ID]'],
  ])('%s', async (query, expected) => {
    const site = await openSite();
    expect(await url(site, query)).toBe(`${site.url}${expected}`);
  });

  test('of a site that is mounted elsewhere', async () => {
    const site = await openSite({ admin: { url: 'https://example.com/hooks/' } });
    expect(await url(site, '')).toBe(
      `https://example.com/hooks/?wpf_action=add&${KEY}&contact_id=[Contact ID]`,
    );
    const given = encodeURIComponent('https://other.example/x?y=1');
    expect(await url(site, `site=${given}`)).toBe(
      `https://other.example/x?y=1&wpf_action=add&${KEY}&contact_id=[Contact ID]`,
    );
    expect(await url(site, 'site=javascript:alert(1)')).toMatch(/^https:\/\/example\.com/);
  });

  test('what it builds is what the site takes', async () => {
    const site = await openSite();
    const id = site.sandbox.addContact({ email: 'mary@example.com' });
    const built = await url(site, 'action=add&role=customer');
    const sent = built.replace('YOUR-ACCESS-KEY', KEYS.ontraport).replace('[Contact ID]', id);
    expect(await (await fetch(sent, { method: 'POST' })).json()).toMatchObject({ outcome: 'created' });
  });

  test('the key in a header, and a key that is not allowed the action', async () => {
    const site = await openSite();
    const { text } = await site.get('urls?action=add&place=header&key=staff');
    expect(text).toContain('X-Access-Key: YOUR-ACCESS-KEY');
    expect(text).toContain('The key “staff” is not allowed the action add.');
  });

  test('a try shows what would change, by name or by value, and changes nothing', async () => {
    for (const inspect of [false, true]) {
      const site = await openSite({ admin: { inspect } });
      const id = site.sandbox.addContact({ email: 'mary@example.com', f2: 'Gold' });
      const { text } = await site.post('urls', { contact: id, action: 'add', role: 'customer' });
      expect(text).toContain('A user would be created.');
      expect(text).toMatch(/Would change .*email/);
      expect(text.includes('Gold')).toBe(inspect);
      expect(site.users.all()).toEqual([]);
      expect(await records(site)).toEqual([]);
    }
  });

  test.each<[Record<string, string>, string]>([
    [{ contact: '4711', action: 'add' }, 'CONTACT_NOT_FOUND'],
    [{ contact: '<b>', action: 'add' }, 'is no contact id of this CRM'],
    [{ contact: '1', action: 'test' }, 'UNKNOWN_ACTION'],
    [{ contact: '', action: 'add' }, 'is no contact id'],
    [{ contact: '1', action: 'add', role: 'admin' }, 'ROLE_NOT_ASSIGNABLE'],
  ])('a try of %j: %s', async (form, told) => {
    const site = await openSite();
    site.sandbox.addContact({ email: 'mary@example.com' });
    const { status, text } = await site.post('urls', form);
    expect(status).toBe(200);
    expect(text).toContain(told);
  });
});

test('no page holds a key, a password or a hash', async () => {
  const site = await openSite({
    webhook: { activityLog: new MemoryActivityLog({ keepsValues: true }), returnPassword: { field: 'f1' } },
    admin: { inspect: true },
  });
  const id = site.sandbox.addContact({ email: 'mary@example.com' });
  await site.ping('add', id);
  await until(() => (site.sandbox.contact(id)?.f1 ?? '') !== '');
  await site.ping('add', id, { role: KEYS.ontraport });
  await site.ping('add', `${KEYS.staff} x`);
  const all = await records(site);
  const pages = [
    '',
    'activity',
    'activity?state=rejected',
    'dead-letters',
    'urls',
    ...all.map((record) => `activity/${record.id}`),
  ];
  const tried = await site.post('urls', { contact: id, action: 'update', role: KEYS.ontraport });
  const texts = [...(await Promise.all(pages.map(async (page) => (await site.get(page)).html))), tried.html];
  const secrets = [
    ...Object.values(KEYS),
    ...[ACCESS_KEY, site.sandbox.apiKey, site.sandbox.appId, site.sandbox.contact(id)!.f1!],
    site.users.all()[0]!.passwordHash!,
  ];
  for (const secret of secrets) expect(texts.filter((text) => text.includes(secret))).toEqual([]);
});

test('what contacts and senders write never becomes markup', async () => {
  const evil = '"><img src=x onerror=alert(1)><script>alert(1)</script>\'&';
  const site = await openSite({
    webhook: { activityLog: new MemoryActivityLog({ keepsValues: true }), name: evil.slice(0, 60) },
    admin: { inspect: true },
  });
  site.sandbox.addTag(evil);
  const id = site.sandbox.addContact({
    email: 'mary@example.com',
    firstname: evil,
    lastname: evil,
    tags: [evil],
    f2: evil,
  });
  await site.ping('add', id, { role: evil });
  await site.ping('add', evil);
  await site.ping(evil, id);
  const all = await records(site);
  const query = new URLSearchParams({
    q: evil,
    action: evil,
    outcome: evil,
    code: evil,
    from: evil,
    state: evil,
    site: evil,
    role: evil,
    key: evil,
    contact: evil,
    range: evil,
    after: evil,
  });
  const pages = [
    '',
    'activity',
    'activity?state=rejected',
    'urls',
    ...all.map((record) => `activity/${record.id}`),
  ];
  const asked = ['', 'activity', 'dead-letters', 'urls'].map((page) => `${page}?${query.toString()}`);
  const texts = await Promise.all(
    [...pages, ...asked, `activity/${encodeURIComponent(evil)}`].map(
      async (page) => (await site.get(page)).html,
    ),
  );
  texts.push((await site.post('urls', { contact: id, action: 'update', role: evil, site: evil })).html);
  for (const text of texts) {
    expect(text).not.toContain('<img');
    expect(text.match(/<script/g)).toHaveLength(1);
  }
  // It is there all the same, as text.
  expect((await site.get(`activity/${all.at(-1)!.id}`)).text).toContain(evil);
});
