// The contract suite for user repositories, tested itself: sound repositories pass, and each broken one is caught by the tests
// that are named for what is broken.
import { execFile } from 'node:child_process';
import type * as nodeTest from 'node:test';
import path from 'node:path';
import { MemoryUserRepository, type User, type UserRepository } from '../../lib';
import { userRepositoryContract } from '../../lib/testing';
import type {
  RepositoryCapabilities,
  RepositoryScene,
  TestRunner,
  UserRepositoryContractOptions,
} from '../../lib/testing';
import { changing } from './contracts/broken/changing';
import { conditions } from './contracts/broken/conditions';
import { finding } from './contracts/broken/finding';
import { storing } from './contracts/broken/storing';
import { unique } from './contracts/broken/unique';
import { collect, crashesOf, type Results } from './contracts/collect';
import { limited } from './contracts/limited-repositories';
import { sound } from './contracts/sound-repositories';
import { Table, TableRepository } from './contracts/table';

type Options = Partial<UserRepositoryContractOptions>;

/** Two repositories over one table. */
const sceneOf = (Repository: new (table: Table) => UserRepository) => async (): Promise<RepositoryScene> => {
  const table = new Table();
  return {
    users: new Repository(table),
    other: new Repository(table),
    stored: async (id) => structuredClone(table.rows.get(id) ?? null),
    count: async () => table.rows.size,
  };
};

const run = (open: () => Promise<RepositoryScene>, options: Options = {}): Promise<Results> =>
  collect((runner) => userRepositoryContract({ runner, open, ...options }));

const messagesOf = ({ failed }: Results): string[] =>
  [...failed].map(([name, error]) => `${name}: ${(error as Error).message}`);

test('the reference passes, every test of it', async () => {
  const results = await run(async () => {
    const users = new MemoryUserRepository();
    return {
      users,
      stored: async (id) => users.all().find((user) => user.id === id) ?? null,
      count: async () => users.all().length,
    };
  });
  expect(messagesOf(results)).toEqual([]);
  expect(results.skipped).toEqual([]);
  expect(results.passed.length).toBeGreaterThan(130);
});

describe('sound repositories pass', () => {
  test.each(Object.entries(sound))('%s', async (_name, Repository) => {
    const results = await run(sceneOf(Repository));
    expect(messagesOf(results)).toEqual([]);
    expect(results.skipped).toEqual([]);
  });

  test('no tags and no meta that stand as NULL', async () => {
    const open = async (): Promise<RepositoryScene> => {
      const scene = await sceneOf(TableRepository)();
      const orNull = (value: object): object | null => (Object.keys(value).length === 0 ? null : value);
      return {
        ...scene,
        stored: async (id) => {
          const user = (await scene.stored(id)) as User | null;
          return user && { ...user, tags: orNull(user.tags), meta: orNull(user.meta) };
        },
      };
    };
    expect(messagesOf(await run(open))).toEqual([]);
  });
});

describe.each(Object.entries({ finding, storing, unique, changing, conditions }))(
  'broken repositories are caught by name: %s',
  (_group, broken) => {
    test.each(Object.entries(broken))('%s', async (_name, { Repository, caughtBy, elsewhere }) => {
      const results = await run(sceneOf(Repository));
      const failed = [...results.failed.keys()];
      if (elsewhere === true) expect(failed).toEqual(expect.arrayContaining([...caughtBy]));
      else expect(failed.sort()).toEqual([...caughtBy].sort());
      expect(crashesOf(results)).toEqual([]);
      // Words, and not only two values that differ.
      for (const error of results.failed.values()) {
        expect((error as Error).message.split('\n')[0]!.length).toBeGreaterThan(40);
      }
    });
  },
);

