// Nobody gets into somebody else's account by way of a contact: an attacker who fills in every field of a contact as they like,
// lets any webhook of it follow, and cannot read what the site stores.
import fc from 'fast-check';
import { MemoryUserRepository, type User, type WpFusionWebhookOptions } from '../../lib';
import type { OntraportSandbox } from '../../lib/testing';
import { startProcess, startSandbox, type LocalProcess } from '../actions/site';
import { cheapHasher, newUser } from '../http/site';

const RULES = ['always', 'unprotected', 'never'] as const;
const ACTIONS = ['add', 'update', 'update_tags'] as const;
const VICTIM = 'mary@example.com';
const OF_THE_VICTIM = "the victim's own password";
const OF_THE_ATTACKER = "the attacker's password";

interface Scene {
  readonly sandbox: OntraportSandbox;
  readonly users: MemoryUserRepository;
  readonly process: LocalProcess;
}

/** A site that has every dangerous thing switched on. */
async function startScene(options: Partial<WpFusionWebhookOptions>): Promise<Scene> {
  const sandbox = await startSandbox();
  for (const key of ['f3', 'f4', 'f5']) sandbox.addField({ key, alias: key, type: 'text' });
  const users = new MemoryUserRepository();
  const process = await startProcess(sandbox, users, {
    fields: { plan: 'f2', username: 'f3', password: 'f4', role: 'f5' },
    passwordHasher: cheapHasher,
    passwordOnUpdate: true,
    returnPassword: { field: 'f1' },
    ...options,
  });
  return { sandbox, users, process };
}

const VICTIMS = {
  'a customer of the site': { role: 'customer', contactId: null },
  'an administrator': { role: 'administrator', contactId: null },
  'a customer with a contact of their own': { role: 'customer', contactId: 'own' },
  'a customer whose contact is gone': { role: 'customer', contactId: 'gone' },
} as const;

async function addVictim({ users, sandbox }: Scene, { role, contactId }: Victim): Promise<User> {
  const id = contactId === null ? null : sandbox.addContact({ email: VICTIM });
  if (id !== null && contactId === 'gone') sandbox.deleteContact(id);
  const passwordHash = await cheapHasher.hash(OF_THE_VICTIM);
  return users.create(newUser({ contactId: id, email: VICTIM, username: 'mary', role, passwordHash }));
}
type Victim = (typeof VICTIMS)[keyof typeof VICTIMS];

/** What the attacker may do, as often as they like. */
type Move =
  | { readonly kind: 'fill in'; readonly fields: Readonly<Record<string, string>> }
  | { readonly kind: 'webhook'; readonly action: string; readonly more: Readonly<Record<string, string>> };

const emails = fc.constantFrom(VICTIM, 'MARY@example.com ', 'eve@example.org', 'eve+2@example.org', '');
const moves: fc.Arbitrary<Move> = fc.oneof(
  fc.record({
    kind: fc.constant('fill in' as const),
    fields: fc
      .record(
        {
          email: emails,
          f2: fc.constantFrom('gold', ''),
          f3: fc.constantFrom('mary', VICTIM, 'eve'),
          f4: fc.constantFrom(OF_THE_ATTACKER, ''),
          f5: fc.constantFrom('administrator', 'Administrator', 'subscriber', ''),
        },
        { requiredKeys: [] },
      )
      .map((fields) => Object.fromEntries(Object.entries(fields))),
  }),
  fc.record({
    kind: fc.constant('webhook' as const),
    action: fc.constantFrom(...ACTIONS),
    more: fc.record(
      { role: fc.constantFrom('administrator', 'subscriber'), email: fc.constantFrom(VICTIM) },
      { requiredKeys: [] },
    ),
  }),
);

