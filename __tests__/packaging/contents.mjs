// What the tarball holds, what a host gets with it, and what requiring it loads.
import * as fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { ensure, manifestOf, node, PACKAGE, run } from './tools.mjs';

/** All files below a directory. */
const filesIn = (directory) =>
  fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));

const kilobytes = (bytes) => `${Math.round(bytes / 1000)} kB`;

/** The files with types that a compiler reads which begins at what the package exports. */
function typesThatHostsSee(installed, manifest) {
  const seen = new Set();
  const look = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { fileName } of ts.preProcessFile(fs.readFileSync(file, 'utf8'), true, true).importedFiles) {
      if (fileName.startsWith('.')) look(path.resolve(path.dirname(file), `${fileName}.d.ts`));
    }
  };
  for (const { types } of Object.values(manifest.exports)) {
    if (types !== undefined) look(path.join(installed, types));
  }
  return seen;
}

/** What the tarball holds. */
export function checkContents(packed, project) {
  const paths = packed.files.map((file) => file.path);
  const allowed =
    /^((dist|docs|examples\/(crm-clients|repositories))\/.+|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|package\.json)$/;
  const strange = paths.filter(
    (file) => !allowed.test(file) || /__tests__|\.(test|spec)\.|\.tsbuildinfo$/.test(file),
  );
  ensure(strange.length === 0, `the tarball holds what it should not:\n${strange.join('\n')}`);
  for (const file of ['README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'dist/users/bcrypt-worker.js']) {
    ensure(paths.includes(file), `the tarball lacks ${file}`);
  }
  ensure(
    paths.some((file) => file.startsWith('docs/')),
    'the tarball lacks the docs',
  );

  const installed = path.join(project, 'node_modules', PACKAGE);
  const manifest = manifestOf(project);
  const seen = typesThatHostsSee(installed, manifest);
  for (const file of filesIn(path.join(installed, 'dist'))) {
    const text = fs.readFileSync(file, 'utf8');
    const [, map] = /^\/\/# sourceMappingURL=(\S+)$/m.exec(text) ?? [];
    const missing = map && !map.startsWith('data:') && !fs.existsSync(path.join(path.dirname(file), map));
    ensure(!missing, `${path.basename(file)} refers to the map ${map}, which is not packed`);
    const sources = file.endsWith('.map') ? JSON.parse(text) : { sources: [] };
    for (const source of sources.sourcesContent ? [] : sources.sources) {
      const isThere = fs.existsSync(path.resolve(path.dirname(file), sources.sourceRoot ?? '', source));
      ensure(isThere, `${path.basename(file)} refers to ${source}, which is not packed`);
    }
    // A type that comes from a package has to come with the package.
    for (const { fileName: specifier } of ts.preProcessFile(text, true, true).importedFiles) {
      if (specifier.startsWith('.')) continue;
      const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)[0];
      // A subpath may load its own optional peer, and telemetry its API, in code and in types that no host's compiler comes to.
      const isOfSubpath = /dist.(bullmq|smtp|knex|telemetry)./.test(file) && !seen.has(file);
      const isPeer = manifest.peerDependenciesMeta[name]?.optional && isOfSubpath;
      const isKnown =
        specifier.startsWith('node:') || name === PACKAGE || name in manifest.dependencies || isPeer;
      ensure(isKnown, `${path.basename(file)} needs ${specifier}, which is no dependency`);
    }
  }
  const { entryCount, size, unpackedSize } = packed;
  return `${entryCount} files, ${kilobytes(size)} packed, ${kilobytes(unpackedSize)} unpacked`;
}

/** The packages that a host gets by the package alone, without its peers, as paths below node_modules. */
function ownPackages(project) {
  const lock = JSON.parse(fs.readFileSync(path.join(project, 'package-lock.json'), 'utf8'));
  return Object.entries(lock.packages)
    .filter(([location, { peer, dev }]) => location !== '' && !peer && !dev)
    .map(([location]) => location);
}

/** Licences that a site of any kind can live with. */
const LICENCES = new Set(['MIT', 'ISC', '0BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0']);

/** What installing brings: few and small packages, under permissive licences. */
export function checkInstalled(project) {
  const own = ownPackages(project);
  const strange = own.filter((location) => {
    const manifest = fs.readFileSync(path.join(project, location, 'package.json'), 'utf8');
    return !LICENCES.has(JSON.parse(manifest).license);
  });
  ensure(strange.length === 0, `these have another licence: ${strange.join(', ')}`);
  const bytes = own
    .flatMap((location) =>
      fs.readdirSync(path.join(project, location), { recursive: true, withFileTypes: true }),
    )
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0);
  // What the README says, with room for the next versions of dependencies.
  ensure(
    own.length <= 45 && bytes < 8_000_000,
    `installing it brings ${own.length} packages, ${kilobytes(bytes)}`,
  );
  return `${own.length} packages with the package itself, ${kilobytes(bytes)}`;
}

/** The command, as npm has put it into the project: it runs, and says what is wrong where there is no site. */
export async function checkCommand(project) {
  const options = { cwd: project, env: { npm_config_offline: 'true' } };
  const { stdout } = await run('npx', ['wp-fusion-webhook', '--version'], options);
  ensure(stdout.trim() === manifestOf(project).version, `--version says ${stdout}`);
  const sandbox = await run('npx', ['wp-fusion-webhook', 'sandbox', '--help'], options);
  ensure(sandbox.stdout.startsWith('Usage: '), `sandbox --help says ${sandbox.stdout}`);
  const refused = await run('npx', ['wp-fusion-webhook', 'doctor'], options).catch(({ message }) => message);
  ensure(
    /ended with code 2\n.*wp-fusion-webhook\.config\.js/.test(refused),
    `doctor without a site: ${refused}`,
  );
}

/** What requiring the package loads: nothing but itself and its dependencies, and nothing of the sandbox. */
export async function checkLoads(project) {
  const { stdout } = await node(['loads.js'], { cwd: project });
  const { byRoot, byTesting, outcomes } = JSON.parse(stdout);
  const own = new Set(ownPackages(project).map((location) => location.replace(/^node_modules\//, '')));
  const packageOf = (file) => /^(.*node_modules\/)?(@[^/]+\/)?[^/]+/.exec(file)[0];
  const strange = [...new Set(byTesting.map(packageOf))].filter((name) => !own.has(name));
  ensure(strange.length === 0, `requiring the package loads what is not its own: ${strange.join(', ')}`);
  const sandbox = byRoot.filter((file) => file.startsWith(`${PACKAGE}/dist/testing/`));
  ensure(sandbox.length === 0, `requiring the root loads the sandbox:\n${sandbox.join('\n')}`);
  ensure(outcomes['package.json'] === 'loaded', `package.json: ${outcomes['package.json']}`);
  for (const [subpath, outcome] of Object.entries(outcomes).filter(([name]) => name !== 'package.json')) {
    ensure(outcome === 'ERR_PACKAGE_PATH_NOT_EXPORTED', `${subpath} is open to hosts: ${outcome}`);
  }
  return `${byRoot.length} files of ${new Set(byRoot.map(packageOf)).size} packages; neither express nor the sandbox`;
}