describe('capabilities', () => {
  describe.each(Object.entries(limited))(
    '%s',
    (_name, { Repository, stored, capabilities, otherwise, skips }) => {
      const open = async (): Promise<RepositoryScene> => {
        const scene = await sceneOf(Repository)();
        if (stored === undefined) return scene;
        return {
          ...scene,
          stored: async (id) => {
            const user = (await scene.stored(id)) as User | null;
            return user && stored(user);
          },
        };
      };

      test('passes where it is said', async () => {
        const results = await run(open, { capabilities });
        expect(messagesOf(results)).toEqual([]);
        expect(results.skipped.map((name) => name.replace(/ \(not tested: .+\)$/, ''))).toEqual(skips);
        for (const name of results.skipped) expect(name).toMatch(/\(not tested: .+\)$/);
      });

      test('is caught where it is not said', async () => {
        const results = await run(open);
        expect([...results.failed.keys()]).toEqual(expect.arrayContaining([...otherwise]));
        expect(crashesOf(results)).toEqual([]);
      });
    },
  );

  test('what can be done less is no excuse for finding strangers', async () => {
    const { Repository } = finding['a collation that folds accents']!;
    const results = await run(sceneOf(Repository), { capabilities: { distinguishesUnicode: false } });
    expect([...results.failed.keys()]).toEqual(
      expect.arrayContaining(['findByEmail › an accent is no ornament (é, e)']),
    );
  });

  test.each<[string, Options]>([
    ['one role', { capabilities: { roles: ['subscriber'] } }],
    ['two keys of meta', { capabilities: { meta: { a: ['1', '2'], b: ['1', '2'] } } }],
    ['two equal values', { capabilities: { meta: { a: ['1', '2'], b: ['1', '2'], c: [['x'], ['x']] } } }],
    ['one writer', { writers: 1 }],
    ['no round', { rounds: 0 }],
  ])('%s is not enough, and said at once', (_name, options) => {
    const runner = { describe: () => undefined, it: () => undefined };
    expect(() => userRepositoryContract({ runner, open: sceneOf(TableRepository), ...options })).toThrow(
      TypeError,
    );
  });
});

describe('the suite itself', () => {
  test('opens a scene for every test and closes it, also after a failure', async () => {
    let open = 0;
    let most = 0;
    let opened = 0;
    const results = await run(async () => {
      const scene = await sceneOf(storing['password hashes not stored']!.Repository)();
      opened += 1;
      most = Math.max(most, ++open);
      return { ...scene, close: async () => void (open -= 1) };
    });
    expect(results.failed.size).toBeGreaterThan(50);
    expect([open, most, opened]).toEqual([0, 1, results.passed.length + results.failed.size]);
  });

  test('what a test says counts more than what closing says; closing counts too', async () => {
    const close = async (): Promise<void> => {
      throw new Error('cannot close');
    };
    const sound = await run(async () => ({ ...(await sceneOf(TableRepository)()), close }));
    expect(sound.passed).toEqual([]);
    expect([...sound.failed.values()].every((error) => (error as Error).message === 'cannot close')).toBe(
      true,
    );
    const { Repository } = conditions['ifSyncState ignored']!;
    const broken = await run(async () => ({ ...(await sceneOf(Repository)()), close }));
    expect(broken.failed.get('update, condition › another state is STALE_USER')).toMatchObject({
      code: 'ERR_ASSERTION',
    });
  });

  test('a storage that is not empty is said to be the scene’s fault', async () => {
    const table = new Table();
    const results = await run(async () => ({
      users: new TableRepository(table),
      stored: async (id) => table.rows.get(id) ?? null,
      count: async () => table.rows.size,
    }));
    expect(results.passed).toHaveLength(1);
    expect(messagesOf(results)[0]).toMatch(/open\(\) has to give a storage without users/);
  });

  test.each([2, 3, 4, 7])('%i writers', async (writers) => {
    expect(messagesOf(await run(sceneOf(TableRepository), { writers, rounds: 4 }))).toEqual([]);
    const { Repository, caughtBy } = unique['uniqueness by looking before writing']!;
    const results = await run(sceneOf(Repository), { writers });
    expect([...results.failed.keys()]).toEqual(expect.arrayContaining([caughtBy[0], caughtBy[3]]));
  });

  test('races go through both repositories; without a second one through the first', async () => {
    const { Repository } = unique['a lock that only this process knows']!;
    const alone = await run(async () => ({ ...(await sceneOf(Repository)()), other: undefined }));
    expect(messagesOf(alone)).toEqual([]);
    const both = await run(sceneOf(Repository));
    expect(both.failed.size).toBeGreaterThan(0);
  });

  test('a runner that cannot skip gets no test that says nothing', async () => {
    const names: string[] = [];
    const capabilities: RepositoryCapabilities = { usernames: false };
    userRepositoryContract({
      runner: { describe: (_name, body) => body(), it: (name) => void names.push(name) },
      open: sceneOf(TableRepository),
      capabilities,
    });
    expect(names.filter((name) => name.includes('username') && !name.includes('email and username'))).toEqual(
      ['neither the id nor the username ever changes'],
    );
    expect(names.join()).not.toContain('not tested');
  });
});

