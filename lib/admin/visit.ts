// One look at a page: what it is made from, and what it becomes.
import type { Content } from '../html';
import type { Inside } from '../inside';
import type { WpFusionWebhook } from '../middleware';
import type { RecentCounts } from './recent-counts';

/** What a page is made from. */
export interface Visit {
  readonly webhook: WpFusionWebhook;
  readonly inside: Inside;
  readonly counts: RecentCounts;
  /** Whether values of fields are shown. */
  readonly inspect: boolean;
  /** The address of the site. */
  readonly siteUrl: string;
  readonly query: ReadonlyMap<string, string>;
  /** What a form has sent. */
  readonly form: ReadonlyMap<string, string>;
  /** The way to the first page. */
  readonly root: string;
}

/** A page. */
export interface Page {
  readonly section: string;
  readonly title: string;
  readonly content: Content;
  /** Default: 200. */
  readonly status?: number;
}

/** A page, or the way to one. */
export type Answer = Page | { readonly to: string };

/** What a reader wrote, without white space around it. */
export const textIn = (values: ReadonlyMap<string, string>, name: string): string =>
  (values.get(name) ?? '').trim();
