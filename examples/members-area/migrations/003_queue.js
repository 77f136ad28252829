// The tables of the queue, in which webhooks wait until they are worked off. The members have their table already.
const { migrate } = require('wp-fusion-webhook/knex');

const up = (knex) => migrate(knex, { users: false });

const down = () => {
  throw new Error('Webhooks that wait are not thrown away by a command.');
};

module.exports = { up, down };