test('the functions of node:test fit by their types', () => {
  const fit = ({ describe, it }: Pick<typeof nodeTest, 'describe' | 'it'>): TestRunner => ({ describe, it });
  expect(fit).toBeInstanceOf(Function);
});

describe('with node:test, in a process of its own and the built package', () => {
  const FIXTURE = path.join(__dirname, 'contracts', 'fixtures', 'node-test.js');

  const nodeTest = (
    env: Record<string, string>,
  ): Promise<{ code: unknown; count(of: string): number; text: string }> =>
    new Promise((resolve) => {
      // Run by node:test, and by nothing of this process's own settings.
      const options = { env: { PATH: process.env.PATH ?? '', ...env }, maxBuffer: 1e8 };
      execFile(process.execPath, ['--test', '--test-reporter=tap', FIXTURE], options, (error, text) => {
        const count = (of: string): number => Number(new RegExp(`^# ${of} (\\d+)$`, 'm').exec(text)?.[1]);
        resolve({ code: error === null ? 0 : error.code, count, text });
      });
    });

  test('a sound repository ends with 0, a broken one with 1', async () => {
    const [good, bad] = await Promise.all([nodeTest({}), nodeTest({ BROKEN: '1' })]);
    expect([good.code, good.count('fail'), good.count('skipped')]).toEqual([0, 0, 0]);
    expect(good.count('pass')).toBeGreaterThan(130);
    expect(bad.code).toBe(1);
    expect(bad.count('fail')).toBe(4);
    expect(bad.count('pass')).toBe(good.count('pass') - 4);
    expect(bad.text).toMatch(/not ok \d+ - findByEmail.*/);
    expect(bad.text).toMatch(/not ok \d+ - ignores white space around the email/);
    expect(bad.text).toContain('Emails are compared trimmed.');
  });
});

describe('rehearse, where it is said to be there', () => {
  const REHEARSE = { capabilities: { rehearse: true } };
  const openWith =
    (change: (users: MemoryUserRepository) => UserRepository) => async (): Promise<RepositoryScene> => {
      const users = new MemoryUserRepository();
      return {
        users: change(users),
        stored: async (id) => users.all().find((user) => user.id === id) ?? null,
        count: async () => users.all().length,
      };
    };
  const withRehearse = (
    users: MemoryUserRepository,
    rehearse: UserRepository['rehearse'],
  ): UserRepository => ({
    findByContactId: (contactId) => users.findByContactId(contactId),
    findByEmail: (email) => users.findByEmail(email),
    create: (user) => users.create(user),
    update: (id, changes, condition) => users.update(id, changes, condition),
    ...(rehearse === undefined ? {} : { rehearse }),
  });

  test('the reference passes', async () => {
    const results = await run(
      openWith((users) => users),
      REHEARSE,
    );
    expect(messagesOf(results)).toEqual([]);
    expect([...results.passed].filter((name) => name.startsWith('rehearse'))).toHaveLength(3);
  });

  test.each<[string, (users: MemoryUserRepository) => UserRepository['rehearse'], number]>([
    ['it undoes nothing', (users) => (work) => work(users), 3],
    ['it does nothing', () => () => Promise.resolve(), 1],
    ['it swallows what the work throws', (users) => (work) => users.rehearse(work).catch(() => undefined), 1],
    ['it is not there', () => undefined, 3],
  ])('%s', async (_name, rehearse, failures) => {
    const results = await run(
      openWith((users) => withRehearse(users, rehearse(users))),
      REHEARSE,
    );
    const failed = [...results.failed.keys()];
    expect(failed.filter((name) => !name.startsWith('rehearse'))).toEqual([]);
    expect(failed).toHaveLength(failures);
    expect(crashesOf(results)).toEqual([]);
  });
});
