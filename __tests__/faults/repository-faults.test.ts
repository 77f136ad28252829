// A user storage that fails at every single call of every action, before the effect or after it: 500 and never 404, nothing lost,
// no user twice, and the next webhook makes good what is missing. And what counts of an error is its code.
import type { MemoryUserRepository } from '../../lib';
import { DuplicateUserError, type User, type UserRepository } from '../../lib';
import { until } from '../actions/site';
import { MemoryCrm } from '../http/site';
import { startScene, watchProcess, type Scene, type Start } from './scene';

watchProcess();

type Method = 'findByContactId' | 'findByEmail' | 'create' | 'update';
type Moment = 'before' | 'after';
interface Call {
  readonly method: Method;
  readonly moment: Moment;
  /** Which call of the storage this is, from 1. */
  readonly number: number;
}

/** A storage that is asked before and after each call whether it fails. */
class FailingUsers implements UserRepository {
  calls: Method[] = [];
  fails: ((call: Call) => void) | undefined;
  constructor(readonly inner: MemoryUserRepository) {}

  findByContactId = (id: string): Promise<User | null> =>
    this.#call('findByContactId', () => this.inner.findByContactId(id));
  findByEmail = (email: string): Promise<User | null> =>
    this.#call('findByEmail', () => this.inner.findByEmail(email));
  create: UserRepository['create'] = (user) => this.#call('create', () => this.inner.create(user));
  update: UserRepository['update'] = (...given) => this.#call('update', () => this.inner.update(...given));

  async #call<Value>(method: Method, work: () => Promise<Value>): Promise<Value> {
    const number = this.calls.push(method);
    this.fails?.({ method, moment: 'before', number });
    const value = await work();
    this.fails?.({ method, moment: 'after', number });
    return value;
  }
}

/** What a driver throws: with a status that is not ours, and texts that are nobody's business. */
class DriverError extends Error {
  readonly status = 404;
  readonly statusCode = 404;
  readonly code: string = 'ER_NO_SUCH_ROW';
}
const lost = (): never => {
  throw new DriverError('the connection to db-7.internal was lost');
};

const ACTIONS: Record<string, { start: Start; action: string; more: Record<string, string> }> = {
  'add, new': { start: 'no user', action: 'add', more: { send_notification: 'true' } },
  'add, existing': { start: 'a linked user', action: 'add', more: {} },
  'add, linked by email': { start: 'an unlinked user', action: 'add', more: {} },
  'update, owed a password': { start: 'a linked user that is owed a password', action: 'update', more: {} },
  update: { start: 'a linked user', action: 'update', more: {} },
  'update, linked by email': {
    start: 'an unlinked user',
    action: 'update',
    more: { email: 'mary@example.com' },
  },
  update_tags: { start: 'a linked user', action: 'update_tags', more: {} },
  'update_tags, linked by email': {
    start: 'an unlinked user',
    action: 'update_tags',
    more: { email: 'mary@example.com' },
  },
};

type FailingScene = Scene & { failing: FailingUsers };
async function startFailing(
  start: Start,
  options: Parameters<typeof startScene>[1] = {},
): Promise<FailingScene> {
  let failing: FailingUsers | undefined;
  const scene = await startScene(start, { wrap: (users) => (failing = new FailingUsers(users)), ...options });
  return { ...scene, failing: failing! };
}

/** Asks once more, without trouble, and says what is then. */
async function heal(scene: FailingScene, name: string): Promise<object> {
  const { start, action, more } = ACTIONS[name]!;
  scene.failing.fails = undefined;
  const next = await scene.ask(action, more);
  const owed = start === 'no user' || start === 'a linked user that is owed a password';
  if (owed) await scene.settled();
  return {
    status: next.status,
    users: scene.users.all().length,
    tags: scene.user()?.tags,
    plan: scene.user()?.meta.plan,
    welcomed: start !== 'no user' || (scene.created.length > 0 && scene.mailed.length > 0),
    afterCreateOwed: scene.debts().afterCreate,
    mailOwed: scene.debts().mail,
  };
}
const healed = (name: string): object => ({
  status: 200,
  users: 1,
  tags: ['Member'],
  plan: name.startsWith('update_tags') ? undefined : 'gold',
  welcomed: true,
  afterCreateOwed: false,
  mailOwed: false,
});

