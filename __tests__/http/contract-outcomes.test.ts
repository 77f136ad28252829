// The contract's table of answers: what happens behind the door, against an Ontraport that misbehaves, on two hosts.
import {
  DuplicateUserError,
  OntraportClient,
  wpFusionWebhook,
  WpFusionError,
  type WpFusionWebhookOptions,
} from '../../lib';
import { OntraportSandbox, type FaultKind } from '../../lib/testing';
import { send, type Incoming, type Json } from './client';
import { startHost, TWO_HOSTS, type Host } from './hosts';
import { capturingLogger, cheapHasher, CountingUsers, gate, MemoryCrm, newUser } from './site';

const KEY = 'contract-key-4e1c0a77d2';

let sandbox: OntraportSandbox;
let passwordField: string;
let usernameField: string;
beforeAll(async () => {
  sandbox = await OntraportSandbox.start({ rateLimit: { limit: 100_000 } });
  passwordField = sandbox.addField({ alias: 'Site password', type: 'text' });
  usernameField = sandbox.addField({ alias: 'Site username', type: 'text' });
});
afterAll(() => sandbox.close());

let count = 0;
/** A contact that no other test knows. */
const addContact = (
  fields: Record<string, string> = {},
  tags: string[] = ['Customer'],
): { id: string; email: string } => {
  count += 1;
  const email = fields.email ?? `mary${count}@example.com`;
  return { id: sandbox.addContact({ firstname: 'Mary', lastname: 'Smith', ...fields, email, tags }), email };
};

/** Errors of somebody else's, whose texts nobody but the log may see. */
class DriverError extends Error {
  readonly status = 404;
  readonly statusCode = 404;
}
const DRIVER_SAYS = 'relation "users" of db-7.internal';
/** Time for a look at the CRM, and for one a second later, on a busy machine too. */
const TWO_LOOKS = 3000;

const throwDriver = (): never => {
  throw new DriverError(DRIVER_SAYS);
};

