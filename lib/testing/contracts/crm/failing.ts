// The contract of what goes wrong: each trouble has its code, none is taken for "no contact", and no error holds a secret.
import { inspect } from 'node:util';
import { codeOf, WpFusionError } from '../../../errors';
import type { ErrorCode } from '../../../errors';
import { expectError, expectRejection, expectSame, expectTrue, fail, shown } from '../expectations';
import type { Suite } from '../runner';
import { ALL_FAILURES, type CrmFailure, type Settings } from './settings';
import type { Stage } from './stage';

const CODES: Readonly<Record<CrmFailure, ErrorCode>> = {
  unauthorized: 'CRM_UNAUTHORIZED',
  rateLimited: 'CRM_RATE_LIMITED',
  unavailable: 'CRM_UNAVAILABLE',
  badResponse: 'CRM_BAD_RESPONSE',
};

const WHAT: Readonly<Record<CrmFailure, string>> = {
  unauthorized: 'The CRM refuses the credentials',
  rateLimited: 'The CRM allows no more calls for now',
  unavailable: 'The CRM is down',
  badResponse: 'The CRM answers with something else than documented',
};

interface Call {
  readonly name: string;
  readonly missing?: string | false;
  run(stage: Stage, id: string, signal: AbortSignal): Promise<unknown>;
}

export function failing(suite: Suite<Stage>, settings: Settings): void {
  const calls: readonly Call[] = [
    {
      name: 'getContacts',
      run: (stage, id, signal) => stage.client.getContacts([id], { signal, fields: [stage.field] }),
    },
    {
      name: 'updateContact',
      run: (stage, id, signal) => stage.client.updateContact(id, { [stage.field]: 'value' }, { signal }),
    },
    {
      name: 'listContacts',
      missing: !settings.listContacts && 'the client has no listContacts',
      run: async (stage, _id, signal) => {
        for await (const contact of stage.walk({}, { signal })) return contact;
        return undefined;
      },
    },
  ];

  suite.group('failures', () => {
    for (const kind of ALL_FAILURES) {
      const code = CODES[kind];
      const isNotMade = !settings.failures.includes(kind) && 'the scene cannot make this trouble';
      for (const call of calls) {
        suite.test(
          `${call.name} throws ${code} (${kind})`,
          async (stage) => {
            const id = await stage.add('mary', { value: 'before' });
            await makeFail(stage, kind);
            const error = await failureOf(kind, call.name, () =>
              untilTroubled(stage, (signal) => call.run(stage, id, signal)),
            );
            expectSound(error, code);
            expectNoSecrets(error, stage.scene.secrets);
          },
          isNotMade || (call.missing ?? false),
        );
      }
    }

    suite.test('no error holds the credentials: an unknown contact, a call given up', async (stage) => {
      const id = await stage.add('mary');
      const { client, field, scene } = stage;
      const works = [
        () => client.updateContact(scene.missingId, { [field]: 'value' }),
        () => client.getContacts([id], { signal: AbortSignal.abort() }),
        () => {
          const controller = new AbortController();
          const read = client.getContacts([id], { signal: controller.signal });
          controller.abort();
          return read;
        },
      ];
      for (const work of works) {
        const error = await expectRejection(
          work,
          'A write to an unknown contact has to reject, and so has a read that is given up.',
        );
        expectNoSecrets(error, scene.secrets);
      }
    });

    suite.test('trouble(), where there is one, says nothing while all is well', async (stage) => {
      const id = await stage.add('mary');
      await stage.readOne(id);
      const trouble: unknown = stage.client.trouble?.();
      expectSame(trouble, undefined, 'trouble() is undefined while nothing holds calls up.');
    });
  });
}

/** The error of a call that meets a trouble. Of no code at all it counts as CRM_UNAVAILABLE, so that much is allowed there. */
async function failureOf(kind: CrmFailure, name: string, work: () => Promise<unknown>): Promise<unknown> {
  const code = CODES[kind];
  const message =
    `${WHAT[kind]}, so ${name} has to throw new WpFusionError('${code}', …). "No contact" would take the user's rights away, ` +
    `and the answer to the webhook would be wrong.`;
  if (kind !== 'unavailable') return expectError(work, code, message);
  const error = await expectRejection(work, message);
  expectSame(codeOf(error) ?? code, code, message);
  return error;
}

