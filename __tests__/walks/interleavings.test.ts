// Contacts that change, and webhooks that arrive for them, while they are walked: the newest state is what their users have.
import fc from 'fast-check';
import type { User, Walk } from '../../lib';
import { FAIL_POINT } from '../../lib/options';
import type { OntraportSandbox } from '../../lib/testing';
import { emptied, HOUR, isPage, isRead, open, watchProcess, WAYS, type Scene } from './scene';

watchProcess();

const WALKS = {
  reconcile: ({ site }: Scene): Walk => site.webhook.reconcile({ since: new Date(Date.now() - HOUR) }),
  import: ({ site }: Scene): Walk => site.webhook.importContacts({ tag: 'Customer' }),
};
const KINDS = ['reconcile', 'import'] as const;
const ACTIONS = ['add', 'update'] as const;
/** Where the walk, or the run that it has asked for, is held up. */
const HOLDS = [
  { what: 'page', where: isPage, when: 'before' },
  { what: 'page', where: isPage, when: 'after' },
  { what: 'read', where: isRead, when: 'before' },
  { what: 'read', where: isRead, when: 'after' },
] as const;
const CREATING = ['create: about to store', 'create: stored'];
const STEPS = {
  'with a queue': ['accept: stored', 'work: taken', 'work: run ended', ...CREATING],
  'without a queue': CREATING,
};

let changes = 0;
/** Moves a field and the tags of a contact on. */
function change(sandbox: OntraportSandbox, id: string): void {
  changes += 1;
  sandbox.updateContact(id, { f2: `plan ${changes}` });
  const [tag, other] = changes % 2 === 0 ? ['Member', 'VIP'] : ['VIP', 'Member'];
  sandbox.tag(id, tag);
  sandbox.untag(id, other);
}

function expectNewest({ sandbox, users }: Scene, id: string): void {
  const found = users.all().filter((user: User) => user.contactId === id);
  expect(found).toHaveLength(1);
  expect([...found[0]!.tags].sort()).toEqual([...sandbox.tagsOf(id)].sort());
  expect(found[0]!.meta.plan).toBe(sandbox.contact(id)!.f2);
}

/** A contact of the tag, whose user differs from it, or which has none yet. */
async function newContact({ member, sandbox }: Scene, withUser: boolean): Promise<string> {
  const contact = { email: `mary${sandbox.contacts().length}@example.com`, tags: ['Customer'], f2: 'gold' };
  return withUser ? member(contact, { meta: { plan: 'silver' } }) : sandbox.addContact(contact);
}

describe.each(WAYS)('%s', (way) => {
  describe.each(KINDS)('%s', (kind) => {
    test.each(
      HOLDS.flatMap((hold) =>
        ACTIONS.flatMap((action) => [true, false].map((withUser) => ({ ...hold, action, withUser }))),
      ),
    )(
      'held $when its $what (user: $withUser), a change and $action',
      async ({ where, when, action, withUser }) => {
        const scene = await open(way);
        const { sandbox, queue, site } = scene;
        const id = await newContact(scene, withUser);
        const held = sandbox.hold({ where, when, times: 1 });
        const walk = WALKS[kind](scene);
        await Promise.race([held.caught(), walk]);
        change(sandbox, id);
        const answer = site.ping(action, id);
        await new Promise((resolve) => setImmediate(resolve));
        held.release();
        expect((await answer).status).toBe(way === 'with a queue' ? 202 : 200);
        expect(await walk).toMatchObject({ failed: 0, waiting: 0, finished: true });
        await emptied(queue);
        const hasUser = withUser || kind === 'import' || action === 'add';
        if (hasUser) expectNewest(scene, id);
        else expect(scene.users.all()).toEqual([]);
      },
    );
  });

  test.each(STEPS[way])('an import held at “%s”, a change and update', async (step) => {
    let hold = true;
    let reached: () => void = () => undefined;
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const caught = new Promise<void>((resolve) => (reached = resolve));
    const scene = await open(way, {
      [FAIL_POINT]: async (name: string) => {
        if (name !== step || !hold) return;
        hold = false;
        reached();
        await held;
      },
    } as Parameters<typeof open>[1]);
    const { sandbox, queue, site } = scene;
    const id = await newContact(scene, false);
    const walk = WALKS.import(scene);
    await Promise.race([caught, walk]);
    change(sandbox, id);
    const answer = site.ping('update', id);
    await new Promise((resolve) => setImmediate(resolve));
    release();
    expect((await answer).status).toBe(way === 'with a queue' ? 202 : 200);
    expect(await walk).toMatchObject({ created: 1, failed: 0, finished: true });
    await emptied(queue);
    expectNewest(scene, id);
  });

  test('any interleaving of walks, webhooks, changes and answers ends in one user equal to the newest contact', async () => {
    const scene = await open(way);
    const { sandbox, queue, site } = scene;
    const operation = fc.oneof(
      fc.record({ ping: fc.constantFrom(...ACTIONS) }),
      fc.record({ walk: fc.constantFrom(...KINDS) }),
      fc.constant('change' as const),
      fc.constant('answer one' as const),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { minLength: 1, maxLength: 8 }),
        fc.constantFrom('before', 'after'),
        fc.boolean(),
        async (operations, when, withUser) => {
          const id = await newContact(scene, withUser);
          const held = sandbox.hold({ when, where: (call) => isPage(call) || isRead(call) });
          const walks: Walk[] = [WALKS.import(scene)];
          const answers: Promise<{ status: number }>[] = [];
          for (const one of operations) {
            if (one === 'change') change(sandbox, id);
            else if (one === 'answer one') held.release(1);
            else if ('walk' in one) walks.push(WALKS[one.walk](scene));
            else answers.push(site.ping(one.ping, id));
            await new Promise((resolve) => setImmediate(resolve));
          }
          change(sandbox, id);
          answers.push(site.ping('update', id));
          held.release();
          for (const walk of walks) expect(await walk).toMatchObject({ failed: 0, finished: true });
          for (const { status } of await Promise.all(answers)) expect(status).toBeLessThan(300);
          await emptied(queue);
          expectNewest(scene, id);
        },
      ),
      { numRuns: Number(process.env.FC_RUNS ?? 12), endOnFailure: true },
    );
  });
});

test('a webhook that is lost is made good by the next walk, whatever the walk before it saw', async () => {
  const scene = await open('with a queue');
  const { sandbox, users } = scene;
  const id = await newContact(scene, true);
  const held = sandbox.hold({ where: isPage, when: 'after', times: 1 });
  const walk = WALKS.reconcile(scene);
  await held.caught();
  // Its page was read, its user not yet compared.
  await users.update(users.all()[0]!.id, { meta: { plan: 'gold' }, tags: ['Customer'] });
  change(sandbox, id);
  held.release();
  expect(await walk).toMatchObject({ unchanged: 1 });
  expect(await scene.site.webhook.reconcile()).toMatchObject({ updated: 1 });
  expectNewest(scene, id);
});
