// Many callbacks on one AbortSignal behind one listener: Node warns of a leak from the eleventh listener of a signal on.

/** Tells many callbacks of one signal's abort. */
export class AbortListeners {
  readonly #callbacks = new WeakMap<AbortSignal, { all: Set<() => void>; listener: () => void }>();

  /**
   * Calls back once when the signal is aborted. A signal that is aborted already is not reported: look at it before.
   *
   * @returns a function that takes the callback away again; the last one takes the listener with it.
   */
  add(signal: AbortSignal, callback: () => void): () => void {
    let entry = this.#callbacks.get(signal);
    if (entry === undefined) {
      const all = new Set<() => void>();
      const listener = (): void => {
        for (const each of [...all]) each();
      };
      entry = { all, listener };
      this.#callbacks.set(signal, entry);
      signal.addEventListener('abort', listener, { once: true });
    }
    const { all, listener } = entry;
    all.add(callback);
    return () => {
      if (!all.delete(callback) || all.size > 0) return;
      this.#callbacks.delete(signal);
      signal.removeEventListener('abort', listener);
    };
  }
}
