// The contract suite for CRM clients, tested itself: sound clients pass, and each broken one is caught by the tests that are named
// for what is broken.
import { setImmediate as turn } from 'node:timers/promises';
import { WpFusionError, type CrmClient, type ReadOptions } from '../../lib';
import { crmClientContract, type CrmClientContractOptions, type CrmScene } from '../../lib/testing';
import { failing } from './contracts/broken/failing-clients';
import { reading } from './contracts/broken/reading-clients';
import { walking } from './contracts/broken/walking-clients';
import { writing } from './contracts/broken/writing-clients';
import { collect, crashesOf, type Results } from './contracts/collect';
import type { Crm } from './contracts/crm';
import { Client, crmSceneOf, TOKEN, type Row } from './contracts/crm';

type Options = Partial<CrmClientContractOptions>;

const run = (
  ClientUnderTest: new (crm: Crm) => CrmClient,
  options: Options = {},
  change: Partial<CrmScene> = {},
): Promise<Results> =>
  collect((runner) =>
    crmClientContract({
      runner,
      open: async () => ({ ...crmSceneOf(ClientUnderTest), ...change }),
      ...options,
    }),
  );

const messagesOf = ({ failed }: Results): string[] =>
  [...failed].map(([name, error]) => `${name}: ${(error as Error).message}`);

/** Clients that do some things otherwise, as they may. */
const sound: Record<string, new (crm: Crm) => CrmClient> = {
  'the client that the broken ones are made of': Client,
  'one id a call, without maxBatchSize': class extends Client {
    override maxBatchSize = undefined as unknown as number;
    override rowsOf(ids: readonly string[]) {
      if (ids.length > 1) throw new WpFusionError('CRM_BAD_RESPONSE', 'one at a time');
      return super.rowsOf(ids);
    }
  },
  'a pattern that is not given': class extends Client {
    override contactIdPattern = undefined as unknown as RegExp;
  },
  'tags without names': class extends Client {
    override tags(row: Row) {
      return super.tags(row).map(({ id }, index) => ({ id, name: index === 0 ? '' : `#${id}` }));
    }
  },
  'emails in another case, no times, no raw': class extends Client {
    override contact(row: Row, asked?: readonly string[]) {
      const { raw: _raw, ...contact } = super.contact(row, asked);
      return { ...contact, email: row.email?.toUpperCase() ?? null, modifiedAt: null };
    }
  },
  'an emptied field that reads as empty text': class extends Client {
    override value(row: Row, field: string) {
      return row.values[field] ?? null;
    }
  },
  'more fields than were asked for, without a prototype': class extends Client {
    override contact(row: Row, asked: readonly string[] = []) {
      const contact = super.contact(row, [...asked, 'city']);
      return { ...contact, fields: Object.assign(Object.create(null), contact.fields) };
    }
  },
  'a plain error where the CRM is down': class extends Client {
    override error(kind: Parameters<Client['error']>[0]) {
      return kind === 'unavailable'
        ? Object.assign(new Error('down'), { code: 'ECONNREFUSED' })
        : super.error(kind);
    }
  },
  'errors known by their code only': class extends Client {
    override error(kind: Parameters<Client['error']>[0]) {
      const { code, retryAfter } = super.error(kind) as WpFusionError;
      return Object.assign(new Error('foreign'), { code, retryAfter });
    }
  },
  'a client that waits for the rate limit as long as somebody waits for it': class extends Client {
    #trouble: WpFusionError | undefined;
    trouble() {
      return this.#trouble;
    }
    override async call<Value>(signal: AbortSignal | undefined, work: () => Value): Promise<Value> {
      if (this.crm.failing !== 'rateLimited') return super.call(signal, work);
      this.#trouble = new WpFusionError('CRM_RATE_LIMITED', 'Too many calls.', { retryAfter: 60 });
      while (signal?.aborted !== true) await turn();
      throw this.#trouble;
    }
  },
};

describe('sound clients pass', () => {
  test.each(Object.entries(sound))('%s', async (_name, ClientUnderTest) => {
    const results = await run(ClientUnderTest);
    expect(messagesOf(results)).toEqual([]);
    expect(results.skipped).toEqual([]);
    expect(results.passed.length).toBeGreaterThan(60);
  });

  test('where the calls are not counted and only one field can be written', async () => {
    const change = { readCalls: undefined, otherField: undefined } as unknown as Partial<CrmScene>;
    expect(messagesOf(await run(Client, {}, change))).toEqual([]);
  });
});

