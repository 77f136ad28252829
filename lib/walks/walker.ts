// Walks the CRM's contacts: an import creates the users of a tag, reconciling brings users up to date whose webhooks never came.
// Both only say for which contact something is to be done; it is done where webhooks are, in the contact's turn.
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { planUpdate } from '../actions/plan';
import { crmError } from '../actions/run';
import type { Site } from '../actions/site';
import type { Contact, ContactFilter, CrmClient } from '../crm/client';
import { asOurs, codeOf, ConfigurationError } from '../errors';
import { describeError, redact } from '../redact';
import { refuseUnknownOptions } from '../unknown-options';
import { fieldsToRead } from '../users/field-map';
import { parseSyncState } from '../users/sync-state';
import type { Positions } from './positions';
import { startWalk, Tally, type Walk, type WalkFailure, type WalkProgress } from './walk';

/** What {@link WpFusionWebhook.reconcile} takes. */
export interface ReconcileOptions {
  /**
   * Contacts modified since then. Absent: since where the last walk got to; the first one has to say it. With `everyMs` it
   * counts only as long as nothing is remembered.
   */
  readonly since?: Date | undefined;
  /** All contacts, for what changes without a contact being modified: renamed tags, another field map. */
  readonly all?: boolean | undefined;
  /** Walks again and again, so many milliseconds after the end of the last walk, until it is stopped. */
  readonly everyMs?: number | undefined;
  /** Stops the walk. What is under way is finished; the next walk without `since` goes on there. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@link WpFusionWebhook.importContacts} takes. */
export interface ImportOptions {
  /** The contacts to import: the tag's name, or its id where no tag has that name. */
  readonly tag: string;
  /** As the parameter of an `add`. */
  readonly role?: string | undefined;
  /** As the parameter of an `add`; default `false`. */
  readonly sendNotification?: boolean | undefined;
  /** Begins at the first contact, also where an import of this tag was stopped before. Default: it goes on there. */
  readonly restart?: boolean | undefined;
  /** Stops the import. What is under way is finished; the next one goes on there. */
  readonly signal?: AbortSignal | undefined;
}

/** What is to be done for a contact. */
export interface Errand {
  readonly action: 'add' | 'update';
  readonly role?: string | undefined;
  readonly sendNotification: boolean;
}

/** What became of an errand. */
export type ErrandEnd =
  | { readonly kind: 'done'; readonly outcome: string }
  | { readonly kind: 'failed'; readonly failure: Omit<WalkFailure, 'contactId'> }
  | { readonly kind: 'waiting' };

/** What a {@link Walker} needs. */
export interface WalkerOptions {
  readonly site: Site;
  readonly positions: Positions;
  /** Does an errand in the contact's turn. Rejects where it could not even be begun. */
  readonly run: (errand: Errand, contactId: string, signal: AbortSignal) => Promise<ErrandEnd>;
  /** Aborted when the middleware begins to close. */
  readonly closing: AbortSignal;
}

/** How many errands are under way at once: two calls' worth of contacts. */
const WINDOW = 100;
/** How far the clocks of the CRM and of this machine may differ, and how long a write may take to show. */
const OVERLAP_MS = 10 * 60_000;

/** Where reconciling got to. */
interface ReconcilePosition {
  /** Everything modified before was looked at. */
  readonly done: string | null;
  /** A walk that was stopped: what it looks for, when it began, and behind which contact it goes on. */
  readonly open?: {
    readonly since: string | null;
    readonly startedAt: string;
    readonly afterId: string | null;
  };
}

const RECONCILE = 'reconcile';

/** The walks of one middleware. */
export class Walker {
  readonly #options: WalkerOptions;
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: WalkerOptions) {
    this.#options = options;
  }

