// Settles what is owed to a user that was created: its password to the CRM, afterCreate, the welcome mail. Any run for the
// contact does it, so nothing depends on the process that created the user.
import type { Contact } from '../crm/client';
import { generatePassword } from '../users/generate-password';
import { toPublicUser } from '../users/guard';
import type { Owed } from '../result';
import type { User } from '../users/repository';
import { describeError } from '../redact';
import { fingerprint, parseSyncState, type SyncState } from '../users/sync-state';
import { shownIn, withClaim, type Returning } from './password-returns';
import { callHook, callHost, type Run } from './run';
import { withoutPasswords } from './synchronise';

/**
 * After this long no write to the CRM that was under way when a process died can still arrive: a claim this old does not
 * keep a debt open. Minutes of difference between two machines' clocks do not matter to it.
 */
const CLAIM_LIFETIME_SECONDS = 15 * 60;

/** Settles everything that can be settled. What cannot leaves a warning and stays owed; a hook that throws fails the run. */
export async function settleOwed(
  run: Run,
  user: User,
  contact: Contact,
  returning?: Returning,
): Promise<void> {
  const { hooks, notifier, returnPassword, logger } = run.site.configuration;
  let current: User = user;
  if (parseSyncState(current.syncState).password !== undefined && returnPassword !== undefined) {
    // A run that has just started to return a password does not start over with another one.
    const isSettled =
      returning === undefined
        ? await settlePassword(run, current, contact, returnPassword.field)
        : (await run.withinPatience(returning.settled)) === true;
    current = (await run.site.users.findByContactId(run.contactId)) ?? current;
    const { password } = parseSyncState(current.syncState);
    if (!isSettled) {
      const goesOn = await run.site.returns.isUnderWay(run.contactId, password?.claims ?? []);
      const hope = goesOn ? 'it goes on being returned' : 'the contact’s next webhook tries again';
      const message = `The CRM does not have the password yet; ${hope}.`;
      run.warn('PASSWORD_NOT_RETURNED', message);
      run.owed = { code: 'PASSWORD_NOT_RETURNED', detail: message, state: goesOn ? 'under way' : 'failed' };
    }
    if (isSettled && password !== undefined) run.owed = openClaim(password.claimedAt);
  }

  if (parseSyncState(current.syncState).afterCreate === true && hooks.afterCreate !== undefined) {
    await run.step('afterCreate: about to run');
    run.mayGoOn();
    const shown = { user: toPublicUser(current), contact: withoutPasswords(run, contact) };
    await callHook('afterCreate', () => hooks.afterCreate?.(shown));
    await run.step('afterCreate: ran');
    current = await cross(run, current, (state) => ({ ...state, afterCreate: undefined }));
  }

  if (parseSyncState(current.syncState).mail === true && notifier !== undefined) {
    await run.step('mail: about to send');
    run.mayGoOn();
    try {
      await notifier.sendWelcome({ user: toPublicUser(current) });
    } catch (error) {
      const message = 'The welcome mail could not be sent; a later webhook for the contact tries again.';
      run.warn('NOTIFICATION_FAILED', message);
      run.owed = { code: 'NOTIFICATION_FAILED', detail: message, state: 'failed' };
      const details = {
        code: 'NOTIFICATION_FAILED',
        contactId: run.contactId,
        cause: describeError(error, run.allSecrets()),
      };
      logger.error(details, 'The welcome mail could not be sent.');
      return;
    }
    await run.step('mail: sent');
    await cross(run, current, (state) => ({ ...state, mail: undefined }));
  }
}

/** The CRM shows the right password, but a process that died may have had a write under way. */
function openClaim(claimedAt: number): Owed {
  const ageMs = Date.now() - claimedAt * 1000;
  return {
    code: 'PASSWORD_NOT_RETURNED',
    detail:
      'The CRM has the password; whether a write of a process that ended can still change it is looked at later.',
    state: Math.max(0, CLAIM_LIFETIME_SECONDS * 1000 - ageMs) + 1000,
  };
}

/** Crosses a settled debt off, whatever else was written since. */
async function cross(run: Run, user: User, change: (state: SyncState) => SyncState): Promise<User> {
  let current = user;
  for (const _attempt of run.attempts('keep warnings')) {
    const changed = await run.site.returns.change(current, {}, change(parseSyncState(current.syncState)));
    if (changed !== undefined) return changed;
    const found = await run.site.users.findByContactId(run.contactId);
    if (found === null) return current;
    current = found;
  }
  return current;
}

/** Whether the CRM shows a password that logs in, or none is owed any more. */
async function settlePassword(run: Run, user: User, contact: Contact, field: string): Promise<boolean> {
  const { returns, users, configuration } = run.site;
  let latest: User | null = user;
  let seen: Contact | undefined = contact;
  for (const _attempt of run.attempts('keep warnings')) {
    if (latest === null) return true;
    const current: User = latest;
    const underWay = returns.underWay(run.contactId);
    if (underWay !== undefined) return (await run.withinPatience(underWay.settled)) === true;
    const state = parseSyncState(current.syncState);
    if (state.password === undefined) return true;
    const claims = returns.standing(state.password.claims);
    const crossOff = (): Promise<User | undefined> =>
      returns.change(current, {}, { ...state, password: undefined });

    // The person has chosen a password, or the host has taken it away: no other one is forced on them, and the CRM has nothing to
    // show any more.
    if (current.passwordHash === null || fingerprint(current.passwordHash) !== state.hash) {
      if ((await crossOff()) !== undefined) return true;
    } else {
      if (seen === undefined || !Object.hasOwn(seen.fields, field))
        seen = await run.tryReadContact(run.contactId, [field]);
      const shown = seen === undefined ? undefined : shownIn(seen, field);
      if (await callHost('passwordHasher.verify()', () => returns.logsIn(current, shown))) {
        // It arrived, and whoever wrote it did not get to say so. Another write may still be under way: look again later.
        const isOver =
          claims.length === 0 || Date.now() / 1000 - state.password.claimedAt > CLAIM_LIFETIME_SECONDS;
        if (!isOver || (await crossOff()) !== undefined) return true;
      } else {
        // A process that is there is at it.
        if (await returns.isUnderWay(run.contactId, claims)) return false;
        // The one that was generated is gone with the process that knew it, or is about to be: give a new one.
        const password = generatePassword();
        const hash = await callHost('passwordHasher.hash()', () =>
          configuration.passwordHasher.hash(password, { generated: true }),
        );
        run.secrets.add(password).add(hash);
        run.mayGoOn();
        const claim = returns.newClaim();
        const debt = { ...state.password, claims };
        const next = withClaim({ ...state, hash: fingerprint(hash), password: debt }, claim);
        const changed = await returns.change(current, { passwordHash: hash }, next);
        if (changed !== undefined) {
          await run.step('takeover: new password stored');
          const job = { contactId: run.contactId, username: changed.username, password, hash, claim };
          return (await run.withinPatience(returns.start(job, { mayClearAtOnce: true }).settled)) === true;
        }
      }
    }
    // Somebody else wrote in between: look at both again.
    latest = await users.findByContactId(run.contactId);
    seen = undefined;
  }
  return false;
}
