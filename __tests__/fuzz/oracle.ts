// What holds after every case, whatever came in: the one judge of all fuzzing. It knows the documented answers by heart, not from lib.
import { domainToASCII } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Logger, User } from '../../lib';
import { formIn, realProcess } from '../security/haystack';
import type { MailServer } from '../smtp/mail-server';
import { elementsOf } from './markup';
import { MARK } from './texts';

/** The most processor time that one case may take, the sending and the judging included. */
const MOST_CPU_MS = 1000;

const STATUS_OF: Readonly<Record<string, number>> = {
  UNKNOWN_ACTION: 400,
  INVALID_REQUEST: 400,
  INVALID_BODY: 400,
  INVALID_ACCESS_KEY: 403,
  METHOD_NOT_ALLOWED: 405,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  TOO_MANY_ATTEMPTS: 429,
  CONTACT_NOT_FOUND: 404,
  CONTACT_WITHOUT_EMAIL: 422,
  PASSWORD_TOO_LONG: 422,
  CONTACT_CONFLICT: 409,
  USER_CONFLICT: 409,
  CRM_UNAUTHORIZED: 502,
  CRM_BAD_RESPONSE: 502,
  CRM_RATE_LIMITED: 503,
  CRM_UNAVAILABLE: 503,
  QUEUE_UNAVAILABLE: 503,
  REPOSITORY_FAILED: 500,
  HOOK_FAILED: 500,
  INTERNAL_ERROR: 500,
  TIMED_OUT: 503,
  SHUTTING_DOWN: 503,
};
/** No code of the host fails here, no store is down, and nobody closes anything: these could only be our own mistakes. */
const OUR_MISTAKES = ['REPOSITORY_FAILED', 'HOOK_FAILED', 'INTERNAL_ERROR', 'SHUTTING_DOWN'];

const OUTCOMES = ['created', 'updated', 'unchanged', 'queued', 'skipped', 'greeted'];
const WARNINGS = [
  'ROLE_NOT_ASSIGNABLE',
  'USER_PROTECTED',
  'EMAIL_TAKEN',
  'NOTIFIER_NOT_CONFIGURED',
  'NOTIFICATION_FAILED',
  'PASSWORD_NOT_RETURNED',
];
const NAMES_IN_SUCCESS = [
  'ok',
  'action',
  'contactId',
  'outcome',
  'reason',
  'userId',
  'warnings',
  'dryRun',
  'changes',
];
const NAMES_IN_PROBLEM = ['ok', 'type', 'title', 'status', 'detail', 'code', 'action', 'contactId', 'errors'];
const HEADERS = new Set(
  (
    'cache-control connection content-length content-security-policy content-type date keep-alive location referrer-policy ' +
    'retry-after allow x-content-type-options x-correlation-id x-frame-options x-powered-by x-robots-tag ' +
    'cross-origin-opener-policy cross-origin-resource-policy permissions-policy vary etag transfer-encoding'
  ).split(' '),
);
const ELEMENTS = new Set(
  (
    'html head meta title style script body main header footer nav section h1 h2 h3 p div span strong small code pre bdi br a ul ol li ' +
    'dl dt dd table thead tbody tr th td form label input button select option details summary svg rect time'
  ).split(' '),
);
const ATTRIBUTES = new Set(
  (
    'lang charset name content class href type id value method role for aria-label action autocomplete scope tabindex width height ' +
    'aria-current y x title rel datetime data-live data-encode data-copy aria-hidden open selected checked required hidden ' +
    'maxlength placeholder size inputmode viewbox preserveaspectratio fill spellcheck readonly disabled multiple novalidate colspan'
  ).split(' '),
);

export interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export class Complaint extends Error {}

const fail = (message: string, shown?: string): never => {
  throw new Complaint(shown === undefined ? message : `${message}: ${shown.slice(0, 1500)}`);
};

export const headerOf = (answer: Answer, name: string): string | undefined =>
  answer.headers.find(([given]) => given === name)?.[1];

