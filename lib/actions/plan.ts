// What a contact means for a user: the changes, worked out without making any.
import type { Contact, Tag } from '../crm/client';
import type { Configuration } from '../options';
import type { Change, WarningCode } from '../result';
import { mapContact, type MappedContact } from '../users/field-map';
import { toPublicUser } from '../users/guard';
import { comparisonKey, isUsableEmail, storable } from '../users/normalize';
import type { User, UserChanges } from '../users/repository';
import { fingerprint, parseSyncState, THERE_BEFORE } from '../users/sync-state';
import { callHost } from './run';

/** How much of the contact an action takes over. */
export interface PlanOptions {
  readonly parts: 'fields and tags' | 'tags' | 'nothing';
  /** The role that the request asks for. */
  readonly role?: string | undefined;
  /** Link the user to this contact. */
  readonly link?: boolean | undefined;
  readonly warn: (code: WarningCode, message: string) => void;
}

/** The changes that make a user equal to its contact. `password` is a new one, still in clear. */
export interface Plan {
  readonly changes: UserChanges;
  readonly password: string | undefined;
}

/** Works out what has to change. */
export async function planUpdate(
  configuration: Configuration,
  user: User,
  contact: Contact,
  options: PlanOptions,
): Promise<Plan> {
  const changes: UserChanges = {};
  let password: string | undefined;
  if (options.link === true) changes.contactId = contact.id;
  if (options.parts !== 'nothing') {
    const tags = tagsOf(contact, configuration.tagsAs);
    if (!sameItems(tags, user.tags)) changes.tags = tags;
  }

  if (options.parts === 'fields and tags') {
    const mapped = mapFields(configuration, contact);
    const meta = changedMeta(configuration, user, mapped);
    if (Object.keys(meta).length > 0) changes.meta = meta;

    const { email } = mapped;
    if (email !== null && isUsableEmail(email) && comparisonKey(email) !== comparisonKey(user.email))
      changes.email = email;
    const role = askedRole(configuration, mapped, options);
    if (role !== undefined && role !== user.role) changes.role = role;
    // Whoever controls a contact must not get into an account that only has the same email.
    password = options.link === true ? undefined : await changedPassword(configuration, user, mapped);

    const guarded = [
      ...(changes.email === undefined ? [] : ['email']),
      ...(changes.role === undefined ? [] : ['role']),
      ...(password === undefined ? [] : ['password']),
    ];
    if (guarded.length > 0 && isProtected(configuration, user)) {
      options.warn('USER_PROTECTED', `The user is protected; left alone: ${guarded.join(', ')}.`);
      delete changes.email;
      delete changes.role;
      password = undefined;
    }
    if (changes.email !== undefined && parseSyncState(user.syncState).hash === THERE_BEFORE) {
      // To an address of their own the site would send them a new password.
      options.warn('USER_PROTECTED', LINKED_BY_EMAIL);
      delete changes.email;
    }
  }
  return { changes, password };
}

/** The role that the contact, else the request, asks for; `undefined` where neither does or it cannot be given. */
export function askedRole(
  configuration: Configuration,
  mapped: MappedContact,
  options: Pick<PlanOptions, 'role' | 'warn'>,
): string | undefined {
  const asked = mapped.role ?? options.role;
  if (asked === undefined) return undefined;
  const role = configuration.roles.match(asked);
  if (role === undefined) {
    const source = mapped.role === null ? 'the role parameter' : 'the field mapped to role';
    options.warn('ROLE_NOT_ASSIGNABLE', `The role in ${source} is not one of roles.assignable.`);
  }
  return role;
}

/** The field map applied; what the host's functions throw has a code. */
export function mapFields(configuration: Configuration, contact: Contact): MappedContact {
  const { fields, returnPassword } = configuration;
  // The batch may have read it for another contact; the host's functions have no business with it.
  return mapContact(
    fields,
    returnPassword === undefined ? contact : withoutFields(contact, [returnPassword.field]),
  );
}

