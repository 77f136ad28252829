// A way between a site and its database server that can be cut: the server is gone, as far as the site can see.
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Connection } from '../knex/databases';

/** A TCP proxy on a port of its own. */
export class DatabaseProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket | undefined]>();
  #state: 'open' | 'cut' | 'silent' = 'open';
  /** How many connections came since it was cut. */
  refused = 0;

  private constructor(host: string, port: number) {
    this.#server = createServer((client) => {
      if (this.#state === 'cut') {
        this.refused += 1;
        client.resetAndDestroy();
        return;
      }
      // Who comes while all is silent is taken in, and never hears anything.
      const server = this.#state === 'silent' ? undefined : connect(port, host);
      const pair = [client, server] as const;
      this.#pairs.add(pair);
      for (const socket of pair) {
        socket?.on('error', () => undefined);
        socket?.on('close', () => {
          this.#pairs.delete(pair);
          for (const one of pair) one?.destroy();
        });
      }
      if (server === undefined) return;
      client.pipe(server);
      server.pipe(client);
    });
  }

  static async start(host: string, port: number): Promise<DatabaseProxy> {
    const proxy = new DatabaseProxy(host, port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts every connection and refuses new ones. */
  cut(): void {
    this.#state = 'cut';
    for (const pair of this.#pairs) for (const socket of pair) socket?.resetAndDestroy();
  }

  /** Passes nothing on any more: connections stay, and new ones come about, but nobody answers. */
  silence(): void {
    this.#state = 'silent';
    for (const [client, server] of this.#pairs) {
      client.unpipe(server).pause();
      server?.unpipe(client).pause();
    }
  }

  /** Lets new connections through again. Those that were silenced stay so for ever, as behind a firewall that forgot them. */
  restore(): void {
    this.#state = 'open';
  }

  /** Ends a silence as if it had been a slow line: what was said in the meantime arrives late. */
  resume(): void {
    this.#state = 'open';
    for (const [client, server] of this.#pairs) {
      if (server === undefined) continue;
      client.pipe(server);
      server.pipe(client);
    }
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }
}

/** A connection to a server, through a proxy of its own. */
export async function throughProxy(
  config: Connection,
): Promise<{ proxy: DatabaseProxy; config: Connection }> {
  if (typeof config.connection === 'string') {
    const url = new URL(config.connection);
    const proxy = await DatabaseProxy.start(url.hostname, Number(url.port));
    url.host = `127.0.0.1:${proxy.port}`;
    return { proxy, config: { ...config, connection: url.href } };
  }
  const server = config.connection as { host: string; port: number };
  const proxy = await DatabaseProxy.start(server.host, server.port);
  const connection = { ...server, host: '127.0.0.1', port: proxy.port };
  return { proxy, config: { ...config, connection } };
}
