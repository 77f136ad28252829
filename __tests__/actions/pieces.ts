// What the actions work with, put together as the middleware does it, around a CRM and users in memory that fail as a test says.
import type { Conditions } from '../../lib/actions/conditions';
import { PasswordReturns } from '../../lib/actions/password-returns';
import { Presence } from '../../lib/actions/presence';
import type { Site } from '../../lib/actions/site';
import { MemoryUserRepository, type CrmClient, type User, type WpFusionWebhookOptions } from '../../lib';
import { ContactReader } from '../../lib/crm/contact-reader';
import { WpFusionError, type ErrorCode } from '../../lib/errors';
import { resolveOptions } from '../../lib/options';
import { Secrets } from '../../lib/redact';
import { Instruments } from '../../lib/telemetry/instruments';
import { formatSyncState, parseSyncState, type SyncState } from '../../lib/users/sync-state';
import { capturingLogger, cheapHasher, MemoryCrm, newUser } from '../http/site';

export const ACCESS_KEY = 'a-key-that-nobody-guesses';

/** Users of whom one can be gone. */
class Users extends MemoryUserRepository {
  isGone = false;

  override async findByContactId(contactId: string): Promise<User | null> {
    return this.isGone ? null : super.findByContactId(contactId);
  }
}

/** A CRM that fails its next writes, as a test says. */
class Crm extends MemoryCrm implements CrmClient {
  readonly failures: (Error | undefined)[] = [];
  readonly written: object[] = [];
  /** Called before a write is answered. */
  before: () => Promise<void> | void = () => undefined;

  override async updateContact(
    id: string,
    fields: Readonly<Record<string, string>>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<void> {
    await this.before();
    this.written.push({ id, fields, options });
    const failed = this.failures.shift();
    if (failed !== undefined) throw failed;
    await super.updateContact(id, fields);
  }
}

export interface Pieces {
  readonly crm: Crm;
  readonly users: Users;
  readonly presence: Presence;
  readonly returns: PasswordReturns;
  readonly closed: AbortController;
  readonly site: Site;
  /** Mary, of contact 1, with what her state says. */
  readonly addUser: (given: { passwordHash: string | null; state: SyncState }) => Promise<User>;
  /** The log's lines of a level. */
  readonly logged: (level: string) => string[];
  /** Mary as she is stored, and what her state says. */
  readonly stored: () => { user: User; state: SyncState };
}

/** A site with contact 1. */
export function pieces(options: Partial<WpFusionWebhookOptions>): Pieces {
  const crm = new Crm();
  crm.add('1', { email: 'mary@example.com' });
  const users = new Users();
  const logger = capturingLogger();
  const configuration = resolveOptions({
    accessKey: ACCESS_KEY,
    crm,
    users,
    logger,
    passwordHasher: { ...cheapHasher },
    ...options,
  });
  const contacts = new ContactReader({
    fetch: (ids) => crm.getContacts(ids),
    maxBatchSize: 1,
    span: 'of a test',
  });
  const closed = new AbortController();
  const secrets = new Secrets([ACCESS_KEY]);
  const presence = new Presence(undefined, 0);
  const returns = new PasswordReturns(configuration, users, contacts, closed.signal, secrets, presence);
  const instruments = new Instruments('default');
  const emit = (): void => undefined;
  return {
    crm,
    users,
    presence,
    returns,
    closed,
    site: { configuration, users, contacts, returns, closed: closed.signal, secrets, instruments, emit },
    addUser: ({ passwordHash, state }) =>
      users.create(newUser({ contactId: '1', passwordHash, syncState: formatSyncState(state) })),
    logged: (level) => logger.lines.filter((line) => line.startsWith(level)),
    stored: () => {
      const [user] = users.all();
      return { user: user!, state: parseSyncState(user!.syncState) };
    },
  };
}

/** The conditions of a webhook out of a queue that has a minute, and what a test says of them. */
export const conditions = (given: Partial<Conditions> = {}): Conditions => ({
  lookUntil: 0,
  readUntil: Date.now() + 60_000,
  waitUntil: Date.now() + 60_000,
  isExclusive: true,
  mayGoOn: () => undefined,
  ...given,
});

/** An error of ours. */
export const failure = (code: ErrorCode, retryAfter?: number): WpFusionError =>
  new WpFusionError(code, 'No.', retryAfter === undefined ? {} : { retryAfter });
