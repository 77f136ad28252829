// The ways a mail leaves, and what becomes of it where the mail server says no, says nothing, or is not there.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import nodemailer from 'nodemailer';
import type { MailMessage, MailTransport, SmtpNotifierOptions } from '../../lib/smtp';
import {
  closedPort,
  failureOf,
  notifierFor,
  someone,
  startMailServer,
  startRawServer,
  takesUntilContent,
  type MailServer,
} from './mail-server';

type Transport = SmtpNotifierOptions['transport'];

const USER = 'shop-mailer';
const PASSWORD = 'p@ss/wörd?#%:1';

/** A server that knows one user; what it says to a wrong password is all that it was told. */
async function startServerWithLogin(): Promise<MailServer> {
  return startMailServer({
    authOptional: false,
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _session, callback) => {
      if (username === USER && password === PASSWORD) callback(null, { user: username });
      else {
        const base64 = Buffer.from(`\0${username}\0${password}`).toString('base64');
        callback(new Error(`5.7.8 no ${username} with ${password} or ${base64} for mary@example.com`));
      }
    },
  });
}

const urlWithLogin = (port: number, password: string): string =>
  `smtp://${USER}:${encodeURIComponent(password)}@127.0.0.1:${port}`;

/** The same settings in each form that the option takes. */
const FORMS: [string, (port: number, password: string) => Transport][] = [
  ['a URL', urlWithLogin],
  ['options', (port, pass) => ({ host: '127.0.0.1', port, auth: { user: USER, pass } })],
  ['options with a URL', (port, pass) => ({ url: urlWithLogin(port, pass) })],
  [
    'a transport of nodemailer',
    (port, pass) => nodemailer.createTransport({ host: '127.0.0.1', port, auth: { user: USER, pass } }),
  ],
  ['a transport of a URL', (port, pass) => nodemailer.createTransport(urlWithLogin(port, pass))],
  ['a pool', (port, pass) => ({ host: '127.0.0.1', port, pool: true, auth: { user: USER, pass } })],
];

describe.each(FORMS)('%s', (_form, make) => {
  test('logs in and sends', async () => {
    const server = await startServerWithLogin();
    await notifierFor(make(server.port, PASSWORD)).sendWelcome({ user: someone() });
    expect(server.mails.map(({ recipients }) => recipients)).toEqual([['mary@example.com']]);
  });

  test('a wrong password is told, and kept to itself', async () => {
    const server = await startServerWithLogin();
    const wrong = 'wröng/p@ss+wørd=?';
    const error = await failureOf(notifierFor(make(server.port, wrong)).sendWelcome({ user: someone() }));
    expect(error.message).toMatch(/^The mail server refused the welcome mail \(535, AUTH PLAIN, EAUTH\): /);
    expect(error).toMatchObject({ name: 'WpFusionError', code: 'INTERNAL_ERROR' });
    expectNothingSecret(error, wrong);
  });
});

function expectNothingSecret(error: Error, password: string): void {
  const told = [
    inspect(error, { depth: 10, showHidden: true }),
    String(error),
    error.stack ?? '',
    JSON.stringify(error),
  ].join('\n');
  expect(told).not.toContain(password);
  expect(told).not.toContain(encodeURIComponent(password));
  for (const text of [password, `\0${USER}\0${password}`]) {
    expect(told).not.toContain(Buffer.from(text).toString('base64'));
  }
  expect(told).not.toContain('mary@example.com');
  expect(error.cause).toBeUndefined();
}

describe('TLS', () => {
  // smtp-server brings a certificate of its own, for localhost, that nobody else trusts.
  const trusting = { tls: { rejectUnauthorized: false } };

  test('from the first byte', async () => {
    const { port, mails } = await startMailServer({ secure: true });
    const transport = { host: '127.0.0.1', port, secure: true, ...trusting };
    await notifierFor(transport).sendWelcome({ user: someone() });
    expect(mails.map(({ isEncrypted }) => isEncrypted)).toEqual([true]);
  });

  test('by URL', async () => {
    const { port, mails } = await startMailServer({ secure: true });
    const url = `smtps://127.0.0.1:${port}?tls.rejectUnauthorized=false`;
    await notifierFor(url).sendWelcome({ user: someone() });
    expect(mails.map(({ isEncrypted }) => isEncrypted)).toEqual([true]);
  });

  test('by an upgrade', async () => {
    const { port, mails } = await startMailServer({ disabledCommands: [] });
    const transport = { host: '127.0.0.1', port, requireTLS: true, ...trusting };
    await notifierFor(transport).sendWelcome({ user: someone() });
    expect(mails.map(({ isEncrypted }) => isEncrypted)).toEqual([true]);
  });

  test('asked for and not offered: nothing is sent', async () => {
    const { url, asked } = await startMailServer();
    await expect(notifierFor(`${url}?requireTLS=true`).sendWelcome({ user: someone() })).rejects.toThrow(
      /STARTTLS/,
    );
    expect(asked).toEqual([]);
  });

  test('with a certificate that is not trusted: nothing is sent', async () => {
    const { port, asked } = await startMailServer({ secure: true });
    await expect(notifierFor(`smtps://127.0.0.1:${port}`).sendWelcome({ user: someone() })).rejects.toThrow(
      /could not be handed over \(.*CERT.*\)/,
    );
    expect(asked).toEqual([]);
  });
});

