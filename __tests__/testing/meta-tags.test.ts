// Checklist 25 to 29: field metadata, tags, webhook subscriptions.
import type { Json } from './helpers';
import { call, condition, idsOf, startSandbox, where } from './helpers';

describe('25. and 26. meta', () => {
  test('both paths and both formats', async () => {
    const sandbox = await startSandbox({ seed: true });
    const typed = (await call(sandbox, 'GET', '/Contacts/meta')).json.data;
    expect(Object.keys(typed)).toEqual(['0']);
    expect(typed['0'].name).toBe('Contact');
    expect((await call(sandbox, 'GET', '/objects/meta?objectID=0&format=byId')).json.data).toEqual(typed);
    const byName = (await call(sandbox, 'GET', '/objects/meta?objectID=0&format=byName')).json.data;
    expect(byName).toEqual({ Contact: typed['0'] });
    expect(Object.keys((await call(sandbox, 'GET', '/objects/meta')).json.data)).toEqual(['0', '14']);
    expect((await call(sandbox, 'GET', '/objects/meta?objectID=77')).status).toBe(400);
  });

  test('fields of every type, mixed editable, options by id, an empty map as []', async () => {
    const sandbox = await startSandbox({ seed: true });
    const { fields } = (await call(sandbox, 'GET', '/Contacts/meta')).json.data['0'];
    expect(fields.f1558).toEqual({
      alias: 'Teams',
      type: 'list',
      required: '0',
      unique: '0',
      editable: '1',
      deletable: '1',
      options: { 586: 'Blue', 587: 'Red' },
    });
    expect(fields.f1564.options).toEqual([]);
    expect(Object.keys(fields.f1559.options)).toEqual(['586', '590', '612']);
    expect(fields.firstname).not.toHaveProperty('options');
    expect(fields.owner.parent_object).toBe(2);
    const all = Object.values<{ type: string; editable: unknown }>(fields);
    expect(new Set(all.map(({ editable }) => editable))).toEqual(new Set(['1', 1, 0, null]));
    const types =
      'text longtext email phone sms url image country state numeric price check drop list fulldate timestamp';
    expect(all.map(({ type }) => type)).toEqual(
      expect.arrayContaining([...types.split(' '), 'parent', 'subscription']),
    );
  });

  test('without a seed there are the standard fields; added ones appear, with a key of their own', async () => {
    const sandbox = await startSandbox();
    const keys = async () =>
      Object.keys((await call(sandbox, 'GET', '/Contacts/meta')).json.data['0'].fields);
    expect(await keys()).toEqual(
      expect.arrayContaining([
        'firstname',
        'lastname',
        'email',
        'company',
        'owner',
        'status',
        'date',
        'dlm',
        'contact_cat',
      ]),
    );
    const key = sandbox.addField({ alias: 'Password' });
    expect(key).toMatch(/^f\d+$/);
    expect(sandbox.addField({ alias: 'Other' })).not.toBe(key);
    expect(sandbox.addField({ key: 'f1556', alias: 'Password', type: 'text' })).toBe('f1556');
    expect(await keys()).toEqual(expect.arrayContaining([key, 'f1556']));
    sandbox.addField({ key: 'f1556', alias: 'Plan', type: 'drop', options: ['Basic', 'Gold'] });
    const { fields } = (await call(sandbox, 'GET', '/Contacts/meta')).json.data['0'];
    expect(fields.f1556).toMatchObject({ type: 'drop', options: { 586: 'Basic', 587: 'Gold' } });
  });
});

