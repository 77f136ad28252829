// OntraportClient against a sandbox: what it asks, how it shares and paces calls, and what it makes of the answers.

import { OntraportClient, conditionOf } from '../../../lib/crm/ontraport/client';
import type { OntraportClientOptions } from '../../../lib/crm/ontraport/client';
import type { Contact } from '../../../lib/crm/client';
import { OntraportSandbox } from '../../../lib/testing';
import type { OntraportSandboxOptions } from '../../../lib/testing';

let sandbox: OntraportSandbox;
afterEach(() => sandbox.close());

async function setUp(
  sandboxOptions: OntraportSandboxOptions = {},
  options: Partial<OntraportClientOptions> = {},
): Promise<OntraportClient> {
  sandbox = await OntraportSandbox.start(sandboxOptions);
  const { appId, apiKey, baseUrl } = sandbox;
  return new OntraportClient({ appId, apiKey, baseUrl, ...options });
}

const READ = { method: 'GET', path: '/Contacts' };
const META = { path: '/objects/meta' };
const TAGS = { path: '/objects' };

const addContacts = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => sandbox.addContact({ email: `${index}@example.com` }));

async function listed(contacts: AsyncIterable<Contact>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of contacts) ids.push(id);
  return ids;
}

describe('for people who look for somebody', () => {
  test('contacts are found by email, whatever its case, the smallest id first', async () => {
    const client = await setUp();
    const [first, second] = [1, 2].map(() => sandbox.addContact({ email: 'Mary@Example.com' }));
    sandbox.addContact({ email: 'mary@example.com.evil.example' });
    sandbox.clearCalls();
    expect(await client.findContactIds(' mary@example.COM ')).toEqual([first, second]);
    expect(await client.findContactIds('nobody@example.com')).toEqual([]);
    // Nothing but whose they are is asked for.
    expect(sandbox.callCount(READ)).toBe(2);
    expect(sandbox.calls.map(({ query }) => query.listFields)).toEqual([
      'id,email,contact_cat,dlm',
      'id,email,contact_cat,dlm',
    ]);
  });

  test('a server that ignores the condition does not make everybody the one who is looked for', async () => {
    const client = await setUp();
    const row = (id: string, email: string | null) => ({ id, email, contact_cat: '', dlm: '1' });
    sandbox.fail({
      ...READ,
      with: {
        status: 200,
        body: { code: 0, data: [row('1', 'joe@example.com'), row('2', null)], account_id: 1 },
      },
    });
    expect(await client.findContactIds('mary@example.com')).toEqual([]);
  });

  test('an account that is down is no account without the contact', async () => {
    const client = await setUp();
    sandbox.fail({ with: 'unauthorized', times: Infinity });
    await expect(client.findContactIds('mary@example.com')).rejects.toMatchObject({
      code: 'CRM_UNAUTHORIZED',
    });
  });

  test('the page of a contact, and what is left of the calls', async () => {
    const client = await setUp({ rateLimit: { limit: 50, windowMs: 60_000 } });
    expect(client.contactUrl('42')).toBe('https://app.ontraport.com/#!/contact/edit&id=42');
    expect(client.budget()).toEqual({ limit: 180, used: 0, windowMs: 60_000 });
    const [id] = addContacts(1) as [string];
    await client.getContacts([id]);
    sandbox.spendCalls(10);
    await client.getContacts([id]);
    const { limit, used } = client.budget();
    expect(limit).toBe(50);
    expect(used).toBeGreaterThanOrEqual(12);
    expect(used).toBeLessThanOrEqual(14);
  });
});

