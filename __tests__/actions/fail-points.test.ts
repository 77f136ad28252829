// A process dies, or another one gets ahead of it, between any two effects of creating a user: in the end the CRM's password
// logs in, and nothing that is owed is forgotten. The steps come from the code; one that is never reached fails the test.
import { MemoryUserRepository } from '../../lib';
import { STEPS, type Step } from '../../lib/actions/steps';
import { FAIL_POINT } from '../../lib/options';
import type { OntraportSandbox } from '../../lib/testing';
import { parseSyncState } from '../../lib/users/sync-state';
import { crmPasswordLogsIn, hasher, startProcess, startSandbox, until, type LocalProcess } from './site';

const forever = new Promise<never>(() => undefined);

interface Scene {
  sandbox: OntraportSandbox;
  users: MemoryUserRepository;
  contactId: string;
  created: string[];
  mailed: string[];
  start(atStep?: (step: Step) => Promise<void>): Promise<LocalProcess>;
}

async function scene(): Promise<Scene> {
  const sandbox = await startSandbox();
  const users = new MemoryUserRepository();
  const created: string[] = [];
  const mailed: string[] = [];
  return {
    sandbox,
    users,
    created,
    mailed,
    contactId: sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com', tags: ['Member'] }),
    start: (atStep) =>
      startProcess(sandbox, users, {
        returnPassword: { field: 'f1' },
        hooks: { afterCreate: ({ user }) => created.push(user.email) },
        notifier: { sendWelcome: async ({ user }) => void mailed.push(user.email) },
        timeoutMs: 10_000,
        ...(atStep === undefined ? {} : { [FAIL_POINT]: atStep }),
      }),
  };
}

/** A process that stops for good at a step, with all that it has under way. */
function dyingAt(fatal: Step): { atStep: (step: Step) => Promise<void>; died: Promise<void> } {
  let dead = false;
  let report: () => void;
  const died = new Promise<void>((resolve) => (report = resolve));
  const atStep = async (step: Step): Promise<void> => {
    if (step === fatal) {
      dead = true;
      report();
    }
    if (dead) await forever;
  };
  return { atStep, died };
}

const reached = new Set<Step>();

async function expectSettled({ sandbox, users, contactId, created, mailed }: Scene): Promise<void> {
  await until(() => crmPasswordLogsIn(sandbox, users, contactId));
  expect(users.all()).toHaveLength(1);
  expect(created.length).toBeGreaterThanOrEqual(1);
  expect(mailed.length).toBeGreaterThanOrEqual(1);
  const state = parseSyncState(users.all()[0]!.syncState);
  expect(state.afterCreate).toBe(false);
  expect(state.mail).toBe(false);
}

describe('a process that dies leaves what it owes to the contact’s next webhook', () => {
  const CREATION = STEPS.filter((step) => step !== 'takeover: new password stored');
  test.each(CREATION)('%s', async (step) => {
    const theScene = await scene();
    const { atStep, died } = dyingAt(step);
    const first = await theScene.start(atStep);
    void first.ping('add', theScene.contactId, { send_notification: 'true' }).catch(() => undefined);
    await died;
    reached.add(step);
    const next = await theScene.start();
    // Before the user was stored nobody but an add can make it.
    const action = step === 'create: about to store' ? 'add' : 'update_tags';
    const answer = await next.ping(action, theScene.contactId, { send_notification: 'true' });
    expect(answer.json).toMatchObject({ ok: true, warnings: [] });
    await expectSettled(theScene);
  });

  test('takeover: new password stored', async () => {
    const theScene = await scene();
    const first = dyingAt('create: stored');
    void (await theScene.start(first.atStep))
      .ping('add', theScene.contactId, { send_notification: 'true' })
      .catch(() => undefined);
    await first.died;
    const second = dyingAt('takeover: new password stored');
    void (await theScene.start(second.atStep)).ping('update', theScene.contactId).catch(() => undefined);
    await second.died;
    reached.add('takeover: new password stored');
    const answer = await (await theScene.start()).ping('update', theScene.contactId);
    expect(answer.json).toMatchObject({ ok: true, warnings: [] });
    await expectSettled(theScene);
  });

  test('each step of the code was reached', () => {
    expect([...reached].sort()).toEqual([...STEPS].sort());
  });
});

