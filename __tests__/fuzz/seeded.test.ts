// The fuzzer finds what it is there for: each of these lines, put into lib, fails within as many cases as CI tries.
import { fuzzAnswers } from './answer-loop';
import { theLibrary, withDefect, type Defect, type Library } from './library';
import { fuzzRequests } from './request-loop';
import { IS_LONG, type Fuzzed, type Fuzzing } from './settings';

interface Seeded extends Defect {
  readonly what: string;
  readonly by: (library: Library, fuzzing: Fuzzing) => Promise<Fuzzed>;
  /** What the judge says. */
  readonly complaint: RegExp;
}

const REQUESTS = 500;
const ANSWERS = 100;

const SEEDED: readonly Seeded[] = [
  {
    what: 'a value of a page that is not escaped',
    file: 'html.ts',
    line: 'return String(content).replace(/[&<>"\']/g, (character) => `&#${character.charCodeAt(0)};`);',
    instead: 'return String(content);',
    by: fuzzAnswers,
    complaint: /The page has an (element|attribute)/,
  },
  {
    what: 'a quote that is not escaped in an attribute',
    file: 'html.ts',
    line: '/[&<>"\']/g',
    instead: '/[&<>]/g',
    by: fuzzRequests,
    complaint: /The page has an attribute/,
  },
  {
    what: 'parameters put into a plain object: a polluted prototype',
    file: 'webhook/read.ts',
    line: 'const parameters: Parameters = new Map();\n  for (const [name, value] of Object.entries(record)) {',
    instead:
      'const parameters: Parameters = new Map();\n  const plain: any = {};\n  for (const [name, value] of Object.entries(record)) {\n    if (isRecord(value)) for (const [key, inner] of Object.entries(value)) (plain[name] ??= {})[key] = inner;',
    by: fuzzRequests,
    complaint: /was changed/,
  },
  {
    what: 'a regular expression that takes for ever',
    file: 'webhook/read.ts',
    line: "if (text.trim() === '') return undefined;",
    instead: "if (text.trim() === '' || /^\\S*\\S*;$/.test(text)) return undefined;",
    by: fuzzRequests,
    complaint: /ms of the processor|it hangs/,
  },
  {
    what: 'a missing catch: JSON that is none',
    file: 'webhook/read.ts',
    line: "    return { trouble: new WpFusionError('INVALID_BODY', message) };\n  }\n}",
    instead: '    throw new SyntaxError(message);\n  }\n}',
    by: fuzzRequests,
    complaint: /INTERNAL_ERROR is nobody’s fault but ours|A mistake of the code/,
  },
  {
    what: 'a failure that nobody answers',
    file: 'middleware.ts',
    line: '      send(request, response, trail, answerFailure(error, received?.webhook, page, trail, tell));',
    instead: '      answerFailure(error, received?.webhook, page, trail, tell);',
    by: fuzzRequests,
    complaint: /it hangs/,
  },
  {
    what: 'an answer of the CRM taken for what it should be',
    file: 'crm/ontraport/metadata.ts',
    line: 'if (!Array.isArray(data) || !data.every(isRecord)) throw badShape(path);\n  return data;',
    instead: 'return data as Row[];',
    by: fuzzAnswers,
    complaint: /A mistake of the code/,
  },
  {
    what: 'a text of the CRM stored as it came',
    file: 'users/normalize.ts',
    line: "return text.replaceAll('\\0', '').replace(/\\p{Surrogate}/gu, '\\ufffd');",
    instead: 'return text;',
    by: fuzzAnswers,
    complaint: /A user with a text that no database stores/,
  },
  {
    what: 'input in a header of the answer',
    file: 'middleware.ts',
    line: "  response.setHeader('X-Correlation-Id', trail.id);",
    instead:
      "  response.setHeader('X-Correlation-Id', trail.id);\n  response.setHeader('X-Webhook', (request.url ?? '').slice(0, 50));",
    by: fuzzRequests,
    complaint: /The answer has a header too many/,
  },
  {
    what: 'a recipient put together as text',
    file: 'smtp/smtp-notifier.ts',
    line: 'to: { name: displayName(user), address },',
    instead: 'to: `${String(user.meta.firstName)} <${address}>` as never,',
    by: fuzzAnswers,
    complaint: /A mail (to somebody else than one user|with other fields in its header)/,
  },
  {
    what: 'a role that is taken as it comes',
    file: 'users/role-policy.ts',
    line: 'return this.#spellings.get(comparisonKey(role));',
    instead: 'return role;',
    by: fuzzAnswers,
    complaint: /A user with the role|become an administrator/,
  },
  {
    what: 'a key that is told',
    file: 'redact.ts',
    line: '    redacted = redacted.replaceAll(form, REPLACEMENT);',
    instead: '',
    by: fuzzRequests,
    complaint: /A secret got out/,
  },
  {
    what: 'a promise that nobody waits for',
    file: 'webhook/throttle.ts',
    line: '    remember(this.#trusted, networkOf(address), this.#now());',
    instead:
      "    remember(this.#trusted, networkOf(address), this.#now());\n    void Promise.reject(new Error('nobody hears'));",
    by: fuzzRequests,
    complaint: /unhandledRejection/,
  },
  {
    what: 'a cache that grows for ever',
    file: 'webhook/receive.ts',
    line: '  const query = readQuery(request);',
    instead:
      "  const query = readQuery(request);\n  ((door as any).kept ??= []).push(...[1, 2, 3, 4].map(() => Buffer.from(request.url ?? '').toJSON().data));",
    by: fuzzRequests,
    complaint: /The heap has grown/,
  },
];

/** One of each loop and of each kind of complaint with every change, all of them in the long run. */
const WITH_EVERY_CHANGE = [
  'a value of a page that is not escaped',
  'parameters put into a plain object: a polluted prototype',
  'a regular expression that takes for ever',
  'a role that is taken as it comes',
];
const tried = SEEDED.filter(({ what }) => IS_LONG || WITH_EVERY_CHANGE.includes(what));

test.each(tried)('$what', async ({ by, complaint, ...defect }) => {
  const runs = by === fuzzRequests ? REQUESTS : ANSWERS;
  const { failure } = await by(withDefect(defect), { runs, shrinks: false, patienceMs: 5000 });
  expect(failure).toMatch(complaint);
});

test('lib as it is passes, loaded in the same way', async () => {
  const { failure } = await fuzzRequests(theLibrary(), { runs: 50 });
  expect(failure).toBeUndefined();
});
