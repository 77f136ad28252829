// Runs before `npm publish` (prepublishOnly): refuses a release that is not ready, and says what to do. `.github/RELEASING.md`
// tells the steps.
const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');

const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).trim();
const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const { version, repository } = manifest;
const changelog = readFileSync('CHANGELOG.md', 'utf8');
const [, unreleased = ''] = /^## \[Unreleased\]\n([\s\S]*?)(?=^## \[)/m.exec(changelog) ?? [];
const heading = new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d{2}-\\d{2}$`, 'm');

const refusals = [
  [
    repository === undefined,
    'package.json names no repository: npm compares it with the one that provenance is signed for.',
  ],
  [!heading.test(changelog), `CHANGELOG.md has no heading "## [${version}] - YYYY-MM-DD".`],
  [unreleased.trim() !== '', 'CHANGELOG.md has entries under [Unreleased]: move them under the version.'],
  [git('status', '--porcelain') !== '', 'There are changes that are not committed.'],
  [
    !git('tag', '--points-at', 'HEAD').split('\n').includes(`v${version}`),
    `HEAD has no tag v${version}: npm version makes it.`,
  ],
  [
    process.env.GITHUB_ACTIONS !== 'true',
    'Provenance is signed by the release workflow: push the tag instead of publishing from here.',
  ],
];
const messages = refusals.filter(([refused]) => refused).map(([, message]) => message);
for (const message of messages) console.error(`Not released: ${message}`);
process.exitCode = messages.length === 0 ? 0 : 1;
