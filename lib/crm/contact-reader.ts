// Group commit for contact reads: many callers that each want one contact share few calls to the CRM.
// No cache: a read is only ever answered by a call that started after it was asked for.

import { codeOf, WpFusionError } from '../errors';
import { asPartOf, here, inSharedSpan, type Attributes, type Place } from '../telemetry/spans';
import { AbortListeners } from './abort-listeners';
import type { Contact, FieldValue, ReadOptions } from './client';

/** What a {@link ContactReader} needs. */
export interface ContactReaderOptions {
  /** Reads up to `maxBatchSize` distinct contacts in one call; as {@link CrmClient.getContacts}. */
  readonly fetch: (ids: readonly string[], options: ReadOptions) => Promise<ReadonlyMap<string, Contact>>;
  /** How many distinct ids one call may have. */
  readonly maxBatchSize: number;
  /** The name of the span that tells of a call; default: none. */
  readonly span?: string | undefined;
  /** How many calls may be under way at once; default 4. */
  readonly maxInFlight?: number | undefined;
  /** Milliseconds after which a call counts as slow, and no longer keeps the next one waiting; default 1000. */
  readonly slowAfterMs?: number | undefined;
  /** Milliseconds that a patient read waits for others at most; default 1000. */
  readonly patienceMs?: number | undefined;
  /**
   * What holds the CRM up at this moment, where that is known. It becomes the error of a read that is given up, so that
   * "the rate limit is used up, come back in 20 s" is not lost in a plain "no answer in time".
   */
  readonly trouble?: (() => Error | undefined) | undefined;
  /** Milliseconds that a partial batch waits for company at this moment, where calls are scarce; default 0. */
  readonly lingerMs?: (() => number) | undefined;
  /** A clock in milliseconds that never goes back; default `performance.now`. */
  readonly now?: (() => number) | undefined;
}

/** What one read takes beside the id. */
export interface ContactReadOptions extends ReadOptions {
  /** Whether the read may wait for others to share a call with (see {@link ContactReader.expect}); default `false`. */
  readonly patient?: boolean | undefined;
}

/** The announcement of a patient read. Every ticket ends with `read` or `release`; until then it keeps others waiting. */
export interface Ticket {
  /** Does the announced read. A second read with the same ticket is a patient read without one. */
  read(id: string, options?: ReadOptions): Promise<Contact | undefined>;
  /** Says that the announced read will not come. Does nothing after `read`, or when called again. */
  release(): void;
}

/** The longest that a partial batch waits for the rest of a burst. */
const MAX_BURST_GAP_MS = 250;

/** One caller that waits for one contact. */
interface Waiter {
  readonly id: string;
  readonly fields: readonly string[] | undefined;
  readonly since: number;
  /** What the read is part of. */
  readonly place: Place;
  batch: Batch | undefined;
  resolve(contact: Contact | undefined): void;
  reject(error: Error): void;
}

/** One call under way. */
interface Batch {
  readonly waiters: Set<Waiter>;
  readonly controller: AbortController;
  readonly startedAt: number;
}

/**
 * Gathers reads of single contacts into calls for many.
 *
 * - The first read goes at once, with what is asked for in the same turn of the event loop; what comes while a call is under way
 *   goes together in the next.
 * - A full batch starts at once beside others, up to `maxInFlight`; a partial one only when no call is under way, or when
 *   all that are have been for longer than `slowAfterMs`: so an answer that takes a minute stalls nobody.
 * - After a call for several, a partial batch waits for as long as that call took (250 ms at most): in a burst more are coming.
 *   Reads one after the other never wait.
 * - Where calls are scarce (`lingerMs`), a partial batch waits a little for company first.
 * - Equal ids in one batch are asked for once, with all the fields that anybody wants; so a contact may hold more fields than
 *   a caller asked for. Callers never share an object.
 * - A call that fails fails its own callers only, all with the same error.
 *
 * Not promised: that reads are answered in the order in which they were asked for.
 */
export class ContactReader {
  readonly #fetch: ContactReaderOptions['fetch'];
  readonly #span: string | undefined;
  readonly #trouble: () => Error | undefined;
  readonly #lingerMs: () => number;
  readonly #now: () => number;
  readonly #maxBatchSize: number;
  readonly #maxInFlight: number;
  readonly #slowAfterMs: number;
  readonly #patienceMs: number;

