// Webhooks for one contact take turns: never two at once in this process, in the order they came, none dropped.

/** Gives each contact's work its turn. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs `work` when everything that came before it for this contact has ended, whichever way it ended. */
  take<Value>(contactId: string | null, work: () => Promise<Value>): Promise<Value> {
    if (contactId === null) return work();
    const before = this.#last.get(contactId) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.#last.set(contactId, turn);
    const forget = (): void => {
      if (this.#last.get(contactId) === turn) this.#last.delete(contactId);
    };
    turn.then(forget, forget);
    return turn;
  }
}
