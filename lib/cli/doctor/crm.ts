// Whether the CRM lets us in, and has the fields that the options name.
import { closest, distance } from 'fastest-levenshtein';
import type { CrmField } from '../../crm/client';
import type { Configuration } from '../../options';
import { fieldsToRead } from '../../users/field-map';
import type { Site } from '../site';
import { attempt, inWords, notChecked, ok, toDo, warning, type Check } from './check';

/** Ids to ask for: one of them looks as the CRM's do. Whether there is such a contact does not matter. */
const IDS = ['1', '999999999', 'a', '00000000-0000-4000-8000-000000000000'];

/** Whether a contact can be read; everything else about the CRM is asked only then. */
export async function checkAccess(site: Site): Promise<readonly Check[]> {
  const { crm, contactIdPattern, fields } = site.configuration;
  const id = IDS.find((each) => contactIdPattern.test(each));
  if (id === undefined) return [notChecked('CRM', 'no id that could be asked for looks as its ids do')];
  return attempt(site, 'CRM', async (signal) => {
    await crm.getContacts([id], { fields: fieldsToRead(fields), signal });
    return [ok('CRM', 'it answers, and takes the credentials')];
  });
}

export function checkRateLimit({ configuration }: Site): readonly Check[] {
  const { crm } = configuration;
  if (crm.budget === undefined) return [notChecked('rate limit', 'the client has no budget()')];
  const budget = crm.budget();
  if (budget === undefined) return [notChecked('rate limit', 'the client does not know it yet')];
  const { limit, used, windowMs } = budget;
  const detail = `${inWords(limit, 'call')} in ${windowMs / 1000} s, ${used} of them used`;
  const isNear = used > limit * 0.8;
  return [
    isNear
      ? warning('rate limit', `${detail}: something else uses this account up`)
      : ok('rate limit', detail),
  ];
}

/** A field that an option names, and what it has to hold. */
interface NamedField {
  readonly option: string;
  readonly key: string;
  readonly needs: 'text' | 'no other kind' | 'anything';
}

/** Every field that the options name. */
function namedFields({ fields, returnPassword }: Configuration): NamedField[] {
  const mapped = [...fields].map(([name, { from, transform }]): NamedField => {
    const isText = ['email', 'username', 'password'].includes(name) && transform === undefined;
    return { option: `fields.${name}`, key: from, needs: isText ? 'no other kind' : 'anything' };
  });
  if (returnPassword === undefined) return mapped;
  const { field, usernameField } = returnPassword;
  return [
    ...mapped,
    { option: 'returnPassword.field', key: field, needs: 'text' },
    ...(usernameField === undefined
      ? []
      : [{ option: 'returnPassword.usernameField', key: usernameField, needs: 'no other kind' } as const]),
  ];
}

/** A field that the CRM does not have reads as empty for ever, and a password that is returned to one is lost without a word. */
export async function checkFields(site: Site): Promise<readonly Check[]> {
  const { configuration } = site;
  const { crm } = configuration;
  if (crm.describeFields === undefined) {
    return [notChecked('fields', 'the client has no describeFields()')];
  }
  return attempt(site, 'fields', async (signal) => {
    const known = (await crm.describeFields?.({ signal })) ?? [];
    return namedFields(configuration).map((field) => judged(field, known));
  });
}

function judged({ option, key, needs }: NamedField, known: readonly CrmField[]): Check {
  const field = known.find((each) => each.key === key);
  if (field === undefined) {
    return toDo(option, `the CRM has no field ${JSON.stringify(key)}${nearest(key, known)}`);
  }
  const { label, type } = field;
  const shown = label === key ? key : `${key} (${label})`;
  if (needs === 'text' && type !== 'text') {
    return toDo(
      option,
      `${shown} is no text field (${type}); a password could not be read back to the letter`,
    );
  }
  if (needs === 'no other kind' && !['text', 'other'].includes(type)) {
    return toDo(option, `${shown} is no text field (${type})`);
  }
  return ok(option, shown);
}

/** The field that was probably meant: the one with this label, or one whose key or label is near. */
function nearest(key: string, known: readonly CrmField[]): string {
  const wanted = key.toLowerCase();
  const keysByName = new Map<string, string>();
  for (const { key: each, label } of [...known].reverse()) {
    keysByName.set(label.toLowerCase(), each);
    keysByName.set(each.toLowerCase(), each);
  }
  if (keysByName.size === 0) return '; it shows none at all';
  const name = closest(wanted, [...keysByName.keys()]);
  const meant = known.find((field) => field.key === keysByName.get(name));
  if (meant === undefined || distance(wanted, name) > Math.max(1, wanted.length / 3)) return '';
  const label = meant.label === meant.key ? '' : `, labelled ${JSON.stringify(meant.label)}`;
  return `; did you mean ${JSON.stringify(meant.key)}${label}?`;
}

/** How many contacts are looked at: a page of most CRMs. */
const CONTACTS = 50;

/** Whether contacts come with their tags, and those with their names. */
export async function checkTags(site: Site): Promise<readonly Check[]> {
  const { crm, fields } = site.configuration;
  if (crm.listContacts === undefined) return [notChecked('tags', 'the client has no listContacts()')];
  return attempt(site, 'tags', async (signal) => {
    const names = new Map<string, string>();
    let contacts = 0;
    for await (const { tags } of crm.listContacts?.({}, { fields: fieldsToRead(fields), signal }) ?? []) {
      contacts += 1;
      for (const { id, name } of tags) names.set(id, name);
      if (contacts >= CONTACTS) break;
    }
    if (contacts === 0) return [warning('tags', 'the account shows no contact: may the key see them?')];
    const looked = `${inWords(names.size, 'tag')} on ${inWords(contacts, 'contact')}`;
    const unnamed = [...names].filter(([id, name]) => name === '' || name === `#${id}`).map(([id]) => id);
    if (unnamed.length === 0) return [ok('tags', looked)];
    return [warning('tags', `${looked}; the CRM gives no name for ${unnamed.slice(0, 5).join(', ')}`)];
  });
}
