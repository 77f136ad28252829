// What the doctor tries of a user storage, on every shape of table that a site may have had before.
import { MemoryUserRepository, wpFusionWebhook } from '../../lib';
import { checkUsers } from '../../lib/cli/doctor/users';
import { INSIDE, type Inside } from '../../lib/inside';
import { KnexUserRepository } from '../../lib/knex';
import { availableDatabases, openDatabase } from '../knex/databases';
import { SHAPES } from '../knex/shapes';
import { cheapHasher } from '../http/site';
import { ACCESS_KEY } from './command';

async function problemsOf(users: MemoryUserRepository | KnexUserRepository): Promise<string[]> {
  const webhook = wpFusionWebhook({
    accessKey: ACCESS_KEY,
    crm: { getContacts: () => Promise.resolve(new Map()), updateContact: () => Promise.resolve() },
    users,
    passwordHasher: cheapHasher,
    logger: false,
  });
  const { configuration } = (webhook as unknown as Record<typeof INSIDE, Inside>)[INSIDE];
  const checks = await checkUsers({ configuration, describe: String });
  await webhook.close();
  return checks.filter(({ status }) => status !== 'ok').map(({ status, detail }) => `${status}: ${detail}`);
}

describe.each(availableDatabases())('%s', (name) => {
  test.each(SHAPES)('$name', async (shape) => {
    const database = await openDatabase(name);
    try {
      await shape.create(database.knex, name);
      const users = new KnexUserRepository(database.knex, shape.options(name));
      const problems = await problemsOf(users);
      expect(problems.filter((line) => !line.startsWith('warning'))).toEqual([]);
      expect(await shape.count(database.knex)).toBe(0);
    } finally {
      await database.close();
    }
  });
});

test('in memory', async () => {
  const users = new MemoryUserRepository();
  expect(await problemsOf(users)).toEqual(['not checked: the repository has no check()']);
  expect(users.all()).toEqual([]);
});
