// The second look at a contact, and the write that all actions share, without the web around them: who wins where several write.
import { checkAgain } from '../../lib/actions/check-again';
import { insideRequest } from '../../lib/actions/conditions';
import { Run } from '../../lib/actions/run';
import { synchronise } from '../../lib/actions/synchronise';
import type { Contact } from '../../lib/crm/client';
import type { Webhook } from '../../lib/queue/webhook';
import { DuplicateUserError, type User, type WpFusionWebhookOptions } from '../../lib';
import { newUser } from '../http/site';
import { conditions, failure, pieces, type Pieces } from './pieces';

const running: Run[] = [];
afterEach(() => {
  for (const run of running.splice(0)) run.dispose();
  jest.restoreAllMocks();
});

interface Bench extends Pieces {
  readonly run: Run;
  /** Mary as she was stored out of the contact. */
  readonly user: User;
  readonly contact: Contact;
  /** What the second look is to see. */
  readonly change: (changes: Partial<Contact>) => void;
  readonly ticket: { read: jest.Mock<Promise<Contact | undefined>>; release: jest.Mock };
  readonly look: () => ReturnType<typeof checkAgain>;
}

async function bench(
  options: Partial<WpFusionWebhookOptions> = {},
  webhook: Partial<Webhook> = {},
): Promise<Bench> {
  const all = pieces({ fields: { city: 'f1' }, ...options });
  const run = new Run(
    {
      action: 'add',
      contactId: '1',
      sendNotification: false,
      emails: [],
      dryRun: false,
      parameters: {},
      ...webhook,
    },
    all.site,
    conditions({ isExclusive: false }),
  );
  running.push(run);
  const contact: Contact = {
    id: '1',
    email: 'mary@example.com',
    tags: [
      { id: '1', name: 'Customer' },
      { id: '2', name: 'VIP' },
    ],
    modifiedAt: null,
    fields: { email: 'mary@example.com', firstname: 'Mary', lastname: null, f1: 'Berlin', f9: 'of no use' },
  };
  const user = await all.users.create(
    newUser({
      contactId: '1',
      tags: ['Customer', 'VIP'],
      meta: { firstName: 'Mary', city: 'made by a hook' },
      syncState: '{"v":"first"}',
    }),
  );
  let again = contact;
  const ticket = {
    read: jest.fn(async () => Promise.resolve<Contact | undefined>(again)),
    release: jest.fn(),
  };
  return {
    ...all,
    run,
    user,
    contact,
    change: (changes) => {
      again = { ...contact, ...changes };
    },
    ticket,
    look: () => checkAgain(run, user, contact, 'fields and tags', ticket),
  };
}

