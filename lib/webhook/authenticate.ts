// Who may ask for what: access keys, compared in constant time.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ResolvedKey } from '../options';

/** What the holder of the key or keys of a request may do. */
export interface Permission {
  /** The names of the keys. */
  readonly name: string;
  readonly inspect: boolean;
  allows(action: string): boolean;
}

/** More places than this to hold a key in one request are an attack, not a set-up. */
const MAX_CANDIDATES = 8;

/** Compares what requests show with the keys of the configuration. */
export class Authenticator {
  readonly #salt = randomBytes(32);
  readonly #keys: readonly { readonly digest: Buffer; readonly key: ResolvedKey }[];

  constructor(keys: readonly ResolvedKey[]) {
    this.#keys = keys.map((key) => ({ digest: this.#digest(key.key), key }));
  }

  /** The permission that all candidates share, or `undefined` unless each of them is a valid key. */
  check(candidates: readonly (string | null)[]): Permission | undefined {
    if (candidates.length === 0 || candidates.length > MAX_CANDIDATES) return undefined;
    const keys: ResolvedKey[] = [];
    for (const candidate of candidates) {
      const key = candidate === null ? undefined : this.#find(candidate);
      if (key === undefined) return undefined;
      keys.push(key);
    }
    return {
      name: [...new Set(keys.map(({ name }) => name))].join(', '),
      inspect: keys.every(({ inspect }) => inspect),
      allows: (action) => keys.every(({ actions }) => actions === undefined || actions.has(action)),
    };
  }

  /** Digests have one length, and every key is compared, so that time tells nothing about length, place or number. */
  #find(candidate: string): ResolvedKey | undefined {
    const digest = this.#digest(candidate);
    let found: ResolvedKey | undefined;
    for (const known of this.#keys) if (timingSafeEqual(known.digest, digest)) found = known.key;
    return found;
  }

  #digest(key: string): Buffer {
    return createHmac('sha256', this.#salt).update(key).digest();
  }
}