describe.each(Object.entries(ACTIONS))('%s', (name, { start, action, more }) => {
  test.each(['before', 'after'] as const)(
    'each call that the action makes fails once, %s its effect',
    async (moment) => {
      const rehearsal = await startFailing(start);
      expect((await rehearsal.ask(action, more)).status).toBe(200);
      const calls = rehearsal.failing.calls.slice();
      expect(calls.length).toBeGreaterThan(1);
      const seen = await Promise.all(
        calls.map(async (method, index) => {
          const scene = await startFailing(start);
          scene.failing.fails = (call) => {
            if (call.moment === moment && call.number === index + 1) lost();
          };
          const answer = await scene.ask(action, more);
          // What goes on behind the answer may fail behind it; but then the answer says that it is not done.
          const told =
            answer.json.code === 'REPOSITORY_FAILED' && answer.status === 500
              ? 'told'
              : JSON.stringify(answer.json).includes('PASSWORD_NOT_RETURNED')
                ? 'told'
                : `silent: ${answer.status} ${JSON.stringify(answer.json)}`;
          const quotes = JSON.stringify(answer.json).includes('db-7');
          return { call: `${index + 1} ${method}`, told, quotes, healed: await heal(scene, name) };
        }),
      );
      expect(seen).toEqual(
        calls.map((method, index) => ({
          call: `${index + 1} ${method}`,
          told: 'told',
          quotes: false,
          healed: healed(name),
        })),
      );
    },
  );

  test.each(['findByContactId', 'findByEmail', 'create', 'update'] as const)(
    '%s fails for good',
    async (failing) => {
      for (const moment of ['before', 'after'] as const) {
        const scene = await startFailing(start);
        scene.failing.fails = (call) => {
          if (call.moment === moment && call.method === failing) lost();
        };
        const answer = await scene.ask(action, more);
        if (scene.failing.calls.includes(failing)) {
          expect(answer).toMatchObject({ status: 500, json: { code: 'REPOSITORY_FAILED' } });
          expect(JSON.stringify(answer.json)).not.toContain('db-7');
        } else expect(answer.status).toBe(200);
        expect(await heal(scene, name)).toEqual(healed(name));
      }
    },
  );
});

test('a storage that fails in the second look at a new user is a failure of the storage, not of the CRM', async () => {
  const lines: unknown[][] = [];
  const log = (...line: unknown[]): void => void lines.push(line);
  const scene = await startFailing('no user', { logger: { debug: log, info: log, warn: log, error: log } });
  const held = scene.sandbox.hold({ method: 'GET', path: '/Contacts', when: 'after', times: 1 });
  const asked = scene.ask('add');
  await held.caught();
  // Changed since the first read, so the second look has something to write.
  scene.sandbox.tag(scene.contactId, 'VIP');
  scene.failing.fails = ({ method, moment }) => {
    if (method === 'update' && moment === 'before') lost();
  };
  held.release();
  const answer = await asked;
  expect({ ...answer.json, status: answer.status }).toMatchObject({ code: 'REPOSITORY_FAILED', status: 500 });
  expect(JSON.stringify(lines)).not.toContain('CRM_UNAVAILABLE');
});

test('a hook that throws in the second look at a new user fails the webhook', async () => {
  const scene = await startFailing('no user', {
    hooks: {
      beforeTagsChange: () => {
        throw new Error('the course platform is down');
      },
    },
  });
  const held = scene.sandbox.hold({ method: 'GET', path: '/Contacts', when: 'after', times: 1 });
  const asked = scene.ask('add');
  await held.caught();
  scene.sandbox.tag(scene.contactId, 'VIP');
  held.release();
  const answer = await asked;
  expect({ ...answer.json, status: answer.status }).toMatchObject({ code: 'HOOK_FAILED', status: 500 });
});