describe.each(TWO_HOSTS)('on Express $express, $parsers', (variant) => {
  let host: Host;
  let users: CountingUsers;
  let logger: ReturnType<typeof capturingLogger>;
  let webhook: ReturnType<typeof wpFusionWebhook>;
  let events: [string, Json][];
  const faults: { remove(): void }[] = [];

  beforeAll(async () => void (host = await startHost(variant)));
  afterAll(() => host.close());
  afterEach(async () => {
    for (const fault of faults.splice(0)) fault.remove();
    await webhook.close({ timeoutMs: 1000 });
    expect(host.errors).toEqual([]);
    for (const line of [...logger.lines, JSON.stringify(events)]) {
      for (const secret of [KEY, sandbox.apiKey, 'cheap:']) expect(line).not.toContain(secret);
    }
  });

  const use = (options: Partial<WpFusionWebhookOptions> = {}): void => {
    users = new CountingUsers();
    logger = capturingLogger();
    events = [];
    webhook = wpFusionWebhook({
      accessKey: { key: KEY, inspect: true },
      crm: new OntraportClient({ appId: sandbox.appId, apiKey: sandbox.apiKey, baseUrl: sandbox.baseUrl }),
      users,
      passwordHasher: cheapHasher,
      roles: { assignable: ['subscriber', 'Customer'], protected: ['vip'] },
      logger,
      ...options,
    });
    for (const name of [
      'webhook.received',
      'webhook.processed',
      'webhook.failed',
      'user.created',
      'user.updated',
      'tags.changed',
    ] as const) {
      webhook.on(name, (event) => void events.push([name, event]));
    }
    host.mount(webhook);
  };
  const fail = (kind: FaultKind, method = 'GET', path: string | RegExp = /^\/(Contacts|objects)/): void =>
    void faults.push(sandbox.fail({ method, path, with: kind, times: Infinity }));
  const call = (
    action: string,
    contactId: string | undefined,
    more: Record<string, string> = {},
  ): Promise<Incoming> => {
    const query = new URLSearchParams({
      wpf_action: action,
      access_key: KEY,
      ...(contactId === undefined ? {} : { contact_id: contactId }),
      ...more,
    });
    return send(host.url, { path: `/?${query.toString()}` });
  };

  /** Every answer of the table is looked at with this. */
  const expectProblem = (answer: Incoming, status: number, code: string): void => {
    const { headers, json, text } = answer;
    expect({ status: answer.status, code: json?.code }).toEqual({ status, code });
    expect(json).toMatchObject({
      ok: false,
      status,
      type: expect.stringContaining(code),
      title: expect.any(String),
      detail: expect.any(String),
    });
    expect(headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(headers['cache-control']).toBe('no-store');
    expect(text).not.toContain(DRIVER_SAYS);
    if (headers['retry-after'] !== undefined) expect(headers['retry-after']).toMatch(/^[1-9]\d*$/);
    // A failure is answered, logged and told.
    expect(logger.lines.filter((line) => line.startsWith('error')).join()).toContain(code);
    expect(events).toContainEqual(['webhook.failed', expect.objectContaining({ code, status })]);
    expect(JSON.stringify(events)).not.toContain(DRIVER_SAYS);
  };
  const expectDone = (
    answer: Incoming,
    outcome: string,
    warnings: string[] = [],
    more: object = {},
  ): void => {
    expect({ status: answer.status, json: answer.json }).toMatchObject({
      status: 200,
      json: { ok: true, outcome, ...more },
    });
    expect(answer.json.warnings.map(({ code }: Json) => code)).toEqual(warnings);
    for (const { message } of answer.json.warnings) expect(message).toMatch(/./);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(events).toContainEqual(['webhook.processed', expect.objectContaining({ outcome })]);
  };

  describe('done', () => {
    test('created, unchanged, updated: exactly what the contract says', async () => {
      use();
      const { id, email } = addContact();
      expect((await call('add', id)).json).toEqual({
        ok: true,
        action: 'add',
        contactId: id,
        outcome: 'created',
        userId: '1',
        warnings: [],
      });
      expect((await call('add', id)).json).toEqual({
        ok: true,
        action: 'add',
        contactId: id,
        outcome: 'unchanged',
        userId: '1',
        warnings: [],
      });
      sandbox.updateContact(id, { firstname: 'Maria' });
      expect((await call('update', id)).json).toEqual({
        ok: true,
        action: 'update',
        contactId: id,
        outcome: 'updated',
        userId: '1',
        warnings: [],
      });
      sandbox.tag(id, 'Buyer');
      expect((await call('update_tags', id)).json).toMatchObject({
        action: 'update_tags',
        outcome: 'updated',
      });
      expect(users.memory.all()).toMatchObject([
        {
          contactId: id,
          email,
          role: 'subscriber',
          tags: ['Customer', 'Buyer'],
          meta: { firstName: 'Maria', lastName: 'Smith' },
        },
      ]);
    });

    test('a dry run adds dryRun and changes', async () => {
      use();
      const { id, email } = addContact();
      expect((await call('add', id, { dry_run: 'true' })).json).toEqual({
        ok: true,
        action: 'add',
        contactId: id,
        outcome: 'created',
        warnings: [],
        dryRun: true,
        changes: expect.arrayContaining([{ field: 'email', from: null, to: email }]),
      });
    });

    test.each(['true', 'false'])(
      'async=%s without a queue is processed inside the request',
      async (async) => {
        use();
        const { id } = addContact();
        expectDone(await call('add', id, { async }), 'created');
        expect(users.memory.all()).toHaveLength(1);
      },
    );

    test('a role in the assignable spelling', async () => {
      use();
      const { id } = addContact();
      expectDone(await call('add', id, { role: 'cUSTOMER' }), 'created');
      expect(users.memory.all()[0]!.role).toBe('Customer');
    });

    test('an email that finds the user is the contact’s own', async () => {
      use();
      const { id, email } = addContact();
      await users.create(newUser({ email: email.toUpperCase() }));
      expectDone(await call('update', id, { email: 'somebody@example.com' }), 'skipped', [], {
        reason: 'USER_NOT_FOUND',
      });
      expectDone(await call('update', id, { email: ` ${email} ` }), 'updated', [], { userId: '1' });
      expect(users.memory.all()).toMatchObject([{ contactId: id }]);
    });
  });

  describe('skipped', () => {
    test.each(['update', 'update_tags'])('%s: no such user', async (action) => {
      use();
      const { id } = addContact();
      const { status, json } = await call(action, id);
      expect({ status, json }).toEqual({
        status: 200,
        json: { ok: true, action, contactId: id, outcome: 'skipped', reason: 'USER_NOT_FOUND', warnings: [] },
      });
      expect(users.memory.all()).toEqual([]);
    });

    test('beforeCreate said no', async () => {
      use({ hooks: { beforeCreate: () => null } });
      expectDone(await call('add', addContact().id), 'skipped', [], { reason: 'CANCELLED' });
      expect(users.memory.all()).toEqual([]);
    });

    test('beforeUpdate said no', async () => {
      use({ hooks: { beforeUpdate: async () => null } });
      const { id } = addContact();
      await users.create(newUser({ contactId: id }));
      const before = users.memory.all();
      for (const action of ['add', 'update', 'update_tags']) {
        expectDone(await call(action, id), 'skipped', [], { reason: 'CANCELLED' });
      }
      expect(users.memory.all()).toEqual(before);
    });
  });

  describe('warnings', () => {
    test('ROLE_NOT_ASSIGNABLE: the default for a new user, unchanged for an existing one', async () => {
      use();
      const { id } = addContact();
      expectDone(await call('add', id, { role: 'administrator' }), 'created', ['ROLE_NOT_ASSIGNABLE']);
      expect(users.memory.all()[0]!.role).toBe('subscriber');
      await users.update('1', { role: 'Customer' });
      expectDone(await call('update', id, { role: 'administrator' }), 'unchanged', ['ROLE_NOT_ASSIGNABLE']);
      expect(users.memory.all()[0]!.role).toBe('Customer');
    });

    test.each(['administrator', 'vip'])(
      'USER_PROTECTED: role and email of a %s are left alone',
      async (role) => {
        use();
        const { id, email } = addContact();
        await users.create(newUser({ contactId: id, email: 'boss@example.com', role }));
        expectDone(await call('update', id, { role: 'Customer' }), 'updated', ['USER_PROTECTED']);
        expect(users.memory.all()).toMatchObject([
          { email: 'boss@example.com', role, meta: { firstName: 'Mary' }, tags: ['Customer'] },
        ]);
        expect(email).not.toBe('boss@example.com');
      },
    );

    test('EMAIL_TAKEN: everything else is updated', async () => {
      use();
      const { id, email } = addContact();
      await users.create(newUser({ contactId: id, email: 'old@example.com' }));
      await users.create(newUser({ email }));
      expectDone(await call('update', id), 'updated', ['EMAIL_TAKEN']);
      expect(users.memory.all()[0]).toMatchObject({
        email: 'old@example.com',
        meta: { firstName: 'Mary' },
        tags: ['Customer'],
      });
      expectDone(await call('update', id, { dry_run: '1' }), 'unchanged', ['EMAIL_TAKEN']);
    });

    test('NOTIFIER_NOT_CONFIGURED', async () => {
      use();
      expectDone(await call('add', addContact().id, { send_notification: 'Yes' }), 'created', [
        'NOTIFIER_NOT_CONFIGURED',
      ]);
      expect(users.memory.all()).toHaveLength(1);
    });

    test('NOTIFICATION_FAILED, and a later run sends the mail', async () => {
      const sent: string[] = [];
      let works = false;
      use({
        notifier: {
          sendWelcome: async ({ user }) => {
            if (!works) throwDriver();
            sent.push(user.email);
          },
        },
      });
      const { id, email } = addContact();
      const answer = await call('add', id, { send_notification: 'true' });
      expectDone(answer, 'created', ['NOTIFICATION_FAILED']);
      expect(answer.text).not.toContain(DRIVER_SAYS);
      expect(logger.lines.join('\n')).toContain('NOTIFICATION_FAILED');
      works = true;
      expectDone(await call('update', id), 'unchanged');
      expect(sent).toEqual([email]);
    });

    test('PASSWORD_NOT_RETURNED: the CRM did not take it yet', async () => {
      use({ returnPassword: { field: passwordField } });
      fail('forbidden', 'PUT', '/Contacts');
      const { id } = addContact();
      expectDone(await call('add', id), 'created', ['PASSWORD_NOT_RETURNED']);
      expect(logger.lines.filter((line) => line.startsWith('warn')).join()).toContain('next webhook tries');
      expect(users.memory.all()).toHaveLength(1);
      faults.pop()!.remove();
      expectDone(await call('update', id), 'unchanged');
      const shown = sandbox.contact(id)![passwordField]!;
      expect(await cheapHasher.verify(shown, users.memory.all()[0]!.passwordHash!)).toBe(true);
    });

    test('PASSWORD_NOT_RETURNED: it is on its way, which is nothing that a person has to look at', async () => {
      use({ returnPassword: { field: passwordField }, timeoutMs: 500 });
      const held = sandbox.hold({ method: 'PUT', path: '/Contacts' });
      try {
        const { id } = addContact();
        expectDone(await call('add', id), 'created', ['PASSWORD_NOT_RETURNED']);
        expect(logger.lines.filter((line) => line.startsWith('warn'))).toEqual([]);
        expect(logger.lines.filter((line) => line.startsWith('info')).join()).toContain(
          'goes on being returned',
        );
      } finally {
        held.release();
      }
    });
  });

  describe('contact and user', () => {
    test.each(['add', 'update'])('CONTACT_NOT_FOUND: %s', async (action) => {
      use({ timeoutMs: TWO_LOOKS });
      await users.create(newUser({ contactId: '987654321' }));
      const answer = await call(action, '987654321');
      expectProblem(answer, 404, 'CONTACT_NOT_FOUND');
      expect(answer.json).toMatchObject({ action, contactId: '987654321' });
    });

    test('CONTACT_NOT_FOUND: the words with status 200 too', async () => {
      use({ timeoutMs: TWO_LOOKS });
      fail('notFound200', 'GET', '/Contacts');
      expectProblem(await call('add', addContact().id), 404, 'CONTACT_NOT_FOUND');
    });

    test('a contact that is readable only later is waited for', async () => {
      use();
      const id = sandbox.addContact({ email: `late${variant.express}@example.com`, readableAfter: Infinity });
      sandbox.clearCalls();
      const answer = call('add', id);
      await sandbox.waitForCalls({ method: 'GET', path: '/Contacts' });
      sandbox.reveal(id);
      expectDone(await answer, 'created');
    });

    test.each([
      ['none', ''],
      ['no address', 'mary at example.com'],
      ['two of them', 'a@example.com b@example.com'],
      ['a list, to a mail program', 'a@example.com,b'],
      ['a group, to a mail program', 'group:a@example.com;'],
      ['with a name', 'Mary <mary@example.com>'],
    ])('CONTACT_WITHOUT_EMAIL: %s', async (_name, email) => {
      use();
      expectProblem(await call('add', addContact({ email }).id), 422, 'CONTACT_WITHOUT_EMAIL');
      expect(users.memory.all()).toEqual([]);
    });

    test('CONTACT_CONFLICT: the user belongs to another contact that exists', async () => {
      use();
      const first = addContact();
      expectDone(await call('add', first.id), 'created');
      const second = addContact({ email: first.email.toUpperCase() });
      const before = users.memory.all();
      expectProblem(await call('add', second.id), 409, 'CONTACT_CONFLICT');
      expectProblem(await call('update', second.id, { email: first.email }), 409, 'CONTACT_CONFLICT');
      expectProblem(await call('add', second.id, { dry_run: '1' }), 409, 'CONTACT_CONFLICT');
      expect(users.memory.all()).toEqual(before);
      // When that contact is gone, the user is linked to this one.
      sandbox.deleteContact(first.id);
      expectDone(await call('add', second.id), 'updated', [], { userId: '1' });
      expect(users.memory.all()).toMatchObject([{ contactId: second.id }]);
    });

    test.each([
      ['never', 'subscriber'],
      ['unprotected', 'administrator'],
    ] as const)('USER_CONFLICT: linkByEmail %s, and a %s has the email', async (linkByEmail, role) => {
      use({ linkByEmail });
      const { id, email } = addContact();
      await users.create(newUser({ email, role }));
      const before = users.memory.all();
      expectProblem(await call('add', id), 409, 'USER_CONFLICT');
      expectProblem(await call('add', id, { dry_run: '1' }), 409, 'USER_CONFLICT');
      expect(users.memory.all()).toEqual(before);
    });
  });

  describe('the CRM', () => {
    test.each(['unauthorized', 'forbidden'] as const)('CRM_UNAUTHORIZED: %s', async (kind) => {
      use();
      fail(kind);
      expectProblem(await call('add', addContact().id), 502, 'CRM_UNAUTHORIZED');
    });

    test.each(['html200', 'truncatedJson', 'redirect', 'gzipBomb'] as const)(
      'CRM_BAD_RESPONSE: %s',
      async (kind) => {
        use({ timeoutMs: 8000 });
        fail(kind);
        expectProblem(await call('add', addContact().id), 502, 'CRM_BAD_RESPONSE');
      },
    );

    test('CRM_BAD_RESPONSE: an answer of another kind', async () => {
      use();
      faults.push(
        sandbox.fail({ method: 'GET', path: /./, with: { status: 200, body: { code: 3 } }, times: Infinity }),
      );
      expectProblem(await call('add', addContact().id), 502, 'CRM_BAD_RESPONSE');
    });

    test('CRM_RATE_LIMITED, beyond the wait we allow', async () => {
      use({ timeoutMs: 1000 });
      fail('rateLimited');
      const answer = await call('add', addContact().id);
      expectProblem(answer, 503, 'CRM_RATE_LIMITED');
      expect(answer.headers['retry-after']).toBeDefined();
    });

    test.each(['error500', 'reset', 'hang', 'truncate'] as const)('CRM_UNAVAILABLE: %s', async (kind) => {
      use({ timeoutMs: 1000 });
      fail(kind);
      const answer = await call('add', addContact().id);
      expectProblem(answer, 503, 'CRM_UNAVAILABLE');
      expect(answer.headers['retry-after']).toBeDefined();
    });

    test('CRM_UNAVAILABLE: whatever else a client of the host’s own throws', async () => {
      const crm = new MemoryCrm();
      crm.getContacts = async () => throwDriver();
      use({ crm });
      const answer = await call('add', '7');
      expectProblem(answer, 503, 'CRM_UNAVAILABLE');
      expect(answer.headers['retry-after']).toBeDefined();
      expect(logger.lines.join('\n')).toContain(JSON.stringify(DRIVER_SAYS).slice(1, -1));
    });

    test.each([
      ['CRM_UNAUTHORIZED', 502],
      ['CRM_BAD_RESPONSE', 502],
      ['CRM_RATE_LIMITED', 503],
      ['CRM_UNAVAILABLE', 503],
    ] as const)('%s: from another version of the package', async (code, status) => {
      const crm = new MemoryCrm();
      crm.getContacts = async () => {
        throw Object.assign(new Error('It said no.'), { code, retryAfter: 7 });
      };
      use({ crm });
      const answer = await call('add', '7');
      expectProblem(answer, status, code);
      if (status === 503) expect(answer.headers['retry-after']).toBeDefined();
    });
  });

  describe('the host’s own code', () => {
    test.each(['findByContactId', 'findByEmail', 'create', 'update'] as const)(
      'REPOSITORY_FAILED: %s',
      async (method) => {
        use();
        const { id } = addContact();
        if (method === 'update') await users.create(newUser({ contactId: id }));
        users.trouble = (called) => {
          if (called === method) throwDriver();
        };
        expectProblem(await call('add', id), 500, 'REPOSITORY_FAILED');
        expect(logger.lines.join('\n')).toContain(JSON.stringify(DRIVER_SAYS).slice(1, -1));
      },
    );

    test.each([
      ['a text', DRIVER_SAYS],
      ['nothing', undefined],
      [
        'a code of ours that is none of a repository’s',
        new WpFusionError('CONTACT_NOT_FOUND', 'No such row.'),
      ],
      ['a database’s code', Object.assign(new Error(DRIVER_SAYS), { code: 'ENOTFOUND', status: 404 })],
    ])('REPOSITORY_FAILED, never 404: it threw %s', async (_name, thrown) => {
      use();
      users.trouble = () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- that is the test
        throw thrown;
      };
      for (const action of ['add', 'update', 'update_tags']) {
        expectProblem(await call(action, addContact().id), 500, 'REPOSITORY_FAILED');
      }
    });

    test('REPOSITORY_FAILED: it gave something that is no user', async () => {
      use();
      users.findByContactId = async () => ({ rows: [] }) as never;
      expectProblem(await call('add', addContact().id), 500, 'REPOSITORY_FAILED');
    });

    test('a uniqueness conflict that re-reading does not solve is USER_CONFLICT', async () => {
      use();
      users.trouble = (method) => {
        if (method === 'create') throw new DuplicateUserError({ field: 'email' });
      };
      expectProblem(await call('add', addContact().id), 409, 'USER_CONFLICT');
    });

    test.each(['beforeCreate', 'beforeUpdate', 'beforeTagsChange', 'afterCreate', 'afterUpdate'] as const)(
      'HOOK_FAILED: %s',
      async (name) => {
        use({ hooks: { [name]: throwDriver } });
        const { id } = addContact();
        if (!name.endsWith('Create')) await users.create(newUser({ contactId: id }));
        expectProblem(await call('add', id), 500, 'HOOK_FAILED');
        expect(logger.lines.join('\n')).toContain(name);
      },
    );

    test('HOOK_FAILED: rejected, with a code of ours all the same', async () => {
      use({ hooks: { beforeCreate: () => Promise.reject(new WpFusionError('CONTACT_NOT_FOUND', 'no')) } });
      expectProblem(await call('add', addContact().id), 500, 'HOOK_FAILED');
    });

    test.each<[string, Partial<WpFusionWebhookOptions>]>([
      ['transform', { fields: { company: { from: 'firstname', transform: throwDriver } } }],
      [
        'transform gives a promise',
        { fields: { company: { from: 'firstname', transform: async () => 'x' } } },
      ],
      ['username', { username: throwDriver }],
      ['passwordHasher', { passwordHasher: { hash: async () => throwDriver(), verify: cheapHasher.verify } }],
      ['a custom action', { actions: { add2: async () => throwDriver() } }],
      ['a custom action that gives no outcome', { actions: { add2: async () => ({}) as never } }],
      ['a custom action that throws at once', { actions: { add2: throwDriver } }],
      ['a custom action that gives nothing', { actions: { add2: (() => undefined) as never } }],
    ])('INTERNAL_ERROR: %s', async (_name, options) => {
      use(options);
      expectProblem(
        await call(options.actions === undefined ? 'add' : 'add2', addContact().id),
        500,
        'INTERNAL_ERROR',
      );
      expect(users.memory.all()).toEqual([]);
    });

    test('a custom action may answer with a code of ours, and reads contact and user', async () => {
      const { id, email } = addContact();
      use({
        timeoutMs: TWO_LOOKS,
        actions: {
          look: async ({ contact, user, contactId, params }) => {
            const read = await contact();
            return { outcome: `${contactId} ${read.email} ${(await user())?.id} ${params.colour}` };
          },
        },
      });
      await users.create(newUser({ contactId: id }));
      expectDone(await call('LOOK', id, { colour: 'red' }), `${id} ${email} 1 red`);
      expectProblem(await call('look', undefined), 400, 'INVALID_REQUEST');
      expectProblem(await call('look', '987654321'), 404, 'CONTACT_NOT_FOUND');
    });
  });

  describe('TIMED_OUT', () => {
    test('the work goes on and keeps the contact’s turn', async () => {
      const slow = gate();
      let isFirst = true;
      const crm = new MemoryCrm();
      crm.add('7', { email: 'mary@example.com' });
      crm.add('8', { email: 'ann@example.com' });
      use({
        crm,
        timeoutMs: 700,
        hooks: {
          beforeCreate: async ({ user }) => {
            if (isFirst) {
              isFirst = false;
              await slow.pass();
            }
            return user;
          },
        },
      });
      const id = '7';
      const answer = await call('add', id);
      expectProblem(answer, 503, 'TIMED_OUT');
      expect(answer.headers['retry-after']).toBeDefined();
      expect(users.memory.all()).toEqual([]);

      // Its turn is not over: the next webhook for the contact does not even begin; one for another contact does.
      const readsBefore = users.reads;
      expectProblem(await call('update', id), 503, 'TIMED_OUT');
      expect(users.reads).toBe(readsBefore);
      expectDone(await call('add', '8'), 'created');

      const created = new Promise<Json>((resolve) => webhook.on('user.created', ({ user }) => resolve(user)));
      slow.open();
      expect(await created).toMatchObject({ contactId: id });
      expectDone(await call('add', id), 'unchanged');
    });

    test('a failure after the answer is logged and told', async () => {
      const slow = gate();
      use({ timeoutMs: 200, actions: { slow: () => slow.pass().then(throwDriver) } });
      expectProblem(await call('slow', undefined), 503, 'TIMED_OUT');
      const failed = new Promise<Json>((resolve) => webhook.on('webhook.failed', resolve));
      slow.open();
      expect(await failed).toMatchObject({ code: 'INTERNAL_ERROR', action: 'slow' });
      expect(logger.lines.join('\n')).toContain(JSON.stringify(DRIVER_SAYS).slice(1, -1));
    });
  });

  describe('SHUTTING_DOWN', () => {
    test('after the key, before everything else', async () => {
      use();
      await webhook.close();
      const path = (query: string): string => `/?${query}`;
      const refused = await send(host.url, { path: path(`wpf_action=add&contact_id=7&access_key=${KEY}`) });
      expectProblem(refused, 503, 'SHUTTING_DOWN');
      const others = [
        [`wpf_action=nonsense&access_key=${KEY}`, 'GET', 503],
        [`wpf_action=add&access_key=${KEY}`, 'PUT', 503],
        ['wpf_action=add&access_key=wrong-key-wrong-key', 'GET', 403],
        ['wpf_action=add', 'PUT', 403],
      ] as const;
      for (const [query, method, status] of others) {
        expect((await send(host.url, { method, path: path(query) })).status).toBe(status);
      }
      expect(users.reads).toBe(0);
    });

    test('what is under way is waited for, and answered', async () => {
      const slow = gate();
      use({ hooks: { beforeCreate: async ({ user }) => slow.pass().then(() => user) } });
      const answer = call('add', addContact().id);
      await slow.reached;
      let isClosed = false;
      const closing = webhook.close().then(() => (isClosed = true));
      expect(webhook.close()).toBe(webhook.close({ timeoutMs: 1 }));
      expectProblem(await call('add', addContact().id), 503, 'SHUTTING_DOWN');
      expect(isClosed).toBe(false);
      slow.open();
      expectDone(await answer, 'created');
      await closing;
    });

    test('what takes longer than close() waits is given up', async () => {
      use();
      const held = sandbox.hold({ method: 'GET', path: /./ });
      const answer = call('add', addContact().id);
      await held.caught();
      await webhook.close({ timeoutMs: 1 });
      expectProblem(await answer, 503, 'SHUTTING_DOWN');
      held.release();
    });
  });

  describe('dry_run', () => {
    const HOOKS = ['beforeCreate', 'beforeUpdate', 'beforeTagsChange', 'afterCreate', 'afterUpdate'] as const;

    test('changes nothing anywhere', async () => {
      const called: string[] = [];
      const note = (name: string) => () => void called.push(name);
      use({
        hooks: Object.fromEntries(HOOKS.map((name) => [name, note(name)])),
        notifier: { sendWelcome: async () => void called.push('sendWelcome') },
        passwordHasher: { hash: async () => (called.push('hash'), 'x'), verify: cheapHasher.verify },
        returnPassword: { field: passwordField, usernameField },
        fields: { password: 'address' },
      });
      const linked = addContact();
      const toLink = addContact();
      const fresh = addContact();
      // What is owed is not settled by a dry run either.
      const owed = JSON.stringify({ v: 'x', p: { c: ['claim'], t: 1 }, a: 1, m: 1 });
      await users.create(
        newUser({ contactId: linked.id, email: 'old@example.com', syncState: owed, passwordHash: 'cheap:x' }),
      );
      await users.create(newUser({ email: toLink.email }));
      const before = { users: users.memory.all(), contacts: sandbox.contacts() };
      const writes = users.writes;
      sandbox.clearCalls();

      const more = { dry_run: 'on', send_notification: '1', role: 'Customer' };
      const outcomes = [
        await call('add', linked.id, more),
        await call('update', linked.id, more),
        await call('update_tags', linked.id, more),
        await call('add', toLink.id, more),
        await call('update', toLink.id, { ...more, email: toLink.email }),
        await call('add', fresh.id, more),
        await call('update', fresh.id, more),
      ];
      for (const { json } of outcomes) expect(json).toMatchObject({ ok: true, dryRun: true });
      expect(outcomes.map(({ json }) => json.outcome)).toEqual([
        'updated',
        'updated',
        'updated',
        'updated',
        'updated',
        'created',
        'skipped',
      ]);
      for (const { json } of outcomes.slice(0, 6)) expect(json.changes.length).toBeGreaterThan(0);

      expect(called).toEqual([]);
      expect(users.writes).toBe(writes);
      expect({ users: users.memory.all(), contacts: sandbox.contacts() }).toEqual(before);
      expect(sandbox.calls.filter(({ method }) => method !== 'GET')).toEqual([]);
      expect(events.map(([name]) => name).filter((name) => !name.startsWith('webhook.'))).toEqual([]);
    });

    test('is no parameter of the host’s own actions', async () => {
      const called: string[] = [];
      use({ actions: { greet: async () => (called.push('greet'), { outcome: 'greeted' }) } });
      await call('greet', undefined, { dry_run: '1' });
      // The contract gives dry_run to add, update and update_tags: a custom action has it among its params and runs.
      expect(called).toEqual(['greet']);
    });
  });

  test('fifty webhooks at once are no leak to Node', async () => {
    const warnings: string[] = [];
    const note = ({ name, message }: Error): void => void warnings.push(`${name}: ${message}`);
    process.on('warning', note);
    try {
      use({ returnPassword: { field: passwordField } });
      const answers = await Promise.all(Array.from({ length: 50 }, () => call('add', addContact().id)));
      for (const answer of answers) expectDone(answer, 'created');
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('warning', note);
    }
    expect(warnings).toEqual([]);
  });
});
