// A way between a site and its database server that can be cut: the server is gone, as far as the site can see.
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Connection } from '../knex/databases';

/** A TCP proxy on a port of its own. */
export class DatabaseProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  /** How many connections came since it was cut. */
  refused = 0;

  private constructor(host: string, port: number) {
    this.#server = createServer((client) => {
      if (this.#isCut) {
        this.refused += 1;
        client.resetAndDestroy();
        return;
      }
      const server = connect(port, host);
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(one);
        one.pipe(other);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      }
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
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Lets connections through again. */
  restore(): void {
    this.#isCut = false;
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
