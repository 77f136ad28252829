// The whole way: a webhook, a user, a mail on a real mail server. A mail that is owed is sent in the end, whoever dies when.
import { MemoryUserRepository, type WpFusionWebhookOptions } from '../../lib';
import type { Step } from '../../lib/actions/steps';
import { FAIL_POINT } from '../../lib/options';
import type { SmtpNotifierOptions } from '../../lib/smtp';
import type { OntraportSandbox } from '../../lib/testing';
import { parseSyncState } from '../../lib/users/sync-state';
import { startProcess, startSandbox, type Process } from '../actions/site';
import {
  closedPort,
  notifierFor,
  startMailServer,
  startRawServer,
  takesUntilContent,
  type MailServer,
} from './mail-server';

const WITH_MAIL = { send_notification: 'true' };

interface Scene {
  sandbox: OntraportSandbox;
  users: MemoryUserRepository;
  contactId: string;
  mailServer: MailServer;
  /** Another process of the site, with a notifier of its own. */
  start(notifier?: Partial<SmtpNotifierOptions>, options?: Partial<WpFusionWebhookOptions>): Promise<Process>;
  isOwed(): boolean | undefined;
}

async function scene(mailServer?: MailServer): Promise<Scene> {
  const sandbox = await startSandbox();
  const users = new MemoryUserRepository();
  const server = mailServer ?? (await startMailServer());
  return {
    sandbox,
    users,
    mailServer: server,
    contactId: sandbox.addContact({ firstname: 'Mary', lastname: 'Smith', email: 'mary@example.com' }),
    start: (notifier, options) =>
      startProcess(sandbox, users, {
        returnPassword: { field: 'f1' },
        notifier: notifierFor(notifier?.transport ?? server.url, notifier),
        ...options,
      }),
    isOwed: () => parseSyncState(users.all()[0]?.syncState ?? null).mail,
  };
}

/** A process that stops for good at a step. Its webhook is given up soon, or jest would wait for the timer of that. */
function dyingAt(fatal: Step): { options: object; died: Promise<void> } {
  let report: () => void = () => undefined;
  const died = new Promise<void>((resolve) => (report = resolve));
  const atStep = async (step: Step): Promise<void> => {
    if (step !== fatal) return;
    report();
    await new Promise<never>(() => undefined);
  };
  return { options: { [FAIL_POINT]: atStep, timeoutMs: 500 }, died };
}

test('a new user gets one mail, and none with later webhooks', async () => {
  const { sandbox, contactId, mailServer, start, isOwed } = await scene();
  const site = await start();
  const answer = await site.ping('add', contactId, WITH_MAIL);
  expect(answer.json).toMatchObject({ outcome: 'created', warnings: [] });
  await site.ping('add', contactId, WITH_MAIL);
  await site.ping('update', contactId);
  expect(mailServer.mails).toHaveLength(1);
  const { email, raw, recipients } = mailServer.mails[0]!;
  expect(recipients).toEqual(['mary@example.com']);
  expect(email.text).toContain('Hello Mary,');
  expect(email.text).toContain('Username: mary@example.com');
  expect(isOwed()).toBe(false);
  // The password went to the contact, and only there.
  const password = sandbox.contact(contactId)?.f1;
  expect(password).toMatch(/^\S{16}$/);
  expect(raw).not.toContain(password);
});

test('nobody who did not ask gets one', async () => {
  const { contactId, mailServer, start } = await scene();
  await (await start()).ping('add', contactId);
  expect(mailServer.asked).toEqual([]);
});

describe('a mail that cannot be sent stays owed, and the contact’s next webhook sends it', () => {
  async function expectOwedThenSent(theScene: Scene, site: Process, next: Process): Promise<void> {
    const { contactId, mailServer, isOwed } = theScene;
    const answer = await site.ping('add', contactId, WITH_MAIL);
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ outcome: 'created', warnings: [{ code: 'NOTIFICATION_FAILED' }] });
    expect(isOwed()).toBe(true);
    expect(mailServer.mails).toEqual([]);
    expect((await next.ping('update_tags', contactId)).json).toMatchObject({ ok: true, warnings: [] });
    expect(mailServer.mails.map(({ recipients }) => recipients)).toEqual([['mary@example.com']]);
    expect(isOwed()).toBe(false);
  }

  test('the mail server is down', async () => {
    const theScene = await scene();
    const down = await theScene.start({ transport: `smtp://127.0.0.1:${await closedPort()}` });
    await expectOwedThenSent(theScene, down, await theScene.start());
  });

  test.each([451, 550])('the mail server says %i at first', async (responseCode) => {
    let times = 0;
    const mailServer = await startMailServer({
      onRcptTo: (_address, _session, callback) =>
        (times += 1) > 1 ? callback() : callback(Object.assign(new Error('not now'), { responseCode })),
    });
    const theScene = await scene(mailServer);
    const site = await theScene.start();
    await expectOwedThenSent(theScene, site, site);
  });

  test('the mail server never answers', async () => {
    const theScene = await scene();
    const { url } = await startRawServer(() => undefined);
    const hanging = await theScene.start({ transport: url, timeoutMs: 100 });
    await expectOwedThenSent(theScene, hanging, await theScene.start());
  });

  test('the login link cannot be made', async () => {
    const theScene = await scene();
    const broken = await theScene.start({ loginUrl: async () => Promise.reject(new Error('no database')) });
    await expectOwedThenSent(theScene, broken, await theScene.start());
  });

  test('the email was wrong, and is put right in the CRM', async () => {
    const mailServer = await startMailServer({
      onRcptTo: ({ address }, _session, callback) =>
        address === 'mary@example.com'
          ? callback(Object.assign(new Error('unknown'), { responseCode: 550 }))
          : callback(),
    });
    const { sandbox, contactId, start, isOwed } = await scene(mailServer);
    const site = await start();
    await site.ping('add', contactId, WITH_MAIL);
    expect(isOwed()).toBe(true);
    sandbox.updateContact(contactId, { email: 'mary.smith@example.com' });
    expect((await site.ping('update', contactId)).json).toMatchObject({ outcome: 'updated', warnings: [] });
    expect(mailServer.mails.map(({ recipients }) => recipients)).toEqual([['mary.smith@example.com']]);
    expect(isOwed()).toBe(false);
  });

  test('what is logged tells the reason and no password of the mail server', async () => {
    const { contactId, start, isOwed } = await scene();
    const lines: unknown[] = [];
    const write = (...line: unknown[]): void => void lines.push(line);
    const password = 's3cr3t of the mail server';
    const { url } = await startRawServer((socket) =>
      socket.write(`554 no ${password} for mary@example.com\r\n`),
    );
    const transport = url.replace('//', `//user:${encodeURIComponent(password)}@`);
    const logger = { debug: write, info: write, warn: write, error: write };
    const site = await start({ transport }, { logger });
    await site.ping('add', contactId, WITH_MAIL);
    const told = JSON.stringify(lines);
    expect(told).toContain('The mail server refused the welcome mail (554');
    expect(told).not.toMatch(/s3cr3t|mary@example\.com/);
    expect(isOwed()).toBe(true);
  });
});

