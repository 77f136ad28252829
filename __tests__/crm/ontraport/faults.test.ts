// Every trouble that an API can make: the code it becomes, how many calls are made, and that no error ever shows the keys.

import { inspect } from 'node:util';
import { isWpFusionError } from '../../../lib/errors';
import type { ErrorCode, WpFusionError } from '../../../lib/errors';
import { OntraportClient } from '../../../lib/crm/ontraport/client';
import type { OntraportClientOptions } from '../../../lib/crm/ontraport/client';
import { OntraportSandbox } from '../../../lib/testing';
import type { FaultOptions } from '../../../lib/testing';

const APP_ID = '2_50_app/id+secret=';
const API_KEY = 'api key&secret?\u00e4';

let sandbox: OntraportSandbox;
beforeEach(async () => {
  // No waiting between tries; how long it would be has a test of its own.
  jest.spyOn(Math, 'random').mockReturnValue(0);
  sandbox = await OntraportSandbox.start({ appId: APP_ID, apiKey: API_KEY });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await sandbox.close();
});

const client = (options: Partial<OntraportClientOptions> = {}): OntraportClient =>
  new OntraportClient({ appId: APP_ID, apiKey: API_KEY, baseUrl: sandbox.baseUrl, ...options });

async function errorOf(work: Promise<unknown>): Promise<WpFusionError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isWpFusionError(error)) throw new Error(`No error of ours: ${inspect(error)}`);
  return error;
}

/** Everything that a log could make of an error. */
function everythingIn(error: unknown): string {
  const texts: string[] = [];
  for (let each = error; each !== undefined && each !== null; each = (each as { cause?: unknown }).cause) {
    const own = Object.fromEntries(
      Object.getOwnPropertyNames(each).map((name) => [name, (each as Record<string, unknown>)[name]]),
    );
    texts.push(
      inspect(each, { depth: 20, showHidden: true, getters: true }),
      JSON.stringify(each),
      inspect(own),
    );
    if (each instanceof Error) texts.push(String(each), each.message, each.stack ?? '');
  }
  return texts.join('\n');
}

function expectNoKeys(error: unknown): void {
  const text = everythingIn(error);
  for (const key of [APP_ID, API_KEY]) {
    const bytes = Buffer.from(key);
    const forms = [key, encodeURIComponent(key), new URLSearchParams({ key }).toString().slice(4)];
    forms.push(
      bytes.toString('base64'),
      bytes.toString('base64url'),
      bytes.toString('hex'),
      JSON.stringify(key).slice(1, -1),
    );
    for (const form of forms) expect(text).not.toContain(form);
  }
  expect(text).not.toMatch(/Axios/);
}

type Fault = FaultOptions['with'];
interface Case {
  readonly with: Fault;
  readonly code: ErrorCode;
  readonly calls: number;
  readonly says: string;
  readonly options?: Partial<OntraportClientOptions>;
}

const RATE_LIMITED: Fault = {
  status: 429,
  body: 'You have exceeded your maximum rate limit of 180 requests per minute',
  headers: { 'Retry-After': '0' },
};
const SLOW = { timeoutMs: 40 };
const SMALL = { maxResponseBytes: 100_000 };

const CASES: Record<string, Case> = {
  '429': { with: RATE_LIMITED, code: 'CRM_RATE_LIMITED', calls: 4, says: '429' },
  '500': { with: 'error500', code: 'CRM_UNAVAILABLE', calls: 4, says: '500' },
  '503': { with: { status: 503 }, code: 'CRM_UNAVAILABLE', calls: 4, says: '503' },
  reset: { with: 'reset', code: 'CRM_UNAVAILABLE', calls: 4, says: 'ECONNRESET' },
  hang: { with: 'hang', code: 'CRM_UNAVAILABLE', calls: 4, says: '40 ms', options: SLOW },
  truncate: { with: 'truncate', code: 'CRM_UNAVAILABLE', calls: 4, says: 'connection' },
  'cut JSON': { with: 'truncatedJson', code: 'CRM_BAD_RESPONSE', calls: 4, says: 'no JSON' },
  'HTML with 200': { with: 'html200', code: 'CRM_BAD_RESPONSE', calls: 4, says: 'no JSON' },
  'empty 204': { with: { status: 204 }, code: 'CRM_BAD_RESPONSE', calls: 4, says: 'no JSON' },
  'gzip that is none': {
    with: { status: 200, body: 'x'.repeat(100), headers: { 'Content-Encoding': 'gzip' } },
    code: 'CRM_BAD_RESPONSE',
    calls: 4,
    says: 'unpacked',
  },
  redirect: { with: 'redirect', code: 'CRM_BAD_RESPONSE', calls: 1, says: '302' },
  endless: { with: 'endless', code: 'CRM_BAD_RESPONSE', calls: 1, says: '100000 bytes', options: SMALL },
  'gzip bomb': { with: 'gzipBomb', code: 'CRM_BAD_RESPONSE', calls: 1, says: 'bytes' },
  '400': { with: { status: 400, body: 'Invalid' }, code: 'CRM_BAD_RESPONSE', calls: 1, says: '400' },
  '401': { with: 'unauthorized', code: 'CRM_UNAUTHORIZED', calls: 1, says: 'appId' },
  '403': { with: 'forbidden', code: 'CRM_UNAUTHORIZED', calls: 1, says: 'permission' },
};
const TABLE = Object.entries(CASES).map(([name, each]) => ({ name, ...each }));

