// The contract suite for repositories, on every database, on our own table and on three that were there before. The second
// writer in its races is another process.
import { KnexUserRepository } from '../../lib/knex';
import { userRepositoryContract } from '../../lib/testing';
import { availableDatabases, openDatabase, type TestDatabase } from './databases';
import { startRepository, type RemoteRepository } from './processes';
import { SHAPES, type Shape } from './shapes';

describe.each(availableDatabases())('%s', (name) => {
  describe.each(SHAPES)('$name', (shape: Shape) => {
    let database: TestDatabase;
    let other: RemoteRepository | undefined;

    beforeAll(async () => {
      database = await openDatabase(name);
      await shape.create(database.knex, name);
      other = startRepository(database.config, shape.options(name));
    });
    afterAll(async () => {
      await other?.end();
      await database.close();
    });

    userRepositoryContract({
      runner: { describe, it },
      capabilities: { ...shape.capabilities(name), rehearse: true },
      open: async () => {
        const { knex } = database;
        await shape.empty(knex);
        return {
          users: new KnexUserRepository(knex, shape.options(name)),
          other,
          stored: (id) => shape.stored(knex, id, name),
          count: () => shape.count(knex),
        };
      },
    });
  });
});
