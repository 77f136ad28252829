// The middleware gives the client of the CRM what it needs to share its budget, where the queue has a place for it.
import {
  MemoryUserRepository,
  OntraportClient,
  wpFusionWebhook,
  type BudgetStore,
  type CrmClient,
} from '../../lib';
import { OntraportSandbox } from '../../lib/testing';
import { ACCESS_KEY } from '../actions/site';
import { MemoryWebhookQueue } from '../testing/contracts/memory-queue';

const crmOf = (given: BudgetStore[]): CrmClient => ({
  getContacts: async () => new Map(),
  updateContact: async () => undefined,
  shareBudget: (store) => void given.push(store),
});

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

function start(crm: CrmClient, queue: MemoryWebhookQueue | undefined, name?: string): void {
  const users = new MemoryUserRepository();
  open.push(
    wpFusionWebhook({ accessKey: ACCESS_KEY, crm, users, queue, name, worker: false, logger: false }),
  );
}

test('what is shared is in the queue, under the name of the middleware and a key of its own', async () => {
  const given: BudgetStore[] = [];
  const queue = new MemoryWebhookQueue();
  start(crmOf(given), queue, 'shop');
  expect(given).toHaveLength(1);
  const [store] = given as [BudgetStore];
  const before = Date.now();
  expect(await store.read()).toMatchObject({ text: null });
  expect((await store.read()).now).toBeGreaterThanOrEqual(before);
  expect(await store.write(null, 'text')).toBe(true);
  expect(await store.write(null, 'other')).toBe(false);
  expect(await store.read()).toMatchObject({ text: 'text' });
  expect(await queue.readShared('shop', 'rate budget')).toMatchObject({ text: 'text' });
});

test.each(['readShared', 'writeShared'] as const)('a queue without %s has no place for it', (method) => {
  const given: BudgetStore[] = [];
  start(crmOf(given), Object.assign(new MemoryWebhookQueue(), { [method]: undefined }));
  start(crmOf(given), undefined);
  expect(given).toEqual([]);
});

test('a client that shares nothing works as before', () => {
  expect(() =>
    start({ ...crmOf([]), shareBudget: undefined } as never, new MemoryWebhookQueue()),
  ).not.toThrow();
});

test('an OntraportClient paces its calls by it; of two middlewares with one client, by that of the first', async () => {
  const sandbox = await OntraportSandbox.start();
  open.push(sandbox);
  const { appId, apiKey, baseUrl } = sandbox;
  const crm = new OntraportClient({ appId, apiKey, baseUrl });
  const queue = new MemoryWebhookQueue();
  start(crm, queue, 'first');
  start(crm, queue, 'second');
  const id = sandbox.addContact({ email: 'mary@example.com' });
  await crm.getContacts([id]);
  const { text } = await queue.readShared('first', 'rate budget');
  expect(JSON.parse(text!)).toMatchObject({ limit: 180 });
  expect(text).not.toContain(apiKey);
  expect(await queue.readShared('second', 'rate budget')).toMatchObject({ text: null });
});
