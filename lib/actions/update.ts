// update: a user's mapped fields and tags. update_tags: its tags alone. Neither creates a user.
import type { Ticket } from '../crm/contact-reader';
import type { Result } from '../result';
import { comparisonKey } from '../users/normalize';
import type { User } from '../users/repository';
import { findUserToLink } from './link';
import { settleOwed } from './owed';
import { mapFields } from './plan';
import type { Run } from './run';
import { synchronise, type Synchronised, type SynchroniseOptions } from './synchronise';
import { checkAgain } from './check-again';

/** Runs `update` or `update_tags`. */
export async function update(run: Run, parts: SynchroniseOptions['parts']): Promise<Result> {
  for (const _attempt of run.attempts()) {
    const user = await run.site.users.findByContactId(run.contactId);
    const done =
      user === null
        ? await linkAndUpdate(run, parts)
        : await updateLinked(run, user, { parts, role: run.webhook.role });
    if (done !== undefined) return done;
  }
  throw new Error('unreachable: attempts() ends by throwing');
}

/** Updates a user that is linked to the contact; `undefined` when somebody else wrote in between. */
export async function updateLinked(
  run: Run,
  user: User,
  options: SynchroniseOptions,
): Promise<Result | undefined> {
  const contact = await run.readContact(user);
  const synchronised = await synchronise(run, user, contact, options);
  return synchronised === undefined ? undefined : finish(run, synchronised);
}

/** Links a user found by email, updates it, and looks once more: only now do other processes see it under this contact. */
export async function linkUser(
  run: Run,
  user: User,
  contact: Synchronised['contact'],
  options: SynchroniseOptions,
  ticket?: Ticket,
): Promise<Result | undefined> {
  const linked = await synchronise(run, user, contact, { ...options, link: true });
  if (linked === undefined) return undefined;
  if (run.webhook.dryRun || run.conditions.isExclusive || linked.outcome === 'cancelled') {
    return finish(run, linked);
  }
  const checked = await checkAgain(run, linked.user, linked.contact, options.parts, ticket);
  return finish(run, { ...linked, user: checked.user, contact: checked.contact });
}

async function linkAndUpdate(run: Run, parts: SynchroniseOptions['parts']): Promise<Result | undefined> {
  const { emails } = run.webhook;
  const notFound = run.result('skipped', { reason: 'USER_NOT_FOUND' });
  if (emails.length === 0) return notFound;
  // Whoever holds the key could name any email: it counts only where it is the contact's own.
  const contact = await run.readContact();
  const own = mapFields(run.site.configuration, contact).email;
  if (own === null || !emails.some((email) => comparisonKey(email) === comparisonKey(own))) return notFound;
  const user = await findUserToLink(run, own, contact);
  if (user === 'overtaken') return undefined;
  return user === null || user === 'protected'
    ? notFound
    : linkUser(run, user, contact, { parts, role: run.webhook.role });
}

async function finish(run: Run, { outcome, user, contact, changes }: Synchronised): Promise<Result> {
  if (outcome === 'cancelled') return run.result('skipped', { user, reason: 'CANCELLED' });
  if (!run.webhook.dryRun) await settleOwed(run, user, contact);
  return run.result(outcome, { user, changes });
}