async function makeFail(stage: Stage, kind: CrmFailure): Promise<void> {
  if (stage.scene.fail === undefined) {
    fail(
      `The scene has no fail(), which has to make the CRM fail. Where it cannot, say capabilities: { failures: [] }.`,
    );
  }
  await stage.scene.fail(kind);
}

/** Makes a call, and gives it up once the client says what holds it up: it may wait for as long as somebody waits for it. */
async function untilTroubled(
  stage: Stage,
  work: (signal: AbortSignal) => Promise<unknown>,
): Promise<unknown> {
  const controller = new AbortController();
  const call = work(controller.signal);
  const over = call.then(
    () => true,
    () => true,
  );
  const nextTurn = (): Promise<false> => new Promise((resolve) => setImmediate(resolve, false));
  const isTold = (): boolean => codeOf(stage.client.trouble?.()) === 'CRM_RATE_LIMITED';
  if (stage.client.trouble !== undefined) {
    while (!isTold()) if (await Promise.race([over, nextTurn()])) break;
    controller.abort();
  }
  return call;
}

/** What an error says beside its code. */
function expectSound(error: unknown, code: ErrorCode): void {
  const { retryable, retryAfter } = error as { retryable?: unknown; retryAfter?: unknown };
  if (retryable !== undefined) {
    const expected = new WpFusionError(code, '').retryable;
    expectSame(
      retryable,
      expected,
      `An error with the code ${code} has retryable: ${expected}, as WpFusionError sets it.`,
    );
  }
  if (code === 'CRM_RATE_LIMITED') {
    expectTrue(
      typeof retryAfter === 'number' && Number.isFinite(retryAfter) && retryAfter >= 0,
      `CRM_RATE_LIMITED says with retryAfter after how many seconds it is worth trying again, and that was ${shown(retryAfter)}.`,
    );
  } else if (retryAfter !== undefined) {
    const isSeconds = typeof retryAfter === 'number' && retryAfter >= 0;
    expectTrue(isSeconds, `retryAfter is a number of seconds, and was ${shown(retryAfter)}.`);
  }
}

/** Everything that a log could make of an error, its causes included. */
function everythingIn(error: unknown): string {
  const texts: string[] = [];
  const seen = new Set<unknown>();
  for (let each = error; typeof each === 'object' && each !== null && !seen.has(each);) {
    seen.add(each);
    const { message, stack, cause } = each as { message?: unknown; stack?: unknown; cause?: unknown };
    texts.push(
      String(message),
      String(stack),
      inspect(each, { depth: 20, showHidden: true, maxStringLength: null }),
    );
    try {
      texts.push(JSON.stringify(each));
    } catch {
      // What has no JSON is in the inspected text.
    }
    each = cause;
  }
  return texts.join('\n');
}

/** The middle of a base64 text, which a secret has whatever stands before and after it. */
const base64Core = (secret: string, offset: 0 | 1 | 2): string => {
  const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)]);
  const whole = bytes.toString('base64');
  return whole.slice([0, 2, 3][offset], Math.floor((bytes.length * 8) / 6));
};

/** Ways to write a secret. */
const FORMS: readonly ((secret: string) => string)[] = [
  (secret) => secret,
  (secret) => encodeURIComponent(secret),
  (secret) => new URLSearchParams({ x: secret }).toString().slice(2),
  (secret) => JSON.stringify(secret).slice(1, -1),
  (secret) => Buffer.from(secret).toString('hex'),
  // Alone, or behind a user's name as in basic authentication.
  (secret) => base64Core(secret, 0),
  (secret) => base64Core(secret, 1),
  (secret) => base64Core(secret, 2),
];

function expectNoSecrets(error: unknown, secrets: readonly string[]): void {
  const text = everythingIn(error);
  for (const [index, secret] of secrets.entries()) {
    const isThere = secret !== '' && FORMS.some((form) => text.includes(form(secret)));
    // The secret itself is not said: this message stands in logs, too.
    expectTrue(
      !isThere,
      `The error ${shown(codeOf(error) ?? 'of the client')} holds the credential secrets[${index}], in its message, stack, cause ` +
        `or a property. Errors are logged: pass on nothing of an HTTP library's error, whose request has the headers.`,
    );
  }
}
