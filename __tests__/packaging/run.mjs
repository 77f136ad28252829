// Packs the package, installs the tarball in throw-away projects and uses it there as hosts do: CommonJS, ES modules, TypeScript,
// test runners, bundles, other versions of Node. Run it with `node __tests__/packaging/run.mjs`; KEEP=1 keeps the projects,
// PACKAGING=whole adds hosts and other versions of Node, and checks types with other versions of TypeScript.
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { checkCommand, checkContents, checkInstalled, checkLoads } from './contents.mjs';
import {
  checkBundles,
  checkCompilers,
  checkJest,
  checkOnVersion,
  checkSite,
  checkTypesAlone,
  checkTypeScript,
  checkVitest,
  checkWithoutPeers,
  install,
  runsOnVersions,
} from './hosts.mjs';
import { installVersions } from './node-versions.mjs';
import { checkSurface } from './surface.mjs';
import { forAll, MODULES, node, ROOT, run, shown } from './tools.mjs';

/** The projects: the folder of `hosts` they are made of, and what they install beside the tarball. */
const HOSTS = [
  { name: 'bare', source: 'bare', installs: [] },
  { name: 'commonjs on express 4.18.3', source: 'commonjs', installs: ['express@4.18.3'] },
  { name: 'commonjs on express 4', source: 'commonjs', installs: ['express@4'] },
  { name: 'esm on express 5', source: 'esm', installs: ['express@5'] },
  {
    name: 'typescript on express 5',
    source: 'typescript',
    installs: ['express@5', '@types/express@5'],
  },
  {
    name: 'typescript on express 4',
    source: 'typescript',
    installs: ['express@4', '@types/express@4'],
  },
  // The newest that runs on the oldest Node we support.
  {
    name: 'vitest',
    source: 'vitest',
    installs: ['express@5', '@types/express@5', 'vitest@4', '@types/node@20'],
  },
  { name: 'jest', source: 'jest', installs: ['express@5', 'jest@latest', 'supertest@latest'] },
  { name: 'esbuild', source: 'esbuild', installs: ['express@5', 'esbuild@latest'] },
];

/** With every change: what a change of ours breaks first. The others, and other versions of Node, with PACKAGING=whole. */
const WITH_EVERY_CHANGE = new Set([
  'bare',
  'commonjs on express 4.18.3',
  'esm on express 5',
  'typescript on express 5',
  'jest',
]);
const isWhole = process.env.PACKAGING === 'whole';

/** Packs a copy of the package: building empties dist, from which a demo may be running. */
async function pack(directory) {
  const copy = path.join(directory, 'package');
  const left = new Set(
    ['node_modules', '.git', 'dist', '.tmp', 'coverage'].map((name) => path.join(ROOT, name)),
  );
  fs.cpSync(ROOT, copy, { recursive: true, filter: (file) => !left.has(file) });
  fs.symlinkSync(MODULES, path.join(copy, 'node_modules'), 'junction');
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', directory], { cwd: copy });
  const [packed] = JSON.parse(stdout);
  return { ...packed, tarball: path.join(directory, packed.filename) };
}

const publint = (tarball) => node([path.join(MODULES, 'publint', 'src', 'cli.js'), tarball, '--strict']);

const attw = (tarball) =>
  node([
    path.join(MODULES, '@arethetypeswrong', 'cli', 'dist', 'index.js'),
    ...[
      tarball,
      '--profile',
      'strict',
      '--no-definitely-typed',
      '--no-color',
      '--no-emoji',
      '--format',
      'ascii',
    ],
  ]);

const CHECKS = {
  commonjs: checkSite,
  esm: checkSite,
  typescript: checkTypeScript,
  vitest: checkVitest,
  jest: checkJest,
  esbuild: checkBundles,
};

/** The hosts again on other versions of Node, a line for each version. */
async function checkVersions(directory, projects, check) {
  const versions = await installVersions(directory).catch((error) => error);
  if (versions instanceof Error) return await check('other versions of Node', () => Promise.reject(versions));
  if (versions.length === 0) {
    console.log(
      `SKIP  other versions of Node: their binaries are for Linux on x64, not ${process.platform} ${process.arch}`,
    );
  }
  const chosen = projects.filter((host) => !(host.project instanceof Error) && runsOnVersions(host));
  for (const version of versions) {
    await check(version.name, async () => {
      const others = await forAll(chosen, async (host) => {
        try {
          return await checkOnVersion(version, host);
        } catch (error) {
          throw new Error(`${host.name}: ${error.message}`, { cause: error });
        }
      });
      const warned = [...new Set(others.flat())].sort();
      const told = warned.length === 0 ? 'no warning' : `no warning but of ${warned.join(', ')}`;
      return `${chosen.map(({ name }) => name).join(', ')}; ${told}`;
    });
  }
}

async function main() {
  const startedAt = Date.now();
  const directory = fs.mkdtempSync(path.join(tmpdir(), 'wpf-packaging-'));
  let failures = 0;
  const check = async (name, work) => {
    try {
      const begunAt = Date.now();
      const detail = await work();
      const seconds = `${Math.round((Date.now() - begunAt) / 1000)} s`;
      console.log(`ok    ${name}${typeof detail === 'string' ? `: ${detail}` : ''}, ${seconds}`);
    } catch (error) {
      failures += 1;
      console.log(`FAIL  ${name}\n${shown(error, directory).trimEnd().replaceAll(/^/gm, '      ')}`);
    }
  };
  try {
    const packed = await pack(directory);
    const wanted = HOSTS.filter(({ name }) => isWhole || WITH_EVERY_CHANGE.has(name));
    const projects = await forAll(wanted, async (host) => {
      const project = await install(host, directory, packed.tarball).catch((error) => error);
      return { ...host, project };
    });
    for (const { name, source, project } of projects) {
      if (project instanceof Error) {
        await check(name, () => Promise.reject(project));
      } else if (source === 'bare') {
        await check('contents', () => checkContents(packed, project));
        await check('installs', () => checkInstalled(project));
        await check('loads', () => checkLoads(project));
        await check('command', () => checkCommand(project));
        await check('public surface', () => checkSurface(project));
        await check('without any peer', () => checkWithoutPeers(project));
        if (isWhole) await check('types without @types/express and any peer', () => checkTypesAlone(project));
      } else {
        await check(name, () => CHECKS[source](project));
      }
    }
    if (isWhole) {
      await checkVersions(directory, projects, check);
      const { project } = projects.find(({ source }) => source === 'typescript');
      await check('other versions of TypeScript', () => checkCompilers(directory, project));
    }
    await check('publint --strict', () => publint(packed.tarball).then(() => undefined));
    await check('attw, profile strict', () => attw(packed.tarball).then(() => undefined));
  } catch (error) {
    failures += 1;
    console.log(`FAIL  packing\n${shown(error, directory)}`);
  } finally {
    if (process.env.KEEP === '1') console.log(`The projects are in ${directory}`);
    else fs.rmSync(directory, { recursive: true, force: true });
  }
  console.log(
    `${failures === 0 ? 'All well' : `${failures} failed`}, ${Math.round((Date.now() - startedAt) / 1000)} s`,
  );
  if (failures > 0) process.exitCode = 1;
}

await main();
