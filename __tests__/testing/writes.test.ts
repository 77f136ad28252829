// Checklist 19 to 24: creating, changing and deleting contacts.
import { call, condition, startSandbox, where } from './helpers';

test('19. POST creates, echoes the fields, and does so again for the same email', async () => {
  const sandbox = await startSandbox();
  const body = { firstname: 'Mary', email: 'mary@example.com', nonsense: 'x' };
  const first = await call(sandbox, 'POST', '/Contacts', body);
  expect(first.json).toEqual({
    code: 0,
    data: { firstname: 'Mary', email: 'mary@example.com', id: '1', owner: '1', use_utm_names: 'false' },
    account_id: 50,
  });
  const second = await call(sandbox, 'POST', '/objects', { objectID: 0, ...body });
  expect(second.json.data.id).toBe('2');
  expect(sandbox.contacts().map(({ email }) => email)).toEqual(['mary@example.com', 'mary@example.com']);
});

test('19. knob: what was created is readable later', async () => {
  const sandbox = await startSandbox({ createdReadableAfterMs: Infinity });
  const { id } = (await call(sandbox, 'POST', '/Contacts', { firstname: 'Mary' })).json.data;
  expect((await call(sandbox, 'GET', `/Contact?id=${id}`)).status).toBe(404);
  sandbox.reveal(id);
  expect((await call(sandbox, 'GET', `/Contact?id=${id}`)).status).toBe(200);
});

test('20. saveorupdate answers in two shapes, and matches the unique id before the email', async () => {
  const sandbox = await startSandbox({ now: () => 1_538_154_601_000 });
  const save = (body: object) => call(sandbox, 'POST', '/Contacts/saveorupdate', body);
  const created = await save({ firstname: 'Mary', email: 'mary@example.com' });
  expect(created.json.data).toMatchObject({ id: '1', firstname: 'Mary' });
  expect(created.json.data).not.toHaveProperty('attrs');
  const updated = await save({ firstname: 'Ann', email: 'MARY@example.com' });
  expect(updated.json.data).toEqual({
    attrs: { firstname: 'Ann', email: 'MARY@example.com', dlm: '1538154601', id: '1' },
  });
  const other = sandbox.addContact({ email: 'joe@example.com' });
  const unique_id = sandbox.contact(other)!.unique_id;
  expect((await save({ unique_id, email: 'mary@example.com' })).json.data.attrs.id).toBe(other);
  expect((await save({ unique_id: 'none', email: 'mary@example.com' })).json.data.attrs.id).toBe('1');
  expect(
    (await call(sandbox, 'POST', '/objects/saveorupdate', { objectID: 0, firstname: 'New' })).json.data.id,
  ).toBe('3');
});

test('20. ignore_blanks keeps old values; without it blanks overwrite', async () => {
  const sandbox = await startSandbox();
  const id = sandbox.addContact({ firstname: 'Mary', lastname: 'Smith', email: 'mary@example.com' });
  const body = { email: 'mary@example.com', firstname: '' };
  await call(sandbox, 'POST', '/Contacts/saveorupdate', { ...body, ignore_blanks: true });
  expect(sandbox.contact(id)!.firstname).toBe('Mary');
  await call(sandbox, 'POST', '/Contacts/saveorupdate', body);
  expect(sandbox.contact(id)).toMatchObject({ firstname: '', lastname: 'Smith' });
});

describe('21. PUT', () => {
  test('answers attrs, moves dlm, leaves the rest, and an empty value clears', async () => {
    let now = 1_538_154_601_999;
    const sandbox = await startSandbox({ now: () => now });
    const id = sandbox.addContact({ firstname: 'Mary', lastname: 'Smith' });
    now += 1_000;
    const answer = await call(sandbox, 'PUT', '/Contacts', { id, firstname: 'unitUpdated' });
    expect(answer.json).toEqual({
      code: 0,
      data: { attrs: { firstname: 'unitUpdated', dlm: '1538154602', id: '1' } },
      account_id: 50,
    });
    await call(sandbox, 'PUT', '/objects', { objectID: 0, id: Number(id), firstname: '' });
    expect(sandbox.contact(id)).toMatchObject({ firstname: '', lastname: 'Smith', date: '1538154601' });
  });

  test('dlm has whole seconds and never goes back', async () => {
    let now = 10_000;
    const sandbox = await startSandbox({ now: () => now });
    const id = sandbox.addContact();
    const dlm = async () =>
      (await call(sandbox, 'PUT', '/Contacts', { id, firstname: 'x' })).json.data.attrs.dlm;
    now = 11_200;
    expect(await dlm()).toBe('11');
    now = 11_900;
    expect(await dlm()).toBe('11');
    now = 5_000;
    expect(await dlm()).toBe('11');
  });

  test('finds by unique_id, but id wins; unknown ones are 404, none is 400', async () => {
    const sandbox = await startSandbox();
    const [one, other] = [sandbox.addContact(), sandbox.addContact()];
    const { unique_id } = sandbox.contact(other)!;
    await call(sandbox, 'PUT', '/Contacts', { unique_id, firstname: 'by unique id' });
    await call(sandbox, 'PUT', '/Contacts', { id: one, unique_id, firstname: 'by id' });
    expect(sandbox.contacts().map(({ firstname }) => firstname)).toEqual(['by id', 'by unique id']);
    for (const unknown of [{ id: '99' }, { unique_id: 'none' }]) {
      const answer = await call(sandbox, 'PUT', '/Contacts', { ...unknown, firstname: 'x' });
      expect([answer.status, answer.text]).toEqual([404, 'Object not found']);
    }
    expect((await call(sandbox, 'PUT', '/Contacts', { firstname: 'x' })).status).toBe(400);
    expect((await call(sandbox, 'PUT', '/Contacts', { ids: '1,2', firstname: 'x' })).status).toBe(400);
  });

  test('values are stored as text; unknown, system and subscription fields are ignored', async () => {
    const sandbox = await startSandbox();
    const checked = sandbox.addField({ alias: 'Consent', type: 'check' });
    const id = sandbox.addContact({ tags: ['Customer'] });
    const before = sandbox.contact(id)!;
    const answer = await call(sandbox, 'PUT', '/Contacts', {
      id,
      zip: 93101,
      [checked]: true,
      city: null,
      company: { no: 'scalar' },
      nonsense: 'x',
      date: '1',
      dlm: '1',
      contact_cat: '',
    });
    expect(answer.json.data.attrs).toEqual({ zip: '93101', [checked]: '1', city: null, dlm: before.dlm, id });
    expect(sandbox.contact(id)).toEqual({ ...before, zip: '93101', [checked]: '1', city: null });
  });
});

