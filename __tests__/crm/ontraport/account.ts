// An account's server, as the tests of the rate limit need it: it counts, and says so in its answers.
import type { RateObservation } from '../../../lib/crm/ontraport/rate-limit';

/** An account that counts calls when they arrive; rolling, or by the clock as some servers do. */
export class Account {
  refused = 0;
  #arrivals: number[] = [];

  constructor(
    private readonly limit: number,
    private readonly windowMs: number,
    private readonly isRolling: boolean,
  ) {}

  arrive(): RateObservation {
    const now = performance.now();
    const from = this.isRolling ? now - this.windowMs : Math.floor(now / this.windowMs) * this.windowMs;
    this.#arrivals = this.#arrivals.filter((at) => (this.isRolling ? at > from : at >= from));
    if (this.#arrivals.length >= this.limit) this.refused += 1;
    else this.#arrivals.push(now);
    const until = (this.isRolling ? (this.#arrivals[0] ?? now) : from) + this.windowMs;
    return {
      limit: this.limit,
      remaining: this.limit - this.#arrivals.length,
      resetMs: Math.max(1, Math.ceil((until - now) / 1000)) * 1000,
    };
  }
}
