// The proxy of these tests does what it says, so that a fault that nobody notices is not one that never happened.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { FaultProxy } from './fault-proxy';

let server: Server;
let proxy: FaultProxy;
const sockets = new Set<Socket>();
/** What the server has heard. */
let heard = '';

beforeEach(async () => {
  heard = '';
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (said) => {
      heard += said.toString();
      socket.write(`<${said.toString()}>`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy = await FaultProxy.start('127.0.0.1', (server.address() as AddressInfo).port);
});
afterEach(async () => {
  await proxy.close();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await new Promise((resolve) => server.close(resolve));
});

/** A client, and how what it says comes out: the answer, or the code of what became of the connection. */
function dial(): (text: string) => Promise<string> {
  const socket = connect(proxy.port, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.add(socket);
  return async (text) => {
    if (socket.destroyed) return String((socket.errored as { code?: string } | null)?.code);
    const answer = once(socket, 'data').then(([said]) => String(said));
    const end = new Promise<string>((resolve) => {
      socket.once('error', (error: { code?: string }) => resolve(String(error.code)));
      socket.once('close', () => resolve('closed'));
    });
    socket.write(text);
    return Promise.race([answer.catch(() => end), end]);
  };
}

test('open, it passes on both ways', async () => {
  const say = dial();
  expect(await say('one')).toBe('<one>');
  expect(await say('two')).toBe('<two>');
});

test('refused: nobody listens, what was there is reset; then the same port again', async () => {
  const say = dial();
  await say('one');
  const after = say('two');
  await after;
  await proxy.refuse();
  expect(await dial()('three')).toBe('ECONNREFUSED');
  await proxy.restore();
  expect(await dial()('four')).toBe('<four>');
});

test('cut: connections are reset, those that come too, and counted', async () => {
  const say = dial();
  await say('one');
  proxy.cut();
  expect(await dial()('two')).toMatch(/ECONNRESET|EPIPE|closed/);
  expect(proxy.refused).toBe(1);
  expect(heard).toBe('one');
});

test('silent: nothing is heard, and old lines stay silent; or all arrives late', async () => {
  const [old, another] = [dial(), dial()];
  await old('one');
  await another('two');
  proxy.silence();
  const unheard = dial()('three');
  const late = another('four');
  await expect(
    Promise.race([unheard, late, new Promise((resolve) => setTimeout(resolve, 50))]),
  ).resolves.toBe(undefined);
  expect(heard).toBe('onetwo');
  proxy.resume();
  expect(await late).toBe('<four>');
  proxy.silence();
  await proxy.restore();
  const never = old('five');
  expect(await dial()('six')).toBe('<six>');
  await expect(Promise.race([never, new Promise((resolve) => setTimeout(resolve, 50))])).resolves.toBe(
    undefined,
  );
  expect(heard).toBe('onetwofoursix');
});

test('slow: all arrives, in order', async () => {
  proxy.slowDown(20);
  const say = dial();
  const start = performance.now();
  expect(await say('one')).toBe('<one>');
  expect(performance.now() - start).toBeGreaterThan(35);
  expect(await say('two')).toBe('<two>');
});

test('wrong answers: to who is there and who comes', async () => {
  const old = dial();
  await old('one');
  proxy.answer({ greeting: 'HELLO ', reply: () => 'nonsense' });
  expect(await old('two')).toBe('nonsense');
  expect(await dial()('three')).toMatch(/^HELLO /);
  expect(heard).toBe('one');
  proxy.answer({ reply: () => 'bye', ends: true });
  const last = dial();
  expect(await last('four')).toBe('bye');
  await proxy.restore();
  expect(await dial()('five')).toBe('<five>');
});

test('losing: half of a request, or the answer to what was done; others pass', async () => {
  proxy.lose({ request: /write/, lost: 'half of the request' });
  expect(await dial()('read')).toBe('<read>');
  expect(await dial()('write')).toMatch(/ECONNRESET|closed/);
  proxy.lose({ request: /write/, lost: 'the answer' });
  expect(await dial()('write')).toMatch(/ECONNRESET|closed/);
  expect(heard).toBe('readwriwrite');
  expect(proxy.lost).toBe(2);
});
