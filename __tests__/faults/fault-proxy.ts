// A way between a site and one of its servers that can fail in every manner a network and a server know. In the process of the test,
// as toxiproxy is beside it.
import { createServer, connect, type Server, type Socket } from 'node:net';
import type { Connection } from '../knex/databases';
import { freePort } from '../ports';

/** What a client hears in the server's place: the greeting when it has connected, the reply to whatever it says. */
export interface WrongAnswer {
  readonly greeting?: string | Uint8Array | undefined;
  readonly reply?: ((said: Buffer) => string | Uint8Array | undefined) | undefined;
  /** Whether that is all: the connection ends with it. */
  readonly ends?: boolean | undefined;
}

/** Which requests are lost, and when: in their middle, or when the server has done what they ask for. */
export interface Loss {
  readonly request: RegExp;
  readonly lost: 'half of the request' | 'the answer';
}

type State =
  | { readonly kind: 'open' | 'refused' | 'cut' | 'silent' }
  | { readonly kind: 'slow'; readonly delayMs: number }
  | { readonly kind: 'wrong'; readonly answer: WrongAnswer }
  | { readonly kind: 'losing'; readonly loss: Loss };

const OPEN: State = { kind: 'open' };

/** One connection of a client, with ours to the server. */
interface Line {
  readonly client: Socket;
  readonly server: Socket | undefined;
  /** What was said while all was silent; `gone` once nobody will ever hear it. */
  held: (() => void)[] | 'gone';
  /** What is said arrives in order, also where it arrives late. */
  last: Promise<void>;
  /** The server is doing what was asked, and nobody will hear its answer. */
  isLosing: boolean;
}

/** A TCP proxy on a port of its own. */
export class FaultProxy {
  readonly #server: Server;
  readonly #lines = new Set<Line>();
  #state: State = OPEN;
  /** Connections that came while it was cut. */
  refused = 0;
  /** Requests that were lost. */
  lost = 0;

  private constructor(
    readonly port: number,
    host: string,
    serverPort: number,
  ) {
    this.#server = createServer((client) => this.#open(client, host, serverPort));
  }

  /** Starts one before a server. */
  static async start(host: string, serverPort: number): Promise<FaultProxy> {
    for (;;) {
      const proxy = new FaultProxy(await freePort(), host, serverPort);
      if (await proxy.#listen()) return proxy;
    }
  }

  /** The server is stopped: connections are reset, and nobody listens. */
  async refuse(): Promise<void> {
    this.#state = { kind: 'refused' };
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#resetAll();
    await closed;
  }

  /** Every connection is reset, also those that come. */
  cut(): void {
    this.#state = { kind: 'cut' };
    this.#resetAll();
  }

  /** Nothing is passed on any more: connections stay, and new ones come about, but nobody answers. */
  silence(): void {
    this.#state = { kind: 'silent' };
  }

  /** Every piece of what is said, in both directions, arrives late. */
  slowDown(delayMs: number): void {
    this.#state = { kind: 'slow', delayMs };
  }

  /** Somebody else answers, or the server something else. */
  answer(answer: WrongAnswer): void {
    this.#state = { kind: 'wrong', answer };
  }

  /** Requests are lost with their connections. */
  lose(loss: Loss): void {
    this.#state = { kind: 'losing', loss };
  }

  /** All is well again. Lines that were silent stay so for ever, as behind a firewall that has forgotten them. */
  async restore(): Promise<void> {
    const { kind } = this.#state;
    this.#state = OPEN;
    for (const line of this.#lines) {
      if (kind === 'silent') line.held = 'gone';
      // Whoever answered in the server's place is gone.
      else if (line.server === undefined && line.held !== 'gone') reset(line);
    }
    if (kind === 'refused' && !(await this.#listen())) {
      throw new Error(`Somebody took the port ${this.port}.`);
    }
  }

  /** Ends a silence as if it had been a slow line: what was said in the meantime arrives late. */
  resume(): void {
    this.#state = OPEN;
    for (const line of this.#lines) {
      const { held } = line;
      if (held === 'gone') continue;
      line.held = [];
      for (const say of held) say();
    }
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  #listen(): Promise<boolean> {
    return new Promise((resolve) => {
      const onError = (): void => resolve(false);
      this.#server.once('error', onError);
      this.#server.listen(this.port, '127.0.0.1', () => {
        this.#server.off('error', onError);
        resolve(true);
      });
    });
  }

