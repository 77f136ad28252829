// Every subpath where none of the peers is installed: it can be required, and what needs a peer tells what to install.
const assert = require('node:assert/strict');
const { isWpFusionError } = require('wp-fusion-webhook');
const { BullMqWebhookQueue } = require('wp-fusion-webhook/bullmq');
const { KnexUserRepository, KnexWebhookQueue, migrate } = require('wp-fusion-webhook/knex');
const { SmtpNotifier } = require('wp-fusion-webhook/smtp');
require('wp-fusion-webhook/testing');

/** An error of ours, coded, with a message. */
const tells = (message) => (error) =>
  isWpFusionError(error) && error.code === 'INVALID_OPTION' && message.test(error.message);

const mail = { from: 'shop@example.com', loginUrl: 'https://example.com/login' };
const transport = { host: 'smtp.example.com' };

async function main() {
  assert.throws(
    () => new BullMqWebhookQueue({ connection: { url: 'redis://127.0.0.1:6379' } }),
    tells(/npm install bullmq ioredis/),
  );
  assert.throws(() => new SmtpNotifier({ ...mail, transport }), tells(/npm install nodemailer/));
  // Knex is handed in by the host, and so never loaded here.
  assert.throws(() => new KnexUserRepository(undefined), tells(/must be a Knex instance/));
  assert.throws(() => new KnexWebhookQueue(undefined), tells(/must be a Knex instance/));
  await assert.rejects(migrate(undefined), tells(/must be a Knex instance/));
}

// A failure is an unhandled rejection, which ends the process.
void main();
