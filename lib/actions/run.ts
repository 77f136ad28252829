// One webhook under way: its time, its warnings, the secrets it has met, and how it reads a contact.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Contact } from '../crm/client';
import type { Ticket } from '../crm/contact-reader';
import { fieldsToRead } from '../users/field-map';
import { codeOf, WpFusionError } from '../errors';
import type { Webhook } from '../queue/webhook';
import { inSpan } from '../telemetry/spans';
import type { Owed, Result, SkipReason, Warning, WarningCode } from '../result';
import type { User } from '../users/repository';
import { parseSyncState } from '../users/sync-state';
import type { Conditions } from './conditions';
import type { Site } from './site';
import type { Step } from './steps';

/** How often a run starts over because somebody else wrote in between, before the storage is called broken. */
const MAX_ATTEMPTS = 20;

/** The state of one webhook's processing. */
export class Run {
  /** Passwords and hashes this run has met: what is logged of it is cleaned of them. */
  readonly secrets = new Set<string>();
  /** How often it has asked the CRM for a contact. */
  contactReads = 0;
  /** What the run leaves open, for whoever can come back to it. */
  owed: Owed | undefined;
  readonly #warnings = new Map<WarningCode, Warning>();
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #onClosed = (): void => this.#abort.abort(closedError());
  #ticket: Ticket | undefined;

  constructor(
    readonly webhook: Webhook,
    readonly site: Site,
    readonly conditions: Conditions,
  ) {
    this.#ticket = conditions.ticket;
    this.#timer = setTimeout(() => this.#abort.abort(), conditions.readUntil - Date.now());
    this.#timer.unref();
    if (site.closed.aborted) this.#onClosed();
    else site.closed.addEventListener('abort', this.#onClosed);
  }

  /** Aborted when the time is up or the middleware closes. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Ends what the run holds. */
  dispose(): void {
    clearTimeout(this.#timer);
    this.site.closed.removeEventListener('abort', this.#onClosed);
  }

  /** The id of the contact, for the actions that cannot be without one. */
  get contactId(): string {
    const { contactId } = this.webhook;
    if (contactId === null) {
      const errors = [{ parameter: 'contact_id', message: 'is missing or empty' }];
      throw new WpFusionError('INVALID_REQUEST', 'contact_id is missing or empty.', { errors });
    }
    return contactId;
  }

  /**
   * One turn of the loop "read the user, read the CRM, write on condition" after the other, while somebody gets in between.
   * A run that starts over forgets its warnings; one that goes on from an effect keeps them.
   */
  *attempts(warnings: 'forget warnings' | 'keep warnings' = 'forget warnings'): Generator<number> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      if (warnings === 'forget warnings') this.#warnings.clear();
      yield attempt;
    }
    const message = `The user was changed by somebody else ${MAX_ATTEMPTS} times in a row; does update() store syncState as it is given?`;
    throw new WpFusionError('REPOSITORY_FAILED', message);
  }

  /** Everything that must not be logged of this run. */
  allSecrets(): string[] {
    return [...this.site.secrets, ...this.secrets];
  }

  warn(code: WarningCode, message: string): void {
    this.#warnings.set(code, { code, message });
  }

  /** To be called before every effect: throws where the contact is not ours any more. */
  mayGoOn(): void {
    this.conditions.mayGoOn();
  }

  /** Makes room for a test between two effects. */
  async step(name: Step): Promise<void> {
    await this.site.configuration.failPoint?.(name);
  }

  /**
   * Reads the contact, after the user: what is written later is written on condition that this user is still the same.
   * Inside a request it waits 1, 2, 4, 8 … s for a contact that is not there yet, as long as the time lasts. Throws
   * `CONTACT_NOT_FOUND`.
   */
  async readContact(user: User | null = null): Promise<Contact> {
    for (let waitMs = 1000; ; waitMs *= 2) {
      const contact = await this.tryReadContact(this.contactId, this.fieldsFor(user));
      if (contact !== undefined) return contact;
      // The last look comes as late as it can: a webhook may be 20 s ahead of its contact.
      const left = this.conditions.lookUntil - Date.now();
      if (this.webhook.dryRun || left <= 0 || this.signal.aborted) {
        throw new WpFusionError('CONTACT_NOT_FOUND', `The CRM has no contact ${this.contactId}.`);
      }
      await sleep(Math.min(waitMs, left), undefined, { signal: this.signal }).catch(() => undefined);
    }
  }

  /** Reads any contact; `undefined` where the CRM has none. */
  async tryReadContact(id: string, fields = this.fieldsFor(null)): Promise<Contact | undefined> {
    try {
      // The first read of the run's own contact was announced, so that it shares its call with those of other contacts.
      const ticket = id === this.contactId ? this.#ticket : undefined;
      if (ticket !== undefined) this.#ticket = undefined;
      this.contactReads += 1;
      const contact = await inSpan('wp_fusion_webhook read contact', {}, () =>
        (ticket ?? this.site.contacts).read(id, { fields, signal: this.signal }),
      );
      this.#rememberPasswords(contact);
      return contact;
    } catch (error) {
      throw crmError(error);
    }
  }

  /** Passwords that a contact brings may be quoted by any of the host's functions that fails over them. */
  #rememberPasswords(contact: Contact | undefined): void {
    const { fields, returnPassword } = this.site.configuration;
    for (const key of [fields.get('password')?.from, returnPassword?.field]) {
      if (contact === undefined || key === undefined) continue;
      for (const value of [contact.fields[key], contact.raw?.[key]]) {
        if (typeof value === 'string') this.secrets.add(value);
      }
    }
  }

