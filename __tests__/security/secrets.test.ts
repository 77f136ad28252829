// No secret ever gets out: everything that can be logged, answered, emitted and thrown is made to happen, with every secret
// put where it could slip out, and all of it is searched for all of them in every form. That the search finds what is there is
// proved by leaks that are planted.
import fc from 'fast-check';
import { inspect } from 'node:util';
import {
  wpFusionWebhook,
  OntraportClient,
  WpFusionError,
  type User,
  type PasswordHasher,
  type WpFusionWebhookOptions,
} from '../../lib';
import { redact } from '../../lib/redact';
import { parseSyncState } from '../../lib/users/sync-state';
import type * as Lib from '../../lib';
import type * as Redact from '../../lib/redact';
import { until } from '../actions/site';
import { FORMS, formIn, Haystack, realProcess, type Finding, type Secret } from './haystack';
import {
  ACCESS_KEY,
  CHOSEN_PASSWORDS,
  INSPECTING_KEY,
  leakyError,
  leakyThing,
  LIMITED_KEY,
  Scene,
  WRONG_KEYS,
} from './scene';

type Options = Partial<WpFusionWebhookOptions>;

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
const JSON_TYPE = { 'Content-Type': 'application/json' };

// No waiting between two tries of a call.
beforeAll(() => void jest.spyOn(Math, 'random').mockReturnValue(0));
afterAll(() => jest.restoreAllMocks());

