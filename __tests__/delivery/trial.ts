// One trial: a plan is sent to sites that meet some trouble, and in the end everything that was accepted is looked at.
import { randomOf } from '../../lib/testing/sandbox/random';
import { pause } from './common';
import { judge, tell, type Facts, type Wrong } from './judge';
import { makePlan, type PlanOptions, type PlannedWebhook } from './plan';
import { Senders } from './senders';
import type { SiteProcess } from './site-process';
import { World, type WorldOptions } from './world';

/** `plan` takes the place of one that is made. */
export type TrialOptions = WorldOptions & { readonly seed: number } & (
    PlanOptions | { readonly plan: readonly PlannedWebhook[] }
  );

/** Calls to the CRM take up to so long: webhooks come in while others of their contact are being worked on. */
const CRM_LATENCY_MS = 60;

/** Longer than anything waits that was tried once or twice. What does not move for so long is for the judge. */
const STUCK_AFTER_MS = 45_000;

/** Due in a quarter of an hour: whether a debt is still open. Everything else has to be done. */
const isOnlyToSettle = ({ action }: { action: string }): boolean => action === 'settle';

export class Trial {
  readonly senders: Senders;
  /** What was not given to the senders yet. */
  readonly unsent: PlannedWebhook[];
  /** Where webhooks are sent to, in turn; those that have ended are left out. */
  sites: SiteProcess[] = [];
  #turn = 0;

  private constructor(
    readonly world: World,
    options: TrialOptions,
  ) {
    this.unsent = 'plan' in options ? [...options.plan] : makePlan(options);
    this.senders = new Senders({
      contactIds: world.contactIds,
      acceptedStatus: 202,
      url: () => this.#url(),
      change: (contactId, webhook) => world.change(contactId, webhook),
    });
  }

  static async open(options: TrialOptions): Promise<Trial> {
    const world = await World.open(options);
    const random = randomOf(options.seed);
    world.sandbox.latency(() => random() * CRM_LATENCY_MS);
    return new Trial(world, options);
  }

  /** Ends everything, however it went. */
  async close(): Promise<void> {
    this.senders.stop();
    await this.world.close();
  }

  /** Sends the next webhooks of the plan, or all that are left. */
  release(count = Infinity): void {
    this.senders.release(this.unsent.splice(0, count));
  }

  /** Whether all that was released is accepted and worked off. */
  async isAllDone(): Promise<boolean> {
    return this.senders.isIdle && (await this.world.waiting()).every(isOnlyToSettle);
  }

  /** Resolves when so many webhooks were accepted in all: at once, while others are still on their way. */
  async accepted(count: number): Promise<void> {
    const { senders } = this;
    const areEnough = (): boolean => senders.accepted.length >= count;
    const enough = new Promise<void>((resolve) => {
      senders.onAccepted = () => {
        if (areEnough()) resolve();
      };
    });
    while (!areEnough() && !senders.isIdle) await Promise.race([enough, pause()]);
  }

  /**
   * Sends all that is left, waits until it is worked off or nothing moves any more, and gives what there is to see then.
   *
   * @param isInAHurry Whether what waits to be tried again is due at once.
   */
  async end(isInAHurry = false): Promise<Facts> {
    this.release();
    let last = '';
    let movedAt = performance.now();
    while (!(await this.isAllDone()) && performance.now() - movedAt < STUCK_AFTER_MS) {
      if (isInAHurry) await this.world.makeDue('all but settle');
      const now = `${this.senders.accepted.length} ${JSON.stringify(await this.world.waiting())}`;
      if (now !== last) movedAt = performance.now();
      last = now;
      await pause(50);
    }
    return this.#whenPasswordsAreShown();
  }

  /** What is wrong, in words; empty where nothing is. */
  wrong(facts: Facts, more: readonly Wrong[] = []): string {
    const { accepted } = this.senders;
    return tell([...judge(accepted, facts), ...more], accepted, facts);
  }

  /** A password may be on its way to the CRM behind its job. One that does not come is for the judge. */
  async #whenPasswordsAreShown(): Promise<Facts> {
    for (let looks = 1; ; looks += 1) {
      const facts = await this.world.facts();
      const withUser = new Set(facts.users.map(({ contactId }) => contactId));
      const isOpen = facts.contacts.some(
        ({ contactId, passwordLogsIn }) => withUser.has(contactId) && !passwordLogsIn,
      );
      if (!isOpen || looks === 100) return facts;
      await pause(50);
    }
  }

  async #url(): Promise<string> {
    for (;;) {
      const alive = this.sites.filter(({ isAlive }) => isAlive);
      const site = alive[(this.#turn += 1) % Math.max(1, alive.length)];
      if (site !== undefined) return site.url;
      await pause();
    }
  }
}
