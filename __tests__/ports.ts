// Ports for servers of a test that are stopped and started again: those that the system gives to nobody who does not ask for them, so
// that one stays free while its server is away.
import { createServer } from 'node:net';

const PORTS = { from: 10_000, count: 20_000 };

/** Test files that run beside each other, in processes of their own, begin far from each other. */
let last = (process.pid * 997) % PORTS.count;

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  for (;;) {
    last = (last + 1) % PORTS.count;
    const port = PORTS.from + last;
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