/** Everything that can happen; each step is searched on its own, so that a failing one says where. */
const STEPS: Record<string, (scene: Scene) => Promise<void>> = {
  'webhooks that succeed, with the key in every place': async (scene) => {
    const { ask } = await scene.site();
    const inQuery = (more: Record<string, string> = {}): Record<string, string> => ({
      wpf_action: 'add',
      contact_id: scene.contact(),
      ...more,
    });
    const placed = [
      { query: inQuery({ access_key: ACCESS_KEY, send_notification: 'true', role: 'root' }) },
      { query: inQuery(), headers: FORM, body: new URLSearchParams({ access_key: ACCESS_KEY }).toString() },
      { query: inQuery(), headers: JSON_TYPE, body: JSON.stringify({ access_key: ACCESS_KEY }) },
      { query: inQuery(), headers: { 'X-Access-Key': ACCESS_KEY } },
      { query: inQuery(), headers: { Authorization: `Bearer ${ACCESS_KEY}` } },
    ];
    for (const asking of placed) expect((await ask(asking)).json).toMatchObject({ outcome: 'created' });
    const id = scene.contact();
    await ask(scene.webhook('add', id));
    expect((await ask(scene.webhook('add', id))).json).toMatchObject({ outcome: 'unchanged' });
    scene.sandbox.updateContact(id, { f2: 'gold', email: 'mary1@example.com' });
    scene.sandbox.tag(id, 'VIP');
    expect((await ask(scene.webhook('update', id))).json).toMatchObject({
      warnings: [{ code: 'EMAIL_TAKEN' }],
    });
    expect((await ask(scene.webhook('update_tags', id))).status).toBe(200);
    expect((await ask(scene.webhook('update', scene.contact()))).json).toMatchObject({ outcome: 'skipped' });
    expect((await ask(scene.webhook('test', ''))).json).toEqual({ ok: true, action: 'test' });
  },

  'passwords that the CRM brings': async (scene) => {
    const { ask } = await scene.site({ fields: { password: 'f4' }, passwordOnUpdate: true });
    const id = scene.contact({ f4: CHOSEN_PASSWORDS[0]! });
    expect((await ask(scene.webhook('add', id))).json).toMatchObject({ outcome: 'created' });
    scene.sandbox.updateContact(id, { f4: CHOSEN_PASSWORDS[1]! });
    scene.key = INSPECTING_KEY;
    const looked = await ask(scene.webhook('update', id, { dry_run: 'true' }));
    expect(looked.json.changes).toEqual([{ field: 'password' }]);
    expect((await ask({ ...scene.webhook('update', id), method: 'GET', page: true })).text).toContain(
      'password',
    );
    expect((await ask({ ...scene.webhook('update', id), page: true })).text).toContain('password');
    expect(await scene.hasher.verify(CHOSEN_PASSWORDS[1]!, scene.hashOf(id))).toBe(true);
  },

  'dry runs and pages, for those who see values': async (scene) => {
    for (const options of [{}, { fields: { password: 'f4' } }] satisfies Options[]) {
      const { ask } = await scene.site(options);
      const id = scene.contact({ f4: CHOSEN_PASSWORDS[0]!, lastname: 'Smith' });
      for (const key of [ACCESS_KEY, INSPECTING_KEY]) {
        scene.key = key;
        const looked = await ask(scene.webhook('add', id, { dry_run: 'true' }));
        expect(looked.text.includes('Smith')).toBe(key === INSPECTING_KEY);
        expect((await ask({ ...scene.webhook('add', id), method: 'GET', page: true })).status).toBe(200);
      }
      expect((await ask({ ...scene.webhook('add', id), page: true })).text).toContain('was created');
      for (const action of ['update', 'update_tags', 'test', 'nonsense']) {
        await ask({ ...scene.webhook(action, id), method: 'GET', page: true });
      }
    }
  },

  'requests that are refused': async (scene) => {
    const { ask } = await scene.site({ bodyLimit: 2000 });
    const [inQuery, inBody, inHeader] = WRONG_KEYS as [string, string, string];
    const add = { wpf_action: 'add', contact_id: '1' };
    const valid = { ...add, access_key: ACCESS_KEY };
    const expected: [number, Parameters<typeof ask>[0]][] = [
      [403, { query: { ...add, access_key: inQuery } }],
      [403, { query: { ...add, access_key: inQuery }, page: true, method: 'GET' }],
      [403, { query: add, headers: FORM, body: new URLSearchParams({ access_key: inBody }).toString() }],
      [403, { query: add, headers: JSON_TYPE, body: JSON.stringify({ access_key: inBody }) }],
      [403, { query: add, headers: JSON_TYPE, body: `{"access_key": ${JSON.stringify(inBody)}, broken` }],
      [403, { query: add, headers: { 'X-Access-Key': inHeader } }],
      [403, { query: add, headers: { Authorization: `Bearer ${inHeader}` } }],
      [403, { query: { ...valid }, headers: { 'X-Access-Key': inHeader } }],
      [403, { query: add }],
      [403, { query: { ...add, access_key: LIMITED_KEY } }],
      [403, { query: { ...add, access_key: LIMITED_KEY }, page: true, method: 'GET' }],
      [400, { query: { ...valid, wpf_action: 'nonsense' } }],
      [400, { query: { ...valid, wpf_action: '' } }],
      [400, { query: { ...valid, contact_id: '[Contact ID]' } }],
      [400, { query: { ...valid, contact_id: '' } }],
      [400, { query: { ...valid, send_notification: 'perhaps' }, page: true }],
      [400, { query: { ...valid }, headers: { 'Sec-Purpose': 'prefetch' } }],
      [400, { query: { ...valid }, headers: FORM, body: 'contact_id=2' }],
      [
        400,
        {
          query: { wpf_action: 'add', access_key: ACCESS_KEY },
          headers: JSON_TYPE,
          body: `{"access_key": ${JSON.stringify(ACCESS_KEY)}, broken`,
        },
      ],
      [405, { query: valid, method: 'DELETE' }],
      [
        413,
        {
          query: valid,
          headers: JSON_TYPE,
          body: JSON.stringify({ access_key: ACCESS_KEY, x: 'x'.repeat(3000) }),
        },
      ],
      [
        415,
        {
          query: { wpf_action: 'add', access_key: ACCESS_KEY },
          headers: { 'Content-Type': 'text/xml' },
          body: ACCESS_KEY,
        },
      ],
    ];
    const answered = [];
    for (const [, asking] of expected) answered.push((await ask(asking)).status);
    expect(answered).toEqual(expected.map(([status]) => status));
    const stranger = await scene.site();
    for (let count = 0; count < 20; count += 1)
      await stranger.ask({ query: { ...add, access_key: inQuery } });
    expect((await stranger.ask({ query: valid })).json).toMatchObject({ code: 'TOO_MANY_ATTEMPTS' });
    const closing = await scene.site();
    await closing.webhook.close();
    expect((await closing.ask({ query: valid })).json).toMatchObject({ code: 'SHUTTING_DOWN' });
  },

  'a key that somebody typed into another parameter': async (scene) => {
    const { ask } = await scene.site();
    for (const name of [
      'contact_id',
      'email',
      'role',
      'send_notification',
      'dry_run',
      'async',
      'wpf_action',
    ]) {
      const query = { ...scene.webhook('update', '1').query, [name]: ACCESS_KEY };
      await ask({ query });
      await ask({ query, page: true });
    }
    await ask({ query: { ...scene.webhook('add', '1').query, send_notification: ACCESS_KEY } });
  },

  'a repository whose errors quote the row': async (scene) => {
    const { ask } = await scene.site();
    const methods = ['findByContactId', 'findByEmail', 'create', 'update'] as const;
    const shapes = [
      // What this run has made by then: the new user's password, or none.
      (row: unknown, made: string[]) => leakyError([ACCESS_KEY, ...made], row),
      (row: unknown) => new AggregateError([leakyError([ACCESS_KEY], row)], JSON.stringify(row)),
      (row: unknown) => leakyThing([], row),
      (row: unknown) => `as a text: ${JSON.stringify(row)} ${ACCESS_KEY}`,
    ];
    for (const method of methods) {
      for (const shape of shapes) {
        const id = method === 'create' || method === 'findByEmail' ? scene.contact() : await scene.member();
        const before = scene.hasher.passwords.length;
        scene.users.trouble = (called, row) => {
          if (called === method) throw shape(row, scene.hasher.passwords.slice(before));
        };
        const answer = await ask(scene.webhook('add', id));
        scene.users.trouble = undefined;
        expect(answer.json).toMatchObject({ code: 'REPOSITORY_FAILED', status: 500 });
      }
    }
  },

  'hooks that throw what they know': async (scene) => {
    const thrown = (row?: unknown): never => {
      throw leakyError([ACCESS_KEY, scene.latestPassword], row);
    };
    for (const hook of ['beforeCreate', 'afterCreate'] as const) {
      const { ask } = await scene.site({ hooks: { [hook]: (shown: unknown) => thrown(shown) } });
      expect((await ask(scene.webhook('add', scene.contact()))).json).toMatchObject({ code: 'HOOK_FAILED' });
    }
    for (const hook of ['beforeUpdate', 'beforeTagsChange', 'afterUpdate'] as const) {
      const id = await scene.member();
      const { ask } = await scene.site({
        hooks: { [hook]: (shown: unknown) => thrown(shown) },
        fields: { password: 'f4' },
        passwordOnUpdate: true,
      });
      scene.sandbox.updateContact(id, { f4: CHOSEN_PASSWORDS[0]! });
      scene.sandbox.tag(id, 'VIP');
      expect((await ask(scene.webhook('update', id))).json).toMatchObject({ code: 'HOOK_FAILED' });
    }
    const { ask } = await scene.site({ hooks: { beforeCreate: () => 'no user' as never } });
    expect((await ask(scene.webhook('add', scene.contact()))).json).toMatchObject({ code: 'HOOK_FAILED' });
  },

  'a notifier that quotes the password': async (scene) => {
    const { ask } = await scene.site({
      notifier: {
        sendWelcome: ({ user }) =>
          Promise.reject(leakyError([scene.latestPassword, scene.hashOf(user.contactId!)])),
      },
    });
    const answer = await ask(scene.webhook('add', scene.contact(), { send_notification: 'true' }));
    expect(answer.json).toMatchObject({ warnings: [{ code: 'NOTIFICATION_FAILED' }] });
  },

  'a notifier that quotes the access key': async (scene) => {
    const { ask } = await scene.site({
      notifier: { sendWelcome: () => Promise.reject(leakyError([ACCESS_KEY])) },
    });
    const answer = await ask(scene.webhook('add', scene.contact(), { send_notification: 'true' }));
    expect(answer.json).toMatchObject({ warnings: [{ code: 'NOTIFICATION_FAILED' }] });
  },

  'listeners that throw the access key': async (scene) => {
    const { ask, webhook } = await scene.site();
    webhook.on('webhook.received', () => {
      throw leakyError([ACCESS_KEY]);
    });
    webhook.on('webhook.processed', () => Promise.reject(leakyError([ACCESS_KEY])));
    webhook.on('webhook.failed', () => Promise.reject(leakyError([ACCESS_KEY])));
    expect((await ask(scene.webhook('add', scene.contact()))).status).toBe(200);
    expect((await ask(scene.webhook('add', 'none'))).status).toBe(400);
  },

  'listeners that throw the row of the user they are told of': async (scene) => {
    const { ask, webhook } = await scene.site();
    webhook.on('user.created', ({ user }) => {
      throw new Error(`not indexed: ${JSON.stringify(scene.users.all().find(({ id }) => id === user.id))}`);
    });
    expect((await ask(scene.webhook('add', scene.contact()))).status).toBe(200);
  },

  'a transform that quotes the contact': async (scene) => {
    const id = scene.contact({ f4: CHOSEN_PASSWORDS[2]! });
    const { ask } = await scene.site({
      fields: {
        password: 'f4',
        plan: {
          from: 'f2',
          transform: (_value, contact) => {
            throw new Error(`unknown plan of ${JSON.stringify(contact)}`);
          },
        },
      },
    });
    expect((await ask(scene.webhook('add', id))).json).toMatchObject({ code: 'INTERNAL_ERROR' });
  },

  'a username rule that quotes the contact': async (scene) => {
    const id = scene.contact({ f4: CHOSEN_PASSWORDS[2]! });
    const { ask } = await scene.site({
      fields: { password: 'f4' },
      username: (contact) => {
        throw new Error(`no name in ${JSON.stringify(contact)}`);
      },
    });
    expect((await ask(scene.webhook('add', id))).json).toMatchObject({ code: 'INTERNAL_ERROR' });
  },

  'a hasher that quotes its input': async (scene) => {
    const hash: PasswordHasher['hash'] = (password) => Promise.reject(leakyError([password, ACCESS_KEY]));
    for (const fields of [{}, { password: 'f4' }]) {
      const { ask } = await scene.site({
        fields,
        passwordHasher: {
          hash,
          verify: (password, stored) => Promise.reject(leakyError([password, stored])),
        },
      });
      const id = scene.contact({ f4: CHOSEN_PASSWORDS[0]! });
      expect((await ask(scene.webhook('add', id))).json).toMatchObject({ code: 'INTERNAL_ERROR' });
    }
  },

  'a hasher whose verify quotes a mapped password': async (scene) => {
    const id = await scene.member({ f4: CHOSEN_PASSWORDS[2]! });
    const { ask } = await scene.site({
      fields: { password: 'f4' },
      passwordOnUpdate: true,
      passwordHasher: {
        hash: (password) => scene.hasher.hash(password),
        verify: (password, stored) => Promise.reject(new Error(`cannot compare ${password} with ${stored}`)),
      },
    });
    expect((await ask(scene.webhook('update', id))).json).toMatchObject({ code: 'INTERNAL_ERROR' });
  },

  'an action of the host that fails': async (scene) => {
    const id = await scene.member();
    const failures = [
      (row: unknown) => leakyError([ACCESS_KEY], row),
      (row: unknown) => leakyThing([], row),
      () => new WpFusionError('INVALID_REQUEST', `The key ${ACCESS_KEY} is not one of ours.`),
      () => Object.assign(new Error(`${ACCESS_KEY} is over quota`), { code: 'CRM_RATE_LIMITED' }),
    ];
    for (const failure of failures) {
      const { ask } = await scene.site({
        actions: {
          export: async ({ user, params }) => {
            scene.haystack.add('params of an action', params);

            throw failure(await user());
          },
        },
      });
      expect((await ask(scene.webhook('export', id))).json).toMatchObject({ ok: false });
      expect((await ask({ ...scene.webhook('export', id), page: true })).status).toBeGreaterThanOrEqual(400);
    }
  },

  'something that is no Error and holds the key': async (scene) => {
    const { ask } = await scene.site({
      hooks: {
        beforeCreate: () => {
          throw leakyThing([ACCESS_KEY]);
        },
      },
    });
    expect((await ask(scene.webhook('add', scene.contact()))).json).toMatchObject({ code: 'HOOK_FAILED' });
  },

  'an Ontraport in trouble': async (scene) => {
    const id = await scene.member();
    for (const kind of [
      'error500',
      'html200',
      'unauthorized',
      'forbidden',
      'redirect',
      'reset',
      'hang',
      'truncate',
      'truncatedJson',
      'endless',
      'notFound200',
      'rateLimited',
    ] as const) {
      const { ask } = await scene.site({ crm: scene.client({ timeoutMs: 100 }), timeoutMs: 800 });
      const fault = scene.sandbox.fail({ method: 'GET', with: kind, times: Infinity });
      expect((await ask(scene.webhook('update', id))).json).toMatchObject({ ok: false });
      fault.remove();
    }
    const wrong = await scene.site({ crm: scene.client({ apiKey: WRONG_KEYS[0]! }) });
    expect((await wrong.ask(scene.webhook('update', id))).json).toMatchObject({ code: 'CRM_UNAUTHORIZED' });
  },

  'a CRM client of the host that quotes what it was told': async (scene) => {
    const inner = scene.client();
    const { ask } = await scene.site({
      crm: {
        contactIdPattern: inner.contactIdPattern,
        getContacts: (ids, options) => inner.getContacts(ids, options),
        updateContact: (_id, fields) => Promise.reject(leakyError(Object.values(fields))),
      },
    });
    expect((await ask(scene.webhook('add', scene.contact()))).json).toMatchObject({
      warnings: [{ code: 'PASSWORD_NOT_RETURNED' }],
    });
    const reading = await scene.site({
      crm: {
        contactIdPattern: inner.contactIdPattern,
        getContacts: () => Promise.reject(leakyError([ACCESS_KEY])),
        updateContact: () => Promise.resolve(),
      },
    });
    expect((await reading.ask(scene.webhook('add', scene.contact()))).json).toMatchObject({
      code: 'CRM_UNAVAILABLE',
    });
  },

  'a second look at the contact that fails with the access key': async (scene) => {
    const inner = scene.client();
    let reads = 0;
    const { ask } = await scene.site({
      crm: {
        contactIdPattern: inner.contactIdPattern,
        getContacts: (ids, options) => {
          reads += 1;
          return reads === 2 ? Promise.reject(leakyError([ACCESS_KEY])) : inner.getContacts(ids, options);
        },
        updateContact: (id, fields, options) => inner.updateContact(id, fields, options),
      },
    });
    expect((await ask(scene.webhook('add', scene.contact()))).json).toMatchObject({ outcome: 'created' });
  },

  'passwords that are returned behind the answer': async (scene) => {
    for (const kind of ['error500', 'forbidden', 'html200', 'reset'] as const) {
      const { ask } = await scene.site();
      const id = scene.contact();
      const fault = scene.sandbox.fail({ method: 'PUT', with: kind, times: 5 });
      expect((await ask(scene.webhook('add', id))).json).toMatchObject({
        warnings: [{ code: 'PASSWORD_NOT_RETURNED' }],
      });
      if (kind === 'forbidden') fault.remove();
      else await until(() => scene.sandbox.contact(id)?.f1 != null);
      await until(async () => {
        await ask(scene.webhook('update', id));
        return scene.hasher.verify(scene.sandbox.contact(id)?.f1 ?? '', scene.hashOf(id));
      });
    }
    // The storage fails when the debt is to be crossed off.
    const { ask } = await scene.site();
    let failures = 0;
    scene.users.trouble = (method, row) => {
      if (method !== 'update' || failures >= 3) return;
      if (parseSyncState((row as User).syncState).password !== undefined) return;
      failures += 1;
      throw leakyError([ACCESS_KEY, scene.latestPassword], row);
    };
    expect((await ask(scene.webhook('add', scene.contact()))).json).toMatchObject({ outcome: 'created' });
    await until(() => failures === 3);
    scene.users.trouble = undefined;
  },

  'work that fails after its answer': async (scene) => {
    let goOn: () => void = () => undefined;
    const mayGoOn = new Promise<void>((resolve) => (goOn = resolve));
    const { ask, webhook } = await scene.site({
      timeoutMs: 300,
      hooks: {
        beforeCreate: async (shown) => {
          await mayGoOn;
          throw leakyError([ACCESS_KEY, scene.latestPassword], shown);
        },
      },
    });
    const codes: string[] = [];
    webhook.on('webhook.failed', ({ code }) => codes.push(code));
    expect((await ask(scene.webhook('add', scene.contact()))).json).toMatchObject({ code: 'TIMED_OUT' });
    goOn();
    await until(() => codes.length === 2);
    expect(codes).toEqual(['TIMED_OUT', 'HOOK_FAILED']);
  },

  'the logger of a host that has none': async (scene) => {
    const { ask } = await scene.site({
      logger: undefined,
      accessKey: [ACCESS_KEY, INSPECTING_KEY],
      hooks: {
        afterCreate: () => {
          throw leakyError([ACCESS_KEY, scene.latestPassword]);
        },
      },
    });
    expect((await ask(scene.webhook('add', scene.contact()))).json).toMatchObject({ code: 'HOOK_FAILED' });
    expect((await ask({ query: { wpf_action: 'add', access_key: WRONG_KEYS[0]! } })).status).toBe(403);
  },

  'errors that are thrown at whoever calls': async (scene) => {
    const thrown = async (work: () => unknown): Promise<void> => {
      try {
        await work();
      } catch (error) {
        scene.haystack.add('thrown', error, inspect(error), String(error));
        return;
      }
      throw new Error('Nothing was thrown.');
    };
    const id = scene.contact();
    for (const kind of [
      'error500',
      'unauthorized',
      'forbidden',
      'reset',
      'hang',
      'endless',
      'truncatedJson',
      'redirect',
    ] as const) {
      const fault = scene.sandbox.fail({ with: kind, times: Infinity });
      const client = scene.client({ timeoutMs: 50 });
      await thrown(() => client.getContacts([id]));
      await thrown(() => client.updateContact(id, { f1: CHOSEN_PASSWORDS[0]! }));
      fault.remove();
      scene.haystack.add('client', client, inspect(client, { depth: 20, showHidden: true }));
    }
    const { appId, apiKey, baseUrl } = scene.sandbox;
    const secretUrl = `https://user:${encodeURIComponent(ACCESS_KEY)}@example.com/1`;
    for (const options of [
      { appId: undefined, apiKey },
      { appId: `${appId}\n`, apiKey },
      { appId, apiKey: `${apiKey}\r\nX: y` },
      { appId, apiKey, apikey: apiKey },
      { appId, apiKey, baseUrl: secretUrl },
      { appId, apiKey, baseUrl: `${baseUrl}?key=${encodeURIComponent(apiKey)}` },
      { appId, apiKey, timeZone: apiKey },
    ]) {
      await thrown(() => new OntraportClient(options));
    }
    const complete = { crm: scene.client(), users: scene.users, logger: scene.logger };
    for (const options of [
      { ...complete, accessKey: [ACCESS_KEY, ACCESS_KEY] },
      { ...complete, accessKey: ` ${ACCESS_KEY}` },
      { ...complete, accessKey: { kye: ACCESS_KEY } },
      { ...complete, accessKey: { key: { value: ACCESS_KEY } } },
      { ...complete, accessKey: { key: ACCESS_KEY, actions: ['ad'] } },
      { ...complete, accessKey: [ACCESS_KEY, undefined] },
      { ...complete, accessKey: ACCESS_KEY, accesskey: ACCESS_KEY },
      { ...complete, accessKey: ACCESS_KEY, crm: apiKey },
      { ...complete, accessKey: ACCESS_KEY, returnPassword: CHOSEN_PASSWORDS[0] },
      {
        ...complete,
        accessKey: ACCESS_KEY,
        passwordHasher: { hash: CHOSEN_PASSWORDS[0], verify: () => true },
      },
      { ...complete, accessKey: ACCESS_KEY, timeoutMs: '1s' },
    ]) {
      await thrown(() => wpFusionWebhook(options as never));
    }
  },
};

