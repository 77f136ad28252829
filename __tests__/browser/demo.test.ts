// The demo by hand: everything its page offers, in a real browser.
import type { Locator, Page } from 'playwright-core';
import { Example } from '../examples/child';
import { describeInChromium, hardToRead, overflow } from './chromium';

describeInChromium('the demo in a browser', (openTab) => {
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
  const webhook = (page: Page, action: string, contactId: string, outcome: string): Locator =>
    page
      .locator('#webhooks li')
      .filter({ hasText: `contact ${contactId}` })
      .filter({ has: page.locator('strong').getByText(action, { exact: true }) })
      .locator('.outcome')
      .getByText(outcome, { exact: true });

  const webhookState = (page: Page, action: string, contactId: string, state: string): Locator =>
    page
      .locator('#webhooks li')
      .filter({ hasText: `contact ${contactId}` })
      .filter({ has: page.locator('strong').getByText(action, { exact: true }) })
      .locator('.status')
      .getByText(state, { exact: true });

  test('a tag makes a user, who logs in with the password that came back and follows the contact', async () => {
    const { page, troubles } = await openTab();
    await page.goto(url);
    const joe = contact(page, 'Joe Miller');
    await joe.waitFor();
    expect(await user(page, 'joe@example.com').count()).toBe(0);

    await joe.getByLabel('Add User to WP').check();
    await user(page, 'joe@example.com').waitFor();
    await user(page, 'joe@example.com').getByText('Newsletter').waitFor();
    await webhook(page, 'add', '2', 'created').waitFor();

    const password = await joe.locator('.password code').textContent();
    await page.getByRole('form', { name: 'Log in' }).getByLabel('Email').fill('joe@example.com');
    await page.getByRole('form', { name: 'Log in' }).getByLabel('Password').fill(password!);
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
    await page.getByText('Logged in as joe@example.com (customer)').waitFor();

    await joe.getByText('Change fields').click();
    await joe.getByLabel('Company').fill('Hooli');
    await joe.getByLabel('Plan').selectOption('Platinum');
    await joe.getByRole('button', { name: 'Save' }).click();
    await user(page, 'joe@example.com').getByText('Hooli').waitFor();
    await user(page, 'joe@example.com').getByText('Platinum').waitFor();

    await joe.getByLabel('Newsletter').uncheck();
    await user(page, 'joe@example.com').getByText('Newsletter').waitFor({ state: 'detached' });
    await webhook(page, 'update_tags', '2', 'updated').waitFor();

    expect(troubles).toEqual([]);
  });

  test('a state that was asked for before a change does not undo it on the page', async () => {
    const { page, troubles } = await openTab();
    await page.goto(url);
    await page.getByText('The queue is empty.').waitFor();
    let isHeld: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (isHeld = resolve));
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    await page.route(
      '**/demo/state',
      async (route) => {
        const response = await route.fetch();
        isHeld();
        await released;
        await route.fulfill({ response });
      },
      { times: 1 },
    );
    await held;
    await page.getByLabel('Its API is down').check();
    // What comes after the old state is asked for by the change.
    await page.route('**/demo/state', (route) => route.abort(), { times: 1 });
    release();
    await page.locator('#lost').waitFor();
    expect(await page.getByLabel('Its API is down').isChecked()).toBe(true);
    await page.locator('#lost').waitFor({ state: 'hidden' });
    await page.getByLabel('Its API is down').uncheck();
    expect(troubles).toEqual(['Failed to load resource: net::ERR_FAILED']);
  });

  test('while Ontraport is down its webhooks wait in the queue, and are worked off when it is back', async () => {
    const { page, troubles } = await openTab();
    await page.goto(url);
    await page.getByText('The queue is empty.').waitFor();
    await page.getByLabel('Its API is down').check();
    await contact(page, 'Ana García').getByLabel('Add User to WP').check();
    await webhookState(page, 'add', '3', 'queued').waitFor();
    await webhook(page, 'add', '3', 'CRM_UNAVAILABLE, is tried again').waitFor();
    await webhookState(page, 'add', '3', 'queued').waitFor();
    await page.getByText('1 in the queue.').waitFor();
    expect(await user(page, 'ana@example.com').count()).toBe(0);

    await page.getByLabel('Its API is down').uncheck();
    await user(page, 'ana@example.com').waitFor();
    await webhookState(page, 'add', '3', 'done').waitFor();
    await page.getByText('The queue is empty.').waitFor();
    expect(troubles).toEqual([]);
  });

  test('a webhook that was given up is tried again when its reason is gone, by keyboard', async () => {
    const { page, troubles } = await openTab();
    await page.goto(url);
    await contact(page, 'Joe Miller').getByText('Change fields').click();
    await contact(page, 'Joe Miller').getByLabel('Email').fill('mary@example.com');
    await contact(page, 'Joe Miller').getByRole('button', { name: 'Save' }).click();
    await contact(page, 'Joe Miller').getByText('Contact 2 · mary@example.com').waitFor();
    await contact(page, 'Joe Miller').getByLabel('Add User to WP').check();
    // Mary's user is another contact's.
    await webhook(page, 'add', '2', 'CONTACT_CONFLICT').waitFor();
    await webhookState(page, 'add', '2', 'dead').waitFor();
    await page.getByText('1 given up.').waitFor();

    await contact(page, 'Joe Miller').getByLabel('Email').fill('joe@example.com');
    await contact(page, 'Joe Miller').getByRole('button', { name: 'Save' }).click();
    await contact(page, 'Joe Miller').getByText('Contact 2 · joe@example.com').waitFor();
    await page.getByRole('button', { name: 'Try them again' }).focus();
    await page.keyboard.press('Enter');
    await user(page, 'joe@example.com').waitFor();
    await webhook(page, 'add', '2', 'created').waitFor();
    await webhookState(page, 'add', '2', 'done').waitFor();
    await page.getByRole('button', { name: 'Try them again' }).waitFor({ state: 'hidden' });
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('webhooks-title');
    expect(troubles).toEqual([]);
  });

  test('a contact is added, and a wrong password is refused', async () => {
    const { page, troubles } = await openTab();
    await page.goto(url);
    await page.getByText('Add a contact').click();
    await page.locator('#new-contact').getByLabel('First name').fill('Zoë');
    await page.locator('#new-contact').getByLabel('Email').fill('zoe@example.com');
    await page.getByRole('button', { name: 'Add contact' }).click();
    await contact(page, 'Zoë').getByLabel('Add User to WP').check();
    await user(page, 'zoe@example.com').waitFor();
    expect(troubles).toEqual([]);

    await page.getByRole('form', { name: 'Log in' }).getByLabel('Email').fill('zoe@example.com');
    await page.getByRole('form', { name: 'Log in' }).getByLabel('Password').fill('not her password');
    await page.keyboard.press('Enter');
    await page.getByText('The email or the password is wrong.').waitFor();
  });

  test('the keyboard is enough', async () => {
    const { page, troubles } = await openTab();
    await page.goto(url);
    await contact(page, 'Ana García').getByLabel('Add User to WP').focus();
    await page.keyboard.press('Space');
    const use = contact(page, 'Ana García').getByRole('button', { name: 'Use it to log in as Ana García' });
    await use.waitFor();
    await use.focus();
    await page.keyboard.press('Enter');
    // The button of the login has the focus now.
    await page.keyboard.press('Enter');
    await page.getByText('Logged in as ana@example.com (customer)').waitFor();

    // What has the focus can be told from what has not.
    await page.keyboard.press('Shift+Tab');
    expect(await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle)).toBe('solid');
    expect(troubles).toEqual([]);
  });

  test('what somebody is typing stays, though the contact changes meanwhile', async () => {
    const { page } = await openTab();
    await page.goto(url);
    const joe = contact(page, 'Joe Miller');
    await joe.getByText('Change fields').click();
    await joe.getByLabel('Company').fill('Half a na');
    // Another tab, as a colleague would.
    const other = await page.context().newPage();
    await other.goto(url);
    await contact(other, 'Joe Miller').getByText('Change fields').click();
    await contact(other, 'Joe Miller').getByLabel('Last name').fill('Changed');
    await contact(other, 'Joe Miller').getByRole('button', { name: 'Save' }).click();

    await page.bringToFront();
    await contact(page, 'Joe Changed').waitFor();
    expect(await contact(page, 'Joe Changed').getByLabel('Company').inputValue()).toBe('Half a na');
  });

  test('values of contacts are text, whatever they look like', async () => {
    const { page, troubles } = await openTab({ viewport: { width: 320, height: 640 } });
    await page.goto(url);
    const hostile = '<img src=x onerror="window.isHacked=true">';
    const joe = contact(page, 'Joe Miller');
    await joe.getByText('Change fields').click();
    await joe.getByLabel('Company').fill(hostile);
    await joe.getByLabel('Last name').fill(`${'W'.repeat(150)} مرحبا بالعالم`);
    await joe.getByRole('button', { name: 'Save' }).click();
    await contact(page, 'Joe W').getByLabel('Add User to WP').check();
    await user(page, 'joe@example.com').getByText(hostile).waitFor();

    expect(await page.locator('#users img').count()).toBe(0);
    expect(await page.evaluate(() => 'isHacked' in window)).toBe(false);
    expect(await overflow(page)).toBe(0);
    expect(troubles).toEqual([]);
  });

  test.each(['light', 'dark'] as const)('it is readable, %s, wide and narrow', async (colorScheme) => {
    const { page, troubles } = await openTab({ colorScheme });
    await page.goto(url);
    await contact(page, 'Ana García').getByLabel('Add User to WP').check();
    await user(page, 'ana@example.com').waitFor();
    await page.getByLabel('Its API is down').check();
    await contact(page, 'Joe Miller').getByLabel('Add User to WP').check();
    await webhookState(page, 'add', '2', 'queued').waitFor();
    for (const summary of await page.locator('summary').all()) await summary.click();
    await page.getByRole('button', { name: 'Use it to log in as Ana García' }).click();
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
    await page.getByText('Logged in as').waitFor();

    for (const width of [1280, 320]) {
      await page.setViewportSize({ width, height: 800 });
      expect(await overflow(page)).toBe(0);
      expect(await hardToRead(page)).toEqual([]);
    }
    expect(troubles).toEqual([]);
  });

  test('it says so when the demo has ended', async () => {
    const { page } = await openTab();
    await page.goto(url);
    await contact(page, 'Joe Miller').waitFor();
    expect((await demo.end('SIGINT')).code).toBe(0);

    await page.getByRole('alert').getByText('The demo has ended').waitFor();
  });

  test('a webhook opened in the browser looks first', async () => {
    const { page } = await openTab();
    await page.goto(url);
    const ana = contact(page, 'Ana García');
    await ana.getByText('Change fields').click();
    const [dryRun] = await Promise.all([
      page.context().waitForEvent('page'),
      ana.getByRole('link', { name: 'Dry run in a browser' }).click(),
    ]);
    await dryRun.getByText('A user would be created.').waitFor();
    expect(await user(page, 'ana@example.com').count()).toBe(0);

    await dryRun.getByRole('button', { name: 'Run add for contact 3' }).click();
    await dryRun.getByText('User 2 was created.').waitFor();
    await page.bringToFront();
    await user(page, 'ana@example.com').waitFor();
  });
});
