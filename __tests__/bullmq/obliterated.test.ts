// Somebody empties BullMQ's queue while a contact is in work: what is left of the contact gets a wake-up when the work ends, it does
// not wait until somebody looks for forgotten ones.
import { isRedisThere } from './redis-server';
import { ADD, beDone, closeScenes, NAME, openScene, takeSome } from './scene';

afterEach(closeScenes);

(isRedisThere() ? describe : describe.skip)(
  'a contact whose wake-up is obliterated while it is in work',
  () => {
    test('and that has to be tried again, is given again when its time has come', async () => {
      const { queue, board } = await openScene();
      const id = await queue.put(NAME, '7', ADD);
      const [taken] = await takeSome(queue);
      await board.obliterate({ force: true });
      await queue.finish(NAME, taken!, new Map([[id, { kind: 'later', delayMs: 50, job: ADD }]]));
      const [again] = await takeSome(queue);
      expect(again!.jobs.map((job) => job.id)).toEqual([id]);
      await beDone(queue, again!);
      expect((await queue.counts(NAME)).waiting).toBe(0);
    });

    test('and that got another webhook meanwhile, is given again when the work ends', async () => {
      const { queue, board } = await openScene();
      await queue.put(NAME, '7', ADD);
      const [taken] = await takeSome(queue);
      const id = await queue.put(NAME, '7', ADD);
      await board.obliterate({ force: true });
      await beDone(queue, taken!);
      const [again] = await takeSome(queue);
      expect(again!.jobs.map((job) => job.id)).toEqual([id]);
      await beDone(queue, again!);
    });
  },
);
