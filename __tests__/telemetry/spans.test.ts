// The traces of webhooks: what is part of what, in which trace, and what it says of its end.
import { context, propagation, SpanKind, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import express from 'express';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { MemoryUserRepository, OntraportClient, wpFusionWebhook } from '../../lib';
import { KnexWebhookQueue } from '../../lib/knex';
import { inSharedSpan } from '../../lib/telemetry/spans';
import { ACCESS_KEY, pinger, startProcess, startSandbox, until, type LocalProcess } from '../actions/site';
import { isEmpty, open } from '../worker/scene';
import { forget, openQueue, QUICK, setUp, spans, spansNamed, tearDown, tree } from './scene';

beforeAll(setUp);
afterEach(forget);
afterAll(tearDown);

/** The repository's and the catalogue's calls are the same in all traces; one test shows them. */
const shortly = ({ name }: { name: string }): boolean => !/repository|GET \/objects/.test(name);
const SEND = 'send wp-fusion-webhook.default';
const PROCESS = 'process wp-fusion-webhook.default';

/** A site that stores in a queue. With `worker: false` nobody works it off yet. */
async function startQueued({ worker = true }: { worker?: boolean } = {}) {
  const sandbox = await startSandbox();
  const { knex, queue } = await openQueue();
  const users = new MemoryUserRepository();
  const start = (options: object = {}): Promise<LocalProcess> =>
    startProcess(sandbox, users, { queue, ...QUICK, ...options });
  const site = await start({ worker });
  const addContact = (name: string): string =>
    sandbox.addContact({ firstname: name, email: `${name}@example.com`, tags: ['Customer'] });
  /** Waits until nothing waits any more, and every span has ended. */
  const workedOff = async (worker: LocalProcess): Promise<void> => {
    await until(async () => (await queue.counts('default')).waiting === 0);
    await worker.close();
    await knex.destroy();
  };
  return { sandbox, knex, queue, users, site, start, addContact, workedOff };
}

describe('a webhook inside its request', () => {
  test("is part of the host's request; the host's own spans are part of what it is done in", async () => {
    const sandbox = await startSandbox();
    const tracer = trace.getTracer('site');
    const ownSpan = (name: string): void => tracer.startSpan(name).end();
    class Users extends MemoryUserRepository {
      override async findByEmail(email: string) {
        ownSpan('SELECT users');
        return super.findByEmail(email);
      }
    }
    const webhook = wpFusionWebhook({
      accessKey: ACCESS_KEY,
      crm: new OntraportClient({ appId: sandbox.appId, apiKey: sandbox.apiKey, baseUrl: sandbox.baseUrl }),
      users: new Users(),
      hooks: { afterCreate: () => ownSpan('enrol') },
      notifier: { sendWelcome: async () => ownSpan('send mail') },
      logger: false,
    });
    const app = express();
    app.use((_request, response, next) => {
      tracer.startActiveSpan('POST', { kind: SpanKind.SERVER }, (span) => {
        response.on('finish', () => span.end());
        next();
      });
    });
    app.use(webhook);
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const id = sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com' });
    const ping = pinger(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await ping('add', id, { send_notification: 'true' });
    await webhook.close();
    server.closeAllConnections();
    server.close();

    expect(tree()).toBe(
      `
POST SERVER
  wp_fusion_webhook add outcome=created
    wp_fusion_webhook.repository findByContactId
    wp_fusion_webhook read contact
      wp_fusion_webhook.crm getContacts contact_count=1
        GET /Contacts CLIENT status_code=200
        GET /objects/meta CLIENT status_code=200
    wp_fusion_webhook.repository findByEmail
      SELECT users
    wp_fusion_webhook.repository create
    wp_fusion_webhook.crm getContacts contact_count=1
      GET /Contacts CLIENT status_code=200
    wp_fusion_webhook.repository update
    enrol
    wp_fusion_webhook.repository update
    send mail
    wp_fusion_webhook.repository update`.trim(),
    );
  });

  test('says what it is about and how it ended', async () => {
    const sandbox = await startSandbox();
    const site = await startProcess(sandbox);
    const id = sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com' });
    await site.ping('add', id, { dry_run: 'true' });
    const [record] = await site.webhook.activity.list();
    expect(spansNamed('wp_fusion_webhook add')[0]!.attributes).toEqual({
      'wp_fusion_webhook.name': 'default',
      'wp_fusion_webhook.action': 'add',
      'wp_fusion_webhook.contact_id': id,
      'wp_fusion_webhook.correlation_id': record!.id,
      'wp_fusion_webhook.dry_run': true,
      'wp_fusion_webhook.outcome': 'created',
    });
    const { hostname, port } = new URL(sandbox.baseUrl);
    const call = spansNamed('GET /Contacts')[0]!;
    expect(call.attributes).toEqual({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'server.address': hostname,
      'server.port': Number(port),
      'url.full': `${sandbox.baseUrl}/Contacts`,
      'url.template': '/Contacts',
    });
    expect(call.instrumentationScope).toEqual({
      name: 'wp-fusion-webhook',
      version: (require('../../package.json') as { version: string }).version, // eslint-disable-line @typescript-eslint/no-require-imports
    });
  });

  test('a returned password is a call of its own', async () => {
    const sandbox = await startSandbox();
    const site = await startProcess(sandbox, undefined, { returnPassword: { field: 'f1' } });
    await site.ping('add', sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com' }));
    await site.close();
    const [write] = spansNamed('wp_fusion_webhook.crm updateContact');
    const [call] = spansNamed('PUT /Contacts');
    expect(call!.parentSpanContext!.spanId).toBe(write!.spanContext().spanId);
    expect(write!.parentSpanContext!.spanId).toBe(
      spansNamed('wp_fusion_webhook add')[0]!.spanContext().spanId,
    );
  });

  test('what is refused has no action, and a code', async () => {
    const site = await startProcess(await startSandbox());
    await site.ping('add', '1', { access_key: 'not-the-key' });
    await site.ping('nonsense', '1');
    expect(tree()).toBe(
      'wp_fusion_webhook ERROR type=INVALID_ACCESS_KEY\nwp_fusion_webhook ERROR type=UNKNOWN_ACTION',
    );
  });

  test('other requests have no span', async () => {
    const site = await startProcess(await startSandbox());
    expect((await fetch(`${site.url}other`)).status).toBe(404);
    expect(spans()).toEqual([]);
  });
});

describe('what fails', () => {
  test('tries of a call are spans of their own, which say how often it was sent before', async () => {
    const sandbox = await startSandbox();
    const site = await startProcess(sandbox);
    const id = sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com' });
    sandbox.fail({ path: '/Contacts', with: 'error500' });
    sandbox.fail({ path: '/Contacts', with: 'reset' });
    await site.ping('update', id, { dry_run: 'true' });
    await site.ping('add', id, { dry_run: 'true' });
    expect(tree(({ name }) => name === 'GET /Contacts').replaceAll(/^ +/gm, '')).toBe(
      `
GET /Contacts CLIENT ERROR type=CRM_UNAVAILABLE status_code=500
GET /Contacts CLIENT ERROR type=CRM_UNAVAILABLE resend_count=1
GET /Contacts CLIENT status_code=200 resend_count=2`.trim(),
    );
  });

  test('a failure is one of everything that it made fail, by its code only', async () => {
    const sandbox = await startSandbox();
    const site = await startProcess(sandbox);
    sandbox.fail({ path: '/Contacts', with: 'unauthorized' });
    await site.ping('add', sandbox.addContact({ email: 'mary@example.com' }));
    expect(tree(shortly)).toBe(
      `
wp_fusion_webhook add ERROR type=CRM_UNAUTHORIZED
  wp_fusion_webhook read contact ERROR type=CRM_UNAUTHORIZED
    wp_fusion_webhook.crm getContacts ERROR type=CRM_UNAUTHORIZED contact_count=1
      GET /Contacts CLIENT ERROR type=CRM_UNAUTHORIZED status_code=401`.trim(),
    );
    expect(spans().flatMap(({ events }) => events)).toEqual([]);
    expect(spans().map(({ status }) => status.message)).toEqual(spans().map(() => undefined));
  });

  test('what another client of a CRM throws has no code that could be anything', async () => {
    const thrown = Object.assign(new Error('password=hunter22'), { code: 'the-password-is-hunter22' });
    const crm = { getContacts: () => Promise.reject(thrown), updateContact: () => Promise.reject(thrown) };
    const site = await startProcess(await startSandbox(), undefined, { crm });
    await site.ping('add', '1');
    expect(tree(shortly)).toBe(
      `
wp_fusion_webhook add ERROR type=CRM_UNAVAILABLE
  wp_fusion_webhook read contact ERROR type=_OTHER
    wp_fusion_webhook.crm getContacts ERROR type=_OTHER contact_count=1`.trim(),
    );
  });

  test("a foreign error's code is not told, that of the storage is ours", async () => {
    class Users extends MemoryUserRepository {
      override findByContactId(): never {
        throw Object.assign(new Error('password=hunter22'), { code: 'the-password-is-hunter22' });
      }
    }
    const sandbox = await startSandbox();
    const site = await startProcess(sandbox, new Users());
    await site.ping('update', sandbox.addContact({ email: 'mary@example.com' }));
    expect(tree()).toBe(
      `
wp_fusion_webhook update ERROR type=REPOSITORY_FAILED
  wp_fusion_webhook.repository findByContactId ERROR type=REPOSITORY_FAILED`.trim(),
    );
  });
});

describe('a webhook from a queue', () => {
  const QUEUED = `
wp_fusion_webhook add outcome=queued
  ${SEND} PRODUCER
    ${PROCESS} CONSUMER outcome=created
      wp_fusion_webhook read contact
        wp_fusion_webhook.crm getContacts contact_count=1
          GET /Contacts CLIENT status_code=200`.trim();

  test('is worked off in the trace of its request', async () => {
    const { site, addContact, workedOff } = await startQueued();
    const id = addContact('mary');
    await site.ping('add', id);
    await workedOff(site);
    expect(tree(shortly)).toBe(QUEUED);
    const [sent] = spansNamed(SEND);
    const told = {
      'messaging.system': 'wp_fusion_webhook',
      'messaging.destination.name': 'wp-fusion-webhook.default',
      'messaging.message.id': '1',
      'wp_fusion_webhook.action': 'add',
      'wp_fusion_webhook.contact_id': id,
      'wp_fusion_webhook.correlation_id': sent!.attributes['wp_fusion_webhook.correlation_id'],
    };
    const operation = (name: string) => ({
      'messaging.operation.name': name,
      'messaging.operation.type': name,
    });
    expect(sent!.attributes).toEqual({ ...told, ...operation('send') });
    expect(spansNamed(PROCESS)[0]!.attributes).toEqual({
      ...{ ...told, ...operation('process') },
      'wp_fusion_webhook.outcome': 'created',
    });
  });

  test('also by another process', async () => {
    const { site, start, addContact, workedOff } = await startQueued({ worker: false });
    await site.ping('add', addContact('mary'));
    await workedOff(await start());
    expect(tree(shortly)).toBe(QUEUED);
  });

  test('its trace is stored, and no baggage', async () => {
    const { site, knex, queue, addContact } = await startQueued({ worker: false });
    await site.ping('add', addContact('mary'));
    const [record] = await site.webhook.activity.list();
    forget();
    const baggage = propagation.createBaggage({ 'user.email': { value: 'somebody@example.com' } });
    await context.with(propagation.setBaggage(context.active(), baggage), () =>
      site.webhook.activity.replay(record!.id),
    );
    const [taken] = await queue.take('default', 1);
    const { traceId, spanId } = spansNamed(SEND)[0]!.spanContext();
    expect(taken!.jobs[1]!.job.trace).toEqual({ traceparent: `00-${traceId}-${spanId}-01` });
    await knex.destroy();
  });

  test('those that are merged are one piece of work, linked to the others, which are linked to it', async () => {
    const { site, start, addContact, workedOff } = await startQueued({ worker: false });
    const id = addContact('mary');
    await site.ping('add', id);
    await site.ping('update', id);
    await workedOff(await start());
    expect(tree(shortly)).toBe(
      `
wp_fusion_webhook add outcome=queued
  ${SEND} PRODUCER
    ${PROCESS} CONSUMER outcome=created message_count=2 -> 1: ${SEND}
      wp_fusion_webhook read contact
        wp_fusion_webhook.crm getContacts contact_count=1
          GET /Contacts CLIENT status_code=200
wp_fusion_webhook update outcome=queued
  ${SEND} PRODUCER
    ${PROCESS} CONSUMER outcome=created -> 1: ${PROCESS}`.trim(),
    );
    const [first, second] = spansNamed(PROCESS);
    expect([first, second].map((span) => span!.attributes['wp_fusion_webhook.action'])).toEqual([
      'add',
      'update',
    ]);
    const [update] = spansNamed('wp_fusion_webhook update');
    expect(first!.links[0]!.context.traceId).toBe(update!.spanContext().traceId);
    expect(second!.links[0]!.context.spanId).toBe(first!.spanContext().spanId);
  });

  test('a call that several share is part of the first, linked to the others, which are linked to it', async () => {
    const { site, start, addContact, workedOff } = await startQueued({ worker: false });
    const ids = ['mary', 'paul', 'anna'].map(addContact);
    for (const id of ids) await site.ping('add', id);
    await workedOff(await start());
    const [call, ...others] = spansNamed('wp_fusion_webhook.crm getContacts');
    expect(others).toEqual([]);
    expect(call!.attributes).toEqual({ 'wp_fusion_webhook.contact_count': 3 });
    const reads = spansNamed('wp_fusion_webhook read contact');
    const idOf = (span: ReadableSpan): string => span.spanContext().spanId;
    const linkedTo = (span: ReadableSpan): string[] => span.links.map((link) => link.context.spanId).sort();
    const sharers = reads.filter((read) => idOf(read) !== call!.parentSpanContext!.spanId);
    expect([reads.length, sharers.length]).toEqual([3, 2]);
    expect(linkedTo(call!)).toEqual(sharers.map(idOf).sort());
    for (const read of sharers) expect(linkedTo(read)).toEqual([idOf(call!)]);
    expect(new Set(reads.map((span) => span.spanContext().traceId)).size).toBe(3);
    expect(spansNamed('GET /Contacts')[0]!.parentSpanContext!.spanId).toBe(call!.spanContext().spanId);
  });

  test('every try is in the same trace', async () => {
    let failures = 1;
    class Users extends MemoryUserRepository {
      override async findByEmail(email: string) {
        failures -= 1;
        if (failures >= 0) throw new Error('The database is down.');
        return super.findByEmail(email);
      }
    }
    const { sandbox, site, queue, clock, failed } = await open({ users: new Users() });
    await site.ping('add', sandbox.addContact({ email: 'mary@example.com' }));
    await until(() => failed.length === 1);
    clock.advance(60_000);
    await until(isEmpty(queue));
    await site.close();
    expect(tree(({ name }) => [SEND, PROCESS].includes(name))).toBe(
      `
  ${SEND} PRODUCER
    ${PROCESS} CONSUMER ERROR type=REPOSITORY_FAILED
    ${PROCESS} CONSUMER outcome=created`.slice(1),
    );
  });

  test('what is still owed is settled in the trace of its webhook', async () => {
    let failures = 1;
    const notifier = {
      sendWelcome: async () => {
        failures -= 1;
        if (failures >= 0) throw new Error('The mail server is down.');
      },
    };
    const { sandbox, site, queue, clock, processed } = await open({ notifier });
    const id = sandbox.addContact({ email: 'mary@example.com' });
    await site.ping('add', id, { send_notification: 'true' });
    await until(() => processed.length === 1);
    clock.advance(60_000);
    await until(isEmpty(queue));
    await site.close();
    const [send] = spansNamed(SEND);
    expect(
      spansNamed(PROCESS).map(({ attributes, parentSpanContext }) => [
        attributes['wp_fusion_webhook.action'],
        parentSpanContext!.spanId,
      ]),
    ).toEqual([
      ['add', send!.spanContext().spanId],
      ['settle', send!.spanContext().spanId],
    ]);
  });

  test('a worker that looks for more does not do that in the trace of a webhook', async () => {
    const looks: unknown[] = [];
    class WatchedQueue extends KnexWebhookQueue {
      override async take(...given: Parameters<KnexWebhookQueue['take']>) {
        looks.push(trace.getActiveSpan());
        return super.take(...given);
      }
    }
    const { knex, start, addContact, workedOff } = await startQueued({ worker: false });
    const site = await start({ queue: new WatchedQueue(knex) });
    await site.ping('add', addContact('mary'));
    await site.ping('add', addContact('paul'), { async: 'false' });
    await workedOff(site);
    expect(looks.length).toBeGreaterThan(1);
    expect(looks.filter((span) => span !== undefined)).toEqual([]);
  });
});

test('a walk is part of no trace; what it does for a contact is one of its own', async () => {
  const sandbox = await startSandbox();
  const site = await startProcess(sandbox);
  sandbox.addContact({ email: 'mary@example.com', tags: ['Customer'] });
  await trace.getTracer('site').startActiveSpan('a button', async (span) => {
    await site.webhook.importContacts({ tag: 'Customer' });
    span.end();
  });
  expect(tree(({ name }) => !name.includes('/') && shortly({ name }))).toBe(
    `
a button
wp_fusion_webhook add
  wp_fusion_webhook read contact
    wp_fusion_webhook.crm getContacts contact_count=1
  wp_fusion_webhook.crm getContacts contact_count=1`.trim(),
  );
});

test('of several that share a call, one that is recorded gets it', async () => {
  const placeOf = (traceFlags: number, digit: string) =>
    trace.setSpanContext(context.active(), {
      ...{ traceId: digit.repeat(32), spanId: digit.repeat(16), traceFlags },
    });
  await inSharedSpan(
    'call',
    () => ({}),
    [placeOf(0, '1'), placeOf(1, '2')],
    async () => undefined,
  );
  expect(spansNamed('call')[0]!.spanContext().traceId).toBe('2'.repeat(32));
});
