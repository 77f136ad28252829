// The contract of findByContactId and findByEmail: who is found, and above all who is not.
import { expectSame, expectSuccess, shown } from '../expectations';
import type { User } from '../../../users/repository';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import type { Stage } from './stage';

const NOBODY = 'Where nobody is found it has to be null: not undefined, no error.';

/** Emails that some collation or some lower() takes for one another, and that belong to different people. */
const LOOK_ALIKES: readonly (readonly [what: string, one: string, other: string])[] = [
  ['an accent is no ornament (é, e)', 'josé@example.com', 'jose@example.com'],
  ['the case of other letters than A to Z counts (é, É)', 'éva@example.com', 'Éva@example.com'],
  ['the Kelvin sign is no k', 'kim@example.com', '\u212Aim@example.com'],
  ['a long s is no s', 'sam@example.com', '\u017Fam@example.com'],
  ['an i without its dot is no i', 'ivan@example.com', '\u0131van@example.com'],
  ['a capital I with a dot is no i', 'igor@example.com', '\u0130gor@example.com'],
  ['ß is no ss', 'weiß@example.com', 'weiss@example.com'],
  ['a full-width letter is no letter of A to Z', 'mary@example.com', '\uFF4Dary@example.com'],
  [
    'a letter and its accent are not the letter with an accent',
    'ren\u00E9@example.com',
    'rene\u0301@example.com',
  ],
  ['a Cyrillic а is no a', 'anna@example.com', '\u0430nna@example.com'],
];

/** Emails that are none of the stored one, unless a character of them is taken for a pattern or for SQL. */
const PATTERNS: readonly string[] = [
  'mary_smith@example.com',
  '%',
  'mary%',
  '*',
  'mary.*',
  "' OR '1'='1",
  '{"$ne":null}',
];