describe('27. tags', () => {
  test('rows have tag_id, more than a page of them, one of another object', async () => {
    const sandbox = await startSandbox({ seed: true });
    const first = (await call(sandbox, 'GET', '/Tags')).json.data;
    expect(first).toHaveLength(50);
    expect(first[0]).toEqual({ tag_id: '12', tag_name: 'Customer', object_type_id: '0' });
    const second = (await call(sandbox, 'GET', '/objects?objectID=14&start=50&range=50')).json.data;
    expect(second).toHaveLength(10);
    expect([...first, ...second].filter((tag) => tag.object_type_id !== '0')).toHaveLength(1);
    const some = await call(
      sandbox,
      'GET',
      `/Tags?${condition(where('tag_name', 'IN', ['Customer', 'Tag 01']))}&sort=tag_id&sortDir=desc`,
    );
    expect(some.json.data.map((tag: Json) => tag.tag_name)).toEqual(['Tag 01', 'Customer']);
  });

  test('POST creates one', async () => {
    const sandbox = await startSandbox();
    const answer = await call(sandbox, 'POST', '/Tags', { tag_name: 'Blue', object_type_id: 0 });
    expect(answer.json.data.tag_id).toBe('1');
    expect((await call(sandbox, 'GET', '/Tags')).json.data).toHaveLength(1);
    expect(
      (await call(sandbox, 'POST', '/objects', { objectID: 14, tag_name: 'Red' })).json.data.tag_id,
    ).toBe('2');
    expect((await call(sandbox, 'POST', '/Tags', {})).status).toBe(400);
  });

  test('addTag, renameTag, tag and untag', async () => {
    const sandbox = await startSandbox();
    const id = sandbox.addTag('Blue');
    expect(sandbox.addTag('Blue')).toBe(id);
    expect(sandbox.addTag('Blue', { objectTypeId: 10_000 })).not.toBe(id);
    expect(sandbox.addTag('Blue', { id: 99 })).toBe('99');
    const contact = sandbox.addContact({ tags: ['Blue', 'Red', 'Blue'] });
    expect(sandbox.tagsOf(contact)).toEqual(['Blue', 'Red']);
    sandbox.renameTag('Blue', 'Navy');
    sandbox.untag(contact, 'Red');
    sandbox.tag(contact, 'Green', 'Navy');
    expect(sandbox.tagsOf(contact)).toEqual(['Navy', 'Green']);
    sandbox.updateContact(contact, { contact_cat: '*/*12345*/*' });
    expect(sandbox.tagsOf(contact)).toEqual(['#12345']);
    sandbox.untag(contact, 'Green');
    sandbox.updateContact(contact, { contact_cat: '' });
    expect(sandbox.tagsOf(contact)).toEqual([]);
  });
});

describe('28. tagging', () => {
  const REPLY = 'The tag is now being processed.';

  test('by id: add and remove, ids as text or list, unknown tags and contacts ignored', async () => {
    const sandbox = await startSandbox();
    const [blue, red] = [sandbox.addTag('Blue'), sandbox.addTag('Red')];
    const [one, other] = [sandbox.addContact(), sandbox.addContact()];
    const added = await call(sandbox, 'PUT', '/objects/tag', {
      objectID: 0,
      ids: `${one},${other},999`,
      add_list: `${blue},${red},999`,
    });
    expect(added.json).toEqual({ code: 0, data: REPLY, account_id: 50 });
    expect(sandbox.contact(one)!.contact_cat).toBe(`*/*${blue}*/*${red}*/*`);
    const removed = await call(sandbox, 'DELETE', `/objects/tag?objectID=0&ids=${one}&remove_list=${blue}`);
    expect(removed.json.data).toBe(REPLY);
    await call(sandbox, 'DELETE', '/objects/tag', {
      objectID: 0,
      ids: [Number(other)],
      remove_list: [blue, red],
    });
    expect([sandbox.tagsOf(one), sandbox.contact(other)!.contact_cat]).toEqual([['Red'], '']);
    expect((await call(sandbox, 'PUT', '/objects/tag', { objectID: 0, add_list: blue })).status).toBe(400);
  });

  test('by name: arrays only, unknown tags are created when added and ignored when removed', async () => {
    const sandbox = await startSandbox();
    const id = sandbox.addContact();
    const put = (body: object) => call(sandbox, 'PUT', '/objects/tagByName', { objectID: 0, ...body });
    expect((await put({ ids: [id], add_names: ['Blue', 'Red'] })).json.data).toBe(REPLY);
    const body = { objectID: 0, ids: [id], remove_names: ['Blue', 'Nonsense'] };
    expect((await call(sandbox, 'DELETE', '/objects/tagByName', body)).json.data).toBe(REPLY);
    expect(sandbox.tagsOf(id)).toEqual(['Red']);
    expect((await call(sandbox, 'GET', '/Tags')).json.data).toHaveLength(2);
    expect((await put({ ids: id, add_names: ['Blue'] })).status).toBe(400);
    expect((await put({ ids: [id], add_names: 'Blue' })).status).toBe(400);
  });

  test('knob: the effect comes later', async () => {
    let now = 1_000_000;
    const sandbox = await startSandbox({ taggingDelayMs: 3_000, now: () => now });
    const id = sandbox.addContact();
    await call(sandbox, 'PUT', '/objects/tagByName', { objectID: 0, ids: [id], add_names: ['Blue'] });
    const tags = async () => (await call(sandbox, 'GET', `/Contact?id=${id}`)).json.data.contact_cat;
    expect(await tags()).toBe('');
    now += 3_000;
    expect(await tags()).toBe('*/*1*/*');
  });

  test('knob: whether tagging moves dlm', async () => {
    for (const taggingMovesDateModified of [true, false]) {
      let now = 10_000;
      const sandbox = await startSandbox({ taggingMovesDateModified, now: () => now });
      const id = sandbox.addContact();
      now = 20_000;
      sandbox.tag(id, 'Blue');
      expect(sandbox.contact(id)!.dlm).toBe(taggingMovesDateModified ? '20' : '10');
    }
  });

  test('GET objects/tag lists the contacts of a tag, with all that lists can do', async () => {
    const sandbox = await startSandbox();
    for (let number = 1; number <= 60; number++) {
      sandbox.addContact({ firstname: `F${number}`, tags: number % 2 === 0 ? ['Even'] : ['Odd'] });
    }
    const tagId = sandbox.addTag('Even');
    const even = (parameters: string) => call(sandbox, 'GET', `/objects/tag?objectID=0&${parameters}`);
    expect(idsOf(await even(`tag_id=${tagId}`))).toHaveLength(30);
    expect(idsOf(await even('tag_name=Even&range=2&start=1&sort=id&sortDir=desc'))).toEqual(['58', '56']);
    const page = await even(
      `tag_name=Even&${condition(where('id', '>', 56))}&listFields=firstname&count=true`,
    );
    expect(page.json).toMatchObject({ data: [{ id: '58', firstname: 'F58' }, { id: '60' }], count: '2' });
    expect(page.json.data[0]).toEqual({ id: '58', firstname: 'F58' });
    expect((await even('tag_name=Nonsense')).json.data).toEqual([]);
    expect((await even('')).status).toBe(400);
  });

  test('subscribing to automations is acknowledged', async () => {
    const sandbox = await startSandbox();
    const answer = await call(sandbox, 'PUT', '/objects/subscribe', {
      objectID: 0,
      ids: '1',
      add_list: '2',
      sub_type: 'Campaign',
    });
    expect(answer.json.data).toBe('The subscription is now being processed.');
    expect((await call(sandbox, 'DELETE', '/objects/subscribe?objectID=0&ids=1&remove_list=2')).status).toBe(
      200,
    );
  });
});

