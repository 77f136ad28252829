// The fields of a sandbox's contacts: what an account has from the start, and how an unset value of each type is stored.

/** A type that the account's field metadata can name. {@link SandboxFieldOptions} has one. */
export type SandboxFieldType =
  | 'text'
  | 'longtext'
  | 'email'
  | 'phone'
  | 'sms'
  | 'address'
  | 'url'
  | 'image'
  | 'country'
  | 'state'
  | 'numeric'
  | 'price'
  | 'check'
  | 'drop'
  | 'list'
  | 'fulldate'
  | 'timestamp'
  | 'parent'
  | 'subscription'
  | 'mergefield'
  | 'related_data';

/**
 * A field to add to the account.
 *
 * @example
 * const key = sandbox.addField({ alias: 'Level', type: 'drop', options: { '7': 'Silver', '9': 'Gold' } });
 * const id = sandbox.addContact({ email: 'mary@example.com', [key]: '9' });
 */
export interface SandboxFieldOptions {
  /** The key, `f1556` for instance. Absent: the next free one. One that exists already is replaced. */
  readonly key?: string;
  /** The label that people see, and that merge fields use. */
  readonly alias: string;
  /** Default `text`. */
  readonly type?: SandboxFieldType;
  /** For `drop` and `list`: labels by option id, or labels alone, which get ids that do not start at 1. */
  readonly options?: Readonly<Record<string, string>> | readonly string[];
  /** How the account stores "not set". Default: by type, as the real accounts do. */
  readonly unset?: string | null;
  /** As the metadata shows it; real accounts mix `"1"`, `1`, `0` and `null`. */
  readonly editable?: string | number | null;
}

/** A field of the account. */
export interface SandboxField {
  readonly key: string;
  readonly alias: string;
  readonly type: SandboxFieldType;
  readonly options: Readonly<Record<string, string>> | undefined;
  readonly unset: string | null;
  readonly editable: string | number | null;
}

/** Types whose values are compared and sorted as numbers. */
export const NUMERIC_TYPES: ReadonlySet<string> = new Set([
  'numeric',
  'price',
  'drop',
  'fulldate',
  'timestamp',
  'parent',
]);

/** Types that `search` looks into. */
export const TEXT_TYPES: ReadonlySet<string> = new Set([
  'text',
  'longtext',
  'email',
  'phone',
  'sms',
  'address',
  'url',
]);

/** Option ids of an account are arbitrary; a client that counts from 1 must not get away with it. */
const FIRST_OPTION_ID = 586;

const unsetOf = (key: string, type: SandboxFieldType): string | null => {
  if (['drop', 'parent', 'fulldate', 'timestamp'].includes(type)) return '0';
  if (['check', 'image', 'numeric', 'price'].includes(type)) return null;
  return /^f\d/.test(key) && type !== 'list' ? null : '';
};

const optionsOf = (field: SandboxFieldOptions): Readonly<Record<string, string>> | undefined => {
  const { options } = field;
  if (options === undefined) return field.type === 'drop' || field.type === 'list' ? {} : undefined;
  if (!Array.isArray(options)) return options as Readonly<Record<string, string>>;
  return Object.fromEntries(options.map((label: string, index) => [String(FIRST_OPTION_ID + index), label]));
};

/** A field with everything filled in that was not given. */
export function completeField(field: SandboxFieldOptions & { readonly key: string }): SandboxField {
  const type = field.type ?? 'text';
  return {
    key: field.key,
    alias: field.alias,
    type,
    options: optionsOf(field),
    unset: field.unset === undefined ? unsetOf(field.key, type) : field.unset,
    editable: field.editable === undefined ? '1' : field.editable,
  };
}

/** What every account has. `id` and `unique_id` are part of a record too, but no field of the metadata. */
export const STANDARD_FIELDS: readonly (SandboxFieldOptions & { readonly key: string })[] = [
  { key: 'firstname', alias: 'First Name' },
  { key: 'lastname', alias: 'Last Name' },
  { key: 'email', alias: 'Email', type: 'email' },
  { key: 'company', alias: 'Company' },
  { key: 'title', alias: 'Title' },
  { key: 'address', alias: 'Address' },
  { key: 'address2', alias: 'Address 2' },
  { key: 'city', alias: 'City' },
  { key: 'state', alias: 'State', type: 'state', options: { CA: 'California', AU_NT: 'Northern Territory' } },
  { key: 'zip', alias: 'Zip Code' },
  { key: 'country', alias: 'Country', type: 'country', options: { US: 'United States', AU: 'Australia' } },
  { key: 'home_phone', alias: 'Home Phone', type: 'phone' },
  { key: 'office_phone', alias: 'Office Phone', type: 'phone' },
  { key: 'sms_number', alias: 'SMS Number', type: 'sms' },
  { key: 'website', alias: 'Website', type: 'url' },
  { key: 'birthday', alias: 'Birthday', type: 'fulldate' },
  { key: 'profile_image', alias: 'Profile Image', type: 'image' },
  { key: 'owner', alias: 'Owner', type: 'parent' },
  {
    key: 'status',
    alias: 'Sales Stage',
    type: 'drop',
    editable: 1,
    options: { '1': 'Closed - Lost', '2': 'Closed - Won', '7': 'New Prospect' },
  },
  { key: 'priority', alias: 'Priority', type: 'drop', options: { '8': 'High', '9': 'Medium', '10': 'Low' } },
  { key: 'bulk_mail', alias: 'Bulk Email Status', type: 'numeric', unset: '1', editable: 0 },
  { key: 'spent', alias: 'Total Spent', type: 'price', unset: '0.00', editable: 0 },
  { key: 'date', alias: 'Date Added', type: 'timestamp', editable: null },
  { key: 'dla', alias: 'Last Activity', type: 'timestamp', editable: null },
  { key: 'dlm', alias: 'Date Modified', type: 'timestamp', editable: null },
  { key: 'contact_cat', alias: 'Tags', type: 'subscription', editable: 0 },
  { key: 'updateSequence', alias: 'Sequences', type: 'subscription', editable: 0 },
  { key: 'updateCampaign', alias: 'Automations', type: 'subscription', editable: 0 },
];