describe('one long run in which everything happens', () => {
  let scene: Scene;
  let findings: Finding[];
  const failures = new Map<string, unknown>();

  beforeAll(async () => {
    scene = await Scene.start();
    const { haystack } = scene;
    const onWarning = (warning: Error): void => haystack.add('process warning', warning);
    const onUncaught = (error: unknown): void => haystack.add('uncaught', error);
    realProcess
      .on('warning', onWarning)
      .on('unhandledRejection', onUncaught)
      .on('uncaughtException', onUncaught);
    const consoles = (['debug', 'info', 'log', 'warn', 'error', 'trace'] as const).map((name) =>
      jest
        .spyOn(console, name)
        .mockImplementation((...line: unknown[]) => haystack.add(`console.${name}`, ...line)),
    );
    for (const [name, run] of Object.entries(STEPS)) {
      haystack.step = name;
      scene.key = ACCESS_KEY;
      await run(scene).catch((error: unknown) => failures.set(name, error));
      scene.users.trouble = undefined;
      await scene.close();
    }
    for (const spy of consoles) spy.mockRestore();
    realProcess
      .off('warning', onWarning)
      .off('unhandledRejection', onUncaught)
      .off('uncaughtException', onUncaught);
    findings = haystack.search(scene.secrets());
  });

  test.each(Object.keys(STEPS))('%s', (name) => {
    if (failures.has(name)) throw failures.get(name);
    expect(findings.filter(({ step }) => step === name)).toEqual([]);
  });

  test('every kind of sign was there to be searched', () => {
    const sources = new Set(scene.haystack.lines.map(({ source }) => source));
    expect([...sources].sort()).toEqual(
      expect.arrayContaining([
        'answer',
        'console.error',
        'event tags.changed',
        'event user.created',
        'event user.updated',
        'event webhook.failed',
        'event webhook.processed',
        'event webhook.received',
        'logger.error',
        'logger.info',
        'logger.warn',
        'thrown',
      ]),
    );
    expect(sources).not.toContain('uncaught');
    const codes = new Set(
      scene.haystack.lines.flatMap(({ source, text }) =>
        source === 'event webhook.failed' ? [/code: '(\w+)'/.exec(text)?.[1]] : [],
      ),
    );
    for (const code of [
      'UNKNOWN_ACTION',
      'INVALID_REQUEST',
      'INVALID_BODY',
      'INVALID_ACCESS_KEY',
      'METHOD_NOT_ALLOWED',
      'BODY_TOO_LARGE',
      'UNSUPPORTED_MEDIA_TYPE',
      'TOO_MANY_ATTEMPTS',
      'CONTACT_NOT_FOUND',
      'CRM_UNAUTHORIZED',
      'CRM_BAD_RESPONSE',
      'CRM_RATE_LIMITED',
      'CRM_UNAVAILABLE',
      'REPOSITORY_FAILED',
      'HOOK_FAILED',
      'INTERNAL_ERROR',
      'TIMED_OUT',
      'SHUTTING_DOWN',
    ]) {
      expect(codes).toContain(code);
    }
  });

  test('every kind of secret was there to be found', () => {
    const labels = new Set(scene.secrets().map(({ label }) => label.replace(/ \d+$/, '')));
    expect([...labels].sort()).toEqual(['CRM credential', 'access key', 'hash', 'password', 'wrong key']);
    expect(scene.users.hashes.size).toBeGreaterThan(10);
  });

  test('no syncState ever held a secret', () => {
    const states = new Haystack();
    for (const state of scene.users.states) states.add('syncState', state);
    expect(states.lines.length).toBeGreaterThan(10);
    expect(states.search(scene.secrets())).toEqual([]);
  });

  describe('and the search does find a leak', () => {
    test.each(Object.keys(FORMS))('of any secret in a log line: %s', (form) => {
      for (const secret of scene.secrets()) {
        const planted = new Haystack();
        planted.add(
          'logger.info',
          { name: 'default', note: `before${FORMS[form]!(secret.text)}after` },
          'added',
        );
        expect(planted.search([secret])).toHaveLength(1);
      }
    });

    test.each(['base64', 'base64url'] as const)(
      'of any secret in the middle of something in %s',
      (alphabet) => {
        for (const secret of scene.secrets()) {
          for (const before of ['', 'u', 'us', 'user:']) {
            for (const after of ['', 'x', 'xy', '@host']) {
              const planted = new Haystack();
              planted.add(
                'logger.info',
                { token: Buffer.from(before + secret.text + after).toString(alphabet) },
                '',
              );
              expect(planted.search([secret])).toHaveLength(1);
            }
          }
        }
      },
    );

    test('of the key in a header, of a password in a property that inspect hides, of a hash in an error’s cause', () => {
      const one = (label: string): Secret =>
        scene.secrets().find((secret) => secret.label.startsWith(label))!;
      const planted = new Haystack();
      planted.add(
        'answer',
        200,
        { location: `/?access_key=${encodeURIComponent(one('access key').text)}` },
        '',
        undefined,
      );
      planted.add(
        'event',
        Object.defineProperty({}, 'hidden', { value: { deep: [new Map([['a', one('password').text]])] } }),
      );
      planted.add('thrown', new Error('one', { cause: new AggregateError([new Error(one('hash').text)]) }));
      expect(planted.search(['access key', 'password', 'hash'].map(one))).toHaveLength(3);
    });
  });
});

