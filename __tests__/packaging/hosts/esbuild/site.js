// A site to be bundled with everything in it; it uses only the root and the sandbox.
import { MemoryUserRepository } from 'wp-fusion-webhook';
import { takeWebhook } from './take-webhook.js';

// A failure is an unhandled rejection, which ends the process.
void takeWebhook(new MemoryUserRepository());
