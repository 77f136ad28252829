// What is sent in a kill test: webhooks for contacts in one order, with the changes of the contacts in between. The same seed
// gives the same plan.
import { randomOf } from '../../lib/testing/sandbox/random';

/** A webhook that will be sent until it is accepted. */
export interface PlannedWebhook {
  /** Its place in the plan, from 0. */
  readonly number: number;
  /** Which of the contacts, from 0. */
  readonly contact: number;
  readonly action: 'add' | 'update' | 'update_tags';
  readonly role?: string;
  readonly sendNotification: boolean;
  /** What changes in the CRM just before it is sent for the first time. */
  readonly change: { readonly plan?: string; readonly tags?: readonly string[] };
}

export interface PlanOptions {
  readonly seed: number;
  readonly webhooks: number;
  readonly contacts: number;
  /** Into how many portions the plan is cut; each has the beginning of two contacts at least that are added with a mail. */
  readonly portions: number;
}

/** Roles that the site may give. The plan also asks for one that it may not. */
export const ASSIGNABLE_ROLES = ['subscriber', 'customer', 'vip'] as const;
export const DEFAULT_ROLE = 'subscriber';
const ASKED_ROLES = [...ASSIGNABLE_ROLES, 'admin'];
export const TAGS = ['Member', 'Customer', 'VIP', 'Trial'] as const;

/** How far the webhooks of one contact are from one another, in beginnings of other contacts. */
const SPREAD = 4;

type Draft = Omit<PlannedWebhook, 'number' | 'contact'>;

/** Makes a plan. */
export function makePlan(options: PlanOptions): PlannedWebhook[] {
  const { seed, webhooks, contacts, portions } = options;
  const random = randomOf(seed);
  const perPortion = Math.floor(contacts / portions);
  if (perPortion < 2 || webhooks < contacts)
    throw new Error('Too few contacts or webhooks for the portions.');
  const counts = new Array<number>(contacts).fill(1);
  for (let rest = webhooks - contacts; rest > 0; rest -= 1) {
    const lucky = Math.floor(random() * contacts);
    counts[lucky] = (counts[lucky] ?? 0) + 1;
  }
  return counts
    .flatMap((count, contact) => {
      const first = contact % perPortion < 2 ? 'added with a mail' : kindOf(random());
      let place = contact;
      return storyOf(first, count, random).map((draft) => {
        const one = { place, contact, draft };
        // Every other one comes right behind the one before, while that is being worked on.
        if (random() < 0.5) place += random() * SPREAD;
        return one;
      });
    })
    .sort((one, other) => one.place - other.place)
    .map(({ contact, draft }, number) => ({ number, contact, ...draft }));
}

type Kind = 'added with a mail' | 'added' | 'never added';

const kindOf = (chance: number): Kind =>
  chance < 0.35 ? 'added with a mail' : chance < 0.75 ? 'added' : 'never added';

/** The webhooks of one contact. */
function storyOf(kind: Kind, count: number, random: () => number): Draft[] {
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!;
  const addAt = kind === 'added' ? Math.floor(random() * Math.min(count, 3)) : 0;
  const story: Draft[] = [];
  for (let index = 0; index < count; index += 1) {
    const previous = story.at(-1);
    const isFirstAdd = kind !== 'never added' && index === addAt;
    if (previous !== undefined && !isFirstAdd && random() < 0.15) {
      story.push({ ...previous, change: {} });
      continue;
    }
    const mayAdd = kind !== 'never added' && index > addAt;
    const action = isFirstAdd ? 'add' : pick([...(mayAdd ? ['add'] : []), 'update', 'update_tags'] as const);
    // What comes before the user is there may be skipped or merged with its add: only then would its role count.
    const mayHaveRole = action !== 'update_tags' && (kind === 'never added' || index >= addAt);
    story.push({
      action: action as Draft['action'],
      sendNotification: action === 'add' && kind === 'added with a mail',
      ...(mayHaveRole && random() < 0.5 ? { role: pick(ASKED_ROLES) } : {}),
      change: {
        // Only an add or an update brings fields.
        ...(action !== 'update_tags' && random() < 0.6 ? { plan: `plan ${Math.floor(random() * 1e6)}` } : {}),
        ...(random() < 0.5 ? { tags: TAGS.filter(() => random() < 0.5) } : {}),
      },
    });
  }
  return story;
}
