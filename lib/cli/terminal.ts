// Where a command writes: data to stdout, everything else to stderr. Colours and lines that change only on a terminal.
import { createInterface } from 'node:readline/promises';

/** What a terminal needs of a process. */
export interface Streams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type Colour = 'red' | 'green' | 'yellow' | 'grey' | 'bold';

const COLOURS: Readonly<Record<Colour, number>> = { bold: 1, red: 31, green: 32, yellow: 33, grey: 90 };

const COLOUR_CODE = /\u001b\[\d+m/g; // eslint-disable-line no-control-regex
/** Whatever moves the cursor, renames the window or turns the direction of writing: names and emails of a CRM are anybody's. */
const CONTROL = /[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g; // eslint-disable-line no-control-regex
const ESCAPE = /\u001b(?!\[\d+m)/g; // eslint-disable-line no-control-regex

/** The terminal of one command, or the files and pipes in its place. */
export class Terminal {
  readonly #streams: Streams;
  readonly #isDumb: boolean;
  #status = '';

  constructor(streams: Streams) {
    this.#streams = streams;
    const { NO_COLOR = '', TERM = '' } = streams.env;
    this.#isDumb = NO_COLOR !== '' || TERM === 'dumb';
    for (const stream of [streams.stdout, streams.stderr]) {
      stream.on('error', (error: NodeJS.ErrnoException) => {
        // Whoever reads has enough: `| head`. What the command does goes on to its end.
        if (error.code !== 'EPIPE') throw error;
      });
    }
  }

  /** Whether somebody can be asked. */
  get canAsk(): boolean {
    return this.#streams.stdin.isTTY && this.#streams.stderr.isTTY;
  }

  /** Whether a line on stderr can be written over. */
  get showsProgress(): boolean {
    return this.#streams.stderr.isTTY && !this.#isDumb;
  }

  /** A line of data. */
  print(text = ''): void {
    this.#withoutStatus(() => this.#write(this.#streams.stdout, text));
  }

  /** Data for programs. */
  printJson(value: unknown): void {
    const text = JSON.stringify(value, undefined, 2);
    // JSON leaves these as they are, and some terminals obey them.
    this.print(text.replace(CONTROL, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`));
  }

  /** A line for people. */
  tell(text = ''): void {
    this.#withoutStatus(() => this.#write(this.#streams.stderr, text));
  }

  /** Shows a line below everything else until the next one; nothing where lines cannot be written over. */
  showStatus(text: string): void {
    if (!this.showsProgress) return;
    const width = Math.max(20, this.#streams.stderr.columns || 80) - 1;
    this.#status = clean(text, false).slice(0, width);
    this.#streams.stderr.write(`\r\u001b[2K${this.#status}`);
  }

  clearStatus(): void {
    if (this.#status !== '') this.#streams.stderr.write('\r\u001b[2K');
    this.#status = '';
  }

  /** A text in a colour, wherever it is written: where there are none it is taken away again. */
  paint(colour: Colour, text: string): string {
    return `\u001b[${COLOURS[colour]}m${text}\u001b[0m`;
  }

  /** Asks a question that `y` answers with yes. */
  async asks(question: string): Promise<boolean> {
    const { stdin, stderr } = this.#streams;
    // Not as a terminal of its own: Ctrl-C ends the process then, as everywhere.
    const asking = createInterface({ input: stdin, output: stderr, terminal: false });
    const closed = new Promise<string>((resolve) => asking.once('close', () => resolve('')));
    try {
      const answer = await Promise.race([asking.question(`${clean(question, false)} [y/N] `), closed]);
      return /^y(es)?$/i.test(answer.trim());
    } finally {
      asking.close();
    }
  }

  #write(stream: NodeJS.WriteStream, text: string): void {
    stream.write(`${clean(text, stream.isTTY && !this.#isDumb)}\n`);
  }

  #withoutStatus(write: () => void): void {
    const status = this.#status;
    this.clearStatus();
    write();
    if (status !== '') this.showStatus(status);
  }
}

/** A text that does nothing to a terminal but to be read, and with its colours only where there are some. */
function clean(text: string, hasColours: boolean): string {
  const plain = hasColours ? text : text.replace(COLOUR_CODE, '');
  return plain.replace(ESCAPE, '\ufffd').replace(CONTROL, '\ufffd');
}

/** Rows in columns, the last of them as wide as it is. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const oneLine = rows.map((row) => row.map((cell) => cell.replace(/\s+/g, ' ')));
  const widths = (oneLine[0] ?? []).map((_, index) =>
    Math.max(...oneLine.map((row) => (row[index] ?? '').length)),
  );
  return oneLine.map((row) =>
    row
      .map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
