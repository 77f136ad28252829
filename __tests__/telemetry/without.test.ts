// Without OpenTelemetry: where the package is not installed, and where it is and nobody has set it up, all is as ever. Needs the built
// package.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

test.each([
  ['the package is not installed', ['absent'], false],
  ['nobody has set it up', [], true],
])('where %s', async (_case, args, loaded) => {
  const { stdout, stderr } = await run(process.execPath, [join(__dirname, 'child.js'), ...args]);
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({ outcomes: ['created', 'created'], stored: [false], loaded });
});
