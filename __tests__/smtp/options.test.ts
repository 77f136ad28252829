// Every wrong option of SmtpNotifier is found at construction, by name.
import nodemailer from 'nodemailer';
import { ConfigurationError } from '../../lib';
import { SmtpNotifier, type SmtpNotifierOptions } from '../../lib/smtp';

const RIGHT: SmtpNotifierOptions = {
  transport: 'smtp://127.0.0.1:1',
  from: 'shop@example.com',
  loginUrl: 'https://www.example.com/login',
};

function refusal(changes: object): ConfigurationError {
  try {
    new SmtpNotifier({ ...RIGHT, ...changes });
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
  }
  throw new Error('It was not refused.');
}

test('the right ones are taken', () => {
  expect(() => new SmtpNotifier(RIGHT)).not.toThrow();
  const every: Required<SmtpNotifierOptions> = {
    transport: { host: '127.0.0.1', auth: { user: 'u', pass: 'p' } },
    from: { name: 'Shop', address: 'shop@example.com' },
    replyTo: 'Help <help@example.com>',
    siteName: 'Shop',
    loginUrl: () => 'https://www.example.com',
    subject: 'Welcome',
    text: () => 'Hello',
    html: false,
    timeoutMs: 1,
  };
  expect(() => new SmtpNotifier(every)).not.toThrow();
});

test('undefined equals not given', () => {
  const nothing = { replyTo: undefined, siteName: undefined, subject: undefined, text: undefined };
  expect(
    () => new SmtpNotifier({ ...RIGHT, ...nothing, html: undefined, timeoutMs: undefined }),
  ).not.toThrow();
});

test.each([null, undefined, 'smtp://127.0.0.1'])('options that are %j', (options) => {
  expect(() => new SmtpNotifier(options as never)).toThrow(
    'options: must be an object: { transport, from, loginUrl }.',
  );
});

test.each([
  [{ form: 'shop@example.com' }, 'form: is no option; did you mean "from"?'],
  [{ timeoutMS: 5 }, 'timeoutMS: is no option; did you mean "timeoutMs"?'],
  [{ loginURL: '' }, 'loginURL: is no option; did you mean "loginUrl"?'],
])('a misspelt one: %j', (changes, message) => {
  expect(refusal(changes).message).toBe(message);
});

test.each<[string, unknown, RegExp]>([
  ['transport', undefined, /is missing\. Is the environment variable set/],
  [
    'transport',
    null,
    /must be an SMTP URL, nodemailer’s SMTP options, or an object with the method sendMail/,
  ],
  ['transport', 25, /must be an SMTP URL/],
  ['transport', '', /must be a URL like smtps:/],
  ['transport', 'smtp.example.com', /must be a URL like smtps:/],
  ['transport', 'https://smtp.example.com', /must be a URL like smtps:/],
  ['transport', 'smtp://', /must be a URL like smtps:/],
  ['transport.host', {}, /is missing: the name of the SMTP server/],
  ['transport.host', { host: undefined, port: 25 }, /is missing/],
  ['transport.host', { host: ' ' }, /is missing/],
  ['from', undefined, /is missing/],
  ['from', '', /must be one address/],
  ['from', 'Shop', /must be one address/],
  ['from', 'a@example.com, b@example.com', /must be one address/],
  ['from', 'a@example.com, Shop <b@example.com>', /must be one address/],
  ['from', 'Shop <a@example.com>, <b@example.com>', /must be one address/],
  ['from', 'Shop <a@example.com', /must be one address/],
  ['from', 'Shop\r\nBcc: x@example.com <a@example.com>', /no line breaks/],
  ['from', { name: 'Shop\nBcc: x@example.com', address: 'a@example.com' }, /no line breaks/],
  ['from', { name: 'Shop' }, /must be one address/],
  ['from', 7, /must be one address/],
  ['from.name', { name: 7, address: 'a@example.com' }, /must be a text/],
  ['replyTo', 'nobody', /must be one address/],
  ['replyTo', null, /must be one address/],
  ['siteName', ' ', /must be a text that is not empty/],
  ['siteName', 7, /must be a text/],
  ['loginUrl', undefined, /is missing: where people log in/],
  ['loginUrl', '/login', /must be an absolute URL/],
  ['loginUrl', 'javascript:alert(1)', /must be an absolute URL/],
  ['loginUrl', 7, /must be an absolute URL/],
  ['subject', '', /must be a text that is not empty, or a function that gives one\.$/],
  ['subject', false, /must be a text/],
  ['text', ' ', /must be a text/],
  ['text', false, /must be a text/],
  ['html', '', /, or false\.$/],
  ['html', true, /must be a text/],
  ['timeoutMs', 0, /must be a whole number from 1/],
  ['timeoutMs', 1.5, /must be a whole number/],
  ['timeoutMs', '15', /must be a whole number/],
  ['timeoutMs', 2 ** 31, /to 2147483647/],
])('%s: %j', (option, value, message) => {
  const error = refusal({ [option.split('.')[0]!]: value });
  expect([error.option, error.code]).toEqual([option, 'INVALID_OPTION']);
  expect(error.message).toMatch(message);
});