describe('29. webhook subscriptions', () => {
  test('subscribe with a form, list, read, unsubscribe', async () => {
    const sandbox = await startSandbox();
    const form = new URLSearchParams({
      url: 'https://example.com/x',
      event: 'sub_tag(4)',
      data: '{"format":"notify"}',
    });
    const subscribed = await call(sandbox, 'POST', '/Webhook/subscribe', form.toString());
    const row = {
      id: '1',
      event: 'sub_tag(4)',
      data: '{"format":"notify"}',
      url: 'https://example.com/x',
      last_hook: null,
      last_code: null,
      last_payload: null,
    };
    expect(subscribed.json).toEqual({ code: 0, data: row, account_id: 50 });
    expect((await call(sandbox, 'GET', '/Webhooks')).json.data).toEqual([row]);
    expect((await call(sandbox, 'GET', '/objects?objectID=145')).json.data).toEqual([row]);
    expect((await call(sandbox, 'GET', '/Webhook?id=1')).json.data).toEqual(row);
    expect((await call(sandbox, 'DELETE', '/Webhook/unsubscribe?id=1')).json).toEqual({
      code: 0,
      account_id: 50,
    });
    expect((await call(sandbox, 'GET', '/Webhooks')).json.data).toEqual([]);
    expect((await call(sandbox, 'DELETE', '/Webhook/unsubscribe?id=1')).status).toBe(404);
    expect((await call(sandbox, 'POST', '/Webhook/unsubscribe?id=1')).status).toBe(405);
  });

  test.each([
    ['object_create(0)', 200],
    ['object_submits_form(3)', 200],
    ['unsub_tag(12)', 200],
    ['purchase_product(1)', 200],
    ['transaction_created_with_product(1)', 200],
    ['object_create', 400],
    ['sub_tag()', 400],
    ['nonsense(1)', 400],
    ['', 400],
  ])('event %s: %i', async (event, status) => {
    const sandbox = await startSandbox();
    const form = new URLSearchParams({ url: 'https://example.com/', event });
    expect((await call(sandbox, 'POST', '/Webhook/subscribe', form.toString())).status).toBe(status);
  });

  test('a URL that is none: 400', async () => {
    const sandbox = await startSandbox();
    expect((await call(sandbox, 'POST', '/Webhook/subscribe', 'url=x&event=sub_tag(1)')).status).toBe(400);
  });
});
