// `npm run reference`: builds the API reference out of the docstrings into .tmp/reference, and checks it: no warnings, no dead
// links, and for every exported name an example or a link to one.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
// TypeDoc looks for the package and its tsconfig.json where it is run.
process.chdir(ROOT);

const application = await Application.bootstrapWithPlugins({ options: '.typedoc.json' });
const project = await application.convert();
if (project === undefined) process.exit(1);
application.validate(project);
const out = application.options.getValue('out');
await application.generateOutputs(project);

const failures = [];

// Every exported name: an example in its own comment, or a link in it to a page of docs or to a name that has one.
const commentsOf = (name) =>
  [name, ...(name.signatures ?? [])].flatMap(({ comment }) => (comment === undefined ? [] : [comment]));
const hasExample = (name) => commentsOf(name).some((comment) => comment.getTag('@example') !== undefined);
const linksToExample = ({ kind, target, text }) => {
  if (kind === 'relative-link') return target !== undefined && text.includes('/docs/');
  if (kind !== 'inline-tag' || typeof target !== 'object') return false;
  return [target, target.parent].some((linked) => linked !== undefined && hasExample(linked));
};
const names = project.children.flatMap((entryPoint) => entryPoint.children ?? []);
for (const name of names) {
  const texts = commentsOf(name).flatMap(({ summary, blockTags }) => [
    ...summary,
    ...blockTags.flatMap(({ content }) => content),
  ]);
  if (hasExample(name) || texts.some(linksToExample)) continue;
  failures.push(
    `${name.getFullName()} has no example. Give its comment an @example, or a {@link …} to a name that has one.`,
  );
}

// Every link of every page: TypeDoc looks at those it makes, not at fragments and not at what stands in the pages as HTML.
const decoded = (text) => decodeURIComponent(text.replaceAll('&amp;', '&').replaceAll('&#39;', "'"));
const files = readdirSync(out, { recursive: true }).map((entry) => path.join(out, entry));
const pages = files.filter((file) => file.endsWith('.html'));
const textOf = new Map(
  // Icons are links to parts of one image.
  files.filter((file) => /\.(html|svg)$/.test(file)).map((file) => [file, readFileSync(file, 'utf8')]),
);
const anchorsOf = new Map(
  [...textOf].map(([file, text]) => [
    file,
    new Set([...text.matchAll(/\sid="([^"]*)"/g)].map(([, anchor]) => decoded(anchor))),
  ]),
);
let linkCount = 0;
let outsideCount = 0;
for (const page of pages) {
  for (const [, link] of textOf.get(page).matchAll(/\s(?:href|src)="([^"]*)"/g)) {
    if (/^[a-z]+:/i.test(link)) {
      outsideCount += 1;
      continue;
    }
    linkCount += 1;
    const [target, anchor = ''] = link.split('#').map(decoded);
    const file = target === '' ? page : path.resolve(path.dirname(page), target);
    const isThere = files.includes(file) && (anchor === '' || anchorsOf.get(file)?.has(anchor) === true);
    if (isThere) continue;
    failures.push(
      `${path.relative(out, page)} has a dead link: ${link}. Mend it in the docstring or the page of docs.`,
    );
  }
}

for (const failure of failures) console.error(failure);
// TypeDoc has printed its own by now, each with the name or file it is about.
const warnings = application.logger.warningCount + application.logger.errorCount;
console.log(
  `reference: ${pages.length} pages, ${names.length} names, ${linkCount} links and ${outsideCount} to other sites (not followed); ` +
    (warnings + failures.length === 0
      ? 'all is well'
      : `${warnings} warnings of TypeDoc and ${failures.length} failures: see above`),
);
process.exitCode = warnings + failures.length === 0 ? 0 : 1;
