// Checklist 8 to 18: reading contacts.
import { call, condition, idsOf, startSandbox, where } from './helpers';

test('8. one contact: all fields, values as text, the same by both paths', async () => {
  const sandbox = await startSandbox({ seed: true });
  const typed = await call(sandbox, 'GET', '/Contact?id=1');
  const generic = await call(sandbox, 'GET', '/object?objectID=0&id=1');
  expect(typed.json).toEqual(generic.json);
  const { data } = typed.json;
  expect(data).toMatchObject({ id: '1', firstname: 'Mary', f1559: '586', f1560: '1', spent: '0.00' });
  for (const value of Object.values(data)) expect(value === null || typeof value === 'string').toBe(true);
  expect(Object.keys(data)).toEqual(
    expect.arrayContaining(['company', 'owner', 'dlm', 'contact_cat', 'f1564']),
  );
});

test('9. an unknown or deleted contact: 404 with the text; no id: 400', async () => {
  const sandbox = await startSandbox();
  const id = sandbox.addContact();
  sandbox.deleteContact(id);
  for (const unknown of [id, '999']) {
    const answer = await call(sandbox, 'GET', `/Contact?id=${unknown}`);
    expect([answer.status, answer.text]).toEqual([404, 'Object not found']);
  }
  const missing = await call(sandbox, 'GET', '/Contact');
  expect([missing.status, missing.json]).toEqual([400, undefined]);
});

test('9. knob: the text with status 200', async () => {
  const sandbox = await startSandbox({ notFoundStatus: 200 });
  const answer = await call(sandbox, 'GET', '/Contact?id=1');
  expect([answer.status, answer.text]).toEqual([200, 'Object not found']);
});

const many = async (count: number, options = {}) => {
  const sandbox = await startSandbox(options);
  for (let number = 1; number <= count; number++) sandbox.addContact({ lastname: String(number) });
  return sandbox;
};

const ids = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

test('10. pages: 50 rows, range up to 50, start, and an empty list past the end', async () => {
  const sandbox = await many(120);
  expect(idsOf(await call(sandbox, 'GET', '/Contacts'))).toEqual(ids(1, 50));
  expect(idsOf(await call(sandbox, 'GET', '/objects?objectID=0&range=7'))).toEqual(ids(1, 7));
  expect(idsOf(await call(sandbox, 'GET', '/Contacts?range=1000&start=100'))).toEqual(ids(101, 120));
  expect(idsOf(await call(sandbox, 'GET', '/Contacts?range=1000'))).toEqual(ids(1, 50));
  const past = await call(sandbox, 'GET', '/Contacts?start=500');
  expect([past.status, past.json]).toEqual([200, { code: 0, data: [], account_id: 50, misc: [] }]);
});

test('11. ids: unknown ones are left out, 0 and nothing mean all, white space is tolerated', async () => {
  const sandbox = await many(4);
  sandbox.deleteContact('3');
  expect(idsOf(await call(sandbox, 'GET', '/Contacts?ids=4,3,999,1'))).toEqual(['1', '4']);
  expect(idsOf(await call(sandbox, 'GET', '/Contacts?ids=%204%20,%201'))).toEqual(['1', '4']);
  for (const all of ['ids=0', 'ids=', '']) {
    expect(idsOf(await call(sandbox, 'GET', `/Contacts?${all}`))).toEqual(['1', '2', '4']);
  }
});

test('11. knob: lists in changing order, unless they are asked to be sorted', async () => {
  const sandbox = await many(40, { shuffle: true });
  const [first, second] = [await call(sandbox, 'GET', '/Contacts'), await call(sandbox, 'GET', '/Contacts')];
  expect(idsOf(first)).not.toEqual(ids(1, 40));
  expect(idsOf(first)).not.toEqual(idsOf(second));
  expect(idsOf(first).sort((one, other) => Number(one) - Number(other))).toEqual(ids(1, 40));
  expect(idsOf(await call(sandbox, 'GET', '/Contacts?sort=id'))).toEqual(ids(1, 40));
});

test('12. more than 50 ids: only the first 50 rows', async () => {
  const sandbox = await many(60);
  const all = ids(1, 60).join(',');
  expect(idsOf(await call(sandbox, 'GET', `/Contacts?ids=${all}&range=60`))).toEqual(ids(1, 50));
  expect(idsOf(await call(sandbox, 'GET', `/Contacts?ids=${all}&start=50`))).toEqual(ids(51, 60));
});

