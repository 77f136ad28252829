// The account's rate limit: a rolling window, and the headers that every answer carries.

/** How many calls the account has. {@link OntraportSandboxOptions} shows it. */
export interface RateLimitOptions {
  /** Calls within the window. */
  readonly limit: number;
  /** How long a call counts, in milliseconds. */
  readonly windowMs: number;
}

/** Counts accepted calls in a rolling window. */
export class RateLimit {
  /** The most accepted calls that any window held. */
  peak = 0;
  /** Calls refused with 429. */
  rejected = 0;
  readonly #accepted: number[] = [];

  constructor(
    public options: RateLimitOptions,
    private readonly now: () => number,
  ) {}

  /** Takes one call from the window, or says that there is none left. */
  take(): boolean {
    this.#forget();
    if (this.#accepted.length >= this.options.limit) return false;
    this.#accepted.push(this.now());
    this.peak = Math.max(this.peak, this.#accepted.length);
    return true;
  }

  headers(): Record<string, string> {
    this.#forget();
    const oldest = this.#accepted[0] ?? this.now();
    return {
      'X-Rate-Limit-Limit': String(this.options.limit),
      'X-Rate-Limit-Remaining': String(Math.max(0, this.options.limit - this.#accepted.length)),
      'X-Rate-Limit-Reset': String(
        Math.max(1, Math.ceil((oldest + this.options.windowMs - this.now()) / 1000)),
      ),
    };
  }

  #forget(): void {
    const start = this.now() - this.options.windowMs;
    while (this.#accepted[0] !== undefined && this.#accepted[0] <= start) this.#accepted.shift();
  }
}
