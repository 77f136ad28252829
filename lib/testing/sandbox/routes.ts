// The endpoints of the Ontraport API that a sandbox has.
import { TEXT_TYPES, NUMERIC_TYPES } from './fields';
import { query } from './queries';
import type { Page, Table } from './queries';
import { splitList, storedValue } from './records';
import type { Records, SandboxValue, StoredRecord } from './records';
import { BadRequest, OBJECT_NOT_FOUND, textReply } from './replies';
import type { Reply } from './replies';
import { isTrue, list, text } from './requests';
import type { Parameters } from './requests';

/** What the endpoints need of the sandbox around them. */
export interface RouteContext {
  readonly records: Records;
  readonly accountId: number | string;
  readonly notFoundStatus: 404 | 200;
  readonly getByEmailNoMatch: 404 | 400 | 'empty';
  readonly allowDeleteAll: boolean;
  readonly createdReadableAfterMs: number;
  readonly shuffle: ((rows: StoredRecord[]) => void) | undefined;
  /** Runs work now, or later where the account is slow: tagging and background requests are asynchronous. */
  readonly later: (kind: 'tagging' | 'background', work: () => void) => void;
}

type Handler = (context: RouteContext, parameters: Parameters) => Reply;

const CONTACT = '0';
const TAG = '14';
const WEBHOOK = '145';

const EVENTS =
  /^(object_create\(0\)|(object_submits_form|sub_tag|unsub_tag|purchase_product|transaction_created_with_product)\(\d+\))$/;

const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;

function success(context: RouteContext, data?: unknown, more: Record<string, unknown> = {}): Reply {
  const envelope = {
    code: 0,
    ...(data === undefined ? {} : { data }),
    account_id: context.accountId,
    ...more,
  };
  return { status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(envelope) };
}

const notFound = (context: RouteContext): Reply => textReply(context.notFoundStatus, OBJECT_NOT_FOUND);

/** The typed paths are short for a generic one with its object type. */
const ofType =
  (objectId: string, handler: Handler): Handler =>
  (context, parameters) =>
    handler(context, Object.assign(Object.create(null) as Parameters, parameters, { objectID: objectId }));

function tableOf(context: RouteContext, parameters: Parameters): Table {
  const { records, shuffle } = context;
  switch (text(parameters.objectID)) {
    case CONTACT:
      return contactTable(context, records.readable());
    case TAG:
      return {
        rows: [...records.tags.values()],
        idKey: 'tag_id',
        isNumeric: (key) => key !== 'tag_name',
        searchable: ['tag_name'],
        shuffle,
      };
    case WEBHOOK:
      return {
        rows: [...records.webhooks.values()],
        idKey: 'id',
        isNumeric: (key) => key === 'id',
        searchable: ['url'],
        shuffle,
      };
    default:
      throw new BadRequest('Invalid objectID');
  }
}

function contactTable({ records, shuffle }: RouteContext, rows: readonly StoredRecord[]): Table {
  const typeOf = (key: string): string => records.fields.get(key)?.type ?? '';
  return {
    rows,
    idKey: 'id',
    isNumeric: (key) => key === 'id' || NUMERIC_TYPES.has(typeOf(key)),
    searchable: [...records.fields.keys()].filter((key) => TEXT_TYPES.has(typeOf(key))),
    shuffle,
  };
}

function listReply(context: RouteContext, parameters: Parameters, { rows, total }: Page): Reply {
  return success(context, rows, { misc: [], ...(isTrue(parameters.count) ? { count: String(total) } : {}) });
}

const readOne: Handler = (context, parameters) => {
  const table = tableOf(context, parameters);
  const id = text(parameters.id);
  if (id === '') throw new BadRequest('Invalid object ID');
  const row = table.rows.find((candidate) => candidate[table.idKey] === id);
  return row === undefined ? notFound(context) : success(context, row);
};

const readMany: Handler = (context, parameters) =>
  listReply(context, parameters, query(tableOf(context, parameters), parameters));

