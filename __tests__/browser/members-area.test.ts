// The login of the members' area and the page that a tag opens, in a real browser.
import { Example } from '../examples/child';
import { availableDatabases } from '../knex/databases';
import { describeInChromium, hardToRead, overflow } from './chromium';

const DATABASE_URL = process.env.TEST_POSTGRES_URL ?? 'postgres://root@127.0.0.1:5432/test';

const describeOnPostgres = availableDatabases('PostgreSQL').length > 0 ? describe : describe.skip;

describeOnPostgres("the members' area", () => {
  describeInChromium('in a browser', (openTab) => {
    let site: Example;
    let url: string;

    beforeEach(async () => {
      site = new Example(['examples/members-area/index.js'], { DATABASE_URL });
      [, url = ''] = await site.says(/Now you: {2}(http:\S+)\//);
    });
    afterEach(async () => {
      await site.end('SIGTERM');
    });

    test('a member logs in, orders the course, and it is open; readable, wide and narrow', async () => {
      const { page, troubles } = await openTab();
      const isReadable = async (): Promise<void> => {
        for (const width of [1280, 320]) {
          await page.setViewportSize({ width, height: 640 });
          expect(await overflow(page)).toBe(0);
          expect(await hardToRead(page)).toEqual([]);
        }
      };

      // What was asked for is where the login leads.
      await page.goto(`${url}/courses/watercolour`);
      await page.getByLabel('Email').fill('olga@example.com');
      await page.getByLabel('Password').fill('not her password');
      await page.keyboard.press('Enter');
      await page.getByRole('alert').getByText('The email or the password is wrong.').waitFor();
      expect(await page.getByLabel('Email').inputValue()).toBe('olga@example.com');
      await isReadable();
      await page.getByLabel('Password').focus();
      expect(await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle)).toBe('solid');
      await page.keyboard.type('olga-since-2019');
      await page.keyboard.press('Enter');

      await page.getByText('not open to you yet').waitFor();
      await isReadable();
      await page.getByRole('link', { name: 'Order the course' }).click();
      await isReadable();
      await page.getByLabel('Email').fill('olga@example.com');
      await page.getByRole('button', { name: 'Order the course' }).click();
      await page.getByText('Webhook add: 202, queued').waitFor();
      await isReadable();

      await page.getByRole('link', { name: 'To the course' }).click();
      await page.getByRole('heading', { name: 'Lesson 1' }).waitFor();
      await isReadable();
      await page.getByRole('link', { name: 'Brush & Paper' }).click();
      await page.getByRole('heading', { name: 'Welcome, Olga' }).waitFor();
      await isReadable();
      await page.getByRole('button', { name: 'Log out' }).click();
      await page.getByRole('heading', { name: 'Log in' }).waitFor();

      // The browser itself tells a status from 400 up.
      expect(troubles.filter((trouble) => !trouble.startsWith('Failed to load resource'))).toEqual([]);
    });
  });
});
