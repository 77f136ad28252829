// Creates a user out of a contact, with everything that is owed to it written down in the same step.
import type { Contact } from '../crm/client';
import { WpFusionError } from '../errors';
import type { Change, Result } from '../result';
import type { MappedContact } from '../users/field-map';
import { generatePassword } from '../users/generate-password';
import { toPublicUser } from '../users/guard';
import type { NewUser, User } from '../users/repository';
import { fingerprint, formatSyncState } from '../users/sync-state';
import { chooseUsername, usernameCandidates } from '../users/username';
import { askedRole, describeChanges, mapFields, tagsOf } from './plan';
import type { Returning } from './password-returns';
import { callHook, callHost, type Run } from './run';
import { duplicateField, withoutPasswords } from './synchronise';

/** What creating came to. */
export type Creation =
  | {
      readonly kind: 'created';
      readonly user: User;
      readonly changes: readonly Change[];
      readonly returning: Returning | undefined;
    }
  /** A dry run, or a hook that said no: this is the result. */
  | { readonly kind: 'not created'; readonly result: Result }
  /** Somebody else has just created it: read again. */
  | { readonly kind: 'overtaken' }
  /** Another user has the email. */
  | { readonly kind: 'email taken' };

/** Stores a new user and starts to return its password. */
export async function createUser(run: Run, contact: Contact, email: string): Promise<Creation> {
  const { configuration, returns, emit } = run.site;
  const mapped = mapFields(configuration, contact);
  const wanted: NewUser = {
    contactId: contact.id,
    email,
    username: await callHost('username()', async () =>
      Promise.resolve(chooseUsername(configuration.username, mapped, withoutPasswords(run, contact), email)),
    ),
    passwordHash: null,
    role:
      askedRole(configuration, mapped, { role: run.webhook.role, warn: run.warn.bind(run) }) ??
      configuration.roles.defaultRole,
    tags: tagsOf(contact, configuration.tagsAs),
    meta: presentValues(mapped),
    syncState: null,
  };
  if (run.webhook.sendNotification && configuration.notifier === undefined) {
    run.warn(
      'NOTIFIER_NOT_CONFIGURED',
      'send_notification asks for a welcome mail; this site has no notifier.',
    );
  }
  const { contactId: _contactId, passwordHash: _passwordHash, syncState: _syncState, ...shown } = wanted;
  const { username, ...properties } = shown;
  const changes = [
    { field: 'username', from: null, to: username },
    ...describeChanges({ changes: properties, password: 'new' }, {}),
  ];
  if (run.webhook.dryRun) return { kind: 'not created', result: run.result('created', { changes }) };

  const password = mapped.password ?? generatePassword();
  const generated = mapped.password === null;
  run.secrets.add(password);
  const passwordHash = await callHost('passwordHasher.hash()', () =>
    configuration.passwordHasher.hash(password, { generated }),
  );
  run.secrets.add(passwordHash);

  const hooked = await runBeforeCreate(run, { ...wanted, passwordHash }, contact);
  if (hooked === null) return { kind: 'not created', result: run.result('skipped', { reason: 'CANCELLED' }) };
  // Only the password that was really stored can be returned: a hook may have put another hash in its place.
  const claim =
    generated && configuration.returnPassword !== undefined && hooked.passwordHash === passwordHash
      ? returns.newClaim()
      : undefined;
  const newUser: NewUser = {
    ...hooked,
    contactId: contact.id,
    syncState: formatSyncState({
      hash: hooked.passwordHash === null ? undefined : fingerprint(hooked.passwordHash),
      password:
        claim === undefined ? undefined : { claims: [claim], claimedAt: Math.floor(Date.now() / 1000) },
      afterCreate: configuration.hooks.afterCreate !== undefined,
      mail: run.webhook.sendNotification && configuration.notifier !== undefined,
    }),
  };

  await run.step('create: about to store');
  run.mayGoOn();
  const stored = await store(run, newUser);
  if (typeof stored === 'string') return { kind: stored };
  await run.step('create: stored');
  const returning =
    claim === undefined
      ? undefined
      : returns.start(
          { contactId: contact.id, username: stored.username, password, hash: passwordHash, claim },
          { mayClearAtOnce: false },
        );
  emit('user.created', { user: toPublicUser(stored) });
  if (stored.tags.length > 0) {
    emit('tags.changed', { user: toPublicUser(stored), added: [...stored.tags], removed: [] });
  }
  return { kind: 'created', user: stored, changes, returning };
}

/** Creates the user, with another username where the wanted one is taken. */
async function store(run: Run, newUser: NewUser): Promise<User | 'overtaken' | 'email taken'> {
  for (const username of usernameCandidates(newUser.username)) {
    try {
      return await run.site.users.create({ ...newUser, username });
    } catch (error) {
      const field = duplicateField(error);
      if (field === 'contactId') return 'overtaken';
      if (field === 'email') return 'email taken';
      if (field !== 'username') throw error;
    }
  }
  throw new WpFusionError(
    'USER_CONFLICT',
    'The username is taken, and so is every variation of it that was tried.',
  );
}

async function runBeforeCreate(run: Run, user: NewUser, contact: Contact): Promise<NewUser | null> {
  const { hooks } = run.site.configuration;
  if (hooks.beforeCreate === undefined) return user;
  const answer: unknown = await callHook('beforeCreate', () =>
    hooks.beforeCreate?.({ user: structuredClone(user), contact: withoutPasswords(run, contact) }),
  );
  if (answer === null) return null;
  const hooked = (typeof answer === 'object' ? answer : {}) as Partial<NewUser>;
  const isUser =
    typeof hooked.email === 'string' &&
    typeof hooked.username === 'string' &&
    typeof hooked.role === 'string' &&
    Array.isArray(hooked.tags) &&
    typeof hooked.meta === 'object' &&
    (hooked.meta as unknown) !== null &&
    (hooked.passwordHash === null || typeof hooked.passwordHash === 'string');
  if (!isUser)
    throw new WpFusionError(
      'HOOK_FAILED',
      'hooks.beforeCreate must give the user, or null; it gave something else.',
    );
  return { ...user, ...hooked };
}

const presentValues = (mapped: MappedContact): NewUser['meta'] =>
  Object.fromEntries(
    Object.entries(mapped.meta).filter(
      (entry): entry is [string, NonNullable<(typeof entry)[1]>] => entry[1] !== null,
    ),
  );