describe('the second look', () => {
  test('at what is the same leaves what a hook made of it, and makes every older run start over', async () => {
    const one = await bench();
    one.change({ tags: [...one.contact.tags].reverse(), fields: { ...one.contact.fields, f9: 'other' } });
    const seen = await one.look();
    expect(seen.user).toEqual(one.stored().user);
    expect(seen.user).toMatchObject({ tags: ['Customer', 'VIP'], meta: one.user.meta });
    expect(seen.user.syncState).not.toBe(one.user.syncState);
    expect(one.ticket.read.mock.calls).toEqual([
      ['1', { fields: ['email', 'firstname', 'lastname', 'f1'], signal: one.run.signal }],
    ]);
    expect(one.ticket.release).toHaveBeenCalledTimes(1);
    expect(one.run.contactReads).toBe(1);
  });

  test.each<[string, (contact: Contact) => Partial<Contact>, object]>([
    ['an email', () => ({ email: 'mary.s@example.com' }), { meta: { firstName: 'Mary', city: 'Berlin' } }],
    ['a tag less', ({ tags }) => ({ tags: tags.slice(0, 1) }), { tags: ['Customer'] }],
    [
      'a tag with another name',
      ({ tags }) => ({ tags: [tags[0]!, { id: '2', name: 'Gold' }] }),
      { tags: ['Customer', 'Gold'] },
    ],
    [
      'a tag with another id',
      ({ tags }) => ({ tags: [tags[0]!, { id: '3', name: 'VIP' }] }),
      { meta: { firstName: 'Mary', city: 'Berlin' } },
    ],
    [
      'a field',
      ({ fields }) => ({ fields: { ...fields, f1: 'Bonn' } }),
      { meta: { firstName: 'Mary', city: 'Bonn' } },
    ],
    ['a field as it is told', () => ({ raw: { f1: 'B' } }), { meta: { firstName: 'Mary', city: 'Berlin' } }],
  ])('at %s that is new writes it', async (_name, changed, expected) => {
    const one = await bench();
    one.change(changed(one.contact));
    expect((await one.look()).user).toMatchObject(expected);
    expect(one.stored().user).toMatchObject(expected);
  });

  test('at a contact that is deleted changes nothing', async () => {
    const one = await bench();
    one.ticket.read.mockResolvedValue(undefined);
    expect(await one.look()).toEqual({ user: one.user, contact: one.contact });
    expect(one.stored().user).toEqual(one.user);
    expect(one.ticket.release).toHaveBeenCalledTimes(1);
  });

  test('is done anew where somebody else writes meanwhile, and keeps what was warned of', async () => {
    const one = await bench();
    one.run.warn('EMAIL_TAKEN', 'Before.');
    one.change({ tags: [] });
    one.ticket.read.mockImplementationOnce(async () => {
      await one.users.update(one.user.id, { meta: { city: 'of the other' }, syncState: '{"v":"second"}' });
      return one.contact;
    });
    const { user } = await one.look();
    expect(one.ticket.read).toHaveBeenCalledTimes(2);
    expect(one.run.contactReads).toBe(2);
    expect(user).toMatchObject({ tags: [], meta: { city: 'Berlin' } });
    expect(one.run.result('created').warnings).toEqual([{ code: 'EMAIL_TAKEN', message: 'Before.' }]);
  });

  test('of a user that is deleted meanwhile gives what was there', async () => {
    const one = await bench();
    one.ticket.read.mockImplementationOnce(async () => {
      one.users.isGone = true;
      jest.spyOn(one.users, 'update').mockRejectedValue(failure('USER_NOT_FOUND'));
      return one.contact;
    });
    expect(await one.look()).toEqual({ user: one.user, contact: one.contact });
    expect(one.ticket.read).toHaveBeenCalledTimes(1);
  });

  test.each([
    ['CRM_RATE_LIMITED', failure('CRM_RATE_LIMITED')],
    ['CRM_UNAVAILABLE', new Error('a socket, with another-secret')],
  ])('that fails with %s is told to the log, and is missing', async (code, error) => {
    const one = await bench();
    one.run.secrets.add('another-secret');
    one.ticket.read.mockImplementationOnce(async () => {
      await one.users.update(one.user.id, { tags: ['of the other'], syncState: '{"v":"second"}' });
      return one.contact;
    });
    one.ticket.read.mockRejectedValueOnce(error);
    const { user, contact } = await one.look();
    // As it is since the other wrote it.
    expect(user).toEqual(one.stored().user);
    expect(user.tags).toEqual(['of the other']);
    expect(contact).toBe(one.contact);
    expect(one.logged('warn')).toHaveLength(1);
    expect(one.logged('warn')[0]).toContain(`{"code":"${code}","contactId":"1","cause":`);
    expect(one.logged('warn')[0]).not.toContain('another-secret');
    expect(one.ticket.release).toHaveBeenCalledTimes(1);
  });

  test.each(['REPOSITORY_FAILED', 'SHUTTING_DOWN'] as const)(
    'that fails with %s fails the run',
    async (code) => {
      const one = await bench();
      if (code === 'SHUTTING_DOWN') one.ticket.read.mockRejectedValue(failure(code));
      else jest.spyOn(one.users, 'update').mockRejectedValue(failure(code));
      await expect(one.look()).rejects.toMatchObject({ code });
      expect(one.ticket.release).toHaveBeenCalledTimes(1);
      expect(one.logged('warn')).toEqual([]);
    },
  );

  test('that meets a mistake of its own fails with that', async () => {
    const one = await bench();
    const mistake = new TypeError('of ours');
    jest.spyOn(one.users, 'update').mockRejectedValue(mistake);
    await expect(one.look()).rejects.toBe(mistake);
  });

  test('announces itself where nobody has done so', async () => {
    const one = await bench();
    const expectRead = jest.spyOn(one.site.contacts, 'expect');
    await checkAgain(one.run, one.user, one.contact, 'fields and tags');
    expect(expectRead).toHaveBeenCalledTimes(1);
  });
});

