// A contact that changes while its webhooks are processed: whatever comes in between, in one process or two over one
// storage, the newest state is what the user has in the end. The scenes, for whatever storage and processes there are.
import fc from 'fast-check';
import type { User } from '../../lib';
import type { OntraportSandbox } from '../../lib/testing';
import { crmPasswordLogsIn, until, type Process } from './site';

const ACTIONS = ['add', 'update', 'update_tags'] as const;
type Action = (typeof ACTIONS)[number];

/** A CRM, and two processes over one storage of users. */
export interface World {
  sandbox: OntraportSandbox;
  users: { all(): User[] | Promise<User[]> };
  processes: readonly [Process, Process];
}

let changes = 0;
/** Moves a field and the tags of a contact on, or to a given state. */
function change(sandbox: OntraportSandbox, id: string, to = (changes += 1)): number {
  sandbox.updateContact(id, { f2: `plan ${to}` });
  const [tag, other] = to % 2 === 0 ? ['Customer', 'VIP'] : ['VIP', 'Customer'];
  sandbox.tag(id, tag);
  sandbox.untag(id, other);
  return to;
}

async function newContact(
  { sandbox, processes }: World,
  withUser: boolean,
): Promise<{ id: string; state: number }> {
  const id = sandbox.addContact({ firstname: 'Mary', email: `mary${sandbox.contacts().length}@example.com` });
  const state = change(sandbox, id);
  if (withUser) await processes[0].ping('add', id);
  return { id, state };
}

async function expectNewest({ sandbox, users }: World, id: string, action: Action): Promise<void> {
  const found = (await users.all()).filter((user) => user.contactId === id);
  expect(found).toHaveLength(1);
  expect([...found[0]!.tags].sort()).toEqual([...sandbox.tagsOf(id)].sort());
  if (action !== 'update_tags') expect(found[0]!.meta.plan).toBe(sandbox.contact(id)!.f2);
}

const HOLDS = [
  { method: 'GET', path: '/Contacts', when: 'before', nth: 1 },
  { method: 'GET', path: '/Contacts', when: 'after', nth: 1 },
  { method: 'GET', path: '/Contacts', when: 'before', nth: 2 },
  { method: 'GET', path: '/Contacts', when: 'after', nth: 2 },
  { method: 'PUT', path: '/Contacts', when: 'before', nth: 1 },
  { method: 'PUT', path: '/Contacts', when: 'after', nth: 1 },
] as const;

export const PAIRS = ACTIONS.flatMap((first) => ACTIONS.map((second) => [first, second] as const));

/** The second webhook's end shows a change that came while the first one was under way. `other`: the second one's process. */
export async function changeBetween(
  world: World,
  first: Action,
  second: Action,
  other: 0 | 1,
): Promise<void> {
  const { sandbox, processes } = world;
  for (const [withUser, goesBack] of [
    [true, false],
    [true, true],
    [false, false],
  ]) {
    // Without a user there is something to see only where one is made.
    if (withUser === false && first !== 'add' && second !== 'add') continue;
    for (const { nth, ...match } of HOLDS) {
      const { id, state } = await newContact(world, withUser === true);
      // The first one has something to write; the second finds the contact further on, or back where its user still is.
      if (withUser === true) change(sandbox, id);
      let seen = 0;
      let firstIsAlone = true;
      const held = sandbox.hold({ ...match, where: () => firstIsAlone && (seen += 1) === nth });
      const firstEnd = processes[0].ping(first, id);
      await Promise.race([held.caught(), firstEnd]);
      firstIsAlone = false;
      change(sandbox, id, goesBack === true ? state : undefined);
      const secondEnd = processes[other].ping(second, id);
      // Over two processes the second one gets ahead; in one it has to wait for its turn.
      if (other === 1) await secondEnd;
      held.release();
      const answers = await Promise.all([firstEnd, secondEnd]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      await expectNewest(world, id, second);
    }
  }
}

/** Webhooks, changes and answers of the CRM in any order end in one user equal to its contact, whose password logs in. Closes the processes. */
export async function anyInterleaving(world: World, runs: number): Promise<void> {
  const { sandbox, users, processes } = world;
  const operation = fc.oneof(
    fc.record({ ping: fc.constantFrom(...ACTIONS), at: fc.constantFrom(0, 1) }),
    fc.constant('change' as const),
    fc.constant('answer one' as const),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: 1, maxLength: 8 }),
      fc.constantFrom('before', 'after'),
      async (operations, when) => {
        const { id } = await newContact(world, false);
        const held = sandbox.hold({ path: '/Contacts', when });
        const ends: Promise<{ status: number }>[] = [processes[0].ping('add', id)];
        await held.caught(1);
        for (const one of operations) {
          if (one === 'change') change(sandbox, id);
          else if (one === 'answer one') held.release(1);
          else ends.push(processes[one.at].ping(one.ping, id));
          // One turn of the event loop for what is under way.
          await new Promise((resolve) => setImmediate(resolve));
        }
        change(sandbox, id);
        ends.push(processes[1].ping('update', id));
        held.release();
        const answers = await Promise.all(ends);
        expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
        await expectNewest(world, id, 'update');
        await until(() => crmPasswordLogsIn(sandbox, users, id));
      },
    ),
    { numRuns: runs, endOnFailure: true },
  );
  await Promise.all(processes.map((one) => one.close()));
  for (const { contactId } of await users.all())
    expect(await crmPasswordLogsIn(sandbox, users, contactId!)).toBe(true);
}