describe.each(TABLE)('$name', ({ with: fault, code, calls, says, options }) => {
  test.each([
    ['a read', { method: 'GET', path: '/Contacts' }, 'GET /Contacts'],
    ['the metadata', { path: '/objects/meta' }, 'GET /objects/meta'],
    ['the tags', { path: '/objects' }, 'GET /objects'],
    ['a write', { method: 'PUT' }, 'PUT /Contacts'],
  ])(`of %s is ${code} after ${calls} call(s), without the keys`, async (_, match, name) => {
    const id = sandbox.addContact({ email: 'mary@example.com', tags: ['Customer'] });
    sandbox.fail({ ...match, with: fault, times: Infinity });
    const crm = client(options);
    const work =
      name === 'PUT /Contacts' ? crm.updateContact(id, { firstname: 'pa55word' }) : crm.getContacts([id]);
    const error = await errorOf(work);
    expect(error.code).toBe(code);
    expect(error.message).toContain(name);
    expect(error.message).toContain(says);
    expect(error.message).not.toContain('?');
    expectNoKeys(error);
    expect(everythingIn(error)).not.toMatch(/pa55word|mary@example/);
    expect(sandbox.callCount(match)).toBe(calls);
    expect(sandbox.callCount({ path: '/elsewhere' })).toBe(0);
    expect(crm.trouble()).toBeUndefined();
    if (code === 'CRM_RATE_LIMITED') expect(error.retryAfter).toBeGreaterThan(0);
  });
});

test('a 404 that does not say "Object not found" is a wrong address, not a missing contact', async () => {
  sandbox.fail({ with: { status: 404, body: '<h1>Not Found</h1>' }, times: Infinity });
  for (const work of [() => client().getContacts(['1']), () => client().updateContact('1', {})]) {
    const error = await errorOf(work());
    expect(error).toMatchObject({ code: 'CRM_BAD_RESPONSE' });
    expect(error.message).toContain('baseUrl');
  }
  expect(sandbox.calls).toHaveLength(2);
});

test('one that passes is not noticed', async () => {
  const id = sandbox.addContact({ email: 'mary@example.com' });
  for (const fault of ['error500', 'reset', 'truncate', 'truncatedJson', 'html200'] as const) {
    sandbox.fail({ method: 'GET', path: '/Contacts', with: fault });
    expect((await client().getContacts([id])).size).toBe(1);
  }
});

test('tries are further and further apart, by chance', async () => {
  jest.spyOn(Math, 'random').mockReturnValue(0.2);
  const timers = jest.spyOn(globalThis, 'setTimeout');
  sandbox.fail({ with: 'error500', times: Infinity });
  await errorOf(client().updateContact('1', {}));
  const delays = timers.mock.calls.map(([, delay]) => delay);
  expect(delays.filter((delay) => [50, 100, 200].includes(delay ?? 0))).toEqual([50, 100, 200]);
});

test('wrong keys are CRM_UNAUTHORIZED, asked for once', async () => {
  const error = await errorOf(client({ apiKey: 'wrongsecret' }).getContacts(['1']));
  expect(error).toMatchObject({ code: 'CRM_UNAUTHORIZED' });
  expect(everythingIn(error)).not.toContain('wrongsecret');
  expect(sandbox.calls).toHaveLength(1);
});

test('nobody there is CRM_UNAVAILABLE', async () => {
  const other = await OntraportSandbox.start();
  const { baseUrl } = other;
  await other.close();
  const error = await errorOf(client({ baseUrl }).getContacts(['1']));
  expect(error).toMatchObject({ code: 'CRM_UNAVAILABLE', cause: { code: 'ECONNREFUSED' } });
  expectNoKeys(error);
});