describe.each(RULES)('linkByEmail: %s', (linkByEmail) => {
  test.each(Object.entries(VICTIMS))(
    'whatever an attacker fills in, whatever follows: not into the account of %s',
    async (_name, kind) => {
      const scene = await startScene({ linkByEmail });
      const { users, sandbox, process } = scene;
      const victim = await addVictim(scene, kind);
      let contactId = '';
      const begin = async (): Promise<void> => {
        for (const user of users.all()) {
          if (user.id === victim.id) continue;
          await users.update(user.id, { contactId: null, email: `gone-${user.id}@example.org` });
        }
        await users.update(victim.id, { ...victim, meta: {} });
        // The attacker's contact is linked to the victim from the first webhook on, where the site allows it.
        contactId = sandbox.addContact({ email: VICTIM, f4: OF_THE_ATTACKER });
        await process.ping('add', contactId);
      };
      await fc.assert(
        fc.asyncProperty(fc.array(moves, { minLength: 2, maxLength: 8 }), async (steps) => {
          await begin();
          for (const step of steps) {
            if (step.kind === 'fill in') sandbox.updateContact(contactId, step.fields);
            else await process.ping(step.action, contactId, step.more);
          }
          const now = users.all().find(({ id }) => id === victim.id)!;
          expect(now).toMatchObject({ email: VICTIM, username: 'mary', passwordHash: victim.passwordHash });
          // A customer may have become a subscriber, since the site lets a contact say so; nobody has got more.
          expect([victim.role, ...(kind.role === 'customer' ? ['subscriber'] : [])]).toContain(now.role);
          if (linkByEmail === 'never' || (linkByEmail === 'unprotected' && kind.role === 'administrator')) {
            expect(now.contactId).toBe(victim.contactId);
          }
          // And nothing that the CRM shows the attacker logs in there.
          for (const text of new Set(Object.values(sandbox.contact(contactId) ?? {}).map(String))) {
            expect(await cheapHasher.verify(text, now.passwordHash!)).toBe(false);
          }
        }),
        { numRuns: Number(globalThis.process.env.FC_RUNS ?? 15) },
      );
    },
  );
});

describe('an account that was there before its contact', () => {
  const linked = async (options: Partial<WpFusionWebhookOptions> = {}) => {
    const scene = await startScene(options);
    const victim = await addVictim(scene, VICTIMS['a customer of the site']);
    const contactId = scene.sandbox.addContact({ email: VICTIM });
    await scene.process.ping('add', contactId);
    expect(scene.users.all()).toMatchObject([{ id: victim.id, contactId }]);
    return { ...scene, contactId, user: () => scene.users.all()[0]! };
  };

  test.each(['add', 'update'])('keeps its email, and %s says so; all else is updated', async (action) => {
    const { sandbox, process, contactId, user } = await linked();
    sandbox.updateContact(contactId, { email: 'eve@example.org', f2: 'gold' });
    for (const [more, outcome] of [
      [{ dry_run: '1' }, 'updated'],
      [{}, 'updated'],
      [{}, 'unchanged'],
    ] as const) {
      const { json } = await process.ping(action, contactId, more);
      expect(json).toMatchObject({ outcome, warnings: [{ code: 'USER_PROTECTED' }] });
      expect(json.warnings[0].message).toMatch(/found by its email; left alone: email/);
    }
    expect(user()).toMatchObject({ email: VICTIM, meta: { plan: 'gold' } });
  });

  test('also after its owner has changed email and password on the site', async () => {
    const { users, sandbox, process, contactId, user } = await linked();
    const passwordHash = await cheapHasher.hash('another');
    await users.update(user().id, { email: 'mary@new.example.com', passwordHash });
    sandbox.updateContact(contactId, { email: 'eve@example.org', f4: OF_THE_ATTACKER });
    await process.ping('update', contactId);
    expect(user()).toMatchObject({ email: 'mary@new.example.com', passwordHash });
  });

  test('also after a hook of the host has given it a password', async () => {
    const passwordHash = await cheapHasher.hash('of the host');
    const { sandbox, process, contactId, user } = await linked({
      hooks: { beforeUpdate: ({ changes }) => ({ ...changes, passwordHash }) },
    });
    sandbox.updateContact(contactId, { email: 'eve@example.org', f2: 'gold' });
    await process.ping('update', contactId);
    sandbox.updateContact(contactId, { f4: OF_THE_ATTACKER });
    await process.ping('update', contactId);
    expect(user()).toMatchObject({ email: VICTIM, passwordHash, meta: { plan: 'gold' } });
  });

  test('follows its contact once the host has forgotten how it was linked', async () => {
    const { users, sandbox, process, contactId, user } = await linked();
    await users.update(user().id, { syncState: null });
    sandbox.updateContact(contactId, { email: 'mary@new.example.com' });
    expect((await process.ping('update', contactId)).json).toMatchObject({
      outcome: 'updated',
      warnings: [],
    });
    expect(user().email).toBe('mary@new.example.com');
  });

  test('whoever was created out of a contact follows it', async () => {
    const { sandbox, process, users } = await startScene({});
    const contactId = sandbox.addContact({ email: VICTIM });
    await process.ping('add', contactId);
    sandbox.updateContact(contactId, { email: 'mary@new.example.com' });
    expect((await process.ping('update', contactId)).json).toMatchObject({
      outcome: 'updated',
      warnings: [],
    });
    expect(users.all()).toMatchObject([{ email: 'mary@new.example.com' }]);
  });
});

