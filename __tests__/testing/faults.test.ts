// Checklist 7: every fault, latency, and calls held back.
import { gunzipSync } from 'node:zlib';
import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { OntraportSandbox } from '../../lib/testing';
import { call, startSandbox } from './helpers';

describe('7. faults', () => {
  test.each([
    ['error500', 500, 'text/html;charset=UTF-8', /<html>/],
    ['html200', 200, 'text/html;charset=UTF-8', /<html>/],
    ['notFound200', 200, 'text/html;charset=UTF-8', /^Object not found$/],
    ['unauthorized', 401, 'text/html;charset=UTF-8', /^Your App ID and API Key do not authenticate\.$/],
    ['forbidden', 403, 'text/html;charset=UTF-8', /permission/],
    ['rateLimited', 429, 'text/html;charset=UTF-8', /^You have exceeded your maximum rate limit of 180/],
  ] as const)('%s', async (kind, status, contentType, text) => {
    const sandbox = await startSandbox();
    const fault = sandbox.fail({ with: kind });
    const answer = await call(sandbox, 'GET', '/Contacts');
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe(contentType);
    expect(answer.headers.get('x-rate-limit-limit')).toBe('180');
    expect(answer.text).toMatch(text);
    expect(fault.hits).toBe(1);
    expect(sandbox.calls[0]).toMatchObject({ status, fault: kind });
    // Once, unless told otherwise.
    expect((await call(sandbox, 'GET', '/Contacts')).json).toMatchObject({ code: 0 });
  });

  test('rateLimited counts as refused and says so in its headers', async () => {
    const sandbox = await startSandbox();
    sandbox.fail({ with: 'rateLimited' });
    const answer = await call(sandbox, 'GET', '/Contacts');
    expect(answer.headers.get('x-rate-limit-remaining')).toBe('0');
    expect(sandbox.rejectedCalls).toBe(1);
    expect(sandbox.peakCallsInWindow).toBe(0);
  });

  test('an answer of your own', async () => {
    const sandbox = await startSandbox();
    sandbox.fail({ with: { status: 429, body: 'slow down', headers: { 'x-rate-limit-reset': '1' } } });
    sandbox.fail({ with: { status: 200, body: { code: 41, data: 'odd' } } });
    const first = await call(sandbox, 'GET', '/Contacts');
    expect([first.status, first.text, first.headers.get('x-rate-limit-reset')]).toEqual([
      429,
      'slow down',
      '1',
    ]);
    expect((await call(sandbox, 'GET', '/Contacts')).json).toEqual({ code: 41, data: 'odd' });
    expect(sandbox.calls[0]!.fault).toBe('answer');
  });

  test('redirect leads to a place that shows whether the credentials came along', async () => {
    const sandbox = await startSandbox();
    sandbox.fail({ with: 'redirect' });
    const answer = await call(sandbox, 'GET', '/Contacts');
    expect(answer.status).toBe(302);
    const location = answer.headers.get('location')!;
    expect((await fetch(location)).status).toBe(404);
    expect(sandbox.calls.at(-1)).toMatchObject({ path: '/elsewhere', authenticated: false });
  });

  test.each(['reset', 'truncate'] as const)('%s breaks the connection', async (kind) => {
    const sandbox = await startSandbox({ seed: true });
    sandbox.fail({ with: kind });
    await expect(call(sandbox, 'GET', '/Contacts')).rejects.toThrow();
    expect(sandbox.calls[0]).toMatchObject({ status: null, fault: kind });
    expect((await call(sandbox, 'GET', '/Contacts')).status).toBe(200);
  });

  test('truncate sends part of the body first', async () => {
    const sandbox = await startSandbox({ seed: true });
    sandbox.fail({ with: 'truncate' });
    const response = await open(sandbox, '/Contacts');
    expect(Number(response.headers['content-length'])).toBeGreaterThan(1000);
    let text = '';
    const error = await new Promise((resolve) => {
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('error', resolve);
    });
    expect((error as { code: string }).code).toBe('ECONNRESET');
    expect(text).toMatch(/^\{"code":0,"data":\[\{/);
  });

  test('truncatedJson is a complete answer with half of the JSON', async () => {
    const sandbox = await startSandbox({ seed: true });
    sandbox.fail({ with: 'truncatedJson' });
    const answer = await call(sandbox, 'GET', '/Contacts');
    expect([answer.status, answer.json]).toEqual([200, undefined]);
    expect(answer.text).toMatch(/^\{"code":0,"data":\[\{/);
    expect(answer.headers.get('content-type')).toBe('application/json');
  });

  test('hang never answers; closing ends it', async () => {
    const sandbox = await OntraportSandbox.start();
    sandbox.fail({ with: 'hang' });
    const answer = call(sandbox, 'GET', '/Contacts').then(
      () => 'answered',
      () => 'lost',
    );
    await sandbox.waitForCalls({ path: '/Contacts' });
    expect((await call(sandbox, 'GET', '/Contacts')).status).toBe(200);
    expect(sandbox.calls[0]!.status).toBeNull();
    await sandbox.close();
    expect(await answer).toBe('lost');
  });

  test('endless goes on until the client has enough', async () => {
    const sandbox = await startSandbox();
    sandbox.fail({ with: 'endless' });
    const response = await open(sandbox, '/Contacts');
    let bytes = 0;
    for await (const chunk of response) {
      bytes += (chunk as Buffer).length;
      if (bytes > 20_000_000) break; // leaving the loop destroys the connection
    }
    expect(bytes).toBeGreaterThan(20_000_000);
    expect((await call(sandbox, 'GET', '/Contacts')).status).toBe(200);
  });

  test('gzipBomb unpacks to much more than it is', async () => {
    const sandbox = await startSandbox();
    sandbox.fail({ with: 'gzipBomb' });
    const response = await open(sandbox, '/Contacts');
    expect(response.headers['content-encoding']).toBe('gzip');
    const packed = Buffer.concat((await response.toArray()) as Buffer[]);
    expect(packed.length).toBeLessThan(500_000);
    expect(() => gunzipSync(packed, { maxOutputLength: 200_000_000 })).toThrow(/larger than/);
  });

  test('a filter chooses the calls: method, path, pattern, anything else', async () => {
    const sandbox = await startSandbox();
    sandbox.fail({ method: 'PUT', with: 'error500', times: Infinity });
    sandbox.fail({ path: '/Tags', with: 'error500', times: Infinity });
    sandbox.fail({ path: /meta$/g, with: 'error500', times: Infinity });
    sandbox.fail({ where: ({ query }) => query.ids === '7', with: 'error500', times: Infinity });
    const statuses = async (...paths: string[]) =>
      Promise.all(paths.map(async (path) => (await call(sandbox, 'GET', path)).status));
    expect(
      await statuses('/Contacts', '/Tags', '/objects/meta', '/Contacts/meta', '/Contacts?ids=7'),
    ).toEqual([200, 500, 500, 500, 500]);
    expect((await call(sandbox, 'PUT', '/Contacts', { id: 1 })).status).toBe(500);
  });

  test('times, skip, the order of several, and remove', async () => {
    const sandbox = await startSandbox();
    const status = async () => (await call(sandbox, 'GET', '/Contacts')).status;
    sandbox.fail({ with: 'error500', times: 2, skip: 1 });
    sandbox.fail({ with: 'forbidden' });
    // The skipped call meets the next fault that matches.
    expect([await status(), await status(), await status(), await status()]).toEqual([403, 500, 500, 200]);
    const forever = sandbox.fail({ with: 'error500', times: Infinity });
    expect([await status(), await status()]).toEqual([500, 500]);
    forever.remove();
    expect(await status()).toBe(200);
    expect(forever.hits).toBe(2);
  });

  test.each(['error500', 'reset', 'truncate', 'truncatedJson', 'hang'] as const)(
    '%s of a write: not applied unless asked for',
    async (kind) => {
      const sandbox = await startSandbox();
      const id = sandbox.addContact({ firstname: 'Mary' });
      const put = async (applied: boolean, firstname: string) => {
        const fault = sandbox.fail({ method: 'PUT', with: kind, applied });
        const abort = new AbortController();
        const answer = fetch(`${sandbox.baseUrl}/Contacts`, {
          method: 'PUT',
          headers: { 'Api-Appid': sandbox.appId, 'Api-Key': sandbox.apiKey },
          body: JSON.stringify({ id, firstname }),
          signal: abort.signal,
        }).then((response) => response.text());
        answer.catch(() => undefined);
        await sandbox.waitForCalls(() => fault.hits === 1);
        if (kind === 'hang') abort.abort();
        await answer.catch(() => undefined);
        return sandbox.contact(id)!.firstname;
      };
      expect(await put(false, 'Ann')).toBe('Mary');
      expect(await put(true, 'Joe')).toBe('Joe');
    },
  );
});

describe('7. latency', () => {
  test('delays the calls that match, the newest rule first, until it is removed', async () => {
    const sandbox = await startSandbox();
    const asked: string[] = [];
    sandbox.latency((one) => {
      asked.push(one.path);
      return 1;
    });
    const tags = sandbox.latency(60_000, { path: '/Tags' });
    const slow = call(sandbox, 'GET', '/Tags').catch(() => 'lost');
    await sandbox.waitForCalls({ path: '/Tags' });
    expect((await call(sandbox, 'GET', '/Contacts')).status).toBe(200);
    expect(sandbox.callCount({ path: '/Tags', where: ({ status }) => status !== null })).toBe(0);
    tags.remove();
    expect((await call(sandbox, 'GET', '/Tags')).status).toBe(200);
    expect(asked).toEqual(['/Contacts', '/Tags']);
    await sandbox.close(); // does not wait for the minute
    expect(await slow).toBe('lost');
  });
});

describe('hold', () => {
  test('after: the data is of before, the answer comes later', async () => {
    const sandbox = await startSandbox();
    const id = sandbox.addContact({ firstname: 'old' });
    const held = sandbox.hold({ method: 'GET', path: '/Contact', when: 'after' });
    const answer = call(sandbox, 'GET', `/Contact?id=${id}`);
    await held.caught();
    expect(sandbox.calls[0]!.status).toBeNull();
    sandbox.updateContact(id, { firstname: 'new' });
    held.release();
    expect((await answer).json.data.firstname).toBe('old');
    expect((await call(sandbox, 'GET', `/Contact?id=${id}`)).json.data.firstname).toBe('new');
    expect(held.count).toBe(1);
  });

  test('before: nothing is read or written yet', async () => {
    const sandbox = await startSandbox();
    const id = sandbox.addContact({ firstname: 'old' });
    const held = sandbox.hold({ path: /^\/Contact/ });
    const read = call(sandbox, 'GET', `/Contact?id=${id}`);
    await held.caught();
    const write = call(sandbox, 'PUT', '/Contacts', { id, firstname: 'written' });
    await held.caught(2);
    expect(sandbox.contact(id)!.firstname).toBe('old');
    sandbox.updateContact(id, { firstname: 'new' });
    held.release();
    expect((await read).json.data.firstname).toBe('new');
    await write;
    expect(sandbox.contact(id)!.firstname).toBe('written');
  });

  test('after, of a write: it is applied, only its answer is missing', async () => {
    const sandbox = await startSandbox();
    const id = sandbox.addContact({ firstname: 'old' });
    const held = sandbox.hold({ method: 'PUT', when: 'after' });
    const write = call(sandbox, 'PUT', '/Contacts', { id, firstname: 'new' }).catch(() => 'lost');
    await held.caught();
    expect(sandbox.contact(id)!.firstname).toBe('new');
    held.reset();
    expect(await write).toBe('lost');
    expect((await call(sandbox, 'PUT', '/Contacts', { id, firstname: 'newer' })).status).toBe(200);
  });

  test('times lets later calls pass; release(count) lets the oldest go and holds on', async () => {
    const sandbox = await startSandbox();
    const first = sandbox.hold({ path: '/Contacts', times: 1 });
    const stuck = call(sandbox, 'GET', '/Contacts');
    await first.caught();
    expect((await call(sandbox, 'GET', '/Contacts')).status).toBe(200);
    first.release();
    expect((await stuck).status).toBe(200);

    const held = sandbox.hold({ path: '/Tags' });
    const answers = [call(sandbox, 'GET', '/Tags?range=1')];
    await held.caught(1);
    answers.push(call(sandbox, 'GET', '/Tags?range=2'));
    await held.caught(2);
    held.release(1);
    await answers[0];
    const third = call(sandbox, 'GET', '/Tags?range=3');
    await held.caught(3);
    expect(sandbox.calls.slice(-3).map((one) => one.status)).toEqual([200, null, null]);
    held.release();
    expect((await answers[1]!).status).toBe(200);
    expect((await third).status).toBe(200);
  });

  test('a client that hung up: a call held before is carried out all the same', async () => {
    const sandbox = await startSandbox();
    const id = sandbox.addContact({ firstname: 'old' });
    const held = sandbox.hold({ method: 'PUT' });
    const abort = new AbortController();
    const write = fetch(`${sandbox.baseUrl}/Contacts`, {
      method: 'PUT',
      headers: { 'Api-Appid': sandbox.appId, 'Api-Key': sandbox.apiKey },
      body: JSON.stringify({ id, firstname: 'new' }),
      signal: abort.signal,
    }).catch(() => 'aborted');
    await held.caught();
    abort.abort();
    expect(await write).toBe('aborted');
    held.release();
    await sandbox.waitForCalls({ method: 'PUT', where: ({ status }) => status === 200 });
    expect(sandbox.contact(id)!.firstname).toBe('new');
  });

  test('closing ends the held calls and those who wait for one', async () => {
    const sandbox = await OntraportSandbox.start();
    const held = sandbox.hold();
    const answer = call(sandbox, 'GET', '/Contacts').catch(() => 'lost');
    await held.caught();
    const more = held.caught(2);
    await sandbox.close();
    expect(await answer).toBe('lost');
    await expect(more).rejects.toThrow('closed');
  });
});

/** A GET whose answer is not read yet. */
function open(sandbox: OntraportSandbox, path: string): Promise<IncomingMessage> {
  const headers = { 'Api-Appid': sandbox.appId, 'Api-Key': sandbox.apiKey };
  return new Promise((resolve, reject) => {
    get(sandbox.baseUrl + path, { headers, agent: false }, resolve).on('error', reject);
  });
}