describe('a process that dies', () => {
  test('before it sends: another one does', async () => {
    const { contactId, mailServer, start, isOwed } = await scene();
    const { options, died } = dyingAt('mail: about to send');
    const dying = await start({}, options);
    void dying.ping('add', contactId, WITH_MAIL).catch(() => undefined);
    await died;
    expect(mailServer.asked).toEqual([]);
    expect(isOwed()).toBe(true);
    await (await start()).ping('update', contactId);
    expect(mailServer.mails).toHaveLength(1);
    expect(isOwed()).toBe(false);
    await (await start()).ping('update', contactId);
    expect(mailServer.mails).toHaveLength(1);
  });

  /** The mails of a process that dies once the mail server has taken the first, and of the one after it. */
  async function mailsAfterCrash(notifier: Partial<SmtpNotifierOptions>): Promise<MailServer['mails']> {
    const { contactId, mailServer, start, isOwed } = await scene();
    const { options, died } = dyingAt('mail: sent');
    const dying = await start(notifier, options);
    void dying.ping('add', contactId, WITH_MAIL).catch(() => undefined);
    await died;
    expect(mailServer.mails).toHaveLength(1);
    expect(isOwed()).toBe(true);
    await (await start(notifier)).ping('update', contactId);
    await (await start(notifier)).ping('update', contactId);
    expect(isOwed()).toBe(false);
    return mailServer.mails;
  }

  test('between the server’s yes and the crossing off: the same mail comes twice, under one Message-ID', async () => {
    const mails = await mailsAfterCrash({});
    expect(mails).toHaveLength(2);
    const [first, second] = mails.map(({ email }) => email);
    expect(second!.messageId).toBe(first!.messageId);
    expect([second!.text, second!.html]).toEqual([first!.text, first!.html]);
  });

  test('there, with links that work once: two mails, since the second has another link', async () => {
    let count = 0;
    const mails = await mailsAfterCrash({
      loginUrl: async () => Promise.resolve(`https://www.example.com/in/${(count += 1)}`),
    });
    const [first, second] = mails.map(({ email }) => email);
    expect(mails).toHaveLength(2);
    expect(second!.messageId).not.toBe(first!.messageId);
    expect(second!.text).toContain('https://www.example.com/in/2');
  });
});

test('a mail that was taken without an answer is sent again, under the same Message-ID', async () => {
  const { contactId, mailServer, start, isOwed } = await scene();
  let taken = '';
  const { url } = await startRawServer(
    takesUntilContent((socket, soFar) => {
      taken = soFar;
      if (soFar.endsWith('\r\n.\r\n')) socket.destroy();
    }),
  );
  const answer = await (await start({ transport: url })).ping('add', contactId, WITH_MAIL);
  expect(answer.json).toMatchObject({ warnings: [{ code: 'NOTIFICATION_FAILED' }] });
  expect(isOwed()).toBe(true);
  await (await start()).ping('update', contactId);
  const [, messageId] = /^Message-ID: (\S+)/m.exec(taken) ?? [];
  expect(mailServer.mails.map(({ email }) => email.messageId)).toEqual([messageId]);
});

test('a hostile email of a contact reaches nobody', async () => {
  const { sandbox, mailServer, start } = await scene();
  const contactId = sandbox.addContact({ firstname: 'Eve', email: 'group:evil@example.org;' });
  const answer = await (await start()).ping('add', contactId, WITH_MAIL);
  expect(mailServer.asked).toEqual([]);
  expect(answer.json).toMatchObject({ status: 422, code: 'CONTACT_WITHOUT_EMAIL' });
});
