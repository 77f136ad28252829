// Makes a user equal to its contact: the one write that add, update and update_tags share.
import type { Contact } from '../crm/client';
import { codeOf, WpFusionError, type DuplicateUserError } from '../errors';
import type { Change } from '../result';
import { toPublicUser } from '../users/guard';
import type { User, UserChanges } from '../users/repository';
import { fingerprint, formatSyncState, parseSyncState, THERE_BEFORE } from '../users/sync-state';
import { describeChanges, difference, planUpdate, withoutFields, type Plan } from './plan';
import { callHook, callHost, type Run } from './run';

/** What a synchronisation came to; `user` is the user as it is now. */
export interface Synchronised {
  readonly outcome: 'updated' | 'unchanged' | 'cancelled';
  readonly user: User;
  readonly contact: Contact;
  readonly changes: readonly Change[];
}

/** What a synchronisation does beside making equal. */
export interface SynchroniseOptions {
  readonly parts: 'fields and tags' | 'tags' | 'nothing';
  readonly role?: string | undefined;
  readonly link?: boolean | undefined;
}

/**
 * Writes what differs between a user and a contact that was read after it. Gives `undefined` when somebody else wrote since:
 * then both have to be read again.
 *
 * It also writes where nothing differs: the new `syncState` makes every run that read an older contact start over.
 */
export async function synchronise(
  run: Run,
  user: User,
  contact: Contact,
  options: SynchroniseOptions,
): Promise<Synchronised | undefined> {
  const { configuration } = run.site;
  const warn = run.warn.bind(run);
  let plan = await planUpdate(configuration, user, contact, { ...options, warn });
  if (run.webhook.dryRun) {
    plan = await withoutTakenEmail(run, plan, user);
    const changes = describeChanges(plan, user);
    return { outcome: changes.length > 0 ? 'updated' : 'unchanged', user, contact, changes };
  }
  run.mayGoOn();
  const hooked = await runBeforeHooks(run, plan, user, contact);
  if (hooked === null) return { outcome: 'cancelled', user, contact, changes: [] };
  let { changes } = hooked;

  const write = async (): Promise<User> =>
    run.site.users.update(
      user.id,
      { ...changes, syncState: nextSyncState(user, changes, options.link === true) },
      { ifSyncState: user.syncState },
    );
  let updated: User;
  run.mayGoOn();
  try {
    updated = await write().catch((error: unknown) => {
      if (changes.email === undefined || duplicateField(error) !== 'email') throw error;
      run.warn('EMAIL_TAKEN', EMAIL_TAKEN);
      const { email: _email, ...others } = changes;
      changes = others;
      return write();
    });
  } catch (error) {
    if (isOvertaken(error)) return undefined;
    const field = duplicateField(error);
    if (field === undefined) throw error;
    throw new WpFusionError('USER_CONFLICT', `Another user has the ${field} that this one should get.`, {
      cause: error,
    });
  }

  const described = describeChanges({ changes, password: undefined }, user);
  if (described.length > 0) {
    run.site.emit('user.updated', {
      user: toPublicUser(updated),
      fields: described.map(({ field }) => field),
    });
    if (changes.tags !== undefined) {
      const { added, removed } = difference(user.tags, updated.tags);
      run.site.emit('tags.changed', { user: toPublicUser(updated), added, removed });
    }
    const { hooks } = configuration;
    if (hooks.afterUpdate !== undefined) {
      await callHook('afterUpdate', () =>
        hooks.afterUpdate?.({ user: toPublicUser(updated), contact: withoutPasswords(run, contact) }),
      );
    }
  }
  return {
    outcome: described.length > 0 ? 'updated' : 'unchanged',
    user: updated,
    contact,
    changes: described,
  };
}

/** The contact as hooks get it: no field that holds a password, mapped or returned. */
export function withoutPasswords(run: Run, contact: Contact): Contact {
  const { fields, returnPassword } = run.site.configuration;
  return withoutFields(contact, [fields.get('password')?.from, returnPassword?.field]);
}

/** Whether somebody else wrote in between, so that reading again helps. */
function isOvertaken(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'STALE_USER' || code === 'USER_NOT_FOUND' || duplicateField(error) === 'contactId';
}

/** The field of a `DuplicateUserError`, whichever version of the package threw it. */
export function duplicateField(error: unknown): DuplicateUserError['field'] | undefined {
  return codeOf(error) === 'DUPLICATE_USER' ? (error as DuplicateUserError).field : undefined;
}

const EMAIL_TAKEN = 'The contact’s email belongs to another user; everything else was updated.';

/** The host's say, and the hash of a new password. `null`: the host wants no change. */
async function runBeforeHooks(
  run: Run,
  plan: Plan,
  user: User,
  contact: Contact,
): Promise<{ changes: UserChanges } | null> {
  const { hooks, passwordHasher } = run.site.configuration;
  const { password } = plan;
  let changes = plan.changes;
  if (password !== undefined) {
    run.secrets.add(password);
    const passwordHash = await callHost('passwordHasher.hash()', () =>
      passwordHasher.hash(password, { generated: false }),
    );
    run.secrets.add(passwordHash);
    changes = { ...changes, passwordHash };
  }
  if (Object.keys(changes).length === 0) return { changes };
  const shown = { user: toPublicUser(user), contact: withoutPasswords(run, contact) };
  if (hooks.beforeUpdate !== undefined) {
    const given = structuredClone(changes);
    const answer: unknown = await callHook('beforeUpdate', () =>
      hooks.beforeUpdate?.({ ...shown, changes: given }),
    );
    if (answer === null) return null;
    if (typeof answer !== 'object') {
      throw new WpFusionError(
        'HOOK_FAILED',
        'hooks.beforeUpdate must give the changes, or null; it gave something else.',
      );
    }
    // The link and the state are the core's: a hook has no say in them.
    const { contactId: _contactId, syncState: _syncState, ...allowed } = answer as UserChanges;
    changes = changes.contactId === undefined ? allowed : { ...allowed, contactId: changes.contactId };
  }
  if (changes.tags !== undefined && hooks.beforeTagsChange !== undefined) {
    const { added, removed } = difference(user.tags, changes.tags);
    await callHook('beforeTagsChange', () => hooks.beforeTagsChange?.({ ...shown, added, removed }));
  }
  return { changes };
}

function nextSyncState(user: User, changes: UserChanges, link: boolean): string {
  const state = parseSyncState(user.syncState);
  if (link || state.hash === THERE_BEFORE) {
    return formatSyncState({ ...state, hash: THERE_BEFORE, password: undefined });
  }
  // A password out of the CRM takes the place of a generated one, and of the debt to return that.
  if (typeof changes.passwordHash === 'string') {
    return formatSyncState({ ...state, hash: fingerprint(changes.passwordHash), password: undefined });
  }
  return formatSyncState(state);
}

/** In a dry run nothing can be tried: whether the email is taken is looked up. */
async function withoutTakenEmail(run: Run, plan: Plan, user: User): Promise<Plan> {
  const { email, ...others } = plan.changes;
  const owner = email === undefined ? null : await run.site.users.findByEmail(email);
  if (owner === null || owner.id === user.id) return plan;
  run.warn('EMAIL_TAKEN', EMAIL_TAKEN);
  return { ...plan, changes: others };
}
