// Total functions: whatever they are given, they give what they promise, and throw nothing but errors with a code.
import fc from 'fast-check';
import { MemoryUserRepository, type Contact, type User } from '../../lib';
import { decodeValue, dateOf, optionIds, rawValue, splitIds } from '../../lib/crm/ontraport/decode';
import { isWpFusionError } from '../../lib/errors';
import { html } from '../../lib/html';
import { describeError, redact } from '../../lib/redact';
import { mapContact } from '../../lib/users/field-map';
import { comparisonKey, isUsableEmail, storable } from '../../lib/users/normalize';
import { parseSyncState, formatSyncState } from '../../lib/users/sync-state';
import { chooseUsername, usernameCandidates } from '../../lib/users/username';
import { WebhookParser } from '../../lib/webhook/parse';
import {
  isWebhook,
  readParsedBody,
  readQuery,
  type Parameters,
  type WebhookRequest,
} from '../../lib/webhook/read';
import { networkOf } from '../../lib/webhook/throttle';
import { elementsOf } from './markup';
import { cpuMsOf } from './oracle';
import { anyJson, anyText } from './texts';
import { fuzz, report, runsOf, type Fuzzed, type Fuzzing } from './settings';

/** Processor time for one call, of which a quadratic one needs more for thirty thousand characters. */
const MOST_CPU_MS = 300;

const inTime = async (work: () => void): Promise<void> => {
  const cpuMs = await cpuMsOf(MOST_CPU_MS, work);
  if (cpuMs > MOST_CPU_MS) throw new Error(`It took ${Math.round(cpuMs)} ms of the processor.`);
};

const anyValue = fc.oneof(
  anyText,
  anyJson.map((json): unknown => JSON.parse(json)),
  fc.anything(),
);
const kinds = fc.constantFrom(
  'check',
  'numeric',
  'price',
  'timestamp',
  'fulldate',
  'parent',
  'drop',
  'list',
  'text',
  '__proto__',
);
const contact = fc
  .tuple(
    fc.dictionary(
      fc.constantFrom('a', 'b', '__proto__', 'constructor'),
      fc.oneof(
        anyText,
        fc.array(anyText, { maxLength: 3 }),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.boolean(),
      ),
    ),
    fc.option(anyText),
  )
  .map(([fields, email]): Contact => ({ id: '1', email, tags: [], modifiedAt: null, fields }));
const syncState = fc.oneof(
  anyText,
  anyJson,
  fc
    .tuple(
      anyJson,
      fc.array(
        fc.oneof(
          anyJson,
          fc.string({ unit: 'binary', minLength: 12 }).map((text) => JSON.stringify(text)),
        ),
        { maxLength: 8 },
      ),
      anyJson,
    )
    .map(
      ([hash, claims, at]) =>
        `{"h":${hash},"p":{"c":[${claims.join(',')}],"t":${at.length > 400 ? 1 : at}},"a":1}`,
    ),
);
const parameters = fc
  .array(
    fc.tuple(
      fc.oneof(
        fc.constantFrom('wpf_action', 'contact_id', 'id', 'data[id]', 'role', 'email', 'async', 'dry_run'),
        anyText,
      ),
      fc.array(fc.option(anyText), { maxLength: 3 }),
    ),
  )
  .map((entries): Parameters => new Map(entries));

/** A property of one function, ready to be tried so many times. */
const holds =
  <Given>(given: fc.Arbitrary<Given>, check: (given: Given) => void) =>
  (fuzzing: Fuzzing): Promise<Fuzzed> =>
    fuzz(fuzzing, given, (one) => inTime(() => check(one)));

const parser = new WebhookParser(/^\d{1,20}$/, new Set(['greet']));

