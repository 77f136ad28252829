// The service that http-user-repository.ts talks to, on SQLite. Whatever yours is written in, it has to promise the same: unique
// keys, a condition that is checked in the step that writes, meta merged in the store, all of it or nothing.
const { randomUUID } = require('node:crypto');
const express = require('express');
const SqliteDatabase = require('better-sqlite3');

// SQLite's lower() knows the letters of ASCII only, as the keys want it. Those of other databases fold more.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, contactId TEXT, email TEXT NOT NULL, username TEXT NOT NULL,
    passwordHash TEXT, role TEXT NOT NULL, tags TEXT NOT NULL, meta TEXT NOT NULL, syncState TEXT);
  CREATE UNIQUE INDEX IF NOT EXISTS unique_contactId ON users (contactId);
  CREATE UNIQUE INDEX IF NOT EXISTS unique_email ON users (lower(email));
  CREATE UNIQUE INDEX IF NOT EXISTS unique_username ON users (lower(username));`;
const CREATED = ['contactId', 'email', 'username', 'passwordHash', 'role', 'tags', 'meta', 'syncState'];
const CHANGEABLE = CREATED.filter((name) => !['username', 'meta'].includes(name));

const toUser = (row) => ({ ...row, tags: JSON.parse(row.tags), meta: JSON.parse(row.meta) });
const toValue = (name, value) => {
  if (name === 'email' || name === 'username') return value.trim();
  return name === 'tags' || name === 'meta' ? JSON.stringify(value) : value;
};
const toRow = (names, values) => Object.fromEntries(names.map((name) => [name, toValue(name, values[name])]));

/** The service as an Express app. It gives password hashes away: let nobody but your site reach it. */
function createUserService({ filename, token }) {
  const database = new SqliteDatabase(filename);
  database.exec(SCHEMA);
  const app = express();
  app.use((request, response, next) => {
    if (request.get('authorization') === `Bearer ${token}`) next();
    else response.status(401).json({ error: 'UNAUTHORIZED' });
  }, express.json());

  // A list: nobody is [], since 404 is also what a wrong address says.
  app.get('/users', ({ query: { contactId = null, email = null } }, response) => {
    const select = database.prepare('SELECT * FROM users WHERE contactId = ? OR lower(email) = lower(?)');
    response.json(select.all(contactId, email && email.trim()).map(toUser));
  });

  app.post('/users', ({ body }, response) => {
    const insert = `INSERT INTO users (id, ${CREATED}) VALUES (@id, ${CREATED.map((name) => `@${name}`)}) RETURNING *`;
    const created = database.prepare(insert).get({ id: randomUUID(), ...toRow(CREATED, body) });
    response.status(201).json(toUser(created));
  });

  app.patch('/users/:id', ({ params: { id }, body: { changes, condition } }, response) => {
    const names = CHANGEABLE.filter((name) => changes[name] !== undefined);
    const sets = [...names.map((name) => `${name} = @${name}`), 'meta = json_patch(meta, @patch)'];
    const where = condition === undefined ? 'id = @id' : 'id = @id AND syncState IS @ifSyncState';
    const updated = database
      .prepare(`UPDATE users SET ${sets} WHERE ${where} RETURNING *`)
      .get({ ...toRow(names, changes), patch: JSON.stringify(changes.meta ?? {}), id, ...condition });
    if (updated !== undefined) response.json(toUser(updated));
    else if (database.prepare('SELECT 1 FROM users WHERE id = ?').get(id))
      response.status(412).json({ error: 'STALE_USER' });
    else response.status(404).json({ error: 'USER_NOT_FOUND' });
  });

  app.use((error, request, response, next) => {
    const [field] = /contactId|email|username/.exec(error.message) ?? [];
    if (error.code === 'SQLITE_CONSTRAINT_UNIQUE')
      response.status(409).json({ error: 'DUPLICATE_USER', field });
    else next(error);
  });
  return { app, close: () => database.close() };
}

module.exports = { createUserService };
