// User repositories that do some things otherwise than the reference, as they may.
import type { NewUser, User, UserChanges } from '../../../lib';
import { TableRepository, type Condition, type Table } from './table';

/** An error as another installed version of the package throws it: of another class, with the code. */
async function asForeign<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    const { code, field } = error as { code?: string; field?: string };
    throw Object.assign(new Error('foreign'), { code, field });
  }
}

class Member {
  isMember(): boolean {
    return true;
  }
}

export const sound: Readonly<Record<string, new (table: Table) => TableRepository>> = {
  'the table that the broken ones are made of': TableRepository,
  'tags in another order': class extends TableRepository {
    override read(user: User) {
      return { ...super.read(user), tags: [...user.tags].sort().reverse() };
    }
  },
  'emails and usernames stored trimmed': class extends TableRepository {
    override write(user: User) {
      return { ...super.write(user), email: user.email.trim(), username: user.username.trim() };
    }
  },
  'users with more properties, meta without a prototype': class extends TableRepository {
    override read(user: User) {
      const { meta, ...rest } = super.read(user);
      return { ...rest, createdAt: new Date(0), meta: Object.assign(Object.create(null), meta) };
    }
  },
  'users that are instances of a class': class extends TableRepository {
    override read(user: User) {
      return Object.assign(new Member(), super.read(user));
    }
  },
  'ids that are uuids': class extends TableRepository {
    override insert(user: NewUser) {
      const row = super.insert(user);
      this.table.rows.delete(row.id);
      row.id = `00000000-0000-4000-8000-${row.id.padStart(12, 'f')}`;
      this.table.rows.set(row.id, row);
      return row;
    }
  },
  'errors known by their code only': class extends TableRepository {
    override create(user: NewUser) {
      return asForeign(super.create(user));
    }
    override update(id: string, changes: UserChanges, condition?: Condition) {
      return asForeign(super.update(id, changes, condition));
    }
  },
  'a moment before every call': class extends TableRepository {
    override async create(user: NewUser) {
      await this.moment();
      return super.create(user);
    }
    override async update(id: string, changes: UserChanges, condition?: Condition) {
      await this.moment();
      return super.update(id, changes, condition);
    }
  },
  'the username named first of several taken values': class extends TableRepository {
    override duplicateOf(candidate: User) {
      const others = [...this.table.rows.values()].filter((user) => user.id !== candidate.id);
      const key = this.usernameKey(candidate.username);
      return others.some((user) => this.usernameKey(user.username) === key)
        ? 'username'
        : super.duplicateOf(candidate);
    }
  },
};
