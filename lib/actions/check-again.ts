// The second look at a contact whose user has just become visible.
// A webhook that another process handled before that found no user and was skipped. What it stood for may be newer than what
// we read: so the contact is read once more now that nobody can miss the user any more.
// Where all webhooks come through one queue nobody could miss it: what arrives for the contact runs after us.
import type { Contact } from '../crm/client';
import type { Ticket } from '../crm/contact-reader';
import type { User } from '../users/repository';
import { codeOf } from '../errors';
import { describeError } from '../redact';
import { fieldsToRead } from '../users/field-map';
import { crmError, type Run } from './run';
import { synchronise, type SynchroniseOptions } from './synchronise';

/** Reads the contact again and writes what has changed since. Gives the user and the contact as they are now. */
export async function checkAgain(
  run: Run,
  user: User,
  contact: Contact,
  parts: SynchroniseOptions['parts'],
  ticket: Ticket = run.site.contacts.expect(),
): Promise<{ user: User; contact: Contact }> {
  let current: User | null = user;
  try {
    for (const _attempt of run.attempts('keep warnings')) {
      const read = { fields: run.fieldsFor(current), signal: run.signal };
      run.contactReads += 1;
      const again: Contact | undefined = await ticket.read(run.contactId, read).catch((error: unknown) => {
        throw crmError(error);
      });
      // Deleted in between: there is nothing newer to write.
      if (again === undefined) return { user: current, contact };
      const synchronised = await synchronise(run, current, again, {
        parts: isSame(run, contact, again) ? 'nothing' : parts,
      });
      if (synchronised !== undefined) return synchronised;
      current = await run.site.users.findByContactId(run.contactId);
      if (current === null) return { user, contact };
    }
  } catch (error) {
    const code = codeOf(error);
    if (code?.startsWith('CRM_') !== true) throw error;
    // The user is there, and what it is owed can still be done; only the second look is missing.
    const details = { code, contactId: run.contactId, cause: describeError(error, run.allSecrets()) };
    run.site.configuration.logger.warn(
      details,
      'A new user could not be compared with its contact once more.',
    );
  } finally {
    ticket.release();
  }
  return { user: current ?? user, contact };
}

/** Whether two reads of a contact mean the same for its user. Then what a hook made of the first one stays. */
function isSame({ site }: Run, one: Contact, other: Contact): boolean {
  const essence = (contact: Contact): string =>
    JSON.stringify([
      contact.email,
      contact.tags.map(({ id, name }) => `${id} ${name}`).sort(),
      fieldsToRead(site.configuration.fields).map((key) => [contact.fields[key], contact.raw?.[key]]),
    ]);
  return essence(one) === essence(other);
}
