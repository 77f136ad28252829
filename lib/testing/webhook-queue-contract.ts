// webhookQueueContract: what every webhook queue has to do, as tests that its author runs on the real store.
import { finishing } from './contracts/queue/finishing';
import { givingUp } from './contracts/queue/giving-up';
import { leases } from './contracts/queue/leases';
import { names } from './contracts/queue/names';
import { processes } from './contracts/queue/processes';
import { putting } from './contracts/queue/putting';
import { racing } from './contracts/queue/racing';
import { settingsOf } from './contracts/queue/settings';
import type { WebhookQueueContractOptions } from './contracts/queue/settings';
import { sharing } from './contracts/queue/sharing';
import { stageFor } from './contracts/queue/stage';
import { taking } from './contracts/queue/taking';
import { telling } from './contracts/queue/telling';
import { Suite } from './contracts/runner';

/**
 * Tests a `WebhookQueue` against everything that the middleware relies on: that a webhook which was put is never lost, that a
 * contact has one worker at a time, that a worker which died is replaced and one which was slow does no harm, dead letters,
 * results, positions, shared texts, and many workers at once. Every test opens a scene of its own. It needs no test runner of its own.
 *
 * Give the queue under test a lease of half a second (`leaseMs: 500`). The suite waits for leases to run out by asking again
 * until they have, so it takes half a minute; a test in which the store needed longer than a lease is run once more. Of the
 * clock of the machine it asks only that `oldestWaiting` is right within ten minutes.
 *
 * Run it on the store that you use in production, with two queues over different connections: a race within one process shows
 * little of what two processes do to each other. It cannot show that what is stored survives a crash or a power cut: see to
 * that in the settings of the store.
 *
 * @throws TypeError where `writers` or `rounds` make no suite.
 *
 * @example
 * const { describe, it } = require('node:test');
 * const { webhookQueueContract } = require('wp-fusion-webhook/testing');
 *
 * webhookQueueContract({
 *   runner: { describe, it },
 *   name: 'webhooks in Redis',
 *   open: async () => ({
 *     queue: new RedisQueue(redis, { leaseMs: 500 }),
 *     other: new RedisQueue(otherRedis, { leaseMs: 500 }),
 *   }),
 *   capabilities: { positions: false },
 * });
 */
export function webhookQueueContract(options: WebhookQueueContractOptions): void {
  const settings = settingsOf(options);
  const quick = new Suite(options.runner, stageFor(options, settings, true));
  const patient = new Suite(options.runner, stageFor(options, settings, false));
  quick.group(options.name ?? 'WebhookQueue contract', () => {
    putting(quick);
    names(quick, settings);
    taking(quick);
    leases(patient, settings);
    finishing(quick, settings);
    givingUp(quick, settings);
    telling(quick, settings);
    sharing(patient, settings);
    processes(quick, settings);
    racing(patient, settings);
  });
}
