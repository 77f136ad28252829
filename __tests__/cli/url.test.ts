// url: what is printed is what the middleware takes.
import { openSite } from './command';

const OPTIONS = `
  accessKey: [
    { key: 'the-key-of-the-automations', name: 'automations', actions: ['add', 'update'] },
    { key: 'the-key-of-the-staff', name: 'staff' },
  ],
  actions: { greet: async () => ({ outcome: 'greeted' }) },`;
const BASE = 'https://www.example.com/hooks?wpf_action=';

describe('what is asked for', () => {
  test.each<[string, string]>([
    ['--action add', `${BASE}add&access_key=YOUR-ACCESS-KEY&contact_id=[Contact ID]`],
    [
      '--action ADD --role Customer',
      `${BASE}add&access_key=YOUR-ACCESS-KEY&role=customer&contact_id=[Contact ID]`,
    ],
    [
      '--action update --async true',
      `${BASE}update&access_key=YOUR-ACCESS-KEY&async=true&contact_id=[Contact ID]`,
    ],
    [
      '--action add --async=false',
      `${BASE}add&access_key=YOUR-ACCESS-KEY&async=false&contact_id=[Contact ID]`,
    ],
    ['--action greet', `${BASE}greet&access_key=YOUR-ACCESS-KEY&contact_id=[Contact ID]`],
    ['--action test', `${BASE}test&access_key=YOUR-ACCESS-KEY`],
    ['--action add --header', `${BASE}add&contact_id=[Contact ID]\nX-Access-Key: YOUR-ACCESS-KEY`],
    ['--action add --key staff', `${BASE}add&access_key=YOUR-ACCESS-KEY&contact_id=[Contact ID]`],
    [
      '--action add --key staff --show-key',
      `${BASE}add&access_key=the-key-of-the-staff&contact_id=[Contact ID]`,
    ],
    // The only one that may.
    [
      '--action update_tags --show-key',
      `${BASE}update_tags&access_key=the-key-of-the-staff&contact_id=[Contact ID]`,
    ],
    [
      '--action add --key automations --show-key --header',
      `${BASE}add&contact_id=[Contact ID]\nX-Access-Key: the-key-of-the-automations`,
    ],
    [
      '--action add --site http://localhost:3000',
      'http://localhost:3000/?wpf_action=add&access_key=YOUR-ACCESS-KEY&contact_id=[Contact ID]',
    ],
  ])('%s', async (args, printed) => {
    const { folder } = await openSite({ options: OPTIONS });
    expect(await folder.run('url', ...args.split(' '))).toEqual({
      code: 0,
      stdout: `${printed}\n`,
      stderr: '',
    });
  });

  test('as JSON', async () => {
    const { folder } = await openSite({ options: OPTIONS });
    const { stdout } = await folder.run('url', '--action', 'add', '--header', '--json');
    expect(JSON.parse(stdout)).toEqual({
      url: `${BASE}add&contact_id=[Contact ID]`,
      header: 'X-Access-Key: YOUR-ACCESS-KEY',
    });
  });

  test('a mail that nobody sends is told', async () => {
    const { folder } = await openSite();
    const { code, stdout, stderr } = await folder.run('url', '--action', 'add', '--send-notification');
    expect([code, stdout]).toEqual([0, expect.stringContaining('&send_notification=true&')]);
    expect(stderr).toContain('the site has no notifier');
  });
});

test.each<[string, string]>([
  ['', '--action is missing.'],
  ['--action ad', '--action: "ad" is no action; did you mean "add"?'],
  ['--action gret', '--action: "gret" is no action; did you mean "greet"?'],
  ['--action delete', '--action: "delete" is no action. There are: add, update, update_tags, test, greet.'],
  [
    '--action add --role custmer',
    '--role: "custmer" is no role of roles.assignable; did you mean "customer"?',
  ],
  [
    '--action add --role administrator',
    '--role: "administrator" is no role of roles.assignable. There are: subscriber, customer.',
  ],
  ['--action add --key stuff', '--key: "stuff" is no access key; did you mean "staff"?'],
  ['--action update_tags --key automations', '--key: "automations" may not ask for update_tags.'],
  ['--action add --show-key', '--key is missing: the site has several keys for add: automations, staff.'],
  ['--action add --async maybe', '--async must be true or false, got "maybe".'],
  ['--action add --site example.com', '--site must be an address of the web'],
])('url %s is refused', async (args, message) => {
  const { folder } = await openSite({ options: OPTIONS });
  const words = args.split(' ').filter((word) => word !== '');
  const { code, stdout, stderr } = await folder.run('url', ...words);
  expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(message)]);
  expect(stderr).not.toMatch(/the-key-of/);
});
