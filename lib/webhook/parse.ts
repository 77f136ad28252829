// Parameters become a Webhook: one schema, compiled once, says what each may be.
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { WpFusionError, type ParameterError } from '../errors';
import { BUILT_IN_ACTIONS, type Webhook } from '../queue/webhook';
import type { Parameters } from './read';

/** The parameters each built-in action looks at; the host's own actions look at `contact_id`. */
const PARAMETERS_OF: Readonly<Record<string, readonly string[]>> = {
  add: ['contact_id', 'role', 'send_notification', 'async', 'dry_run'],
  update: ['contact_id', 'role', 'email', 'async', 'dry_run'],
  update_tags: ['contact_id', 'email', 'async', 'dry_run'],
  test: [],
};

/** Whether a parameter says something else than whose webhook it is. */
export const isTakenParameter = (name: string): boolean =>
  ['wpf_action', 'access_key', ...Object.values(PARAMETERS_OF).flat()].some(
    (taken) => taken === name && taken !== CONTACT_ID,
  );

/** Where the contact id may stand: our own name, then what senders call it. Between the two stand the CRM client's own names. */
const CONTACT_ID = 'contact_id';
const SENDERS_NAMES = ['contactId', 'id', 'data[id]'] as const;

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  1: true,
  yes: true,
  on: true,
  false: false,
  0: false,
  no: false,
  off: false,
};
const BOOLEAN_PARAMETERS = ['send_notification', 'async', 'dry_run'];

/** What the schema validates: one text a parameter, the action among them. */
type Candidate = Record<string, string>;

const boolean = {
  type: 'string',
  enum: Object.keys(BOOLEANS),
  explain: 'must be true or false (or 1/0, yes/no, on/off)',
};
const SCHEMA = {
  type: 'object',
  properties: {
    contact_id: { type: 'string', contactId: true, explain: 'is no contact id of this CRM' },
    // Whether it can be given is the role policy's to say, with a warning.
    role: { type: 'string' },
    email: { type: 'string', maxLength: 254, pattern: '^[^\\s@]+@[^\\s@]+$', explain: 'is no email address' },
    send_notification: boolean,
    async: boolean,
    dry_run: boolean,
  },
  if: { properties: { wpf_action: { enum: ['add', 'update', 'update_tags'] } } },
  then: { required: ['contact_id'] },
};

/** Turns parameters into webhooks, for one configuration. */
export class WebhookParser {
  readonly #validate: ValidateFunction<Candidate>;
  /** The first that is given counts. What a client names is more certain than a mere `id`. */
  readonly #contactIdNames: readonly string[];

  constructor(
    private readonly contactIdPattern: RegExp,
    private readonly customActions: ReadonlySet<string>,
    contactIdParameters: readonly string[] = [],
  ) {
    this.#contactIdNames = [CONTACT_ID, ...contactIdParameters, ...SENDERS_NAMES];
    const ajv = new Ajv({ allErrors: true, verbose: true });
    ajv.addKeyword({ keyword: 'explain', schemaType: 'string' });
    ajv.addKeyword({
      keyword: 'contactId',
      type: 'string',
      compile: () => (id: string) => contactIdPattern.test(id),
    });
    this.#validate = ajv.compile<Candidate>(SCHEMA);
  }

  /** The action asked for. Throws `UNKNOWN_ACTION`, or `INVALID_REQUEST` where two are asked for. */
  action(parameters: Parameters): string {
    const given = (parameters.get('wpf_action') ?? []).map((value) => value?.trim().toLowerCase() ?? '');
    if (new Set(given).size > 1) throw invalid([{ parameter: 'wpf_action', message: DOUBLED }]);
    const action = given[0] ?? '';
    const known = [...BUILT_IN_ACTIONS, ...this.customActions];
    if (known.includes(action)) return action;
    const what = action === '' ? 'wpf_action is empty' : `wpf_action=${shorten(action)} is unknown`;
    throw new WpFusionError('UNKNOWN_ACTION', `${what}; this site knows ${known.join(', ')}.`);
  }

  /** Whether the parameters name all that this action cannot do without. */
  isComplete(action: string, parameters: Parameters): boolean {
    const needsContact = Object.hasOwn(PARAMETERS_OF, action) && action !== 'test';
    return !needsContact || this.#contactIdNames.some((name) => values(parameters, name).length > 0);
  }

