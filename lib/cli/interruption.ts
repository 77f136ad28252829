// Ctrl-C, for commands that have something to end: the first one lets them, the second one does not.
import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Hears of Ctrl-C, and of SIGTERM, until the process ends: also while it closes what it has opened. */
export class Interruption {
  readonly #aborting = new AbortController();
  readonly #onFirst: () => void;
  #exitCode: number | undefined;

  constructor(onFirst: () => void) {
    this.#onFirst = onFirst;
    for (const name of SIGNALS) process.on(name, this.#hear);
  }

  /** Aborted by the first one. */
  get signal(): AbortSignal {
    return this.#aborting.signal;
  }

  /** What the process ends with where there was one: 130 after Ctrl-C, 143 after SIGTERM, as shells say it. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  readonly #hear = (name: NodeJS.Signals): void => {
    const exitCode = 128 + constants.signals[name];
    if (this.#exitCode !== undefined) process.exit(exitCode);
    this.#exitCode = exitCode;
    this.#onFirst();
    this.#aborting.abort();
  };
}
