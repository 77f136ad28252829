// What the tests of this folder put into a middleware: a CRM in memory, a repository that counts, a hasher that costs nothing.
import { createHash } from 'node:crypto';
import {
  MemoryUserRepository,
  type Contact,
  type CrmClient,
  type Logger,
  type NewUser,
  type PasswordHasher,
  type User,
  type UserChanges,
  type UserRepository,
} from '../../lib';

/** A CRM in memory that counts what it is asked, with Ontraport's kind of ids. */
export class MemoryCrm implements CrmClient {
  readonly contactIdPattern = /^\d{1,20}$/;
  readonly contacts = new Map<string, Contact>();
  reads = 0;
  writes = 0;

  add(id: string, fields: Record<string, string | null>, tags: string[] = []): void {
    this.contacts.set(id, {
      id,
      email: fields.email ?? null,
      tags: tags.map((name, index) => ({ id: String(index + 1), name })),
      modifiedAt: null,
      fields,
    });
  }

  async getContacts(ids: readonly string[]): Promise<ReadonlyMap<string, Contact>> {
    this.reads += 1;
    const found = ids.flatMap((id) => this.contacts.get(id) ?? []);
    return new Map(found.map((contact) => [contact.id, structuredClone(contact)]));
  }

  async updateContact(id: string, fields: Readonly<Record<string, string>>): Promise<void> {
    this.writes += 1;
    Object.assign(this.contacts.get(id)?.fields ?? {}, fields);
  }
}

/** A repository that counts its calls, and fails where a test says so. */
export class CountingUsers implements UserRepository {
  readonly memory = new MemoryUserRepository();
  reads = 0;
  writes = 0;
  /** Throws what it likes, before anything is done. */
  trouble: ((method: keyof UserRepository) => void) | undefined;

  async findByContactId(contactId: string): Promise<User | null> {
    this.reads += 1;
    this.trouble?.('findByContactId');
    return this.memory.findByContactId(contactId);
  }

  async findByEmail(email: string): Promise<User | null> {
    this.reads += 1;
    this.trouble?.('findByEmail');
    return this.memory.findByEmail(email);
  }

  async create(user: NewUser): Promise<User> {
    this.writes += 1;
    this.trouble?.('create');
    return this.memory.create(user);
  }

  async update(id: string, changes: UserChanges, condition?: { ifSyncState: string | null }): Promise<User> {
    this.writes += 1;
    this.trouble?.('update');
    return this.memory.update(id, changes, condition);
  }
}

/** A stored user, with what a test says of it. */
export const newUser = (given: Partial<NewUser>): NewUser => ({
  contactId: null,
  email: 'mary@example.com',
  username: given.email ?? 'mary@example.com',
  passwordHash: null,
  role: 'subscriber',
  tags: [],
  meta: {},
  syncState: null,
  ...given,
});

/** No protection at all, and no time. */
export const cheapHasher: PasswordHasher = {
  hash: async (password) => `cheap:${createHash('sha256').update(password).digest('base64url')}`,
  verify: async (password, hash) => (await cheapHasher.hash(password)) === hash,
};

/** A logger that remembers everything as one text a line. */
export function capturingLogger(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const log =
    (level: string) =>
    (details: unknown, message?: unknown): void =>
      void lines.push(`${level} ${JSON.stringify(details)} ${String(message)}`);
  return { lines, debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
}

/** A gate that something waits at until the test opens it. */
export function gate(): {
  readonly reached: Promise<void>;
  readonly pass: () => Promise<void>;
  open(): void;
} {
  let arrive: () => void = () => undefined;
  let open: () => void = () => undefined;
  const reached = new Promise<void>((resolve) => (arrive = resolve));
  const opened = new Promise<void>((resolve) => (open = resolve));
  return {
    reached,
    pass: () => {
      arrive();
      return opened;
    },
    open,
  };
}
