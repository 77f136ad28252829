// A store with one text in it, for tests: it counts how often it is asked, and can be late, silent and broken.
import type { BudgetStore } from '../../../lib';

/** What goes wrong with one question. */
export type StoreTrouble = 'fails' | 'is silent' | 'is silent once it is done' | 'is too late';

/** What a rate limit writes, as far as tests look at it. */
interface State {
  readonly ended: readonly number[];
  readonly running: readonly unknown[];
}

export class BudgetText implements BudgetStore {
  text: string | null = null;
  reads = 0;
  writes = 0;
  /** How long each answer takes, half of the time on the way there. */
  delays: Iterator<number> | undefined;
  /** What goes wrong with each write; `none` for nothing. */
  troubles: Iterator<string> | undefined;
  /** What goes wrong from now on. */
  trouble: { read?: StoreTrouble; write?: StoreTrouble } = {};
  readonly #held = new Map<'read' | 'write', Promise<void>>();

  /** Its own clock, which is not that of any process. */
  now(): number {
    return 1_800_000_000_000 + Math.floor(performance.now());
  }

  state(): State | undefined {
    return this.text === null ? undefined : (JSON.parse(this.text) as State);
  }

  /** Keeps the answers back until they are released. */
  hold(what: 'read' | 'write'): { release(): void } {
    let open = (): void => undefined;
    this.#held.set(what, new Promise((resolve) => (open = resolve)));
    return {
      release: () => {
        this.#held.delete(what);
        open();
      },
    };
  }

  async read(): Promise<{ text: string | null; now: number }> {
    this.reads += 1;
    await this.#onTheWay();
    await spoil(this.trouble.read);
    const { text } = this;
    const now = this.now();
    await this.#onTheWay();
    await this.#held.get('read');
    return { text, now };
  }

  async write(expected: string | null, text: string): Promise<boolean> {
    const trouble = this.troubles?.next().value ?? this.trouble.write;
    await this.#onTheWay();
    if (trouble !== 'is silent once it is done') await spoil(trouble);
    const isWritten = trouble !== 'is too late' && this.text === expected;
    if (isWritten) {
      this.text = text;
      this.writes += 1;
    }
    await this.#onTheWay();
    await this.#held.get('write');
    if (trouble === 'is silent once it is done') await spoil('is silent');
    return isWritten;
  }

  async #onTheWay(): Promise<void> {
    const delay: number | undefined = this.delays?.next().value;
    if (delay !== undefined) await new Promise((resolve) => setTimeout(resolve, delay / 2).unref());
  }
}

async function spoil(trouble: string | undefined): Promise<void> {
  if (trouble === 'fails') throw new Error('The store is not to be had.');
  if (trouble === 'is silent') await new Promise(() => undefined);
}
