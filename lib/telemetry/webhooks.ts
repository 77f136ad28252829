// What the spans of a webhook are called, and what they say: while its request is answered, when it is stored, and when it is worked
// off. By the semantic conventions for messaging, as far as those have a word for it. docs/telemetry.md lists all of it.
import type { Attributes } from '@opentelemetry/api';
import { api } from './api';
import type { Instruments } from './instruments';
import {
  beginSpan,
  hasFailed,
  here,
  inSpan,
  isListening,
  nowhere,
  placeOf,
  traceHere,
  type Span,
  type Trace,
} from './spans';

/** What becomes known of a webhook on its way. Nothing of it is secret. */
export interface Facts {
  readonly action?: string | undefined;
  readonly contactId?: string | null | undefined;
  readonly correlationId?: string | undefined;
  readonly dryRun?: boolean | undefined;
  /** How it ended, … */
  readonly outcome?: string | undefined;
  /** … or what it failed with. */
  readonly code?: string | undefined;
}

/** Says what has become known. */
export type Tell = (facts: Facts) => void;

/** What is known of a stored webhook. */
interface Message {
  readonly action: string;
  readonly correlationId?: string | undefined;
  readonly trace?: Trace | undefined;
}

/** What waits for a contact, and the trace of whoever brought it. */
interface Delivery {
  readonly contactId: string;
  readonly trace?: Trace | undefined;
  readonly jobs: readonly { readonly id: string; readonly job: Message }[];
}

/** The one word for our spans and metrics. */
const OURS = 'wp_fusion_webhook';

/** How the names of the queues begin. */
const destinationOf = (name: string): string => `wp-fusion-webhook.${name}`;

/** Answers a request in a span, and measures how long that takes. */
export function answering(
  name: string,
  instruments: Instruments,
  work: (tell: Tell) => Promise<void>,
): Promise<void> {
  const startedAt = performance.now();
  let known: Facts = {};
  return inSpan(OURS, { attributes: () => ({ [`${OURS}.name`]: name }) }, async (span) => {
    await work((facts) => {
      known = { ...known, ...facts };
      if (facts.action !== undefined) span?.updateName(`${OURS} ${facts.action}`);
      tellSpan(span, facts);
    });
    instruments.answered(startedAt, known);
  });
}

/** Does for a contact what no request asked for, in a span. */
export function onErrand<Value>(
  name: string,
  facts: Facts & { readonly action: string },
  work: () => Promise<Value>,
): Promise<Value> {
  const attributes = (): Attributes => ({ [`${OURS}.name`]: name, ...attributesOf(facts) });
  return inSpan(`${OURS} ${facts.action}`, { attributes }, work);
}

/** Stores a webhook in a span; `store` is given the trace to be stored with it, and gives its id. */
export function sending(
  name: string,
  facts: Facts,
  store: (trace: Trace | undefined) => Promise<string>,
): Promise<string> {
  const attributes = (): Attributes => ({ ...messaging(name, 'send'), ...attributesOf(facts) });
  return inSpan(`send ${destinationOf(name)}`, { kind: 'producer', attributes }, async (span) => {
    const id = await store(traceHere());
    span?.setAttribute('messaging.message.id', id);
    return id;
  });
}

/**
 * Works a contact off in a span: part of the trace in which its first webhook was stored, and linked to those of the others. These get
 * spans in their own traces, which are linked to this one.
 */
export async function processing(
  name: string,
  delivery: Delivery,
  work: (tell: Tell) => Promise<void>,
): Promise<void> {
  if (!isListening()) {
    await work(() => undefined);
    return;
  }
  const { contactId, jobs } = delivery;
  const messages = jobs.map(({ id, job }) => ({ id, job, place: placeOf(job.trace) }));
  const parent =
    placeOf(delivery.trace) ?? messages.find(({ place }) => place !== undefined)?.place ?? nowhere();
  const main = messages.find(({ place }) => traceIdIn(place) === traceIdIn(parent)) ?? messages[0];
  const others = messages.filter((message) => message !== main);
  const attributes = ({ id, job: { action, correlationId } }: (typeof messages)[number]): Attributes => ({
    ...messaging(name, 'process'),
    'messaging.message.id': id,
    ...attributesOf({ action, contactId, correlationId }),
  });
  const options = {
    kind: 'consumer',
    parent,
    attributes: () => ({
      ...(main && attributes(main)),
      ...(jobs.length > 1 ? { 'messaging.batch.message_count': jobs.length } : {}),
    }),
    // One that was brought in another trace is no part of its own.
    links: messages
      .filter((one) => one !== main || traceIdIn(one.place) !== traceIdIn(parent))
      .map(({ place }) => place),
  } as const;
  const title = `process ${destinationOf(name)}`;
  await inSpan(title, options, async (span) => {
    const spans = [span];
    for (const other of others) {
      const { place } = other;
      if (place === undefined) continue;
      spans.push(
        beginSpan(title, {
          kind: 'consumer',
          parent: place,
          attributes: () => attributes(other),
          links: [here()],
        }),
      );
    }
    try {
      await work((facts) => {
        for (const each of spans) tellSpan(each, facts);
      });
    } finally {
      for (const other of spans.slice(1)) other?.end();
    }
  });
}

function tellSpan(span: Span | undefined, facts: Facts): void {
  if (span?.isRecording() !== true) return;
  span.setAttributes(attributesOf(facts));
  if (facts.code !== undefined) hasFailed(span, facts.code);
}

function attributesOf({ action, contactId, correlationId, dryRun, outcome }: Facts): Attributes {
  return {
    ...(action === undefined ? {} : { [`${OURS}.action`]: action }),
    ...(contactId == null ? {} : { [`${OURS}.contact_id`]: contactId }),
    ...(correlationId === undefined ? {} : { [`${OURS}.correlation_id`]: correlationId }),
    ...(dryRun === true ? { [`${OURS}.dry_run`]: dryRun } : {}),
    ...(outcome === undefined ? {} : { [`${OURS}.outcome`]: outcome }),
  };
}

const messaging = (name: string, operation: 'send' | 'process'): Attributes => ({
  'messaging.system': OURS,
  'messaging.destination.name': destinationOf(name),
  'messaging.operation.name': operation,
  'messaging.operation.type': operation,
});

const traceIdIn = (place: ReturnType<typeof placeOf>): string | undefined =>
  place && api?.trace.getSpanContext(place)?.traceId;
