// The users of a site for wp-fusion-webhook: Drizzle ORM on PostgreSQL. The table is in drizzle-schema.ts.
import { and, DrizzleQueryError, eq, sql } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { DuplicateUserError, StaleUserError, UserNotFoundError } from 'wp-fusion-webhook';
import type { NewUser, User, UserChanges, UserRepository } from 'wp-fusion-webhook';
import { FIELD_OF_INDEX, keyOf, users } from './drizzle-schema';

export class DrizzleUserRepository implements UserRepository {
  constructor(private readonly database: Pick<NodePgDatabase, 'insert' | 'select' | 'update'>) {}

  async findByContactId(contactId: string): Promise<User | null> {
    const query = this.database.select().from(users).where(eq(users.contactId, contactId));
    return (await first(query)) ?? null;
  }

  async findByEmail(email: string): Promise<User | null> {
    const query = this.database
      .select()
      .from(users)
      .where(eq(keyOf(users.email), keyOf(email.trim())));
    return (await first(query)) ?? null;
  }

  async create(user: NewUser): Promise<User> {
    const values = { ...user, id: undefined, email: user.email.trim(), username: user.username.trim() };
    const created = await first(this.database.insert(users).values(values).returning());
    if (created === undefined) throw new Error('The insert gave no row back.');
    return created;
  }

  async update(id: string, changes: UserChanges, condition?: { ifSyncState: string | null }): Promise<User> {
    const values = {
      ...changes, // Drizzle leaves alone what is undefined
      ...{ id: undefined, username: undefined, email: changes.email?.trim() },
      // The database merges, so that no key is lost that another process writes now; null takes a key away.
      meta: sql`jsonb_strip_nulls(${users.meta} || ${JSON.stringify(changes.meta ?? {})}::jsonb)`,
    };
    const isStill = condition && sql`${users.syncState} is not distinct from ${condition.ifSyncState}`;
    const isIt = and(eq(users.id, id), isStill);
    const updated = await first(this.database.update(users).set(values).where(isIt).returning());
    if (updated !== undefined) return updated;
    const present = await first(this.database.select().from(users).where(eq(users.id, id)));
    throw present === undefined ? new UserNotFoundError({ id }) : new StaleUserError({ id });
  }
}

/** The first row. Drizzle's error quotes all values, the password hash too, so the driver's own one is thrown. */
async function first(query: PromiseLike<User[]>): Promise<User | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return (await query)[0]; // every await runs it
    } catch (error) {
      const cause = error instanceof DrizzleQueryError ? error.cause : error;
      const { code, constraint = '' } = cause as { code?: string; constraint?: string };
      if (code === '40P01' && attempt < 10) continue; // a deadlock: undone, to be run again
      const field = code === '23505' ? FIELD_OF_INDEX[constraint] : undefined;
      throw field === undefined ? cause : new DuplicateUserError({ field, cause });
    }
  }
}
