// What a site's configuration file for the command line exports.
import type { WpFusionWebhookOptions } from '../options';

/**
 * What `wp-fusion-webhook.config.js` (or `.mjs`, `.cjs`) exports, as its default or as `module.exports`: how the command
 * `wp-fusion-webhook` comes to the site's users, CRM and queue ([docs/command-line.md](../../docs/command-line.md)).
 *
 * @example
 * const knex = createKnex({ client: 'pg', connection: process.env.DATABASE_URL });
 * const config: WpFusionConfig = {
 *   options: {
 *     accessKey: process.env.WPF_ACCESS_KEY,
 *     crm: new OntraportClient({ appId: process.env.ONTRAPORT_APP_ID, apiKey: process.env.ONTRAPORT_API_KEY }),
 *     users: new KnexUserRepository(knex),
 *     queue: new KnexWebhookQueue(knex),
 *   },
 *   url: 'https://www.example.com/',
 *   close: () => knex.destroy(),
 * };
 * export default config;
 */
export interface WpFusionConfig {
  /**
   * What the site gives {@link wpFusionWebhook}, or a function that gives it, once for each command. The command sets `worker` and
   * `logger` itself.
   */
  readonly options: WpFusionWebhookOptions | (() => WpFusionWebhookOptions | Promise<WpFusionWebhookOptions>);
  /** The address of the site's webhook: the site's own, with the path on which the middleware is mounted. */
  readonly url?: string | undefined;
  /** Releases what the file has opened, at the end of each command: connections would keep its process alive. May be async. */
  readonly close?: (() => unknown) | undefined;
}
