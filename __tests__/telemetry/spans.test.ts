import { MemoryUserRepository } from '../../lib';
import { startProcess, startSandbox, until } from '../actions/site';
import { forget, openQueue, QUICK, setUp, tearDown, tree, spans, everything, collect } from './scene';

beforeAll(setUp);
afterEach(forget);
afterAll(tearDown);

test('look', async () => {
  const sandbox = await startSandbox();
  const site = await startProcess(sandbox, new MemoryUserRepository(), { returnPassword: { field: 'f1' }, hooks: { afterCreate: () => undefined } });
  const id = sandbox.addContact({ firstname: 'Mary', email: 'mary@example.com', tags: ['Customer'] });
  await site.ping('add', id);
  console.log(tree());
  console.log(JSON.stringify(spans().map((s) => [s.name, s.attributes]), null, 1));
  console.log(JSON.stringify(await collect(), null, 1));
  forget();
  await site.ping('update', id);
  await site.ping('update', '999999', {wpf_action: 'nonsense'});
  console.log(tree());
  forget();
  const { knex, queue } = await openQueue();
  const queued = await startProcess(sandbox, new MemoryUserRepository(), { queue, ...QUICK });
  await queued.ping('add', id);
  await until(async () => (await queue.counts('default')).waiting === 0);
  await queued.close();
  console.log(tree());
  console.log(JSON.stringify(spans().map((s) => [s.name, s.attributes]), null, 1));
  console.log(JSON.stringify(await collect(), null, 1));
  await knex.destroy();
});
