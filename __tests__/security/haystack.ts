// Everything that got out of a run as text, and the search for secrets in it, in every form that a secret may have taken.
import { inspect } from 'node:util';
import { readFileSync } from 'node:fs';

/** A text that must not get out. */
export interface Secret {
  readonly label: string;
  readonly text: string;
}

/** A secret that was found. */
export interface Finding {
  readonly step: string;
  readonly source: string;
  readonly secret: string;
  readonly form: string;
  readonly excerpt: string;
}

/** Jest's `process` is a copy that hears neither of warnings nor of unhandled rejections; this is the real one. */
export const realProcess = (
  (readFileSync as unknown as { constructor: FunctionConstructor }).constructor(
    'return process',
  ) as () => NodeJS.Process
)();

const htmlNamed = (text: string): string =>
  text.replace(
    /[&<>"']/g,
    (character) =>
      ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[character] ?? character,
  );
const htmlNumbered = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** The middle of a base64 text that a secret has whatever stands before and after it, `offset` bytes into a group of three. */
function base64Core(text: string, offset: 0 | 1 | 2, alphabet: 'base64' | 'base64url'): string {
  const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(text)]);
  const whole = bytes.toString(alphabet);
  return whole.slice([0, 2, 3][offset], Math.floor((bytes.length * 8) / 6));
}

/** How a secret may be written inside a text, by name. Each form is the exact text that stands there. */
export const FORMS: Readonly<Record<string, (secret: string) => string>> = {
  raw: (secret) => secret,
  encodeURIComponent: (secret) => encodeURIComponent(secret),
  'form encoding': (secret) => new URLSearchParams({ x: secret }).toString().slice(2),
  'JSON-escaped': (secret) => JSON.stringify(secret).slice(1, -1),
  'HTML-escaped, named': htmlNamed,
  'HTML-escaped, numbered': htmlNumbered,
  hex: (secret) => Buffer.from(secret).toString('hex'),
  'base64, offset 0': (secret) => base64Core(secret, 0, 'base64'),
  'base64, offset 1': (secret) => base64Core(secret, 1, 'base64'),
  'base64, offset 2': (secret) => base64Core(secret, 2, 'base64'),
  'base64url, offset 0': (secret) => base64Core(secret, 0, 'base64url'),
  'base64url, offset 1': (secret) => base64Core(secret, 1, 'base64url'),
  'base64url, offset 2': (secret) => base64Core(secret, 2, 'base64url'),
};

/** More ways of writing one that are searched for, too. */
const MORE_FORMS: typeof FORMS = {
  inspected: (secret) => inspect(secret).slice(1, -1),
  'JSON-escaped twice': (secret) => JSON.stringify(JSON.stringify(secret).slice(1, -1)).slice(1, -1),
  'in small letters': (secret) => secret.toLowerCase(),
  'JSON-escaped, in small letters': (secret) => JSON.stringify(secret.toLowerCase()).slice(1, -1),
  'hex, capitals': (secret) => Buffer.from(secret).toString('hex').toUpperCase(),
  'URL-encoded in small letters': (secret) =>
    encodeURIComponent(secret).replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
};

/** The name of the first form in which a secret stands in a text, and where. */
export function formIn(text: string, secret: string): { form: string; at: number } | undefined {
  for (const [form, write] of Object.entries({ ...FORMS, ...MORE_FORMS })) {
    const at = text.indexOf(write(secret));
    if (at !== -1) return { form, at };
  }
  return undefined;
}

/** Every text inside a value, however deep, also where `JSON.stringify` and `inspect` would not look. */
function textsIn(value: unknown, seen = new Set<unknown>()): string[] {
  if (typeof value === 'string') return [value];
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) {
    return [];
  }
  seen.add(value);
  const entries =
    value instanceof Map ? [...value].flat() : value instanceof Set ? [...(value as Set<unknown>)] : [];
  const own = Reflect.ownKeys(value).flatMap((key) => [
    typeof key === 'string' ? key : '',
    (value as Record<PropertyKey, unknown>)[key],
  ]);
  return [...entries, ...own].flatMap((each) => textsIn(each, seen));
}

const jsonOf = (value: unknown): string => {
  try {
    const text: unknown = JSON.stringify(value);
    return typeof text === 'string' ? text : '';
  } catch {
    return '';
  }
};

/** Collects what gets out, by the step of the run in which it did. */
export class Haystack {
  step = 'before the first step';
  readonly lines: { step: string; source: string; text: string }[] = [];

  /** Adds a value: as `inspect` and JSON show it, and every text in it as it is. */
  add(source: string, ...values: readonly unknown[]): void {
    const shown = values.map((value) =>
      inspect(value, {
        depth: Infinity,
        maxStringLength: Infinity,
        maxArrayLength: Infinity,
        showHidden: true,
      }),
    );
    const text = [...shown, ...values.map(jsonOf), ...textsIn(values)].join('\n');
    this.lines.push({ step: this.step, source, text });
  }

  /** Where which secret stands. */
  search(secrets: Iterable<Secret>): Finding[] {
    const findings: Finding[] = [];
    for (const { label, text: secret } of secrets) {
      // What is this short would be found by accident.
      if (secret.length < 6) throw new Error(`${label} is too short to be searched for.`);
      for (const { step, source, text } of this.lines) {
        const found = formIn(text, secret);
        if (found === undefined) continue;
        const excerpt = text.slice(Math.max(0, found.at - 40), found.at + 60).replaceAll('\n', ' ');
        findings.push({ step, source, secret: label, form: found.form, excerpt });
      }
    }
    return findings;
  }
}