describe.each(Object.entries({ reading, writing, failing, walking }))(
  'broken clients are caught by name: %s',
  (_group, broken) => {
    test.each(Object.entries(broken))(
      '%s',
      async (_name, { Client: ClientUnderTest, caughtBy, elsewhere }) => {
        const results = await run(ClientUnderTest);
        const failed = [...results.failed.keys()];
        if (elsewhere === true) expect(failed).toEqual(expect.arrayContaining([...caughtBy]));
        else expect(failed.sort()).toEqual([...caughtBy].sort());
        expect(crashesOf(results)).toEqual([]);
        for (const [, error] of results.failed) {
          const { message } = error as Error;
          // Words, and not only two values that differ; and the suite itself gives nothing away.
          expect(message.split('\n')[0]!.length).toBeGreaterThan(40);
          expect(message).not.toContain(TOKEN);
        }
      },
    );
  },
);

describe('capabilities', () => {
  const skippedBy = async (options: Options): Promise<string[]> => {
    const results = await run(Client, options);
    expect(messagesOf(results)).toEqual([]);
    return results.skipped.map((name) => name.replace(/ \(not tested: .+\)$/, ''));
  };

  test('failures', async () => {
    const skipped = await skippedBy({ capabilities: { failures: ['unauthorized', 'badResponse'] } });
    expect(skipped).toEqual(
      ['rateLimited', 'unavailable'].flatMap((kind) =>
        ['getContacts', 'updateContact', 'listContacts'].map((method) => {
          const code = { rateLimited: 'CRM_RATE_LIMITED', unavailable: 'CRM_UNAVAILABLE' }[kind]!;
          return `failures › ${method} throws ${code} (${kind})`;
        }),
      ),
    );
    const change = { fail: undefined } as unknown as Partial<CrmScene>;
    const without = await run(Client, { capabilities: { failures: [] } }, change);
    expect(messagesOf(without)).toEqual([]);
    const unsaid = await run(Client, {}, change);
    expect(unsaid.failed.size).toBe(12);
    expect(messagesOf(unsaid)[0]).toContain('say capabilities: { failures: [] }');
  });

  test('listContacts', async () => {
    const { Client: ClientUnderTest } = walking['no listContacts']!;
    const results = await run(ClientUnderTest, { capabilities: { listContacts: false } });
    expect(messagesOf(results)).toEqual([]);
    expect(results.skipped.every((name) => name.includes('listContacts'))).toBe(true);
    expect(results.skipped).toHaveLength(13);
    const unsaid = await run(ClientUnderTest);
    expect(messagesOf(unsaid)[0]).toContain('say capabilities: { listContacts: false }');
  });

  test('describeFields', async () => {
    const capabilities = { describeFields: true };
    const results = await run(Client, { capabilities });
    expect([...results.failed.keys()]).toEqual([
      'describeFields › names each field once, with a label and a type',
    ]);
    expect(messagesOf(results)[0]).toContain('leave capabilities.describeFields out');
  });

  test('withoutEmail', async () => {
    expect(await skippedBy({ capabilities: { withoutEmail: false } })).toEqual([
      'getContacts › gives null as the email of a contact without one',
    ]);
  });

  test('tags', async () => {
    const capabilities = { tags: ['one', 'two'] };
    expect(await skippedBy({ capabilities })).toEqual([]);
    const { Client: Splitting } = reading['tags split at commas']!;
    expect(messagesOf(await run(Splitting, { capabilities }))).toEqual([]);
    const runner = { describe: () => undefined, it: () => undefined };
    const open = async (): Promise<CrmScene> => crmSceneOf(Client);
    expect(() => crmClientContract({ runner, open, capabilities: { tags: ['one'] } })).toThrow(TypeError);
  });
});

describe('the suite itself', () => {
  test('closes every scene, also after a failure', async () => {
    let open = 0;
    const results = await collect((runner) =>
      crmClientContract({
        runner,
        open: async () => {
          open += 1;
          return { ...crmSceneOf(reading['no fields']!.Client), close: async () => void (open -= 1) };
        },
      }),
    );
    expect(results.failed.size).toBeGreaterThan(10);
    expect(open).toBe(0);
  });

  test('waits for no clock', async () => {
    const timers = jest.spyOn(globalThis, 'setTimeout');
    await run(Client);
    expect(timers).not.toHaveBeenCalled();
    timers.mockRestore();
  });

  test('reads of a client that minds its options get only what they ask for', async () => {
    const asked: (ReadOptions | undefined)[] = [];
    await run(
      class extends Client {
        override getContacts(ids: readonly string[], options?: ReadOptions) {
          asked.push(options);
          return super.getContacts(ids, options);
        }
      },
    );
    expect(asked.some((options) => options === undefined)).toBe(true);
    expect(asked.some((options) => options?.fields?.length === 0)).toBe(true);
    expect(asked.some((options) => options?.signal?.aborted)).toBe(true);
  });
});
