// What stands in the welcome mail: text, HTML, login link, and what a host puts in their place. Read from the wire.
import type { PublicUser } from '../../lib';
import { escapeHtml, type SmtpNotifierOptions } from '../../lib/smtp';
import { failureOf, notifierFor, someone, startMailServer, type ReceivedMail } from './mail-server';

async function sent(
  options: Partial<SmtpNotifierOptions> = {},
  user: Partial<PublicUser> = {},
): Promise<ReceivedMail> {
  const server = await startMailServer();
  await notifierFor(server.url, options).sendWelcome({ user: someone(user) });
  expect(server.mails).toHaveLength(1);
  return server.mails[0]!;
}

const header = ({ email }: ReceivedMail, name: string): string[] =>
  email.headers.filter(({ key }) => key === name).map(({ value }) => value);

describe('the default mail', () => {
  test('greets by first name, tells the username and where to log in, as text and as HTML', async () => {
    const { email, from, recipients } = await sent();
    expect(from).toBe('shop@example.com');
    expect(recipients).toEqual(['mary@example.com']);
    expect(email.from).toMatchObject({ name: 'Example Shop', address: 'shop@example.com' });
    expect(email.to).toMatchObject([{ name: 'Mary Smith', address: 'mary@example.com' }]);
    expect(email.replyTo).toBeUndefined();
    expect(email.subject).toBe('Your account at Example Shop');
    expect(email.text).toBe(
      'Hello Mary,\n\nyour account at Example Shop is ready.\n\nUsername: mary\n' +
        'Log in: https://www.example.com/login?next=/a&b=c\n',
    );
    expect(email.html).toContain('<p>Hello Mary,</p>');
    expect(email.html).toContain('<p>your account at Example Shop is ready.</p>');
    expect(email.html).toContain('<b>mary</b>');
    expect(email.html).toContain('<a href="https://www.example.com/login?next=/a&amp;b=c">');
  });

  test('is one message with two alternatives', async () => {
    const mail = await sent();
    expect(header(mail, 'content-type')[0]).toMatch(/^multipart\/alternative;/);
    expect(mail.raw.match(/^Content-Type: text\/(plain|html)/gm)).toEqual([
      'Content-Type: text/plain',
      'Content-Type: text/html',
    ]);
  });

  test('tells machines that a machine wrote it, and does not forbid bounces', async () => {
    const mail = await sent();
    expect(header(mail, 'auto-submitted')).toEqual(['auto-generated']);
    expect(header(mail, 'x-auto-response-suppress')).toEqual(['OOF, AutoReply']);
  });

  test.each<[string, PublicUser['meta']]>([
    ['none', {}],
    ['an empty one', { firstName: ' ' }],
    ['a number', { firstName: 7 }],
    ['a list', { firstName: ['Mary'] }],
    ['a link', { firstName: 'Win at http://evil.example' }],
    ['what mail programs make a link of', { firstName: 'evil.com' }],
    ['a message', { firstName: 'You have been chosen to receive a prize, call us' }],
    ['a tag', { firstName: '<script>alert(1)</script>' }],
    ['several lines', { firstName: 'Mary\n\nEvil' }],
  ])('greets nobody where the first name is %s', async (_what, meta) => {
    const { email } = await sent({}, { meta });
    expect(email.text).toMatch(/^Hello,\n/);
    expect(email.html).toContain('<p>Hello,</p>');
    expect(email.to).toMatchObject([{ name: '', address: 'mary@example.com' }]);
  });

  test.each(['Jean-Luc', 'O’Brien', "D'Arcy", 'J. R.', '美咲', 'Łukasz', 'محمد', 'Zoë'])(
    'greets %s',
    async (firstName) => {
      const { email } = await sent({}, { meta: { firstName } });
      expect(email.text).toMatch(`Hello ${firstName},`);
      expect(email.html).toContain(`<p>Hello ${escapeHtml(firstName)},</p>`);
      expect(email.to).toMatchObject([{ name: firstName }]);
    },
  );

  test('escapes in HTML whatever is not ours', async () => {
    const { email } = await sent(
      { siteName: 'Tom & <i>Jerry</i> "\'', loginUrl: 'https://www.example.com/?a="><script>&b=\'' },
      { username: '<script>alert(1)</script>' },
    );
    expect(email.html).not.toMatch(/<script|<i>/);
    expect(email.html).toContain('<b>&lt;script&gt;alert(1)&lt;/script&gt;</b>');
    expect(email.html).toContain('Tom &amp; &lt;i&gt;Jerry&lt;/i&gt; &quot;&#39;');
    expect(email.html).toContain('href="https://www.example.com/?a=%22%3E%3Cscript%3E&amp;b=%27"');
    expect(email.text).toContain('Username: <script>alert(1)</script>');
  });

  test('keeps a username on its line', async () => {
    const { email } = await sent({}, { username: 'mary\r\n\r\nSend your password to\u2028evil@example.com' });
    expect(email.text).toContain('Username: mary Send your password to evil@example.com\nLog in:');
  });

  test('carries any script', async () => {
    const { email, headerLines } = await sent(
      { siteName: 'Žluťoučký kůň 🐎 有限会社' },
      { username: 'メアリー', meta: { firstName: 'Márija', lastName: 'Šmít' } },
    );
    expect(email.subject).toBe('Your account at Žluťoučký kůň 🐎 有限会社');
    expect(email.to).toMatchObject([{ name: 'Márija Šmít' }]);
    expect(email.text).toContain('Hello Márija,');
    expect(email.text).toContain('Username: メアリー');
    expect(email.html).toContain('<b>メアリー</b>');
    // Header fields are ASCII on the wire.
    for (const line of headerLines) expect(line).toMatch(/^[\x20-\x7e]*$/);
  });

  test.each([
    ['the option', { siteName: 'Our Site' }, 'Our Site'],
    ['the sender', {}, 'Example Shop'],
    ['the host of the login link', { from: 'shop@example.com' }, 'www.example.com'],
  ])('calls the site by %s', async (_what, options, name) => {
    expect((await sent(options)).email.subject).toBe(`Your account at ${name}`);
  });
});

