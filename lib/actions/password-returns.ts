// Returns generated passwords to the CRM, also behind the answer, so that the one the CRM shows is the one that logs in.
//
// A user is created with a debt: a *claim* for every process that may have a write of a password to the CRM under way. Whoever
// has written looks at the user again before it takes its claim away. If another process gave the user another password in
// the meantime, the CRM may now show ours: then what the CRM shows is made true, or ours is written once more.
// docs/passwords.md tells the sequence and what is true when a process dies at each step.
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Contact } from '../crm/client';
import type { ContactReader } from '../crm/contact-reader';
import { asOurs, codeOf, WpFusionError } from '../errors';
import type { Configuration } from '../options';
import { describeError, type Secrets } from '../redact';
import { inSpan } from '../telemetry/spans';
import type { User, UserChanges, UserRepository } from '../users/repository';
import { fingerprint, formatSyncState, parseSyncState, type SyncState } from '../users/sync-state';
import { crmError } from './run';
import type { Presence } from './presence';
import type { Step } from './steps';

/** A password that has to get to the CRM. It lives in this process only: if that dies, a later run gives a new one. */
export interface PasswordReturn {
  readonly contactId: string;
  readonly username: string;
  readonly password: string;
  readonly hash: string;
  readonly claim: string;
}

/** A return under way. */
export interface Returning {
  /** `true` when the CRM has the password and nothing is owed any more; `false` at the first trouble: it goes on behind. */
  readonly settled: Promise<boolean>;
  /** Lets the debt be cleared; until then the user is still being completed. */
  mayClear(): void;
}

/** Tries for about an hour; then the debt waits for the contact's next webhook. */
const MAX_FAILURES = 70;
const MAX_BACKOFF_MS = 60_000;
/** How often we look whether another process finishes before its password is replaced. */
const MAX_LOOKS = 4;
/** How often a claim that somebody else overtook is tried again, before the storage is called broken. */
const MAX_ROUNDS = 20;

/** The returns of one middleware, at most one a contact. */
export class PasswordReturns {
  readonly #underWay = new Map<string, Returning>();
  readonly #work = new Set<Promise<void>>();
  /** Aborted when the middleware begins to close. */
  readonly #stopping = new AbortController();

