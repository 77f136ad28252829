// What must be true in the end for each contact, and what is wrong where it is not.
import type { User } from '../../lib';
import type { LedgerLine } from './ledger';
import { contactOf } from './ledger';
import { ASSIGNABLE_ROLES, DEFAULT_ROLE } from './plan';
import type { AcceptedWebhook } from './senders';

/** A contact as the CRM shows it in the end. */
export interface ContactFacts {
  readonly contactId: string;
  readonly email: string;
  readonly plan: string | null;
  readonly tags: readonly string[];
  /** Whether the password that it shows is the user's. */
  readonly passwordLogsIn: boolean;
  readonly hasPassword: boolean;
}

/** A webhook that is still in the queue, or was given up. */
export interface KeptJob {
  readonly contactId: string;
  readonly action: string;
  readonly body: string;
}

/** Everything that can be seen when all is over. */
export interface Facts {
  readonly contacts: readonly ContactFacts[];
  readonly users: readonly User[];
  readonly ledger: readonly LedgerLine[];
  readonly waiting: readonly KeptJob[];
  readonly dead: readonly KeptJob[];
  /** Contacts that the queue holds as having something to do. */
  readonly lanes: readonly string[];
  /** Whether a webhook that was refused may have been stored all the same, and late: nobody promises its order then. */
  readonly mayBeLate?: boolean;
}

/** Something that is not as it must be. `contactId` is `undefined` where it is about all of them. */
export interface Wrong {
  readonly contactId: string | undefined;
  readonly what: string;
}

/** Compares the end with what was accepted. */
export function judge(accepted: readonly AcceptedWebhook[], facts: Facts): Wrong[] {
  const known = new Set(facts.contacts.map(({ contactId }) => contactId));
  const addedCount = facts.contacts.filter(({ contactId }) =>
    accepted.some((webhook) => webhook.contactId === contactId && webhook.action === 'add'),
  ).length;
  const all: string[] = [];
  if (facts.users.length !== addedCount) {
    all.push(`${facts.users.length} users for ${addedCount} contacts that were added`);
  }
  for (const user of facts.users) {
    if (user.contactId === null || !known.has(user.contactId)) all.push(`a user of nobody: ${user.email}`);
  }
  return [
    ...all.map((what) => ({ contactId: undefined, what })),
    ...facts.contacts.flatMap((contact) => {
      const { contactId } = contact;
      const own = accepted.filter((webhook) => webhook.contactId === contactId);
      return judgeContact(contact, own, facts).map((what) => ({ contactId, what }));
    }),
  ];
}

function judgeContact(contact: ContactFacts, accepted: readonly AcceptedWebhook[], facts: Facts): string[] {
  const { contactId } = contact;
  const wrong: string[] = [];
  const require = (isTrue: boolean, otherwise: string): void => {
    if (!isTrue) wrong.push(otherwise);
  };
  const mine = <Item extends { contactId: string }>(items: readonly Item[]): Item[] =>
    items.filter((item) => item.contactId === contactId);
  const lines = facts.ledger.filter((line) => contactOf(line) === contactId);
  const count = (what: LedgerLine['what']): number => lines.filter((line) => line.what === what).length;
  const adds = accepted.filter(({ action }) => action === 'add');
  const users = facts.users.filter((user) => user.contactId === contactId);

  const left = mine(facts.waiting);
  for (const { action, body } of left) require(action === 'settle', `still waiting: ${body}`);
  for (const { body } of mine(facts.dead)) wrong.push(`given up: ${body}`);
  require(facts.lanes.includes(contactId) ===
    left.length > 0, `its lane does not fit ${left.length} waiting webhooks`);
  for (const line of lines) if (line.what === 'collision') wrong.push(line.detail);

  if (adds.length === 0) {
    require(users.length === 0, `${users.length} users, and nobody asked for one`);
    require(count('afterCreate') === 0, 'afterCreate ran for a user that must not be');
    require(count('mail') === 0, 'a mail for a user that must not be');
    require(count('beforeTagsChange') + count('afterUpdate') === 0, 'hooks ran for a user that must not be');
    return wrong;
  }

  const [user] = users;
  require(users.length === 1, `${users.length} users instead of one`);
  require(count('afterCreate') > 0, 'afterCreate never ran');
  const wantsMail = adds.some(({ sendNotification }) => sendNotification);
  require(!wantsMail || count('mail') > 0, 'no mail was sent');
  require(wantsMail || count('mail') === 0, 'a mail was sent and nobody asked for one');
  require(contact.hasPassword, 'the CRM shows no password');
  require(!contact.hasPassword || contact.passwordLogsIn, 'the password that the CRM shows does not log in');
  if (user === undefined) return wrong;

  const roles = possibleRoles(accepted, facts.mayBeLate === true);
  require(roles.includes(user.role), `the role is ${user.role} instead of ${roles.join(' or ')}`);
  require(user.email === contact.email, `the email is ${user.email} instead of ${contact.email}`);
  const plan = (user.meta.plan as string | undefined) ?? null;
  require(plan === contact.plan, `the plan is ${plan ?? 'none'} instead of ${contact.plan ?? 'none'}`);
  require(isSameSet(
    user.tags,
    contact.tags,
  ), `the tags are [${user.tags.join()}] instead of [${contact.tags.join()}]`);
  const told = new Set(
    lines.flatMap((line) =>
      line.what === 'afterCreate' ? line.tags : line.what === 'beforeTagsChange' ? line.added : [],
    ),
  );
  for (const tag of user.tags) require(told.has(tag), `no hook was told of the tag ${tag}`);
  return wrong;
}

/** The last assignable role that was asked for, or the default one; and those that may have come late. */
function possibleRoles(accepted: readonly AcceptedWebhook[], mayBeLate: boolean): string[] {
  const asking = accepted.filter(
    ({ action, role }) => action !== 'update_tags' && ASSIGNABLE_ROLES.some((one) => one === role),
  );
  const late = asking.filter(({ sent }) => mayBeLate && sent > 1);
  return [asking.at(-1)?.role ?? DEFAULT_ROLE, ...late.flatMap(({ role }) => role ?? [])];
}

const isSameSet = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((item) => other.includes(item));

/** What is wrong, with the whole story of the first few contacts. */
export function tell(wrongs: readonly Wrong[], accepted: readonly AcceptedWebhook[], facts: Facts): string {
  if (wrongs.length === 0) return '';
  const contactIds = [...new Set(wrongs.map(({ contactId }) => contactId))];
  const stories = contactIds.slice(0, 5).map((contactId) => {
    const all = wrongs.filter((wrong) => wrong.contactId === contactId).map((wrong) => wrong.what);
    const what = [...new Set(all)].join('; ');
    if (contactId === undefined) return `All: ${what}`;
    return [
      `Contact ${contactId}: ${what}`,
      ...accepted
        .filter((webhook) => webhook.contactId === contactId)
        .map((webhook) => `  accepted ${JSON.stringify(webhook)}`),
      ...facts.ledger
        .filter((line) => contactOf(line) === contactId)
        .map((line) => `  ${JSON.stringify(line)}`),
      ...facts.users
        .filter((user) => user.contactId === contactId)
        // Neither a password nor a hash belongs into the output of a test.
        .map(({ passwordHash: _hash, ...user }) => `  user ${JSON.stringify(user)}`),
      `  CRM  ${JSON.stringify(facts.contacts.find((contact) => contact.contactId === contactId))}`,
    ].join('\n');
  });
  return `${wrongs.length} things are wrong with ${contactIds.length} contacts.\n${stories.join('\n')}`;
}