  /** The webhook. Throws `INVALID_REQUEST` with everything that is wrong. */
  parse(action: string, parameters: Parameters): Webhook {
    const custom = this.customActions.has(action);
    const candidate: Candidate = { wpf_action: action };
    const errors: ParameterError[] = [];
    for (const parameter of custom ? [CONTACT_ID] : (PARAMETERS_OF[action] ?? [])) {
      const name = parameter === CONTACT_ID ? this.#contactIdName(parameters, custom) : parameter;
      // An empty merge field or a form's empty input is a parameter that was not given; an empty boolean is a mistake.
      const given = (parameters.get(name) ?? []).filter(
        (value) => value?.trim() !== '' || BOOLEAN_PARAMETERS.includes(parameter),
      );
      const [first] = given;
      if (first === undefined) continue;
      const as = name === parameter ? '' : `(as ${name}) `;
      if (given.some((value) => value === null)) errors.push({ parameter, message: `${as}${UNREADABLE}` });
      else if (new Set(given).size > 1) errors.push({ parameter, message: `${as}${DOUBLED}` });
      else if (first !== null) {
        candidate[parameter] = BOOLEAN_PARAMETERS.includes(parameter)
          ? first.trim().toLowerCase()
          : first.trim();
        // A `+` that the CRM did not encode has become a space, which no address has.
        if (parameter === 'email') candidate[parameter] = first.trim().replaceAll(' ', '+');
      }
    }
    if (!this.#validate(candidate)) {
      for (const error of this.#validate.errors ?? []) {
        const described = describe(error, candidate);
        if (described !== undefined && !errors.some(({ parameter }) => parameter === described.parameter)) {
          errors.push(described);
        }
      }
    }
    if (errors.length > 0) throw invalid(errors);
    return {
      action,
      contactId: candidate.contact_id ?? null,
      role: candidate.role,
      emails: candidate.email === undefined ? [] : [candidate.email],
      async: candidate.async === undefined ? undefined : BOOLEANS[candidate.async],
      sendNotification: BOOLEANS[candidate.send_notification ?? 'false'] === true,
      dryRun: BOOLEANS[candidate.dry_run ?? 'false'] === true,
      parameters: custom ? plain(parameters) : {},
    };
  }

  /** For the host's own actions `id` may be anything: there a value counts only if it could be a contact's. */
  #contactIdName(parameters: Parameters, custom: boolean): string {
    const fits = (name: string): boolean =>
      values(parameters, name).length > 0 &&
      (!custom ||
        name === CONTACT_ID ||
        values(parameters, name).every((value) => this.contactIdPattern.test(value ?? '')));
    return this.#contactIdNames.find(fits) ?? CONTACT_ID;
  }
}

const DOUBLED = 'is given twice with different values';
const UNREADABLE = 'is neither a text nor a whole number up to 2^53 − 1';

const values = (parameters: Parameters, name: string): (string | null)[] =>
  (parameters.get(name) ?? []).filter((value) => value?.trim() !== '');

/** A value as it is told. A long one is not cut: what is left of a secret would not be known as one. */
const shorten = (value: string): string =>
  value.length > 60 ? `a text of ${value.length} characters` : JSON.stringify(value);

const plain = (parameters: Parameters): Record<string, string> =>
  Object.fromEntries(
    [...parameters].flatMap(([name, [value]]) =>
      name === 'access_key' || value === null || value === undefined ? [] : [[name, value]],
    ),
  );

function invalid(errors: readonly ParameterError[]): WpFusionError {
  const detail = errors.map(({ parameter, message }) => `${parameter} ${message}`).join('; ');
  return new WpFusionError('INVALID_REQUEST', `${detail}.`, { errors });
}

function describe(error: ErrorObject, candidate: Candidate): ParameterError | undefined {
  if (error.keyword === 'required') {
    return { parameter: String(error.params.missingProperty), message: 'is missing or empty' };
  }
  const parameter = error.instancePath.slice(1);
  const explain = (error.parentSchema as { explain?: string } | undefined)?.explain;
  const value = candidate[parameter];
  // The `if` of the schema also reports; it belongs to no parameter.
  if (explain === undefined || value === undefined) return undefined;
  if (parameter === 'contact_id' && /^\[.*\]$/.test(value)) {
    const message = `is still the merge field ${shorten(value)}: the CRM did not fill it in; choose it from the CRM's own list of merge fields, and test with a contact`;
    return { parameter, message };
  }
  return { parameter, message: `${explain}: ${shorten(value)}` };
}
