// Host applications: every Express, every body parser, in every order, so that a test can be held against all of them.
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import express4 from 'express4';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WpFusionWebhook } from '../../lib';

export const PARSERS = [
  'none',
  'json',
  'urlencoded extended',
  'urlencoded simple',
  'raw */*',
  'raw default',
  'text */*',
  'text default',
  'all',
] as const;
export type Parsers = (typeof PARSERS)[number];

export interface HostVariant {
  readonly express: 4 | 5;
  readonly parsers: Parsers;
  /** The parsers stand before ours or after. */
  readonly order: 'before' | 'after';
  readonly mount: '/' | '/hooks';
}

/** The status of the host's own route, which answers whatever we let through. */
export const PASSED_THROUGH = 299;
/** The status of the host's error handler, which answers what its own parsers refuse. We never call it. */
export const HOST_REFUSED = 298;

/** Every parser in both orders on both versions; on a path where it may matter. */
export const HOSTS: readonly HostVariant[] = ([4, 5] as const).flatMap((version) => [
  ...PARSERS.flatMap((parsers) =>
    (parsers === 'none' ? (['before'] as const) : (['before', 'after'] as const)).map(
      (order): HostVariant => ({ express: version, parsers, order, mount: '/' }),
    ),
  ),
  { express: version, parsers: 'none', order: 'before', mount: '/hooks' },
  { express: version, parsers: 'all', order: 'before', mount: '/hooks' },
  { express: version, parsers: 'all', order: 'after', mount: '/hooks' },
]);

/** Two hosts that differ in everything: for tests that the shape of the request has no part in. */
export const TWO_HOSTS: readonly HostVariant[] = [
  { express: 5, parsers: 'none', order: 'before', mount: '/' },
  { express: 4, parsers: 'all', order: 'before', mount: '/hooks' },
];

export const nameOf = ({ express: version, parsers, order, mount }: HostVariant): string =>
  `Express ${version}, ${parsers === 'none' ? 'no parser' : `${parsers} ${order} ours`}, on ${mount}`;

/** How a body arrives at our middleware: as a stream, as an object, or as a text or Buffer. */
export type Arrival = 'stream' | 'object' | 'bytes';

export function arrivalOf({ parsers, order }: HostVariant, contentType: string | undefined): Arrival {
  const type = (contentType ?? '').split(';', 1).join('').trim().toLowerCase();
  if (order === 'after' || parsers === 'none' || type === '') return 'stream';
  const all = parsers === 'all';
  if (type === 'application/json' && (all || parsers === 'json')) return 'object';
  if (type === 'application/x-www-form-urlencoded' && (all || parsers.startsWith('urlencoded')))
    return 'object';
  if (parsers === 'raw */*' || parsers === 'text */*') return 'bytes';
  if (type === 'application/octet-stream' && (all || parsers === 'raw default')) return 'bytes';
  if (type === 'text/plain' && (all || parsers === 'text default')) return 'bytes';
  return 'stream';
}

type Middleware = Pick<WpFusionWebhook, 'close'> & RequestHandler;

export interface HostOptions {
  /** Middleware of the host that stands before everything else. */
  readonly first?: RequestHandler | undefined;
  /** The host's own route instead of the one that answers {@link PASSED_THROUGH}. */
  readonly route?: RequestHandler | undefined;
  readonly trustProxy?: boolean | undefined;
  /** Hears of what the error handler gets. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

export interface Host {
  /** Where the middleware is mounted, without a slash at the end. */
  readonly url: string;
  readonly origin: string;
  /** What `next(error)` was called with, by whomever. */
  readonly errors: unknown[];
  /** Mounts another middleware in the place of the present one. */
  mount(webhook: WpFusionWebhook): void;
  close(): Promise<void>;
}

const factory = (version: 4 | 5): typeof express => (version === 4 ? express4 : express);

function parsersOf({ express: version, parsers }: HostVariant): RequestHandler[] {
  const { json, urlencoded, raw, text } = factory(version);
  switch (parsers) {
    case 'none':
      return [];
    case 'json':
      return [json()];
    case 'urlencoded extended':
      return [urlencoded({ extended: true })];
    case 'urlencoded simple':
      return [urlencoded({ extended: false })];
    case 'raw */*':
      return [raw({ type: '*/*' })];
    case 'raw default':
      return [raw()];
    case 'text */*':
      return [text({ type: '*/*' })];
    case 'text default':
      return [text()];
    case 'all':
      return [json(), urlencoded({ extended: true }), text(), raw()];
  }
}

/** Starts a host. Without a webhook mounted it lets everything through. */
export async function startHost(
  variant: HostVariant,
  webhook?: WpFusionWebhook,
  options: HostOptions = {},
): Promise<Host> {
  const app: Express = factory(variant.express)();
  if (options.trustProxy === true) app.set('trust proxy', true);
  const errors: unknown[] = [];
  let mounted = webhook as Middleware | undefined;
  const ours: RequestHandler = (request, response, next) => {
    if (mounted === undefined) next();
    else mounted(request, response, next);
  };

  if (options.first !== undefined) app.use(options.first);
  const parsers = parsersOf(variant);
  if (variant.order === 'before') for (const parser of parsers) app.use(parser);
  app.use(variant.mount, ours);
  if (variant.order === 'after') for (const parser of parsers) app.use(parser);
  // Express 4 and 5 write "every path" differently; a regular expression means the same in both.
  app.all(
    /^/,
    options.route ?? ((_request, response) => void response.status(PASSED_THROUGH).json({ host: true })),
  );
  const onError: ErrorRequestHandler = (error: unknown, _request, response, _next) => {
    errors.push(error);
    options.onError?.(error);
    response.status(HOST_REFUSED).json({ host: true, type: (error as { type?: unknown }).type });
  };
  app.use(onError);

  const server = await new Promise<Server>((resolve, reject) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
    listening.once('error', reject);
  });
  // An idle connection must not be closed under the client just as it sends the next request.
  server.keepAliveTimeout = 60_000;
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    url: variant.mount === '/' ? origin : origin + variant.mount,
    errors,
    mount: (other) => void (mounted = other as Middleware),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A host that was started, and what it is. */
export interface Started {
  readonly variant: HostVariant;
  readonly host: Host;
}

/** Does the same on many hosts at once; a failure names the hosts it is about. */
export async function onEach<One extends { readonly variant: HostVariant }>(
  hosts: readonly One[],
  work: (one: One) => Promise<void>,
): Promise<void> {
  const failures = await Promise.all(
    hosts.map(async (one) => {
      try {
        await work(one);
        return [];
      } catch (error) {
        return [`${nameOf(one.variant)}: ${(error as Error).message}`];
      }
    }),
  );
  expect(failures.flat()).toEqual([]);
}
