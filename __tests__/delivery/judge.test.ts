// The judge of the kill test finds each thing that can go wrong: a judge that sees nothing would prove nothing.
import type { User } from '../../lib';
import { judge, tell, type ContactFacts, type Facts } from './judge';
import type { LedgerLine } from './ledger';
import { makePlan } from './plan';
import type { AcceptedWebhook } from './senders';

const user = (changes: Partial<User> = {}): User => ({
  id: '1',
  contactId: '7',
  email: 'mary@example.com',
  username: 'mary@example.com',
  passwordHash: 'a hash',
  role: 'customer',
  tags: ['Member', 'VIP'],
  meta: { plan: 'gold' },
  syncState: null,
  ...changes,
});

const contact = (changes: Partial<ContactFacts> = {}): ContactFacts => ({
  contactId: '7',
  email: 'mary@example.com',
  plan: 'gold',
  tags: ['VIP', 'Member'],
  hasPassword: true,
  passwordLogsIn: true,
  ...changes,
});

const webhook = (changes: Partial<AcceptedWebhook> = {}): AcceptedWebhook => ({
  number: 0,
  contact: 0,
  contactId: '7',
  action: 'add',
  sendNotification: true,
  change: {},
  acceptedAs: 0,
  sent: 1,
  ...changes,
});

const LEDGER: readonly LedgerLine[] = [
  { pid: 1, what: 'afterCreate', contactId: '7', tags: ['Member'] },
  { pid: 1, what: 'mail', contactId: '7' },
  { pid: 1, what: 'beforeTagsChange', contactId: '7', added: ['VIP'], removed: [] },
];

const ACCEPTED = [
  webhook({ role: 'vip' }),
  webhook({ action: 'update', role: 'customer', sendNotification: false }),
  webhook({ action: 'update', role: 'admin', sendNotification: false }),
  webhook({ action: 'update_tags', sendNotification: false }),
];

const facts = (changes: Partial<Facts> = {}): Facts => ({
  contacts: [contact()],
  users: [user()],
  ledger: LEDGER,
  waiting: [],
  dead: [],
  lanes: [],
  ...changes,
});

const without = (what: LedgerLine['what']): LedgerLine[] => LEDGER.filter((line) => line.what !== what);

test('finds nothing wrong where nothing is', () => {
  expect(judge(ACCEPTED, facts())).toEqual([]);
  const settle = { contactId: '7', action: 'settle', body: '{}' };
  expect(judge(ACCEPTED, facts({ waiting: [settle], lanes: ['7'] }))).toEqual([]);
});

test.each<[string, Partial<Facts>, RegExp]>([
  ['a lost webhook: no user', { users: [] }, /0 users instead of one/],
  ['a doubled user', { users: [user(), user({ id: '2' })] }, /2 users instead of one/],
  ['a user of no contact', { users: [user(), user({ contactId: '8', id: '2' })] }, /a user of nobody/],
  ['an overtaken role', { users: [user({ role: 'vip' })] }, /the role is vip instead of customer/],
  ['an overtaken field', { contacts: [contact({ plan: 'silver' })] }, /the plan is gold instead of silver/],
  ['a field that is gone', { users: [user({ meta: {} })] }, /the plan is none instead of gold/],
  ['overtaken tags', { contacts: [contact({ tags: ['VIP'] })] }, /the tags are \[Member,VIP\]/],
  ['another email', { users: [user({ email: 'other@example.com' })] }, /the email is other@example.com/],
  ['a hook that was forgotten', { ledger: without('afterCreate') }, /afterCreate never ran/],
  ['a mail that was forgotten', { ledger: without('mail') }, /no mail was sent/],
  ['a tag that no hook heard of', { ledger: without('beforeTagsChange') }, /no hook was told of the tag VIP/],
  ['no password', { contacts: [contact({ hasPassword: false })] }, /the CRM shows no password/],
  ['a password that is wrong', { contacts: [contact({ passwordLogsIn: false })] }, /does not log in/],
  [
    'a webhook that still waits',
    { waiting: [{ contactId: '7', action: 'add', body: '{"action":"add"}' }], lanes: ['7'] },
    /still waiting: \{"action":"add"\}/,
  ],
  ['a dead letter', { dead: [{ contactId: '7', action: 'add', body: 'why' }] }, /given up: why/],
  ['a lane without webhooks', { lanes: ['7'] }, /its lane does not fit 0 waiting webhooks/],
  [
    'two processes at once',
    { ledger: [...LEDGER, { pid: 2, what: 'collision', contactId: '7', detail: 'in the hands of 1' }] },
    /in the hands of 1/,
  ],
])('finds %s', (_name, changes, expected) => {
  const wrongs = judge(ACCEPTED, facts(changes));
  expect(wrongs.map(({ what }) => what).join('\n')).toMatch(expected);
});

test('tells the whole story of a wrong contact, without its password', () => {
  const broken = facts({ ledger: without('mail') });
  const story = tell(judge(ACCEPTED, broken), ACCEPTED, broken);
  expect(story).toMatch(
    /Contact 7: no mail was sent\n( {2}accepted .*\n){4}( {2}.*\n){2} {2}user .*\n {2}CRM {2}.*/,
  );
  expect(story).not.toContain('a hash');
});

describe('a contact that nobody added', () => {
  const only = [webhook({ action: 'update', sendNotification: false })];
  const nothing = {
    users: [],
    ledger: [],
    contacts: [contact({ hasPassword: false, passwordLogsIn: false })],
  };

  test('has no user', () => {
    expect(judge(only, facts(nothing))).toEqual([]);
    expect(judge(only, facts({ ...nothing, users: [user()] }))).not.toEqual([]);
  });

  test.each(LEDGER)('and nothing happens for it: $what', (line) => {
    expect(judge(only, facts({ ...nothing, ledger: [line] }))).toHaveLength(1);
  });
});

test('finds a mail that nobody asked for', () => {
  const quiet = ACCEPTED.map((one) => ({ ...one, sendNotification: false }));
  expect(judge(quiet, facts()).map(({ what }) => what)).toEqual(['a mail was sent and nobody asked for one']);
});

test('a plan has what the kill test needs, and repeats', () => {
  const options = { seed: 5, webhooks: 1000, contacts: 600, portions: 27 };
  const plan = makePlan(options);
  expect(makePlan(options)).toEqual(plan);
  expect(makePlan({ ...options, seed: 6 })).not.toEqual(plan);
  expect(plan).toHaveLength(1000);
  expect(new Set(plan.map(({ contact }) => contact)).size).toBe(600);
  expect(new Set(plan.map(({ action }) => action))).toEqual(new Set(['add', 'update', 'update_tags']));
  const stories = Array.from({ length: 600 }, (_, index) => plan.filter(({ contact }) => contact === index));
  expect(stories.filter((story) => story.every(({ action }) => action !== 'add')).length).toBeGreaterThan(50);
  for (const story of stories) {
    const mails = story
      .filter(({ action }) => action === 'add')
      .map(({ sendNotification }) => sendNotification);
    expect(new Set(mails).size).toBeLessThanOrEqual(1);
    // What changes a field is brought by the webhook behind it.
    for (const { action, change } of story) if (action === 'update_tags') expect(change.plan).toBeUndefined();
  }
});
