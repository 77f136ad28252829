// Puts what was measured last into docs/performance.md, between the marks that are there for each part, and its charts beside it.
const { existsSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const prettier = require('prettier');
const { chart } = require('./chart');
const { table } = require('./measure');
const { FOLDER } = require('./processes');

const DOCS = path.resolve(__dirname, '..', 'docs');
const PAGE = path.join(DOCS, 'performance.md');
const MARK = /<!-- measured: ([a-z-]+) -->[^]*?<!-- end -->/g;

/** What is written for a part: when and where it was measured, charts, the table. */
function written(name) {
  const file = path.join(FOLDER, `${name}.json`);
  if (!existsSync(file)) return undefined;
  const { at, machine, rows, digits, charts = [] } = JSON.parse(readFileSync(file, 'utf8'));
  const images = charts.map((one) => {
    const image = `performance-${one.name}.svg`;
    writeFileSync(path.join(DOCS, 'images', image), chart(one));
    return `![${one.title}](images/${image})`;
  });
  const { cores, processor, node, versions } = machine;
  const used = Object.entries(versions).map(([what, version]) => `${what} ${version}`);
  const isSpread = rows.flatMap(Object.values).some(({ low, high }) => low !== high);
  const what = isSpread ? 'Medians, and between what the middle half lies' : 'Measured once';
  const where = `${at.slice(0, 10)}, ${cores} cores of ${processor}, Node ${node.slice(1)}, ${used.join(', ')}. ${what}.`;
  return [...images, table(rows, digits), where].join('\n\n');
}

async function main() {
  const page = readFileSync(PAGE, 'utf8').replace(MARK, (before, name) => {
    const now = written(name);
    return now === undefined ? before : `<!-- measured: ${name} -->\n\n${now}\n\n<!-- end -->`;
  });
  const options = await prettier.resolveConfig(PAGE);
  writeFileSync(PAGE, await prettier.format(page, { ...options, filepath: PAGE }));
}
main();