export function finding(suite: Suite<Stage>, settings: Settings): void {
  const isText = settings.contactIds === 'text';

  suite.group('findByContactId', () => {
    suite.test('gives the user that is linked to the contact', async (stage) => {
      const mary = stage.person('mary');
      const { id } = await stage.create(mary);
      await stage.create(stage.person('john'));
      const found = await stage.findByContactId(mary.contactId);
      stage.expectUser(found, { ...mary, id }, 'findByContactId()');
    });

    suite.test('gives null where nobody is linked to the contact', async (stage) => {
      await stage.create(stage.person('mary'));
      const found = await expectSuccess(() => stage.users.findByContactId('999999'), 'findByContactId()');
      expectSame(found, null, `Nobody is linked to the contact 999999. ${NOBODY}`);
    });

    suite.test(
      'does not find a user without a contact',
      async (stage) => {
        await stage.create(stage.person('john', { contactId: null }));
        for (const contactId of ['null', 'undefined', '']) {
          await expectNobody(
            () => stage.findByContactId(contactId),
            `A user without a contact is not found by the text ${shown(contactId)}.`,
          );
        }
      },
      !isText && 'contact ids are numbers here',
    );

    suite.test(
      'compares contact ids to the letter',
      async (stage) => {
        const one = await stage.create(stage.person('mary', { contactId: 'Ab-1' }));
        await expectNobody(
          () => stage.findByContactId('aB-1'),
          'Contact ids that differ in case are different contacts: give their column a binary collation.',
        );
        const two = await stage.create(stage.person('john', { contactId: 'aB-1' }));
        expectSame(
          (await stage.findByContactId('Ab-1'))?.id,
          one.id,
          'Contact ids that differ in case each have their own user.',
        );
        expectSame(
          (await stage.findByContactId('aB-1'))?.id,
          two.id,
          'Contact ids that differ in case each have their own user.',
        );
      },
      !isText && 'contact ids are numbers here',
    );

    suite.test(
      'keeps the zeros that a contact id begins with',
      async (stage) => {
        const mary = stage.person('mary', { contactId: '007' });
        const { id } = await stage.create(mary);
        await stage.expectStored(id, mary, 'A contact id is text, also where it is all digits.');
        await expectNobody(
          () => stage.findByContactId('7'),
          'The contact 7 is another one than the contact 007.',
        );
        stage.expectUser(await stage.findByContactId('007'), { ...mary, id }, 'findByContactId()');
      },
      !isText && 'contact ids are numbers here',
    );

    suite.test('keeps every digit of a long contact id', async (stage) => {
      const [one, two] = ['9007199254740993', '9007199254740992'];
      const mary = stage.person('mary', { contactId: one });
      const { id } = await stage.create(mary);
      await stage.expectStored(id, mary, 'A contact id of 16 digits gets rounded where it becomes a number.');
      await expectNobody(
        () => stage.findByContactId(two),
        'Contact ids of 16 digits are compared as text; as numbers of JavaScript two of them are one.',
      );
      stage.expectUser(await stage.findByContactId(one), { ...mary, id }, 'findByContactId()');
    });
  });

  suite.group('findByEmail', () => {
    suite.test('gives the user that has the email', async (stage) => {
      const mary = stage.person('mary');
      const { id } = await stage.create(mary);
      await stage.create(stage.person('john'));
      const found = await stage.findByEmail('mary@example.com');
      stage.expectUser(found, { ...mary, id }, 'findByEmail()');
    });

    suite.test('finds a user without a contact', async (stage) => {
      const mary = stage.person('mary', { contactId: null, syncState: null });
      const { id } = await stage.create(mary);
      const found = await stage.findByEmail('mary@example.com');
      stage.expectUser(found, { ...mary, id }, 'findByEmail()');
    });

    suite.test('gives null where nobody has the email', async (stage) => {
      await stage.create(stage.person('mary'));
      for (const email of ['john@example.com', 'mary@example.co', 'mary', '']) {
        const found = await expectSuccess(() => stage.users.findByEmail(email), 'findByEmail()');
        expectSame(found, null, `Nobody has the email ${shown(email)}. ${NOBODY}`);
      }
    });

    suite.test('ignores the case of the letters A to Z', async (stage) => {
      const { id } = await stage.create(stage.person('mary', { email: 'Mary.Smith@Example.com' }));
      for (const email of ['mary.smith@example.com', 'MARY.SMITH@EXAMPLE.COM', 'Mary.Smith@Example.com']) {
        await expectFound(
          stage,
          email,
          id,
          'Emails are compared in ASCII lower case, whatever is stored and asked for.',
        );
      }
    });

    suite.test('ignores white space around the email', async (stage) => {
      const { id } = await stage.create(stage.person('mary'));
      for (const email of [
        ' mary@example.com',
        'mary@example.com  ',
        '\tmary@example.com\n',
        '\u00A0mary@example.com',
      ]) {
        await expectFound(stage, email, id, 'Emails are compared trimmed.');
      }
    });

    suite.test('does not ignore white space within the email', async (stage) => {
      await stage.create(stage.person('mary', { email: 'mary@example.com' }));
      await expectNobody(
        () => stage.findByEmail('ma ry@example.com'),
        'White space within an email counts: only what stands around it is cut off.',
      );
    });

    suite.test('takes no character of the email for a pattern or for code', async (stage) => {
      await stage.create(stage.person('mary', { email: 'mary.smith@example.com' }));
      for (const email of PATTERNS) {
        await expectNobody(
          () => stage.findByEmail(email),
          `${shown(email)} is nobody's email. Compare with =, not with LIKE or a pattern, and pass it as a parameter.`,
        );
      }
      const odd = `o'brien+"a_b%"@example.com`;
      const { id } = await stage.create(stage.person('odd', { email: odd }));
      await expectFound(stage, odd, id, 'An email may hold quotes, _ and %.');
    });

    for (const [what, one, other] of LOOK_ALIKES) {
      suite.test(what, async (stage) => {
        const strangers =
          'Emails are compared trimmed and in ASCII lower case, nothing else folded: compute comparisonKey(email) in JavaScript ' +
          'and compare it with a binary collation. Else a stranger is taken for the owner of the account.';
        for (const [index, [stored, asked]] of [[one, other] as const, [other, one] as const].entries()) {
          const suffix = index === 0 ? '' : '.uk';
          const user = await stage.create(stage.person(`person${index}`, { email: `${stored}${suffix}` }));
          await expectFound(stage, `${stored}${suffix}`, user.id, 'The user has exactly this email.');
          await expectNobody(
            () => stage.findByEmail(`${asked}${suffix}`),
            `${shown(asked)} is not ${shown(stored)}. ${strangers}`,
          );
          await expectBeside(stage, `${asked}${suffix}`, user.id, `${stored}${suffix}`);
        }
      });
    }
  });

  /** The other email stored as well, where the storage can do that; then each of the two is found by its own. */
  async function expectBeside(
    stage: Stage,
    email: string,
    firstId: string,
    firstEmail: string,
  ): Promise<void> {
    const beside = stage.person(`beside-${firstId}`, { email });
    let second;
    if (settings.distinguishesUnicode) second = await stage.create(beside);
    else {
      try {
        second = await stage.users.create(beside);
      } catch {
        await stage.expectDuplicate(
          () => stage.users.create(beside),
          ['email'],
          'An index that is stricter than the rules.',
        );
        return;
      }
    }
    const own = 'Of two emails that look alike each has its own user.';
    await expectFound(stage, email, second.id, own);
    await expectFound(stage, firstEmail, firstId, own);
  }
}

async function expectNobody(work: () => Promise<User | null>, message: string): Promise<void> {
  expectSame(await work(), null, message);
}

async function expectFound(stage: Stage, email: string, id: string, message: string): Promise<void> {
  const found = await stage.findByEmail(email);
  expectSame(found?.id ?? null, id, `findByEmail(${shown(email)}) has to find the user ${id}. ${message}`);
}
