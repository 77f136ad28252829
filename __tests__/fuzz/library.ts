// The library under test as a value: the loops run against lib as it is, and against lib with a defect in it.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { transformSync } from '@swc/core';
import type * as Root from '../../lib';
import type * as Admin from '../../lib/admin';
import type * as Smtp from '../../lib/smtp';

export interface Library {
  readonly root: typeof Root;
  readonly admin: typeof Admin;
  readonly smtp: typeof Smtp;
}

const LIB = resolve(__dirname, '../../lib');

/** Lib as it is. */
export function theLibrary(): Library {
  /* eslint-disable @typescript-eslint/no-require-imports */
  return {
    root: require('../../lib') as typeof Root,
    admin: require('../../lib/admin') as typeof Admin,
    smtp: require('../../lib/smtp') as typeof Smtp,
  };
  /* eslint-enable @typescript-eslint/no-require-imports */
}

/** A line of one file, and what stands there instead. */
export interface Defect {
  readonly file: string;
  readonly line: string;
  readonly instead: string;
}

/** Lib with one line replaced. Throws where the line is not there exactly once. */
export function withDefect({ file, line, instead }: Defect): Library {
  const path = resolve(LIB, file);
  const parts = readFileSync(path, 'utf8').split(line);
  if (parts.length !== 2) throw new Error(`lib/${file} has the line ${parts.length - 1} times: ${line}`);
  const { code } = transformSync(parts.join(instead), {
    filename: path,
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'commonjs' },
  });
  let library: Library | undefined;
  jest.isolateModules(() => {
    jest.doMock(path, () => {
      const module = { exports: {} };

      const load = (name: string): unknown =>
        // eslint-disable-next-line @typescript-eslint/no-require-imports
        require(name.startsWith('.') ? resolve(dirname(path), name) : name);
      // eslint-disable-next-line @typescript-eslint/no-implied-eval
      new Function('require', 'module', 'exports', code)(load, module, module.exports);
      return module.exports;
    });
    library = theLibrary();
  });
  jest.dontMock(path);
  return library!;
}
