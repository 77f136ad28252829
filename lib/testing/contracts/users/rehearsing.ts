// The contract of rehearse: everything works as ever, and nothing of it stays.
import { expectError, expectRejection, expectSame, expectSuccess, fail } from '../expectations';
import type { UserRepository } from '../../../users/repository';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import type { Stage } from './stage';

export function rehearsing(suite: Suite<Stage>, settings: Settings): void {
  // Optional, and not said to be there: no test that is skipped either.
  if (!settings.rehearse) return;
  const [, otherRole] = settings.roles;

  suite.group('rehearse', () => {
    suite.test('shows what was done while it lasts, and undoes all of it', async (stage) => {
      const john = stage.person('john');
      const { id } = await stage.create(john);
      const mary = stage.person('mary');
      await rehearse(stage, async (users) => {
        const created = await stage.create(mary, users);
        await stage.update(id, { role: otherRole, contactId: '991' }, undefined, users);
        const found = await stage.findByContactId(mary.contactId, users);
        expectSame(found?.id, created.id, 'What was created is found as long as the rehearsal lasts.');
      });
      await expectUntouched(stage, id, john);
      expectSame(await stage.findByContactId(mary.contactId), null, 'Nothing of a rehearsal stays.');
      await stage.create(mary);
    });

    suite.test('goes on after a refusal', async (stage) => {
      const john = stage.person('john');
      const { id } = await stage.create(john);
      await rehearse(stage, async (users) => {
        const taken = stage.person('mary', { email: john.email });
        const goesOn = 'In a rehearsal a refusal is one as ever, and undoes nothing but itself.';
        await expectError(() => users.create(taken), 'DUPLICATE_USER', goesOn);
        const stale = { ifSyncState: 'another state' };
        await expectError(() => users.update(id, { role: otherRole }, stale), 'STALE_USER', goesOn);
        const updated = await stage.update(id, { syncState: 'new' }, undefined, users);
        stage.expectUser(updated, { ...john, id, syncState: 'new' }, `${goesOn} update()`);
      });
      await expectUntouched(stage, id, john);
    });

    suite.test('ends with the error of the work, and undoes what was done before it', async (stage) => {
      const john = stage.person('john');
      const { id } = await stage.create(john);
      const own = new Error('thrown by the work');
      const thrown = await expectRejection(
        () =>
          expectThere(stage.users)(async (users) => {
            await stage.update(id, { role: otherRole }, undefined, users);
            throw own;
          }),
        'rehearse() ends as its work does: it has to reject here.',
      );
      expectSame(thrown === own, true, 'rehearse() rejects with the very error that its work threw.');
      await expectUntouched(stage, id, john);
    });
  });
}

function expectThere(users: UserRepository): NonNullable<UserRepository['rehearse']> {
  if (users.rehearse === undefined) {
    return fail('The repository has no rehearse, which is optional: leave capabilities.rehearse out.');
  }
  return users.rehearse.bind(users);
}

const rehearse = (stage: Stage, work: (users: UserRepository) => Promise<void>): Promise<void> =>
  expectSuccess(() => expectThere(stage.users)(work), 'rehearse()');

async function expectUntouched(stage: Stage, id: string, user: ReturnType<Stage['person']>): Promise<void> {
  await stage.expectStored(id, user, 'A rehearsal changes no user.');
  await stage.expectCount(1, 'A rehearsal leaves no user behind.');
}
