// add: the contact has a user afterwards. The linked one is updated, one with this email is linked, else one is created.
import type { Contact } from '../crm/client';
import type { Ticket } from '../crm/contact-reader';
import { WpFusionError } from '../errors';
import type { Result } from '../result';
import { isUsableEmail } from '../users/normalize';
import { checkAgain } from './check-again';
import { createUser } from './create';
import { findUserToLink } from './link';
import { settleOwed } from './owed';
import { mapFields } from './plan';
import type { Run } from './run';
import { linkUser, updateLinked } from './update';

/** Runs `add`. */
export async function add(run: Run): Promise<Result> {
  let emailConflicts = 0;
  for (const _attempt of run.attempts()) {
    const user = await run.site.users.findByContactId(run.contactId);
    if (user !== null) {
      const done = await updateLinked(run, user, { parts: 'fields and tags', role: run.webhook.role });
      if (done !== undefined) return done;
      continue;
    }
    // Announced before the first read, so that the second looks of a burst of new users share their calls to the CRM.
    const ticket = run.conditions.isExclusive ? undefined : run.site.contacts.expect();
    try {
      const done = await linkOrCreate(run, ticket);
      if (done === 'email taken') emailConflicts += 1;
      else if (done !== 'overtaken') return done;
      // Somebody may have just created the one to link. If a second look does not find it either, it is not to be had.
      if (emailConflicts > 1) throw emailConflict();
    } finally {
      ticket?.release();
    }
  }
  throw new Error('unreachable: attempts() ends by throwing');
}

async function linkOrCreate(
  run: Run,
  ticket: Ticket | undefined,
): Promise<Result | 'overtaken' | 'email taken'> {
  const contact = await run.readContact();
  const email = usableEmail(run, contact);
  const existing = await findUserToLink(run, email, contact);
  if (existing === 'overtaken') return 'overtaken';
  if (existing === 'protected') throw protectedConflict();
  if (existing !== null) {
    const options = { parts: 'fields and tags', role: run.webhook.role } as const;
    return (await linkUser(run, existing, contact, options, ticket)) ?? 'overtaken';
  }
  if (run.webhook.dryRun && (await run.site.users.findByEmail(email)) !== null) throw emailConflict();

  const creation = await createUser(run, contact, email);
  if (creation.kind === 'not created') return creation.result;
  if (creation.kind !== 'created') return creation.kind;
  const { user, changes, returning } = creation;
  let checked = { user, contact };
  try {
    if (!run.conditions.isExclusive)
      checked = await checkAgain(run, user, contact, 'fields and tags', ticket);
  } finally {
    returning?.mayClear();
  }
  await run.step('create: checked against the CRM again');
  await settleOwed(run, checked.user, checked.contact, returning);
  return run.result('created', { user: checked.user, changes });
}

function usableEmail(run: Run, contact: Contact): string {
  const { email } = mapFields(run.site.configuration, contact);
  if (email !== null && isUsableEmail(email)) return email;
  const what = email === null ? 'has no email' : 'has an email that no mail could reach';
  const hint =
    'The rule may have fired before the contact was complete: let it fire on a tag or on the email field.';
  throw new WpFusionError(
    'CONTACT_WITHOUT_EMAIL',
    `The contact ${contact.id} ${what}, so it can be no user. ${hint}`,
  );
}

const protectedConflict = (): WpFusionError =>
  new WpFusionError(
    'USER_CONFLICT',
    'A protected user has the contact’s email: its role is not one of roles.assignable, or roles.protected covers it. ' +
      'linkByEmail: "unprotected" does not link it; if it should be, add its role to roles.assignable.',
  );

const emailConflict = (): WpFusionError =>
  new WpFusionError(
    'USER_CONFLICT',
    'Another user has the contact’s email, and linkByEmail (or findByEmail) does not let it be linked to this contact.',
  );
