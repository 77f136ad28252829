// A CRM that means harm, on a bare socket: it sends whatever a test likes, for as long as somebody listens.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib';

/** Talks to one client that has made a call, with this head. */
export type Talk = (socket: Socket, head: string) => void;

/** A server with a way of answering for each first part of a path. */
export class HostileServer {
  /** The heads of all calls. */
  readonly calls: string[] = [];
  /** How many connections there were at once, at most. */
  mostOpen = 0;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor(talks: Readonly<Record<string, Talk>>) {
    this.#server = createServer((socket) => {
      this.#open.add(socket);
      this.mostOpen = Math.max(this.mostOpen, this.#open.size);
      socket.on('error', () => undefined).on('close', () => this.#open.delete(socket));
      let head = '';
      socket.on('data', (chunk) => {
        head += chunk.toString('latin1');
        if (!head.includes('\r\n\r\n')) return;
        const [, name = ''] = /^\w+ \/([^/]+)/.exec(head) ?? [];
        const call = head;
        this.calls.push(call);
        head = '';
        talks[name]?.(socket, call);
      });
    });
  }

  static async start(talks: Readonly<Record<string, Talk>> = {}): Promise<HostileServer> {
    const server = new HostileServer(talks);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  callsOf(name: string): number {
    return this.calls.filter((head) => head.split(' ', 2)[1]?.startsWith(`/${name}/`)).length;
  }

  /** How many connections there are. */
  get open(): number {
    return this.#open.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}

/** Says `text` again and again, as fast as it is taken. */
export const flood =
  (start: string | Buffer, text: string | Buffer) =>
  (socket: Socket): void => {
    const more = (): void => {
      // A few at a time: the other calls of the test have their turn too.
      for (let count = 0; count < 8; count += 1) if (socket.destroyed || !socket.write(text)) return;
      setImmediate(more);
    };
    socket.on('drain', more).write(start);
    more();
  };

/** Says `text` again and again, a character at a time. */
export const drip =
  (start: string, text: string, everyMs = 40): Talk =>
  (socket) => {
    let said = 0;
    const timer = setInterval(() => socket.write(text.charAt(said++ % text.length)), everyMs);
    socket.on('close', () => clearInterval(timer)).write(start);
  };

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
/** The head of an answer that ends with its connection. */
export const UNTIL_CLOSED = `${HEAD}Connection: close\r\n\r\n`;
export const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;

/** A contact with a tag, in an account whose list of tags never ends; each page of it has nearly as many bytes as are allowed. */
export const endlessTags =
  (bytes: number): Talk =>
  (socket, head) => {
    const start = Number(/[?&]start=(\d+)/.exec(head)?.[1] ?? 0);
    const tag = (_: unknown, index: number): object => ({
      tag_id: String(start + index + 10),
      object_type_id: '0',
      tag_name: `${start + index} ${'x'.repeat(bytes / 50 - 200)}`,
    });
    const data = head.includes('/objects/meta')
      ? { 0: { fields: {} } }
      : head.includes('/objects')
        ? Array.from({ length: 50 }, tag)
        : [{ id: '1', email: 'mary@example.com', contact_cat: '*/*1*/*' }];
    const body = JSON.stringify({ code: 0, data });
    socket.end(`${HEAD}Connection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  };

const ZEROS = Buffer.alloc(16_000_000);
const encoded = (encoding: string): string =>
  `${HEAD}Connection: close\r\nContent-Encoding: ${encoding}\r\n\r\n`;

/** Answers of a few kilobytes that unpack to as much as anybody takes. */
export const BOMBS = {
  // A file may be one after the other, without an end.
  gzip: () => flood(encoded('gzip'), gzipSync(ZEROS)),
  // After a full flush a block can stand anywhere, also again and again.
  deflate: () => {
    const packed = deflateSync(ZEROS, { finishFlush: constants.Z_FULL_FLUSH });
    return flood(Buffer.concat([Buffer.from(encoded('deflate')), packed]), packed.subarray(2));
  },
  br: (): Talk => {
    const packed = brotliCompressSync(Buffer.alloc(200_000_000), {
      params: { [constants.BROTLI_PARAM_QUALITY]: 1 },
    });
    return (socket) => void socket.write(Buffer.concat([Buffer.from(encoded('br')), packed]));
  },
  nested: (): Talk => {
    const packed = gzipSync(gzipSync(ZEROS));
    return (socket) => void socket.end(Buffer.concat([Buffer.from(encoded('gzip, gzip')), packed]));
  },
};
