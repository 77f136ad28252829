// Runs in a worker thread: computes bcrypt hashes, one at a time. Plain JavaScript, because a thread loads this very file from
// lib/ under a test runner and its copy from dist/ in the package. It is sent nothing but strings and numbers, and so answers.
'use strict';

const { parentPort } = require('node:worker_threads');
const { hashSync } = require('bcryptjs');

/**
 * What to compute. A number as salt is a cost: a new salt is drawn. The salt of an existing hash verifies a password.
 * @typedef {{ readonly password: string, readonly salt: number | string }} BcryptJob
 */

/**
 * What the thread says: once that it can work, then one answer a job.
 * @typedef {'ready' | { readonly hash: string } | { readonly failure: string }} BcryptMessage
 */

/** @param {BcryptMessage} message */
const say = (message) => parentPort?.postMessage(message);

parentPort?.on('message', (/** @type {BcryptJob} */ { password, salt }) => {
  try {
    say({ hash: hashSync(password, salt) });
  } catch (error) {
    say({ failure: error instanceof Error ? error.message : String(error) });
  }
});
say('ready');
