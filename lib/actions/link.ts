// Which existing user an email leads to, and whether it may be linked to the contact.
import type { Contact } from '../crm/client';
import { WpFusionError } from '../errors';
import type { User } from '../users/repository';
import { isProtected } from './plan';
import type { Run } from './run';

/**
 * The user to link, `null` where there is none to be had, `'protected'` where the host's rules keep it from being linked, or
 * `'overtaken'` where somebody has just linked it to this contact.
 * Throws `CONTACT_CONFLICT` where it belongs to another contact that still exists.
 */
export async function findUserToLink(
  run: Run,
  email: string,
  contact: Contact,
): Promise<User | null | 'overtaken' | 'protected'> {
  const { configuration, users } = run.site;
  if (configuration.linkByEmail === 'never') return null;
  const user = await users.findByEmail(email);
  if (user === null) return null;
  if (user.contactId === contact.id) return 'overtaken';
  if (configuration.linkByEmail === 'unprotected' && isProtected(configuration, user)) return 'protected';
  if (user.contactId !== null && (await run.tryReadContact(user.contactId)) !== undefined) {
    const message = `The user ${user.id} has this contact's email and belongs to the contact ${user.contactId}; merge the two in the CRM.`;
    throw new WpFusionError('CONTACT_CONFLICT', message);
  }
  return user;
}
