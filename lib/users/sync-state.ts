// What `user.syncState` holds: which write was the last one, and what is still owed to a user that was created.
// Every write of the core replaces it, on condition that it is still the one that was read: a compare-and-set on one column
// gives both "an older read never overwrites a newer one" and "nothing owed is forgotten". It holds no secret.
import { createHash, randomBytes } from 'node:crypto';

/** The password of a user that may not be in the CRM yet. */
interface PasswordDebt {
  /** One id for every process that may have a write to the CRM under way; it takes its own away when that write is over. */
  readonly claims: readonly string[];
  /** Seconds since 1970 when the last claim was made. */
  readonly claimedAt: number;
}

/**
 * In the place of a fingerprint, and equal to none: the account was there before an email led its contact to it. It keeps its
 * password and its email, whatever the contact brings: whoever has a contact with somebody's email must not get in by either.
 */
export const THERE_BEFORE = '-';

/** The decoded `syncState`. */
export interface SyncState {
  /**
   * Fingerprint of the last password hash that this package wrote: another one on the user means that the person chose it.
   * Or {@link THERE_BEFORE}.
   */
  readonly hash?: string | undefined;
  readonly password?: PasswordDebt | undefined;
  readonly afterCreate?: boolean | undefined;
  readonly mail?: boolean | undefined;
}

/** The short keys of the stored form: 255 characters are all there is. */
interface StoredState {
  /** Differs with every write. */
  v: string;
  h?: string | undefined;
  p?: { c: readonly string[]; t: number } | undefined;
  a?: 1 | undefined;
  m?: 1 | undefined;
}

const MAX_CLAIMS = 6;
/** A foreign state must not make ours longer than there is room for. */
const MAX_FINGERPRINT = 12;

/** A state as it is stored. Two calls never give the same text. */
export function formatSyncState(state: SyncState): string {
  const stored: StoredState = {
    v: randomId(9),
    h: state.hash,
    p:
      state.password === undefined
        ? undefined
        : { c: state.password.claims.slice(-MAX_CLAIMS), t: state.password.claimedAt },
    a: state.afterCreate === true ? 1 : undefined,
    m: state.mail === true ? 1 : undefined,
  };
  return JSON.stringify(stored);
}

/** A stored state, decoded. A text that is not ours owes nothing. */
export function parseSyncState(text: string | null): SyncState {
  if (text === null) return {};
  let stored: Partial<Record<keyof StoredState, unknown>>;
  try {
    stored = Object(JSON.parse(text)) as typeof stored;
  } catch {
    return {};
  }
  const debt = stored.p as { c?: unknown; t?: unknown } | null | undefined;
  return {
    hash: typeof stored.h === 'string' ? ownText(stored.h) : undefined,
    password:
      Array.isArray(debt?.c) && typeof debt.t === 'number' && Number.isFinite(debt.t)
        ? { claims: debt.c.filter((claim) => typeof claim === 'string').map(ownText), claimedAt: debt.t }
        : undefined,
    afterCreate: stored.a === 1,
    mail: stored.m === 1,
  };
}

/** Of a foreign text what one of ours is made of: nothing that JSON writes longer than it is. */
const ownText = (text: string): string => text.replace(/[^\w-]/g, '').slice(0, MAX_FINGERPRINT);

/** Recognises a password hash without telling anything about it. */
export function fingerprint(passwordHash: string): string {
  return createHash('sha256').update(passwordHash).digest('base64url').slice(0, 12);
}

const randomId = (bytes: number): string => randomBytes(bytes).toString('base64url');
