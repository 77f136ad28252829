// The world of one test of delivery: a CRM with contacts, a database, the sites that run on it, and what can be seen of all that.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BcryptHasher, type User } from '../../lib';
import { KnexUserRepository, migrate } from '../../lib/knex';
import { OntraportSandbox, type OntraportSandboxOptions } from '../../lib/testing';
import { openDatabase, type DatabaseName, type TestDatabase } from '../knex/databases';
import { ACCESS_KEY } from './common';
import type { ContactFacts, Facts, KeptJob } from './judge';
import { readLedger } from './ledger';
import { ASSIGNABLE_ROLES, DEFAULT_ROLE, TAGS, type PlannedWebhook } from './plan';
import { killAllSites, SiteProcess, type SiteSetting } from './site-process';

/** How long the contacts of a site that died stay with it. */
export const LEASE_MS = 1000;

const DAY_MS = 24 * 60 * 60_000;

export interface WorldOptions {
  readonly database: DatabaseName;
  readonly contacts: number;
  readonly sandbox?: OntraportSandboxOptions;
  /** What the sites are started with, beside the usual. */
  readonly site?: Partial<SiteSetting>;
}

const hasher = new BcryptHasher();

/** A row of the table of webhooks. */
interface JobRow {
  readonly contact: string;
  readonly state: string;
  readonly body: string;
}

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
    readonly database: TestDatabase,
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
    const database = await openDatabase(options.database);
    await migrate(database.knex);
    const world = new World(database, sandbox, options);
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
    await this.database.close();
    rmSync(this.#folder, { recursive: true });
  }

  startSite(more: Partial<SiteSetting> = {}): Promise<SiteProcess> {
    const { appId, apiKey, baseUrl } = this.sandbox;
    return SiteProcess.start({
      connection: this.database.config,
      queue: { leaseMs: LEASE_MS },
      crm: { appId, apiKey, baseUrl },
      webhook: this.webhook,
      port: 0,
      ledger: this.#ledger,
      timing: { pollMs: 50, pauseMs: 20 },
      ...this.options.site,
      ...more,
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
  async waiting(): Promise<(KeptJob & { pauses: number })[]> {
    return (await this.#jobs()).filter(({ state }) => state === 'waiting');
  }

  /** Whether no webhook waits any more. For thousands of them. */
  async isEmpty(): Promise<boolean> {
    return (await this.database.knex('wpf_webhooks').where('state', 'waiting').first('id')) === undefined;
  }

  /** Lets a day pass for what waits: all of it is due. */
  async makeDue(which: 'all' | 'all but settle'): Promise<void> {
    const { knex } = this.database;
    const waiting = (await this.waiting()).filter(({ action }) => which === 'all' || action !== 'settle');
    const contacts = [...new Set(waiting.map(({ contactId }) => contactId))];
    // Earlier by the same for all: who waits for longest still comes first.
    await knex('wpf_webhooks')
      .where('state', 'waiting')
      .whereIn('contact', contacts)
      .decrement('due', DAY_MS);
    await knex('wpf_lanes').whereNull('token').whereIn('contact', contacts).decrement('due', DAY_MS);
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
    const jobs = await this.#jobs();
    const lanes: { contact: string }[] = await this.database.knex('wpf_lanes').select('contact');
    return {
      contacts,
      users,
      ledger: readLedger(this.#ledger),
      waiting: jobs.filter(({ state }) => state === 'waiting'),
      dead: jobs.filter(({ state }) => state === 'dead'),
      lanes: lanes.map(({ contact }) => contact),
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

  async #jobs(): Promise<(KeptJob & { state: string; pauses: number })[]> {
    const rows: JobRow[] = await this.database
      .knex('wpf_webhooks')
      .select('contact', 'state', 'body')
      .whereIn('state', ['waiting', 'dead']);
    return rows.map(({ contact, state, body }) => {
      const { action, pauses = 0 } = JSON.parse(body) as { action: string; pauses?: number };
      return { contactId: contact, state, action, pauses, body };
    });
  }
}
