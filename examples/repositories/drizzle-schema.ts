// The users table of drizzle-user-repository.ts. A table that is there already needs the columns and indexes that it lacks of
// this; let `drizzle-kit generate` write the migration.
import { randomUUID } from 'node:crypto';
import { sql, type AnyColumn, type SQL } from 'drizzle-orm';
import { jsonb, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import type { User } from 'wp-fusion-webhook';

/**
 * The key of an email or a username, made by the database: whatever else of the site writes an email, the index sees it. The
 * collation C lowers ASCII letters only; any other folds more, and would take strangers for one another.
 */
export const keyOf = (text: AnyColumn | string): SQL => sql`lower(btrim(${text}) collate "C")`;

/** Which value was taken, by the name of the index that refuses it. */
export const FIELD_OF_INDEX: Partial<Record<string, 'contactId' | 'email' | 'username'>> = {
  users_contact_id: 'contactId',
  users_email_key: 'email',
  users_username_key: 'username',
};

export const users = pgTable(
  'users',
  {
    id: text('id').primaryKey().$defaultFn(randomUUID),
    contactId: text('contact_id'),
    email: text('email').notNull(),
    username: text('username').notNull(),
    passwordHash: text('password_hash'),
    role: text('role').notNull(),
    tags: jsonb('tags').$type<User['tags']>().notNull().default([]),
    meta: jsonb('meta').$type<User['meta']>().notNull().default({}),
    syncState: text('sync_state'),
  },
  (table) => [
    uniqueIndex('users_contact_id').on(table.contactId),
    uniqueIndex('users_email_key').on(keyOf(table.email)),
    uniqueIndex('users_username_key').on(keyOf(table.username)),
  ],
);
