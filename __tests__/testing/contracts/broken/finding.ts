// Repositories that find the wrong person, or not the right one.
import { UserNotFoundError, type NewUser } from '../../../../lib';
import { type BrokenRepositories, folded, TableRepository } from '../table';

export const finding: BrokenRepositories = {
  'a collation that folds accents': {
    Repository: class extends TableRepository {
      override emailKey = folded;
    },
    caughtBy: [
      'findByEmail › an accent is no ornament (é, e)',
      'findByEmail › the case of other letters than A to Z counts (é, É)',
      'findByEmail › the Kelvin sign is no k',
      'findByEmail › a capital I with a dot is no i',
      'findByEmail › a letter and its accent are not the letter with an accent',
    ],
  },
  'toLowerCase() instead of ASCII lower case': {
    Repository: class extends TableRepository {
      override emailKey = (email: string) => email.trim().toLowerCase();
    },
    caughtBy: [
      'findByEmail › the case of other letters than A to Z counts (é, É)',
      'findByEmail › the Kelvin sign is no k',
    ],
  },
  'toUpperCase() as the key of emails': {
    Repository: class extends TableRepository {
      override emailKey = (email: string) => email.trim().toUpperCase();
    },
    caughtBy: [
      'findByEmail › the case of other letters than A to Z counts (é, É)',
      'findByEmail › a long s is no s',
      'findByEmail › an i without its dot is no i',
      'findByEmail › ß is no ss',
    ],
  },
  'NFKC as the key of emails': {
    Repository: class extends TableRepository {
      override emailKey = (email: string) => super.emailKey(email.normalize('NFKC'));
    },
    caughtBy: [
      'findByEmail › the Kelvin sign is no k',
      'findByEmail › a long s is no s',
      'findByEmail › a full-width letter is no letter of A to Z',
      'findByEmail › a letter and its accent are not the letter with an accent',
    ],
  },
  'NFC as the key of emails': {
    Repository: class extends TableRepository {
      override emailKey = (email: string) => super.emailKey(email.normalize('NFC'));
    },
    caughtBy: [
      'findByEmail › the Kelvin sign is no k',
      'findByEmail › a letter and its accent are not the letter with an accent',
    ],
  },
  'emails compared with their case': {
    Repository: class extends TableRepository {
      override emailKey = (email: string) => email.trim();
    },
    caughtBy: [
      'findByEmail › ignores the case of the letters A to Z',
      'create › takes an email with white space around it',
      'create, unique values › a taken email in another case is refused',
      'update › a user whose email changed is found by the new one only',
      'update, refused › a taken email in another case changes nothing at all',
      'races › creates of one email, in two cases: one user comes out',
    ],
  },
  'emails compared with their white space': {
    Repository: class extends TableRepository {
      override emailKey = (email: string) => email.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
    },
    caughtBy: [
      'findByEmail › ignores white space around the email',
      'create › takes an email with white space around it',
      'create, unique values › a taken email with white space around it is refused',
      'update, refused › a taken email in another case changes nothing at all',
    ],
  },
  'emails found without their inner white space': {
    Repository: class extends TableRepository {
      override findByEmail(email: string) {
        return super.findByEmail(email.replace(/\s/g, ''));
      }
    },
    caughtBy: ['findByEmail › does not ignore white space within the email'],
  },
  'emails found with LIKE': {
    Repository: class extends TableRepository {
      override async findByEmail(email: string) {
        const pattern = this.emailKey(email)
          .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
          .replaceAll('%', '.*')
          .replaceAll('_', '.');
        return this.first((user) => new RegExp(`^${pattern}$`).test(this.emailKey(user.email)));
      }
    },
    caughtBy: ['findByEmail › takes no character of the email for a pattern or for code'],
  },
  'the case of contact ids ignored': {
    Repository: class extends TableRepository {
      override contactKey = (contactId: string) => contactId.toLowerCase();
    },
    caughtBy: ['findByContactId › compares contact ids to the letter'],
  },
  'contact ids compared as numbers': {
    Repository: class extends TableRepository {
      override contactKey = (contactId: string) =>
        /^\d+$/.test(contactId) ? String(Number(contactId)) : contactId;
    },
    caughtBy: [
      'findByContactId › keeps the zeros that a contact id begins with',
      'findByContactId › keeps every digit of a long contact id',
    ],
  },
  'finding gives undefined': {
    Repository: class extends TableRepository {
      override async findByEmail(email: string) {
        return (await super.findByEmail(email)) ?? (undefined as unknown as null);
      }
      override async findByContactId(contactId: string) {
        return (await super.findByContactId(contactId)) ?? (undefined as unknown as null);
      }
    },
    caughtBy: [
      'findByContactId › gives null where nobody is linked to the contact',
      'findByEmail › gives null where nobody has the email',
    ],
  },
  'finding nobody is an error': {
    Repository: class extends TableRepository {
      override async findByEmail(email: string) {
        const user = await super.findByEmail(email);
        if (user === null) throw new UserNotFoundError({ id: email });
        return user;
      }
    },
    caughtBy: ['findByEmail › gives null where nobody has the email'],
    elsewhere: true,
  },
  'null contacts found by the text null': {
    Repository: class extends TableRepository {
      override async findByContactId(contactId: string) {
        return this.first((user) => String(user.contactId) === contactId);
      }
    },
    caughtBy: ['findByContactId › does not find a user without a contact'],
  },
  'users without a contact are not found by email': {
    Repository: class extends TableRepository {
      override async findByEmail(email: string) {
        const user = await super.findByEmail(email);
        return user?.contactId == null ? null : user;
      }
    },
    caughtBy: [
      'findByEmail › finds a user without a contact',
      'create › null is stored as null: no contact, no syncState',
      'update › takes the contact away with null',
    ],
  },
  'a key of emails that an update forgets': {
    Repository: class extends TableRepository {
      readonly #keys = new Map<string, string>();
      override async create(user: NewUser) {
        const created = await super.create(user);
        this.#keys.set(created.id, this.emailKey(user.email));
        return created;
      }
      override async findByEmail(email: string) {
        return this.first((user) => this.#keys.get(user.id) === this.emailKey(email));
      }
    },
    caughtBy: [
      'create › what one process created is seen by the other at once',
      'update › changes everything at once, and gives the user back as it is now',
      'update › changes email alone and leaves the rest',
      'update › a user whose email changed is found by the new one only',
      'update › what one process changed is seen by the other at once',
      'update, refused › two users can exchange values one after the other',
    ],
  },
};
