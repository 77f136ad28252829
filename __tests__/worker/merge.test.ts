// What waits for one contact as one webhook: nothing that was asked for gets lost, and nothing is done that nobody asked for.
import type { Job } from '../../lib';
import { RolePolicy } from '../../lib/users/role-policy';
import { merge } from '../../lib/worker/merge';

const roles = new RolePolicy(['subscriber', 'Customer'], 'subscriber');
const merged = (...jobs: Partial<Job>[]) =>
  merge(
    '7',
    jobs.map((job, index) => ({
      id: String(index + 1),
      isDue: true,
      job: { action: 'update', receivedAt: 1000, ...job },
    })),
    roles,
  );

test('one webhook stays what it is', () => {
  const job = { role: 'customer', email: 'a@b.c', sendNotification: true, correlationId: 'one' };
  expect(merged({ action: 'add', ...job })).toEqual({
    action: 'add',
    contactId: '7',
    role: 'customer',
    emails: ['a@b.c'],
    sendNotification: true,
    dryRun: false,
    correlationId: 'one',
    parameters: {},
  });
});

test('what was not asked for is not done', () => {
  expect(merged({}, { sendNotification: false })).toEqual({
    action: 'update',
    contactId: '7',
    role: undefined,
    emails: [],
    sendNotification: false,
    dryRun: false,
    correlationId: undefined,
    parameters: {},
  });
});

test.each([
  [['settle', 'update_tags', 'update', 'add'], 'add'],
  [['settle', 'update_tags', 'update'], 'update'],
  [['settle', 'update_tags'], 'update_tags'],
  [['settle', 'settle'], 'settle'],
  [['of a newer version', 'update_tags'], 'update_tags'],
  [['of a newer version', 'another one'], 'of a newer version'],
])('of %j the strongest is run, in whatever order they came: %s', (actions, expected) => {
  const jobs = actions.map((action) => ({ action }));
  expect(merged(...jobs).action).toBe(expected);
  if (!expected.includes('newer')) expect(merged(...jobs.reverse()).action).toBe(expected);
});

test.each([
  [['subscriber', 'customer'], 'customer'],
  [['customer', 'subscriber'], 'subscriber'],
  // One after the other the second would have changed nothing.
  [['customer', 'administrator'], 'customer'],
  [['administrator', undefined, 'customer', undefined], 'customer'],
  // Kept, for the warning.
  [['administrator'], 'administrator'],
  [['administrator', 'editor'], 'editor'],
  [['editor', 'administrator', 'author'], 'author'],
  [[undefined, undefined], undefined],
])('of the roles %j the last that can be given counts: %s', (asked, expected) => {
  expect(merged(...asked.map((role) => ({ role }))).role).toBe(expected);
});

test('where nothing waits, only what is owed is looked for', () => {
  expect(merged()).toMatchObject({ action: 'settle', role: undefined, emails: [], sendNotification: false });
});

test('every email, every welcome mail and every id counts, in their order', () => {
  expect(
    merged(
      { email: 'one@b.c', correlationId: 'one' },
      { sendNotification: true },
      { email: 'two@b.c', correlationId: 'two', sendNotification: false },
    ),
  ).toMatchObject({ emails: ['one@b.c', 'two@b.c'], sendNotification: true, correlationId: 'one two' });
});
