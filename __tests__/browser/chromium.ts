// A real browser for tests of pages, and what they look at in it.
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';

const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';

const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Tab {
  page: Page;
  /** Errors of scripts, errors and warnings of the console (where violations of a CSP are told), requests to elsewhere. */
  troubles: string[];
}

export type OpenTab = (options?: BrowserContextOptions) => Promise<Tab>;

/**
 * Tests that need Chromium. Where there is none they are skipped, which is said; in CI that is a failure. Each test gets tabs
 * in a browser profile of its own.
 */
export function describeInChromium(name: string, tests: (openTab: OpenTab) => void): void {
  if (!existsSync(executablePath)) {
    const message = `There is no Chromium at ${executablePath} (CHROMIUM_PATH says where it is).`;
    if (process.env.CI === undefined || process.env.CI === '') {
      console.warn(`SKIPPED: ${name}. ${message}`);
      describe.skip(name, () => tests(() => Promise.reject(new Error(message))));
      return;
    }
    test(`${name}: needs Chromium`, () => {
      throw new Error(message);
    });
    return;
  }

  describe(name, () => {
    let browser: Browser;

    beforeAll(async () => {
      browser = await chromium.launch({ executablePath, args: ARGS });
    });
    afterEach(async () => {
      for (const context of browser.contexts()) await context.close();
    });
    afterAll(async () => {
      await browser.close();
    });

    tests(async (options) => {
      const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
      const page = await context.newPage();
      const troubles: string[] = [];
      page.on('pageerror', (error) => troubles.push(String(error)));
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) troubles.push(message.text());
      });
      page.on('request', (request) => {
        const { hostname } = new URL(request.url());
        if (hostname !== '127.0.0.1') troubles.push(`request to ${hostname}`);
      });
      return { page, troubles };
    });
  });
}

/** By how many pixels the page is wider than the window. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

export interface SeenText {
  text: string;
  contrast: number;
}

/** Every text that is shown, and what stands in form fields, with its contrast to what is behind it (WCAG 2). */
export const textContrasts = (page: Page): Promise<SeenText[]> =>
  page.evaluate(() => {
    type Colour = [red: number, green: number, blue: number, alpha: number];

    const parse = (text: string): Colour => {
      const [, numbers = ''] = /^rgba?\((.+)\)$/.exec(text) ?? [];
      const [red, green, blue, alpha = 1] = numbers.split(/[\s,/]+/).map(Number);
      if (red === undefined || green === undefined || blue === undefined) throw new Error(`Colour? ${text}`);
      return [red, green, blue, alpha];
    };
    const over = ([red, green, blue, alpha]: Colour, [backRed, backGreen, backBlue]: Colour): Colour => [
      red * alpha + backRed * (1 - alpha),
      green * alpha + backGreen * (1 - alpha),
      blue * alpha + backBlue * (1 - alpha),
      1,
    ];
    const behind = (element: Element | null): Colour => {
      // A page that paints nothing shows the browser's canvas.
      if (element === null)
        return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
      const colour = parse(getComputedStyle(element).backgroundColor);
      return colour[3] === 1 ? colour : over(colour, behind(element.parentElement));
    };
    const luminance = ([red, green, blue]: Colour): number => {
      const [linearRed = 0, linearGreen = 0, linearBlue = 0] = [red, green, blue].map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * linearRed + 0.7152 * linearGreen + 0.0722 * linearBlue;
    };
    const contrast = (element: Element): number => {
      const back = behind(element);
      const one = luminance(over(parse(getComputedStyle(element).color), back));
      const other = luminance(back);
      return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    };

    const seen: SeenText[] = [];
    for (const element of document.querySelectorAll('body *')) {
      if (!element.checkVisibility()) continue;
      const own = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
      const field =
        'value' in element && !element.matches('button, [type=checkbox], li') ? String(element.value) : '';
      const text = (own.map((node) => node.textContent).join(' ') + field).trim();
      if (text !== '') seen.push({ text, contrast: contrast(element) });
    }
    return seen;
  });

/** What of a page's text is hard to read: less contrast than 4.5 to 1. */
export async function hardToRead(page: Page): Promise<SeenText[]> {
  const texts = await textContrasts(page);
  if (texts.length === 0) throw new Error('The page shows no text.');
  return texts.filter(({ contrast }) => contrast < 4.5);
}
