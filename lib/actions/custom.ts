// The host's own actions.
import { WpFusionError } from '../errors';
import type { ActionHandler } from '../options';
import type { Result } from '../result';
import { callHost, type Run } from './run';
import { withoutPasswords } from './synchronise';

/** Runs an action of the host. */
export async function custom(run: Run, handler: ActionHandler): Promise<Result> {
  const { webhook, site } = run;
  const answer: unknown = await callHost(`The action ${webhook.action}`, () =>
    handler({
      contactId: webhook.contactId,
      params: webhook.parameters,
      contact: async () => withoutPasswords(run, await run.readContact()),
      user: async () => (webhook.contactId === null ? null : site.users.findByContactId(webhook.contactId)),
      users: site.users,
      logger: site.configuration.logger,
      signal: run.signal,
    }),
  );
  const outcome = (answer as { outcome?: unknown } | null | undefined)?.outcome;
  if (typeof outcome === 'string') return run.result(outcome);
  throw new WpFusionError('INTERNAL_ERROR', `The action ${webhook.action} must give { outcome: string }.`);
}