describe('an error counts by its code, whatever its class', () => {
  class OtherVersion extends Error {
    constructor(
      readonly code: string,
      readonly field?: string,
    ) {
      super('from another version of the package');
    }
  }
  const MAKERS: Record<string, (code: string, field?: string) => unknown> = {
    'an Error of another class': (code, field) => new OtherVersion(code, field),
    'a plain object': (code, field) => ({ code, field }),
    'an object without a prototype': (code, field) =>
      Object.assign(Object.create(null) as object, { code, field }),
  };

  describe.each(Object.entries(MAKERS))('%s', (_name, make) => {
    const once = (scene: FailingScene, method: Method, code: string, field?: string): void => {
      let over = false;
      scene.failing.fails = (call) => {
        if (over || call.method !== method || call.moment !== 'before') return;
        over = true;
        throw make(code, field);
      };
    };

    test('DUPLICATE_USER of the username: another one is tried', async () => {
      const scene = await startFailing('no user');
      once(scene, 'create', 'DUPLICATE_USER', 'username');
      expect((await scene.ask('add')).json).toMatchObject({ outcome: 'created' });
      expect(scene.user()?.username).toBe(`${scene.email}-2`);
    });

    test.each(['contactId', 'email'])('DUPLICATE_USER of the %s: looked again', async (field) => {
      const scene = await startFailing('no user');
      once(scene, 'create', 'DUPLICATE_USER', field);
      expect((await scene.ask('add')).json).toMatchObject({ outcome: 'created' });
      expect(scene.users.all()).toHaveLength(1);
    });

    test('DUPLICATE_USER of the email at every look: USER_CONFLICT', async () => {
      const scene = await startFailing('no user');
      scene.failing.fails = ({ method }) => {
        if (method === 'create') throw make('DUPLICATE_USER', 'email');
      };
      expect(await scene.ask('add')).toMatchObject({ status: 409, json: { code: 'USER_CONFLICT' } });
      expect(scene.users.all()).toEqual([]);
    });

    test('DUPLICATE_USER of the email in an update: EMAIL_TAKEN', async () => {
      const scene = await startFailing('a linked user');
      scene.sandbox.updateContact(scene.contactId, { email: 'other@example.com' });
      once(scene, 'update', 'DUPLICATE_USER', 'email');
      expect((await scene.ask('update')).json).toMatchObject({
        outcome: 'updated',
        warnings: [{ code: 'EMAIL_TAKEN' }],
      });
      expect(scene.user()).toMatchObject({ email: scene.email, tags: ['Member'], meta: { plan: 'gold' } });
    });

    test.each(['STALE_USER', 'USER_NOT_FOUND'])('%s in an update: started over', async (code) => {
      const scene = await startFailing('a linked user');
      once(scene, 'update', code);
      expect((await scene.ask('update')).json).toMatchObject({ outcome: 'updated', warnings: [] });
      expect(scene.sandbox.callCount({ path: '/Contacts' })).toBe(2);
    });

    test.each(['STALE_USER', 'USER_NOT_FOUND'])('%s in every update: the storage is broken', async (code) => {
      const scene = await startFailing('a linked user');
      scene.failing.fails = ({ method }) => {
        if (method === 'update') throw make(code);
      };
      expect(await scene.ask('update')).toMatchObject({ status: 500, json: { code: 'REPOSITORY_FAILED' } });
    });

    // A code of ours that the method has no business with is a failure like any other, and never the caller's 404 or 409.
    test.each([
      ['findByContactId', 'USER_NOT_FOUND'],
      ['findByContactId', 'STALE_USER'],
      ['findByEmail', 'USER_NOT_FOUND'],
      ['findByEmail', 'DUPLICATE_USER'],
      ['create', 'USER_NOT_FOUND'],
      ['create', 'STALE_USER'],
      ['create', 'DUPLICATE_USER'],
      ['create', 'CONTACT_NOT_FOUND'],
      ['create', 'TIMED_OUT'],
      ['findByContactId', 'CRM_UNAUTHORIZED'],
    ] as const)('%s that throws %s: REPOSITORY_FAILED', async (method, code) => {
      const scene = await startFailing('no user');
      scene.failing.fails = (call) => {
        if (call.method === method) throw make(code);
      };
      expect(await scene.ask('add')).toMatchObject({ status: 500, json: { code: 'REPOSITORY_FAILED' } });
    });

    test('DUPLICATE_USER without a field in an update: REPOSITORY_FAILED', async () => {
      const scene = await startFailing('a linked user');
      scene.failing.fails = ({ method }) => {
        if (method === 'update') throw make('DUPLICATE_USER');
      };
      expect(await scene.ask('update')).toMatchObject({ status: 500, json: { code: 'REPOSITORY_FAILED' } });
    });

    test('CRM_RATE_LIMITED of a client: with its retryAfter', async () => {
      const scene = await startFailing('no user', {
        crm: {
          getContacts: () =>
            Promise.reject(Object.assign(make('CRM_RATE_LIMITED') as Error, { retryAfter: 77 })),
          updateContact: () => Promise.resolve(),
        },
      });
      expect(await scene.ask('add')).toMatchObject({
        status: 503,
        retryAfter: '77',
        json: { code: 'CRM_RATE_LIMITED' },
      });
    });

    test('CRM_UNAVAILABLE of a client’s write: tried again behind the answer', async () => {
      const crm = new MemoryCrm();
      crm.add('1', { email: 'mary@example.com' });
      const givenUp: string[] = [];
      const ignore = (): void => undefined;
      const scene = await startFailing('no user', {
        crm: {
          contactIdPattern: crm.contactIdPattern,
          getContacts: (ids) => crm.getContacts(ids),
          updateContact: (id, fields) =>
            crm.updateContact(id, fields).then(() => {
              if (crm.writes === 1) throw make('CRM_UNAVAILABLE');
            }),
        },
        logger: { debug: ignore, info: ignore, warn: ignore, error: (_, message) => givenUp.push(message) },
      });
      const answer = await scene.ask('add');
      expect(answer.json).toMatchObject({
        outcome: 'created',
        warnings: [{ code: 'PASSWORD_NOT_RETURNED' }],
      });
      await until(() => crm.writes === 2 || givenUp.length > 0);
      expect({ writes: crm.writes, givenUp }).toEqual({ writes: 2, givenUp: [] });
    });
  });

  test('a class of ours is no better: its code counts', async () => {
    const scene = await startFailing('no user');
    scene.failing.fails = ({ method }) => {
      if (method === 'create') throw new DuplicateUserError({ field: 'email' });
    };
    expect(await scene.ask('add')).toMatchObject({ status: 409, json: { code: 'USER_CONFLICT' } });
  });
});

