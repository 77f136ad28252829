// What is loaded by requiring the package, and what can be required of it: prints both as JSON.
const path = require('node:path');

/** The files that are loaded by now, relative to node_modules. */
const loaded = () =>
  Object.keys(require.cache)
    .filter((file) => file !== __filename)
    .map((file) => path.relative(path.join(__dirname, 'node_modules'), file).split(path.sep).join('/'));

/** What requiring a path of the package comes to. */
const outcomeOf = (subpath) => {
  try {
    require(`wp-fusion-webhook/${subpath}`);
    return 'loaded';
  } catch (error) {
    return error.code;
  }
};

require('wp-fusion-webhook');
const byRoot = loaded();
require('wp-fusion-webhook/testing');
const byTesting = loaded();

const subpaths = ['package.json', 'dist/index.js', 'dist/middleware', 'testing/index.js'];
const outcomes = Object.fromEntries(subpaths.map((subpath) => [subpath, outcomeOf(subpath)]));
console.log(JSON.stringify({ byRoot, byTesting, outcomes }));
