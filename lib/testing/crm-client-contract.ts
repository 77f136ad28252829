// crmClientContract: what every CRM client has to do, as tests that its author runs on a CRM.
import { describing } from './contracts/crm/describing';
import { failing } from './contracts/crm/failing';
import { listing } from './contracts/crm/listing';
import { reading } from './contracts/crm/reading';
import { settingsOf } from './contracts/crm/settings';
import type { CrmClientContractOptions } from './contracts/crm/settings';
import { stageFor } from './contracts/crm/stage';
import { writing } from './contracts/crm/writing';
import { Suite } from './contracts/runner';

/**
 * Tests a `CrmClient` against everything that the middleware relies on: contacts as they are now, ids, tags and fields, writes
 * that are readable to the letter, the code of every trouble, and errors without credentials. Every test opens a scene of its own.
 * It needs no test runner of its own, and no clock.
 *
 * Run it on something that answers as your CRM does, so that it can fail on request, and once on a test account.
 *
 * @example
 * const { describe, it } = require('node:test');
 * const { crmClientContract } = require('wp-fusion-webhook/testing');
 *
 * crmClientContract({
 *   runner: { describe, it },
 *   name: 'Acme',
 *   open: openFakeAcme, // gives a CrmScene
 *   capabilities: { listContacts: false },
 * });
 */
export function crmClientContract(options: CrmClientContractOptions): void {
  const settings = settingsOf(options);
  const suite = new Suite(options.runner, stageFor(options, settings));
  suite.group(options.name ?? 'CrmClient contract', () => {
    reading(suite, settings);
    writing(suite);
    failing(suite, settings);
    listing(suite, settings);
    describing(suite, settings);
  });
}
