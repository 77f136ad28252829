// Empties dist before a build, so that a file renamed in lib does not live on in the package.
require('node:fs').rmSync('dist', { recursive: true, force: true });
