// Repositories that let two users have one value, or say it wrongly.
import {
  DuplicateUserError,
  StaleUserError,
  type NewUser,
  type User,
  type UserChanges,
} from '../../../../lib';
import { type BrokenRepositories, folded, TableRepository, type Condition, type Field } from '../table';

/** A repository that checks before it writes, as one without unique indexes does. */
class CheckThenWrite extends TableRepository {
  override async create(user: NewUser): Promise<User> {
    this.refuseDuplicates({ ...user, id: 'new' });
    await this.moment();
    const row = this.write({ ...user, id: this.table.nextId() });
    this.table.rows.set(row.id, row);
    return this.read(row);
  }
}

export const unique: BrokenRepositories = {
  'usernames compared with their case': {
    Repository: class extends TableRepository {
      override usernameKey = (username: string) => username.trim();
    },
    caughtBy: [
      'create, unique values › a taken username in another case is refused',
      'races › creates of one username, in two cases: one user comes out',
    ],
  },
  'usernames compared with their white space': {
    Repository: class extends TableRepository {
      override usernameKey = (username: string) => username.toLowerCase();
    },
    caughtBy: [
      'create, unique values › a taken username with white space around it is refused',
      'create, unique values › usernames that only look alike are different ones',
    ],
  },
  'usernames with their accents folded': {
    Repository: class extends TableRepository {
      override usernameKey = folded;
    },
    caughtBy: ['create, unique values › usernames that only look alike are different ones'],
  },
  'usernames not unique': {
    Repository: class extends TableRepository {
      override usernameKey = () => Math.random().toString();
    },
    caughtBy: [
      'create, unique values › the other values of a refused create stay free, and find nobody',
      'create, unique values › a taken username is refused',
      'create, unique values › a taken username in another case is refused',
      'create, unique values › a taken username with white space around it is refused',
      'races › creates of one username, in two cases: one user comes out',
    ],
  },
  'emails not unique': {
    Repository: class extends TableRepository {
      override duplicateOf(candidate: User) {
        const field = super.duplicateOf(candidate);
        return field === 'email' ? undefined : field;
      }
    },
    caughtBy: [
      'create, unique values › the other values of a refused create stay free, and find nobody',
      'update, refused › the other values of a refused update stay free, and find nobody',
      'create, unique values › a taken email is refused',
      'create, unique values › a taken email in another case is refused',
      'create, unique values › a taken email with white space around it is refused',
      'update, refused › a taken email changes nothing at all',
      'update, refused › a taken email in another case changes nothing at all',
      'races › creates of one email, in two cases: one user comes out',
      'races › creates against updates for one email: one wins',
      'races › changes of several users to one email: one wins',
    ],
  },
  'contact ids not unique': {
    Repository: class extends TableRepository {
      override duplicateOf(candidate: User) {
        const field = super.duplicateOf(candidate);
        return field === 'contactId' ? undefined : field;
      }
    },
    caughtBy: [
      'create, unique values › the other values of a refused create stay free, and find nobody',
      'update, refused › the other values of a refused update stay free, and find nobody',
      'create, unique values › a taken contact id is refused',
      'create, unique values › of several taken values any may be named',
      'update, refused › a taken contact id changes nothing at all',
      'update, refused › of several taken values any may be named',
      'races › creates of one contact: one user comes out',
      'races › creates of one and the same person: one user comes out',
      'races › creates against updates for one contact: one wins',
      'races › links of several users to one contact: one wins',
    ],
  },
  'one user without a contact at most': {
    Repository: class extends TableRepository {
      override duplicateOf(candidate: User) {
        for (const user of this.table.rows.values()) {
          if (user.id !== candidate.id && user.contactId === null && candidate.contactId === null)
            return 'contactId';
        }
        return super.duplicateOf(candidate);
      }
    },
    caughtBy: [
      'create › any number of users can be without a contact',
      'races › links of several users to one contact: one wins',
      'races › changes of several users to one email: one wins',
    ],
  },
  'a duplicate swallowed: create gives the user that is there': {
    Repository: class extends TableRepository {
      override async create(user: NewUser) {
        const candidate = { ...user, id: 'new' };
        if (this.duplicateOf(candidate) === undefined) return super.create(user);
        const existing = [...this.table.rows.values()].find(
          (row) => row.contactId === user.contactId || this.emailKey(row.email) === this.emailKey(user.email),
        );
        return this.read(existing ?? { ...candidate });
      }
    },
    caughtBy: [
      'create, unique values › a taken contact id is refused',
      'create, unique values › a taken email is refused',
      'create, unique values › a taken username is refused',
    ],
    elsewhere: true,
  },
  'a duplicate overwritten: create as upsert': {
    Repository: class extends TableRepository {
      override async create(user: NewUser) {
        for (const row of this.table.rows.values()) {
          if (this.emailKey(row.email) !== this.emailKey(user.email)) continue;
          const merged = { ...row, ...structuredClone(user) };
          this.table.rows.set(row.id, merged);
          return this.read(merged);
        }
        return super.create(user);
      }
    },
    caughtBy: [
      'create, unique values › the other values of a refused create stay free, and find nobody',
      'create, unique values › a taken email is refused',
      'create, unique values › a taken email in another case is refused',
      'create, unique values › a taken email with white space around it is refused',
      'create, unique values › of several taken values any may be named',
      'races › creates of one email, in two cases: one user comes out',
      'races › creates of one and the same person: one user comes out',
      'races › creates against updates for one email: one wins',
    ],
  },
  'the wrong field in DuplicateUserError': {
    Repository: class extends TableRepository {
      override duplicateOf(candidate: User) {
        return super.duplicateOf(candidate) && 'email';
      }
    },
    caughtBy: [
      'create, unique values › a taken contact id is refused',
      'create, unique values › a taken username is refused',
      'update, refused › a taken contact id changes nothing at all',
    ],
    elsewhere: true,
  },
  'the name of a column in DuplicateUserError': {
    Repository: class extends TableRepository {
      override duplicateOf(candidate: User) {
        const field = super.duplicateOf(candidate);
        return field === 'contactId' ? ('contact_id' as Field) : field;
      }
    },
    caughtBy: [
      'create, unique values › the other values of a refused create stay free, and find nobody',
      'update, refused › the other values of a refused update stay free, and find nobody',
      'create, unique values › a taken contact id is refused',
      'create, unique values › of several taken values any may be named',
      'update, refused › a taken contact id changes nothing at all',
      'update, refused › of several taken values any may be named',
      'races › creates of one contact: one user comes out',
      'races › creates of one and the same person: one user comes out',
      'races › creates against updates for one contact: one wins',
      'races › links of several users to one contact: one wins',
    ],
  },
  'the error of the database instead of DuplicateUserError': {
    Repository: class extends TableRepository {
      override refuseDuplicates(user: User) {
        const field = this.duplicateOf(user);
        if (field !== undefined) throw new Error(`UNIQUE constraint failed: users.${field}`);
      }
    },
    caughtBy: [
      'create, unique values › a taken contact id is refused',
      'create, unique values › a taken email is refused',
      'create, unique values › a taken username is refused',
      'update, refused › a taken email changes nothing at all',
    ],
    elsewhere: true,
  },
  'a user stored before the duplicate is noticed': {
    Repository: class extends TableRepository {
      override insert(user: NewUser) {
        const row = this.write({ ...user, id: this.table.nextId() });
        this.table.rows.set(row.id, row);
        this.refuseDuplicates(row);
        return row;
      }
    },
    caughtBy: [
      'create, unique values › a taken contact id is refused',
      'create, unique values › a taken email is refused',
      'create, unique values › a taken username is refused',
    ],
    elsewhere: true,
  },
  'entries of an index left behind by a refused create': {
    Repository: class extends TableRepository {
      readonly #reserved = new Set<string>();
      override async create(user: NewUser) {
        if (user.contactId !== null && this.#reserved.has(user.contactId)) {
          throw new DuplicateUserError({ field: 'contactId' });
        }
        try {
          return await super.create(user);
        } catch (error) {
          if ((error as DuplicateUserError).field !== 'contactId') this.#reserved.add(String(user.contactId));
          throw error;
        }
      }
    },
    caughtBy: ['create, unique values › the other values of a refused create stay free, and find nobody'],
  },
  'entries of an index left behind by a refused update': {
    Repository: class extends TableRepository {
      readonly #emails = new Map<string, string>();
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        try {
          return await super.update(id, changes, condition);
        } catch (error) {
          const { field } = error as { field?: string };
          if (field === 'contactId' && changes.email !== undefined) this.#emails.set(changes.email, id);
          throw error;
        }
      }
      override async findByEmail(email: string) {
        const id = this.#emails.get(email);
        return id === undefined ? super.findByEmail(email) : this.read(this.rowOf(id));
      }
    },
    caughtBy: ['update, refused › the other values of a refused update stay free, and find nobody'],
  },
  'a transaction left open after a duplicate': {
    Repository: class extends TableRepository {
      #isBroken = false;
      override refuseDuplicates(user: User) {
        if (this.#isBroken) throw new Error('current transaction is aborted');
        this.#isBroken = this.duplicateOf(user) !== undefined;
        super.refuseDuplicates(user);
      }
    },
    caughtBy: [
      'create, unique values › a taken email is refused',
      'update, refused › a taken email changes nothing at all',
    ],
    elsewhere: true,
  },
  'uniqueness by looking before writing': {
    Repository: CheckThenWrite,
    caughtBy: [
      'races › creates of one contact: one user comes out',
      'races › creates of one email, in two cases: one user comes out',
      'races › creates of one username, in two cases: one user comes out',
      'races › creates of one and the same person: one user comes out',
      'races › creates against updates for one email: one wins',
      'races › creates against updates for one contact: one wins',
    ],
  },
  'uniqueness of updates by looking before writing': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const user = this.rowOf(id);
        if (condition !== undefined && !this.holds(user.syncState, condition.ifSyncState))
          throw new StaleUserError({ id });
        this.refuseDuplicates(this.changed(user, changes));
        await this.moment();
        const row = this.rowOf(id);
        if (condition !== undefined && !this.holds(row.syncState, condition.ifSyncState))
          throw new StaleUserError({ id });
        const changed = this.write(this.changed(row, changes));
        this.table.rows.set(id, changed);
        return this.read(changed);
      }
    },
    caughtBy: [
      'races › creates against updates for one email: one wins',
      'races › creates against updates for one contact: one wins',
      'races › links of several users to one contact: one wins',
      'races › changes of several users to one email: one wins',
    ],
  },
  'a lock that only this process knows': {
    Repository: class extends CheckThenWrite {
      #queue: Promise<unknown> = Promise.resolve();
      override create(user: NewUser) {
        const created = this.#queue.then(() => super.create(user));
        this.#queue = created.catch(() => undefined);
        return created;
      }
    },
    caughtBy: [
      'races › creates of one contact: one user comes out',
      'races › creates of one email, in two cases: one user comes out',
      'races › creates of one username, in two cases: one user comes out',
      'races › creates of one and the same person: one user comes out',
    ],
  },
  'a deadlock for who comes second': {
    Repository: class extends TableRepository {
      #underWay = 0;
      override async create(user: NewUser) {
        this.#underWay += 1;
        try {
          await this.moment();
          if (this.#underWay > 1 && this.duplicateOf({ ...user, id: 'new' }) !== undefined) {
            throw Object.assign(new Error('Deadlock found when trying to get lock'), {
              code: 'ER_LOCK_DEADLOCK',
            });
          }
          return await super.create(user);
        } finally {
          this.#underWay -= 1;
        }
      }
    },
    caughtBy: [
      'races › creates of one contact: one user comes out',
      'races › creates of one email, in two cases: one user comes out',
      'races › creates of one username, in two cases: one user comes out',
      'races › creates of one and the same person: one user comes out',
      'races › creates against updates for one email: one wins',
      'races › creates against updates for one contact: one wins',
    ],
  },
};