  constructor(
    private readonly configuration: Configuration,
    private readonly users: UserRepository,
    private readonly contacts: ContactReader,
    private readonly closed: AbortSignal,
    private readonly secrets: Secrets,
    private readonly presence: Presence,
  ) {
    // One listener for each return that waits is no leak.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** The return that this process has under way for a contact. */
  underWay(contactId: string): Returning | undefined {
    return this.#underWay.get(contactId);
  }

  /** Whether this process, or another one that is there, returns the password of a contact whose debt has these claims. */
  async isUnderWay(contactId: string, claims: readonly string[]): Promise<boolean> {
    return this.#underWay.has(contactId) || (await this.presence.isThere(claims));
  }

  /**
   * The claims that still stand on the debt of a contact for which nothing is under way here: another process's. One of our own is
   * left over where the storage stored a user, or took a claim away, and did not get to say so.
   */
  standing(claims: readonly string[]): string[] {
    return this.presence.othersOf(claims);
  }

  /** A new claim, by which others know whose it is. */
  newClaim(): string {
    return this.presence.newClaim();
  }

  /** How many are under way. */
  get size(): number {
    return this.#underWay.size;
  }

  /** Resolves when none is under way. One that waits to try again gives up: its debt is written down. */
  async ended(): Promise<void> {
    this.#stopping.abort();
    while (this.#work.size > 0) await Promise.all(this.#work);
    await this.presence.leave();
  }

  /** Starts to return a password whose claim is already stored with the user. */
  start(job: PasswordReturn, options: { mayClearAtOnce: boolean }): Returning {
    let report: (settled: boolean) => void = () => undefined;
    let mayClear: () => void = () => undefined;
    const settled = new Promise<boolean>((resolve) => (report = resolve));
    const cleared = new Promise<void>((resolve) => (mayClear = resolve));
    const returning = { settled, mayClear };
    if (options.mayClearAtOnce) mayClear();
    this.#underWay.set(job.contactId, returning);
    this.presence.enter(() => this.#underWay.size > 0);
    const work = this.#run(job, cleared, report).finally(() => {
      report(false);
      this.#work.delete(work);
      if (this.#underWay.get(job.contactId) === returning) this.#underWay.delete(job.contactId);
    });
    this.#work.add(work);
    return returning;
  }

  /** Never rejects: what goes wrong is logged, and the debt stays. */
  async #run(
    job: PasswordReturn,
    mayClear: Promise<void>,
    report: (settled: boolean) => void,
  ): Promise<void> {
    let written = false;
    let failures = 0;
    while (!this.closed.aborted && (failures === 0 || !this.#stopping.signal.aborted)) {
      try {
        if (!written) await this.#write(job);
        written = true;
        await mayClear;
        if (await this.#settle(job)) {
          report(true);
          return;
        }
        written = false;
      } catch (error) {
        report(false);
        failures += 1;
        const ours = asOurs(error);
        const goesOn =
          codeOf(error) !== undefined &&
          ours.retryable &&
          ours.code !== 'CONTACT_NOT_FOUND' &&
          failures < MAX_FAILURES;
        this.#log(job, error, goesOn, failures);
        if (!goesOn) {
          // Without a claim on it the debt waits for the contact's next webhook.
          await this.#disclaim(job).catch(() => undefined);
          return;
        }
        const backoff =
          Math.min(MAX_BACKOFF_MS, 1000 * 2 ** Math.min(failures - 1, 6)) * (0.5 + Math.random() / 2);
        const wait = Math.max(backoff, (ours.retryAfter ?? 0) * 1000);
        await sleep(wait, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => undefined);
      }
    }
  }

  /** Says that no write of ours is under way any more, and leaves the debt. */
  async #disclaim({ contactId, claim }: PasswordReturn): Promise<void> {
    for (let tries = 0; tries < MAX_LOOKS; tries += 1) {
      const user = await this.users.findByContactId(contactId);
      const state = parseSyncState(user?.syncState ?? null);
      if (user === null || state.password === undefined) return;
      const claims = state.password.claims.filter((other) => other !== claim);
      if (await this.change(user, {}, { ...state, password: { ...state.password, claims } })) return;
    }
  }

  async #write({ contactId, password, username }: PasswordReturn): Promise<void> {
    const { crm, returnPassword } = this.configuration;
    if (returnPassword === undefined) return;
    const { field, usernameField } = returnPassword;
    await this.#step('return: about to write to the CRM');
    try {
      const fields = {
        [field]: password,
        ...(usernameField === undefined ? {} : { [usernameField]: username }),
      };
      await inSpan('wp_fusion_webhook.crm updateContact', {}, () =>
        crm.updateContact(contactId, fields, { signal: this.closed }),
      );
    } catch (error) {
      throw crmError(error);
    }
    await this.#step('return: written to the CRM');
  }

