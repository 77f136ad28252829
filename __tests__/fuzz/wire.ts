// Bytes go out over a real socket, and what comes back is taken apart: no client between us and the host, which would refuse to send.
import { connect } from 'node:net';
import type { Answer } from './oracle';

/** Sends bytes. A request that is not whole is ended by hanging up; `undefined`: no answer came then. */
export function exchange(origin: string, bytes: Buffer, isWhole: boolean): Promise<Answer | undefined> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), hostname, () => {
      if (isWhole) socket.write(bytes);
      else socket.end(bytes);
    });
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
    });
    // The host may hang up while we still write.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answerIn(Buffer.concat(chunks))));
    socket.on('end', () => socket.end());
  });
}

function answerIn(bytes: Buffer): Answer | undefined {
  let rest = bytes.toString('latin1');
  // 100 Continue comes before the answer.
  while (/^HTTP\/1\.1 1\d\d /.test(rest)) rest = rest.slice(rest.indexOf('\r\n\r\n') + 4);
  const end = rest.indexOf('\r\n\r\n');
  const [first = '', ...lines] = rest.slice(0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
  if (end === -1 || Number.isNaN(status)) return undefined;
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const length = Number(headers.find(([name]) => name === 'content-length')?.[1] ?? Infinity);
  const body = Buffer.from(rest.slice(end + 4, end + 4 + length), 'latin1').toString('utf8');
  return { status, headers, body };
}
