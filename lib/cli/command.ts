// What a command is, and what one call of it was given.
import { parseArgs } from 'node:util';
import { suggestion } from '../unknown-options';
import { UsageError } from './failures';
import type { Terminal } from './terminal';

/** An option of a command. */
export interface CommandOption {
  /** What stands behind it: `NAME`. Without it the option is a switch. */
  readonly argument?: string;
  readonly description: string;
}

/** A command. */
export interface Command {
  readonly name: string;
  /** How it is called, behind its name. */
  readonly synopsis: string;
  /** One sentence. */
  readonly summary: string;
  /** What else there is to know, line by line. */
  readonly notes?: readonly string[];
  readonly options: Readonly<Record<string, CommandOption>>;
  /** Whether it takes more than options. */
  readonly takesWords?: boolean;
  /** Resolves with what the process ends with. */
  run(call: Call): Promise<number>;
}

export const PROGRAM = 'wp-fusion-webhook';

export const CONFIG_OPTION: Readonly<Record<string, CommandOption>> = {
  config: { argument: 'FILE', description: `default: ${PROGRAM}.config.js, .mjs or .cjs in this folder` },
  verbose: { description: 'log what goes on, and where errors come from' },
};
export const JSON_OPTION: Readonly<Record<string, CommandOption>> = {
  json: { description: 'data for programs instead of lines for people' },
};
const HELP_OPTION: Readonly<Record<string, CommandOption>> = { help: { description: 'this text' } };

/** One call of a command. */
export class Call {
  readonly #values: Readonly<Record<string, unknown>>;

  private constructor(
    /** The name of the command. */
    readonly name: string,
    /** Everything behind the name of the command, as it was given. */
    readonly given: readonly string[],
    values: Readonly<Record<string, unknown>>,
    /** What is no option. */
    readonly words: readonly string[],
    readonly terminal: Terminal,
  ) {
    this.#values = values;
  }

  /** Reads what stands behind the name of a command. Throws {@link UsageError} for what the command does not take. */
  static of(command: Command, given: readonly string[], terminal: Terminal): Call {
    const known = { ...command.options, ...HELP_OPTION };
    try {
      const { values, positionals } = parseArgs({
        args: [...given],
        options: {
          ...Object.fromEntries(
            Object.entries(known).map(([name, { argument }]) => [
              name,
              { type: argument === undefined ? 'boolean' : 'string' } as const,
            ]),
          ),
          help: { type: 'boolean', short: 'h' },
        },
        allowPositionals: true,
      });
      const [word] = positionals;
      const isAsked = values.help === true;
      if (word !== undefined && command.takesWords !== true && !isAsked) {
        throw new UsageError(`${command.name} takes no ${JSON.stringify(word)}.`);
      }
      return new Call(command.name, given, values, positionals, terminal);
    } catch (error) {
      throw error instanceof UsageError ? error : new UsageError(inWords(error as Error, Object.keys(known)));
    }
  }

  /** Whether a switch is there. */
  has(name: string): boolean {
    return this.#values[name] === true;
  }

  /** The argument of an option. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  requiredText(name: string): string {
    const text = this.text(name);
    if (text === undefined || text.trim() === '') throw new UsageError(`--${name} is missing.`);
    return text;
  }

  wholeNumber(name: string, { least, most }: { least: number; most: number }): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const number = /^\d+$/.test(text) ? Number(text) : NaN;
    if (number >= least && number <= most) return number;
    throw new UsageError(
      `--${name} must be a whole number from ${least} to ${most}, got ${JSON.stringify(text)}.`,
    );
  }
}

/** What Node says of an option, with the name that was meant. */
function inWords(error: Error, known: readonly string[]): string {
  const [, unknown] = /^Unknown option '(-[^']*)'/.exec(error.message) ?? [];
  if (unknown === undefined) return error.message;
  const meant = suggestion(unknown.replace(/^-+/, ''), known).replace(/"(.*)"/, '--$1');
  return `${unknown} is no option${meant === '' ? '.' : meant}`;
}

/** What `--help` says. */
export function helpOf(command: Command): string {
  const options = { ...command.options, ...HELP_OPTION };
  const rows = Object.entries(options).map(([name, { argument, description }]) => [
    `  --${name}${argument === undefined ? '' : ` ${argument}`}`,
    description,
  ]);
  const width = Math.max(...rows.map(([left = '']) => left.length));
  return [
    `Usage: ${PROGRAM} ${command.name}${command.synopsis === '' ? '' : ` ${command.synopsis}`}`,
    '',
    command.summary,
    ...(command.notes === undefined ? [] : ['', ...command.notes]),
    '',
    'Options:',
    ...rows.map(([left = '', right = '']) => `${left.padEnd(width)}  ${right}`),
  ].join('\n');
}
