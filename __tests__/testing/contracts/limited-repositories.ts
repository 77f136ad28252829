// User repositories that cannot hold everything: which capability says so, what is skipped then, and what fails otherwise.
import type { User, UserChanges } from '../../../lib';
import type { RepositoryCapabilities, StoredUser } from '../../../lib/testing';
import { folded, TableRepository, type Table } from './table';

interface Limited {
  readonly Repository: new (table: Table) => TableRepository;
  /** What the storage itself holds, where that is not a user. */
  readonly stored?: (user: User) => StoredUser;
  readonly capabilities: RepositoryCapabilities;
  readonly skips: readonly string[];
  /** Tests that fail where the capability is not given. */
  readonly otherwise: readonly string[];
}

export const limited: Readonly<Record<string, Limited>> = {
  'contactIds: numeric': {
    Repository: class extends TableRepository {
      override contactKey = (contactId: string) => String(BigInt(contactId));
      override write(user: User) {
        return { ...super.write(user), contactId: user.contactId && String(BigInt(user.contactId)) };
      }
    },
    stored: (user) => ({ ...user, contactId: user.contactId && BigInt(user.contactId) }),
    capabilities: { contactIds: 'numeric' },
    skips: [
      'findByContactId › does not find a user without a contact',
      'findByContactId › compares contact ids to the letter',
      'findByContactId › keeps the zeros that a contact id begins with',
    ],
    otherwise: [
      'findByContactId › compares contact ids to the letter',
      'findByContactId › keeps the zeros that a contact id begins with',
      'create › stores every property, and the storage itself holds it',
    ],
  },

  'usernames: false': {
    Repository: class extends TableRepository {
      override write(user: User) {
        return { ...super.write(user), username: user.email };
      }
      override changed(user: User, changes: UserChanges) {
        const changed = super.changed(user, changes);
        return { ...changed, username: changed.email };
      }
    },
    capabilities: { usernames: false },
    skips: [
      'create, unique values › a taken username is refused',
      'create, unique values › a taken username in another case is refused',
      'create, unique values › a taken username with white space around it is refused',
      'create, unique values › usernames that only look alike are different ones',
      'races › creates of one username, in two cases: one user comes out',
    ],
    otherwise: [
      'create › gives the user back with an id that is text',
      'create, unique values › a taken username is refused',
      'races › creates of one username, in two cases: one user comes out',
    ],
  },

  'distinguishesUnicode: false': {
    Repository: class extends TableRepository {
      override duplicateOf(candidate: User) {
        const others = [...this.table.rows.values()].filter((user) => user.id !== candidate.id);
        const has = (field: 'email' | 'username'): boolean =>
          others.some((user) => folded(user[field]) === folded(candidate[field]));
        return (
          super.duplicateOf(candidate) ?? (has('email') ? 'email' : has('username') ? 'username' : undefined)
        );
      }
    },
    capabilities: { distinguishesUnicode: false },
    skips: ['create, unique values › usernames that only look alike are different ones'],
    otherwise: [
      'findByEmail › an accent is no ornament (é, e)',
      'create, unique values › usernames that only look alike are different ones',
    ],
  },

  'withoutPassword: false': {
    Repository: class extends TableRepository {
      override write(user: User) {
        if (user.passwordHash === null) throw new Error('NOT NULL constraint failed: users.password');
        return super.write(user);
      }
    },
    capabilities: { withoutPassword: false },
    skips: ['create › a user can be without a password', 'update › takes the password away with null'],
    otherwise: ['create › a user can be without a password', 'update › takes the password away with null'],
  },

  'roles of its own': {
    Repository: class extends TableRepository {
      override write(user: User) {
        if (!['member', 'editor', 'guest'].includes(user.role)) throw new Error('no such role');
        return super.write(user);
      }
    },
    capabilities: { roles: ['member', 'editor', 'guest'] },
    skips: [],
    otherwise: ['create › stores the role subscriber'],
  },

  'meta in columns': {
    Repository: class extends TableRepository {
      override write(user: User) {
        for (const key of Object.keys(user.meta)) {
          if (!['firstName', 'visits', 'optIn'].includes(key)) throw new Error(`no such column: ${key}`);
        }
        return super.write(user);
      }
    },
    capabilities: { meta: { firstName: ['Mary', 'Ann'], visits: [1, 0], optIn: [false, true] } },
    skips: [
      'create › keeps in meta long text whole',
      'create › keeps in meta empty text as empty text',
      'create › keeps in meta lists as lists',
      'create › keeps in meta an empty list as an empty list',
      'create › keeps in meta keys with dots, dollars and other letters',
      'create › keeps in meta keys that mean something elsewhere (id, constructor)',
      'update, meta › keeps long text whole',
      'update, meta › keeps empty text as empty text',
      'update, meta › keeps lists as lists',
      'update, meta › keeps an empty list as an empty list',
      'update, meta › keeps keys with dots, dollars and other letters',
      'update, meta › keeps keys that mean something elsewhere (id, constructor)',
    ],
    otherwise: ['create › keeps all keys of meta at once', 'create › keeps in meta lists as lists'],
  },
};