test.each<[string, SmtpNotifierOptions['from']]>([
  ['an address', 'shop@example.com'],
  ['with a name', 'Shop <shop@example.com>'],
  ['with a name that has a comma', 'Shop, Inc. <shop@example.com>'],
  ['with a quoted name', '"Shop @ Home, \\"Inc.\\"" <shop@example.com>'],
  ['in brackets', ' <shop@example.com> '],
  ['an object', { address: 'shop@example.com' }],
])('a sender may be %s', (_form, from) => {
  expect(() => new SmtpNotifier({ ...RIGHT, from })).not.toThrow();
});

describe('no message holds the password', () => {
  test.each([
    ['a URL with characters that are not encoded', 'smtp://user:s3cr3t/x@127.0.0.1'],
    ['another protocol', 'https://user:s3cr3t@127.0.0.1'],
    ['no host', { auth: { user: 'user', pass: 's3cr3t' } }],
    ['a URL among options', { url: 'smtp://user:s3cr3t@a b' }],
    ['what nodemailer refuses', { host: '127.0.0.1', auth: { pass: 's3cr3t' }, SES: { ses: {}, aws: {} } }],
  ])('%s', (_what, transport) => {
    const { message, stack = '', cause } = refusal({ transport });
    expect(message + stack).not.toContain('s3cr3t');
    expect(cause).toBeUndefined();
  });
});

describe('nodemailer', () => {
  test('is asked for where a transport has to be made and it is not there', () => {
    jest.isolateModules(() => {
      jest.doMock('nodemailer', () => {
        throw Object.assign(new Error("Cannot find module 'nodemailer'"), { code: 'MODULE_NOT_FOUND' });
      });
      const smtp = jest.requireActual<{ SmtpNotifier: typeof SmtpNotifier }>('../../lib/smtp');
      expect(() => new smtp.SmtpNotifier(RIGHT)).toThrow(
        'transport: needs the package nodemailer, which is not installed: npm install nodemailer.',
      );
      const transport = { sendMail: async () => Promise.resolve() };
      expect(() => new smtp.SmtpNotifier({ ...RIGHT, transport })).not.toThrow();
    });
    jest.dontMock('nodemailer');
  });

  test('has types that fit ours', () => {
    const options: Parameters<typeof nodemailer.createTransport>[0] = { host: '127.0.0.1' };
    const transports: SmtpNotifierOptions['transport'][] = [
      nodemailer.createTransport({ host: '127.0.0.1' }),
      nodemailer.createTransport('smtp://127.0.0.1'),
      nodemailer.createTransport({ jsonTransport: true }),
      options,
    ];
    for (const transport of transports) {
      expect(() => new SmtpNotifier({ ...RIGHT, transport })).not.toThrow();
    }
  });
});
