// A webhook as it is processed: what was asked for, validated, with nothing of the request and no secret left in it.

/** A validated webhook. */
export interface Webhook {
  /** `add`, `update`, `update_tags`, `test`, or the name of one of the host's own actions. */
  readonly action: string;
  /** The CRM's id of the contact; `null` only for `test` and for the host's own actions. */
  readonly contactId: string | null;
  /** The role asked for, not yet held against what is assignable. */
  readonly role?: string | undefined;
  readonly sendNotification: boolean;
  /** Emails by which a user may be found where none has the contact id; several where webhooks were merged. */
  readonly emails: readonly string[];
  /** Whether the sender wants to wait for the result (`false`) or not, where there is a queue; `undefined`: not said. */
  readonly async?: boolean | undefined;
  readonly dryRun: boolean;
  /** Tells this webhook from all others, in the log and in the activity log; of several that were merged all of them. */
  readonly correlationId?: string | undefined;
  /** Every parameter as text, without the access key: for the host's own actions. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** The actions that every site has. */
export const BUILT_IN_ACTIONS = ['add', 'update', 'update_tags', 'test'] as const;

/** Only from a queue: what is still owed to the contact's user. */
export const SETTLE = 'settle';
