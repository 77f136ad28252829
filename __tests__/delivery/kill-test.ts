// The kill test: a site is killed again and again while webhooks come in, at every named step of the code and at any other
// moment, and in the end each accepted webhook has had its effect, once.
import { STEPS } from '../../lib/actions/steps';
import { randomOf, shuffle } from '../../lib/testing/sandbox/random';
import { QUEUE_STEPS } from '../../lib/worker/steps';
import type { DatabaseName } from '../knex/databases';
import { pause } from './common';
import type { Facts, Wrong } from './judge';
import type { PlannedDeath, SiteProcess } from './site-process';
import { Trial } from './trial';

export interface KillTestOptions {
  readonly database: DatabaseName;
  readonly seed: number;
  readonly webhooks: number;
  readonly contacts: number;
  /** How often the site is killed at any moment, beside once at each step. */
  readonly kills: number;
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
type Plan = { readonly death: PlannedDeath } | { readonly acceptedMore: number };

const ALL_STEPS: readonly string[] = [...STEPS, ...QUEUE_STEPS];
/** A password that was stored and never returned is replaced by the next process: only then there is a takeover. */
const TAKEOVER = { step: 'takeover: new password stored', after: 'create: stored' };
/** The age at which a claim of a dead process is not believed any more, and a little. */
const CLAIMS_ARE_OLD_MS = 16 * 60_000;

/** Runs the kill test. Does not throw for what it finds: the result tells. */
export async function killTest(options: KillTestOptions): Promise<KillTestResult> {
  const random = randomOf(options.seed + 1);
  const deaths = planDeaths(options, random);
  const portions = deaths.length + 1;
  const trial = await Trial.open({ ...options, portions });
  try {
    return await new KillTest(trial, deaths, Math.ceil(options.webhooks / portions), random).run();
  } finally {
    await trial.close();
  }
}

/** Deaths at each step in some order, and at other moments in between. */
function planDeaths({ contacts, kills }: KillTestOptions, random: () => number): Plan[] {
  const perPortion = Math.floor(contacts / (ALL_STEPS.length + kills + 1));
  const upTo = (most: number): number => 1 + Math.floor(random() * Math.max(2, most));
  const steps = ALL_STEPS.filter((step) => step !== TAKEOVER.step);
  shuffle(steps, random);
  const plans: Plan[] = steps.map((step) => ({ death: { step, hit: upTo(perPortion / 3) } }));
  for (let kill = 0; kill < kills; kill += 1) {
    const plan: Plan =
      kill % 2 === 0 ? { acceptedMore: upTo(perPortion) } : { death: { hit: upTo(5 * perPortion) } };
    plans.splice(Math.floor(random() * (plans.length + 1)), 0, plan);
  }
  const before = plans.findIndex((plan) => 'death' in plan && plan.death.step === TAKEOVER.after);
  plans.splice(before + 1, 0, { death: { step: TAKEOVER.step, hit: 1 } });
  return plans;
}

class KillTest {
  readonly #deaths: Death[] = [];
  readonly #diedAt = new Set<string>();
  #port = 0;

  constructor(
    private readonly trial: Trial,
    private readonly plans: readonly Plan[],
    private readonly perPortion: number,
    private readonly random: () => number,
  ) {}

  async run(): Promise<KillTestResult> {
    for (const plan of this.plans) await this.#dieOnce(plan);
    const last = await this.#start();
    const facts = await this.trial.end();
    await last.close();
    const settleJobsLeft = facts.waiting.length;
    const wrong = this.trial.wrong(facts);
    const { accepted, unanswered } = this.trial.senders;
    return {
      deaths: this.#deaths,
      missedSteps: ALL_STEPS.filter((step) => !this.#diedAt.has(step)),
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
    const site = await this.#start('death' in plan ? plan.death : undefined);
    senders.onAccepted = () => {
      const more = senders.accepted.length - acceptedBefore;
      if ('acceptedMore' in plan && more >= plan.acceptedMore) void site.kill();
    };
    trial.release(this.perPortion);
    const hasDied = await this.#deathOf(site);
    await site.kill();
    const at = hasDied ? this.#whereDied(site) : undefined;
    const planned = 'death' in plan ? describe(plan.death) : `after ${plan.acceptedMore} more accepted`;
    this.#deaths.push({ planned, at, accepted: senders.accepted.length - acceptedBefore });
  }

  /** Whether it dies: if everything is worked off and it lives, there was too little to do, and more is sent. */
  async #deathOf(site: SiteProcess): Promise<boolean> {
    const { trial } = this;
    for (;;) {
      const hasDied = await Promise.race([site.ended.then(() => true), pause(100).then(() => false)]);
      if (hasDied) return true;
      if (!(await trial.isAllDone())) continue;
      if (trial.unsent.length === 0) return false;
      trial.release(this.perPortion);
    }
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
    this.trial.sites = [site];
    return site;
  }

  /** When claims of dead processes are not believed any more, nothing at all is left. What is wrong then. */
  async #aQuarterOfAnHourLater(): Promise<string> {
    const { world } = this.trial;
    await world.makeDue('all');
    const site = await this.#start(undefined, CLAIMS_ARE_OLD_MS);
    for (let looks = 0; looks < 200 && (await world.waiting()).length > 0; looks += 1) await pause(50);
    const facts = await world.facts();
    await site.close();
    return this.trial.wrong(facts, stillOwed(facts));
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