const getInfo: Handler = (context, parameters) => {
  const { total } = query(tableOf(context, parameters), parameters);
  const listFields = ['fn', 'email', 'office_phone', 'date', 'grade', 'dla', 'contact_id'];
  const settings = { listFieldSettings: [], cardViewSettings: [], viewMode: [] };
  return success(context, { listFields, ...settings, count: String(total) });
};

const getByEmail: Handler = (context, parameters) => {
  const email = text(parameters.email);
  if (email === '') throw new BadRequest('Invalid email');
  const ids = context.records.byEmail(email).map((contact) => contact.id);
  if (ids.length > 0) return success(context, isTrue(parameters.all) ? { ids } : { id: ids[0] });
  const { getByEmailNoMatch } = context;
  return getByEmailNoMatch === 'empty'
    ? success(context, [])
    : textReply(getByEmailNoMatch, OBJECT_NOT_FOUND);
};

/** The fields of a write that the account takes; the rest is ignored without a word. */
function writableFields({ records }: RouteContext, parameters: Parameters): Record<string, SandboxValue> {
  const fields: Record<string, SandboxValue> = {};
  for (const [key, value] of Object.entries(parameters)) {
    const scalar = value === null || ['string', 'number', 'boolean'].includes(typeof value);
    if (scalar && records.isWritable(key)) fields[key] = value as SandboxValue;
  }
  return fields;
}

const invalidEmail = (fields: Record<string, SandboxValue>): boolean =>
  text(fields.email) !== '' && !EMAIL.test(text(fields.email));

const INVALID_EMAIL = textReply(422, 'Invalid email address');

/** Which contact a write means: `id` wins over `unique_id`. */
function targetOf({ records }: RouteContext, parameters: Parameters): string | undefined {
  const id = text(parameters.id);
  if (id !== '') return records.isReadable(id) ? id : undefined;
  const uniqueId = text(parameters.unique_id);
  return records.readable().find((contact) => contact.unique_id === uniqueId)?.id ?? undefined;
}

function requireContacts(parameters: Parameters): void {
  if (text(parameters.objectID) !== CONTACT) throw new BadRequest('Invalid objectID');
}

const create: Handler = (context, parameters) => {
  if (text(parameters.objectID) === TAG) return createTag(context, parameters);
  requireContacts(parameters);
  const fields = writableFields(context, parameters);
  if (invalidEmail(fields)) return INVALID_EMAIL;
  const readableAfter = context.createdReadableAfterMs;
  const id = context.records.addContact({ ...fields, readableAfter });
  const { owner } = context.records.contact(id) ?? {};
  return success(context, { use_utm_names: 'false', ...stringified(fields), id, owner });
};

const stringified = (fields: Record<string, SandboxValue>): Record<string, string | null> =>
  Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, storedValue(value)]));

function change(
  context: RouteContext,
  id: string,
  parameters: Parameters,
  fields: Record<string, SandboxValue>,
): Reply {
  if (invalidEmail(fields)) return INVALID_EMAIL;
  const write = (): void => void context.records.update(id, fields);
  if (isTrue(parameters.background_request)) context.later('background', write);
  else write();
  const dlm = context.records.contact(id)?.dlm;
  return success(context, { attrs: { ...stringified(fields), dlm, id } });
}

const update: Handler = (context, parameters) => {
  requireContacts(parameters);
  if (text(parameters.id) === '' && text(parameters.unique_id) === '')
    throw new BadRequest('Invalid object ID');
  const id = targetOf(context, parameters);
  return id === undefined
    ? notFound(context)
    : change(context, id, parameters, writableFields(context, parameters));
};

const saveOrUpdate: Handler = (context, parameters) => {
  requireContacts(parameters);
  const email = text(parameters.email);
  const id =
    (text(parameters.unique_id) === '' ? undefined : targetOf(context, { ...parameters, id: '' })) ??
    (email === '' ? undefined : context.records.byEmail(email)[0]?.id);
  if (id === undefined || id === null) return create(context, parameters);
  let fields = writableFields(context, parameters);
  if (isTrue(parameters.ignore_blanks)) {
    fields = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== ''));
  }
  return change(context, id, parameters, fields);
};

