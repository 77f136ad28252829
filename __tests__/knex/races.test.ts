// The bars of the core, over a real database and two real processes that share nothing else: no queue, no lock, no memory.
import type { User } from '../../lib';
import { KnexUserRepository } from '../../lib/knex';
import type { OntraportSandbox } from '../../lib/testing';
import { anyInterleaving, changeBetween, PAIRS, type World } from '../actions/interleaving';
import { crmPasswordLogsIn, openSandbox, startSandbox, until } from '../actions/site';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';
import { startSite } from './processes';
import { SHAPES, type Shape } from './shapes';

/**
 * Where time is short, `npm run prove` has SQLite, on which two processes wait for one another most of the time, and the second
 * shape on MariaDB.
 */
const isShort = process.env.CI !== undefined && process.env.FC_RUNS === undefined;
const databases = availableDatabases(...(isShort ? (['PostgreSQL', 'MariaDB'] as const) : []));

describe.each(databases)('%s', (name) => {
  const wanted = isShort && name === 'MariaDB' ? /own/ : /own|accounts/;
  describe.each(SHAPES.filter(({ name: shape }) => wanted.test(shape)))('$name', (shape: Shape) => {
    let database: TestDatabase;
    let world: World;
    /** Contacts before this one are those of earlier tests. */
    let firstContact = 0;

    beforeAll(async () => {
      database = await openDatabase(name);
      await shape.create(database.knex, name);
    });
    afterAll(() => database.close());

    beforeEach(() => shape.empty(database.knex));

    /** Two processes over the database, as they are at the beginning of a test. */
    const openWorld = async (sandbox: OntraportSandbox): Promise<World> => {
      const options = shape.options(name);
      const users = new KnexUserRepository(database.knex, options);
      const all = async (): Promise<User[]> => {
        const found = sandbox
          .contacts()
          .slice(firstContact)
          .map(({ id }) => users.findByContactId(String(id)));
        return (await Promise.all(found)).filter((user) => user !== null);
      };
      const start = () => startSite(database.config, options, sandbox);
      return { sandbox, users: { all }, processes: await Promise.all([start(), start()]) };
    };

    test('ten simultaneous add for each of twenty contacts: twenty users, twenty passwords that log in', async () => {
      world = await openWorld(await startSandbox());
      const { sandbox, users, processes } = world;
      const ids = Array.from({ length: 20 }, (_, index) =>
        sandbox.addContact({
          firstname: `P${index}`,
          email: `person${index}@example.com`,
          tags: ['Member'],
        }),
      );
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          processes[index % 2 === 0 ? 0 : 1].ping('add', ids[index % 20]!),
        ),
      );
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(answers.filter(({ json }) => json.outcome === 'created')).toHaveLength(20);
      expect(await shape.count(database.knex)).toBe(20);
      const allLogIn = async (): Promise<boolean> =>
        (await Promise.all(ids.map((id) => crmPasswordLogsIn(sandbox, users, id)))).every(Boolean);
      await until(allLogIn);
      // Nothing under way may undo it.
      await Promise.all(processes.map((one) => one.close()));
      expect(await allLogIn()).toBe(true);
    });

    // What a storage can do about it is the same for every shape of it.
    if (shape.options(name).table === undefined) {
      describe('a change in between', () => {
        let sandbox: OntraportSandbox;
        beforeAll(async () => {
          sandbox = await openSandbox();
          world = await openWorld(sandbox);
        });
        beforeEach(() => {
          firstContact = sandbox.contacts().length;
        });
        afterAll(async () => {
          firstContact = 0;
          await Promise.all(world.processes.map((one) => one.close()));
          await sandbox.close();
        });

        test.each(PAIRS)(
          '%s, then a change and %s in the other process while it is under way',
          (first, second) => changeBetween(world, first, second, 1),
        );
      });
    }

    test('any interleaving ends in one user equal to the newest contact, with a password that logs in', async () => {
      world = await openWorld(await startSandbox());
      await anyInterleaving(world, Number(process.env.FC_RUNS ?? (isShort ? 8 : 15)));
    });
  });
});
