// `npm run reference`: builds the API reference out of the docstrings into .tmp/reference, and checks it: no warnings, no dead
// links, and for every exported name an example or a link to one; the examples compile.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';
import ts from 'typescript';

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

// Every example says what is so: it is checked by the compiler, with all that is exported at hand. Names that it does not declare
// (`options`, `site`) are the reader's own.
const NOT_DECLARED = new Set([2304, 2503, 2552, 18004]);
const modules = new Map(
  project.children.flatMap(({ name: module, children }) => children.map(({ name }) => [name, module])),
);
const examples = Object.values(project.reflections).flatMap((reflection) =>
  (reflection.comment?.getTags('@example') ?? []).map(({ content }) => ({
    owner: reflection.getFullName(),
    code: content
      .map(({ text }) => text)
      .join('')
      .replaceAll(/^```.*$/gm, ''),
  })),
);
const place = path.join(ROOT, '.tmp', 'reference-examples');
rmSync(place, { recursive: true, force: true });
mkdirSync(place, { recursive: true });
const exampleOf = new Map(
  examples.map(({ owner, code }, index) => {
    const file = path.join(place, `${index}.ts`);
    const isFree = (name) =>
      new RegExp(`\\b${name}\\b`).test(code) &&
      !new RegExp(`\\b(class|const|import[^;]*)\\s+(\\{[^}]*)?\\b${name}\\b`).test(code);
    const imports = [...modules]
      .filter(([name]) => isFree(name))
      .map(([name, module]) => `import { ${name} } from '${module}';\n`);
    writeFileSync(file, `${imports.join('')}${code}\nexport {};\n`);
    return [file, owner];
  }),
);
const compiler = ts.createProgram([...exampleOf.keys()], {
  strict: true,
  // What the reader's own names are is not known.
  noImplicitAny: false,
  noEmit: true,
  skipLibCheck: true,
  esModuleInterop: true,
  allowJs: true,
  types: ['node', 'jest'],
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts'],
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  paths: {
    'wp-fusion-webhook': [path.join(ROOT, 'lib', 'index.ts')],
    'wp-fusion-webhook/*': [path.join(ROOT, 'lib', '*', 'index.ts')],
  },
});
for (const { file, code, messageText } of ts.getPreEmitDiagnostics(compiler)) {
  const owner = exampleOf.get(file?.fileName);
  if (owner === undefined || NOT_DECLARED.has(code)) continue;
  const message = ts.flattenDiagnosticMessageText(messageText, '\n');
  failures.push(`The example of ${owner} does not compile: ${message}`);
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
  `reference: ${pages.length} pages, ${names.length} names, ${examples.length} examples, ${linkCount} links and ${outsideCount} to other sites (not followed); ` +
    (warnings + failures.length === 0
      ? 'all is well'
      : `${warnings} warnings of TypeDoc and ${failures.length} failures: see above`),
);
process.exitCode = warnings + failures.length === 0 ? 0 : 1;
