// What an account knows beside its contacts, and that changes rarely: the types and options of fields, the names of tags.
// Kept for an hour, loaded again earlier when a contact shows that something new exists.

import { WpFusionError } from '../../errors';
import { AbortListeners } from '../abort-listeners';
import { rawValue } from './decode';
import type { FieldMetadata } from './decode';
import type { Call, Transport } from './transport';

/** What the account says about a field, with what people call it. */
interface NamedField extends FieldMetadata {
  readonly label: string;
}

/** Field metadata by field key. */
export type Fields = ReadonlyMap<string, NamedField>;

/** Tag names by tag id. */
export type Tags = ReadonlyMap<string, string>;

const MINUTE = 60_000;
const MAX_AGE = 60 * MINUTE;
/** An id that a fresh load did not know either (of a deleted option or tag) is not worth a load a minute. */
const ASK_AGAIN_AFTER = 10 * MINUTE;
const MOST_UNKNOWN = 10_000;

/** What a {@link Catalogue} needs. */
export interface CatalogueOptions<Snapshot> {
  /** Loads everything anew; `tries` is how often each call is tried at most. */
  readonly load: (options: { signal: AbortSignal; tries?: number }) => Promise<Snapshot>;
  /** A clock in milliseconds that never goes back; default `performance.now`. */
  readonly now?: (() => number) | undefined;
}

/** Something of the account that is loaded as a whole and kept for a while. */
export class Catalogue<Snapshot> {
  readonly #load: CatalogueOptions<Snapshot>['load'];
  readonly #now: () => number;
  readonly #abortListeners = new AbortListeners();
  #snapshot: { readonly value: Snapshot; readonly asOf: number } | undefined;
  #loading: { readonly promise: Promise<Snapshot>; readonly controller: AbortController } | undefined;
  #waiting = 0;
  /** No load before this moment because of something unknown, or after a failure. */
  #notBefore = -Infinity;
  /** What was asked for in vain, and when it is worth a load again. */
  readonly #unknown = new Map<string, number>();

  constructor(options: CatalogueOptions<Snapshot>) {
    this.#load = options.load;
    this.#now = options.now ?? (() => performance.now());
  }

  /**
   * What is known, loaded where nothing is or where it is older than an hour; and loaded again, at most once a minute, when
   * something is missing in it.
   *
   * @param missing names what a snapshot lacks of that which was seen before this call.
   * @throws what `load` threw, where there is no older snapshot to go on with.
   */
  async get(
    signal: AbortSignal | undefined,
    missing: (snapshot: Snapshot) => Iterable<string>,
  ): Promise<Snapshot> {
    const askedAt = this.#now();
    const known = await this.#current(signal);
    const now = this.#now();
    const wanted = [...missing(known)].filter((name) => (this.#unknown.get(name) ?? -Infinity) <= now);
    if (wanted.length === 0) return known;
    // What was loaded since then knows whatever there was to know.
    if (this.#isSince(askedAt)) {
      this.#giveUpOn(wanted, now);
      return known;
    }
    if (this.#loading === undefined) {
      if (now < this.#notBefore) return known;
      this.#notBefore = now + MINUTE;
    }
    const fresh = await this.#reload(signal, known);
    if (this.#isSince(askedAt)) this.#giveUpOn(missing(fresh), now);
    return fresh;
  }

  /** Makes the next look load anew; what was known is still there to fall back on. */
  expire(): void {
    if (this.#snapshot !== undefined) this.#snapshot = { ...this.#snapshot, asOf: -Infinity };
    this.#notBefore = -Infinity;
    this.#unknown.clear();
  }

  #isSince(moment: number): boolean {
    return this.#snapshot !== undefined && this.#snapshot.asOf >= moment;
  }

  #giveUpOn(names: Iterable<string>, now: number): void {
    for (const name of names) {
      // Bounded, should an account ever show endless unknown ids.
      if (this.#unknown.size >= MOST_UNKNOWN) this.#unknown.clear();
      this.#unknown.set(name, now + ASK_AGAIN_AFTER);
    }
  }

  async #current(signal: AbortSignal | undefined): Promise<Snapshot> {
    const snapshot = this.#snapshot;
    if (snapshot === undefined || this.#loading !== undefined) {
      return snapshot === undefined ? this.#share(signal) : this.#reload(signal, snapshot.value);
    }
    const now = this.#now();
    if (now - snapshot.asOf < MAX_AGE || now < this.#notBefore) return snapshot.value;
    return this.#reload(signal, snapshot.value);
  }

  /** A load with something to fall back on: one try, and contacts are read with what is known where it fails. */
  async #reload(signal: AbortSignal | undefined, known: Snapshot): Promise<Snapshot> {
    try {
      return await this.#share(signal, 1);
    } catch {
      this.#notBefore = this.#now() + MINUTE;
      return known;
    }
  }

  /** One load for all who want one now. It is given up when nobody waits for it any more. */
  async #share(signal: AbortSignal | undefined, tries?: number): Promise<Snapshot> {
    this.#loading ??= this.#begin(tries);
    const { promise, controller } = this.#loading;
    let stopListening: (() => void) | undefined;
    this.#waiting += 1;
    let waits = true;
    const leave = (): void => {
      if (!waits) return;
      waits = false;
      this.#waiting -= 1;
      if (this.#waiting === 0 && this.#loading?.controller === controller) {
        this.#loading = undefined;
        controller.abort();
      }
    };
    const aborted = new Promise<never>((_, reject) => {
      if (signal === undefined) return;
      const onAbort = (): void => {
        leave();
        reject(
          new WpFusionError('CRM_UNAVAILABLE', 'Ontraport gave no metadata before the time for it was over.'),
        );
      };
      if (signal.aborted) onAbort();
      else stopListening = this.#abortListeners.add(signal, onAbort);
    });
    try {
      return await Promise.race([promise, aborted]);
    } finally {
      stopListening?.();
      leave();
    }
  }

  #begin(tries: number | undefined): { promise: Promise<Snapshot>; controller: AbortController } {
    const controller = new AbortController();
    const asOf = this.#now();
    const run = async (): Promise<Snapshot> => {
      try {
        const value = await this.#load({
          signal: controller.signal,
          ...(tries === undefined ? {} : { tries }),
        });
        this.#snapshot = { value, asOf };
        return value;
      } finally {
        if (this.#loading?.controller === controller) this.#loading = undefined;
      }
    };
    const promise = run();
    // Where everybody has left, its failure is nobody's.
    promise.catch(() => undefined);
    return { promise, controller };
  }
}

