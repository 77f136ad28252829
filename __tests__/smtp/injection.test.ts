// Contact data is typed by strangers: whatever it holds, a mail goes to one recipient or to none, and its header stays ours.
import fc from 'fast-check';
import type { PublicUser } from '../../lib';
import type { MailMessage, SmtpNotifierOptions } from '../../lib/smtp';
import { failureOf, notifierFor, pooled, someone, startMailServer } from './mail-server';

/** The fields that the default mail has, each once. */
const FIELDS = [
  'Auto-Submitted',
  'Content-Type',
  'Date',
  'From',
  'MIME-Version',
  'Message-ID',
  'Subject',
  'To',
  'X-Auto-Response-Suppress',
];

const fieldsOf = (headerLines: readonly string[]): string[] =>
  headerLines.map((line) => line.slice(0, line.indexOf(':'))).sort();

describe('an email that is not one plain address gets no mail', () => {
  test.each([
    'mary@example.com, evil@example.org',
    'mary@example.com,evil@example.org',
    'mary@example.com;evil@example.org',
    'mary@example.com evil@example.org',
    'Name <mary@example.com>',
    '<mary@example.com>',
    '"Name" mary@example.com',
    '"mary@example.com, evil"@example.org',
    '"mary smith"@example.com',
    'group:mary@example.com;',
    'group:evil@example.org,mary@example.com;',
    'evil@example.org,root',
    'mary@example.com\r\nBcc: evil@example.org',
    'mary@example.com\nRCPT TO:<evil@example.org>',
    'mary@example.com>\r\nRCPT TO:<evil@example.org',
    'mary@example.com\r\n.\r\nMAIL FROM:<evil@example.org>',
    'mary@example.com> SIZE=1',
    'mary@example.com\0',
    'mary\0@example.com',
    'mary@example.com\u2028evil@example.org',
    'mary@example.com\u0085',
    'mary@\u202eexample.com',
    'mary\\@evil.example@example.com',
    'mary@evil.example@example.com',
    '(mary)evil@example.org',
    'mary@[127.0.0.1]',
    'mary＠example.com',
    'mary@example。com',
    'mary@example.com%0d%0aBcc:evil@example.org',
    'mary@exa_mple.com/evil',
    'mary',
    '@example.com',
    'mary@',
    '',
    ' ',
    `${'a'.repeat(250)}@example.com`,
  ])('%j', async (email) => {
    const server = await startMailServer();
    const error = await failureOf(notifierFor(server.url).sendWelcome({ user: someone({ email }) }));
    expect(error.message).toBe('The user’s email is not one plain address; no welcome mail was sent.');
    expect(server.asked).toEqual([]);
    expect(server.mails).toEqual([]);
  });

  test.each([
    ['mary.smith+shop@mail.example.com', 'mary.smith+shop@mail.example.com'],
    [" o'brien@example.com ", "o'brien@example.com"],
    ['mary@localhost', 'mary@localhost'],
    // The server tells it decoded; on the wire it is ASCII.
    ['mary@bücher.example', 'mary@bücher.example'],
    ['märy@bücher.example', 'märy@bücher.example'],
  ])('%j is one, and gets it', async (email, recipient) => {
    const server = await startMailServer();
    await notifierFor(server.url).sendWelcome({ user: someone({ email }) });
    expect(server.asked).toEqual([recipient]);
    expect(server.mails[0]!.email.to).toHaveLength(1);
  });
});

const HOSTILE = [
  'Mary\r\nBcc: evil@example.org',
  'Mary\nBcc: evil@example.org',
  'Mary\rBcc: evil@example.org',
  'Mary\r\n\r\nAnother body',
  'Mary\u0085Bcc: evil@example.org',
  'Mary\u2028Bcc: evil@example.org',
  'Mary\0',
  'evil@example.org, Mary',
  'Mary" <evil@example.org>, "',
  '<evil@example.org>',
  'Mary <evil@example.org>',
  'group: evil@example.org;',
  '=?UTF-8?Q?Mary=0D=0ABcc:_evil=40example.org?=',
  'Mary\ud800',
  '\\',
  '"',
  'x'.repeat(2_000),
  'ж'.repeat(2_000),
];