/** Judges an answer of the middleware. Gives the code of a failure or the outcome. */
export function judgeAnswer(answer: Answer, forbidden: readonly string[] = []): string {
  judgeHeaders(answer);
  const { status, body } = answer;
  const isPage = (headerOf(answer, 'content-type') ?? '').startsWith('text/html');
  let code: string | undefined;
  let outcome = '';
  if (body === '') return '';
  if (isPage) {
    judgePage(answer);
    code = /<code>([A-Z_]+)<\/code>, status \d+/.exec(body)?.[1];
    outcome = 'page';
  } else {
    const json = parsed(body) as Record<string, unknown>;
    if (json.ok === true) {
      judgeNames(json, NAMES_IN_SUCCESS);
      outcome = String(json.outcome ?? json.action);
      if (json.action !== 'test' && !OUTCOMES.includes(outcome)) fail('An unknown outcome', body);
      for (const { code: warning } of (json.warnings ?? []) as { code: string }[])
        if (!WARNINGS.includes(warning)) fail('An unknown warning', body);
    } else {
      judgeNames(json, NAMES_IN_PROBLEM);
      if (json.status !== status) fail('The status is not that of the document', body);
      code = String(json.code);
    }
  }
  if (code === undefined) {
    if (status !== 200 && status !== 202) fail(`A success with status ${status}`, body);
    return outcome;
  }
  if (STATUS_OF[code] !== status) fail(`${code} with status ${status}`, body);
  if (OUR_MISTAKES.includes(code) || forbidden.includes(code))
    fail(`${code} is nobody’s fault but ours`, body);
  return code;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return fail('An answer that is neither JSON nor a page', text);
  }
}

function judgeNames(json: object, allowed: readonly string[]): void {
  const unknown = Object.keys(json).filter((name) => !allowed.includes(name));
  if (unknown.length > 0) fail(`The answer has an unknown member ${unknown.join(', ')}`);
}

function judgeHeaders({ headers }: Answer): void {
  for (const [name, value] of headers) {
    if (!HEADERS.has(name)) fail(`The answer has a header too many: ${name}`);
    if (name !== 'location' && value.includes(MARK)) fail(`The header ${name} repeats the input`, value);
  }
}

/** Judges a page, whosesoever: no element and no attribute of the input. */
export function judgePage(answer: Answer): void {
  judgeHeaders(answer);
  for (const { name, attributes } of elementsOf(answer.body)) {
    if (!ELEMENTS.has(name)) fail(`The page has an element <${name}>`);
    for (const [attribute, value] of attributes) {
      if (!ATTRIBUTES.has(attribute)) fail(`The page has an attribute ${attribute} in <${name}>`);
      if (/^\s*(javascript|data|vbscript):/i.test(value) && ['href', 'action'].includes(attribute))
        fail(`The page has a link that is a script`, value);
    }
  }
}

/** Judges users as a repository gives them. */
export function judgeUsers(users: readonly User[], assignable: readonly string[]): void {
  for (const user of users) {
    const { id, contactId, email, username, passwordHash, role, tags, meta, syncState } = user;
    const shown = (): string => JSON.stringify(user);
    const texts: unknown[] = [
      id,
      email,
      username,
      role,
      ...tags,
      ...Object.keys(meta),
      ...Object.values(meta).flat(),
    ];
    if ([id, email, username, role].some((text) => typeof text !== 'string' || text === ''))
      fail('A user without a text that every user has', shown());
    if ([contactId, passwordHash, syncState].some((text) => text !== null && typeof text !== 'string'))
      fail('A user with something that is neither a text nor null', shown());
    if (
      !Array.isArray(tags) ||
      tags.some((tag) => typeof tag !== 'string' || tag === '') ||
      new Set(tags).size < tags.length
    )
      fail('A user with tags that are none', shown());
    if (!assignable.includes(role)) fail(`A user with the role ${role}`, shown());
    if ((syncState ?? '').length > 255) fail('A syncState of more than 255 characters', shown());
    if (!/^[^@\s]+@[^@\s]+$/.test(email) || email.length > 254)
      fail('A user with an email that is none', shown());
    for (const value of Object.values(meta)) {
      const isScalar = ['string', 'boolean'].includes(typeof value) || Number.isFinite(value);
      if (!isScalar && !(Array.isArray(value) && value.every((item) => typeof item === 'string')))
        fail('A user with a meta value that is none', shown());
    }
    for (const object of [user, meta])
      if (!isPlain(object)) fail('A user with a prototype of its own', shown());
    for (const text of texts)
      if (typeof text === 'string' && (!isWellFormed(text) || text.includes('\0')))
        fail('A user with a text that no database stores', shown());
  }
}

