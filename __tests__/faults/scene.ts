// What the fault tests share: one process of a site over one Ontraport, with a hasher that costs nothing, and the process's own alarm.
import {
  MemoryUserRepository,
  OntraportClient,
  type User,
  type UserRepository,
  type WpFusionWebhookOptions,
} from '../../lib';
import type { OntraportSandbox } from '../../lib/testing';
import { fingerprint, formatSyncState, parseSyncState, type SyncState } from '../../lib/users/sync-state';
import { ACCESS_KEY, startProcess, startSandbox, until } from '../actions/site';
import { cheapHasher, newUser } from '../http/site';
import { realProcess } from '../security/haystack';

const alarms: unknown[] = [];
const onAlarm = (error: unknown): void => void alarms.push(error);

const { random } = Math;

/** Fails the file where any promise or callback fails unheard. */
export function watchProcess(): void {
  beforeAll(() => {
    // No waiting between two tries of a call. No spy of jest's, which remembers every call.
    Math.random = () => 0;
    realProcess.on('unhandledRejection', onAlarm).on('uncaughtException', onAlarm);
  });
  afterEach(() => expect(alarms.splice(0)).toEqual([]));
  afterAll(() => {
    Math.random = random;
    realProcess.off('unhandledRejection', onAlarm).off('uncaughtException', onAlarm);
  });
}

export interface Answered {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly json: Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any
}

/** What there is before the webhook. */
export type Start =
  'no user' | 'a linked user' | 'a linked user that is owed a password' | 'an unlinked user';

export interface Scene {
  readonly sandbox: OntraportSandbox;
  readonly users: MemoryUserRepository;
  readonly contactId: string;
  readonly email: string;
  readonly created: string[];
  readonly mailed: string[];
  readonly ask: (action: string, more?: Record<string, string>) => Promise<Answered>;
  readonly user: () => User | undefined;
  readonly debts: () => SyncState;
  readonly passwordLogsIn: () => Promise<boolean>;
  readonly settled: () => Promise<void>;
}

export async function startScene(
  start: Start,
  {
    client = {},
    wrap = (users) => users,
    ...options
  }: Partial<WpFusionWebhookOptions> & {
    client?: { timeoutMs?: number };
    wrap?: (users: MemoryUserRepository) => UserRepository;
  } = {},
): Promise<Scene> {
  const sandbox = await startSandbox();
  const users = new MemoryUserRepository();
  const email = 'mary@example.com';
  const contactId = sandbox.addContact({ firstname: 'Mary', email, f2: 'gold', tags: ['Member'] });
  const created: string[] = [];
  const mailed: string[] = [];
  if (start !== 'no user') {
    const passwordHash = await cheapHasher.hash('the first password');
    const owed = start === 'a linked user that is owed a password';
    await users.create(
      newUser({
        email,
        contactId: start === 'an unlinked user' ? null : contactId,
        passwordHash,
        syncState: formatSyncState({
          hash: fingerprint(passwordHash),
          password: owed ? { claims: [], claimedAt: Math.floor(Date.now() / 1000) } : undefined,
        }),
      }),
    );
  }
  const { appId, apiKey, baseUrl } = sandbox;
  const { url } = await startProcess(sandbox, wrap(users), {
    crm: new OntraportClient({ appId, apiKey, baseUrl, maxResponseBytes: 100_000, ...client }),
    passwordHasher: cheapHasher,
    returnPassword: { field: 'f1' },
    hooks: { afterCreate: ({ user }) => created.push(user.email) },
    notifier: { sendWelcome: async ({ user }) => void mailed.push(user.email) },
    timeoutMs: 10_000,
    ...options,
  });
  const user = (): User | undefined => users.all().find((one) => one.contactId === contactId);
  const passwordLogsIn = async (): Promise<boolean> => {
    const shown = sandbox.contact(contactId)?.f1;
    const hash = user()?.passwordHash;
    return typeof shown === 'string' && hash != null && cheapHasher.verify(shown, hash);
  };
  return {
    sandbox,
    users,
    contactId,
    email,
    created,
    mailed,
    ask: async (action, more = {}) => {
      const query = new URLSearchParams({ wpf_action: action, contact_id: contactId, ...more });
      let over = false;
      // A failure that nobody catches ends the process, or at least leaves the request without an answer: no use to wait for it.
      const alarm = until(() => over || alarms.length > 0).then(() => {
        throw new Error('Nobody caught what was thrown: a process without these listeners would be dead.');
      });
      alarm.catch(() => undefined);
      const answer = fetch(`${url}?${query}`, { method: 'POST', headers: { 'X-Access-Key': ACCESS_KEY } });
      answer.catch(() => undefined);
      const response = await Promise.race([answer, alarm]).finally(() => (over = true));
      return {
        status: response.status,
        retryAfter: response.headers.get('retry-after'),
        json: (await response.json()) as Answered['json'],
      };
    },
    user,
    debts: () => parseSyncState(user()?.syncState ?? null),
    passwordLogsIn,
    settled: () => until(passwordLogsIn),
  };
}