const deleteOne: Handler = (context, parameters) => {
  requireContacts(parameters);
  const id = text(parameters.id);
  if (id === '') throw new BadRequest('Invalid object ID');
  if (!context.records.isReadable(id)) return notFound(context);
  context.records.delete(id);
  return success(context);
};

const deleteMany: Handler = (context, parameters) => {
  requireContacts(parameters);
  const selects = list(parameters.ids).length > 0 || text(parameters.condition) !== '';
  if (!selects && !context.allowDeleteAll) {
    throw new BadRequest('This would delete every contact; the sandbox needs allowDeleteAll for it');
  }
  for (const contact of everyRow(context, parameters)) context.records.delete(contact.id ?? '');
  return success(context, 'Deleted');
};

/** All rows that the filters select, over all pages. */
function everyRow(context: RouteContext, parameters: Parameters): StoredRecord[] {
  const table: Table = { ...tableOf(context, parameters), shuffle: undefined };
  const rows: StoredRecord[] = [];
  for (;;) {
    const page = query(table, { ids: parameters.ids, condition: parameters.condition, start: rows.length });
    rows.push(...page.rows);
    if (page.rows.length === 0 || rows.length >= page.total) return rows;
  }
}

const meta: Handler = ({ records, ...context }, parameters) => {
  const fieldMeta = (alias: string, type: string, editable: unknown): Record<string, unknown> => ({
    alias,
    type,
    required: '0',
    unique: '0',
    editable,
    deletable: '0',
  });
  const contact = Object.fromEntries(
    [...records.fields].map(([key, { alias, type, editable, options }]) => [
      key,
      {
        ...fieldMeta(alias, type, editable),
        deletable: /^f\d/.test(key) ? '1' : '0',
        ...(type === 'parent' ? { parent_object: 2 } : {}),
        // PHP cannot tell an empty map from an empty list.
        ...(options === undefined ? {} : { options: Object.keys(options).length === 0 ? [] : options }),
      },
    ]),
  );
  const objects = [
    { id: CONTACT, name: 'Contact', fields: contact },
    { id: TAG, name: 'Tag', fields: { tag_name: fieldMeta('Name', 'text', '1') } },
  ];
  const wanted = text(parameters.objectID);
  const chosen = objects.filter(({ id }) => wanted === '' || wanted === id);
  if (chosen.length === 0) throw new BadRequest('Invalid objectID');
  const byName = text(parameters.format).toLowerCase() === 'byname';
  const entries = chosen.map(({ id, name, fields }) => [byName ? name : id, { name, fields }]);
  return success({ records, ...context }, Object.fromEntries(entries));
};

function createTag(context: RouteContext, parameters: Parameters): Reply {
  const name = text(parameters.tag_name);
  if (name === '') throw new BadRequest('Invalid tag name');
  const id = context.records.addTag(name, { objectTypeId: Number(text(parameters.object_type_id)) || 0 });
  return success(context, context.records.tags.get(id));
}

const contactsWithTag: Handler = (context, parameters) => {
  requireContacts(parameters);
  const [id, name] = [text(parameters.tag_id), text(parameters.tag_name)];
  if (id === '' && name === '') throw new BadRequest('Invalid tag');
  const tagId = id === '' ? context.records.tagId(name) : id;
  const rows = context.records
    .readable()
    .filter((contact) => tagId !== undefined && splitList(contact.contact_cat).includes(tagId));
  return listReply(context, parameters, query(contactTable(context, rows), parameters));
};

function applyTags(
  context: RouteContext,
  type: 'tag' | 'untag',
  contactIds: readonly string[],
  tagIds: readonly string[],
): Reply {
  context.later('tagging', () => {
    for (const contactId of contactIds) context.records.tag(contactId, type, tagIds);
  });
  return success(context, 'The tag is now being processed.');
}

const tagById =
  (type: 'tag' | 'untag'): Handler =>
  (context, parameters) => {
    requireContacts(parameters);
    const ids = list(parameters.ids);
    const tagIds = list(type === 'tag' ? parameters.add_list : parameters.remove_list);
    if (ids.length === 0 || tagIds.length === 0) throw new BadRequest('Invalid parameters');
    return applyTags(
      context,
      type,
      ids,
      tagIds.filter((id) => context.records.tags.has(id)),
    );
  };