/** An object as `{}` makes it, in whichever realm: `structuredClone` makes those of Node's. */
function isPlain(object: object): boolean {
  const prototype = Object.getPrototypeOf(object) as object | null;
  return (
    prototype !== null &&
    Object.hasOwn(prototype, 'isPrototypeOf') &&
    Object.getPrototypeOf(prototype) === null
  );
}

const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text);

/** The fields that the default mail has, each once. */
const MAIL_FIELDS =
  'Auto-Submitted,Content-Type,Date,From,MIME-Version,Message-ID,Subject,To,X-Auto-Response-Suppress';

const MAIL_TAGS = ['html lang', 'head', 'meta charset', 'title', 'body style', 'p', 'b', 'a href'];

/** Judges mails: each to one user, whose email was one of these, with the fields of ours in its header, and nothing of the contact as markup. */
export function judgeMails({ mails }: MailServer, emails: ReadonlySet<string>): void {
  const known = new Set(Array.from(emails, asciiOf));
  for (const { recipients, headerLines, email } of mails) {
    const names = headerLines.map((line) => line.slice(0, line.indexOf(':'))).sort();
    if (names.join() !== MAIL_FIELDS) fail('A mail with other fields in its header', headerLines.join('\n'));
    const addresses = [...recipients, ...(email.to ?? []).map(({ address }) => address ?? '')].map(asciiOf);
    if (recipients.length !== 1 || new Set(addresses).size !== 1 || !known.has(addresses[0]!))
      fail('A mail to somebody else than one user', addresses.join(' '));
    for (const { name, attributes } of elementsOf(email.html ?? '')) {
      const tag = [name, ...attributes.map(([attribute]) => attribute)].join(' ');
      if (!MAIL_TAGS.includes(tag)) fail(`The mail has an element <${tag}>`);
    }
  }
}

const asciiOf = (email: string): string => {
  const at = email.lastIndexOf('@');
  return `${email.slice(0, at)}@${domainToASCII(email.slice(at + 1))}`.trim().toLowerCase();
};

/** Remembers what is logged, for one case. */
export class CapturingLogger implements Logger {
  readonly lines: unknown[][] = [];
  readonly debug = (...line: unknown[]): void => void this.lines.push(line);
  readonly info = this.debug;
  readonly warn = this.debug;
  readonly error = this.debug;
}

/** What JavaScript throws over a mistake in the code; a failure of anything else has another name. */
const MISTAKE = /"name":"(TypeError|RangeError|ReferenceError|SyntaxError|URIError|EvalError)"/;

/** Judges the log: no mistake behind any failure. */
export function judgeLog({ lines }: CapturingLogger): void {
  for (const line of lines) {
    const text = JSON.stringify(line);
    // A queue on a busy machine may be late, but it may not refuse what it is given.
    if (/"code":"QUEUE_UNAVAILABLE".*"cause"/.test(text)) fail('The queue refused a webhook', text);
    if (MISTAKE.test(text)) fail('A mistake of the code behind a line of the log', text);
  }
}

