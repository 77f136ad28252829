// The hosts: installing them, and what each has to do with the package.
import * as fs from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import ts from 'typescript';
import { runWatched } from './node-versions.mjs';
import { exportedNames } from './surface.mjs';
import { ensure, forAll, HERE, manifestOf, MODULES, node, PACKAGE, run, TSC } from './tools.mjs';

/** The ways to find the types of a package. `.mts` files are ES modules, the `.ts` files of these projects CommonJS. */
const RESOLUTIONS = [
  { name: 'node10', module: 'commonjs', extensions: ['ts'] },
  { name: 'node16', module: 'node16', extensions: ['ts', 'mts'] },
  { name: 'nodenext', module: 'nodenext', extensions: ['ts', 'mts'] },
  { name: 'bundler', module: 'esnext', extensions: ['ts'] },
];

const QUICK = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];

/** What the hosts have in their environment. */
const KEYS = {
  WPF_ACCESS_KEY: 'a-key-for-this-test-only',
  HOOKS_KEY: 'another-key-for-this-test',
  HOOKS_KEY_OLD: 'an-older-key-for-this-test',
  HOOKS_KEY_FOR_TESTS: 'a-third-key-for-this-test',
};

/** Makes a host's project and installs what it needs. */
export async function install(host, directory, tarball) {
  const project = path.join(directory, host.name.replaceAll(/[^a-z0-9]+/g, '-'));
  fs.cpSync(path.join(HERE, 'hosts', host.source), project, { recursive: true });
  await run('npm', ['install', ...QUICK, tarball, ...host.installs], { cwd: project });
  return project;
}

/** Runs a host's program. It has to end by itself, and nothing may warn. */
async function runProgram(args, project, env = {}) {
  const { stderr } = await node(args, { cwd: project, env: { ...KEYS, ...env }, timeoutMs: 30_000 });
  ensure(
    stderr === '',
    `${args.map((one) => path.basename(one)).join(' ')} wrote to stderr, WPF_BCRYPT_IN_PROCESS or another warning:\n${stderr}`,
  );
}

export const checkSite = (project) => runProgram(['site.js'], project);

/** Type checks and compiles sources in every way: `built/node16/site.mjs`. All in one go: a compiler takes 2 s to start. */
async function compile(project, sources) {
  for (const source of sources) {
    fs.copyFileSync(path.join(project, `${source}.ts`), path.join(project, `${source}.mts`));
  }
  await forAll(RESOLUTIONS, async ({ name, module, extensions }) => {
    const config = `tsconfig.${name}.json`;
    const content = {
      extends: './tsconfig.json',
      compilerOptions: { module, moduleResolution: name, outDir: `built/${name}` },
      files: sources.flatMap((source) => extensions.map((extension) => `${source}.${extension}`)),
    };
    fs.writeFileSync(path.join(project, config), JSON.stringify(content));
    await node([TSC, '-p', config, '--pretty', 'false'], { cwd: project });
  });
  return RESOLUTIONS.map(({ name, extensions }) => `${name} (${extensions.join(', ')})`).join(', ');
}