describe('a leak in lib is found', () => {
  const LEAKS: Record<string, () => object> = {
    'redact that takes nothing out': () => ({
      redact: (text: string) => text,
      describeError: (error: unknown) => ({ name: 'Error', message: String(error) }),
    }),
    'redact that forgets what it was given': () => {
      const actual = jest.requireActual<typeof Redact>('../../lib/redact');
      return {
        redact: (text: string) => actual.redact(text, []),
        describeError: (error: unknown) => actual.describeError(error, []),
      };
    },
    'redact that knows no encoding': () => ({
      redact: (text: string, secrets: Iterable<string>) =>
        [...secrets].reduce((clean, secret) => clean.replaceAll(secret, ''), text),
      describeError: (error: unknown, secrets: Iterable<string>) => ({
        name: 'Error',
        message: [...secrets].reduce((clean, secret) => clean.replaceAll(secret, ''), String(error)),
      }),
    }),
  };

  test.each(Object.entries(LEAKS))('%s', async (_name, redacting) => {
    let lib: typeof Lib | undefined;
    jest.isolateModules(() => {
      jest.doMock('../../lib/redact', () => ({
        ...jest.requireActual<typeof Redact>('../../lib/redact'),
        ...redacting(),
      }));
      // eslint-disable-next-line @typescript-eslint/no-require-imports
      lib = require('../../lib') as typeof Lib;
    });
    jest.dontMock('../../lib/redact');
    const scene = await Scene.start();
    const { ask } = await scene.site({}, lib!.wpFusionWebhook);
    for (const secrets of [() => [ACCESS_KEY], () => [scene.latestPassword]]) {
      scene.users.trouble = (method) => {
        if (method === 'create') throw leakyError(secrets());
      };
      expect((await ask(scene.webhook('add', scene.contact()))).json).toMatchObject({
        code: 'REPOSITORY_FAILED',
      });
    }
    const found = new Set(
      scene.haystack.search(scene.secrets()).map(({ secret }) => secret.replace(/ \d+$/, '')),
    );
    expect(found).toContain('access key');
    expect([...found]).toEqual(
      expect.arrayContaining(_name.includes('no encoding') ? ['access key'] : ['access key', 'password']),
    );
  });
});