describe('whatever is thrown, the webhook is answered', () => {
  const withMessage = (message: unknown): Error =>
    Object.defineProperty(new Error(), 'message', { value: message });
  const cyclic = new Error('cyclic');
  cyclic.cause = cyclic;
  const THROWN: Record<string, unknown> = {
    undefined: undefined,
    null: null,
    'a text': 'lost',
    'a number': 42,
    'a symbol': Symbol('lost'),
    'a function': () => 'lost',
    'an object without a prototype': Object.create(null),
    'an error that is its own cause': cyclic,
    'an error whose message is an object': withMessage({ detail: 'lost' }),
    'an error without a message': withMessage(undefined),
    'an error whose stack is null': Object.defineProperty(new Error('lost'), 'stack', { value: null }),
    'an error whose message cannot be read': Object.defineProperty(new Error(), 'message', {
      get: () => {
        throw new Error('no message for you');
      },
    }),
    'an object that cannot be inspected': {
      [Symbol.for('nodejs.util.inspect.custom')]: () => {
        throw new Error('no inspection');
      },
    },
    'an object whose code cannot be read': Object.defineProperty({}, 'code', {
      get: () => {
        throw new Error('no code for you');
      },
    }),
  };

  test.each(Object.entries(THROWN))('%s, by the repository', async (_name, thrown) => {
    const scene = await startFailing('no user');
    scene.failing.fails = () => {
      throw thrown;
    };
    expect(await scene.ask('add')).toMatchObject({ status: 500, json: { code: 'REPOSITORY_FAILED' } });
  });

  test.each(Object.entries(THROWN))('%s, by a hook', async (_name, thrown) => {
    const scene = await startFailing('no user', {
      hooks: {
        beforeCreate: () => {
          throw thrown;
        },
      },
    });
    expect(await scene.ask('add')).toMatchObject({ status: 500, json: { code: 'HOOK_FAILED' } });
  });
});
