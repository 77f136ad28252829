// docs/delivery.md against the code: schedules and steps are those of the code, and every promise names tests that exist.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { BULL_STEPS } from '../../lib/bullmq/steps';
import { QUEUE_STEPS } from '../../lib/worker/steps';
import { BRIEF_DELAYS_MS, LONG_DELAYS_MS, PAUSE_DELAYS_MS, treatmentOf } from '../../lib/worker/verdict';

const ROOT = path.resolve(__dirname, '../..');
const page = readFileSync(path.join(ROOT, 'docs/delivery.md'), 'utf8').replace(/ +\|/g, ' |');

const seconds = (delays: readonly number[]): number[] => delays.map((delay) => delay / 1000);

describe('footnotes', () => {
  const used = new Set([...page.matchAll(/\[\^(\w+)\](?!:)/g)].map(([, name = '']) => name));
  const defined = new Map(
    [...page.matchAll(/^\[\^(\w+)\]: (.*)$/gm)].map(([, name = '', text = '']) => [name, text]),
  );

  test('every one that is used is defined, and the other way round', () => {
    expect([...defined.keys()].sort()).toEqual([...used].sort());
    expect(used.size).toBeGreaterThan(20);
  });

  test.each([...defined])('%s names tests that exist', (_name, text) => {
    const references = [...text.matchAll(/`([\w./-]+)`((?:[^`“”]*“[^”]+”)+)/g)];
    expect(references.length).toBeGreaterThan(0);
    for (const [, file = '', rest = ''] of references) {
      const full = path.join(ROOT, '__tests__', file);
      expect(existsSync(full)).toBe(true);
      const source = readFileSync(full, 'utf8');
      for (const [, title = ''] of rest.matchAll(/“([^”]+)”/g)) expect(source).toContain(title);
    }
  });
});

describe('schedules', () => {
  test('the minute', () => {
    expect(page).toContain(`| minute | ${seconds(BRIEF_DELAYS_MS).join(', ')} s |`);
    expect(seconds(BRIEF_DELAYS_MS).reduce((sum, one) => sum + one, 0)).toBeGreaterThanOrEqual(60);
  });

  test('the day', () => {
    const delays = seconds(LONG_DELAYS_MS);
    const rising = delays.filter((delay) => delay < 3600);
    expect(page).toContain(
      `| day | ${rising.join(', ')} s, then ${delays.length - rising.length} times an hour |`,
    );
    expect(delays.reduce((sum, one) => sum + one, 0)).toBeGreaterThan(23 * 3600);
  });

  test('the pause', () => {
    const delays = seconds(PAUSE_DELAYS_MS);
    expect(page).toContain(`| paused | ${delays.slice(0, -1).join(', ')} s, then every ${delays.at(-1)} s`);
  });

  test('each code stands in the row of how it is met', () => {
    const rowOf = (word: string): string =>
      page.split('\n').find((line) => line.startsWith('| `') && line.includes(word)) ?? '';
    const rows = { pause: '**paused**', brief: '**minute**', long: '**day**', dead: '**dead** at once' };
    for (const [treatment, word] of Object.entries(rows)) {
      const codes = [...(rowOf(word).split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, code = '']) => code);
      expect(codes.length).toBeGreaterThan(1);
      expect([...new Set(codes.map(treatmentOf))]).toEqual([treatment]);
    }
  });
});

test.each(QUEUE_STEPS)('the step “%s” is told', (step) => {
  expect(page).toContain(`| \`${step}\` |`);
});

test.each(BULL_STEPS)('the step “%s” is told in docs/scaling.md', (step) => {
  expect(readFileSync(path.join(ROOT, 'docs/scaling.md'), 'utf8')).toContain(`| \`${step}\` `);
});