  /** Reads that go with the next call, and those that would rather wait for company; both in order of arrival. */
  readonly #urgent = new Set<Waiter>();
  readonly #patient = new Set<Waiter>();
  readonly #inFlight = new Set<Batch>();
  readonly #abortListeners = new AbortListeners();
  #openTickets = 0;
  /** Until when a burst seems to go on: a partial batch waits for the rest of it. */
  #burstUntil = -Infinity;
  #turnScheduled = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ContactReaderOptions) {
    this.#fetch = options.fetch;
    this.#span = options.span;
    this.#trouble = options.trouble ?? (() => undefined);
    this.#lingerMs = options.lingerMs ?? (() => 0);
    this.#now = options.now ?? (() => performance.now());
    this.#maxBatchSize = Math.max(1, options.maxBatchSize);
    this.#maxInFlight = Math.max(1, options.maxInFlight ?? 4);
    this.#slowAfterMs = options.slowAfterMs ?? 1000;
    this.#patienceMs = options.patienceMs ?? 1000;
  }

  /**
   * Reads one contact as it is now.
   *
   * @returns the contact, or `undefined` where the CRM has none with this id.
   * @throws what `fetch` threw; when `signal` is aborted, its reason if that has one of this package's codes, else what
   *   `trouble` says, else `CRM_UNAVAILABLE`.
   */
  read(id: string, options: ContactReadOptions = {}): Promise<Contact | undefined> {
    const { fields, signal, patient = false } = options;
    if (signal?.aborted) return Promise.reject(this.#abandonment(signal));
    return new Promise((resolve, reject) => {
      let stopListening = (): void => undefined;
      const waiter: Waiter = {
        id,
        fields,
        since: this.#now(),
        place: here(),
        batch: undefined,
        resolve: (contact) => {
          stopListening();
          resolve(contact);
        },
        reject: (error) => {
          stopListening();
          reject(error);
        },
      };
      if (signal !== undefined) {
        stopListening = this.#abortListeners.add(signal, () =>
          this.#leave(waiter, this.#abandonment(signal)),
        );
      }
      (patient ? this.#patient : this.#urgent).add(waiter);
      this.#scheduleTurn();
    });
  }

  /**
   * Announces that a patient read will be asked for soon.
   *
   * Patient reads wait to be gathered. They go when a call departs that has room for them, when a full batch of them waits,
   * when all that are announced have come or been released (so a lone one goes at once), or when the oldest has waited for
   * `patienceMs`. From then on they are reads like others.
   *
   * @example
   * const ticket = reader.expect();
   * try {
   *   await createUser();
   *   contact = await ticket.read(id, { signal });
   * } finally {
   *   ticket.release();
   * }
   */
  expect(): Ticket {
    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      this.#openTickets -= 1;
      if (this.#patient.size > 0) this.#scheduleTurn();
    };
    this.#openTickets += 1;
    return {
      read: (id, options) => {
        close();
        return this.read(id, { ...options, patient: true });
      },
      release: close,
    };
  }

  /** Decides at the end of this turn of the event loop, when everybody who asks in it has asked. */
  #scheduleTurn(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    setImmediate(() => {
      this.#turnScheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    this.#promotePatient();
    while (this.#urgent.size > 0 && this.#inFlight.size < this.#maxInFlight) {
      const isFull = countIds(this.#urgent, this.#maxBatchSize) >= this.#maxBatchSize;
      if (!isFull && !this.#mayStartPartial()) break;
      this.#start();
    }
    this.#setTimer();
  }

  /** Makes those patient reads urgent that have waited enough. */
  #promotePatient(): void {
    const [oldest] = this.#patient;
    if (oldest === undefined) return;
    if (this.#openTickets === 0 || this.#now() - oldest.since >= this.#patienceMs) {
      for (const waiter of this.#patient) this.#urgent.add(waiter);
      this.#patient.clear();
      return;
    }
    while (countIds(this.#patient, this.#maxBatchSize) >= this.#maxBatchSize) {
      for (const waiter of take(this.#patient, new Set(), this.#maxBatchSize)) this.#urgent.add(waiter);
    }
  }

  #mayStartPartial(): boolean {
    const now = this.#now();
    const [oldest] = this.#urgent;
    if (oldest !== undefined && now - oldest.since < this.#lingerMs()) return false;
    if (now < this.#burstUntil) return false;
    return [...this.#inFlight].every((batch) => now - batch.startedAt >= this.#slowAfterMs);
  }

  #start(): void {
    const ids = new Set<string>();
    const waiters = new Set([
      ...take(this.#urgent, ids, this.#maxBatchSize),
      ...take(this.#patient, ids, this.#maxBatchSize),
    ]);
    const batch: Batch = { waiters, controller: new AbortController(), startedAt: this.#now() };
    for (const waiter of waiters) waiter.batch = batch;
    this.#inFlight.add(batch);
    void this.#run(batch, [...ids], fieldsOfAll(waiters));
  }

  async #run(batch: Batch, ids: readonly string[], fields: readonly string[] | undefined): Promise<void> {
    try {
      const call = (): ReturnType<ContactReaderOptions['fetch']> =>
        this.#fetch(ids, { fields, signal: batch.controller.signal });
      const places = [...batch.waiters].map(({ place }) => place);
      const attributes = (): Attributes => ({ 'wp_fusion_webhook.contact_count': ids.length });
      const contacts = await (this.#span === undefined
        ? asPartOf(places, call)
        : inSharedSpan(this.#span, attributes, places, call));
      const given = new Set<string>();
      for (const waiter of batch.waiters) {
        const contact = contacts.get(waiter.id);
        const isShared = given.has(waiter.id);
        given.add(waiter.id);
        waiter.resolve(contact !== undefined && isShared ? copyOf(contact) : contact);
      }
    } catch (error) {
      // An error is passed on as it was thrown.
      for (const waiter of batch.waiters) waiter.reject(error as Error);
    } finally {
      this.#inFlight.delete(batch);
      const now = this.#now();
      if (ids.length > 1) this.#burstUntil = now + Math.min(now - batch.startedAt, MAX_BURST_GAP_MS);
      this.#scheduleTurn();
    }
  }

  /** A caller that gives up. The last one of a call takes the call with it, whether `fetch` minds its signal or not. */
  #leave(waiter: Waiter, error: Error): void {
    this.#urgent.delete(waiter);
    this.#patient.delete(waiter);
    const { batch } = waiter;
    if (batch?.waiters.delete(waiter) && batch.waiters.size === 0) {
      this.#inFlight.delete(batch);
      batch.controller.abort(error);
      this.#scheduleTurn();
    }
    waiter.reject(error);
  }

  #abandonment(signal: AbortSignal): Error {
    const reason: unknown = signal.reason;
    if (codeOf(reason) !== undefined) return reason as Error;
    return (
      this.#trouble() ??
      new WpFusionError('CRM_UNAVAILABLE', 'The CRM gave no answer before the time for the read was over.')
    );
  }

  /** Comes back when a call under way begins to count as slow, or a patient read has waited enough. */
  #setTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const due: number[] = [];
    const [first] = this.#urgent;
    if (first !== undefined && this.#inFlight.size < this.#maxInFlight) {
      const slowAt = [...this.#inFlight].map((batch) => batch.startedAt + this.#slowAfterMs);
      due.push(Math.max(first.since + this.#lingerMs(), this.#burstUntil, ...slowAt));
    }
    const [oldest] = this.#patient;
    if (oldest !== undefined) due.push(oldest.since + this.#patienceMs);
    if (due.length === 0) return;
    const delay = Math.max(1, Math.ceil(Math.min(...due) - this.#now()));
    this.#timer = setTimeout(() => this.#turn(), delay);
    this.#timer.unref();
  }
}

/** How many distinct ids wait; counts no further than `atMost`. */
function countIds(waiters: Iterable<Waiter>, atMost: number): number {
  const ids = new Set<string>();
  for (const waiter of waiters) {
    ids.add(waiter.id);
    if (ids.size >= atMost) break;
  }
  return ids.size;
}

/** Takes from a queue, in order, who is among `ids` or still has room there, and adds their ids. */
function take(queue: Set<Waiter>, ids: Set<string>, room: number): Waiter[] {
  const taken: Waiter[] = [];
  for (const waiter of queue) {
    if (!ids.has(waiter.id) && ids.size >= room) continue;
    ids.add(waiter.id);
    queue.delete(waiter);
    taken.push(waiter);
  }
  return taken;
}

/** What all waiters together want; one that wants whatever there is makes that everybody's. */
function fieldsOfAll(waiters: Iterable<Waiter>): readonly string[] | undefined {
  const fields = new Set<string>();
  for (const waiter of waiters) {
    if (waiter.fields === undefined) return undefined;
    for (const field of waiter.fields) fields.add(field);
  }
  return [...fields];
}

/** A second object for a second caller: one that changes its contact must not change another's. */
function copyOf(contact: Contact): Contact {
  const copyValue = (value: FieldValue): FieldValue => (Array.isArray(value) ? [...value] : value);
  const fields = Object.entries(contact.fields).map(([key, value]) => [key, copyValue(value)] as const);
  return {
    ...contact,
    tags: contact.tags.map((tag) => ({ ...tag })),
    fields: Object.fromEntries(fields),
    ...(contact.raw === undefined ? {} : { raw: { ...contact.raw } }),
  };
}
