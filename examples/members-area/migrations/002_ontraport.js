// What webhooks need of the old table: it gets two columns and two unique indexes. What was there stays as it is.
const { KnexUserRepository } = require('wp-fusion-webhook/knex');
const { mapping } = require('../members');

const up = (knex) => new KnexUserRepository(knex, mapping).prepareTable();

const down = () => {
  throw new Error('Which contact a member belongs to is not thrown away by a command.');
};

module.exports = { up, down };
