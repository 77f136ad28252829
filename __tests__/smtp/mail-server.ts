// What the tests of the mail share: a real SMTP server on a loopback socket, servers that misbehave, and a user to write to.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import nodemailer from 'nodemailer';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import type { PublicUser } from '../../lib';
import { SmtpNotifier, type MailTransport, type SmtpNotifierOptions } from '../../lib/smtp';

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A mail as the server has got it. */
export interface ReceivedMail {
  from: string;
  /** The addresses of RCPT TO, in the order they came. */
  recipients: string[];
  raw: string;
  /** The header alone, with folded lines joined again. */
  headerLines: string[];
  email: Email;
  isEncrypted: boolean;
}

export interface MailServer {
  port: number;
  url: string;
  mails: ReceivedMail[];
  /** Every RCPT TO that was ever asked for, taken or not. */
  asked: string[];
}

/** An SMTP server; closed after the test. Without TLS and login unless the options say otherwise. */
export async function startMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  const asked: string[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    ...options,
    onRcptTo: (address, session, callback) => {
      asked.push(address.address);
      if (options.onRcptTo === undefined) callback();
      else options.onRcptTo(address, session, callback);
    },
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const raw = Buffer.concat(chunks).toString('utf8');
        const [header = ''] = raw.split('\r\n\r\n');
        const { mailFrom, rcptTo } = session.envelope;
        void PostalMime.parse(raw).then((email) => {
          mails.push({
            from: mailFrom === false ? '' : mailFrom.address,
            recipients: rcptTo.map(({ address }) => address),
            raw,
            headerLines: header.replace(/\r\n[ \t]+/g, ' ').split('\r\n'),
            email,
            isEncrypted: session.secure,
          });
          callback();
        });
      });
    },
  });
  // A client that hangs up, or does not trust the certificate, is no fault of the server.
  server.on('error', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  cleanUps.push(() => new Promise<void>((resolve) => server.close(resolve)));
  const { port } = server.server.address() as AddressInfo;
  return { port, url: `smtp://127.0.0.1:${port}`, mails, asked };
}

/** A TCP server that does with each connection what a test wants; closed after the test. */
export async function startRawServer(talk: (socket: Socket) => void): Promise<{ port: number; url: string }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    // Unread, it would not notice that the client hangs up.
    socket.resume();
    socket.on('close', () => sockets.delete(socket));
    talk(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    if (server.listening) await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  return { port, url: `smtp://127.0.0.1:${port}` };
}

/** Says yes to everything up to the content of the mail, of which `onContent` is told piece by piece. */
export const takesUntilContent =
  (onContent: (socket: Socket, soFar: string) => void) =>
  (socket: Socket): void => {
    let content: string | undefined;
    socket.write('220 ready\r\n');
    socket.on('data', (chunk) => {
      const said = chunk.toString('latin1');
      if (content !== undefined) onContent(socket, (content += said));
      else if (/^DATA\r\n/m.test(said)) {
        content = '';
        socket.write('354 go on\r\n');
      } else socket.write('250 yes\r\n');
    });
  };

/** A port of this machine on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A transport that keeps its connection; closed after the test. */
export function pooled(url: string): MailTransport {
  const transport = nodemailer.createTransport({ url, pool: true, maxConnections: 1 });
  cleanUps.push(() => transport.close());
  return transport;
}

/** A notifier that writes from shop@example.com; closed after the test. */
export function notifierFor(
  transport: SmtpNotifierOptions['transport'],
  options: Partial<SmtpNotifierOptions> = {},
): SmtpNotifier {
  const notifier = new SmtpNotifier({
    transport,
    from: 'Example Shop <shop@example.com>',
    loginUrl: 'https://www.example.com/login?next=/a&b=c',
    ...options,
  });
  cleanUps.push(() => notifier.close());
  return notifier;
}

export const someone = (changes: Partial<PublicUser> = {}): PublicUser => ({
  id: '1',
  contactId: '8',
  email: 'mary@example.com',
  username: 'mary',
  role: 'subscriber',
  tags: [],
  meta: { firstName: 'Mary', lastName: 'Smith' },
  ...changes,
});

/** What a promise rejects with; fails where it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('It did not reject with an error.');
}