describe('getContacts', () => {
  test('decodes by the metadata of the account', async () => {
    const client = await setUp({ seed: true }, { timeZone: 'America/Los_Angeles' });
    const [mary, joe] = sandbox.contacts() as [{ id: string }, { id: string }];
    const contacts = await client.getContacts([mary.id, joe.id]);
    const contact = contacts.get(mary.id)!;
    expect(contact).toMatchObject({
      id: mary.id,
      email: 'mary@example.com',
      tags: [
        { id: '12', name: 'Customer' },
        { id: '15', name: 'Add User to WP' },
      ],
      fields: {
        firstname: 'Mary',
        status: 'New Prospect',
        birthday: '1985-10-20',
        f1557: 'Line one\nLine "two"',
        f1558: ['Blue', 'Red'],
        f1559: 'Basic',
        f1560: true,
        f1561: 12.5,
        f1562: 99,
        f1563: '2018-01-02',
        owner: '1',
      },
      raw: { f1558: '*/*586*/*587*/*', f1559: '586', f1560: '1', status: '7' },
    });
    expect(contact.modifiedAt).toEqual(new Date(Number(sandbox.contact(mary.id)!.dlm) * 1000));
    expect(contacts.get(joe.id)).toMatchObject({
      tags: [],
      fields: {
        lastname: null,
        company: null,
        status: null,
        birthday: null,
        f1558: null,
        f1559: null,
        f1560: null,
        f1561: null,
        f1562: 0,
        f1563: null,
      },
    });
  });

  test('asks for the fields wanted and for what every contact needs, and gives the ones wanted', async () => {
    const client = await setUp();
    const id = sandbox.addContact({ firstname: 'Ann', lastname: 'Lee', email: ' ann@example.com ' });
    const contacts = await client.getContacts([id], { fields: ['firstname', 'email', 'f9999'] });
    expect(sandbox.calls[0]!.query.listFields).toBe('id,email,contact_cat,dlm,firstname,f9999');
    expect(contacts.get(id)).toMatchObject({
      email: 'ann@example.com',
      fields: { firstname: 'Ann', email: ' ann@example.com ' },
      raw: { firstname: 'Ann', email: ' ann@example.com ' },
    });
    expect(Object.keys(contacts.get(id)!.fields).sort()).toEqual(['email', 'firstname']);
    const none = await client.getContacts([id], { fields: [] });
    expect(none.get(id)).toMatchObject({ email: 'ann@example.com', fields: {}, raw: {} });
  });

  test('simultaneous reads share a call, and each gets the fields it asked for', async () => {
    const client = await setUp();
    const [one, other] = addContacts(2) as [string, string];
    const [first, second] = await Promise.all([
      client.getContacts([one], { fields: ['firstname'] }),
      client.getContacts([one, other], { fields: ['lastname'] }),
    ]);
    expect(sandbox.callCount(READ)).toBe(1);
    expect([...first.values()].map(({ fields }) => fields)).toEqual([{ firstname: null }]);
    expect([...second.values()].map(({ fields }) => fields)).toEqual([
      { lastname: null },
      { lastname: null },
    ]);
  });

  test('200 simultaneous reads of one contact each need few calls', async () => {
    const client = await setUp({ rateLimit: { limit: 180 } });
    const ids = addContacts(200);
    sandbox.latency(50, READ);
    const contacts = await Promise.all(ids.map((id) => client.getContacts([id], { fields: ['email'] })));
    expect(contacts.map((map) => [...map.keys()])).toEqual(ids.map((id) => [id]));
    expect(sandbox.callCount(READ)).toBeLessThanOrEqual(8);
  });

  test('also when they arrive one after the other', async () => {
    const client = await setUp();
    const ids = addContacts(200);
    sandbox.latency(50, READ);
    const reads: Promise<unknown>[] = [];
    for (const id of ids) {
      reads.push(client.getContacts([id]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(reads);
    expect(sandbox.callCount(READ)).toBeLessThanOrEqual(8);
  });

  test('one call never has more than 50 ids', async () => {
    const client = await setUp();
    const ids = addContacts(120);
    const contacts = await client.getContacts([...ids, '999999'], { fields: ['email'] });
    expect([...contacts.keys()].sort()).toEqual([...ids].sort());
    const asked = sandbox.calls
      .filter(({ path }) => path === '/Contacts')
      .map(({ query }) => query.ids as string);
    expect(asked.map((each) => each.split(',').length)).toEqual([50, 50, 21]);
  });

  test('unknown ids are absent, and so is whatever is no id', async () => {
    const client = await setUp();
    const [id] = addContacts(2) as [string, string];
    const contacts = await client.getContacts(['0', id, '999', `0${id}`, 'x', '', '1,2', '-1', '1e3']);
    expect([...contacts.keys()]).toEqual([id]);
    expect(sandbox.calls[0]!.query.ids).toBe(`${id},999`);
    sandbox.clearCalls();
    expect((await client.getContacts(['0', 'all'])).size).toBe(0);
    expect((await client.getContacts([])).size).toBe(0);
    expect(sandbox.calls).toHaveLength(0);
  });

  test('rows nobody asked for, numbers for texts and any order do no harm', async () => {
    const client = await setUp({ accountIdAsString: true });
    const row = (id: number | string): object => ({
      id,
      email: null,
      contact_cat: '*/*12*/*',
      dlm: 1538154601,
      f1: 5,
    });
    sandbox.addTag('Blue', { id: 12 });
    sandbox.fail({
      ...READ,
      with: { status: 200, body: { code: 0, data: [row(9), row('7'), row(8)], account_id: '50', misc: [] } },
    });
    const contacts = await client.getContacts(['8', '9']);
    expect([...contacts.keys()].sort()).toEqual(['8', '9']);
    expect(contacts.get('8')).toEqual({
      id: '8',
      email: null,
      tags: [{ id: '12', name: 'Blue' }],
      modifiedAt: new Date('2018-09-28T17:10:01Z'),
      fields: { id: '8', email: null, contact_cat: '*/*12*/*', dlm: '2018-09-28T17:10:01.000Z', f1: '5' },
      raw: { id: '8', email: null, contact_cat: '*/*12*/*', dlm: '1538154601', f1: '5' },
    });
  });

  test.each([404, 200] as const)('"Object not found" with %d means that there is none', async (status) => {
    const client = await setUp();
    sandbox.fail({ ...READ, with: { status, body: 'Object not found' } });
    expect((await client.getContacts(['1'])).size).toBe(0);
    expect(sandbox.calls).toHaveLength(1);
  });

  test.each(['["1","2"]', '{"1":true}', 'true', '{}', '[]'])(
    'tags as %s are no list of tags: taken for one, it would cost people theirs',
    async (list) => {
      const client = await setUp();
      const body = `{"code":0,"data":[{"id":"1","contact_cat":${list}}],"account_id":50}`;
      sandbox.fail({ ...READ, with: { status: 200, body } });
      await expect(client.getContacts(['1'])).rejects.toMatchObject({ code: 'CRM_BAD_RESPONSE' });
    },
  );

  test('dangerous keys are values like others, or none', async () => {
    const client = await setUp();
    const body =
      '{"code":0,"data":[{"id":"1","contact_cat":"","__proto__":{"isAdmin":true},"constructor":"c"}],"account_id":50}';
    sandbox.fail({ ...READ, with: { status: 200, body }, times: 2 });
    const contact = (await client.getContacts(['1'])).get('1')!;
    expect(Object.keys(contact.fields).sort()).toEqual(['constructor', 'contact_cat', 'id']);
    expect(contact.fields.constructor).toBe('c');
    expect(Object.getPrototypeOf(contact.fields)).toBe(Object.prototype);
    expect((contact.fields as { isAdmin?: unknown }).isAdmin).toBeUndefined();
    const asked = await client.getContacts(['1'], { fields: ['__proto__', 'toString', 'hasOwnProperty'] });
    expect(Object.keys(asked.get('1')!.fields)).toEqual([]);
    expect(({} as { isAdmin?: unknown }).isAdmin).toBeUndefined();
  });

  test.each<[string, object]>([
    ['no list', { code: 0, data: {} }],
    ['no data', { code: 0 }],
    ['rows that are no objects', { code: 0, data: ['1'] }],
    ['a row without an id', { code: 0, data: [{ email: 'x' }] }],
    // Taken for "no tags" it would cost people their access.
    ['a row that says nothing of tags', { code: 0, data: [{ id: '1', email: 'x' }] }],
    ['another code', { code: 41, data: [] }],
    ['an array', []],
  ])('an answer with %s is CRM_BAD_RESPONSE, and asked for once', async (_, body) => {
    const client = await setUp();
    sandbox.fail({ ...READ, with: { status: 200, body } });
    await expect(client.getContacts(['1'])).rejects.toMatchObject({ code: 'CRM_BAD_RESPONSE' });
    expect(sandbox.calls).toHaveLength(1);
  });

  test('a read sees what was written before it was called, also while an older one is under way', async () => {
    const client = await setUp();
    const [id] = addContacts(1) as [string];
    const held = sandbox.hold({ ...READ, when: 'after', times: 1 });
    const early = client.getContacts([id], { fields: ['firstname'] });
    await held.caught();
    sandbox.updateContact(id, { firstname: 'New' });
    const late = client.getContacts([id], { fields: ['firstname'] });
    held.release();
    expect((await early).get(id)!.fields.firstname).toBeNull();
    expect((await late).get(id)!.fields.firstname).toBe('New');
  });

  test('connections are used again', async () => {
    const client = await setUp();
    const [id] = addContacts(1) as [string];
    const sockets = new Set<unknown>();
    const server = (await import('node:http')).createServer((request, response) => {
      sockets.add(request.socket);
      expect(request.headers['user-agent']).toBe('wp-fusion-webhook');
      response.end(JSON.stringify({ code: 0, data: [], account_id: 50 }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const other = new OntraportClient({ appId: 'a', apiKey: 'b', baseUrl: `http://127.0.0.1:${port}/1/` });
    for (let index = 0; index < 5; index += 1) await other.getContacts([id]);
    expect(sockets.size).toBe(1);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await client.getContacts([id]);
  });
});

describe('metadata and tags', () => {
  test('are loaded when first needed and kept', async () => {
    const client = await setUp({ seed: true, shuffle: true });
    const ids = sandbox.contacts().map(({ id }) => id!);
    expect((await client.getContacts(['999'])).size).toBe(0);
    expect(sandbox.callCount(META) + sandbox.callCount(TAGS)).toBe(0);
    await Promise.all(ids.map((id) => client.getContacts([id])));
    await client.getContacts(ids);
    expect(sandbox.callCount(META)).toBe(1);
    // 60 tags are two pages.
    expect(sandbox.callCount(TAGS)).toBe(2);
  });

  test('tell which fields there are, in words that other CRMs have too', async () => {
    const client = await setUp();
    sandbox.addField({ key: 'f1', alias: 'Password' });
    sandbox.addField({ key: 'f2', alias: 'Plan', type: 'drop', options: ['Gold'] });
    sandbox.addField({ key: 'f3', alias: '', type: 'list', options: ['Blue'] });
    const fields = new Map((await client.describeFields()).map((field) => [field.key, field]));
    expect(fields.get('f1')).toEqual({ key: 'f1', label: 'Password', type: 'text' });
    expect(fields.get('f2')).toEqual({ key: 'f2', label: 'Plan', type: 'choice' });
    expect(fields.get('f3')).toEqual({ key: 'f3', label: 'f3', type: 'list' });
    const typeOf = (key: string): string | undefined => fields.get(key)?.type;
    expect(['email', 'birthday', 'spent', 'dlm', 'id', 'unique_id'].map(typeOf)).toEqual([
      ...['other', 'date', 'number', 'date', 'other', 'other'],
    ]);
    sandbox.fail({ with: 'unauthorized', times: Infinity });
    expect(await client.describeFields()).toHaveLength(fields.size);
  });

  test('all pages of tags are read; those of other objects are none', async () => {
    const client = await setUp({ shuffle: true });
    const names = Array.from({ length: 130 }, (_, index) => `Tag ${index}`);
    for (const name of names) sandbox.addTag(name);
    const other = sandbox.addTag('No contact tag', { objectTypeId: 10_000 });
    const id = sandbox.addContact({ tags: names });
    sandbox.updateContact(id, { contact_cat: `${sandbox.contact(id)!.contact_cat!}${other}*/*` });
    const contact = (await client.getContacts([id])).get(id)!;
    expect(contact.tags.map(({ name }) => name).sort()).toEqual([...names, `#${other}`].sort());
  });

  test('a new tag is found at once, then at most once a minute', async () => {
    const client = await setUp();
    const id = sandbox.addContact({ tags: ['One'] });
    const names = async (): Promise<string[]> =>
      (await client.getContacts([id])).get(id)!.tags.map(({ name }) => name);
    expect(await names()).toEqual(['One']);
    sandbox.tag(id, 'Two');
    expect(await names()).toEqual(['One', 'Two']);
    expect(sandbox.callCount(TAGS)).toBe(2);
    const third = sandbox.addTag('Three');
    sandbox.tag(id, 'Three');
    expect(await names()).toEqual(['One', 'Two', `#${third}`]);
    expect(sandbox.callCount(TAGS)).toBe(2);
  });

  test('so is a new option', async () => {
    const client = await setUp();
    const key = sandbox.addField({ alias: 'Plan', type: 'drop', options: { 5: 'Basic' } });
    const id = sandbox.addContact({ [key]: '5' });
    const plan = async (): Promise<unknown> =>
      (await client.getContacts([id], { fields: [key] })).get(id)!.fields[key];
    expect(await plan()).toBe('Basic');
    sandbox.addField({ key, alias: 'Plan', type: 'drop', options: { 5: 'Basic', 6: 'Gold' } });
    sandbox.updateContact(id, { [key]: '6' });
    expect(await plan()).toBe('Gold');
    expect(sandbox.callCount(META)).toBe(2);
    sandbox.updateContact(id, { [key]: '7' });
    expect(await plan()).toBe('7');
    expect(sandbox.callCount(META)).toBe(2);
  });

  test.each<[string, unknown]>([
    ['keyed by name', { Contact: { name: 'Contact', fields: { f1: { type: 'check' } } } }],
    ['keyed by number', { 0: { name: 'Contact', fields: { f1: { type: 'check', options: [] } } } }],
  ])('metadata %s is understood', async (_, data) => {
    const client = await setUp();
    sandbox.fail({ ...META, with: { status: 200, body: { code: 0, data } } });
    const row = { id: '1', contact_cat: '', f1: '1' };
    sandbox.fail({ ...READ, with: { status: 200, body: { code: 0, data: [row] } } });
    expect((await client.getContacts(['1'], { fields: ['f1'] })).get('1')!.fields).toEqual({ f1: true });
  });

  test('an empty list of fields is an empty map; no object at all is CRM_BAD_RESPONSE', async () => {
    const client = await setUp();
    const [id] = addContacts(1) as [string];
    sandbox.fail({ ...META, with: { status: 200, body: { code: 0, data: [] } } });
    await expect(client.getContacts([id])).rejects.toMatchObject({ code: 'CRM_BAD_RESPONSE' });
    sandbox.fail({ ...META, with: { status: 200, body: { code: 0, data: { 0: { fields: [] } } } } });
    const contact = (await client.getContacts([id], { fields: ['owner'] })).get(id)!;
    expect(contact.fields).toEqual({ owner: '1' });
  });

  test('a server that ignores `start` is not asked for ever', async () => {
    const client = await setUp();
    const rows = Array.from({ length: 50 }, (_, index) => ({
      tag_id: String(index + 1),
      tag_name: `Tag ${index + 1}`,
      object_type_id: '0',
    }));
    sandbox.fail({ ...TAGS, with: { status: 200, body: { code: 0, data: rows } }, times: Infinity });
    const id = sandbox.addContact({ contact_cat: '*/*7*/*' });
    expect((await client.getContacts([id])).get(id)!.tags).toEqual([{ id: '7', name: 'Tag 7' }]);
    expect(sandbox.callCount(TAGS)).toBe(2);
  });
});

describe('updateContact', () => {
  test('writes fields of the one contact', async () => {
    const client = await setUp();
    const [id, other] = addContacts(2) as [string, string];
    await client.updateContact(id, { firstname: 'Ann', id: other });
    expect(sandbox.calls[0]).toMatchObject({
      method: 'PUT',
      path: '/Contacts',
      query: {},
      body: { firstname: 'Ann', id },
      contentType: 'application/json',
    });
    expect(sandbox.contact(id)!.firstname).toBe('Ann');
    expect(sandbox.contact(other)!.firstname).not.toBe('Ann');
  });

  test.each([404, 200] as const)('an unknown contact (%d) is CONTACT_NOT_FOUND', async (notFoundStatus) => {
    const client = await setUp({ notFoundStatus });
    await expect(client.updateContact('999', { firstname: 'x' })).rejects.toMatchObject({
      code: 'CONTACT_NOT_FOUND',
    });
    expect(sandbox.calls).toHaveLength(1);
    for (const id of ['0', '012', 'x']) {
      await expect(client.updateContact(id, {})).rejects.toMatchObject({ code: 'CONTACT_NOT_FOUND' });
    }
    expect(sandbox.calls).toHaveLength(1);
  });

  test('a refused value is CRM_BAD_RESPONSE, not tried again, and the answer is not quoted', async () => {
    const client = await setUp();
    const [id] = addContacts(1) as [string];
    for (const status of [400, 422]) {
      sandbox.clearCalls();
      sandbox.fail({ method: 'PUT', with: { status, body: 'Invalid value pa55word' } });
      const error = await client.updateContact(id, { f1556: 'pa55word' }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'CRM_BAD_RESPONSE' });
      expect((error as Error).message).toContain(`PUT /Contacts with ${status}`);
      expect((error as Error).stack).not.toContain('pa55word');
      expect(sandbox.calls).toHaveLength(1);
    }
  });

  test('a write whose answer is lost is written again, the same', async () => {
    const client = await setUp();
    const [id] = addContacts(1) as [string];
    sandbox.fail({ method: 'PUT', with: 'reset', applied: true });
    await client.updateContact(id, { firstname: 'Ann' });
    expect(sandbox.calls.map(({ body, fault }) => [body, fault])).toEqual([
      [{ firstname: 'Ann', id }, 'reset'],
      [{ firstname: 'Ann', id }, null],
    ]);
    expect(sandbox.contact(id)!.firstname).toBe('Ann');
  });
});

describe('listContacts', () => {
  test('walks all contacts once, by id, however many pages there are', async () => {
    const client = await setUp({ shuffle: true });
    const ids = addContacts(120);
    expect(await listed(client.listContacts({}))).toEqual(ids);
    expect(sandbox.callCount(READ)).toBe(4);
  });

  test('each once also while contacts come and go', async () => {
    const client = await setUp();
    const ids = addContacts(110);
    const seen: string[] = [];
    for await (const { id } of client.listContacts({}, { fields: [] })) {
      seen.push(id);
      if (seen.length === 10) {
        for (const gone of ids.slice(0, 30)) sandbox.deleteContact(gone);
        for (const late of addContacts(5)) ids.push(late);
      }
    }
    expect(seen).toEqual(ids);
  });

  test('by tag, named or by id, and by date', async () => {
    const client = await setUp();
    const tagId = sandbox.addTag('Customer');
    const ids = Array.from({ length: 60 }, (_, index) =>
      sandbox.addContact({ dlm: String(1_700_000_000 + index), tags: ['Customer'] }),
    );
    sandbox.addContact({ dlm: '1700000059' });
    for (const [index, id] of ids.entries())
      sandbox.updateContact(id, { dlm: String(1_700_000_000 + index) });
    expect(await listed(client.listContacts({ tag: 'Customer' }))).toEqual(ids);
    expect(await listed(client.listContacts({ tag: tagId }))).toEqual(ids);
    const modifiedSince = new Date(1_700_000_057_999);
    expect(await listed(client.listContacts({ tag: ' Customer', modifiedSince }))).toEqual(ids.slice(57));
    expect((await listed(client.listContacts({ modifiedSince }))).length).toBe(4);
    const [contact] = await client
      .listContacts({ tag: 'Customer' }, { fields: ['firstname'] })
      .next()
      .then(({ value }) => [value as Contact]);
    expect(contact).toMatchObject({ tags: [{ id: tagId, name: 'Customer' }], fields: { firstname: null } });
  });

  test('a tag made a moment ago is found', async () => {
    const client = await setUp();
    sandbox.addContact({ tags: ['Old'] });
    await listed(client.listContacts({ tag: 'Old' }));
    const id = sandbox.addContact({ tags: ['New'] });
    expect(await listed(client.listContacts({ tag: 'New' }))).toEqual([id]);
  });

  test('an unknown tag, one of two with the same name and no date are INVALID_REQUEST', async () => {
    const client = await setUp();
    sandbox.addTag('Twice', { id: 70 });
    sandbox.addTag('Once', { id: 71 });
    sandbox.renameTag('Once', 'Twice');
    for (const filter of [
      { tag: 'Missing' },
      { tag: '999' },
      { tag: 'Twice' },
      { modifiedSince: new Date(NaN) },
    ]) {
      await expect(listed(client.listContacts(filter))).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    }
    expect(await listed(client.listContacts({ tag: '70' }))).toEqual([]);
  });

  test('a server that ignores the condition is not walked for ever', async () => {
    const client = await setUp();
    const rows = [1, 2].map((id) => ({ id: String(id), contact_cat: '' }));
    sandbox.fail({ ...READ, with: { status: 200, body: { code: 0, data: rows } }, times: Infinity });
    await expect(listed(client.listContacts({}))).rejects.toMatchObject({ code: 'CRM_BAD_RESPONSE' });
    expect(sandbox.callCount(READ)).toBe(2);
  });

  test('conditions', () => {
    expect(conditionOf({ since: undefined, after: undefined })).toBeUndefined();
    expect(JSON.parse(conditionOf({ since: 1538154601, after: '42' })!)).toEqual([
      { field: { field: 'dlm' }, op: '>=', value: { value: 1538154601 } },
      'AND',
      { field: { field: 'id' }, op: '>', value: { value: 42 } },
    ]);
    // Too large to be an exact number.
    expect(JSON.parse(conditionOf({ since: undefined, after: '12345678901234567890' })!)).toEqual([
      { field: { field: 'id' }, op: '>', value: { value: '12345678901234567890' } },
    ]);
  });
});

describe('pacing', () => {
  test('more calls than the limit: none is refused, and no more than allowed are under way', async () => {
    const client = await setUp({ rateLimit: { limit: 180, windowMs: 2000 } });
    const ids = addContacts(230);
    await Promise.all(ids.map((id) => client.updateContact(id, { firstname: 'x' })));
    expect(sandbox.callCount({ method: 'PUT' })).toBe(230);
    expect(sandbox.rejectedCalls).toBe(0);
    expect(sandbox.peakInFlight).toBeLessThanOrEqual(4);
    expect(sandbox.peakCallsInWindow).toBeLessThanOrEqual(144);
  });

  test('a read gets through while writes have used up their share', async () => {
    const client = await setUp({ rateLimit: { limit: 50 } });
    const ids = addContacts(60);
    const controller = new AbortController();
    const writes = ids.map((id) =>
      client.updateContact(id, { firstname: 'x' }, { signal: controller.signal }),
    );
    const ends = Promise.allSettled(writes);
    while (client.trouble() === undefined) await new Promise((resolve) => setImmediate(resolve));
    expect(sandbox.callCount({ method: 'PUT' })).toBeLessThanOrEqual(40);
    expect((await client.getContacts([ids[0]!], { fields: [] })).size).toBe(1);
    controller.abort();
    const failed = (await ends).filter((end) => end.status === 'rejected');
    expect(failed.length).toBeGreaterThan(0);
    for (const { reason } of failed) expect(reason).toMatchObject({ code: 'CRM_RATE_LIMITED' });
    expect((failed[0]!.reason as { retryAfter: number }).retryAfter).toBeGreaterThan(0);
    expect(sandbox.rejectedCalls).toBe(0);
  });

  test('calls of other programs count', async () => {
    const client = await setUp({ rateLimit: { limit: 100, windowMs: 2000 } });
    const ids = addContacts(30);
    sandbox.spendCalls(70);
    await Promise.all(ids.map((id) => client.updateContact(id, { firstname: 'x' })));
    expect(sandbox.rejectedCalls).toBe(0);
  });

  test('a 429 is waited out, and the read succeeds', async () => {
    const client = await setUp();
    const [id] = addContacts(1) as [string];
    sandbox.fail({ ...READ, with: { status: 429, headers: { 'Retry-After': '0' } }, times: 2 });
    expect((await client.getContacts([id])).size).toBe(1);
    expect(sandbox.callCount(READ)).toBe(3);
  });

  test('who gives up while the limit is waited for learns when to come back, also in a shared read', async () => {
    const client = await setUp();
    const [id] = addContacts(1) as [string];
    sandbox.fail({ ...READ, with: { status: 429, headers: { 'Retry-After': '30' } } });
    const controller = new AbortController();
    const read = client.getContacts([id], { signal: controller.signal });
    const end = read.catch((error: unknown) => error);
    await sandbox.waitForCalls((call) => call.status === 429);
    while (client.trouble() === undefined) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    const error = (await end) as { code: string; retryAfter: number };
    expect(error.code).toBe('CRM_RATE_LIMITED');
    expect(error.retryAfter).toBeGreaterThan(20);
    expect(error.retryAfter).toBeLessThanOrEqual(30);
    expect(client.trouble()).toBeUndefined();
  });
});
