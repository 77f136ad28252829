// BullMQ's OpenTelemetry: a webhook that is stored and the work on its contact are spans of one trace, in whichever process.
import { trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { context, propagation } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { BullMQOtel } from 'bullmq-otel';
import { ADD, beDone, closeScenes, giveUp, NAME, openScene, takeSome } from './scene';
import { isRedisThere } from './redis-server';

const exporter = new InMemorySpanExporter();

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
});
afterEach(async () => {
  await closeScenes();
  exporter.reset();
});
afterAll(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

const spans = () =>
  exporter.getFinishedSpans().map((span) => ({
    name: span.name,
    trace: span.spanContext().traceId,
    id: span.spanContext().spanId,
    parent: span.parentSpanContext?.spanId,
    job: span.attributes['bullmq.job.id'],
  }));

(isRedisThere() ? describe : describe.skip)('spans', () => {
  test('what is stored, and the work on it in another process, are one trace', async () => {
    const scene = await openScene({ telemetry: new BullMQOtel({ tracerName: 'site' }) });
    const worker = scene.open();
    await scene.queue.put(NAME, '7', ADD);
    const [taken] = await takeSome(worker);
    const [add] = spans();
    expect(add).toMatchObject({ name: `add wp-fusion-webhook.${NAME}.add`, parent: undefined });
    expect(spans()).toHaveLength(1);
    await beDone(worker, taken!);
    await worker.close();
    const process = spans().find(({ name }) => name === `process wp-fusion-webhook.${NAME}`);
    expect(process).toMatchObject({ trace: add!.trace, parent: add!.id, job: add!.job });
  });

  test('they hold no more of a webhook than its action and the id of its wake-up', async () => {
    const { queue } = await openScene({ telemetry: new BullMQOtel({ tracerName: 'site' }) });
    await queue.put(NAME, '7', { ...ADD, email: 'someone@example.com', role: 'customer' });
    const [taken] = await takeSome(queue);
    await giveUp(queue, taken!, 'CONTACT_CONFLICT');
    const told = JSON.stringify(
      exporter.getFinishedSpans().map(({ attributes, events }) => [attributes, events]),
    );
    expect(told).not.toContain('someone@example.com');
    expect(told).not.toContain('customer');
  });

  test('a span of work that was never finished ends with the queue', async () => {
    const { queue } = await openScene({ telemetry: new BullMQOtel({ tracerName: 'site' }) });
    await queue.put(NAME, '7', ADD);
    await takeSome(queue);
    expect(spans()).toHaveLength(1);
    await queue.close();
    expect(spans()).toHaveLength(2);
  });
});
