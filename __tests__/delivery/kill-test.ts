// The kill test: a site is killed again and again while webhooks come in, at every named step of the code and at any other
// moment, and in the end each accepted webhook has had its effect, once. With a queue in Redis another site lives on beside it for a
// part of the time, and the server of Redis dies too.
import { STEPS } from '../../lib/actions/steps';
import { BULL_STEPS, type BullStep } from '../../lib/bullmq/steps';
import { randomOf, shuffle } from '../../lib/testing/sandbox/random';
import { QUEUE_STEPS } from '../../lib/worker/steps';
import { pause } from './common';
import type { Facts, Wrong } from './judge';
import type { PlannedDeath, SiteProcess } from './site-process';
import type { StoreName } from './stores';
import { Trial } from './trial';

export interface KillTestOptions {
  readonly database: StoreName;
  readonly seed: number;
  readonly webhooks: number;
  readonly contacts: number;
  /** How often the site is killed at any moment, beside once at each step. */
  readonly kills: number;
  /** How often the server of Redis is stopped or killed, in turn, where the queue is there. */
  readonly serverDeaths: number;
}

/** A death as it came. */
export interface Death {
  /** What was planned: a step, or a count. */
  readonly planned: string;
  /** The step, or the last thing that its process had written down; `undefined` where it never died as planned. */
  readonly at: string | undefined;
  readonly accepted: number;
}

export interface KillTestResult {
  readonly deaths: readonly Death[];
  /** How the server of the queue ended, each time. */
  readonly serverDeaths: readonly string[];
  /** Steps of the code at which no site died. */
  readonly missedSteps: readonly string[];
  readonly accepted: number;
  readonly unanswered: number;
  readonly created: number;
  /** Jobs that were left until it was certain that nothing is owed. */
  readonly settleJobsLeft: number;
  /** What is wrong, in words; empty where nothing is. */
  readonly wrong: string;
}

/** When the next site dies. */
type Moment = { readonly death: PlannedDeath } | { readonly acceptedMore: number };

type Plan = Moment & {
  /** Whether another site lives beside it, which has its part of the webhooks. */
  readonly hasCompanion: boolean;
  /** A third site, which dies first: what the dead leave behind is what the one that is planned dies of. */
  readonly victim?: PlannedDeath;
  /** How the server of the queue ends meanwhile, to be started again at once. */
  readonly server?: { readonly end: 'stop' | 'kill'; readonly acceptedMore: number };
};

/** A step with webhooks that are given up, which a kill test does not have: dead-letters.test.ts dies there. */
export const OF_DEAD_LETTERS = 'bull: contact woken again' satisfies BullStep;

/** All others. */
const stepsOf = (store: StoreName): readonly string[] => [
  ...STEPS,
  ...QUEUE_STEPS,
  ...(store === 'Redis' ? BULL_STEPS.filter((step) => step !== OF_DEAD_LETTERS) : []),
];

/** A password that was stored and never returned is replaced by the next process: only then there is a takeover. */
const TAKEOVER = { step: 'takeover: new password stored', after: 'create: stored' };
/** A wake-up of a dead process comes back while its contact is still leased, and is too early. */
const TOO_EARLY = { step: 'bull: wake-up too early', victim: { step: 'work: taken', hit: 1 } };
/** The age at which a claim of a dead process is not believed any more, and a little. */
const CLAIMS_ARE_OLD_MS = 16 * 60_000;

/** Runs the kill test. Does not throw for what it finds: the result tells. */
export async function killTest(options: KillTestOptions): Promise<KillTestResult> {
  const random = randomOf(options.seed + 1);
  const deaths = planDeaths(options, random);
  // Beside another site a portion may be over before the one that is to die has had its share: it gets another one.
  const portions = (deaths.length + 1) * (options.database === 'Redis' ? 2 : 1);
  const trial = await Trial.open({ ...options, portions });
  try {
    return await new KillTest(
      options.database,
      trial,
      deaths,
      Math.ceil(options.webhooks / portions),
      random,
    ).run();
  } finally {
    await trial.close();
  }
}

