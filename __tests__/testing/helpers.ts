// What the sandbox's tests share: a bare client of the API, and a site that receives webhooks.
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OntraportSandbox } from '../../lib/testing';
import type { OntraportSandboxOptions } from '../../lib/testing';

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A sandbox that is closed after the test. */
export async function startSandbox(options: OntraportSandboxOptions = {}): Promise<OntraportSandbox> {
  const sandbox = await OntraportSandbox.start(options);
  cleanUps.push(() => sandbox.close());
  return sandbox;
}

/** Whatever an answer holds: the tests say what they expect. */
export type Json = ReturnType<typeof JSON.parse>;

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  json: Json;
}

/** Calls the API with working credentials; an object as body is sent as JSON, text as a form. */
export async function call(
  sandbox: OntraportSandbox,
  method: string,
  path: string,
  body?: object | string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const contentType = typeof body === 'object' ? 'application/json' : 'application/x-www-form-urlencoded';
  const response = await fetch(sandbox.baseUrl + path, {
    method,
    redirect: 'manual',
    headers: {
      'Api-Appid': sandbox.appId,
      'Api-Key': sandbox.apiKey,
      ...(body === undefined ? {} : { 'Content-Type': contentType }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json };
}

/** The ids of a list's rows. */
export const idsOf = (answer: Answer): string[] => answer.json.data.map((row: { id: string }) => row.id);

/** A `condition` parameter. */
export const condition = (...elements: unknown[]): string =>
  `condition=${encodeURIComponent(JSON.stringify(elements))}`;

export const where = (field: string, op: string, value: unknown): object => ({
  field: { field },
  op,
  value: Array.isArray(value) ? { list: value.map((item: unknown) => ({ value: item })) } : { value },
});

export interface Received {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Site {
  url: string;
  received: Received[];
}

/** A site that remembers what it received and answers `{"ok":true}` unless told otherwise. */
export async function startSite(
  answer: (
    request: Received,
  ) => { status?: number; body?: string } | Promise<{ status?: number; body?: string }> = () => ({}),
): Promise<Site> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      const one = { method: request.method!, url: request.url!, headers: request.headers, body };
      received.push(one);
      const { status = 200, body: text = '{"ok":true}' } = await answer(one);
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(text);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, received };
}