describe('a mail server that says no', () => {
  const refusing = (responseCode: number, text: string): Promise<MailServer> =>
    startMailServer({
      onRcptTo: (_address, _session, callback) => callback(Object.assign(new Error(text), { responseCode })),
    });

  test('for good', async () => {
    const server = await refusing(550, '5.1.1 <mary@example.com>: user unknown');
    const error = await failureOf(notifierFor(server.url).sendWelcome({ user: someone() }));
    expect(error.message).toBe(
      'The mail server refused the welcome mail (550, RCPT TO, EENVELOPE): ' +
        "Can't send mail - all recipients were rejected: 550 5.1.1 <[address]>: user unknown",
    );
  });

  test('for now', async () => {
    const server = await refusing(451, '4.7.1 greylisted, come again');
    const error = await failureOf(notifierFor(server.url).sendWelcome({ user: someone() }));
    expect(error.message).toMatch(
      /^The mail server did not take the welcome mail yet \(451, RCPT TO, EENVELOPE\): .*greylisted/,
    );
  });

  test('to the content, and quotes the login link', async () => {
    const server = await startRawServer(
      takesUntilContent((socket, soFar) => {
        const link = /https:\S+/.exec(soFar)?.[0];
        if (soFar.endsWith('\r\n.\r\n')) socket.write(`554 5.7.1 listed: ${link} in spam.example\r\n`);
      }),
    );
    const loginUrl = (): string => 'https://example.com/in/s3cr3t';
    const error = await failureOf(notifierFor(server.url, { loginUrl }).sendWelcome({ user: someone() }));
    expect(error.message).toBe(
      'The mail server refused the welcome mail (554, DATA, EMESSAGE): ' +
        'Message failed: 554 5.7.1 listed: [redacted] in spam.example',
    );
    expect(inspect(error)).not.toContain('s3cr3t');
  });

  test('at length: the error stays short, on one line', async () => {
    const server = await startRawServer((socket) => {
      const line = `554-${'no '.repeat(10)}mary@example.com\r\n`;
      socket.write(`${line.repeat(200)}554 never\r\n`);
    });
    const error = await failureOf(notifierFor(server.url).sendWelcome({ user: someone() }));
    expect(error.message.length).toBeLessThanOrEqual(500);
    expect(error.message).toMatch(/^The mail server refused the welcome mail \(554, .*no no no/);
    expect(error.message).not.toMatch(/[\r\n]/);
  });

  test('without counting it as a failure', async () => {
    const transport: MailTransport = {
      sendMail: async () => Promise.resolve({ accepted: [], rejected: ['mary@example.com'] }),
    };
    await expect(notifierFor(transport).sendWelcome({ user: someone() })).rejects.toThrow(
      'The mail server refused the recipient of the welcome mail.',
    );
  });
});

describe('a mail server that is not there, or goes away', () => {
  test('nobody listens', async () => {
    const error = await failureOf(
      notifierFor(urlWithLogin(await closedPort(), PASSWORD)).sendWelcome({ user: someone() }),
    );
    expect(error.message).toMatch(/^The welcome mail could not be handed over \(.*ECONNREFUSED\): /);
    expectNothingSecret(error, PASSWORD);
  });

  test('it resets the connection in the middle of the content', async () => {
    const server = await startRawServer(takesUntilContent((socket) => socket.resetAndDestroy()));
    await expect(notifierFor(server.url).sendWelcome({ user: someone() })).rejects.toThrow(
      /^The welcome mail could not be handed over/,
    );
  });

  test('it takes the whole mail and goes without an answer', async () => {
    const server = await startRawServer(
      takesUntilContent((socket, soFar) => {
        if (soFar.endsWith('\r\n.\r\n')) socket.destroy();
      }),
    );
    await expect(notifierFor(server.url).sendWelcome({ user: someone() })).rejects.toThrow(
      /^The welcome mail could not be handed over/,
    );
  });

  test('a transport of ours that emits an error does not end the process', () => {
    const spy = jest.spyOn(nodemailer, 'createTransport');
    notifierFor({ host: '127.0.0.1', pool: true });
    const transport = spy.mock.results[0]!.value as NodeJS.EventEmitter;
    spy.mockRestore();
    // As the pools of some versions and OAuth 2 do. Unheard, it would be thrown.
    expect(transport.emit('error', new Error('a connection broke'))).toBe(true);
  });
});

describe('a mail server that never answers', () => {
  const SILENT: [string, (socket: Socket) => void][] = [
    ['at all', () => undefined],
    ['after the greeting', (socket) => socket.write('220 ready\r\n')],
    ['once it has the content', takesUntilContent(() => undefined)],
  ];

  test.each(SILENT)('%s: the wait ends, and so does the connection', async (_when, talk) => {
    let hungUp: Promise<unknown> | undefined;
    const server = await startRawServer((socket) => {
      hungUp = once(socket, 'close');
      talk(socket);
    });
    const notifier = notifierFor(server.url, { timeoutMs: 200 });
    await expect(notifier.sendWelcome({ user: someone() })).rejects.toThrow(
      /not taken within 200 ms; it may have been sent|ETIMEDOUT/,
    );
    await hungUp;
  });

  test('a given transport is not waited for either', async () => {
    let message: MailMessage | undefined;
    const transport: MailTransport = {
      sendMail: (given) => {
        message = given;
        return new Promise<never>(() => undefined);
      },
    };
    const notifier = notifierFor(transport, { timeoutMs: 20 });
    await expect(notifier.sendWelcome({ user: someone() })).rejects.toThrow(
      'The welcome mail was not taken within 20 ms; it may have been sent.',
    );
    expect(message?.signal.aborted).toBe(true);
  });

  test('nor are the functions of the host, and nothing is sent after the end', async () => {
    let give: (url: string) => void = () => undefined;
    const url = new Promise<string>((resolve) => (give = resolve));
    const sendMail = jest.fn(async () => Promise.resolve());
    const notifier = notifierFor({ sendMail }, { timeoutMs: 20, loginUrl: () => url });
    await expect(notifier.sendWelcome({ user: someone() })).rejects.toThrow('not taken within 20 ms');
    give('https://example.com/late');
    await url;
    await new Promise((resolve) => setImmediate(resolve));
    expect(sendMail).not.toHaveBeenCalled();
  });

  describe('the waiting times of nodemailer', () => {
    const given = (transport: Transport, timeoutMs?: number): Record<string, unknown> => {
      const spy = jest.spyOn(nodemailer, 'createTransport');
      try {
        notifierFor(transport, { timeoutMs });
        return (spy.mock.results[0]!.value as { options: Record<string, unknown> }).options;
      } finally {
        spy.mockRestore();
      }
    };
    const NAMES = ['connectionTimeout', 'greetingTimeout', 'socketTimeout', 'dnsTimeout'];

    test.each<[string, Transport]>([
      ['a URL', 'smtp://127.0.0.1'],
      ['options', { host: '127.0.0.1' }],
      ['options with a URL', { url: 'smtp://127.0.0.1' }],
    ])('are ours with %s', (_form, transport) => {
      for (const name of NAMES) {
        expect(given(transport)[name]).toBe(15_000);
        expect(given(transport, 300)[name]).toBe(300);
      }
    });

    test('are the host’s where it gives them', () => {
      expect(given('smtp://127.0.0.1?socketTimeout=7')).toMatchObject({
        socketTimeout: 7,
        greetingTimeout: 15_000,
      });
      expect(given({ url: 'smtp://127.0.0.1', dnsTimeout: 9 })).toMatchObject({
        socketTimeout: 15_000,
        dnsTimeout: 9,
      });
      expect(given({ host: '127.0.0.1', greetingTimeout: 8 })).toMatchObject({
        socketTimeout: 15_000,
        greetingTimeout: 8,
      });
    });

    test('leave the rest of a URL as it is', () => {
      const url =
        'smtps://us%40er:p%2Fa%3A%20ss@mail.example.com:2465?pool=true&tls.rejectUnauthorized=false';
      expect(given(url)).toMatchObject({
        host: 'mail.example.com',
        port: 2465,
        secure: true,
        pool: true,
        auth: { user: 'us@er', pass: 'p/a: ss' },
        tls: { rejectUnauthorized: false },
      });
    });
  });
});

describe('whatever a transport throws', () => {
  const token = 'a-token-of-some-mail-service';
  const throwing = (thrown: unknown): MailTransport & { options: object } => ({
    options: { auth: { apiKey: token } },
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- whatever it is
    sendMail: async () => Promise.reject(thrown),
  });

  test.each<[string, unknown]>([
    ['an error that carries its request', Object.assign(new Error('401'), { config: { token } })],
    ['an error with a cause', new Error('failed', { cause: new Error(`Bearer ${token}`) })],
    ['a message with the token', new Error(`Authorization: Bearer ${token} is not valid`)],
    ['a text', `no ${token}`],
    ['nothing', undefined],
    [
      'what cannot be read',
      Object.defineProperty({}, 'message', {
        get: () => {
          throw new Error(token);
        },
      }),
    ],
  ])('%s becomes an error of ours without it', async (_what, thrown) => {
    const error = await failureOf(notifierFor(throwing(thrown)).sendWelcome({ user: someone() }));
    expect(error).toMatchObject({ name: 'WpFusionError', code: 'INTERNAL_ERROR' });
    expect(error.message).toMatch(/^The welcome mail could not be handed over/);
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(token);
  });

  test('the password of a proxy, as it stands in its URL and decoded', async () => {
    const transport: MailTransport & { options: object } = {
      options: { proxy: 'http://me:p%40ss%2Fword@proxy.example.com:3128' },
      sendMail: async () => Promise.reject(new Error('407: neither p%40ss%2Fword nor p@ss/word')),
    };
    const error = await failureOf(notifierFor(transport).sendWelcome({ user: someone() }));
    expect(error.message).toMatch(/: 407: neither \[redacted\] nor \[redacted\]$/);
  });

  test('at once, too', async () => {
    const transport: MailTransport = {
      sendMail: () => {
        throw new Error('not now');
      },
    };
    await expect(notifierFor(transport).sendWelcome({ user: someone() })).rejects.toThrow('not now');
  });
});

describe('close()', () => {
  test('leaves a given transport alone', async () => {
    const server = await startMailServer();
    const transport = nodemailer.createTransport({ url: server.url, pool: true });
    try {
      const close = jest.spyOn(transport, 'close');
      await notifierFor(transport).close();
      expect(close).not.toHaveBeenCalled();
      await notifierFor(transport).sendWelcome({ user: someone() });
      expect(server.mails).toHaveLength(1);
    } finally {
      transport.close();
    }
  });

  test('waits for mails under way, then closes the connections of its own', async () => {
    let answer: () => void = () => undefined;
    let arrived: () => void = () => undefined;
    let hungUp: Promise<unknown> | undefined;
    const content = new Promise<void>((resolve) => (arrived = resolve));
    const server = await startRawServer((socket) => {
      hungUp = once(socket, 'close');
      takesUntilContent((_socket, soFar) => {
        if (!soFar.endsWith('\r\n.\r\n')) return;
        answer = () => socket.write('250 taken\r\n');
        arrived();
      })(socket);
    });
    const notifier = notifierFor({ url: server.url, pool: true });
    const sending = notifier.sendWelcome({ user: someone() });
    await content;
    const order: string[] = [];
    const closing = notifier.close().then(() => order.push('closed'));
    answer();
    await sending.then(() => order.push('sent'));
    await Promise.all([closing, hungUp]);
    expect(order).toEqual(['sent', 'closed']);
  });

  test('is the end: a later mail is refused, so that it stays owed', async () => {
    const server = await startMailServer();
    const notifier = notifierFor(server.url);
    await Promise.all([notifier.close(), notifier.close()]);
    await expect(notifier.sendWelcome({ user: someone() })).rejects.toThrow('The notifier is closed.');
    expect(server.asked).toEqual([]);
  });
});

test('a mail leaves no timer behind', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
  const before = timers();
  const notifier = notifierFor({ sendMail: async () => Promise.resolve() });
  await notifier.sendWelcome({ user: someone() });
  const broken = notifierFor({ sendMail: async () => Promise.reject(new Error('no')) });
  await failureOf(broken.sendWelcome({ user: someone() }));
  expect(timers()).toBe(before);
});

test('sends many at once, each its own', async () => {
  const server = await startMailServer();
  const notifier = notifierFor({ url: server.url, pool: true, maxConnections: 3 });
  const emails = Array.from({ length: 20 }, (_, index) => `person${index}@example.com`);
  await Promise.all(
    emails.map((email) => notifier.sendWelcome({ user: someone({ email, username: email }) })),
  );
  expect(server.mails.map(({ recipients }) => recipients.join()).sort()).toEqual([...emails].sort());
  for (const { email, recipients } of server.mails)
    expect(email.text).toContain(`Username: ${recipients[0]}`);
});
