// Packs the package, installs the tarball in throw-away projects and uses it there as hosts do: CommonJS, ES modules, TypeScript.
// Run it with `node __tests__/packaging/run.mjs`; KEEP=1 keeps the projects.
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.join(HERE, '..', '..');
const MODULES = path.join(ROOT, 'node_modules');
const TSC = path.join(MODULES, 'typescript', 'bin', 'tsc');
const PACKAGE = 'wp-fusion-webhook';
/** What is public: names, options, properties. */
const SURFACE = path.join(HERE, 'surface.txt');

/** The projects: the folder of `hosts` they are made of, and what they install beside the tarball. */
const HOSTS = [
  { name: 'bare', source: 'bare', installs: [] },
  { name: 'commonjs on express 4.18.3', source: 'commonjs', installs: ['express@4.18.3'] },
  { name: 'commonjs on express 4.22', source: 'commonjs', installs: ['express@~4.22.0'] },
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
  { name: 'vitest', source: 'vitest', installs: ['express@5', 'vitest@4', '@types/node@20'] },
];

/** The ways to find the types of a package. `.mts` files are ES modules, the `.ts` files of these projects CommonJS. */
const RESOLUTIONS = [
  { name: 'node10', module: 'commonjs', extensions: ['ts'] },
  { name: 'node16', module: 'node16', extensions: ['ts', 'mts'] },
  { name: 'nodenext', module: 'nodenext', extensions: ['ts', 'mts'] },
  { name: 'bundler', module: 'esnext', extensions: ['ts'] },
];

const KEYS = {
  WPF_ACCESS_KEY: 'a-key-for-this-test-only',
  HOOKS_KEY: 'another-key-for-this-test',
  HOOKS_KEY_OLD: 'an-older-key-for-this-test',
  HOOKS_KEY_FOR_TESTS: 'a-third-key-for-this-test',
};

/** Runs a program. Rejects with all it said where it fails or does not end in time. */
function run(command, args, { cwd, env = {}, timeoutMs = 240_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) child[name].on('data', (chunk) => (output[name] += chunk));
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code === 0) return resolve(output);
      const how = isLate ? `did not end within ${timeoutMs} ms` : `ended with code ${code}`;
      const what = [path.basename(command), ...args.map((argument) => path.basename(argument))].join(' ');
      reject(new Error(`${what} ${how}\n${output.stdout}${output.stderr}`));
    });
  });
}

const node = (args, options) => run(process.execPath, args, options);

const ensure = (condition, message) => {
  if (!condition) throw new Error(message);
};

/** Does things for all items, a few at a time. Rejects when all have ended, with all that failed. */
async function forAll(items, work) {
  const results = [];
  const failed = [];
  const left = [...items.entries()];
  const worker = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [index, item] = next;
      await work(item).then(
        (result) => (results[index] = result),
        (error) => failed.push(error.message),
      );
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker));
  ensure(failed.length === 0, failed.join('\n'));
  return results;
}

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

/** Makes a host's project and installs what it needs. */
async function install(host, directory, tarball) {
  const project = path.join(directory, host.name.replaceAll(/[^a-z0-9]+/g, '-'));
  fs.cpSync(path.join(HERE, 'hosts', host.source), project, { recursive: true });
  const quick = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', ['install', ...quick, tarball, ...host.installs], { cwd: project });
  return project;
}

/** Runs a host's program. It has to end by itself, and nothing may warn. */
async function runProgram(args, project) {
  const { stderr } = await node(args, { cwd: project, env: KEYS, timeoutMs: 30_000 });
  ensure(
    stderr === '',
    `${args.join(' ')} wrote to stderr, WPF_BCRYPT_IN_PROCESS or another warning:\n${stderr}`,
  );
}

