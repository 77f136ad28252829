// settle: a job that a queue keeps for as long as something is owed to a user. Changes nothing else.
import type { Result } from '../result';
import { parseSyncState } from '../users/sync-state';
import type { Run } from './run';
import { update } from './update';

/** Settles what is owed, without a call to the CRM where nothing is, or where a living process is at it already. */
export async function settle(run: Run): Promise<Result> {
  const user = await run.site.users.findByContactId(run.contactId);
  if (user === null) return run.result('skipped', { reason: 'USER_NOT_FOUND' });
  const { password, afterCreate, mail } = parseSyncState(user.syncState);
  if (password === undefined && afterCreate !== true && mail !== true)
    return run.result('unchanged', { user });
  const isAllThatIsOwed = afterCreate !== true && mail !== true;
  const { returns } = run.site;
  if (
    returns.underWay(run.contactId) !== undefined ||
    (isAllThatIsOwed && (await returns.isUnderWay(run.contactId, password?.claims ?? [])))
  ) {
    const detail = 'The CRM does not have the password yet; it goes on being returned.';
    run.owed = { code: 'PASSWORD_NOT_RETURNED', detail, state: 'under way' };
    return run.result('unchanged', { user });
  }
  return update(run, 'nothing');
}
