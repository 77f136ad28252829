// bull-board behind a password: what waits, what was given up and why. "Retry" there is a replay of the dead letter.
const { createHash, timingSafeEqual } = require('node:crypto');
const { createBullBoard } = require('@bull-board/api');
const { BullMQAdapter } = require('@bull-board/api/bullMQAdapter');
const { ExpressAdapter } = require('@bull-board/express');
const { Queue } = require('bullmq');
const express = require('express');

/** The queue of the middleware whose `name` is `default`. */
const QUEUE = 'wp-fusion-webhook.default';

function createDashboard({ connection, prefix, password }) {
  const path = '/queues';
  const queue = new Queue(QUEUE, { connection, prefix });
  queue.on('error', () => undefined); // Redis is away: the pages say so
  const serverAdapter = new ExpressAdapter();
  serverAdapter.setBasePath(path);
  createBullBoard({ queues: [new BullMQAdapter(queue)], serverAdapter });

  const router = express.Router();
  router.use(askFor(password));
  router.use(serverAdapter.getRouter());
  return { path, router, close: () => queue.close() };
}

/** Lets in who knows the password; any name will do. Use it over HTTPS only. */
function askFor(password) {
  const digest = (text) => createHash('sha256').update(text).digest();
  const right = digest(password);
  return (request, response, next) => {
    const [, encoded = ''] = /^Basic (.+)$/i.exec(request.get('authorization') ?? '') ?? [];
    const credentials = Buffer.from(encoded, 'base64').toString();
    const given = credentials.slice(credentials.indexOf(':') + 1);
    if (timingSafeEqual(digest(given), right)) next();
    else response.status(401).set('WWW-Authenticate', 'Basic realm="queues"').send('The password, please.');
  };
}

module.exports = { createDashboard };