  /** Resolves when no walk is under way. */
  async ended(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  reconcile(options: ReconcileOptions): Walk {
    const { since, everyMs } = checkedReconcile(options);
    const signal = this.#signalOf(options.signal);
    return this.#start(async (tell) => {
      if (everyMs === undefined) return this.#reconcileOnce(options, signal, tell);
      let last = new Tally().progress;
      while (!signal.aborted) {
        try {
          // Given once, since counts until a walk has left something to go on from.
          const isKnown = (await this.#options.positions.read(RECONCILE)) !== null;
          last = await this.#reconcileOnce({ ...options, since: isKnown ? undefined : since }, signal, tell);
        } catch (error) {
          // No waiting mends an option.
          if (codeOf(error) === 'INVALID_OPTION') throw error;
          this.#log(error, 'Reconciling failed; it is tried again at its next time.');
        }
        await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
      return last;
    });
  }

  importContacts(options: ImportOptions): Walk {
    this.#checkImport(options);
    const { tag, role, sendNotification = false, restart = false } = options;
    const { positions } = this.#options;
    const key = `import ${tag}`;
    const signal = this.#signalOf(options.signal);
    return this.#start(async (tell) => {
      const afterId = restart ? null : await positions.read(key);
      const errand = { action: 'add', role, sendNotification } as const;
      const progress = await this.#walk({
        filter: { tag, ...(afterId === null ? {} : { afterId }) },
        errandFor: () => Promise.resolve(errand),
        remember: (id) => positions.write(key, id),
        signal,
        tell,
      });
      if (progress.finished) await positions.write(key, null);
      return progress;
    });
  }

  async #reconcileOnce(
    { since, all = false }: ReconcileOptions,
    signal: AbortSignal,
    tell: (progress: WalkProgress) => void,
  ): Promise<WalkProgress> {
    const { positions } = this.#options;
    const known = parsePosition(await positions.read(RECONCILE));
    const open =
      since === undefined && !all && known.open !== undefined
        ? known.open
        : {
            since: all ? null : (since?.toISOString() ?? known.done),
            startedAt: new Date().toISOString(),
            afterId: null,
          };
    if (open.since === null && !all && known.open === undefined) throw sinceMissing();
    // A renamed tag changes no contact; a client that keeps names would go on with the old one.
    if (all) this.#options.site.configuration.crm.refresh?.();
    const { afterId } = open;
    const remember = (id: string | null): Promise<void> =>
      positions.write(RECONCILE, JSON.stringify({ done: known.done, open: { ...open, afterId: id } }));
    // From the start on: a walk that fails at its first page is gone on with, too.
    await remember(afterId);
    const progress = await this.#walk({
      filter: {
        ...(open.since === null ? {} : { modifiedSince: new Date(open.since) }),
        ...(afterId === null ? {} : { afterId }),
      },
      errandFor: (contact) => this.#errandFor(contact),
      remember,
      signal,
      tell,
    });
    if (progress.finished) {
      // A walk that began later than everything before was done leaves a gap behind it.
      const hasGap = known.done !== null && open.since !== null && known.done < open.since;
      const done = hasGap ? known.done : new Date(Date.parse(open.startedAt) - OVERLAP_MS).toISOString();
      await positions.write(RECONCILE, JSON.stringify({ done } satisfies ReconcilePosition));
    }
    return progress;
  }

  /** What a contact needs: nothing where it has no user, or one that is equal to it. */
  async #errandFor(contact: Contact): Promise<Errand | 'unchanged' | 'skipped'> {
    const { site } = this.#options;
    const errand = { action: 'update', sendNotification: false } as const;
    try {
      const user = await site.users.findByContactId(contact.id);
      if (user === null) return 'skipped';
      const { password, afterCreate, mail } = parseSyncState(user.syncState);
      if (password !== undefined || afterCreate === true || mail === true) return errand;
      const plan = await planUpdate(site.configuration, user, contact, {
        parts: 'fields and tags',
        warn: () => undefined,
      });
      return Object.keys(plan.changes).length === 0 && plan.password === undefined ? 'unchanged' : errand;
    } catch {
      // Whatever is wrong is told by the run itself.
      return errand;
    }
  }

  /** What every contact of an import would be warned of is refused before the first one. */
  #checkImport(options: ImportOptions): void {
    refuseUnknownOptions(options, ['tag', 'role', 'sendNotification', 'restart', 'signal']);
    const { tag, role, sendNotification, signal } = options;
    const { roles, notifier } = this.#options.site.configuration;
    checkSignal(signal);
    if (typeof tag !== 'string' || tag.trim() === '') {
      throw new ConfigurationError('tag', 'must be the name or the id of a tag.');
    }
    if (role !== undefined && roles.match(role) === undefined) {
      throw new ConfigurationError('role', `${JSON.stringify(role)} is not one of roles.assignable.`);
    }
    if (sendNotification === true && notifier === undefined) {
      throw new ConfigurationError('sendNotification', 'needs a notifier, and this site has none.');
    }
  }

  async #walk(walk: {
    readonly filter: ContactFilter;
    readonly errandFor: (contact: Contact) => Promise<Errand | 'unchanged' | 'skipped'>;
    readonly remember: (id: string) => Promise<void>;
    readonly signal: AbortSignal;
    readonly tell: (progress: WalkProgress) => void;
  }): Promise<WalkProgress> {
    const { site, run } = this.#options;
    const { filter, errandFor, remember, signal, tell } = walk;
    const fields = fieldsToRead(site.configuration.fields);
    const tally = new Tally();
    /** Errands in the order of the walk; the first ones that have ended make the position. */
    const underWay: { id: string; end: Promise<void>; hasEnded: boolean }[] = [];
    /** What ended the walk before its end; the first counts. */
    const trouble: unknown[] = [];
    let remembered = Promise.resolve();
    let toRemember: string | undefined;
    const rememberAll = async (): Promise<void> => {
      for (let written: string | undefined; toRemember !== written;) {
        written = toRemember;
        if (written !== undefined) await remember(written).catch(() => undefined);
      }
      toRemember = undefined;
    };
    const advance = (): void => {
      let reached: string | undefined;
      while (underWay[0]?.hasEnded === true) reached = underWay.shift()?.id;
      if (reached === undefined) return;
      tally.reach(reached);
      const isWriting = toRemember !== undefined;
      toRemember = reached;
      // One write after the other, always of the newest; where the store is not to be had, the next walk does a little again.
      if (!isWriting) remembered = rememberAll();
    };
    const doErrand = async (errand: Errand | 'unchanged' | 'skipped', id: string): Promise<void> => {
      if (typeof errand === 'string') {
        tally.count(errand);
        return;
      }
      const end = await run(errand, id, signal);
      if (end.kind === 'failed') tally.fail({ contactId: id, ...end.failure });
      else if (end.kind === 'waiting') tally.count('waiting');
      else tally.count(isCounted(end.outcome) ? end.outcome : 'skipped');
    };

    const contacts = listContacts(site.configuration.crm, filter, { fields, signal });
    try {
      for await (const contact of contacts) {
        if (signal.aborted || trouble.length > 0) break;
        const errand = await errandFor(contact);
        const entry = { id: contact.id, hasEnded: false, end: Promise.resolve() };
        underWay.push(entry);
        entry.end = doErrand(errand, contact.id).then(
          () => {
            entry.hasEnded = true;
            advance();
            tell(tally.progress);
          },
          (error: unknown) => {
            trouble.push(error);
          },
        );
        while (underWay.length >= WINDOW && trouble.length === 0)
          // Not those that have ended behind one that has not: they would give nobody else a turn.
          await Promise.race(underWay.filter(({ hasEnded }) => !hasEnded).map(({ end }) => end));
      }
    } catch (error) {
      // A stop is no failure, however the client tells it.
      trouble.push(codeOf(error) === undefined ? crmError(error) : error);
    }
    await Promise.all(underWay.map(({ end }) => end));
    await remembered;
    if (trouble.length > 0 && !signal.aborted) throw this.#cleaned(trouble[0]);
    if (!signal.aborted) tally.finish();
    tell(tally.progress);
    return tally.progress;
  }

  #start(work: (tell: (progress: WalkProgress) => void) => Promise<WalkProgress>): Walk {
    const { closing } = this.#options;
    if (closing.aborted) throw asOurs({ code: 'SHUTTING_DOWN', message: 'The site is shutting down.' });
    const walk = startWalk(work);
    this.#underWay.add(walk.ended);
    void walk.ended.finally(() => this.#underWay.delete(walk.ended));
    return walk;
  }

  #signalOf(signal: AbortSignal | undefined): AbortSignal {
    const { closing } = this.#options;
    if (signal === undefined) return closing;
    const either = AbortSignal.any([signal, closing]);
    // One listener for each contact under way is no leak.
    setMaxListeners(0, either);
    return either;
  }

  #log(error: unknown, message: string): void {
    const { configuration, secrets } = this.#options.site;
    const details = {
      name: configuration.name,
      code: asOurs(error).code,
      cause: describeError(error, secrets),
    };
    configuration.logger.error(details, message);
  }

  /** The error as its caller may see it. */
  #cleaned(error: unknown): Error {
    const ours = asOurs(error);
    ours.message = redact(ours.message, this.#options.site.secrets);
    return ours;
  }
}

