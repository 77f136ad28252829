// The contract of update without a condition: what changes, what stays, and what is refused as a whole.
import type { MetaValue } from '../../../crm/client';
import type { NewUser, User, UserChanges } from '../../../users/repository';
import { expectError, expectSame, expectSuccess, expectTrue, isSame, shown } from '../expectations';
import type { Suite } from '../runner';
import { AWKWARD_TAGS, META_KINDS, metaOfKind } from './creating';
import type { Settings } from './settings';
import { ANOTHER_HASH, LONGEST_STATE, metaOf, unknownIdLike, type Stage } from './stage';

const RAW = 'The storage itself was asked.';

export function updating(suite: Suite<Stage>, settings: Settings): void {
  const [role, otherRole] = settings.roles;
  const [one, two, three] = settings.meta;
  const samples = [one, two, three];
  const firsts = metaOf(samples, 'first');
  const seconds = metaOf(samples, 'second');
  const [keyOne, keyTwo, keyThree] = [one.key, two.key, three.key];

  /** Changes a user, and looks at it and at a bystander from all sides. */
  const changed = async (
    stage: Stage,
    changes: UserChanges,
    expected: Partial<NewUser>,
    given: Partial<NewUser> = {},
  ): Promise<User> => {
    const mary = stage.person('mary', given);
    const john = stage.person('john');
    const { id } = await stage.create(mary);
    const { id: johnsId } = await stage.create(john);
    const updated = await stage.update(id, changes);
    const now = { ...mary, ...expected };
    stage.expectUser(updated, { ...now, id }, 'update()');
    await stage.expectStored(id, now, RAW);
    const found = await stage.findByEmail(now.email);
    stage.expectUser(found, { ...now, id }, 'findByEmail(), after update(),');
    await stage.expectStored(johnsId, john, 'An update changes the user with the id, and nobody else.');
    await stage.expectCount(2, 'An update neither adds nor removes users.');
    return updated;
  };

  suite.group('update', () => {
    suite.test('changes everything at once, and gives the user back as it is now', (stage) => {
      const changes = {
        contactId: '990',
        email: 'mary.new@example.com',
        passwordHash: ANOTHER_HASH,
        role: otherRole,
        tags: ['New'],
        syncState: 'new',
      };
      return changed(stage, { ...changes, meta: seconds }, { ...changes, meta: seconds }).then(
        () => undefined,
      );
    });

    const alone: readonly (readonly [string, Partial<NewUser>])[] = [
      ['contactId', { contactId: '990' }],
      ['email', { email: 'Mary.New@example.com' }],
      ['passwordHash', { passwordHash: ANOTHER_HASH }],
      ['role', { role: otherRole }],
      ['tags', { tags: ['New', 'Newer'] }],
      ['syncState', { syncState: 'new' }],
    ];
    for (const [property, changes] of alone) {
      suite.test(`changes ${property} alone and leaves the rest`, async (stage) => {
        await changed(stage, changes, changes);
      });
    }

    suite.test('changes meta alone and leaves the rest', async (stage) => {
      await changed(stage, { meta: seconds }, { meta: seconds });
    });

    suite.test('nothing to change is no error', async (stage) => {
      await changed(stage, {}, {});
      const found = await stage.findByEmail('mary@example.com');
      await stage.update(found?.id ?? '', { meta: {} });
    });

    suite.test('undefined leaves a property as it is', async (stage) => {
      const nothing = { contactId: undefined, email: undefined, passwordHash: undefined, role: undefined };
      await changed(stage, { ...nothing, tags: undefined, meta: undefined, syncState: undefined }, {});
    });

    suite.test('undefined in meta leaves the key as it is', async (stage) => {
      const meta = { [keyOne]: undefined, [keyTwo]: two.second } as unknown as UserChanges['meta'];
      await changed(stage, { meta }, { meta: { ...firsts, [keyTwo]: two.second } });
    });

    suite.test('writing the values that are there already is no error', async (stage) => {
      const mary = stage.person('mary');
      const { id } = await stage.create(mary);
      const { username: _username, ...same } = mary;
      for (const condition of [undefined, { ifSyncState: mary.syncState }]) {
        const updated = await stage.update(id, same, condition);
        stage.expectUser(updated, { ...mary, id }, 'update(), with the values that are there already,');
      }
      await stage.expectStored(id, mary, RAW);
    });

    suite.test('takes the contact away with null', async (stage) => {
      const { id } = await changed(stage, { contactId: null }, { contactId: null }, { contactId: '980' });
      expectSame(
        await stage.findByContactId('980'),
        null,
        'A user that lost its contact is not found by it.',
      );
      const heir = await stage.create(stage.person('heir', { contactId: '980' }));
      expectTrue(heir.id !== id, 'A contact id that was given up is free for another user.');
    });

    suite.test('takes the syncState away with null', async (stage) => {
      await changed(stage, { syncState: null }, { syncState: null });
    });

    suite.test(
      'takes the password away with null',
      async (stage) => {
        await changed(stage, { passwordHash: null }, { passwordHash: null });
      },
      !settings.withoutPassword && 'every user has a password here',
    );

    suite.test('gives values to a user that had none', async (stage) => {
      const values = { contactId: '990', syncState: 'new', tags: ['New'], meta: seconds };
      await changed(stage, values, values, { contactId: null, syncState: null, tags: [], meta: {} });
    });

    suite.test('a user whose contact changed is found by the new one only', async (stage) => {
      const { id } = await changed(stage, { contactId: '990' }, { contactId: '990' }, { contactId: '980' });
      expectSame((await stage.findByContactId('990'))?.id, id, 'The user is found by its new contact id.');
      expectSame(await stage.findByContactId('980'), null, 'The user is not found by its former contact id.');
    });

    suite.test('a user whose email changed is found by the new one only', async (stage) => {
      const email = 'New@Example.com';
      const { id } = await changed(stage, { email }, { email });
      const advice = 'Change the key that emails are compared by together with the email.';
      expectSame((await stage.findByEmail('new@example.com'))?.id, id, `Found by the new email. ${advice}`);
      expectSame(
        await stage.findByEmail('mary@example.com'),
        null,
        `Not found by the former email. ${advice}`,
      );
      const heir = await stage.create(stage.person('heir', { email: 'mary@example.com' }));
      expectTrue(heir.id !== id, 'An email that was given up is free for another user.');
    });

    suite.test('keeps a syncState of 255 characters', async (stage) => {
      await changed(stage, { syncState: LONGEST_STATE }, { syncState: LONGEST_STATE });
    });

    suite.test('replaces the tags, and does not add to them', async (stage) => {
      await changed(stage, { tags: ['Gold', 'New'] }, { tags: ['Gold', 'New'] });
    });

    suite.test('takes all tags away with an empty list', async (stage) => {
      await changed(stage, { tags: [] }, { tags: [] });
    });

    suite.test('keeps tags with commas, quotes and other letters', async (stage) => {
      await changed(stage, { tags: [...AWKWARD_TAGS] }, { tags: [...AWKWARD_TAGS] });
    });

    suite.test('neither the id nor the username ever changes', async (stage) => {
      const changes = { id: '424242', username: 'other', role: otherRole } as UserChanges;
      const updated = await changed(stage, changes, { role: otherRole });
      expectSame(
        await stage.stored('424242'),
        null,
        `The id of a user never changes, and is still ${updated.id}.`,
      );
    });

    suite.test('leaves what it is given as it was, and does not hold on to it', async (stage) => {
      const mary = stage.person('mary');
      const { id } = await stage.create(mary);
      const changes: UserChanges = { tags: ['b', 'a'], meta: { ...seconds } };
      const before = structuredClone(changes);
      await expectSuccess(() => stage.users.update(id, changes), 'update()');
      expectTrue(isSame(changes, before), 'update() changed the object it was given: copy it first.');
      changes.tags?.push('spoilt');
      if (changes.meta) changes.meta[keyOne] = 'spoilt';
      const now = { ...mary, tags: ['b', 'a'], meta: seconds };
      await stage.expectStored(
        id,
        now,
        'The caller changed its own object after update(): copy what is stored.',
      );
    });

    suite.test('what is given out are copies', async (stage) => {
      const mary = stage.person('mary');
      const created = await stage.create(mary);
      const { id } = created;
      const ways: (() => Promise<User | null>)[] = [
        () => Promise.resolve(created),
        () => stage.update(id, { role: mary.role }),
        () => stage.findByEmail(mary.email),
        () => stage.findByContactId(mary.contactId),
      ];
      for (const way of ways) {
        const user = stage.expectUser(await way(), { ...mary, id }, 'The user that is given out');
        user.tags.push('spoilt');
        for (const key of Object.keys(user.meta)) user.meta[key] = 'spoilt';
        user.role = 'spoilt';
        const why = 'Somebody changed an object that the repository gave out: give copies.';
        await stage.expectStored(id, mary, why);
        stage.expectUser(await stage.findByEmail(mary.email), { ...mary, id }, `${why} findByEmail()`);
      }
    });

    suite.test('what one process changed is seen by the other at once', async (stage) => {
      const mary = stage.person('mary');
      const { id } = await stage.create(mary);
      await stage.findByEmail(mary.email, stage.other);
      await stage.findByContactId(mary.contactId, stage.other);
      const now = { ...mary, role: otherRole, syncState: 'new' };
      await stage.update(id, { role: otherRole, syncState: 'new' });
      const finding = 'Finding, by the other process, after update(): read the primary, cache nothing. It';
      stage.expectUser(await stage.findByEmail(mary.email, stage.other), { ...now, id }, finding);
      stage.expectUser(await stage.findByContactId(mary.contactId, stage.other), { ...now, id }, finding);
    });
  });

  suite.group('update, meta', () => {
    suite.test('merges key by key and leaves the other keys', async (stage) => {
      await changed(stage, { meta: { [keyTwo]: two.second } }, { meta: { ...firsts, [keyTwo]: two.second } });
    });

    suite.test('adds a key', async (stage) => {
      const { [keyThree]: added, ...before } = firsts;
      await changed(
        stage,
        { meta: { [keyThree]: three.first } },
        { meta: { ...before, [keyThree]: three.first } },
        { meta: before },
      );
      expectTrue(added !== undefined, 'A key was added.');
    });

    suite.test('null removes a key, and is not stored', async (stage) => {
      const { [keyOne]: _removed, ...left } = firsts;
      const { id } = await changed(stage, { meta: { [keyOne]: null } }, { meta: left });
      const meta = (await stage.stored(id))?.meta;
      const isThere = typeof meta === 'object' && meta !== null && Object.hasOwn(meta, keyOne);
      expectTrue(!isThere, `A key of meta given as null is removed: the storage still has ${shown(keyOne)}.`);
    });

    suite.test('null for a key that is not there is no error', async (stage) => {
      const { [keyOne]: _absent, ...before } = firsts;
      await changed(stage, { meta: { [keyOne]: null } }, { meta: before }, { meta: before });
    });

    suite.test('sets, removes and leaves in one call', async (stage) => {
      const expected = { [keyTwo]: two.second, [keyThree]: three.first };
      await changed(stage, { meta: { [keyOne]: null, [keyTwo]: two.second } }, { meta: expected });
    });

    suite.test('a removed key can be set again', async (stage) => {
      const { id } = await changed(
        stage,
        { meta: { [keyOne]: null } },
        { meta: metaOf(samples.slice(1), 'first') },
      );
      const updated = await stage.update(id, { meta: { [keyOne]: one.second } });
      expectSame(updated.meta, { ...firsts, [keyOne]: one.second }, 'A key that was removed can come back.');
    });

    for (const kind of META_KINDS) {
      const metas = metaOfKind(settings.meta, kind);
      suite.test(
        `keeps ${kind.name}`,
        async (stage) => {
          const mary = stage.person('mary', { meta: {} });
          const { id } = await stage.create(mary);
          let meta: Record<string, MetaValue> = {};
          for (const more of metas) {
            meta = { ...meta, ...more };
            stage.expectUser(await stage.update(id, { meta: more }), { ...mary, meta, id }, 'update()');
            await stage.expectStored(id, { ...mary, meta }, RAW);
          }
        },
        metas.length === 0 && 'no such value can be stored here',
      );
    }

    suite.test('exchanges every value for one of another kind', async (stage) => {
      const [before, after] = [metaOf(settings.meta, 'first'), metaOf(settings.meta, 'second')];
      await changed(stage, { meta: after }, { meta: after }, { meta: before });
    });
  });

  suite.group('update, refused', () => {
    const unknown = async (
      stage: Stage,
      idOf: (id: string) => string,
      changes: UserChanges = { role: otherRole, syncState: 'new' },
    ): Promise<void> => {
      const mary = stage.person('mary');
      const { id } = await stage.create(mary);
      const unknownId = idOf(id);
      for (const condition of [undefined, { ifSyncState: mary.syncState }, { ifSyncState: null }]) {
        await expectError(
          () => stage.users.update(unknownId, changes, condition),
          'USER_NOT_FOUND',
          `update() of the id ${shown(unknownId)}, which nobody has, has to throw new UserNotFoundError({ id }), with and ` +
            `without a condition: not null, no success, and no error of the database about the shape of the id.`,
        );
      }
      await stage.expectCount(1, 'An update of nobody adds nobody.');
      await stage.expectStored(
        id,
        mary,
        `An update of the id ${shown(unknownId)} is none of the user ${shown(id)}.`,
      );
    };

    suite.test('an id that nobody has is USER_NOT_FOUND', (stage) => unknown(stage, unknownIdLike));
    suite.test('an id that nobody has is USER_NOT_FOUND also where nothing is to change', (stage) =>
      unknown(stage, unknownIdLike, {}),
    );
    suite.test('an id of another shape is USER_NOT_FOUND', (stage) => unknown(stage, () => 'no-such-user'));
    suite.test('an id that only begins like a user’s is USER_NOT_FOUND', (stage) =>
      unknown(stage, (id) => `${id}x`),
    );

    /** An update that is refused changes neither of the two users. */
    const refused = async (
      stage: Stage,
      changesOf: (john: NewUser) => UserChanges,
      fields: readonly ('contactId' | 'email')[],
      what: string,
    ): Promise<void> => {
      const mary = stage.person('mary');
      const john = stage.person('john', { email: 'John@example.com' });
      const { id } = await stage.create(mary);
      const { id: johnsId } = await stage.create(john);
      const changes: UserChanges = {
        ...{ role: otherRole, tags: ['New'], meta: { [keyOne]: null, [keyTwo]: two.second } },
        ...{ syncState: 'new', passwordHash: ANOTHER_HASH },
        ...changesOf(john),
      };
      for (const condition of [undefined, { ifSyncState: mary.syncState }]) {
        await stage.expectDuplicate(
          () => stage.users.update(id, structuredClone(changes), condition),
          fields,
          what,
        );
        await stage.expectStored(
          id,
          mary,
          'A refused update changes nothing, none of its other changes either: one transaction.',
        );
        await stage.expectStored(
          johnsId,
          john,
          'A refused update leaves the user that has the value as it was.',
        );
      }
      await stage.expectCount(2, 'A refused update adds nobody.');
      const { passwordHash } = await stage.update(id, { passwordHash: ANOTHER_HASH });
      expectSame(passwordHash, ANOTHER_HASH, 'After a refused update the storage works as before.');
    };

    suite.test('a taken email changes nothing at all', (stage) =>
      refused(stage, ({ email }) => ({ email }), ['email'], 'update() to the email of another user.'),
    );
    suite.test('a taken email in another case changes nothing at all', (stage) =>
      refused(
        stage,
        () => ({ email: ' jOHN@EXAMPLE.com' }),
        ['email'],
        'update() to the email of another user in another case.',
      ),
    );
    suite.test('a taken contact id changes nothing at all', (stage) =>
      refused(
        stage,
        ({ contactId }) => ({ contactId }),
        ['contactId'],
        'update() to the contact id of another user.',
      ),
    );
    suite.test('of several taken values any may be named', (stage) =>
      refused(
        stage,
        ({ contactId, email }) => ({ contactId, email }),
        ['contactId', 'email'],
        'update() to contact id and email of another user.',
      ),
    );

    suite.test('the other values of a refused update stay free, and find nobody', async (stage) => {
      const [mary, john] = [stage.person('mary'), stage.person('john')];
      const { id } = await stage.create(mary);
      await stage.create(john);
      const advice =
        'Look at all values before any is written, or undo all: no entry of an index may be left.';
      await stage.expectDuplicate(
        () => stage.users.update(id, { contactId: '990', email: john.email }),
        ['email'],
        'update() to the email of another user.',
      );
      expectSame(await stage.findByContactId('990'), null, `A refused update links nobody. ${advice}`);
      await stage.expectDuplicate(
        () => stage.users.update(id, { contactId: john.contactId, email: 'new@example.com' }),
        ['contactId'],
        'update() to the contact id of another user.',
      );
      expectSame(
        await stage.findByEmail('new@example.com'),
        null,
        `A refused update gives no email away. ${advice}`,
      );
      expectSame(
        (await stage.findByEmail(mary.email))?.id,
        id,
        `A refused update takes no email away. ${advice}`,
      );
      expectSame(
        (await stage.findByContactId(mary.contactId))?.id,
        id,
        `A refused update unlinks nobody. ${advice}`,
      );
      const ann = stage.person('ann', { contactId: '990', email: 'new@example.com' });
      await stage.expectStored(
        (await stage.create(ann)).id,
        ann,
        `The other values of a refused update are free. ${advice}`,
      );
    });

    suite.test('a user’s own values are not taken', async (stage) => {
      const mary = stage.person('mary', { role });
      const { id } = await stage.create(mary);
      const email = 'MARY@Example.com';
      const updated = await stage.update(id, { contactId: mary.contactId, email });
      stage.expectUser(
        updated,
        { ...mary, email, id },
        'update() to an email that differs in case from its own',
      );
      await stage.expectStored(id, { ...mary, email }, RAW);
    });

    suite.test('two users can exchange values one after the other', async (stage) => {
      const [mary, john] = [stage.person('mary'), stage.person('john')];
      const { id } = await stage.create(mary);
      const { id: johnsId } = await stage.create(john);
      await stage.update(id, { contactId: null, email: 'aside@example.com' });
      await stage.update(johnsId, { contactId: mary.contactId, email: mary.email });
      await stage.update(id, { contactId: john.contactId, email: john.email });
      expectSame(
        (await stage.findByEmail(mary.email))?.id,
        johnsId,
        'A contact id or email that one user gave up can be taken by another.',
      );
      expectSame(
        (await stage.findByContactId(john.contactId))?.id,
        id,
        'A contact id or email that one user gave up can be taken by another.',
      );
    });
  });
}
