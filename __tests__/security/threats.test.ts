// The threat model is true: SECURITY.md shows all of it, every test that it names is there, and (in the whole size) fails when
// the defence that it holds is taken out of the sources.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isWhole } from '../delivery/size';
import { ATTACKERS, THREATS, type Threat } from './threats';

const ROOT = join(__dirname, '..', '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const occurrences = (text: string, part: string): number => text.split(part).length - 1;
const nameOf = ({ who, cannot }: Threat): string => `${who}: cannot ${cannot}`;

describe('SECURITY.md', () => {
  const START = '<!-- prettier-ignore-start -->\n';
  const END = '<!-- prettier-ignore-end -->\n';

  function written(): string {
    return Object.entries(ATTACKERS)
      .map(([who, { title, can }]) => {
        const rows = THREATS.filter((threat) => threat.who === who).map(
          ({ cannot, because, test: [file, name] }) =>
            `| ${cannot} | ${because} | [${file}](__tests__/${file}): ${name.replace(/,? *$/, '')} … |`,
        );
        return [
          `### ${title}`,
          '',
          `can ${can}`,
          '',
          '| cannot | because | test |',
          '| - | - | - |',
          ...rows,
        ].join('\n');
      })
      .join('\n\n');
  }

  test('shows the whole threat model; UPDATE=1 writes it', () => {
    const text = read('SECURITY.md');
    const [before = '', rest = ''] = text.split(START);
    const [shown = '', after = ''] = rest.split(END);
    if (process.env.UPDATE === '1') {
      writeFileSync(join(ROOT, 'SECURITY.md'), `${before}${START}\n${written()}\n\n${END}${after}`);
    } else expect(shown.trim()).toBe(written());
  });
});

test.each(THREATS.map((threat) => [nameOf(threat), threat] as const))(
  '%s: there is such a test, and such a defence',
  (_name, threat) => {
    const { file, defence, instead } = threat.without;
    expect(occurrences(read(file), defence)).toBe(1);
    expect(instead).not.toBe(defence);
    expect(read(join('__tests__', threat.test[0]))).toContain(threat.test[1]);
  },
);

if (isWhole) {
  describe('without its defence the test fails', () => {
    const COPY = join(ROOT, '.tmp', 'threats');
    beforeAll(() => {
      rmSync(COPY, { recursive: true, force: true });
      mkdirSync(COPY, { recursive: true });
      for (const part of [
        'lib',
        '__tests__',
        'docs',
        'examples',
        'package.json',
        'tsconfig.json',
        'README.md',
      ])
        cpSync(join(ROOT, part), join(COPY, part), { recursive: true });
      for (const part of ['node_modules', 'dist']) symlinkSync(join(ROOT, part), join(COPY, part));
    });
    afterAll(() => rmSync(COPY, { recursive: true, force: true }));

    test.each(THREATS.map((threat) => [nameOf(threat), threat] as const))(
      '%s',
      (_name, { test: [file, name], without }) => {
        const path = join(COPY, without.file);
        const sound = readFileSync(path, 'utf8');
        // A function: `$` in a replacement would mean something.
        writeFileSync(
          path,
          sound.replace(without.defence, () => without.instead),
        );
        try {
          const pattern = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
          const { stdout } = spawnSync(
            process.execPath,
            [
              'node_modules/jest/bin/jest.js',
              '--json',
              '--testTimeout=20000',
              `__tests__/${file}`,
              '-t',
              pattern,
            ],
            {
              cwd: COPY,
              encoding: 'utf8',
              maxBuffer: 100_000_000,
              env: { ...process.env, DELIVERY_SIZE: '' },
            },
          );
          const { numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(stdout) as Record<string, number>;
          // Failed as a test, not because nothing could be run.
          expect(numRuntimeErrorTestSuites).toBe(0);
          expect(numFailedTests).toBeGreaterThan(0);
        } finally {
          writeFileSync(path, sound);
        }
      },
    );
  });
}
