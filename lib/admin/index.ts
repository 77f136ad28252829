/**
 * A page on which people see what became of each webhook, and do something about it.
 *
 * @module wp-fusion-webhook/admin
 */
// What the subpath `wp-fusion-webhook/admin` exports, nothing else.
export { wpFusionAdmin } from './admin';
export type { WpFusionAdminOptions } from './admin';