describe('the login link', () => {
  test.each<[string, SmtpNotifierOptions['loginUrl']]>([
    ['a text', 'https://example.com/in'],
    ['a URL', new URL('https://example.com/in')],
    ['a function', () => 'https://example.com/in'],
    ['an async function', async () => Promise.resolve(new URL('https://example.com/in'))],
  ])('is %s', async (_what, loginUrl) => {
    const { email } = await sent({ loginUrl });
    expect(email.text).toContain('Log in: https://example.com/in\n');
    expect(email.html).toContain('href="https://example.com/in"');
  });

  test('is made for the user', async () => {
    const { email } = await sent({
      loginUrl: async ({ id, contactId }) => Promise.resolve(`https://example.com/${id}/${contactId}`),
    });
    expect(email.text).toContain('Log in: https://example.com/1/8\n');
  });

  test.each([
    ['relative', '/login'],
    ['no URL', 'example.com'],
    ['a script', 'javascript:alert(1)'],
    ['a file', 'file:///etc/passwd'],
    ['nothing', undefined],
    ['an object', { href: 'https://example.com' }],
  ])('that is %s is an error, and nothing is sent', async (_what, url) => {
    const server = await startMailServer();
    const notifier = notifierFor(server.url, { loginUrl: () => url as string });
    const error = await failureOf(notifier.sendWelcome({ user: someone() }));
    expect(error).toMatchObject({ name: 'WpFusionError', code: 'INTERNAL_ERROR' });
    expect(error.message).toBe('loginUrl() must give an absolute URL like https://www.example.com/login.');
    expect(server.asked).toEqual([]);
  });
});

