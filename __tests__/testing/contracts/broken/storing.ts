// Repositories that lose something on its way to the storage or back.
import { StaleUserError, type MetaValue, type NewUser, type User, type UserChanges } from '../../../../lib';
import { type BrokenRepositories, TableRepository, type Condition } from '../table';

export const storing: BrokenRepositories = {
  'ids that are numbers': {
    Repository: class extends TableRepository {
      override read(user: User) {
        return { ...super.read(user), id: Number(user.id) as unknown as string };
      }
    },
    caughtBy: ['create › gives the user back with an id that is text'],
    elsewhere: true,
  },
  'contact ids given as numbers': {
    Repository: class extends TableRepository {
      override read(user: User) {
        const contactId = user.contactId === null ? null : (Number(user.contactId) as unknown as string);
        return { ...super.read(user), contactId };
      }
    },
    caughtBy: [
      'create › gives the user back with an id that is text',
      'findByContactId › keeps the zeros that a contact id begins with',
      'findByContactId › keeps every digit of a long contact id',
    ],
    elsewhere: true,
  },
  'contact ids stored as numbers': {
    Repository: class extends TableRepository {
      override write(user: User) {
        const { contactId } = user;
        const stored = contactId !== null && /^\d+$/.test(contactId) ? String(Number(contactId)) : contactId;
        return { ...super.write(user), contactId: stored };
      }
    },
    caughtBy: [
      'findByContactId › keeps the zeros that a contact id begins with',
      'findByContactId › keeps every digit of a long contact id',
    ],
  },
  'emails stored in lower case': {
    Repository: class extends TableRepository {
      override write(user: User) {
        return { ...super.write(user), email: user.email.toLowerCase() };
      }
    },
    caughtBy: ['create › stores email and username as they were given, not in lower case'],
    elsewhere: true,
  },
  'password hashes left out of what is found': {
    Repository: class extends TableRepository {
      override read(user: User) {
        return { ...super.read(user), passwordHash: null };
      }
    },
    caughtBy: ['create › keeps the password hash to the letter'],
    elsewhere: true,
  },
  'password hashes not stored': {
    Repository: class extends TableRepository {
      override write(user: User) {
        return { ...super.write(user), passwordHash: null };
      }
    },
    caughtBy: ['create › keeps the password hash to the letter'],
    elsewhere: true,
  },
  'password hashes cut at 50': {
    Repository: class extends TableRepository {
      override write(user: User) {
        return { ...super.write(user), passwordHash: user.passwordHash?.slice(0, 50) ?? null };
      }
    },
    caughtBy: ['create › keeps the password hash to the letter'],
    elsewhere: true,
  },
  'no password stored as empty text': {
    Repository: class extends TableRepository {
      override write(user: User) {
        return { ...super.write(user), passwordHash: user.passwordHash ?? '' };
      }
    },
    caughtBy: ['create › a user can be without a password', 'update › takes the password away with null'],
  },
  'null stored as empty text': {
    Repository: class extends TableRepository {
      override write(user: User) {
        return { ...super.write(user), contactId: user.contactId ?? '', syncState: user.syncState ?? '' };
      }
      override contactKey = (contactId: string) => (contactId === '' ? Math.random().toString() : contactId);
    },
    caughtBy: [
      'create › null is stored as null: no contact, no syncState',
      'update › takes the contact away with null',
      'update › takes the syncState away with null',
    ],
    elsewhere: true,
  },
  'tags joined by a comma': {
    Repository: class extends TableRepository {
      override write(user: User) {
        return { ...super.write(user), tags: user.tags.join(',').split(',') };
      }
    },
    caughtBy: [
      'create › keeps tags with commas, quotes and other letters',
      'create › keeps no tags as an empty list',
      'update › takes all tags away with an empty list',
      'update › keeps tags with commas, quotes and other letters',
    ],
  },
  'no tags stored as one empty tag': {
    Repository: class extends TableRepository {
      override read(user: User) {
        return { ...super.read(user), tags: user.tags.length === 0 ? [''] : [...user.tags] };
      }
    },
    caughtBy: ['create › keeps no tags as an empty list', 'update › takes all tags away with an empty list'],
  },
  'tags without other letters': {
    Repository: class extends TableRepository {
      override write(user: User) {
        return { ...super.write(user), tags: user.tags.map((tag) => tag.replace(/[^\x20-\x7e]/g, '?')) };
      }
    },
    caughtBy: [
      'create › keeps tags with commas, quotes and other letters',
      'update › keeps tags with commas, quotes and other letters',
    ],
  },
  'meta as text': {
    Repository: class extends TableRepository {
      override write(user: User) {
        const meta = Object.entries(user.meta).map(([key, value]) => [key, String(value)]);
        return { ...super.write(user), meta: Object.fromEntries(meta) };
      }
    },
    caughtBy: [
      'create › keeps in meta numbers as numbers',
      'create › keeps in meta true and false as booleans',
      'create › keeps in meta lists as lists',
      'update, meta › keeps numbers as numbers',
    ],
    elsewhere: true,
  },
  'meta without what is falsy': {
    Repository: class extends TableRepository {
      override write(user: User) {
        const meta = Object.entries(user.meta).filter(([, value]) => Boolean(value));
        return { ...super.write(user), meta: Object.fromEntries(meta) };
      }
    },
    caughtBy: [
      'create › keeps in meta empty text as empty text',
      'create › keeps in meta numbers as numbers',
      'create › keeps in meta true and false as booleans',
    ],
    elsewhere: true,
  },
  'booleans of meta as 0 and 1': {
    Repository: class extends TableRepository {
      override read(user: User) {
        const meta = Object.entries(user.meta).map(([key, value]) => [
          key,
          typeof value === 'boolean' ? Number(value) : value,
        ]);
        return { ...super.read(user), meta: Object.fromEntries(meta) };
      }
    },
    caughtBy: [
      'create › keeps in meta true and false as booleans',
      'create › keeps in meta keys with dots, dollars and other letters',
      'create › keeps all keys of meta at once',
      'update, meta › keeps true and false as booleans',
      'update, meta › keeps keys with dots, dollars and other letters',
      'update, meta › exchanges every value for one of another kind',
    ],
  },
  'text of meta that looks like JSON parsed': {
    Repository: class extends TableRepository {
      override read(user: User) {
        const parse = (value: MetaValue): unknown => {
          try {
            return typeof value === 'string' ? JSON.parse(value) : value;
          } catch {
            return value;
          }
        };
        const meta = Object.entries(user.meta).map(([key, value]) => [key, parse(value)]);
        return { ...super.read(user), meta: Object.fromEntries(meta) };
      }
    },
    caughtBy: [
      'create › keeps in meta text as text',
      'create › keeps all keys of meta at once',
      'update, meta › keeps text as text',
      'update, meta › exchanges every value for one of another kind',
    ],
  },
  'empty lists of meta dropped': {
    Repository: class extends TableRepository {
      override write(user: User) {
        const meta = Object.entries(user.meta).filter(
          ([, value]) => !Array.isArray(value) || value.length > 0,
        );
        return { ...super.write(user), meta: Object.fromEntries(meta) };
      }
    },
    caughtBy: [
      'create › keeps in meta an empty list as an empty list',
      'update, meta › keeps an empty list as an empty list',
      'update, meta › exchanges every value for one of another kind',
      'races › updates of different keys of meta: all are kept',
    ],
  },
  'lists of one in meta as text': {
    Repository: class extends TableRepository {
      override read(user: User) {
        const meta = Object.entries(user.meta).map(([key, value]) => [
          key,
          Array.isArray(value) && value.length === 1 ? value[0] : value,
        ]);
        return { ...super.read(user), meta: Object.fromEntries(meta) };
      }
    },
    caughtBy: [
      'create › keeps in meta lists as lists',
      'create › keeps all keys of meta at once',
      'update, meta › keeps lists as lists',
    ],
  },
  'keys of meta with dots as paths': {
    Repository: class extends TableRepository {
      override write(user: User) {
        const meta = Object.entries(user.meta).map(([key, value]) => {
          const [first = '', second] = key.split('.');
          return [first, second === undefined ? value : { [second]: value }];
        });
        return { ...super.write(user), meta: Object.fromEntries(meta) };
      }
    },
    caughtBy: [
      'create › keeps in meta text as text',
      'create › keeps in meta keys with dots, dollars and other letters',
      'create › keeps all keys of meta at once',
      'update, meta › keeps text as text',
      'update, meta › keeps keys with dots, dollars and other letters',
      'update, meta › exchanges every value for one of another kind',
      'races › updates of different keys of meta: all are kept',
    ],
  },
  'white space around text of meta cut off': {
    Repository: class extends TableRepository {
      override write(user: User) {
        const meta = Object.entries(user.meta).map(([key, value]) => [
          key,
          typeof value === 'string' ? value.trim() : value,
        ]);
        return { ...super.write(user), meta: Object.fromEntries(meta) };
      }
    },
    caughtBy: [
      'create › keeps in meta text as text',
      'update, meta › keeps text as text',
      'update, meta › exchanges every value for one of another kind',
      'races › updates of different keys of meta: all are kept',
    ],
  },
  'long text of meta cut at 255': {
    Repository: class extends TableRepository {
      override write(user: User) {
        const cut = (value: MetaValue): MetaValue =>
          typeof value === 'string' ? value.slice(0, 255) : value;
        const meta = Object.entries(user.meta).map(([key, value]) => [key, cut(value)]);
        return { ...super.write(user), meta: Object.fromEntries(meta) };
      }
    },
    caughtBy: [
      'create › keeps in meta long text whole',
      'create › keeps all keys of meta at once',
      'update, meta › keeps long text whole',
      'update, meta › exchanges every value for one of another kind',
      'races › updates of different keys of meta: all are kept',
    ],
  },
  'meta in the same object as the properties': {
    Repository: class extends TableRepository {
      override read(user: User) {
        const { meta, ...properties } = super.read(user);
        return { ...properties, ...(meta.id === undefined ? {} : { id: String(meta.id) }), meta };
      }
    },
    caughtBy: [
      'create › keeps in meta text as text',
      'create › keeps in meta keys that mean something elsewhere (id, constructor)',
      'create › keeps all keys of meta at once',
      'update, meta › keeps text as text',
      'update, meta › keeps keys that mean something elsewhere (id, constructor)',
      'update, meta › exchanges every value for one of another kind',
      'races › updates of different keys of meta: all are kept',
    ],
  },
  'keys of meta that objects have of their own': {
    Repository: class extends TableRepository {
      override write(user: User) {
        const meta = Object.entries(user.meta).filter(([key]) => !(key in {}));
        return { ...super.write(user), meta: Object.fromEntries(meta) };
      }
    },
    caughtBy: [
      'create › keeps in meta text as text',
      'create › keeps in meta keys that mean something elsewhere (id, constructor)',
      'create › keeps all keys of meta at once',
      'update, meta › keeps text as text',
      'update, meta › keeps keys that mean something elsewhere (id, constructor)',
      'update, meta › exchanges every value for one of another kind',
      'races › updates of different keys of meta: all are kept',
    ],
  },
  'syncState cut at 191': {
    Repository: class extends TableRepository {
      override write(user: User) {
        return { ...super.write(user), syncState: user.syncState?.slice(0, 191) ?? null };
      }
      override holds(stored: string | null, asked: string | null) {
        return super.holds(stored, asked?.slice(0, 191) ?? null);
      }
    },
    caughtBy: [
      'create › keeps a syncState of 255 characters',
      'update › keeps a syncState of 255 characters',
      'update, condition › the last of 255 characters counts',
    ],
  },
  'syncState left out of what is found': {
    Repository: class extends TableRepository {
      override async findByEmail(email: string) {
        const user = await super.findByEmail(email);
        return user === null ? null : { ...user, syncState: null };
      }
    },
    caughtBy: [
      'findByEmail › gives the user that has the email',
      'create › stores every property, and the storage itself holds it',
    ],
    elsewhere: true,
  },
  'a role that is always the default': {
    Repository: class extends TableRepository {
      override write(user: User) {
        return { ...super.write(user), role: 'subscriber' };
      }
    },
    caughtBy: ['create › stores the role customer', 'update › changes role alone and leaves the rest'],
    elsewhere: true,
  },
  'live objects given out': {
    Repository: class extends TableRepository {
      override read(user: User) {
        return user;
      }
    },
    caughtBy: ['update › what is given out are copies'],
  },
  'live objects taken in by create': {
    Repository: class extends TableRepository {
      override write(user: User) {
        return user;
      }
    },
    caughtBy: ['create › leaves what it is given as it was, and does not hold on to it'],
  },
  'create changes what it is given': {
    Repository: class extends TableRepository {
      override create(user: NewUser) {
        user.tags.sort();
        return super.create(user);
      }
    },
    caughtBy: ['create › leaves what it is given as it was, and does not hold on to it'],
  },
  'update changes what it is given': {
    Repository: class extends TableRepository {
      override update(id: string, changes: UserChanges, condition?: Condition) {
        changes.tags?.sort();
        return super.update(id, changes, condition);
      }
    },
    caughtBy: ['update › leaves what it is given as it was, and does not hold on to it'],
  },
  'update holds on to what it is given': {
    Repository: class extends TableRepository {
      override changed(user: User, changes: UserChanges) {
        const changed = super.changed(user, changes);
        return changes.tags === undefined ? changed : { ...changed, tags: changes.tags };
      }
      override write(user: User) {
        return user;
      }
      override insert(user: NewUser) {
        return super.insert(structuredClone(user));
      }
    },
    caughtBy: ['update › leaves what it is given as it was, and does not hold on to it'],
  },
  'create says what it did not store': {
    Repository: class extends TableRepository {
      override async create(user: NewUser) {
        const { id } = await super.create({ ...user, meta: {} });
        return { ...structuredClone(user), id };
      }
    },
    caughtBy: ['create › stores every property, and the storage itself holds it'],
    elsewhere: true,
  },
  'create gives nothing': {
    Repository: class extends TableRepository {
      override async create(user: NewUser) {
        await super.create(user);
        return undefined as unknown as User;
      }
    },
    caughtBy: ['create › gives the user back with an id that is text'],
    elsewhere: true,
  },
  'create gives the id only': {
    Repository: class extends TableRepository {
      override async create(user: NewUser) {
        const { id } = await super.create(user);
        return { id } as User;
      }
    },
    caughtBy: ['create › gives the user back with an id that is text'],
    elsewhere: true,
  },
  'one id for all': {
    Repository: class extends TableRepository {
      override async create(user: NewUser) {
        return { ...(await super.create(user)), id: '1' };
      }
    },
    caughtBy: ['create › gives every user another id'],
    elsewhere: true,
  },
  'a cache: what update says is not stored': {
    Repository: class extends TableRepository {
      readonly #cache = new Map<string, User>();
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        const stored = this.#cache.get(id) ?? this.rowOf(id);
        if (condition !== undefined && stored.syncState !== condition.ifSyncState)
          throw new StaleUserError({ id });
        const changed = this.changed(stored, changes);
        this.refuseDuplicates(changed);
        this.#cache.set(id, changed);
        return structuredClone(changed);
      }
      override read(user: User) {
        return structuredClone(this.#cache.get(user.id) ?? user);
      }
    },
    caughtBy: ['update › changes everything at once, and gives the user back as it is now'],
    elsewhere: true,
  },
  'a cache of what was found': {
    Repository: class extends TableRepository {
      readonly #cache = new Map<string, User>();
      override async findByEmail(email: string) {
        const cached = this.#cache.get(email);
        if (cached !== undefined) return structuredClone(cached);
        const user = await super.findByEmail(email);
        if (user !== null) this.#cache.set(email, user);
        return user;
      }
      override async update(id: string, changes: UserChanges, condition?: Condition) {
        this.#cache.clear();
        return super.update(id, changes, condition);
      }
    },
    caughtBy: ['update › what one process changed is seen by the other at once'],
  },
  'a cache of who was not found': {
    Repository: class extends TableRepository {
      readonly #missing = new Set<string>();
      override async findByEmail(email: string) {
        if (this.#missing.has(email)) return null;
        const user = await super.findByEmail(email);
        if (user === null) this.#missing.add(email);
        return user;
      }
      override create(user: NewUser) {
        this.#missing.clear();
        return super.create(user);
      }
      override update(id: string, changes: UserChanges, condition?: Condition) {
        this.#missing.clear();
        return super.update(id, changes, condition);
      }
    },
    caughtBy: ['create › what one process created is seen by the other at once'],
  },
};