const PROPERTIES: Readonly<Record<string, (fuzzing: Fuzzing) => Promise<Fuzzed>>> = {
  'a number of seconds, a list and a value of the CRM': holds(fc.tuple(kinds, anyValue), ([type, given]) => {
    let raw: string | null;
    try {
      raw = rawValue(given);
    } catch (error) {
      expect(isWpFusionError(error)).toBe(true);
      return;
    }
    const metadata = { type, options: new Map([['1', 'one']]) };
    const value = decodeValue(raw ?? null, metadata, 'Europe/Berlin');
    expect(
      value === null || ['string', 'number', 'boolean'].includes(typeof value) || Array.isArray(value),
    ).toBe(true);
    expect(Number.isNaN(value)).toBe(false);
    for (const id of [...splitIds(raw ?? null), ...optionIds(raw ?? null, metadata)])
      expect(typeof id).toBe('string');
    expect(dateOf(raw ?? null)?.toISOString() ?? '').toEqual(expect.any(String));
  }),
  'the network of an address': holds(anyText, (address) => {
    expect(networkOf(address).length).toBeLessThan(50);
  }),
  emails: holds(anyText, (email) => {
    expect(comparisonKey(comparisonKey(email))).toBe(comparisonKey(email));
    if (isUsableEmail(email)) expect(email).toMatch(/^[^@\s]+@[^@\s]+$/);
  }),
  'what can be stored': holds(anyText, (text) => {
    expect(storable(text)).not.toMatch(/\0|\p{Surrogate}/u);
    expect(storable(storable(text))).toBe(storable(text));
  }),
  usernames: holds(
    fc.tuple(anyText, anyText, fc.constantFrom('email' as const, 'firstlast' as const)),
    ([firstName, lastName, rule]) => {
      const mapped = {
        email: null,
        username: null,
        password: null,
        role: null,
        meta: { firstName, lastName },
      };
      const wanted = chooseUsername(
        rule,
        mapped,
        { id: '1', email: null, tags: [], modifiedAt: null, fields: {} },
        'x@example.com',
      );
      expect(wanted).not.toBe('');
      const candidates = [...usernameCandidates(wanted)];
      expect(candidates.length).toBeLessThan(30);
      // Cut, it has its number at the end of 255 characters.
      const kept = Array.from(wanted).slice(0, 248).join('').trim();
      expect(candidates.every((candidate) => candidate.startsWith(kept))).toBe(true);
      expect(candidates.every((candidate) => Array.from(candidate).length <= 255)).toBe(true);
    },
  ),
  'the field map': holds(fc.tuple(contact, fc.boolean()), ([one, raw]) => {
    const map = new Map(
      ['email', 'username', 'password', 'role', 'a', 'b', 'constructor'].map((name, at) => [
        name,
        { from: at % 2 === 0 ? 'a' : 'b', raw },
      ]),
    );
    const { meta, ...properties } = mapContact(map, {
      ...one,
      raw: Object.fromEntries(Object.entries(one.fields).map(([key, value]) => [key, String(value)])),
    });
    for (const value of Object.values(properties))
      expect(value === null || (typeof value === 'string' && value !== '')).toBe(true);
    expect(Object.keys(meta).sort()).toEqual(['a', 'b', 'constructor']);
    for (const value of Object.values(meta).flat())
      if (typeof value === 'string') expect(storable(value)).toBe(value);
  }),
  'a syncState': holds(syncState, (text) => {
    const once = parseSyncState(text);
    const written = formatSyncState(once);
    expect(written.length).toBeLessThanOrEqual(255);
    const twice = parseSyncState(written);
    const { hash, afterCreate = false, mail = false } = once;
    expect(twice).toMatchObject({ hash, afterCreate, mail });
    expect(twice.password?.claims).toEqual(once.password?.claims.slice(-6));
  }),
  'secrets in a text': holds(
    fc.tuple(anyText, fc.array(fc.oneof(anyText, hostileSecret()), { maxLength: 3 })),
    ([text, secrets]) => {
      expect(typeof redact(text, secrets)).toBe('string');
      expect(describeError(Object.assign(new Error(text), { cause: secrets }), secrets)).toMatchObject({
        name: expect.any(String),
      });
    },
  ),
  parameters: holds(parameters, (given) => {
    try {
      const webhook = parser.parse(parser.action(given), given);
      expect(webhook.contactId ?? '1').toMatch(/^\d{1,20}$/);
    } catch (error) {
      expect(isWpFusionError(error) && error.status).toBe(400);
    }
  }),
  'whether a request is for us, and what it says': holds(
    fc.tuple(anyText, anyText, anyValue),
    ([name, value, body]) => {
      const request = {
        url: `/?${name}=${value}`,
        body,
        headers: { 'content-type': 'application/json' },
      } as unknown as WebhookRequest;
      expect(typeof isWebhook(request)).toBe('boolean');
      expect(readQuery(request)).toBeInstanceOf(Map);
      readParsedBody(request);
    },
  ),
  markup: holds(fc.tuple(anyText, anyText), ([one, other]) => {
    const [first, ...others] = elementsOf(html`<p class="${one}">${other}</p>`.text);
    expect(others).toEqual([]);
    expect(first?.attributes).toHaveLength(1);
  }),
};

function hostileSecret(): fc.Arbitrary<string> {
  return fc.constantFrom('e', '[', 'redacted', '[redacted]', '\ud800', 'aaaa', '%', '$&');
}

test.each(Object.entries(PROPERTIES))(
  '%s',
  async (name, tried) => {
    report(name, await tried(runsOf(200, 0.1 / Object.keys(PROPERTIES).length)));
  },
  3_600_000,
);

test('users in memory are looked up by any text', async () => {
  const users = new MemoryUserRepository();
  const fuzzed = await fuzz(runsOf(100, 0.01), anyText, async (text) => {
    const found: (User | null)[] = [await users.findByEmail(text), await users.findByContactId(text)];
    expect(found).toEqual([null, null]);
  });
  report('look-ups', fuzzed);
}, 3_600_000);