/** Deaths at each step in some order, and at other moments in between. */
function planDeaths(options: KillTestOptions, random: () => number): Plan[] {
  const { database, contacts, kills } = options;
  const allSteps = stepsOf(database);
  const perPortion = Math.floor(contacts / (allSteps.length + kills + 1));
  const upTo = (most: number): number => 1 + Math.floor(random() * Math.max(2, most));
  const steps = allSteps.filter((step) => step !== TAKEOVER.step);
  shuffle(steps, random);
  const moments: Moment[] = steps.map((step) => ({
    death: { step, hit: step === TOO_EARLY.step ? 1 : upTo(perPortion / 3) },
  }));
  for (let kill = 0; kill < kills; kill += 1) {
    const moment: Moment =
      kill % 2 === 0 ? { acceptedMore: upTo(perPortion) } : { death: { hit: upTo(5 * perPortion) } };
    moments.splice(Math.floor(random() * (moments.length + 1)), 0, moment);
  }
  const before = moments.findIndex((moment) => isDeathAt(TAKEOVER.after, moment));
  moments.splice(before + 1, 0, { death: { step: TAKEOVER.step, hit: 1 } });
  return database === 'Redis'
    ? withCompany(moments, options, random)
    : moments.map((moment) => ({ ...moment, hasCompanion: false }));
}

const isDeathAt = (step: string, moment: Moment): boolean => 'death' in moment && moment.death.step === step;

/** The second half of the deaths is beside a site that lives on, and now and then the server of the queue dies too. */
function withCompany(moments: readonly Moment[], options: KillTestOptions, random: () => number): Plan[] {
  const takeover = moments.findIndex((moment) => isDeathAt(TAKEOVER.step, moment));
  // Nobody else may take over.
  const isAlone = (index: number): boolean =>
    index === takeover || index === takeover - 1 || isDeathAt(TOO_EARLY.step, moments[index]!);
  const serverDies = moments.map((_, index) => index);
  shuffle(serverDies, random);
  return moments.map((moment, index) => {
    const place = serverDies.indexOf(index);
    const end = place % 2 === 0 ? ('kill' as const) : ('stop' as const);
    return {
      ...moment,
      hasCompanion: index >= moments.length / 2 && !isAlone(index),
      ...(isDeathAt(TOO_EARLY.step, moment) ? { victim: TOO_EARLY.victim } : {}),
      ...(place < options.serverDeaths
        ? { server: { end, acceptedMore: 1 + Math.floor(random() * 3) } }
        : {}),
    };
  });
}

class KillTest {
  readonly #deaths: Death[] = [];
  readonly #diedAt = new Set<string>();
  readonly #serverDeaths: string[] = [];
  #companion: SiteProcess | undefined;
  #port = 0;

  constructor(
    private readonly store: StoreName,
    private readonly trial: Trial,
    private readonly plans: readonly Plan[],
    private readonly perPortion: number,
    private readonly random: () => number,
  ) {}

