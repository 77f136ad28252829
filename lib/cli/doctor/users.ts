// Whether the user storage does what it has to: tried, and undone.
import { randomBytes, randomInt } from 'node:crypto';
import { codeOf } from '../../errors';
import type { Configuration } from '../../options';
import { guardRepository } from '../../users/guard';
import type { NewUser, UserRepository } from '../../users/repository';
import type { Site } from '../site';
import { attempt, notChecked, ok, toDo, warning, type Check } from './check';

const NAME = 'user storage';
const TEST = 'user storage, tried';

export async function checkUsers(site: Pick<Site, 'configuration' | 'describe'>): Promise<readonly Check[]> {
  const { users } = site.configuration;
  const findings = await attempt(site, NAME, async () => {
    if (users.check === undefined) return [notChecked(NAME, 'the repository has no check()')];
    const found = await users.check();
    if (found.length === 0) return [ok(NAME, 'it has all that it needs')];
    return found.map(({ severity, message }) => (severity === 'error' ? toDo : warning)(NAME, message));
  });
  // A table that knows no transactions would keep what is tried; one that lacks a column only fails with other words.
  if (findings.some(({ status }) => status === 'to do')) {
    return [...findings, notChecked(TEST, 'only once nothing is to do about it any more')];
  }
  return [...findings, ...(await attempt(site, TEST, () => rehearsed(site)))];
}

async function rehearsed({ configuration }: Pick<Site, 'configuration'>): Promise<readonly Check[]> {
  const { users } = configuration;
  if (users.rehearse === undefined) {
    return [notChecked(TEST, 'the repository has no rehearse(), which undoes what is tried')];
  }
  const user = await newUser(configuration);
  const complaints: string[] = [];
  await users.rehearse(async (rehearsing) => {
    await tryOut(
      guardRepository(rehearsing, () => undefined),
      user,
      (complaint) => complaints.push(complaint),
    );
  });
  const isLeft =
    (await users.findByContactId(user.contactId ?? '')) !== null ||
    (await users.findByEmail(user.email)) !== null;
  if (isLeft) complaints.push(`it did not undo what was tried: delete the user ${user.email}`);
  if (complaints.length > 0) return complaints.map((complaint) => toDo(TEST, complaint));
  return [ok(TEST, 'creates, finds and updates a user, refuses doubles and old states, and nothing is left')];
}

/** A user that is nobody's, as the site would store one. */
async function newUser({ users, roles, fields, passwordHasher }: Configuration): Promise<NewUser> {
  const name = `doctor-${randomBytes(6).toString('hex')}`;
  const meta = fields.has('firstName') ? { firstName: 'Doctor' } : {};
  const password = randomBytes(12).toString('base64url');
  return {
    contactId: await freeContactId(users),
    email: `${name}@example.invalid`,
    username: `${name}@example.invalid`,
    passwordHash: await passwordHasher.hash(password, { generated: true }),
    role: roles.defaultRole,
    tags: [],
    meta,
    syncState: 'doctor 1',
  };
}

/** A contact id that no user has, of digits that fit any column of numbers. */
async function freeContactId(users: UserRepository): Promise<string> {
  for (;;) {
    const id = String(randomInt(2_000_000_000, 2_147_483_647));
    if ((await users.findByContactId(id)) === null) return id;
  }
}

async function tryOut(
  users: UserRepository,
  user: NewUser,
  complain: (complaint: string) => void,
): Promise<void> {
  const { contactId, email } = user;
  const created = await users.create(user);
  const isSame = created.contactId === contactId && created.passwordHash === user.passwordHash;
  if (!isSame || created.role !== user.role || created.syncState !== user.syncState) {
    complain('create() gives back another user than it was given: contact id, hash, role or state differ');
  }
  if ((await users.findByContactId(contactId ?? ''))?.id !== created.id) {
    complain('findByContactId() does not find the user that was just created');
  }
  const found = await users.findByEmail(email.toUpperCase());
  // Whoever has not confirmed the email yet may well not be found by it.
  if (found !== null && found.id !== created.id) complain('findByEmail() finds somebody else');

  const updated = await users.update(created.id, { syncState: 'doctor 2' }, { ifSyncState: 'doctor 1' });
  if (updated.syncState !== 'doctor 2') complain('update() does not give back what it has written');
  await expectRefusal(
    'STALE_USER',
    'update() writes although the user was changed in between',
    complain,
    () => users.update(created.id, { syncState: 'doctor 3' }, { ifSyncState: 'doctor 1' }),
  );

  const other = { ...user, username: `2-${user.username}` };
  await expectRefusal('DUPLICATE_USER', 'create() takes a second user with the same email', complain, () =>
    users.create({ ...other, contactId: null }),
  );
  await expectRefusal(
    'DUPLICATE_USER',
    'create() takes a second user with the same contact id',
    complain,
    () => users.create({ ...other, email: `2-${email}` }),
  );
}

async function expectRefusal(
  code: string,
  complaint: string,
  complain: (complaint: string) => void,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work();
    complain(complaint);
  } catch (error) {
    if (codeOf(error) !== code) throw error;
  }
}
