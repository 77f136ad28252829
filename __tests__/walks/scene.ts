// What the tests of the walks share: sites with a queue and without one over one account, and the calls that a walk makes there.
import { inspect } from 'node:util';
import {
  MemoryUserRepository,
  OntraportClient,
  type NewUser,
  type User,
  type WpFusionWebhookOptions,
} from '../../lib';
import { WORKER_TIMING } from '../../lib/options';
import type { HeldCalls, OntraportSandbox, SandboxCall } from '../../lib/testing';
import { startProcess, startSandbox, until, type LocalProcess } from '../actions/site';
import { cheapHasher, newUser } from '../http/site';
import { realProcess } from '../security/haystack';
import { MemoryWebhookQueue } from '../testing/contracts/memory-queue';

/** Both ways in which a walk's work can be done. */
export const WAYS = ['with a queue', 'without a queue'] as const;
export type Way = (typeof WAYS)[number];

export const HOUR = 3_600_000;
export const MINUTE = 60_000;

const alarms: string[] = [];
const onAlarm = (error: unknown): void => void alarms.push(inspect(error));

/** Fails the file where a promise fails unheard, or too many listeners gather on a signal. */
export function watchProcess(): void {
  beforeAll(() => {
    // No waiting between two tries of a call to the CRM.
    jest.spyOn(Math, 'random').mockReturnValue(0);
    realProcess.on('unhandledRejection', onAlarm).on('uncaughtException', onAlarm).on('warning', onAlarm);
  });
  afterEach(() => expect(alarms.splice(0)).toEqual([]));
  afterAll(() => {
    jest.restoreAllMocks();
    realProcess.off('unhandledRejection', onAlarm).off('uncaughtException', onAlarm).off('warning', onAlarm);
  });
}

export interface Scene {
  readonly sandbox: OntraportSandbox;
  readonly queue: MemoryWebhookQueue;
  readonly users: MemoryUserRepository;
  readonly site: LocalProcess;
  /** Another process of the same site. */
  another(options?: Partial<WpFusionWebhookOptions>): Promise<LocalProcess>;
  /** Adds a contact, and a user that is equal to it but for `user`. Gives the id of the contact. */
  member(contact?: ContactChanges, user?: Partial<NewUser>): Promise<string>;
  user(contactId: string): User | undefined;
}

type ContactChanges = Parameters<OntraportSandbox['addContact']>[0] & {
  readonly email?: string;
  readonly f2?: string;
};

interface SceneOptions extends Omit<Partial<WpFusionWebhookOptions>, 'queue' | 'users'> {
  readonly queue?: MemoryWebhookQueue | undefined;
  readonly users?: MemoryUserRepository | undefined;
}

/** A site over a sandbox. */
export async function open(way: Way, options: SceneOptions = {}): Promise<Scene> {
  const sandbox = await startSandbox();
  const queue = options.queue ?? new MemoryWebhookQueue();
  const users = options.users ?? new MemoryUserRepository();
  const another: Scene['another'] = (more = {}) =>
    startProcess(sandbox, users, {
      timeoutMs: 10_000,
      passwordHasher: cheapHasher,
      [WORKER_TIMING]: { pollMs: 5, gatherMs: 5, pauseMs: 1 },
      ...options,
      queue: way === 'with a queue' ? queue : undefined,
      ...more,
    } as Partial<WpFusionWebhookOptions>);
  let count = 0;
  const member: Scene['member'] = async (contact = {}, user = {}) => {
    count += 1;
    const { email = `p${count}@example.com`, tags = [], f2 } = contact;
    const id = sandbox.addContact({ ...contact, email });
    const meta: NewUser['meta'] = f2 === undefined ? {} : { plan: f2 };
    await users.create(newUser({ email, contactId: id, tags: [...tags], meta, ...user }));
    return id;
  };
  return {
    ...{ sandbox, queue, users, another, member },
    site: await another(),
    user: (contactId) => users.all().find((user) => user.contactId === contactId),
  };
}

/** Repeats something asynchronous, one after the other. */
export async function times<Value>(count: number, work: (index: number) => Promise<Value>): Promise<Value[]> {
  const values: Value[] = [];
  for (let index = 0; index < count; index += 1) values.push(await work(index));
  return values;
}

/** Whether a call is a page of a walk; the others read contacts by their ids. */
export const isPage = ({ method, path, query }: SandboxCall): boolean =>
  method === 'GET' && (path === '/objects/tag' || (path === '/Contacts' && query.ids === undefined));
export const isRead = ({ method, path, query }: SandboxCall): boolean =>
  method === 'GET' && path === '/Contacts' && query.ids !== undefined;
/** Whether a call asks for the page behind a contact: every page but a walk's first. */
export const isLaterPage = (call: SandboxCall): boolean => isPage(call) && afterOf(call) !== undefined;

interface Condition {
  readonly field: { readonly field: string };
  readonly value: { readonly value: number };
}
const conditionsOf = ({ query }: SandboxCall): Condition[] => {
  const parsed: unknown = typeof query.condition === 'string' ? JSON.parse(query.condition) : [];
  return (parsed as (Condition | string)[]).filter((one) => typeof one !== 'string');
};
const valueOf = (call: SandboxCall, name: string): number | undefined =>
  conditionsOf(call).find(({ field }) => field.field === name)?.value.value;
/** Since when a page's contacts were modified, in seconds. */
export const sinceOf = (call: SandboxCall): number | undefined => valueOf(call, 'dlm');
/** Behind which contact a page begins. */
export const afterOf = (call: SandboxCall): number | undefined => valueOf(call, 'id');

/** The pages that walks have asked for. */
export const pagesOf = (sandbox: OntraportSandbox): SandboxCall[] => sandbox.calls.filter(isPage);
export const readsOf = (sandbox: OntraportSandbox): SandboxCall[] => sandbox.calls.filter(isRead);

/** Holds the page behind the first one. */
export const holdSecondPage = (sandbox: OntraportSandbox): HeldCalls =>
  sandbox.hold({ where: isLaterPage, times: 1 });

/** The same client, so that calls of a walk can be told from those of webhooks, or be changed. */
export const clientOf = ({ appId, apiKey, baseUrl }: OntraportSandbox): OntraportClient =>
  new OntraportClient({ appId, apiKey, baseUrl });

/** Resolves when the queue holds nothing that waits. */
export const emptied = (queue: MemoryWebhookQueue): Promise<void> =>
  until(async () => (await queue.counts('default')).waiting === 0);