  async run(): Promise<KillTestResult> {
    for (const plan of this.plans) await this.#dieOnce(plan);
    const last = await this.#start();
    this.trial.sites = [last];
    await this.#letGoOfCompanion();
    const facts = await this.trial.end();
    await last.close();
    const settleJobsLeft = facts.waiting.length;
    const wrong = this.trial.wrong(facts);
    const { accepted, unanswered } = this.trial.senders;
    return {
      deaths: this.#deaths,
      serverDeaths: this.#serverDeaths,
      missedSteps: stepsOf(this.store).filter((step) => !this.#diedAt.has(step)),
      accepted: accepted.length,
      unanswered,
      created: facts.users.length,
      settleJobsLeft,
      wrong: wrong === '' ? await this.#aQuarterOfAnHourLater() : wrong,
    };
  }

  /** Starts a site, sends it the next portion, and waits until it has died as planned. */
  async #dieOnce(plan: Plan): Promise<void> {
    const { trial } = this;
    const { senders } = trial;
    const acceptedBefore = senders.accepted.length;
    if (!plan.hasCompanion) await this.#letGoOfCompanion();
    const site = await this.#start('death' in plan ? plan.death : undefined);
    trial.sites = [site];
    if (plan.hasCompanion) {
      this.#companion ??= await trial.world.startSite();
      trial.sites.push(this.#companion);
    }
    let serverIsBack: Promise<void> | undefined;
    senders.onAccepted = () => {
      const more = senders.accepted.length - acceptedBefore;
      if ('acceptedMore' in plan && more >= plan.acceptedMore) void site.kill();
      if (plan.server !== undefined && more >= plan.server.acceptedMore)
        serverIsBack ??= this.#restartServer(plan.server.end);
    };
    const hasDied = await this.#deathOf(site, plan.victim);
    if (plan.server !== undefined) await (serverIsBack ??= this.#restartServer(plan.server.end));
    await Promise.all(trial.sites.filter((one) => one !== this.#companion).map((one) => one.kill()));
    const at = hasDied ? this.#whereDied(site) : undefined;
    const planned = 'death' in plan ? describe(plan.death) : `after ${plan.acceptedMore} more accepted`;
    const company = plan.hasCompanion ? ', beside another site' : '';
    const server = plan.server === undefined ? '' : `, server: ${plan.server.end}`;
    const accepted = senders.accepted.length - acceptedBefore;
    this.#deaths.push({ planned: `${planned}${company}${server}`, at, accepted });
  }

  /** Sends the next portion, and another where everything is worked off and it lives. Whether it dies. */
  async #deathOf(site: SiteProcess, victim: PlannedDeath | undefined): Promise<boolean> {
    const { trial } = this;
    for (;;) {
      if (victim !== undefined) trial.sites = [site, await trial.world.startSite({ death: victim })];
      trial.release(this.perPortion);
      do {
        const hasDied = await Promise.race([site.ended.then(() => true), pause(100).then(() => false)]);
        if (hasDied) return true;
      } while (!(await trial.isAllDone()));
      if (trial.unsent.length === 0) return false;
    }
  }

  /** Ends the server of Redis, and starts it again with what its file holds. */
  async #restartServer(end: 'stop' | 'kill'): Promise<void> {
    const { redis } = this.trial.world;
    if (redis === undefined) return;
    await redis[end]();
    await redis.start();
    this.#serverDeaths.push(end);
  }

  /** It has nothing to do with the next death: ends as a deployment does. */
  async #letGoOfCompanion(): Promise<void> {
    await this.#companion?.close();
    this.#companion = undefined;
  }

  #whereDied({ pid }: SiteProcess): string {
    const lines = this.trial.world.ledger().filter((line) => line.pid === pid);
    const last = lines.find(({ what }) => what === 'dies at') ?? lines.at(-1);
    if (last?.what !== 'dies at') return `any moment, after ${last === undefined ? 'nothing' : last.what}`;
    this.#diedAt.add(last.step);
    return last.step;
  }

  async #start(death?: PlannedDeath, clockAheadMs = 0): Promise<SiteProcess> {
    // On the same port as often as on another.
    const port = this.random() < 0.5 ? this.#port : 0;
    const more = { ...(death === undefined ? {} : { death }), clockAheadMs };
    const site = await this.trial.world.startSite({ ...more, port });
    this.#port = Number(new URL(site.url).port);
    return site;
  }

  /** When claims of dead processes are not believed any more, nothing at all is left. What is wrong then. */
  async #aQuarterOfAnHourLater(): Promise<string> {
    const { world } = this.trial;
    await world.makeDue('all');
    const site = await this.#start(undefined, CLAIMS_ARE_OLD_MS);
    const isOver = async () => (await world.isEmpty()) && (await world.leftovers()).length === 0;
    for (let looks = 0; looks < 200 && !(await isOver()); looks += 1) await pause(50);
    const facts = await world.facts();
    const leftovers = await world.leftovers();
    await site.close();
    const left = leftovers.map((what) => ({ contactId: undefined, what: `left in the store: ${what}` }));
    return this.trial.wrong(facts, [...stillOwed(facts), ...left]);
  }
}

function stillOwed({ waiting, users }: Facts): Wrong[] {
  const isOwed = /"[pam]":/;
  return [
    ...waiting.map(({ contactId, body }) => ({
      contactId,
      what: `left after a quarter of an hour: ${body}`,
    })),
    ...users
      .filter(({ syncState }) => isOwed.test(syncState ?? ''))
      .map(({ contactId }) => ({
        contactId: contactId ?? undefined,
        what: 'something is owed after a quarter of an hour',
      })),
  ];
}

const describe = ({ step, hit }: PlannedDeath): string => `${step ?? 'any step'}, hit ${hit}`;

/** The deaths as a table, for whoever reads the output. */
export function tableOf(result: KillTestResult): string {
  const { deaths, accepted, unanswered, created, settleJobsLeft } = result;
  const width = Math.max(...deaths.map(({ planned }) => planned.length));
  const lines = deaths.map(
    ({ planned, at, accepted: more }) =>
      `${planned.padEnd(width)}  died at ${at ?? 'NOTHING'}; ${more} accepted`,
  );
  const sum = `${accepted} webhooks accepted, ${unanswered} times no answer, ${created} users, ${settleJobsLeft} settle jobs left`;
  return [...lines, sum].join('\n');
}