type LoadOptions = Pick<Call, 'signal' | 'tries'>;

/** Loads the field metadata of contacts (Ontraport API, "Object meta"), keyed by number or by name. */
export async function loadFields(transport: Transport, options: LoadOptions): Promise<Fields> {
  const path = '/objects/meta';
  const answer = await transport.call({
    method: 'GET',
    path,
    query: { objectID: '0', format: 'byId' },
    kind: 'read',
    ...options,
  });
  const data = answer?.data;
  // The only value: the account was asked about one type of object.
  const [type] = isRecord(data) ? Object.values(data) : [];
  if (!isRecord(type) || !('fields' in type)) throw badShape(path);
  return new Map(
    entriesOf(type.fields, path).map(([key, field]) => [
      key,
      { type: textOf(field, 'type'), label: textOf(field, 'alias'), options: optionsOf(field) },
    ]),
  );
}

const textOf = (field: unknown, name: string): string =>
  isRecord(field) ? (rawValue(field[name]) ?? '') : '';

function optionsOf(field: unknown): ReadonlyMap<string, string> {
  const options = isRecord(field) ? field.options : undefined;
  if (!isRecord(options)) return new Map();
  return new Map(Object.entries(options).map(([id, label]) => [id, rawValue(label) ?? id]));
}

const PAGE = 50;
/** No account has that many tags, nor names of so many characters; a server that never ends a list would fill the memory. */
const MOST_TAGS = 100_000;
const MOST_CHARACTERS = 10_000_000;

/** Loads the names of all contact tags (Ontraport API, "Tags"), page by page. */
export async function loadTags(transport: Transport, options: LoadOptions): Promise<Tags> {
  const path = '/objects';
  const names = new Map<string, string>();
  const seen = new Set<string>();
  let characters = 0;
  for (let page = 0; page < MOST_TAGS / PAGE; page += 1) {
    const answer = await transport.call({
      method: 'GET',
      path,
      query: {
        objectID: '14',
        start: String(page * PAGE),
        range: String(PAGE),
        // Pages of a list without an order could overlap, and leave tags out.
        sort: 'tag_id',
        sortDir: 'asc',
      },
      kind: 'read',
      ...options,
    });
    const rows = rowsOf(answer?.data, path);
    const before = seen.size;
    for (const row of rows) {
      const id = rawValue(own(row, 'tag_id'));
      if (id === null) continue;
      seen.add(id);
      const name = rawValue(own(row, 'tag_name')) ?? '';
      characters += id.length + name.length;
      if (seen.size > MOST_TAGS || characters > MOST_CHARACTERS) throw badShape(path);
      // Tags of other objects than contacts have ids in the same list.
      if ((rawValue(own(row, 'object_type_id')) ?? '0') === '0') names.set(id, name);
    }
    // A page without anything new comes from a server that ignores `start`.
    if (rows.length < PAGE || seen.size === before) break;
  }
  return names;
}

/** A row of a list. */
export type Row = Readonly<Record<string, unknown>>;

/** The rows of a list's `data`. */
export function rowsOf(data: unknown, path: string): readonly Row[] {
  if (!Array.isArray(data) || !data.every(isRecord)) throw badShape(path);
  return data;
}

/** A row's own value; whatever an object inherits is no value of a row. */
export function own(row: Row, key: string): unknown {
  return Object.hasOwn(row, key) ? row[key] : undefined;
}

/** The error for an answer that is JSON, but not what the API documents. */
export function badShape(path: string): WpFusionError {
  return new WpFusionError('CRM_BAD_RESPONSE', `Ontraport's answer to GET ${path} is not what it documents.`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The entries of a map; an empty one is written `[]`. */
function entriesOf(map: unknown, path: string): [string, unknown][] {
  if (Array.isArray(map) && map.length === 0) return [];
  if (!isRecord(map)) throw badShape(path);
  return Object.entries(map);
}
