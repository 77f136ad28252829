// The bytes of a body, as they come. Copied into one place: kept as they are, pieces of one byte would take a hundred times as much.

/** A body that grows. */
export class Bytes {
  length = 0;
  #buffer = Buffer.alloc(0);

  add(piece: Uint8Array): void {
    const length = this.length + piece.length;
    if (length > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(length, 2 * this.#buffer.length));
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.length);
    this.length = length;
  }

  /** Everything so far, as UTF-8. */
  text(): string {
    return this.#buffer.toString('utf8', 0, this.length);
  }
}
