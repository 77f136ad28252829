// A contact that changes while its webhooks are processed, in one process or two over one repository in memory.
import { MemoryUserRepository } from '../../lib';
import { anyInterleaving, changeBetween, PAIRS, type World } from './interleaving';
import { startProcess, startSandbox } from './site';

async function start(): Promise<World> {
  const sandbox = await startSandbox();
  const users = new MemoryUserRepository();
  const options = { returnPassword: { field: 'f1' } };
  const processes = [
    await startProcess(sandbox, users, options),
    await startProcess(sandbox, users, options),
  ] as const;
  return { sandbox, users, processes };
}

describe.each([
  ['one process', 0],
  ['two processes', 1],
] as const)('%s', (_name, other) => {
  test.each(PAIRS)(
    '%s, then a change and %s while it is under way: the second webhook’s end shows the change',
    async (first, second) => changeBetween(await start(), first, second, other),
  );
});

test('any interleaving of webhooks, changes and answers ends in one user equal to the newest contact, with a password that logs in', async () =>
  anyInterleaving(await start(), Number(process.env.FC_RUNS ?? 30)));
