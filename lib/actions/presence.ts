// Tells the other processes of a site which of them return passwords at this moment. So none takes over, with a new password and
// more calls to the CRM, what a living one is at; what a dead one was at is taken over soon.
import { randomBytes } from 'node:crypto';
import { Exchange, type SharedPlace } from '../exchange';
import { apart } from '../telemetry/spans';

/**
 * How often a process says that it is there, and after which silence it is gone, as parts of a lease: before the contacts of a
 * process that died come back to others, its claims are not believed any more.
 */
const BEAT = 1 / 8;
const GONE_AFTER = 1 / 2;
/** Bytes of the name of a process, and its length as text. */
const NAME_BYTES = 4;
const NAME_LENGTH = 6;

/** By names of processes, when they last said that they are there: milliseconds by the clock of the store. */
type Seen = Readonly<Record<string, number>>;

/** One process among those that share a place. Without a place it is alone. */
export class Presence {
  readonly #name = randomBytes(NAME_BYTES).toString('base64url');
  readonly #exchange: Exchange | undefined;
  readonly #leaseMs: number;
  #timer: NodeJS.Timeout | undefined;
  #last: Promise<void> = Promise.resolve();

  /** @param leaseMs how long contacts in work stay with a process that says nothing. */
  constructor(place: SharedPlace | undefined, leaseMs: number) {
    this.#leaseMs = leaseMs;
    this.#exchange = place === undefined ? undefined : new Exchange(place, () => performance.now());
  }

  /** A new claim on a password debt: the name of this process, and something random. */
  newClaim(): string {
    return this.#name + randomBytes(NAME_BYTES).toString('base64url');
  }

  /** Those of some claims that are another process's. */
  othersOf(claims: readonly string[]): string[] {
    return claims.filter((claim) => claim.slice(0, NAME_LENGTH) !== this.#name);
  }

  /** Says that this process returns passwords, and goes on saying so as long as `isAtWork`. */
  enter(isAtWork: () => boolean): void {
    if (this.#exchange === undefined || this.#timer !== undefined) return;
    this.#say(true);
    this.#timer = setInterval(() => (isAtWork() ? this.#say(true) : this.#stop()), BEAT * this.#leaseMs);
    this.#timer.unref();
  }

  /** Says that it does not any more. Resolves when the others can know it, or cannot be told. */
  async leave(): Promise<void> {
    this.#stop();
    await this.#last;
  }

  /**
   * Whether one of these claims is that of another process which is there. Where nobody can be asked, one may be: a claim that
   * is believed too long costs a minute, one that is not believed costs calls to the CRM.
   */
  async isThere(claims: readonly string[]): Promise<boolean> {
    const others = this.othersOf(claims).map((claim) => claim.slice(0, NAME_LENGTH));
    if (this.#exchange === undefined || others.length === 0) return false;
    try {
      const { text, now } = await this.#exchange.read();
      const seen = seenIn(text);
      return others.some((name) => this.#isRecent(seen[name], now));
    } catch {
      return true;
    }
  }

  #stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#say(false);
  }

  /** One after the other, so that the last word is the last one that was said. */
  #say(isHere: boolean): void {
    this.#last = this.#last.then(() => apart(() => this.#write(isHere))).catch(() => undefined);
  }

  async #write(isHere: boolean): Promise<void> {
    await this.#exchange?.change(({ text, now }) => {
      const others = Object.entries(seenIn(text)).filter(
        ([name, at]) => name !== this.#name && this.#isRecent(at, now),
      );
      return JSON.stringify(Object.fromEntries(isHere ? [...others, [this.#name, now]] : others));
    });
  }

  #isRecent(at: number | undefined, now: number): boolean {
    return at !== undefined && now - at < GONE_AFTER * this.#leaseMs;
  }
}

/** What others have written; nothing where it cannot be read. */
function seenIn(text: string | null): Seen {
  try {
    const seen: unknown = JSON.parse(text ?? '{}');
    const entries = Object.entries(Object(seen) as object).filter(([, at]) => typeof at === 'number');
    return Object.fromEntries(entries);
  } catch {
    return {};
  }
}