/** Judges that no secret is in a text, in whatever form. */
export function judgeSecrets(text: string, secrets: readonly string[]): void {
  for (const secret of secrets) {
    const found = formIn(text, secret);
    if (found !== undefined)
      fail(`A secret got out (${found.form})`, text.slice(Math.max(0, found.at - 200)));
  }
}

type Prototypes = readonly (readonly [name: string, object: object, properties: string])[];

const propertiesOf = (object: object): string =>
  Reflect.ownKeys(object)
    .map((key) => {
      const { value, get, set, ...flags } = Object.getOwnPropertyDescriptor(object, key) ?? {};
      return `${String(key)} ${typeof value} ${typeof get} ${typeof set} ${JSON.stringify(flags)}`;
    })
    .join('\n');

/** Jest has a realm of its own for the tests and lib, beside that of Node. */
function prototypes(): Prototypes {
  const outside = (
    realProcess as unknown as { constructor: { constructor: FunctionConstructor } }
  ).constructor.constructor('return { Object, Array, Function, String }') as () => Record<
    string,
    FunctionConstructor
  >;
  const inside = { Object, Array, Function, String, Map, Promise, Buffer };
  return [...Object.entries(inside), ...Object.entries(outside())].flatMap(([name, made]) => {
    const { prototype } = made as unknown as { prototype: object };
    return [
      [`${name}.prototype`, prototype, propertiesOf(prototype)],
      [name, made, propertiesOf(made)],
    ] as const;
  });
}

/** Takes out what was put into a prototype, so that the next case begins clean. */
function restore(object: object, before: string): void {
  const names = new Set(before.split('\n').map((line) => line.split(' ', 1)[0]));
  for (const key of Reflect.ownKeys(object)) if (!names.has(String(key))) Reflect.deleteProperty(object, key);
}

const NEWS = ['unhandledRejection', 'uncaughtException', 'warning'] as const;

/**
 * Milliseconds of the processor that some work takes. Node counts the whole process, with the threads that collect and compile for
 * whatever ran before: work over the bound is measured three times, and the least is its own.
 */
export async function cpuMsOf(mostMs: number, work: () => Promise<void> | void): Promise<number> {
  let least = Infinity;
  for (let measured = 0; measured < 3 && least > mostMs; measured++) {
    const begun = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(begun);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}

/** Watches the process while cases run in it. */
export class Watch {
  readonly #before = prototypes();
  readonly #others = NEWS.map((name) => [name, realProcess.listeners(name as 'exit')] as const);
  #news: string[] = [];

  constructor(private readonly patienceMs = 20_000) {
    for (const name of NEWS) {
      // Those of the test runner would end the test before the case could be made small.
      realProcess.removeAllListeners(name);
      realProcess.on(name as 'warning', (problem: unknown) => {
        this.#news.push(`${name}: ${(problem as Error | undefined)?.stack ?? String(problem)}`);
      });
    }
  }

  end(): void {
    for (const [name, listeners] of this.#others) {
      realProcess.removeAllListeners(name);
      for (const listener of listeners) realProcess.on(name, listener);
    }
  }

  /** Runs one case: it ends, soon, and leaves nothing behind. */
  async watch(attempt: () => Promise<void>): Promise<void> {
    this.#news = [];
    const cpuMs = await cpuMsOf(MOST_CPU_MS, () => this.#inTime(attempt));
    if (cpuMs > MOST_CPU_MS) fail(`The case took ${Math.round(cpuMs)} ms of the processor`);
    // Node tells of a rejection when everything else is done.
    await new Promise((resolve) => setImmediate(resolve));
    for (const [name, object, properties] of this.#before) {
      if (propertiesOf(object) === properties) continue;
      restore(object, properties);
      fail(`${name} was changed`);
    }
    const [news] = this.#news;
    if (news !== undefined) fail('Something was left to the process', news);
  }

  async #inTime(attempt: () => Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const never = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Complaint('Nothing came: it hangs.')), this.patienceMs);
    });
    try {
      await Promise.race([attempt(), never]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Bytes of the heap that are in use once everything is collected that can be. */
export function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
