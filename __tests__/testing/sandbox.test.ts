// The sandbox itself: starting and closing, its own methods, what it records.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isWpFusionError } from '../../lib/errors';
import { OntraportSandbox } from '../../lib/testing';
import { call, startSandbox } from './helpers';

test('listens on the loopback address, and only until it is closed; closing twice is one closing', async () => {
  const sandbox = await OntraportSandbox.start();
  const { baseUrl } = sandbox;
  expect(baseUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/1$/);
  const kept = await fetch(`${baseUrl}/Contacts`); // a connection that stays open
  await kept.text();
  expect(sandbox.close()).toBe(sandbox.close());
  await sandbox.close();
  await expect(fetch(`${baseUrl}/Contacts`)).rejects.toThrow();
  expect(() => sandbox.baseUrl).toThrow('closed');
});

test('takes a port and a host; a port in use is an error', async () => {
  const one = await startSandbox({ host: 'localhost' });
  const port = Number(new URL(one.baseUrl).port);
  await expect(OntraportSandbox.start({ port, host: 'localhost' })).rejects.toThrow('EADDRINUSE');
  await one.close();
  const other = await startSandbox({ port });
  expect(new URL(other.baseUrl).port).toBe(String(port));
});

test('sandboxes know nothing of each other', async () => {
  const [one, other] = [await startSandbox(), await startSandbox()];
  expect(one.apiKey).not.toBe(other.apiKey);
  one.addContact();
  expect(other.contacts()).toEqual([]);
});

describe('recorded calls', () => {
  test('hold everything but credentials', async () => {
    const sandbox = await startSandbox({ now: () => 5_000 });
    const id = sandbox.addContact();
    await call(sandbox, 'GET', '/Contacts?ids=1,2&listFields=email');
    await call(sandbox, 'PUT', '/Contacts', { id, firstname: 'Mary' });
    await call(sandbox, 'POST', '/Contacts', 'firstname=Ann&a[b]=1');
    expect(sandbox.calls).toEqual([
      {
        number: 1,
        method: 'GET',
        path: '/Contacts',
        query: { ids: '1,2', listFields: 'email' },
        body: undefined,
        contentType: undefined,
        at: 5_000,
        authenticated: true,
        status: 200,
        fault: null,
      },
      expect.objectContaining({ number: 2, method: 'PUT', body: { id, firstname: 'Mary' } }),
      expect.objectContaining({ method: 'POST', body: { firstname: 'Ann', a: { b: '1' } } }),
    ]);
    expect(JSON.stringify(sandbox.calls)).not.toContain(sandbox.apiKey);
    expect(JSON.stringify(sandbox.calls)).not.toContain(sandbox.appId);
    expect(sandbox.callCount()).toBe(3);
    expect(sandbox.callCount({ method: 'put' })).toBe(1);
    expect(sandbox.callCount(({ path }) => path === '/Contacts')).toBe(3);
    sandbox.clearCalls();
    expect(sandbox.calls).toEqual([]);
    expect(sandbox.peakCallsInWindow).toBe(3);
  });

  test('waitForCalls resolves on arrival, on the answer, at once, or never', async () => {
    const sandbox = await OntraportSandbox.start();
    const held = sandbox.hold({ path: '/Tags' });
    const answered = sandbox.waitForCalls({ path: '/Tags', where: ({ status }) => status === 200 });
    let isAnswered = false;
    void answered.then(() => (isAnswered = true));
    const answer = call(sandbox, 'GET', '/Tags');
    await sandbox.waitForCalls({ path: '/Tags' });
    await held.caught();
    expect(isAnswered).toBe(false);
    held.release();
    await answered;
    await answer;
    await sandbox.waitForCalls({ path: '/Tags' });
    const never = sandbox.waitForCalls({ path: '/Tags' }, 2);
    await sandbox.close();
    await expect(never).rejects.toThrow('closed');
  });

  test('peakInFlight counts calls at the same time', async () => {
    const sandbox = await startSandbox();
    await call(sandbox, 'GET', '/Contacts');
    expect(sandbox.peakInFlight).toBe(1);
    const held = sandbox.hold();
    const answers = ['/Contacts', '/Tags', '/Webhooks'].map((path) => call(sandbox, 'GET', path));
    await held.caught(3);
    held.release();
    await Promise.all(answers);
    expect(sandbox.peakInFlight).toBe(3);
  });
});

describe('its own methods', () => {
  test('updateContact moves dlm, unless it is given', async () => {
    let now = 10_000;
    const sandbox = await startSandbox({ now: () => now });
    const id = sandbox.addContact({ firstname: 'Mary' });
    expect(sandbox.contact(id)).toMatchObject({ date: '10', dlm: '10' });
    now = 20_000;
    sandbox.updateContact(id, { firstname: 'Ann' });
    expect(sandbox.contact(id)).toMatchObject({ firstname: 'Ann', date: '10', dlm: '20' });
    sandbox.updateContact(id, { firstname: 'Joe', dlm: '15' });
    expect(sandbox.contact(id)!.dlm).toBe('15');
  });

  test('what they give is a copy', async () => {
    const sandbox = await startSandbox();
    const id = sandbox.addContact({ firstname: 'Mary' });
    sandbox.contact(id)!.firstname = 'changed';
    sandbox.contacts()[0]!.firstname = 'changed';
    expect(sandbox.contact(id)!.firstname).toBe('Mary');
    expect(sandbox.contact('99')).toBeUndefined();
  });

  test('a mistake in a test is said, not ignored', async () => {
    const sandbox = await startSandbox();
    const id = sandbox.addContact({ id: 7 });
    const mistakes: (() => unknown)[] = [
      () => sandbox.addContact({ f9999: 'x' }),
      () => sandbox.addContact({ id: 7 }),
      () => sandbox.updateContact(id, { f9999: 'x' }),
      () => sandbox.updateContact('99', { firstname: 'x' }),
      () => sandbox.deleteContact('99'),
      () => sandbox.tag('99', 'Blue'),
      () => sandbox.untag('99', 'Blue'),
      () => sandbox.untag(id, 'Nonsense'),
      () => sandbox.renameTag('Nonsense', 'x'),
      () => sandbox.submitForm(1, '99'),
    ];
    for (const mistake of mistakes) {
      let thrown: unknown;
      try {
        mistake();
      } catch (error) {
        thrown = error;
      }
      expect(isWpFusionError(thrown)).toBe(true);
    }
    expect(sandbox.contacts()).toHaveLength(1);
    expect(sandbox.addContact()).toBe('8');
  });
});

test('imports no test runner, and of this package nothing but errors', () => {
  const folder = join(__dirname, '../../lib/testing');
  const files = [join(folder, 'ontraport-sandbox.ts')].concat(
    readdirSync(join(folder, 'sandbox')).map((name) => join(folder, 'sandbox', name)),
  );
  for (const file of files) {
    const imports = [...readFileSync(file, 'utf8').matchAll(/ from '([^']+)'/g)].map((match) => match[1]!);
    for (const name of imports) expect(name).toMatch(/^(node:.+|(\.\.\/)+errors|\.\/[\w/-]+)$/);
  }
});
