// A webhook goes into its contact's inbox in the same step in which its wake-up comes about: nobody ever sees one without the other.
// The moment between the two would be too short for any race, so it is the server that is asked what it was told.
import { Redis } from 'ioredis';
import { BullMqWebhookQueue } from '../../lib/bullmq';
import { isRedisServerThere, RedisServer } from './redis-server';
import { ADD, afterwards, closeScenes, giveUp, NAME, takeSome } from './scene';

afterEach(closeScenes);

/** What a server does while `work` runs, one command after the other. */
async function commandsOf(server: RedisServer, work: () => Promise<unknown>): Promise<string[]> {
  const redis = new Redis(server.address);
  const monitor = await redis.monitor();
  const commands: string[] = [];
  const hasEnded = new Promise<void>((resolve) => {
    monitor.on('monitor', (_time: string, words: string[]) => {
      commands.push(words.join(' '));
      if (words.includes('the end')) resolve();
    });
  });
  await work();
  await redis.echo('the end');
  await hasEnded;
  monitor.disconnect();
  redis.disconnect();
  return commands;
}

/** The commands of the only transaction there is. */
function transactionOf(commands: readonly string[]): string[] {
  const [begin, end] = ['multi', 'exec'].map((word) => commands.indexOf(word));
  expect(begin).toBeGreaterThanOrEqual(0);
  expect(commands.filter((command) => command === 'multi')).toHaveLength(1);
  return commands.slice(begin, end);
}

/** BullMQ gets a wake-up. */
const WAKES = /^LPUSH .*:wait /;
/** A contact gets a webhook. */
const ENTERS = /^RPUSH .*\.inboxes:inbox:7 /;

const count = (commands: readonly string[], pattern: RegExp): number =>
  commands.filter((command) => pattern.test(command)).length;

(isRedisServerThere() ? describe : describe.skip)('a webhook and its wake-up come about in one step', () => {
  let server: RedisServer;
  let queue: BullMqWebhookQueue;
  beforeEach(async () => {
    server = await RedisServer.start();
    afterwards(() => server.close());
    queue = new BullMqWebhookQueue({ connection: server.address });
    afterwards(() => queue.close());
    // The connection stands, and its scripts are known.
    await queue.put(NAME, '8', ADD);
  });

  const bothAtOnce = (commands: readonly string[]): void => {
    const transaction = transactionOf(commands);
    for (const pattern of [WAKES, ENTERS]) {
      expect(count(transaction, pattern)).toBe(1);
      expect(count(commands, pattern)).toBe(1);
    }
  };

  test('when it is put', async () => {
    bothAtOnce(await commandsOf(server, () => queue.put(NAME, '7', ADD)));
  });

  test('when a dead letter is replayed', async () => {
    await queue.put(NAME, '7', ADD);
    for (const taken of await takeSome(queue)) await giveUp(queue, taken, 'CONTACT_CONFLICT');
    const letters = await queue.deadLetters(NAME, { limit: 10 });
    const ids = letters.filter(({ contactId }) => contactId === '7').map(({ id }) => id);
    bothAtOnce(await commandsOf(server, () => queue.replay(NAME, ids)));
  });
});