describe('an answer that begins and then stalls', () => {
  test('is over after timeoutMs too', async () => {
    const { createServer } = await import('node:http');
    const ended: Promise<void>[] = [];
    const server = createServer((_, response) => {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.write('{"code":0,');
      // Something comes all the time, so a limit on silence would never be reached.
      const drip = setInterval(() => response.write(' '), 5);
      ended.push(
        new Promise((resolve) =>
          response.once('close', () => {
            clearInterval(drip);
            resolve();
          }),
        ),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const error = await errorOf(client({ baseUrl: `http://127.0.0.1:${port}`, ...SLOW }).getContacts(['1']));
    expect(error).toMatchObject({ code: 'CRM_UNAVAILABLE' });
    expectNoKeys(error);
    // Up to four tries: on a busy machine one may be over before the server has seen it.
    expect(ended.length).toBeGreaterThan(1);
    // The connections are given up, not only the waiting.
    await Promise.all(ended);
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('giving up', () => {
  const READ = { method: 'GET', path: '/Contacts' };

  test('ends the call, and nothing is tried again', async () => {
    const held = sandbox.hold(READ);
    const crm = client();
    const controller = new AbortController();
    const end = errorOf(crm.getContacts(['1'], { signal: controller.signal }));
    await held.caught();
    controller.abort();
    const error = await end;
    expect(error).toMatchObject({ code: 'CRM_UNAVAILABLE' });
    expectNoKeys(error);
    held.release();
    expect((await crm.getContacts(['1'])).size).toBe(0);
    expect(sandbox.calls).toHaveLength(2);
  });

  test('after a failure tells of the failure', async () => {
    sandbox.fail({ ...READ, with: 'error500' });
    const held = sandbox.hold({ ...READ, when: 'before' });
    const crm = client();
    const controller = new AbortController();
    const end = errorOf(crm.getContacts(['1'], { signal: controller.signal }));
    await held.caught(1);
    held.release(1);
    await held.caught(2);
    controller.abort();
    expect((await end).message).toContain('500');
    held.release();
  });

  test('of a write: before it begins, while it waits, after a failure', async () => {
    const crm = client();
    const aborted = await errorOf(crm.updateContact('1', {}, { signal: AbortSignal.abort() }));
    expect(aborted).toMatchObject({ code: 'CRM_UNAVAILABLE' });
    expect(sandbox.calls).toHaveLength(0);
    const controller = new AbortController();
    sandbox.fail({ method: 'PUT', with: 'error500' });
    const held = sandbox.hold({ method: 'PUT' });
    const end = errorOf(crm.updateContact('1', {}, { signal: controller.signal }));
    await held.caught(1);
    held.release(1);
    await held.caught(2);
    controller.abort();
    expect((await end).message).toContain('500');
    held.release();
  });

  test('of a shared metadata load: the others get theirs', async () => {
    const ids = [sandbox.addContact(), sandbox.addContact()] as const;
    const crm = client();
    const held = sandbox.hold({ path: '/objects/meta' });
    const controller = new AbortController();
    const given = errorOf(crm.getContacts([ids[0]], { signal: controller.signal }));
    const kept = crm.getContacts([ids[1]]);
    await held.caught();
    controller.abort();
    await given;
    held.release();
    expect((await kept).size).toBe(1);
    expect(sandbox.callCount({ path: '/objects/meta' })).toBe(1);
  });

  test('of the last one ends a metadata load', async () => {
    const id = sandbox.addContact();
    const crm = client();
    const held = sandbox.hold({ path: '/objects/meta', times: 1 });
    const controller = new AbortController();
    const given = errorOf(crm.getContacts([id], { signal: controller.signal }));
    await held.caught();
    controller.abort();
    expect(await given).toMatchObject({ code: 'CRM_UNAVAILABLE' });
    expect((await crm.getContacts([id])).size).toBe(1);
    expect(sandbox.callCount({ path: '/objects/meta' })).toBe(2);
  });

  test('many calls with one signal do not look like a leak', async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', onWarning);
    const { signal } = new AbortController();
    const ids = Array.from({ length: 30 }, () => sandbox.addContact());
    const crm = client();
    await Promise.all(ids.map((id) => crm.updateContact(id, { firstname: 'x' }, { signal })));
    await crm.getContacts(ids, { signal });
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});

test('one slow answer stalls nobody', async () => {
  const ids = [sandbox.addContact(), sandbox.addContact()] as const;
  const held = sandbox.hold({ method: 'GET', path: '/Contacts', times: 1 });
  const crm = client();
  const slow = crm.getContacts([ids[0]]);
  await held.caught();
  expect((await crm.getContacts([ids[1]])).size).toBe(1);
  held.release();
  expect((await slow).size).toBe(1);
});