describe('hashes that are not bcrypt’s', () => {
  /** A hash as argon2 or scrypt writes it: nothing that a pattern could know. */
  const foreign: PasswordHasher = {
    hash: async (password) =>
      `$scrypt$ln=4$${Buffer.from(password).toString('hex').split('').reverse().join('')}$${Math.random()}`,
    verify: async (password, hash) => (await foreign.hash(password)) === hash,
  };
  let scene: Scene;
  beforeEach(async () => void (scene = await Scene.start(foreign)));

  const row = (shown: unknown): never => {
    throw new Error(`refused the row ${JSON.stringify(shown)}`);
  };
  const search = (): Finding[] =>
    scene.haystack.search(scene.secrets().filter(({ label }) => label.startsWith('hash')));

  test('of a new user, in an error of create()', async () => {
    const { ask } = await scene.site();
    scene.users.trouble = (method, shown) => method === 'create' && row(shown);
    expect((await ask(scene.webhook('add', scene.contact()))).status).toBe(500);
    expect(search()).toEqual([]);
  });

  test.each(['add', 'update', 'update_tags'])(
    'of a stored user, in an error of update(), in %s',
    async (action) => {
      const id = await scene.member();
      const { ask } = await scene.site();
      scene.users.trouble = (method, shown) => method === 'update' && row(shown);
      expect((await ask(scene.webhook(action, id))).status).toBe(500);
      expect(search()).toEqual([]);
    },
  );

  test('of a stored user, in an error of a custom action', async () => {
    const id = await scene.member();
    const { ask } = await scene.site({ actions: { export: async ({ user }) => row(await user()) } });
    expect((await ask(scene.webhook('export', id))).status).toBe(500);
    expect(search()).toEqual([]);
  });

  test('of a new user, in an error of a listener', async () => {
    const { ask, webhook } = await scene.site();
    webhook.on('user.created', () => row(scene.users.all()));
    expect((await ask(scene.webhook('add', scene.contact()))).status).toBe(200);
    expect(search()).toEqual([]);
  });

  test('of a stored user, in an error of the notifier', async () => {
    const { ask } = await scene.site({ notifier: { sendWelcome: async () => row(scene.users.all()) } });
    const id = scene.contact();
    for (const action of ['add', 'update']) {
      expect((await ask(scene.webhook(action, id, { send_notification: 'true' }))).status).toBe(200);
    }
    expect(search()).toEqual([]);
  });

  test('of a stored user, while its password is returned', async () => {
    const { ask } = await scene.site();
    let failed = false;
    scene.users.trouble = (method, shown) => {
      if (method !== 'update' || failed) return;
      failed = true;
      row(shown);
    };
    await ask(scene.webhook('add', scene.contact()));
    expect(failed).toBe(true);
    expect(search()).toEqual([]);
  });
});

