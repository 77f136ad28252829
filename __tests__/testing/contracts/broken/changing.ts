// Repositories whose update changes too much, too little or somebody else.
import {
  DuplicateUserError,
  StaleUserError,
  UserNotFoundError,
  WpFusionError,
  type MetaValue,
  type User,
  type UserChanges,
} from '../../../../lib';
import { type BrokenRepositories, TableRepository, type Condition } from '../table';

export const changing: BrokenRepositories = {
  // What changes
  'undefined written': {
    Repository: class extends TableRepository {
      override changed(user: User, changes: UserChanges) {
        const { meta = {}, ...properties } = structuredClone(changes);
        const given = { ...properties } as Partial<User>;
        return { ...user, ...given, id: user.id, username: user.username, meta: this.merge(user.meta, meta) };
      }
      override emailKey(email: string | undefined) {
        return super.emailKey(email ?? '');
      }
    },
    caughtBy: ['update › undefined leaves a property as it is'],
  },
  'undefined in meta written': {
    Repository: class extends TableRepository {
      override merge(meta: Record<string, MetaValue>, changes: Record<string, MetaValue | null>) {
        const kept = Object.entries({ ...meta, ...changes }).filter(([, value]) => value !== null);
        return Object.fromEntries(kept) as Record<string, MetaValue>;
      }
    },
    caughtBy: ['update › undefined in meta leaves the key as it is'],
  },
  'undefined in meta removes': {
    Repository: class extends TableRepository {
      override merge(meta: Record<string, MetaValue>, changes: Record<string, MetaValue | null | undefined>) {
        const kept = Object.entries({ ...meta, ...changes }).filter(
          ([, value]) => value !== null && value !== undefined,
        );
        return Object.fromEntries(kept) as Record<string, MetaValue>;
      }
    },
    caughtBy: ['update › undefined in meta leaves the key as it is'],
  },
  'null left out of changes': {
    Repository: class extends TableRepository {
      override changed(user: User, changes: UserChanges) {
        const given = Object.entries(changes).filter(([, value]) => value !== null);
        return super.changed(user, Object.fromEntries(given));
      }
    },
    caughtBy: [
      'update › takes the contact away with null',
      'update › takes the syncState away with null',
      'update › takes the password away with null',
      'update, refused › two users can exchange values one after the other',
      'update, condition › a state that came back holds again',
    ],
  },
  'what is falsy left out of changes of meta': {
    Repository: class extends TableRepository {
      override merge(meta: Record<string, MetaValue>, changes: Record<string, MetaValue | null>) {
        const given = Object.entries(changes).filter(([, value]) => value === null || Boolean(value));
        return super.merge(meta, Object.fromEntries(given));
      }
    },
    caughtBy: [
      'update, meta › keeps empty text as empty text',
      'update, meta › keeps numbers as numbers',
      'update, meta › keeps true and false as booleans',
      'update, meta › keeps keys with dots, dollars and other letters',
      'update, meta › exchanges every value for one of another kind',
      'races › updates of different keys of meta: all are kept',
    ],
  },
  'null stored in meta': {
    Repository: class extends TableRepository {
      override merge(meta: Record<string, MetaValue>, changes: Record<string, MetaValue | null>) {
        const given = Object.entries(changes).filter(([, value]) => (value as unknown) !== undefined);
        return { ...meta, ...Object.fromEntries(given) } as Record<string, MetaValue>;
      }
      override read(user: User) {
        const meta = Object.entries(user.meta).filter(([, value]) => (value as unknown) !== null);
        return { ...super.read(user), meta: Object.fromEntries(meta) };
      }
    },
    caughtBy: [
      'update, meta › null removes a key, and is not stored',
      'update, meta › null for a key that is not there is no error',
      'update, meta › sets, removes and leaves in one call',
      'update, meta › a removed key can be set again',
      'races › updates of different keys of meta: all are kept',
    ],
  },
  'null in meta ignored': {
    Repository: class extends TableRepository {
      override merge(meta: Record<string, MetaValue>, changes: Record<string, MetaValue | null>) {
        const given = Object.entries(changes).filter(([, value]) => value !== null);
        return super.merge(meta, Object.fromEntries(given));
      }
    },
    caughtBy: [
      'update, meta › null removes a key, and is not stored',
      'update, meta › sets, removes and leaves in one call',
      'update, meta › a removed key can be set again',
      'races › updates of different keys of meta: all are kept',
    ],
  },
  'meta replaced instead of merged': {
    Repository: class extends TableRepository {
      override merge(_meta: Record<string, MetaValue>, changes: Record<string, MetaValue | null>) {
        return super.merge({}, changes);
      }
    },
    caughtBy: [
      'update, meta › merges key by key and leaves the other keys',
      'update › changes role alone and leaves the rest',
    ],
    elsewhere: true,
  },
  'lists in meta merged with the old ones': {
    Repository: class extends TableRepository {
      override merge(meta: Record<string, MetaValue>, changes: Record<string, MetaValue | null>) {
        const merged = super.merge(meta, changes);
        for (const [key, value] of Object.entries(merged)) {
          const before = meta[key];
          if (Array.isArray(value) && Array.isArray(before))
            merged[key] = [...new Set([...before, ...value])];
        }
        return merged;
      }
    },
    caughtBy: [
      'update, meta › keeps lists as lists',
      'update, meta › exchanges every value for one of another kind',
      'races › updates of different keys of meta: all are kept',
    ],
  },
  'tags added to the old ones': {
    Repository: class extends TableRepository {
      override changed(user: User, changes: UserChanges) {
        const tags = changes.tags && [...new Set([...user.tags, ...changes.tags])];
        return super.changed(user, { ...changes, tags });
      }
    },
    caughtBy: [
      'update › replaces the tags, and does not add to them',
      'update › takes all tags away with an empty list',
    ],
    elsewhere: true,
  },
  'no tags taken for no change': {
    Repository: class extends TableRepository {
      override changed(user: User, changes: UserChanges) {
        return super.changed(user, {
          ...changes,
          tags: changes.tags?.length === 0 ? undefined : changes.tags,
        });
      }
    },
    caughtBy: ['update › takes all tags away with an empty list'],
  },
  'usernames changed by update': {
    Repository: class extends TableRepository {
      override changed(user: User, changes: UserChanges & { username?: string }) {
        return { ...super.changed(user, changes), username: changes.username ?? user.username };
      }
    },
    caughtBy: ['update › neither the id nor the username ever changes'],
  },
  'ids changed by update': {
    Repository: class extends TableRepository {
      override changed(user: User, changes: UserChanges & { id?: string }) {
        return { ...super.changed(user, changes), id: changes.id ?? user.id };
      }
    },
    caughtBy: ['update › neither the id nor the username ever changes'],
  },
  'everybody changed by update': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const updated = await super.update(id, changes, condition);
        const { role } = changes;
        if (role !== undefined) for (const user of this.table.rows.values()) user.role = role;
        return updated;
      }
    },
    caughtBy: [
      'update › changes everything at once, and gives the user back as it is now',
      'update › changes role alone and leaves the rest',
      'update › neither the id nor the username ever changes',
      'races › creates against updates for one email: one wins',
      'races › creates against updates for one contact: one wins',
      'races › links of several users to one contact: one wins',
      'races › changes of several users to one email: one wins',
    ],
  },
  'update gives the user as it was': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const before = this.table.rows.get(id);
        await super.update(id, changes, condition);
        return this.read(before!);
      }
    },
    caughtBy: ['update › changes everything at once, and gives the user back as it is now'],
    elsewhere: true,
  },
  'update gives nothing': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        await super.update(id, changes, condition);
        return undefined as unknown as User;
      }
    },
    caughtBy: ['update › changes everything at once, and gives the user back as it is now'],
    elsewhere: true,
  },
  'an email changed only where its key changes': {
    Repository: class extends TableRepository {
      override changed(user: User, changes: UserChanges) {
        const isSame =
          changes.email !== undefined && this.emailKey(changes.email) === this.emailKey(user.email);
        return super.changed(user, isSame ? { ...changes, email: undefined } : changes);
      }
    },
    caughtBy: ['update, refused › a user’s own values are not taken'],
  },
  'its own email taken for a duplicate': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const { email } = changes;
        const isTaken =
          email !== undefined &&
          [...this.table.rows.values()].some((row) => this.emailKey(row.email) === this.emailKey(email));
        this.rowOf(id);
        if (isTaken) throw new DuplicateUserError({ field: 'email' });
        return super.update(id, changes, condition);
      }
    },
    caughtBy: [
      'update › writing the values that are there already is no error',
      'update, refused › a user’s own values are not taken',
    ],
  },
  'no affected rows taken for no user': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const before = JSON.stringify(this.rowOf(id));
        const updated = await super.update(id, changes, condition);
        if (Object.keys(changes).length > 0 && JSON.stringify(this.rowOf(id)) === before)
          throw new UserNotFoundError({ id });
        return updated;
      }
    },
    caughtBy: [
      'update › nothing to change is no error',
      'update › undefined leaves a property as it is',
      'update › writing the values that are there already is no error',
      'update › what is given out are copies',
      'update, meta › null for a key that is not there is no error',
      'update, condition › is held also where there is nothing to change',
    ],
  },
  'nothing to change is an error': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        if (Object.keys(changes).length === 0) throw new Error('syntax error at or near "WHERE"');
        return super.update(id, changes, condition);
      }
    },
    caughtBy: [
      'update › nothing to change is no error',
      'update, refused › an id that nobody has is USER_NOT_FOUND also where nothing is to change',
      'update, condition › is held also where there is nothing to change',
    ],
  },
  'other changes written before the duplicate is noticed': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const { email, contactId, ...rest } = changes;
        await super.update(id, rest, condition);
        return super.update(id, { email, contactId });
      }
    },
    caughtBy: [
      'races › users that take one another’s emails: each gets it or is told that it is taken',
      'update, refused › a taken email changes nothing at all',
      'update, refused › a taken email in another case changes nothing at all',
      'update, refused › a taken contact id changes nothing at all',
      'update, refused › of several taken values any may be named',
      'races › creates against updates for one email: one wins',
      'races › creates against updates for one contact: one wins',
      'races › links of several users to one contact: one wins',
      'races › changes of several users to one email: one wins',
    ],
  },
  'tags written before the duplicate is noticed': {
    Repository: class extends TableRepository {
      override save(user: User) {
        const stored = this.rowOf(user.id);
        this.table.rows.set(user.id, { ...stored, tags: user.tags });
        return super.save(user);
      }
    },
    caughtBy: [
      'update, refused › a taken email changes nothing at all',
      'update, refused › a taken email in another case changes nothing at all',
      'update, refused › a taken contact id changes nothing at all',
      'update, refused › of several taken values any may be named',
      'races › creates against updates for one email: one wins',
      'races › creates against updates for one contact: one wins',
    ],
  },
  // Unknown users
  'null for an unknown user': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        if (!this.table.rows.has(id)) return null as unknown as User;
        return super.update(id, changes, condition);
      }
    },
    caughtBy: [
      'update, refused › an id that nobody has is USER_NOT_FOUND',
      'update, refused › an id that nobody has is USER_NOT_FOUND also where nothing is to change',
      'update, refused › an id of another shape is USER_NOT_FOUND',
      'update, refused › an id that only begins like a user’s is USER_NOT_FOUND',
    ],
  },
  'null for an unknown user where nothing changes': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const isNothing = Object.keys(changes).length === 0 && !this.table.rows.has(id);
        return isNothing ? (null as unknown as User) : super.update(id, changes, condition);
      }
    },
    caughtBy: ['update, refused › an id that nobody has is USER_NOT_FOUND also where nothing is to change'],
  },
  'an unknown user is a success': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        if (!this.table.rows.has(id)) return { ...changes, id } as User;
        return super.update(id, changes, condition);
      }
    },
    caughtBy: [
      'update, refused › an id that nobody has is USER_NOT_FOUND',
      'update, refused › an id that nobody has is USER_NOT_FOUND also where nothing is to change',
      'update, refused › an id of another shape is USER_NOT_FOUND',
      'update, refused › an id that only begins like a user’s is USER_NOT_FOUND',
    ],
  },
  'an unknown user is created': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        if (!this.table.rows.has(id)) {
          const row = { ...(changes as User), id, email: `${id}@example.com`, username: id, contactId: null };
          this.table.rows.set(id, row);
        }
        return super.update(id, changes, condition);
      }
    },
    caughtBy: [
      'update, refused › an id that nobody has is USER_NOT_FOUND',
      'update, refused › an id that nobody has is USER_NOT_FOUND also where nothing is to change',
      'update, refused › an id of another shape is USER_NOT_FOUND',
      'update, refused › an id that only begins like a user’s is USER_NOT_FOUND',
    ],
  },
  'an unknown user is STALE_USER with a condition': {
    Repository: class extends TableRepository {
      override rowOf(id: string): User {
        return super.rowOf(id);
      }
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        if (!this.table.rows.has(id) && condition !== undefined) throw new StaleUserError({ id });
        return super.update(id, changes, condition);
      }
    },
    caughtBy: [
      'update, refused › an id that nobody has is USER_NOT_FOUND',
      'update, refused › an id that nobody has is USER_NOT_FOUND also where nothing is to change',
      'update, refused › an id of another shape is USER_NOT_FOUND',
      'update, refused › an id that only begins like a user’s is USER_NOT_FOUND',
    ],
  },
  'an id of another shape is an error of the database': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        if (!/^\d+$/.test(id)) throw new Error('invalid input syntax for type integer');
        return super.update(id, changes, condition);
      }
    },
    caughtBy: [
      'update, refused › an id of another shape is USER_NOT_FOUND',
      'update, refused › an id that only begins like a user’s is USER_NOT_FOUND',
    ],
  },
  'ids cut to the number they begin with': {
    Repository: class extends TableRepository {
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        return super.update(String(Number.parseInt(id, 10)), changes, condition);
      }
    },
    caughtBy: ['update, refused › an id that only begins like a user’s is USER_NOT_FOUND'],
  },
  'an error of its own for an unknown user': {
    Repository: class extends TableRepository {
      override rowOf(id: string): User {
        const row = this.table.rows.get(id);
        if (row === undefined) throw new WpFusionError('REPOSITORY_FAILED', 'no such user');
        return row;
      }
    },
    caughtBy: [
      'update, refused › an id that nobody has is USER_NOT_FOUND',
      'update, refused › an id that nobody has is USER_NOT_FOUND also where nothing is to change',
      'update, refused › an id of another shape is USER_NOT_FOUND',
      'update, refused › an id that only begins like a user’s is USER_NOT_FOUND',
    ],
  },
};
