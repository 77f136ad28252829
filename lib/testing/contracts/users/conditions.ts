// The contract of update's condition: it writes only while the stored syncState is the one that was read.
import { expectError, shown } from '../expectations';
import type { Suite } from '../runner';
import type { Settings } from './settings';
import { ANOTHER_HASH, LONGEST_STATE, type Stage } from './stage';

export function conditions(suite: Suite<Stage>, settings: Settings): void {
  const [, otherRole] = settings.roles;

  /** One update with a condition, on a user that holds a state: is it written, all of it or nothing? */
  const attempt = async (
    stage: Stage,
    syncState: string | null,
    ifSyncState: string | null,
    isWritten: boolean,
    advice: string,
  ): Promise<void> => {
    const mary = stage.person('mary', { syncState });
    const { id } = await stage.create(mary);
    const changes = {
      email: 'new@example.com',
      contactId: '990',
      role: otherRole,
      passwordHash: ANOTHER_HASH,
    };
    const meta = Object.fromEntries(settings.meta.slice(0, 3).map(({ key, second }) => [key, second]));
    const all = { ...changes, tags: ['New'], meta, syncState: 'new' };
    const what = `The user's syncState is ${shown(syncState)}, the condition { ifSyncState: ${shown(ifSyncState)} }.`;
    if (isWritten) {
      const updated = await stage.update(id, all, { ifSyncState });
      stage.expectUser(updated, { ...mary, ...all, id }, `${what} ${advice} update()`);
      await stage.expectStored(id, { ...mary, ...all }, `${what} ${advice}`);
      return;
    }
    await expectError(
      () => stage.users.update(id, structuredClone(all), { ifSyncState }),
      'STALE_USER',
      `${what} ${advice} They differ, so update() has to throw new StaleUserError({ id }).`,
    );
    await stage.expectStored(id, mary, `${what} A condition that does not hold changes nothing at all.`);
  };

  const NULL_SAFE = 'null equals null: IS NOT DISTINCT FROM in PostgreSQL, <=> in MySQL, IS in SQLite.';
  const TO_THE_LETTER =
    'States are compared to the letter: give the column a binary collation without padding.';
  const cases: readonly (readonly [string, string | null, string | null, boolean, string])[] = [
    ['an equal state is written', 'state-1', 'state-1', true, 'The two are equal.'],
    ['another state is STALE_USER', 'state-1', 'state-2', false, ''],
    ['null against null is written', null, null, true, NULL_SAFE],
    ['null against text is STALE_USER', 'state-1', null, false, 'A condition of null is a condition.'],
    ['text against null is STALE_USER', null, 'state-1', false, NULL_SAFE],
    ['the text null is not null', null, 'null', false, NULL_SAFE],
    ['the case of a state counts', 'state-a', 'state-A', false, TO_THE_LETTER],
    ['accents of a state count', 'state-é', 'state-e', false, TO_THE_LETTER],
    ['a space after the condition counts', 'state-1', 'state-1 ', false, TO_THE_LETTER],
    ['a space after the state counts', 'state-1 ', 'state-1', false, TO_THE_LETTER],
    ['a space after both is written', 'state-1 ', 'state-1 ', true, TO_THE_LETTER],
    ['a state is no pattern', 'state-1', 'state_1', false, 'Compare with =, not with LIKE.'],
    ['a state is no number', '1e3', '1000', false, 'States are text.'],
    ['a state of 255 characters is written', LONGEST_STATE, LONGEST_STATE, true, 'Store all 255 characters.'],
    [
      'the last of 255 characters counts',
      LONGEST_STATE,
      `${LONGEST_STATE.slice(0, -1)}x`,
      false,
      'Store and compare all 255 characters.',
    ],
    ['a state that the other begins with is STALE_USER', 'state-12', 'state-1', false, TO_THE_LETTER],
  ];

  suite.group('update, condition', () => {
    for (const [name, syncState, ifSyncState, isWritten, advice] of cases) {
      suite.test(name, (stage) => attempt(stage, syncState, ifSyncState, isWritten, advice));
    }

    suite.test('no condition writes whatever the state is', async (stage) => {
      const mary = stage.person('mary');
      const { id } = await stage.create(mary);
      await stage.update(id, { role: otherRole });
      await stage.expectStored(
        id,
        { ...mary, role: otherRole },
        'Without a condition an update always writes.',
      );
    });

    suite.test('is held against what is stored now, by whichever process', async (stage) => {
      const mary = stage.person('mary');
      const { id } = await stage.create(mary);
      await stage.update(id, { syncState: 'by the other' }, undefined, stage.other);
      await expectError(
        () => stage.users.update(id, { role: otherRole }, { ifSyncState: mary.syncState }),
        'STALE_USER',
        'Another process wrote in between, so update() has to throw new StaleUserError({ id }): look at the storage, at no copy.',
      );
      await stage.update(id, { role: otherRole, syncState: 'next' }, { ifSyncState: 'by the other' });
      const now = { ...mary, role: otherRole, syncState: 'next' };
      await stage.expectStored(id, now, 'The condition held, so the update writes.');
    });

    suite.test('is held also where there is nothing to change', async (stage) => {
      const mary = stage.person('mary');
      const { id } = await stage.create(mary);
      for (const changes of [{}, { meta: {} }, { role: mary.role }]) {
        await stage.update(id, changes, { ifSyncState: mary.syncState });
        await expectError(
          () => stage.users.update(id, changes, { ifSyncState: 'another' }),
          'STALE_USER',
          `update(id, ${shown(changes)}) changes nothing, and its condition is held against the state all the same.`,
        );
      }
      await stage.expectStored(id, mary, 'Nothing was to be changed.');
    });

    suite.test('a state that came back holds again', async (stage) => {
      const mary = stage.person('mary', { syncState: 'a' });
      const { id } = await stage.create(mary);
      await stage.update(id, { syncState: null }, { ifSyncState: 'a' });
      await stage.update(id, { syncState: 'a' }, { ifSyncState: null });
      await stage.update(id, { syncState: 'b' }, { ifSyncState: 'a' });
      await stage.expectStored(id, { ...mary, syncState: 'b' }, 'Each of the conditions held.');
    });
  });
}