/** Type checks and compiles a source in every way: `built/node16/site.mjs`. */
async function compile(project, source) {
  fs.copyFileSync(path.join(project, `${source}.ts`), path.join(project, `${source}.mts`));
  await forAll(RESOLUTIONS, async ({ name, module, extensions }) => {
    const config = `tsconfig.${name}.json`;
    const content = {
      extends: './tsconfig.json',
      compilerOptions: { module, moduleResolution: name, outDir: `built/${name}` },
      files: extensions.map((extension) => `${source}.${extension}`),
    };
    fs.writeFileSync(path.join(project, config), JSON.stringify(content));
    await node([TSC, '-p', config, '--pretty', 'false'], { cwd: project });
  });
  return RESOLUTIONS.map(({ name, extensions }) => `${name} (${extensions.join(', ')})`).join(', ');
}

/** The names that a declaration file exports. */
function exportedNames(file) {
  const program = ts.createProgram([file], { module: ts.ModuleKind.Node16, skipLibCheck: true, types: [] });
  const checker = program.getTypeChecker();
  const symbol = checker.getSymbolAtLocation(program.getSourceFile(file));
  return checker.getExportsOfModule(symbol).map(({ name }) => name);
}

/** Everything public of a declaration file: its exported names, each with the names of its properties and methods. */
function surfaceOf(file) {
  const program = ts.createProgram([file], { module: ts.ModuleKind.Node16, skipLibCheck: true, types: [] });
  const checker = program.getTypeChecker();
  const named = ({ name, flags }) => (flags & ts.SymbolFlags.Optional ? `${name}?` : name);
  const membersOf = (exported) => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    const isKind = (kind) => (symbol.flags & kind) !== 0;
    if (isKind(ts.SymbolFlags.Function)) return 'function';
    const declared = checker.getDeclaredTypeOfSymbol(symbol);
    const members = declared.isUnion() ? [] : declared.getProperties();
    if (members.length === 0 || isKind(ts.SymbolFlags.Variable)) return 'type';
    return members
      .filter(({ name }) => !/^(__|#)/.test(name))
      .map(named)
      .sort();
  };
  const symbol = checker.getSymbolAtLocation(program.getSourceFile(file));
  const exported = checker.getExportsOfModule(symbol).map((one) => [one.name, membersOf(one)]);
  return Object.fromEntries(exported.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** What is public is what was reviewed: a change to it shows in the diff of this file. */
function checkSurface(project) {
  const installed = path.join(project, 'node_modules', PACKAGE);
  const { exports } = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8'));
  const subpaths = Object.entries(exports).filter(([, { types }]) => types !== undefined);
  const surface = subpaths.flatMap(([subpath, { types }]) =>
    Object.entries(surfaceOf(path.join(installed, types))).map(
      ([name, members]) => `${subpath} ${name}: ${[members].flat().join(', ')}`,
    ),
  );
  const text = `${surface.join('\n')}\n`;
  if (process.env.UPDATE === '1') fs.writeFileSync(SURFACE, text);
  const reviewed = fs.existsSync(SURFACE) ? fs.readFileSync(SURFACE, 'utf8') : '';
  const lines = (one) => new Set(one.split('\n'));
  const added = [...lines(text)].filter((line) => !lines(reviewed).has(line));
  const gone = [...lines(reviewed)].filter((line) => !lines(text).has(line));
  ensure(
    text === reviewed,
    `what is public has changed; if that is meant: UPDATE=1 npm run packaging\n${[...added.map((line) => `+${line}`), ...gone.map((line) => `-${line}`)].join('\n')}`,
  );
  return `${surface.length} names`;
}

/** The names that a source file imports from a module. */
function importedNames(file, specifier) {
  const source = ts.createSourceFile(file, fs.readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
  return source.statements
    .filter((statement) => ts.isImportDeclaration(statement) && statement.moduleSpecifier.text === specifier)
    .flatMap(({ importClause }) => importClause.namedBindings.elements.map(({ name }) => name.text));
}

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
function checkContents(packed, project) {
  const paths = packed.files.map((file) => file.path);
  const allowed =
    /^((dist|docs|examples\/repositories)\/.+|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|package\.json)$/;
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
  const manifest = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8'));
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
      // A subpath may load its own optional peer, in code and in types that no host's compiler comes to.
      const isOfSubpath = /dist.(bullmq|smtp|knex)./.test(file) && !seen.has(file);
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

function checkInstalled(project) {
  const own = ownPackages(project);
  const bytes = own
    .flatMap((location) =>
      fs.readdirSync(path.join(project, location), { recursive: true, withFileTypes: true }),
    )
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0);
  return `${own.length} packages with the package itself, ${kilobytes(bytes)}`;
}

/** What requiring the package loads: nothing but itself and its dependencies, and nothing of the sandbox. */
async function checkLoads(project) {
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

async function checkTypesAlone(project) {
  ensure(
    !fs.existsSync(path.join(project, 'node_modules', '@types', 'express')),
    '@types/express is installed',
  );
  return await compile(project, 'server');
}

async function checkTypeScript(project) {
  for (const [specifier, file] of [
    [PACKAGE, 'dist/index.d.ts'],
    [`${PACKAGE}/bullmq`, 'dist/bullmq/index.d.ts'],
    [`${PACKAGE}/knex`, 'dist/knex/index.d.ts'],
    [`${PACKAGE}/smtp`, 'dist/smtp/index.d.ts'],
    [`${PACKAGE}/testing`, 'dist/testing/index.d.ts'],
  ]) {
    const exported = exportedNames(path.join(project, 'node_modules', PACKAGE, file));
    const imported = new Set(
      ['site.ts', 'subpaths.ts', 'queue.ts'].flatMap((source) =>
        importedNames(path.join(project, source), specifier),
      ),
    );
    const missing = exported.filter((name) => !imported.has(name));
    ensure(missing.length === 0, `no host file uses what ${specifier} exports: ${missing.join(', ')}`);
  }
  for (const source of ['site', 'subpaths', 'queue']) {
    await compile(project, source);
    await forAll([`built/node10/${source}.js`, `built/node16/${source}.mjs`], (file) =>
      runProgram([file], project),
    );
  }
  return RESOLUTIONS.map(({ name, extensions }) => `${name} (${extensions.join(', ')})`).join(', ');
}

/** The contract suites under Vitest: sound adapters pass, broken ones are caught by name. */
async function checkVitest(project) {
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

/** Keeps the names of registries and the machine's paths out of what is shown. */
const shown = (error, directory) =>
  String(error instanceof Error ? error.message : error)
    .replaceAll(/(https?:\/\/)(?!127\.0\.0\.1)[^\s/'"]+/g, '$1…')
    .replaceAll(/\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT) [^\s]+/g, '$1 …')
    .replaceAll(directory, '<tmp>')
    .replaceAll(path.resolve(ROOT), '<package>');

async function main() {
  const startedAt = Date.now();
  const directory = fs.mkdtempSync(path.join(tmpdir(), 'wpf-packaging-'));
  let failures = 0;
  const check = async (name, work) => {
    try {
      const detail = await work();
      console.log(`ok    ${name}${typeof detail === 'string' ? `: ${detail}` : ''}`);
    } catch (error) {
      failures += 1;
      console.log(`FAIL  ${name}\n${shown(error, directory).trimEnd().replaceAll(/^/gm, '      ')}`);
    }
  };
  try {
    const packed = await pack(directory);
    const projects = await forAll(HOSTS, async (host) => {
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
        await check('public surface', async () => checkSurface(project));
        await check('types without @types/express', () => checkTypesAlone(project));
      } else if (source === 'vitest') {
        await check(name, () => checkVitest(project));
      } else if (source === 'typescript') {
        await check(name, () => checkTypeScript(project));
      } else {
        await check(name, () => runProgram(['site.js'], project));
      }
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
