// What the tests of the telemetry share: OpenTelemetry's SDK as a site sets it up, and what it has gathered as text.
import { context, metrics, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  AggregationTemporality,
  InstrumentType,
  MeterProvider,
  MetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import createKnex, { type Knex } from 'knex';
import { KnexWebhookQueue, migrate } from '../../lib/knex';
import { WORKER_TIMING } from '../../lib/options';

const exporter = new InMemorySpanExporter();

/** In which order spans began: their times are too coarse to tell. */
const order = new Map<string, number>();
class Ordered extends SimpleSpanProcessor {
  override onStart(span: ReadableSpan): void {
    order.set(span.spanContext().spanId, order.size);
  }
}

/** Collects when a test asks for it. Of what is asked for at that moment it shows only what was answered then. */
class Reader extends MetricReader {
  constructor() {
    super({
      aggregationTemporalitySelector: (type) =>
        type === InstrumentType.OBSERVABLE_GAUGE
          ? AggregationTemporality.DELTA
          : AggregationTemporality.CUMULATIVE,
    });
  }
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

let reader = new Reader();

/** Sets OpenTelemetry up, as a site does at its start. */
export function setUp(): void {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(
    new CompositePropagator({
      propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
    }),
  );
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new Ordered(exporter)] }));
  reader = new Reader();
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
}

/** Forgets what was gathered. */
export function forget(): void {
  exporter.reset();
}

/** Takes it away again. */
export function tearDown(): void {
  for (const api of [trace, context, propagation, metrics]) api.disable();
  forget();
}

/** The spans that have ended, in the order they began. */
export const spans = (): ReadableSpan[] =>
  [...exporter.getFinishedSpans()].sort((one, other) => rankOf(one) - rankOf(other));

const rankOf = (span: ReadableSpan): number => order.get(span.spanContext().spanId) ?? Infinity;

export const spansNamed = (name: string): ReadableSpan[] => spans().filter((span) => span.name === name);

/** What `tree` shows of attributes, where a span has them. */
const SHOWN = [
  'wp_fusion_webhook.outcome',
  'error.type',
  'http.response.status_code',
  'http.request.resend_count',
  'wp_fusion_webhook.contact_count',
  'messaging.batch.message_count',
];

/** The spans as a reader of traces sees them, each below what it is part of; of those that `isShown`. */
export function tree(isShown: (span: ReadableSpan) => boolean = () => true): string {
  const all = spans();
  const byId = new Map(all.map((span) => [span.spanContext().spanId, span]));
  const line = (span: ReadableSpan): string =>
    [
      span.name,
      ...(span.kind === SpanKind.INTERNAL ? [] : [SpanKind[span.kind]]),
      ...(span.status.code === SpanStatusCode.ERROR ? ['ERROR'] : []),
      ...SHOWN.filter((key) => key in span.attributes).map(
        (key) => `${key.split('.').at(-1)}=${String(span.attributes[key])}`,
      ),
      ...span.links.map(
        (link) =>
          `-> ${contactOf(byId.get(link.context.spanId))}${byId.get(link.context.spanId)?.name ?? 'somebody'}`,
      ),
    ].join(' ');
  const below = (parent: string | undefined, depth: number): string[] =>
    all
      .filter((span) => span.parentSpanContext?.spanId === parent)
      .flatMap((span) => [
        ...(isShown(span) ? [`${'  '.repeat(depth)}${line(span)}`] : []),
        ...below(span.spanContext().spanId, depth + 1),
      ]);
  const orphans = all.filter(
    ({ parentSpanContext: parent }) => parent !== undefined && !byId.has(parent.spanId),
  );
  if (orphans.length > 0) throw new Error(`Whose parents are these: ${orphans.map(line).join(', ')}?`);
  return below(undefined, 0).join('\n');
}

const contactOf = (span: ReadableSpan | undefined): string => {
  const contact = span?.attributes['wp_fusion_webhook.contact_id'];
  return typeof contact === 'string' ? `${contact}: ` : '';
};

/** The points of a metric: its attributes and value, or for a histogram how many values there were, and their sum. */
export interface Point {
  readonly attributes: Record<string, unknown>;
  readonly value: number;
  readonly sum?: number | undefined;
}

/** Every metric at this moment, by name. */
export async function collect(): Promise<Record<string, { unit: string; points: Point[] }>> {
  const { resourceMetrics, errors } = await reader.collect();
  if (errors.length > 0) throw errors[0];
  const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  return Object.fromEntries(
    all.map(({ descriptor, dataPoints }) => [
      descriptor.name,
      {
        unit: descriptor.unit,
        points: dataPoints.map(({ attributes, value }) =>
          typeof value === 'number'
            ? { attributes, value }
            : { attributes, value: value.count, sum: value.sum },
        ),
      },
    ]),
  );
}

/** Everything that was told, for a search. */
export async function everything(): Promise<string> {
  const told = exporter.getFinishedSpans().map(({ name, attributes, events, links, status, resource }) => ({
    ...{ name, attributes, events, status, resource: resource.attributes },
    links: links.map((link) => link.attributes),
  }));
  return JSON.stringify([told, await collect()]);
}

/** A worker that is quick to look, and a queue in a database in memory. */
export const QUICK = { [WORKER_TIMING]: { pollMs: 5, gatherMs: 5, pauseMs: 1 } };

export async function openQueue(): Promise<{ knex: Knex; queue: KnexWebhookQueue }> {
  const knex = createKnex({
    client: 'better-sqlite3',
    connection: { filename: ':memory:' },
    useNullAsDefault: true,
  });
  await migrate(knex, { users: false });
  return { knex, queue: new KnexWebhookQueue(knex) };
}
