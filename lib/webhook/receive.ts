// The door: a request is throttled, authenticated, read and parsed, in the one order in which it learns nothing it may not.
import { WpFusionError } from '../errors';
import type { Webhook } from '../queue/webhook';
import type { Authenticator, Permission } from './authenticate';
import type { WebhookParser } from './parse';
import {
  parsedBodyTrouble,
  readParsedBody,
  readQuery,
  readStream,
  type Body,
  type Parameters,
  type WebhookRequest,
} from './read';
import type { Throttle } from './throttle';

/** What the door needs. */
export interface Door {
  readonly authenticator: Authenticator;
  readonly throttle: Throttle;
  readonly parser: WebhookParser;
  readonly bodyLimit: number;
  isClosing(): boolean;
}

/** A webhook that was let in, and what its sender may see. */
export interface Received {
  readonly webhook: Webhook;
  readonly permission: Permission;
}

/**
 * Lets a request in, or throws what it is refused with. The order: throttle (429), key (403), closing (503), method (405),
 * body (413 always, 400 and 415 where it is needed), action (400), the key's actions (403), parameters (400). The key is
 * checked as early as it can be read; without a valid one every other trouble is 403 as well.
 */
export async function receive(request: WebhookRequest, door: Door, signal: AbortSignal): Promise<Received> {
  const address = request.ip ?? request.socket.remoteAddress;
  const wait = door.throttle.waitSeconds(address);
  if (wait > 0) {
    throw new WpFusionError('TOO_MANY_ATTEMPTS', 'Too many wrong access keys came from this address.', {
      retryAfter: wait,
    });
  }
  const authenticate = (candidates: readonly (string | null)[]): Permission => {
    const permission = door.authenticator.check(candidates);
    if (permission !== undefined) {
      door.throttle.validKey(address);
      return permission;
    }
    if (candidates.length > 0) door.throttle.wrongKey(address);
    throw new WpFusionError('INVALID_ACCESS_KEY', 'The access key is missing or wrong.');
  };

  const query = readQuery(request);
  const parsed = readParsedBody(request);
  const keys = [...keysIn(query), ...headerKey(request), ...keysOf(parsed?.body)];
  let permission = keys.length > 0 ? authenticate(keys) : undefined;
  if (permission !== undefined) refuseByMethodOrClosing(request, door);
  const body = parsed === undefined ? await readStream(request, door.bodyLimit, signal) : parsed.body;
  if (parsed === undefined) {
    const bodyKeys = keysOf(body);
    if (bodyKeys.length > 0) permission = authenticate([...keys, ...bodyKeys]);
  }
  permission ??= authenticate(bearerKey(request));
  refuseByMethodOrClosing(request, door);

  const tooLarge = parsed === undefined ? undefined : parsedBodyTrouble(request, door.bodyLimit);
  if (tooLarge !== undefined) throw tooLarge;
  const parameters = combine(query, body);
  if (body !== undefined && 'trouble' in body && isNeeded(body.trouble, door, parameters)) throw body.trouble;
  const action = door.parser.action(parameters);
  if (!permission.allows(action)) {
    throw new WpFusionError('INVALID_ACCESS_KEY', `The access key is not allowed the action ${action}.`);
  }
  return { webhook: door.parser.parse(action, parameters), permission };
}

function refuseByMethodOrClosing(request: WebhookRequest, door: Door): void {
  if (door.isClosing())
    throw new WpFusionError('SHUTTING_DOWN', 'The site is shutting down; send the webhook again.', {
      retryAfter: 10,
    });
  const method = request.method ?? '';
  if (method !== 'GET' && method !== 'POST') {
    throw new WpFusionError('METHOD_NOT_ALLOWED', `${method} is not allowed; send GET or POST.`);
  }
  const purpose = [request.headers['sec-purpose'], request.headers.purpose, request.headers['x-moz']].join(
    ' ',
  );
  if (/prefetch|prerender|preview/i.test(purpose)) {
    const errors = [
      { parameter: 'Sec-Purpose', message: 'says prefetch: a webhook is not fetched ahead of its time' },
    ];
    throw new WpFusionError('INVALID_REQUEST', 'This request only prefetches; nothing was done.', { errors });
  }
}

/** Whether a body that could not be read matters: always when it was too large, else where URL and headers do not say it all. */
function isNeeded(trouble: WpFusionError, door: Door, parameters: Parameters): boolean {
  if (trouble.code !== 'INVALID_BODY' && trouble.code !== 'UNSUPPORTED_MEDIA_TYPE') return true;
  return !parameters.has('wpf_action') || !door.parser.isComplete(door.parser.action(parameters), parameters);
}

/** The keys among parameters. An empty one is a missing one. */
const keysIn = (parameters: Parameters): (string | null)[] =>
  (parameters.get('access_key') ?? []).filter((key) => key !== '');

const keysOf = (body: Body): (string | null)[] =>
  body !== undefined && 'parameters' in body ? keysIn(body.parameters) : [];

function headerKey(request: WebhookRequest): string[] {
  // As they came: Node joins repeated headers with a comma, which a key may hold.
  return (request.headersDistinct['x-access-key'] ?? []).filter((key) => key !== '');
}

/** `Authorization` may be meant for somebody else (a proxy, the host's API): looked at only where no other place holds a key. */
function bearerKey(request: WebhookRequest): string[] {
  const token = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  return token === undefined ? [] : [token.trim()];
}

function combine(query: Parameters, body: Body): Parameters {
  const combined: Parameters = new Map(query);
  if (body === undefined || !('parameters' in body)) return combined;
  for (const [name, found] of body.parameters) combined.set(name, [...(combined.get(name) ?? []), ...found]);
  return combined;
}
