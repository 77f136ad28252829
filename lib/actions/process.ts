// A webhook becomes a result: which action runs, and with what.
import { asOurs, WpFusionError } from '../errors';
import { SETTLE, type Webhook } from '../queue/webhook';
import type { Result } from '../result';
import { add } from './add';
import { custom } from './custom';
import type { Conditions } from './conditions';
import { Run } from './run';
import { settle } from './settle';
import type { Site } from './site';
import { update } from './update';

/** A failed run, with what its log has to be cleaned of. */
export class RunFailure extends Error {
  constructor(
    override readonly cause: unknown,
    readonly secrets: ReadonlySet<string>,
    /** How often it had asked the CRM for a contact. */
    readonly contactReads: number,
  ) {
    super('The webhook failed.');
  }
}

/** Processes one webhook. Throws {@link RunFailure} only. */
export async function processWebhook(webhook: Webhook, site: Site, conditions: Conditions): Promise<Result> {
  const run = new Run(webhook, site, conditions);
  const { action } = webhook;
  const startedAt = performance.now();
  try {
    const result = await dispatch(run);
    site.instruments.ran(startedAt, { action, outcome: result.outcome });
    return result;
  } catch (error) {
    site.instruments.ran(startedAt, { action, code: asOurs(error).code });
    throw new RunFailure(error, run.secrets, run.contactReads);
  } finally {
    run.dispose();
  }
}

function dispatch(run: Run): Promise<Result> {
  const { action } = run.webhook;
  // The host's own actions never come out of a queue, so that one of them may have the name of an action of ours in there.
  const handler = run.conditions.isExclusive ? undefined : run.site.configuration.actions.get(action);
  if (handler !== undefined) return custom(run, handler);
  switch (action) {
    case 'add':
      return add(run);
    case 'update':
      return update(run, 'fields and tags');
    case 'update_tags':
      return update(run, 'tags');
    case SETTLE:
      return settle(run);
    default:
      // Stored by a newer version, which has to be there to know what it means: kept, and tried again.
      if (run.conditions.isExclusive) {
        throw new WpFusionError('INTERNAL_ERROR', `This version does not know the stored action ${action}.`);
      }
      // `test` says that the key is right and the site is reached; there is nothing else to do.
      return Promise.resolve(run.result('ok'));
  }
}
