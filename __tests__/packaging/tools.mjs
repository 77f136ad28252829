// What all parts of the packaging tests use: running programs, doing things for many, saying what went wrong.
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const HERE = path.dirname(fileURLToPath(import.meta.url));
export const ROOT = path.join(HERE, '..', '..');
export const MODULES = path.join(ROOT, 'node_modules');
export const TSC = path.join(MODULES, 'typescript', 'bin', 'tsc');
export const PACKAGE = 'wp-fusion-webhook';

/** Runs a program. Rejects with all it said where it fails or does not end in time. */
export function run(command, args, { cwd, env = {}, timeoutMs = 240_000 } = {}) {
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

export const node = (args, options) => run(process.execPath, args, options);

export const ensure = (condition, message) => {
  if (!condition) throw new Error(message);
};

/** Does things for all items, a few at a time. Rejects when all have ended, with all that failed. */
export async function forAll(items, work) {
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

/** The manifest of the package as a host has it. */
export const manifestOf = (project) =>
  JSON.parse(fs.readFileSync(path.join(project, 'node_modules', PACKAGE, 'package.json'), 'utf8'));

/** Keeps the names of registries and the machine's paths out of what is shown. */
export const shown = (error, directory) =>
  String(error instanceof Error ? error.message : error)
    .replaceAll(/(https?:\/\/)(?!127\.0\.0\.1)[^\s/'"]+/g, '$1…')
    .replaceAll(/\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT) [^\s]+/g, '$1 …')
    .replaceAll(directory, '<tmp>')
    .replaceAll(path.resolve(ROOT), '<package>');
