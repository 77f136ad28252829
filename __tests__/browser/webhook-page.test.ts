// The page that a person gets who opens a webhook's URL, in a real browser.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { MemoryUserRepository, OntraportClient, wpFusionWebhook } from '../../lib';
import { OntraportSandbox } from '../../lib/testing';
import { describeInChromium, hardToRead, overflow } from './chromium';

const KEY = 'a-key-that-sees-no-values';
const INSPECTING_KEY = 'a-key-that-is-shown-values';
const IMAGE = '<img src="x" onerror="window.isHacked=true">';
const SCRIPT = '</dd><script>window.isHacked=true</script>';
const LONG = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerk'.repeat(5);
const RTL = '\u202eمرحبا بالعالم <b>';

describeInChromium('the page of a webhook in a browser', (openTab) => {
  let sandbox: OntraportSandbox;
  let users: MemoryUserRepository;
  let siteUrl: string;
  let end: () => Promise<void>;

  beforeEach(async () => {
    sandbox = await OntraportSandbox.start();
    users = new MemoryUserRepository();
    const { appId, apiKey, baseUrl } = sandbox;
    const webhook = wpFusionWebhook({
      accessKey: [KEY, { key: INSPECTING_KEY, inspect: true }],
      crm: new OntraportClient({ appId, apiKey, baseUrl }),
      users,
      fields: { company: 'company', title: 'title', city: 'city' },
      logger: false,
    });
    const server = createServer(express().use(webhook)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    siteUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    end = async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await webhook.close();
      await closed;
      await sandbox.close();
    };
  });
  afterEach(async () => {
    await end();
  });

  const webhookUrl = (action: string, parameters: Record<string, string> = {}): string =>
    `${siteUrl}/?${new URLSearchParams({ wpf_action: action, access_key: INSPECTING_KEY, ...parameters })}`;
  const addHostileContact = (): string =>
    sandbox.addContact({
      firstname: IMAGE,
      lastname: SCRIPT,
      company: LONG,
      city: RTL,
      title: '"\'&amp;&lt;',
      email: `${'x'.repeat(64)}@${'y'.repeat(60)}.example`,
      tags: [IMAGE, LONG],
    });

  test('a GET looks, its button does it', async () => {
    const { page, troubles } = await openTab();
    const contact_id = sandbox.addContact({
      firstname: 'Mary',
      email: 'mary@example.com',
      tags: ['Customer'],
    });
    await page.goto(webhookUrl('add', { contact_id }));

    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(`add for contact ${contact_id}`);
    expect(await page.getByText('A user would be created.').isVisible()).toBe(true);
    expect(await page.getByText('Customer').isVisible()).toBe(true);
    expect(users.all()).toEqual([]);

    await page.getByRole('button').click();
    await page.getByText('User 1 was created.').waitFor();
    expect(users.all()).toMatchObject([
      { email: 'mary@example.com', contactId: contact_id, tags: ['Customer'] },
    ]);
    expect(await page.getByRole('button').count()).toBe(0);
    expect(troubles).toEqual([]);
  });

  test('its style is applied', async () => {
    const { page, troubles } = await openTab();
    await page.goto(webhookUrl('test'));

    const { maxWidth, buttonFont } = await page.evaluate(() => ({
      maxWidth: getComputedStyle(document.querySelector('main')!).maxWidth,
      buttonFont: getComputedStyle(document.body).fontFamily,
    }));
    expect({ maxWidth, buttonFont }).toEqual({ maxWidth: '704px', buttonFont: 'system-ui, sans-serif' });
    expect(troubles).toEqual([]);
  });

  test('data of a contact is text, whatever it looks like, and nothing runs', async () => {
    const { page, troubles } = await openTab({ viewport: { width: 320, height: 640 } });
    await page.goto(webhookUrl('add', { contact_id: addHostileContact() }));

    for (const text of [IMAGE, SCRIPT, LONG, RTL.slice(1), '"\'&amp;&lt;']) {
      expect(await page.getByRole('definition').filter({ hasText: text }).first().isVisible()).toBe(true);
    }
    expect(await page.locator('img, script, b').count()).toBe(0);
    expect(await page.evaluate(() => 'isHacked' in window)).toBe(false);
    expect(await overflow(page)).toBe(0);
    expect(troubles).toEqual([]);
  });

  test('no script would run, even if one got into the page', async () => {
    const { page, troubles } = await openTab();
    await page.goto(webhookUrl('test'));
    await page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'window.isHacked = true';
      document.body.append(script);
    });

    expect(await page.evaluate(() => 'isHacked' in window)).toBe(false);
    expect(troubles).toEqual([expect.stringContaining('Content Security Policy')]);
  });

  describe.each(['light', 'dark'] as const)('%s', (colorScheme) => {
    /** Pages of every kind, each brought about and named. */
    const pages: Record<string, () => string> = {
      'a dry run with values': () => webhookUrl('add', { contact_id: addHostileContact() }),
      'a dry run without values': () =>
        webhookUrl('add', { contact_id: addHostileContact(), access_key: KEY }),
      'a warning': () => webhookUrl('add', { contact_id: addHostileContact(), role: 'administrator' }),
      'a skipped webhook': () => webhookUrl('update', { contact_id: addHostileContact() }),
      'a test': () => webhookUrl('test'),
      'a problem': () => webhookUrl('add', { access_key: 'wrong-and-unknown' }),
      'a malformed parameter': () => webhookUrl('add', { contact_id: '[Contact ID]' }),
    };

    test.each(Object.keys(pages))('%s is readable, wide and narrow', async (name) => {
      const { page, troubles } = await openTab({ colorScheme });
      const response = await page.goto(pages[name]!());

      for (const width of [1280, 320]) {
        await page.setViewportSize({ width, height: 640 });
        expect(await hardToRead(page)).toEqual([]);
        expect(await overflow(page)).toBe(0);
      }
      // The browser itself tells a status from 400 up.
      const failed = troubles.filter((trouble) => !trouble.startsWith('Failed to load resource'));
      expect(failed).toEqual([]);
      expect(response!.headers()['referrer-policy']).toBe('no-referrer');
    });

    test('what the button has done is readable', async () => {
      const { page, troubles } = await openTab({ colorScheme, viewport: { width: 320, height: 640 } });
      await page.goto(webhookUrl('add', { contact_id: addHostileContact() }));
      await page.getByRole('button').click();
      await page.getByText('User 1 was created.').waitFor();

      expect(await hardToRead(page)).toEqual([]);
      expect(await overflow(page)).toBe(0);
      expect(await page.locator('img, script, b').count()).toBe(0);
      expect(troubles).toEqual([]);
    });
  });
});