describe('redact() takes a secret out of any text', () => {
  const secret = fc.string({ unit: 'binary', minLength: 4, maxLength: 40 });
  const odd = fc.string({
    unit: fc.constantFrom(...Array.from('aB3é"\'\\ %+/&=<>?#~!()*\n\u{1f511}')),
    minLength: 4,
    maxLength: 40,
  });
  const around = fc.string({ unit: 'binary', maxLength: 20 });

  test.each(Object.keys(FORMS).filter((form) => !form.startsWith('base64')))('%s', (form) => {
    const write = FORMS[form]!;
    fc.assert(
      fc.property(fc.oneof(odd, secret), around, around, (text, before, after) => {
        // A secret that the replacement itself would show cannot be taken out.
        fc.pre(!/[[\]]/.test(text) && !'[redacted]'.includes(write(text)));
        expect(redact(`${before}${write(text)}${after}`, [text])).not.toContain(write(text));
      }),
    );
  });

  test.each(['base64', 'base64url'] as const)('%s, alone', (alphabet) => {
    fc.assert(
      fc.property(fc.oneof(odd, secret), (text) => {
        const encoded = Buffer.from(text).toString(alphabet);
        fc.pre(!'[redacted]'.includes(FORMS[`${alphabet}, offset 0`]!(text)));
        expect(formIn(redact(`token ${encoded} refused`, [text]), text)).toBeUndefined();
      }),
    );
  });

  test.each(['base64', 'base64url'] as const)(
    '%s, with something before and after it in the same encoding',
    (alphabet) => {
      fc.assert(
        fc.property(fc.oneof(odd, secret), around, around, (text, before, after) => {
          fc.pre(Buffer.byteLength(text) >= 6);
          const encoded = Buffer.from(before + text + after).toString(alphabet);
          for (const offset of [0, 1, 2]) {
            const core = FORMS[`${alphabet}, offset ${offset}`]!(text);
            expect(redact(`token ${encoded} refused`, [text]).includes(core)).toBe(false);
          }
        }),
      );
    },
  );

  test('also where one secret is the beginning of another', () => {
    fc.assert(
      fc.property(odd, odd, fc.boolean(), (one, rest, first) => {
        fc.pre(!/[[\]]/.test(one + rest) && !'the password [redacted] is refused'.includes(rest));
        const secrets = first ? [one, one + rest] : [one + rest, one];
        expect(redact(`the password ${one}${rest} is refused`, secrets)).not.toContain(rest);
      }),
    );
  });

  test('a bcrypt hash that nobody told of', () => {
    const hash = '$2b$04$abcdefghijklmnopqrstuuK0eJ7Wc5N3V6b1T9xZ2yQ4mR8sL0pGa';
    expect(redact(`row (${hash})`, [])).toBe('row ([redacted])');
  });
});
