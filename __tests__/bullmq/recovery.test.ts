// A process that dies between two changes of Redis that are not one: another one goes on, nothing is lost, done twice in parallel or
// left lying. (The kill test kills whole sites at the same steps; here each case is made.)
import { BULL_STEPS, type BullStep } from '../../lib/bullmq/steps';
import type { TakenContact, Verdict } from '../../lib/queue/queue';
import { ADD, beDone, closeScenes, NAME, openScene, takeSome, type Scene } from './scene';
import { isRedisThere } from './redis-server';

afterEach(closeScenes);

const FAIL_POINT = Symbol.for('wp-fusion-webhook.fail-point');
const LEASE_MS = 300;

/** A scene whose first queue dies at a step: it does nothing more from there on. */
async function dyingAt(step: BullStep): Promise<Scene & { readonly hasDied: () => boolean }> {
  let hasDied = false;
  const failPoint = async (at: BullStep): Promise<void> => {
    if (at !== step) return;
    hasDied = true;
    await new Promise(() => undefined);
  };
  const scene = await openScene({ leaseMs: LEASE_MS });
  const queue = scene.open({ [FAIL_POINT]: failPoint } as object);
  return { ...scene, queue, hasDied: () => hasDied };
}

/** Resolves when the queue has died in what it was asked for. */
async function untilDead({ hasDied }: { hasDied: () => boolean }, work: Promise<unknown>): Promise<void> {
  // What it was asked for never ends, until its connection is given up for it.
  work.catch(() => undefined);
  while (!hasDied()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Another process works everything off; gives what it was given, contact by contact. */
async function workOff(scene: Scene): Promise<string[]> {
  const other = scene.open();
  const given: string[] = [];
  for (;;) {
    for (const taken of await other.take(NAME, 50)) {
      given.push(`${taken.contactId}: ${taken.jobs.map(({ id }) => id).join(', ')}`);
      await beDone(other, taken);
    }
    const { active, delayed, waiting } = await scene.board.getJobCounts();
    const counts = await other.counts(NAME);
    if (counts.waiting === 0 && active === 0 && delayed === 0 && waiting === 0) return given;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A contact with one webhook for each verdict, taken by the queue that will die while it finishes it. */
async function taken(scene: Scene, count: number): Promise<{ contact: TakenContact; ids: string[] }> {
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) ids.push(await scene.queue.put(NAME, '7', ADD));
  const [contact] = await takeSome(scene.queue);
  return { contact: contact!, ids };
}

const DONE: Verdict = { kind: 'done' };
const LATER: Verdict = { kind: 'later', delayMs: 50, job: ADD };
const DEAD: Verdict = {
  kind: 'dead',
  job: { ...ADD, failure: { code: 'CONTACT_CONFLICT', detail: 'Why.', at: 1 } },
};

(isRedisThere() ? describe : describe.skip)('a process that dies', () => {
  const covered = new Set<BullStep>();
  const at = (step: BullStep): ReturnType<typeof dyingAt> => {
    covered.add(step);
    return dyingAt(step);
  };

  test('with a wake-up in its hands: another one gets it', async () => {
    const scene = await at('bull: wake-up taken');
    const id = await scene.queue.put(NAME, '7', ADD);
    await untilDead(scene, scene.queue.take(NAME, 1));
    expect(await workOff(scene)).toEqual([`7: ${id}`]);
  });

  test('with a wake-up that nobody needs: it vanishes', async () => {
    const scene = await at('bull: wake-up too much');
    const worker = scene.open();
    const { contact } = await taken({ ...scene, queue: worker }, 1);
    await worker.put(NAME, '7', ADD);
    await untilDead(scene, scene.queue.take(NAME, 1));
    await beDone(worker, contact);
    const [rest] = await takeSome(worker);
    await beDone(worker, rest!);
    expect(await workOff(scene)).toEqual([]);
  });

  test('with a wake-up that came too early: it comes again, in time', async () => {
    const scene = await at('bull: wake-up too early');
    const worker = scene.open();
    const id = await worker.put(NAME, '7', ADD);
    const [contact] = await takeSome(worker);
    await worker.finish(NAME, contact!, new Map([[id, { kind: 'later', delayMs: 500, job: ADD }]]));
    await scene.board.promoteJobs();
    await untilDead(scene, scene.queue.take(NAME, 1));
    expect(await workOff(scene)).toEqual([`7: ${id}`]);
  });

  test.each<[string, Verdict[], (ids: string[]) => string[], number]>([
    ['when all is done', [DONE, DONE], () => [], 0],
    ['when something is left for later', [DONE, LATER], ([, later]) => [`7: ${later}`], 0],
    ['when all is given up', [DEAD, DEAD], () => [], 2],
    ['when something is given up and something left', [DEAD, LATER], ([, later]) => [`7: ${later}`], 1],
  ])('after it has finished a contact, %s', async (_name, verdicts, left, dead) => {
    const scene = await at('bull: contact finished');
    const { contact, ids } = await taken(scene, verdicts.length);
    const told = new Map(ids.map((id, index) => [id, verdicts[index]!]));
    await untilDead(scene, scene.queue.finish(NAME, contact, told));
    expect(await workOff(scene)).toEqual(left(ids));
    // Dead letters are there, and somebody shows them.
    const other = scene.open();
    expect(await other.deadLetters(NAME, { limit: 10 })).toHaveLength(dead);
    const failed = await scene.board.getFailed();
    const shown = failed.flatMap(({ data }) => (data as { deadLetters: { id: string }[] }).deadLetters);
    expect(shown.map(({ id }) => id).sort()).toEqual(ids.slice(0, dead));
  });

  test('after it has woken again what is left beside dead letters: that is done, and they are shown', async () => {
    const scene = await at('bull: contact woken again');
    const { contact, ids } = await taken(scene, 2);
    const told = new Map<string, Verdict>([
      [ids[0]!, DEAD],
      [ids[1]!, LATER],
    ]);
    await untilDead(scene, scene.queue.finish(NAME, contact, told));
    expect(await workOff(scene)).toEqual([`7: ${ids[1]}`]);
    expect(await scene.board.getFailedCount()).toBe(1);
    // Asked for again on a dashboard, it is replayed.
    await (await scene.board.getFailed())[0]!.retry();
    expect(await workOff(scene)).toEqual([`7: ${ids[0]}`]);
  });

  test('at any step there is', () => {
    expect([...covered].sort()).toEqual([...BULL_STEPS].sort());
  });
});
