// Changes a text that several processes share: read, change, put back in its place unless somebody else was faster; then again.

/**
 * Where all processes of a site find one text. What it is for:
 * [docs/rate-limits.md](../docs/rate-limits.md#one-budget-for-all-processes).
 */
export interface SharedPlace {
  /** The text, or `null` where there is none, and what time it is by the clock of the store, in milliseconds since 1970. */
  read(): Promise<{ readonly text: string | null; readonly now: number }>;
  /** Puts `text` in the place of `expected`, in one step; `false`, and nothing is changed, where something else is there by then. */
  write(expected: string | null, text: string): Promise<boolean>;
}

/** A store that gives no answer for so long is not to be had, and one that others write to so long neither. */
const PATIENCE_MS = 2000;
/** Characters that every store takes. */
const MAX_TEXT = 60_000;
/** At most so long somebody pauses who met another one. */
const MAX_PAUSE_MS = 100;

/** One try to change a text. */
export interface Reading {
  /** What is in the store; `null`: nothing. */
  readonly text: string | null;
  /** What time it is there. */
  readonly now: number;
  /** What is to be added to this process's clock for the clock of the store: never too little. */
  readonly offset: number;
}

/** A text that others change too. */
export class Exchange {
  constructor(
    private readonly store: SharedPlace,
    /** The clock of this process. */
    private readonly now: () => number,
  ) {}

  /** What is there now. Throws whatever the store throws, or an Error where it is silent for too long. */
  read(): ReturnType<SharedPlace['read']> {
    return answered(() => this.store.read());
  }

  /**
   * Lets `change` make another text of the one that is there; `undefined` leaves it. It is called again with a newer one where
   * somebody else was faster. Resolves when what it made last is in the store.
   *
   * @throws whatever the store throws, or an Error where it is silent for too long, or the text too long. It may have been written
   *   all the same.
   */
  async change(change: (reading: Reading) => string | undefined): Promise<void> {
    const startedAt = this.now();
    for (let pause = 5; ; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      const askedAt = this.now();
      const { text, now } = await answered(() => this.store.read());
      const changed = change({ text, now, offset: now - askedAt });
      if (changed !== undefined && changed.length > MAX_TEXT)
        throw new Error('The text is too long for the store.');
      if (changed === undefined || (await answered(() => this.store.write(text, changed)))) return;
      if (this.now() - startedAt > PATIENCE_MS) throw new Error('Others were always faster.');
      const delay = Math.random() * pause;
      await new Promise((resolve) => setTimeout(resolve, delay).unref());
    }
  }
}

/** What the store answers, if it answers in time. */
async function answered<Value>(ask: () => Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${PATIENCE_MS} ms.`)), PATIENCE_MS);
    timer.unref();
  });
  try {
    return await Promise.race([ask(), silence]);
  } finally {
    clearTimeout(timer);
  }
}