describe('a write', () => {
  const EMAIL = { email: 'other@example.com', fields: { email: 'other@example.com', firstname: 'Mary' } };
  const taken = (field: 'email' | 'username' | 'contactId'): DuplicateUserError =>
    new DuplicateUserError({ field });

  test('of an email that somebody else has writes everything else, and warns', async () => {
    const one = await bench();
    const update = jest.spyOn(one.users, 'update').mockRejectedValueOnce(taken('email'));
    const contact = { ...one.contact, ...EMAIL, tags: [] };
    const done = await synchronise(one.run, one.user, contact, { parts: 'fields and tags' });
    expect(done).toMatchObject({ outcome: 'updated', user: { email: 'mary@example.com', tags: [] } });
    expect(update.mock.calls.map(([, { email }]) => email)).toEqual(['other@example.com', undefined]);
    expect(one.run.result('updated').warnings).toMatchObject([{ code: 'EMAIL_TAKEN' }]);
  });

  test.each<['email' | 'username', Partial<Contact>]>([
    ['email', { tags: [] }],
    ['username', EMAIL],
  ])('that is refused for a %s that it does not change is a conflict', async (field, changes) => {
    const one = await bench();
    const update = jest.spyOn(one.users, 'update').mockRejectedValue(taken(field));
    const contact = { ...one.contact, ...changes };
    const parts = field === 'email' ? 'tags' : 'fields and tags';
    await expect(synchronise(one.run, one.user, contact, { parts })).rejects.toMatchObject({
      code: 'USER_CONFLICT',
      message: expect.stringContaining(field) as string,
      cause: { field },
    });
    expect(update).toHaveBeenCalledTimes(1);
    expect(one.run.result('updated').warnings).toEqual([]);
  });

  test.each([
    ['DUPLICATE_USER', taken('contactId')],
    ['STALE_USER', failure('STALE_USER')],
    ['USER_NOT_FOUND', failure('USER_NOT_FOUND')],
  ])('that somebody else was faster with is none: %s', async (_code, error) => {
    const one = await bench();
    jest.spyOn(one.users, 'update').mockRejectedValue(error);
    const done = await synchronise(one.run, one.user, one.contact, { parts: 'tags' });
    expect(done).toBeUndefined();
  });

  test('that the storage fails at fails as it does', async () => {
    const one = await bench();
    jest.spyOn(one.users, 'update').mockRejectedValue(failure('REPOSITORY_FAILED'));
    const writing = synchronise(one.run, one.user, one.contact, { parts: 'tags' });
    await expect(writing).rejects.toMatchObject({ code: 'REPOSITORY_FAILED' });
  });

  test('in a dry run is none, but tells whether the email is taken', async () => {
    const one = await bench({}, { dryRun: true });
    const contact = { ...one.contact, ...EMAIL, tags: [] };
    const before = one.users.all();
    const fields = async (): Promise<string[]> => {
      const done = await synchronise(one.run, one.user, contact, { parts: 'fields and tags' });
      return done!.changes.map(({ field }) => field);
    };
    expect(await fields()).toContain('email');
    expect(one.users.all()).toEqual(before);
    expect(one.run.result('updated').warnings).toEqual([]);

    await one.users.create(newUser({ email: 'other@example.com' }));
    expect(await fields()).not.toContain('email');
    expect(await fields()).toContain('tags');
    expect(one.run.result('updated').warnings).toMatchObject([{ code: 'EMAIL_TAKEN' }]);

    // Its own, in whichever way it is written.
    const find = jest.spyOn(one.users, 'findByEmail').mockResolvedValue(one.user);
    expect(await fields()).toContain('email');
    expect(find).toHaveBeenCalledWith('other@example.com');
  });

  test('in a dry run that changes no email looks for none', async () => {
    const one = await bench({}, { dryRun: true });
    const find = jest.spyOn(one.users, 'findByEmail');
    const done = await synchronise(one.run, one.user, one.contact, { parts: 'tags' });
    expect(done).toMatchObject({ outcome: 'unchanged', changes: [] });
    expect(find).not.toHaveBeenCalled();
  });
});

test.each([
  ['just come', 10_000, 10_000],
  ['that has a bit more than half its time', 5001, 5001],
  ['whose turn came late: a whole time more', 5000, 10_000],
  ['whose time is over: a whole time more', -5, 10_000],
])('the time of a webhook %s', (_name, left, expected) => {
  const now = 1_800_000_000_000;
  jest.spyOn(Date, 'now').mockReturnValue(now);
  const { lookUntil, readUntil, waitUntil, isExclusive, mayGoOn } = insideRequest(now + left, 10_000);
  expect({ lookUntil, readUntil, waitUntil }).toEqual({
    lookUntil: now + expected - 1500,
    readUntil: now + expected - 1000,
    waitUntil: now + expected - 2000,
  });
  expect(isExclusive).toBe(false);
  mayGoOn();
});
