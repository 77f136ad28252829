// What people do on a dashboard of BullMQ's: they see what waits and what was given up, ask for it again, pause, promote, remove and
// empty. Nothing of that loses a webhook.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import express from 'express';
import { ADD, afterwards, beDone, closeScenes, giveUp, NAME, openScene, takeSome, type Scene } from './scene';
import { isRedisThere } from './redis-server';

afterEach(closeScenes);

interface ShownJob {
  readonly id: string;
  readonly name: string;
  readonly data: Record<string, unknown>;
  readonly failedReason?: string;
}
interface ShownQueue {
  readonly counts: Record<string, number>;
  readonly jobs: ShownJob[];
}

/** bull-board on a server of its own. */
async function boardOf({ board }: Scene): Promise<{
  show(status: string): Promise<ShownQueue>;
  press(path: string): Promise<number>;
}> {
  const serverAdapter = new ExpressAdapter();
  // Its types are those of another setting of the compiler.
  const parts = { queues: [new BullMQAdapter(board)], serverAdapter };
  createBullBoard(parts as unknown as Parameters<typeof createBullBoard>[0]);
  const app = express();
  app.use(serverAdapter.getRouter());
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterwards(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/queues`;
  const name = encodeURIComponent(board.name);
  return {
    show: async (status) => {
      const query = `activeQueue=${name}&status=${status}&page=1&jobsPerPage=20`;
      const answer = (await (await fetch(`${url}?${query}`)).json()) as {
        queues: ({ name: string } & ShownQueue)[];
      };
      const shown = answer.queues.find((queue) => queue.name === board.name);
      if (shown === undefined) throw new Error('bull-board does not show the queue.');
      return shown;
    },
    press: async (path) => (await fetch(`${url}/${name}${path}`, { method: 'PUT' })).status,
  };
}

(isRedisThere() ? describe : describe.skip)('bull-board', () => {
  test('shows what waits, what is in work and what waits for later, by contact', async () => {
    const scene = await openScene();
    const board = await boardOf(scene);
    const { queue } = scene;
    await queue.put(NAME, '7', ADD);
    const waiting = await board.show('waiting');
    expect(waiting.jobs).toMatchObject([{ name: 'add', data: { contactId: '7' } }]);
    const [taken] = await takeSome(queue);
    expect((await board.show('active')).counts).toMatchObject({ active: 1, waiting: 0 });
    const [job] = taken!.jobs;
    await queue.finish(NAME, taken!, new Map([[job!.id, { kind: 'later', delayMs: 60_000, job: ADD }]]));
    expect((await board.show('delayed')).counts).toMatchObject({ active: 0, delayed: 1 });
  });

  test('shows dead letters as failed jobs with their reasons; “retry” replays them', async () => {
    const scene = await openScene();
    const board = await boardOf(scene);
    const { queue } = scene;
    const id = await queue.put(NAME, '7', { ...ADD, email: 'someone@example.com' });
    const [taken] = await takeSome(queue);
    await giveUp(queue, taken!, 'CONTACT_CONFLICT');
    const { jobs } = await board.show('failed');
    expect(jobs).toHaveLength(1);
    const [failed] = jobs;
    expect(failed).toMatchObject({
      failedReason: 'CONTACT_CONFLICT: What CONTACT_CONFLICT means.',
      data: { contactId: '7', deadLetters: [{ id, action: 'add', code: 'CONTACT_CONFLICT' }] },
    });
    // A dashboard is seen by more people than the users' data are.
    expect(JSON.stringify(failed)).not.toContain('someone@example.com');
    expect(await board.press(`/${failed!.id}/retry`)).toBe(204);
    const [again] = await takeSome(queue);
    expect(again!.jobs.map((job) => job.id)).toEqual([id]);
    expect(await queue.counts(NAME)).toMatchObject({ waiting: 1, dead: 0 });
    await beDone(queue, again!);
    expect(await queue.counts(NAME)).toMatchObject({ waiting: 0, dead: 0 });
    expect((await board.show('failed')).counts).toMatchObject({
      failed: 0,
      waiting: 0,
      delayed: 0,
      active: 0,
    });
  });

  test('dead letters that are replayed or purged by the site are shown no more', async () => {
    const scene = await openScene();
    const board = await boardOf(scene);
    const { queue } = scene;
    for (const contactId of ['7', '8']) {
      await queue.put(NAME, contactId, ADD);
      const [taken] = await takeSome(queue);
      await giveUp(queue, taken!, 'USER_CONFLICT');
    }
    const letters = await queue.deadLetters(NAME, { limit: 10 });
    expect((await board.show('failed')).counts).toMatchObject({ failed: 2 });
    expect(await queue.purge(NAME, [letters[0]!.id])).toBe(1);
    expect((await board.show('failed')).jobs).toMatchObject([{ data: { contactId: '8' } }]);
    expect(await queue.replay(NAME)).toBe(1);
    expect((await board.show('failed')).counts).toMatchObject({ failed: 0 });
  });

  test('“pause” keeps everything where it is until “resume”', async () => {
    const scene = await openScene();
    const board = await boardOf(scene);
    const { queue } = scene;
    expect(await board.press('/pause')).toBe(200);
    await queue.put(NAME, '7', ADD);
    expect(await queue.take(NAME, 10)).toEqual([]);
    expect(await board.press('/resume')).toBe(200);
    expect(await takeSome(queue)).toMatchObject([{ contactId: '7' }]);
  });

  test('“promote” brings nothing before its time, and loses nothing', async () => {
    const scene = await openScene();
    const board = await boardOf(scene);
    const { queue } = scene;
    await queue.put(NAME, '7', ADD);
    const [taken] = await takeSome(queue);
    const [job] = taken!.jobs;
    await queue.finish(NAME, taken!, new Map([[job!.id, { kind: 'later', delayMs: 600_000, job: ADD }]]));
    const { jobs } = await board.show('delayed');
    expect(await board.press(`/${jobs[0]!.id}/promote`)).toBe(204);
    expect(await queue.take(NAME, 10)).toEqual([]);
    expect((await board.show('delayed')).counts).toMatchObject({ delayed: 1, waiting: 0 });
    // A newer webhook is how a contact is looked at now.
    await queue.put(NAME, '7', ADD);
    expect((await takeSome(queue))[0]!.jobs).toHaveLength(2);
  });

  test('a job that somebody has added by hand fails with words, and keeps nobody', async () => {
    const scene = await openScene();
    const board = await boardOf(scene);
    const { queue } = scene;
    await scene.board.add('mine', { hello: 'world' });
    await queue.put(NAME, '7', ADD);
    expect(await takeSome(queue)).toMatchObject([{ contactId: '7' }]);
    const { jobs } = await board.show('failed');
    expect(jobs).toMatchObject([{ failedReason: expect.stringContaining('names no contact') }]);
  });

  test('a wake-up that was removed is missed by nobody: the next one comes for all', async () => {
    const scene = await openScene();
    const { queue, board } = scene;
    const first = await queue.put(NAME, '7', ADD);
    await board.drain(true);
    expect(await queue.take(NAME, 10)).toEqual([]);
    const second = await queue.put(NAME, '7', ADD);
    const [taken] = await takeSome(queue);
    expect(taken!.jobs.map(({ id }) => id)).toEqual([first, second]);
  });

  test('a queue of BullMQ’s that was emptied, or obliterated, is filled again from the inboxes', async () => {
    const scene = await openScene({ leaseMs: 100 });
    const { queue, board, redis, prefix } = scene;
    for (const contactId of ['7', '8']) await queue.put(NAME, contactId, ADD);
    await board.obliterate({ force: true });
    // Their time came long ago.
    const lanes = `${prefix}:wp-fusion-webhook.${NAME}.inboxes:lanes`;
    expect((await redis.zrange(lanes, 0, -1)).sort()).toEqual(['7', '8']);
    for (const contactId of ['7', '8']) await redis.zincrby(lanes, -3_600_000, contactId);
    // A process that begins looks when it has run for a minute: it is that old.
    const now = performance.now.bind(performance);
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now() + 61_000);
    try {
      const taken = await takeSome(queue);
      expect(taken.map(({ contactId }) => contactId).sort()).toEqual(['7', '8']);
      for (const one of taken) await beDone(queue, one);
    } finally {
      clock.mockRestore();
    }
    expect(await queue.counts(NAME)).toMatchObject({ waiting: 0, dead: 0 });
  });

  test('nothing is left in Redis of what is done, but counters and what BullMQ keeps', async () => {
    const { queue, redis, prefix } = await openScene();
    for (const contactId of ['7', '7', '8']) await queue.put(NAME, contactId, ADD);
    for (const taken of await takeSome(queue)) await beDone(queue, taken);
    while ((await queue.take(NAME, 50)).length > 0);
    const kept = ['ids', 'id', 'meta', 'events', 'marker', 'stalled', 'stalled-check'];
    const left = (await redis.keys(`${prefix}:*`)).filter(
      (key) => !kept.some((name) => key.endsWith(`.${name}`) || key.endsWith(`:${name}`)),
    );
    expect(left).toEqual([]);
  });
});
