// Shows how a walk goes on: a line that changes on a terminal, a line every few seconds elsewhere, and at last its summary.
import type { WalkProgress } from '../walks/walk';
import type { Terminal } from './terminal';

const FRAME_MS = 100;
const LINE_MS = 5000;
/** A light that runs to and fro: how many contacts there are is not known before the last one. */
const LANE = 12;

export class WalkDisplay {
  readonly #terminal: Terminal;
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  #progress: WalkProgress | undefined;
  #told: WalkProgress | undefined;
  #frame = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    const [everyMs, show] = terminal.showsProgress
      ? ([FRAME_MS, () => this.#draw()] as const)
      : ([LINE_MS, () => this.#tell()] as const);
    this.#timer = setInterval(show, everyMs);
    this.#timer.unref();
    if (terminal.showsProgress) this.#draw();
  }

  show(progress: WalkProgress): void {
    const isFirst = this.#progress === undefined;
    this.#progress = progress;
    if (isFirst && !this.#terminal.showsProgress) this.#tell();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#terminal.clearStatus();
  }

  #draw(): void {
    this.#frame += 1;
    const step = this.#frame % (2 * LANE - 2);
    const place = step < LANE ? step : 2 * LANE - 2 - step;
    const bar = '-'.repeat(place) + '#' + '-'.repeat(LANE - 1 - place);
    const seconds = Math.floor((performance.now() - this.#startedAt) / 1000);
    this.#terminal.showStatus(`[${bar}] ${inOneLine(this.#progress)} (${seconds} s, Ctrl-C stops)`);
  }

  #tell(): void {
    if (this.#progress === this.#told) return;
    this.#told = this.#progress;
    this.#terminal.tell(inOneLine(this.#progress));
  }
}

const COUNTED = ['created', 'updated', 'unchanged', 'skipped', 'waiting', 'failed'] as const;

function inOneLine(progress: WalkProgress | undefined): string {
  if (progress === undefined) return '0 contacts';
  const counts = COUNTED.filter((name) => progress[name] > 0).map((name) => `${progress[name]} ${name}`);
  const contacts = progress.contacts === 1 ? '1 contact' : `${progress.contacts} contacts`;
  return [contacts, counts.join(', ')].filter((part) => part !== '').join(': ');
}

/** The summary of a walk, as lines. */
export function summaryOf(progress: WalkProgress): string[] {
  const { failures, failed } = progress;
  const lines = failures.map(({ contactId, code, detail, willRetry }) => {
    const later = willRetry ? ' (the queue tries it again)' : '';
    return `failed: contact ${contactId}: ${code}: ${detail}${later}`;
  });
  const more = failed - failures.length;
  return [inOneLine(progress), ...lines, ...(more > 0 ? [`failed: ${more} more`] : [])];
}
