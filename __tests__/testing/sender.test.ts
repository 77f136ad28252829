// Checklist 30 to 32: webhooks of subscriptions and automations, rules, bursts.
import { OntraportSandbox } from '../../lib/testing';
import type { WebhookShape } from '../../lib/testing';
import type { Json } from './helpers';
import { call, startSandbox, startSite } from './helpers';

const decoded = (body: string) => Object.fromEntries(new URLSearchParams(body));

describe('30. webhooks of API subscriptions', () => {
  const mary = { firstname: 'Mary', lastname: 'Smith', email: 'mary@ontraport.com' };

  test('a form with brackets, percent-encoded, one record each', async () => {
    const [sandbox, site] = [await startSandbox({ now: () => 1_514_940_140_000 }), await startSite()];
    const contactId = sandbox.addContact({ id: 8, ...mary });
    const options = {
      url: site.url,
      event: 'sub_tag(4)',
      contactId,
      webhookId: '3',
      format: 'lightweight',
    } as const;
    expect((await sandbox.sendSubscription(options)).status).toBe(200);
    expect(site.received[0]!.method).toBe('POST');
    expect(site.received[0]!.headers).toMatchObject({
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': 'Ontraport Webhook',
    });
    expect(site.received[0]!.body).toBe(
      'webhook_id=3&object_type_id=0&event%5Btype%5D=sub_tag&event%5Btag_id%5D=4&data%5Bid%5D=8&data%5Bfirstname%5D=Mary' +
        '&data%5Blastname%5D=Smith&data%5Bemail%5D=mary%40ontraport.com&timestamp=1514940140',
    );
  });

  test('knob: the same as JSON', async () => {
    const [sandbox, site] = [await startSandbox(), await startSite()];
    const contactId = sandbox.addContact(mary);
    const event = 'object_submits_form(4)';
    await sandbox.sendSubscription({ url: site.url, event, contactId, encoding: 'json', format: 'notify' });
    expect(site.received[0]!.headers['content-type']).toBe('application/json');
    expect(JSON.parse(site.received[0]!.body)).toMatchObject({
      webhook_id: '1',
      object_type_id: '0',
      event: { type: 'object_submits_form', form_id: '4' },
      data: { id: contactId },
    });
  });

  test('formats: all fields, id only, lightweight', async () => {
    const [sandbox, site] = [await startSandbox({ seed: true }), await startSite()];
    for (const format of [undefined, 'all', 'notify', 'lightweight'] as const) {
      const choice = format === undefined ? {} : { format };
      await sandbox.sendSubscription({ url: site.url, event: 'object_create(0)', contactId: '1', ...choice });
    }
    const keys = site.received.map(({ body }) =>
      Object.keys(decoded(body)).filter((key) => key.startsWith('data[')),
    );
    expect(keys[0]).toEqual(
      expect.arrayContaining(['data[id]', 'data[f1558]', 'data[contact_cat]', 'data[dlm]']),
    );
    expect(keys[1]).toEqual(keys[0]);
    expect(keys[2]).toEqual(['data[id]']);
    expect(keys[3]).toEqual(['data[id]', 'data[firstname]', 'data[lastname]', 'data[email]']);
  });

  test('subscribers get theirs when something happens, and the row remembers it', async () => {
    const sandbox = await startSandbox({ deliver: true });
    const site = await startSite(({ body }) => ({ status: body.includes('unsub_tag') ? 500 : 200 }));
    const tagId = sandbox.addTag('Customer');
    for (const event of [
      `sub_tag(${tagId})`,
      `unsub_tag(${tagId})`,
      'object_create(0)',
      'object_submits_form(7)',
    ]) {
      const form = new URLSearchParams({ url: site.url, event, data: '{"format": "notify"}' });
      await call(sandbox, 'POST', '/Webhook/subscribe', form.toString());
    }
    const events: string[] = [];
    const settled = async () => {
      await sandbox.settled();
      events.push(
        ...site.received
          .splice(0)
          .map(({ body }) => `${decoded(body)['event[type]']} ${decoded(body)['data[id]']}`),
      );
    };
    const { id } = (await call(sandbox, 'POST', '/Contacts', { firstname: 'Mary' })).json.data;
    await settled();
    await call(sandbox, 'PUT', '/objects/tag', { objectID: 0, ids: id, add_list: tagId });
    await settled();
    await call(sandbox, 'PUT', '/objects/tag', { objectID: 0, ids: id, add_list: tagId }); // has it already
    sandbox.tag(id, 'Another');
    sandbox.submitForm(7, id);
    sandbox.submitForm(8, id);
    await settled();
    sandbox.untag(id, 'Customer');
    await settled();
    expect(events).toEqual([
      `object_create ${id}`,
      `sub_tag ${id}`,
      `object_submits_form ${id}`,
      `unsub_tag ${id}`,
    ]);
    const rows = (await call(sandbox, 'GET', '/Webhooks')).json.data;
    expect(rows.map((row: Json) => row.last_code)).toEqual(['200', '500', '200', '200']);
    expect(decoded(rows[0].last_payload)['event[tag_id]']).toBe(tagId);
    expect(Number(rows[0].last_hook)).toBeGreaterThan(0);
    expect(sandbox.deliveries).toHaveLength(4); // the 500 was not tried again
  });

  test('knobs: nothing is delivered by default; JSON if asked for', async () => {
    const [quiet, json, site] = [
      await startSandbox(),
      await startSandbox({ deliver: true, subscriptionEncoding: 'json' }),
      await startSite(),
    ];
    for (const sandbox of [quiet, json]) {
      const form = new URLSearchParams({ url: site.url, event: 'object_create(0)' });
      await call(sandbox, 'POST', '/Webhook/subscribe', form.toString());
      sandbox.addContact({ firstname: 'Mary' });
      await sandbox.settled();
    }
    expect(site.received.map(({ body }) => JSON.parse(body).data.firstname)).toEqual(['Mary']);
  });
});

