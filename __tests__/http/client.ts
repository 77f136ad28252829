// An HTTP client that sends exactly what a test says: no content type, no Accept and no length that nobody asked for.
import {
  Agent,
  request,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { connect, type Socket } from 'node:net';

export interface Outgoing {
  readonly method?: string | undefined;
  /** Path and query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>> | undefined;
  readonly body?: string | Buffer | undefined;
}

/** Whatever an answer holds: the tests say what they expect. */
export type Json = ReturnType<typeof JSON.parse>;

export interface Incoming {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body parsed, `undefined` where it is no JSON. */
  readonly json: Json;
}

const agent = new Agent({ keepAlive: true });
afterAll(() => agent.destroy());

/** Sends a request with a body of known length and gives the answer. */
export function send(origin: string, outgoing: Outgoing): Promise<Incoming> {
  const { body = '', method = body === '' ? 'GET' : 'POST' } = outgoing;
  const hasLength = method !== 'GET' || body !== '';
  return new Promise((resolve, reject) => {
    const sent = open(origin, {
      ...outgoing,
      method,
      headers: {
        ...(hasLength ? { 'Content-Length': String(Buffer.byteLength(body)) } : {}),
        ...outgoing.headers,
      },
    });
    answerOf(sent).then(resolve, reject);
    sent.end(body);
  });
}

/** Starts a request whose body the test writes, or does not. */
export function open(
  origin: string,
  outgoing: Outgoing & { readonly ownConnection?: boolean },
): ClientRequest {
  return request(origin + outgoing.path, {
    method: outgoing.method ?? 'POST',
    headers: outgoing.headers ?? {},
    agent: outgoing.ownConnection === true ? false : agent,
  });
}

/** The answer to a request, whole. */
export function answerOf(sent: ClientRequest): Promise<Incoming> {
  return new Promise((resolve, reject) => {
    sent.on('error', reject);
    sent.on('response', (response: IncomingMessage) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: parsed(text),
        }),
      );
    });
  });
}

/** A bare connection, for what no client would send. */
export function dial(origin: string): Promise<Socket> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => resolve(socket));
    socket.on('error', reject);
  });
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
