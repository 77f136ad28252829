// Everything that waits for one contact becomes one webhook: the CRM is read once, and what each of them asked for is kept.
import type { StoredJob } from '../queue/queue';
import { SETTLE, type Webhook } from '../queue/webhook';
import type { RolePolicy } from '../users/role-policy';

/** The actions a job can have, the one that does the most first: it does what the others would have done. */
const BY_STRENGTH = ['add', 'update', 'update_tags', SETTLE];

/**
 * Merges jobs, given in the order they came. The strongest action is run; the last role that can be given is given, as it
 * would be one after the other; a welcome mail is sent if any of them asks for it.
 */
export function merge(contactId: string, jobs: readonly StoredJob[], roles: RolePolicy): Webhook {
  const all = jobs.map(({ job }) => job);
  const asked = all.map(({ role }) => role).filter((role) => role !== undefined);
  return {
    action:
      BY_STRENGTH.find((action) => all.some((job) => job.action === action)) ?? all[0]?.action ?? SETTLE,
    contactId,
    role: asked.filter((role) => roles.match(role) !== undefined).at(-1) ?? asked.at(-1),
    emails: all.map(({ email }) => email).filter((email) => email !== undefined),
    sendNotification: all.some(({ sendNotification }) => sendNotification === true),
    dryRun: false,
    correlationId: all.flatMap(({ correlationId }) => correlationId ?? []).join(' ') || undefined,
    parameters: {},
  };
}
