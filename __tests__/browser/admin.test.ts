// The admin page as a support person uses it, in a real browser, on the demo. `SCREENSHOTS=1` writes the pictures of docs/admin.md.
/// <reference lib="dom" />
import path from 'node:path';
import axe from 'axe-core';
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';
import { isWhole } from '../delivery/size';
import { Example } from '../examples/child';
import { describeInChromium, hardToRead, overflow } from './chromium';

const IMAGES = path.join(__dirname, '..', '..', 'docs', 'images');

/** What axe finds wrong with a page. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations: found } = await page.evaluate(() => window.axe.run());
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

declare global {
  interface Window {
    axe: typeof axe;
  }
}

/** Those that docs/admin.md shows. */
const PICTURES = ['overview-light', 'search-light', 'webhook-light', 'try-light'];

async function screenshot(page: Page, name: string): Promise<void> {
  if (process.env.SCREENSHOTS !== '1' || !PICTURES.includes(name)) return;
  await page.screenshot({
    path: path.join(IMAGES, `admin-${name}.png`),
    fullPage: true,
    animations: 'disabled',
  });
}

describeInChromium('the admin page', (openTab) => {
  let demo: Example;
  let url: string;

  beforeEach(async () => {
    demo = new Example(['examples/demo/index.js'], { DEMO_DATABASE: ':memory:' });
    [, url = ''] = await demo.says(/Now you: {2}(http:\S+)/);
  });
  afterEach(async () => {
    await demo.end();
  });

  const contact = (page: Page, name: string): Locator =>
    page.locator('#contacts article').filter({ has: page.getByRole('heading', { name }) });
  const user = (page: Page, name: string): Locator =>
    page.locator('#users article').filter({ has: page.getByRole('heading', { name }) });

  /** Gives a contact of the account another email, on the demo's own page. */
  async function giveEmail(page: Page, name: string, email: string): Promise<void> {
    const form = contact(page, name);
    if (!(await form.getByLabel('Email').isVisible())) await form.getByText('Change fields').click();
    await form.getByLabel('Email').fill(email);
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText(` · ${email}`).waitFor();
  }

  /** Joe has Mary's email by mistake, and buys: no account. */
  async function failForJoe(page: Page): Promise<void> {
    await page.goto(url);
    await giveEmail(page, 'Joe Miller', 'mary@example.com');
    await contact(page, 'Joe Miller').getByLabel('Add User to WP').check();
    await page.getByText('1 given up.').waitFor();
  }

  /** Every page that there is to see then. */
  async function everyPage(page: Page, look: (name: string) => Promise<void>): Promise<void> {
    for (const [name, address] of [
      ['overview', ''],
      ['activity', 'activity'],
      ['search', 'activity?q=mary@example.com&action=add'],
      ['dead-letters', 'dead-letters'],
      ['urls', 'urls?action=add&role=customer&place=header'],
      ['not-found', 'nowhere'],
    ] as const) {
      await page.goto(`${url}admin/${address}`);
      await look(name);
    }
    await page.goto(`${url}admin/dead-letters`);
    await page.locator('.list a').first().click();
    await page.getByRole('button', { name: 'Replay' }).waitFor();
    await look('webhook');
    await page.goto(`${url}admin/urls`);
    await page.getByLabel('Contact id').fill('3');
    await page.getByRole('button', { name: 'Try' }).click();
    await page.getByText('A user would be created.').waitFor();
    await look('try');
  }

  test('the work of a support person: find it, read why, mend it, replay it, see the user', async () => {
    const { page, troubles } = await openTab();
    await failForJoe(page);

    await page.goto(`${url}admin/`);
    await page.getByRole('link', { name: '1 webhook was given up' }).waitFor();
    await page.getByRole('navigation').getByRole('link', { name: 'Activity' }).click();
    // What Joe says on the phone.
    await page.getByLabel('Who or what').fill('mary@example.com');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByText('in the CRM contact 1, 2').waitFor();
    await page.locator('.list > li').filter({ hasText: 'given up' }).getByRole('link').click();
    await page.getByRole('heading', { name: 'add for contact 2' }).waitFor();
    await page.getByText('Merge the two, or change one’s email, and replay.').waitFor();
    const record = page.url();
    expect(await page.getByRole('link', { name: 'open it in the CRM' }).getAttribute('href')).toBe(
      'https://app.ontraport.com/#!/contact/edit&id=2',
    );

    await page.goto(url);
    await giveEmail(page, 'Joe Miller', 'joe@example.com');
    expect(await user(page, 'joe@example.com').count()).toBe(0);
    await page.goto(record);
    await page.getByRole('button', { name: 'Replay' }).click();
    await page.getByText('It is done once more').waitFor();
    // The page follows what happens, without being loaded again.
    await page.locator('#record').getByText('created', { exact: true }).waitFor();
    await page.getByText('2 tries').waitFor();
    await page.goto(url);
    await user(page, 'joe@example.com').waitFor();
    expect(troubles).toEqual([]);
  });

  test('the same with the keyboard alone', async () => {
    const { page, troubles } = await openTab();
    await failForJoe(page);
    await giveEmail(page, 'Joe Miller', 'joe@example.com');

    /** Goes on with Tab until something has the focus, and shows it. */
    const tabTo = async (target: Locator): Promise<void> => {
      await target.waitFor();
      for (let steps = 0; steps < 80; steps += 1) {
        await page.keyboard.press('Tab');
        const has = await target.evaluate((element) => element === document.activeElement);
        if (!has) continue;
        const outline = await target.evaluate((element) => getComputedStyle(element).outlineStyle);
        expect(outline).not.toBe('none');
        return;
      }
      throw new Error('The keyboard does not get there.');
    };
    await page.goto(`${url}admin/`);
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('To the content');
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('main');
    await page.goto(`${url}admin/`);
    await tabTo(page.getByRole('navigation').getByRole('link', { name: 'Activity' }));
    await page.keyboard.press('Enter');
    await tabTo(page.getByLabel('Who or what'));
    await page.keyboard.type('2');
    await page.keyboard.press('Enter');
    await page.waitForURL(/q=2/);
    await tabTo(page.locator('.list > li').filter({ hasText: 'given up' }).getByRole('link'));
    await page.keyboard.press('Enter');
    await tabTo(page.getByRole('button', { name: 'Replay' }));
    await page.keyboard.press('Enter');
    await page.locator('#record').getByText('created', { exact: true }).waitFor();

    await page.goto(`${url}admin/urls`);
    await tabTo(page.locator('#action'));
    await page.keyboard.type('update:');
    await tabTo(page.getByRole('button', { name: 'Build' }));
    await page.keyboard.press('Enter');
    await page.getByText('?wpf_action=update&').waitFor();
    await tabTo(page.getByLabel('Contact id'));
    await page.keyboard.type('2');
    await page.keyboard.press('Enter');
    await page.getByText('is up to date').waitFor();
    expect(troubles).toEqual([]);
  });

  test('a URL is built, copied with its key, and tried', async () => {
    const { page, troubles } = await openTab({ permissions: ['clipboard-read', 'clipboard-write'] });
    await page.goto(`${url}admin/urls`);
    await page.locator('#role').selectOption('customer');
    await page.locator('#send_notification').selectOption('true');
    await page.getByRole('button', { name: 'Build' }).click();
    const shown = `${url}?wpf_action=add&access_key=YOUR-ACCESS-KEY&role=customer&send_notification=true&contact_id=[Contact ID]`;
    await page.getByText(shown, { exact: true }).waitFor();
    await page.getByLabel('The key, to copy with').fill('a key + more');
    await page.getByRole('button', { name: 'Copy the URL' }).click();
    await page.getByText('Copied.').waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(
      shown.replace('YOUR-ACCESS-KEY', 'a%20key%20%2B%20more'),
    );
    await page.getByLabel('Contact id').fill('3');
    await page.getByRole('button', { name: 'Try' }).click();
    await page.getByText('A user would be created.').waitFor();
    expect(await page.locator('#try-role').inputValue()).toBe('customer');
    await page.goto(url);
    expect(await user(page, 'ana@example.com').count()).toBe(0);
    expect(troubles).toEqual([]);
  });

  test('it follows what happens while it is open', async () => {
    const { page, troubles } = await openTab();
    const { page: account } = await openTab();
    await page.goto(`${url}admin/activity`);
    const before = await page.locator('.list > li').count();
    await account.goto(url);
    await contact(account, 'Ana García').getByLabel('Add User to WP').check();
    const ana = page.locator('.list > li').filter({ hasText: 'contact 3, user' }).first();
    await ana.waitFor();
    expect(await page.locator('.list > li').count()).toBeGreaterThan(before);
    // Whoever is about to follow a link does not lose it.
    const link = ana.getByRole('link');
    await link.focus();
    await contact(account, 'Ana García').getByLabel('Newsletter').check();
    await user(account, 'ana@example.com').getByText('Newsletter').waitFor();
    expect(await link.evaluate((element) => element === document.activeElement)).toBe(true);
    expect(troubles).toEqual([]);
  });

  test('without a script everything is there', async () => {
    const { page } = await openTab();
    await failForJoe(page);
    await giveEmail(page, 'Joe Miller', 'joe@example.com');
    const { page: plain } = await openTab({ javaScriptEnabled: false });
    await plain.goto(`${url}admin/`);
    await plain.getByRole('link', { name: '1 webhook was given up' }).click();
    await plain.getByRole('button', { name: 'Replay add for contact 2' }).click();
    await plain.getByText('1 webhook was put back into the queue.').waitFor();
    expect(await plain.locator('button:visible').count()).toBe(0);
    await plain.goto(`${url}admin/urls`);
    await plain.getByLabel('Contact id').fill('3');
    await plain.getByRole('button', { name: 'Try' }).click();
    await plain.getByText('A user would be created.').waitFor();
    expect(await plain.getByText('Copy the URL').isVisible()).toBe(false);
    await user(page, 'joe@example.com').waitFor();
  });

  const light = { colorScheme: 'light' } as const;
  const dark = { colorScheme: 'dark' } as const;
  const desk = { viewport: { width: 1000, height: 700 } };
  const phone = { viewport: { width: 320, height: 640 } };
  const looks: [string, BrowserContextOptions][] = [
    ['light', { ...light, ...desk }],
    ['phone-dark', { ...dark, ...phone }],
  ];
  // The same colours, and the same widths, the other way round.
  if (isWhole) looks.push(['dark', { ...dark, ...desk }], ['phone', { ...light, ...phone }]);

  test.each(looks)(
    '%s: every page is readable, fits, and has no violation that axe finds',
    async (name, options) => {
      const { page, troubles } = await openTab({ ...options, timezoneId: 'Europe/Berlin', locale: 'en-GB' });
      await failForJoe(page);
      troubles.length = 0;
      await everyPage(page, async (what) => {
        expect([what, await overflow(page)]).toEqual([what, 0]);
        expect([what, await hardToRead(page)]).toEqual([what, []]);
        expect([what, await violations(page)]).toEqual([what, []]);
        await screenshot(page, `${what}-${name}`);
      });
      expect(troubles.filter((trouble) => !trouble.includes('404'))).toEqual([]);
    },
  );

  test('what a contact is called never becomes markup', async () => {
    const { page, troubles } = await openTab();
    await page.goto(url);
    const evil = '<img src=x onerror="document.title=1"><script>document.title=1</script>';
    await contact(page, 'Ana García').getByText('Change fields').click();
    await contact(page, 'Ana García').getByLabel('First name').fill(evil);
    await contact(page, 'Ana García').getByRole('button', { name: 'Save' }).click();
    await page.goto(`${url}admin/urls`);
    await page.getByLabel('Contact id').fill('3');
    await page.getByRole('button', { name: 'Try' }).click();
    await page.getByText(evil).waitFor();
    await page.goto(`${url}admin/activity?${new URLSearchParams({ q: evil, code: evil }).toString()}`);
    expect(await page.getByLabel('Who or what').inputValue()).toBe(evil);
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.title()).toBe('Activity – Webhooks');
    expect(troubles).toEqual([]);
  });
});