/** A contact as it is, but for some fields. */
export function withoutFields(contact: Contact, keys: readonly (string | undefined)[]): Contact {
  const kept = <Value>(record: Readonly<Record<string, Value>>): Record<string, Value> =>
    Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)));
  return {
    ...contact,
    fields: kept(contact.fields),
    ...(contact.raw === undefined ? {} : { raw: kept(contact.raw) }),
  };
}

/** The tags of a contact as a user has them: names or ids, each once. A tag without a name is never dropped. */
export function tagsOf(contact: Contact, as: 'name' | 'id'): string[] {
  const label = ({ id, name }: Tag): string => {
    const text = storable(as === 'id' ? id : name);
    return text === '' ? `#${storable(id)}` : text;
  };
  return [...new Set(contact.tags.map(label))];
}

/** Whether the host's rules put the user out of reach; a rule that throws fails the webhook. */
export function isProtected(configuration: Configuration, user: User): boolean {
  return configuration.roles.isProtected(toPublicUser(user));
}

/** What a local name could be taken for. */
const USER_KEYS = [
  'id',
  'contactId',
  'email',
  'username',
  'password',
  'passwordHash',
  'role',
  'tags',
  'meta',
  'syncState',
];

/** The changes as they are told: names, and values where they are no secret. */
export function describeChanges({ changes, password }: Plan, user: Partial<User>): Change[] {
  const { meta = {}, tags, passwordHash, syncState: _syncState, ...properties } = changes;
  const list: Change[] = [];
  for (const [field, to] of Object.entries(properties)) {
    if (to !== undefined) list.push({ field, from: user[field as keyof User] ?? null, to });
  }
  if (password !== undefined || passwordHash !== undefined) list.push({ field: 'password' });
  for (const [name, to] of Object.entries(meta)) {
    const field = USER_KEYS.includes(name) ? `meta.${name}` : name;
    list.push({ field, from: user.meta?.[name] ?? null, to });
  }
  if (tags !== undefined) list.push({ field: 'tags', from: user.tags ?? [], to: tags });
  return list;
}

const LINKED_BY_EMAIL =
  'The account was there before this contact, and was found by its email; left alone: email. Its owner can change it on the site.';

/** What was added to a list and what was taken out of it. */
export function difference(
  before: readonly string[],
  after: readonly string[],
): { added: string[]; removed: string[] } {
  return {
    added: after.filter((item) => !before.includes(item)),
    removed: before.filter((item) => !after.includes(item)),
  };
}

function changedMeta(
  configuration: Configuration,
  user: User,
  mapped: MappedContact,
): NonNullable<UserChanges['meta']> {
  const changed: NonNullable<UserChanges['meta']> = {};
  for (const [name, value] of Object.entries(mapped.meta)) {
    const stored = Object.hasOwn(user.meta, name) ? user.meta[name] : undefined;
    if (value === null) {
      if (stored !== undefined && configuration.fields.get(name)?.blank === 'clear') changed[name] = null;
    } else if (JSON.stringify(stored) !== JSON.stringify(value)) changed[name] = value;
  }
  return changed;
}

/** The mapped password where it counts: only on request, and never over one that the person has chosen since we wrote. */
async function changedPassword(
  configuration: Configuration,
  user: User,
  mapped: MappedContact,
): Promise<string | undefined> {
  const { password } = mapped;
  if (!configuration.passwordOnUpdate || password === null) return undefined;
  const { passwordHash } = user;
  const ours = parseSyncState(user.syncState).hash;
  if (ours !== undefined && (passwordHash === null || ours !== fingerprint(passwordHash))) return undefined;
  if (passwordHash === null) return password;
  const same = await callHost('passwordHasher.verify()', () =>
    configuration.passwordHasher.verify(password, passwordHash),
  );
  return same ? undefined : password;
}

const sameItems = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((item) => other.includes(item));