  /** The fields to ask for: the mapped ones, and the returned password's only where that is still open. */
  fieldsFor(user: User | null): string[] {
    const { fields, returnPassword } = this.site.configuration;
    const keys = fieldsToRead(fields);
    const owed = user !== null && parseSyncState(user.syncState).password !== undefined;
    return owed && returnPassword !== undefined ? [...keys, returnPassword.field] : keys;
  }

  /** Waits for something that also goes on without us; `undefined` when the patience of the request ends first. */
  async withinPatience<Value>(work: Promise<Value>): Promise<Value | undefined> {
    const stop = new AbortController();
    const patience = sleep(Math.max(0, this.conditions.waitUntil - Date.now()), undefined, {
      signal: stop.signal,
      ref: false,
    });
    try {
      return await Promise.race([work, patience.catch(() => undefined)]);
    } finally {
      stop.abort();
    }
  }

  result(
    outcome: string,
    details: { user?: User; reason?: SkipReason; changes?: Result['changes'] } = {},
  ): Result {
    return {
      action: this.webhook.action,
      contactId: this.webhook.contactId,
      outcome,
      reason: details.reason,
      userId: details.user?.id,
      warnings: [...this.#warnings.values()],
      changes: details.changes ?? [],
      owed: this.owed,
      contactReads: this.contactReads,
    };
  }
}

/** What a CRM client threw, by our codes; whatever else it is, the CRM could not be asked. */
export function crmError(error: unknown): unknown {
  const code = codeOf(error);
  if (code?.startsWith('CRM_') === true || code === 'CONTACT_NOT_FOUND' || code === 'SHUTTING_DOWN')
    return error;
  return new WpFusionError('CRM_UNAVAILABLE', 'The CRM client failed.', { cause: error, retryAfter: 30 });
}

/** Calls code of the host that is no hook; only our own codes get through as they are. */
export async function callHost<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (codeOf(error) !== undefined) throw error;
    throw new WpFusionError('INTERNAL_ERROR', `${what} failed.`, { cause: error });
  }
}

/** Calls a hook of the host. */
export async function callHook<Value>(name: string, work: () => Value | Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw new WpFusionError('HOOK_FAILED', `hooks.${name} threw.`, { cause: error });
  }
}

const closedError = (): WpFusionError =>
  new WpFusionError('SHUTTING_DOWN', 'The site is shutting down; send the webhook again.', {
    retryAfter: 10,
  });