const COUNTED = ['created', 'updated', 'unchanged', 'skipped'] as const;

const isCounted = (outcome: string): outcome is (typeof COUNTED)[number] =>
  (COUNTED as readonly string[]).includes(outcome);

function listContacts(
  crm: CrmClient,
  filter: ContactFilter,
  options: { fields: readonly string[]; signal: AbortSignal },
): AsyncIterable<Contact> {
  if (crm.listContacts === undefined) {
    throw new ConfigurationError('crm', 'has no listContacts(); imports and reconciling need it.');
  }
  return crm.listContacts(filter, options);
}

function parsePosition(text: string | null): ReconcilePosition {
  try {
    const position = (text === null ? null : JSON.parse(text)) as ReconcilePosition | null;
    return position ?? { done: null };
  } catch {
    return { done: null };
  }
}

const sinceMissing = (): ConfigurationError =>
  new ConfigurationError(
    'since',
    'is missing, and no walk before this one is remembered; say since when, or { all: true }.',
  );

function checkedReconcile(options: ReconcileOptions): ReconcileOptions {
  refuseUnknownOptions(options, ['since', 'all', 'everyMs', 'signal']);
  const { since, all, everyMs, signal } = options;
  checkSignal(signal);
  if (since !== undefined && !(since instanceof Date && !Number.isNaN(since.getTime()))) {
    throw new ConfigurationError('since', 'must be a valid Date.');
  }
  if (since !== undefined && all === true) throw new ConfigurationError('all', 'cannot stand beside since.');
  if (everyMs !== undefined && !(Number.isInteger(everyMs) && everyMs >= 1000 && everyMs <= 2_147_483_647)) {
    throw new ConfigurationError('everyMs', 'must be a whole number of milliseconds, 1,000 at least.');
  }
  return options;
}

function checkSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new ConfigurationError('signal', 'must be an AbortSignal.');
}
