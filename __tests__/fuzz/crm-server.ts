// An Ontraport that answers anything: the sandbox knows how an account misbehaves, this one knows no account at all.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jsonObject } from './texts';

export interface Reply {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Buffer;
}

/** What is asked: the contacts (with their ids), the metadata of fields, the tags, or to write. */
export interface Asked {
  readonly kind: 'contacts' | 'meta' | 'tags' | 'write';
  readonly ids: readonly string[];
}

export interface CrmServer {
  readonly url: string;
  answer: (asked: Asked) => Reply;
  close(): Promise<void>;
}

/** No limit that a test could feel. */
const PLENTY = [
  ['X-Rate-Limit-Limit', '1000000'],
  ['X-Rate-Limit-Remaining', '999999'],
  ['X-Rate-Limit-Reset', '60'],
] as const;

export const json = (body: string, headers: Reply['headers'] = []): Reply => ({
  status: 200,
  headers: [['Content-Type', 'application/json'], ...headers],
  body,
});

/** The answer of an account where everything is as it should be. */
export function goodAnswer({ kind, ids }: Asked): Reply {
  switch (kind) {
    case 'contacts':
      return json(`{"code":0,"data":[${ids.map((id) => goodRow(id)).join(',')}]}`);
    case 'meta':
      return json(goodMeta);
    case 'tags':
      return json(
        '{"code":0,"data":[{"tag_id":"1","tag_name":"Member","object_type_id":"0"},{"tag_id":"2","tag_name":"<fuzzmark>VIP","object_type_id":"0"}]}',
      );
    case 'write':
      return json('{"code":0,"data":{"attrs":{"id":"1"}}}');
  }
}

export const goodMeta = `{"code":0,"data":{"0":{"name":"Contact","fields":${jsonObject(
  [
    ...['firstname', 'lastname', 'f1', 'f3', 'f4', 'f5'].map((key) => [key, 'text'] as const),
    ...([
      ['email', 'email'],
      ['f2', 'drop'],
      ['f6', 'numeric'],
      ['f7', 'timestamp'],
      ['f8', 'list'],
      ['f9', 'check'],
      ['f10', 'fulldate'],
    ] as const),
  ].map(([key, type]) => [key, `{"alias":"${key}","type":"${type}","options":{"1":"gold","2":"silver"}}`]),
)}}}}`;

const goodRow = (id: string): string =>
  `{"id":"${id}","email":"c${id}@example.com","contact_cat":"*/*1*/*2*/*","dlm":"1700000000","firstname":"Mary","lastname":"Smith"}`;

export async function startCrmServer(): Promise<CrmServer> {
  const server: Server = createServer((request, response) => {
    request.resume();
    // Whoever is answered before the request is whole sees a reset instead.
    request.on('end', () => {
      const { status, headers, body } = crm.answer(askedBy(request));
      // One connection a call, so that clients can be thrown away.
      response.setHeader('Connection', 'close');
      for (const [name, value] of [...PLENTY, ...headers]) response.setHeader(name, value);
      response.writeHead(status);
      response.end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const crm: CrmServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: goodAnswer,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return crm;
}

function askedBy({ method, url = '' }: IncomingMessage): Asked {
  const { pathname, searchParams } = new URL(url, 'http://crm');
  const ids = (searchParams.get('ids') ?? '').split(',').filter((id) => id !== '');
  if (method === 'PUT') return { kind: 'write', ids };
  if (pathname === '/objects/meta') return { kind: 'meta', ids };
  return { kind: pathname === '/objects' ? 'tags' : 'contacts', ids };
}
