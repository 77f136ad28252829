// The users of sequelize-user-repository.ts as a Sequelize model, for MariaDB and MySQL. A table that is there already needs the
// columns and indexes that it lacks of this.
import {
  DataTypes,
  UniqueConstraintError,
  type CreationOptional,
  type InferAttributes,
  type InferCreationAttributes,
} from 'sequelize';
import type { Model, ModelStatic, Sequelize } from 'sequelize';
import type { User } from 'wp-fusion-webhook';

export interface UserRow
  extends Omit<User, 'id'>, Model<InferAttributes<UserRow>, InferCreationAttributes<UserRow>> {
  id: CreationOptional<number | string>;
  emailKey: CreationOptional<string>;
  usernameKey: CreationOptional<string>;
}

/**
 * The key of an email or a username. The usual collations of MySQL make é and e one, and would take strangers for one another;
 * so the keys stand in columns of their own, which are compared byte by byte.
 */
export const keyOf = (text: string) => text.trim().replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

const FIELD_OF_INDEX: Partial<Record<string, 'contactId' | 'email' | 'username'>> = {
  users_contact_id: 'contactId',
  users_email_key: 'email',
  users_username_key: 'username',
};

/** Which value was taken, where a unique index refused the row: `fields` has the index's name. */
export function takenField(error: unknown) {
  const [index = ''] = error instanceof UniqueConstraintError ? Object.keys(error.fields) : [];
  return FIELD_OF_INDEX[index];
}

/** JSON as text: MySQL would give a JSON column back parsed, MariaDB as text. */
const json = (name: 'tags' | 'meta', empty: string) => ({
  type: DataTypes.TEXT('medium'),
  get(this: UserRow): unknown {
    return JSON.parse((this.getDataValue(name) as unknown as string | null) ?? empty);
  },
  set(this: UserRow, value: unknown) {
    this.setDataValue(name, JSON.stringify(value) as never);
  },
});

/** Text whose key follows it, whoever of the site sets it. */
const keyed = (name: 'email' | 'username', keyName: 'emailKey' | 'usernameKey') => ({
  type: DataTypes.STRING(255),
  allowNull: false,
  set(this: UserRow, value: string) {
    this.setDataValue(name, value.trim());
    this.setDataValue(keyName, keyOf(value));
  },
});

export const defineUsers = (sequelize: Sequelize): ModelStatic<UserRow> =>
  sequelize.define<UserRow>(
    'User',
    {
      id: { type: DataTypes.BIGINT.UNSIGNED, autoIncrement: true, primaryKey: true },
      contactId: { type: DataTypes.STRING(64).BINARY, field: 'contact_id' },
      email: keyed('email', 'emailKey'),
      emailKey: { type: DataTypes.STRING(255).BINARY, allowNull: false, field: 'email_key' },
      username: keyed('username', 'usernameKey'),
      usernameKey: { type: DataTypes.STRING(255).BINARY, allowNull: false, field: 'username_key' },
      passwordHash: { type: DataTypes.STRING(255), field: 'password_hash' },
      role: { type: DataTypes.STRING(100), allowNull: false },
      tags: json('tags', '[]'),
      meta: json('meta', '{}'),
      syncState: { type: DataTypes.STRING(255), field: 'sync_state' },
    },
    {
      tableName: 'users',
      timestamps: false,
      charset: 'utf8mb4',
      indexes: [
        { unique: true, name: 'users_contact_id', fields: ['contact_id'] },
        { unique: true, name: 'users_email_key', fields: ['email_key'] },
        { unique: true, name: 'users_username_key', fields: ['username_key'] },
      ],
    },
  );

/** A row as the interface has it. Sequelize gives ids beyond 2^53 as text, all others as numbers. */
export const toUser = (row: UserRow): User => ({
  id: String(row.id),
  contactId: row.contactId,
  email: row.email,
  username: row.username,
  passwordHash: row.passwordHash,
  role: row.role,
  tags: row.tags,
  meta: row.meta,
  syncState: row.syncState,
});