test('13. listFields: only those, always with the id, unknown ones ignored', async () => {
  const sandbox = await startSandbox({ seed: true });
  const answer = await call(sandbox, 'GET', '/Contacts?ids=1&listFields=firstname,nonsense,%20email');
  expect(answer.json.data).toEqual([{ id: '1', firstname: 'Mary', email: 'mary@example.com' }]);
  const one = await call(sandbox, 'GET', '/Contact?id=1&listFields=firstname');
  expect(one.json.data.email).toBe('mary@example.com');
});

describe('14. condition', () => {
  const people = async () => {
    const sandbox = await startSandbox();
    sandbox.addField({ key: 'f1', alias: 'Points', type: 'numeric' });
    sandbox.addField({ key: 'f2', alias: 'Teams', type: 'list', options: ['Blue', 'Red'] });
    sandbox.addContact({ firstname: 'Ann', email: 'ann@example.com', f1: '9', f2: '*/*586*/*587*/*' });
    sandbox.addContact({ firstname: 'Bob', email: 'BOB@example.com', f1: '10', f2: '*/*587*/*' });
    sandbox.addContact({ firstname: 'Cyd', email: '', f1: '100' });
    sandbox.addContact({ firstname: 'D_d', email: null, f1: null });
    return sandbox;
  };
  test.each([
    ['=', [where('email', '=', 'ann@example.com')], '1'],
    ['= whatever the case', [where('email', '=', 'bob@EXAMPLE.com')], '2'],
    ['<>', [where('firstname', '<>', 'Ann')], '2,3,4'],
    ['<> leaves unset ones out', [where('f1', '<>', 9)], '2,3'],
    ['< as numbers', [where('f1', '<', 10)], '1'],
    ['> as numbers', [where('f1', '>', '9')], '2,3'],
    ['<=', [where('f1', '<=', 10)], '1,2'],
    ['>=', [where('id', '>=', 3)], '3,4'],
    ['IN', [where('id', 'IN', [1, '3', 99])], '1,3'],
    ['NOT IN', [where('id', 'NOT IN', [1, 3])], '2,4'],
    ['IS NULL', [{ field: { field: 'email' }, op: 'IS', value: 'NULL' }], '3,4'],
    ['IS NOT EMPTY', [{ field: { field: 'email' }, op: 'IS NOT EMPTY' }], '1,2'],
    ['LIKE with %', [where('email', 'LIKE', '%@example.com')], '1,2'],
    ['LIKE with _', [where('firstname', 'LIKE', '_n_')], '1'],
    ['LIKE takes the rest literally', [where('email', 'LIKE', '.*')], ''],
    ['CONTAINS', [where('f2', 'CONTAINS', 586)], '1'],
    ['DOES NOT CONTAIN', [where('f2', 'DOES NOT CONTAIN', 586)], '2,3,4'],
    ['AND', [where('id', '>', 1), 'AND', where('f1', '<', 50)], '2'],
    ['OR', [where('id', '=', 1), 'OR', where('id', '=', 4)], '1,4'],
    ['AND before OR', [where('id', '=', 1), 'OR', where('id', '>', 1), 'AND', where('id', '<', 3)], '1,2'],
    ['an unknown field', [where('nonsense', '=', 'x')], ''],
  ])('%s', async (_, elements, expected) => {
    const sandbox = await people();
    expect(idsOf(await call(sandbox, 'GET', `/Contacts?${condition(...elements)}`)).join(',')).toBe(expected);
  });

  test.each([
    ['no JSON', 'condition=email%3D1'],
    ['no list', 'condition=%7B%7D'],
    ['an empty list', condition()],
    ['a missing joiner', condition(where('id', '=', 1), where('id', '=', 2))],
    ['an unknown joiner', condition(where('id', '=', 1), 'XOR', where('id', '=', 2))],
    ['an unknown operator', condition(where('id', '~', 1))],
    ['IN without a list', condition({ field: { field: 'id' }, op: 'IN', value: { value: 1 } })],
    ['= without a value', condition({ field: { field: 'id' }, op: '=' })],
    ['IS with something else', condition({ field: { field: 'id' }, op: 'IS', value: { value: 'NULL' } })],
    ['no field', condition({ op: '=', value: { value: 1 } })],
  ])('%s: 400 as text', async (_, parameter) => {
    const sandbox = await people();
    const answer = await call(sandbox, 'GET', `/Contacts?${parameter}`);
    expect([answer.status, answer.json]).toEqual([400, undefined]);
  });
});

