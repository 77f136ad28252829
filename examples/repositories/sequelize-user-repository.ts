// The users of a site for wp-fusion-webhook: Sequelize 6 on MariaDB or MySQL. The model is in sequelize-model.ts.
import type { Sequelize, Transaction } from 'sequelize';
import { DuplicateUserError, StaleUserError, UserNotFoundError } from 'wp-fusion-webhook';
import type { NewUser, User, UserChanges, UserRepository } from 'wp-fusion-webhook';
import { defineUsers, keyOf, takenField, toUser } from './sequelize-model';

export class SequelizeUserRepository implements UserRepository {
  constructor(
    private readonly sequelize: Sequelize,
    private readonly users = defineUsers(sequelize),
  ) {}

  async findByContactId(contactId: string): Promise<User | null> {
    const row = await this.users.findOne({ where: { contactId } });
    return row && toUser(row);
  }

  async findByEmail(email: string): Promise<User | null> {
    const row = await this.users.findOne({ where: { emailKey: keyOf(email) } });
    return row && toUser(row);
  }

  async create(user: NewUser): Promise<User> {
    const { id: _id, ...values } = user as User; // ids come from the database only
    return this.#write(async (transaction) => toUser(await this.users.create(values, { transaction })));
  }

  async update(id: string, changes: UserChanges, condition?: { ifSyncState: string | null }): Promise<User> {
    return this.#write(async (transaction) => {
      // The lock makes one step of all that follows: whoever else changes this user waits until it is written.
      const row = await this.users.findByPk(id, { transaction, lock: true });
      if (row === null || String(row.id) !== id) throw new UserNotFoundError({ id }); // MySQL finds 1 by '1x'
      if (condition && row.syncState !== condition.ifSyncState) throw new StaleUserError({ id });
      const { contactId, email, passwordHash, role, tags, syncState } = changes;
      const meta = Object.entries({ ...row.meta, ...given(changes.meta ?? {}) });
      const merged = Object.fromEntries(meta.filter(([, value]) => value !== null)) as User['meta'];
      row.set({ ...given({ contactId, email, passwordHash, role, tags, syncState }), meta: merged });
      return toUser(await row.save({ transaction }));
    });
  }

  async #write(work: (transaction: Transaction) => Promise<User>): Promise<User> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.sequelize.transaction(work);
      } catch (error) {
        const { parent } = error as { parent?: { errno?: number } };
        if (parent?.errno === 1213 && attempt < 10) continue; // a deadlock: undone, to be run again
        const field = takenField(error);
        throw field === undefined ? error : new DuplicateUserError({ field, cause: error });
      }
    }
  }
}

/** Without what is undefined: Sequelize would write NULL for it. */
function given<Values extends object>(values: Values) {
  type Given = { [Key in keyof Values]?: Exclude<Values[Key], undefined> };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Given;
}
