// The table of the matrix: every fault of every outside part, how the tests bring it about, and what is expected of it in every
// action. docs/faults.md is made of it.
import { renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { Redis } from 'ioredis';
import createKnex, { type Knex } from 'knex';
import type { WrongAnswer } from './fault-proxy';
import type { Action, Fault, PartName, Seen, Stage } from './stage';

/** What is expected of the actions; instead of a cell that cannot be, why. */
export type Cells = Seen | Readonly<Record<Action, Seen | string>>;

/** A fault, and what is expected of it. */
export interface Row {
  /** In the words of the page. */
  readonly title: string;
  readonly fault: Fault;
  readonly inside: Cells;
  readonly queued: Cells;
  /** The fault comes while an accepted `add` is worked off. */
  readonly accepted: Seen | string;
}

export interface Part {
  readonly name: PartName;
  readonly rows: readonly Row[];
}

const NOTHING = 'nothing is done';
const ALL = 'all is done';
const ITSELF = 'by itself';
const NEXT = 'the next webhook';

/** Nothing happens, and the sender is told so. */
const told = (answer: string): Seen => [answer, NOTHING, NEXT];
/** Nobody notices. */
const UNNOTICED: Seen = ['200', ALL, ITSELF];
const UNNOTICED_LATER: Seen = ['202', ALL, ITSELF];
/** Accepted, and done when it can be. */
const WAITS: Seen = ['202', NOTHING, ITSELF];
const owing = (what: string): Seen => ['202', `the user is there, ${what} owed`, ITSELF];
const NEW = 'password, afterCreate, mail';

const fine = (
  inside: Cells = UNNOTICED,
  queued: Cells = UNNOTICED_LATER,
): Pick<Row, 'inside' | 'queued'> => ({
  inside,
  queued,
});

/** An answer that no program of its kind gives. */
const NONSENSE = 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n';
const SLOW_MS = 25;

const refuse = ({ proxy }: Stage): Promise<void> => proxy.refuse();
const cut = ({ proxy }: Stage): void => proxy.cut();
const silence = ({ proxy }: Stage): void => proxy.silence();
const slowDown = ({ proxy }: Stage): void => proxy.slowDown(SLOW_MS);
const answer =
  (wrong: WrongAnswer) =>
  ({ proxy }: Stage): void =>
    proxy.answer(wrong);
/** The server throws everybody out, and says something else to those who come. */
const answerNewcomers =
  (wrong: WrongAnswer) =>
  ({ proxy }: Stage): void => {
    proxy.cut();
    proxy.answer(wrong);
  };
const loseHalf =
  (request: RegExp) =>
  ({ proxy }: Stage): void =>
    proxy.lose({ request, lost: 'half of the request' });
const loseAnswer =
  (request: RegExp) =>
  ({ proxy }: Stage): void =>
    proxy.lose({ request, lost: 'the answer' });

const http = (status: string, body: string, headers = ''): WrongAnswer => ({
  reply: () => `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`,
});

/** The CRM says no to everything in one way. */
function crmSays(title: string, fault: Fault, code: string, accepted: Seen): Row {
  return { title, fault, inside: told(code), queued: WAITS, accepted };
}

const CRM_WRITES_NOTHING = 'it writes nothing to the CRM';
const ofAdd = (seen: Seen, reason: string): Readonly<Record<Action, Seen | string>> => ({
  add: seen,
  update: reason,
  update_tags: reason,
});

const PASSWORD_LATER: Seen = ['200 PASSWORD_NOT_RETURNED', 'the user is there, password owed', ITSELF];

const CRM: Part = {
  name: 'CRM',
  rows: [
    crmSays('refuses connections', { strike: refuse }, '503 CRM_UNAVAILABLE', owing('password')),
    crmSays('resets connections', { strike: cut }, '503 CRM_UNAVAILABLE', owing('password')),
    crmSays(
      'accepts, and never answers',
      { strike: silence, silenceMs: 1000 },
      '503 CRM_UNAVAILABLE',
      owing('password'),
    ),
    { title: 'is slow', fault: { strike: slowDown }, ...fine(), accepted: UNNOTICED_LATER },
    crmSays(
      'answers what is no HTTP',
      { strike: answer({ reply: () => 'nonsense\r\n\r\n', ends: true }) },
      '503 CRM_UNAVAILABLE',
      owing('password'),
    ),
    crmSays(
      'answers 500',
      { strike: answer(http('500 Oops', 'Oops')) },
      '503 CRM_UNAVAILABLE',
      owing('password'),
    ),
    crmSays(
      'answers with a page',
      { strike: answer(http('200 OK', '<h1>Maintenance</h1>')) },
      '502 CRM_BAD_RESPONSE',
      owing('password'),
    ),
    crmSays(
      'answers 429',
      { strike: answer(http('429 Too Many Requests', '', 'Retry-After: 0\r\n')) },
      '503 CRM_RATE_LIMITED',
      owing('password'),
    ),
    crmSays(
      'answers 401',
      { strike: answer(http('401 Unauthorized', '')) },
      '502 CRM_UNAUTHORIZED',
      owing('password'),
    ),
    crmSays(
      'breaks off in the middle of each answer',
      {
        strike: answer({
          reply: () => 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"code":0,',
          ends: true,
        }),
      },
      '503 CRM_UNAVAILABLE',
      owing('password'),
    ),
    {
      title: 'is gone in the middle of the password’s write',
      fault: { strike: loseHalf(/^PUT /) },
      inside: ofAdd(PASSWORD_LATER, CRM_WRITES_NOTHING),
      queued: ofAdd(owing('password'), CRM_WRITES_NOTHING),
      accepted: owing('password'),
    },
    {
      title: 'is gone when it has written the password',
      fault: { strike: loseAnswer(/^PUT /) },
      inside: ofAdd(PASSWORD_LATER, CRM_WRITES_NOTHING),
      queued: ofAdd(owing('password'), CRM_WRITES_NOTHING),
      accepted: owing('password'),
    },
  ],
};

/** What ends a transaction, or is one by itself: so the queue stores webhooks on PostgreSQL. */
const COMMIT = /\bcommit;|\bwith moment\b/i;

const FAILED = told('500 REPOSITORY_FAILED');
const NOT_STORED = told('503 QUEUE_UNAVAILABLE');

/** A database that does nothing for anybody. */
const databaseFails = (title: string, fault: Fault): Row => ({
  ...{ title, fault },
  inside: FAILED,
  queued: NOT_STORED,
  accepted: owing(NEW),
});

/** How long a site of these cells waits, and after how much longer its connections are given up. */
const SILENCE = { timeoutMs: 1500, silenceMs: 10000 };

function databaseRows(tooMany: WrongAnswer, readOnly: string): readonly Row[] {
  return [
    databaseFails('refuses connections', { strike: refuse }),
    databaseFails('resets connections', { strike: cut }),
    {
      title: 'accepts, and never answers',
      fault: { strike: silence, ...SILENCE, mayLinger: true },
      inside: told('503 TIMED_OUT'),
      queued: NOT_STORED,
      accepted: owing(NEW),
    },
    { title: 'is slow', fault: { strike: slowDown }, ...fine(), accepted: UNNOTICED_LATER },
    {
      title: 'is slower than `timeoutMs`',
      fault: { strike: silence, heal: ({ proxy }) => proxy.resume(), timeoutMs: 1000, mayLinger: true },
      // The work goes on, and finds that its time for reading the contact is over.
      inside: told('503 TIMED_OUT'),
      queued: ['503 QUEUE_UNAVAILABLE', NOTHING, ITSELF],
      accepted: 'what is accepted has time',
    },
    databaseFails('is another program', {
      strike: answer({ greeting: NONSENSE, reply: () => NONSENSE, ends: true }),
      silenceMs: SILENCE.silenceMs,
    }),
    databaseFails('has too many connections', { strike: answerNewcomers(tooMany) }),
    databaseFails('takes no writes (a replica, after a failover)', {
      strike: (stage) => {
        stage.onConnection = (run) => run(readOnly);
        stage.proxy.cut();
        return stage.proxy.restore();
      },
      heal: (stage) => {
        stage.onConnection = undefined;
        stage.proxy.cut();
        return stage.proxy.restore();
      },
    }),
    {
      ...databaseFails('is gone in the middle of a commit', {
        strike: loseHalf(COMMIT),
        at: 'create: about to store',
      }),
      accepted: WAITS,
    },
    {
      title: 'is gone when it has committed',
      fault: { strike: loseAnswer(COMMIT), at: 'create: about to store' },
      inside: {
        add: ['500 REPOSITORY_FAILED', `the user is there, ${NEW} owed`, NEXT],
        update: ['500 REPOSITORY_FAILED', ALL, ITSELF],
        update_tags: ['500 REPOSITORY_FAILED', ALL, ITSELF],
      },
      queued: ['503 QUEUE_UNAVAILABLE', NOTHING, ITSELF],
      accepted: owing(NEW),
    },
  ];
}

/** An error of PostgreSQL, instead of letting somebody in. */
function postgresError(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const length = Buffer.alloc(4);
  length.writeInt32BE(fields.length + 4);
  return Buffer.concat([Buffer.from('E'), length, fields]);
}

/** The same of MySQL and MariaDB. */
function mysqlError(code: number, message: string): Buffer {
  const body = Buffer.from(`\xff\0\0#08004${message}`, 'latin1');
  body.writeUInt16LE(code, 1);
  const header = Buffer.from([body.length, 0, 0, 0]);
  return Buffer.concat([header, body]);
}

const DATABASES: readonly Part[] = [
  {
    name: 'PostgreSQL',
    rows: databaseRows(
      { reply: () => postgresError('53300', 'sorry, too many clients already'), ends: true },
      'set session characteristics as transaction read only',
    ),
  },
  {
    name: 'MariaDB',
    rows: databaseRows(
      { greeting: mysqlError(1040, 'Too many connections'), ends: true },
      'set session transaction read only',
    ),
  },
];

/** The file of a SQLite database, and all that lies beside it. */
const folderOf = ({ ground }: Stage): string =>
  dirname((ground.database.config.connection as { filename: string }).filename);

/** Resolves when the site has no connection open: the next one meets what there is then. */
async function whenIdle({ knex }: Stage): Promise<void> {
  const { pool } = knex.client as { pool: { numUsed(): number; numFree(): number } };
  while (pool.numUsed() + pool.numFree() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

const writers = new WeakMap<Stage, Knex>();

const SQLITE: Part = {
  name: 'SQLite',
  rows: [
    {
      ...databaseFails('is locked by another program', {
        strike: async (stage) => {
          // For so long the site waits for the file: no longer than the rest of these tests.
          stage.onConnection = (run) => run('pragma busy_timeout = 300');
          await whenIdle(stage);
          const other = createKnex({ ...stage.ground.database.config } as Knex.Config);
          stage.afterwards(() => other.destroy());
          writers.set(stage, other);
          await other.raw('begin immediate');
        },
        heal: (stage) => writers.get(stage)?.raw('rollback'),
        timeoutMs: 4000,
        isOfServer: true,
      }),
      queued: ['503 QUEUE_UNAVAILABLE', NOTHING, ITSELF],
    },
    databaseFails('is read-only', {
      strike: (stage) => {
        stage.onConnection = (run) => run('pragma query_only = on');
        return whenIdle(stage);
      },
      heal: (stage) => {
        stage.onConnection = undefined;
        return whenIdle(stage);
      },
    }),
    databaseFails('is gone, with its disk', {
      strike: async (stage) => {
        await whenIdle(stage);
        renameSync(folderOf(stage), `${folderOf(stage)}-gone`);
      },
      heal: (stage) => renameSync(`${folderOf(stage)}-gone`, folderOf(stage)),
      isOfServer: true,
    }),
  ],
};

/** One error for every command of what a client of Redis said. */
const redisSays =
  (error: string) =>
  (said: Buffer): string =>
    `-${error}\r\n`.repeat(said.toString('latin1').match(/(^|\r\n)\*\d+(?=\r\n\$)/g)?.length ?? 0);

/** The server itself is told something. */
const tellRedis =
  (...command: readonly [string, ...string[]]) =>
  async ({ ground }: Stage): Promise<void> => {
    const redis = new Redis({ ...ground.redis!.address });
    const [name, ...values] = command;
    await redis.call(name, ...values);
    await redis.quit();
  };

const NO_REDIS_INSIDE = 'without a queue there is no Redis';
const NOT_WITHOUT: Cells = { add: NO_REDIS_INSIDE, update: NO_REDIS_INSIDE, update_tags: NO_REDIS_INSIDE };

/** Redis stores nothing; what was accepted has happened, and Redis cannot be told. */
const redisFails = (title: string, fault: Fault): Row => ({
  title,
  // It has 750 ms for storing a webhook: a busy machine may need another try.
  fault: { at: 'work: run ended', mayLinger: true, ...fault },
  inside: NOT_WITHOUT,
  queued: NOT_STORED,
  accepted: UNNOTICED_LATER,
});

const REDIS_WRITES = /evalsha|exec/i;

const REDIS: Part = {
  name: 'Redis',
  rows: [
    redisFails('refuses connections', { strike: refuse }),
    redisFails('resets connections', { strike: cut }),
    redisFails('accepts, and never answers', { strike: silence }),
    {
      title: 'is slow',
      fault: { strike: ({ proxy }) => proxy.slowDown(5) },
      inside: NOT_WITHOUT,
      queued: UNNOTICED_LATER,
      accepted: UNNOTICED_LATER,
    },
    redisFails('is another program', { strike: answer({ reply: () => NONSENSE, ends: true }) }),
    redisFails('is loading its data (`LOADING`)', {
      strike: answer({ reply: redisSays('LOADING Redis is loading the dataset in memory') }),
    }),
    redisFails('has too many clients', {
      strike: answerNewcomers({ greeting: '-ERR max number of clients reached\r\n', ends: true }),
    }),
    redisFails('is full (`OOM`)', {
      strike: tellRedis('config', 'set', 'maxmemory', '1'),
      heal: tellRedis('config', 'set', 'maxmemory', '0'),
      isOfServer: true,
    }),
    redisFails('is a replica (`READONLY`, after a failover)', {
      strike: tellRedis('replicaof', '127.0.0.1', '1'),
      heal: tellRedis('replicaof', 'no', 'one'),
      isOfServer: true,
    }),
    redisFails('is gone in the middle of a command', { strike: loseHalf(REDIS_WRITES) }),
    {
      ...redisFails('is gone when it has stored', { strike: loseAnswer(REDIS_WRITES) }),
      queued: ['503 QUEUE_UNAVAILABLE', NOTHING, ITSELF],
    },
  ],
};

const NO_MAIL = 'it sends no mail';
const NO_OTHER_MAIL = 'as with a fault that is there before: the mail comes last';

/** The mail is not taken, and owed; `afterwards` where it was taken without anybody being told. */
const mailFails = (title: string, fault: Fault, twice = ''): Row => {
  const meanwhile = 'the user is there, mail owed';
  return {
    ...{ title, fault },
    inside: ofAdd(['200 NOTIFICATION_FAILED', meanwhile, NEXT + twice], NO_MAIL),
    queued: ofAdd(['202', meanwhile, ITSELF + twice], NO_MAIL),
    accepted: NO_OTHER_MAIL,
  };
};

/** An SMTP server that says no to the recipient. */
const noRecipient = (reply: string): WrongAnswer => ({
  greeting: '220 ready\r\n',
  reply: (said) => (/^RCPT/m.test(said.toString('latin1')) ? `${reply}\r\n` : '250 yes\r\n'),
});

const END_OF_MAIL = /(^|\n)\.\r\n/;

const SMTP: Part = {
  name: 'SMTP',
  rows: [
    mailFails('refuses connections', { strike: refuse }),
    mailFails('resets connections', { strike: cut }),
    mailFails('accepts, and never answers', { strike: silence, silenceMs: 2500 }),
    {
      title: 'is slow',
      fault: { strike: slowDown },
      inside: ofAdd(UNNOTICED, NO_MAIL),
      queued: ofAdd(UNNOTICED_LATER, NO_MAIL),
      accepted: NO_OTHER_MAIL,
    },
    mailFails('is another program', { strike: answer({ greeting: NONSENSE, ends: true }) }),
    mailFails('says 421: too busy', { strike: answer({ greeting: '421 too busy\r\n', ends: true }) }),
    mailFails('says 451: come again', { strike: answer(noRecipient('451 4.7.1 come again')) }),
    mailFails('says 550: nobody here', { strike: answer(noRecipient('550 5.1.1 nobody here')) }),
    mailFails('is gone in the middle of the mail', { strike: loseHalf(END_OF_MAIL) }),
    mailFails('is gone when it has the mail', { strike: loseAnswer(END_OF_MAIL) }, '; a second mail'),
  ],
};

export const PARTS: readonly Part[] = [CRM, ...DATABASES, SQLITE, REDIS, SMTP];
