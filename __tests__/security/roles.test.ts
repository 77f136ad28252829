// No webhook gives a role that is not on the list: on no path, in no spelling, to nobody; and nobody who has another one is touched.
import fc from 'fast-check';
import createKnex, { type Knex } from 'knex';
import { MemoryUserRepository, wpFusionWebhook, type User, type WpFusionWebhook } from '../../lib';
import { KnexWebhookQueue, migrate } from '../../lib/knex';
import { until } from '../actions/site';
import { send, type Outgoing } from '../http/client';
import { onEach, startHost, TWO_HOSTS, type Started } from '../http/hosts';
import { cheapHasher, MemoryCrm, newUser } from '../http/site';

const KEY = 'the-access-key-of-the-roles';
const ASSIGNABLE = ['subscriber', 'Customer'];
const FORBIDDEN = ['administrator', 'Administrator', 'admin', 'root', 'super admin', 'editor'];

/** Everything that one might take for one of the roles, or that might make a list of one. */
const asked: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...FORBIDDEN, ...ASSIGNABLE), fc.constantFrom(...FORBIDDEN, ...ASSIGNABLE))
  .chain(([role, other]) =>
    fc.oneof(
      fc.mixedCase(fc.constant(role)),
      fc.constantFrom(' ', '\t', '\n', '\u00A0', '\u3000', '\uFEFF').map((space) => space + role + space),
      fc
        .constantFrom('\u200B', '\u00AD', '\u200F', '\0', '%00', '\u0301', '.', '"', "'", '\\', '*', '%')
        .chain((mark) => fc.nat(role.length).map((index) => role.slice(0, index) + mark + role.slice(index))),
      fc
        .constantFrom(',', ', ', ';', '|', ' ', '\n', '&role=', '*/*', '","')
        .map((separator) => role + separator + other),
      fc.constant(role.replace(/[a-z]/gi, (letter) => String.fromCodePoint(letter.codePointAt(0)! + 0xfee0))),
      fc.constant(role.replaceAll('i', '\u0131').replaceAll('s', '\u017F').replaceAll('o', '\u043E')),
      fc.constant(encodeURIComponent(encodeURIComponent(role))),
      fc.constantFrom(
        '__proto__',
        'constructor',
        'toString',
        '[object Object]',
        'null',
        'undefined',
        '*',
        '0',
      ),
      fc.string({ unit: 'binary', maxLength: 20 }),
    ),
  );

/** How a role gets into a webhook. */
const PATHS: Record<string, (role: string, other: string) => Partial<Outgoing> & { query?: string[][] }> = {
  'a parameter of the query': (role) => ({ query: [['role', role]] }),
  'given twice': (role, other) => ({
    query: [
      ['role', other],
      ['role', role],
    ],
  }),
  'as an array of the query': (role, other) => ({
    query: [
      ['role[]', role],
      ['role[0]', other],
      ['role[role]', role],
    ],
  }),
  'a form': (role) => ({
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ role }).toString(),
  }),
  JSON: (role) => ({ headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ role }) }),
  'an array in JSON': (role, other) => ({
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ role: [other, role] }),
  }),
  'an object in JSON': (role, other) => ({
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ role: { role, toString: other }, data: { role } }),
  }),
  'one in the query, another in the body': (role, other) => ({
    query: [['role', other]],
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ role, user: { role }, Role: role, ROLE: role }),
  }),
};
const ACTIONS = ['add', 'update', 'update_tags'];
const RUNS = { numRuns: Number(process.env.FC_RUNS ?? 25) };

function makeSite(queue?: KnexWebhookQueue) {
  const crm = new MemoryCrm();
  const users = new MemoryUserRepository();
  const webhook = wpFusionWebhook({
    accessKey: KEY,
    crm,
    users,
    fields: { role: 'role', status: 'role' },
    roles: { assignable: ASSIGNABLE, default: 'subscriber' },
    linkByEmail: 'always',
    passwordHasher: cheapHasher,
    logger: false,
    ...(queue === undefined ? {} : { queue }),
  });
  return { crm, users, webhook };
}

let count = 0;
/** A contact, of nobody yet, of a customer or of an administrator; and whom a role must not have been taken from. */
async function addContact(
  { crm, users }: ReturnType<typeof makeSite>,
  role: string | null,
  whose: 'nobody' | 'a customer' | 'an administrator' | 'somebody found by email',
): Promise<string> {
  count += 1;
  const [id, email] = [String(count), `user-${count}@example.com`];
  crm.add(id, { email, role }, ['Member']);
  if (whose === 'nobody') return id;
  await users.create(
    newUser({
      contactId: whose === 'somebody found by email' ? null : id,
      email,
      role: whose === 'a customer' ? 'Customer' : 'administrator',
    }),
  );
  return id;
}

/** Whether the user has the role it had, or one from the list, spelt as there. */
function expectNoMore(user: User | undefined, whose: string): void {
  if (whose === 'an administrator' || whose === 'somebody found by email') {
    expect(user?.role).toBe('administrator');
  } else if (user !== undefined) expect(ASSIGNABLE).toContain(user.role);
  else expect(whose).toBe('nobody');
}

const whose = fc.constantFrom(
  'nobody' as const,
  'a customer' as const,
  'an administrator' as const,
  'somebody found by email' as const,
);

