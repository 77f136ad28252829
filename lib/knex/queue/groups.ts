// Group commit: what is asked for while one transaction is under way is done together in the next one, so that thousands of
// webhooks a second cost a few commits.

interface Waiting<Item, Value> {
  readonly item: Item;
  readonly size: number;
  readonly resolve: (value: Value) => void;
  readonly reject: (error: unknown) => void;
}

/** How much goes into one transaction, and how much waits for it. */
interface Limits {
  readonly items: number;
  /** Characters; an item that is larger goes alone. */
  readonly size: number;
  /** How many wait at most; those who come then are refused. A database that never answers would be waited for by more and more. */
  readonly waiting: number;
}

/** Does the work of many callers in groups, one group after the other, in the order in which they came. */
export class Groups<Item, Value> {
  readonly #work: (items: readonly Item[]) => Promise<readonly Value[]>;
  readonly #limits: Limits;
  #waiting: Waiting<Item, Value>[] = [];
  #isRunning = false;

  /** @param work gives a value for each item, in their order; when it throws, all of the group fail. */
  constructor(work: (items: readonly Item[]) => Promise<readonly Value[]>, limits: Limits) {
    this.#work = work;
    this.#limits = limits;
  }

  add(item: Item, size: number): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= this.#limits.waiting) {
        reject(new Error(`${this.#waiting.length} are waiting already: the database is too slow.`));
        return;
      }
      this.#waiting.push({ item, size, resolve, reject });
      if (this.#isRunning) return;
      this.#isRunning = true;
      // A moment later, so that those who call at once are one group from the start.
      queueMicrotask(() => void this.#run());
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#next();
      try {
        const values = await this.#work(group.map(({ item }) => item));
        for (const [index, { resolve }] of group.entries()) resolve(values[index] as Value);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#isRunning = false;
  }

  #next(): Waiting<Item, Value>[] {
    let size = 0;
    let count = 0;
    for (const one of this.#waiting) {
      size += one.size;
      if (count > 0 && (count === this.#limits.items || size > this.#limits.size)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }
}
