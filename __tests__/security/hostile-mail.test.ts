// A mail server that answers never, slowly or without end: the webhook is answered in time, the mail stays owed, nothing stays
// behind, and the other pages of the site answer meanwhile.
import type { Socket } from 'node:net';
import { ACCESS_KEY } from '../delivery/common';
import { openSandbox } from '../actions/site';
import { answerOf, open } from '../http/client';
import { startRawServer } from '../smtp/mail-server';
import type { OntraportSandbox } from '../../lib/testing';
import { BusyProcess, expectBounded, killBusySites, untilFreed, Visitor, type Mount } from './busy-process';
import { drip, flood } from './hostile-crm';

const TIMEOUT_MS = 1000;

/** Says yes to everything up to a command, and does something else then. */
const yesUntil =
  (command: string, then: (socket: Socket) => void) =>
  (socket: Socket): void => {
    let isOver = false;
    socket.write('220 ready\r\n');
    socket.on('data', (chunk) => {
      if (isOver) return;
      isOver = chunk.toString('latin1').includes(command);
      if (isOver) then(socket);
      else socket.write('250 yes\r\n');
    });
  };
const nothing = (): void => undefined;

const TALKS: Record<string, (socket: Socket) => void> = {
  'says nothing': nothing,
  'says nothing after EHLO': yesUntil('EHLO', nothing),
  'says nothing after MAIL FROM': yesUntil('MAIL FROM', nothing),
  'says nothing after DATA': yesUntil('DATA', nothing),
  'says nothing after the content': yesUntil('DATA', (socket) => socket.write('354 go on\r\n')),
  'greets byte by byte': (socket) => drip('', '220-still greeting\r\n')(socket, ''),
  'answers byte by byte': yesUntil('MAIL FROM', (socket) => drip('', '250-still thinking\r\n')(socket, '')),
  'greets without end': flood('', '220-hello\r\n'.repeat(1000)),
  'answers without end': yesUntil('EHLO', flood('', '250-EXTENSION\r\n'.repeat(1000))),
  'answers one line without end': yesUntil('EHLO', flood('250-', 'x'.repeat(10_000))),
};

let sandbox: OntraportSandbox;
afterEach(async () => {
  await killBusySites();
  await sandbox.close();
});

test('each of them', async () => {
  sandbox = await openSandbox();
  const { appId, apiKey, baseUrl } = sandbox;
  const contactId = sandbox.addContact({ email: 'mary@example.com' });
  const connections = new Set<Socket>();
  const mounts = await Promise.all(
    Object.values(TALKS).map(async (talk, index): Promise<Mount> => {
      const { url } = await startRawServer((socket) => {
        connections.add(socket);
        socket.on('close', () => connections.delete(socket));
        talk(socket);
      });
      const login = 'https://www.example.com/login';
      return {
        path: `/${index}`,
        crm: { appId, apiKey, baseUrl },
        webhook: { accessKey: ACCESS_KEY, timeoutMs: 60_000 },
        smtp: { transport: url, from: 'shop@example.com', loginUrl: login, timeoutMs: TIMEOUT_MS },
      };
    }),
  );
  const site = await BusyProcess.start({ mounts }, 64);
  const before = await site.measure();
  const visitor = new Visitor(site.url);
  const answers = await Promise.all(
    mounts.map(async ({ path }) => {
      const query = `wpf_action=add&access_key=${ACCESS_KEY}&contact_id=${contactId}&send_notification=true`;
      const sent = open(site.url, { path: `${path}?${query}`, ownConnection: true });
      sent.end();
      const { json } = await answerOf(sent);
      return [json.outcome, json.warnings.map(({ code }: { code: string }) => code)];
    }),
  );
  const titles = Object.keys(TALKS);
  expect(Object.fromEntries(titles.map((title, index) => [title, answers[index]]))).toEqual(
    Object.fromEntries(titles.map((title) => [title, ['created', ['NOTIFICATION_FAILED']]])),
  );
  expect(await visitor.ended()).toBeGreaterThan(0);
  // Each mount keeps its connection to the CRM.
  expectBounded(before, await untilFreed(site, before, mounts.length));
  expect(connections.size).toBe(0);
  await site.close();
});
