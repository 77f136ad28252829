// What a new user is stored with, and when its password counts as returned.
import { processWebhook } from '../../lib/actions/process';
import type { Conditions } from '../../lib/actions/conditions';
import type { WpFusionWebhookOptions } from '../../lib';
import type { Result } from '../../lib/result';
import { fingerprint, parseSyncState } from '../../lib/users/sync-state';
import type { cheapHasher } from '../http/site';
import { conditions, failure, pieces, type Pieces } from './pieces';

/** Seconds since 1970. */
const NOW = 1_800_000_000;

interface Bench extends Pieces {
  readonly create: jest.SpiedFunction<Pieces['users']['create']>;
  readonly hash: jest.SpiedFunction<typeof cheapHasher.hash>;
  readonly add: (conditions?: Partial<Conditions>) => Promise<Result>;
}

function bench(options: Partial<WpFusionWebhookOptions> = {}): Bench {
  const all = pieces(options);
  return {
    ...all,
    create: jest.spyOn(all.users, 'create'),
    hash: jest.spyOn(all.site.configuration.passwordHasher, 'hash'),
    add: (given) =>
      processWebhook(
        { action: 'add', contactId: '1', sendNotification: true, emails: [], dryRun: false, parameters: {} },
        all.site,
        conditions(given),
      ),
  };
}

beforeEach(() => jest.spyOn(Date, 'now').mockReturnValue(NOW * 1000));
afterEach(() => jest.restoreAllMocks());

test('a user is stored with everything that is owed to it, in one step', async () => {
  const { create, hash, add, crm, returns } = bench({
    returnPassword: { field: 'f1' },
    hooks: { afterCreate: () => undefined },
    notifier: { sendWelcome: async () => undefined },
  });
  expect(await add()).toMatchObject({ outcome: 'created', warnings: [], owed: undefined });
  expect(hash.mock.calls).toEqual([[expect.stringMatching(/^[\da-zA-Z]{16}$/), { generated: true }]]);
  const stored = create.mock.calls[0]![0];
  expect(parseSyncState(stored.syncState)).toEqual({
    hash: fingerprint(stored.passwordHash!),
    password: { claims: [expect.any(String)], claimedAt: NOW },
    afterCreate: true,
    mail: true,
  });
  expect(returns.standing(parseSyncState(stored.syncState).password!.claims)).toEqual([]);
  expect(crm.written).toMatchObject([{ fields: { f1: hash.mock.calls[0]![0] } }]);
});

test('nothing is owed that the site does not do', async () => {
  const { create, add, crm } = bench();
  expect(await add()).toMatchObject({ outcome: 'created', owed: undefined });
  const stored = create.mock.calls[0]![0];
  expect(parseSyncState(stored.syncState)).toEqual({
    hash: fingerprint(stored.passwordHash!),
    password: undefined,
    afterCreate: false,
    mail: false,
  });
  expect(crm.written).toEqual([]);
});

test('the password of a contact is hashed as one that a person chose', async () => {
  const { hash, add, crm } = bench({
    fields: { password: 'f2' },
    returnPassword: { field: 'f1' },
  });
  crm.contacts.get('1')!.fields.f2 = 'chosen by Mary';
  await add();
  expect(hash.mock.calls).toEqual([['chosen by Mary', { generated: false }]]);
  expect(crm.written).toEqual([]);
});

test('a storage that fails is not asked for another username', async () => {
  const { create, add } = bench();
  create.mockRejectedValue(failure('REPOSITORY_FAILED'));
  await expect(add()).rejects.toMatchObject({ cause: { code: 'REPOSITORY_FAILED' } });
  expect(create).toHaveBeenCalledTimes(1);
});

test('a password stays owed until the contact was looked at once more', async () => {
  const { add, crm, users, stored } = bench({ returnPassword: { field: 'f1' } });
  const read = crm.getContacts.bind(crm);
  const seen: unknown[] = [];
  crm.getContacts = async (ids) => {
    if (users.all().length > 0) {
      while (crm.written.length === 0) await new Promise(setImmediate);
      for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate);
      seen.push(stored().state.password?.claims.length);
    }
    return read(ids);
  };
  expect(await add({ isExclusive: false })).toMatchObject({ outcome: 'created', owed: undefined });
  expect(seen).toEqual([1]);
  expect(stored().state.password).toBeUndefined();
});
