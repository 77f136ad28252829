#!/usr/bin/env node
// The command `wp-fusion-webhook`: finds the command that was asked for, runs it, and says how it ended.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { suggestion } from '../unknown-options';
import { Call, helpOf, PROGRAM, type Command } from './command';
import { dead } from './commands/dead';
import { doctor } from './commands/doctor';
import { keygen } from './commands/keygen';
import { replay } from './commands/replay';
import { sandbox } from './commands/sandbox';
import { url } from './commands/url';
import { importCommand, reconcile } from './commands/walks';
import { CommandError, EXIT, UsageError } from './failures';
import { Terminal } from './terminal';

const COMMANDS: readonly Command[] = [keygen, url, doctor, importCommand, reconcile, replay, dead, sandbox];
/** How long what the configuration has opened may take to close by itself. */
const GRACE_MS = 1000;

async function run(given: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = given;
  if (name === undefined) {
    terminal.tell(overview());
    return EXIT.wrongUsage;
  }
  if (['--version', '-v'].includes(name)) {
    terminal.print(version());
    return EXIT.done;
  }
  if (['help', '--help', '-h'].includes(name)) {
    const [about] = rest;
    terminal.print(about === undefined ? overview() : helpOf(commandOf(about)));
    return EXIT.done;
  }
  if (name.startsWith('-'))
    throw new UsageError(`Options stand behind the command: ${PROGRAM} COMMAND ${name}`);
  const command = commandOf(name);
  const call = Call.of(command, rest, terminal);
  if (call.has('help')) {
    terminal.print(helpOf(command));
    return EXIT.done;
  }
  return command.run(call);
}

function commandOf(name: string): Command {
  const command = COMMANDS.find((each) => each.name === name);
  if (command !== undefined) return command;
  const names = [...COMMANDS.map((each) => each.name), 'help'];
  const meant = suggestion(name, names);
  throw new UsageError(
    `${JSON.stringify(name)} is no command${meant === '' ? `. There are: ${names.join(', ')}.` : meant}`,
  );
}

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  return [
    `Usage: ${PROGRAM} COMMAND [options]`,
    '',
    ...COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    `${PROGRAM} COMMAND --help tells more. What a site is, ${PROGRAM}.config.js says: docs/command-line.md.`,
    'Ends with 0: done; 1: something failed or is to be done; 2: wrong usage or configuration; 130: interrupted.',
  ].join('\n');
}

function version(): string {
  const file = path.join(__dirname, '..', '..', 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

async function main(): Promise<void> {
  const { stdin, stdout, stderr, env, argv } = process;
  const terminal = new Terminal({ stdin, stdout, stderr, env });
  const given = argv.slice(2);
  try {
    process.exitCode = await run(given, terminal);
  } catch (error) {
    process.exitCode = tellFailure(error, given, terminal);
  }
  // Ends by itself where nothing is open any more.
  setTimeout(() => {
    terminal.tell('Something that the configuration file has opened is still open; let its close() end it.');
    process.exit();
  }, GRACE_MS).unref();
}

/** Says what went wrong; gives what the process ends with. */
function tellFailure(error: unknown, given: readonly string[], terminal: Terminal): number {
  const isExpected = error instanceof UsageError || error instanceof CommandError;
  const message = error instanceof Error ? error.message : String(error);
  terminal.tell(`${terminal.paint('red', `${PROGRAM}:`)} ${message}`);
  const origin = isExpected ? error.cause : error;
  if (given.includes('--verbose') && origin instanceof Error) {
    // Not what stands above: the line of a file that cannot be parsed, for instance, which may hold a key.
    for (const line of (origin.stack ?? '').split('\n')) if (/^\s+at /.test(line)) terminal.tell(line);
  }
  return error instanceof UsageError ? EXIT.wrongUsage : EXIT.attention;
}

void main();