/** The names that a source file imports from a module. */
function importedNames(file, specifier) {
  const source = ts.createSourceFile(file, fs.readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
  return source.statements
    .filter((statement) => ts.isImportDeclaration(statement) && statement.moduleSpecifier.text === specifier)
    .flatMap(({ importClause }) => importClause.namedBindings.elements.map(({ name }) => name.text));
}

/** Whether a project has a package installed. */
const has = (project, name) => fs.existsSync(path.join(project, 'node_modules', ...name.split('/')));

/** The optional peers must not be there where the absence of peers is tested. */
function ensureWithoutPeers(project) {
  const { peerDependenciesMeta } = manifestOf(project);
  const there = [...Object.keys(peerDependenciesMeta), 'ioredis'].filter((name) => has(project, name));
  ensure(there.length === 0, `installed, so that nothing shows that it is optional: ${there.join(', ')}`);
}

/** Every subpath is required, and its types are checked, where no peer is; what needs one tells what to install. */
export async function checkWithoutPeers(project) {
  ensureWithoutPeers(project);
  await runProgram(['peers.js'], project);
  const { exports } = manifestOf(project);
  return `${Object.keys(exports).length} subpaths load, and what needs a peer says so`;
}

export async function checkTypesAlone(project) {
  ensure(!has(project, '@types/express'), '@types/express is installed');
  ensureWithoutPeers(project);
  const subpaths = path.join(HERE, 'hosts', 'typescript', 'subpaths.ts');
  fs.copyFileSync(subpaths, path.join(project, 'subpaths.ts'));
  return await compile(project, ['server', 'subpaths']);
}

const TYPESCRIPT_SOURCES = ['site', 'subpaths', 'queue'];

export async function checkTypeScript(project) {
  ensureWithoutPeers(project);
  for (const [subpath, { types }] of Object.entries(manifestOf(project).exports)) {
    if (types === undefined) continue;
    const specifier = path.posix.join(PACKAGE, subpath);
    const exported = exportedNames(path.join(project, 'node_modules', PACKAGE, types));
    const imported = new Set(
      TYPESCRIPT_SOURCES.flatMap((source) => importedNames(path.join(project, `${source}.ts`), specifier)),
    );
    const missing = exported.filter((name) => !imported.has(name));
    ensure(missing.length === 0, `no host file uses what ${specifier} exports: ${missing.join(', ')}`);
  }
  const compiled = await compile(project, TYPESCRIPT_SOURCES);
  const programs = TYPESCRIPT_SOURCES.flatMap((source) => [
    `built/node10/${source}.js`,
    `built/node16/${source}.mjs`,
  ]);
  await forAll(programs, (file) => runProgram([file], project));
  return compiled;
}

/** The oldest compiler that our types are for, and the newest there is, which has no `node10` any more. */
export async function checkCompilers(directory, project) {
  const place = path.join(directory, 'compilers');
  fs.mkdirSync(place);
  fs.writeFileSync(path.join(place, 'package.json'), '{ "private": true }');
  const versions = ['5.0', 'latest'];
  const packages = versions.map((version) => `typescript-${version}@npm:typescript@${version}`);
  await run('npm', ['install', ...QUICK, ...packages], { cwd: place });
  const used = [];
  for (const version of versions) {
    const compiler = path.join(place, 'node_modules', `typescript-${version}`, 'bin', 'tsc');
    const { stdout } = await node([compiler, '--version']);
    used.push(stdout.trim().replace('Version ', ''));
    for (const { name } of RESOLUTIONS.filter(({ name }) => version !== 'latest' || name !== 'node10')) {
      const args = ['-p', `tsconfig.${name}.json`, '--noEmit', '--pretty', 'false'];
      await node([compiler, ...args], { cwd: project });
    }
  }
  return used.join(', ');
}

/** The contract suites under Vitest: sound adapters pass, broken ones are caught by name. */
export async function checkVitest(project) {
  await node([TSC, '-p', 'tsconfig.json', '--pretty', 'false'], { cwd: project });
  const vitest = path.join(project, 'node_modules', 'vitest', 'vitest.mjs');
  const runSuites = async (env) => {
    const report = path.join(project, 'report.json');
    const args = [vitest, 'run', '--reporter=json', `--outputFile=${report}`];
    const endedWell = await node(args, { cwd: project, env }).then(
      () => true,
      () => false,
    );
    const { numPassedTests, numPendingTests, testResults } = JSON.parse(fs.readFileSync(report, 'utf8'));
    const failed = testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ status }) => status === 'failed')
      .map(({ ancestorTitles, title }) => [...ancestorTitles, title].join(' > '));
    return { endedWell, passed: numPassedTests, skipped: numPendingTests, failed };
  };
  const sound = await runSuites({});
  ensure(sound.endedWell && sound.failed.length === 0, `sound adapters fail:\n${sound.failed.join('\n')}`);
  ensure(sound.passed > 190, `only ${sound.passed} tests passed`);
  const broken = await runSuites({ BROKEN: '1' });
  ensure(!broken.endedWell, 'broken adapters end well');
  for (const name of [
    'users > findByEmail > ignores the case of the letters A to Z',
    'crm > failures > getContacts throws CRM_UNAUTHORIZED (unauthorized)',
  ]) {
    ensure(broken.failed.includes(name), `not caught: ${name}; but\n${broken.failed.join('\n')}`);
  }
  return `${sound.passed} tests pass, ${sound.skipped} are skipped; of broken adapters ${broken.failed.length} fail`;
}

