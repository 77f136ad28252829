// Many webhooks at once: as many users as contacts, one password each, few calls to the CRM, none over its limit.
import { MemoryUserRepository } from '../../lib';
import { crmPasswordLogsIn, startProcess, startSandbox, until, type LocalProcess } from './site';

const contactReads = { method: 'GET', path: '/Contacts' };

test.each([1, 2])('ten simultaneous add for each of twenty contacts, %i process(es)', async (processes) => {
  const sandbox = await startSandbox();
  const users = new MemoryUserRepository();
  const options = { returnPassword: { field: 'f1' } };
  const sites: LocalProcess[] = [];
  for (let count = 0; count < processes; count += 1) sites.push(await startProcess(sandbox, users, options));
  const ids = Array.from({ length: 20 }, (_, index) =>
    sandbox.addContact({ firstname: `P${index}`, email: `person${index}@example.com`, tags: ['Member'] }),
  );
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, index) => sites[index % processes]!.ping('add', ids[index % 20]!)),
  );
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  expect(answers.filter(({ json }) => json.outcome === 'created')).toHaveLength(20);
  expect(users.all()).toHaveLength(20);
  await until(async () =>
    (await Promise.all(ids.map((id) => crmPasswordLogsIn(sandbox, users, id)))).every(Boolean),
  );
  // Nothing under way may undo it.
  await Promise.all(sites.map(({ webhook }) => webhook.close()));
  for (const id of ids) expect(await crmPasswordLogsIn(sandbox, users, id)).toBe(true);
});

test.each(['add', 'update', 'update_tags'])(
  '200 %s at once need at most 12 contact reads',
  async (action) => {
    const sandbox = await startSandbox();
    const users = new MemoryUserRepository();
    const site = await startProcess(sandbox, users);
    const ids = Array.from({ length: 200 }, (_, index) =>
      sandbox.addContact({ email: `p${index}@example.com` }),
    );
    if (action !== 'add') {
      for (const id of ids) {
        await users.create({
          contactId: id,
          email: `p${Number(id) - Number(ids[0])}@example.com`,
          username: `user${id}`,
          passwordHash: null,
          role: 'subscriber',
          tags: [],
          meta: {},
          syncState: null,
        });
      }
    }
    // No answer before all of them are there, however long the machine takes to send them.
    const held = sandbox.hold(contactReads);
    let received = 0;
    site.webhook.on('webhook.received', () => {
      received += 1;
      if (received === ids.length) held.release();
    });
    sandbox.latency(50);
    const answers = await Promise.all(ids.map((id) => site.ping(action, id)));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(users.all()).toHaveLength(200);
    expect(sandbox.callCount(contactReads)).toBeLessThanOrEqual(12);
  },
);

test('200 add with returned passwords against a limit of 180 calls: all users at once, no call over it, all passwords in the end', async () => {
  const sandbox = await startSandbox({ rateLimit: { limit: 180, windowMs: 12_000 } });
  const users = new MemoryUserRepository();
  const site = await startProcess(sandbox, users, { returnPassword: { field: 'f1' }, timeoutMs: 8_000 });
  const ids = Array.from({ length: 200 }, (_, index) =>
    sandbox.addContact({ email: `p${index}@example.com` }),
  );
  const answers = await Promise.all(ids.map((id) => site.ping('add', id)));
  expect(answers.filter(({ json }) => json.outcome !== 'created')).toEqual([]);
  expect(users.all()).toHaveLength(200);
  const waiting = answers.filter(({ json }) =>
    json.warnings.some(({ code }: { code: string }) => code === 'PASSWORD_NOT_RETURNED'),
  );
  expect(waiting.length).toBeGreaterThan(0);

  await until(() => ids.every((id) => Boolean(sandbox.contact(id)?.f1)));
  for (const id of ids) expect(await crmPasswordLogsIn(sandbox, users, id)).toBe(true);
  expect(sandbox.rejectedCalls).toBe(0);
  expect(sandbox.peakCallsInWindow).toBeLessThanOrEqual(180);
});
