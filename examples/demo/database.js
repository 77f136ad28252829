// The demo's database: the site's users, the webhooks that wait and, where its Ontraport is a make-believe one, what that has to
// remember meanwhile.
const { mkdirSync } = require('node:fs');
const path = require('node:path');
const createKnex = require('knex');

/** A table of one row, beside those of the site: a real account remembers its contacts by itself. */
const ACCOUNT_TABLE = 'demo_account';

/** Opens a file, or makes it; `:memory:` is a database that is gone when the demo ends. */
async function openDatabase(file) {
  if (file !== ':memory:') mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  const knex = createKnex({
    client: 'better-sqlite3',
    connection: { filename: file },
    useNullAsDefault: true,
  });
  try {
    // Two demos on one file would each have an account of their own, and the users would belong to both. So it is locked, for
    // as long as this process lives.
    await knex.raw('pragma busy_timeout = 0');
    await knex.raw('pragma locking_mode = exclusive');
    await knex.raw('begin exclusive');
    await knex.raw('commit');
    return knex;
  } catch (error) {
    await knex.destroy();
    const why = error.code === 'SQLITE_BUSY' ? 'another demo has it open' : error.message;
    throw new Error(`${file} cannot be opened: ${why}. DEMO_DATABASE names another file.`, { cause: error });
  }
}

/** Refuses users of the other kind of account: contact 1 here is another person there. */
async function refuseOtherAccount(knex, file, isReal) {
  const isSandboxs = await knex.schema.hasTable(ACCOUNT_TABLE);
  const hasUsers = await knex.schema.hasTable('wpf_users');
  if (isReal ? isSandboxs : hasUsers && !isSandboxs) {
    const whose = isReal ? "the make-believe account's" : "a real account's";
    throw new Error(`The users in ${file} are ${whose}. DEMO_DATABASE names another file.`);
  }
}

/** Empties the tables of the site: a story that was cut short is told from its beginning. */
async function startAfresh(knex) {
  for (const table of ['wpf_users', 'wpf_webhooks', 'wpf_lanes', 'wpf_activity']) {
    if (await knex.schema.hasTable(table)) await knex(table).delete();
  }
}

/** What the account has to remember, as it was kept last; `undefined` where it was not yet. */
async function loadAccount(knex) {
  if (!(await knex.schema.hasTable(ACCOUNT_TABLE))) {
    await knex.schema.createTable(ACCOUNT_TABLE, (table) => {
      table.integer('id').primary();
      table.text('remembered').notNullable();
    });
  }
  const row = await knex(ACCOUNT_TABLE).first('remembered');
  return row === undefined ? undefined : JSON.parse(row.remembered);
}

async function keepAccount(knex, remembered) {
  const row = { id: 1, remembered: JSON.stringify(remembered) };
  await knex(ACCOUNT_TABLE).insert(row).onConflict('id').merge();
}

module.exports = { keepAccount, loadAccount, openDatabase, refuseOtherAccount, startAfresh };