test('15. sort, sortDir and search', async () => {
  const sandbox = await startSandbox();
  sandbox.addField({ key: 'f1', alias: 'Points', type: 'numeric' });
  sandbox.addContact({ firstname: 'bob', company: 'Acme', f1: '9' });
  sandbox.addContact({ firstname: 'Ann', company: 'Other', f1: '100' });
  sandbox.addContact({ firstname: 'Cyd', address: '1 ACME Road', f1: '20' });
  expect(idsOf(await call(sandbox, 'GET', '/Contacts?sort=firstname'))).toEqual(['2', '1', '3']);
  expect(idsOf(await call(sandbox, 'GET', '/Contacts?sort=f1&sortDir=desc'))).toEqual(['2', '3', '1']);
  expect(idsOf(await call(sandbox, 'GET', '/Contacts?search=acme'))).toEqual(['1', '3']);
});

test('16. getInfo and count=true count under the same filters, as text', async () => {
  const sandbox = await many(60);
  const parameter = condition(where('id', '>', 5));
  const info = await call(sandbox, 'GET', `/Contacts/getInfo?${parameter}`);
  expect(info.json.data).toMatchObject({ count: '55', listFieldSettings: [] });
  expect((await call(sandbox, 'GET', '/objects/getInfo?objectID=0')).json.data.count).toBe('60');
  const listed = await call(sandbox, 'GET', `/Contacts?${parameter}&count=true`);
  expect(listed.json.count).toBe('55');
  expect(listed.json.data).toHaveLength(50);
  expect((await call(sandbox, 'GET', '/Contacts')).json).not.toHaveProperty('count');
});

describe('17. getByEmail', () => {
  const path = (email: string, more = '') =>
    `/object/getByEmail?objectID=0&email=${encodeURIComponent(email)}${more}`;

  test('the lowest id, or all of them, whatever the case', async () => {
    const sandbox = await startSandbox({ seed: true });
    expect((await call(sandbox, 'GET', path('MARY@example.com'))).json.data).toEqual({ id: '1' });
    expect((await call(sandbox, 'GET', path('mary@example.com', '&all=1'))).json.data).toEqual({
      ids: ['1', '4'],
    });
    expect((await call(sandbox, 'GET', '/object/getByEmail?objectID=0')).status).toBe(400);
  });

  test.each([
    [404, 404, 'Object not found'],
    [400, 400, 'Object not found'],
    ['empty', 200, '{"code":0,"data":[],"account_id":50}'],
  ] as const)('no match, knob %s', async (getByEmailNoMatch, status, text) => {
    const sandbox = await startSandbox({ getByEmailNoMatch });
    const answer = await call(sandbox, 'GET', path('nobody@example.com'));
    expect([answer.status, answer.text]).toEqual([status, text]);
  });

  test('no match, by default: 404', async () => {
    const sandbox = await startSandbox();
    expect((await call(sandbox, 'GET', path('nobody@example.com'))).status).toBe(404);
  });
});

test('18. lists and tags in their own form; unset as null, "" and "0"', async () => {
  const sandbox = await startSandbox({ seed: true });
  const { data } = (await call(sandbox, 'GET', '/Contacts?ids=1,2')).json;
  expect(data[0]).toMatchObject({ f1558: '*/*586*/*587*/*', contact_cat: '*/*12*/*15*/*' });
  const unset = (row: Record<string, unknown>) =>
    new Set(Object.values(row).filter((value) => [null, '', '0'].includes(value as string)));
  expect(unset(data[1])).toEqual(new Set([null, '', '0']));
});

test('a contact that is not readable yet is absent everywhere, then there', async () => {
  let now = 1_000_000;
  const sandbox = await startSandbox({ now: () => now });
  const id = sandbox.addContact({ email: 'mary@example.com', readableAfter: 17_000, tags: ['Customer'] });
  const later = sandbox.addContact({ readableAfter: Infinity });
  const statuses = async () => [
    (await call(sandbox, 'GET', `/Contact?id=${id}`)).status,
    idsOf(await call(sandbox, 'GET', '/Contacts')).length,
    idsOf(await call(sandbox, 'GET', '/objects/tag?objectID=0&tag_name=Customer')).length,
    (await call(sandbox, 'GET', '/object/getByEmail?objectID=0&email=mary@example.com')).status,
    (await call(sandbox, 'PUT', '/Contacts', { id, firstname: 'Mary' })).status,
  ];
  expect(await statuses()).toEqual([404, 0, 0, 404, 404]);
  expect(sandbox.contact(id)!.email).toBe('mary@example.com');
  now += 17_000;
  expect(await statuses()).toEqual([200, 1, 1, 200, 200]);
  sandbox.reveal(later);
  expect((await call(sandbox, 'GET', `/Contact?id=${later}`)).status).toBe(200);
});