describe('inside the request', () => {
  let hosts: Started[];
  let site: ReturnType<typeof makeSite>;
  beforeAll(async () => {
    site = makeSite();
    hosts = await Promise.all(
      TWO_HOSTS.map(async (variant) => ({ variant, host: await startHost(variant, site.webhook) })),
    );
  });
  afterAll(async () => {
    await Promise.all(hosts.map(({ host }) => host.close()));
    await site.webhook.close();
  });

  test.each(Object.entries(PATHS))('%s', async (_name, path) => {
    await fc.assert(
      fc.asyncProperty(asked, asked, whose, fc.constantFrom(...ACTIONS), async (role, other, who, action) => {
        await onEach(hosts, async ({ host }) => {
          const id = await addContact(site, null, who);
          const { query = [], ...outgoing } = path(role, other);
          const search = new URLSearchParams([
            ['wpf_action', action],
            ['access_key', KEY],
            ['contact_id', id],
            ['email', `user-${id}@example.com`],
            ...query,
          ]);
          const { status } = await send(host.url, { method: 'POST', ...outgoing, path: `/?${search}` });
          expect([200, 400]).toContain(status);
          expectNoMore(
            site.users.all().find(({ email }) => email === `user-${id}@example.com`),
            who,
          );
        });
      }),
      RUNS,
    );
  });

  test('a mapped field, with and without a parameter', async () => {
    await fc.assert(
      fc.asyncProperty(asked, asked, whose, fc.constantFrom(...ACTIONS), async (role, other, who, action) => {
        for (const more of [{}, { role: other }, { dry_run: '1', role: other }]) {
          const id = await addContact(site, role, who);
          const email = `user-${id}@example.com`;
          const parameters = { wpf_action: action, access_key: KEY, contact_id: id, email, ...more };
          await send(hosts[0]!.host.url, { method: 'POST', path: `/?${new URLSearchParams(parameters)}` });
          expectNoMore(
            site.users.all().find((user) => user.email === email),
            who,
          );
        }
      }),
      RUNS,
    );
  });

  test('asked for again and again, by parameter and by field in turn', async () => {
    const id = await addContact(site, 'administrator', 'nobody');
    for (let round = 0; round < 10; round += 1) {
      for (const action of ACTIONS) {
        const role = FORBIDDEN[round % FORBIDDEN.length]!;
        const parameters = { wpf_action: action, access_key: KEY, contact_id: id, role };
        await send(hosts[0]!.host.url, { method: 'POST', path: `/?${new URLSearchParams(parameters)}` });
      }
      expectNoMore(
        site.users.all().find(({ contactId }) => contactId === id),
        'nobody',
      );
    }
  });

  test('a walk of the host’s own script', async () => {
    const { crm, users } = site;
    const role = 'administrator';
    for (const who of ['nobody', 'a customer', 'an administrator'] as const) {
      const id = await addContact(site, role, who);
      const list = async function* () {
        yield* (await crm.getContacts([id])).values();
      };
      const webhook: WpFusionWebhook = wpFusionWebhook({
        accessKey: KEY,
        crm: Object.assign(Object.create(crm) as MemoryCrm, { listContacts: list }),
        users,
        fields: { role: 'role' },
        roles: { assignable: ASSIGNABLE },
        passwordHasher: cheapHasher,
        logger: false,
      });
      expect(() => webhook.importContacts({ tag: 'Member', role })).toThrow(/roles\.assignable/);
      await webhook.importContacts({ tag: 'Member' });
      await webhook.reconcile({ all: true });
      await webhook.close();
      expectNoMore(
        users.all().find(({ contactId }) => contactId === id),
        who,
      );
    }
  });
});

describe('from a queue', () => {
  let knex: Knex;
  let site: ReturnType<typeof makeSite>;
  let host: Started['host'];
  beforeAll(async () => {
    knex = createKnex({ client: 'better-sqlite3', connection: ':memory:', useNullAsDefault: true });
    await migrate(knex, { users: false, activity: false });
    site = makeSite(new KnexWebhookQueue(knex));
    host = await startHost(TWO_HOSTS[0]!, site.webhook);
  });
  afterAll(async () => {
    await host.close();
    await site.webhook.close();
    await knex.destroy();
  });

  test('stored, merged with others, done later, done once more from the activity log', async () => {
    await fc.assert(
      fc.asyncProperty(asked, asked, whose, async (role, other, who) => {
        const id = await addContact(site, null, who);
        const ask = (action: string, more: string): ReturnType<typeof send> =>
          send(host.url, {
            method: 'POST',
            path: `/?${new URLSearchParams({ wpf_action: action, access_key: KEY, contact_id: id, role: more })}`,
          });
        const answers = await Promise.all([ask('add', role), ask('update', other), ask('add', other)]);
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
        // Waiting ones are also those that are being worked on.
        const isOver = async (): Promise<boolean> => (await site.webhook.queueCounts()).waiting === 0;
        await until(isOver);
        for (const { id: recordId, action } of await site.webhook.activity.list({ contactId: id })) {
          if (action === 'add') await site.webhook.activity.replay(recordId);
        }
        await until(isOver);
        expectNoMore(
          site.users.all().find(({ email }) => email === `user-${id}@example.com`),
          who,
        );
      }),
      { numRuns: 10 },
    );
  });
});
