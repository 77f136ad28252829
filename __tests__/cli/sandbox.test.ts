// sandbox: an account that a client can talk to, until Ctrl-C.
import { OntraportClient } from '../../lib';
import { Folder, isTerminalThere } from './command';

const ALL_SAID = /Ctrl-C ends it/;

test.each(['SIGINT', 'SIGTERM'] as const)('gives an account on stdout, until %s', async (signal) => {
  const running = new Folder().start(['sandbox']);
  await running.says(ALL_SAID);
  const {
    baseUrl = '',
    appId = '',
    apiKey = '',
  } = Object.fromEntries(
    running.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('=')),
  ) as Record<string, string>;
  const client = new OntraportClient({ baseUrl, appId, apiKey });
  const contacts = await client.getContacts(['1', '2', '3']);
  expect([...contacts.values()].map(({ email, tags }) => [email, ...tags.map(({ name }) => name)])).toEqual([
    ['mary@example.com', 'Customer', 'Newsletter'],
    ['john@example.com', 'Customer'],
    ['ann@example.com', 'Newsletter'],
  ]);
  const fields = (await client.describeFields()).map(({ key, label }) => `${key} ${label}`);
  expect(fields).toEqual(expect.arrayContaining(['f1555 Username', 'f1556 Password']));
  expect(running.stderr).toContain(
    `new OntraportClient({ appId: '${appId}', apiKey: '${apiKey}', baseUrl: '${baseUrl}' })`,
  );
  running.kill(signal);
  expect((await running.ended).code).toBe({ SIGINT: 130, SIGTERM: 143 }[signal]);
  await expect(client.getContacts(['1'], { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
    code: 'CRM_UNAVAILABLE',
  });
});

test('on a port that is taken says so', async () => {
  const folder = new Folder();
  const first = folder.start(['sandbox', '--json']);
  await first.says(ALL_SAID);
  const { baseUrl } = JSON.parse(first.stdout) as { baseUrl: string };
  const { port } = new URL(baseUrl);
  const { code, stdout, stderr } = await folder.run('sandbox', '--port', port);
  expect([code, stdout, stderr]).toEqual([
    1,
    '',
    `wp-fusion-webhook: The port ${port} is taken; give another one.\n`,
  ]);
});

(isTerminalThere() ? test : test.skip)('Ctrl-C on a terminal ends it', async () => {
  const running = new Folder().startOnTerminal(['sandbox']);
  await running.says(ALL_SAID);
  running.type('\x03');
  expect((await running.ended).code).toBe(130);
});
