// What is public: names, options, parameters, literals. A change to it shows in the diff of surface.txt.
import * as fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { ensure, HERE, manifestOf, PACKAGE } from './tools.mjs';

const SURFACE = path.join(HERE, 'surface.txt');

const isOptional = ({ flags, valueDeclaration }) =>
  (flags & ts.SymbolFlags.Optional) !== 0 || valueDeclaration?.questionToken || valueDeclaration?.initializer;

/** Whether a type has no name of its own, so that its members are shown where it is used. */
const isAnonymous = (type) => type.symbol?.name === '__type' || type.symbol?.name === '__object';

/** Describes types by what a host writes: the names in them and their literals, not the types of values. */
function describer(checker, exportedTypes) {
  const typeOf = (symbol) => checker.getNonNullableType(checker.getTypeOfSymbol(symbol));
  const isNamed = (type, below) => below.length > 0 && type.aliasSymbol !== undefined;

  /** What is shown of a type beside its name, '' where that says enough. `below` are the types that this one is within. */
  const shape = (type, below = []) => {
    // What is exported has a line of its own.
    if (below.includes(type) || (below.length > 0 && exportedTypes.has(type))) return '';
    const within = [...below, type];
    if (type.isLiteral()) return JSON.stringify(type.value);
    if (type.isUnion()) {
      // `boolean` is a union too, of two literals that tell nothing.
      if (isNamed(type, below)) return '';
      return [...new Set(type.types.map((one) => shape(one, within)).filter(Boolean))].sort().join(' | ');
    }
    const [signature] = type.getCallSignatures();
    if (signature !== undefined) {
      return isNamed(type, below) ? '' : parameters(signature, within);
    }
    if (checker.isArrayType(type) || checker.isTupleType(type)) {
      const inner = checker.getTypeArguments(type).map((one) => shape(one, within));
      return inner.some(Boolean) ? `[${inner.filter(Boolean).join(', ')}]` : '';
    }
    return isAnonymous(type) && !isNamed(type, below) && type.getProperties().length > 0
      ? `{ ${members(type, within).join(', ')} }`
      : '';
  };

  const named = (symbol, detail) => {
    const separator = detail === '' || detail.startsWith('(') ? '' : ' ';
    return `${symbol.name}${isOptional(symbol) ? '?' : ''}${separator}${detail}`;
  };

  const parameters = (signature, below) =>
    `(${signature
      .getParameters()
      .map((one) => named(one, shape(typeOf(one), below)))
      .join(', ')})`;

  /** The members of a type that a host can see, by name. */
  const members = (type, below = [type]) =>
    type
      .getProperties()
      .filter(({ name, valueDeclaration }) => {
        const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
        const flags = valueDeclaration ? ts.getCombinedModifierFlags(valueDeclaration) : 0;
        return !/^(__|#)/.test(name) && (flags & hidden) === 0;
      })
      .map((symbol) => named(symbol, shape(typeOf(symbol), below)))
      .sort();

  return (exported) => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    const isKind = (kind) => (symbol.flags & kind) !== 0;
    if (isKind(ts.SymbolFlags.Function | ts.SymbolFlags.Variable)) {
      const type = checker.getTypeOfSymbol(symbol);
      const kind = isKind(ts.SymbolFlags.Function) ? 'function' : 'constant';
      return `${kind} ${
        type
          .getCallSignatures()
          .map((one) => parameters(one, [type]))
          .join(' ') || shape(type)
      }`;
    }
    const declared = checker.getDeclaredTypeOfSymbol(symbol);
    if (!isKind(ts.SymbolFlags.Class)) {
      const isObject = !declared.isUnion() && declared.getCallSignatures().length === 0;
      const own = isObject ? members(declared) : [];
      // An interface that can be called has members beside its parameters.
      const beside = !isObject && !declared.isUnion() ? members(declared) : [];
      return (
        [...own, ...[shape(declared)].filter((one) => !isObject && one !== ''), ...beside].join(', ') ||
        'type'
      );
    }
    const made = checker.getTypeOfSymbol(symbol);
    const construct = made.getConstructSignatures().map((one) => `new${parameters(one, [made])}`);
    const fixed = members(made).filter((one) => !/^prototype\b/.test(one));
    // What every error class inherits of Node's types is none of ours.
    const ours = fixed.filter((one) => !/^(captureStackTrace|prepareStackTrace|stackTraceLimit)\b/.test(one));
    return ['class', ...construct, ...ours.map((one) => `static ${one}`), ...members(declared)].join(', ');
  };
}

/** Everything public of a declaration file: a line for each name that it exports. */
function surfaceOf(file) {
  const options = { module: ts.ModuleKind.Node16, strict: true, skipLibCheck: true, types: [] };
  const program = ts.createProgram([file], options);
  const checker = program.getTypeChecker();
  const symbol = checker.getSymbolAtLocation(program.getSourceFile(file));
  const exported = checker.getExportsOfModule(symbol);
  const resolved = exported.map((one) =>
    one.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(one) : one,
  );
  const describe = describer(checker, new Set(resolved.map((one) => checker.getDeclaredTypeOfSymbol(one))));
  return exported.map((one) => `${one.name}: ${describe(one)}`).sort((one, other) => (one < other ? -1 : 1));
}

/** The names that a declaration file exports. */
export function exportedNames(file) {
  return surfaceOf(file).map((line) => line.slice(0, line.indexOf(':')));
}

/** What is public is what was reviewed. */
export function checkSurface(project) {
  const installed = path.join(project, 'node_modules', PACKAGE);
  const { exports } = manifestOf(project);
  const surface = Object.entries(exports)
    .filter(([, { types }]) => types !== undefined)
    .flatMap(([subpath, { types }]) =>
      surfaceOf(path.join(installed, types)).map((line) => `${subpath} ${line}`),
    );
  const text = `${[`subpaths: ${Object.keys(exports).join(', ')}`, ...surface].join('\n')}\n`;
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