describe('a second process that meets the user while its creator is still between two steps', () => {
  test.each(
    STEPS.flatMap((step) =>
      (['add', 'update', 'update_tags'] as const).map((action) => [step, action] as const),
    ),
  )('%s, %s', async (step, action) => {
    const theScene = await scene();
    let goOn: () => void = () => undefined;
    let arrive: () => void = () => undefined;
    const arrived = new Promise<void>((resolve) => (arrive = resolve));
    const mayGoOn = new Promise<void>((resolve) => (goOn = resolve));
    const pauseAt = async (at: Step): Promise<void> => {
      if (at !== step) return;
      arrive();
      await mayGoOn;
    };
    const first = await theScene.start(pauseAt);
    const firstEnd = first.ping('add', theScene.contactId, { send_notification: 'true' });
    // The takeover is no step of the creator: there the second one is held and the creator goes on beside it.
    await Promise.race([arrived, firstEnd]);
    const second = await theScene.start();
    const secondAnswer = await second.ping(action, theScene.contactId, { send_notification: 'true' });
    expect(secondAnswer.status).toBe(200);
    goOn();
    expect((await firstEnd).status).toBe(200);
    await Promise.all([first.webhook.close(), second.webhook.close()]);
    await expectSettled(theScene);
    expect(parseSyncState(theScene.users.all()[0]!.syncState).password).toBeUndefined();
  });
});

test('a write to the CRM that outlives its process is made good by the next webhook', async () => {
  const theScene = await scene();
  const { sandbox, users, contactId } = theScene;
  const first = await theScene.start();
  const held = sandbox.hold({ method: 'PUT', when: 'before', times: 1 });
  void first.ping('add', contactId).catch(() => undefined);
  await held.caught();
  // The process is gone, its write is still on the way; another process gives a new password, and then the old one lands.
  const second = await theScene.start();
  await second.ping('update', contactId);
  expect(await crmPasswordLogsIn(sandbox, users, contactId)).toBe(true);
  const claims = parseSyncState(users.all()[0]!.syncState).password?.claims;
  expect(claims).toHaveLength(1);
  sandbox.updateContact(contactId, { f1: 'the late write of a dead process' });
  const answer = await second.ping('update', contactId);
  expect(answer.json.warnings).toEqual([]);
  expect(await crmPasswordLogsIn(sandbox, users, contactId)).toBe(true);
  held.release();
});

test('a password that the person has chosen in the meantime is not replaced, and the debt is gone', async () => {
  const theScene = await scene();
  const { users, contactId, sandbox } = theScene;
  const { atStep, died } = dyingAt('create: stored');
  void (await theScene.start(atStep)).ping('add', contactId).catch(() => undefined);
  await died;
  const chosen = await hasher.hash('chosen by the person');
  const [user] = users.all();
  await users.update(user!.id, { passwordHash: chosen });
  const answer = await (await theScene.start()).ping('update', contactId);
  expect(answer.json).toMatchObject({ ok: true, warnings: [] });
  expect(users.all()[0]!.passwordHash).toBe(chosen);
  expect(parseSyncState(users.all()[0]!.syncState).password).toBeUndefined();
  expect(sandbox.callCount({ method: 'PUT' })).toBe(0);
});

test('an uncertain write repeats the same password, and never in the CRM’s background', async () => {
  const theScene = await scene();
  const { sandbox, contactId } = theScene;
  sandbox.fail({ method: 'PUT', with: 'reset', applied: true, times: 2 });
  const answer = await (await theScene.start()).ping('add', contactId);
  expect(answer.json).toMatchObject({ outcome: 'created', warnings: [] });
  await expectSettled({ ...theScene, mailed: ['not asked for'] });
  const writes = sandbox.calls
    .filter(({ method }) => method === 'PUT')
    .map(({ body }) => body as Record<string, unknown>);
  expect(writes).toHaveLength(3);
  expect(new Set(writes.map((body) => body.f1)).size).toBe(1);
  expect(writes.some((body) => 'background_request' in body)).toBe(false);
});

test('a write that the CRM takes only later is not waited for; it goes on behind the answer', async () => {
  const theScene = await scene();
  const { sandbox, users, contactId } = theScene;
  const fault = sandbox.fail({ method: 'PUT', with: 'error500', times: 5 });
  const answer = await (await theScene.start()).ping('add', contactId);
  expect(answer.json).toMatchObject({ outcome: 'created', warnings: [{ code: 'PASSWORD_NOT_RETURNED' }] });
  expect(theScene.created).toHaveLength(1);
  await until(() => crmPasswordLogsIn(sandbox, users, contactId));
  expect(fault.hits).toBe(5);
});

test('a CRM that refuses the write is asked once; the answer says so and a later webhook tries again', async () => {
  const theScene = await scene();
  const { sandbox, users, contactId } = theScene;
  const fault = sandbox.fail({ method: 'PUT', with: 'forbidden' });
  const process = await theScene.start();
  const answer = await process.ping('add', contactId);
  expect(answer.json).toMatchObject({ outcome: 'created', warnings: [{ code: 'PASSWORD_NOT_RETURNED' }] });
  expect(fault.hits).toBe(1);
  await process.ping('update', contactId);
  expect(await crmPasswordLogsIn(sandbox, users, contactId)).toBe(true);
});
