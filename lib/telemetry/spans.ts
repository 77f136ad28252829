// Spans: work that is told to OpenTelemetry, in the trace that it belongs to. Where nobody listens the work is all that is done.
import type { Attributes, Context, Link, Span, Tracer } from '@opentelemetry/api';
import { api, SCOPE, VERSION } from './api';

export type { Attributes, Span };

/** The trace that something belongs to, as plain data that survives JSON: the headers of W3C's Trace Context, mostly. */
export type Trace = Readonly<Record<string, string>>;

/** The trace that something belongs to, within this process; `undefined` without OpenTelemetry. */
export type Place = Context | undefined;

/** What a span is told at its start. */
export interface SpanOptions {
  /** Whether it is a call to somebody else, or a message on its way out or in; else it is work within the process. */
  readonly kind?: 'client' | 'producer' | 'consumer' | undefined;
  /** Asked for only where somebody listens. */
  readonly attributes?: (() => Attributes) | undefined;
  /** What it is part of; else the span that is active. */
  readonly parent?: Place;
  /** Whatever else it has to do with. */
  readonly links?: readonly Place[] | undefined;
}

/** What an error's code looks like. Anything else could be anything, a secret too. */
const CODE = /^[A-Z][A-Z0-9_]{0,59}$/;

/** The provider of the API itself, in whichever copy of it. */
interface Handing {
  readonly getDelegateTracer?: ((name: string, version: string) => Tracer | undefined) | undefined;
}

/** Who listens; `undefined`: nobody, and nothing is to be prepared. */
function listener(): Tracer | undefined {
  const provider = api?.trace.getTracerProvider();
  if (api === undefined || provider === undefined) return undefined;
  // Until the site has set up an SDK, the provider that everybody gets has nobody to hand on to.
  const { getDelegateTracer } = provider as Handing;
  return getDelegateTracer === undefined
    ? provider.getTracer(SCOPE, VERSION)
    : getDelegateTracer.call(provider, SCOPE, VERSION);
}

/** Whether anybody listens to spans. */
export const isListening = (): boolean => listener() !== undefined;

/** Begins a span; `undefined` where nobody listens. Whoever begins it ends it. */
export function beginSpan(name: string, options: SpanOptions): Span | undefined {
  const tracer = listener();
  if (api === undefined || tracer === undefined) return undefined;
  const { kind, attributes, parent = api.context.active(), links = [] } = options;
  const { CONSUMER, PRODUCER, CLIENT, INTERNAL } = api.SpanKind;
  const kinds = { consumer: CONSUMER, producer: PRODUCER, client: CLIENT };
  const details = {
    kind: kind === undefined ? INTERNAL : kinds[kind],
    attributes: attributes?.() ?? {},
    links: links.flatMap(linkTo),
  };
  return tracer.startSpan(name, details, parent);
}

/** Runs `work` in a span, which is active meanwhile: also for what the site's own code does in it. */
export function inSpan<Value>(
  name: string,
  options: SpanOptions,
  work: (span: Span | undefined) => Promise<Value>,
): Promise<Value> {
  const span = beginSpan(name, options);
  if (api === undefined || span === undefined) return work(undefined);
  const place = api.trace.setSpan(options.parent ?? api.context.active(), span);
  return api.context.with(place, () => toTheEnd(span, work));
}

async function toTheEnd<Value>(span: Span, work: (span: Span) => Promise<Value>): Promise<Value> {
  try {
    return await work(span);
  } catch (error) {
    hasFailed(span, codeIn(error));
    throw error;
  } finally {
    span.end();
  }
}

/** Says of a span that it failed. Never with a message: that of a foreign error may quote a secret. */
export function hasFailed(span: Span | undefined, code: string): void {
  if (api === undefined || span === undefined) return;
  span.setAttribute('error.type', code);
  span.setStatus({ code: api.SpanStatusCode.ERROR });
}

/** The code of an error, or of what it was caused by. */
function codeIn(error: unknown): string {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } | null };
  return (
    [code, cause?.code].find((one): one is string => typeof one === 'string' && CODE.test(one)) ?? '_OTHER'
  );
}

/** Where the work that is under way belongs. */
export const here = (): Place => api?.context.active();

/** What is part of nothing. */
export const nowhere = (): Place => api?.ROOT_CONTEXT;

/** Runs `work` as part of nothing: what many have a share in is not part of the one that happened to come first. */
export function apart<Value>(work: () => Value): Value {
  return api === undefined ? work() : api.context.with(api.ROOT_CONTEXT, work);
}

/** Runs `work` as part of the first of several, with nothing told of it. */
export function asPartOf<Value>([first]: readonly Place[], work: () => Value): Value {
  return api === undefined || first === undefined ? work() : api.context.with(first, work);
}

/**
 * Runs what several have asked for in one span. It is part of the first one's trace (of those that are recorded, if any are) and
 * linked to the others, whose own spans are linked to it where the API can do that.
 */
export function inSharedSpan<Value>(
  name: string,
  attributes: () => Attributes,
  places: readonly Place[],
  work: () => Promise<Value>,
): Promise<Value> {
  if (!isListening()) return work();
  const parent = places.find(isRecorded) ?? places[0];
  const links = [...new Set(places)].filter((place) => place !== parent);
  return inSpan(name, { attributes, parent, links }, (span) => {
    for (const place of links) {
      const other = place && api?.trace.getSpan(place);
      // Since 1.9 of the API.
      if (span !== undefined && other?.isRecording() === true)
        (other as Partial<Span>).addLink?.({ context: span.spanContext() });
    }
    return work();
  });
}

/** The trace that is under way, to be taken along; `undefined` where there is none. Without baggage, which is the site's own. */
export function traceHere(): Trace | undefined {
  const place = api?.context.active();
  if (api === undefined || place === undefined || api.trace.getSpanContext(place) === undefined)
    return undefined;
  const trace: Record<string, string> = {};
  api.propagation.inject(api.propagation.deleteBaggage(place), trace);
  return Object.keys(trace).length === 0 ? undefined : trace;
}

/** Where something belongs that was taken along; `undefined` where it has no trace. */
export function placeOf(trace: unknown): Place {
  if (api === undefined || typeof trace !== 'object' || trace === null) return undefined;
  const place = api.propagation.extract(api.ROOT_CONTEXT, trace);
  return api.trace.getSpanContext(place) === undefined ? undefined : place;
}

function isRecorded(place: Place): boolean {
  const flags = place && api?.trace.getSpanContext(place)?.traceFlags;
  return flags !== undefined && (flags & 1) === 1;
}

function linkTo(place: Place): Link[] {
  const context = place && api?.trace.getSpanContext(place);
  return context === undefined ? [] : [{ context }];
}