const tagByName =
  (type: 'tag' | 'untag'): Handler =>
  (context, parameters) => {
    requireContacts(parameters);
    const names = type === 'tag' ? parameters.add_names : parameters.remove_names;
    // Unlike everywhere else, text with commas is not accepted here.
    if (typeof parameters.ids !== 'object' || typeof names !== 'object') {
      throw new BadRequest('ids and names must be arrays');
    }
    const { records } = context;
    const tagIds = list(names).map((name) => (type === 'tag' ? records.addTag(name) : records.tagId(name)));
    return applyTags(
      context,
      type,
      list(parameters.ids),
      tagIds.filter((id) => id !== undefined),
    );
  };

const subscribeToAutomation: Handler = (context, parameters) => {
  if (list(parameters.ids).length === 0) throw new BadRequest('Invalid parameters');
  return success(context, 'The subscription is now being processed.');
};

const subscribeWebhook: Handler = (context, parameters) => {
  const [url, event] = [text(parameters.url), text(parameters.event)];
  if (!URL.canParse(url) || !/^https?:/i.test(url)) throw new BadRequest('Invalid URL');
  if (!EVENTS.test(event)) throw new BadRequest('Invalid event');
  const { data } = parameters;
  const stored = typeof data === 'object' && data !== null ? JSON.stringify(data) : text(data);
  return success(context, context.records.addWebhook(url, event, stored));
};

const unsubscribeWebhook: Handler = (context, parameters) =>
  context.records.webhooks.delete(text(parameters.id)) ? success(context) : notFound(context);

const one = { GET: readOne, DELETE: deleteOne };
const many = { GET: readMany, POST: create, PUT: update, DELETE: deleteMany };

const typed = (objectId: string, handlers: Readonly<Record<string, Handler>>): Record<string, Handler> =>
  Object.fromEntries(
    Object.entries(handlers).map(([method, handler]) => [method, ofType(objectId, handler)]),
  );

const ROUTES: ReadonlyMap<string, Readonly<Record<string, Handler>>> = new Map([
  ['/object', one],
  ['/Contact', typed(CONTACT, one)],
  ['/objects', many],
  ['/Contacts', typed(CONTACT, many)],
  ['/object/getByEmail', { GET: getByEmail }],
  ['/objects/saveorupdate', { POST: saveOrUpdate }],
  ['/Contacts/saveorupdate', typed(CONTACT, { POST: saveOrUpdate })],
  ['/objects/getInfo', { GET: getInfo }],
  ['/Contacts/getInfo', typed(CONTACT, { GET: getInfo })],
  ['/objects/meta', { GET: meta }],
  ['/Contacts/meta', typed(CONTACT, { GET: meta })],
  ['/Tag', typed(TAG, { GET: readOne })],
  ['/Tags', typed(TAG, { GET: readMany, POST: create })],
  ['/objects/tag', { GET: contactsWithTag, PUT: tagById('tag'), DELETE: tagById('untag') }],
  ['/objects/tagByName', { PUT: tagByName('tag'), DELETE: tagByName('untag') }],
  ['/objects/subscribe', { PUT: subscribeToAutomation, DELETE: subscribeToAutomation }],
  ['/Webhook', typed(WEBHOOK, { GET: readOne })],
  ['/Webhooks', typed(WEBHOOK, { GET: readMany })],
  ['/Webhook/subscribe', { POST: subscribeWebhook }],
  ['/Webhook/unsubscribe', { DELETE: unsubscribeWebhook }],
]);

/** Answers an authenticated call. `body` is what the parser could not read, where it could not. */
export function route(context: RouteContext, method: string, path: string, parameters: Parameters): Reply {
  const handlers = ROUTES.get(path);
  if (handlers === undefined) return textReply(404, OBJECT_NOT_FOUND);
  const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
  if (handler === undefined) return textReply(405, 'Method not allowed');
  try {
    return handler(context, parameters);
  } catch (error) {
    if (error instanceof BadRequest) return textReply(400, error.message);
    throw error;
  }
}
