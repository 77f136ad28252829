// What refuses a release: a repository that is ready in every respect, and each respect taken away.
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const SCRIPT = path.resolve(__dirname, '../.ci/release.js');
const MANIFEST = { name: 'x', version: '1.2.3', repository: 'github:example/x' };
const CHANGELOG = '# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-27\n\n- Something.\n';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'wpf-release-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const git = (...args: string[]): unknown =>
  execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@example.com', ...args], { cwd: directory });

function release({
  manifest = MANIFEST as object,
  changelog = CHANGELOG,
  tag = 'v1.2.3',
  dirty = false,
  ci = 'true',
}) {
  writeFileSync(path.join(directory, 'package.json'), JSON.stringify(manifest));
  writeFileSync(path.join(directory, 'CHANGELOG.md'), changelog);
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '--message=All');
  git('tag', tag);
  if (dirty) appendFileSync(path.join(directory, 'CHANGELOG.md'), '\n');
  const env = { PATH: process.env.PATH, GITHUB_ACTIONS: ci };
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT], { cwd: directory, env, encoding: 'utf8' });
  return { status, said: stderr.split('\n').filter(Boolean) };
}

test('what is ready is released', () => {
  expect(release({})).toEqual({ status: 0, said: [] });
});

test.each<[string, Parameters<typeof release>[0], RegExp]>([
  [
    'a package without a repository',
    { manifest: { ...MANIFEST, repository: undefined } },
    /names no repository/,
  ],
  [
    'a version without a heading',
    { changelog: CHANGELOG.replace('1.2.3', '1.2.2') },
    /no heading "## \[1\.2\.3\]/,
  ],
  ['a version without a date', { changelog: CHANGELOG.replace(' - 2026-11-27', '') }, /no heading/],
  [
    'entries that are of no version',
    { changelog: CHANGELOG.replace('d]', 'd]\n\n- More.') },
    /under \[Unreleased\]/,
  ],
  ['changes that are not committed', { dirty: true }, /not committed/],
  ['another tag', { tag: 'v1.2.2' }, /no tag v1\.2\.3/],
  ['a machine that signs nothing', { ci: '' }, /release workflow/],
])('not %s', (_what, given, message) => {
  expect(release(given)).toEqual({ status: 1, said: [expect.stringMatching(message)] });
});