describe('31. webhooks of automations', () => {
  const person = { firstname: 'Mary "M"', email: 'mary+1@example.com' };

  const send = async (shape: WebhookShape, more = {}) => {
    const [sandbox, site] = [await startSandbox(), await startSite()];
    const contactId = sandbox.addContact({ id: 8, ...person });
    const url = `${site.url}?wpf_action=add&access_key=sesame`;
    const delivery = await sandbox.send({ url, contactId, shape, ...more });
    return { sandbox, delivery, request: site.received[0]! };
  };

  test('(a) POST with an empty body, everything in the query', async () => {
    const { request, delivery } = await send('empty');
    expect(request).toMatchObject({
      method: 'POST',
      url: '/hook?wpf_action=add&access_key=sesame&contact_id=8',
      body: '',
    });
    expect(request.headers).toMatchObject({ 'user-agent': 'Ontraport Webhook', 'content-length': '0' });
    expect(request.headers).not.toHaveProperty('content-type');
    expect(delivery).toEqual({
      number: 1,
      method: 'POST',
      path: '/hook',
      contactId: '8',
      status: 200,
      contentType: 'application/json',
      body: '{"ok":true}',
      json: { ok: true },
      error: undefined,
    });
  });

  test('(b) POST with a form', async () => {
    const { request } = await send('form');
    expect(request.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(request.body).toBe('contact_id=8&First_Name=Mary "M"&Email=mary+1@example.com');
    const escaped = (await send('form', { escape: true })).request.body;
    expect(decoded(escaped)).toEqual({
      contact_id: '8',
      First_Name: 'Mary "M"',
      Email: 'mary+1@example.com',
    });
  });

  test('(c) POST with JSON, whose merged values are escaped only if asked for', async () => {
    const { request } = await send('json');
    expect(request.headers['content-type']).toBe('application/json');
    expect(request.body).toBe('{"contact_id":"8","First_Name":"Mary "M"","Email":"mary+1@example.com"}');
    const escaped = (await send('json', { escape: true })).request.body;
    expect(JSON.parse(escaped)).toEqual({
      contact_id: '8',
      First_Name: 'Mary "M"',
      Email: 'mary+1@example.com',
    });
  });

  test('(d) POST with JSON that says it is a form, or does not say what it is', async () => {
    const parameters = { contact_id: '[Contact ID]' };
    const asForm = (await send('jsonAsForm', { parameters })).request;
    expect([asForm.headers['content-type'], asForm.body]).toEqual([
      'application/x-www-form-urlencoded',
      '{"contact_id":"8"}',
    ]);
    const untyped = (await send('jsonUntyped', { parameters })).request;
    expect([untyped.headers['content-type'], untyped.body]).toEqual([undefined, '{"contact_id":"8"}']);
  });

  test('(e) GET', async () => {
    const { request } = await send('get', { parameters: { id: '[ID]', role: 'a&b' } });
    expect(request).toMatchObject({ method: 'GET', body: '' });
    expect(request.url).toBe('/hook?wpf_action=add&access_key=sesame&id=8&role=a%26b');
  });

  test('merge fields in URL, parameters and a body of your own, by label', async () => {
    const [sandbox, site] = [await startSandbox({ seed: true }), await startSite()];
    await sandbox.send({
      url: `${site.url}?id=[Contact ID]&same=%5BContact%20ID%5D&name=[First Name]&other=[Event//ID]`,
      contactId: '1',
      shape: 'json',
      body: '{"plan":"[Plan]","teams":"[Teams]","consent":"[Consent]","phone":"[Home Phone]","list":[1]}',
      method: 'PUT',
      headers: { 'X-Access-Key': 'sesame' },
    });
    const request = site.received[0]!;
    expect(request.method).toBe('PUT');
    expect(request.url).toBe('/hook?id=1&same=1&name=Mary&other=[Event//ID]');
    expect(request.headers['x-access-key']).toBe('sesame');
    expect(JSON.parse(request.body)).toEqual({
      plan: 'Basic',
      teams: 'Blue, Red',
      consent: '1',
      phone: '',
      list: [1],
    });
  });

  test('merge: false leaves them as they were typed; a contact need not exist', async () => {
    const { request } = await send('get', { merge: false });
    expect(new URLSearchParams(request.url).get('contact_id')).toBe('[Contact ID]');
    const [sandbox, site] = [await startSandbox(), await startSite()];
    await sandbox.send({ url: `${site.url}?name=[First Name]`, contactId: '404' });
    expect(site.received[0]!.url).toBe('/hook?name=&contact_id=404');
  });

  test('no access key in what is remembered, and no second attempt', async () => {
    const { sandbox } = await send('empty');
    expect(JSON.stringify([sandbox.deliveries, sandbox.calls])).not.toContain('sesame');
    const failing = await startSite(() => ({ status: 503, body: 'busy' }));
    const delivery = await sandbox.send({ url: failing.url, contactId: '8' });
    expect(delivery).toMatchObject({ status: 503, body: 'busy', json: undefined });
    expect(failing.received).toHaveLength(1);
  });

  test('a site that is not there, hangs or hangs up is part of the result', async () => {
    const sandbox = await startSandbox();
    const gone = await OntraportSandbox.start();
    const { baseUrl } = gone;
    await gone.close();
    expect(await sandbox.send({ url: baseUrl, contactId: '1' })).toMatchObject({
      status: null,
      error: 'ECONNREFUSED',
    });
    const hanging = await startSite(() => new Promise(() => undefined));
    const options = { url: hanging.url, contactId: '1', timeoutMs: 20 };
    expect(await sandbox.send(options)).toMatchObject({ status: null, error: 'TIMEOUT' });
    const broken = await startSandbox();
    broken.fail({ with: 'truncate' });
    const { appId, apiKey } = broken;
    const headers = { 'Api-Appid': appId, 'Api-Key': apiKey };
    const delivery = await sandbox.send({
      url: `${broken.baseUrl}/Tags`,
      contactId: '1',
      shape: 'get',
      headers,
    });
    expect(delivery).toMatchObject({ status: null, error: 'ECONNRESET' });
    await expect(sandbox.send({ url: '/no/host', contactId: '1' })).rejects.toThrow('url');
    await expect(
      sandbox.sendSubscription({ url: 'x:y', event: 'sub_tag(1)', contactId: '1' }),
    ).rejects.toThrow('url');
  });

  test('closing ends webhooks under way', async () => {
    const sandbox = await OntraportSandbox.start();
    const site = await startSite(() => new Promise(() => undefined));
    const delivery = sandbox.send({ url: site.url, contactId: '1' });
    const burst = sandbox.burst({ url: site.url, contactIds: ['1', '2', '3'], concurrency: 1 });
    await sandbox.close();
    expect(await delivery).toMatchObject({ status: null, error: 'ABORT_ERR' });
    expect((await burst).deliveries).toHaveLength(1);
  });
});

describe('rules', () => {
  const rulesOf = async () => {
    const [sandbox, site] = [await startSandbox(), await startSite()];
    const key = sandbox.addField({ key: 'f1556', alias: 'Password' });
    for (const on of [
      'create',
      'change',
      `field:${key}`,
      'tag:Add User to WP',
      'untag:Add User to WP',
    ] as const) {
      sandbox.addRule({ on, url: `${site.url}?on=${encodeURIComponent(on)}` });
    }
    const fired = async () => {
      await sandbox.settled();
      return site.received
        .splice(0)
        .map(({ url }) => new URLSearchParams(url.slice(url.indexOf('?'))).get('on')!)
        .sort();
    };
    return { sandbox, site, fired };
  };

  test('fire when the API changes a contact, our own write included', async () => {
    const { sandbox, fired } = await rulesOf();
    const { id } = (await call(sandbox, 'POST', '/Contacts', { firstname: 'Mary' })).json.data;
    expect(await fired()).toEqual(['create']);
    await call(sandbox, 'PUT', '/Contacts', { id, f1556: 'secret' });
    expect(await fired()).toEqual(['change', 'field:f1556']);
    await call(sandbox, 'PUT', '/Contacts', { id, f1556: 'secret' });
    expect(await fired()).toEqual([]); // the same value is no change
    await call(sandbox, 'POST', '/Contacts/saveorupdate', { email: 'mary@example.com' });
    expect(await fired()).toEqual(['create']);
    await call(sandbox, 'PUT', '/objects/tagByName', {
      objectID: 0,
      ids: [id],
      add_names: ['Add User to WP', 'Other'],
    });
    expect(await fired()).toEqual(['tag:Add User to WP']);
    await call(sandbox, 'DELETE', '/objects/tagByName', {
      objectID: 0,
      ids: [id],
      remove_names: ['Add User to WP'],
    });
    expect(await fired()).toEqual(['untag:Add User to WP']);
  });

  test('fire when the methods of the sandbox do, and no more once removed', async () => {
    const { sandbox, site, fired } = await rulesOf();
    const id = sandbox.addContact({ firstname: 'Mary', tags: ['Add User to WP'] });
    expect(await fired()).toEqual(['create', 'tag:Add User to WP']);
    sandbox.updateContact(id, { firstname: 'Ann' });
    sandbox.untag(id, 'Add User to WP');
    expect(await fired()).toEqual(['change', 'untag:Add User to WP']);
    const form = { on: 'change', url: site.url, shape: 'form', parameters: { on: 'extra' } } as const;
    const extra = sandbox.addRule(form);
    sandbox.updateContact(id, { firstname: 'Joe' });
    await sandbox.settled();
    expect(site.received.map(({ body }) => body).sort()).toEqual(['', 'on=extra']);
    site.received.length = 0;
    extra.remove();
    sandbox.updateContact(id, { firstname: 'Eve' });
    expect(await fired()).toEqual(['change']);
    expect(() => sandbox.addRule({ on: 'change', url: 'nonsense' })).toThrow('url');
  });

  test('a webhook can arrive before its contact is readable', async () => {
    const [sandbox, site] = [await startSandbox(), await startSite()];
    sandbox.addRule({ on: 'create', url: `${site.url}?id=[Contact ID]` });
    const id = sandbox.addContact({ email: 'mary@example.com', readableAfter: Infinity });
    await sandbox.settled();
    expect(site.received[0]!.url).toBe(`/hook?id=${id}`);
    expect((await call(sandbox, 'GET', `/Contact?id=${id}`)).status).toBe(404);
    sandbox.reveal(id);
    expect((await call(sandbox, 'GET', `/Contact?id=${id}`)).status).toBe(200);
  });

  test('settled waits for what the site sets off while it answers', async () => {
    const sandbox = await startSandbox();
    const id = sandbox.addContact();
    const site = await startSite(async ({ url }) => {
      if (url.includes('create')) await call(sandbox, 'PUT', '/Contacts', { id, firstname: 'from the site' });
      return {};
    });
    sandbox.addRule({ on: 'create', url: `${site.url}?create` });
    sandbox.addRule({ on: 'change', url: `${site.url}?change` });
    sandbox.addContact();
    await sandbox.settled();
    expect(sandbox.deliveries).toHaveLength(2);
  });
});

describe('32. bursts', () => {
  const contactIds = Array.from({ length: 200 }, (_, index) => String(index + 1));
  const order = (deliveries: readonly { contactId: string }[]) =>
    deliveries.map(({ contactId }) => contactId);

  test('one webhook a contact, in order when one at a time, never more at a time than asked for', async () => {
    const sandbox = await startSandbox();
    let [open, peak] = [0, 0];
    const site = await startSite(async () => {
      peak = Math.max(peak, ++open);
      await new Promise(setImmediate);
      open--;
      return {};
    });
    const inOrder = await sandbox.burst({
      url: site.url,
      contactIds: contactIds.slice(0, 20),
      concurrency: 1,
    });
    expect(order(inOrder.deliveries)).toEqual(contactIds.slice(0, 20));
    expect(peak).toBe(1);
    const { deliveries, dropped } = await sandbox.burst({
      url: site.url,
      contactIds,
      concurrency: 8,
      shape: 'json',
    });
    expect(new Set(order(deliveries))).toEqual(new Set(contactIds));
    expect(deliveries.every(({ status, json }) => status === 200 && (json as Json).ok === true)).toBe(true);
    expect(dropped).toEqual([]);
    expect(peak).toBeLessThanOrEqual(8);
    expect(sandbox.deliveries).toHaveLength(220);
  });

  test('duplicates, out of order, dropped ones: the same for the same seed', async () => {
    const [sandbox, site] = [await startSandbox(), await startSite()];
    const run = async (seed: number) =>
      sandbox.burst({
        url: site.url,
        contactIds,
        duplicates: 1,
        shuffle: true,
        drop: 0.25,
        seed,
        concurrency: 1,
      });
    const [one, again, other] = [await run(7), await run(7), await run(8)];
    expect(order(again.deliveries)).toEqual(order(one.deliveries));
    expect(again.dropped).toEqual(one.dropped);
    expect(order(other.deliveries)).not.toEqual(order(one.deliveries));
    expect(one.deliveries.length + one.dropped.length).toBe(400);
    expect(one.dropped.length).toBeGreaterThan(50);
    expect(one.dropped.length).toBeLessThan(150);
    expect(new Set(order(one.deliveries)).size).toBeLessThan(order(one.deliveries).length);
    const shuffled = await sandbox.burst({ url: site.url, contactIds, shuffle: true, concurrency: 1 });
    expect(order(shuffled.deliveries)).not.toEqual(contactIds);
    expect(new Set(order(shuffled.deliveries))).toEqual(new Set(contactIds));
    const inOrder = await sandbox.burst({
      url: site.url,
      contactIds: ['1', '2'],
      duplicates: 1,
      concurrency: 1,
    });
    expect(order(inOrder.deliveries)).toEqual(['1', '2', '1', '2']);
  });

  test('5,000 of them', async () => {
    const [sandbox, site] = [await startSandbox(), await startSite()];
    const ids = Array.from({ length: 5_000 }, (_, index) => String(index + 1));
    const { deliveries } = await sandbox.burst({ url: site.url, contactIds: ids });
    expect(deliveries).toHaveLength(5_000);
    expect(deliveries.filter(({ status }) => status !== 200)).toEqual([]);
    expect(site.received).toHaveLength(5_000);
  });
});