  /** Takes the claim away. `false`: another process has given another password and the CRM shows neither; write again. */
  async #settle(job: PasswordReturn): Promise<boolean> {
    const ours = fingerprint(job.hash);
    for (let round = 1; round <= MAX_ROUNDS; round += 1) {
      const user = await this.users.findByContactId(job.contactId);
      if (user?.passwordHash == null) return true;
      const state = parseSyncState(user.syncState);
      const current = fingerprint(user.passwordHash);
      const chosenByThePerson = current !== state.hash;
      const isOurs = !chosenByThePerson && current === ours;
      const shown = chosenByThePerson || isOurs ? undefined : await this.#shownPassword(job.contactId);
      if (chosenByThePerson || isOurs || (await this.logsIn(user, shown))) {
        const password = chosenByThePerson ? undefined : withoutClaim(state, job.claim);
        if (await this.change(user, {}, { ...state, password })) {
          await this.#step('return: debt cleared');
          return true;
        }
        continue;
      }
      // Another process gave the user a password while ours was on its way, and the CRM does not show that one. It may be about
      // to arrive; else what the CRM shows is made true.
      const showsOurs = shown === job.password;
      if (!showsOurs && round < MAX_LOOKS) {
        const pause = 100 + Math.random() * 200;
        await sleep(pause, undefined, { signal: this.closed, ref: false }).catch(() => undefined);
        continue;
      }
      const next = withClaim({ ...state, hash: ours }, job.claim);
      if ((await this.change(user, { passwordHash: job.hash }, next)) && !showsOurs) return false;
    }
    throw new WpFusionError(
      'REPOSITORY_FAILED',
      `The user was changed by somebody else ${MAX_ROUNDS} times in a row.`,
    );
  }

  async #shownPassword(contactId: string): Promise<string | undefined> {
    const { returnPassword } = this.configuration;
    if (returnPassword === undefined) return undefined;
    try {
      const contact = await this.contacts.read(contactId, {
        fields: [returnPassword.field],
        signal: this.closed,
      });
      return contact === undefined ? undefined : shownIn(contact, returnPassword.field);
    } catch (error) {
      throw crmError(error);
    }
  }

  /** Whether a password is the user's. */
  async logsIn(user: User, password: string | undefined): Promise<boolean> {
    if (password === undefined || password === '' || user.passwordHash === null) return false;
    return this.configuration.passwordHasher.verify(password, user.passwordHash);
  }

  /** Writes a new state, and changes with it, if nobody has written since `user` was read. Gives the user as it is then. */
  async change(user: User, changes: UserChanges, state: SyncState): Promise<User | undefined> {
    try {
      return await this.users.update(
        user.id,
        { ...changes, syncState: formatSyncState(state) },
        { ifSyncState: user.syncState },
      );
    } catch (error) {
      if (codeOf(error) === 'STALE_USER' || codeOf(error) === 'USER_NOT_FOUND') return undefined;
      throw error;
    }
  }

  async #step(name: Step): Promise<void> {
    await this.configuration.failPoint?.(name);
  }

  #log(job: PasswordReturn, error: unknown, goesOn: boolean, failures: number): void {
    const secrets = [job.password, job.hash, ...this.secrets];
    const details = {
      code: codeOf(error) ?? 'INTERNAL_ERROR',
      contactId: job.contactId,
      failures,
      cause: describeError(error, secrets),
    };
    if (!goesOn) this.configuration.logger.error(details, 'A password could not be returned; it stays owed.');
    else if (failures === 1)
      this.configuration.logger.warn(details, 'A password is not returned yet; trying again.');
    else this.configuration.logger.debug(details, 'A password is still not returned; trying again.');
  }
}

/** The password that a contact shows in the field for returned ones. */
export function shownIn(contact: Contact, field: string): string | undefined {
  const value =
    (Object.hasOwn(contact.raw ?? {}, field) ? contact.raw?.[field] : undefined) ?? contact.fields[field];
  return typeof value === 'string' ? value : undefined;
}

/** A password debt without one claim; none where that was the last. */
function withoutClaim({ password }: SyncState, claim: string): SyncState['password'] {
  const claims = password?.claims.filter((other) => other !== claim) ?? [];
  return password === undefined || claims.length === 0 ? undefined : { ...password, claims };
}

/** A state whose password debt has this claim, made now. */
export function withClaim(state: SyncState, claim: string): SyncState {
  const others = state.password?.claims.filter((other) => other !== claim) ?? [];
  return { ...state, password: { claims: [...others, claim], claimedAt: Math.floor(Date.now() / 1000) } };
}