test('22. an invalid email: 422 as text, nothing is written; an empty one is fine', async () => {
  const sandbox = await startSandbox();
  const id = sandbox.addContact({ email: 'mary@example.com' });
  for (const [method, path] of [
    ['POST', '/Contacts'],
    ['PUT', '/Contacts'],
    ['POST', '/Contacts/saveorupdate'],
  ] as const) {
    const answer = await call(sandbox, method, path, { id, email: 'no email' });
    expect([answer.status, answer.json]).toEqual([422, undefined]);
  }
  expect(sandbox.contacts().map(({ email }) => email)).toEqual(['mary@example.com']);
  expect((await call(sandbox, 'PUT', '/Contacts', { id, email: '' })).status).toBe(200);
});

describe('23. DELETE', () => {
  test('one: an answer without data; then it is unknown', async () => {
    const sandbox = await startSandbox();
    const id = sandbox.addContact();
    expect((await call(sandbox, 'DELETE', `/Contact?id=${id}`)).json).toEqual({ code: 0, account_id: 50 });
    expect((await call(sandbox, 'DELETE', `/Contact?id=${id}`)).status).toBe(404);
    expect((await call(sandbox, 'DELETE', '/Contact')).status).toBe(400);
  });

  test('several, by ids or condition, over more than a page', async () => {
    const sandbox = await startSandbox({ shuffle: true });
    for (let number = 0; number < 70; number++) sandbox.addContact();
    expect((await call(sandbox, 'DELETE', '/Contacts?ids=1,2')).json.data).toBe('Deleted');
    await call(sandbox, 'DELETE', `/Contacts?${condition(where('id', '>', 5))}`);
    expect(sandbox.contacts().map(({ id }) => id)).toEqual(['3', '4', '5']);
  });

  test('all: refused, unless the knob allows it', async () => {
    const sandbox = await startSandbox();
    sandbox.addContact();
    expect((await call(sandbox, 'DELETE', '/Contacts')).status).toBe(400);
    expect(sandbox.contacts()).toHaveLength(1);
    const reckless = await startSandbox({ allowDeleteAll: true });
    reckless.addContact();
    expect((await call(reckless, 'DELETE', '/Contacts')).json.data).toBe('Deleted');
    expect(reckless.contacts()).toEqual([]);
  });
});

test('24. background_request: the same answer at once, the change later', async () => {
  let now = 1_000_000;
  const sandbox = await startSandbox({ backgroundDelayMs: 5_000, now: () => now });
  const id = sandbox.addContact({ firstname: 'old' });
  const put = (firstname: string) =>
    call(sandbox, 'PUT', '/objects', { objectID: 0, id, firstname, background_request: true });
  expect((await put('new')).json.data.attrs).toEqual({ firstname: 'new', dlm: '1000', id });
  expect((await call(sandbox, 'GET', `/Contact?id=${id}`)).json.data.firstname).toBe('old');
  now += 5_000;
  expect((await call(sandbox, 'GET', `/Contact?id=${id}`)).json.data.firstname).toBe('new');
  await put('newest');
  sandbox.applyPending();
  expect(sandbox.contact(id)!.firstname).toBe('newest');
});

test('24. a delay also ends without anybody asking', async () => {
  const sandbox = await startSandbox({ backgroundDelayMs: 1 });
  const id = sandbox.addContact({ firstname: 'old' });
  const changed = new Promise<void>((resolve) => {
    const look = () => (sandbox.contact(id)!.firstname === 'new' ? resolve() : setImmediate(look));
    setImmediate(look);
  });
  await call(sandbox, 'PUT', '/Contacts', { id, firstname: 'new', background_request: true });
  await changed;
});