describe('what a host puts in the place of the defaults', () => {
  test('constant texts', async () => {
    const { email } = await sent({ subject: 'Willkommen', text: 'Hallo!', html: '<p>Hallo!</p>' });
    expect(email).toMatchObject({ subject: 'Willkommen', text: 'Hallo!\n' });
    expect(email.html?.trim()).toBe('<p>Hallo!</p>');
  });

  test('functions, async too, of user, link and site', async () => {
    const { email } = await sent({
      subject: ({ siteName }) => `Willkommen bei ${siteName}`,
      text: async ({ user, loginUrl }) => Promise.resolve(`${user.username} ${loginUrl}`),
      html: ({ user, siteName }) => `<b>${escapeHtml(user.email)}</b> & ${siteName}`,
    });
    expect(email.subject).toBe('Willkommen bei Example Shop');
    expect(email.text).toBe('mary https://www.example.com/login?next=/a&b=c\n');
    expect(email.html?.trim()).toBe('<b>mary@example.com</b> & Example Shop');
  });

  test('a text alone: the default HTML does not contradict it', async () => {
    const { email, raw } = await sent({ text: 'Hallo!' });
    expect(email.text).toBe('Hallo!\n');
    expect(email.html).toBeUndefined();
    expect(raw).not.toContain('text/html');
  });

  test('HTML alone: those who read text get the default', async () => {
    const { email } = await sent({ html: '<p>Hello!</p>' });
    expect(email.html?.trim()).toBe('<p>Hello!</p>');
    expect(email.text).toContain('Username: mary');
  });

  test('no HTML', async () => {
    expect((await sent({ html: false })).email.html).toBeUndefined();
  });

  test('where answers go', async () => {
    const { email } = await sent({ replyTo: 'Help <help@example.com>' });
    expect(email.replyTo).toMatchObject([{ name: 'Help', address: 'help@example.com' }]);
  });

  test.each([
    ['subject', { subject: () => '  ' }, 'subject() must give a text that is not empty.'],
    ['text', { text: () => undefined as never }, 'text() must give a text that is not empty.'],
    [
      'html',
      { html: () => ({ path: '/etc/passwd' }) as never },
      'html() must give a text that is not empty.',
    ],
  ])('%s that is no text is an error, and nothing is sent', async (_option, options, message) => {
    const server = await startMailServer();
    const notifier = notifierFor(server.url, options);
    await expect(notifier.sendWelcome({ user: someone() })).rejects.toThrow(message);
    expect(server.asked).toEqual([]);
  });

  test.each(['loginUrl', 'subject', 'text', 'html'])('%s that throws is an error', async (option) => {
    const server = await startMailServer();
    const cause = new Error('our database is down');
    const notifier = notifierFor(server.url, { [option]: async () => Promise.reject(cause) });
    const error = await failureOf(notifier.sendWelcome({ user: someone() }));
    expect(error.message).toBe(`${option}() failed; no welcome mail was sent.`);
    expect(error.cause).toBe(cause);
    expect(server.asked).toEqual([]);
  });
});

describe('Message-ID', () => {
  async function idsOf(
    options: Partial<SmtpNotifierOptions>,
    ...users: Partial<PublicUser>[]
  ): Promise<(string | undefined)[]> {
    const server = await startMailServer();
    // A notifier each, as processes have them.
    for (const user of users) await notifierFor(server.url, options).sendWelcome({ user: someone(user) });
    return server.mails.map(({ email }) => email.messageId);
  }

  test('is the same where the mail is', async () => {
    const [first, second] = await idsOf({}, {}, {});
    expect(first).toMatch(/^<welcome\.[0-9a-f]{40}@example\.com>$/);
    expect(second).toBe(first);
  });

  test.each<[string, Partial<PublicUser>]>([
    ['user', { id: '2' }],
    ['contact', { contactId: '9' }],
    ['email', { email: 'mary@example.org' }],
    ['username', { username: 'marysmith' }],
  ])('is another one for another %s', async (_what, changes) => {
    const [first, second] = await idsOf({}, {}, changes);
    expect(second).not.toBe(first);
  });

  test('is another one with another login link: the first mail would not do for the second', async () => {
    let count = 0;
    const [first, second] = await idsOf({ loginUrl: () => `https://example.com/${(count += 1)}` }, {}, {});
    expect(second).not.toBe(first);
  });

  test('names the domain of the sender in ASCII', async () => {
    const [id] = await idsOf({ from: 'shop@bücher.example' }, {});
    expect(id).toMatch(/@xn--bcher-kva\.example>$/);
  });
});
