// Slows down guessing: after too many wrong keys from one address its requests are refused unseen, for a while.
import { isIP, isIPv6 } from 'node:net';

const WINDOW_MS = 60_000;
const MAX_WRONG = 20;
const TRUSTED_MS = 24 * 60 * 60_000;
const NO_ADDRESS = '';
/** Bounds the memory that a flood of addresses can take. */
const MAX_ADDRESSES = 10_000;

/** Counts wrong keys by address: 20 in 60 s, and the address has to wait. One that showed a valid key within a day never has. */
export class Throttle {
  /** The times of the latest wrong keys, by address, least recently used first. */
  readonly #wrong = new Map<string, number[]>();
  /** When an address last showed a valid key. */
  readonly #trusted = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Seconds this address has to wait, or 0. */
  waitSeconds(address: string | undefined): number {
    const key = networkOf(address);
    const oldest = this.#recent(key)[0];
    if (oldest === undefined || this.#recent(key).length < MAX_WRONG) return 0;
    const trustedAt = this.#trusted.get(key);
    if (trustedAt !== undefined && this.#now() - trustedAt < TRUSTED_MS) return 0;
    return Math.max(1, Math.ceil((oldest + WINDOW_MS - this.#now()) / 1000));
  }

  /** A wrong key came from this address. */
  wrongKey(address: string | undefined): void {
    const key = networkOf(address);
    remember(this.#wrong, key, [...this.#recent(key), this.#now()].slice(-MAX_WRONG));
  }

  /** A valid key came from this address. */
  validKey(address: string | undefined): void {
    remember(this.#trusted, networkOf(address), this.#now());
  }

  #recent(key: string): number[] {
    return (this.#wrong.get(key) ?? []).filter((time) => this.#now() - time < WINDOW_MS);
  }
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  // A copy: a piece of `X-Forwarded-For`, as which addresses come, keeps all of it in memory.
  map.set(Buffer.from(key).toString(), value);
  if (map.size > MAX_ADDRESSES) {
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }
}

/**
 * IPv6 by its /64, which is what one customer has; an IPv4 address in IPv6 clothes as itself. What is no address at all, as in a
 * forged `X-Forwarded-For`, is one place, however it is written: it neither takes memory nor escapes the count.
 */
export function networkOf(address = ''): string {
  // Some proxies add the port, which is another one with each connection.
  const [, bracketed, withPort] = /^(?:\[(.*)\](?::\d+)?|([\d.]+):\d+)$/.exec(address) ?? [];
  const host = bracketed ?? withPort ?? address;
  const embedded = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  const plain = embedded ?? host.split('%', 1).join('');
  if (isIP(plain) === 0) return NO_ADDRESS;
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
