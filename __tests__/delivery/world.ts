// The world of one test of delivery: a CRM with contacts, a database, the store of the queue, the sites that run on them, and what
// can be seen of all that.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BcryptHasher, type User } from '../../lib';
import { KnexUserRepository, migrate } from '../../lib/knex';
import { OntraportSandbox, type OntraportSandboxOptions } from '../../lib/testing';
import { EVERY_WRITE, RedisServer } from '../bullmq/redis-server';
import { openDatabase, type TestDatabase } from '../knex/databases';
import { ACCESS_KEY } from './common';
import type { ContactFacts, Facts } from './judge';
import { readLedger } from './ledger';
import { ASSIGNABLE_ROLES, DEFAULT_ROLE, TAGS, type PlannedWebhook } from './plan';
import { RedisView } from './redis-view';
import { killAllSites, SiteProcess, type SiteSetting } from './site-process';
import { databaseOf, SqlView, type SeenJob, type StoreName, type StoreView } from './stores';

/** How long the contacts of a site that died stay with it. */
export const LEASE_MS = 1000;

export interface WorldOptions {
  /** Where the queue is, and the users too where they can be. */
  readonly database: StoreName;
  readonly contacts: number;
  readonly sandbox?: OntraportSandboxOptions;
  /** What the sites are started with, beside the usual. */
  readonly site?: Partial<SiteSetting>;
}

const hasher = new BcryptHasher();

export class World {
  readonly contactIds: string[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), 'wpf_delivery_'));
  readonly #ledger = join(this.#folder, 'ledger');

  /** The options of the middleware that are plain data. */
  readonly webhook: SiteSetting['webhook'] = {
    accessKey: ACCESS_KEY,
    fields: { plan: 'f2' },
    roles: { assignable: [...ASSIGNABLE_ROLES], default: DEFAULT_ROLE },
    returnPassword: { field: 'f1' },
  };

  private constructor(
    /** Where the users are. */
    readonly database: TestDatabase,
    /** The server of the queue, where that is in Redis. */
    readonly redis: RedisServer | undefined,
    private readonly store: StoreView,
    readonly sandbox: OntraportSandbox,
    private readonly options: WorldOptions,
  ) {}

  static async open(options: WorldOptions): Promise<World> {
    const sandbox = await OntraportSandbox.start({
      rateLimit: { limit: 1_000_000, windowMs: 60_000 },
      ...options.sandbox,
    });
    sandbox.addField({ key: 'f1', alias: 'Site password', type: 'text' });
    sandbox.addField({ key: 'f2', alias: 'Plan', type: 'text' });
    for (const tag of TAGS) sandbox.addTag(tag);
    const database = await openDatabase(databaseOf(options.database));
    await migrate(database.knex);
    const redis = options.database === 'Redis' ? await RedisServer.start(EVERY_WRITE) : undefined;
    const store = redis === undefined ? new SqlView(database) : new RedisView(redis.address);
    const world = new World(database, redis, store, sandbox, options);
    for (let index = 0; index < options.contacts; index += 1) {
      world.contactIds.push(
        sandbox.addContact({ firstname: `P${index}`, email: `person${index}@example.com`, tags: ['Member'] }),
      );
    }
    return world;
  }

  /** Ends everything, however the test went. */
  async close(): Promise<void> {
    await killAllSites();
    await this.sandbox.close();
    await this.store.close();
    await this.redis?.close();
    await this.database.close();
    rmSync(this.#folder, { recursive: true });
  }

  startSite(more: Partial<SiteSetting> = {}): Promise<SiteProcess> {
    const { appId, apiKey, baseUrl } = this.sandbox;
    const redis = this.redis === undefined ? {} : { redis: this.redis.address };
    const { queue } = { queue: { leaseMs: LEASE_MS }, ...this.options.site, ...more };
    return SiteProcess.start({
      connection: this.database.config,
      crm: { appId, apiKey, baseUrl },
      webhook: this.webhook,
      port: 0,
      ledger: this.#ledger,
      timing: { pollMs: 50, pauseMs: 20 },
      ...this.options.site,
      ...more,
      queue: { ...redis, ...queue },
    });
  }

  /** A folder of its own, gone when the world is closed. */
  folder(name: string): string {
    const path = join(this.#folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Makes the change that stands before a webhook. */
  change(contactId: string, { change: { plan, tags } }: PlannedWebhook): void {
    if (plan !== undefined) this.sandbox.updateContact(contactId, { f2: plan });
    if (tags !== undefined) {
      this.sandbox.tag(contactId, ...tags);
      this.sandbox.untag(contactId, ...TAGS.filter((tag) => !tags.includes(tag)));
    }
  }

  /** Webhooks that are stored and neither done nor given up. */
  async waiting(): Promise<SeenJob[]> {
    return (await this.store.jobs()).filter(({ isDead }) => !isDead);
  }

  /** Whether no webhook waits any more. For thousands of them. */
  isEmpty(): Promise<boolean> {
    return this.store.isEmpty();
  }

  /** What the store still has of webhooks, when none waits and none was given up. */
  leftovers(): Promise<string[]> {
    return this.store.leftovers();
  }

  /** Lets a day pass for what waits: all of it is due. */
  async makeDue(which: 'all' | 'all but settle'): Promise<void> {
    const waiting = (await this.waiting()).filter(({ action }) => which === 'all' || action !== 'settle');
    await this.store.makeDue([...new Set(waiting.map(({ contactId }) => contactId))]);
  }

  async users(): Promise<User[]> {
    const repository = new KnexUserRepository(this.database.knex);
    const rows: { email: string }[] = await this.database.knex('wpf_users').select('email').orderBy('id');
    const users: User[] = [];
    for (const { email } of rows) {
      const user = await repository.findByEmail(email);
      if (user !== null) users.push(user);
    }
    return users;
  }

  /** Everything there is to see. */
  async facts(): Promise<Facts> {
    const users = await this.users();
    const contacts: ContactFacts[] = [];
    for (const contactId of this.contactIds) {
      const user = users.find((one) => one.contactId === contactId);
      contacts.push(await this.#contactFacts(contactId, user));
    }
    const jobs = await this.store.jobs();
    return {
      contacts,
      users,
      ledger: readLedger(this.#ledger),
      waiting: jobs.filter(({ isDead }) => !isDead),
      dead: jobs.filter(({ isDead }) => isDead),
      lanes: await this.store.lanes(),
    };
  }

  ledger(): ReturnType<typeof readLedger> {
    return readLedger(this.#ledger);
  }

  async #contactFacts(contactId: string, user: User | undefined): Promise<ContactFacts> {
    const contact = this.sandbox.contact(contactId);
    const shown = contact?.f1 ?? '';
    const hash = user?.passwordHash ?? null;
    return {
      contactId,
      email: contact?.email ?? '',
      plan: contact?.f2 == null || contact.f2 === '' ? null : contact.f2,
      tags: this.sandbox.tagsOf(contactId),
      hasPassword: shown !== '',
      passwordLogsIn: shown !== '' && hash !== null && (await hasher.verify(shown, hash)),
    };
  }
}
