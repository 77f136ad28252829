// For the host's access log: a request as it may be logged, without the access key that it carries.

const REDACTED = '[redacted]';
/** The names under which a key arrives, as a parameter or as a header. */
const HOLDS_KEY = /access[-_]key|^authorization$/i;
/** How often a URL within a URL within a URL is decoded. */
const MAX_DECODINGS = 5;
/** What pino logs of a request is two deep; more is nothing that has to be shown. */
const MAX_DEPTH = 6;

/**
 * A URL, or a path with its query, without the access key: the value of each parameter that is one, or that holds a URL with
 * one, however it is encoded. All else stays as it was given. For the access log of the host; gives a new text and changes no
 * request, so that the middleware still finds its key.
 *
 * Does not know the keys of the configuration: it goes by the parameter's name.
 *
 * @example
 * redactUrl('/?wpf_action=add&access_key=4f1c…&contact_id=7'); // → '/?wpf_action=add&access_key=[redacted]&contact_id=7'
 *
 * @example
 * // With morgan: its token for the URL, in each of its formats.
 * morgan.token('url', (request) => redactUrl(request.originalUrl));
 * app.use(morgan('combined'));
 */
export function redactUrl(url: string): string {
  // `?` and `;` may stand within a key; `&` cannot.
  const [path = '', ...rest] = url.split('?');
  const query = rest.length === 0 ? '' : `?${rest.join('?').split('&').map(redactParameter).join('&')}`;
  return redactParameter(path) + query;
}

function redactParameter(parameter: string): string {
  const text = decode(parameter);
  if (!/access[-_]key/i.test(text) || !text.includes('=')) return parameter;
  // Without a `=` of its own it is all value.
  return parameter.slice(0, parameter.indexOf('=') + 1) + REDACTED;
}

/** Takes percent encodings off, as often as there are any. Only the ASCII in it is right, which is all that is looked for. */
function decode(text: string): string {
  let decoded = text;
  for (let round = 0; round < MAX_DECODINGS && decoded.includes('%'); round += 1) {
    decoded = decoded.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  }
  return decoded;
}

/**
 * What a logger makes of a request, without access keys: its URL, its query, and the headers `X-Access-Key` and
 * `Authorization`, whoever's they are. A serializer for pino-http, and for whatever logs plain objects. Gives a copy.
 *
 * Takes what a serializer has made, not the request itself: with pino-http's `wrapSerializers: false` that has to be done first.
 *
 * @example
 * app.use(pinoHttp({ serializers: { req: redactRequest } }));
 */
export function redactRequest<Logged extends object>(logged: Logged): Logged {
  return redactValue(logged, 0) as Logged;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactUrl(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return REDACTED;
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]: [string, unknown]) => [
      name,
      HOLDS_KEY.test(name) ? REDACTED : redactValue(inner, depth + 1),
    ]),
  );
}