  #resetAll(): void {
    for (const line of this.#lines) reset(line);
  }

  #open(client: Socket, host: string, port: number): void {
    client.on('error', () => undefined);
    if (this.#state.kind === 'cut') {
      this.refused += 1;
      client.resetAndDestroy();
      return;
    }
    // Who comes while all is silent is taken in, and never hears anything.
    const isAlone = this.#state.kind === 'silent' || this.#state.kind === 'wrong';
    const server = isAlone ? undefined : connect({ port, host, noDelay: true });
    const line: Line = { client, server, held: [], last: Promise.resolve(), isLosing: false };
    if (this.#state.kind === 'silent') line.held = 'gone';
    this.#lines.add(line);
    for (const socket of [client, server]) {
      socket?.on('error', () => undefined);
      socket?.on('close', () => {
        this.#lines.delete(line);
        client.destroy();
        server?.destroy();
      });
    }
    client.on('data', (said: Buffer) => this.#fromClient(line, said));
    server?.on('data', (said: Buffer) => this.#fromServer(line, said));
    if (this.#state.kind === 'wrong') answer(line, this.#state.answer, this.#state.answer.greeting);
  }

  #fromClient(line: Line, said: Buffer): void {
    const state = this.#state;
    if (state.kind === 'wrong') {
      answer(line, state.answer, state.answer.reply?.(said));
      return;
    }
    if (state.kind === 'losing' && state.loss.request.test(said.toString('latin1'))) {
      this.lost += 1;
      if (state.loss.lost === 'the answer') line.isLosing = true;
      else {
        line.server?.write(said.subarray(0, Math.ceil(said.length / 2)), () => reset(line));
        return;
      }
    }
    this.#pass(line, line.client, line.server, said);
  }

  #fromServer(line: Line, said: Buffer): void {
    // What was asked before a wrong answer still has its own: else all that follow would be one too early.
    if (line.isLosing) reset(line);
    else this.#pass(line, line.server, line.client, said);
  }

  /** Passes something on, as the state of things wants it. */
  #pass(line: Line, from: Socket | undefined, to: Socket | undefined, said: Buffer): void {
    const say = (): void => {
      if (from === undefined || to?.writable !== true || to.write(said)) return;
      from.pause();
      to.once('drain', () => from.resume());
    };
    if (line.held === 'gone') return;
    if (this.#state.kind === 'silent') line.held.push(say);
    else if (this.#state.kind === 'slow') {
      const { delayMs } = this.#state;
      const late = new Promise<void>((resolve) => setTimeout(resolve, delayMs));
      line.last = Promise.all([line.last, late]).then(say);
    } else void line.last.then(say);
  }
}

function answer({ client }: Line, { ends }: WrongAnswer, bytes: string | Uint8Array | undefined): void {
  if (bytes === undefined || !client.writable) return;
  if (ends === true) client.end(bytes);
  else client.write(bytes);
}

/** The client sees a reset. One that is about to connect to the server cannot be reset: its handle would stay open. */
function reset({ client, server }: Line): void {
  if (!client.destroyed) client.resetAndDestroy();
  server?.destroy();
}

/** A connection to a database server, through a proxy of its own. */
export async function throughProxy(config: Connection): Promise<{ proxy: FaultProxy; config: Connection }> {
  if (typeof config.connection === 'string') {
    const url = new URL(config.connection);
    const proxy = await FaultProxy.start(url.hostname, Number(url.port));
    url.host = `127.0.0.1:${proxy.port}`;
    return { proxy, config: { ...config, connection: url.href } };
  }
  const server = config.connection as { host: string; port: number };
  const proxy = await FaultProxy.start(server.host, server.port);
  const connection = { ...server, host: '127.0.0.1', port: proxy.port };
  return { proxy, config: { ...config, connection } };
}
