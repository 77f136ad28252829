// Several clients of one account, as several processes have them, over HTTP: with a store in common none of their calls is
// refused; without one few are, and those are waited for.
import { OntraportClient } from '../../../lib';
import { Transport } from '../../../lib/crm/ontraport/transport';
import { OntraportSandbox } from '../../../lib/testing';
import { BudgetText } from './budget-text';

let sandbox: OntraportSandbox;
afterEach(() => sandbox.close());

async function start(rateLimit: { limit: number; windowMs: number }): Promise<string[]> {
  sandbox = await OntraportSandbox.start({ rateLimit });
  sandbox.latency(20);
  sandbox.addField({ key: 'f1', alias: 'Site password', type: 'text' });
  return Array.from({ length: 240 }, (_, number) =>
    sandbox.addContact({ email: `person${number}@example.com` }),
  );
}

const client = (): OntraportClient => {
  const { appId, apiKey, baseUrl } = sandbox;
  return new OntraportClient({ appId, apiKey, baseUrl });
};

/** Makes single reads: a client would put them together. */
const reader = (): Transport => {
  const { appId, apiKey, baseUrl } = sandbox;
  const options = { timeoutMs: 60_000, maxConcurrentCalls: 4, maxResponseBytes: 1_000_000 };
  return new Transport({ appId, apiKey, baseUrl, ...options });
};

const readAll = (readers: readonly Transport[], contactIds: readonly string[]): Promise<unknown> =>
  Promise.all(
    contactIds.map((ids, index) =>
      readers[index % readers.length]!.call({
        method: 'GET',
        path: '/Contacts',
        query: { ids },
        kind: 'read',
      }),
    ),
  );

test('with a store: eight that read all they may are never refused', async () => {
  const contactIds = await start({ limit: 90, windowMs: 2000 });
  const store = new BudgetText();
  const readers = Array.from({ length: 8 }, reader);
  for (const each of readers) each.shareBudget(store);
  await readAll(readers, contactIds);
  expect(sandbox.rejectedCalls).toBe(0);
  expect(sandbox.peakCallsInWindow).toBeLessThanOrEqual(Math.floor(90 * 0.95));
});

test('without one: writes of four leave enough room for what they do not know of one another', async () => {
  const contactIds = await start({ limit: 90, windowMs: 2000 });
  const clients = Array.from({ length: 4 }, client);
  await Promise.all(
    contactIds.map((id, index) => clients[index % clients.length]!.updateContact(id, { f1: 'password' })),
  );
  expect(contactIds.map((id) => sandbox.contact(id)?.f1)).toEqual(contactIds.map(() => 'password'));
  // No more than are under way at once.
  expect(sandbox.rejectedCalls).toBeLessThanOrEqual(4 * 4);
});

test('without one: of eight that read all they may some are refused, wait, and are answered', async () => {
  const contactIds = await start({ limit: 90, windowMs: 2000 });
  await readAll(Array.from({ length: 8 }, reader), contactIds);
  expect(sandbox.callCount({ path: '/Contacts' }) - sandbox.rejectedCalls).toBe(contactIds.length);
});