describe('one recipient and no field of a header too many, whatever is in', () => {
  const PLACES: [string, (text: string) => [Partial<SmtpNotifierOptions>, Partial<PublicUser>]][] = [
    ['the first name', (text) => [{}, { meta: { firstName: text } }]],
    ['the last name', (text) => [{}, { meta: { firstName: 'Mary', lastName: text } }]],
    ['the username', (text) => [{}, { username: text }]],
    ['the name of the site', (text) => [{ siteName: text }, {}]],
    ['the subject', (text) => [{ subject: text }, {}]],
    [
      'a subject made of contact data',
      (text) => [{ subject: ({ user }) => user.username }, { username: text }],
    ],
    ['text and HTML', (text) => [{ text, html: text }, {}]],
  ];

  test.each(PLACES)('%s', async (_where, place) => {
    const server = await startMailServer();
    // One connection for all: the server lets each new one wait for a moment.
    const transport = pooled(server.url);
    for (const text of HOSTILE) {
      server.mails.length = 0;
      server.asked.length = 0;
      const [options, user] = place(text);
      await notifierFor(transport, options).sendWelcome({ user: someone(user) });
      expect([text, server.asked]).toEqual([text, ['mary@example.com']]);
      expect(server.mails).toHaveLength(1);
      const { email, headerLines, recipients } = server.mails[0]!;
      expect([text, recipients]).toEqual([text, ['mary@example.com']]);
      expect([text, fieldsOf(headerLines)]).toEqual([text, FIELDS]);
      expect(email.to?.map(({ address }) => address)).toEqual(['mary@example.com']);
      expect(email.cc).toBeUndefined();
      expect(email.bcc).toBeUndefined();
      expect(email.from?.address).toBe('shop@example.com');
    }
  });

  test('any text at all', async () => {
    const server = await startMailServer();
    const notifier = notifierFor(pooled(server.url), { subject: ({ user }) => `For ${user.username}` });
    const anyText = fc.string({ unit: 'binary', maxLength: 60 });
    // One of its own most of the time, or hardly a mail would be sent.
    const anyMailbox = fc.oneof({ weight: 3, arbitrary: fc.constant('mary') }, anyText);
    await fc.assert(
      fc.asyncProperty(anyMailbox, anyText, anyText, async (mailbox, firstName, username) => {
        server.mails.length = 0;
        server.asked.length = 0;
        const user = someone({ email: `${mailbox}@example.com`, username, meta: { firstName } });
        await notifier.sendWelcome({ user }).catch((error: unknown) => {
          expect(String(error)).toMatch(/not one plain address|refused the welcome mail/);
        });
        expect(server.asked.length).toBeLessThanOrEqual(1);
        for (const { headerLines, recipients } of server.mails) {
          expect(recipients).toHaveLength(1);
          expect(fieldsOf(headerLines)).toEqual(FIELDS);
        }
      }),
      { numRuns: 150 },
    );
  });
});

test('a transport is never given what it could read as several addresses or as another field', async () => {
  const sendMail = jest.fn(async (_message: MailMessage) => Promise.resolve());
  await notifierFor(
    { sendMail },
    {
      replyTo: 'help@example.com',
      subject: 'Welcome\r\nBcc: evil@example.org',
    },
  ).sendWelcome({ user: someone() });
  expect(sendMail.mock.calls).toMatchObject([
    [
      {
        from: { name: 'Example Shop', address: 'shop@example.com' },
        replyTo: { name: '', address: 'help@example.com' },
        to: { name: 'Mary Smith', address: 'mary@example.com' },
        subject: 'Welcome Bcc: evil@example.org',
      },
    ],
  ]);
});

test('a sender’s name with anything in it is still one sender', async () => {
  const server = await startMailServer();
  const name = 'Shop, "Best" <evil@example.org>; Žluť';
  await notifierFor(server.url, { from: { name, address: 'shop@example.com' } }).sendWelcome({
    user: someone(),
  });
  const { email, from } = server.mails[0]!;
  expect(from).toBe('shop@example.com');
  expect(email.from).toMatchObject({ name, address: 'shop@example.com' });
});