describe('two contacts with one email', () => {
  test.each(RULES)('the first has the account, the second gets nowhere: %s', async (linkByEmail) => {
    const { sandbox, process, users } = await startScene({ linkByEmail });
    const [first, second] = [VICTIM, ' Mary@EXAMPLE.com'].map((email) => sandbox.addContact({ email }));
    await process.ping('add', first!);
    const [before] = users.all();
    sandbox.updateContact(second!, { f4: OF_THE_ATTACKER, f3: 'eve', f2: 'gold' });
    for (const action of ACTIONS) {
      const { status, json } = await process.ping(action, second!, { email: VICTIM });
      const isRefused = linkByEmail !== 'never' || action === 'add';
      expect(status).toBe(isRefused ? 409 : 200);
      if (!isRefused) expect(json).toMatchObject({ outcome: 'skipped', reason: 'USER_NOT_FOUND' });
    }
    expect(users.all()).toEqual([before]);
  });

  test('nor at once: of many parallel webhooks of both, one contact gets the account', async () => {
    const { sandbox, process, users } = await startScene({});
    const ids = [1, 2].map(() => sandbox.addContact({ email: VICTIM }));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => process.ping('add', ids[index % 2]!)),
    );
    const [user, ...others] = users.all();
    expect(others).toEqual([]);
    for (const [index, { status, json }] of answers.entries()) {
      if (ids[index % 2] === user!.contactId) expect(status).toBe(200);
      else expect([status, json.code]).toEqual([409, 'CONTACT_CONFLICT']);
    }
  });

  test('a contact that is given the email of another’s account keeps its own', async () => {
    const { sandbox, process, users } = await startScene({});
    const mary = sandbox.addContact({ email: VICTIM });
    const eve = sandbox.addContact({ email: 'eve@example.org' });
    await process.ping('add', mary);
    await process.ping('add', eve);
    sandbox.updateContact(eve, { email: 'MARY@example.com' });
    expect((await process.ping('update', eve)).json.warnings).toMatchObject([{ code: 'EMAIL_TAKEN' }]);
    expect(users.all()).toMatchObject([
      { contactId: mary, email: VICTIM },
      { contactId: eve, email: 'eve@example.org' },
    ]);
  });
});

describe('an email that only looks like the victim’s, or that some database would take for it', () => {
  const LOOK_ALIKES = {
    'a Cyrillic a': 'm\u0430ry@example.com',
    'full width letters': '\uFF4Dary@example.com',
    'an accent': 'm\u00E1ry@example.com',
    'an accent of its own': 'ma\u0301ry@example.com',
    'a dotless i in the domain': 'mary@ex\u0430mple.com',
    'the Kelvin sign': 'mary@example.\u212Aom',
    'a full width at sign': 'mary\uFF20example.com',
    'a full width stop': 'mary@example\uFF0Ecom',
    'an ideographic stop': 'mary@example\u3002com',
    'a zero width space': 'ma\u200Bry@example.com',
    'a soft hyphen': 'ma\u00ADry@example.com',
    'a NUL at its end': 'mary@example.com\0',
    'a line break and a copy': 'mary@example.com\nBcc: eve@example.org',
    'a second address': 'mary@example.com,eve@example.org',
    'a source route': 'eve%mary@example.com',
    'a name before it': 'Mary <mary@example.com>',
    'a comment': 'mary(eve)@example.com',
    'a quoted local part': '"mary"@example.com',
    'a dot at its end': 'mary@example.com.',
    'a tag': 'mary+eve@example.com',
    'a space at the at sign': 'mary @example.com',
  };

  test.each(RULES)('leads to no account but its own: %s', async (linkByEmail) => {
    const scene = await startScene({ linkByEmail });
    const { sandbox, process, users } = scene;
    const victim = await addVictim(scene, VICTIMS['a customer of the site']);
    for (const [name, email] of Object.entries(LOOK_ALIKES)) {
      const contactId = sandbox.addContact({ email, f3: 'mary', f4: OF_THE_ATTACKER });
      const { json } = await process.ping('add', contactId);
      expect([`${name}: created`, `${name}: CONTACT_WITHOUT_EMAIL`]).toContain(
        `${name}: ${json.outcome ?? json.code}`,
      );
      await process.ping('update', contactId, { email: VICTIM });
      expect(users.all().find(({ id }) => id === victim.id)).toEqual(victim);
    }
    // Whoever got an account has one of their own, under a name that nobody else has.
    const names = users.all().map(({ username }) => username);
    expect(new Set(names).size).toBe(names.length);
  });
});