/** A host's tests under Jest, which has to end by itself. */
export async function checkJest(project) {
  const { stderr } = await node(JEST, { cwd: project, timeoutMs: 60_000 });
  // What Jest says of a handle that is left open.
  ensure(!/did not exit|Warning:/.test(stderr), stderr);
  const [, passed] = /^Tests:.* (\d+) passed/m.exec(stderr) ?? [];
  ensure(Number(passed) > 100, `only ${passed} tests passed:\n${stderr}`);
  return `${passed} tests pass, and it ends by itself`;
}

const JEST = ['node_modules/jest/bin/jest.js', '--ci', '--runInBand'];

/** What an ES module lacks that CommonJS packages inlined in it want. */
const BANNER = `import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);`;

/** What a package of the bundle loads where it is there, and does without where it is not: `debug` for colours, ours for traces. */
const TRIED_ONLY = new Set(['supports-color', '@opentelemetry/api']);

/** Bundles with esbuild, which may not warn, and gives what the bundle still requires of packages. */
async function bundle(project, entries, { format, outdir, external = [] }) {
  const metafile = path.join(project, 'meta.json');
  const flags = [
    ...['--bundle', '--platform=node', `--format=${format}`, `--outdir=${outdir}`, '--entry-names=[name]'],
    ...['--log-level=warning', `--metafile=${metafile}`, ...external.map((name) => `--external:${name}`)],
    ...(format === 'esm' ? [`--banner:js=${BANNER}`, '--out-extension:.js=.mjs'] : []),
  ];
  const esbuild = path.join(project, 'node_modules', 'esbuild', 'bin', 'esbuild');
  const { stderr } = await run(esbuild, [...entries, ...flags], { cwd: project });
  ensure(stderr.trim() === '', `esbuild warns:\n${stderr}`);
  const { outputs } = JSON.parse(fs.readFileSync(metafile, 'utf8'));
  const imports = Object.values(outputs).flatMap((output) => output.imports);
  return [...new Set(imports.filter((one) => one.external).map((one) => one.path))];
}

/** Bundles of a site, each alone in a directory without node_modules: it takes a webhook there. */
export async function checkBundles(project) {
  const alone = path.join(path.dirname(project), 'bundles');
  const worker = `node_modules/${PACKAGE}/dist/users/bcrypt-worker.js`;
  const builds = [
    { name: 'cjs', entries: ['site.js'], format: 'cjs', env: { IN_PROCESS: '1' } },
    { name: 'esm', entries: ['site.js'], format: 'esm', env: { IN_PROCESS: '1' } },
    // The worker as a bundle of its own beside the site's: then hashing stays in threads.
    { name: 'cjs-worker', entries: ['site.js', worker], format: 'cjs', env: {} },
  ];
  for (const { name, entries, format, env } of builds) {
    const outdir = path.join(alone, name);
    const left = await bundle(project, entries, { format, outdir });
    const strange = left.filter((specifier) => !isBuiltin(specifier) && !TRIED_ONLY.has(specifier));
    ensure(strange.length === 0, `the bundle ${name} still needs ${strange.join(', ')}`);
    await runProgram([`site.${format === 'esm' ? 'mjs' : 'js'}`], outdir, env);
  }
  // A site on a database leaves the database's packages out; they stand beside its bundle.
  const outdir = path.join(alone, 'knex');
  await bundle(project, ['knex-site.js'], {
    ...{ format: 'cjs', outdir, external: ['knex', 'better-sqlite3'] },
  });
  fs.symlinkSync(MODULES, path.join(outdir, 'node_modules'), 'junction');
  await runProgram(['knex-site.js'], outdir, { IN_PROCESS: '1' });
  return `CommonJS and ES modules, with and without the worker's file, and on SQLite`;
}

/** What a host runs again on other versions of Node: the arguments of `node`. */
const PROGRAMS = {
  commonjs: [['site.js']],
  esm: [['site.js']],
  typescript: [['built/node10/site.js'], ['built/node16/site.mjs']],
  jest: [JEST],
};

/** Runs on another Node what a host ran on this one. Gives what others than this package were warned of. */
export async function checkOnVersion(version, { source, project }) {
  const others = [];
  for (const args of PROGRAMS[source]) {
    others.push(...(await runWatched(version, args, { cwd: project, env: KEYS, timeoutMs: 60_000 })));
  }
  return others;
}

export const runsOnVersions = ({ source }) => source in PROGRAMS;
