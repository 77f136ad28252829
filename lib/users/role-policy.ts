// Which roles a webhook may give, and whom it may not touch.
import { WpFusionError } from '../errors';
import { comparisonKey } from './normalize';
import type { PublicUser } from './repository';

/** Decides about roles by an allow-list: whatever is not on it cannot be given on any path. */
export class RolePolicy {
  readonly #spellings: ReadonlyMap<string, string>;
  readonly #protectedRoles: ReadonlySet<string>;
  readonly #isProtected: ((user: PublicUser) => boolean) | undefined;

  constructor(
    assignable: readonly string[],
    /** The role of a new user for whom nothing else is asked. Always assignable. */
    readonly defaultRole: string,
    protectedUsers: readonly string[] | ((user: PublicUser) => boolean) = [],
  ) {
    // The default comes first: a list that spells it otherwise has the last word.
    this.#spellings = new Map([defaultRole, ...assignable].map((role) => [comparisonKey(role), role]));
    this.#protectedRoles = new Set(
      typeof protectedUsers === 'function' ? [] : protectedUsers.map((role) => comparisonKey(role)),
    );
    this.#isProtected = typeof protectedUsers === 'function' ? protectedUsers : undefined;
  }

  /** The assignable role as the host spells it, or `undefined` where the one asked for is not assignable. */
  match(role: string): string | undefined {
    return this.#spellings.get(comparisonKey(role));
  }

  /** Every assignable role, as the host spells it. */
  get assignable(): string[] {
    return [...this.#spellings.values()];
  }

  /** The host's own test. An answer that is no answer must not leave somebody unprotected. */
  #judge(user: PublicUser): boolean {
    const answer: unknown = this.#isProtected?.(user) ?? false;
    if (typeof answer === 'boolean') return answer;
    const what = answer instanceof Promise ? 'a promise' : `a ${typeof answer}`;
    throw new WpFusionError(
      'INTERNAL_ERROR',
      `roles.protected must give true or false, at once; it gave ${what}.`,
    );
  }

  /** Whether role, email and password of this user are out of a webhook's reach. */
  isProtected(user: PublicUser): boolean {
    return (
      this.match(user.role) === undefined ||
      this.#protectedRoles.has(comparisonKey(user.role)) ||
      this.#judge(user)
    );
  }
}
